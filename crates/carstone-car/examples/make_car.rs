//! Makes a CAR of raw blocks, one for each file: `make_car OUT.car FILE...`. The first block is the root.

use std::error::Error;
use std::fs::{self, File};

use carstone_car::{CarWriter, cid_of, codec, replace_roots};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let target = args.next().ok_or("usage: make_car OUT.car FILE...")?;
    let file = File::options().read(true).write(true).create_new(true).open(target)?;
    // The root is not known yet: any CID of the same length keeps its place.
    let mut writer = CarWriter::new(file, &[cid_of(codec::RAW, b"")])?;
    let mut root = None;
    for path in args {
        let section = writer.write_data(codec::RAW, &fs::read(path)?)?;
        root.get_or_insert(section.cid);
    }
    let file = writer.finish()?;
    if let Some(root) = root {
        replace_roots(&file, &[root])?;
    }
    file.sync_all()?;
    Ok(())
}
