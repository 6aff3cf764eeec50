//! Which files are indexed, and when.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use carstone_car::Cid;
use carstone_unixfs::Profile;
use futures::stream::{self, Stream, StreamExt};

use super::index_in_place;
use crate::error::Result;
use crate::name::Key;
use crate::objects::Objects;
use crate::store::Store;

/// Says which file is next: a queue in memory, or one that many machines share.
#[async_trait]
pub trait Scheduler: fmt::Debug + Send + Sync {
    /// The next file; `None` if there is nothing to do any more. Nobody else gets it until it is [done](Self::done).
    ///
    /// # Errors
    /// That cannot be found out.
    async fn next(&self) -> Result<Option<Key>>;

    /// Hears of the file that it has been indexed under a root, or that it could not be.
    ///
    /// # Errors
    /// That cannot be noted.
    async fn done(&self, file: &Key, indexed: &Result<Cid>) -> Result<()>;
}

/// Files in memory, each of which is tried once.
#[derive(Debug, Default)]
pub struct MemoryScheduler {
    files: Mutex<VecDeque<Key>>,
}

impl MemoryScheduler {
    /// These files, in this order.
    pub fn new(files: impl IntoIterator<Item = Key>) -> Self {
        Self { files: Mutex::new(files.into_iter().collect()) }
    }
}

#[async_trait]
impl Scheduler for MemoryScheduler {
    async fn next(&self) -> Result<Option<Key>> {
        Ok(self.files.lock().unwrap_or_else(PoisonError::into_inner).pop_front())
    }

    async fn done(&self, _file: &Key, _indexed: &Result<Cid>) -> Result<()> {
        Ok(())
    }
}

/// A file that had its turn, and its root, or why it has none.
#[derive(Debug)]
#[non_exhaustive]
pub struct Placed {
    /// The file.
    pub file: Key,
    /// What became of it.
    pub root: Result<Cid>,
}

/// Indexes all files that a scheduler gives, [where they lie](index_in_place), some of them at the same time. What became of each comes as it is done; a file that fails
/// does not stop the others. An error of the scheduler ends it.
pub fn index_scheduled<'a>(
    store: &'a Store,
    files: Arc<dyn Objects>,
    scheduler: &'a dyn Scheduler,
    profile: &'a Profile,
    at_once: usize,
) -> impl Stream<Item = Result<Placed>> + Send + 'a {
    let turns = stream::unfold(false, move |is_over| async move {
        match scheduler.next().await {
            _ if is_over => None,
            Ok(None) => None,
            Ok(Some(file)) => Some((Ok(file), false)),
            Err(error) => Some((Err(error), true)),
        }
    });
    let placed = turns.map(move |file: Result<Key>| {
        let files = Arc::clone(&files);
        async move {
            let file = file?;
            let root = index_in_place(store, files, &file, profile.clone()).await;
            scheduler.done(&file, &root).await?;
            Ok(Placed { file, root })
        }
    });
    placed.buffer_unordered(at_once.max(1))
}
