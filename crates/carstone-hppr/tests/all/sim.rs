//! A file system in memory that loses its power: what was not made durable is lost then, or not, as it likes.

mod disk;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use carstone_hppr::What;

use crate::losses::Lost;
use crate::sample::{Node, Tree};

/// The file system. Its clones are the same one.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

/// Things by number. What a number is of never changes, but for what a directory has in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) things: BTreeMap<u64, Thing>,
    /// Changes of names that are not durable, in their order: each is of names that change at once.
    pub(crate) changes: Vec<Vec<Change>>,
    next: u64,
    locked: BTreeSet<PathBuf>,
    /// Steps that are left before the machine stops.
    left: Option<u64>,
    done: u64,
    syncs: u64,
    is_stopped: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Thing {
    File {
        bytes: Arc<Vec<u8>>,
        is_durable: bool,
    },
    /// Its target is there whenever its name is.
    Link(PathBuf),
    Directory {
        now: Names,
        durable: Names,
    },
}

pub(crate) type Names = BTreeMap<String, u64>;

/// That a name in a directory is of something else from then on, or of nothing.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) directory: u64,
    pub(crate) name: String,
    pub(crate) is: Option<u64>,
}

/// The root directory.
pub(crate) const ROOT: u64 = 0;

impl Default for SimDisk {
    fn default() -> Self {
        let mut state = State { next: ROOT + 1, ..State::default() };
        state.things.insert(ROOT, empty());
        Self::of(state)
    }
}

impl SimDisk {
    pub(crate) fn of(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panicked with it")
    }

    /// Stops the machine behind so many steps.
    pub fn stop_after(&self, steps: u64) {
        self.state().left = Some(steps);
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.state().done
    }

    /// How often all was made durable so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// The same file system once more, which goes its own way from here, and on which no process is left.
    pub fn fork(&self) -> Self {
        let state = self.state();
        let (things, changes) = (state.things.clone(), state.changes.clone());
        Self::of(State { things, changes, next: state.next, ..State::default() })
    }

    /// What is there when there is power again.
    pub fn after(&self, lost: Lost) -> Self {
        let state = self.state();
        let mut things = BTreeMap::new();
        let mut left = vec![ROOT];
        while let Some(number) = left.pop() {
            let thing = state.after(number, lost);
            if let Thing::Directory { now, .. } = &thing {
                left.extend(now.values());
            }
            things.insert(number, thing);
        }
        Self::of(State { things, next: state.next, ..State::default() })
    }

    /// Flips a bit of a file, behind everybody's back.
    pub fn flip(&self, path: &str) {
        let mut state = self.state();
        let number = state.find(Path::new(path)).expect("it is there");
        let Some(Thing::File { bytes, .. }) = state.things.get_mut(&number) else {
            panic!("a file");
        };
        Arc::make_mut(bytes)[0] ^= 1;
    }

    /// Takes a name away, with all that is below it, behind everybody's back.
    pub fn lose(&self, path: &str) {
        let mut state = self.state();
        let (directory, name, _) = state.place(Path::new(path)).expect("it is there");
        if let Some(Thing::Directory { now, durable }) = state.things.get_mut(&directory) {
            now.remove(&name).expect("it is there");
            durable.remove(&name);
        }
    }

    /// All that is below a directory, but what writers have there: see [`Tree`].
    pub fn tree(&self, root: &str) -> Tree {
        let (state, mut tree) = (self.state(), Tree::new());
        let number = state.find(Path::new(root)).expect("it is there");
        state.walk(number, "", &mut tree);
        tree
    }
}

fn empty() -> Thing {
    Thing::Directory { now: Names::new(), durable: Names::new() }
}

impl State {
    fn walk(&self, number: u64, prefix: &str, tree: &mut Tree) {
        for (name, number) in self.names(number).expect("a directory") {
            let path = format!("{prefix}{name}");
            let node = match self.things.get(number).expect("it was made") {
                _ if path == ".tmp" => continue,
                Thing::File { bytes, .. } => Node::File(bytes.to_vec()),
                Thing::Link(target) => Node::Link(target.to_str().expect("text").to_owned()),
                Thing::Directory { now, .. } if now.is_empty() => Node::Empty,
                Thing::Directory { .. } => {
                    self.walk(*number, &format!("{path}/"), tree);
                    continue;
                }
            };
            tree.insert(path, node);
        }
    }

    /// What only looks: it fails when the machine has stopped.
    fn looks(&self) -> io::Result<()> {
        match self.is_stopped {
            true => Err(io::Error::other("the machine has stopped")),
            false => Ok(()),
        }
    }

    fn step(&mut self) -> io::Result<()> {
        self.done += 1;
        match &mut self.left {
            Some(0) => self.is_stopped = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.looks()
    }

    fn names(&self, directory: u64) -> io::Result<&Names> {
        match self.things.get(&directory) {
            Some(Thing::Directory { now, .. }) => Ok(now),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let mut at = ROOT;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let found = self.names(at)?.get(name.to_str().expect("text"));
                at = *found.ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(at)
    }

    /// The directory that a path is in, the last name of it, and what has that.
    fn place(&self, path: &Path) -> io::Result<(u64, String, Option<u64>)> {
        let directory = self.find(path.parent().expect("a directory"))?;
        let name = path.file_name().expect("a name").to_str().expect("text").to_owned();
        let is = self.names(directory)?.get(&name).copied();
        Ok((directory, name, is))
    }

    fn add(&mut self, path: &Path, thing: Thing) -> io::Result<()> {
        let (directory, name, is) = self.place(path)?;
        if is.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let number = self.next;
        self.next += 1;
        self.things.insert(number, thing);
        self.change(vec![Change { directory, name, is: Some(number) }]);
        Ok(())
    }

    fn change(&mut self, changes: Vec<Change>) {
        for Change { directory, name, is } in &changes {
            if let Some(Thing::Directory { now, .. }) = self.things.get_mut(directory) {
                match is {
                    Some(number) => now.insert(name.clone(), *number),
                    None => now.remove(name),
                };
            }
        }
        self.changes.push(changes);
    }

    fn is_directory(&self, number: u64) -> bool {
        matches!(self.things.get(&number), Some(Thing::Directory { .. }))
    }

    fn what(&self, number: u64) -> What {
        match self.things.get(&number).expect("it was made") {
            Thing::File { bytes, .. } => What::File(bytes.len() as u64),
            Thing::Link(_) => What::Link,
            Thing::Directory { .. } => What::Directory,
        }
    }
}
