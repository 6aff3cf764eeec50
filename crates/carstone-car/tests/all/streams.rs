//! Sources that stutter, sinks that fail or take little, hooks, and roots that are put in afterwards.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use crate::sources::{Sink, Stutter, blocks, car, raw, small};
use carstone_car::{
    CarReader, CarWriter, Cid, Error, ErrorKind, Limits, WriterOptions, cid_of, codec,
    replace_roots,
};

fn is_send<T: Send>() {}

#[test]
fn readers_and_writers_can_be_sent_to_other_threads() {
    is_send::<CarReader<Vec<u8>>>();
    is_send::<CarWriter<Vec<u8>>>();
    is_send::<Error>();
}

#[test]
fn any_split_of_reads_gives_the_same_blocks() {
    let mut all = small().1;
    for len in [4095, 4096, 4097, 32 << 10, (32 << 10) + 1, 300_000, 1 << 20] {
        all.push(raw(&vec![len as u8; len]));
        all.push(raw(b"small"));
    }
    let bytes = car(&[], &all);
    for steps in [vec![1], vec![0, 1, 0, 0, 7], vec![4096], vec![32 << 10, 1], vec![usize::MAX]] {
        assert_eq!(blocks(Stutter::new(&bytes, steps)).expect("blocks"), all);
    }
}

#[test]
fn one_buffer_serves_for_blocks_of_all_sizes() {
    let all: Vec<_> = [10, 0, 5000, 9, 600_000, 1, 70_000]
        .iter()
        .map(|&len| raw(&vec![len as u8; len]))
        .collect();
    let bytes = car(&[], &all);
    let mut reader = CarReader::open(&bytes[..]).expect("header");
    let mut data = b"left over".to_vec();
    for block in &all {
        let section = reader.read_block(&mut data).expect("block").expect("one");
        assert_eq!((section.cid, &data), (block.cid, &block.data));
    }
    assert_eq!(reader.read_block(&mut data).expect("end"), None);
    assert!(data.is_empty());
}

#[test]
fn ways_of_reading_can_be_mixed() {
    let all: Vec<_> = (0..40u32).map(|n| raw(&vec![n as u8; (n as usize * 977) % 9000])).collect();
    let bytes = car(&[], &all);
    let mut file = Cursor::new([&b"before"[..], &bytes].concat());
    file.set_position(6);
    let mut reader = CarReader::open(file).expect("header");
    for (n, block) in all.iter().enumerate() {
        let section = match n % 3 {
            0 => reader.skip_section().expect("section").expect("one"),
            1 => reader.next_section().expect("section").expect("one"),
            _ => {
                let mut data = Vec::new();
                let section = reader.read_block(&mut data).expect("block").expect("one");
                assert_eq!(data, block.data);
                section
            }
        };
        assert_eq!(section.cid, block.cid);
        let stored = &bytes[section.data_offset as usize..section.end() as usize];
        assert_eq!(stored, block.data);
    }
    assert_eq!(reader.skip_section().expect("end"), None);
    assert_eq!(reader.position(), bytes.len() as u64);
}

#[test]
fn a_stream_that_grows_is_followed() {
    let all = [raw(&[1; 10_000]), raw(&[2; 10_000])];
    let bytes = car(&[], &all);
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("growing.car");
    std::fs::write(&path, &bytes[..10_060]).expect("first part");
    let mut reader = CarReader::open(std::fs::File::open(&path).expect("file")).expect("header");
    reader.skip_section().expect("section").expect("one");
    std::fs::write(&path, &bytes).expect("all");
    reader.skip_section().expect("section").expect("two");
    assert_eq!(reader.skip_section().expect("end"), None);
}

#[test]
fn a_section_that_is_there_is_handed_out_before_more_comes() {
    struct NoMore;
    impl Read for NoMore {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("more was asked for than the section has");
        }
    }
    let block = raw(b"x");
    let bytes = car(&[], std::slice::from_ref(&block));
    let mut reader = CarReader::open((&bytes[..]).chain(NoMore)).expect("header");
    assert_eq!(reader.next_block().expect("block"), Some(block));
}

#[test]
fn a_sink_that_takes_one_byte_at_a_time_gets_the_same_bytes() {
    let (whole, all) = small();
    let roots = CarReader::open(&whole[..]).expect("header").roots().to_vec();
    for step in [1, 2, 40] {
        let mut writer = CarWriter::new(Sink::new(step, usize::MAX), &roots).expect("header");
        for block in &all {
            writer.write_block(&block.cid, &block.data).expect("block");
        }
        assert_eq!(writer.finish().expect("finish").taken, whole);
    }
}

#[test]
fn a_writer_is_broken_after_its_sink_has_failed() {
    let (whole, all) = small();
    let roots = CarReader::open(&whole[..]).expect("header").roots().to_vec();
    for fails_after in 0..whole.len() {
        let mut sink = Sink::new(5, fails_after);
        let Ok(mut writer) = CarWriter::new(&mut sink, &roots) else {
            continue;
        };
        let failed = all
            .iter()
            .find_map(|block| writer.write_block(&block.cid, &block.data).err())
            .expect("the sink is too small");
        assert!(matches!(failed.kind(), ErrorKind::Io(_)));
        let again = writer.write_data(codec::RAW, b"").expect_err("broken");
        assert!(matches!(again.kind(), ErrorKind::Broken));
        let flush = writer.flush().expect_err("broken");
        assert!(matches!(flush.kind(), ErrorKind::Broken));
        let finish = writer.finish().expect_err("broken");
        assert!(matches!(Error::of(&finish).expect("ours").kind(), ErrorKind::Broken));
        // What has been written reads as cut, or ends between sections.
        assert_eq!(sink.taken, &whole[..fails_after]);
    }
}

