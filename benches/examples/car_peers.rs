//! How long carstone and the other CAR libraries of Rust take for the same CAR, each by itself, in turns, the best of several rounds.
//!
//! `car_peers make FILE` writes a CARv1 of 300 MB in 19,000 blocks. `car_peers FILE ROUNDS` prints seconds as JSON.

#![expect(clippy::print_stdout, reason = "the times are the result")]

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufReader, BufWriter, Cursor, Read, Write};
use std::time::Instant;

use carstone::car::{
    AtReader, CarReader, CarScan, CarSlice, CarWriter, Cid, IndexedCar, ReaderOptions, ScanOptions,
    cid_of, codec, scan_sections,
};
use carstone_benches::noise;
use futures::StreamExt;
use futures::executor::block_on;

const BLOCKS: usize = 19_000;
const BLOCK_LEN: usize = 300_000_000 / BLOCKS;
/// Bytes that a reader may ask the system for at once.
const BUFFER: usize = 256 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [make, file] if make == "make" => make_car(file),
        [file, rounds] => measure(file, rounds.parse()?),
        _ => Err("car_peers make FILE, or car_peers FILE ROUNDS".into()),
    }
}

fn make_car(file: &str) -> Result<(), Box<dyn Error>> {
    let data = noise(1, BLOCK_LEN + BLOCKS);
    let blocks = (0..BLOCKS).map(|at| &data[at..at + BLOCK_LEN]);
    let first = cid_of(codec::RAW, &data[..BLOCK_LEN]); // Some readers refuse a CAR without a root.
    let sink = BufWriter::with_capacity(BUFFER, File::create(file)?);
    let mut writer = CarWriter::new(sink, &[first])?;
    for block in blocks {
        writer.danger_write_unverified(&cid_of(codec::RAW, block), block)?;
    }
    Ok(writer.finish()?.flush()?)
}

/// What is done with the whole CAR: a name, and what tells how many blocks it has seen.
type Side<'a> = (&'a str, Box<dyn Fn() -> Result<usize, Box<dyn Error>> + 'a>);

fn measure(path: &str, rounds: usize) -> Result<(), Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let bytes = &bytes[..];
    let open = || File::open(path);
    let trusted = ReaderOptions::default().danger_skip_verification();
    let indexed = IndexedCar::open(open()?)?;
    indexed.scan()?;
    let unverified = IndexedCar::with_options(open()?, trusted)?;
    unverified.scan()?;
    let cids = shuffled(indexed.reader()?.into_cids().collect::<Result<_, _>>()?);
    let sides: Vec<Side<'_>> = vec![
        ("carstone, unverified, file", Box::new(|| scan(open()?, trusted, cores()))),
        ("carstone, unverified, file, as a stream", Box::new(|| stream(open()?, trusted))),
        ("carstone, unverified, file, CarReader", Box::new(|| read(open()?, trusted))),
        ("fvm_ipld_car, unverified, file", Box::new(|| read_fvm(open()?))),
        ("iroh-car, unverified, file", Box::new(|| read_iroh_file(path))),
        ("carstone, unverified, memory", Box::new(|| slice(bytes, trusted))),
        (
            "carstone, unverified, memory as a stream",
            Box::new(|| read(Cursor::new(bytes), trusted)),
        ),
        ("fvm_ipld_car, unverified, memory", Box::new(|| read_fvm(bytes))),
        ("iroh-car, unverified, memory", Box::new(|| block_on(read_iroh(bytes)))),
        ("carstone, verified, file", Box::new(|| scan(open()?, ReaderOptions::default(), cores()))),
        ("carstone, index, file", Box::new(|| all_places(&open()?))),
        ("carstone, index on one thread, file", Box::new(|| places(AtReader::new(open()?)))),
        ("carstone, index by seeking, file", Box::new(|| places(open()?))),
        ("carstone, get each block, verified", Box::new(|| get(&indexed, &cids))),
        ("carstone, get each block", Box::new(|| get(&unverified, &cids))),
    ];
    let mut best = vec![f64::INFINITY; sides.len()];
    for _ in 0..rounds {
        for (best, (name, side)) in best.iter_mut().zip(&sides) {
            let start = Instant::now();
            let blocks = side()?;
            *best = best.min(start.elapsed().as_secs_f64());
            assert_eq!(blocks, BLOCKS, "{name}");
        }
    }
    let lines = sides.iter().zip(best).map(|((name, _), best)| format!("\"{name}\": {best}"));
    println!("{{{}}}", lines.collect::<Vec<_>>().join(", "));
    Ok(())
}

