//! `carstone store get`, `cat` and `dump`: what comes out.

use std::io::{self, Read, Seek, SeekFrom, Write};

use anyhow::{Context, bail};
use carstone::car::FileOptions;
use carstone::unixfs::{Entry, EntryKind, FileReader, Node, State, decode};
use carstone_store::{Order, StreamOptions};
use futures::TryStreamExt;

use super::Job;
use super::blocks::StoreBlocks;
use crate::cli::{
    CarVersion, DumpOrder, KeyArgs, StoreCatArgs, StoreDumpArgs, StoreExtractArgs, StoreGetArgs,
};
use crate::commands::car::write::Writing;
use crate::commands::cat::bounds;
use crate::commands::extract::from_blocks;
use crate::exit::Exit;
use crate::output::{Output, stdout_error};
use crate::progress::Progress;
use crate::signals;
use crate::target::{self, Target};

impl Job {
    pub(super) fn blocks(&self, keys: &KeyArgs) -> anyhow::Result<StoreBlocks> {
        let store = self.open_with(keys)?;
        Ok(StoreBlocks { store, handle: self.runtime.handle().clone() })
    }
}

/// Copies a file.
pub(super) fn get(job: &Job, args: &StoreGetArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let blocks = job.blocks(&args.keys)?;
    let entry = file(&blocks, &args.what)?;
    let target = Target::create(&args.out.output, args.out.force, output)?;
    let progress = Progress::new(output, "getting", entry.size);
    let mut sink = Sink { inner: target.file(), has_failed: false };
    let copied = stream(&blocks, &entry, &mut sink, &mut |bytes| progress.add(bytes));
    progress.finish();
    copied.with_context(|| match sink.has_failed {
        true => format!("{}: cannot write", target::name(&args.out.output)),
        false => args.what.clone(),
    })?;
    target.finish()?;
    Ok(Exit::Intact)
}

/// Restores a tree.
pub(super) fn extract(
    job: &Job,
    args: &StoreExtractArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let blocks = job.blocks(&args.keys)?;
    let entry = blocks.entry(&args.what)?;
    let name = args.what.trim_end_matches('/');
    let name = name.rsplit('/').next().unwrap_or(name);
    from_blocks(&blocks, (entry.cid, name), &args.patterns, &args.restore, output)
}

/// Writes a file, or a range of it.
pub(super) fn cat(job: &Job, args: &StoreCatArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let blocks = job.blocks(&args.keys)?;
    let entry = file(&blocks, &args.what)?;
    let mut sink = Sink { inner: output.content(true)?, has_failed: false };
    let copied = match args.range {
        None => stream(&blocks, &entry, &mut sink, &mut |_| ()),
        range => {
            let mut file = FileReader::open(&blocks, &entry.cid)?;
            let (start, end) = bounds(range, file.len())?;
            file.seek(SeekFrom::Start(start))?;
            copy(&mut file.take(end - start), &mut sink)
        }
    };
    match copied.and_then(|()| sink.flush()) {
        Err(error) if sink.has_failed => Err(stdout_error(error)),
        copied => copied.map(|()| Exit::Intact).with_context(|| args.what.clone()),
    }
}

/// Where content goes, and whether that failed, and not what it comes from.
struct Sink<W> {
    inner: W,
    has_failed: bool,
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buf);
        self.has_failed = written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.has_failed |= flushed.is_err();
        flushed
    }
}

/// The file that is named.
fn file(blocks: &StoreBlocks, what: &str) -> anyhow::Result<Entry> {
    let entry = blocks.entry(what)?;
    match entry.state {
        State::Missing => bail!("{what}: block {} is not in the store", entry.cid),
        State::Damaged(error) => {
            return Err(anyhow::Error::from(error).context(format!("{what}: block {}", entry.cid)));
        }
        _ => {}
    }
    match entry.kind {
        EntryKind::File => Ok(entry),
        EntryKind::Directory => {
            bail!("{what}: is a directory, not a file; `carstone store extract` restores it")
        }
        _ => bail!("{what}: is no file"),
    }
}

/// All of a file, read ahead.
fn stream(
    blocks: &StoreBlocks,
    entry: &Entry,
    to: &mut impl Write,
    copied: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let _inside = blocks.handle.enter();
    let mut left = entry.size;
    let mut stream = blocks.store.stream(entry.cid, StreamOptions::default().unique(false));
    while let Some((cid, block)) = blocks.handle.block_on(stream.try_next())? {
        signals::check()?;
        let content = match decode(&cid, &block)? {
            Node::Raw(data) => data,
            Node::File(file) => file.data,
            _ => return Err(io::Error::other(format!("block {cid} is no part of a file"))),
        };
        to.write_all(content)?;
        copied(content.len() as u64);
        left = left.map(|left| left.wrapping_sub(content.len() as u64));
    }
    match left {
        None | Some(0) => Ok(()),
        Some(_) => Err(io::Error::other("its parts have not the size that it says")),
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        signals::check()?;
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => to.write_all(&buffer[..n])?,
        }
    }
}

/// Writes a DAG as a CAR.
pub(super) fn dump(job: &Job, args: &StoreDumpArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let blocks = job.blocks(&args.keys)?;
    let options = match args.car_version {
        CarVersion::V1 => FileOptions::v1(),
        CarVersion::V2 => FileOptions::v2(),
    };
    let mut writing = Writing::create(&args.out, &[args.cid], options, output)?;
    let progress = Progress::new(output, "dumping", None);
    let _inside = blocks.handle.enter();
    let order = match args.order {
        DumpOrder::Dag => Order::Dag,
        DumpOrder::Location => Order::Location,
    };
    let mut stream = blocks.store.stream(args.cid, StreamOptions::default().order(order));
    let mut dump = || -> anyhow::Result<()> {
        let next = || args.cid.to_string();
        while let Some((cid, block)) =
            blocks.handle.block_on(stream.try_next()).with_context(next)?
        {
            signals::check()?;
            progress.add(block.len() as u64);
            let put = writing.put(&cid, &block);
            put.with_context(|| format!("{}: cannot write", target::name(&args.out.output)))?;
        }
        Ok(())
    };
    let done = dump();
    progress.finish();
    done?;
    writing.finish()?;
    Ok(Exit::Intact)
}
