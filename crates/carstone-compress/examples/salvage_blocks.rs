//! Writes what is left of a damaged file, and says what is not: `salvage DAMAGED OUTPUT`. Gaps are filled with zeros.

use std::error::Error;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use carstone_compress::{CompressFailSafe, ReadOptions};
use carstone_layer::{FailSafeRead, PlainSource, Report};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [damaged, output] = &args[..] else {
        return Err("usage: salvage DAMAGED OUTPUT".into());
    };
    let source = PlainSource::new(File::open(damaged)?);
    let mut reader = CompressFailSafe::new(source, ReadOptions::default());
    let mut sink = File::create(output)?;
    let mut stdout = io::stdout();
    loop {
        io::copy(&mut reader, &mut sink)?; // Stops at each gap.
        let Some(gap) = reader.next_gap()? else { break };
        writeln!(stdout, "lost: {gap}")?;
        sink.seek(SeekFrom::Start(reader.position()))?;
    }
    sink.set_len(reader.position())?;
    let mut report = Report::default();
    reader.drain_report(&mut report);
    for correction in report.corrections {
        writeln!(stdout, "put right: {} bits at byte {}", correction.bits, correction.at)?;
    }
    Ok(())
}
