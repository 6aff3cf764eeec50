//! Sends an encrypted pack through a pipe: one thread writes it, the other lists and checks it while it arrives.
//!
//! `cargo run -p carstone --example stream_pipe`

use std::error::Error;
use std::io::{self, PipeWriter, Write};
use std::thread;

use carstone::pack::{Event, Metadata, PackStream, PackWriter};
use carstone::stack::{self, OpenOptions, Protection, WriteOptions};

const KEY: [u8; 32] = [42; 32];

fn main() -> Result<(), Box<dyn Error>> {
    let (reader, writer) = io::pipe()?;
    let sender = thread::spawn(move || send(writer));

    let streamed = stack::stream(reader, &KEY, &OpenOptions::default())?;
    let id = streamed.pack_id();
    let mut pack = PackStream::open(streamed, id)?;
    let mut out = io::stdout();
    while let Some(event) = pack.next()? {
        match event {
            Event::Entry(entry) => writeln!(out, "{}: {}", entry.id, entry.path.escape_ascii())?,
            // Each leaf has been checked; several files may use it.
            Event::Leaf { data, uses, .. } => {
                for place in uses {
                    writeln!(out, "{}: {} bytes at {}", place.id, data.len(), place.offset)?;
                }
            }
            Event::Reuse { id, offset, .. } => writeln!(out, "{id}: seen before, at {offset}")?,
            Event::End { id, size, .. } => writeln!(out, "{id}: complete, {size} bytes")?,
            _ => {}
        }
    }
    sender.join().expect("the sender does not panic")?;
    Ok(())
}

fn send(sink: PipeWriter) -> io::Result<()> {
    let options = WriteOptions::default().protection(Protection::content_key(KEY));
    let pipe = stack::write(sink, options)?;
    let id = pipe.pack_id();
    let mut writer = PackWriter::new(pipe, id)?;
    writer.add_file(b"walls/stone", Metadata::default(), &b"sand, layered"[..])?;
    writer.add_file(b"walls/copy", Metadata::default(), &b"sand, layered"[..])?;
    writer.add_file(
        b"walls/long",
        Metadata::default(),
        io::Read::take(io::repeat(7), 2_500_000),
    )?;
    let (pipe, _) = writer.finish()?;
    pipe.finish()?;
    Ok(())
}
