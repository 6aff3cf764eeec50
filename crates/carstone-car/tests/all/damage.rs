//! Cut, changed and hostile CARs: never a panic, never a wrong block, never more memory than the stream is worth.

use std::fs;
use std::io::{self, Cursor, Read};

use crate::sources::{blocks, car, raw, small};
use carstone_car::{
    Block, CarReader, CarSlice, Cid, Error, ErrorKind, Limits, Part, ReaderOptions, cid_of, codec,
    parse_section, verify,
};

/// The blocks up to the first error that ends the reading, and all errors; from all readers, which must agree.
#[track_caller]
fn read(bytes: &[u8]) -> (Vec<Block>, Vec<Error>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    match CarReader::open(bytes) {
        Ok(reader) => reader.into_iter().for_each(|item| match item {
            Ok(block) => good.push(block),
            Err(error) => bad.push(error),
        }),
        Err(error) => bad.push(error),
    }
    let (mut same, mut same_bad) = (Vec::new(), Vec::new());
    match CarSlice::parse(bytes) {
        Ok(slice) => slice.into_iter().for_each(|item| match item {
            Ok((_, block)) => same.push(block.to_block()),
            Err(error) => same_bad.push(error),
        }),
        Err(error) => same_bad.push(error),
    }
    let text = |errors: &[Error]| errors.iter().map(Error::to_string).collect::<Vec<_>>();
    assert_eq!(good, same);
    assert_eq!(text(&bad), text(&same_bad));
    for block in &good {
        assert!(verify(&block.cid, &block.data).is_ok());
    }

    // Readers that do not look at the data must stop at the same place.
    let sections = |mut reader: CarReader<Cursor<&[u8]>>, skip: bool| {
        let mut count = 0;
        loop {
            let next = match skip {
                true => reader.skip_section(),
                false => reader.next_section(),
            };
            match next {
                Ok(Some(_)) => count += 1,
                Ok(None) => return (count, None),
                Err(error) => return (count, Some(error.to_string())),
            }
        }
    };
    if let Ok(reader) = CarReader::open(Cursor::new(bytes)) {
        let skipped = sections(reader, true);
        let reader = CarReader::open(Cursor::new(bytes)).expect("as before");
        assert_eq!(sections(reader, false), skipped);
        let end = bad.iter().find(|error| !error.is_block_error());
        let errors = bad.iter().filter(|error| error.is_block_error()).count();
        assert_eq!(skipped, (good.len() + errors, end.map(Error::to_string)));
    }
    (good, bad)
}

fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car/");
    let read = fs::read(format!("{folder}{name}"));
    if let Err(error) = &read {
        eprintln!("skipped: {name}: {error}");
    }
    read.ok()
}

#[track_caller]
fn check(bytes: &[u8], expected: &str) {
    let (_, errors) = read(bytes);
    let errors: Vec<_> = errors.iter().map(Error::to_string).collect();
    assert_eq!(errors, [expected]);
}

/// A CAR without roots, and these bytes behind its header.
fn behind_header(bytes: &[u8]) -> Vec<u8> {
    [&car(&[], &[]), bytes].concat()
}

#[test]
fn every_cut_is_noticed_unless_it_is_between_sections() {
    let (whole, blocks) = small();
    let mut ends = vec![CarReader::open(&whole[..]).expect("header").position()];
    for item in &CarSlice::parse(&whole).expect("header") {
        ends.push(item.expect("block").0.end());
    }
    for len in 0..=whole.len() {
        let (good, bad) = read(&whole[..len]);
        let complete = ends.iter().filter(|&&end| end <= len as u64).count();
        assert_eq!(good, blocks[..complete.saturating_sub(1)], "{len} bytes");
        if ends.contains(&(len as u64)) {
            assert!(bad.is_empty(), "{len} bytes: {bad:?}");
        } else {
            assert_eq!(bad.len(), 1, "{len} bytes");
            assert!(matches!(bad[0].kind(), ErrorKind::Truncated(_)));
            assert_eq!(bad[0].offset(), Some(len as u64));
        }
    }
}

