//! What decides the shape of a DAG, and so its root CID.

use std::str::FromStr;

use carstone_car::{Cid, cid_of, cids_of, digest_len, hash_code, multihash_of};

use crate::decode::{DAG_PB, RAW, TYPE_FILE, TYPE_RAW};
use crate::error::{Error, ErrorKind};
use crate::hamt::Fanout;
use crate::inline::identity;
use crate::layout::Layout;
use crate::leaf::{self, Leaf};
use crate::spec::ChunkerSpec;

/// How files are cut and directories laid out: equal content under an equal profile has an equal CID.
///
/// Start from a published profile. Once a setting is changed it is none any more, and has no [`name`](Self::name).
///
/// ```
/// use carstone_unixfs::{ChunkerSpec, Profile};
/// let profile: Profile = "unixfs-v1-2025".parse()?;
/// assert_eq!((profile.chunk_size(), profile.width()), (1 << 20, 1024));
/// let profile = profile.with_chunker(ChunkerSpec::fastcdc(64 << 10)?).with_width(174)?;
/// assert_eq!(profile.name(), None);
/// # Ok::<(), carstone_unixfs::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    chunker: ChunkerSpec,
    leaves: Leaves,
    width: usize,
    cid_version: CidVersion,
    shard_threshold: ShardThreshold,
    fanout: Fanout,
    layout: Layout,
    inline_limit: Option<usize>,
    hash: u64,
}

/// What the leaves of files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leaves {
    /// Blocks of codec raw: the content and nothing else. They always have CIDs of version 1.
    Raw,
    /// dag-pb nodes with the content inside, of UnixFS type File or, in the trickle layout, Raw.
    DagPb,
}

/// The version of the CIDs of dag-pb nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CidVersion {
    /// 34 bytes, shown as `Qm…`.
    V0,
    /// 36 bytes, shown as `bafybei…`.
    V1,
}

/// When a directory is sharded: as soon as it has more than the given number, of whatever is counted.
///
/// A directory whose plain node would have more than 4 MiB is sharded in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShardThreshold {
    /// Bytes of its plain node.
    NodeBytes(usize),
    /// Bytes of the names and CIDs of its links, which is less than its node takes.
    LinkBytes(usize),
    /// Entries.
    Entries(usize),
}

impl Profile {
    /// The largest limit on blocks that their CIDs hold: a [`Cid`] has room for 64 bytes.
    pub const MAX_INLINE: usize = 64;

