//! Blocks made of a text: those that others link to first, so that links say what these have became.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, anyhow, bail};
use carstone::car::cid::Version;
use carstone::car::dag::{NodeLimits, links};
use carstone::car::{Cid, multihash_of, verify};
use ipld_core::ipld::Ipld;

use super::parse::{Text, Written};
use super::value::{Form, encode};

/// What has come of a text.
#[derive(Debug)]
pub(super) struct Compiled {
    pub roots: Vec<Cid>,
    /// In the order of the text.
    pub blocks: Vec<(Cid, Vec<u8>)>,
    /// Blocks that have other CIDs than the text says, and new ones.
    pub changed: Vec<(Option<Cid>, Cid)>,
    /// Blocks that are given as data, and link to one that has changed.
    pub left: Vec<(Cid, Cid)>,
}

/// Makes the blocks.
///
/// # Errors
/// A block cannot be encoded or hashed, links to itself by way of others, or stands twice with different contents.
pub(super) fn compile(text: Text) -> anyhow::Result<Compiled> {
    let Text { roots, blocks: written, .. } = text;
    let order = order(&written)?;
    let mut became = HashMap::new();
    let mut made: Vec<Option<(Cid, Vec<u8>)>> = written.iter().map(|_| None).collect();
    for number in order {
        let block = &written[number];
        let (cid, data) = make(block, &became).with_context(|| format!("line {}", block.line))?;
        if let Some(claimed) = block.claimed
            && became.insert(claimed, cid).is_some_and(|before| before != cid)
        {
            bail!("line {}: {claimed} stands twice, with different contents", block.line);
        }
        made[number] = Some((cid, data));
    }
    let blocks: Vec<_> = made.into_iter().flatten().collect();
    let (mut changed, mut left, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (block, (cid, data)) in written.iter().zip(&blocks) {
        if !seen.insert((block.claimed, *cid)) {
            continue;
        }
        if block.claimed != Some(*cid) {
            changed.push((block.claimed, *cid));
        }
        if block.form == Form::Data {
            let linked = links(cid, data, &NodeLimits::default()).unwrap_or_default();
            let moved = |link: &Cid| became.get(link).is_some_and(|new| new != link);
            left.extend(linked.into_iter().filter(moved).map(|link| (*cid, link)));
        }
    }
    let roots = roots.iter().map(|root| *became.get(root).unwrap_or(root)).collect();
    Ok(Compiled { roots, blocks, changed, left })
}

fn make(block: &Written, became: &HashMap<Cid, Cid>) -> anyhow::Result<(Cid, Vec<u8>)> {
    let data = match (block.form, &block.value) {
        (Form::Value, value) => encode(block.codec, &relinked(value, became))?,
        (Form::Data, Ipld::Bytes(bytes)) => bytes.clone(),
        (Form::Data, Ipld::String(text)) => text.clone().into_bytes(),
        (Form::Data, _) => bail!("what follows `data` is text or {{\"/\": {{\"bytes\": \"…\"}}}}"),
    };
    if let Some(cid) = block.claimed
        && verify(&cid, &data).is_ok()
    {
        return Ok((cid, data));
    }
    let code = block.hash();
    let hash = multihash_of(code, &data)
        .ok_or_else(|| anyhow!("the hash function {code:#x} is not known here"))?;
    let version = block.claimed.map_or(Version::V1, |cid| cid.version());
    Ok((Cid::new(version, block.codec, hash)?, data))
}

/// The value with links to what blocks have became.
fn relinked(value: &Ipld, became: &HashMap<Cid, Cid>) -> Ipld {
    match value {
        Ipld::Link(cid) => Ipld::Link(*became.get(cid).unwrap_or(cid)),
        Ipld::List(list) => Ipld::List(list.iter().map(|item| relinked(item, became)).collect()),
        Ipld::Map(map) => {
            Ipld::Map(map.iter().map(|(key, item)| (key.clone(), relinked(item, became))).collect())
        }
        other => other.clone(),
    }
}

/// The blocks, each behind those that it links to.
fn order(written: &[Written]) -> anyhow::Result<Vec<usize>> {
    let mut named: HashMap<Cid, Vec<usize>> = HashMap::new();
    for (number, block) in written.iter().enumerate() {
        if let Some(cid) = block.claimed {
            named.entry(cid).or_default().push(number);
        }
    }
    let linked = |number: usize| -> Vec<usize> {
        let mut cids = Vec::new();
        find_links(&written[number].value, &mut cids);
        cids.iter().filter_map(|cid| named.get(cid)).flatten().copied().collect()
    };
    let (mut order, mut states) = (Vec::new(), vec![State::Unseen; written.len()]);
    for start in 0..written.len() {
        let mut path = Vec::new();
        if states[start] == State::Unseen {
            states[start] = State::Open;
            path.push((start, linked(start)));
        }
        while let Some((number, waiting)) = path.last_mut() {
            let Some(next) = waiting.pop() else {
                states[*number] = State::Done;
                order.push(*number);
                path.pop();
                continue;
            };
            match states[next] {
                State::Unseen => {
                    states[next] = State::Open;
                    path.push((next, linked(next)));
                }
                State::Open => {
                    let line = written[next].line;
                    bail!(
                        "line {line}: the block links to itself, by way of {} others",
                        path.len() - 1
                    )
                }
                State::Done => {}
            }
        }
    }
    Ok(order)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    Open,
    Done,
}

/// Appends the links of a value.
fn find_links(value: &Ipld, into: &mut Vec<Cid>) {
    match value {
        Ipld::Link(cid) => into.push(*cid),
        Ipld::List(list) => list.iter().for_each(|item| find_links(item, into)),
        Ipld::Map(map) => map.values().for_each(|item| find_links(item, into)),
        _ => {}
    }
}
