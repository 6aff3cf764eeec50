//! `carstone car inspect` and `hash`: what a CAR is.

use std::io::Read;

use anyhow::Context;
use carstone::car::{
    CarStats, Cid, Index, IndexCodec, Lengths, ReadAt, ReaderOptions, V2Header, Verification,
    hash_code, multihash,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::files::{Stored, name, stored};
use crate::cli::{CODECS, HashArgs, InspectArgs};
use crate::exit::Exit;
use crate::names::hex;
use crate::output::Output;

/// Tells what a CAR consists of.
pub(super) fn run(
    args: &InspectArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let input = stored(&args.input.car)?;
    let mut reader = input.reader(reading)?;
    let (version, roots) = (reader.version(), reader.roots().to_vec());
    let v2 = reader.v2_header().copied();
    let stats = match args.full {
        true => CarStats::verified_of(&mut reader),
        false => CarStats::of(&mut reader),
    };
    let stats = stats.with_context(|| input.name.clone())?;
    let index = v2.and_then(|v2| index_codec(&input, &v2, reading));
    let facts = Facts { version, v2, index, roots, stats, full: args.full };
    match output.is_json() {
        true => output.object("car", facts.fields())?,
        false => {
            for (what, text) in facts.lines() {
                output.line(format!("{what}: {text}").as_bytes())?;
            }
        }
    }
    let Facts { stats, .. } = &facts;
    if stats.mismatched > 0 {
        let first = stats.first_mismatch.unwrap_or_default();
        let what = format!(
            "{} blocks have other data than their CIDs say, the first at byte {first} of the payload",
            stats.mismatched
        );
        output.problem(input.name.as_bytes(), &what)?;
    }
    if stats.unverifiable > 0 {
        let what = format!(
            "{} blocks cannot be verified: their hash functions are not known, or no evidence",
            stats.unverifiable
        );
        match reading.verification() {
            Verification::KnownHashes => output.note(&format!("{}: {what}", input.name)),
            _ => output.problem(input.name.as_bytes(), &what)?,
        }
    }
    Ok(Exit::found(output.problems() > 0))
}

struct Facts {
    version: u64,
    v2: Option<V2Header>,
    index: Option<IndexCodec>,
    roots: Vec<Cid>,
    stats: CarStats,
    full: bool,
}

impl Facts {
    fn lines(&self) -> Vec<(String, String)> {
        let Self { version, v2, index, roots, stats, full } = self;
        let mut lines = Vec::new();
        let mut line = |what: &str, text: String| lines.push((what.to_owned(), text));
        line("Version", version.to_string());
        if let Some(v2) = v2 {
            line("Characteristics", hex(&v2.characteristics.0));
            line("Data offset", v2.data_offset.to_string());
            line("Data (payload) length", v2.data_size.to_string());
            line("Index offset", v2.index_offset.map_or("none".to_owned(), |at| at.to_string()));
            line(
                "Index type",
                index.map_or("none".to_owned(), |codec| index_name(codec).to_owned()),
            );
        }
        line("Roots", joined(roots.iter().map(ToString::to_string)));
        let present = if stats.missing_roots.is_empty() { "Yes" } else { "No" };
        line("Root blocks present in data", present.to_owned());
        line("Block count", stats.blocks.count().to_string());
        line("Min / average / max block length (bytes)", spread(&stats.blocks));
        line("Min / average / max CID length (bytes)", spread(&stats.cids));
        let codecs =
            stats.codecs.iter().map(|(code, count)| format!("{}: {count}", codec_name(*code)));
        line("Block count per codec", joined(codecs));
        let hashes = stats
            .hash_functions
            .iter()
            .map(|(code, count)| format!("{}: {count}", hash_name(*code)));
        line("CID count per multihash", joined(hashes));
        if *full {
            line("Blocks verified", stats.verified.to_string());
            line("Blocks that do not match", stats.mismatched.to_string());
            line("Blocks that cannot be verified", stats.unverifiable.to_string());
        }
        lines
    }

    fn fields(&self) -> Map<String, Value> {
        let Self { version, v2, index, roots, stats, full } = self;
        let texts = |cids: &[Cid]| cids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let lengths = |lengths: &Lengths| json!({"min": lengths.min(), "average": lengths.average(), "max": lengths.max()});
        let mut fields = Map::new();
        let mut field = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        field("version", (*version).into());
        if let Some(v2) = v2 {
            field("characteristics", hex(&v2.characteristics.0).into());
            field("data_offset", v2.data_offset.into());
            field("data_size", v2.data_size.into());
            field("index_offset", v2.index_offset.into());
            field("index_type", index.map(index_name).into());
        }
        field("roots", texts(roots).into());
        field("missing_roots", texts(&stats.missing_roots).into());
        field("blocks", stats.blocks.count().into());
        field("block_sizes", lengths(&stats.blocks));
        field("cid_sizes", lengths(&stats.cids));
        let codecs = stats.codecs.iter().map(|(code, count)| (codec_name(*code), (*count).into()));
        field("codecs", Value::Object(codecs.collect()));
        let hashes =
            stats.hash_functions.iter().map(|(code, count)| (hash_name(*code), (*count).into()));
        field("hash_functions", Value::Object(hashes.collect()));
        if *full {
            field("verified", stats.verified.into());
            field("mismatched", stats.mismatched.into());
            field("unverifiable", stats.unverifiable.into());
        }
        fields
    }
}

/// The format of the index, if there is one that can be read.
fn index_codec(input: &Stored, v2: &V2Header, reading: ReaderOptions) -> Option<IndexCodec> {
    let end = ReadAt::size(&input.car).ok()?;
    let (place, payload) = (v2.index_offset?..end, Some(v2.data_size));
    let index = match reading.legacy_index {
        true => Index::open_legacy(&input.car, place, payload),
        false => Index::open_range(&input.car, place, payload),
    };
    Some(index.ok()?.codec())
}

/// As in the table of multicodecs.
fn index_name(codec: IndexCodec) -> &'static str {
    match codec {
        IndexCodec::Sorted => "car-index-sorted",
        _ => "car-multihash-index-sorted",
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    match items.is_empty() {
        true => "none".to_owned(),
        false => items.join(", "),
    }
}

fn spread(lengths: &Lengths) -> String {
    format!("{} / {} / {}", lengths.min(), lengths.average(), lengths.max())
}

fn codec_name(code: u64) -> String {
    let known = CODECS.iter().find(|(_, known)| *known == code);
    known.map_or_else(|| format!("{code:#x}"), |(name, _)| (*name).to_owned())
}

fn hash_name(code: u64) -> String {
    const NAMES: [(u64, &str); 8] = [
        (hash_code::IDENTITY, "identity"),
        (hash_code::SHA1, "sha1"),
        (hash_code::SHA2_256, "sha2-256"),
        (hash_code::SHA2_512, "sha2-512"),
        (hash_code::SHA3_256, "sha3-256"),
        (hash_code::BLAKE3, "blake3"),
        (hash_code::BLAKE2B_256, "blake2b-256"),
        (hash_code::DBL_SHA2_256, "dbl-sha2-256"),
    ];
    let known = NAMES.iter().find(|(known, _)| *known == code);
    known.map_or_else(|| format!("{code:#x}"), |(_, name)| (*name).to_owned())
}

/// Prints the CID of each CAR as one block.
pub(super) fn hash(args: &HashArgs, output: &mut Output) -> anyhow::Result<Exit> {
    for path in &args.cars {
        let input = stored(path)?;
        // What is no CAR has no CID as one.
        input.reader(ReaderOptions::default())?;
        let mut hasher = Sha256::new();
        let (mut bytes, mut buf) = (input.bytes(), vec![0; 256 << 10]);
        loop {
            match bytes.read(&mut buf).with_context(|| input.name.clone())? {
                0 => break,
                n => hasher.update(&buf[..n]),
            }
        }
        let hash = multihash::Multihash::wrap(hash_code::SHA2_256, &hasher.finalize())?;
        let cid = Cid::new_v1(CAR_CODEC, hash);
        if output.is_json() {
            let mut fields = Map::new();
            fields.insert("path".to_owned(), name(path).into());
            fields.insert("cid".to_owned(), cid.to_string().into());
            fields.insert("multihash".to_owned(), base58(&hash.to_bytes()).into());
            output.object("hash", fields)?;
            continue;
        }
        match args.multihash {
            // A CIDv0 is a multihash in base58, without a prefix.
            true => output.line(base58(&hash.to_bytes()).as_bytes())?,
            false => output.line(cid.to_string().as_bytes())?,
        }
    }
    Ok(Exit::Intact)
}

/// Base58 as of Bitcoin.
fn base58(bytes: &[u8]) -> String {
    carstone::car::cid::multibase::Base::Base58Btc.encode(bytes)
}

/// The codec of CARs as blocks, in the table of multicodecs.
const CAR_CODEC: u64 = 0x0202;
