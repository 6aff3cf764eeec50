//! `carstone car get-block` and `put-block`: single blocks.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};

use anyhow::{Context, anyhow, bail};
use carstone::car::{
    CarReader, CarStore, CarWriter, Cid, IndexedCar, ReaderOptions, StoreOptions, cid_of,
    multihash_of,
};
use serde_json::Map;

use super::files::{Stored, name, stored};
use crate::cli::{CarVersion, GetBlockArgs, PutBlockArgs};
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::output::Output;
use crate::source::Watched;
use crate::target::Target;

/// Writes the data of one block.
pub(super) fn get(
    args: &GetBlockArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let input = stored(&args.input.car)?;
    let found = find(&input, &args.cid, reading).with_context(|| input.name.clone())?;
    let data = found.ok_or_else(|| anyhow!("{}: has no block {}", input.name, args.cid))?;
    let target = Target::create(&args.out.output, args.out.force, output)?;
    target.file().write_all(&data).context("cannot write the output")?;
    target.finish()?;
    Ok(Exit::Intact)
}

/// A block by its CID; where the index does not have it, which need not have all, by going over all of them.
fn find(
    input: &Stored,
    cid: &Cid,
    reading: ReaderOptions,
) -> carstone::car::Result<Option<Vec<u8>>> {
    let car = IndexedCar::with_options(Watched(&input.car), reading)?;
    match car.get(cid)? {
        None if car.index_codec().is_some() => {
            IndexedCar::ignoring_index(Watched(&input.car), reading)?.get(cid)
        }
        found => Ok(found),
    }
}

/// Puts standard input into a CAR as one block.
pub(super) fn put(
    args: &PutBlockArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    if is_stdin(&args.car) {
        bail!("the CAR is a file that is changed: it cannot be standard input or output");
    }
    let mut data = Vec::new();
    let most = reading.limits.section as u64;
    let source = Watched(io::stdin().lock());
    source
        .take(most.saturating_add(1))
        .read_to_end(&mut data)
        .context("cannot read standard input")?;
    if data.len() as u64 > most {
        bail!("standard input has more than {most} bytes, the most that a block may have");
    }
    let cid = match &args.cid {
        Some(cid) => checked(cid, &data)?,
        None => cid_of(args.codec, &data),
    };
    let name = name(&args.car);
    let is_there = fs::metadata(&args.car).is_ok();
    if is_there && args.set_root {
        bail!(
            "{name}: exists already, so that its roots stay: `carstone car set-roots` changes them"
        );
    }
    let version = match (is_there, args.car_version) {
        (true, asked) => {
            let version = stored(&args.car)?.reader(reading)?.version();
            if asked.is_some_and(|asked| (asked == CarVersion::V2) != (version == 2)) {
                bail!("{name}: exists already, as a CARv{version}");
            }
            version
        }
        (false, Some(CarVersion::V1)) => 1,
        (false, _) => 2,
    };
    let roots: &[Cid] = if args.set_root { std::slice::from_ref(&cid) } else { &[] };
    match version {
        2 => put_v2(args, is_there, roots, &cid, &data).with_context(|| name)?,
        _ => put_v1(args, is_there, roots, &cid, &data, reading).with_context(|| name)?,
    }
    if output.is_json() {
        let fields = Map::from_iter([("cid".to_owned(), cid.to_string().into())]);
        output.object("block", fields)?;
    } else {
        output.line(cid.to_string().as_bytes())?;
    }
    Ok(Exit::Intact)
}

/// The CID, if it is one of these bytes.
fn checked(cid: &Cid, data: &[u8]) -> anyhow::Result<Cid> {
    let code = cid.hash().code();
    let hash = multihash_of(code, data)
        .ok_or_else(|| anyhow!("{cid}: its hash function ({code:#x}) is not known here"))?;
    if hash.digest() != cid.hash().digest() {
        let found = Cid::new(cid.version(), cid.codec(), hash)?;
        bail!("the CID is to be {cid}, but these bytes have {found}");
    }
    Ok(*cid)
}

fn put_v2(
    args: &PutBlockArgs,
    is_there: bool,
    roots: &[Cid],
    cid: &Cid,
    data: &[u8],
) -> anyhow::Result<()> {
    let options = StoreOptions::default().whole_cids(true);
    let store = match is_there {
        true => CarStore::open(&args.car, options)?,
        false => CarStore::create(&args.car, roots, options)?,
    };
    store.danger_put_unverified(cid, data)?; // The CID has been made of the data, or compared with it.
    store.finalize()?;
    Ok(())
}

fn put_v1(
    args: &PutBlockArgs,
    is_there: bool,
    roots: &[Cid],
    cid: &Cid,
    data: &[u8],
    reading: ReaderOptions,
) -> anyhow::Result<()> {
    if !is_there {
        let mut writer = CarWriter::new(File::create_new(&args.car)?, roots)?;
        writer.danger_write_unverified(cid, data)?;
        return Ok(writer.finish()?.sync_all()?);
    }
    let mut file = File::options().read(true).write(true).open(&args.car)?;
    let mut reader = CarReader::open_seekable(&file, reading)?;
    while let Some(section) = reader.skip_section()? {
        if section.cid == *cid {
            return Ok(());
        }
    }
    let end = reader.position();
    drop(reader);
    file.seek(SeekFrom::Start(end))?;
    let mut writer = CarWriter::append(&file, end);
    let put = writer.danger_write_unverified(cid, data).map(drop);
    match put.map_err(anyhow::Error::from).and_then(|()| Ok(writer.finish()?.sync_all()?)) {
        Ok(()) => Ok(()),
        Err(error) => {
            // What was there is there still.
            file.set_len(end)?;
            Err(error)
        }
    }
}
