//! `carstone store put`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow, bail};
use carstone::car::{CarReader, Cid, FileOptions, ReaderOptions};
use carstone::pack::fs::{FileId, Order, TreeOptions, WalkEvent, add_tree};
use carstone::pack::{PackOptions, PlainWriter};
use carstone::unixfs::Profile;
use carstone_store::{
    Blob, Dedupe, Key, LocalObjects, MemoryScheduler, PackWriterOptions, PackWritten, Store,
    Written, add_pack, index_scheduled, text_of,
};
use futures::TryStreamExt;
use serde_json::{Map, json};

use super::Job;
use super::layers::StackLayers;
use crate::cli::{DedupeArg, StoreIndexAddArgs, StoreIndexPlaceArgs, StorePutArgs};
use crate::commands::create::report;
use crate::exit::Exit;
use crate::input::chain;
use crate::keys::is_stdin;
use crate::names::{self, human};
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
    let options = options.parity(args.parity);
    let mut is_any_put = false;
    for path in &args.paths {
        let name =
            if is_stdin(path) { "standard input".into() } else { path.display().to_string() };
        let done = put(job, &store, path, args.raw, &options, output);
        match done.with_context(|| name.clone())? {
            Ok(done) => tell(path, &done, output)?,
            Err(error) if args.paths.len() == 1 => return Err(error.context(name)),
            Err(error) => {
                output.problem(path.as_os_str().as_bytes(), &chain(&*error))?;
                continue;
            }
        }
        is_any_put = true;
    }
    if !is_any_put {
        bail!("nothing is put: no path could be read");
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
        let Source { blob, progress, .. } = source(path, output)?;
        let added = job.wait(add_pack(&store, blob));
        progress.finish();
        let added = added.with_context(|| path.display().to_string())?;
        let roots: Vec<_> = added.roots.iter().map(Cid::to_string).collect();
        if output.is_json() {
            let mut fields = Map::new();
            names::put(&mut fields, "path", path.as_os_str().as_bytes());
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
    let sizes = below(&args.directory, output)?;
    let mut queue = Vec::new();
    for text in sizes.keys() {
        match Key::new(text) {
            Ok(key) => queue.push(key),
            Err(error) => output.problem(text.as_bytes(), &chain(&error))?,
        }
    }
    let progress = Progress::new(output, "indexing files", None);
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

/// The files below a directory, and their bytes. Links are left out: what they lead to may lie elsewhere.
fn below(directory: &Path, output: &mut Output) -> anyhow::Result<BTreeMap<String, u64>> {
    let (mut files, mut left) = (BTreeMap::new(), vec![PathBuf::new()]);
    while let Some(inner) = left.pop() {
        let path = directory.join(&inner);
        let name = || format!("{}: cannot list", path.display());
        for entry in fs::read_dir(&path).with_context(name)? {
            signals::check()?;
            let entry = entry.with_context(name)?;
            let below = inner.join(entry.file_name());
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| below.display().to_string()),
            };
            let is_text = below.to_str().is_some();
            if metadata.is_symlink() {
                output.note(&format!("{}: is a link, and is left out", below.display()));
            } else if metadata.is_dir() && is_text {
                left.push(below);
            } else if !metadata.is_file() && is_text {
                output.note(&format!("{}: is no file, and is left out", below.display()));
            } else {
                match below.into_os_string().into_string() {
                    Ok(text) => drop(files.insert(text, metadata.len())),
                    Err(name) => {
                        output.problem(name.as_bytes(), &"left out: its name is no text")?
                    }
                }
            }
        }
    }
    Ok(files)
}

/// Puts what is at a path. The inner error is of what is there, and of no use for other paths; the outer one of the store.
fn put(
    job: &Job,
    store: &Store,
    path: &Path,
    is_raw: bool,
    options: &PackWriterOptions,
    output: &mut Output,
) -> anyhow::Result<anyhow::Result<Done>> {
    if !is_stdin(path) && path.is_dir() {
        return match is_raw {
            true => Ok(Err(anyhow!("is a directory: only files can be kept as they are"))),
            false => put_directory(job, store, path, options, output),
        };
    }
    let Source { blob, progress, is_damaged } = match source(path, output) {
        Ok(source) => source,
        Err(error) => return Ok(Err(error)),
    };
    let done = match is_raw {
        true => job.wait(store.put_blob(blob, options.clone())).map(Done::raw),
        false => job.wait(store.put(blob, options.clone())).map(Done::cut),
    };
    progress.finish();
    match done {
        Err(error) if is_damaged.load(Ordering::Relaxed) => Ok(Err(error)),
        done => done.map(Ok),
    }
}

