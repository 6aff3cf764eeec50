//! What must hold for every reader, whatever it reads.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use carstone::layer::{FailSafeRead, Gap, ReadAt, Report, read_full};

use crate::input::Input;

/// Sizes of the buffers that a reader is asked to fill, in turn: some that the input chooses, then large ones.
struct Buffers(Vec<usize>);

impl Buffers {
    fn new(input: &mut Input<'_>) -> Self {
        let sizes = [1, 2, 63, 64, 1000, 65_536, 300_000];
        Self((0..input.below(9)).map(|_| input.pick(&sizes)).collect())
    }

    fn next(&mut self) -> usize {
        self.0.pop().unwrap_or(1 << 17)
    }
}

/// A strict reader gives the beginning of `plain`, and ends without an error only at its end. Says whether it did.
pub(crate) fn strict(mut reader: impl Read, plain: &[u8], input: &mut Input<'_>) -> bool {
    let (mut sizes, mut buf, mut at) = (Buffers::new(input), vec![0; 1 << 19], 0);
    loop {
        match reader.read(&mut buf[..sizes.next()]) {
            Ok(0) => {
                assert_eq!(at, plain.len(), "the stream ends early, without an error");
                return true;
            }
            Ok(n) => {
                assert!(plain.get(at..at + n) == Some(&buf[..n]), "wrong bytes at {at}");
                at += n;
            }
            Err(_) => return false,
        }
    }
}

/// Wherever a reader goes, it gives the bytes that a cursor gives, or an error. A sound stream gives no errors.
pub(crate) fn seeks<R: Read + Seek>(
    mut reader: R,
    plain: &[u8],
    is_sound: bool,
    input: &mut Input<'_>,
) {
    let (mut cursor, mut buf) = (Cursor::new(plain), vec![0; 1 << 17]);
    for _ in 0..input.below(7) {
        let by = input.below(plain.len() + 10);
        let to = match input.below(4) {
            0 => SeekFrom::Current(by as i64 - 50),
            // A stream that is damaged may not know its end.
            1 if is_sound => SeekFrom::End(5 - by as i64),
            2 => SeekFrom::Start(input.number()),
            _ => SeekFrom::Start(by as u64),
        };
        assert_eq!(reader.seek(to).ok(), cursor.seek(to).ok(), "{to:?}");
        let len = input.pick(&[0, 1, 100, 5000, 1 << 17]);
        let mut got = 0;
        while got < len {
            match reader.read(&mut buf[got..len]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) => {
                    assert!(!is_sound, "{error}");
                    return;
                }
            }
        }
        let at = cursor.position();
        let start = plain.len().min(usize::try_from(at).unwrap_or(usize::MAX));
        let due = &plain[start..plain.len().min(start + len)];
        assert!(due == &buf[..got], "wrong bytes at {at}");
        cursor.set_position(at.saturating_add(got as u64));
    }
}

/// The same for a source that is read at any place.
pub(crate) fn places<R: ReadAt>(reader: &R, plain: &[u8], input: &mut Input<'_>) {
    let mut buf = vec![0; 1 << 12];
    for _ in 0..input.below(4) {
        let at = if input.flag() { input.number() } else { input.below(plain.len() + 2) as u64 };
        if let Ok(n) = read_full(reader, &mut buf, at) {
            let start = plain.len().min(usize::try_from(at).unwrap_or(usize::MAX));
            let due = &plain[start..plain.len().min(start + buf.len())];
            assert!(due == &buf[..n], "wrong bytes at {at}");
        }
    }
}

/// What a fail-safe reader gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Salvaged {
    /// Bytes of each stretch between gaps, with their offset.
    pub(crate) stretches: Vec<(u64, Vec<u8>)>,
    pub(crate) gaps: Vec<Gap>,
    /// Where it ended.
    pub(crate) end: u64,
    /// Whether it said that an unknown number of bytes is missing at the end.
    pub(crate) is_open: bool,
}

impl Salvaged {
    /// The bytes are those of `plain`, and bytes and gaps make up all of it.
    pub(crate) fn check(&self, plain: &[u8]) {
        self.check_bytes(plain);
        let end = self.end;
        assert!(self.is_open || end == plain.len() as u64, "{end} of {}", plain.len());
    }

    /// The bytes are those of `plain`.
    pub(crate) fn check_bytes(&self, plain: &[u8]) {
        for (at, bytes) in &self.stretches {
            let rest = usize::try_from(*at).ok().and_then(|at| plain.get(at..));
            assert!(rest.is_some_and(|rest| rest.starts_with(bytes)), "wrong bytes at {at}");
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }
}

/// What a fail-safe reader gives. The only errors are those of the environment, and memory does not fail; but a reader says once, before
/// it goes on, that something needs a newer one.
fn taken<T>(result: io::Result<T>) -> Option<T> {
    match result {
        Err(error) => {
            let kinds = [io::ErrorKind::Interrupted, io::ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "the source does not fail: {error}");
            None
        }
        Ok(value) => Some(value),
    }
}

/// Reads a fail-safe reader to its end: positions go on without a jump that no gap explains.
pub(crate) fn salvage(mut reader: impl FailSafeRead, input: &mut Input<'_>) -> Salvaged {
    salvage_from(&mut reader, input)
}

/// The same with a reader that is looked at afterwards.
pub(crate) fn salvage_from(reader: &mut impl FailSafeRead, input: &mut Input<'_>) -> Salvaged {
    let (mut sizes, mut buf) = (Buffers::new(input), vec![0; 1 << 19]);
    let (mut got, mut stretch) = (Salvaged::default(), Vec::new());
    loop {
        assert_eq!(reader.position(), got.end, "position");
        if let Some(at) = reader.next_boundary() {
            assert!(at >= got.end, "a boundary at {at} was passed before {}", got.end);
        }
        let Some(n) = taken(reader.read(&mut buf[..sizes.next()])) else { continue };
        stretch.extend_from_slice(&buf[..n]);
        got.end += n as u64;
        if n > 0 {
            assert!(!got.is_open, "bytes behind a gap up to the end");
            continue;
        }
        if !stretch.is_empty() {
            let at = got.end - stretch.len() as u64;
            got.stretches.push((at, std::mem::take(&mut stretch)));
        }
        let Some(next) = taken(reader.next_gap()) else { continue };
        let Some(gap) = next else { break };
        assert!(!got.is_open, "a gap behind a gap up to the end: {gap:?}");
        assert_eq!(gap.at, got.end, "{gap:?}");
        while input.flag() && reader.read_unchecked(&mut buf[..4096]).is_ok_and(|n| n > 0) {}
        got.is_open = gap.len.is_none();
        got.end = got.end.saturating_add(gap.len.unwrap_or(0));
        got.gaps.push(gap);
    }
    assert_eq!(reader.read(&mut buf).expect("the source does not fail"), 0, "the end stays");
    assert_eq!(reader.next_gap().expect("the source does not fail"), None, "the end stays");
    reader.drain_report(&mut Report::default());
    got
}
