//! Writes one block of a CAR to standard output: `get_block FILE CID`. It is verified, and found by the index if there is one.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};

use carstone_car::{Cid, IndexedCar};

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: get_block FILE CID";
    let mut args = std::env::args().skip(1);
    let car = IndexedCar::open(File::open(args.next().ok_or(usage)?)?)?;
    let cid: Cid = args.next().ok_or(usage)?.parse()?;
    let data = car.get(&cid)?.ok_or("there is no such block")?;
    if let Some(fault) = car.index_fault() {
        eprintln!("the index was not used: {fault}");
    }
    Ok(io::stdout().write_all(&data)?)
}