/// What became of a path.
struct Done {
    root: Cid,
    /// How it was cut, if it was.
    written: Option<Written>,
}

impl Done {
    fn raw(root: Cid) -> Self {
        Self { root, written: None }
    }

    fn cut(written: Written) -> Self {
        Self { root: written.root, written: Some(written) }
    }
}

/// A file, or standard input.
struct Source {
    blob: Blob,
    /// What shows how far it has been read.
    progress: Progress,
    /// Whether it could not be read to its end.
    is_damaged: Arc<AtomicBool>,
}

fn source(path: &Path, output: &Output) -> anyhow::Result<Source> {
    let is_damaged = Arc::default();
    if is_stdin(path) {
        let progress = Progress::new(output, "putting", None);
        let inner = progress.reading(io::stdin());
        let blob = Blob::reader(Watched(Noting { inner, failed: Arc::clone(&is_damaged) }));
        return Ok(Source { blob, progress, is_damaged });
    }
    let file = File::open(path).context("cannot open")?;
    let metadata = file.metadata().context("cannot look at it")?;
    let len = Some(metadata.len()).filter(|_| metadata.is_file());
    let progress = Progress::new(output, "putting", len);
    let inner = progress.reading(file);
    let blob = Blob::reader(Watched(Noting { inner, failed: Arc::clone(&is_damaged) }));
    let blob = match len {
        Some(len) => blob.with_len(len),
        None => blob,
    };
    Ok(Source { blob, progress, is_damaged })
}

/// Notes that something could not be read.
struct Noting<R> {
    inner: R,
    failed: Arc<AtomicBool>,
}

impl<R: Read> Read for Noting<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf);
        let is_to_try_again = |error: &io::Error| error.kind() == io::ErrorKind::Interrupted;
        if read.as_ref().is_err_and(|error| !is_to_try_again(error)) {
            self.failed.store(true, Ordering::Relaxed);
        }
        read
    }
}

/// The blocks of a tree are made first, in a temporary file, and then cut into packs.
fn put_directory(
    job: &Job,
    store: &Store,
    path: &Path,
    options: &PackWriterOptions,
    output: &mut Output,
) -> anyhow::Result<anyhow::Result<Done>> {
    let profile = options.profile.clone();
    let own =
        job.url.directory().map(fs::metadata).transpose().context("cannot look at the store")?;
    let own = own.as_ref().map(FileId::from);
    let given = match fs::metadata(path).context("cannot look at it") {
        Ok(given) => given,
        Err(error) => return Ok(Err(error)),
    };
    if own == Some(FileId::from(&given)) {
        return Ok(Err(anyhow!("is the store itself")));
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
    written.map(Done::cut).map(Ok)
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

/// The root on standard output, packs on standard error.
fn tell(path: &Path, done: &Done, output: &mut Output) -> anyhow::Result<()> {
    let bytes = if is_stdin(path) { b"standard input" } else { path.as_os_str().as_bytes() };
    let packs = done.written.iter().flat_map(|written| &written.packs);
    if output.is_json() {
        let packs: Vec<_> = packs
            .map(|pack| {
                let (name, blobs) = (text_of(&pack.name), pack.blobs.len());
                json!({ "name": name, "size": pack.size, "blobs": blobs, "parity": pack.sidecar })
            })
            .collect();
        let mut fields = Map::new();
        names::put(&mut fields, "path", bytes);
        fields.insert("root".to_owned(), done.root.to_string().into());
        fields.insert("packs".to_owned(), packs.into());
        return output.object("put", fields);
    }
    output.line(done.root.to_string().as_bytes())?;
    output.flush()?;
    let Some(written) = &done.written else { return Ok(()) };
    for pack in &written.packs {
        output.note(&format!("pack {} {}", text_of(&pack.name), human(pack.size)));
    }
    let name = names::shown(bytes);
    if !written.known.is_empty() {
        output.note(&format!("{name}: blocks of {} packs were there", written.known.len()));
    }
    let size: u64 = written.packs.iter().map(|pack| pack.size).sum();
    output.note(&format!("{name}: {} packs, {}", written.packs.len(), human(size)));
    let parity: u64 = written.packs.iter().filter_map(|pack| pack.sidecar).sum();
    if parity > 0 {
        output.note(&format!("{name}: {} of parity beside them", human(parity)));
    }
    Ok(())
}

/// Files that are read at the same time.
const FILES_AT_ONCE: usize = 4;
