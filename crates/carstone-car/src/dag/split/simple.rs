//! Splitting a CAR block by block.

use std::io::Read;

use super::no_root;
use super::parts::{PartWriter, Parts, Split, SplitOptions};
use crate::CarReader;
use crate::dag::error::Result;

/// Splits the blocks that a reader has left into CARs of limited size, in their order, repetitions included. Nothing is gone through and nothing
/// kept, so it works on streams.
///
/// Counterpart of the *simple* strategy of [carbites](https://github.com/nftstorage/carbites), its default: the first part has the roots,
/// the others have [`no_root`]. [Joined](super::join) without looking for repetitions, they are the CAR byte by byte. A part alone is no DAG
/// to be used; [`split_dag`](super::split_dag) makes such.
///
/// ```
/// use carstone_car::{CarReader, CarWriter, codec};
/// use carstone_car::dag::{SplitOptions, split};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// writer.write_data(codec::RAW, &[1; 100])?;
/// writer.write_data(codec::RAW, &[2; 100])?;
/// let car = writer.finish()?;
///
/// let mut reader = CarReader::open(&car[..])?;
/// let done = split(&mut reader, &mut |_number| Ok(std::io::sink()), SplitOptions::new(200))?;
/// assert_eq!((done.parts, done.blocks), (2, 2));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn split<R: Read, P: Parts>(
    reader: &mut CarReader<R>,
    parts: &mut P,
    options: SplitOptions,
) -> Result<Split> {
    let roots = reader.roots().to_vec();
    let mut writer = PartWriter::new(parts, options);
    let mut data = Vec::new();
    while let Some(section) = reader.read_block(&mut data)? {
        let (cid, len) = (section.cid, data.len() as u64);
        if !writer.has_room(&cid, len) {
            match writer.done.parts {
                0 => writer.start(&roots, 0, Some((&cid, len)))?,
                _ => writer.start(&[no_root()], 0, Some((&cid, len)))?,
            }
        }
        writer.write(&cid, &data)?;
        writer.done.blocks += 1;
    }
    if writer.done.parts == 0 {
        writer.start(&roots, 0, None)?;
    }
    writer.finish()
}
