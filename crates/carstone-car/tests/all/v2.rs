//! CARv2: files of other implementations, the worked example, what is refused, and what is written in each way.

use std::fs;
use std::io::{Cursor, Seek, SeekFrom};
use std::path::Path;

use crate::sources::{Sink, Stutter, car, raw, small};
use carstone_car::{
    Block, CarFileWriter, CarReader, CarSlice, Characteristics, Cid, Error, ErrorKind, FileOptions,
    IndexCodec, Part, ReaderOptions, Section, V2_PRAGMA, V2Header, cid_of, codec, hash_code,
    replace_roots, section_len, verify,
};

fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    match fs::read(Path::new(folder).join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("skipped: {name}: {error}");
            None
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = cid_of(codec::RAW, bytes);
    digest.hash().digest().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).expect("hex"), 16);
    digits.chunks(2).map(|pair| byte(pair).expect("hex")).collect()
}

/// A CARv2 of these blocks.
fn v2(roots: &[Cid], blocks: &[Block], options: FileOptions) -> Vec<u8> {
    let sink = Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, roots, options).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    let sink = writer.finish().expect("finish");
    assert_eq!(sink.position(), sink.get_ref().len() as u64, "the sink stands at the end");
    sink.into_inner()
}

fn worked_example(options: FileOptions) -> Vec<u8> {
    let blocks = [raw(b"hello"), raw(b"car")];
    v2(&[blocks[0].cid], &blocks, options)
}

