//! Objects as files of a directory.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::ReadAt;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::disk::{Disk, DiskEntry, DiskFile, RealDisk};
use super::spool::{PREFIX, Spool};
use super::{Content, Created, Object, Objects, end_of};
use crate::error::{Error, ErrorKind, Result};
use crate::name::{Key, is_random};

/// Objects as files of a directory. Each is written under another name, made durable, and then renamed; so is every directory on the way.
#[derive(Clone, Debug)]
pub struct LocalObjects {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Directories whose own names are known to be durable.
    durable: Mutex<HashSet<PathBuf>>,
    /// Files that are kept open: a weak reference to each, as long as it may be.
    open: Mutex<Vec<Weak<dyn DiskFile>>>,
}

impl LocalObjects {
    /// Those below this directory, which is there.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::on(Arc::new(RealDisk), root)
    }

    /// The same on another file system.
    pub fn on(disk: Arc<dyn Disk>, root: impl Into<PathBuf>) -> Self {
        let inner =
            Inner { disk, root: root.into(), durable: Mutex::default(), open: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Does what may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }

    /// All that has a key which begins with `prefix`, and is no directory.
    fn entries(&self, prefix: &str) -> BoxStream<'static, Result<(String, DiskEntry)>> {
        let directory =
            prefix.rsplit_once('/').map_or(String::new(), |(above, _)| format!("{above}/"));
        let (store, prefix) = (self.clone(), prefix.to_owned());
        let listed = stream::try_unfold(VecDeque::from([directory]), move |mut left| {
            let (store, prefix) = (store.clone(), prefix.clone());
            async move {
                let Some(directory) = left.pop_front() else { return Ok::<_, Error>(None) };
                let entries = store.run(move |inner| inner.list(&directory)).await?;
                let mut found = Vec::new();
                for (key, entry) in entries {
                    match entry.is_directory {
                        true => left.push_back(format!("{key}/")),
                        false if key.starts_with(&prefix) => found.push(Ok((key, entry))),
                        false => {}
                    }
                }
                Ok(Some((stream::iter(found), left)))
            }
        });
        listed.try_flatten().boxed()
    }
}

/// Does it on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::new(ErrorKind::Io(std::io::Error::other(error)))),
    }
}

impl Inner {
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn create(&self, key: &Key, content: Content, is_damaged: bool) -> Result<Created> {
        let (path, len) = (self.path(key), content.len());
        let directory = path.parent().unwrap_or(&self.root);
        self.make_directory(directory)?;
        let created = match self.disk.size(&path)? {
            Some(size) if size == len && !is_damaged && self.has(&path, &content)? => {
                // Whoever made it may not have come to this yet.
                self.disk.sync_directory(directory)?;
                return Ok(Created::Existed);
            }
            Some(_) => Created::Replaced,
            None => Created::New,
        };
        let spool = match content {
            Content::Spool(spool) if spool.is_in(&self.root) => spool,
            Content::Spool(other) => {
                let mut spool = Spool::named(&self.disk, &self.root)?;
                let mut buffer = vec![0; PIECE];
                let mut at = 0;
                loop {
                    match other.read_at(&mut buffer, at)? {
                        0 => break spool,
                        n => spool.append(&buffer[..n])?,
                    }
                    at = spool.len();
                }
            }
            Content::Bytes(bytes) => {
                let mut spool = Spool::named(&self.disk, &self.root)?;
                spool.append(&bytes)?;
                spool
            }
        };
        spool.sync()?;
        spool.rename(&path)?;
        self.disk.sync_directory(directory)?;
        Ok(created)
    }

    /// Whether the file of an object has these bytes, of which there are as many. One that cannot be read has others: these take its place.
    fn has(&self, path: &Path, content: &Content) -> Result<bool> {
        let file = match self.disk.open(path) {
            // It was removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            file => file?,
        };
        let (mut at, mut is_same) = (0, true);
        content.for_each(&mut |piece| {
            for piece in piece.chunks(PIECE) {
                let end = at + piece.len() as u64;
                is_same = is_same && read_range(&*file, at..end).is_ok_and(|old| old == piece);
                at = end;
            }
        })?;
        Ok(is_same)
    }

