//! The power that goes at every step of an operation, and what is to be so afterwards.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use carstone_hppr::{
    CheckOptions, ErrorKind, Finding, OpenOptions, PacketHash, Repository, Result, Selector, Urc,
};

use crate::losses::Lost;
use crate::sample::{Node, Tree, assert_sound, coordinate, tip, tree_hash};
use crate::sim::SimDisk;

/// An operation, and what there is before it.
pub struct Case<'a> {
    /// What is stored and durable.
    pub before: &'a dyn Fn(&Repository),
    /// What has happened to the disk since then.
    pub spoil: &'a dyn Fn(&SimDisk),
    /// What the power fails in.
    pub operation: &'a dyn Fn(&Repository) -> Result<()>,
    /// Whether packets are done one by one, so that a coordinate may have some of them.
    pub is_of_many: bool,
    /// What a check may tell behind a repair. It is never of a packet that was attached before.
    pub told: &'a [&'static str],
}

/// What was tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    /// Steps of the operation.
    pub steps: u64,
    /// Disks that are not alike.
    pub disks: u64,
    /// How often it made everything durable.
    pub syncs: u64,
}

/// What each disk is judged by.
struct Judge<'a> {
    case: &'a Case<'a>,
    old: Tree,
    new: Tree,
    /// Packets that are whole before and are to be so always.
    kept: Vec<PacketHash>,
    /// What a check finds before.
    found: Vec<Finding>,
}

pub fn opened(disk: &SimDisk) -> Repository {
    let options = OpenOptions::default().disk(Arc::new(disk.clone()));
    Repository::open_with(ROOT, options).expect("a repository")
}

impl Case<'_> {
    /// Tries all steps and all losses.
    #[track_caller]
    pub fn tried(&self) -> Tried {
        let disk = SimDisk::default();
        let options = OpenOptions::default().disk(Arc::new(disk.clone()));
        let repository = Repository::init_with(ROOT, options).expect("a repository");
        (self.before)(&repository);
        drop(repository);
        // What is acknowledged is durable.
        let old = disk.after(Lost::All);
        (self.spoil)(&old);
        let new = old.fork();
        let repository = opened(&new);
        let before = (new.steps(), new.syncs());
        (self.operation)(&repository).expect("it is done");
        let steps = new.steps() - before.0;
        let judge = Judge::new(self, &old, &new);
        let mut tried = Tried { steps, syncs: new.syncs() - before.1, ..Tried::default() };
        let mut had = HashSet::new();
        for step in 0..=steps {
            let disk = old.fork();
            let repository = opened(&disk);
            disk.stop_after(step);
            let is_done = (self.operation)(&repository).is_ok();
            assert_eq!(is_done, step == steps, "at step {step}");
            drop(repository);
            for lost in losses(step) {
                let after = disk.after(lost);
                let place = format!("at step {step} of {steps}, with {lost:?} lost");
                // That it is acknowledged is a law of its own.
                if had.insert((is_done, tree_hash(&after.tree(ROOT)))) {
                    judge.judge(&after, is_done, &place);
                }
            }
            judge.killed(&disk, step);
        }
        tried.disks = had.len() as u64;
        tried
    }
}

impl<'a> Judge<'a> {
    fn new(case: &'a Case<'a>, old: &SimDisk, new: &SimDisk) -> Self {
        let (old_tree, new_tree) = (old.tree(ROOT), new.tree(ROOT));
        let (before, after) = (opened(&old.fork()), opened(&new.fork()));
        let files = old_tree.keys().filter(|path| path.starts_with("hash/"));
        let hashes = files.filter_map(|path| {
            let parts: Vec<&str> = path.split('/').collect();
            format!("{}.{}{}", parts.get(1)?, parts.get(2)?, parts.get(3)?).parse().ok()
        });
        let is_kept = |hash: &PacketHash| {
            before.get_hash(hash).is_ok() && new_tree.contains_key(&crate::sample::hash_file(hash))
        };
        let kept: Vec<PacketHash> = hashes.filter(is_kept).collect();
        assert!(kept.iter().all(|hash| after.get_hash(hash).is_ok()));
        let found = findings(&before);
        Self { case, old: old_tree, new: new_tree, kept, found }
    }