#[test]
fn the_hook_is_called_with_every_section_start() {
    let (whole, all) = small();
    let roots = CarReader::open(&whole[..]).expect("header").roots().to_vec();
    let mut starts = Vec::new();
    let hook = |sink: &mut Vec<u8>, offset| {
        starts.push((sink.len() as u64, offset));
        Ok(())
    };
    let mut writer = CarWriter::with_hook(Vec::new(), &roots, hook).expect("header");
    let mut expected = Vec::new();
    for block in &all {
        expected.push((writer.position(), writer.position()));
        let section = writer.write_block(&block.cid, &block.data).expect("block");
        assert_eq!(section.end(), writer.position());
    }
    assert_eq!(writer.finish().expect("finish"), whole);
    assert_eq!(starts, expected);
}

#[test]
fn a_failing_hook_breaks_the_writer() {
    let hook = |_: &mut Vec<u8>, _| Err(io::Error::other("no"));
    let mut writer = CarWriter::with_hook(Vec::new(), &[], hook).expect("header");
    let error = writer.write_data(codec::RAW, b"x").expect_err("hook");
    assert!(matches!(error.kind(), ErrorKind::Io(_)));
    assert_eq!(writer.get_ref().len(), 18);
    assert!(writer.finish().is_err());
}

#[test]
fn a_bad_block_is_not_written_and_does_no_harm() {
    let options = WriterOptions::default().limits(Limits::default().section(100));
    let mut writer = CarWriter::with_options(Vec::new(), &[], options).expect("header");
    let cid = cid_of(codec::RAW, b"right");
    let error = writer.write_block(&cid, b"wrong").expect_err("mismatch");
    assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }));
    let error = writer.write_data(codec::RAW, &[0; 65]).expect_err("large");
    assert_eq!(error.to_string(), "a section of 101 bytes is over the limit of 100 at byte 18");
    let error = writer.write_data(u64::MAX, b"right").expect_err("codec");
    assert!(matches!(error.kind(), ErrorKind::BadCid(_)));
    writer.write_data(codec::RAW, &[0; 64]).expect("exact");
    writer.write_block(&cid, b"right").expect("right");
    let bytes = writer.finish().expect("finish");
    assert_eq!(bytes, car(&[], &[raw(&[0; 64]), raw(b"right")]));
}

#[test]
fn a_header_over_the_limits_is_not_written() {
    let root = cid_of(codec::RAW, b"");
    let check = |limits: Limits, expected: Option<&str>| {
        let options = WriterOptions::default().limits(limits);
        let mut sink = Vec::new();
        let result = CarWriter::with_options(&mut sink, &[root; 2], options);
        let result = result.err().map(|error| error.to_string());
        assert_eq!(result.as_deref(), expected);
        assert_eq!(sink.is_empty(), expected.is_some());
    };
    let limits = Limits::default();
    check(limits.header(99).roots(2).cid(36), None);
    check(limits.header(98), Some("the header of 99 bytes is over the limit of 98 at byte 0"));
    check(limits.roots(1), Some("2 roots or more, over the limit of 1 at byte 0"));
    check(limits.cid(35), Some("a CID of 36 bytes is over the limit of 35 at byte 0"));
}

#[test]
fn sections_can_be_appended() {
    let (first, second) = (raw(b"first"), raw(b"second"));
    let mut file = Cursor::new(car(&[], std::slice::from_ref(&first)));
    let len = file.seek(SeekFrom::End(0)).expect("end");
    let mut writer = CarWriter::append(file, len);
    let section = writer.write_block(&second.cid, &second.data).expect("block");
    assert_eq!(section.offset, len);
    let file = writer.finish().expect("finish");
    assert_eq!(file.into_inner(), car(&[], &[first, second]));
}

#[test]
fn roots_are_replaced_by_roots_of_the_same_length() {
    let (one, other) = (cid_of(codec::RAW, b"1"), cid_of(codec::RAW, b"2"));
    let all = [raw(b"first")];
    let mut file = Cursor::new(car(&[one], &all));
    replace_roots(&mut file, &[other]).expect("same length");
    assert_eq!(file.position(), 59);
    assert_eq!(file.get_ref(), &car(&[other], &all));

    let refused = |bytes: &[u8], roots: &[Cid]| {
        let mut file = Cursor::new(bytes.to_vec());
        let error = replace_roots(&mut file, roots).expect_err("refused");
        assert_eq!(file.get_ref(), bytes, "the file was changed");
        error.to_string()
    };
    let bytes = car(&[one], &all);
    assert_eq!(
        refused(&bytes, &[]),
        "a header of 18 bytes cannot replace one of 59 bytes at byte 0"
    );
    assert_eq!(
        refused(&bytes, &[one, other]),
        "a header of 100 bytes cannot replace one of 59 bytes at byte 0"
    );
    assert_eq!(
        refused(b"\x0a\xa1\x67version\x02", &[]),
        "the CAR stops inside the CARv2 header at byte 11"
    );
    assert_eq!(refused(b"no CAR", &[]), "the CAR stops inside the header at byte 6");
}

#[test]
fn an_unfinished_writer_keeps_nothing_back() {
    let mut sink = Vec::new();
    let mut writer = CarWriter::new(&mut sink, &[]).expect("header");
    writer.write_data(codec::RAW, b"x").expect("block");
    drop(writer);
    assert_eq!(sink, car(&[], &[raw(b"x")]));
    sink.flush().expect("flush");
}
