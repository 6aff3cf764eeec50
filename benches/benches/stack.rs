//! Whole packs: written, opened and read, and streamed; bare, compressed and encrypted.

use std::hint::black_box;
use std::io::{self, Read};
use std::time::Duration;

use carstone::compress::Codec;
use carstone::layer::PackId;
use carstone::pack::{EntryKind, Metadata, PackReader, PackStream, PackWriter, PlainPipe};
use carstone::stack::{self, OpenOptions, Protection, WriteOptions};
use carstone_benches::mixed;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const KEY: [u8; 32] = [7; 32];
const ID: PackId = PackId::from_bytes([9; 16]);

/// 24 MiB: a file of 8 MiB, and 1,000 small ones.
struct Tree {
    bytes: Vec<u8>,
    files: Vec<std::ops::Range<usize>>,
}

fn tree() -> Tree {
    let bytes = mixed(24 << 20);
    let small = (16 << 20) / 1_000;
    let first = 8 << 20;
    let small_files = (0..1_000).map(|i| first + i * small..first + (i + 1) * small);
    let files = std::iter::once(0..first).chain(small_files).collect();
    Tree { bytes, files }
}

fn fill<W: carstone::layer::LayerWrite>(pipe: W, id: PackId, tree: &Tree) -> W {
    let mut writer = PackWriter::new(pipe, id).expect("memory");
    for (number, range) in tree.files.iter().enumerate() {
        let (path, content) = (format!("d/{number:04}"), &tree.bytes[range.clone()]);
        writer.add_file(path.as_bytes(), Metadata::default(), content).expect("memory");
    }
    writer.finish().expect("memory").0
}

fn read_files<R: carstone::layer::ReadAt + Clone>(reader: &PackReader<R>) {
    for entry in reader.entries() {
        let entry = entry.expect("sound");
        if entry.kind == EntryKind::File {
            let mut file = reader.open_file(&entry).expect("sound");
            black_box(io::copy(&mut file, &mut io::sink()).expect("sound"));
        }
    }
}

fn stream_events(source: impl Read, id: PackId) {
    let mut stream = PackStream::open(source, id).expect("sound");
    while let Some(event) = stream.next().expect("sound") {
        black_box(event);
    }
}

fn pack(c: &mut Criterion) {
    let tree = tree();
    let mut group = c.benchmark_group("pack");
    group.throughput(Throughput::Bytes(tree.bytes.len() as u64));
    let write = || fill(PlainPipe::new(Vec::with_capacity(26 << 20)), ID, &tree);
    group.bench_function("write", |b| b.iter(write));
    let pipe = write();
    let tail = pipe.mark().expect("a finished pack");
    let stored = pipe.into_inner();
    let reader = PackReader::open(stored.as_slice(), ID, tail).expect("sound");
    group.bench_function("read files", |b| b.iter(|| read_files(&reader)));
    group.bench_function("stream", |b| b.iter(|| stream_events(stored.as_slice(), ID)));
    group.finish();
}

fn whole(c: &mut Criterion) {
    let tree = tree();
    let mut group = c.benchmark_group("stack");
    group.throughput(Throughput::Bytes(tree.bytes.len() as u64));
    for (name, codec, encrypted) in [
        ("stored", Codec::Stored, false),
        ("stored, encrypted", Codec::Stored, true),
        ("zstd3", Codec::Zstd(3), false),
        ("zstd3, encrypted", Codec::Zstd(3), true),
        ("brotli5, encrypted", Codec::Brotli(5), true),
    ] {
        let write = || {
            let mut options = WriteOptions::default().codec(codec);
            if encrypted {
                options = options.protection(Protection::content_key(KEY));
            }
            let pipe = stack::write(Vec::with_capacity(26 << 20), options).expect("memory");
            let id = pipe.pack_id();
            fill(pipe, id, &tree).finish().expect("memory")
        };
        group.bench_function(format!("write/{name}"), |b| b.iter(write));
        let stored = std::sync::Arc::new(write());
        let options = OpenOptions::default();
        group.bench_function(format!("read files/{name}"), |b| {
            b.iter(|| {
                let opened = stack::open(stored.clone(), &KEY, &options).expect("sound");
                read_files(&opened.pack().expect("sound"));
            });
        });
        group.bench_function(format!("stream/{name}"), |b| {
            b.iter(|| {
                let streamed = stack::stream(stored.as_slice(), &KEY, &options).expect("sound");
                let id = streamed.pack_id();
                stream_events(streamed, id);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(1500));
    targets = pack, whole
}
criterion_main!(benches);
