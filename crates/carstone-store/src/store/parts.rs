//! Notes of parts of an index that several machines make again.

use carstone_car::{Cid, hash_code, multihash_of};
use futures::TryStreamExt;
use serde_json::{Value, json};

use super::Store;
use crate::error::Result;
use crate::name::{Key, parse_text, text_of};
use crate::objects::Content;

/// A part of an index that has been made again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexPart {
    /// The segments that it is, all of which are durable.
    pub(crate) segments: Vec<Key>,
    /// The roots that its packs name.
    pub(crate) roots: Vec<Cid>,
}

impl Store {
    /// Keeps a note of a part.
    pub(crate) async fn note_part(&self, part: &IndexPart) -> Result<()> {
        let segments: Vec<_> = part.segments.iter().map(Key::as_str).collect();
        let roots: Vec<_> = part.roots.iter().map(Cid::to_string).collect();
        let text = format!("{}\n", json!({ "roots": roots, "segments": segments }));
        let key = key_of(text.as_bytes())?;
        self.objects.create(&key, Content::Bytes(text.into())).await.map(drop)
    }

    /// The notes that there are; `None` for one that is damaged, which counts as none. What others have put beside them is left out.
    pub(crate) async fn parts(&self) -> Result<Vec<(Key, Option<IndexPart>)>> {
        let listed: Vec<_> = self.objects.list(PARTS).try_collect().await?;
        let mut parts = Vec::new();
        for object in listed.iter().filter(|object| is_key_of_part(&object.key)) {
            let key = Key::new(&object.key)?;
            let bytes = match self.objects.read(&key, 0..object.size.min(MOST_PART)).await {
                Ok(bytes) => bytes,
                // It was removed meanwhile.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            let is_whole = key_of(&bytes).is_ok_and(|made| made == key);
            parts.push((key, IndexPart::decode(&bytes).filter(|_| is_whole)));
        }
        Ok(parts)
    }

    /// Removes notes.
    pub(crate) async fn forget_parts(&self, keys: &[Key]) -> Result<()> {
        for key in keys {
            self.objects.delete(key).await?;
        }
        Ok(())
    }
}

impl IndexPart {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let part: Value = serde_json::from_slice(bytes).ok()?;
        let segments = part["segments"].as_array()?.iter();
        let segments: Option<_> = segments.map(|key| Key::new(key.as_str()?).ok()).collect();
        let roots = part["roots"].as_array()?.iter();
        let roots: Option<_> = roots.map(|root| Cid::try_from(root.as_str()?).ok()).collect();
        Some(Self { segments: segments?, roots: roots? })
    }
}

/// Where a note with these bytes is.
fn key_of(text: &[u8]) -> Result<Key> {
    let name = multihash_of(hash_code::BLAKE3, text).unwrap_or_default();
    Key::new(&format!("{PARTS}{}{PART}", text_of(&name)))
}

fn is_key_of_part(key: &str) -> bool {
    let name = key.strip_prefix(PARTS).and_then(|rest| rest.strip_suffix(PART));
    name.is_some_and(|name| parse_text(name).is_some())
}

const PARTS: &str = "rebuild/";
const PART: &str = ".json";
const MOST_PART: u64 = 64 << 20;
