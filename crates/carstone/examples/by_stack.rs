//! The pipe of `by_hand`, put together by `carstone::stack`.
//!
//! `cargo run -p carstone --example by_stack`

use std::error::Error;
use std::io::{self, Write};

use carstone::layer::ReadAt;
use carstone::stack::{self, OpenOptions, Protection, WriteOptions};

fn main() -> Result<(), Box<dyn Error>> {
    // A real program keeps a random key, or seals one to recipients with `Protection::seal`.
    let key = [42; 32];
    let plain = b"Sand, silt and lime, bed upon bed. ".repeat(100_000);

    let options = WriteOptions::default().protection(Protection::content_key(key));
    let mut pipe = stack::write(Vec::new(), options)?;
    pipe.write_all(&plain)?;
    let stored: Vec<u8> = pipe.finish()?;
    let stored_len = stored.len();

    // Threads may share the source that comes out; `carstone::pack` reads packs from it.
    let opened = stack::open(stored, &key, &OpenOptions::default())?;
    let mut middle = vec![0; 70];
    opened.source().read_exact_at(&mut middle, 1_750_000)?;
    assert_eq!(middle, plain[1_750_000..][..70]);
    writeln!(io::stdout(), "{} bytes stored as {stored_len}", opened.len())?;
    Ok(())
}
