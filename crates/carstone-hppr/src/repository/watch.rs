//! What comes into the index and goes from it, as the system tells it.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Repository;
use super::disk::What;
use super::layout::{INDEX, MARKER};
use super::list::{DEEP, TipPrefix, location_len};
use super::versions::Version;
use crate::coordinate::Coordinate;
use crate::error::{Error, Result};
use crate::limits::MAX_LOCATION;

/// How changes are watched.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct WatchOptions {
    /// Changes that are kept for a reader who does not come; with more than that it is told to look at everything again. Default: [`WATCH_QUEUE`].
    pub queue: usize,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { queue: WATCH_QUEUE }
    }
}

impl WatchOptions {
    /// Sets how many changes are kept.
    #[must_use]
    pub fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }
}

/// A change of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A packet has come. It may be told more than once.
    Attached(Coordinate, Version),
    /// A packet has gone.
    Detached(Coordinate, Version),
    /// There were more changes than could be kept: everything below the prefix is to be looked at again.
    Rescan,
}

/// Changes below a prefix, from when it was made; see [`Repository::watch`].
#[derive(Debug)]
pub struct Watch {
    repository: Repository,
    /// The index, with an absolute path, as the system gives such.
    index: PathBuf,
    prefix: Vec<String>,
    queue: usize,
    watcher: RecommendedWatcher,
    events: Receiver<Event>,
    overflow: Arc<AtomicBool>,
    pending: VecDeque<Change>,
    /// What has been told to have come, so that a listing does not tell it again.
    told: HashSet<(Coordinate, Version)>,
}

impl Repository {
    /// Watches what comes and goes below a prefix, whoever writes it. Each directory of the index there is watched by itself, so that the system has to allow as many watches
    /// (`fs.inotify.max_user_watches`) as there are times with packets, and some.
    ///
    /// # Errors
    /// The system cannot watch, or not so many directories; a directory cannot be read.
    pub fn watch(&self, prefix: &TipPrefix, options: &WatchOptions) -> Result<Watch> {
        let index = self.path(INDEX).canonicalize().map_err(self.failed(self.root()))?;
        let (sender, events) = sync_channel(options.queue.max(1));
        let overflow = Arc::new(AtomicBool::new(false));
        let handler = handler(sender, Arc::clone(&overflow));
        let watcher = RecommendedWatcher::new(handler, notify::Config::default());
        let mut watch = Watch {
            repository: self.clone(),
            watcher: watcher.map_err(|error| failed(error, &index))?,
            index: index.clone(),
            prefix: prefix.names(),
            queue: options.queue.max(1),
            events,
            overflow,
            pending: VecDeque::new(),
            told: HashSet::new(),
        };
        watch.descend(index, false)?;
        Ok(watch)
    }
}

