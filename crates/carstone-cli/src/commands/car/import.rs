//! `carstone car import`: a pack of the files of a CAR.

use anyhow::Context;
use carstone::car::{Cid, ReaderOptions};
use carstone::layer::{LayerWrite, default_threads};
use carstone::pack::{EntryKind, Metadata, PackOptions, PackWriter, Summary};
use carstone::stack::{self, Format, WriteOptions};
use carstone::unixfs::FileReader;
use serde_json::Map;

use super::files::name;
use crate::cli::ImportArgs;
use crate::dag;
use crate::exit::Exit;
use crate::input::{Input, PlainCar, chain};
use crate::keys::{Keys, protection};
use crate::names::human;
use crate::output::Output;
use crate::progress::Progress;
use crate::rows::Row;
use crate::signals;
use crate::source::Source;
use crate::target::{Counted, Target};

/// Makes the pack.
pub(crate) fn run(
    args: &ImportArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let source = Source::open(&args.input.car)?.accepting(reading);
    let name = name(&args.input.car);
    if source.format == Format::Pack {
        anyhow::bail!("{name}: is a pack, not a plain CAR");
    }
    let keys = Keys::none();
    let Input::Car(car) = Input::open(source, &keys, args.threads)? else {
        anyhow::bail!("{name}: is no CAR");
    };
    let options = options(args)?;
    let target = Target::create(&args.out.output, args.out.force, output)?;
    let Imported { summary, entries, stored } = write(args, &car, options, &target, output)?;
    car.tell_faults(&name, output)?;
    if signals::stopped() {
        anyhow::bail!("interrupted");
    }
    let shows_root = target.is_seekable();
    target.finish()?;
    let is_same = car.roots() == [summary.root];
    if output.is_json() {
        let mut fields = Map::new();
        fields.insert("root".to_owned(), summary.root.to_string().into());
        fields.insert("same_root".to_owned(), is_same.into());
        fields.insert("entries".to_owned(), entries.into());
        fields.insert("bytes".to_owned(), summary.size.into());
        fields.insert("stored".to_owned(), stored.into());
        fields.insert("problems".to_owned(), output.problems().into());
        output.object("summary", fields)?;
        return Ok(Exit::found(output.problems() > 0));
    }
    if shows_root {
        output.line(format!("root {}", summary.root).as_bytes())?;
        output.flush()?;
    }
    if let [root] = car.roots()
        && !is_same
    {
        let files = match output.problems() {
            0 => "The files are the same.",
            _ => "Something was left out.",
        };
        output.note(&format!(
            "The CAR has the root {root}: its directories or nodes have another form. {files}"
        ));
    }
    output.note(&format!("{entries} entries, {} in, {} out", human(summary.size), human(stored)));
    Ok(Exit::found(output.problems() > 0))
}

/// What is in the pack.
struct Imported {
    summary: Summary,
    entries: u64,
    stored: u64,
}

fn options(args: &ImportArgs) -> anyhow::Result<WriteOptions> {
    let threads = args.threads.unwrap_or_else(default_threads);
    let mut options =
        WriteOptions::default().codec(args.compress.unwrap_or_default()).threads(threads);
    if let Some(bytes) = args.block_size {
        options = options.block_size(bytes);
    }
    if let Some(protection) = protection(&args.readers, false)? {
        options = options.protection(protection);
    }
    Ok(options)
}