#[test]
fn every_changed_byte_is_noticed_or_harmless() {
    let mut files = vec![small().0];
    files.extend(fixture("carv1-basic.car"));
    files.extend(fixture("simple-unixfs.car"));
    for file in files {
        let original = blocks(&file[..]).expect("intact");
        let header = CarReader::open(&file[..]).expect("header").position();
        for at in 0..file.len() {
            for mask in [1, 0x80, 0xff, 0x20] {
                let mut bytes = file.clone();
                bytes[at] ^= mask;
                let (good, bad) = read(&bytes);
                if at as u64 >= header && bad.is_empty() {
                    // All that can change unnoticed is what a hash does not cover: the codec of a CID, or its version.
                    let same = good.iter().zip(&original).filter(|(a, b)| a == b).count();
                    assert_eq!(good.len(), original.len(), "byte {at} ^ {mask:#x}");
                    assert!(same + 1 >= original.len(), "byte {at} ^ {mask:#x}");
                }
            }
        }
    }
}

#[test]
fn parts_that_stop_are_named() {
    check(&[], "the CAR stops inside the header at byte 0");
    check(&[0x80], "the CAR stops inside the header at byte 1");
    check(&[17, 0xa2], "the CAR stops inside the header at byte 2");
    let stops = |bytes: &[u8], part: &str, at: u64| {
        let expected = format!("the CAR stops inside {part} at byte {at}");
        check(&behind_header(bytes), &expected);
    };
    stops(&[0x80], "a section length", 19);
    stops(&[40], "a CID", 19);
    stops(&[40, 1, 0x55], "a CID", 21);
    stops(&[5, 1, 0x55, 0, 0], "the data of a block", 23);
}

#[test]
fn bad_lengths_are_refused_where_they_stand() {
    check(&[0], "invalid CAR header: its length is zero at byte 0");
    check(&[0x91, 0], "malformed varint in the header at byte 0");
    check(
        &[0x80, 0x80, 0x80, 0x80, 1],
        "the header of 268435456 bytes is over the limit of 33554432 at byte 0",
    );
    let malformed = "malformed varint in a section length at byte 18";
    check(&behind_header(&[0x84, 0, 1, 0x55, 0, 0]), malformed);
    check(&behind_header(&[0xff; 20]), malformed);
    check(&behind_header(&[0]), "section of length zero at byte 18");
    check(
        &behind_header(&[0x81, 0x80, 0x80, 4]),
        "a section of 8388609 bytes is over the limit of 8388608 at byte 18",
    );
    check(
        &behind_header(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        "a section of 9223372036854775807 bytes is over the limit of 8388608 at byte 18",
    );
}

#[test]
fn a_cid_that_leaves_its_section_is_refused() {
    let cid = cid_of(codec::RAW, b"").to_bytes();
    for len in 1..36u8 {
        let bytes = behind_header(&[&[len][..], &cid, &cid].concat());
        check(&bytes, "CID runs past the end of its section at byte 18");
    }
}

#[test]
fn a_lying_length_allocates_little() {
    // 8 MiB are announced and a few bytes come.
    let mut bytes = behind_header(&[0x80, 0x80, 0x80, 4]);
    bytes.extend(cid_of(codec::RAW, b"").to_bytes());
    bytes.extend([1; 20]);
    let mut data = Vec::new();
    let mut reader = CarReader::open(&bytes[..]).expect("header");
    let error = reader.read_block(&mut data).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Data)));
    assert!(data.capacity() <= 256 << 10, "{}", data.capacity());
    assert!(data.is_empty(), "unverified bytes were handed out");
}

#[test]
fn the_limits_are_exact() {
    let block = raw(&[5; 1000]);
    let bytes = car(&[block.cid], std::slice::from_ref(&block));
    let open = |limits: Limits| {
        let options = ReaderOptions::default().limits(limits);
        let slice = CarSlice::with_options(&bytes, options)
            .and_then(|slice| slice.blocks().next().expect("a block").map(|_| ()));
        let stream = CarReader::with_options(&bytes[..], options)
            .and_then(|mut reader| reader.next_block().map(|_| ()));
        assert_eq!(slice.is_ok(), stream.is_ok());
        stream.map_err(|error| error.to_string())
    };
    let limits = Limits::default();
    assert_eq!(open(limits.section(1036).header(58).cid(36).roots(1)), Ok(()));
    let refused = |limits: Limits, expected: &str| {
        assert_eq!(open(limits), Err(expected.to_string()));
    };
    refused(limits.section(1035), "a section of 1036 bytes is over the limit of 1035 at byte 59");
    refused(limits.header(57), "the header of 58 bytes is over the limit of 57 at byte 0");
    refused(limits.cid(35), "a CID of 36 bytes is over the limit of 35 at byte 0");
    refused(limits.roots(0), "1 roots or more, over the limit of 0 at byte 0");
}

