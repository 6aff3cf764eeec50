//! `carstone store ls`, `find` and `stats`: what is there.

use carstone::unixfs::{Limits, State, Step, walk};
use carstone_store::text_of;
use futures::TryStreamExt;
use serde_json::{Map, Value, json};

use super::Job;
use crate::cli::{KeyArgs, StoreFindArgs, StoreLsArgs};
use crate::exit::Exit;
use crate::names::{self, human};
use crate::output::Output;
use crate::signals;

/// Lists the roots, or what is in a directory.
pub(super) fn ls(job: &Job, args: &StoreLsArgs, output: &mut Output) -> anyhow::Result<Exit> {
    if let Some(what) = &args.what {
        return directory(job, what, &args.keys, output);
    }
    let store = job.open()?;
    for record in job.wait(store.roots())? {
        if output.is_json() {
            let packs: Vec<_> = record.packs.iter().map(text_of).collect();
            let fields = json!({ "root": record.root.to_string(), "packs": packs });
            output.object("root", object(fields))?;
        } else {
            output.line(record.root.to_string().as_bytes())?;
        }
    }
    Ok(Exit::Intact)
}

fn directory(job: &Job, what: &str, keys: &KeyArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let blocks = job.blocks(keys)?;
    let root = blocks.entry(what)?.cid;
    let mut failed = None;
    let mut visit = |entry: carstone::unixfs::Entry| {
        let told = (|| {
            signals::check()?;
            if entry.path.is_empty() && entry.kind == carstone::unixfs::EntryKind::Directory {
                return Ok(());
            }
            let path = if entry.path.is_empty() { b"." } else { &entry.path[..] };
            if !matches!(entry.state, State::Present) {
                return output.problem(path, &format!("block {} cannot be used", entry.cid));
            }
            if output.is_json() {
                let mut fields = Map::new();
                names::put(&mut fields, "path", path);
                fields.insert("cid".to_owned(), entry.cid.to_string().into());
                fields.insert("size".to_owned(), entry.size.into());
                return output.object("entry", fields);
            }
            output.name(path)?;
            output.bytes(b"\n")
        })();
        match told {
            Ok(()) => Ok(Step::Into),
            Err(error) => {
                failed = Some(error);
                Ok(Step::Stop)
            }
        }
    };
    walk(&blocks, &root, &Limits::default(), &mut visit)?;
    match failed {
        Some(error) => Err(error),
        None => Ok(Exit::found(output.problems() > 0)),
    }
}

/// Tells where a block lies.
pub(super) fn find(job: &Job, args: &StoreFindArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let store = job.open()?;
    let places = job.wait(store.places(args.cid.hash()))?;
    let packs = job.wait(store.containing(args.cid.hash()))?;
    for place in &places {
        let location = place.location.to_string();
        if output.is_json() {
            let fields =
                json!({ "location": location, "offset": place.offset, "length": place.len });
            output.object("place", object(fields))?;
        } else {
            output.line(format!("{location} {} {}", place.offset, place.len).as_bytes())?;
        }
    }
    for pack in &packs {
        let location = pack.to_string();
        if output.is_json() {
            output.object(
                "containing",
                object(json!({ "location": location, "size": pack.size() })),
            )?;
        } else {
            output.line(format!("{location} has blocks of its DAG").as_bytes())?;
        }
    }
    if places.is_empty() && packs.is_empty() {
        anyhow::bail!("{}: is not in the index", args.cid);
    }
    Ok(Exit::Intact)
}

/// Counts.
pub(super) fn stats(job: &Job, output: &mut Output) -> anyhow::Result<Exit> {
    let store = job.open()?;
    let (mut packs, mut bytes) = (0_u64, 0_u64);
    job.wait(async {
        let mut listed = store.packs().list();
        while let Some(pack) = listed.try_next().await? {
            (packs, bytes) = (packs + 1, u64::saturating_add(bytes, pack.size));
        }
        Ok(())
    })?;
    let (mut sidecars, mut sidecar_bytes) = (0_u64, 0_u64);
    job.wait(async {
        let Some(beside) = store.packs().sidecars() else { return Ok(()) };
        let mut listed = beside.list();
        while let Some(sidecar) = listed.try_next().await? {
            sidecars += 1;
            sidecar_bytes = sidecar_bytes.saturating_add(sidecar.size);
        }
        Ok(())
    })?;
    let roots = job.wait(store.roots())?.len();
    let segments = store.index().segments();
    let entries: u64 = segments.iter().map(|segment| segment.entries()).sum();
    let sizes = segments.iter().map(|segment| segment.size());
    let stored = sizes.fold(0, u64::saturating_add);
    for fault in store.index().damaged() {
        let name = fault.object().unwrap_or("index").to_owned();
        output.problem(name.as_bytes(), &fault)?;
    }
    if output.is_json() {
        let fields = json!({
            "packs": packs, "bytes": bytes, "roots": roots,
            "sidecars": sidecars, "sidecar_bytes": sidecar_bytes,
            "segments": segments.len(), "entries": entries, "index_bytes": stored,
        });
        output.object("summary", object(fields))?;
    } else {
        let lines = [
            format!("packs     {packs}, {}", human(bytes)),
            format!("parity    beside {sidecars} packs, {}", human(sidecar_bytes)),
            format!("roots     {roots}"),
            format!(
                "index     {entries} entries in {} segments, {}",
                segments.len(),
                human(stored)
            ),
        ];
        lines.iter().try_for_each(|line| output.line(line.as_bytes()))?;
    }
    Ok(Exit::found(output.problems() > 0))
}

/// The fields of an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
