//! A plain `Read` as the lowest reader of a fail-safe stack.

use std::io::{self, Read};

use crate::{FailSafeRead, Gap, Report};

/// Makes a [`FailSafeRead`] of any `Read`: without gaps, and what fails is an `Err`.
#[derive(Debug)]
pub struct PlainSource<R> {
    inner: R,
    at: u64,
}

impl<R: Read> PlainSource<R> {
    /// Wraps `inner`; the next byte of `inner` is byte 0.
    pub fn new(inner: R) -> Self {
        Self { inner, at: 0 }
    }

    /// What is read from.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Gives `inner` back.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for PlainSource<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

impl<R: Read> FailSafeRead for PlainSource<R> {
    fn position(&self) -> u64 {
        self.at
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        Ok(None)
    }

    fn next_boundary(&mut self) -> Option<u64> {
        None
    }

    fn drain_report(&mut self, _: &mut Report) {}
}
