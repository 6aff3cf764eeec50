//! Prints the blocks that a file becomes, and its root CID: `file_to_blocks PATH`.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};

use carstone_unixfs::{Cid, Profile, write_file};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: file_to_blocks PATH")?;
    let mut out = io::stdout().lock();
    let mut print = |cid: &Cid, data: &[u8]| writeln!(out, "{cid} {:>8} bytes", data.len());
    let root = write_file(&Profile::unixfs_v1_2025(), File::open(path)?, &mut print)?;
    writeln!(out, "root {}: {} bytes of content", root.cid, root.size)?;
    Ok(())
}
