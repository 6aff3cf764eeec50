//! stand-in
use crate::frame::digest8;
use crate::{Error, Layout};
use carstone_layer::{ReadAt, crc64, read_full};
use std::io;
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) crc: u64,
    pub(crate) digest: [u8; 8],
}
impl Entry {
    pub(crate) fn of(cell: &[u8]) -> Self {
        Self { crc: crc64(&[cell]), digest: digest8(&[cell]) }
    }
    pub(crate) fn encode(&self) -> [u8; 16] {
        let mut b = [0; 16];
        b[..8].copy_from_slice(&self.crc.to_le_bytes());
        b[8..].copy_from_slice(&self.digest);
        b
    }
    pub(crate) fn decode(b: &[u8; 16]) -> Self {
        let mut digest = [0; 8];
        digest.copy_from_slice(&b[8..]);
        Self { crc: u64::from_le_bytes(*b.first_chunk().unwrap()), digest }
    }
}
#[derive(Debug)]
pub(crate) struct Entries(Vec<Option<Entry>>);
impl Entries {
    pub(crate) fn unknown(cells: usize) -> Self {
        Self(vec![None; cells])
    }
    pub(crate) fn set(&mut self, cell: usize, entry: Entry) {
        self.0[cell] = Some(entry);
    }
    pub(crate) fn agrees(&self, cell: u64, bytes: &[u8]) -> bool {
        self.0[cell as usize].is_none_or(|e| e == Entry::of(bytes))
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Missing,
    At(u64),
    Corrected(u64),
    Assumed(u64),
}
/// Counts
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// a
    pub in_place: u64,
    /// a
    pub moved: u64,
    /// a
    pub corrected: u64,
    /// a
    pub bits: u64,
    /// a
    pub assumed: u64,
    /// a
    pub unknown: u64,
    /// a
    pub missing: u64,
}
#[derive(Debug)]
pub(crate) struct Found {
    states: Vec<State>,
    len: u64,
    cell: usize,
}
impl Found {
    pub(crate) fn state(&self, cell: u64) -> State {
        self.states[cell as usize]
    }
    pub(crate) fn read<S: ReadAt + ?Sized>(
        &self,
        s: &S,
        cell: u64,
        buf: &mut [u8],
    ) -> io::Result<bool> {
        let (State::At(at) | State::Assumed(at)) = self.state(cell) else { return Ok(false) };
        let want = (self.len - cell * self.cell as u64).min(self.cell as u64) as usize;
        buf.fill(0);
        read_full(s, &mut buf[..want], at)?;
        Ok(true)
    }
    pub(crate) fn counts(&self) -> Counts {
        let mut c = Counts::default();
        for s in &self.states {
            match s {
                State::Missing => c.missing += 1,
                State::At(_) => c.in_place += 1,
                State::Corrected(_) => c.corrected += 1,
                State::Assumed(_) => {
                    c.assumed += 1;
                    c.unknown += 1
                }
            }
        }
        c
    }
}
pub(crate) fn find<S: ReadAt + Sync + ?Sized>(
    source: &S,
    layout: &Layout,
    entries: &Entries,
    _threads: usize,
    _p: &(dyn Fn(u64) + Sync),
) -> Result<Found, Error> {
    let cell = layout.cell_len() as usize;
    let mut states = Vec::new();
    for c in 0..layout.cells() {
        let mut buf = vec![0; cell];
        let at = c * cell as u64;
        let want = (layout.stream_len() - at).min(cell as u64) as usize;
        read_full(source, &mut buf[..want], at)?;
        states.push(match entries.0[c as usize] {
            None => State::Assumed(at),
            Some(e) if e.crc == crc64(&[&buf]) => State::At(at),
            _ => State::Missing,
        });
    }
    Ok(Found { states, len: layout.stream_len(), cell })
}
pub(crate) fn correct_frame(_frame: &mut [u8]) -> bool {
    false
}
