//! Sharded-DAG indexes: where the blobs of one DAG lie in its packs, as a CAR of its own.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use carstone_car::multihash::Multihash;
use carstone_car::{CarReader, CarWriter, Cid, cid_of, codec};
use ipld_core::ipld::Ipld;

use super::format::malformed;
use super::records::map;
use crate::error::{Error, Result};
use crate::name::Hash;

/// Where the blobs of a DAG lie in its packs, in the form `index/sharded/dag@0.1` that Storacha's services exchange: a CAR whose root, in DAG-CBOR, names the root of
/// the DAG, and links to one block for each pack.
///
/// ```
/// use carstone_store::{ShardedDagIndex, parse_text};
/// let pack = parse_text("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku").expect("a hash");
/// let root = carstone_car::cid_of(carstone_car::codec::RAW, b"keystone");
/// let mut index = ShardedDagIndex::new(root);
/// index.add(pack, *root.hash(), 96, 8);
/// let car = index.encode()?;
/// assert_eq!(ShardedDagIndex::decode(&car)?, index);
/// # Ok::<(), carstone_store::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardedDagIndex {
    content: Cid,
    packs: BTreeMap<Hash, BTreeMap<Hash, (u64, u64)>>,
}

impl ShardedDagIndex {
    /// That of the DAG under this root, without packs.
    pub fn new(content: Cid) -> Self {
        Self { content, packs: BTreeMap::new() }
    }

    /// The root of the DAG.
    pub fn content(&self) -> &Cid {
        &self.content
    }

    /// Adds that a blob lies in a pack: so many bytes from `offset` on. The format has one place of a blob in a pack, which is the one that is added last.
    pub fn add(&mut self, pack: Hash, blob: Hash, offset: u64, len: u64) {
        self.packs.entry(pack).or_default().insert(blob, (offset, len));
    }

    /// Adds a pack, which may have no blobs.
    pub fn add_pack(&mut self, pack: Hash) {
        self.packs.entry(pack).or_default();
    }

    /// The packs.
    pub fn packs(&self) -> impl Iterator<Item = &Hash> {
        self.packs.keys()
    }

    /// The blobs of a pack, each with its offset and its length.
    pub fn blobs(&self, pack: &Hash) -> impl Iterator<Item = (&Hash, u64, u64)> {
        let blobs = self.packs.get(pack).into_iter().flatten();
        blobs.map(|(blob, (offset, len))| (blob, *offset, *len))
    }

    /// The CAR: its root first, then a block for each pack. Packs and blobs are sorted by their digests.
    ///
    /// # Errors
    /// A pack has so many blobs that their block is larger than a CAR takes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut blocks = Vec::new();
        for (pack, blobs) in by_digest(&self.packs) {
            let slice = |(blob, (offset, len)): (&Hash, &(u64, u64))| {
                let position = [*offset, *len].map(|number| Ipld::Integer(number.into()));
                Ipld::List(vec![Ipld::Bytes(blob.to_bytes()), Ipld::List(position.to_vec())])
            };
            let slices = by_digest(blobs).into_iter().map(slice).collect();
            blocks.push(block(Ipld::List(vec![Ipld::Bytes(pack.to_bytes()), Ipld::List(slices)]))?);
        }
        let links = blocks.iter().map(|(cid, _)| Ipld::Link(*cid)).collect();
        let index = map([("content", Ipld::Link(self.content)), ("shards", Ipld::List(links))]);
        let (root, data) = block(map([(FORMAT, index)]))?;
        let mut writer = CarWriter::new(Vec::new(), &[root])?;
        writer.write_block(&root, &data)?;
        for (cid, data) in &blocks {
            writer.write_block(cid, data)?;
        }
        Ok(writer.finish()?)
    }

    /// The index that a CAR is. Blocks that it does not lead to are left out.
    ///
    /// # Errors
    /// It is no valid CAR, or one without such an index; a block of a pack is missing or malformed.
    pub fn decode(car: &[u8]) -> Result<Self> {
        let mut reader = CarReader::open(car)?;
        let root = *reader.roots().first().ok_or_else(|| malformed("it has no root"))?;
        let (mut blocks, mut data) = (HashMap::new(), Vec::new());
        while let Some(section) = reader.read_block(&mut data)? {
            blocks.entry(section.cid).or_insert_with(|| Bytes::copy_from_slice(&data));
        }
        let value = |cid: &Cid| {
            let data = blocks.get(cid).filter(|_| cid.codec() == codec::DAG_CBOR);
            let data = data.ok_or_else(|| malformed("a block of the index is missing"))?;
            serde_ipld_dagcbor::from_slice::<Ipld>(data).map_err(|_| wrong())
        };
        let top = value(&root)?;
        let Ok(Some(index)) = top.get(FORMAT) else {
            return Err(malformed("it is no sharded-DAG index of a version that is known"));
        };
        let (Ok(Some(Ipld::Link(content))), Ok(Some(Ipld::List(shards)))) =
            (index.get("content"), index.get("shards"))
        else {
            return Err(wrong());
        };
        let mut found = Self::new(*content);
        for shard in shards {
            let Ipld::Link(shard) = shard else { return Err(wrong()) };
            found.add_shard(&value(shard)?)?;
        }
        Ok(found)
    }

    fn add_shard(&mut self, shard: &Ipld) -> Result<()> {
        let (pack, slices) = pair(shard)?;
        let (pack, Ipld::List(slices)) = (hash(pack)?, slices) else { return Err(wrong()) };
        self.add_pack(pack);
        for slice in slices {
            let (blob, position) = pair(slice)?;
            let (offset, len) = pair(position)?;
            self.add(pack, hash(blob)?, number(offset)?, number(len)?);
        }
        Ok(())
    }
}

/// Sorted as the format has it.
fn by_digest<T>(of: &BTreeMap<Hash, T>) -> Vec<(&Hash, &T)> {
    let mut sorted: Vec<_> = of.iter().collect();
    sorted.sort_by_key(|(hash, _)| (hash.digest(), **hash));
    sorted
}

fn block(value: Ipld) -> Result<(Cid, Vec<u8>)> {
    let data = serde_ipld_dagcbor::to_vec(&value).map_err(|_| wrong())?;
    Ok((cid_of(codec::DAG_CBOR, &data), data))
}

fn pair(value: &Ipld) -> Result<(&Ipld, &Ipld)> {
    match value {
        Ipld::List(items) => match &items[..] {
            [first, second] => Ok((first, second)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn hash(value: &Ipld) -> Result<Hash> {
    match value {
        Ipld::Bytes(bytes) => Multihash::from_bytes(bytes).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn number(value: &Ipld) -> Result<u64> {
    match value {
        Ipld::Integer(number) => u64::try_from(*number).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn wrong() -> Error {
    malformed("it is no sharded-DAG index")
}

const FORMAT: &str = "index/sharded/dag@0.1";
