//! Several that store at once.

use std::path::Path;
use std::process::Command;

use carstone_hppr::{Repository, StoreOptions};

use crate::sample::{Node, assert_sound, coordinate, plex, seal, tip, tree};

/// Packets of one of those who store: some are those of others too, and all are at the same coordinates.
fn store_many(root: &Path, who: u64) {
    let repository = Repository::open(root).expect("a repository");
    let mut batch = repository.batch(&StoreOptions::default().batch(7));
    for number in 0..EACH {
        let location = LOCATIONS[number as usize % LOCATIONS.len()];
        let (seconds, data) = (number * 10 + who, format!("data {}", number % 9));
        let packet = match number % 5 {
            0 => seal(location, seconds, &data, who as u8),
            _ => plex(location, seconds, &data),
        };
        match number % 2 {
            0 => drop(repository.store(&packet, &StoreOptions::default()).expect("it is stored")),
            _ => batch.store(&packet).expect("it is taken"),
        }
    }
    batch.commit().expect("all are stored");
}

#[track_caller]
fn assert_all(root: &Path, count: u64) {
    let tree = tree(root);
    assert_sound(&tree);
    let entries = tree.keys().filter(|path| path.contains("/|/plex/0"));
    assert_eq!(entries.count() as u64, count * EACH);
    let repository = Repository::open(root).expect("a repository");
    for location in LOCATIONS {
        let latest = repository.latest(&coordinate(location)).expect("it is read").expect("one");
        assert_eq!(tip(&tree, location, ""), Some(latest.hash.to_string()));
        let marker = format!("index/a-group/some-app/{location}/|/");
        let times =
            tree.keys().filter_map(|path| path.strip_prefix(&marker)?.strip_prefix("plex/"));
        let last = times.filter(|path| *path != "tip").max().expect("one").split('/').next();
        assert_eq!(Some(&latest.tai.to_string()[..]), last);
        assert!(matches!(tree[&format!("{marker}tip")], Node::Link(_)));
    }
}

#[test]
fn threads() {
    let directory = tempfile::tempdir().expect("a directory");
    Repository::init(directory.path()).expect("a repository");
    let root = directory.path();
    std::thread::scope(|scope| {
        for who in 1..=3 {
            scope.spawn(move || store_many(root, who));
        }
    });
    assert_all(root, 3);
}

#[test]
fn processes() {
    let directory = tempfile::tempdir().expect("a directory");
    Repository::init(directory.path()).expect("a repository");
    let processes: Vec<_> = (1..=2)
        .map(|who: u64| {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args(["together::one_of_them", "--exact", "--ignored", "--quiet"]);
            command.env(DIRECTORY, directory.path()).env(WHO, who.to_string());
            command.stdout(std::process::Stdio::null()).spawn().expect("it begins")
        })
        .collect();
    for mut process in processes {
        assert!(process.wait().expect("it ends").success());
    }
    assert_all(directory.path(), 2);
}

#[test]
#[ignore = "it is a part of another"]
fn one_of_them() {
    let (Ok(directory), Ok(who)) = (std::env::var(DIRECTORY), std::env::var(WHO)) else { return };
    store_many(Path::new(&directory), who.parse().expect("a number"));
}

const EACH: u64 = 60;
const LOCATIONS: [&str; 3] = ["item", "item/deeper", "other"];
const DIRECTORY: &str = "HPPR_TEST_DIRECTORY";
const WHO: &str = "HPPR_TEST_WHO";
