//! A file system in memory that crashes: what was not made durable is lost, or not, as it likes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

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
    /// Names are, and of what was written to each file only the first part.
    Torn,
    /// Names are, and files have their lengths, with zeros in place of what was written.
    Zeroed,
    /// Each name and each content is there or not, as this seed has it, in no order.
    Some(u64),
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

    /// The same file system once more, which goes its own way from here.
    pub fn fork(&self) -> Self {
        let state = self.state();
        let (files, now, durable) = (state.files.clone(), state.now.clone(), state.durable.clone());
        let state = State { files, now, durable, next: state.next, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Flips a bit of a file, behind everybody's back.
    pub fn flip(&self, path: &str, at: usize) {
        let mut state = self.state();
        let number = state.number(Path::new(path)).expect("a file");
        let file = state.files.get_mut(&number).expect("it was made");
        file.now[at] ^= 1;
        file.durable.get_mut(at).into_iter().for_each(|byte| *byte ^= 1);
    }

    /// Takes a file away, behind everybody's back.
    pub fn lose(&self, path: &str) {
        let mut state = self.state();
        state.now.remove(Path::new(path)).expect("a file");
        state.durable.remove(Path::new(path));
    }

    /// All names, with the contents of files.
    pub fn content(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let state = self.state();
        let content = |number: u64| state.files.get(&number).expect("it was made").now.clone();
        let names = state.now.iter();
        names.map(|(path, number)| (path.clone(), number.map(content))).collect()
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.state().done
    }

    /// What is there when the machine is up again.
    pub fn after_crash(&self, lost: Lost) -> Self {
        let state = self.state();
        let names = match lost {
            Lost::All => state.durable.clone(),
            Lost::Some(seed) => state.some_names(seed),
            _ => state.now.clone(),
        };
        let file = |number: u64, file: &File| {
            let content = file.after(lost, number);
            File { now: content.clone(), durable: content }
        };
        let files =
            state.files.iter().map(|(number, content)| (*number, file(*number, content))).collect();
        let next = state.next;
        let state = State { files, now: names.clone(), durable: names, next, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl File {
    /// What it has after a crash.
    fn after(&self, lost: Lost, number: u64) -> Vec<u8> {
        // What was made durable and not touched since is there in any case.
        if self.now == self.durable {
            return self.now.clone();
        }
        match lost {
            Lost::All | Lost::Contents => self.durable.clone(),
            Lost::Nothing => self.now.clone(),
            Lost::Torn => self.torn(self.now.len() / 2),
            Lost::Zeroed => self.zeroed(),
            Lost::Some(seed) => match mixed(seed, number) % 4 {
                0 => self.durable.clone(),
                1 => self.now.clone(),
                2 => self.torn(mixed(seed, !number) as usize % (self.now.len() + 1)),
                _ => self.zeroed(),
            },
        }
    }

    /// The first bytes as they are now, and the others as they were.
    fn torn(&self, len: usize) -> Vec<u8> {
        let mut content = self.now[..len].to_vec();
        content.extend(self.durable.iter().skip(len));
        content
    }

    fn zeroed(&self) -> Vec<u8> {
        let mut content = self.durable.clone();
        content.resize(self.now.len(), 0);
        content
    }
}

impl State {
    /// Each name as it was or as it is, where both are there to be chosen from.
    fn some_names(&self, seed: u64) -> Names {
        let paths: BTreeSet<&PathBuf> = self.now.keys().chain(self.durable.keys()).collect();
        let mut names = Names::new();
        for (number, path) in paths.into_iter().enumerate() {
            let chosen = match mixed(seed, number as u64) % 2 {
                0 => self.now.get(path),
                _ => self.durable.get(path),
            };
            // A directory that is lost takes with it what is in it; it comes before that.
            let has_parent =
                path.parent().is_none_or(|parent| names.contains_key(parent) || names.is_empty());
            if let Some(content) = chosen.filter(|_| has_parent) {
                names.insert(path.clone(), *content);
            }
        }
        names
    }

    /// What only looks: it fails when the machine is down.
    fn look(&self) -> io::Result<()> {
        match self.crashed {
            true => Err(io::Error::other("the machine has crashed")),
            false => Ok(()),
        }
    }

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
        let state = self.state();
        state.look()?;
        let number = state.number(path)?;
        drop(state);
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
        state.look()?;
        match state.now.get(path) {
            None => Ok(None),
            Some(None) => Err(io::Error::other("it is a directory")),
            Some(Some(number)) => Ok(state.files.get(number).map(|file| file.now.len() as u64)),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DiskEntry>> {
        let state = self.state();
        state.look()?;
        if state.now.get(path) != Some(&None) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.now.iter().filter(|(name, _)| name.parent() == Some(path));
        let entries = inside.map(|(name, number)| DiskEntry {
            name: name.file_name().expect("a name").to_str().expect("text").to_owned(),
            is_directory: number.is_none(),
            is_file: number.is_some(),
            size: number
                .and_then(|number| state.files.get(&number))
                .map_or(0, |file| file.now.len() as u64),
            modified: Some(SystemTime::UNIX_EPOCH),
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
        state.look()?;
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
        state.look()?;
        Ok(state.files.get(&self.number).map_or(0, |file| file.now.len() as u64))
    }
}

/// A number that follows from both, and looks like chance.
fn mixed(seed: u64, number: u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_add(0x1234_5678);
    for shift in [30, 27, 31] {
        state = (state ^ (state >> shift)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    state ^ (state >> 29)
}