/// Reads in every way, which must agree, up to the end or the first error.
#[track_caller]
fn scan(bytes: &[u8]) -> (Vec<Section>, Option<Error>) {
    let mut reader = CarReader::open(bytes).expect("header");
    let start = reader.payload_start();
    let (mut found, mut data) = (Vec::new(), Vec::new());
    let end = loop {
        match reader.read_block(&mut data) {
            Ok(Some(section)) => {
                assert!(verify(&section.cid, &data).is_ok());
                let stored = &bytes[(start + section.data_offset) as usize..][..section.data_len];
                assert_eq!(data, stored);
                assert_eq!(reader.position(), section.end());
                found.push(section);
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let stop = end.as_ref().map(|error| (error.to_string(), error.offset(), error.file_offset()));
    for way in 0..4 {
        let mut sections = Vec::new();
        let source = Cursor::new(bytes);
        let mut reader = match way {
            0 | 1 => CarReader::open(source).expect("header"),
            _ => CarReader::open_seekable(source, ReaderOptions::default()).expect("header"),
        };
        assert_eq!(reader.payload_start(), start);
        let end = loop {
            let next = match way {
                0 | 2 => reader.skip_section(),
                _ => reader.next_section(),
            };
            match next {
                Ok(Some(section)) => sections.push(section),
                Ok(None) => break None,
                Err(error) => break Some((error.to_string(), error.offset(), error.file_offset())),
            }
        };
        assert_eq!((&sections, &end), (&found, &stop), "way {way}");
    }
    let slice = CarSlice::parse(bytes).expect("header");
    assert_eq!((slice.header(), slice.v2_header()), (reader.header(), reader.v2_header()));
    let mut sections = Vec::new();
    let mut slice_stop = None;
    for item in &slice {
        match item {
            Ok((section, block)) => {
                let at = slice.block_at(section.offset).expect("verified before");
                assert_eq!(at, Some((section, block)));
                sections.push(section);
            }
            Err(error) => {
                slice_stop = Some((error.to_string(), error.offset(), error.file_offset()));
            }
        }
    }
    assert_eq!((&sections, &slice_stop), (&found, &stop));
    (found, end)
}

#[test]
fn the_worked_example_comes_out_byte_for_byte() {
    let file = worked_example(FileOptions::v2());
    assert_eq!(file.len(), 302);
    assert_eq!(sha256(&file), "b6493ca92b0c64f9062bbfdd111d5d06ee8b7a906159d59af34e1d2817179e9a");
    let header =
        hex("00000000000000000000000000000000 3300000000000000 8d00000000000000 c000000000000000");
    assert_eq!(file[11..51], header);
    assert_eq!(
        sha256(&file[51..192]),
        "6c93b98ff3a6c9da6ec55bbfb160d1fe0fc0abd1a9f41bdbcb40cd9183bb883b"
    );
    let entries = "2b2961a431b23c9007efe270c1d7eb79c19d4192d7cd2d924176eb0b19e7d2a1 6500000000000000
                   2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 3b00000000000000";
    let index = "8108 01000000 1200000000000000 01000000 28000000 5000000000000000";
    assert_eq!(file[192..], hex(&format!("{index}{entries}")));

    let file = worked_example(FileOptions::v2().index(Some(IndexCodec::Sorted)));
    assert_eq!(file[192..], hex(&format!("8008 01000000 28000000 5000000000000000{entries}")));
    let bare = worked_example(FileOptions::v2().index(None));
    assert_eq!((bare.len(), &bare[43..51]), (192, &[0; 8][..]));
    assert_eq!(worked_example(FileOptions::v1()), file[51..192]);
}

#[test]
fn the_specification_file_is_read_as_it_says() {
    let (Some(car), Some(json)) = (fixture("carv2-basic.car"), fixture("carv2-basic.json")) else {
        return;
    };
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let (sections, end) = scan(&car);
    assert!(end.is_none());
    let number = |value: &serde_json::Value, key: &str| value[key].as_u64().expect("number");
    let reader = CarReader::open(&car[..]).expect("header");
    let (header, start) = (&json["header"], reader.payload_start());
    let v2 = reader.v2_header().expect("version 2");
    assert_eq!(reader.version(), number(header, "version"));
    assert_eq!(v2.data_offset, number(header, "dataOffset"));
    assert_eq!(v2.data_size, number(header, "dataSize"));
    assert_eq!(v2.index_offset, Some(number(header, "indexOffset")));
    let expected = json["blocks"].as_array().expect("array");
    assert_eq!(sections.len(), expected.len());
    assert!(!sections.is_empty());
    for (section, expected) in sections.iter().zip(expected) {
        assert_eq!(section.cid.to_string(), expected["cid"]["/"]);
        // The JSON counts from the start of the file.
        assert_eq!(start + section.offset, number(expected, "offset"));
        assert_eq!(section.len(), number(expected, "length"));
        assert_eq!(start + section.data_offset, number(expected, "blockOffset"));
        assert_eq!(section.data_len as u64, number(expected, "blockLength"));
    }
    // Its index is of a time when indexes had no codec in front.
    let error = CarSlice::parse(&car).expect("header").index().expect_err("legacy");
    assert!(matches!(error.kind(), ErrorKind::UnknownIndex(1)), "{error}");
    assert_eq!(error.offset(), v2.index_offset);
}

#[test]
fn wrapping_a_foreign_payload_gives_the_foreign_file() {
    let (Some(plain), Some(wrapped), Some(bare)) = (
        fixture("sample-v1.car"),
        fixture("sample-wrapped-v2.car"),
        fixture("sample-v2-indexless.car"),
    ) else {
        return;
    };
    let expected = scan(&wrapped).0;
    assert_eq!(scan(&bare).0, expected);
    assert_eq!(expected.len(), 1049);
    let slice = CarSlice::parse(&wrapped).expect("header");
    assert_eq!(slice.payload(), plain);
    assert_eq!(slice.v2_header().expect("version 2").characteristics, Characteristics::default());

    let blocks: Vec<_> = slice.blocks().map(|item| item.expect("block").1.to_block()).collect();
    assert_eq!(v2(slice.roots(), &blocks, FileOptions::v2().index(None)), bare);
    let ours = v2(slice.roots(), &blocks, FileOptions::v2());
    assert_eq!(ours, wrapped);
    // With the length known beforehand, to a sink that only writes.
    let len = plain.len() as u64;
    let mut writer =
        CarFileWriter::sized(Vec::new(), slice.roots(), len, FileOptions::v2()).expect("header");
    for block in &blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    assert_eq!(writer.finish().expect("finish"), wrapped);
}

#[test]
fn padding_is_written_skipped_and_not_looked_at() {
    let (_, blocks) = small();
    let options = FileOptions::v2().data_padding(1413).index_padding(100_000);
    let mut file = v2(&[], &blocks, options);
    let plain = car(&[], &blocks);
    let header = *CarReader::open(&file[..]).expect("header").v2_header().expect("version 2");
    assert_eq!(header.data_offset, 51 + 1413);
    assert_eq!(header.index_offset, Some(header.data_end() + 100_000));
    assert_eq!(file[header.data_offset as usize..header.data_end() as usize], plain);
    file[51..51 + 1413].fill(0xaa);
    file[header.data_end() as usize..][..100_000].fill(0xaa);
    let (sections, end) = scan(&file);
    assert!(end.is_none());
    assert_eq!(sections.len(), blocks.len());
    let index = CarSlice::parse(&file).expect("header").index().expect("sound").expect("one");
    for section in &sections {
        let expected = match section.cid.hash().code() {
            hash_code::IDENTITY => None,
            _ => Some(section.offset),
        };
        assert_eq!(index.find(&section.cid).expect("sound"), expected);
    }
    for steps in [vec![1], vec![0, 3, 0, 11], vec![51, 1413, 18], vec![usize::MAX]] {
        let reader = CarReader::open(Stutter::new(&file, steps)).expect("header");
        let found: Vec<_> = reader.into_iter().map(|block| block.expect("block")).collect();
        assert_eq!(found, blocks);
    }
}

#[test]
fn what_stands_behind_the_payload_is_not_read_as_sections() {
    let blocks = [raw(&[1; 40_000]), raw(b"small"), raw(&[2; 100_000])];
    for last in 1..=blocks.len() {
        let mut file = v2(&[], &blocks[..last], FileOptions::v2().index(None));
        file.extend_from_slice(&car(&[], &blocks)[18..]);
        let (sections, end) = scan(&file);
        assert!(end.is_none());
        assert_eq!(sections.len(), last);
    }
}

#[test]
fn every_cut_of_a_stream_is_noticed() {
    let (_, blocks) = small();
    let file = v2(&[], &blocks, FileOptions::v2().data_padding(9));
    let header = *CarReader::open(&file[..]).expect("header").v2_header().expect("version 2");
    for len in 0..file.len() as u64 {
        let bytes = &file[..len as usize];
        let read = || -> Result<usize, Error> {
            let mut count = 0;
            for block in CarReader::open(bytes)? {
                block?;
                count += 1;
            }
            Ok(count)
        };
        match read() {
            Ok(count) => {
                assert!(len >= header.data_end(), "{len} bytes");
                assert_eq!(count, blocks.len());
            }
            Err(error) => {
                assert!(len < header.data_end(), "{len} bytes: {error}");
                assert!(matches!(error.kind(), ErrorKind::Truncated(_)), "{len} bytes: {error}");
                assert_eq!(error.file_offset(), Some(len));
            }
        }
        // Who knows the length knows at once.
        let seekable = CarReader::open_seekable(Cursor::new(bytes), ReaderOptions::default());
        let slice = CarSlice::parse(bytes);
        let whole = len > header.index_offset.expect("index");
        assert_eq!((seekable.is_ok(), slice.is_ok()), (whole, whole), "{len} bytes");
        if let Ok(slice) = slice {
            let error = slice.index().expect_err("a cut index");
            let ErrorKind::Truncated(Part::Index) = error.kind() else {
                assert!(error.to_string().contains("goes past the end"), "{error}");
                continue;
            };
        }
    }
    let at_section_end = header.data_end() - section_len(&blocks[5].cid, 200);
    let error = CarReader::open(&file[..at_section_end as usize])
        .expect("header")
        .into_iter()
        .find_map(Result::err)
        .expect("cut between sections");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Payload)), "{error}");
}

