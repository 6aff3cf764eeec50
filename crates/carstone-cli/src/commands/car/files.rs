//! Where CARs are read from: files, or standard input.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, bail};
use carstone::car::{AtReader, CarReader, ReaderOptions};

use crate::keys::is_stdin;
use crate::source::Watched;

/// A CAR, and how messages call it.
pub(super) struct Named<T> {
    pub name: String,
    pub car: T,
}

/// A reader of a CAR in a file or a pipe.
pub(super) type Streamed = Named<CarReader<Box<dyn Read>>>;

/// A file that is read at any offset.
pub(super) type Stored = Named<File>;

/// Opens a CAR to be read once, front to back.
pub(super) fn streamed(path: &Path, options: ReaderOptions) -> anyhow::Result<Streamed> {
    let name = name(path);
    let source: Box<dyn Read> = match is_stdin(path) {
        true => Box::new(Watched(io::stdin())),
        false => Box::new(Watched(open(path).with_context(|| name.clone())?)),
    };
    let car = CarReader::with_options(source, options).with_context(|| name.clone())?;
    Ok(Named { name, car })
}

/// Opens a file. What comes from a pipe is kept in a temporary one.
pub(super) fn stored(path: &Path) -> anyhow::Result<Stored> {
    let name = name(path);
    let car = keep(path).with_context(|| name.clone())?;
    Ok(Named { name, car })
}

fn keep(path: &Path) -> anyhow::Result<File> {
    let mut pipe: Box<dyn Read> = match is_stdin(path) {
        true => Box::new(io::stdin()),
        false => {
            let mut file = open(path)?;
            if file.stream_position().is_ok() {
                return Ok(file);
            }
            Box::new(file)
        }
    };
    let mut file = tempfile::tempfile().context("cannot make a temporary file")?;
    io::copy(&mut Watched(&mut pipe), &mut file).context("cannot keep it in a temporary file")?;
    file.seek(SeekFrom::Start(0)).context("cannot keep it in a temporary file")?;
    Ok(file)
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = File::open(path).context("cannot open")?;
    if file.metadata().context("cannot open")?.is_dir() {
        bail!("is a directory, not a CAR");
    }
    Ok(file)
}

/// How messages call what is read.
pub(super) fn name(path: &Path) -> String {
    match is_stdin(path) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

impl Stored {
    /// The bytes from the first on, to be read in order and with jumps.
    pub(super) fn bytes(&self) -> AtReader<Watched<&File>> {
        AtReader::new(Watched(&self.car))
    }

    /// A reader that can jump over data.
    pub(super) fn reader(
        &self,
        options: ReaderOptions,
    ) -> anyhow::Result<CarReader<AtReader<Watched<&File>>>> {
        CarReader::open_seekable(self.bytes(), options).with_context(|| self.name.clone())
    }
}
