//! Other implementations read what this one writes, and the other way round.

use std::io::Cursor;

use crate::sources::{blocks, car, hashed, raw, small};
use carstone_car::{
    Block, CarFileWriter, CarReader, CarSlice, FileOptions, cid_of, codec, hash_code,
};
use futures::StreamExt;
use futures::executor::block_on;
use fvm_ipld_car as foreign;

fn sample() -> Vec<Block> {
    let mut all = small().1;
    all.extend([0, 1, 1000, 100_000, 1 << 20].map(|len| raw(&vec![len as u8; len])));
    all.extend([3, 90].map(|len| hashed(hash_code::BLAKE2B_256, &vec![len as u8; len])));
    all
}

#[test]
fn another_implementation_reads_what_is_written() {
    let all = sample();
    let roots = [all[0].cid, all[4].cid, cid_of(codec::DAG_CBOR, b"absent")];
    let bytes = car(&roots, &all);
    let reader = foreign::CarReader::new_unchecked(&bytes[..]).expect("header");
    assert_eq!(reader.header.roots, roots);
    let found: Vec<_> = reader
        .map(|block| block.expect("block"))
        .map(|foreign::Block { cid, data }| Block { cid, data })
        .collect();
    assert_eq!(found, all);
}

#[test]
fn what_another_implementation_writes_is_read_and_equal() {
    let all = sample();
    for count in [1, 2, 30, 300] {
        let roots: Vec<_> = (0..count).map(|n: u32| cid_of(codec::RAW, &n.to_le_bytes())).collect();
        let mut bytes = Vec::new();
        let header = foreign::CarHeader::from(roots.clone());
        let mut writer = foreign::CarWriter::new(header, &mut bytes).expect("header");
        for Block { cid, data } in all.clone() {
            writer.write(foreign::Block { cid, data }).expect("block");
        }
        writer.flush().expect("flush");
        let reader = CarReader::open(&bytes[..]).expect("header");
        assert_eq!(reader.roots(), roots);
        assert_eq!(blocks(&bytes[..]).expect("blocks"), all);
        assert_eq!(car(&roots, &all), bytes);
    }
}

#[test]
fn an_asynchronous_implementation_reads_what_is_written() {
    let all = sample();
    let roots = [all[0].cid, cid_of(codec::DAG_CBOR, b"absent")];
    let bytes = car(&roots, &all);
    let mut writer = CarFileWriter::with_options(
        Cursor::new(Vec::new()),
        &roots,
        FileOptions::v2().data_padding(99),
    )
    .expect("header");
    for block in &all {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    let file = writer.finish().expect("finish").into_inner();
    // It knows version 1 only, which the payload is.
    for bytes in [&bytes[..], CarSlice::parse(&file).expect("header").payload()] {
        block_on(async {
            let reader = iroh_car::CarReader::new(bytes).await.expect("header");
            assert_eq!(reader.header().roots(), roots);
            let found: Vec<_> = reader.stream().map(|block| block.expect("block")).collect().await;
            let expected: Vec<_> =
                all.iter().map(|block| (block.cid, block.data.clone())).collect();
            assert!(found == expected);
        });
    }
}

#[test]
fn what_an_asynchronous_implementation_writes_is_read_and_equal() {
    let all = sample();
    let roots = vec![all[0].cid, all[4].cid];
    let bytes = block_on(async {
        let header = iroh_car::CarHeader::new_v1(roots.clone());
        let mut writer = iroh_car::CarWriter::new(header, Vec::new());
        for block in &all {
            writer.write(block.cid, &block.data).await.expect("block");
        }
        writer.finish().await.expect("finish")
    });
    assert_eq!(blocks(&bytes[..]).expect("blocks"), all);
    assert_eq!(car(&roots, &all), bytes);
}