#[test]
fn a_data_window_that_cuts_a_section_is_noticed() {
    let blocks = [raw(&[1; 100]), raw(&[2; 50_000])];
    let mut file = v2(&[], &blocks, FileOptions::v2().index(None));
    let payload = file.len() as u64 - 51;
    let second = 18 + section_len(&blocks[0].cid, 100);
    for less in [1, 49_999, 50_000, 50_001, 50_038] {
        file[35..43].copy_from_slice(&(payload - less).to_le_bytes());
        let (sections, end) = scan(&file);
        assert_eq!(sections.len(), 1, "{less} less");
        let end = end.expect("cut");
        assert!(matches!(end.kind(), ErrorKind::Truncated(_)), "{less} less: {end}");
        assert_eq!(end.offset(), Some(payload - less), "{less} less");
        assert_eq!(end.file_offset(), Some(51 + payload - less));
    }
    file[35..43].copy_from_slice(&second.to_le_bytes());
    assert_eq!(scan(&file).0.len(), 1);
}

#[test]
fn an_unfinished_file_is_told_from_a_damaged_one() {
    let mut sink = Cursor::new(Vec::new());
    let mut writer = CarFileWriter::new(&mut sink, &[]).expect("header");
    writer.write_data(codec::RAW, b"hello").expect("block");
    drop(writer);
    let file = sink.into_inner();
    assert_eq!(file[51..], car(&[], &[raw(b"hello")]));
    for error in [
        CarReader::open(&file[..]).expect_err("unfinished"),
        CarReader::open_seekable(Cursor::new(&file), ReaderOptions::default())
            .expect_err("unfinished"),
        CarSlice::parse(&file).expect_err("unfinished"),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Unfinished));
        assert_eq!(error.to_string(), "unfinished CARv2: its header states no data at byte 11");
    }
}

