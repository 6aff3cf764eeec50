//! A pipe built by hand: raw, encryption, a layer of this program's own, compression, position, pack.
//!
//! Reads the pack back through the readers in the same order, and makes sure that programs without the layer refuse it.

mod sums;

use std::error::Error;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use carstone::stack::{self, OpenOptions};
use carstone_compress::{CompressOptions, CompressReader, CompressWriter};
use carstone_encrypt::{EncryptOptions, EncryptReader, EncryptWriter};
use carstone_layer::{LayerId, LayerList, LayerSlot, LayerWrite};
use carstone_pack::{Metadata, PackReader, PackWriter};
use carstone_position::{PositionReader, PositionWriter};
use carstone_raw::{RawReader, RawWriter};
use sums::{SumReader, SumWriter};

const KEY: [u8; 32] = [7; 32];

fn main() -> Result<(), Box<dyn Error>> {
    let letter = b"Sand, silt and lime, bed upon bed. ".repeat(60_000);
    let stored = write(&letter)?;
    read(&stored, &letter)?;
    is_refused_elsewhere(&stored)?;
    println!(
        "own-layer: {} bytes of content, {} stored, all checks hold",
        letter.len(),
        stored.len()
    );
    Ok(())
}

fn write(letter: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let compression = CompressOptions::default().block_size(1 << 20);
    let position = LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 };
    let slots = vec![carstone_encrypt::slot(), sums::SLOT, compression.layer_slot(), position];
    let layers = LayerList::new(slots)?;

    let raw = RawWriter::new(Vec::new(), layers.clone())?;
    let id = raw.pack_id();
    let container = raw.container().encode().to_vec();
    let encryption = EncryptOptions::default().pack_id(id).layers(layers).container(container);
    let encrypt = EncryptWriter::with_options(raw, &KEY, encryption)?;
    let own = SumWriter::new(encrypt);
    let compress = CompressWriter::with_options(own, compression.pack_id(id))?;
    let mut writer = PackWriter::new(PositionWriter::new(compress, id), id)?;

    writer.add_file(b"letters/long", Metadata::default(), letter)?;
    writer.add_file(b"letters/short", Metadata::default(), &b"lime"[..])?;
    let (pipe, _) = writer.finish()?;
    Ok(Box::new(pipe).finish_stack()?)
}

fn read(stored: &[u8], letter: &[u8]) -> Result<(), Box<dyn Error>> {
    let raw = RawReader::open_at(stored.to_vec())?;
    let (id, layers) = (raw.container().pack_id, raw.container().layers.clone());
    let options = carstone_encrypt::ReadOptions::default().pack_id(id).layers(layers);
    let own = SumReader::open(EncryptReader::with_options(raw, &KEY, options)?)?;
    let options = carstone_compress::ReadOptions::default().pack_id(id);
    let position = PositionReader::open_at(CompressReader::with_options(own, options)?)?;
    let mark = position.mark().ok_or("the pack has no mark")?;
    let pack = PackReader::open(Arc::new(position), id, mark)?;

    let paths: Vec<Vec<u8>> =
        pack.entries().map(|entry| entry.map(|e| e.path)).collect::<Result<_, _>>()?;
    let expected: [&[u8]; 4] = [b"", b"letters", b"letters/long", b"letters/short"];
    ensure(paths == expected, "the list differs")?;
    let entry = pack.find(b"letters/long")?.ok_or("the letter is not in the pack")?;
    let mut file = pack.open_file(&entry)?;
    let mut middle = vec![0; 100_000];
    file.seek(SeekFrom::Start(1_234_567))?;
    file.read_exact(&mut middle)?;
    ensure(middle == letter[1_234_567..][..100_000], "bytes in the middle differ")?;
    file.rewind()?;
    let mut whole = Vec::new();
    file.read_to_end(&mut whole)?;
    ensure(whole == letter, "the whole content differs")?;
    ensure(pack.verify(&mut |_| {}, &mut |_| {})?.findings == 0, "the pack does not verify")
}

/// Carstone itself does not know the layer, and says what it lacks.
fn is_refused_elsewhere(stored: &[u8]) -> Result<(), Box<dyn Error>> {
    let options = OpenOptions::default();
    let opened = stack::open(stored.to_vec(), &KEY, &options).err().ok_or("the pack opens")?;
    let streamed = stack::stream(stored, &KEY, &options).err().ok_or("the pack streams")?;
    for error in [opened, streamed] {
        let message = error.to_string();
        ensure(message.contains("layer 100"), "the error does not name the layer")?;
        ensure(message.contains("needs a newer carstone"), "another refusal is due")?;
    }
    Ok(())
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
