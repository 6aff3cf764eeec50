//! Content that comes before its turn, in an unnamed temporary file.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use carstone_layer::ReadAt;

#[derive(Default)]
pub(super) struct Spool {
    file: Option<File>,
    end: u64,
}

/// Bytes in a spool.
#[derive(Clone, Copy)]
pub(super) struct Place {
    at: u64,
    len: usize,
}

impl Place {
    pub(super) fn len(self) -> u64 {
        self.len as u64
    }
}

impl Spool {
    pub(super) fn keep(&mut self, data: &[u8]) -> io::Result<Place> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let at = self.end;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(data)?;
        self.end += data.len() as u64;
        Ok(Place { at, len: data.len() })
    }

    pub(super) fn read(&self, place: Place) -> io::Result<Vec<u8>> {
        let mut data = vec![0; place.len];
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.read_exact_at(&mut data, place.at)?;
        Ok(data)
    }
}
