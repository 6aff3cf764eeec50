//! `carstone hppr store`, `add`, `seal` and `import`: what goes in.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, bail};
use carstone_hppr::{
    Blob, ErrorKind, ExtrasOrder, MAX_DATA, Packet, ParseOptions, Plex, Repository, Seal,
    SigningKey, StoreOptions, Tai, trailer,
};
use serde_json::json;

use super::{count, keys, name, object, source, tell};
use crate::cli::{HpprAddArgs, HpprImportArgs, HpprSealArgs, HpprStoreArgs};
use crate::exit::Exit;
use crate::keys::once;
use crate::output::Output;
use crate::progress::Progress;
use crate::source::Watched;

/// Stores packets.
pub(super) fn store(
    repository: &Repository,
    args: &HpprStoreArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    once(args.files.iter().map(PathBuf::as_path))?;
    let (parse, options) = (parsing(args.by_name), StoreOptions::default());
    for path in &args.files {
        let input = source(path)?;
        if args.trailer {
            let spool = tempfile::tempfile().context("cannot make a temporary file")?;
            let packet =
                trailer::read(input, spool, &parse).and_then(trailer::Rebuilt::into_packet);
            let packet = packet.map_err(|error| hint(error, args.by_name));
            let packet = packet.with_context(|| name(path))?;
            let hashes = repository.store(&packet, &options).with_context(|| name(path))?;
            tell(&hashes, output)?;
            continue;
        }
        let mut told = Ok(());
        let mut keep = |packet: &Packet| {
            let hashes = repository.store(packet, &options)?;
            if told.is_ok() {
                told = tell(&hashes, output);
            }
            Ok(())
        };
        let packets = carstone_hppr::import(Watched(input), &parse, &mut keep)
            .map_err(|error| hint(error, args.by_name))
            .with_context(|| name(path))?;
        told?;
        if packets == 0 {
            bail!("{}: is empty, and has no packet", name(path));
        }
    }
    Ok(Exit::Intact)
}

/// How packets are read.
fn parsing(by_name: bool) -> ParseOptions {
    let extras = if by_name { ExtrasOrder::ByName } else { ExtrasOrder::Strict };
    ParseOptions::default().extras(extras)
}

/// Why packets are not read, and the option that may help.
fn hint(error: carstone_hppr::Error, by_name: bool) -> anyhow::Error {
    match error.kind() {
        ErrorKind::ExtrasOutOfOrder if !by_name => anyhow::Error::from(error)
            .context("--by-name takes extra headers that are in order by their names alone"),
        _ => error.into(),
    }
}

/// Makes a packet of data, and stores it.
pub(super) fn add(
    repository: &Repository,
    args: HpprAddArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    once([args.file.as_path()].into_iter().chain(args.key.as_deref()))?;
    let key = args.key.as_deref().map(keys::read).transpose()?;
    let mut data = Vec::new();
    let read = source(&args.file)?.take(MAX_DATA as u64 + 1).read_to_end(&mut data);
    read.with_context(|| name(&args.file))?;
    let blob = Blob::new(data).with_context(|| name(&args.file))?;
    let tai = args.tai.map_or_else(Tai::now, Ok)?;
    let plex = Plex::new(args.coordinate, tai, args.headers, blob)?;
    let packet = match key {
        Some(key) => sealed(plex, &key)?,
        None => Packet::Plex(plex),
    };
    tell(&repository.store(&packet, &StoreOptions::default())?, output)?;
    Ok(Exit::Intact)
}

/// Signs a packet that is there.
pub(super) fn seal(
    repository: &Repository,
    args: &HpprSealArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let key = keys::read(&args.key)?;
    let packet = repository.get(&args.address).with_context(|| args.address.to_string())?;
    let Some(plex) = packet.plex() else {
        bail!("{}: is a Blob, which belongs to no coordinate and cannot be signed", args.address);
    };
    let packet = sealed(plex.clone(), &key)?;
    tell(&repository.store(&packet, &StoreOptions::default())?, output)?;
    Ok(Exit::Intact)
}

fn sealed(plex: Plex, key: &SigningKey) -> carstone_hppr::Result<Packet> {
    let signature = key.sign(plex.hash().digest())?;
    Ok(Packet::Seal(Seal::new(plex, key.verifying_key(), signature)?))
}

/// Stores the packets of streams and CARs, many at a time.
pub(super) fn import(
    repository: &Repository,
    args: &HpprImportArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    once(args.files.iter().map(PathBuf::as_path))?;
    let mut packets = 0;
    for path in &args.files {
        let progress = Progress::new(output, "importing", None);
        let input = progress.reading(Watched(source(path)?));
        let mut batch = repository.batch(&StoreOptions::default());
        let mut store = |packet: &Packet| batch.store(packet);
        let parse = parsing(args.by_name);
        let read = match args.car {
            true => carstone_hppr::import_car(input, &parse, &mut store),
            false => carstone_hppr::import(input, &parse, &mut store),
        };
        // What came before a fault is good, and stays.
        let committed = batch.commit();
        progress.finish();
        read.map_err(|error| hint(error, args.by_name)).with_context(|| name(path))?;
        packets += committed.with_context(|| name(path))?;
    }
    if output.is_json() {
        output.object("summary", object(json!({ "packets": packets })))?;
    }
    output.note(&count(packets, "packet"));
    Ok(Exit::Intact)
}
