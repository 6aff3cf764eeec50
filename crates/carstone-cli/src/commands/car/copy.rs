//! `carstone car filter`, `concat` and `merge`: blocks of CARs in another one.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use carstone::car::dag::{CidFilter, filter_to, joined_roots};
use carstone::car::{CarStore, Cid, Dedupe, ReaderOptions, StoreOptions};

use super::block::undone;
use super::files::{Streamed, name, stored, streamed};
use super::write::Writing;
use crate::cli::{ConcatArgs, FilterArgs, OutArgs, file_options};
use crate::exit::Exit;
use crate::keys::is_stdin;
use crate::output::Output;
use crate::source::Watched;

/// Copies some blocks.
pub(super) fn filter(
    args: &FilterArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    if is_stdin(&args.input.car) && is_stdin(&args.cid_file) {
        bail!("the CAR and the CIDs cannot both come from standard input: give --cid-file FILE");
    }
    let cids = cids(&args.cid_file)?;
    let wanted = match args.inverse {
        true => CidFilter::remove(cids),
        false => CidFilter::keep(cids),
    };
    let mut input = streamed(&args.input.car, reading)?;
    if args.append {
        return append(&args.out, &wanted, input, output);
    }
    let roots = wanted.roots(input.car.roots());
    if roots.is_empty() && !input.car.roots().is_empty() {
        output.note("No root is kept: the new CAR names none.");
    }
    let options = args.version.options(input.car.version());
    let mut writing = Writing::create(&args.out, &roots, options, output)?;
    let put = |cid: &Cid, data: &[u8]| writing.put(cid, data).map(drop);
    let done = filter_to(&mut input.car, &wanted, put).with_context(|| input.name)?;
    writing.finish()?;
    output.note(&format!("{} blocks copied, {} left out", done.kept, done.removed));
    Ok(Exit::Intact)
}

/// Adds blocks to a CARv2 that is there.
fn append(
    out: &OutArgs,
    wanted: &CidFilter,
    mut input: Streamed,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let name = out.output.display().to_string();
    if is_stdin(&out.output) {
        bail!("--append needs a file: give -o FILE");
    }
    let options = StoreOptions::default().whole_cids(true);
    let store = CarStore::open(&out.output, options).with_context(|| name.clone())?;
    let mut added = 0_u64;
    let done = filter_to(&mut input.car, wanted, |cid, data| {
        added += u64::from(store.danger_put_unverified(cid, data)?); // The reader has verified it.
        Ok(())
    });
    // What was added stays whole, also where the input ends early.
    let ended = store.finalize().map_err(|error| undone(&out.output, error.into()));
    ended.with_context(|| name)?;
    done.with_context(|| input.name)?;
    output.note(&format!("{added} blocks added"));
    Ok(Exit::Intact)
}

fn cids(path: &Path) -> anyhow::Result<Vec<Cid>> {
    let name = name(path);
    let source: Box<dyn Read> = match is_stdin(path) {
        true => Box::new(io::stdin()),
        false => Box::new(std::fs::File::open(path).with_context(|| name.clone())?),
    };
    let mut cids = Vec::new();
    for (number, line) in BufReader::new(Watched(source)).lines().enumerate() {
        let line = line.with_context(|| name.clone())?;
        let line = line.trim();
        if !line.is_empty() {
            let cid = Cid::from_str(line);
            let place = || format!("{name}: line {}: {line:.100} is no CID", number + 1);
            cids.push(cid.map_err(|error| anyhow!("{error}")).with_context(place)?);
        }
    }
    Ok(cids)
}

/// Puts the sections of several CARs behind the header of the first.
pub(super) fn concat(
    args: &ConcatArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let Some((first, others)) = args.cars.split_first() else { return Ok(Exit::Failed) };
    check_inputs(args)?;
    let mut input = streamed(first, reading)?;
    let options = file_options(args.car_version, 1);
    let mut writing = Writing::create(&args.out, input.car.roots(), options, output)?;
    let mut others = others.iter();
    loop {
        let mut data = Vec::new();
        while let Some(section) =
            input.car.read_block(&mut data).with_context(|| input.name.clone())?
        {
            writing.put(&section.cid, &data)?;
        }
        match others.next() {
            Some(next) => input = streamed(next, reading)?,
            None => break,
        }
    }
    writing.finish()?;
    Ok(Exit::Intact)
}

/// Puts several CARs together, each block once, under the roots of all.
pub(super) fn merge(
    args: &ConcatArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    check_inputs(args)?;
    // The header stands in front, so that all roots must be known before the first block.
    let inputs = args.cars.iter().map(|path| stored(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut roots = Vec::new();
    let mut version = 1;
    for (number, input) in inputs.iter().enumerate() {
        let reader = input.reader(reading)?;
        roots.push(reader.roots().to_vec());
        if number == 0 {
            version = reader.version();
        }
    }
    let roots = joined_roots(roots.iter().map(Vec::as_slice));
    let options = file_options(args.car_version, version).dedupe(Dedupe::WholeCid);
    let mut writing = Writing::create(&args.out, &roots, options, output)?;
    let (mut written, mut repeated, mut data) = (0_u64, 0_u64, Vec::new());
    for input in &inputs {
        let mut reader = input.reader(reading)?;
        while let Some(section) =
            reader.read_block(&mut data).with_context(|| input.name.clone())?
        {
            match writing.put(&section.cid, &data)? {
                true => written += 1,
                false => repeated += 1,
            }
        }
    }
    writing.finish()?;
    output.note(&format!("{written} blocks written, {repeated} that repeat left out"));
    Ok(Exit::Intact)
}

fn check_inputs(args: &ConcatArgs) -> anyhow::Result<()> {
    if args.cars.iter().filter(|path| is_stdin(path)).count() > 1 {
        bail!("standard input can be read only once");
    }
    Ok(())
}
