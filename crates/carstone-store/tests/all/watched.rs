//! Objects that say what was read of them, and leave things out of lists.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;

use bytes::Bytes;
use carstone_store::{Content, Created, Key, Object, Objects, RemoteObjects, Result, Spool};
use futures::stream::{self, BoxStream, StreamExt};

/// Objects in memory that note what is read.
#[derive(Debug)]
pub struct Watched {
    inner: RemoteObjects,
    reads: Mutex<Vec<(String, Range<u64>)>>,
    hidden: Mutex<Option<String>>,
}

impl Watched {
    pub fn new() -> Self {
        Self {
            inner: RemoteObjects::in_memory(),
            reads: Mutex::default(),
            hidden: Mutex::default(),
        }
    }

    /// What was read since the last call.
    pub fn taken(&self) -> Vec<(String, Range<u64>)> {
        std::mem::take(&mut self.reads.lock().expect("no read panicked"))
    }

    /// Gives nothing from now on for a list of what is below this.
    pub fn hide(&self, prefix: Option<&str>) {
        *self.hidden.lock().expect("no list panicked") = prefix.map(str::to_owned);
    }

    /// Its ranges alone.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        self.taken().into_iter().map(|(_, range)| range).collect()
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait::async_trait]
impl Objects for Watched {
    async fn create(&self, key: &Key, content: Content) -> Result<Created> {
        self.inner.create(key, content).await
    }

    async fn replace(&self, key: &Key, content: Content) -> Result<()> {
        self.inner.replace(key, content).await
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        self.reads.lock().expect("no read panicked").push((key.to_string(), range.clone()));
        self.inner.read(key, range).await
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.inner.stream(key, range).await
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.inner.size(key).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        match self.hidden.lock().expect("no list panicked").as_deref() == Some(prefix) {
            true => stream::empty().boxed(),
            false => self.inner.list(prefix),
        }
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        self.inner.delete(key).await
    }

    fn spool(&self) -> Result<Spool> {
        self.inner.spool()
    }
}