    /// What is to be so on a disk on which the power went.
    fn judge(&self, disk: &SimDisk, is_done: bool, place: &str) {
        let repository = opened(disk);
        let kept = |place: &str| {
            for hash in &self.kept {
                repository.get_hash(hash).unwrap_or_else(|error| panic!("{error} {place}"));
            }
        };
        kept(place);
        self.collected(&disk.fork(), place);
        let first = findings(&repository);
        let mut told = Vec::new();
        let repaired =
            repository.repair(true, &mut |finding, _| told.push(finding.clone())).expect("it is");
        assert_eq!(told.len() as u64, repaired.faults + repaired.notes, "{place}");
        let place = &format!("{place}; there was {first:?}");
        kept(place);
        for finding in findings(&repository) {
            let is_old = self.found.contains(&finding);
            let is_known = self.case.told.contains(&finding.name());
            assert!(is_old || is_known && !is_done, "{finding} {place}");
            let of_kept = match &finding {
                Finding::InnerMissing { hash, .. } => self.is_attached(hash),
                _ => false,
            };
            assert!(is_old || !of_kept, "{finding} {place}");
        }
        let now = disk.tree(ROOT);
        self.is_between(&now, place);
        self.tips(&repository, &now, place);
        match is_done {
            true => assert_eq!(now, self.new, "it was acknowledged {place}"),
            false => self.again(disk, &repository, place),
        }
    }

    /// That what is attached stays when data that nothing has is removed without a repair.
    fn collected(&self, disk: &SimDisk, place: &str) {
        let place = format!("{place}, and a collection");
        let repository = opened(disk);
        self.is_readable(&repository, &place);
        repository.collect().unwrap_or_else(|error| panic!("{error} {place}"));
        if !self.case.is_of_many {
            self.is_readable(&repository, &place);
        }
        repository.repair(true, &mut |_, _| {}).unwrap_or_else(|error| panic!("{error} {place}"));
        self.has_kept_entries(&disk.tree(ROOT), &place);
        for hash in self.kept.iter().filter(|hash| self.is_attached(hash)) {
            repository.get_hash(hash).unwrap_or_else(|error| panic!("{error} {place}"));
        }
    }

    /// That without a repair each coordinate has a packet that is verified, or none.
    fn is_readable(&self, repository: &Repository, place: &str) {
        for location in LOCATIONS {
            let urc = Urc::Coordinate { coordinate: coordinate(location), selector: Selector::Tip };
            match repository.get(&urc) {
                Err(error) if *error.kind() != ErrorKind::NotFound => {
                    assert!(!self.found.is_empty(), "{location}: {error} {place}");
                }
                got => {
                    let has =
                        [&self.old, &self.new].iter().all(|tree| tip(tree, location, "").is_some());
                    assert!(got.is_ok() || !has, "{location} is lost {place}");
                }
            }
        }
    }

    /// That the index has what it had and what it is to have, and nothing else.
    fn is_between(&self, now: &Tree, place: &str) {
        self.has_kept_entries(now, place);
        if self.case.is_of_many {
            return;
        }
        for location in LOCATIONS {
            for below in selectors(&self.old).union(&selectors(&self.new)) {
                let latest = tip(now, location, below);
                let (was, is) = (tip(&self.old, location, below), tip(&self.new, location, below));
                assert!(
                    latest == was || latest == is,
                    "{location} {below}: {was:?} {latest:?} {is:?} {place}"
                );
            }
        }
    }

    fn has_kept_entries(&self, now: &Tree, place: &str) {
        assert_sound(now);
        let entries = |tree: &Tree| -> BTreeSet<String> {
            tree.keys().filter(|path| is_entry(path)).cloned().collect()
        };
        let (was, is, now_is) = (entries(&self.old), entries(&self.new), entries(now));
        assert!(was.intersection(&is).all(|entry| now_is.contains(entry)), "{now_is:?} {place}");
        assert!(now_is.iter().all(|entry| was.contains(entry) || is.contains(entry)), "{place}");
    }

