//! `carstone store check`, `rm`, `gc` and `index`: keeping it in order.

use std::io;
use std::time::Duration;

use anyhow::bail;
use carstone_store::{
    CheckOptions, Finding, IncompleteRoot, PackSource, Store, Unmended, collect, collect_part,
    finish_rebuild, rebuild_index, rebuild_part, rebuild_roots, remove_root, text_of,
};
use futures::TryStreamExt;
use serde_json::{Map, Value, json};

use super::Job;
use super::show::object;
use crate::cli::{
    StoreCheckArgs, StoreCopyArgs, StoreGcArgs, StoreHealArgs, StoreProtectArgs, StoreRebuildArgs,
    StoreRmArgs,
};
use crate::exit::Exit;
use crate::input::chain;
use crate::names::human;
use crate::output::Output;
use crate::progress::Progress;

/// Looks for what is wrong.
pub(super) fn check(job: &Job, args: &StoreCheckArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let store = job.open_with(&args.keys)?;
    let read_data = args.read_data || args.read_data_subset.is_some();
    let options = CheckOptions::default()
        .read_data(read_data)
        .part(args.shard)
        .read_part(args.read_data_subset);
    let progress = Progress::new(output, "reading packs", None);
    let tell = |finding: Finding| {
        progress
            .suspend(|| {
                output.problem_with(job.url.url.as_bytes(), &told(&finding), fields(&finding))
            })
            .map_err(|error| io::Error::other(error).into())
    };
    let read = |bytes| progress.add(bytes);
    let checked = job.wait(carstone_store::check_with(&store, options, tell, read));
    progress.finish();
    let checked = checked?;
    if output.is_json() {
        let fields = json!({
            "packs": checked.packs, "bytes": checked.bytes, "roots": checked.roots,
            "protected": checked.protected, "findings": checked.findings, "read_data": read_data,
        });
        output.object("summary", object(fields))?;
    } else if checked.findings == 0 {
        let how = if read_data { "sound" } else { "there" };
        let (packs, bytes) = (checked.packs, human(checked.bytes));
        let parity = match checked.protected {
            0 => String::new(),
            protected => format!(", {protected} with parity"),
        };
        let roots = checked.roots;
        output.line(format!("{how}: {packs} packs{parity}, {bytes}, {roots} roots").as_bytes())?;
    }
    if checked.roots == 0 && checked.packs > 0 {
        output.note(
            "No root is noted: `carstone store index rebuild --roots` notes those that packs name.",
        );
    }
    Ok(Exit::found(checked.findings > 0))
}

/// A finding, with all that led to it.
fn told(finding: &Finding) -> String {
    match finding {
        Finding::DamagedPack { error, parity, .. } => {
            let what = format!("damaged pack: {}", chain(error));
            match parity {
                None => what,
                Some(Ok(used)) => {
                    let used = used * 100.0;
                    format!(
                        "{what}; `store heal` restores it by its parity, {used:.1} % of which that takes"
                    )
                }
                Some(Err(error)) => {
                    format!("{what}; its parity does not restore it: {}", chain(error))
                }
            }
        }
        Finding::BadSidecar { error, .. } => format!("bad parity: {}", chain(error)),
        Finding::UnreadablePack { error, .. } => {
            format!("a pack cannot be read: {}", chain(error))
        }
        finding => finding.to_string(),
    }
}

/// What programs are told of a finding besides: the pack, where its parity has to do with it, and whether that restores it.
fn fields(finding: &Finding) -> Map<String, Value> {
    object(match finding {
        Finding::DamagedPack { name, parity: Some(Ok(used)), .. } => {
            json!({ "pack": text_of(name), "restorable": true, "budget_used": used })
        }
        Finding::DamagedPack { name, parity: Some(Err(_)), .. } => {
            json!({ "pack": text_of(name), "restorable": false })
        }
        Finding::BadSidecar { pack, .. } => json!({ "pack": text_of(pack) }),
        _ => Value::Null,
    })
}

