//! The records of hash-stream's indexes, version 0.1: read and written as it stores them, in DAG-JSON.

use carstone_car::multihash::Multihash;
use ipld_core::ipld::Ipld;

use super::format::malformed;
use crate::error::{Error, Result};
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
/// let stored = record.encode("index/blob@0.1")?;
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the format has these and no others")]
pub enum RecordLocation {
    /// A pack, or the blob itself.
    Multihash(Hash),
    /// A path or URL.
    Path(String),
    /// Here: the bytes of the blob, which are stored as a multihash with the identity function.
    Inline(Vec<u8>),
}

impl IndexRecord {
    /// The bytes that are stored: one line, without white space. `variant` is `index/blob@0.1` or `index/containing@0.1`.
    ///
    /// # Errors
    /// A number is larger than DAG-JSON has.
    pub fn encode(&self, variant: &str) -> Result<String> {
        let fields = [("data", self.value()), ("type", Ipld::from(variant))];
        let stored = serde_ipld_dagjson::to_vec(&map(fields)).map_err(|_| wrong())?;
        String::from_utf8(stored).map_err(|_| wrong())
    }

    /// A record, and the name of its variant.
    ///
    /// # Errors
    /// It is no record.
    pub fn decode(bytes: &[u8]) -> Result<(Self, String)> {
        let value: Ipld = serde_ipld_dagjson::from_slice(bytes).map_err(|_| wrong())?;
        let Ok(Some(Ipld::String(variant))) = value.get("type") else { return Err(wrong()) };
        let data = value.get("data").ok().flatten().ok_or_else(wrong)?;
        Ok((Self::of(data, 0)?, variant.clone()))
    }

    fn value(&self) -> Ipld {
        let bytes = |hash: &Hash| Ipld::Bytes(hash.to_bytes());
        let location = match &self.location {
            RecordLocation::Multihash(hash) => bytes(hash),
            RecordLocation::Path(path) => Ipld::from(path.clone()),
            RecordLocation::Inline(data) => {
                Ipld::Bytes([identity_head(data.len()), data.clone()].concat())
            }
        };
        let below = self.sub_records.iter().map(Self::value).collect();
        let fields = [
            ("location", location),
            ("multihash", bytes(&self.multihash)),
            ("subRecords", Ipld::List(below)),
            ("type", Ipld::Integer(self.kind as i128)),
        ];
        let numbers = [("length", self.length), ("offset", self.offset)];
        let numbers = numbers
            .into_iter()
            .filter_map(|(key, number)| Some((key, Ipld::Integer(number?.into()))));
        map(fields.into_iter().chain(numbers))
    }

    fn of(value: &Ipld, depth: usize) -> Result<Self> {
        if depth > MOST_DEPTH {
            return Err(malformed("a record of an index is nested too deep"));
        }
        let field = |key: &str| value.get(key).ok().flatten();
        let number = |key: &str| match field(key) {
            None => Ok(None),
            Some(Ipld::Integer(number)) => u64::try_from(*number).map(Some).map_err(|_| wrong()),
            Some(_) => Err(wrong()),
        };
        let hash = |value: Option<&Ipld>| match value {
            Some(Ipld::Bytes(bytes)) => Multihash::from_bytes(bytes).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        let location = match field("location") {
            Some(Ipld::String(path)) => RecordLocation::Path(path.clone()),
            Some(Ipld::Bytes(bytes)) if bytes.first() == Some(&0) => {
                RecordLocation::Inline(inline(bytes).ok_or_else(wrong)?.to_vec())
            }
            other => RecordLocation::Multihash(hash(other)?),
        };
        let kind = match number("type")? {
            Some(0) => RecordKind::Blob,
            Some(1) => RecordKind::Pack,
            Some(2) => RecordKind::Containing,
            Some(3) => RecordKind::InlineBlob,
            _ => return Err(wrong()),
        };
        let Some(Ipld::List(below)) = field("subRecords") else { return Err(wrong()) };
        let below: Result<_> = below.iter().map(|below| Self::of(below, depth + 1)).collect();
        Ok(Self {
            multihash: hash(field("multihash"))?,
            kind,
            location,
            offset: number("offset")?,
            length: number("length")?,
            sub_records: below?,
        })
    }
}

/// What stands before the bytes in a multihash with the identity function, which may be longer than any other.
fn identity_head(len: usize) -> Vec<u8> {
    let (mut head, mut left) = (vec![0], len);
    while left > 0x7F {
        head.push(left as u8 | 0x80);
        left >>= 7;
    }
    head.push(left as u8);
    head
}

/// The bytes that such a multihash holds.
fn inline(bytes: &[u8]) -> Option<&[u8]> {
    (2..=6).find_map(|head| {
        let (head, data) = bytes.split_at_checked(head)?;
        (identity_head(data.len()) == head).then_some(data)
    })
}

pub(super) fn map<'a>(fields: impl IntoIterator<Item = (&'a str, Ipld)>) -> Ipld {
    Ipld::Map(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn wrong() -> Error {
    malformed("it is no record of an index")
}

/// The variant of records that stand alone: of one blob, or of a pack without what is in it.
pub(crate) const BLOB_VARIANT: &str = "index/blob@0.1";
/// The variant of records that hold others.
pub(crate) const CONTAINING_VARIANT: &str = "index/containing@0.1";
/// Sets hold packs, and packs hold blobs.
const MOST_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use carstone_car::{cid_of, codec};

    use super::*;

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
        let text = group.encode("index/containing@0.1").expect("small");
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
        assert_eq!(read.encode(&variant).expect("small"), text);
        let path = IndexRecord {
            location: RecordLocation::Path("a/\"b\".bin".to_owned()),
            ..leaf.clone()
        };
        let text = path.encode("index/blob@0.1").expect("small");
        assert!(text.contains(r#""location":"a/\"b\".bin","#), "{text}");
        assert_eq!(IndexRecord::decode(text.as_bytes()).expect("a record").0, path);
        for len in [0, 1, 127, 128, 20_000] {
            let location = RecordLocation::Inline(vec![7; len]);
            let record = IndexRecord { kind: RecordKind::InlineBlob, location, ..leaf.clone() };
            let text = record.encode(BLOB_VARIANT).expect("small");
            assert_eq!(IndexRecord::decode(text.as_bytes()).expect("a record").0, record);
        }
        for bad in ["", "{}", "[]", r#"{"data":{},"type":"x"}"#, &text[..text.len() - 1]] {
            assert!(IndexRecord::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
