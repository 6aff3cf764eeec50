//! CARs and UnixFS: what finding sections and hashing blocks costs, next to the bare work.

use std::hint::black_box;
use std::time::Duration;

use carstone::car::{CarReader, CarSlice, CarWriter, ReaderOptions, cid_of, codec};
use carstone::unixfs::{Profile, write_file};
use carstone_benches::noise;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sha2::{Digest, Sha256};

const MIB: usize = 1 << 20;

fn car(c: &mut Criterion) {
    let mut group = c.benchmark_group("car");
    for (name, size, count) in [("small blocks", 1_000, 16_000), ("large blocks", MIB, 16)] {
        let data = noise(1, size);
        let cid = cid_of(codec::RAW, &data);
        let mut writer = CarWriter::new(Vec::new(), &[cid]).expect("memory");
        for _ in 0..count {
            writer.write_block(&cid, &data).expect("memory");
        }
        let stored = writer.finish().expect("memory");
        group.throughput(Throughput::Bytes(stored.len() as u64));

        group.bench_function(format!("bare loop/{name}"), |b| b.iter(|| bare(&stored)));
        group.bench_function(format!("sections/{name}"), |b| {
            b.iter(|| {
                let mut reader = CarReader::open(stored.as_slice()).expect("sound");
                while let Some(section) = reader.next_section().expect("sound") {
                    black_box(section);
                }
            });
        });
        let options = || ReaderOptions::default().danger_skip_verification();
        group.bench_function(format!("slice unverified/{name}"), |b| {
            b.iter(|| CarSlice::with_options(&stored, options()).expect("sound").blocks().count());
        });
        group.bench_function(format!("stream unverified/{name}"), |b| {
            b.iter(|| read_blocks(&stored, options()));
        });
        group.bench_function(format!("stream verified/{name}"), |b| {
            b.iter(|| read_blocks(&stored, ReaderOptions::default()));
        });
        group.bench_function(format!("sha-256 alone/{name}"), |b| {
            b.iter(|| {
                for _ in 0..count {
                    black_box(Sha256::digest(black_box(&data)));
                }
            });
        });
        group.bench_function(format!("write/{name}"), |b| {
            b.iter(|| {
                let sink = Vec::with_capacity(stored.len());
                let mut writer = CarWriter::new(sink, &[cid]).expect("memory");
                for _ in 0..count {
                    writer.write_block(&cid, &data).expect("memory");
                }
                writer.finish().expect("memory")
            });
        });
    }
    group.finish();
}

fn unixfs(c: &mut Criterion) {
    let mut group = c.benchmark_group("unixfs");
    let plain = noise(2, 32 * MIB);
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("file to blocks", |b| {
        b.iter(|| {
            let mut sink = |_: &_, data: &[u8]| {
                black_box(data);
                Ok(())
            };
            write_file(&Profile::unixfs_v1_2025(), plain.as_slice(), &mut sink).expect("memory")
        });
    });
    group.finish();
}

/// What any reader of sections has to do at the least: a varint, a step, and a copy.
fn bare(stored: &[u8]) -> usize {
    let (mut at, mut sections, mut body) = (0, 0, Vec::new());
    while at < stored.len() {
        let (mut len, mut shift) = (0, 0);
        loop {
            let byte = stored[at];
            at += 1;
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        body.clear();
        body.extend_from_slice(&stored[at..at + len]);
        black_box(&body);
        at += len;
        sections += 1;
    }
    sections
}

fn read_blocks(stored: &[u8], options: ReaderOptions) {
    let mut reader = CarReader::with_options(stored, options).expect("sound");
    let mut data = Vec::new();
    while let Some(section) = reader.read_block(&mut data).expect("sound") {
        black_box(section);
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1000));
    targets = car, unixfs
}
criterion_main!(benches);