/// Puts packs right by their parity, from other places and other stores.
pub(super) fn heal(job: &Job, args: &StoreHealArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let store = job.with_keys(job.open_to_write()?, &args.keys)?;
    let others = args.from.iter().map(|url| job.open_other(&job.other(url)));
    let others = others.collect::<anyhow::Result<Vec<_>>>()?;
    let sources: Vec<&dyn PackSource> =
        others.iter().map(|store| store as &dyn PackSource).collect();
    let progress = Progress::new(output, "reading packs", None);
    let read = |bytes| progress.add(bytes);
    let healed = job.wait(carstone_store::heal_part(&store, &sources, args.shard, read));
    progress.finish();
    let healed = healed?;
    for name in &healed.packs {
        let by_parity = healed.by_parity.contains(name);
        let fields = json!({ "pack": text_of(name), "by_parity": by_parity });
        match output.is_json() {
            true => output.object("healed", object(fields))?,
            false => output.line(text_of(name).as_bytes())?,
        }
    }
    for name in &healed.sidecars {
        if output.is_json() {
            output.object("protected", object(json!({ "pack": text_of(name) })))?;
        }
    }
    for lost in &healed.lost {
        let (name, why) = (text_of(&lost.pack), &lost.why);
        let what = match &lost.failed {
            None => format!("pack {name} is lost: {why}"),
            Some(error) => format!("pack {name} is not put right: {why}; {}", chain(error)),
        };
        let blobs: Vec<String> = match why {
            Unmended::Blobs(cids) => cids.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        let fields = object(json!({ "pack": name, "blobs": blobs }));
        output.problem_with(job.url.url.as_bytes(), &what, fields)?;
    }
    for finding in healed.unread.iter().chain(&healed.index) {
        output.problem(job.url.url.as_bytes(), &told(finding))?;
    }
    if output.is_json() {
        let (packs, lost) = (healed.packs.len(), healed.lost.len());
        let (by_parity, sidecars) = (healed.by_parity.len(), healed.sidecars.len());
        let fields = json!({
            "packs": packs, "lost": lost, "by_parity": by_parity, "sidecars": sidecars,
        });
        output.object("summary", object(fields))?;
    }
    let (packs, by_parity) = (healed.packs.len(), healed.by_parity.len());
    match by_parity {
        0 => output.note(&format!("{packs} packs put right")),
        _ => output.note(&format!("{packs} packs put right, {by_parity} of them by their parity")),
    }
    if !healed.sidecars.is_empty() {
        output.note(&format!("parity of {} packs made again", healed.sidecars.len()));
    }
    Ok(Exit::found(output.problems() > 0))
}

/// Puts parity beside packs that have none.
pub(super) fn protect(
    job: &Job,
    args: &StoreProtectArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let store = job.open_to_write()?;
    let progress = Progress::new(output, "reading packs", None);
    let read = |bytes| progress.add(bytes);
    let protected = job.wait(carstone_store::protect(&store, args.parity, args.shard, read));
    progress.finish();
    let protected = protected?;
    for name in &protected.packs {
        match output.is_json() {
            true => output.object("protected", object(json!({ "pack": text_of(name) })))?,
            false => output.line(text_of(name).as_bytes())?,
        }
    }
    for error in &protected.unread {
        output.problem(job.url.url.as_bytes(), &format!("not protected: {}", chain(error)))?;
    }
    let (packs, bytes, known) = (protected.packs.len(), protected.bytes, protected.known);
    if output.is_json() {
        let fields = json!({ "packs": packs, "sidecar_bytes": bytes, "known": known });
        output.object("summary", object(fields))?;
    }
    output.note(&format!("{packs} packs protected, {}; {known} were", human(bytes)));
    Ok(Exit::found(output.problems() > 0))
}

/// Copies everything into another store.
pub(super) fn copy(job: &Job, args: &StoreCopyArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let store = job.open()?;
    let to = job.wait(Store::create_at(&job.other(&args.to)))?;
    if to.is_read_only() {
        bail!("{}: is read over HTTP, and nothing can be written there", args.to);
    }
    let progress = Progress::new(output, "copying", None);
    let copied = |bytes| progress.add(bytes);
    let done = match args.shard {
        None => job.wait(carstone_store::copy(&store, &to, copied)),
        part => job.wait(carstone_store::copy_packs(&store, &to, part, copied)),
    };
    progress.finish();
    let done = done?;
    let made = (done.sidecars_made, "made anew in the copy");
    let left = (done.sidecars_left, "left out of the copy, where the packs do not help");
    for (packs, what) in [made, left].into_iter().filter(|(packs, _)| *packs > 0) {
        output.warn(&format!("parity of {packs} packs is damaged, and {what}; `heal` mends it"))?;
    }
    if output.is_json() {
        let fields = json!({
            "packs": done.packs, "bytes": done.bytes, "known": done.known,
            "sidecars": done.sidecars, "sidecar_bytes": done.sidecar_bytes,
            "sidecars_made": done.sidecars_made, "sidecars_left_out": done.sidecars_left,
        });
        output.object("summary", object(fields))?;
    }
    output.note(&format!(
        "{} packs copied, {}; {} were there",
        done.packs,
        human(done.bytes),
        done.known
    ));
    if done.sidecars > 0 {
        let bytes = human(done.sidecar_bytes);
        output.note(&format!("parity of {} packs copied, {bytes}", done.sidecars));
    }
    Ok(Exit::Intact)
}

/// Removes a root.
pub(super) fn rm(job: &Job, args: &StoreRmArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let store = job.open_to_write()?;
    let records = job.wait(remove_root(&store, &args.cid))?;
    if records == 0 {
        bail!("{}: is no root of the store", args.cid);
    }
    if output.is_json() {
        let fields = json!({ "root": args.cid.to_string(), "records": records });
        output.object("summary", object(fields))?;
    }
    output.note("Its packs stay until `carstone store gc` removes them.");
    Ok(Exit::Intact)
}

/// Removes packs that no root needs.
pub(super) fn gc(job: &Job, args: &StoreGcArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let store = if args.dry_run { job.open()? } else { job.open_to_write()? };
    let grace = Duration::from_secs(args.grace.saturating_mul(3600));
    if !args.no_roots && job.wait(has_packs_only(&store))? {
        bail!(
            "no root is noted, so that all packs would go; `carstone store index rebuild --roots` \
             notes those that packs name, and --no-roots goes on"
        );
    }
    let collected = match args.shard {
        None => job.wait(collect(&store, grace, args.dry_run)),
        Some(part) => job.wait(collect_part(&store, grace, args.dry_run, part)),
    }?;
    let kind = if args.dry_run { "would_remove" } else { "removed" };
    for name in &collected.packs {
        match output.is_json() {
            true => output.object(kind, object(json!({ "pack": text_of(name) })))?,
            false => output.line(text_of(name).as_bytes())?,
        }
    }
    if !args.dry_run {
        publish_again(job, &store, output)?;
    }
    if output.is_json() {
        let fields = json!({
            "dry_run": args.dry_run, "packs": collected.packs.len(), "bytes": collected.bytes,
            "young": collected.young, "leftovers": collected.leftovers,
            "sidecars": collected.sidecars, "sidecar_bytes": collected.sidecar_bytes,
        });
        output.object("summary", object(fields))?;
    }
    let (count, bytes) = (collected.packs.len(), human(collected.bytes));
    let done = if args.dry_run { "would go" } else { "removed" };
    output.note(&format!("{count} packs {done}, {bytes}; {} are too young", collected.young));
    if collected.sidecars > 0 {
        let bytes = human(collected.sidecar_bytes);
        output.note(&format!("parity of {} packs {done}, {bytes}", collected.sidecars));
    }
    if collected.leftovers > 0 {
        output.note(&format!("{} leftovers of writers that ended early", collected.leftovers));
    }
    Ok(Exit::Intact)
}

/// Whether there are packs, and no root needs any of them.
async fn has_packs_only(store: &Store) -> carstone_store::Result<bool> {
    Ok(store.roots().await?.is_empty() && store.packs().list().try_next().await?.is_some())
}

/// Puts the segments of the index together.
pub(super) fn compact(job: &Job, output: &mut Output) -> anyhow::Result<Exit> {
    let store = job.open_to_write()?;
    let done = job.wait(store.index().compact(|_| true))?;
    publish_again(job, &store, output)?;
    if output.is_json() {
        let fields = json!({ "segments": done.segments, "entries": done.entries });
        output.object("summary", object(fields))?;
    }
    output.note(&format!("{} segments put together: {} entries", done.segments, done.entries));
    Ok(Exit::Intact)
}

/// Writes a catalogue.
pub(super) fn publish(job: &Job, output: &mut Output) -> anyhow::Result<Exit> {
    let store = job.open_to_write()?;
    let done = job.wait(store.publish())?;
    if output.is_json() {
        let fields = json!({ "packs": done.packs, "segments": done.segments, "roots": done.roots });
        output.object("summary", object(fields))?;
    }
    output.note(&format!(
        "published: {} packs, {} segments of the index, {} roots",
        done.packs, done.segments, done.roots
    ));
    Ok(Exit::Intact)
}

/// Writes the catalogue again where there is one, since it names what is gone.
fn publish_again(job: &Job, store: &Store, output: &mut Output) -> anyhow::Result<()> {
    if job.wait(store.publish_again())?.is_some() {
        output.note("The catalogue has been renewed.");
    }
    Ok(())
}

/// Makes the index again.
pub(super) fn rebuild(
    job: &Job,
    args: &StoreRebuildArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let store = job.with_keys(job.open_to_write()?, &args.keys)?;
    let progress = Progress::new(output, "reading packs", None);
    let read = |bytes| progress.add(bytes);
    let done = match args.shard {
        Some(part) => job.wait(rebuild_part(&store, part, read)),
        None if args.finish => job.wait(finish_rebuild(&store, read)),
        None if args.roots => job.wait(rebuild_roots(&store, read)),
        None => job.wait(rebuild_index(&store, read)),
    };
    progress.finish();
    let done = done?;
    publish_again(job, &store, output)?;
    for error in &done.damaged {
        output.problem(job.url.url.as_bytes(), &format!("damaged pack: {}", chain(error)))?;
    }
    for error in &done.damaged_roots {
        output.problem(job.url.url.as_bytes(), &format!("damaged root: {}", chain(error)))?;
    }
    for IncompleteRoot { root, block, error, .. } in &done.incomplete {
        let why = match error {
            None => "is not there".to_owned(),
            Some(error) => format!("cannot be read: {}", chain(error)),
        };
        let what = format!("root {root} is not noted, since block {block} {why}");
        output.problem(job.url.url.as_bytes(), &what)?;
    }
    for name in &done.unneeded {
        let what = format!("no root needs pack {}, and `gc` would take it", text_of(name));
        match args.roots {
            true => output.problem(job.url.url.as_bytes(), &what)?,
            // It may well be what a put has left that ended early.
            false => output.note(&what),
        }
    }
    if output.is_json() {
        let fields = json!({
            "packs": done.packs, "known": done.known, "blobs": done.blobs, "roots": done.roots,
            "damaged": done.damaged.len(), "incomplete": done.incomplete.len(), "unneeded": done.unneeded.len(),
        });
        output.object("summary", object(fields))?;
    }
    let (packs, blobs, roots) = (done.packs, done.blobs, done.roots);
    match args.shard {
        Some(_) => output.note(&format!(
            "{blobs} blobs of {packs} packs; when all shards are done, `carstone store index rebuild --finish` ends it"
        )),
        None => {
            output.note(&format!("{blobs} blobs of {packs} packs; {roots} roots had no record"));
        }
    }
    Ok(Exit::found(output.problems() > 0))
}