    /// That the links are there and say what the index says, and that what they name is verified.
    fn tips(&self, repository: &Repository, now: &Tree, place: &str) {
        for location in LOCATIONS {
            let directory = format!("index/a-group/some-app/{location}/|/");
            for below in selectors(&self.old).union(&selectors(&self.new)) {
                let latest = tip(now, location, below);
                let link = now.get(&format!("{directory}{below}tip"));
                let named = link.map(|node| match node {
                    Node::Link(target) => target.rsplit('/').next().unwrap_or("").to_owned(),
                    node => panic!("{node:?} {place}"),
                });
                assert_eq!(named, latest, "{location} {below} {place}");
            }
            let coordinate = coordinate(location);
            let latest = repository.latest(&coordinate).expect("it is read");
            let latest = latest.map(|version| version.hash.to_string());
            assert_eq!(latest, tip(now, location, ""), "{location} {place}");
            let urc = Urc::Coordinate { coordinate, selector: Selector::Tip };
            let got = repository.get(&urc);
            let is_damaged = !self.found.is_empty() && got.is_err();
            assert!(is_damaged || got.is_ok() == latest.is_some(), "{location} {got:?} {place}");
        }
    }

    /// That the operation, done again, ends as without all this, and durably.
    fn again(&self, disk: &SimDisk, repository: &Repository, place: &str) {
        (self.case.operation)(repository).unwrap_or_else(|error| panic!("{error} {place}"));
        assert_eq!(disk.tree(ROOT), self.new, "again {place}");
        self.acknowledged(disk, Lost::All, place);
    }

    /// That the process alone is stopped, and the operation done again; the power goes behind that.
    fn killed(&self, disk: &SimDisk, step: u64) {
        let disk = disk.fork();
        let repository = opened(&disk);
        let place = format!("with the process killed at step {step}");
        (self.case.operation)(&repository).unwrap_or_else(|error| panic!("{error} {place}"));
        assert_eq!(disk.tree(ROOT), self.new, "{place}");
        for lost in [Lost::All, Lost::Contents, Lost::Prefix(500), Lost::Some(step)] {
            self.acknowledged(&disk, lost, &place);
        }
    }

    /// That what is acknowledged is there whatever is lost: all files, references and entries as they are, and links once they are mended.
    fn acknowledged(&self, disk: &SimDisk, lost: Lost, place: &str) {
        let disk = disk.after(lost);
        opened(&disk).repair(true, &mut |_, _| {}).expect("it is");
        let is = disk.tree(ROOT);
        let keys = |tree: &Tree| tree.keys().cloned().collect::<BTreeSet<_>>();
        let differ: Vec<_> = keys(&is).symmetric_difference(&keys(&self.new)).cloned().collect();
        assert_eq!(is, self.new, "{lost:?} lost behind it, {place}: {differ:?}");
    }

    fn is_attached(&self, hash: &PacketHash) -> bool {
        let name = format!("/{hash}");
        self.new
            .keys()
            .filter(|path| self.old.contains_key(*path) && is_entry(path))
            .any(|path| path.ends_with(&name))
    }
}

fn findings(repository: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    repository
        .check(&CheckOptions::default(), &mut |finding| found.push(finding.clone()))
        .expect("a check");
    found
}

fn is_entry(path: &str) -> bool {
    path.starts_with("index/") && path.contains("/|/") && !path.ends_with("/tip")
}

/// What has a tip, below a marker.
fn selectors(tree: &Tree) -> BTreeSet<String> {
    let links = tree.iter().filter(|(_, node)| matches!(node, Node::Link(_)));
    let links = links.filter_map(|(path, _)| path.split_once("/|/"));
    links.map(|(_, link)| link.trim_end_matches("tip").to_owned()).collect()
}

/// What is lost at a step, in turn.
pub fn losses(step: u64) -> impl Iterator<Item = Lost> {
    let whole = [Lost::All, Lost::Nothing, Lost::Contents, Lost::Torn, Lost::Zeroed];
    let prefixes = (0..SOME).map(|count| Lost::Prefix((count * 1000 / SOME) as usize));
    let seeds = (0..SEEDS).map(move |count| Lost::Some(step * SEEDS + count));
    whole.into_iter().chain(prefixes).chain(seeds)
}

pub const LOCATIONS: [&str; 4] = ["item", "item/deeper", "other", "x"];
/// Where the repository is.
pub const ROOT: &str = "/repository";
/// Prefixes of the changes.
const SOME: u64 = 8;
/// Losses by chance.
const SEEDS: u64 = 10;
