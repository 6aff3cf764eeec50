//! A writer whose file is made when there is something to write.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;

use crate::Cid;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::{cid_of, verify};
use crate::section::Section;
use crate::v2::{CarFileWriter, FileOptions};
use crate::writer;

/// Writes a CAR into a sink that is made with the first block: without one, there is no file. The counterpart of `DeferredCarWriter` in
/// go-car.
///
/// Until then it holds the roots and nothing else. Hooks are told of every block that has been written, or of the next one.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarReader, DeferredCarWriter, FileOptions, codec};
/// let mut written = 0;
/// let mut writer = DeferredCarWriter::new(|| Ok(Cursor::new(Vec::new())), &[], FileOptions::v1())?;
/// writer.on_put(|section| written += section.data_len);
/// writer.on_next_put(|section| assert_eq!(section.data_offset, 55));
/// assert!(!writer.is_started());
/// writer.put_data(codec::RAW, b"hello")?;
///
/// let file = writer.finish()?.expect("there is a block");
/// assert_eq!(CarReader::open(&file.get_ref()[..])?.into_iter().count(), 1);
/// assert_eq!(written, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "the CAR is complete only when `finish` has returned `Ok`"]
pub struct DeferredCarWriter<'a, W> {
    state: State<'a, W>,
    hooks: Vec<Hook<'a>>,
}

enum State<'a, W> {
    Waiting(Waiting<'a, W>),
    Writing(Box<CarFileWriter<W>>),
    /// The sink or the header could not be made.
    Broken,
}

struct Waiting<'a, W> {
    open: Box<dyn FnOnce() -> io::Result<W> + Send + 'a>,
    roots: Vec<Cid>,
    options: FileOptions,
}

struct Hook<'a> {
    call: Box<dyn FnMut(&Section) + Send + 'a>,
    once: bool,
}

impl DeferredCarWriter<'static, File> {
    /// Makes a new file at this path with the first block. One that is there already is an error then.
    ///
    /// The file has its name from the first block on. Where it is never finished, a CARv2 reads as [unfinished](ErrorKind::Unfinished), and a
    /// CARv1 as one of fewer blocks.
    ///
    /// # Errors
    /// As with [`new`](Self::new).
    pub fn create_new(
        path: impl Into<PathBuf>,
        roots: &[Cid],
        options: FileOptions,
    ) -> Result<Self> {
        let path = path.into();
        DeferredCarWriter::new(move || File::create_new(path), roots, options)
    }
}

impl<'a, W: Write + Seek> DeferredCarWriter<'a, W> {
    /// Calls `open` with the first block, and starts a CAR with these roots where the sink stands.
    ///
    /// # Errors
    /// If the roots are over a limit.
    pub fn new(
        open: impl FnOnce() -> io::Result<W> + Send + 'a,
        roots: &[Cid],
        options: FileOptions,
    ) -> Result<Self> {
        writer::check_roots(roots, &options.limits)?;
        let waiting = Waiting { open: Box::new(open), roots: roots.to_vec(), options };
        Ok(DeferredCarWriter { state: State::Waiting(waiting), hooks: Vec::new() })
    }

    /// Has a hook called with every block from now on, after it has been written. The counterpart of `OnPut` in go-car.
    pub fn on_put(&mut self, hook: impl FnMut(&Section) + Send + 'a) {
        self.hooks.push(Hook { call: Box::new(hook), once: false });
    }

    /// Has a hook called with the next block, after it has been written, and with no other.
    /// The counterpart of `OnPut` in go-car with `once`.
    pub fn on_next_put(&mut self, hook: impl FnMut(&Section) + Send + 'a) {
        self.hooks.push(Hook { call: Box::new(hook), once: true });
    }

    /// Whether there is a block, and with it a file.
    pub fn is_started(&self) -> bool {
        matches!(self.state, State::Writing(_))
    }

    /// Writes a block, verified, unless the [options](FileOptions::dedupe) leave it out; then `None` is given.
    /// The counterpart of `Put` in go-car.
    ///
    /// # Errors
    /// As with [`CarFileWriter::put_block`]. One that comes of making the file is final.
    pub fn put_block(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        verify(cid, data)?; // A bad block makes no file.
        self.danger_put_unverified(cid, data)
    }

    /// Writes a block of this data, under its CIDv1 with sha2-256, and returns the CID. `codec` is a multicodec code, see
    /// [`codec`](crate::codec).
    ///
    /// # Errors
    /// As with [`put_block`](Self::put_block).
    pub fn put_data(&mut self, codec: u64, data: &[u8]) -> Result<Cid> {
        let cid = cid_of(codec, data);
        self.danger_put_unverified(&cid, data).map(|_| cid)
    }

    /// Writes a block without hashing its data, for callers who have just made the CID from the data.
    ///
    /// # Errors
    /// As with [`put_block`](Self::put_block).
    pub fn danger_put_unverified(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<Section>> {
        let section = self
            .writer(cid, data)?
            .map_or(Ok(None), |writer| writer.danger_put_unverified(cid, data))?;
        if let Some(section) = &section {
            self.hooks.iter_mut().for_each(|hook| (hook.call)(section));
            self.hooks.retain(|hook| !hook.once);
        }
        Ok(section)
    }

    /// Ends the CAR and gives back the sink, as [`CarFileWriter::finish`] does; `None` if there were no blocks.
    /// The counterpart of `Close` in go-car.
    ///
    /// # Errors
    /// Those of the sink, and those of making it earlier.
    pub fn finish(self) -> io::Result<Option<W>> {
        self.end(CarFileWriter::finish)
    }

    /// The same with other roots, as [`CarFileWriter::finish_with_roots`].
    ///
    /// # Errors
    /// As with [`finish`](Self::finish), and if the header gets another length.
    pub fn finish_with_roots(self, roots: &[Cid]) -> io::Result<Option<W>> {
        self.end(|writer| writer.finish_with_roots(roots))
    }

    fn end(self, finish: impl FnOnce(CarFileWriter<W>) -> io::Result<W>) -> io::Result<Option<W>> {
        match self.state {
            State::Waiting(_) => Ok(None),
            State::Writing(writer) => finish(*writer).map(Some),
            State::Broken => Err(Error::at(ErrorKind::Broken, 0).into()),
        }
    }

    /// The writer of the file, which is made for a block that can be written. `None` if the options leave it out.
    fn writer(&mut self, cid: &Cid, data: &[u8]) -> Result<Option<&mut CarFileWriter<W>>> {
        if let State::Waiting(waiting) = &self.state {
            let options = &waiting.options;
            if options.skips(cid) {
                return Ok(None);
            }
            writer::check_block(cid, data, &options.limits).map_err(|kind| Error::at(kind, 0))?;
            self.start()?;
        }
        match &mut self.state {
            State::Writing(writer) => Ok(Some(writer)),
            _ => Err(Error::at(ErrorKind::Broken, 0)),
        }
    }

    fn start(&mut self) -> Result<()> {
        if let State::Waiting(waiting) = std::mem::replace(&mut self.state, State::Broken) {
            let sink = (waiting.open)().map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
            let writer = CarFileWriter::with_options(sink, &waiting.roots, waiting.options)?;
            self.state = State::Writing(Box::new(writer));
        }
        Ok(())
    }
}

impl<W> fmt::Debug for DeferredCarWriter<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Waiting(_) => "waiting",
            State::Writing(_) => "writing",
            State::Broken => "broken",
        };
        f.debug_struct("DeferredCarWriter")
            .field("state", &state)
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}
