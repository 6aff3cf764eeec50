//! What is in a pack, read from it.

use std::io::{self, Read};

use carstone_car::{AtReader, CarReader, Cid, codec};
use futures::TryStreamExt;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::name::Hash;
use crate::objects::blocking;
use crate::pack::{BlobPlace, PackManifest, PackStore};
use crate::pieces::Pieces;

/// The blobs of a pack, and the roots that it names. A pack that is no CAR, and in which none is found, is a blob by itself.
#[derive(Debug, Default)]
pub(super) struct PackContent {
    pub(super) blobs: Vec<BlobPlace>,
    pub(super) roots: Vec<Cid>,
    /// No CAR was found. It may be wrapped, and nothing here opens it.
    pub(super) is_lone: bool,
}

/// Reads a pack, and verifies it as a whole and block by block. One that `is_blob`, known to be a blob by itself, is that first of all: it is not unwrapped, and blocks
/// come behind it if it is a whole CAR besides.
///
/// # Errors
/// It cannot be read, does not hash to its name, or holds a block that does not hash to its CID.
pub(super) async fn read_pack(
    packs: &dyn PackStore,
    name: &Hash,
    size: u64,
    is_blob: bool,
) -> Result<PackContent> {
    let mut pieces = packs.stream(name).await?;
    let (send, received) = mpsc::channel(2);
    let name = *name;
    let itself = BlobPlace { cid: Cid::new_v1(codec::RAW, name), offset: 0, len: size };
    let parsing = tokio::spawn(blocking(move || parse(Pieces::new(received), itself, is_blob)));
    let mut failed = None;
    loop {
        match pieces.try_next().await {
            // Where the CAR is not valid, all bytes are read on, since the whole may be damaged.
            Ok(Some(piece)) => drop(send.send(Ok(piece)).await),
            Ok(None) => break,
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(send);
    let parsed = parsing.await.map_err(|error| Error::from(io::Error::other(error)))?;
    if let Some(error) = failed {
        return Err(error);
    }
    match parsed? {
        content if content.is_lone => match packs.content(&name).await? {
            None => Ok(content),
            Some(car) => {
                let read = move || PackContent::of(CarReader::open(AtReader::new(car))?);
                blocking(read).await
            }
        },
        content => Ok(content),
    }
}

fn parse(source: Pieces, itself: BlobPlace, is_blob: bool) -> Result<PackContent> {
    let lone = || PackContent { blobs: vec![itself], roots: Vec::new(), is_lone: !is_blob };
    let content = match CarReader::open(source) {
        Ok(reader) => PackContent::of(reader),
        Err(_) => return Ok(lone()),
    };
    match content {
        Ok(mut content) if is_blob => {
            content.blobs.insert(0, itself);
            Ok(content)
        }
        // Whoever has put it has not said that it is a CAR.
        Err(error) if is_blob && error.is_malformed() => Ok(lone()),
        content => content,
    }
}

impl PackContent {
    /// That of a CAR, each block of which is verified.
    pub(super) fn of(mut reader: CarReader<impl Read>) -> Result<Self> {
        let (mut roots, start) = (reader.roots().to_vec(), reader.payload_start());
        let (mut blobs, mut data) = (Vec::new(), Vec::new());
        while let Some(section) = reader.read_block(&mut data)? {
            if roots.contains(&section.cid)
                && let Ok(manifest) = PackManifest::decode(&data)
            {
                // It tells of the pack, and nobody has put it.
                roots.retain(|root| *root != section.cid);
                roots.extend(manifest.root.filter(|root| !roots.contains(root)));
            }
            let offset = start + section.data_offset;
            blobs.push(BlobPlace { cid: section.cid, offset, len: section.data_len as u64 });
        }
        Ok(Self { blobs, roots, is_lone: false })
    }
}
