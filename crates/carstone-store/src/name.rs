//! What things in a store are called: hashes, and the keys that are made of them.

use std::fmt;

use carstone_car::multihash::Multihash;
use carstone_car::{Cid, codec};

use crate::error::{Error, ErrorKind, Result};

/// The name of everything in a store: function code, length and digest.
pub type Hash = Multihash<64>;

/// The text of a hash in keys: the CIDv1 of the codec raw, in base32.
///
/// ```
/// use carstone_store::{parse_text, text_of};
/// let empty = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
/// let hash = parse_text(empty).expect("a hash");
/// assert_eq!(text_of(&hash), empty);
/// ```
pub fn text_of(hash: &Hash) -> String {
    Cid::new_v1(codec::RAW, *hash).to_string()
}

/// The hash of a text that [`text_of`] made; `None` of any other.
pub fn parse_text(text: &str) -> Option<Hash> {
    let cid = Cid::try_from(text).ok()?;
    let hash = *cid.hash();
    (text_of(&hash) == text).then_some(hash)
}

/// Whether this is a random name as this crate makes them: 16 bytes in lower-case hexadecimal.
pub(crate) fn is_random(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The name of an object in a store: steps that are joined by slashes.
///
/// A step is not empty, not `.` or `..`, and has no control characters, backslashes or slashes in it, so that no key leads out of the store, whatever
/// keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// A key of these steps.
    ///
    /// # Errors
    /// A step cannot stand in a key, or the key is longer than 1024 bytes.
    pub fn new(text: &str) -> Result<Self> {
        let is_step = |step: &str| {
            let is_plain = !step.chars().any(|c| c.is_control() || matches!(c, '\\' | ':'));
            !step.is_empty() && step != "." && step != ".." && is_plain && step.len() <= MAX_STEP
        };
        match text.len() <= MAX_KEY && text.split('/').all(is_step) {
            true => Ok(Self(text.to_owned())),
            false => Err(Error::new(ErrorKind::BadKey(text.escape_debug().to_string()))),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the keys of objects are made of their names.
///
/// These are the layouts of hash-stream, whose stores can be read: in a directory an object is `K.car`, in an object store `K/K.car`, where the repeated
/// name spreads the rates of requests that services allow for each prefix.
///
/// ```
/// use carstone_store::{Layout, parse_text};
/// let name = parse_text("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku").expect("a hash");
/// let flat = Layout::flat("packs/", ".car")?;
/// assert!(flat.key(&name)?.as_str().starts_with("packs/bafkreih"));
/// assert_eq!(flat.name(flat.key(&name)?.as_str()), Some(name));
/// let nested = Layout::nested("", ".car")?;
/// assert_eq!(nested.name(nested.key(&name)?.as_str()), Some(name));
/// # Ok::<(), carstone_store::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    prefix: String,
    extension: String,
    is_nested: bool,
}

impl Layout {
    /// Objects that are called `<prefix>K<extension>`. A prefix that names a directory ends with a slash; an extension begins with a dot, or is empty.
    ///
    /// # Errors
    /// No key can begin or end like that.
    pub fn flat(prefix: &str, extension: &str) -> Result<Self> {
        Self::new(prefix, extension, false)
    }

    /// Objects that are called `<prefix>K/K<extension>`.
    ///
    /// # Errors
    /// No key can begin or end like that.
    pub fn nested(prefix: &str, extension: &str) -> Result<Self> {
        Self::new(prefix, extension, true)
    }

    fn new(prefix: &str, extension: &str, is_nested: bool) -> Result<Self> {
        Key::new(&format!("{prefix}K{extension}"))?;
        let (prefix, extension) = (prefix.to_owned(), extension.to_owned());
        Ok(Self { prefix, extension, is_nested })
    }

    /// That of objects which lie beside those of this one: their keys end with `ending` besides.
    ///
    /// # Errors
    /// No key can end like that.
    pub fn beside(&self, ending: &str) -> Result<Self> {
        Self::new(&self.prefix, &format!("{}{ending}", self.extension), self.is_nested)
    }

    /// Whether names are repeated, as in object stores.
    pub fn is_nested(&self) -> bool {
        self.is_nested
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of the object of this name.
    ///
    /// # Errors
    /// The key would be too long.
    pub fn key(&self, name: &Hash) -> Result<Key> {
        self.key_of_text(&text_of(name))
    }

    fn key_of_text(&self, text: &str) -> Result<Key> {
        let Self { prefix, extension, is_nested } = self;
        match is_nested {
            true => Key::new(&format!("{prefix}{text}/{text}{extension}")),
            false => Key::new(&format!("{prefix}{text}{extension}")),
        }
    }

    /// The name of the object with this key; `None` if it is no key of this layout.
    pub fn name(&self, key: &str) -> Option<Hash> {
        let rest = key.strip_prefix(&self.prefix[..])?.strip_suffix(&self.extension[..])?;
        let text = match self.is_nested {
            true => rest.split_once('/')?.0,
            false => rest,
        };
        let name = parse_text(text)?;
        self.key(&name).is_ok_and(|made| made.as_str() == key).then_some(name)
    }
}

/// Longest key, in bytes: what S3 takes.
const MAX_KEY: usize = 1024;
/// Longest step, in bytes: what file systems take.
const MAX_STEP: usize = 255;

#[cfg(test)]
mod tests {
    use carstone_car::cid_of;

    use super::*;

    #[test]
    fn a_key_does_not_leave_its_store() {
        for bad in
            ["", "/", "a/", "/a", "a//b", "..", "a/../b", "./a", "a\\b", "c:x", "a\nb", "a\0"]
        {
            assert!(Key::new(bad).is_err(), "{bad:?}");
        }
        assert!(Key::new(&"a".repeat(256)).is_err());
        assert!(Key::new(&["a"; 513].join("/")).is_err());
        assert_eq!(Key::new("a/b.car").expect("a key").as_str(), "a/b.car");
        assert!(Layout::flat("../", ".car").is_err());
        assert!(
            Layout::flat("packs/", "/x")
                .is_ok_and(|layout| layout.key(cid_of(0x55, b"").hash()).is_ok())
        );
    }

    #[test]
    fn what_lies_beside_an_object_is_none() {
        let name = *cid_of(codec::RAW, b"x").hash();
        for layout in [Layout::flat("p/", ".car"), Layout::nested("p/", ".car")] {
            let layout = layout.expect("a layout");
            let beside = layout.beside(".par").expect("a layout");
            let key = beside.key(&name).expect("a key");
            assert_eq!(key.as_str(), format!("{}.par", layout.key(&name).expect("a key")));
            assert_eq!((beside.name(key.as_str()), layout.name(key.as_str())), (Some(name), None));
        }
    }

    #[test]
    fn only_the_one_text_of_a_hash_is_its_name() {
        let name = *cid_of(codec::RAW, b"x").hash();
        let layout = Layout::nested("p/", ".car").expect("a layout");
        let key = layout.key(&name).expect("a key");
        let text = text_of(&name);
        assert_eq!(key.as_str(), format!("p/{text}/{text}.car"));
        assert_eq!(layout.name(key.as_str()), Some(name));
        assert_eq!(layout.name(&key.as_str().to_uppercase()), None);
        let dag_pb = Cid::new_v1(codec::DAG_PB, name).to_string();
        assert_eq!(layout.name(&format!("p/{dag_pb}/{dag_pb}.car")), None);
        assert_eq!(layout.name(&format!("p/{text}/{dag_pb}.car")), None);
        assert_eq!(parse_text(&Cid::new_v0(name).expect("SHA-256").to_string()), None);
    }
}
