//! Packs that are made in memory, of all combinations of layers.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;

use anyhow::Context;
use carstone::compress::Codec;
use carstone::layer::PackId;
use carstone::pack::{EntryKind, Metadata, PackOptions, PackWriter, Timestamp};
use carstone::stack::{self, OpenOptions, Protection, WriteOptions};

/// Bytes of a container header, and of a trailer.
pub const HEADER: usize = 256;
pub const TRAILER: usize = 304;

pub const KEY: [u8; 32] = [0x4b; 32];

/// Layers of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    pub encrypted: bool,
    pub codec: Option<Codec>,
}

impl Layers {
    pub const BARE: Self = Self { encrypted: false, codec: None };
    pub const STORED: Self = Self { encrypted: false, codec: Some(Codec::Stored) };
    pub const BROTLI: Self = Self { encrypted: false, codec: Some(Codec::Brotli(1)) };
    pub const ZSTD: Self = Self { encrypted: false, codec: Some(Codec::Zstd(1)) };
    pub const BOTH: Self = Self { encrypted: true, codec: Some(Codec::Brotli(1)) };

    /// Every combination.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::BARE, Self::STORED, Self::BROTLI, Self::ZSTD];
        plain.into_iter().chain(plain.map(|layers| Self { encrypted: true, ..layers }))
    }

    /// Every combination that has frames.
    pub fn framed() -> impl Iterator<Item = Self> {
        Self::all().filter(|layers| *layers != Self::BARE)
    }

    fn options(self, id: u64) -> WriteOptions {
        let mut bytes = [0x1d; 16];
        bytes[..8].copy_from_slice(&id.to_le_bytes());
        let options = WriteOptions::default().danger_pack_id(PackId::from_bytes(bytes));
        let options = options.block_size(64 << 10).threads(1);
        let options = match self.codec {
            Some(codec) => options.codec(codec),
            None => options.without_compression(),
        };
        match self.encrypted {
            true => options.protection(Protection::content_key(KEY)),
            false => options,
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codec = match self.codec {
            Some(Codec::Brotli(_)) => "brotli",
            Some(Codec::Zstd(_)) => "zstd",
            Some(_) => "stored frames",
            None => "no compression",
        };
        write!(f, "{codec}{}", if self.encrypted { ", encrypted" } else { "" })
    }
}

/// An entry, with all that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub kind: EntryKind,
    pub mode: u32,
    /// Content of a file, target of a link.
    pub body: Vec<u8>,
}

impl Item {
    pub fn file(body: Vec<u8>) -> Self {
        Self { kind: EntryKind::File, mode: 0o640, body }
    }
}

/// Entries by path.
pub type Tree = BTreeMap<Vec<u8>, Item>;

/// The pack of a tree. `id` stands in its pack id: no two of the packs that may meet have the same.
pub fn pack(tree: &Tree, layers: Layers, id: u64, options: &PackOptions) -> io::Result<Vec<u8>> {
    pack_with(tree, layers.options(id), options)
}

pub fn pack_with(tree: &Tree, stack: WriteOptions, options: &PackOptions) -> io::Result<Vec<u8>> {
    let pipe = stack::write(Vec::new(), stack)?;
    let id = pipe.pack_id();
    let mut writer = PackWriter::with_options(pipe, id, options.clone().threads(1))?;
    let (mut ids, mut late) = (HashMap::new(), Vec::new());
    for (number, (path, item)) in tree.iter().enumerate() {
        let metadata = Metadata::new(item.mode, Timestamp { seconds: number as i64, nanos: 5 });
        let entry = match item.kind {
            EntryKind::Directory => writer.add_directory(path, metadata)?,
            EntryKind::Symlink => writer.add_symlink(path, &item.body, metadata)?,
            EntryKind::HardLink => {
                writer.add_hard_link(path, ids[&item.body], &item.body, metadata)?
            }
            // Files like these are written side by side.
            _ if path.ends_with(b".slow") => {
                let entry = writer.start_entry(path, metadata)?;
                late.push((entry, item.body.as_slice()));
                entry
            }
            _ => writer.add_file(path, metadata, item.body.as_slice())?,
        };
        writer.expect_hard_links(entry);
        ids.insert(path.clone(), entry);
    }
    while !late.is_empty() {
        for (entry, rest) in &mut late {
            let (now, later) = rest.split_at(rest.len().min(9_000));
            writer.append(*entry, now)?;
            *rest = later;
            if later.is_empty() {
                writer.end_entry(*entry)?;
            }
        }
        late.retain(|(_, rest)| !rest.is_empty());
    }
    writer.finish()?.0.finish()
}

/// Whether header or trailer of a pack stand in their place. Where neither does, a pack that is a file of it may be all that is left.
pub fn has_end(damaged: &[u8], stored: &[u8]) -> bool {
    damaged.starts_with(&stored[..HEADER]) || damaged.ends_with(&stored[stored.len() - TRAILER..])
}

/// Many stacks are opened in a row; threads would only be started and ended.
pub fn reading() -> OpenOptions {
    OpenOptions::default().threads(1)
}

/// What can be told of one path.
pub fn at<'a>(tree: &'a Tree, path: &[u8]) -> anyhow::Result<&'a Item> {
    tree.get(path).with_context(|| format!("an unknown entry: {}", path.escape_ascii()))
}
