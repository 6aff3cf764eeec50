//! The records of hash-stream's indexes, version 0.1: read and written as it stores them, in DAG-JSON.

use carstone_car::multihash::Multihash;
use serde_json::{Map, Value};

use super::format::malformed;
use crate::error::Result;
use crate::name::Hash;

/// A record of hash-stream.
///
/// ```
/// use carstone_store::{IndexRecord, RecordKind, RecordLocation, parse_text};
/// let blob = parse_text("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku").expect("a hash");
/// let record = IndexRecord {
///     multihash: blob,
///     kind: RecordKind::Blob,
///     location: RecordLocation::Multihash(blob),
///     offset: Some(0),
///     length: Some(0),
///     sub_records: Vec::new(),
/// };
/// let stored = record.encode("index/blob@0.1");
/// assert!(stored.starts_with(r#"{"data":{"length":0,"location":{"/":{"bytes":"EiDj"#));
/// assert_eq!(IndexRecord::decode(stored.as_bytes())?, (record, "index/blob@0.1".to_owned()));
/// # Ok::<(), carstone_store::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the format has these fields and no others")]
pub struct IndexRecord {
    /// What it is about.
    pub multihash: Hash,
    /// What it says.
    pub kind: RecordKind,
    /// Where that is.
    pub location: RecordLocation,
    /// Where the bytes of a blob begin.
    pub offset: Option<u64>,
    /// Bytes of a blob.
    pub length: Option<u64>,
    /// What is in a pack, or in a set.
    pub sub_records: Vec<IndexRecord>,
}