    /// Makes a directory and all above it, and their names durable.
    fn make_directory(&self, directory: &Path) -> Result<()> {
        let is_durable = |path: &Path| {
            self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
        };
        if directory == self.root || is_durable(directory) {
            return Ok(());
        }
        let above = directory.parent().unwrap_or(&self.root);
        self.make_directory(above)?;
        self.disk.create_directory(directory)?;
        // One that was there may have been made a moment ago, by someone who has not come to this yet.
        self.disk.sync_directory(above)?;
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).insert(directory.to_owned());
        Ok(())
    }

    fn open(&self, key: &Key) -> Result<Box<dyn DiskFile>> {
        Ok(self.disk.open(&self.path(key))?)
    }

    /// A file that stays open, if not too many are.
    fn open_to_stay(&self, key: &Key) -> Result<Option<Arc<dyn DiskFile>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|file| file.strong_count() > 0);
        if open.len() >= MOST_OPEN {
            return Ok(None);
        }
        let file = Arc::<dyn DiskFile>::from(self.open(key)?);
        open.push(Arc::downgrade(&file));
        Ok(Some(file))
    }

    fn list(&self, directory: &str) -> Result<Vec<(String, DiskEntry)>> {
        let path = if directory.is_empty() { self.root.clone() } else { self.root.join(directory) };
        let entries = match self.disk.list(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::from(error).of(path.display())),
            Ok(entries) => entries,
        };
        let named = entries.into_iter().filter(|entry| !entry.name.starts_with(PREFIX));
        Ok(named.map(|entry| (format!("{directory}{}", entry.name), entry)).collect())
    }

    fn clean(&self, age: Duration) -> Result<u64> {
        let Some(before) = SystemTime::now().checked_sub(age) else { return Ok(0) };
        let mut count = 0;
        let entries = self.disk.list(&self.root);
        for entry in entries.map_err(|error| Error::from(error).of(self.root.display()))? {
            let is_old = entry.modified.is_none_or(|modified| modified <= before);
            if is_spool(&entry) && is_old {
                match self.disk.remove(&self.root.join(&entry.name)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(Error::from(error).of(entry.name));
                    }
                    _ => count += 1,
                }
            }
        }
        Ok(count)
    }
}

#[async_trait]
impl Objects for LocalObjects {
    async fn create(&self, key: &Key, content: Content) -> Result<Created> {
        let owned = key.clone();
        let created = self.run(move |inner| inner.create(&owned, content, false));
        created.await.map_err(|error| error.of(key))
    }

    async fn replace(&self, key: &Key, content: Content) -> Result<()> {
        let owned = key.clone();
        let replaced = self.run(move |inner| inner.create(&owned, content, true));
        replaced.await.map(drop).map_err(|error| error.of(key))
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        let owned = key.clone();
        let read = self.run(move |inner| {
            let file = inner.open(&owned)?;
            end_of(&range, file.size()?)?;
            read_range(&*file, range)
        });
        read.await.map_err(|error| error.of(key))
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let owned = key.clone();
        let opened = self.run(move |inner| {
            let file = inner.open(&owned)?;
            let size = file.size()?;
            let range = range.unwrap_or(0..size);
            end_of(&range, size)?;
            Ok((Arc::<dyn DiskFile>::from(file), range))
        });
        let (file, range) = opened.await.map_err(|error| error.of(key))?;
        let key = key.clone();
        let pieces = stream::try_unfold((file, range), |(file, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end.min(range.start.saturating_add(PIECE as u64));
            let (source, piece) = (Arc::clone(&file), range.start..end);
            let bytes = blocking(move || read_range(&*source, piece)).await?;
            Ok(Some((bytes, (file, end..range.end))))
        });
        Ok(pieces.map(move |piece| piece.map_err(|error: Error| error.of(&key))).boxed())
    }

    async fn open_file(&self, key: &Key) -> Result<Option<Arc<dyn DiskFile>>> {
        let owned = key.clone();
        let opened = self.run(move |inner| inner.open_to_stay(&owned));
        opened.await.map_err(|error| error.of(key))
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        let owned = key.clone();
        let size = self.run(move |inner| Ok(inner.disk.size(&inner.path(&owned))?));
        size.await.map_err(|error| error.of(key))
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let objects = self.entries(prefix).try_filter_map(|(key, entry)| async move {
            let DiskEntry { size, modified, .. } = entry;
            Ok(entry.is_file.then(|| Object::new(key, size, modified)))
        });
        objects.boxed()
    }

    async fn odd(&self, prefix: &str) -> Result<Vec<String>> {
        let odd = self
            .entries(prefix)
            .try_filter_map(|(key, entry)| async move { Ok((!entry.is_file).then_some(key)) });
        odd.try_collect().await
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let owned = key.clone();
        let removed = self.run(move |inner| {
            let path = inner.path(&owned);
            match inner.disk.remove(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
                removed => removed?,
            }
            inner.disk.sync_directory(path.parent().unwrap_or(&inner.root))?;
            Ok(true)
        });
        removed.await.map_err(|error| error.of(key))
    }

    fn spool(&self) -> Result<Spool> {
        Spool::named(&self.inner.disk, &self.inner.root)
    }

    /// A writer that still works has touched its file since.
    async fn clean(&self, age: Duration) -> Result<u64> {
        self.run(move |inner| inner.clean(age)).await
    }
}

impl fmt::Display for LocalObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.root.display().fmt(f)
    }
}

/// Whether an entry is a file of a writer, and not one of somebody else that is called alike.
fn is_spool(entry: &DiskEntry) -> bool {
    entry.is_file && entry.name.strip_prefix(PREFIX).is_some_and(is_random)
}

/// The bytes of a range, all of them.
pub(crate) fn read_range(file: &dyn DiskFile, range: Range<u64>) -> Result<Bytes> {
    let expected = range.end.saturating_sub(range.start);
    let len = usize::try_from(expected).map_err(std::io::Error::other)?;
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut bytes[filled..], range.start.saturating_add(filled as u64))? {
            0 => {
                let found = filled as u64;
                return Err(Error::new(ErrorKind::Short { expected, found }));
            }
            n => filled += n,
        }
    }
    Ok(bytes.into())
}

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;
/// Files that are kept open at the most: a process may often have no more than 1024.
const MOST_OPEN: usize = 256;
