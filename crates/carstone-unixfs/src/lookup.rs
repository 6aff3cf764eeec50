//! Finds one entry, or lists one directory, without walking the tree.

use carstone_car::Cid;

use crate::Link;
use crate::dag_pb::Links;
use crate::decode::{Node, decode};
use crate::error::{Error, ErrorKind};
use crate::frame::{Budget, Item, Listing, Stack};
use crate::hamt::{Place, Prefix, hash_name};
use crate::limits::Limits;
use crate::name::{NameFault, check_name};
use crate::source::{BlockSource, fetch_needed};
use crate::walk::{Entry, examine, open_shard};

/// Finds what `path` names below `root`, reading one node per step and, in sharded directories, one shard
/// per level.
///
/// `path` is names joined by slashes; slashes at either end do not count, and the empty path is the root.
/// `None`: there is no such entry. Errors: a step that is no name ([`ErrorKind::BadName`]), and a missing or
/// malformed block on the way. Whether the block of the entry itself is there is in
/// [`Entry::state`](crate::Entry). Where a name stands twice, the first is found.
pub fn resolve<S: BlockSource + ?Sized>(
    source: &S,
    root: &Cid,
    path: &[u8],
) -> Result<Option<Entry>, Error> {
    let start = path.iter().take_while(|byte| **byte == b'/').count();
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(start, |last| last + 1);
    let path = path.get(start..end).unwrap_or_default();
    let mut cid = *root;
    for name in path.split(|byte| *byte == b'/').filter(|_| !path.is_empty()) {
        check_name(name).map_err(|fault: NameFault| Error::new(ErrorKind::BadName(fault)))?;
        match find(source, &cid, name)? {
            Some(found) => cid = found,
            None => return Ok(None),
        }
    }
    let (entry, _) = examine(source, &cid, path.to_vec(), &Limits::default())?;
    Ok(Some(entry))
}

/// The entries of a directory, in stored order, with shards flattened.
///
/// Names are as stored: see [`check_name`] before any of them reaches a file system. A missing or malformed
/// shard is an error, since the list would not be complete.
pub fn directory_links<S: BlockSource + ?Sized>(
    source: &S,
    cid: &Cid,
    limits: &Limits,
) -> Result<Vec<(Vec<u8>, Link)>, Error> {
    let (mut budget, mut stack, mut entries) = (Budget::new(limits), Stack::default(), Vec::new());
    let block = fetch_needed(source, cid)?;
    let listing = Listing::of(&decode(cid, &block)?, Prefix::default(), limits);
    let listing = listing.map_err(|error| error.within(cid))?;
    let listing = listing.ok_or_else(|| Error::new(ErrorKind::NotADirectory).within(cid))?;
    stack.push(cid, listing.over(block, 0), limits)?;
    while let Some(top) = stack.top() {
        match top.next() {
            None => stack.pop(),
            Some(Item::Shard(prefix, link)) => {
                let cid = link.cid;
                budget.spend(&cid)?;
                stack.push(&cid, open_shard(source, &cid, prefix, 0, limits)?, limits)?;
            }
            Some(Item::Entry { link, .. }) => {
                budget.spend(&link.cid)?;
                entries.push((link.name.to_vec(), Link { cid: link.cid, tsize: link.tsize }));
            }
        }
    }
    Ok(entries)
}

/// The CID under `name` in the directory `cid`; `None` also where `cid` is no directory.
fn find<S: BlockSource + ?Sized>(source: &S, cid: &Cid, name: &[u8]) -> Result<Option<Cid>, Error> {
    let (hash, mut above, mut cid) = (hash_name(name), Prefix::default(), *cid);
    loop {
        let block = fetch_needed(source, &cid)?;
        let shard = match decode(&cid, &block)? {
            Node::Directory { links, .. } => return Ok(search(links, |link| link == name)),
            Node::Shard(shard) => shard,
            _ => return Ok(None),
        };
        let place = Place::new(above, shard.fanout);
        let deep = || Error::malformed("a shard lies deeper than hashes reach", 0).within(&cid);
        let place = place.ok_or_else(deep)?;
        let slot = place.prefix_of(hash);
        let mut links = shard.links;
        // At most one link stands in the slot: a deeper shard, or one entry, which may be another.
        let found = links.find_map(|link| {
            let (prefix, rest) = place.split(link.name)?;
            (prefix == slot).then_some((link.cid, rest))
        });
        match found {
            Some((child, b"")) => (cid, above) = (child, slot),
            Some((child, found)) if found == name => return Ok(Some(child)),
            _ => return Ok(None),
        }
    }
}

fn search(mut links: Links<'_>, wanted: impl Fn(&[u8]) -> bool) -> Option<Cid> {
    links.find(|link| wanted(link.name)).map(|link| link.cid)
}
