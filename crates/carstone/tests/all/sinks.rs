//! Sinks that take little, or fail in the middle: the bytes are the same, or the pack reads as cut.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use carstone::stack;

use crate::support::{KEY, Layers, few_threads, pack, sample, stream, tiny, write_to};

#[test]
fn a_sink_that_takes_one_byte_gets_the_same_bytes() {
    for layers in Layers::all() {
        let stored = write_to(OneByte(Vec::new()), &sample(), layers.options(), 2);
        let stored = stored.expect("memory").0;
        assert!(stored == pack(&sample(), layers.options(), 2), "{layers:?}");
    }
}

#[test]
fn a_failing_sink_is_an_error_and_leaves_a_cut_pack() {
    let tree = tiny();
    for layers in Layers::all() {
        let calls = Failing::new(u64::MAX);
        write_to(calls.clone(), &tree, layers.options(), 2).expect("this one does not fail");
        let (writes, whole) = calls.state();
        assert_eq!(whole, pack(&tree, layers.options(), 2));

        for nth in 0..writes {
            let sink = Failing::new(nth);
            let error = write_to(sink.clone(), &tree, layers.options(), 2).map(drop);
            assert!(error.is_err(), "{layers:?}: call {nth} failed, and nobody says so");
            let (_, stored) = sink.state();
            assert!(whole.starts_with(&stored), "{layers:?}: call {nth}");
            if stored.len() == whole.len() {
                continue; // Only the last flush failed.
            }
            let opened = stack::open(stored.clone(), &KEY, &few_threads());
            assert!(opened.is_err(), "{layers:?}: call {nth} failed, and the rest opens");
            let got = stream(stored.as_slice());
            assert!(got.tree.iter().all(|(path, item)| tree.get(path) == Some(item)));
            let in_trailer = stored.len() >= whole.len() - 304;
            assert!(got.error.is_some() || in_trailer, "{layers:?}: call {nth} ends cleanly");
        }
    }
}

/// Takes one byte per write.
struct OneByte(Vec<u8>);

impl Write for OneByte {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.extend(buf.first());
        Ok(buf.len().min(1))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails at the nth call, and at every later one; what was written stays.
#[derive(Clone)]
struct Failing {
    nth: u64,
    state: Arc<Mutex<(u64, Vec<u8>)>>,
}

impl Failing {
    fn new(nth: u64) -> Self {
        Self { nth, state: Arc::default() }
    }

    fn state(&self) -> (u64, Vec<u8>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn call(&self, buf: &[u8]) -> io::Result<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 >= self.nth {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the sink is full"));
        }
        state.0 += 1;
        // A part of a piece, so that the cut falls into the middle of things.
        let n = buf.len().min(97);
        state.1.extend_from_slice(&buf[..n]);
        Ok(n)
    }
}

impl Write for Failing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.call(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.call(&[]).map(drop)
    }
}
