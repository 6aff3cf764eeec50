//! What the index of a store is like as the store grows, up to 10⁹ blobs: sizes from the format, buckets filled at random as digests fill them.
//! `store_scale [BLOB_BYTES]`, by default 1 MiB.

#![expect(clippy::print_stdout, reason = "the table is the result")]

use std::error::Error;

use carstone_store::{PackWriterOptions, SegmentShape};

fn main() -> Result<(), Box<dyn Error>> {
    let blob: u64 = std::env::args().nth(1).map_or(Ok(1 << 20), |text| text.parse())?;
    // A section: its length, a CID of 36 bytes, and the blob; a pack begins with 18 bytes.
    let section = if blob + 36 < 1 << 14 { 2 } else { 3 } + 36 + blob;
    let pack_size = PackWriterOptions::default().shard_size;
    let per_pack = ((pack_size - 18) / section).max(1);
    println!("blobs of {blob} bytes, {per_pack} in a pack");
    println!(
        "| blobs | packs | segments | index | of each: front and packs | table | in memory | \
         look-up, mean | 1 of 1000 above | most | requests of a listing |"
    );
    for exponent in 6..=9 {
        row(10_u64.pow(exponent), per_pack);
    }
    Ok(())
}

fn row(blobs: u64, per_pack: u64) {
    let packs = blobs.div_ceil(per_pack);
    let segments = packs.div_ceil(SegmentShape::most_packs(DIGEST));
    let shape = SegmentShape::new(blobs / segments, packs / segments, DIGEST);
    // A blob that is looked up is in a bucket as often as there are blobs in it.
    let mut by_fill = vec![0_u64; 1 << 10];
    for count in fill(&shape, blobs / segments) {
        by_fill[usize::from(count).min((1 << 10) - 1)] += 1;
    }
    let weighted = (0..).zip(&by_fill).map(|(fill, buckets)| (fill, fill * buckets));
    let sum: u64 = weighted.clone().map(|(_, blobs)| blobs).sum();
    let bytes = |fill| shape.look_up(fill).iter().sum::<u64>();
    let mean = weighted.map(|(fill, blobs)| bytes(fill) * blobs).sum::<u64>() / sum;
    let most = by_fill.iter().rposition(|buckets| *buckets > 0).unwrap_or_default() as u64;
    let (mut above, mut rare) = (0, most);
    while above * 1000 <= sum && rare > 0 {
        above += rare * by_fill[rare as usize];
        rare -= 1;
    }
    println!(
        "| 10^{} | {packs} | {segments} | {} | {} | {} | {} | {mean} | {} | {} | {} |",
        blobs.ilog10(),
        size(shape.size() * segments),
        size(shape.front_len()),
        size(shape.table_len()),
        size(shape.memory() * segments),
        bytes(rare + 1),
        bytes(most),
        packs.div_ceil(1000),
    );
}

/// How many of so many random digests are in each bucket.
fn fill(shape: &SegmentShape, blobs: u64) -> Vec<u16> {
    let mut buckets = vec![0_u16; shape.buckets() as usize];
    let mut state = 1_u64;
    for _ in 0..blobs {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        let digest = (word ^ word >> 31).to_be_bytes();
        buckets[shape.bucket_of(&digest) as usize] += 1;
    }
    buckets
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Bytes of a digest.
const DIGEST: u8 = 32;
