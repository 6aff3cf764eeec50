//! Records of the roots that were put.

use std::collections::{BTreeSet, HashSet};

use carstone_car::{Cid, hash_code, multihash_of};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::Store;
use crate::error::{Error, ErrorKind, Result};
use crate::name::{Hash, Key, parse_text, text_of};
use crate::objects::Content;

/// A root that was put.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootRecord {
    /// The root.
    pub root: Cid,
    /// The packs that its DAG was put into, in their order.
    pub packs: Vec<Hash>,
}

/// What is below the place of records of roots.
#[derive(Debug, Default)]
pub(crate) struct RootRecords {
    /// Records, sorted by their roots.
    pub(crate) sound: Vec<RootRecord>,
    /// Why others are of no use: they are damaged, or cannot be read.
    pub(crate) damaged: Vec<Error>,
    /// Keys of what is no record of a root, neither by its key nor by its bytes.
    pub(crate) odd: Vec<String>,
}

impl Store {
    /// Keeps records of roots, but for those that are there, behind the `index` of their packs. Packs in `old` were there before; all others were put just
    /// now, and are too young to be collected.
    ///
    /// # Errors
    /// An old one that a new record needs is about to be removed, or is gone: then nothing is indexed. Or a record cannot be kept.
    pub(crate) async fn note_roots(
        &self,
        records: &[RootRecord],
        old: &HashSet<Hash>,
        index: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let mut encoded = Vec::new();
        let listed = match records.len() {
            0 | 1 => None,
            _ => Some(self.objects.list(ROOTS).map_ok(|object| object.key)),
        };
        let listed: Option<HashSet<String>> = match listed {
            Some(keys) => Some(keys.try_collect().await?),
            None => None,
        };
        for record in records {
            let (key, text) = record.encode()?;
            let is_there = match &listed {
                Some(keys) => keys.contains(key.as_str()),
                // Without old packs, to ask would be one request more.
                None => !old.is_empty() && self.objects.size(&key).await?.is_some(),
            };
            if !is_there {
                encoded.push((record, key, text));
            }
        }
        let needed = encoded.iter().flat_map(|(record, ..)| &record.packs);
        let needed: BTreeSet<Hash> = needed.filter(|pack| old.contains(pack)).copied().collect();
        let marks = self.need(&needed.into_iter().collect::<Vec<_>>()).await?;
        let note = async {
            index.await?;
            for (_, key, text) in encoded {
                self.objects.create(&key, Content::Bytes(text.into())).await?;
            }
            Ok(())
        };
        let noted = note.await;
        marks.lift(self).await;
        noted
    }

    /// Removes all records of a root.
    pub(crate) async fn forget_root(&self, root: &Cid) -> Result<u64> {
        let listed: Vec<_> = self.objects.list(&roots_of(root)).try_collect().await?;
        let mut count = 0;
        for object in listed.iter().filter(|object| is_key_of_record(&object.key)) {
            count += u64::from(self.objects.delete(&Key::new(&object.key)?).await?);
        }
        Ok(count)
    }

    /// The roots that were put, each as often as it was put in other packs. What stands beside their records and is none, as files that some systems make, is left out.
    ///
    /// # Errors
    /// They cannot be listed or read, or one is damaged.
    pub async fn roots(&self) -> Result<Vec<RootRecord>> {
        let RootRecords { sound, damaged, .. } = self.records_in(ROOTS).await?;
        damaged.into_iter().next().map_or(Ok(sound), Err)
    }

    /// The records of roots, and what else is where they are.
    pub(crate) async fn root_records(&self) -> Result<RootRecords> {
        let mut records = self.records_in(ROOTS).await?;
        let odd = self.objects.odd(ROOTS).await?;
        records.odd.extend(odd.iter().map(|key| key.escape_debug().to_string()));
        Ok(records)
    }

    /// Records of roots that the index knows, other than those that are listed: a listing may have left them out, or they have been put meanwhile.
    ///
    /// # Errors
    /// They cannot be listed or read, or one is damaged.
    pub(crate) async fn unlisted_roots(&self, listed: &[RootRecord]) -> Result<Vec<RootRecord>> {
        let mut unlisted = self.index.roots().await?;
        let listed: HashSet<&Hash> = listed.iter().map(|record| record.root.hash()).collect();
        unlisted.retain(|root| !listed.contains(root));
        let asked = unlisted.into_iter().map(|root| async move {
            let RootRecords { sound, damaged, .. } = self.records_in(&place_of(&root)).await?;
            damaged.into_iter().next().map_or(Ok(sound), Err)
        });
        let asked = stream::iter(asked).buffer_unordered(AT_ONCE);
        asked.try_concat().await
    }

