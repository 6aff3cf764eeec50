//! Going over a CAR of 300 MB in 19,000 blocks: next to a bare loop over its sections, and next to SHA-256 on all cores.
//!
//! Before the benchmarks it prints the ratios, each from both sides measured in turns, the best of several rounds:
//! `cargo bench -p carstone-benches --bench car_scan -- --test` prints them and little else. By the clock, several threads are compared
//! with the time of SHA-256 divided by the cores, which holds only while nobody else uses those; the ratio of work holds in any case.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufReader, Cursor, Read, Seek, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carstone::car::{
    CarReader, CarScan, CarSlice, CarWriter, ReaderOptions, ScanOptions, cid_of, codec,
};
use carstone_benches::noise;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sha2::{Digest, Sha256};

const BLOCKS: usize = 19_000;
const BLOCK_LEN: usize = 300_000_000 / BLOCKS;

/// A CAR in memory and, as long as the system keeps it there, in a file.
struct Sample {
    bytes: Arc<[u8]>,
    file: File,
}

impl Sample {
    fn new() -> Self {
        let data = noise(1, BLOCK_LEN + BLOCKS);
        let mut writer = CarWriter::new(Vec::new(), &[]).expect("memory");
        for at in 0..BLOCKS {
            let data = &data[at..at + BLOCK_LEN];
            writer.danger_write_unverified(&cid_of(codec::RAW, data), data).expect("memory");
        }
        let bytes: Arc<[u8]> = writer.finish().expect("memory").into();
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&bytes).expect("room for a file");
        Sample { bytes, file }
    }

    fn file(&self) -> File {
        let mut file = self.file.try_clone().expect("a file");
        file.rewind().expect("a file");
        file
    }
}

/// What any reader of sections has to do at the least: a varint, and a read of what it says into a buffer that is used again.
fn bare(mut source: impl Read) -> usize {
    let (mut sections, mut body) = (0, Vec::new());
    while let Some(len) = read_varint(&mut source) {
        body.resize(len, 0);
        source.read_exact(&mut body).expect("sound");
        black_box(&body);
        sections += 1;
    }
    sections - 1 // The first one is the header.
}

fn read_varint(source: &mut impl Read) -> Option<usize> {
    let (mut value, mut shift, mut byte) = (0, 0, [0]);
    loop {
        if source.read(&mut byte).expect("sound") == 0 {
            return None;
        }
        value |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 {
            return Some(value);
        }
    }
}

fn scan(source: impl Read + Send + 'static, options: ReaderOptions, threads: usize) -> usize {
    let scan = ScanOptions::default().threads(threads);
    let mut scan = CarScan::with_options(source, options, scan).expect("sound");
    let mut blocks = 0;
    while let Some((_, block)) = scan.next_block().expect("sound") {
        black_box(block.data);
        blocks += 1;
    }
    blocks
}

fn read_blocks(source: impl Read, options: ReaderOptions) -> usize {
    let mut reader = CarReader::with_options(source, options).expect("sound");
    let (mut blocks, mut data) = (0, Vec::new());
    while reader.read_block(&mut data).expect("sound").is_some() {
        black_box(&data);
        blocks += 1;
    }
    blocks
}

fn skip_blocks(source: impl Read + Seek) -> usize {
    let mut reader = CarReader::open(source).expect("sound");
    let mut blocks = 0;
    while reader.skip_section().expect("sound").is_some() {
        blocks += 1;
    }
    blocks
}

fn slice_blocks(bytes: &[u8]) -> usize {
    let slice = CarSlice::with_options(bytes, unverified()).expect("sound");
    let mut blocks = 0;
    for item in &slice {
        black_box(item.expect("sound").1);
        blocks += 1;
    }
    blocks
}

fn slice_on_threads(bytes: &[u8], threads: usize) -> usize {
    let mut blocks = 0;
    let ended = CarSlice::parse(bytes).expect("sound").try_for_each_block(threads, |item| {
        black_box(item.expect("sound").1);
        blocks += 1;
        ControlFlow::<()>::Continue(())
    });
    assert!(ended.is_continue());
    blocks
}

fn hash(sample: &Sample) -> usize {
    let slice = CarSlice::with_options(&sample.bytes, unverified()).expect("sound");
    let digests = slice.blocks().map(|item| Sha256::digest(item.expect("sound").1.data));
    digests.map(black_box).count()
}

/// The same, dealt out to threads: what the cores give together, which need not be as many times what one gives.
fn hash_on_all_cores(sample: &Sample) -> usize {
    let slice = CarSlice::with_options(&sample.bytes, unverified()).expect("sound");
    let blocks: Vec<&[u8]> = slice.blocks().map(|item| item.expect("sound").1.data).collect();
    std::thread::scope(|scope| {
        let shares = blocks.chunks(BLOCKS.div_ceil(cores()));
        let threads: Vec<_> = shares
            .map(|share| scope.spawn(|| share.iter().map(Sha256::digest).map(black_box).count()))
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    })
}

