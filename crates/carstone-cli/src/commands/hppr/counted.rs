//! The file system of a repository under a progress bar, which counts the bytes that are read.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use carstone_hppr::{Disk, Held, RealDisk, Source, What};

use crate::progress::Progress;

/// That of the machine.
#[derive(Debug)]
pub(super) struct CountedDisk(pub Progress);

impl Disk for CountedDisk {
    fn create(&self, path: &Path, bytes: &[&[u8]]) -> io::Result<()> {
        RealDisk::default().create(path, bytes)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        RealDisk::default().sync(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk::default().sync_directory(path)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        RealDisk::default().sync_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk::default().rename(from, to)
    }

    fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        RealDisk::default().link(target, path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        RealDisk::default().create_directory(path)
    }

    fn remove(&self, path: &Path) -> io::Result<bool> {
        RealDisk::default().remove(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<bool> {
        RealDisk::default().remove_directory(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        let inner = RealDisk::default().open(path)?;
        Ok(Box::new(CountedSource { inner, progress: self.0.clone() }))
    }

    fn lock(&self, path: &Path, wait: bool) -> io::Result<Option<Box<dyn Held>>> {
        RealDisk::default().lock(path, wait)
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
}

struct CountedSource {
    inner: Box<dyn Source>,
    progress: Progress,
}

impl Read for CountedSource {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buf)?;
        self.progress.add(len as u64);
        Ok(len)
    }
}

impl Seek for CountedSource {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carstone_hppr::{Blob, CheckOptions, OpenOptions, Packet, Repository, StoreOptions};

    use super::*;

    #[test]
    fn what_a_check_reads_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let progress = Progress::hidden();
        let disk = Arc::new(CountedDisk(progress.clone()));
        let options = OpenOptions::default().disk(disk);
        let repository = Repository::init_with(folder.path(), options).expect("a repository");
        let packet = Packet::from(Blob::new(vec![7; 100_000]).expect("short"));
        repository.store(&packet, &StoreOptions::default()).expect("stored");
        let before = progress.done();
        let checked = repository.check(&CheckOptions::default(), &mut |_| {}).expect("checked");
        assert_eq!((checked.packets, checked.faults), (1, 0));
        assert_eq!(progress.done() - before, 100_000);
    }
}