#[test]
fn nested_files_and_pragmas_with_roots_are_refused() {
    let inner = worked_example(FileOptions::v2());
    let header = V2Header { data_offset: 51, data_size: 302, ..V2Header::default() };
    let nested = [&V2_PRAGMA[..], &header.encode(), &inner].concat();
    let rooted = b"\x11\xa2\x65roots\x80\x67version\x02".to_vec();
    let check = |file: &[u8], expected: &str, offset: u64| {
        for error in [
            CarReader::open(file).expect_err("refused"),
            CarSlice::parse(file).expect_err("refused"),
        ] {
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.file_offset(), Some(offset));
        }
    };
    check(&nested, "invalid CAR header: a CARv2 inside of a CARv2 at byte 51", 51);
    check(&rooted, "invalid CAR header: it is the pragma of a CARv2, and has roots at byte 0", 0);
    check(b"\x0a\xa1\x67version\x03", "CAR version 3 is not supported at byte 0", 0);
}

#[test]
fn roots_are_put_in_at_the_end_or_afterwards() {
    let (one, other) = (cid_of(codec::RAW, b"1"), cid_of(codec::RAW, b"2"));
    for options in [FileOptions::v1(), FileOptions::v2(), FileOptions::v2().data_padding(7)] {
        let mut sink = Cursor::new(b"before".to_vec());
        sink.seek(SeekFrom::End(0)).expect("memory");
        let mut writer = CarFileWriter::with_options(sink, &[one], options).expect("header");
        writer.write_data(codec::RAW, b"hello").expect("block");
        let sink = writer.finish_with_roots(&[other]).expect("same length");
        let file = sink.get_ref().strip_prefix(b"before").expect("untouched");
        assert_eq!(file, v2(&[other], &[raw(b"hello")], options));
        assert_eq!(sink.position(), sink.get_ref().len() as u64);

        let mut sink = Cursor::new(file.to_vec());
        replace_roots(&mut sink, &[one]).expect("same length");
        assert_eq!(sink.into_inner(), v2(&[one], &[raw(b"hello")], options));
        let error = replace_roots(Cursor::new(file.to_vec()), &[]).expect_err("shorter");
        assert!(matches!(error.kind(), ErrorKind::HeaderLength { .. }));

        let sink = Cursor::new(Vec::new());
        let writer = CarFileWriter::with_options(sink, &[one], options).expect("header");
        let error = writer.finish_with_roots(&[one, other]).expect_err("longer");
        let error = Error::of(&error).expect("ours");
        assert!(matches!(error.kind(), ErrorKind::HeaderLength { .. }));
    }
}