    /// The names of the published profiles, which [`by_name`](Self::by_name) takes.
    pub const NAMES: &'static [&'static str] = &[V1_2025, V0_2015];

    /// The published profile `unixfs-v1-2025`: chunks of 1 MiB, raw leaves, balanced trees of width 1024,
    /// CIDv1 with SHA-256, directories sharded 256 ways once their node passes 256 KiB.
    pub fn unixfs_v1_2025() -> Self {
        Self {
            chunker: ChunkerSpec::MIB,
            leaves: Leaves::Raw,
            width: 1024,
            cid_version: CidVersion::V1,
            shard_threshold: ShardThreshold::NodeBytes(256 << 10),
            fanout: Fanout::F256,
            layout: Layout::Balanced,
            inline_limit: None,
            hash: hash_code::SHA2_256,
        }
    }

    /// The published profile `unixfs-v0-2015`, what Kubo has always done by default: chunks of 256 KiB in dag-pb leaves,
    /// balanced trees of width 174, CIDv0, directories sharded 256 ways once names and CIDs of their links pass 256 KiB.
    pub fn unixfs_v0_2015() -> Self {
        Self {
            chunker: ChunkerSpec::KIB_256,
            leaves: Leaves::DagPb,
            width: 174,
            cid_version: CidVersion::V0,
            shard_threshold: ShardThreshold::LinkBytes(256 << 10),
            fanout: Fanout::F256,
            layout: Layout::Balanced,
            inline_limit: None,
            hash: hash_code::SHA2_256,
        }
    }

    /// The published profile of this name, else [`ErrorKind::UnknownProfile`].
    pub fn by_name(name: &str) -> Result<Self, Error> {
        match name {
            V1_2025 => Ok(Self::unixfs_v1_2025()),
            V0_2015 => Ok(Self::unixfs_v0_2015()),
            _ => Err(Error::new(ErrorKind::UnknownProfile(name.to_owned()))),
        }
    }

    /// The name of the published profile that this is.
    pub fn name(&self) -> Option<&'static str> {
        let is_this = |name: &&&str| Self::by_name(name).as_ref().ok() == Some(self);
        Self::NAMES.iter().find(is_this).copied()
    }

    /// How files are cut.
    pub fn chunker(&self) -> ChunkerSpec {
        self.chunker
    }

    /// Bytes of content in the longest leaf.
    pub fn chunk_size(&self) -> usize {
        self.chunker.max()
    }

    /// What the leaves of files are.
    pub fn leaves(&self) -> Leaves {
        self.leaves
    }

    /// How the leaves of files hang below their roots.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Links in a full inner node of a file; in the trickle layout those to leaves, subtrees not counted.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The version of the CIDs of nodes: with another hash function than SHA-256 it is 1, whatever was set.
    pub fn cid_version(&self) -> CidVersion {
        if self.hash == hash_code::SHA2_256 { self.cid_version } else { CidVersion::V1 }
    }

    /// The multihash code of the function that hashes blocks.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// When a directory is sharded.
    pub fn shard_threshold(&self) -> ShardThreshold {
        self.shard_threshold
    }

    /// Slots in a shard of a sharded directory.
    pub fn fanout(&self) -> usize {
        self.fanout.slots()
    }

    /// Up to how many bytes blocks are held by their CIDs; `None` where no block is.
    pub fn inline_limit(&self) -> Option<usize> {
        self.inline_limit
    }

    /// Another chunker.
    #[must_use]
    pub fn with_chunker(mut self, chunker: ChunkerSpec) -> Self {
        self.chunker = chunker;
        self
    }

    /// Chunks of equal size: short for [`ChunkerSpec::fixed`], whose error it gives.
    pub fn with_chunk_size(self, bytes: usize) -> Result<Self, Error> {
        Ok(self.with_chunker(ChunkerSpec::fixed(bytes)?))
    }

    /// Other leaves.
    #[must_use]
    pub fn with_leaves(mut self, leaves: Leaves) -> Self {
        self.leaves = leaves;
        self
    }

    /// Another layout.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Puts every block of at most `bytes` bytes, leaf or node, into its CID, which is an identity CID of version 1 then. No
    /// builder hands such a block to its sink. `None` ends it. At most [`MAX_INLINE`](Self::MAX_INLINE), else
    /// [`ErrorKind::BadSetting`].
    ///
    /// This is `ipfs add --inline --inline-limit`.
    pub fn with_inline_limit(mut self, bytes: impl Into<Option<usize>>) -> Result<Self, Error> {
        self.inline_limit = bytes.into();
        match self.inline_limit {
            Some(limit) if limit > Self::MAX_INLINE => {
                Err(Error::setting("inline limit", limit, "must be at most 64 bytes"))
            }
            _ => Ok(self),
        }
    }

    /// Another width: from 2 to 65,536, else [`ErrorKind::BadSetting`].
    pub fn with_width(mut self, links: usize) -> Result<Self, Error> {
        if !(2..=MAX_WIDTH).contains(&links) {
            return Err(Error::setting("width", links, "must be from 2 to 65536 links"));
        }
        self.width = links;
        Ok(self)
    }

    /// Another version of the CIDs of nodes. Raw leaves keep CIDs of version 1, which have no other form, and so do nodes under another
    /// [hash function](Self::with_hash) than SHA-256.
    #[must_use]
    pub fn with_cid_version(mut self, version: CidVersion) -> Self {
        self.cid_version = version;
        self
    }

    /// Another function that hashes blocks, leaves as well as nodes, by its multihash code: one that has a full digest of a
    /// [known length](digest_len), else [`ErrorKind::UnknownHash`]. The identity is none; see [`with_inline_limit`](Self::with_inline_limit).
    ///
    /// CIDs of version 0 have SHA-256 alone. Under another function all CIDs are of version 1, as `ipfs add --hash` makes them, in
    /// whichever order this and [`with_cid_version`](Self::with_cid_version) are called.
    ///
    /// ```
    /// use carstone_car::hash_code;
    /// use carstone_unixfs::Profile;
    /// let profile = Profile::unixfs_v1_2025().with_hash(hash_code::BLAKE3)?;
    /// assert_eq!(profile.leaf(b"keystone".to_vec()).cid.hash().code(), hash_code::BLAKE3);
    /// # Ok::<(), carstone_unixfs::Error>(())
    /// ```
    pub fn with_hash(mut self, code: u64) -> Result<Self, Error> {
        if digest_len(code).is_none() {
            return Err(Error::new(ErrorKind::UnknownHash(code)));
        }
        self.hash = code;
        Ok(self)
    }

    /// Another threshold.
    #[must_use]
    pub fn with_shard_threshold(mut self, threshold: ShardThreshold) -> Self {
        self.shard_threshold = threshold;
        self
    }

    /// Another fanout: a power of two from 8 to 1024, else [`ErrorKind::BadFanout`].
    pub fn with_fanout(mut self, slots: usize) -> Result<Self, Error> {
        let slots = u64::try_from(slots).unwrap_or(u64::MAX);
        self.fanout = Fanout::new(slots).ok_or_else(|| Error::new(ErrorKind::BadFanout(slots)))?;
        Ok(self)
    }

    /// Makes the block of a leaf of its content. Content of codec raw is not copied.
    pub fn leaf(&self, content: Vec<u8>) -> Leaf {
        let (size, block) = (content.len() as u64, self.leaf_block(content));
        Leaf { cid: self.cid(self.leaf_codec(), &block), block, size }
    }

    /// The same of several leaves, which takes less time than one after the other.
    pub fn leaf_each(&self, contents: Vec<Vec<u8>>) -> Vec<Leaf> {
        let blocks = contents.into_iter().map(|content| {
            let size = content.len() as u64;
            (size, self.leaf_block(content))
        });
        let (blocks, codec): (Vec<_>, _) = (blocks.collect(), self.leaf_codec());
        if self.hash != hash_code::SHA2_256 {
            let leaf =
                |(size, block): (u64, Vec<u8>)| Leaf { cid: self.cid(codec, &block), block, size };
            return blocks.into_iter().map(leaf).collect();
        }
        let cids = cids_of(codec, blocks.iter().map(|(_, block)| &block[..]));
        let leaves = blocks.into_iter().zip(cids).map(|((size, block), cid)| {
            let inline = self.inline(codec, &block);
            Leaf { cid: inline.unwrap_or_else(|| self.version_of(cid)), block, size }
        });
        leaves.collect()
    }

    fn leaf_codec(&self) -> u64 {
        if self.leaves == Leaves::Raw { RAW } else { DAG_PB }
    }

    fn leaf_block(&self, content: Vec<u8>) -> Vec<u8> {
        match (self.leaves, self.layout) {
            (Leaves::Raw, _) => content,
            (Leaves::DagPb, Layout::Balanced) => leaf::encode(TYPE_FILE, &content),
            (Leaves::DagPb, Layout::Trickle) => leaf::encode(TYPE_RAW, &content),
        }
    }

    /// The same of content that has been verified under `cid`, the CID of a raw block. It is hashed again only where this profile makes another
    /// block of it.
    pub fn danger_verified_leaf(&self, cid: &Cid, content: Vec<u8>) -> Leaf {
        let is_ours = cid.codec() == RAW
            && cid.hash().code() == self.hash
            && Some(usize::from(cid.hash().size())) == digest_len(self.hash);
        let is_held = self.inline_limit.is_some_and(|limit| content.len() <= limit);
        match self.leaves {
            Leaves::Raw if is_ours && !is_held => {
                Leaf { cid: *cid, size: content.len() as u64, block: content }
            }
            _ => self.leaf(content),
        }
    }

    /// Length of the block of a leaf of `size` bytes of content.
    pub(crate) fn leaf_block_len(&self, size: u64) -> u64 {
        match self.leaves {
            Leaves::Raw => size,
            Leaves::DagPb => leaf::encoded_len(size),
        }
    }

    /// The CID of a dag-pb node.
    pub fn node_cid(&self, block: &[u8]) -> Cid {
        self.cid(DAG_PB, block)
    }

    /// The CID of a block, which holds it where it is small enough.
    fn cid(&self, codec: u64, block: &[u8]) -> Cid {
        if let Some(cid) = self.inline(codec, block) {
            return cid;
        }
        if self.hash == hash_code::SHA2_256 {
            return self.version_of(cid_of(codec, block));
        }
        let hash = multihash_of(self.hash, block);
        Cid::new_v1(codec, hash.expect("`with_hash` takes functions that are known"))
    }

    /// The CID under SHA-256 of a block in the version of this profile, which raw blocks have one of.
    fn version_of(&self, cid: Cid) -> Cid {
        match self.cid_version {
            // Every SHA-256 has a CID of version 0.
            CidVersion::V0 if cid.codec() == DAG_PB => Cid::new_v0(*cid.hash()).unwrap_or(cid),
            _ => cid,
        }
    }

    fn inline(&self, codec: u64, block: &[u8]) -> Option<Cid> {
        self.inline_limit.filter(|limit| block.len() <= *limit)?;
        identity(codec, block)
    }

    pub(crate) fn shard_fanout(&self) -> Fanout {
        self.fanout
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::unixfs_v1_2025()
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::by_name(name)
    }
}

const V1_2025: &str = "unixfs-v1-2025";
const V0_2015: &str = "unixfs-v0-2015";
/// A full inner node of so many links has about 4 MiB.
const MAX_WIDTH: usize = 1 << 16;
