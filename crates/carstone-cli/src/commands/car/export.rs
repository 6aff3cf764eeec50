//! `carstone car export`: the blocks of a pack in a CAR.

use std::io;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, anyhow, bail};
use carstone::car::Cid;
use carstone::car::dag::{ExportOptions, blocks_from_fn, export_to};
use carstone::pack::PackReader;
use carstone::stack::SharedSource;
use carstone::unixfs::{BlockSource, resolve};

use super::write::Writing;
use crate::cli::ExportArgs;
use crate::exit::Exit;
use crate::input::{Input, chain};
use crate::keys::Keys;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::Source;

/// Copies all blocks in the order of the pack, or those of an entry in that of their links.
pub(crate) fn run(args: &ExportArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let keys = Keys::new(&args.keys, &args.pack)?;
    let source = Source::open(&args.pack)?.spooled()?;
    source.tell_kept(output);
    let name = source.name.clone();
    let pack = match Input::open(source, &keys, args.threads)? {
        Input::Pack(pack) => pack,
        Input::Front(_, Some(fault)) => {
            bail!("{name}: {}; `carstone repair` makes a clean pack first", chain(&fault))
        }
        Input::Front(..) => bail!("{name}: `carstone repair` makes a clean pack first"),
        Input::Car(_) => {
            bail!("{name}: is a plain CAR already: `carstone car get-dag` copies a part of it")
        }
    };
    let roots = match &args.path {
        None => pack.reader.tail().roots.clone(),
        Some(path) => {
            let top = pack.reader.tail().roots.first();
            let top = top.ok_or_else(|| anyhow!("{name}: names no root"))?;
            let entry = resolve(&PackBlocks(&pack.reader), top, path.as_bytes());
            let entry = entry.with_context(|| name.clone())?;
            let missing = || anyhow!("{name}: there is no {} in it", path.display());
            vec![entry.ok_or_else(missing)?.cid]
        }
    };
    let mut writing = Writing::create(&args.out, &roots, args.version.options(2), output)?;
    let total = args.path.is_none().then(|| pack.reader.tail().size);
    let progress = Progress::new(output, "exporting", total);
    let mut put = |cid: &Cid, data: &[u8]| -> carstone::car::Result<()> {
        progress.add(data.len() as u64);
        writing.put(cid, data).map(drop) // The reader has verified it.
    };
    if args.path.is_some() {
        let blocks = blocks_from_fn(|cid| PackBlocks(&pack.reader).block(cid));
        let done = export_to(&blocks, &roots, &ExportOptions::default(), put);
        done.map(drop).with_context(|| name.clone())?;
    } else {
        let (mut blocks, mut data) = (pack.reader.blocks(), Vec::new());
        while let Some(section) = blocks.read_block(&mut data).with_context(|| name.clone())? {
            signals::check()?;
            put(&section.cid, &data)?;
        }
    }
    progress.finish();
    writing.finish()?;
    pack.tell_corrections(&name, output)?;
    pack.tell_footers(&name, output)?;
    for root in &roots {
        output.note(&format!("root {root}"));
    }
    Ok(Exit::found(output.problems() > 0))
}

/// The blocks of a pack by their CIDs.
struct PackBlocks<'a>(&'a PackReader<SharedSource>);

impl BlockSource for PackBlocks<'_> {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        signals::check()?;
        self.0.get(cid).map_err(io::Error::other)
    }
}
