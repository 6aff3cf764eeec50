//! One block, understood: what kind of node it is and what it says.

use carstone_car::Cid;

use crate::dag_pb::{self, Links};
use crate::error::{Error, ErrorKind};
use crate::hamt::{Fanout, MAX_SLOTS, MURMUR3_X64_64};
use crate::metadata::{Metadata, NANOS};
use crate::proto::{Fields, Value};

/// A block as UnixFS understands it, borrowed from the block.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Node<'a> {
    /// A block of codec raw: the bytes are content.
    Raw(&'a [u8]),
    /// A file, or a part of one.
    File(FileNode<'a>),
    /// A directory in one block.
    Directory {
        /// Link names are entry names.
        links: Links<'a>,
        /// What is known about the directory itself.
        metadata: Metadata,
    },
    /// A shard of a large directory.
    Shard(ShardNode<'a>),
    /// A symbolic link.
    Symlink {
        /// Where it points, as stored: any bytes, never to be trusted.
        target: &'a [u8],
        /// What is known about the symlink itself.
        metadata: Metadata,
    },
    /// Something else: another codec, a dag-pb node without UnixFS data, or a UnixFS type of no interest.
    Other {
        /// The codec of the CID.
        codec: u64,
    },
}

/// The node of a file: its own bytes, followed by the content of its children.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FileNode<'a> {
    /// Content that stands in the node itself; empty where the profile puts all content into leaves.
    pub data: &'a [u8],
    /// Where `data` begins in the block.
    pub data_offset: usize,
    /// Content bytes under each link. The child is yet to be compared with this.
    pub blocksizes: Vec<u64>,
    /// The children, as many as `blocksizes`.
    pub links: Links<'a>,
    /// Content bytes in all: `data` and all `blocksizes`, which has been checked.
    pub size: u64,
    /// What is known about the file.
    pub metadata: Metadata,
}

/// A shard of a large directory, with its bitmap and slots checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShardNode<'a> {
    /// Link names are the slot in hexadecimal, `width` digits, then the entry name; where no name follows,
    /// the link leads to a shard one level down.
    pub links: Links<'a>,
    /// Slots, from 8 to 1024.
    pub fanout: usize,
    /// Digits in front of each name.
    pub width: usize,
    /// What is known about the directory.
    pub metadata: Metadata,
}

/// Understands a block. `data` must have been verified against `cid`.
///
/// Strict where an ambiguity could be used against the reader, tolerant of what programs really write:
/// mode and mtime, packed or unpacked block sizes, data before links, unknown UnixFS fields.
pub fn decode<'a>(cid: &Cid, data: &'a [u8]) -> Result<Node<'a>, Error> {
    match cid.codec() {
        RAW => Ok(Node::Raw(data)),
        DAG_PB => decode_dag_pb(data).map_err(|error| error.within(cid)),
        codec => Ok(Node::Other { codec }),
    }
}

/// Whether a block is a dag-pb node that says that it is UnixFS, be that well formed or not: its data begins with one of UnixFS's types.
pub fn is_unixfs(block: &[u8]) -> bool {
    const FIELD_TYPE: u8 = 1 << 3;
    let data = dag_pb::parse(block).ok().and_then(|node| node.data);
    data.is_some_and(|data| matches!(data, [FIELD_TYPE, 0..=5, ..]))
}

fn decode_dag_pb(block: &[u8]) -> Result<Node<'_>, Error> {
    let node = dag_pb::parse(block)?;
    let Some(data) = node.data else { return Ok(Node::Other { codec: DAG_PB }) };
    let unixfs = Message::parse(data, node.data_at, node.links.len())?;
    let metadata = Metadata { mode: unixfs.mode, mtime: unixfs.mtime };
    match unixfs.kind {
        TYPE_RAW | TYPE_FILE => file(unixfs, node).map(Node::File),
        TYPE_DIRECTORY => Ok(Node::Directory { links: node.links, metadata }),
        TYPE_SYMLINK => Ok(Node::Symlink { target: unixfs.data, metadata }),
        TYPE_SHARD => shard(unixfs, node).map(Node::Shard),
        _ => Ok(Node::Other { codec: DAG_PB }),
    }
}

