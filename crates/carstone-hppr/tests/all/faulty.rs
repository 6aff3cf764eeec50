//! A file system that fails from one of its steps on, as if the machine had stopped.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use carstone_hppr::{Disk, Held, RealDisk, Source, What};

/// Counts steps that change something. None of them waits for the disk: it is what would have been done before that counts here.
#[derive(Debug)]
pub struct Faulty {
    left: AtomicU64,
    is_stopped: std::sync::atomic::AtomicBool,
    room: Mutex<Option<(u64, io::ErrorKind)>>,
    denied: Mutex<Option<PathBuf>>,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            left: AtomicU64::new(u64::MAX),
            is_stopped: false.into(),
            room: Mutex::default(),
            denied: Mutex::default(),
        }
    }
}

impl Faulty {
    /// Lets so many steps through.
    pub fn stop_after(&self, steps: u64) {
        self.left.store(steps, Ordering::SeqCst);
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst)
    }

    /// Has room for so many names more, and then fails so.
    pub fn has_room(&self, names: u64, then: io::ErrorKind) {
        *self.room.lock().expect("nobody panics") = Some((names, then));
    }

    /// Lets nobody read this file.
    pub fn deny(&self, path: PathBuf) {
        *self.denied.lock().expect("nobody panics") = Some(path);
    }

    fn take_room(&self) -> io::Result<()> {
        match &mut *self.room.lock().expect("nobody panics") {
            Some((0, then)) => Err((*then).into()),
            Some((left, _)) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn step(&self) -> io::Result<()> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| match left {
            u64::MAX => Some(left),
            _ => left.checked_sub(1),
        });
        left.map(drop).map_err(|_| {
            self.is_stopped.store(true, Ordering::SeqCst);
            io::Error::other("the machine has stopped")
        })
    }
}

impl Disk for Faulty {
    fn create(&self, path: &Path, bytes: &[&[u8]]) -> io::Result<()> {
        let was_stopped = self.is_stopped();
        if let Err(error) = self.step() {
            if !was_stopped {
                // Half of it is there.
                let all = bytes.concat();
                let _ = RealDisk::default().create(path, &[&all[..all.len() / 2]]);
            }
            return Err(error);
        }
        self.take_room()?;
        RealDisk::default().create(path, bytes)
    }

    fn sync(&self, _: &Path) -> io::Result<()> {
        self.step()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        // That it is there is part of it.
        std::fs::read_dir(path).map(drop)
    }

    fn sync_all(&self, _: &Path) -> io::Result<()> {
        self.step()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        RealDisk::default().rename(from, to)
    }

    fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        self.step()?;
        self.take_room()?;
        RealDisk::default().link(target, path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        self.step()?;
        if !path.is_dir() {
            self.take_room()?;
        }
        RealDisk::default().create_directory(path)
    }

    fn remove(&self, path: &Path) -> io::Result<bool> {
        self.step()?;
        RealDisk::default().remove(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<bool> {
        self.step()?;
        RealDisk::default().remove_directory(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        if self.denied.lock().expect("nobody panics").as_deref() == Some(path) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        RealDisk::default().open(path)
    }

    fn look(&self, path: &Path) -> io::Result<Option<What>> {
        RealDisk::default().look(path)
    }

    fn target(&self, path: &Path) -> io::Result<PathBuf> {
        RealDisk::default().target(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(String, What)>> {
        RealDisk::default().list(path)
    }

    fn lock(&self, path: &Path, wait: bool) -> io::Result<Option<Box<dyn Held>>> {
        RealDisk::default().lock(path, wait)
    }
}
