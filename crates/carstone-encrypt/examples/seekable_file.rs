//! Encrypts a file, then prints a part of it, reading only the frames that hold this part.
//!
//! `cargo run --example seekable_file -- README.md`

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::{env, error, process};

use carstone_encrypt::{EncryptReader, EncryptWriter};

fn main() -> Result<(), Box<dyn error::Error>> {
    let path = env::args().nth(1).ok_or("which file?")?;
    // A real program keeps a random key; this one only shows the calls.
    let key = [42; 32];

    let sealed = env::temp_dir().join(format!("seekable_file-{}", process::id()));
    let mut writer = EncryptWriter::new(File::create(&sealed)?, &key)?;
    let len = io::copy(&mut File::open(path)?, &mut writer)?;
    writer.finish()?.sync_all()?;

    let mut reader = EncryptReader::open_at(File::open(&sealed)?, &key)?;
    reader.seek(SeekFrom::Start(len / 2))?;
    io::copy(&mut reader.take(200), &mut io::stdout())?;
    std::fs::remove_file(sealed)?;
    Ok(())
}
