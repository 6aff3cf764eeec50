//! The keys of hash-stream's records.

use crate::error::Result;
use crate::name::{Hash, Key, parse_text, text_of};

/// How hash-stream's index stores call their records: `K/ID` below a directory, `K/K/ID` in a service, where K is the [text](text_of) of the hash that a record is
/// about.
///
/// ```
/// use carstone_store::{RecordId, RecordLayout, parse_text};
/// let hash = parse_text("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku").expect("a hash");
/// let layout = RecordLayout::flat("")?;
/// let key = layout.key(&hash, &RecordId::Milliseconds(1_753_000_000_000))?;
/// assert!(key.as_str().ends_with("quvyku/1753000000000"));
/// assert_eq!(layout.subject(key.as_str()), Some(hash));
/// assert_eq!(layout.subject("something else"), None);
/// # Ok::<(), carstone_store::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLayout {
    prefix: String,
    is_nested: bool,
}

/// What tells records of one hash apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the format has these and no others")]
pub enum RecordId {
    /// The hash of its first record below, if it has any.
    First(Hash),
    /// When it was made, in milliseconds from 1970 on.
    Milliseconds(u64),
}

impl RecordLayout {
    /// That of a directory. A prefix that names a directory ends with a slash.
    ///
    /// # Errors
    /// No key can begin like that.
    pub fn flat(prefix: &str) -> Result<Self> {
        Self::new(prefix, false)
    }

    /// That of S3-compatible services.
    ///
    /// # Errors
    /// No key can begin like that.
    pub fn nested(prefix: &str) -> Result<Self> {
        Self::new(prefix, true)
    }

    fn new(prefix: &str, is_nested: bool) -> Result<Self> {
        Key::new(&format!("{prefix}K"))?;
        Ok(Self { prefix: prefix.to_owned(), is_nested })
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of a record about a hash.
    ///
    /// # Errors
    /// The key would be too long.
    pub fn key(&self, about: &Hash, id: &RecordId) -> Result<Key> {
        let (prefix, about) = (&self.prefix, text_of(about));
        let about = match self.is_nested {
            true => format!("{about}/{about}"),
            false => about,
        };
        let id = match id {
            // In services it is doubled, as the hash before it is.
            RecordId::First(hash) if self.is_nested => format!("{0}/{0}", text_of(hash)),
            RecordId::First(hash) => text_of(hash),
            RecordId::Milliseconds(number) => number.to_string(),
        };
        Key::new(&format!("{prefix}{about}/{id}"))
    }

    /// The hash that the record with this key is about, whatever its id is; `None` if it is no key of this layout.
    pub fn subject(&self, key: &str) -> Option<Hash> {
        let rest = Key::new(key).ok()?;
        let (text, id) = rest.as_str().strip_prefix(&self.prefix[..])?.split_once('/')?;
        let hash = parse_text(text)?;
        let (id, most) = match self.is_nested {
            true => (id.strip_prefix(text)?.strip_prefix('/')?, 2),
            false => (id, 1),
        };
        (id.split('/').count() <= most).then_some(hash)
    }
}