fn file<'a>(unixfs: Message<'a>, node: dag_pb::Parsed<'a>) -> Result<FileNode<'a>, Error> {
    if unixfs.blocksizes.len() != node.links.len() {
        return Err(Error::malformed("a file has not as many block sizes as links", node.data_at));
    }
    let own = unixfs.data.len() as u64;
    let sum = unixfs.blocksizes.iter().try_fold(own, |sum, size| sum.checked_add(*size));
    let size = sum.ok_or_else(|| Error::new(ErrorKind::TooLarge))?;
    if unixfs.filesize.is_some_and(|stated| stated != size) {
        return Err(Error::malformed("a file's size is not the sum of its parts", node.data_at));
    }
    let metadata = Metadata { mode: unixfs.mode, mtime: unixfs.mtime };
    let (data, data_offset) = (unixfs.data, unixfs.data_at);
    Ok(FileNode {
        data,
        data_offset,
        blocksizes: unixfs.blocksizes,
        links: node.links,
        size,
        metadata,
    })
}

fn shard<'a>(unixfs: Message<'a>, node: dag_pb::Parsed<'a>) -> Result<ShardNode<'a>, Error> {
    let malformed = |rule| Err(Error::malformed(rule, node.data_at));
    if unixfs.hash_type != Some(MURMUR3_X64_64) {
        return malformed("a shard uses another hash than murmur3-x64-64");
    }
    let slots = unixfs.fanout.unwrap_or(0);
    let fanout = Fanout::new(slots).ok_or_else(|| Error::new(ErrorKind::BadFanout(slots)))?;
    let bitmap = unixfs.data;
    if bitmap.len() > fanout.slots() / 8 {
        return malformed("a shard's bitmap has more bits than slots");
    }
    // With each link in a slot of its own whose bit is set, equal counts mean that every bit has its link.
    let bits = bitmap.iter().map(|byte| byte.count_ones() as usize).sum::<usize>();
    if bits != node.links.len() {
        return malformed("a shard's bitmap has not as many bits as links");
    }
    let mut seen = [0_u64; MAX_SLOTS / 64];
    for link in node.links.clone() {
        let Some(slot) = fanout.parse_slot(link.name) else {
            return malformed("a link of a shard does not begin with its slot");
        };
        let byte = bitmap.len().checked_sub(1 + slot / 8).and_then(|at| bitmap.get(at));
        let bit = 1 << (slot % 64);
        if byte.is_none_or(|byte| byte >> (slot % 8) & 1 == 0) || seen[slot / 64] & bit != 0 {
            return malformed("a link of a shard stands in a slot that is not its own");
        }
        seen[slot / 64] |= bit;
    }
    let metadata = Metadata { mode: unixfs.mode, mtime: unixfs.mtime };
    Ok(ShardNode { links: node.links, fanout: fanout.slots(), width: fanout.width(), metadata })
}

/// The message inside a node's data.
#[derive(Debug, Default)]
struct Message<'a> {
    kind: u64,
    data: &'a [u8],
    data_at: usize,
    filesize: Option<u64>,
    blocksizes: Vec<u64>,
    hash_type: Option<u64>,
    fanout: Option<u64>,
    mode: Option<u32>,
    mtime: Option<(i64, u32)>,
}

