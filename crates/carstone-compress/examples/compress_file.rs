//! Compresses a file, reads it back and compares: `compress_file INPUT OUTPUT [none|brotli:Q|zstd:L]`.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};

use carstone_compress::{CompressOptions, CompressReader, CompressWriter};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, codec @ ..] = &args[..] else {
        return Err("usage: compress_file INPUT OUTPUT [none|brotli:Q|zstd:L]".into());
    };
    let mut options = CompressOptions::default();
    if let Some(codec) = codec.first() {
        options = options.codec(codec.parse()?);
    }
    let mut writer = CompressWriter::with_options(File::create(output)?, options)?;
    let plain_len = io::copy(&mut File::open(input)?, &mut writer)?;
    let stored = writer.finish()?; // Without this the file reads as truncated.
    stored.sync_all()?;
    let stored_len = stored.metadata()?.len();

    let mut reader = CompressReader::open_at(File::open(output)?)?;
    let mut plain = File::open(input)?;
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    while let n @ 1.. = reader.read(&mut a)? {
        plain.read_exact(&mut b[..n])?;
        if a[..n] != b[..n] {
            return Err("read back differently".into());
        }
    }
    writeln!(io::stdout(), "{plain_len} bytes stored in {stored_len}")?;
    Ok(())
}
