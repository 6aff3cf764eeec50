//! `carstone car get-block` and `put-block`: single blocks.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use carstone::car::{
    CarReader, CarStore, CarWriter, Cid, IndexedCar, ReaderOptions, StoreOptions, V2_PRAGMA,
    cid_of, hash_code, multihash_of,
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
            let version = version(&args.car, reading)?;
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
    if cid.hash().code() == hash_code::IDENTITY {
        output.note("The CID holds the block itself: nothing was stored");
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
    if !is_there {
        let store = CarStore::create(&args.car, roots, options)?;
        store.danger_put_unverified(cid, data)?; // The CID has been made of the data, or compared with it.
        return Ok(store.finalize()?);
    }
    let store = CarStore::open(&args.car, options)?;
    let put = store.danger_put_unverified(cid, data);
    let ended = match put {
        Ok(_) => store.finalize(),
        Err(error) => {
            drop(store);
            Err(error)
        }
    };
    ended.map_err(|error| undone(&args.car, error.into()))
}

/// What is said of a file that could not be finished: it is what it was before, or can be made that.
pub(super) fn undone(path: &Path, error: anyhow::Error) -> anyhow::Error {
    match CarStore::restore(path) {
        Ok(true) => error.context("nothing was added"),
        Ok(false) => error,
        Err(_) => error.context(
            "it is left unfinished; its journal makes it what it was when `put-block` or `filter --append` is run again",
        ),
    }
}

/// The version of a CAR that may be unfinished.
fn version(path: &Path, reading: ReaderOptions) -> anyhow::Result<u64> {
    let mut front = [0; V2_PRAGMA.len()];
    let mut file = File::open(path).with_context(|| name(path))?;
    match file.read_exact(&mut front) {
        Ok(()) if front == V2_PRAGMA => Ok(2),
        _ => Ok(stored(path)?.reader(reading)?.version()),
    }
}

/// Makes a CARv1 of one block, which has its name once it is whole.
fn create_v1(path: &Path, roots: &[Cid], cid: &Cid, data: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.permissions(PermissionsExt::from_mode(0o666)); // Less what the umask takes.
    let file = builder.tempfile_in(directory.unwrap_or(Path::new(".")))?;
    let mut writer = CarWriter::new(file.as_file(), roots)?;
    writer.danger_write_unverified(cid, data)?;
    writer.finish()?.sync_all()?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
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
        match create_v1(&args.car, roots, cid, data) {
            // Somebody else has made it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return Ok(created?),
        }
    }
    let mut file = File::options().read(true).write(true).open(&args.car)?;
    // Others put their blocks before or after this one.
    file.lock()?;
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
