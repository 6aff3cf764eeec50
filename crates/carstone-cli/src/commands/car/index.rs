//! `carstone car index`, `detach-index`, `wrap` and `unwrap`: between the versions, and indexes by themselves.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use anyhow::{Context, anyhow};
use carstone::car::{
    FileOptions, Index, IndexBuilder, IndexEntry, ReadAt, ReaderOptions, ScanOptions, detach_index,
    extract_payload, hash_code, scan_sections, wrap as wrap_car,
};
use serde_json::Map;

use super::files::{Stored, stored};
use super::write::Writing;
use crate::cli::{
    CarVersion, DetachIndexArgs, DetachIndexCommand, IndexArgs, IndexCommand, OneCar, OneToOneArgs,
    OutArgs, WrapArgs,
};
use crate::exit::Exit;
use crate::names::hex;
use crate::output::Output;
use crate::source::Watched;
use crate::target::Target;

/// Copies a CAR with a new index, or makes an index alone.
pub(super) fn run(
    args: IndexArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    if let Some(IndexCommand::Create(args)) = args.command {
        return create(&args, reading, output);
    }
    let path = args.car.ok_or_else(|| anyhow!("no CAR is given"))?;
    let input = stored(&path)?;
    let mut reader = input.reader(reading)?;
    let options = match args.car_version {
        CarVersion::V1 => FileOptions::v1(),
        CarVersion::V2 => FileOptions::v2().index(args.format.codec.codec()),
    };
    let mut writing = Writing::create(&args.out, reader.roots(), options, output)?;
    let mut data = Vec::new();
    while let Some(section) = reader.read_block(&mut data).with_context(|| input.name.clone())? {
        writing.put(&section.cid, &data)?;
    }
    writing.finish()?;
    Ok(Exit::Intact)
}

/// Writes an index into a file of its own.
fn create(args: &WrapArgs, reading: ReaderOptions, output: &mut Output) -> anyhow::Result<Exit> {
    let codec =
        args.format.codec.codec().ok_or_else(|| anyhow!("which index? --codec says none"))?;
    let input = stored(&args.input.car)?;
    let mut builder = IndexBuilder::new(codec);
    let scanned = scan_sections(Watched(&input.car), reading, ScanOptions::default(), |section| {
        builder.add(&section.cid, section.offset)
    });
    let index = scanned.and_then(|()| builder.finish()).with_context(|| input.name.clone())?;
    write(&args.out, output, |sink| index.write(sink).map_err(anyhow::Error::from))
}

/// Copies the index that a CARv2 has inside.
pub(super) fn detach(
    args: DetachIndexArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    if let Some(DetachIndexCommand::List(args)) = args.command {
        return list(&args, reading, output);
    }
    let path = args.car.ok_or_else(|| anyhow!("no CAR is given"))?;
    let input = stored(&path)?;
    write(&args.out, output, |sink| {
        let found =
            detach_index(input.bytes(), sink, reading).with_context(|| input.name.clone())?;
        found.map(drop).ok_or_else(|| anyhow!("{}: has no index", input.name))
    })
}

/// Prints the entries of an index.
fn list(args: &OneCar, reading: ReaderOptions, output: &mut Output) -> anyhow::Result<Exit> {
    let input = stored(&args.car)?;
    let name = || input.name.clone();
    match input.reader(reading) {
        Ok(reader) => {
            let inside = reader.v2_header().and_then(|v2| Some((v2.index_offset?, v2.data_size)));
            let (start, payload) =
                inside.ok_or_else(|| anyhow!("has no index")).with_context(name)?;
            let end = input.car.size().with_context(name)?;
            let index = match reading.legacy_index {
                true => Index::open_legacy(&input.car, start..end, Some(payload)),
                false => Index::open_range(&input.car, start..end, Some(payload)),
            };
            entries(&index.with_context(name)?, &input, output)
        }
        Err(no_car) => match Index::open(&input.car) {
            Ok(index) => entries(&index, &input, output),
            Err(_) => Err(no_car.context("neither a CAR nor an index")),
        },
    }
}

fn entries<R: ReadAt>(
    index: &Index<R>,
    input: &Stored,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    for entry in index.entries() {
        let IndexEntry { hash_code, digest, offset, .. } =
            entry.with_context(|| input.name.clone())?;
        let digest = hex(&digest);
        if output.is_json() {
            let mut fields = Map::new();
            fields.insert("hash_function".to_owned(), hash_code.into());
            fields.insert("digest".to_owned(), digest.into());
            fields.insert("offset".to_owned(), offset.into());
            output.object("index_entry", fields)?;
            continue;
        }
        let function = match hash_code {
            Some(hash_code::SHA2_256) => "sha2-256 ".to_owned(),
            Some(code) => format!("{code:#x} "),
            None => String::new(),
        };
        output.line(format!("{function}{digest} {offset}").as_bytes())?;
    }
    Ok(Exit::Intact)
}

/// Makes a CARv2 of a CARv1.
pub(super) fn wrap(
    args: &WrapArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let input = stored(&args.input.car)?;
    let options = FileOptions::v2().index(args.format.codec.codec());
    write(&args.out, output, |sink| {
        wrap_car(input.bytes(), sink, options, reading).with_context(|| input.name.clone())?;
        Ok(())
    })
}

/// Takes the payload out of a CARv2.
pub(super) fn unwrap(args: &OneToOneArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let input = stored(&args.input.car)?;
    write(&args.out, output, |sink| {
        extract_payload(input.bytes(), sink).with_context(|| input.name.clone())?;
        Ok(())
    })
}

/// Writes a file that gets its name when it is complete.
fn write(
    out: &OutArgs,
    output: &mut Output,
    make: impl FnOnce(&mut BufWriter<&File>) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let target = Target::create(&out.output, out.force, output)?;
    let mut sink = BufWriter::with_capacity(256 << 10, target.file());
    make(&mut sink)?;
    let flushed: io::Result<()> = sink.flush();
    flushed.context("cannot write the output")?;
    drop(sink);
    target.finish()?;
    Ok(Exit::Intact)
}
