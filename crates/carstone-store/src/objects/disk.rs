//! What a store in a directory asks of a file system, so that tests can crash one at any moment.

use std::fmt;
use std::fs::{self, DirEntry, File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::SystemTime;

/// A file system: the few operations whose order makes a store safe.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a new file. It is an error if there is one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a regular file to read it. Whatever else has this name is an error, and nothing waits for it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in place of a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory, and says whether there was none.
    fn create_directory(&self, path: &Path) -> io::Result<bool>;

    /// Makes sure that the names in a directory stay after a crash.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Bytes of a file; `None` if there is none.
    fn size(&self, path: &Path) -> io::Result<Option<u64>>;

    /// What is in a directory.
    fn list(&self, path: &Path) -> io::Result<Vec<DiskEntry>>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Writes behind what has been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Writes over what has been written.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads at an offset; 0 bytes at the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Makes sure that the content stays after a crash.
    fn sync(&self) -> io::Result<()>;

    /// Bytes of the file.
    fn size(&self) -> io::Result<u64>;
}

/// A name in a directory.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "file systems of others make it")]
pub struct DiskEntry {
    /// The name. One that is no text is shown as well as it can be, and is neither of a directory nor of a file.
    pub name: String,
    /// Whether it is a directory, and no link to one.
    pub is_directory: bool,
    /// Whether it is a regular file, or a link to one.
    pub is_file: bool,
    /// Bytes of a file.
    pub size: u64,
    /// When it was written.
    pub modified: Option<SystemTime>,
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).write(true).create_new(true).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        // To open a device may do something, and to open a FIFO waits for whoever writes to it.
        regular(&fs::metadata(path)?)?;
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;

            use rustix::fs::OFlags;
            // It may have become another one by now.
            options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
        }
        let file = options.read(true).open(path)?;
        regular(&file.metadata()?)?;
        Ok(Box::new(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        // Elsewhere a directory cannot be opened, and names are kept with the files.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn size(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) => regular(&metadata).map(|()| Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DiskEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) if metadata.is_symlink() => linked(&entry)?.unwrap_or(metadata),
                Ok(metadata) => metadata,
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let name = entry.file_name();
            // No object has a name that is no text.
            let is_text = name.to_str().is_some();
            entries.push(DiskEntry {
                name: name.to_string_lossy().into_owned(),
                // A link to a directory may lead out of this one, or round in a circle.
                is_directory: is_text && entry.file_type()?.is_dir(),
                is_file: is_text && metadata.is_file(),
                size: metadata.len(),
                modified: metadata.modified().ok(),
            });
        }
        Ok(entries)
    }
}

/// What a link leads to; `None` if that is nothing.
///
/// # Errors
/// It cannot be found out: it may well be an object. The error names the link.
fn linked(entry: &DirEntry) -> io::Result<Option<Metadata>> {
    match fs::metadata(entry.path()) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if leads_nowhere(&error) => Ok(None),
        Err(error) => {
            let name = entry.file_name();
            Err(io::Error::new(error.kind(), format!("{}: {error}", name.display())))
        }
    }
}

fn leads_nowhere(error: &io::Error) -> bool {
    #[cfg(unix)]
    if rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP) {
        return true;
    }
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is no regular file")),
    }
}

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)?;
        self.seek(SeekFrom::End(0)).map(drop)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        carstone_car::ReadAt::read_at(self, buf, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn size(&self) -> io::Result<u64> {
        carstone_car::ReadAt::size(self)
    }
}
