//! The parities of the shared vectors are made and used here, too.

use std::collections::BTreeSet;
use std::io;

use carstone_layer::ReadAt;
use carstone_parity::{
    Error, Layout, Memory, Options, Parity, ProtectionId, Share, Survey, heal, protect,
};
use toml::Value;

use crate::vectors::{bytes, check, number, vectors};

const THREADS: usize = 2;

/// The stream of a vector.
enum Stream {
    Bytes(Vec<u8>),
    /// Zeros but for some cells.
    Drawn {
        len: u64,
        cell_len: usize,
        cells: BTreeSet<u64>,
    },
}

impl Stream {
    fn of(case: &Value) -> Self {
        let len = number(case, "length");
        if let Some(label) = case.get("seeded") {
            return Self::Bytes(seeded(label.as_str().unwrap(), len as usize));
        }
        if let Some(part) = case.get("repeat") {
            return Self::Bytes(bytes(part).into_iter().cycle().take(len as usize).collect());
        }
        let cell_len = Layout::new(len, Share::default()).unwrap().cell_len() as usize;
        let cells = case["drawn"].as_array().unwrap().iter();
        let cells = cells.map(|cell| cell.as_integer().unwrap() as u64).collect();
        Self::Drawn { len, cell_len, cells }
    }
}

fn seeded(label: &str, len: usize) -> Vec<u8> {
    let mut seeded = vec![0; len];
    blake3::Hasher::new().update(label.as_bytes()).finalize_xof().fill(&mut seeded);
    seeded
}

impl ReadAt for Stream {
    /// To the end of a cell at most.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let (len, cell_len, cells) = match self {
            Self::Bytes(bytes) => return bytes.read_at(buf, offset),
            Self::Drawn { len, cell_len, cells } => (*len, *cell_len, cells),
        };
        let (cell, within) = (offset / cell_len as u64, (offset % cell_len as u64) as usize);
        let left = len.saturating_sub(offset).min((cell_len - within) as u64) as usize;
        let count = left.min(buf.len());
        if cells.contains(&cell) {
            let drawn = seeded(&format!("cell {cell}"), cell_len);
            buf[..count].copy_from_slice(&drawn[within..within + count]);
        } else {
            buf[..count].fill(0);
        }
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Bytes(bytes) => bytes.size(),
            Self::Drawn { len, .. } => Ok(*len),
        }
    }
}

fn made(case: &Value, stream: &Stream) -> Vec<u8> {
    let options = Options::default()
        .with_share(Share::new(number(case, "share") as u32).unwrap())
        .with_id(ProtectionId::from_bytes(bytes(&case["id"]).try_into().unwrap()))
        .with_threads(THREADS);
    let target = Memory::new();
    protect(stream, &target, &options, &|_| ()).unwrap();
    target.into_bytes()
}

#[test]
fn parities_are_those_of_the_vectors() {
    for case in vectors("parity") {
        check(&case, &made(&case, &Stream::of(&case)));
    }
}

/// Flips all bits of some ranges.
fn damage(data: &mut [u8], ranges: &Value) {
    let places: Vec<_> = ranges.as_array().unwrap().iter().collect();
    for pair in places.chunks_exact(2) {
        let place = |at: usize| pair[at].as_integer().unwrap() as usize;
        data[place(0)..place(1)].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The healed stream; `None` where it is not called whole.
fn healed(damaged: &[u8], parity: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let parity = Parity::open(parity, THREADS)?;
    let survey = Survey::of(damaged, &parity, THREADS, &|_| ())?;
    let target = Memory::new();
    let healed = heal(damaged, &parity, &survey, &target, THREADS, &|_| ())?;
    assert_eq!(survey.can_heal(), healed.whole);
    Ok(healed.whole.then(|| target.into_bytes()))
}

#[test]
fn damage_is_healed_where_the_vectors_say() {
    let parities = vectors("parity");
    for case in vectors("heal") {
        let whole = parities.iter().find(|parity| parity["name"] == case["name"]).unwrap();
        let Stream::Bytes(stream) = Stream::of(whole) else { panic!("{case}") };
        let mut parity = made(whole, &Stream::Bytes(stream.clone()));
        let mut damaged = stream.clone();
        damage(&mut damaged, &case["stream"]);
        damage(&mut parity, &case["parity"]);
        let healed = healed(&damaged, &parity);
        match case["expect"].as_str().unwrap() {
            "ok" => assert!(healed.unwrap().unwrap() == stream, "{case}"),
            "missing" => assert!(!matches!(healed, Ok(Some(_))), "{case}"),
            other => panic!("{other}"),
        }
    }
}