fn unverified() -> ReaderOptions {
    ReaderOptions::default().danger_skip_verification()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A time by the clock, and what it took of all cores together.
#[derive(Clone, Copy)]
struct Cost {
    clock: f64,
    cpu: f64,
}

impl Cost {
    fn min(self, other: Cost) -> Cost {
        Cost { clock: self.clock.min(other.clock), cpu: self.cpu.min(other.cpu) }
    }
}

/// The best of each, measured in turns, so that what else the machine does hits all alike.
fn race<const N: usize>(sides: [&dyn Fn() -> usize; N]) -> [Cost; N] {
    let mut best = [Cost { clock: f64::INFINITY, cpu: f64::INFINITY }; N];
    for _ in 0..ROUNDS {
        for (best, side) in best.iter_mut().zip(sides) {
            let (start, cpu) = (Instant::now(), cpu_seconds());
            assert_eq!(black_box(side()), BLOCKS);
            let clock = start.elapsed().as_secs_f64();
            *best = best.min(Cost { clock, cpu: cpu_seconds() - cpu });
        }
    }
    best
}

const ROUNDS: usize = 9;

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Prints a time, the time that it is measured by (on this many cores), and the ratio: by the clock, and by the work of all cores.
fn tell(what: &str, found: Cost, bound: Cost, cores: usize) {
    let ideal = bound.clock / cores as f64;
    let (ratio, cpu) = (found.clock / ideal, found.cpu / bound.cpu);
    let (ms, ideal) = (found.clock * 1e3, ideal * 1e3);
    let line = format!("{what:46} {ms:6.1} ms / {ideal:6.1} ms = {ratio:4.2}   work {cpu:4.2}");
    let _ = writeln!(io::stderr(), "{line}");
}

fn ratios(sample: &Sample) {
    let buffered = || BufReader::with_capacity(256 << 10, sample.file());
    let memory = || Cursor::new(Arc::clone(&sample.bytes));
    let [small, large, found, read, skip] = race([
        &|| bare(BufReader::new(sample.file())),
        &|| bare(buffered()),
        &|| scan(sample.file(), unverified(), 1),
        &|| read_blocks(sample.file(), unverified()),
        &|| skip_blocks(sample.file()),
    ]);
    let bound = small.min(large);
    tell("unverified CarScan / bare loop, file", found, bound, 1);
    tell("unverified CarReader / bare loop, file", read, bound, 1);
    tell("sections alone / bare loop, file", skip, bound, 1);

    let [bound, slice, read] = race([&|| bare(memory()), &|| slice_blocks(&sample.bytes), &|| {
        read_blocks(memory(), unverified())
    }]);
    tell("unverified CarSlice / bare loop, memory", slice, bound, 1);
    tell("unverified CarReader / bare loop, memory", read, bound, 1);

    let all = ReaderOptions::default();
    let [sha, spread, slice, file, memory, one] = race([
        &|| hash(sample),
        &|| hash_on_all_cores(sample),
        &|| slice_on_threads(&sample.bytes, cores()),
        &|| scan(sample.file(), all, cores()),
        &|| scan(memory(), all, cores()),
        &|| scan(sample.file(), all, 1),
    ]);
    tell("SHA-256 on all cores / SHA-256 by cores", spread, sha, cores());
    tell("verified CarSlice / SHA-256 by cores, memory", slice, sha, cores());
    tell("verified CarScan / SHA-256 by cores, file", file, sha, cores());
    tell("verified CarScan / SHA-256 by cores, memory", memory, sha, cores());
    tell("verified CarScan / SHA-256, one thread, file", one, sha, 1);
}

fn car_scan(c: &mut Criterion) {
    let sample = Sample::new();
    ratios(&sample);

    let mut group = c.benchmark_group("car scan");
    group.throughput(Throughput::Bytes(sample.bytes.len() as u64));
    group.bench_function("bare loop", |b| {
        b.iter(|| bare(BufReader::with_capacity(256 << 10, sample.file())));
    });
    group.bench_function("unverified", |b| b.iter(|| scan(sample.file(), unverified(), 1)));
    group.bench_function("sha-256 alone, one core", |b| b.iter(|| hash(&sample)));
    for threads in [1, cores()] {
        group.bench_function(format!("verified, {threads} threads"), |b| {
            b.iter(|| scan(sample.file(), ReaderOptions::default(), threads));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(2000));
    targets = car_scan
}
criterion_main!(benches);
