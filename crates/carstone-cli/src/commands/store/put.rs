//! `carstone store put`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use carstone::car::{CarReader, Cid, FileOptions, ReaderOptions};
use carstone::pack::fs::{FileId, Order, TreeOptions, WalkEvent, add_tree};
use carstone::pack::{PackOptions, PlainWriter};
use carstone::unixfs::Profile;
use carstone_store::{
    Blob, Dedupe, Key, LocalObjects, MemoryScheduler, Objects as _, PackWriterOptions, PackWritten,
    Store, Written, add_pack, index_scheduled, text_of,
};
use futures::TryStreamExt;
use serde_json::{Map, Value, json};

use super::Job;
use super::layers::StackLayers;
use crate::cli::{DedupeArg, StoreIndexAddArgs, StoreIndexPlaceArgs, StorePutArgs};
use crate::commands::create::report;
use crate::exit::Exit;
use crate::input::chain;
use crate::keys::is_stdin;
use crate::names::human;
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;

/// Puts each path under a root of its own.
pub(super) fn run(job: &Job, args: &StorePutArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let layers = StackLayers::wrapping(args)?;
    let (mut store, layered) = (job.open_to_write()?, layers.is_some());
    if let Some(layers) = layers {
        store = store.with_layers(Arc::new(layers));
    }
    let dedupe = match args.dedupe {
        None => Dedupe::Off,
        Some(DedupeArg::Blob) => Dedupe::Blob,
        Some(DedupeArg::Store) => Dedupe::Store,
    };
    let profile = Profile::default().with_hash(args.hash.code())?;
    let options = PackWriterOptions::default().shard_size(args.pack_size).profile(profile);
    let options = options.dedupe(dedupe).manifests(args.manifests).layered(layered);
    for path in &args.paths {
        let name =
            if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() };
        if args.raw {
            let root =
                put_raw(job, &store, path, &options, output).with_context(|| name.clone())?;
            tell_root(&name, &root, Vec::new(), output)?;
            continue;
        }
        let written = put(job, &store, path, &options, output).with_context(|| name.clone())?;
        tell(&name, &written, output)?;
    }
    Ok(Exit::found(output.problems() > 0))
}

/// Keeps CARs as packs, and prints their names.
pub(super) fn add(
    job: &Job,
    args: &StoreIndexAddArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let store = job.open_to_write()?;
    for path in &args.cars {
        let (blob, progress) = blob(path, output)?;
        let added = job.wait(add_pack(&store, blob));
        progress.finish();
        let added = added.with_context(|| path.display().to_string())?;
        let roots: Vec<_> = added.roots.iter().map(Cid::to_string).collect();
        if output.is_json() {
            let mut fields = Map::new();
            fields.insert("path".to_owned(), path.display().to_string().into());
            fields.insert("pack".to_owned(), text_of(&added.name).into());
            fields.insert("size".to_owned(), added.size.into());
            fields.insert("blobs".to_owned(), added.blobs.into());
            fields.insert("roots".to_owned(), roots.into());
            output.object("added", fields)?;
        } else {
            output.line(text_of(&added.name).as_bytes())?;
            output.note(&format!("{}: {} blobs", path.display(), added.blobs));
        }
    }
    Ok(Exit::Intact)
}

/// Indexes files where they lie, and prints their roots.
pub(super) fn place(
    job: &Job,
    args: &StoreIndexPlaceArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let store = job.open_to_write()?;
    let files = Arc::new(LocalObjects::new(&args.directory));
    let progress = Progress::new(output, "indexing files", None);
    let work = async {
        let mut keys = Vec::new();
        let mut listed = files.list("");
        while let Some(file) = listed.try_next().await? {
            keys.push((file.key, file.size));
        }
        keys.sort();
        anyhow::Ok(keys)
    };
    let keys = job.runtime.block_on(work)?;
    let sizes: HashMap<String, u64> = keys.iter().cloned().collect();
    let mut queue = Vec::new();
    for (text, _) in keys {
        match Key::new(&text) {
            Ok(key) => queue.push(key),
            Err(error) => output.problem(text.as_bytes(), &chain(&error))?,
        }
    }
    let (scheduler, profile) = (MemoryScheduler::new(queue), Profile::default());
    let work = async {
        let placed = index_scheduled(&store, files, &scheduler, &profile, FILES_AT_ONCE);
        let mut placed = std::pin::pin!(placed);
        while let Some(placed) = placed.try_next().await? {
            signals::check()?;
            let file = placed.file.as_str();
            progress.add(sizes.get(file).copied().unwrap_or_default());
            match placed.root {
                Err(error) => {
                    progress.suspend(|| output.problem(file.as_bytes(), &chain(&error)))?
                }
                Ok(root) if output.is_json() => {
                    let mut fields = Map::new();
                    fields.insert("path".to_owned(), file.into());
                    fields.insert("root".to_owned(), root.to_string().into());
                    output.object("placed", fields)?;
                }
                Ok(root) => {
                    progress.suspend(|| output.line(format!("{root} {file}").as_bytes()))?
                }
            }
        }
        anyhow::Ok(())
    };
    let done = job.runtime.block_on(work);
    progress.finish();
    done.map(|()| Exit::found(output.problems() > 0))
}

fn put_raw(
    job: &Job,
    store: &Store,
    path: &Path,
    options: &PackWriterOptions,
    output: &Output,
) -> anyhow::Result<Cid> {
    if !is_stdin(path) && path.is_dir() {
        bail!("is a directory: only files can be kept as they are");
    }
    let (blob, progress) = blob(path, output)?;
    let root = job.wait(store.put_blob(blob, options.clone()));
    progress.finish();
    root
}

