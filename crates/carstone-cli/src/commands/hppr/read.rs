//! `carstone hppr get`, `headers`, `ls`, `tips` and `export`: what comes out.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use carstone_hppr::{Coordinate, ErrorKind, ExportOptions, Repository, Version, trailer};
use serde_json::json;

use super::{BUFFER, count, object};
use crate::cli::{HpprExportArgs, HpprGetArgs, HpprHeadersArgs, HpprLsArgs, HpprTipsArgs};
use crate::exit::Exit;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;
use crate::target::{self, Target};

/// Writes a packet, or its data.
pub(super) fn get(
    repository: &Repository,
    args: &HpprGetArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let packet = repository.get(&args.address).with_context(|| args.address.to_string())?;
    let target = Target::create(&args.output, args.force, output)?;
    let mut out = BufWriter::with_capacity(BUFFER, target.file());
    let written = match (args.data, args.trailer) {
        (true, _) => out.write_all(packet.data()),
        (_, true) => trailer::write_packet(&packet, &mut out).map_err(Into::into),
        _ => packet.write_to(&mut out).map(drop),
    };
    let written = written.and_then(|()| out.flush());
    written.with_context(|| target::name(&args.output))?;
    drop(out);
    target.finish()?;
    Ok(Exit::Intact)
}

/// Prints the headers of a packet.
pub(super) fn headers(
    repository: &Repository,
    args: &HpprHeadersArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let headers = repository.headers(&args.address).with_context(|| args.address.to_string())?;
    if !output.is_json() {
        output.bytes(headers.unverified_bytes())?;
        output.note("nothing of these headers is verified: `get` does that");
        return Ok(Exit::Intact);
    }
    let head = headers.unverified();
    let extras: Vec<_> =
        head.extras().iter().map(|extra| json!([extra.name(), extra.value()])).collect();
    let fields = json!({
        "verified": false,
        "hash": head.hash().to_string(),
        "plex": head.plex_hash().map(|hash| hash.to_string()),
        "blob": head.blob_hash().to_string(),
        "coordinate": head.coordinate().map(ToString::to_string),
        "tai": head.tai().map(|tai| tai.to_string()),
        "key": head.key().map(|key| key.to_string()),
        "headers": extras,
        "length": head.data_len(),
    });
    output.object("headers", object(fields))?;
    Ok(Exit::Intact)
}

/// Lists what a path has.
pub(super) fn ls(
    repository: &Repository,
    args: &HpprLsArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    for name in repository.list(&args.path).with_context(|| args.path.to_string())? {
        match output.is_json() {
            true => output.object("entry", object(json!({ "name": name })))?,
            false => output.line(name.as_bytes())?,
        }
    }
    Ok(Exit::Intact)
}

/// Lists the latest packets.
pub(super) fn tips(
    repository: &Repository,
    args: &HpprTipsArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    for tip in repository.tips(&args.path) {
        signals::check()?;
        let (coordinate, version) = tip?;
        tell_tip(&coordinate, &version, output)?;
    }
    Ok(Exit::Intact)
}

/// A line of a tip.
pub(super) fn tell_tip(
    coordinate: &Coordinate,
    version: &Version,
    output: &mut Output,
) -> anyhow::Result<()> {
    let address = version.address(coordinate.clone()).to_string();
    if !output.is_json() {
        return output.line(address.as_bytes());
    }
    let (tai, hash) = (version.tai.to_string(), version.hash.to_string());
    output.object("tip", object(json!({ "address": address, "tai": tai, "hash": hash })))
}

/// Writes packets into a stream or a CAR. What is damaged is left out and told.
pub(super) fn export(
    repository: &Repository,
    args: HpprExportArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let target = Target::create(&args.output, args.force, output)?;
    let progress = Progress::new(output, "exporting", None);
    let mut out = BufWriter::with_capacity(BUFFER, progress.writing(Watched(target.file())));
    let options = ExportOptions::default()
        .prefix(args.path)
        .lone_blobs(args.lone_blobs)
        .skip_damaged(args.skip_damaged);
    let exported = match args.car {
        true => repository.export_car(&options, &mut out),
        false => repository.export(&options, &mut out),
    };
    progress.finish();
    let exported = exported.map_err(|error| match is_of_packet(&error) && !args.skip_damaged {
        true => anyhow::Error::from(error).context("--skip-damaged leaves such packets out"),
        false => anyhow::Error::from(error),
    });
    let exported = exported.with_context(|| target::name(&args.output))?;
    out.flush().with_context(|| target::name(&args.output))?;
    drop(out);
    target.finish()?;
    if output.is_json() {
        let fields = json!({
            "packets": exported.packets, "bytes": exported.bytes, "damaged": exported.damaged,
        });
        output.object("summary", object(fields))?;
    }
    output.note(&format!(
        "{}, {}",
        count(exported.packets, "packet"),
        count(exported.bytes, "byte")
    ));
    if exported.damaged > 0 {
        let are = if exported.damaged == 1 { "is" } else { "are" };
        let packets = count(exported.damaged, "packet");
        let what = format!("{packets} {are} damaged or missing, and left out");
        output.problem(repository.root().as_os_str().as_encoded_bytes(), &what)?;
    }
    Ok(Exit::found(exported.damaged > 0))
}

/// Whether an export has ended at a packet: its file is damaged, missing or not to be read.
fn is_of_packet(error: &carstone_hppr::Error) -> bool {
    match error.kind() {
        ErrorKind::Invalid(_) => false,
        // Directories have no such names, and where the packets go to has no path here.
        ErrorKind::Io(_) => error.path().and_then(Path::extension).is_some_and(|end| end == "H3"),
        _ => true,
    }
}
