//! A seekable encrypted file with `carstone-encrypt` and nothing else of carstone.
//!
//! Writes several megabytes, reads from the middle, and makes sure that a wrong key, a flipped bit and a cut file are refused.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use carstone_encrypt::{EncryptReader, EncryptWriter, ErrorKind};

const KEY: [u8; 32] = [42; 32];
const LEN: usize = 5_000_003;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("encrypted-file-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let result = run(&folder.join("sealed"));
    std::fs::remove_dir_all(&folder)?;
    result
}

fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    let plain: Vec<u8> = (0..LEN).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut writer = EncryptWriter::new(File::create(path)?, &KEY)?;
    for piece in plain.chunks(70_001) {
        writer.write_all(piece)?;
    }
    writer.finish()?.sync_all()?;
    let sealed = std::fs::read(path)?;
    ensure(
        !sealed.windows(32).any(|window| window == &plain[..32]),
        "plain bytes stand in the file",
    )?;

    reads_like_a_file(path, &plain)?;
    refuses_a_wrong_key(path)?;
    refuses_a_flipped_bit(path, sealed.len() as u64 / 2)?;
    refuses_a_cut_file(path)?;
    println!("encrypted-file: {LEN} bytes in {} stored bytes, all checks hold", sealed.len());
    Ok(())
}

fn reads_like_a_file(path: &Path, plain: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut reader = EncryptReader::open(File::open(path)?, &KEY)?;
    ensure(reader.len() == plain.len() as u64, "the length differs")?;
    let mut piece = vec![0; 300_000];
    for at in [0, 1, 131_071, 131_072, 2_345_678, LEN - 300_000] {
        reader.seek(SeekFrom::Start(at as u64))?;
        reader.read_exact(&mut piece)?;
        ensure(piece == plain[at..][..piece.len()], "bytes in the middle differ")?;
    }
    ensure(reader.seek(SeekFrom::End(7))? == LEN as u64 + 7, "a seek behind the end is a seek")?;
    ensure(reader.read(&mut piece)? == 0, "there is nothing behind the end")?;
    reader.rewind()?;
    let mut whole = Vec::new();
    reader.read_to_end(&mut whole)?;
    ensure(whole == plain, "the whole content differs")
}

fn refuses_a_wrong_key(path: &Path) -> Result<(), Box<dyn Error>> {
    match EncryptReader::open(File::open(path)?, &[43; 32]) {
        Err(error) => ensure(matches!(error.kind(), ErrorKind::WrongKey), "another error is due"),
        Ok(_) => Err("a wrong key opens the file".into()),
    }
}

fn refuses_a_flipped_bit(path: &Path, at: u64) -> Result<(), Box<dyn Error>> {
    flip(path, at)?;
    let mut reader = EncryptReader::open(File::open(path)?, &KEY)?;
    let read = io::copy(&mut reader, &mut io::sink());
    flip(path, at)?;
    let error = read.err().ok_or("a flipped bit is not seen")?;
    let place = carstone_encrypt::Error::of(&error).ok_or("the error has no place")?.offset();
    ensure(place.abs_diff(at) < 140_000, "the error names another place")?;
    let mut reader = EncryptReader::open(File::open(path)?, &KEY)?;
    ensure(io::copy(&mut reader, &mut io::sink())? == LEN as u64, "flipped back, all is well")
}

fn refuses_a_cut_file(path: &Path) -> Result<(), Box<dyn Error>> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(file.metadata()?.len() - 1)?;
    ensure(EncryptReader::open(File::open(path)?, &KEY).is_err(), "a cut file opens")
}

fn flip(path: &Path, at: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&[byte[0] ^ 0x10])
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), Box<dyn Error>> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
