//! Objects in memory and in services, behind the crate `object_store`.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutPayload};

use super::spool::Spool;
use super::{Content, Created, Object, Objects, Turn, end_of, upload};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Key;

/// Objects in memory, in S3-compatible and other services, or read over HTTP: whatever the crate `object_store` reaches.
#[derive(Clone, Debug)]
pub struct RemoteObjects {
    store: Arc<dyn ObjectStore>,
    /// What all keys begin with; empty, or it ends with a slash.
    prefix: String,
    name: Arc<str>,
    /// The same store, where it can go on with an upload.
    parts: Option<upload::Parts>,
}

impl RemoteObjects {
    /// Those of a store below `prefix`. Messages call it `name`.
    ///
    /// # Errors
    /// No key can begin with this.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, name: &str) -> Result<Self> {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{}/", Key::new(prefix)?),
        };
        Ok(Self { store, prefix, name: name.into(), parts: None })
    }

    /// An empty store in memory, which is gone with this value.
    pub fn in_memory() -> Self {
        let store = Arc::new(object_store::memory::InMemory::new());
        Self { store, prefix: String::new(), name: "memory:".into(), parts: None }
    }

    fn path(&self, key: &Key) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }

    /// The same, which notes after each so many bytes of an upload that they have arrived, in an object below `uploads/`, so that another run goes on
    /// there. Shorter objects are sent again from their beginning.
    #[must_use]
    pub fn resumable(mut self, store: Arc<dyn MultipartStore>, each: u64) -> Self {
        self.parts = Some(upload::Parts { store, each });
        self
    }

    async fn put(&self, key: &Key, content: Content, turn: Turn) -> Result<()> {
        let path = self.path(key);
        let bytes = match content {
            Content::Bytes(bytes) => bytes,
            Content::Spool(spool) if spool.len() <= upload::PART => {
                let all = 0..spool.len();
                upload::part(&Arc::new(spool), all).await?
            }
            Content::Spool(spool) => {
                let spool = Arc::new(spool);
                return match &self.parts {
                    Some(upload::Parts { store: parts, each }) if spool.len() >= *each => {
                        let note = self.path(&note_of(key)?);
                        let each =
                            usize::try_from(each / upload::PART).unwrap_or(usize::MAX).max(1);
                        let (store, parts, path) = (&*self.store, &**parts, &path);
                        let resumable = upload::Resumable { store, parts, path, note, each };
                        resumable.send(&spool, turn).await
                    }
                    _ => upload::send(&*self.store, &path, &spool, turn).await,
                };
            }
        };
        turn.come().await?;
        self.store.put(&path, PutPayload::from_bytes(bytes)).await.map(drop).map_err(told)
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>> {
        match self.store.head(&self.path(key)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(told(error)),
        }
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<(u64, object_store::GetResult)> {
        // The services refuse such a range in many ways.
        if let Some(range) = range.as_ref().filter(|range| range.start > range.end) {
            end_of(range, 0)?;
        }
        let options = GetOptions { range: range.clone().map(Into::into), ..GetOptions::default() };
        let got = self.store.get_opts(&self.path(key), options).await.map_err(told)?;
        let wanted = match range {
            None => got.meta.size,
            Some(range) => {
                end_of(&range, got.meta.size)?;
                if got.range != range {
                    let what = format!("bytes {}–{}", got.range.start, got.range.end);
                    return Err(Error::new(ErrorKind::NotTheRange(what)));
                }
                range.end - range.start
            }
        };
        Ok((wanted, got))
    }
}

#[async_trait]
impl Objects for RemoteObjects {
    async fn create(&self, key: &Key, content: Content) -> Result<Created> {
        self.create_in_turn(key, content, Turn::now()).await
    }

    async fn create_in_turn(&self, key: &Key, content: Content, turn: Turn) -> Result<Created> {
        let len = content.len();
        let create = async {
            let created = match self.head(key).await? {
                Some(size) if size == len => {
                    turn.come().await?;
                    return Ok(Created::Existed);
                }
                Some(_) => Created::Replaced,
                None => Created::New,
            };
            let put = self.put(key, content, turn).await;
            // Somebody else may have ended the upload that this one went on with.
            let is_over = put.as_ref().is_err_and(Error::is_not_found);
            if !is_over {
                put?;
            }
            match self.head(key).await? {
                Some(found) if found == len && is_over => Ok(Created::Existed),
                Some(found) if found == len => Ok(created),
                found => {
                    let found = found.unwrap_or_default();
                    Err(Error::new(ErrorKind::Short { expected: len, found }))
                }
            }
        };
        create.await.map_err(|error| error.of(key))
    }

    async fn replace(&self, key: &Key, content: Content) -> Result<()> {
        self.put(key, content, Turn::now()).await.map_err(|error| error.of(key))
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        if range.start == range.end {
            return Ok(Bytes::new());
        }
        let read = async {
            let (wanted, got) = self.get(key, Some(range)).await?;
            let bytes = got.bytes().await.map_err(told)?;
            match bytes.len() as u64 == wanted {
                true => Ok(bytes),
                false => {
                    let found = bytes.len() as u64;
                    Err(Error::new(ErrorKind::Short { expected: wanted, found }))
                }
            }
        };
        read.await.map_err(|error| error.of(key))
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        if range.as_ref().is_some_and(|range| range.start == range.end) {
            return Ok(stream::empty().boxed());
        }
        let (wanted, got) = self.get(key, range).await.map_err(|error| error.of(key))?;
        let pieces = got.into_stream().map_err(told);
        let counted = stream::try_unfold((pieces, 0_u64), move |(mut pieces, so_far)| async move {
            match pieces.try_next().await? {
                Some(piece) => {
                    let found = so_far.saturating_add(piece.len() as u64);
                    match found <= wanted {
                        true => Ok(Some((piece, (pieces, found)))),
                        false => Err(Error::new(ErrorKind::NotTheRange("more".to_owned()))),
                    }
                }
                None if so_far == wanted => Ok(None),
                None => Err(Error::new(ErrorKind::Short { expected: wanted, found: so_far })),
            }
        });
        let key = key.clone();
        Ok(counted.map_err(move |error: Error| error.of(&key)).boxed())
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.head(key).await.map_err(|error| error.of(key))
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let wanted = format!("{}{prefix}", self.prefix);
        // The service lists below a step, and not by any prefix.
        let above = wanted.rsplit_once('/').map(|(above, _)| Path::from(above));
        let own = self.prefix.len();
        let name = format!("{}/{prefix}", self.name.trim_end_matches('/'));
        let listed = self.store.list(above.as_ref()).map_err(move |error| told(error).of(&name));
        let objects = listed.try_filter_map(move |meta| {
            let key = meta.location.as_ref();
            let object = key.starts_with(&wanted).then(|| Object {
                key: key.get(own..).unwrap_or_default().to_owned(),
                size: meta.size,
                modified: Some(meta.last_modified.into()),
            });
            async move { Ok(object) }
        });
        objects.boxed()
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let delete = async {
            if self.head(key).await?.is_none() {
                return Ok(false);
            }
            match self.store.delete(&self.path(key)).await {
                Ok(()) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(told(error)),
            }
        };
        delete.await.map_err(|error: Error| error.of(key))
    }

    fn spool(&self) -> Result<Spool> {
        Spool::unnamed()
    }

    async fn clean(&self, age: Duration) -> Result<u64> {
        let Some(parts) = &self.parts else { return Ok(0) };
        let before = SystemTime::now().checked_sub(age);
        let notes: Vec<_> = self.list(UPLOADS).try_collect().await?;
        let is_old = |note: &Object| note.modified.zip(before).is_some_and(|(at, by)| at <= by);
        let mut count = 0;
        for note in notes.iter().filter(|note| is_old(note)) {
            let of = note.key.strip_prefix(UPLOADS).and_then(|key| key.strip_suffix(NOTE));
            let Some(key) = of.and_then(|key| Key::new(key).ok()) else { continue };
            let at = self.path(&note_of(&key)?);
            let given_up =
                upload::give_up(&*self.store, &*parts.store, &self.path(&key), &at).await;
            given_up.map_err(|error| error.of(&note.key))?;
            count += 1;
        }
        Ok(count)
    }
}

impl fmt::Display for RemoteObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What an error of the service means here.
pub(super) fn told(error: object_store::Error) -> Error {
    use object_store::Error as Remote;
    Error::new(match error {
        Remote::NotFound { .. } => ErrorKind::NotFound,
        Remote::PermissionDenied { .. } | Remote::Unauthenticated { .. } => {
            ErrorKind::Denied(io::Error::other(error))
        }
        Remote::NotSupported { .. } | Remote::NotImplemented { .. } => {
            ErrorKind::Io(io::Error::new(io::ErrorKind::Unsupported, error))
        }
        error => ErrorKind::Io(io::Error::other(error)),
    })
}

/// Where it is noted how much of an object has been sent.
fn note_of(key: &Key) -> Result<Key> {
    Key::new(&format!("{UPLOADS}{key}{NOTE}"))
}

const UPLOADS: &str = "uploads/";
const NOTE: &str = ".json";