#[test]
fn a_length_that_was_said_is_kept() {
    let cid = cid_of(codec::RAW, b"hello");
    let len = 18 + section_len(&cid, 5);
    let start = |len| CarFileWriter::sized(Vec::new(), &[], len, FileOptions::v2());
    let mut writer = start(len).expect("header");
    let error = writer.write_data(codec::RAW, b"longer").expect_err("too long");
    let ErrorKind::PayloadLength { said, found, .. } = error.kind() else { panic!("{error}") };
    assert_eq!((*said, *found), (len, len + 1));
    writer.write_block(&cid, b"hello").expect("nothing was written before");
    assert!(writer.write_data(codec::RAW, b"").is_err());
    assert_eq!(writer.finish().expect("finish"), v2(&[], &[raw(b"hello")], FileOptions::v2()));

    let mut writer = start(len + 1).expect("header");
    writer.write_block(&cid, b"hello").expect("room");
    let error = writer.finish().expect_err("too short");
    let error = Error::of(&error).expect("ours");
    assert!(matches!(error.kind(), ErrorKind::PayloadLength { .. }));
    assert!(start(17).is_err(), "no room for the header");
    assert!(start(u64::MAX - 10).is_err(), "no file can be so long");
    let writer = start(18).expect("header");
    assert!(writer.finish_with_roots(&[]).is_err(), "the sink cannot seek");
}

#[test]
fn identity_cids_are_indexed_when_that_is_asked_for() {
    let (_, blocks) = small();
    for codec in [IndexCodec::Sorted, IndexCodec::MultihashSorted] {
        for identity in [false, true] {
            let options = FileOptions::v2().index(Some(codec)).index_identity(identity);
            let file = v2(&[], &blocks, options);
            let slice = CarSlice::parse(&file).expect("header");
            let characteristics = slice.v2_header().expect("version 2").characteristics;
            assert_eq!(characteristics.is_fully_indexed(), identity);
            let index = slice.index().expect("sound").expect("one");
            index.check().expect("sound");
            assert_eq!(index.len(), blocks.len() as u64 - u64::from(!identity));
            for item in &slice {
                let (section, block) = item.expect("block");
                let skipped = block.cid.hash().code() == hash_code::IDENTITY && !identity;
                let expected = (!skipped).then_some(section.offset);
                assert_eq!(index.find(&block.cid).expect("sound"), expected);
            }
        }
    }
}

#[test]
fn a_sink_that_takes_one_byte_at_a_time_gets_the_same_bytes() {
    let (plain, blocks) = small();
    let roots = CarReader::open(&plain[..]).expect("header").roots().to_vec();
    let whole = v2(&roots, &blocks, FileOptions::v2());
    let write = |sink| {
        let len = plain.len() as u64;
        let mut writer = CarFileWriter::sized(sink, &roots, len, FileOptions::v2())?;
        for block in &blocks {
            writer.write_block(&block.cid, &block.data)?;
        }
        writer.finish()
    };
    for step in [1, 2, 40] {
        assert_eq!(write(Sink::new(step, usize::MAX)).expect("finish").taken, whole);
    }
    for fails_after in 0..whole.len() {
        assert!(write(Sink::new(5, fails_after)).is_err());
    }
}