impl<'a> Message<'a> {
    /// `links` bounds the block sizes, so that a small block cannot ask for a large list.
    fn parse(bytes: &'a [u8], base: usize, links: usize) -> Result<Self, Error> {
        let (mut message, mut fields, mut seen) =
            (Self::default(), Fields::new(bytes, base), 0_u16);
        while let Some(field) = fields.next()? {
            let at = field.at;
            match (field.number, field.value) {
                (BLOCKSIZES, Value::Varint(size)) => message.push_size(size, links, at)?,
                (BLOCKSIZES, Value::Bytes(packed)) => {
                    let mut packed = Fields::new(packed, at);
                    while !packed.is_empty() {
                        message.push_size(packed.varint()?, links, at)?;
                    }
                }
                (number @ 1..=8, value) => {
                    // Two readers could take different ones of two values.
                    if seen & 1 << number != 0 {
                        return Err(Error::malformed("a UnixFS field is repeated", at));
                    }
                    seen |= 1 << number;
                    message.set(number, value, at)?;
                }
                _ => {} // A field of later versions.
            }
        }
        if seen & 1 << TYPE == 0 {
            return Err(Error::malformed("UnixFS data has no type", base));
        }
        Ok(message)
    }

    fn push_size(&mut self, size: u64, links: usize, at: usize) -> Result<(), Error> {
        if self.blocksizes.len() == links {
            return Err(Error::malformed("a node has more block sizes than links", at));
        }
        self.blocksizes.push(size);
        Ok(())
    }

    fn set(&mut self, number: u64, value: Value<'a>, at: usize) -> Result<(), Error> {
        match (number, value) {
            (TYPE, Value::Varint(kind)) => self.kind = kind,
            (CONTENT, Value::Bytes(data)) => (self.data, self.data_at) = (data, at),
            (FILESIZE, Value::Varint(size)) => self.filesize = Some(size),
            (HASH_TYPE, Value::Varint(code)) => self.hash_type = Some(code),
            (FANOUT, Value::Varint(slots)) => self.fanout = Some(slots),
            (MODE, Value::Varint(mode)) => {
                let mode = u32::try_from(mode);
                self.mode = Some(mode.map_err(|_| Error::malformed("a mode exceeds 32 bits", at))?);
            }
            (MTIME, Value::Bytes(time)) => self.mtime = Some(parse_time(time, at)?),
            _ => return Err(Error::malformed("a UnixFS field has the wrong type", at)),
        }
        Ok(())
    }
}

/// Nanoseconds of 0, which should be left out, are what some programs write.
fn parse_time(bytes: &[u8], base: usize) -> Result<(i64, u32), Error> {
    let (mut seconds, mut nanos, mut fields) = (None, None, Fields::new(bytes, base));
    while let Some(field) = fields.next()? {
        match (field.number, field.value) {
            // A negative number is stored as its two's complement.
            (1, Value::Varint(value)) if seconds.is_none() => seconds = Some(value.cast_signed()),
            (2, Value::Fixed32(value)) if nanos.is_none() && value < NANOS => nanos = Some(value),
            _ => return Err(Error::malformed("a modification time is not well formed", field.at)),
        }
    }
    let seconds =
        seconds.ok_or_else(|| Error::malformed("a modification time has no seconds", base))?;
    Ok((seconds, nanos.unwrap_or(0)))
}

/// Codec of blocks that are plain content.
pub(crate) const RAW: u64 = 0x55;
/// Codec of nodes.
pub(crate) const DAG_PB: u64 = 0x70;

// UnixFS field numbers.
const TYPE: u64 = 1;
const CONTENT: u64 = 2;
const FILESIZE: u64 = 3;
const BLOCKSIZES: u64 = 4;
const HASH_TYPE: u64 = 5;
const FANOUT: u64 = 6;
const MODE: u64 = 7;
const MTIME: u64 = 8;

// UnixFS types.
pub(crate) const TYPE_RAW: u64 = 0;
pub(crate) const TYPE_DIRECTORY: u64 = 1;
pub(crate) const TYPE_FILE: u64 = 2;
pub(crate) const TYPE_SYMLINK: u64 = 4;
pub(crate) const TYPE_SHARD: u64 = 5;
