//! `carstone store get`, `cat` and `dump`: what comes out.

use std::io::{self, Read, Seek, SeekFrom, Write};

use anyhow::{Context, bail};
use carstone::car::dag::{ExportOptions, blocks_from_fn, export_to};
use carstone::car::{Cid, FileOptions};
use carstone::unixfs::{BlockSource, EntryKind, FileReader};

use super::Job;
use super::blocks::StoreBlocks;
use crate::cli::{CarVersion, StoreCatArgs, StoreDumpArgs, StoreGetArgs};
use crate::commands::car::write::Writing;
use crate::commands::cat::bounds;
use crate::exit::Exit;
use crate::output::{Output, stdout_error};
use crate::progress::Progress;
use crate::signals;
use crate::target::Target;

impl Job {
    pub(super) fn blocks(&self) -> anyhow::Result<StoreBlocks> {
        let store = self.open()?;
        Ok(StoreBlocks { store, handle: self.runtime.handle().clone() })
    }
}

/// Copies a file.
pub(super) fn get(job: &Job, args: &StoreGetArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let blocks = job.blocks()?;
    let mut file = open(&blocks, &args.what)?;
    let target = Target::create(&args.out.output, args.out.force, output)?;
    let progress = Progress::new(output, "getting", Some(file.len()));
    let copied = copy(&mut file, &mut target.file(), &mut |bytes| progress.add(bytes));
    progress.finish();
    copied.with_context(|| args.what.clone())?;
    target.finish()?;
    Ok(Exit::Intact)
}

/// Writes a file, or a range of it.
pub(super) fn cat(job: &Job, args: &StoreCatArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let blocks = job.blocks()?;
    let mut file = open(&blocks, &args.what)?;
    let (start, end) = bounds(args.range, file.len())?;
    file.seek(SeekFrom::Start(start))?;
    let mut sink = output.content(true)?;
    let copied = copy(&mut file.take(end - start), &mut sink, &mut |_| ());
    match copied.and_then(|()| sink.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(stdout_error(error)),
        copied => copied.map(|()| Exit::Intact).with_context(|| args.what.clone()),
    }
}

fn open<'a>(blocks: &'a StoreBlocks, what: &str) -> anyhow::Result<FileReader<&'a StoreBlocks>> {
    let entry = blocks.entry(what)?;
    match entry.kind {
        EntryKind::File => FileReader::open(blocks, &entry.cid).with_context(|| what.to_owned()),
        EntryKind::Directory => bail!("{what}: is a directory, not a file"),
        _ => bail!("{what}: is no file"),
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write, copied: &mut dyn FnMut(u64)) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        signals::check()?;
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => {
                to.write_all(&buffer[..n])?;
                copied(n as u64);
            }
        }
    }
}

/// Writes a DAG as a CAR, parents before children.
pub(super) fn dump(job: &Job, args: &StoreDumpArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let blocks = job.blocks()?;
    let options = match args.car_version {
        CarVersion::V1 => FileOptions::v1(),
        CarVersion::V2 => FileOptions::v2(),
    };
    let mut writing = Writing::create(&args.out, &[args.cid], options, output)?;
    let progress = Progress::new(output, "dumping", None);
    let source = blocks_from_fn(|cid| blocks.block(cid));
    let put = |cid: &Cid, data: &[u8]| {
        progress.add(data.len() as u64);
        writing.put(cid, data).map(drop)
    };
    let done = export_to(&source, &[args.cid], &ExportOptions::default(), put);
    progress.finish();
    done.with_context(|| args.cid.to_string())?;
    writing.finish()?;
    Ok(Exit::Intact)
}
