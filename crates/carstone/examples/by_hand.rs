//! A pipe of three layers built by hand: container, encryption, compression. Writes, then reads from the middle.
//!
//! `cargo run -p carstone --example by_hand`

use std::error::Error;
use std::io::{self, Read, Seek, SeekFrom, Write};

use carstone::compress::{self, CompressOptions, CompressReader, CompressWriter};
use carstone::encrypt::{self, EncryptOptions, EncryptReader, EncryptWriter};
use carstone::layer::{LayerId, LayerList, LayerSlot, LayerWrite};
use carstone::position::{PositionReader, PositionWriter};
use carstone::raw::{RawReader, RawWriter};

fn main() -> Result<(), Box<dyn Error>> {
    // A real program keeps a random key, or seals one to recipients.
    let key = [42; 32];
    let plain = b"Sand, silt and lime, bed upon bed. ".repeat(100_000);

    // The container lists all layers, outermost first, before any of them writes.
    let compression = CompressOptions::default();
    let position = LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 };
    let slots = vec![encrypt::slot(), compression.layer_slot(), position];
    let layers = LayerList::new(slots)?;

    let raw = RawWriter::new(Vec::new(), layers.clone())?;
    let id = raw.pack_id();
    let container = raw.container().encode().to_vec();
    let encryption = EncryptOptions::default().pack_id(id).layers(layers).container(container);
    let encrypt = EncryptWriter::with_options(raw, &key, encryption)?;
    let compress = CompressWriter::with_options(encrypt, compression.pack_id(id))?;
    // Innermost in every container, and no more than a footer behind the stream.
    let mut top = PositionWriter::new(compress, id);
    top.write_all(&plain)?;
    let stored: Vec<u8> = Box::new(top).finish_stack()?;

    // The readers, in the same order. Each is `Read + Seek`, and checks whatever it gives.
    let raw = RawReader::open_at(stored.as_slice())?;
    let layers = raw.container().layers.clone();
    let options = encrypt::ReadOptions::default().pack_id(id).layers(layers);
    let encrypt = EncryptReader::with_options(raw, &key, options)?;
    let options = compress::ReadOptions::default().pack_id(id);
    let mut reader = PositionReader::open_at(CompressReader::with_options(encrypt, options)?)?;

    let mut middle = vec![0; 70];
    reader.seek(SeekFrom::Start(1_750_000))?;
    reader.read_exact(&mut middle)?;
    assert_eq!(middle, plain[1_750_000..][..70]);
    writeln!(io::stdout(), "{} bytes stored as {}", plain.len(), stored.len())?;
    Ok(())
}