impl Watch {
    /// The next change; `None` if there is none within this time.
    ///
    /// # Errors
    /// The system cannot watch a new directory, or it cannot be read.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Change>> {
        let end = Instant::now() + timeout;
        loop {
            if self.overflow.swap(false, Ordering::SeqCst) {
                return self.again().map(Some);
            }
            if let Some(change) = self.pending.pop_front() {
                return Ok(Some(change));
            }
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    for path in event.paths {
                        self.changed(&path)?;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    if !self.overflow.load(Ordering::SeqCst) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Forgets all that was to be told, and watches what is there now.
    fn again(&mut self) -> Result<Change> {
        while self.events.try_recv().is_ok() {}
        self.pending.clear();
        self.told.clear();
        self.descend(self.index.clone(), false)?;
        Ok(Change::Rescan)
    }

    /// Something has happened to what has this path.
    fn changed(&mut self, path: &Path) -> Result<()> {
        let disk = self.repository.disk();
        let what = disk.look(path).map_err(self.repository.failed(path))?;
        match what {
            Some(What::Directory) => self.descend(path.to_owned(), true)?,
            Some(What::File(_)) => {
                if let Some((coordinate, version)) = self.entry(path) {
                    self.attached(coordinate, version);
                }
            }
            None => {
                if let Some(entry) = self.entry(path) {
                    self.told.remove(&entry);
                    self.tell(Change::Detached(entry.0, entry.1));
                }
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Watches a directory, and those in it. It is listed after that, as what came before it was watched would not be told.
    fn descend(&mut self, directory: PathBuf, tell: bool) -> Result<()> {
        let mut left = vec![directory];
        while let Some(directory) = left.pop() {
            if !self.is_on_the_way(&directory) || !self.is_place(&directory) {
                continue;
            }
            match self.watcher.watch(&directory, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                Err(error) if has_gone(&error) => continue,
                Err(error) => return Err(failed(error, &directory)),
            }
            for (name, what) in self.repository.listed(&directory)? {
                let path = directory.join(name);
                match what {
                    What::Directory => left.push(path),
                    What::File(_) if tell => {
                        if let Some((coordinate, version)) = self.entry(&path) {
                            self.attached(coordinate, version);
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn attached(&mut self, coordinate: Coordinate, version: Version) {
        if self.told.len() >= self.queue {
            self.told.clear();
        }
        if self.told.insert((coordinate.clone(), version)) {
            self.tell(Change::Attached(coordinate, version));
        }
    }

    fn tell(&mut self, change: Change) {
        match self.pending.len() < self.queue {
            true => self.pending.push_back(change),
            false => self.overflow.store(true, Ordering::SeqCst),
        }
    }

    /// Names of a path below the index.
    fn names<'p>(&self, path: &'p Path) -> Option<Vec<&'p str>> {
        path.strip_prefix(&self.index).ok()?.iter().map(|name| name.to_str()).collect()
    }

    /// Whether a directory is below the prefix, or that is below it.
    fn is_on_the_way(&self, directory: &Path) -> bool {
        let names = self.names(directory);
        names.is_some_and(|names| names.iter().zip(&self.prefix).all(|(name, of)| name == of))
    }

    /// Whether a directory is not too deep for a coordinate, or for a version of one. Others have nothing that is ours.
    fn is_place(&self, directory: &Path) -> bool {
        let Some(names) = self.names(directory) else { return false };
        let marker = names.iter().position(|name| *name == MARKER).unwrap_or(names.len());
        let (place, version) = names.split_at(marker);
        location_len(place) <= MAX_LOCATION + 1 && version.len() <= DEEPEST_VERSION
    }

    /// The entry of a path, if it is below the prefix.
    fn entry(&self, path: &Path) -> Option<(Coordinate, Version)> {
        let names = self.names(path)?;
        if names.len() < self.prefix.len() || !self.is_on_the_way(path) {
            return None;
        }
        let marker = names.iter().position(|name| *name == MARKER).filter(|at| *at >= DEEP)?;
        let location = names[DEEP - 1..marker].join("/");
        let coordinate = Coordinate::new(names[0], names[1], &location).ok()?;
        let version = Version::of_entry(&names[marker + 1..].iter().collect::<PathBuf>())?;
        Some((coordinate, version))
    }
}

/// Keeps events that may be of changes. It never waits.
fn handler(
    events: SyncSender<Event>,
    overflow: Arc<AtomicBool>,
) -> impl FnMut(notify::Result<Event>) {
    move |event| {
        let event = match event {
            Ok(event) if !event.need_rescan() => event,
            // Some are lost.
            _ => return overflow.store(true, Ordering::SeqCst),
        };
        let is_change = matches!(
            event.kind,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        if is_change && let Err(TrySendError::Full(_)) = events.try_send(event) {
            overflow.store(true, Ordering::SeqCst);
        }
    }
}

fn has_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

fn failed(error: notify::Error, path: &Path) -> Error {
    let error = match error.kind {
        notify::ErrorKind::Io(error) => error,
        notify::ErrorKind::MaxFilesWatch => io::ErrorKind::QuotaExceeded.into(),
        _ => io::Error::other(error),
    };
    Error::io(error).of(path)
}

/// Names of the deepest directory of a version, with the marker: `|/seal/<vkey>/<tai>`.
const DEEPEST_VERSION: usize = 4;
/// Changes that are kept.
pub const WATCH_QUEUE: usize = 4096;
