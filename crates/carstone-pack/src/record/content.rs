//! The records that stand among the content: entry batch, resume, end.

use carstone_car::Cid;
use carstone_layer::PackId;

use super::{In, Out, VERSION, begin, kind, read};
use crate::entry::{Announced, EntryKind, Metadata, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::path::check_path;

/// Announces entries whose data follows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batch {
    /// The entries, with consecutive ids.
    pub entries: Vec<Announced>,
}

impl Batch {
    /// The most entries in a batch.
    pub const MAX_ENTRIES: usize = 512;

    pub(crate) fn encode(pack: &PackId, entries: &[Announced]) -> Vec<u8> {
        let mut out = begin(pack, 2);
        out.key("e").array(entries.len());
        for entry in entries {
            encode_entry(&mut out, entry);
        }
        out.key("i").uint(entries.first().map_or(0, |entry| entry.id));
        out.key("t").uint(kind::BATCH).key("v").uint(VERSION);
        out.finish()
    }

    pub(crate) fn decode(data: &[u8], at: u64) -> Result<Self, Error> {
        let (mut entries, mut first) = (Vec::new(), None);
        read(data, at, |input, key| {
            match key {
                "e" => input.array(Self::MAX_ENTRIES, |input| {
                    entries.push(decode_entry(input, at)?);
                    Ok(())
                })?,
                "i" => first = Some(input.uint()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let bad = |rule| Error::new(ErrorKind::BadRecord(rule), at);
        let first = first.ok_or_else(|| bad("a batch has no first id"))?;
        if entries.is_empty() {
            return Err(bad("a batch has no entries"));
        }
        if entries.len() > 1 && entries.iter().any(Announced::is_streamed) {
            return Err(bad("a file without root shares its batch"));
        }
        for (entry, n) in entries.iter_mut().zip(0..) {
            entry.id = first.checked_add(n).ok_or_else(|| bad("an entry id overflows"))?;
        }
        Ok(Self { entries })
    }
}

/// Leaves that stand earlier in the pack and are content here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the format has just these two")]
pub struct Reference {
    /// The leaf.
    pub cid: Cid,
    /// Its length in bytes.
    pub len: u64,
}

/// Says to which entry and offset the following leaves belong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resume {
    /// The entry.
    pub id: u64,
    /// Offset in its content, in bytes.
    pub offset: u64,
    /// Earlier leaves that are the content from `offset` on.
    pub references: Vec<Reference>,
}

impl Resume {
    /// The most references in one record.
    pub const MAX_REFERENCES: usize = 1024;

    pub(crate) fn new(id: u64, offset: u64, references: Vec<Reference>) -> Self {
        Self { id, offset, references }
    }

    pub(crate) fn encode(&self, pack: &PackId) -> Vec<u8> {
        let mut out = begin(pack, 2 + usize::from(!self.references.is_empty()));
        out.key("i").uint(self.id).key("o").uint(self.offset);
        if !self.references.is_empty() {
            out.key("r").array(self.references.len());
            for leaf in &self.references {
                out.array(2).link(&leaf.cid).uint(leaf.len);
            }
        }
        out.key("t").uint(kind::RESUME).key("v").uint(VERSION);
        out.finish()
    }

    pub(crate) fn decode(data: &[u8], at: u64) -> Result<Self, Error> {
        let (mut id, mut offset, mut references) = (None, None, Vec::new());
        read(data, at, |input, key| {
            match key {
                "i" => id = Some(input.uint()?),
                "o" => offset = Some(input.uint()?),
                "r" => input.array(Self::MAX_REFERENCES, |input| {
                    let (mut cid, mut len, mut part) = (None, 0, 0);
                    input.array(2, |input| {
                        match part {
                            0 => cid = Some(input.link()?),
                            _ => len = input.uint()?,
                        }
                        part += 1;
                        Ok(())
                    })?;
                    match (cid, part) {
                        (Some(cid), 2) => references.push(Reference { cid, len }),
                        _ => return Err(input.fail("a reference is not a pair")),
                    }
                    Ok(())
                })?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        match (id, offset) {
            (Some(id), Some(offset)) => Ok(Self { id, offset, references }),
            _ => Err(Error::new(ErrorKind::BadRecord("a resume record lacks id or offset"), at)),
        }
    }
}

/// Ends an entry whose content is spread over several leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// The entry.
    pub id: u64,
    /// Its path, again.
    pub path: Vec<u8>,
    /// Content size in bytes.
    pub size: u64,
    /// Root CID and SHA-256 of the whole content; `None` for an entry that was abandoned.
    pub proof: Option<(Cid, [u8; 32])>,
    /// The source changed while it was read.
    pub changed: bool,
}

impl End {
    pub(crate) fn encode(&self, pack: &PackId) -> Vec<u8> {
        let flags = u64::from(self.changed) * FLAG_CHANGED
            + u64::from(self.proof.is_none()) * FLAG_ABANDONED;
        let keys = 3 + 2 * usize::from(self.proof.is_some()) + usize::from(flags != 0);
        let mut out = begin(pack, keys);
        if let Some((root, _)) = &self.proof {
            out.key("c").link(root);
        }
        if flags != 0 {
            out.key("f").uint(flags);
        }
        if let Some((_, sha256)) = &self.proof {
            out.key("h").bytes(sha256);
        }
        out.key("i").uint(self.id).key("p").bytes(&self.path);
        out.key("t").uint(kind::END).key("v").uint(VERSION).key("z").uint(self.size);
        out.finish()
    }

    pub(crate) fn decode(data: &[u8], at: u64) -> Result<Self, Error> {
        let (mut id, mut path, mut size) = (None, None, None);
        let (mut root, mut sha256, mut flags) = (None, None, 0);
        read(data, at, |input, key| {
            match key {
                "c" => root = Some(input.link()?),
                "f" => flags = input.uint()?,
                "h" => sha256 = Some(input.digest()?),
                "i" => id = Some(input.uint()?),
                "p" => path = Some(input.bytes()?.to_vec()),
                "z" => size = Some(input.uint()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let proof = match (root, sha256, flags & FLAG_ABANDONED != 0) {
            (Some(root), Some(sha256), false) => Some((root, sha256)),
            (None, None, true) => None,
            _ => return Err(Error::new(ErrorKind::BadRecord("an end record lacks its proof"), at)),
        };
        match (id, path, size) {
            (Some(id), Some(path), Some(size)) => {
                Ok(Self { id, path, size, proof, changed: flags & FLAG_CHANGED != 0 })
            }
            _ => Err(Error::new(ErrorKind::BadRecord("an end record lacks a key"), at)),
        }
    }
}

fn encode_entry(out: &mut Out, entry: &Announced) {
    let metadata = &entry.metadata;
    let nanos = metadata.mtime.filter(|mtime| mtime.nanos != 0);
    let present = [
        entry.root.is_some(),
        metadata.gid.is_some(),
        entry.target_id.is_some(),
        entry.target.is_some(),
        metadata.mode.is_some(),
        nanos.is_some(),
        metadata.mtime.is_some(),
        metadata.uid.is_some(),
        !metadata.xattrs.is_empty(),
        entry.size.is_some(),
        metadata.group.is_some(),
        metadata.user.is_some(),
    ];
    out.map(2 + present.iter().filter(|&&there| there).count());
    // Upper-case keys sort before lower-case ones.
    if let Some(group) = &metadata.group {
        out.key("G").bytes(group);
    }
    if let Some(user) = &metadata.user {
        out.key("U").bytes(user);
    }
    if let Some(root) = &entry.root {
        out.key("c").link(root);
    }
    if let Some(gid) = metadata.gid {
        out.key("g").uint(gid.into());
    }
    if let Some(id) = entry.target_id {
        out.key("j").uint(id);
    }
    out.key("k").uint(entry.kind.code());
    if let Some(target) = &entry.target {
        out.key("l").bytes(target);
    }
    if let Some(mode) = metadata.mode {
        out.key("m").uint(mode.into());
    }
    if let Some(mtime) = nanos {
        out.key("n").uint(mtime.nanos.into());
    }
    out.key("p").bytes(&entry.path);
    if let Some(mtime) = metadata.mtime {
        out.key("s").int(mtime.seconds);
    }
    if let Some(uid) = metadata.uid {
        out.key("u").uint(uid.into());
    }
    if !metadata.xattrs.is_empty() {
        let mut sorted: Vec<_> = metadata.xattrs.iter().collect();
        sorted.sort();
        out.key("x").array(sorted.len());
        for (name, value) in sorted {
            out.array(2).bytes(name).bytes(value);
        }
    }
    if let Some(size) = entry.size {
        out.key("z").uint(size);
    }
}

fn decode_entry(input: &mut In<'_>, at: u64) -> Result<Announced, Error> {
    let (mut kind, mut path) = (None, None);
    let (mut seconds, mut nanos) = (None, 0);
    let mut entry = Announced::new(0, Vec::new(), EntryKind::File, Metadata::default());
    input.map(|input, key| {
        match key {
            "G" => entry.metadata.group = Some(input.bytes()?.to_vec()),
            "U" => entry.metadata.user = Some(input.bytes()?.to_vec()),
            "c" => entry.root = Some(input.link()?),
            "g" => entry.metadata.gid = Some(input.u32()?),
            "j" => entry.target_id = Some(input.uint()?),
            "k" => kind = EntryKind::from_code(input.uint()?),
            "l" => entry.target = Some(input.bytes()?.to_vec()),
            "m" => entry.metadata.mode = Some(input.u32()?),
            "n" => nanos = read_nanos(input)?,
            "p" => path = Some(input.bytes()?),
            "s" => seconds = Some(input.int()?),
            "u" => entry.metadata.uid = Some(input.u32()?),
            "x" => entry.metadata.xattrs = decode_xattrs(input)?,
            "z" => entry.size = Some(input.uint()?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    entry.kind = kind.ok_or_else(|| input.fail("an entry has no known kind"))?;
    let path = path.ok_or_else(|| input.fail("an entry has no path"))?;
    check_path(path).map_err(|fault| Error::bad_path(path, fault, at))?;
    entry.path = path.to_vec();
    entry.metadata.mtime = seconds.map(|seconds| Timestamp { seconds, nanos });
    if entry.metadata.mode.is_some_and(|mode| mode > 0o7777) {
        return Err(input.fail("a mode is more than permission bits"));
    }
    let is_link = matches!(entry.kind, EntryKind::Symlink | EntryKind::HardLink);
    let is_file = entry.kind == EntryKind::File;
    let is_hard_link = entry.kind == EntryKind::HardLink;
    if is_link != entry.target.is_some()
        || is_hard_link != entry.target_id.is_some()
        || (entry.root.is_some() && !is_file)
        || (entry.size.is_some() && !is_file)
        || (entry.root.is_some() && entry.size.is_none())
    {
        return Err(input.fail("an entry's keys do not fit its kind"));
    }
    Ok(entry)
}

/// The value of a key `n`.
pub(super) fn read_nanos(input: &mut In<'_>) -> Result<u32, Error> {
    match input.u32()? {
        0 => Err(input.fail("nanoseconds are absent where they are 0")),
        nanos @ 1..1_000_000_000 => Ok(nanos),
        _ => Err(input.fail("nanoseconds are a second or more")),
    }
}

fn decode_xattrs(input: &mut In<'_>) -> Result<Vec<Xattr>, Error> {
    let mut xattrs = Vec::new();
    input.array(MAX_XATTRS, |input| {
        let mut pair = Vec::new();
        input.array(2, |input| {
            pair.push(input.bytes()?.to_vec());
            Ok(())
        })?;
        let value = pair.pop();
        match (pair.pop(), value) {
            (Some(name), Some(value)) => xattrs.push((name, value)),
            _ => return Err(input.fail("an extended attribute is not a pair")),
        }
        Ok(())
    })?;
    match xattrs.is_sorted_by_key(|(name, _)| name) {
        true => Ok(xattrs),
        false => Err(input.fail("extended attributes are not sorted by name")),
    }
}

/// Name and value.
type Xattr = (Vec<u8>, Vec<u8>);

const FLAG_CHANGED: u64 = 1;
const FLAG_ABANDONED: u64 = 2;
const MAX_XATTRS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a batch of this one entry is taken.
    fn is_taken(kind: EntryKind, change: impl FnOnce(&mut Announced)) -> bool {
        let mut entry = Announced::new(0, b"name".to_vec(), kind, Metadata::default());
        change(&mut entry);
        Batch::decode(&Batch::encode(&PackId::from_bytes([7; 16]), &[entry]), 0).is_ok()
    }

    #[test]
    fn entries_with_keys_of_another_kind_are_refused() {
        let leaf = carstone_car::cid_of(super::super::RAW, b"leaf");
        let target = |entry: &mut Announced| entry.target = Some(b"target".to_vec());
        for kind in [EntryKind::File, EntryKind::Directory] {
            assert!(is_taken(kind, |_| ()));
            assert!(!is_taken(kind, target));
            let expected_size = is_taken(kind, |entry| entry.size = Some(4));
            assert_eq!(expected_size, kind == EntryKind::File, "a size without a root");
            assert!(!is_taken(kind, |entry| entry.target_id = Some(1)));
            assert!(!is_taken(kind, |entry| entry.root = Some(leaf)), "a root without a size");
            let whole = |entry: &mut Announced| (entry.root, entry.size) = (Some(leaf), Some(4));
            assert_eq!(is_taken(kind, whole), kind == EntryKind::File);
        }
        assert!(is_taken(EntryKind::Symlink, target));
        assert!(!is_taken(EntryKind::Symlink, |_| ()));
        let both = |entry: &mut Announced| {
            (entry.target, entry.target_id) = (Some(b"target".to_vec()), Some(1));
        };
        assert!(!is_taken(EntryKind::Symlink, both));
        assert!(is_taken(EntryKind::HardLink, both));
        assert!(!is_taken(EntryKind::HardLink, target), "a hard link without an id");
    }
}
