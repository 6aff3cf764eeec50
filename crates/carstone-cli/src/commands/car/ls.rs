//! `carstone car ls`: the files of a CAR, or the blocks that they consist of.

use std::collections::HashSet;

use anyhow::{Context, bail};
use carstone::car::dag::can_have_links;
use carstone::car::{Cid, ReaderOptions};
use carstone::unixfs::{BlockSource, Node, decode};
use serde_json::Map;

use crate::cli::{ListArgs, LsArgs};
use crate::commands::list;
use crate::dag;
use crate::exit::Exit;
use crate::input::{Input, PlainCar};
use crate::keys::Keys;
use crate::names;
use crate::output::Output;
use crate::source::Source;

/// Lists.
pub(super) fn run(
    args: LsArgs,
    reading: ReaderOptions,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let LsArgs { list, blocks } = args;
    let list = ListArgs { reading, ..list };
    match blocks {
        false => list::run(list, output),
        true => list_blocks(&list, output),
    }
}

/// Prints a line for each block of each entry, in the order of the DAG.
fn list_blocks(args: &ListArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let source = Source::open(&args.pack)?.accepting(args.reading);
    let name = source.name.clone();
    let keys = Keys::new(&args.keys, &args.pack)?;
    let mut input = Input::open(source, &keys, args.threads)?;
    input.start_at(args.root).with_context(|| name.clone())?;
    let Input::Car(car) = input else {
        bail!("{name}: --blocks is for plain CARs, and this is a pack");
    };
    let selection = list::selection(&args.patterns);
    dag::visit(&car, false, &mut |found| match found {
        Ok((row, cid)) if selection.selects(&row.path) => entry(&car, cid, &row.path, output),
        Ok(_) => Ok(()),
        Err(problem) => output.problem(&problem.path, &problem.why),
    })
    .with_context(|| name.clone())?;
    car.tell_faults(&name, output)?;
    list::report_unmatched(&selection, output)
}

/// The blocks of one file, link or directory, without those of what is in the directory. A block that it has several times is told once.
fn entry(car: &PlainCar, cid: Cid, path: &[u8], output: &mut Output) -> anyhow::Result<()> {
    let (mut left, mut seen) = (vec![cid], HashSet::new());
    while let Some(cid) = left.pop() {
        if !seen.insert(cid) {
            continue;
        }
        let mut below = Vec::new();
        let size = match can_have_links(cid.codec()) {
            Some(false) => car.size(&cid)?,
            _ => car.block(&cid)?.map(|data| {
                match decode(&cid, &data) {
                    Ok(Node::File(node)) => below.extend(node.links.map(|link| link.cid)),
                    Ok(Node::Shard(node)) => {
                        let width = node.width;
                        let shards = node.links.filter(|link| link.name.len() == width);
                        below.extend(shards.map(|link| link.cid));
                    }
                    // What is wrong with an entry is told where it is visited.
                    _ => {}
                }
                data.len() as u64
            }),
        };
        let Some(size) = size else {
            output.problem(path, &format!("block {cid} is not in the CAR"))?;
            continue;
        };
        left.extend(below.into_iter().rev());
        if output.is_json() {
            let mut fields = Map::new();
            fields.insert("cid".to_owned(), cid.to_string().into());
            fields.insert("data_size".to_owned(), size.into());
            names::put(&mut fields, "path", path);
            output.object("block", fields)?;
        } else {
            output.bytes(format!("{cid} {size} ").as_bytes())?;
            output.name(if path.is_empty() { b"." } else { path })?;
            output.bytes(b"\n")?;
        }
    }
    Ok(())
}
