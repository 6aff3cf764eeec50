//! The file system of the machine, with faults.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use carstone_store::{Disk, DiskEntry, DiskFile, RealDisk};

/// What is asked of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Open,
    Rename,
    Remove,
    CreateDirectory,
    SyncDirectory,
    Size,
    List,
    Append,
    WriteAt,
    ReadAt,
    Sync,
}

impl Operation {
    /// Whether it changes what is on the disk.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::Size | Self::List | Self::ReadAt)
    }
}

/// The file system. Its clones are the same one.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    plan: Arc<Mutex<Option<Plan>>>,
    /// Bytes that one read gives at the most; 0: all.
    most: usize,
}

type Plan = Box<dyn FnMut(Operation, &Path) -> Option<io::Error> + Send>;

impl FaultyDisk {
    /// One whose reads give so many bytes at the most.
    pub fn stuttering(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// What goes wrong from now on.
    pub fn plan(
        &self,
        mut plan: impl FnMut(Operation, &Path) -> Option<io::ErrorKind> + Send + 'static,
    ) {
        self.fail(move |operation, path| plan(operation, path).map(io::Error::from));
    }

    /// The same, with errors as the system gives them.
    pub fn fail(&self, plan: impl FnMut(Operation, &Path) -> Option<io::Error> + Send + 'static) {
        *self.plan.lock().expect("no plan panicked") = Some(Box::new(plan));
    }

    /// Nothing goes wrong from now on.
    pub fn behave(&self) {
        *self.plan.lock().expect("no plan panicked") = None;
    }

    fn ask(&self, operation: Operation, path: &Path) -> io::Result<()> {
        match &mut *self.plan.lock().expect("no plan panicked") {
            Some(plan) => plan(operation, path).map_or(Ok(()), Err),
            None => Ok(()),
        }
    }

    fn file(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultyFile { disk: self.clone(), path: path.into(), file })
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    path: Box<Path>,
    file: Box<dyn DiskFile>,
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.ask(Operation::Create, path)?;
        Ok(self.file(path, RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.ask(Operation::Open, path)?;
        Ok(self.file(path, RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Operation::Rename, to)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::Remove, path)?;
        RealDisk.remove(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        // One that is there is no trouble to any disk.
        if !path.is_dir() {
            self.ask(Operation::CreateDirectory, path)?;
        }
        RealDisk.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.ask(Operation::SyncDirectory, path)?;
        RealDisk.sync_directory(path)
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        self.ask(Operation::Size, path)?;
        RealDisk.size(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DiskEntry>> {
        self.ask(Operation::List, path)?;
        RealDisk.list(path)
    }
}

impl DiskFile for FaultyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.ask(Operation::Append, &self.path)?;
        self.file.append(bytes)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.ask(Operation::WriteAt, &self.path)?;
        self.file.write_at(bytes, offset)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.ask(Operation::ReadAt, &self.path)?;
        let most = if self.disk.most == 0 { buf.len() } else { buf.len().min(self.disk.most) };
        self.file.read_at(&mut buf[..most], offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.ask(Operation::Sync, &self.path)?;
        self.file.sync()
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyDisk")
    }
}
