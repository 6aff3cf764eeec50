//! How packs are made.

use carstone_car::Cid;
#[cfg(feature = "parity")]
use carstone_parity::Share;
use carstone_unixfs::Profile;

use crate::hasher::HashFunction;

/// Which blocks are not stored again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dedupe {
    /// None: a block is stored as often as a file has it.
    #[default]
    Off,
    /// Those that the same blob has had before.
    Blob,
    /// Those that any pack of the store has, too. Only an index knows that: that of a [`Store`](crate::Store), or one that is
    /// [given](crate::PackWriter::leave_out).
    Store,
}

/// How packs are made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PackWriterOptions {
    /// Bytes of a pack at the most. Default: 133,169,152, of which Filecoin's padding makes 128 MiB.
    pub shard_size: u64,
    /// The hash of packs. Default: SHA2-256.
    pub pack_hasher: HashFunction,
    /// The shape of files, and the hash of their blobs. Default: chunks of 1 MiB, raw leaves, CIDs of version 1, 1024 links, SHA2-256.
    pub profile: Profile,
    /// The root that stands in the last pack, in place of that of the file.
    pub root: Option<Cid>,
    /// Which blocks are not stored again. Default: none, as in hash-stream.
    pub dedupe: Dedupe,
    /// Whether the index tells which packs the DAG under the root is in. Default: yes. (The opposite of hash-stream's `notIndexContaining`.)
    pub index_containing: bool,
    /// Whether each pack has a [manifest](crate::PackManifest) among its roots, so that it is a DAG by itself. Default: no, as in hash-stream.
    pub manifests: bool,
    /// Whether packs are wrapped into the [layers](crate::Store::with_layers) of the store. Default: no, they are CARs.
    pub layered: bool,
    /// How many bytes a [sidecar](crate::Sidecars) of each pack may have, which restores the pack when it is damaged. Default: none is made.
    #[cfg(feature = "parity")]
    pub parity: Option<Share>,
}

impl Default for PackWriterOptions {
    fn default() -> Self {
        Self {
            shard_size: 133_169_152,
            pack_hasher: HashFunction::Sha2_256,
            profile: Profile::unixfs_v1_2025(),
            root: None,
            dedupe: Dedupe::Off,
            index_containing: true,
            manifests: false,
            layered: false,
            #[cfg(feature = "parity")]
            parity: None,
        }
    }
}

impl PackWriterOptions {
    /// Sets the largest pack.
    #[must_use]
    pub fn shard_size(mut self, bytes: u64) -> Self {
        self.shard_size = bytes;
        self
    }

    /// Sets the hash of packs.
    #[must_use]
    pub fn pack_hasher(mut self, function: HashFunction) -> Self {
        self.pack_hasher = function;
        self
    }

    /// Sets the hash of blobs, which is a setting of the [profile](Self::profile): another profile that is set later has its own.
    #[must_use]
    pub fn hasher(mut self, function: HashFunction) -> Self {
        let profile = self.profile.clone().with_hash(function.code());
        self.profile = profile.expect("profiles have all functions that can hash packs");
        self
    }

    /// Sets the shape of files, and the hash of their blobs.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets the root that stands in the last pack.
    #[must_use]
    pub fn root(mut self, root: Option<Cid>) -> Self {
        self.root = root;
        self
    }

    /// Sets which blocks are not stored again.
    #[must_use]
    pub fn dedupe(mut self, dedupe: Dedupe) -> Self {
        self.dedupe = dedupe;
        self
    }

    /// Sets whether the index tells which packs the DAG under the root is in.
    #[must_use]
    pub fn index_containing(mut self, yes: bool) -> Self {
        self.index_containing = yes;
        self
    }

    /// Sets whether each pack has a manifest among its roots.
    #[must_use]
    pub fn manifests(mut self, yes: bool) -> Self {
        self.manifests = yes;
        self
    }

    /// Sets whether packs are wrapped into the layers of the store.
    #[must_use]
    pub fn layered(mut self, yes: bool) -> Self {
        self.layered = yes;
        self
    }

    /// Sets how many bytes a sidecar of each pack may have, if there is to be one.
    #[cfg(feature = "parity")]
    #[must_use]
    pub fn parity(mut self, share: Option<Share>) -> Self {
        self.parity = share;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_can_hash_blobs() {
        for function in HashFunction::ALL {
            let options = PackWriterOptions::default().hasher(function);
            assert_eq!(options.profile.hash(), function.code());
            assert_eq!(options.pack_hasher, HashFunction::Sha2_256, "packs are another matter");
        }
    }
}
