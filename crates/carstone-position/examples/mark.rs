//! Writes lines and, at the end, how many there were; then reads the count without reading the lines.

use std::error::Error;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use carstone_layer::PackId;
use carstone_position::{PositionReader, PositionWriter};

fn main() -> Result<(), Box<dyn Error>> {
    let mut writer = PositionWriter::new(Vec::new(), PackId::from_bytes([7; 16]));
    let mut count = 0;
    for line in ["basalt", "chalk", "slate"] {
        writeln!(writer, "{line}")?;
        count += 1;
    }
    writer.mark(); // The summary starts here, wherever that is.
    write!(writer, "{count} lines")?;
    let stored = writer.finish()?;

    let mut reader = PositionReader::open(Cursor::new(stored))?;
    let mark = reader.mark().ok_or("the writer set no mark")?;
    reader.seek(SeekFrom::Start(mark))?;
    let mut summary = String::new();
    reader.read_to_string(&mut summary)?;
    writeln!(io::stdout(), "byte {mark}: {summary}")?;
    Ok(())
}