    async fn records_in(&self, place: &str) -> Result<RootRecords> {
        let listed: Vec<_> = self.objects.list(place).try_collect().await?;
        let mut records = RootRecords::default();
        for object in listed {
            // What cannot be asked for has not been made by this crate.
            let Ok(key) = Key::new(&object.key) else {
                records.odd.push(object.key.escape_debug().to_string());
                continue;
            };
            let is_named = is_key_of_record(key.as_str());
            if !is_named && object.size > MOST_ROOT {
                records.odd.push(object.key);
                continue;
            }
            let bytes = match self.objects.read(&key, 0..object.size.min(MOST_ROOT)).await {
                Ok(bytes) => bytes,
                // It was removed meanwhile.
                Err(error) if error.is_not_found() => continue,
                // Nothing says that it has to do with roots.
                Err(_) if !is_named => {
                    records.odd.push(object.key);
                    continue;
                }
                Err(error) => {
                    records.damaged.push(error.of(&key));
                    continue;
                }
            };
            // The key follows from the bytes, so that no flipped bit names another pack.
            let is_its_own = |record: &RootRecord| {
                key_of_root(&record.root, &bytes).is_ok_and(|made| made == key)
            };
            match RootRecord::decode(&bytes) {
                Some(record) if is_its_own(&record) => records.sound.push(record),
                // A record under another name is a damaged one: what it needs must stay.
                None if !is_named => records.odd.push(object.key),
                _ => {
                    let malformed = ErrorKind::Malformed("it is no record of a root");
                    records.damaged.push(Error::new(malformed).of(&key));
                }
            }
        }
        records.sound.sort_by_key(|record| record.root);
        Ok(records)
    }

    /// Keeps records in place of damaged ones, which go then. Packs in `old` were there before.
    ///
    /// # Errors
    /// As [`note_roots`](Self::note_roots).
    pub(crate) async fn replace_roots(
        &self,
        records: &[RootRecord],
        damaged: &[Error],
        old: &HashSet<Hash>,
    ) -> Result<()> {
        let mut gone: HashSet<&str> = damaged.iter().filter_map(Error::object).collect();
        for record in records {
            let (key, text) = record.encode()?;
            // A damaged one may stand in its place, with the same length.
            if gone.remove(key.as_str()) {
                self.objects.replace(&key, Content::Bytes(text.into())).await?;
            }
        }
        self.note_roots(records, old, async { Ok(()) }).await?;
        for key in gone {
            self.objects.delete(&Key::new(key)?).await?;
        }
        Ok(())
    }

    /// Whether a record is there.
    pub(crate) async fn has_record(&self, record: &RootRecord) -> Result<bool> {
        Ok(self.objects.size(&record.encode()?.0).await?.is_some())
    }
}

impl RootRecord {
    /// Its text, and where it is.
    fn encode(&self) -> Result<(Key, String)> {
        let packs: Vec<_> = self.packs.iter().map(text_of).collect();
        let text = format!("{}\n", json!({ "packs": packs, "root": self.root.to_string() }));
        Ok((key_of_root(&self.root, text.as_bytes())?, text))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let record: Value = serde_json::from_slice(bytes).ok()?;
        let root = Cid::try_from(record["root"].as_str()?).ok()?;
        let packs = record["packs"].as_array()?.iter();
        let packs: Option<_> = packs.map(|name| parse_text(name.as_str()?)).collect();
        Some(Self { root, packs: packs? })
    }
}

/// Where a record of a root with these bytes is.
fn key_of_root(root: &Cid, text: &[u8]) -> Result<Key> {
    let name = multihash_of(hash_code::BLAKE3, text).unwrap_or_default();
    Key::new(&format!("{}{}{RECORD}", roots_of(root), text_of(&name)))
}

/// Whether a record of some root can have this key.
pub(super) fn is_key_of_record(key: &str) -> bool {
    let names = key.strip_prefix(ROOTS).and_then(|rest| rest.strip_suffix(RECORD)?.split_once('/'));
    names.is_some_and(|(root, name)| parse_text(root).is_some() && parse_text(name).is_some())
}

/// The root that an error is of, whose record is damaged.
pub(crate) fn root_of(error: &Error) -> Option<Hash> {
    parse_text(error.object()?.strip_prefix(ROOTS)?.split_once('/')?.0)
}

/// Whether an error is of a record of this root, which is damaged.
pub(crate) fn is_record_of(error: &Error, root: &Cid) -> bool {
    let key = error.object().filter(|_| error.is_malformed());
    key.is_some_and(|key| key.starts_with(&roots_of(root)))
}

/// Where the records of a root are.
fn roots_of(root: &Cid) -> String {
    place_of(root.hash())
}

fn place_of(root: &Hash) -> String {
    format!("{ROOTS}{}/", text_of(root))
}

pub(super) const ROOTS: &str = "roots/";
const RECORD: &str = ".json";
const MOST_ROOT: u64 = 64 << 20;
/// Roots that are asked for at the same time.
const AT_ONCE: usize = 16;
