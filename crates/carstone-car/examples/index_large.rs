//! Indexes a CAR that nobody stores, and gets blocks out of it: `index_large [BLOCKS [BYTES]]`, by default 5,000,000 blocks in 20 GB.
//!
//! The CAR is made where it is read. Block N is zeros with N at their end, so its hash costs next to nothing. Two indexes are made in
//! files in the temporary folder, one as a CARv2 has it and one over many CARs; 1,000 blocks are found by each, and verified.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use carstone_car::{
    AtReader, CarWriter, Cid, FileEntry, Index, IndexCodec, IndexedCar, MultiCar, MultiIndex,
    MultiIndexBuilder, ReadAt, ReaderOptions, cid_of_sha2_256, codec, generate_index, section_len,
};
use sha2::{Digest, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let blocks: u64 = args.next().as_deref().unwrap_or("5000000").parse()?;
    let bytes: u64 = args.next().as_deref().unwrap_or("20000000000").parse()?;
    let car = Generated::new(blocks, bytes)?;
    say(format_args!("a CAR of {} blocks and {} bytes", car.blocks, car.size()?))?;
    let folder = tempfile::tempdir()?;

    let start = Instant::now();
    let path = folder.path().join("car.idx");
    let mut sink = BufWriter::new(File::create_new(&path)?);
    let options = ReaderOptions::default();
    generate_index(AtReader::new(&car), IndexCodec::MultihashSorted, options)?.write(&mut sink)?;
    sink.flush()?;
    told("index of one CAR", start, &path)?;
    let index = Counting::new(File::open(&path)?);
    let one = IndexedCar::with_index(&car, options, Index::open(index.clone())?)?;
    query("index of one CAR", &car, &index, |cid| one.get(cid))?;
    assert!(one.index_fault().is_none() && !one.is_scanned());

    let start = Instant::now();
    let path = folder.path().join("many.idx");
    let mut builder = MultiIndexBuilder::new();
    builder.add_car("large.car", &car)?;
    builder.write_file(&path)?;
    told("index over many CARs", start, &path)?;
    let index = Counting::new(File::open(&path)?);
    let many = MultiCar::new(MultiIndex::open(index.clone())?, |_: &FileEntry| Ok(&car));
    query("index over many CARs", &car, &index, |cid| many.get(cid))?;

    let start = Instant::now();
    many.index().verify()?;
    told("verified", start, &path)
}

/// Gets 1,000 blocks from all over the CAR, and one that is not there.
fn query<E: Error + 'static>(
    name: &str,
    car: &Generated,
    index: &Counting,
    get: impl Fn(&Cid) -> Result<Option<Vec<u8>>, E>,
) -> Result<(), Box<dyn Error>> {
    let (mut slowest, mut most) = (0, 0);
    let start = Instant::now();
    for n in 0..QUERIES {
        let number = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % car.blocks;
        let (cid, once) = (car.cid(number), Instant::now());
        index.reads.store(0, Ordering::Relaxed);
        let data = get(&cid)?.ok_or("a block is missing")?;
        most = most.max(index.reads.load(Ordering::Relaxed));
        slowest = slowest.max(once.elapsed().as_micros());
        assert!(data.ends_with(&number.to_be_bytes()) && data.len() as u64 == car.data_len);
    }
    let mean = start.elapsed().as_micros() / u128::from(QUERIES);
    assert!(get(&car.cid(car.blocks))?.is_none());
    say(format_args!(
        "{name}: {QUERIES} blocks in {mean} µs each, {slowest} µs at most, {most} reads of the index at most"
    ))
}

fn told(name: &str, start: Instant, path: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let (seconds, len) = (start.elapsed().as_secs_f64(), fs::metadata(path)?.len());
    say(format_args!("{name}: {len} bytes in {seconds:.1} s"))
}

fn say(what: std::fmt::Arguments<'_>) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(io::stdout(), "{what}")?)
}

/// A CARv1 of blocks of equal length, which is made where it is read.
struct Generated {
    header: Vec<u8>,
    blocks: u64,
    data_len: u64,
    section_len: u64,
    /// The length varint of every section.
    varint: Vec<u8>,
    /// The hasher, after the zeros of a block.
    zeros: Sha256,
}

impl Generated {
    fn new(blocks: u64, bytes: u64) -> io::Result<Self> {
        let blocks = blocks.max(1);
        let data_len = (bytes / blocks).saturating_sub(38).max(8);
        let cid = cid_of_sha2_256(codec::RAW, &[0; 32]);
        let section_len = section_len(&cid, data_len);
        let header = CarWriter::new(Vec::new(), &[])?.finish()?;
        let (mut varint, mut rest) = (Vec::new(), data_len + 36);
        while rest > 127 {
            varint.push(rest as u8 | 128);
            rest >>= 7;
        }
        varint.push(rest as u8);
        let mut zeros = Sha256::new();
        zeros.update(vec![0; data_len as usize - 8]);
        Ok(Generated { header, blocks, data_len, section_len, varint, zeros })
    }

    fn cid(&self, block: u64) -> Cid {
        let mut hasher = self.zeros.clone();
        hasher.update(block.to_be_bytes());
        cid_of_sha2_256(codec::RAW, &hasher.finalize().into())
    }
}

impl ReadAt for Generated {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(at) = offset.checked_sub(self.header.len() as u64) else {
            return self.header.read_at(buf, offset);
        };
        let len = (self.size()?.saturating_sub(offset)).min(buf.len() as u64) as usize;
        let buf = &mut buf[..len];
        buf.fill(0);
        let (mut block, mut inside) = (at / self.section_len, at % self.section_len);
        let mut done = 0;
        while done < len {
            let head = [&self.varint[..], &self.cid(block).to_bytes()].concat();
            let out = &mut buf[done..];
            head.read_at(out, inside)?;
            // Its number, as far as that is asked for.
            let number = block.to_be_bytes();
            for (byte, at) in number.iter().zip(self.section_len - 8..) {
                let at = at.checked_sub(inside).and_then(|at| out.get_mut(at as usize));
                at.into_iter().for_each(|place| *place = *byte);
            }
            done += (self.section_len - inside) as usize;
            (block, inside) = (block + 1, 0);
        }
        Ok(len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.header.len() as u64 + self.blocks * self.section_len)
    }
}

/// A file whose reads are counted.
#[derive(Clone)]
struct Counting {
    file: std::sync::Arc<File>,
    reads: std::sync::Arc<AtomicU64>,
}

impl Counting {
    fn new(file: File) -> Self {
        Counting { file: file.into(), reads: AtomicU64::new(0).into() }
    }
}

impl ReadAt for Counting {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        ReadAt::read_at(&*self.file, buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}

const QUERIES: u64 = 1000;