fn read(source: impl std::io::Read, options: ReaderOptions) -> Result<usize, Box<dyn Error>> {
    let mut reader = CarReader::with_options(source, options)?;
    let (mut blocks, mut data) = (0, Vec::new());
    while reader.read_block(&mut data)?.is_some() {
        black_box(&data);
        blocks += 1;
    }
    Ok(blocks)
}

fn read_fvm(source: impl std::io::Read + Send) -> Result<usize, Box<dyn Error>> {
    let source = BufReader::with_capacity(BUFFER, source);
    let mut blocks = 0;
    for block in fvm_ipld_car::CarReader::new_unchecked(source)? {
        black_box(block?);
        blocks += 1;
    }
    Ok(blocks)
}

fn slice(bytes: &[u8], options: ReaderOptions) -> Result<usize, Box<dyn Error>> {
    let mut blocks = 0;
    for block in CarSlice::with_options(bytes, options)?.blocks() {
        black_box(block?);
        blocks += 1;
    }
    Ok(blocks)
}

/// As its users do it: in tokio, with a buffer as large as the others have.
fn read_iroh_file(path: &str) -> Result<usize, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut file = tokio::fs::File::open(path).await?;
        file.set_max_buf_size(BUFFER);
        read_iroh(tokio::io::BufReader::with_capacity(BUFFER, file)).await
    })
}

async fn read_iroh(
    source: impl tokio::io::AsyncRead + Send + Unpin,
) -> Result<usize, Box<dyn Error>> {
    let mut stream = Box::pin(iroh_car::CarReader::new(source).await?.stream());
    let mut blocks = 0;
    while let Some(block) = stream.next().await {
        black_box(block?);
        blocks += 1;
    }
    Ok(blocks)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn scan(file: File, options: ReaderOptions, threads: usize) -> Result<usize, Box<dyn Error>> {
    let settings = ScanOptions::default().threads(threads);
    drain(CarScan::open_at(file, options, settings)?)
}

fn stream(file: File, options: ReaderOptions) -> Result<usize, Box<dyn Error>> {
    drain(CarScan::with_options(file, options, ScanOptions::default())?)
}

fn drain(mut scan: CarScan<impl Read>) -> Result<usize, Box<dyn Error>> {
    let mut blocks = 0;
    while let Some((_, block)) = scan.next_block()? {
        black_box(block.data);
        blocks += 1;
    }
    Ok(blocks)
}

fn places(source: impl std::io::Read + std::io::Seek) -> Result<usize, Box<dyn Error>> {
    let mut reader = CarReader::open_seekable(source, ReaderOptions::default())?;
    let mut blocks = 0;
    while let Some(section) = reader.skip_section()? {
        black_box(section);
        blocks += 1;
    }
    Ok(blocks)
}

fn all_places(source: &File) -> Result<usize, Box<dyn Error>> {
    let mut blocks = 0;
    scan_sections(source, ReaderOptions::default(), ScanOptions::default(), |section| {
        black_box(section);
        blocks += 1;
        Ok(())
    })?;
    Ok(blocks)
}

fn get(car: &IndexedCar<File>, cids: &[Cid]) -> Result<usize, Box<dyn Error>> {
    let mut blocks = 0;
    for cid in cids {
        blocks += usize::from(black_box(car.get(cid)?).is_some());
    }
    Ok(blocks)
}

/// In an order that has nothing to do with that of the file, the same each time.
fn shuffled(mut cids: Vec<Cid>) -> Vec<Cid> {
    for (at, pick) in noise(2, cids.len() * 8).chunks_exact(8).enumerate() {
        let pick = u64::from_le_bytes(pick.try_into().unwrap_or_default());
        let other = pick as usize % (at + 1);
        cids.swap(at, other);
    }
    cids
}
