//! Lists the blocks of a CAR: `list_blocks FILE`. Every block is verified.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};

use carstone_car::CarReader;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: list_blocks FILE")?;
    let mut reader = CarReader::open(File::open(path)?)?;
    let mut out = io::stdout().lock();
    for root in reader.roots() {
        writeln!(out, "root {root}")?;
    }
    let mut data = Vec::new(); // Used again for every block.
    loop {
        match reader.read_block(&mut data) {
            Ok(Some(section)) => {
                writeln!(out, "{:>10} {:>8} {}", section.offset, data.len(), section.cid)?;
            }
            Ok(None) => return Ok(()),
            // The reader stands behind the bad block, and goes on.
            Err(error) if error.is_block_error() => writeln!(out, "bad: {error}")?,
            Err(error) => return Err(error.into()),
        }
    }
}
