//! Sources and targets that stutter, shrink or fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use carstone_layer::ReadAt;
use carstone_parity::{Error, ErrorKind, Memory, Parity, Survey, WriteAt, heal, protect};

use crate::packed::{Kind, frames, joined, noise, options, parity_of};

/// Gives one byte at a time.
pub struct OneByte<'a>(pub &'a [u8]);

impl ReadAt for OneByte<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let most = buf.len().min(1);
        self.0.read_at(&mut buf[..most], offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

/// Keeps what is written, piece by piece.
#[derive(Default)]
pub struct Pieces(Mutex<BTreeMap<u64, Vec<u8>>>);

impl Pieces {
    /// No piece may overlap another.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (at, piece) in self.0.into_inner().unwrap() {
            assert!(at >= bytes.len() as u64, "byte {at} is written twice");
            bytes.resize(at as usize, 0);
            bytes.extend(piece);
        }
        bytes
    }
}

impl WriteAt for Pieces {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        assert!(self.0.lock().unwrap().insert(offset, bytes.to_vec()).is_none());
        Ok(())
    }
}

/// Has a byte less from some call on.
struct Shrinking<'a> {
    bytes: &'a [u8],
    calls_left: AtomicU64,
    has_shrunk: AtomicBool,
}

impl Shrinking<'_> {
    fn bytes(&self) -> &[u8] {
        let left = self
            .calls_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            return self.bytes;
        }
        self.has_shrunk.store(true, Ordering::SeqCst);
        &self.bytes[..self.bytes.len() - 1]
    }
}

impl ReadAt for Shrinking<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.bytes().read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.bytes().size()
    }
}

#[test]
fn a_source_that_gets_shorter_while_it_is_read_has_changed() {
    for len in [1, 3_000, 30_000] {
        let stream = noise(len, 3);
        for threads in [1, 3] {
            let mut changed = 0;
            // Asked once for its size before.
            for calls in 1.. {
                let source = Shrinking {
                    bytes: &stream,
                    calls_left: calls.into(),
                    has_shrunk: false.into(),
                };
                let options = options(1_000).with_threads(threads);
                let made = protect(&source, &Memory::new(), &options, &|_| ());
                match made.map_err(|error| matches!(error.kind(), ErrorKind::Changed)) {
                    Ok(_) => {
                        assert!(!source.has_shrunk.into_inner());
                        break;
                    }
                    Err(is_changed) => assert!(is_changed),
                }
                changed += 1;
            }
            assert!(changed > 2, "{changed}");
        }
    }
}

/// Works for so many calls.
struct Failing<T> {
    inner: T,
    calls_left: AtomicU64,
}

impl<T> Failing<T> {
    fn after(inner: T, calls: u64) -> Self {
        Self { inner, calls_left: calls.into() }
    }

    fn inner(&self) -> io::Result<&T> {
        let left = self
            .calls_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(|_| &self.inner).map_err(|_| io::Error::other("no more calls"))
    }
}

impl<T: ReadAt> ReadAt for Failing<T> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner()?.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.inner()?.size()
    }
}

impl<T: WriteAt> WriteAt for Failing<T> {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner()?.write_all_at(bytes, offset)
    }
}

/// `work` is done with ever more calls until it succeeds; before, it must give the error of the call that failed.
#[track_caller]
fn check_fails(work: impl Fn(u64) -> Result<(), Error>) {
    let first = (0..).find(|calls| match work(*calls) {
        Ok(()) => true,
        Err(error) => {
            let ErrorKind::Io(cause) = error.kind() else { panic!("{error} after {calls} calls") };
            assert_eq!(cause.to_string(), "no more calls");
            false
        }
    });
    assert!(first > Some(2), "{first:?}");
}

#[test]
fn sources_and_targets_that_fail_at_any_call_give_their_error() {
    let stream = noise(20_000, 4);
    let parity = parity_of(&stream, 5_000);
    let mut damaged = stream.clone();
    damaged[3_000..4_500].fill(0);
    damaged.splice(9_000..9_000, [1; 77]);
    let damaged = &damaged;
    let open = || Parity::open(&parity[..], 1).unwrap();
    let survey = || Survey::of(&damaged[..], &open(), 1, &|_| ()).unwrap();
    let mut without_table = frames(&parity);
    without_table.retain(|frame| frame.kind != Kind::Table);
    let without_table = joined(&without_table);
    let mut zeroed = stream.clone();
    zeroed[3_000..7_000].fill(0);
    for threads in [1, 3] {
        let options = options(5_000).with_threads(threads);
        check_fails(|calls| {
            let source = Failing::after(&stream[..], calls);
            protect(&source, &Memory::new(), &options, &|_| ()).map(drop)
        });
        check_fails(|calls| {
            let target = Failing::after(Memory::new(), calls);
            protect(&stream[..], &target, &options, &|_| ()).map(drop)
        });
        check_fails(|calls| Parity::open(Failing::after(&parity[..], calls), threads).map(drop));
        check_fails(|calls| {
            let source = Failing::after(&damaged[..], calls);
            Survey::of(&source, &open(), threads, &|_| ()).map(drop)
        });
        check_fails(|calls| {
            let source = Failing::after(&damaged[..], calls);
            heal(&source, &open(), &survey(), &Memory::new(), threads, &|_| ()).map(drop)
        });
        check_fails(|calls| {
            let target = Failing::after(Memory::new(), calls);
            heal(&damaged[..], &open(), &survey(), &target, threads, &|_| ()).map(drop)
        });
        // The parity has been opened before it fails.
        check_fails(|calls| {
            let source = Failing::after(&parity[..], u64::MAX);
            let parity = Parity::open(&source, threads)?;
            source.calls_left.store(calls, Ordering::SeqCst);
            let survey = Survey::of(&damaged[..], &parity, threads, &|_| ())?;
            heal(&damaged[..], &parity, &survey, &Memory::new(), threads, &|_| ()).map(drop)
        });
        // Wrong cells are looked for by all that is left.
        check_fails(|calls| {
            let parity = Parity::open(Failing::after(&without_table[..], u64::MAX), threads)?;
            let source = Failing::after(&zeroed[..], u64::MAX);
            let survey = Survey::of(&source, &parity, threads, &|_| ())?;
            assert!(!survey.can_surely_heal());
            source.calls_left.store(calls, Ordering::SeqCst);
            let healed = heal(&source, &parity, &survey, &Memory::new(), threads, &|_| ())?;
            assert!(healed.whole && healed.restored == 5);
            Ok(())
        });
    }
}
