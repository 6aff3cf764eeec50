//! The steps of the file system in memory.

use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use carstone_hppr::{Disk, Held, Source, What};

use super::{Change, SimDisk, Thing, empty};

impl Disk for SimDisk {
    fn create(&self, path: &Path, bytes: &[&[u8]]) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.add(path, Thing::File { bytes: Arc::new(bytes.concat()), is_durable: false })
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let number = state.find(path)?;
        match state.things.get_mut(&number) {
            Some(Thing::File { is_durable, .. }) => *is_durable = true,
            _ => return Err(io::Error::other("it is no file")),
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let number = state.find(path)?;
        match state.things.get_mut(&number) {
            Some(Thing::Directory { now, durable }) => *durable = now.clone(),
            _ => return Err(io::ErrorKind::NotADirectory.into()),
        }
        for changes in &mut state.changes {
            changes.retain(|change| change.directory != number);
        }
        state.changes.retain(|changes| !changes.is_empty());
        Ok(())
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.find(path)?;
        state.syncs += 1;
        for thing in state.things.values_mut() {
            match thing {
                Thing::File { is_durable, .. } => *is_durable = true,
                Thing::Directory { now, durable } => *durable = now.clone(),
                Thing::Link(_) => {}
            }
        }
        state.changes.clear();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let (directory, name, is) = state.place(from)?;
        let is = is.ok_or(io::ErrorKind::NotFound)?;
        let (new_directory, new_name, was) = state.place(to)?;
        if [Some(is), was].into_iter().flatten().any(|number| state.is_directory(number)) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        state.change(vec![
            Change { directory: new_directory, name: new_name, is: Some(is) },
            Change { directory, name, is: None },
        ]);
        Ok(())
    }

    fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.add(path, Thing::Link(target.to_owned()))
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.state();
        state.step()?;
        match state.find(path) {
            Ok(number) if state.is_directory(number) => Ok(false),
            _ => state.add(path, empty()).map(|()| true),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.state();
        state.step()?;
        let (directory, name, is) = match state.place(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            place => place?,
        };
        match is {
            None => Ok(false),
            Some(number) if state.is_directory(number) => Err(io::ErrorKind::IsADirectory.into()),
            Some(_) => {
                state.change(vec![Change { directory, name, is: None }]);
                Ok(true)
            }
        }
    }

    fn remove_directory(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.state();
        state.step()?;
        let (directory, name, is) = match state.place(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            place => place?,
        };
        let Some(number) = is else { return Ok(false) };
        let is_empty = state.names(number)?.is_empty();
        if is_empty {
            state.change(vec![Change { directory, name, is: None }]);
        }
        Ok(is_empty)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let state = self.state();
        state.looks()?;
        match state.things.get(&state.find(path)?) {
            Some(Thing::File { bytes, .. }) => Ok(Box::new(Cursor::new(bytes.to_vec()))),
            _ => Err(io::Error::other("it is no regular file")),
        }
    }

    fn look(&self, path: &Path) -> io::Result<Option<What>> {
        let state = self.state();
        state.looks()?;
        Ok(state.find(path).ok().map(|number| state.what(number)))
    }

    fn target(&self, path: &Path) -> io::Result<PathBuf> {
        let state = self.state();
        state.looks()?;
        match state.things.get(&state.find(path)?) {
            Some(Thing::Link(target)) => Ok(target.clone()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, What)>> {
        let state = self.state();
        state.looks()?;
        let names = state.names(state.find(path)?)?.iter();
        Ok(names.map(|(name, number)| (name.clone(), state.what(*number))).collect())
    }

    fn lock(&self, path: &Path, wait: bool) -> io::Result<Option<Box<dyn Held>>> {
        let mut state = self.state();
        if state.find(path).is_err() {
            state.step()?;
            state.add(path, Thing::File { bytes: Arc::default(), is_durable: false })?;
        }
        // Each test has one thread, so that to wait would be for ever.
        match state.locked.insert(path.to_owned()) {
            true => Ok(Some(Box::new(HeldPath { disk: self.clone(), path: path.to_owned() }))),
            false if wait => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(None),
        }
    }
}

#[derive(Debug)]
struct HeldPath {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for HeldPath {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.path);
    }
}
