//! CARs, sources and sinks that several tests use.

use std::io::{self, Read, Seek, SeekFrom, Write};

use carstone_car::{Block, CarReader, CarWriter, Cid, Result, cid_of, codec, multihash_of};

/// The block of this data, as raw bytes under SHA-256.
pub fn raw(data: &[u8]) -> Block {
    Block { cid: cid_of(codec::RAW, data), data: data.to_vec() }
}

/// The block of this data with another hash function.
pub fn hashed(code: u64, data: &[u8]) -> Block {
    let hash = multihash_of(code, data).expect("a known function");
    Block { cid: Cid::new_v1(codec::DAG_CBOR, hash), data: data.to_vec() }
}

/// A CAR of these blocks.
pub fn car(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
    let mut writer = CarWriter::new(Vec::new(), roots).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish")
}

/// A small CAR with all kinds of CIDs and an empty block.
pub fn small() -> (Vec<u8>, Vec<Block>) {
    let version_0 = Cid::new_v0(*cid_of(codec::DAG_PB, b"zero").hash()).expect("SHA-256");
    let blocks = vec![
        raw(b"one"),
        raw(b""),
        hashed(carstone_car::hash_code::IDENTITY, b"inline"),
        hashed(carstone_car::hash_code::BLAKE2B_256, b"two"),
        Block { cid: version_0, data: b"zero".to_vec() },
        hashed(carstone_car::hash_code::SHA3_512, &[7; 200]),
    ];
    (car(&[blocks[0].cid, version_0], &blocks), blocks)
}

/// All blocks of a stream.
pub fn blocks(source: impl Read) -> Result<Vec<Block>> {
    CarReader::open(source)?.into_iter().collect()
}

/// A source that gives as many bytes at a time as a list says, over and over; a zero in the list is an interrupted call.
pub struct Stutter<'a> {
    bytes: &'a [u8],
    at: u64,
    steps: Vec<usize>,
    turn: usize,
}

impl<'a> Stutter<'a> {
    pub fn new(bytes: &'a [u8], steps: Vec<usize>) -> Self {
        Stutter { bytes, at: 0, steps, turn: 0 }
    }
}

impl Read for Stutter<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        let step = self.steps[self.turn % self.steps.len()];
        if step == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let rest = self.bytes.get(self.at as usize..).unwrap_or_default();
        let len = step.min(buf.len()).min(rest.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Stutter<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let mut cursor = io::Cursor::new(self.bytes);
        cursor.set_position(self.at);
        self.at = cursor.seek(to)?;
        Ok(self.at)
    }
}

/// A sink that takes few bytes at a time, and fails for good after so many.
#[derive(Debug)]
pub struct Sink {
    pub taken: Vec<u8>,
    pub step: usize,
    pub fails_after: usize,
}

impl Sink {
    pub fn new(step: usize, fails_after: usize) -> Self {
        Sink { taken: Vec::new(), step, fails_after }
    }
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.fails_after - self.taken.len();
        if room == 0 && !buf.is_empty() {
            return Err(io::Error::other("the sink is full"));
        }
        let len = buf.len().min(self.step).min(room);
        self.taken.extend_from_slice(&buf[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
