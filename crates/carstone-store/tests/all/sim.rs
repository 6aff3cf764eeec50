//! A file system in memory that crashes: what was not made durable is lost, or not, as it likes.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use carstone_store::{Disk, DiskEntry, DiskFile};

/// The file system. Its clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Contents by number: as they are, and as they would be after a crash.
    files: HashMap<u64, File>,
    /// What each directory has: names now, and names that stay after a crash. `None` is a directory.
    now: Names,
    durable: Names,
    next: u64,
    /// Operations that are left before the crash.
    left: Option<u64>,
    crashed: bool,
    done: u64,
}

type Names = BTreeMap<PathBuf, Option<u64>>;

#[derive(Clone, Debug, Default)]
struct File {
    now: Vec<u8>,
    durable: Vec<u8>,
}

/// Which of the changes that were not made durable are there after a crash.
#[derive(Clone, Copy, Debug)]
pub enum Lost {
    /// None of them.
    All,
    /// Names are, contents are not: the worst order.
    Contents,
    /// All of them.
    Nothing,
}

impl SimDisk {
    /// One with an empty root directory.
    pub fn new(root: &str) -> Self {
        let disk = Self::default();
        let mut state = disk.state();
        state.now.insert(root.into(), None);
        state.durable.insert(root.into(), None);
        drop(state);
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panicked with it")
    }

    /// Fails everything behind so many operations.
    pub fn crash_after(&self, operations: u64) {
        self.state().left = Some(operations);
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state().done
    }

    /// What is there when the machine is up again.
    pub fn after_crash(&self, lost: Lost) -> Self {
        let state = self.state();
        let (names, now_contents) = match lost {
            Lost::All => (state.durable.clone(), false),
            Lost::Contents => (state.now.clone(), false),
            Lost::Nothing => (state.now.clone(), true),
        };
        let file = |file: &File| {
            let content = if now_contents { &file.now } else { &file.durable };
            File { now: content.clone(), durable: content.clone() }
        };
        let files = state.files.iter().map(|(number, content)| (*number, file(content))).collect();
        let next = state.next;
        let state = State { files, now: names.clone(), durable: names, next, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        self.done += 1;
        match &mut self.left {
            Some(0) => {
                self.crashed = true;
                Err(io::Error::other("the machine has crashed"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn number(&self, path: &Path) -> io::Result<u64> {
        self.now.get(path).copied().flatten().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn parent_is_there(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.now.get(parent)) {
            Some(None) => Ok(()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

#[derive(Debug)]
struct Open {
    disk: SimDisk,
    number: u64,
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.step()?;
        state.parent_is_there(path)?;
        if state.now.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = state.next;
        state.next += 1;
        state.files.insert(number, File::default());
        state.now.insert(path.to_owned(), Some(number));
        drop(state);
        Ok(Box::new(Open { disk: self.clone(), number }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let number = self.state().number(path)?;
        Ok(Box::new(Open { disk: self.clone(), number }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.parent_is_there(to)?;
        let number = state.number(from)?;
        state.now.remove(from);
        state.now.insert(to.to_owned(), Some(number));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.number(path)?;
        state.now.remove(path);
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.state();
        state.step()?;
        state.parent_is_there(path)?;
        Ok(state.now.insert(path.to_owned(), None).is_none())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let inside = |name: &PathBuf| name.parent() == Some(path);
        let now: Names = state
            .now
            .iter()
            .filter(|(name, _)| inside(name))
            .map(|(name, number)| (name.clone(), *number))
            .collect();
        state.durable.retain(|name, _| !inside(name));
        state.durable.extend(now);
        Ok(())
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.state();
        match state.now.get(path) {
            None => Ok(None),
            Some(None) => Err(io::Error::other("it is a directory")),
            Some(Some(number)) => Ok(state.files.get(number).map(|file| file.now.len() as u64)),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DiskEntry>> {
        let state = self.state();
        if state.now.get(path) != Some(&None) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.now.iter().filter(|(name, _)| name.parent() == Some(path));
        let entries = inside.map(|(name, number)| DiskEntry {
            name: name.file_name().expect("a name").to_str().expect("text").to_owned(),
            is_directory: number.is_none(),
            size: number
                .and_then(|number| state.files.get(&number))
                .map_or(0, |file| file.now.len() as u64),
            modified: None,
        });
        Ok(entries.collect())
    }
}

impl DiskFile for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.step()?;
        let file = state.files.get_mut(&self.number).expect("it was made");
        file.now.extend_from_slice(bytes);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.step()?;
        let file = state.files.get_mut(&self.number).expect("it was made");
        let at = usize::try_from(offset).expect("small");
        file.now[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let file = state.files.get(&self.number).expect("it was made");
        let rest =
            usize::try_from(offset).ok().and_then(|at| file.now.get(at..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.step()?;
        let file = state.files.get_mut(&self.number).expect("it was made");
        file.durable = file.now.clone();
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.disk.state();
        Ok(state.files.get(&self.number).map_or(0, |file| file.now.len() as u64))
    }
}