fn write(
    args: &ImportArgs,
    car: &PlainCar,
    options: WriteOptions,
    target: &Target,
    output: &mut Output,
) -> anyhow::Result<Imported> {
    let writing = || format!("{}: cannot write", args.out.output.display());
    let threads = args.threads.unwrap_or_else(default_threads);
    let packing = PackOptions::default().threads(threads).profile(args.profile()?);
    let pipe = stack::write(Counted { inner: target.file(), count: 0 }, options);
    let pipe = pipe.with_context(writing)?;
    let id = pipe.pack_id();
    let writer = PackWriter::with_options(pipe, id, packing).with_context(writing)?;
    let progress = Progress::new(output, "importing", None);
    let mut import = Import { car, writer, output, progress: &progress, entries: 0 };
    dag::visit(car, false, &mut |found| match found {
        Ok((row, cid)) => import.add(row, &cid).with_context(writing),
        Err(problem) => import.left_out(&problem.path, &problem.why),
    })?;
    let Import { writer, entries, .. } = import;
    let (pipe, summary) = writer.finish().with_context(writing)?;
    let stored = pipe.finish().with_context(writing)?.count;
    progress.finish();
    Ok(Imported { summary, entries, stored })
}

/// Files on their way into the pack.
struct Import<'a, W: LayerWrite> {
    car: &'a PlainCar,
    writer: PackWriter<W>,
    output: &'a mut Output,
    progress: &'a Progress,
    entries: u64,
}

impl<W: LayerWrite> Import<'_, W> {
    fn add(&mut self, row: Row, cid: &Cid) -> anyhow::Result<()> {
        signals::check()?;
        let mut metadata = Metadata::default();
        (metadata.mode, metadata.mtime) = (row.mode, row.mtime);
        let is_plain_root = row.path.is_empty() && metadata == Metadata::default();
        match row.kind {
            EntryKind::Directory if is_plain_root => return Ok(()),
            EntryKind::Directory => drop(self.writer.add_directory(&row.path, metadata)?),
            EntryKind::Symlink => {
                let target = row.target.as_deref().unwrap_or_default();
                self.writer.add_symlink(&row.path, target, metadata)?;
            }
            _ => return self.add_file(&row, cid, metadata),
        }
        self.entries += 1;
        Ok(())
    }

    /// Adds a file by its leaves. One of which a part is lost is left out.
    fn add_file(&mut self, row: &Row, cid: &Cid, metadata: Metadata) -> anyhow::Result<()> {
        let mut reader = match FileReader::open(self.car, cid) {
            Ok(reader) => reader,
            Err(error) => return self.left_out(&row.path, &chain(&error)),
        };
        let size = reader.len();
        let is_small = size <= self.writer.chunk_size() as u64;
        let id = match reader.read_leaf() {
            Err(error) => return self.left_out(&row.path, &chain(&error)),
            // All of it in one block.
            Ok(Some(leaf)) if is_small && leaf.content.len() as u64 == size => {
                if let Some(cid) = &leaf.raw {
                    self.writer.danger_add_verified(&row.path, metadata, leaf.content, cid)?;
                    return self.counted(size);
                }
                let id = self.writer.start_entry(&row.path, metadata)?;
                self.writer.append(id, &leaf.content)?;
                id
            }
            Ok(None) => self.writer.start_entry(&row.path, metadata)?,
            Ok(Some(leaf)) => {
                let id = self.writer.start_entry(&row.path, metadata)?;
                let mut leaf = Some(leaf);
                while let Some(now) = leaf {
                    signals::check()?;
                    match &now.raw {
                        Some(cid) => self.writer.danger_append_verified(id, now.content, cid)?,
                        None => self.writer.append_leaf(id, now.content)?,
                    }
                    leaf = match reader.read_leaf() {
                        Ok(leaf) => leaf,
                        Err(error) => {
                            self.writer.abandon_entry(id)?;
                            return self.left_out(&row.path, &chain(&error));
                        }
                    };
                }
                id
            }
        };
        self.writer.end_entry(id)?;
        self.counted(size)
    }

    fn counted(&mut self, size: u64) -> anyhow::Result<()> {
        self.entries += 1;
        self.progress.add(size);
        Ok(())
    }

    fn left_out(&mut self, path: &[u8], why: &str) -> anyhow::Result<()> {
        let what = format!("left out: {why}");
        self.progress.suspend(|| self.output.problem(path, &what))
    }
}
