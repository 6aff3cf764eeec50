//! Where there are no files, an index has to fit into its budget.

use std::convert::Infallible;
use std::io;

/// None.
#[derive(Debug)]
pub(super) struct Spilled<const PLACE: usize>(Infallible);

impl<const PLACE: usize> Spilled<PLACE> {
    pub(super) fn new() -> io::Result<Self> {
        let what = "an index is larger than its budget, and without the feature `fs` there are no temporary files";
        Err(io::Error::new(io::ErrorKind::OutOfMemory, what))
    }

    pub(super) fn add<'a>(&mut self, _: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn for_each(&self, _: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self.0 {}
    }
}