/// Kinds of records, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the format has these and no others")]
pub enum RecordKind {
    /// 0: a blob in a pack, by itself, or elsewhere.
    Blob,
    /// 1: a pack.
    Pack,
    /// 2: a set of blobs, named by its root.
    Containing,
    /// 3: a blob that its location holds.
    InlineBlob,
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the format has these and no others")]
pub enum RecordLocation {
    /// A pack, or the blob itself.
    Multihash(Hash),
    /// A path or URL.
    Path(String),
}

impl IndexRecord {
    /// The bytes that are stored: one line, without white space. `variant` is `index/blob@0.1` or `index/containing@0.1`.
    pub fn encode(&self, variant: &str) -> String {
        let variant = Value::from(variant);
        format!(r#"{{"data":{},"type":{variant}}}"#, self.value())
    }

    /// A record, and the name of its variant.
    ///
    /// # Errors
    /// It is no record.
    pub fn decode(bytes: &[u8]) -> Result<(Self, String)> {
        let wrong = || malformed("it is no record of an index");
        let value: Value = serde_json::from_slice(bytes).map_err(|_| wrong())?;
        let variant = value["type"].as_str().ok_or_else(wrong)?.to_owned();
        Ok((Self::of(&value["data"], 0)?, variant))
    }

    /// Maps of `serde_json` are in the order of their keys' bytes, as DAG-JSON wants it.
    fn value(&self) -> Value {
        let mut fields = Map::new();
        if let Some(length) = self.length {
            fields.insert("length".to_owned(), length.into());
        }
        let location = match &self.location {
            RecordLocation::Multihash(hash) => bytes(hash),
            RecordLocation::Path(path) => path.clone().into(),
        };
        fields.insert("location".to_owned(), location);
        fields.insert("multihash".to_owned(), bytes(&self.multihash));
        if let Some(offset) = self.offset {
            fields.insert("offset".to_owned(), offset.into());
        }
        let below = self.sub_records.iter().map(Self::value).collect();
        fields.insert("subRecords".to_owned(), Value::Array(below));
        fields.insert("type".to_owned(), (self.kind as u8).into());
        Value::Object(fields)
    }

    fn of(value: &Value, depth: usize) -> Result<Self> {
        let wrong = || malformed("it is no record of an index");
        if depth > MOST_DEPTH {
            return Err(malformed("a record of an index is nested too deep"));
        }
        let number = |key: &str| match &value[key] {
            Value::Null => Ok(None),
            number => number.as_u64().map(Some).ok_or_else(wrong),
        };
        let location = match &value["location"] {
            Value::String(path) => RecordLocation::Path(path.clone()),
            other => RecordLocation::Multihash(hash(other)?),
        };
        let kind = match value["type"].as_u64() {
            Some(0) => RecordKind::Blob,
            Some(1) => RecordKind::Pack,
            Some(2) => RecordKind::Containing,
            Some(3) => RecordKind::InlineBlob,
            _ => return Err(wrong()),
        };
        let below = value["subRecords"].as_array().ok_or_else(wrong)?;
        let below: Result<_> = below.iter().map(|below| Self::of(below, depth + 1)).collect();
        Ok(Self {
            multihash: hash(&value["multihash"])?,
            kind,
            location,
            offset: number("offset")?,
            length: number("length")?,
            sub_records: below?,
        })
    }
}

fn bytes(hash: &Hash) -> Value {
    let inner = Map::from_iter([("bytes".to_owned(), Value::from(base64(&hash.to_bytes())))]);
    Value::Object(Map::from_iter([("/".to_owned(), Value::Object(inner))]))
}

fn hash(value: &Value) -> Result<Hash> {
    let wrong = || malformed("a record of an index has no multihash where one belongs");
    let text = value["/"]["bytes"].as_str().ok_or_else(wrong)?;
    let bytes = from_base64(text).ok_or_else(wrong)?;
    Multihash::from_bytes(&bytes).map_err(|_| wrong())
}

/// RFC 4648, without padding.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for at in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0;
        for (at, letter) in chunk.iter().enumerate() {
            let six = ALPHABET.iter().position(|known| known == letter)?;
            bits |= (six as u32) << (18 - 6 * at);
        }
        let whole = match chunk.len() {
            4 => 3,
            3 => 2,
            2 => 1,
            _ => return None,
        };
        let [_, group @ ..] = bits.to_be_bytes();
        // Bits that no byte has are zero, or there would be other texts of the same bytes.
        if group[whole..].iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend(&group[..whole]);
    }
    Some(bytes)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Sets hold packs, and packs hold blobs.
const MOST_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use carstone_car::{cid_of, codec};

    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        for bad in ["Z", "Zh", "Zm9", "Zg==", "Z g", "Zm9v-g"] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }

    #[test]
    fn nested_records_are_written_in_the_order_of_their_keys() {
        let (blob, pack) = (*cid_of(codec::RAW, b"").hash(), *cid_of(codec::RAW, b"pack").hash());
        let leaf = IndexRecord {
            multihash: blob,
            kind: RecordKind::Blob,
            location: RecordLocation::Multihash(pack),
            offset: Some(57),
            length: Some(1_048_576),
            sub_records: Vec::new(),
        };
        let group = IndexRecord {
            multihash: pack,
            kind: RecordKind::Pack,
            location: RecordLocation::Multihash(pack),
            offset: None,
            length: None,
            sub_records: vec![leaf.clone()],
        };
        let empty = r#"{"/":{"bytes":"EiDjsMRCmPwcFJr79MiZb7kkJ65B5GSbk0yklZkbeFK4VQ"}}"#;
        let text = group.encode("index/containing@0.1");
        assert!(text.contains(r#""subRecords":[{"length":1048576,"location":"#), "{text}");
        assert!(
            text.contains(&format!(
                r#""multihash":{empty},"offset":57,"subRecords":[],"type":0}}]"#
            ))
        );
        assert!(text.ends_with(r#"],"type":1},"type":"index/containing@0.1"}"#), "{text}");
        assert!(!text.contains(' ') && !text.contains('\n'));
        let (read, variant) = IndexRecord::decode(text.as_bytes()).expect("a record");
        assert_eq!((&read, &variant[..]), (&group, "index/containing@0.1"));
        assert_eq!(read.encode(&variant), text);
        let path = IndexRecord { location: RecordLocation::Path("a/\"b\".bin".to_owned()), ..leaf };
        let text = path.encode("index/blob@0.1");
        assert!(text.contains(r#""location":"a/\"b\".bin","#), "{text}");
        assert_eq!(IndexRecord::decode(text.as_bytes()).expect("a record").0, path);
        for bad in ["", "{}", "[]", r#"{"data":{},"type":"x"}"#, &text[..text.len() - 1]] {
            assert!(IndexRecord::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
