//! The catalogue of a store: which objects there are, for those who can read them and not list them.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::{Map, Value, json};

use super::{Object, Objects, Spool};
use crate::error::{Error, ErrorKind, Result};
use crate::hasher::{HashFunction, Hasher};
use crate::name::{Hash, Key, Layout};

/// A catalogue: a small object with a fixed name, which names one part for each listing. Parts are made once and never changed, as all other
/// objects are.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By what all keys of a part begin with.
    parts: BTreeMap<String, Part>,
}

/// A listing as an object: a line for each object, `SIZE KEY`, sorted by keys. It is called by BLAKE3 of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    key: Key,
    name: Hash,
    size: u64,
}

impl Catalog {
    /// The catalogue that is there, and its bytes.
    pub(crate) async fn read(objects: &dyn Objects) -> Result<Option<(Bytes, Self)>> {
        let key = Key::new(CATALOG)?;
        let mut pieces = match objects.stream(&key, None).await {
            Ok(pieces) => pieces,
            // Where nothing may be listed, services do not tell what is missing from what may not be read.
            Err(error) if error.is_not_found() || matches!(error.kind(), ErrorKind::Denied(_)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > MOST_CATALOG {
                return Err(malformed("a catalogue is larger than 64 KiB").of(key));
            }
        }
        let catalog = Self::decode(&bytes).map_err(|error| error.of(key))?;
        Ok(Some((bytes.into(), catalog)))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let wrong = || malformed("it is no catalogue");
        let value: Value = serde_json::from_slice(bytes).map_err(|_| wrong())?;
        match value["version"].as_u64() {
            Some(VERSION) => {}
            Some(_) => {
                return Err(Error::new(ErrorKind::Unsupported("a catalogue of another version")));
            }
            None => return Err(wrong()),
        }
        let (layout, mut parts) = (layout()?, BTreeMap::new());
        for (prefix, part) in value["parts"].as_object().ok_or_else(wrong)? {
            let key = Key::new(part["key"].as_str().ok_or_else(wrong)?)?;
            let name = layout.name(key.as_str()).ok_or_else(wrong)?;
            let size = part["size"].as_u64().ok_or_else(wrong)?;
            parts.insert(prefix.clone(), Part { key, name, size });
        }
        Ok(Self { parts })
    }

    /// The bytes of it.
    pub(crate) fn encode(&self) -> String {
        let part = |(prefix, part): (&String, &Part)| {
            (prefix.clone(), json!({ "key": part.key.as_str(), "size": part.size }))
        };
        let parts: Map<String, Value> = self.parts.iter().map(part).collect();
        format!("{}\n", json!({ "parts": parts, "version": VERSION }))
    }

    /// Adds a part, whose keys all begin with this.
    pub(crate) fn add(&mut self, prefix: &str, part: Part) {
        self.parts.insert(prefix.to_owned(), part);
    }

    /// Whether a part has this key.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.parts.values().any(|part| part.key.as_str() == key)
    }

    /// All objects that it has whose keys begin with `prefix`.
    pub(super) fn list(
        self,
        objects: Arc<dyn Objects>,
        prefix: String,
    ) -> BoxStream<'static, Result<Object>> {
        let (wanted, all) = (prefix.clone(), self.parts);
        let is_wanted = move |own: &str| own.starts_with(&wanted) || wanted.starts_with(own);
        let parts = all.into_iter().filter(move |(own, _)| is_wanted(own)).map(Ok);
        let listed = stream::iter(parts).and_then(move |(own, part)| {
            let objects = Arc::clone(&objects);
            async move { part.list(&*objects, own).await }
        });
        let listed = listed.try_flatten();
        listed.try_filter(move |object| std::future::ready(object.key.starts_with(&prefix))).boxed()
    }
}

impl Part {
    /// The part of these objects, written to the file that is given; `None` where there are none.
    pub(crate) fn write(
        mut objects: Vec<(Key, u64)>,
        mut spool: Spool,
    ) -> Result<Option<(Self, Spool)>> {
        if objects.is_empty() {
            return Ok(None);
        }
        objects.sort();
        let mut text = Vec::new();
        for (key, size) in objects {
            text.extend_from_slice(format!("{size} {key}\n").as_bytes());
            if text.len() >= PIECE {
                spool.write_all(&text)?;
                text.clear();
            }
        }
        spool.write_all(&text)?;
        let spool = spool.hashed(HashFunction::Blake3)?;
        let name = spool.hash().copied().unwrap_or_default();
        Ok(Some((Self { key: layout()?.key(&name)?, name, size: spool.len() }, spool)))
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Its objects as they come. Behind the last of them stands an error, if the bytes do not hash to its name.
    async fn list(
        self,
        from: &dyn Objects,
        prefix: String,
    ) -> Result<BoxStream<'static, Result<Object>>> {
        let pieces = match from.stream(&self.key, Some(0..self.size)).await {
            Err(error) if error.is_not_found() => {
                return Err(Error::new(ErrorKind::StaleCatalog).of(&self.key));
            }
            pieces => pieces?,
        };
        let hasher = Hasher::new(HashFunction::Blake3);
        let lines = Lines { part: self, prefix, hasher, rest: Vec::new() };
        let listed = stream::try_unfold((pieces, lines), |(mut pieces, mut lines)| async move {
            match pieces.try_next().await? {
                Some(piece) => {
                    let key = lines.part.key.clone();
                    let objects = lines.take(&piece).map_err(|error| error.of(key))?;
                    Ok(Some((stream::iter(objects).map(Ok), (pieces, lines))))
                }
                None => lines.finish().map(|()| None),
            }
        });
        Ok(listed.try_flatten().boxed())
    }
}

