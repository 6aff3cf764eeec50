//! Marks by which a writer and whoever collects garbage see each other.
//!
//! A writer that finds a pack in the store relies on it, however old it is, and whether or not a root needs it yet. So it first says which packs it needs, and
//! then looks which are condemned; who collects first condemns, and then looks which are needed. Of two that run at the same time, one sees the other.

use std::collections::HashSet;
use std::time::SystemTime;

use futures::TryStreamExt;
use serde_json::{Value, json};

use super::Store;
use crate::error::{Error, ErrorKind, Result};
use crate::name::{Hash, Key, is_random, parse_text, text_of};
use crate::objects::{Content, Object};

/// Marks that are in the store until they are [lifted](Marks::lift).
#[derive(Debug)]
pub(crate) struct Marks(Vec<Key>);

impl Store {
    /// Says that a root which is not noted yet needs packs that somebody else has put.
    ///
    /// # Errors
    /// One of them is about to be removed, or is gone.
    pub(super) async fn need(&self, packs: &[Hash]) -> Result<Marks> {
        if packs.is_empty() {
            return Ok(Marks(Vec::new()));
        }
        let marks = self.mark(NEEDED, packs).await?;
        match self.are_there(packs).await {
            Ok(()) => Ok(marks),
            Err(error) => {
                marks.lift(self).await;
                Err(error)
            }
        }
    }

    async fn are_there(&self, packs: &[Hash]) -> Result<()> {
        let needed: HashSet<&Hash> = packs.iter().collect();
        for mark in self.marks(CONDEMNED).await? {
            // One that is damaged may mean any of them.
            let packs = self.read_mark(&mark).await?;
            if packs.iter().any(|pack| needed.contains(pack)) {
                return Err(Error::new(ErrorKind::Condemned).of(&mark.key));
            }
        }
        match self.missing(packs).await? {
            Some(pack) => Err(Error::new(ErrorKind::NotFound).of(text_of(&pack))),
            None => Ok(()),
        }
    }

    /// One of these packs that is not there.
    async fn missing(&self, packs: &[Hash]) -> Result<Option<Hash>> {
        if packs.len() < LISTED_FROM {
            for pack in packs {
                if self.packs.size(pack).await?.is_none() {
                    return Ok(Some(*pack));
                }
            }
            return Ok(None);
        }
        let listed = self.packs.list().map_ok(|pack| pack.name);
        let listed: HashSet<Hash> = listed.try_collect().await?;
        Ok(packs.iter().find(|pack| !listed.contains(pack)).copied())
    }

    /// Says that packs are about to be removed, so that nobody begins to rely on them.
    pub(crate) async fn condemn(&self, packs: &[Hash]) -> Result<Marks> {
        self.mark(CONDEMNED, packs).await
    }

    /// The packs that are about to be removed.
    pub(crate) async fn condemned(&self) -> Result<HashSet<Hash>> {
        let mut condemned = HashSet::new();
        for mark in self.marks(CONDEMNED).await? {
            condemned.extend(self.read_mark(&mark).await?);
        }
        Ok(condemned)
    }

    /// The packs that writers need whose roots are not noted yet. Marks from `before` are of writers that have ended.
    pub(crate) async fn needed(&self, before: Option<SystemTime>) -> Result<HashSet<Hash>> {
        let mut needed = HashSet::new();
        for mark in self.marks(NEEDED).await?.iter().filter(|mark| !is_old(mark, before)) {
            needed.extend(self.read_mark(mark).await?);
        }
        Ok(needed)
    }

    /// Removes marks from `before`, whose owners have ended without doing so.
    pub(crate) async fn lift_old(&self, before: Option<SystemTime>) -> Result<u64> {
        let mut count = 0;
        for prefix in [NEEDED, CONDEMNED] {
            for mark in self.marks(prefix).await?.iter().filter(|mark| is_old(mark, before)) {
                count += u64::from(self.objects.delete(&Key::new(&mark.key)?).await?);
            }
        }
        Ok(count)
    }

    async fn mark(&self, prefix: &str, packs: &[Hash]) -> Result<Marks> {
        let mut marks = Marks(Vec::new());
        for packs in packs.chunks(PACKS_IN_MARK) {
            let mut random = [0; 16];
            getrandom::fill(&mut random).map_err(std::io::Error::other)?;
            let key = Key::new(&format!("{prefix}{:032x}{MARK}", u128::from_le_bytes(random)))?;
            let packs: Vec<_> = packs.iter().map(text_of).collect();
            let text = format!("{}\n", json!({ "packs": packs }));
            let created = self.objects.create(&key, Content::Bytes(text.into())).await;
            marks.0.push(key);
            if let Err(error) = created {
                marks.lift(self).await;
                return Err(error);
            }
        }
        Ok(marks)
    }

    /// What others have put beside marks is none.
    async fn marks(&self, prefix: &str) -> Result<Vec<Object>> {
        let mut listed: Vec<Object> = self.objects.list(prefix).try_collect().await?;
        listed.retain(|object| is_key_of_mark(prefix, &object.key));
        Ok(listed)
    }

    /// The packs of a mark; none if it was lifted meanwhile.
    async fn read_mark(&self, mark: &Object) -> Result<Vec<Hash>> {
        let key = Key::new(&mark.key)?;
        let bytes = match self.objects.read(&key, 0..mark.size.min(MOST_MARK)).await {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            bytes => bytes?,
        };
        let packs = serde_json::from_slice(&bytes).ok().and_then(|mark: Value| {
            let names = mark["packs"].as_array()?.iter();
            names.map(|name| parse_text(name.as_str()?)).collect()
        });
        packs.ok_or_else(|| Error::new(ErrorKind::Malformed("it is no mark of packs")).of(key))
    }
}

impl Marks {
    /// Removes them. What cannot be removed now goes when it is old.
    pub(crate) async fn lift(self, store: &Store) {
        for key in &self.0 {
            let _ = store.objects.delete(key).await;
        }
    }
}

fn is_key_of_mark(prefix: &str, key: &str) -> bool {
    let name = key.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(MARK));
    name.is_some_and(is_random)
}

fn is_old(mark: &Object, before: Option<SystemTime>) -> bool {
    mark.modified.zip(before).is_some_and(|(made, before)| made <= before)
}

/// Those of writers.
const NEEDED: &str = "needed/";
/// Those of who collects.
const CONDEMNED: &str = "condemned/";
const MARK: &str = ".json";
/// As many packs are not asked for one by one.
const LISTED_FROM: usize = 200;
const PACKS_IN_MARK: usize = 100_000;
const MOST_MARK: u64 = 32 << 20;