fn put(
    job: &Job,
    store: &Store,
    path: &Path,
    options: &PackWriterOptions,
    output: &mut Output,
) -> anyhow::Result<Written> {
    if !is_stdin(path) && path.is_dir() {
        return put_directory(job, store, path, options, output);
    }
    let (blob, progress) = blob(path, output)?;
    let written = job.wait(store.put(blob, options.clone()));
    progress.finish();
    written
}

/// A file, or standard input, and what shows how far it has been read.
fn blob(path: &Path, output: &Output) -> anyhow::Result<(Blob, Progress)> {
    if is_stdin(path) {
        let progress = Progress::new(output, "putting", None);
        return Ok((Blob::reader(Watched(progress.reading(io::stdin()))), progress));
    }
    let file = File::open(path).context("cannot open")?;
    let metadata = file.metadata().context("cannot look at it")?;
    let len = Some(metadata.len()).filter(|_| metadata.is_file());
    let progress = Progress::new(output, "putting", len);
    let blob = Blob::reader(Watched(progress.reading(file)));
    let blob = match len {
        Some(len) => blob.with_len(len),
        None => blob,
    };
    Ok((blob, progress))
}

/// The blocks of a tree are made first, in a temporary file, and then cut into packs.
fn put_directory(
    job: &Job,
    store: &Store,
    path: &Path,
    options: &PackWriterOptions,
    output: &mut Output,
) -> anyhow::Result<Written> {
    let profile = options.profile.clone();
    let own =
        job.url.directory().map(fs::metadata).transpose().context("cannot look at the store")?;
    let own = own.as_ref().map(FileId::from);
    let given = fs::metadata(path).context("cannot look at it")?;
    if own == Some(FileId::from(&given)) {
        bail!("is the store itself");
    }
    let (file, root) = tree(path, &profile, own, output)?;
    let make = move |put: &mut carstone_store::Put<'_>| {
        let trusted = ReaderOptions::default().danger_skip_verification(); // We have just hashed it.
        let mut reader = CarReader::with_options(Watched(file), trusted)?;
        let mut data = Vec::new();
        while let Some(section) = reader.read_block(&mut data)? {
            put(&section.cid, &data)?;
        }
        Ok(root)
    };
    let progress = Progress::new(output, "putting", None);
    let kept = |pack: &PackWritten| {
        progress.add(pack.size);
        Ok(())
    };
    let written = job.wait(store.put_blocks(make, options.clone(), kept));
    progress.finish();
    written
}

/// A CAR of a tree, without the store itself if it is in there, in a temporary file, and its root.
fn tree(
    path: &Path,
    profile: &Profile,
    own: Option<FileId>,
    output: &mut Output,
) -> anyhow::Result<(File, Cid)> {
    let mut settings = TreeOptions::default()
        .order(Order::Path)
        .unwrap_single(true)
        .owners(false)
        .xattrs(false)
        .cancel(signals::flag());
    if let Some(own) = own {
        settings = settings.own_output(own);
    }
    let file = tempfile::tempfile().context("cannot make a temporary file")?;
    let packing = PackOptions::default().profile(profile.clone()).plain(FileOptions::v1());
    let sink = BufWriter::with_capacity(256 << 10, file.try_clone()?);
    let mut writer = PlainWriter::with_options(sink, packing)?;
    let progress = Progress::new(output, "reading", None);
    let mut failed = None;
    let mut observe = |event: WalkEvent<'_>| {
        if failed.is_none() {
            failed = report::tell(event, output, &progress).err();
        }
    };
    add_tree(&mut writer, &[path.to_owned()], &settings, &mut observe)?;
    progress.finish();
    if let Some(error) = failed {
        return Err(error);
    }
    if signals::stopped() {
        bail!("interrupted");
    }
    let (sink, summary) = writer.finish()?;
    let mut file = sink.into_inner().map_err(|error| anyhow!(error.into_error()))?;
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok((file, summary.root))
}

fn tell_root(name: &str, root: &Cid, packs: Vec<Value>, output: &mut Output) -> anyhow::Result<()> {
    if output.is_json() {
        let mut fields = Map::new();
        fields.insert("path".to_owned(), name.into());
        fields.insert("root".to_owned(), root.to_string().into());
        fields.insert("packs".to_owned(), packs.into());
        return output.object("put", fields);
    }
    output.line(root.to_string().as_bytes())?;
    output.flush()
}

/// The root on standard output, packs on standard error.
fn tell(name: &str, written: &Written, output: &mut Output) -> anyhow::Result<()> {
    let size: u64 = written.packs.iter().map(|pack| pack.size).sum();
    let packs = written.packs.iter().map(
        |pack| json!({ "name": text_of(&pack.name), "size": pack.size, "blobs": pack.blobs.len() }),
    );
    tell_root(name, &written.root, packs.collect(), output)?;
    for pack in &written.packs {
        output.note(&format!("pack {} {}", text_of(&pack.name), human(pack.size)));
    }
    if !written.known.is_empty() {
        output.note(&format!("{name}: blocks of {} packs were there", written.known.len()));
    }
    output.note(&format!("{name}: {} packs, {}", written.packs.len(), human(size)));
    Ok(())
}

/// Files that are read at the same time.
const FILES_AT_ONCE: usize = 4;
