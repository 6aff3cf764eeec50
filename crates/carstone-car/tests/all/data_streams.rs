//! The data of blocks as streams.

use std::io::{Cursor, Read};

use crate::sources::{Stutter, car, raw};
use carstone_car::{
    Block, CarReader, CarScan, Error, ErrorKind, Limits, Part, ReaderOptions, ScanOptions, verify,
};

fn some() -> Vec<Block> {
    [10, 0, 5000, 9, 200_000, 1, 70_000].iter().map(|&len| raw(&vec![len as u8; len])).collect()
}

#[test]
fn streams_give_the_data_of_blocks() {
    let blocks = some();
    let bytes = car(&[], &blocks);
    for steps in [vec![1], vec![7, 0, 4000], vec![usize::MAX]] {
        let mut reader = CarReader::open(Stutter::new(&bytes, steps)).expect("header");
        for block in &blocks {
            let mut stream = reader.danger_next_reader().expect("head").expect("a block");
            assert_eq!((stream.section().cid, stream.left()), (block.cid, block.data.len()));
            let (mut data, end) = (Vec::new(), stream.section().end());
            stream.read_to_end(&mut data).expect("data");
            assert_eq!((stream.left(), &data), (0, &block.data));
            assert!(verify(&block.cid, &data).is_ok());
            assert_eq!(reader.position(), end);
        }
        assert!(reader.danger_next_reader().expect("end").is_none());
    }
}

#[test]
fn what_is_left_of_a_stream_is_passed_over() {
    let blocks = some();
    let bytes = car(&[], &blocks);
    for taken in [0, 1, 9, 4999, 150_000] {
        let mut reader = CarReader::open(&bytes[..]).expect("header");
        for (n, block) in blocks.iter().enumerate() {
            match n % 2 {
                0 => {
                    let stream = reader.danger_next_reader().expect("head").expect("a block");
                    let end = stream.section().end();
                    let mut data = Vec::new();
                    stream.take(taken).read_to_end(&mut data).expect("data");
                    assert!(block.data.starts_with(&data));
                    assert_eq!(reader.position(), end, "that of the next section");
                }
                _ => assert_eq!(reader.next_block().expect("block").as_ref(), Some(block)),
            }
        }
        assert!(reader.next_block().expect("end").is_none());
    }
    // A scan goes on behind it, too.
    let mut reader = CarReader::open(Cursor::new(bytes)).expect("header");
    assert!(reader.danger_next_reader().expect("head").is_some());
    let mut scan = CarScan::from_reader(reader, ScanOptions::default());
    let mut found = Vec::new();
    while let Some((_, block)) = scan.next_block().expect("block") {
        found.push(block.to_block());
    }
    assert_eq!(found, &blocks[1..]);
}

#[test]
fn a_block_that_is_cut_is_noticed_whoever_reads_it() {
    let bytes = car(&[], &[raw(&[7; 100])]);
    let cut = &bytes[..bytes.len() - 1];
    let mut reader = CarReader::open(cut).expect("header");
    let mut stream = reader.danger_next_reader().expect("head").expect("a block");
    let error = stream.read_to_end(&mut Vec::new()).expect_err("cut");
    let error = Error::of(&error).expect("ours");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Data)));
    assert_eq!(error.offset(), Some(cut.len() as u64));
    for read in [0, 50] {
        let mut reader = CarReader::open(cut).expect("header");
        let stream = reader.danger_next_reader().expect("head").expect("a block");
        stream.take(read).read_to_end(&mut Vec::new()).expect("a part");
        let error = reader.next_block().expect_err("cut");
        assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Data)));
        assert!(matches!(reader.next_block().expect_err("broken").kind(), ErrorKind::Broken));
    }
    let mut reader = CarReader::open(Cursor::new(cut.to_vec())).expect("header");
    assert!(reader.danger_next_reader().expect("head").is_some());
    let mut scan = CarScan::from_reader(reader, ScanOptions::default());
    assert!(scan.next_block().is_err());
}

#[test]
fn a_large_block_needs_a_large_limit_and_no_memory() {
    // Eight gigabytes are said, and some bytes are there.
    let header = car(&[], &[]);
    let block = raw(b"beginning");
    let len = (8u64 << 30) + 36;
    let mut head = Vec::new();
    let mut rest = len;
    while rest >= 0x80 {
        head.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    head.push(rest as u8);
    let bytes = [header, head, block.cid.to_bytes(), block.data].concat();
    let error = CarReader::open(&bytes[..]).expect("header").danger_next_reader().map(drop);
    assert!(matches!(error.expect_err("over the limit").kind(), ErrorKind::TooLarge { .. }));
    let limits = Limits::default().section(usize::MAX);
    let options = ReaderOptions::default().limits(limits);
    let mut reader = CarReader::with_options(&bytes[..], options).expect("header");
    let mut stream = reader.danger_next_reader().expect("head").expect("a block");
    let mut data = [0; 9];
    stream.read_exact(&mut data).expect("there");
    assert_eq!((&data, stream.left()), (b"beginning", (8 << 30) - 9));
    assert!(stream.read(&mut data).is_err());
}
