//! Load on an HPPR repository: `hppr_load MODE DIR …`, what was measured as JSON.
//!
//! - `store DIR PACKETS COORDINATES BATCH`: stores Plexes in batches, into a repository that is made. With a BATCH of 1 each is durable before the next.
//! - `get DIR COORDINATES GETS`: gets by coordinate, over and over.
//! - `tips DIR PREFIX`: the latest packet at each coordinate below a prefix.
//! - `write DIR WHO SECONDS`, `read DIR SEED SECONDS`: one of several that store, and that read what is stored, at the same time.
//! - `wrote DIR WHO COUNT`: whether all that one of them has stored is there.
//! - `parse`: how fast packets are parsed and verified beside the digest alone.

#![expect(clippy::print_stdout, reason = "the figures are the result")]

mod bulk;
mod parse;
mod together;

use std::error::Error;
use std::path::Path;

use carstone_hppr::{Blob, Coordinate, Packet, Plex, Tai};

type Figures = Result<String, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let figures = match arguments[..] {
        ["store", directory, packets, coordinates, batch] => bulk::store(
            Path::new(directory),
            packets.parse()?,
            coordinates.parse()?,
            batch.parse()?,
        )?,
        ["get", directory, coordinates, gets] => {
            bulk::get(Path::new(directory), coordinates.parse()?, gets.parse()?)?
        }
        ["tips", directory, prefix] => bulk::tips(Path::new(directory), prefix)?,
        ["write", directory, who, seconds] => {
            together::write(Path::new(directory), who.parse()?, seconds.parse()?)?
        }
        ["read", directory, seed, seconds] => {
            together::read(Path::new(directory), seed.parse()?, seconds.parse()?)?
        }
        ["wrote", directory, who, count] => {
            together::wrote(Path::new(directory), who.parse()?, count.parse()?)?
        }
        ["parse"] => parse::run()?,
        _ => return Err("hppr_load MODE DIR …; the modes are in its source".into()),
    };
    println!("{figures}");
    Ok(())
}

/// A Plex whose bytes follow from these.
fn plex(location: &str, seconds: u64, data: String) -> Result<Packet, Box<dyn Error>> {
    let coordinate = Coordinate::new("bench", "load", location)?;
    let tai = Tai::new(seconds, 0).ok_or("no time")?;
    Ok(Plex::new(coordinate, tai, Vec::new(), Blob::new(data)?)?.into())
}
