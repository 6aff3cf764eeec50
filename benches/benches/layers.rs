//! Bytes per second of each layer by itself, of the frame scan and of the search for corrections.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::Duration;

use carstone::compress::{Codec, CompressOptions, CompressReader, CompressWriter};
use carstone::encrypt::{Backend, EncryptOptions, EncryptReader, EncryptWriter, ReadOptions};
use carstone::layer::{
    FRAME_HEADER_LEN, FrameHeader, FrameScan, LayerId, LayerList, LayerSlot, PackId, PlainSource,
    ScanLimits, Scanned, correct_payload,
};
use carstone::position::{PositionReader, PositionWriter};
use carstone::raw::{RawReader, RawWriter};
use carstone_benches::{mixed, noise};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const MIB: usize = 1 << 20;
const PIECE: usize = 128 << 10;
const KEY: [u8; 32] = [7; 32];
const ID: PackId = PackId::from_bytes([9; 16]);

fn raw(c: &mut Criterion) {
    let mut group = c.benchmark_group("raw");
    let plain = noise(1, 32 * MIB);
    group.throughput(Throughput::Bytes(plain.len() as u64));
    let position = LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 };
    let write = || {
        let list = LayerList::single(position);
        let mut writer = RawWriter::new(Vec::with_capacity(33 * MIB), list).expect("memory");
        plain.chunks(PIECE).for_each(|piece| writer.write_all(piece).expect("memory"));
        writer.finish().expect("memory")
    };
    group.bench_function("write", |b| b.iter(write));
    let stored = write();
    group.bench_function("read", |b| {
        b.iter(|| drain(RawReader::open_at(stored.as_slice()).expect("sound")));
    });
    group.finish();

    let mut group = c.benchmark_group("position");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    let write = || {
        let mut writer = PositionWriter::new(Vec::with_capacity(33 * MIB), ID);
        plain.chunks(PIECE).for_each(|piece| writer.write_all(piece).expect("memory"));
        writer.finish().expect("memory")
    };
    group.bench_function("write", |b| b.iter(write));
    let stored = write();
    group.bench_function("read", |b| {
        b.iter(|| drain(PositionReader::open_at(stored.as_slice()).expect("sound")));
    });
    group.finish();
}

fn compress(c: &mut Criterion) {
    let mut group = c.benchmark_group("compress");
    for (name, codec, plain) in [
        ("stored", Codec::Stored, noise(2, 32 * MIB)),
        ("brotli1", Codec::Brotli(1), mixed(16 * MIB)),
        ("brotli1 of noise", Codec::Brotli(1), noise(3, 32 * MIB)),
        ("zstd3", Codec::Zstd(3), mixed(32 * MIB)),
    ] {
        group.throughput(Throughput::Bytes(plain.len() as u64));
        let write = || {
            let options = CompressOptions::default().codec(codec).pack_id(ID);
            let sink = Vec::with_capacity(plain.len() + MIB);
            let mut writer = CompressWriter::with_options(sink, options).expect("memory");
            plain.chunks(PIECE).for_each(|piece| writer.write_all(piece).expect("memory"));
            writer.finish().expect("memory")
        };
        group.bench_function(format!("write/{name}"), |b| b.iter(write));
        let stored = write();
        group.bench_function(format!("read/{name}"), |b| {
            b.iter(|| drain(CompressReader::open_at(stored.as_slice()).expect("sound")));
        });
    }
    group.finish();
}

fn encrypt(c: &mut Criterion) {
    let mut group = c.benchmark_group("encrypt");
    let plain = noise(4, 32 * MIB);
    group.throughput(Throughput::Bytes(plain.len() as u64));
    for (name, backend) in [("aes-gcm", Backend::AesGcm), ("aws-lc", Backend::AwsLc)] {
        let write = || {
            // One id and one key for all turns: the bytes are thrown away.
            let options = EncryptOptions::default().pack_id(ID).backend(backend);
            let sink = Vec::with_capacity(33 * MIB);
            let mut writer = EncryptWriter::with_options(sink, &KEY, options).expect("memory");
            plain.chunks(PIECE).for_each(|piece| writer.write_all(piece).expect("memory"));
            writer.finish().expect("memory")
        };
        group.bench_function(format!("write/{name}"), |b| b.iter(write));
        let stored = write();
        group.bench_function(format!("read/{name}"), |b| {
            b.iter(|| {
                let options = ReadOptions::default().backend(backend);
                let reader = EncryptReader::with_options(stored.as_slice(), &KEY, options);
                drain(reader.expect("sound"))
            });
        });
    }
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frames");
    let payload = noise(5, 64 << 10);
    let header = FrameHeader::data(LayerId::COMPRESSION, ID, 0, 0);
    let header = header.with_lengths(payload.len() as u32, payload.len() as u32).sealed(&payload);
    let frame = [&header.encode()[..], &payload].concat();
    let limits = ScanLimits::new(16 << 20, 1 << 16);
    let scan = |stored: &[u8]| {
        let source = PlainSource::new(stored);
        let mut scan = FrameScan::new(source, LayerId::COMPRESSION, Some(ID), limits);
        while let Some(found) = scan.next().expect("memory") {
            if let Scanned::Frame(frame) = found {
                scan.recycle(frame.payload);
            }
        }
    };
    let stored = frame.repeat(256);
    group.throughput(Throughput::Bytes(stored.len() as u64));
    group.bench_function("scan/sound", |b| b.iter(|| scan(&stored)));
    let junk = noise(6, stored.len());
    group.bench_function("scan/noise", |b| b.iter(|| scan(&junk)));

    group.throughput(Throughput::Bytes(payload.len() as u64));
    let mut flipped = payload.clone();
    flipped[40_000] ^= 4;
    group.bench_function("correct/one bit of 64 KiB", |b| {
        b.iter(|| correct_payload(&header, &mut flipped.clone()).expect("one bit"));
    });
    let junk = noise(7, payload.len());
    group.bench_function("correct/in vain", |b| {
        b.iter(|| assert!(correct_payload(&header, &mut junk.clone()).is_none()));
    });
    group.bench_function("seal", |b| b.iter(|| header.sealed(black_box(&payload))));
    let head: &[u8; FRAME_HEADER_LEN] = frame.first_chunk().expect("a header");
    group.bench_function("check", |b| {
        b.iter(|| FrameHeader::decode(black_box(head)).expect("sound").payload_is_intact(&payload));
    });
    group.finish();
}

/// Reads to the end as a caller with a buffer of 128 KiB does.
fn drain(mut reader: impl Read) -> u64 {
    let (mut buffer, mut total) = (vec![0; PIECE], 0);
    loop {
        match reader.read(&mut buffer).expect("sound") {
            0 => return total,
            n => total += io::Write::write(&mut io::sink(), &buffer[..n]).expect("a sink") as u64,
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500));
    targets = raw, compress, encrypt, frames
}
criterion_main!(benches);
