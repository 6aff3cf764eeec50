//! `carstone car list` and `blocks`: which blocks there are.

use anyhow::Context;
use carstone::car::{ErrorKind, ReaderOptions};
use serde_json::Map;

use super::files::{stored, streamed};
use crate::cli::{CarListArgs, OneCar};
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::output::Output;

/// Prints a line for each block. Data is passed over.
pub(super) fn list(
    args: &CarListArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let path = &args.input.car;
    let mut tell = |section: carstone::car::Section, start: u64| -> anyhow::Result<()> {
        let (offset, len) = (start + section.offset, section.data_len);
        if output.is_json() {
            let mut fields = Map::new();
            fields.insert("cid".to_owned(), section.cid.to_string().into());
            fields.insert("offset".to_owned(), offset.into());
            fields.insert("data_offset".to_owned(), (start + section.data_offset).into());
            fields.insert("data_size".to_owned(), len.into());
            return output.object("block", fields);
        }
        match args.long {
            true => output.line(format!("{offset} {len} {}", section.cid).as_bytes()),
            false => output.line(section.cid.to_string().as_bytes()),
        }
    };
    if is_stdin(path) {
        let mut input = streamed(path, reading)?;
        let start = input.car.payload_start();
        while let Some(section) = input.car.next_section().with_context(|| input.name.clone())? {
            tell(section, start)?;
        }
        return Ok(Exit::Intact);
    }
    let input = stored(path)?;
    let mut reader = input.reader(reading)?;
    let start = reader.payload_start();
    while let Some(section) = reader.skip_section().with_context(|| input.name.clone())? {
        tell(section, start)?;
    }
    Ok(Exit::Intact)
}

/// Prints the CID of each block that is what its CID says, and tells of the others.
pub(super) fn blocks(
    args: &OneCar,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let mut input = streamed(&args.car, reading)?;
    let mut data = Vec::new();
    loop {
        let section = match input.car.read_block(&mut data) {
            Ok(Some(section)) => section,
            Ok(None) => return Ok(Exit::found(output.problems() > 0)),
            Err(error) if error.is_block_error() => {
                let (what, name) = match error.kind() {
                    ErrorKind::Unverifiable { cid, .. } => {
                        ("cannot be verified here", cid.to_string())
                    }
                    ErrorKind::Mismatch { cid, .. } => {
                        ("its data has another hash", cid.to_string())
                    }
                    _ => ("cannot be used", input.name.clone()),
                };
                let what = format!("{what}: block at byte {}", error.offset().unwrap_or_default());
                output.problem(name.as_bytes(), &what)?;
                continue;
            }
            Err(error) => return Err(error).with_context(|| input.name.clone()),
        };
        let cid = section.cid.to_string();
        match output.is_json() {
            true => output.object("block", Map::from_iter([("cid".to_owned(), cid.into())]))?,
            false => output.line(cid.as_bytes())?,
        }
    }
}
