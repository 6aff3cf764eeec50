//! Reads sections ahead and hashes them on a pool, in order.

use std::io::Read;

use carstone_car::{CarReader, ReaderOptions, Section, verify};
use carstone_layer::{Ordered, Pool};

use crate::error::{Error, ErrorKind};

/// A block as it was read, then as it was checked.
type Job = (Section, Vec<u8>);

/// The sections of a CAR stream, verified.
pub(super) struct Ahead<R> {
    car: CarReader<R>,
    queue: Ordered<Job, Result<Job, Error>>,
    /// What stopped the reading, to be told after what was read before.
    stopped: Option<Result<(), Error>>,
    position: u64,
}

impl<R: Read> Ahead<R> {
    pub(super) fn open(reader: R, threads: usize, budget: usize) -> Result<Self, Error> {
        // The pool checks what the reader does not.
        let options = ReaderOptions::default().danger_skip_verification().only_v1(true);
        let car = CarReader::with_options(reader, options)?;
        let position = car.position();
        let queue = Ordered::new(Pool::new(threads, check), budget);
        Ok(Self { car, queue, stopped: None, position })
    }

    /// The next section and its bytes; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Result<Option<Job>, Error> {
        let depth = self.queue.threads().max(1) * DEPTH;
        while self.stopped.is_none() && self.queue.len() < depth && self.queue.has_room(0) {
            let mut data = Vec::new();
            match self.car.read_block(&mut data) {
                Ok(Some(section)) => {
                    let cost = data.len();
                    self.queue.push((section, data), cost);
                }
                Ok(None) => self.stopped = Some(Ok(())),
                Err(error) => self.stopped = Some(Err(error.into())),
            }
        }
        match self.queue.pop() {
            Some(checked) => {
                let at = self.position;
                let lost =
                    |error: carstone_layer::Error| Error::new(ErrorKind::Io(error.into()), at);
                let (section, data) = checked.map_err(lost)??;
                self.position = section.end();
                Ok(Some((section, data)))
            }
            None => self.stopped.take().unwrap_or(Ok(())).map(|()| None),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }
}

fn check((section, data): Job) -> Result<Job, Error> {
    match verify(&section.cid, &data) {
        Ok(()) => Ok((section, data)),
        Err(error) => Err(error.with_offset(section.offset).into()),
    }
}

/// Blocks per thread that are read ahead.
const DEPTH: usize = 4;
