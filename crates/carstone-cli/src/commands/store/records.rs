//! `carstone store index export` and `import`: the index in forms of others.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail, ensure};
use carstone_store::{
    Imported, Objects, RecordLayout, RecordLevel, RecordOptions, ShardedDagIndex, StoreUrl,
    export_records, import_records, import_sharded_index, sharded_index,
};
use serde_json::json;

use super::Job;
use super::show::object;
use crate::cli::{IndexForm, StoreIndexExportArgs, StoreIndexImportArgs};
use crate::exit::Exit;
use crate::input::chain;
use crate::output::Output;
use crate::target::{self, Target};

/// Writes the index in another form.
pub(super) fn export(
    job: &Job,
    args: &StoreIndexExportArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let level = match args.form {
        IndexForm::Records => RecordLevel::Blob,
        IndexForm::ContainingRecords => RecordLevel::Containing,
        IndexForm::Sharded => return export_sharded(job, args, output),
    };
    if let Some(cid) = &args.cid {
        bail!("{cid}: records are of the whole index; `--as sharded` writes that of one DAG");
    }
    let store = job.open()?;
    let path = &args.output;
    let (objects, layout) = job.records(path, args.nested)?;
    if let Some(path) = local(path) {
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        let is_empty = fs::read_dir(&path).map(|mut entries| entries.next().is_none());
        let is_empty = is_empty.with_context(|| path.display().to_string())?;
        ensure!(
            args.force || is_empty,
            "{}: is not empty; `--force` writes into it all the same",
            path.display()
        );
    }
    let options = RecordOptions::new(level, layout).milliseconds(args.time);
    let records = job.wait(export_records(&store, &*objects, &options))?;
    if output.is_json() {
        output.object("summary", object(json!({ "records": records })))?;
    }
    output.note(&format!("{records} records"));
    Ok(Exit::Intact)
}

fn export_sharded(
    job: &Job,
    args: &StoreIndexExportArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let cid = args.cid.as_ref().context("`--as sharded` takes the CID of a root")?;
    let store = job.open()?;
    let index = job.wait(sharded_index(&store, cid))?;
    let index = index.ok_or_else(|| anyhow!("{cid}: is no root of the index"))?;
    let target = Target::create(&args.output, args.force, output)?;
    let written = target.file().write_all(&index.encode()?);
    written.with_context(|| format!("{}: cannot write", target::name(&args.output)))?;
    target.finish()?;
    let packs = index.packs().count();
    let blobs: usize = index.packs().map(|pack| index.blobs(pack).count()).sum();
    if output.is_json() {
        output.object("summary", object(json!({ "packs": packs, "blobs": blobs })))?;
    }
    output.note(&format!("{blobs} blobs of {packs} packs"));
    Ok(Exit::Intact)
}

/// Takes indexes in other forms.
pub(super) fn import(
    job: &Job,
    args: &StoreIndexImportArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let store = job.open_to_write()?;
    for path in &args.from {
        let name = path.display().to_string();
        let imported = if let Some(path) = local(path).filter(|path| !path.is_dir()) {
            let index = sharded(&path).with_context(|| name.clone())?;
            match index {
                Ok(index) => job.wait(import_sharded_index(&store, &index)),
                Err(error) => {
                    output.problem(name.as_bytes(), &chain(&error))?;
                    continue;
                }
            }
        } else {
            let (objects, layout) = job.records(path, args.nested)?;
            job.wait(import_records(&store, &*objects, &layout))
        };
        tell(&name, &imported.with_context(|| name.clone())?, output)?;
    }
    Ok(Exit::found(output.problems() > 0))
}

/// What was taken, and what was left out.
fn tell(name: &str, imported: &Imported, output: &mut Output) -> anyhow::Result<()> {
    for error in &imported.refused {
        output.problem(name.as_bytes(), &format!("left out: {}", chain(error)))?;
    }
    let Imported { records, blobs, inline, roots, others, .. } = imported;
    if *others > 0 {
        output
            .problem(name.as_bytes(), &format!("left out: {others} files have no record's name"))?;
    }
    if output.is_json() {
        let fields = json!({
            "path": name, "records": records, "blobs": blobs, "inline": inline, "roots": roots,
            "others": others, "refused": imported.refused.len(),
        });
        return output.object("imported", object(fields));
    }
    output.note(&format!(
        "{name}: {records} records, {blobs} places of blobs, {inline} blobs, {roots} roots"
    ));
    Ok(())
}

/// The sharded-DAG index that a file is, or why it is none.
fn sharded(path: &Path) -> anyhow::Result<carstone_store::Result<ShardedDagIndex>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_SHARDED + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() as u64 <= MOST_SHARDED, "is larger than 256 MiB");
    Ok(ShardedDagIndex::decode(&bytes))
}

impl Job {
    /// Where records are, and how they are named there.
    fn records(
        &self,
        path: &Path,
        nested: bool,
    ) -> anyhow::Result<(Arc<dyn Objects>, RecordLayout)> {
        let layout = match nested || local(path).is_none() {
            true => RecordLayout::nested("")?,
            false => RecordLayout::flat("")?,
        };
        let text = path.to_str().with_context(|| format!("{}: is no text", path.display()))?;
        Ok((self.other(text).objects()?, layout))
    }
}

/// The path that it is, unless it is the URL of a service.
fn local(path: &Path) -> Option<PathBuf> {
    let Some(text) = path.to_str() else { return Some(path.to_owned()) };
    StoreUrl::new(text).directory().map(PathBuf::from)
}

/// Bytes of a sharded-DAG index, which is read whole.
const MOST_SHARDED: u64 = 256 << 20;
