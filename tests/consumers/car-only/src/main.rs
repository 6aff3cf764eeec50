//! Writes and reads a CAR with `carstone-car` and nothing else of carstone.
//!
//! Reads it as a stream, by slice and by skipping the bodies, and makes sure that a block that is not what its CID says is refused.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Cursor};
use std::path::Path;

use carstone_car::{CarReader, CarSlice, CarWriter, Cid, ErrorKind, cid_of, codec};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("car-only-{}.car", std::process::id()));
    let result = run(&path);
    std::fs::remove_file(&path)?;
    result
}

fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    let blocks: Vec<(Cid, Vec<u8>)> = (0..500_usize)
        .map(|i| vec![i as u8; i * 37 % 9_000])
        .map(|data| (cid_of(codec::RAW, &data), data))
        .collect();
    let root = blocks[0].0;

    let mut writer = CarWriter::new(BufWriter::new(File::create(path)?), &[root])?;
    for (cid, data) in &blocks {
        writer.write_block(cid, data)?;
    }
    let false_name = writer.write_block(&root, b"not what the CID says");
    ensure(false_name.is_err(), "the writer takes a block under a false CID")?;

    let mut writer = CarWriter::new(BufWriter::new(File::create(path)?), &[root])?;
    let mut places = Vec::new();
    for (cid, data) in &blocks {
        places.push(writer.write_block(cid, data)?.offset);
    }
    writer.finish()?;

    reads_a_stream(path, root, &blocks)?;
    let stored = std::fs::read(path)?;
    reads_a_slice(&stored, &blocks, &places)?;
    skips_bodies(path, &blocks)?;
    refuses_a_flipped_bit(&stored)?;
    println!("car-only: {} blocks in {} bytes, all checks hold", blocks.len(), stored.len());
    Ok(())
}

fn reads_a_stream(path: &Path, root: Cid, blocks: &[(Cid, Vec<u8>)]) -> Result<(), Box<dyn Error>> {
    let reader = CarReader::open(File::open(path)?)?;
    ensure(reader.roots() == [root], "the roots differ")?;
    let mut expected = blocks.iter();
    for block in reader {
        let block = block?;
        ensure(expected.next() == Some(&(block.cid, block.data)), "a block of the stream differs")?;
    }
    ensure(expected.next().is_none(), "the stream lacks blocks")
}

fn reads_a_slice(
    stored: &[u8],
    blocks: &[(Cid, Vec<u8>)],
    places: &[u64],
) -> Result<(), Box<dyn Error>> {
    let car = CarSlice::parse(stored)?;
    ensure(car.blocks().count() == blocks.len(), "the slice lacks blocks")?;
    for ((cid, data), &place) in blocks.iter().zip(places).rev() {
        let (_, block) = car.block_at(place)?.ok_or("no block where it was written")?;
        ensure(block.cid == *cid && block.data == data, "a block of the slice differs")?;
    }
    Ok(())
}

fn skips_bodies(path: &Path, blocks: &[(Cid, Vec<u8>)]) -> Result<(), Box<dyn Error>> {
    let mut reader = CarReader::open(File::open(path)?)?;
    let mut cids = Vec::new();
    while let Some(section) = reader.skip_section()? {
        cids.push(section.cid);
    }
    ensure(cids.iter().eq(blocks.iter().map(|(cid, _)| cid)), "the listed CIDs differ")
}

fn refuses_a_flipped_bit(stored: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut rotten = stored.to_vec();
    *rotten.last_mut().ok_or("the CAR is empty")? ^= 1;
    let mut good = 0;
    for block in CarReader::open(Cursor::new(&rotten))? {
        match block {
            Ok(_) => good += 1,
            Err(error) => {
                let kind = error.kind();
                ensure(matches!(kind, ErrorKind::Mismatch { .. }), "another error is due")?;
                return ensure(good == 499, "the error comes at another block");
            }
        }
    }
    Err("a flipped bit is not seen".into())
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
