//! A pack whose id follows from its content, in two passes.

use std::io;

use anyhow::bail;
use carstone::layer::PackId;
use carstone::pack::fs::WalkEvent;
use carstone::pack::{Fingerprint, PackOptions, PackWriter, PlainPipe};
use carstone::stack::{self, WriteOptions};

use super::parity::Sink;
use super::tree::Tree;
use super::{Job, Outcome, explain};
use crate::output::Output;
use crate::progress::Progress;

/// Packs, with the id that a first pass has found. The pack is not finished if the second pass meets anything else.
pub(super) fn pack(
    tree: &Tree,
    output: &mut Output,
    name: &str,
    sink: &Sink<'_>,
    options: WriteOptions,
    packing: PackOptions,
) -> anyhow::Result<Outcome> {
    let expected = fingerprint(tree, output, name, packing.clone())?;
    let mut job = Job::new(tree, output, name);
    let sink = sink.counted();
    let pipe = stack::write(sink, options.reproducible(expected));
    let pipe = pipe.map_err(|error| job.explain(error))?;
    let id = pipe.pack_id();
    let writer = PackWriter::with_options(Fingerprint::new(pipe, id), id, packing);
    let mut writer = writer.map_err(|error| job.explain(error))?;
    let told = job.add(&mut writer)?;
    let (pipe, summary) = writer.finish().map_err(|error| job.explain(error))?;
    let (pipe, found) = pipe.finish();
    if found != expected {
        job.progress.finish();
        bail!(
            "{name}: not written, since what is packed changed between its two passes: try again"
        );
    }
    let sink = pipe.finish().map_err(|error| job.explain(error))?;
    job.progress.finish();
    Ok((told, summary, sink.count()))
}

/// Packs into nowhere. What is wrong with entries is told by the second pass.
fn fingerprint(
    tree: &Tree,
    output: &Output,
    name: &str,
    packing: PackOptions,
) -> anyhow::Result<[u8; 32]> {
    let progress = Progress::new(output, "hashing", None);
    let id = PackId::from_bytes([0; 16]);
    let pipe = Fingerprint::new(PlainPipe::new(io::sink()), id);
    let writer = PackWriter::with_options(pipe, id, packing);
    let mut writer = writer.map_err(|error| explain(error, name))?;
    let added = tree.add(&mut writer, &mut |event| {
        match event {
            WalkEvent::Total { bytes, .. } => progress.total(bytes),
            WalkEvent::Content { bytes } => progress.add(bytes),
            _ => {}
        }
        Ok(())
    });
    added.map_err(|failed| failed.into_any(name))?;
    let (pipe, _) = writer.finish().map_err(|error| explain(error, name))?;
    progress.finish();
    Ok(pipe.finish().1)
}
