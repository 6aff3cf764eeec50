//! Damages an encrypted stream and recovers what is left of it.

use std::error::Error;
use std::io::{Read, Write, stderr};

use carstone_encrypt::{EncryptFailSafe, EncryptWriter, FailSafeOptions};
use carstone_layer::{FailSafeRead, PlainSource, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let key = [42; 32];
    let mut writer = EncryptWriter::new(Vec::new(), &key)?;
    writer.write_all(&vec![b'x'; 1_000_000])?;
    let mut stored = writer.finish()?;

    stored[150_000] ^= 4; // One bit: put right.
    stored[300_000..304_096].fill(0); // A page: one frame is lost.
    stored.truncate(900_000);

    let source = PlainSource::new(&stored[..]);
    let mut reader = EncryptFailSafe::new(source, &key, FailSafeOptions::default())?;
    let mut recovered = Vec::new();
    let mut log = stderr();
    loop {
        reader.read_to_end(&mut recovered)?;
        match reader.next_gap()? {
            Some(gap) => writeln!(log, "{gap}")?,
            None => break,
        }
    }
    let mut report = Report::default();
    reader.drain_report(&mut report);
    writeln!(log, "{} bytes recovered, {} corrections", recovered.len(), report.corrections.len())?;
    Ok(())
}
