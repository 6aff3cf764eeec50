//! The object that says what a store is.

use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::name::{Key, Layout};

/// Of which version a store is, and how keys of its packs are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    /// Whether packs have keys as hash-stream makes them on object storage: `K/K.car`.
    is_nested: bool,
}

impl Format {
    pub(super) fn of(layout: &Layout) -> Self {
        Self { is_nested: layout.is_nested() }
    }

    /// The keys of packs.
    pub(super) fn layout(self) -> Result<Layout> {
        match self.is_nested {
            true => Layout::nested(PACKS, PACK_EXTENSION),
            false => Layout::flat(PACKS, PACK_EXTENSION),
        }
    }

    pub(super) fn encode(self) -> String {
        format!("{}\n", json!({ "nested": self.is_nested, "version": VERSION }))
    }

    /// Reads it. What it does not know may change what all else means, so that it is not passed over.
    ///
    /// # Errors
    /// It is of a later version, or something in it is missing, too much, or of another type. The error names the object, and the part of it.
    pub(super) fn decode(key: &Key, bytes: &[u8]) -> Result<Self> {
        let malformed = |what| Error::new(ErrorKind::Malformed(what));
        let mut parts: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|_| malformed("it is no JSON object").of(key))?;
        let mut take = |part: &str| {
            let missing = || malformed("it is missing").of(format!("{key}: {part}"));
            parts.remove(part).ok_or_else(missing)
        };
        let version = take("version")?;
        if version.as_u64().is_some_and(|version| version > VERSION) {
            return Err(Error::new(ErrorKind::Unsupported("a store of a later version")).of(key));
        }
        if version != VERSION {
            return Err(malformed("it is no version of a store").of(format!("{key}: version")));
        }
        let nested = take("nested")?;
        let no_bool = || malformed("it is neither true nor false").of(format!("{key}: nested"));
        let is_nested = nested.as_bool().ok_or_else(no_bool)?;
        match parts.keys().next() {
            None => Ok(Self { is_nested }),
            Some(part) => {
                let part = part.escape_debug();
                Err(malformed("stores of this version have no such part")
                    .of(format!("{key}: {part:.100}")))
            }
        }
    }
}

/// The object.
pub(crate) const MARK: &str = "carstone-store.json";
const VERSION: u64 = 1;
pub(super) const PACKS: &str = "packs/";
pub(super) const PACK_EXTENSION: &str = ".car";

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Result<Format> {
        Format::decode(&Key::new(MARK)?, text.as_bytes())
    }

    #[test]
    fn both_layouts_come_back() {
        for layout in [Layout::flat(PACKS, PACK_EXTENSION), Layout::nested(PACKS, PACK_EXTENSION)] {
            let format = Format::of(&layout.expect("they are keys"));
            assert_eq!(decode(&format.encode()).expect("it was encoded"), format);
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (text, name) in [
            ("", "it is no JSON object"),
            ("[1]", "it is no JSON object"),
            (r#"{"nested":true}"#, "version: it is missing"),
            (r#"{"version":"1","nested":true}"#, "version: it is no version"),
            (r#"{"version":0,"nested":true}"#, "version: it is no version"),
            (r#"{"version":2}"#, "a later version"),
            (r#"{"version":1}"#, "nested: it is missing"),
            (r#"{"version":1,"nested":1}"#, "nested: it is neither"),
            (r#"{"version":1,"nested":true,"sealed":"no"}"#, "sealed: stores of this version"),
        ] {
            let told = decode(text).expect_err(text).to_string();
            assert!(told.starts_with(MARK) && told.contains(name), "{text}: {told}");
        }
    }
}
