//! Makes a CARv2 of raw blocks, one for each file: `make_car OUT.car FILE...`. The first block is the root.

use std::error::Error;
use std::fs::{self, File};

use carstone_car::{CarFileWriter, cid_of, codec};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let target = args.next().ok_or("usage: make_car OUT.car FILE...")?;
    // The root is not known yet: any CID of the same length keeps its place.
    let placeholder = cid_of(codec::RAW, b"");
    let mut writer = CarFileWriter::new(File::create_new(target)?, &[placeholder])?;
    let mut root = None;
    for path in args {
        let section = writer.write_data(codec::RAW, &fs::read(path)?)?;
        root.get_or_insert(section.cid);
    }
    let file = writer.finish_with_roots(&[root.unwrap_or(placeholder)])?;
    file.sync_all()?;
    Ok(())
}