/// The lines of a part, while its bytes come.
struct Lines {
    part: Part,
    prefix: String,
    hasher: Hasher,
    /// A line that has not ended.
    rest: Vec<u8>,
}

impl Lines {
    fn take(&mut self, piece: &[u8]) -> Result<Vec<Object>> {
        self.hasher.update(piece);
        self.rest.extend_from_slice(piece);
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let objects = self.rest[..whole].split_inclusive(|byte| *byte == b'\n');
        let objects = objects.map(|line| self.object(line)).collect::<Result<_>>()?;
        self.rest.drain(..whole);
        match self.rest.len() > MOST_LINE {
            true => Err(wrong_line()),
            false => Ok(objects),
        }
    }

    fn object(&self, line: &[u8]) -> Result<Object> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| wrong_line())?;
        let (size, key) = line.split_once(' ').ok_or_else(wrong_line)?;
        let size = size.parse().map_err(|_| wrong_line())?;
        // What a server says is no reason to look outside of the store.
        let key = Key::new(key)?;
        match key.as_str().starts_with(&self.prefix) {
            true => Ok(Object::new(key.as_str(), size, None)),
            false => Err(wrong_line()),
        }
    }

    fn finish(self) -> Result<()> {
        let fault = match self.hasher.finish() == self.part.name {
            true if self.rest.is_empty() => return Ok(()),
            true => wrong_line(),
            false => Error::mismatch(&self.part.name),
        };
        Err(fault.of(self.part.key))
    }
}

/// The keys of parts.
pub(crate) fn layout() -> Result<Layout> {
    Layout::flat(PARTS, ".txt")
}

fn wrong_line() -> Error {
    malformed("a line of a catalogue is no object of its part")
}

fn malformed(rule: &'static str) -> Error {
    Error::new(ErrorKind::Malformed(rule))
}

/// The object that names the parts.
pub(crate) const CATALOG: &str = "carstone-store.catalog.json";
/// What the keys of parts begin with.
pub(crate) const PARTS: &str = "catalog/";
const VERSION: u64 = 1;
const MOST_CATALOG: usize = 64 << 10;
/// The longest line: that of the longest key.
const MOST_LINE: usize = 1024 + 24;
const PIECE: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(prefix: &str) -> Lines {
        let part =
            Part { key: Key::new("catalog/x").expect("a key"), name: Hash::default(), size: 0 };
        let hasher = Hasher::new(HashFunction::Blake3);
        Lines { part, prefix: prefix.to_owned(), hasher, rest: Vec::new() }
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        let text = b"12 index/a.seg\n18446744073709551615 index/b.seg\n";
        for step in 1..=text.len() {
            let (mut lines, mut found) = (lines("index/"), Vec::new());
            for piece in text.chunks(step) {
                found.extend(lines.take(piece).expect("lines"));
            }
            assert!(lines.rest.is_empty());
            let due =
                [Object::new("index/a.seg", 12, None), Object::new("index/b.seg", u64::MAX, None)];
            assert_eq!(found, due);
        }
    }

    #[test]
    fn no_line_leads_out_of_its_part() {
        for bad in [
            "12 packs/a.car\n",
            "12 index/../packs/a.car\n",
            "12 /index/a.seg\n",
            "12 index/\n",
            "12index/a.seg\n",
            " index/a.seg\n",
            "-1 index/a.seg\n",
            "18446744073709551616 index/a.seg\n",
            "12 index/a\rb\n",
            "\n",
        ] {
            assert!(lines("index/").take(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(lines("index/").take(b"12 index/\xff\n").is_err());
        // A line that never ends is not held.
        let mut endless = lines("index/");
        assert!(endless.take(&[b'1'; MOST_LINE]).is_ok());
        assert!(endless.take(b"1").is_err());
    }

    #[test]
    fn a_catalogue_that_is_none_is_told() {
        let name = carstone_car::cid_of(0x55, b"x").to_string();
        let good = format!(
            r#"{{"parts":{{"index/":{{"key":"catalog/{name}.txt","size":7}}}},"version":1}}"#
        );
        let catalog = Catalog::decode(good.as_bytes()).expect("a catalogue");
        assert_eq!(catalog.encode(), format!("{good}\n"));
        assert!(catalog.names(&format!("catalog/{name}.txt")));
        for (from, to) in [
            ("catalog/", "../"),
            ("catalog/", "index/"),
            (".txt", ".seg"),
            ("\"size\":7", "\"size\":-7"),
            ("\"version\":1", "\"version\":2"),
            ("\"version\":1", "\"other\":1"),
            ("\"parts\"", "\"other\""),
            ("}", ""),
        ] {
            let bad = good.replace(from, to);
            assert!(Catalog::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
