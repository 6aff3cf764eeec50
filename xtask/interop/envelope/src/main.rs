//! Packs a folder under a content key whose envelope another program made: `foreign-envelope KEY ENVELOPE PACK FOLDER`.
//!
//! KEY holds the plaintext of the envelope: the byte 01 and the 32 bytes of the content key.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use carstone::keys::{ContentKey, Envelope};
use carstone::pack::fs::{TreeOptions, add_tree};
use carstone::pack::{PackOptions, PackWriter};
use carstone::stack::{self, Protection, WriteOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [key, envelope, pack, folder] = arguments.as_slice() else {
        return Err("usage: foreign-envelope KEY ENVELOPE PACK FOLDER".into());
    };
    let plain = std::fs::read(key)?;
    let Some((1, content_key)) = plain.split_first().map(|(first, rest)| (*first, rest)) else {
        return Err("the plaintext of an envelope begins with 01".into());
    };
    let content_key = ContentKey::from_bytes(content_key.try_into()?);
    let envelope = Envelope::from_bytes(&std::fs::read(envelope)?)?;

    let protection = Protection::with_envelope(content_key, &envelope);
    let options = WriteOptions::default().protection(protection);
    let pipe = stack::write(BufWriter::new(File::create_new(pack)?), options)?;
    let id = pipe.pack_id();
    let mut writer = PackWriter::with_options(pipe, id, PackOptions::default())?;
    let told =
        add_tree(&mut writer, std::slice::from_ref(folder), &TreeOptions::default(), &mut |_| {})?;
    let (pipe, _) = writer.finish()?;
    pipe.finish()?;
    match told.is_complete() {
        true => Ok(()),
        false => Err("not everything could be read".into()),
    }
}
