//! How long it takes to make an index of many blobs, and to look one up: `store_index DIRECTORY ENTRIES`. Measure its memory with `time -v`.

#![expect(clippy::print_stdout, reason = "the times are the result")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use carstone::car::{Cid, cid_of, codec};
use carstone_store::{EntryKind, Index, LocalObjects, Location, SegmentBuilder};

/// Blobs of a pack: as many of 1 KiB as fit.
const PER_PACK: u64 = 125_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, entries] = &arguments[..] else {
        return Err("store_index DIRECTORY ENTRIES".into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(measure(Path::new(directory), entries.parse()?))
}

async fn measure(directory: &Path, entries: u64) -> Result<(), Box<dyn Error>> {
    let objects = Arc::new(LocalObjects::new(directory));
    let index = Index::open(objects, "index/").await?;
    let start = Instant::now();
    for pack in 0..entries.div_ceil(PER_PACK) {
        let name = *cid_of(codec::RAW, &pack.to_le_bytes()).hash();
        let location = Location::Pack { name, size: PER_PACK * 1100 };
        let mut builder = SegmentBuilder::new();
        for blob in pack * PER_PACK..entries.min((pack + 1) * PER_PACK) {
            builder.add_blob(&cid(blob), &location, blob % PER_PACK * 1100, 1024)?;
        }
        index.add(builder).await?;
    }
    println!(
        "{entries} entries in {} segments: {:.1} s",
        index.segments().len(),
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    index.compact(|_| true).await?;
    println!("put together into one: {:.1} s", start.elapsed().as_secs_f64());
    for round in ["first", "second"] {
        let start = Instant::now();
        let looked = 10_000;
        for number in 0..looked {
            let found = index.find(EntryKind::Blob, cid(number * 7919 % entries).hash()).await?;
            assert_eq!(found.len(), 1);
        }
        let each = start.elapsed().as_secs_f64() / looked as f64 * 1e6;
        println!("{round} round of look-ups: {each:.1} µs each");
    }
    let size: u64 = index.segments().iter().map(|segment| segment.size()).sum();
    println!("{:.1} bytes an entry", size as f64 / entries as f64);
    Ok(())
}

/// Any CID, as that of a block would be.
fn cid(number: u64) -> Cid {
    cid_of(codec::RAW, &number.to_le_bytes())
}
