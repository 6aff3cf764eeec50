//! `carstone car set-roots` and `attach-index`: CARs that are changed where they are.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use carstone::car::{
    Index, IndexCodec, ReaderOptions, attach_index as attach, make_index, replace_roots,
};

use super::files::stored;
use crate::cli::{AttachIndexArgs, SetRootsArgs};
use crate::exit::Exit;
use crate::output::Output;

/// Puts other roots into the header.
pub(super) fn set_roots(args: &SetRootsArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (file, name) = open(&args.car)?;
    replace_roots(&file, &args.roots).with_context(|| name.clone())?;
    file.sync_all().with_context(|| name)?;
    output.note(&format!("{} roots set", args.roots.len()));
    Ok(Exit::Intact)
}

/// Puts an index into a CARv2.
pub(super) fn attach_index(
    args: &AttachIndexArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (file, name) = open(&args.car)?;
    match &args.index {
        Some(path) => {
            let input = stored(path)?;
            let index = Index::open(&input.car).with_context(|| input.name.clone())?;
            attach(&file, &index, 0, reading).with_context(|| name.clone())?;
        }
        None => {
            let options = carstone::car::FileOptions::v2().index(Some(IndexCodec::default()));
            make_index(&file, options, reading).with_context(|| name.clone())?;
        }
    }
    file.sync_all().with_context(|| name)?;
    output.note("The index is in its place.");
    Ok(Exit::Intact)
}

fn open(path: &Path) -> anyhow::Result<(File, String)> {
    let name = path.display().to_string();
    let file = File::options().read(true).write(true).open(path);
    let file = file.context("cannot open it to change it").with_context(|| name.clone())?;
    Ok((file, name))
}