#[test]
fn a_bad_block_does_not_end_the_reading() {
    let good = [raw(b"first"), raw(b"second"), raw(b"third")];
    let mut bytes = car(&[], &good);
    let at = bytes.len() - 42 - 2; // In the data of the second block.
    bytes[at] ^= 1;
    let (found, errors) = read(&bytes);
    assert_eq!(found, [good[0].clone(), good[2].clone()]);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].is_block_error());
    assert_eq!(
        errors[0].to_string(),
        format!("data does not match its CID {} at byte 60", good[1].cid)
    );

    let mut data = vec![1; 10];
    let options = ReaderOptions::default().danger_skip_verification();
    let mut reader = CarReader::with_options(&bytes[..], options).expect("header");
    while let Some(section) = reader.read_block(&mut data).expect("unverified") {
        assert_eq!(section.data_len, data.len());
    }
    assert!(data.is_empty());
}

#[test]
fn an_unknown_hash_is_neither_right_nor_wrong() {
    let hash = carstone_car::multihash::Multihash::wrap(0x22, &[1; 8]).expect("short");
    let cid = Cid::new_v1(codec::RAW, hash);
    let cid_bytes = cid.to_bytes();
    let bytes = behind_header(&[&[cid_bytes.len() as u8 + 3], &cid_bytes[..], b"any"].concat());
    check(
        &bytes,
        &format!(
            "data of {cid} cannot be verified: hash function 0x22 with a digest of 8 bytes at byte 18"
        ),
    );
    let options = ReaderOptions::default().danger_accept_unverifiable();
    let mut reader = CarReader::with_options(&bytes[..], options).expect("header");
    let block = reader.next_block().expect("accepted").expect("one");
    assert_eq!(block.data, b"any");

    // Known functions are verified all the same.
    let mut bytes = car(&[], &[raw(b"first")]);
    *bytes.last_mut().expect("not empty") ^= 1;
    let mut reader = CarReader::with_options(&bytes[..], options).expect("header");
    assert!(reader.next_block().is_err());
}

#[test]
fn after_a_broken_section_nothing_looks_like_an_end() {
    let bytes = behind_header(&[0, 0]);
    let mut reader = CarReader::open(&bytes[..]).expect("header");
    let error = reader.next_block().expect_err("zero");
    assert!(matches!(error.kind(), ErrorKind::EmptySection));
    for _ in 0..2 {
        let error = reader.next_block().expect_err("still broken");
        assert!(matches!(error.kind(), ErrorKind::Broken));
    }
    assert!(reader.blocks().next().is_none());
}

#[test]
fn a_failing_source_is_told_from_an_end() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let len = buf.len().min(self.0);
            buf[..len].fill(b'x');
            self.0 -= len;
            Ok(len)
        }
    }
    let (whole, _) = small();
    for len in 0..=whole.len() {
        let source = (&whole[..len]).chain(Failing(0));
        let error = blocks(source).expect_err("failed");
        assert!(matches!(error.kind(), ErrorKind::Io(_)), "{len}: {error}");
        assert_eq!(error.offset(), Some(len as u64));
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let outer = io::Error::other(io::Error::other(error));
        let found = Error::of(&outer).expect("found again");
        assert_eq!(found.offset(), Some(len as u64));
        assert!(!found.to_string().contains("reset"), "it repeats its source");
    }
}

#[test]
fn a_head_can_be_parsed_as_its_bytes_arrive() {
    let block = raw(&[1; 300]);
    let bytes = &car(&[], std::slice::from_ref(&block))[18..];
    let mut have = 0;
    let head = loop {
        match parse_section(&bytes[..have], &Limits::default()) {
            Ok(head) => break head,
            Err(error) => match error.kind() {
                ErrorKind::NeedMore { at_least, .. } if *at_least > have => have = *at_least,
                other => panic!("{other:?}"),
            },
        }
    };
    assert_eq!((have, head.head_len, head.data_len), (38, 38, 300));
    assert_eq!((head.cid, head.len()), (block.cid, bytes.len()));
}
