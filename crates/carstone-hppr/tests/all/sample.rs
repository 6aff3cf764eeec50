//! Packets to store, and what a repository comes to on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use carstone_hppr::{Blob, Coordinate, Packet, PacketHash, Plex, Seal, SigningKey, Tai};

/// Every file of a repository but those of writers: the bytes of a file, or the target of a link. Directories are there if they are empty.
pub type Tree = BTreeMap<String, Node>;

#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    File(Vec<u8>),
    Link(String),
    Empty,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Link(target) => write!(f, "-> {target}"),
            Self::Empty => f.write_str("nothing"),
        }
    }
}

pub fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    walk(root, "", &mut tree);
    tree
}

fn walk(directory: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_str().expect("UTF-8"));
        let path = entry.path();
        let kind = entry.file_type().expect("a kind");
        if name == ".tmp" {
            continue;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            tree.insert(name, Node::Link(target.to_str().expect("UTF-8").to_owned()));
        } else if kind.is_file() {
            tree.insert(name, Node::File(fs::read(&path).expect("a file")));
        } else if fs::read_dir(&path).expect("a directory").next().is_none() {
            tree.insert(name, Node::Empty);
        } else {
            walk(&path, &format!("{name}/"), tree);
        }
    }
}

/// Copies a repository with its links.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            copy(&path, &to);
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            std::os::unix::fs::symlink(target, to).expect("a link");
        } else {
            fs::copy(&path, &to).expect("a copy");
        }
    }
}

pub fn coordinate(location: &str) -> Coordinate {
    Coordinate::new("a-group", "some-app", location).expect("a coordinate")
}

pub fn tai(seconds: u64) -> Tai {
    Tai::new(seconds, 0).expect("a time")
}

pub fn blob(data: &str) -> Packet {
    Blob::new(data.to_owned()).expect("a Blob").into()
}

pub fn plex_at(location: &str, seconds: u64, data: &str) -> Plex {
    let blob = Blob::new(data.to_owned()).expect("a Blob");
    Plex::new(coordinate(location), tai(seconds), Vec::new(), blob).expect("a Plex")
}

pub fn plex(location: &str, seconds: u64, data: &str) -> Packet {
    plex_at(location, seconds, data).into()
}

pub fn seal(location: &str, seconds: u64, data: &str, key: u8) -> Packet {
    sealed(plex_at(location, seconds, data), key)
}

/// A Plex signed with one of several keys, always alike.
pub fn sealed(plex: Plex, number: u8) -> Packet {
    let key = key(number);
    let signature = key.sign_with(plex.hash().digest(), &[0xa5; 32]).expect("a signature");
    Seal::new(plex, key.verifying_key(), signature).expect("a Seal").into()
}

pub fn key(number: u8) -> SigningKey {
    let mut scalar = [0; 32];
    scalar.iter_mut().zip(1..).for_each(|(byte, count)| *byte = count);
    scalar[0] = number;
    SigningKey::from_scalar(&scalar).expect("a key")
}

/// The directory and the name of a hash.
pub fn split(hash: &PacketHash) -> (String, String) {
    let text = hash.to_string();
    (text[2..4].to_owned(), text[4..45].to_owned())
}

pub fn hash_file(hash: &PacketHash) -> String {
    let (front, tail) = split(hash);
    format!("hash/{}/{front}/{tail}.H3", hash.kind().letter())
}

pub fn references(hash: &PacketHash) -> String {
    let (front, tail) = split(hash);
    format!("ref/{}/{front}/{tail}", hash.kind().letter())
}

/// What a link says, or what it is to say where it is missing or names nothing: the versions below its directory tell.
pub fn tip(tree: &Tree, location: &str, below: &str) -> Option<String> {
    let directory = format!("index/a-group/some-app/{location}/|/{below}");
    if let Some(Node::Link(target)) = tree.get(&format!("{directory}tip"))
        && tree.contains_key(&format!("{directory}{target}"))
    {
        return target.rsplit('/').next().map(str::to_owned);
    }
    let versions = tree.iter().filter_map(|(path, node)| {
        let entry = path.strip_prefix(&directory)?;
        let mut parts = entry.rsplit('/');
        let (hash, tai) = (parts.next()?, parts.next()?);
        (matches!(node, Node::File(_)) && hash != "tip").then(|| (tai.to_owned(), hash.to_owned()))
    });
    versions.max().map(|(_, hash)| hash)
}

/// That what is in the index has references and files, so that nothing of it is missing or can be collected.
pub fn assert_sound(tree: &Tree) {
    assert_whole(tree);
    for (path, _, reference) in entries(tree) {
        let mut references = tree.keys().filter(|path| path.starts_with("ref/"));
        assert!(references.any(|path| path.ends_with(&reference)), "{path} has no reference");
    }
}

/// That what is in the index has files.
pub fn assert_whole(tree: &Tree) {
    for (path, hash, _) in entries(tree) {
        let file = hash_file(&hash);
        assert!(tree.contains_key(&file), "{path} has no {file}");
    }
}

/// What is in the index: each path, the hash that it names, and how the path of its reference ends.
fn entries(tree: &Tree) -> impl Iterator<Item = (&String, PacketHash, String)> {
    let paths = tree.keys().filter(|path| path.starts_with("index/") && !path.ends_with("/tip"));
    paths.filter_map(|path| {
        let (_, entry) = path.split_once("/|/")?;
        let parts: Vec<&str> = entry.split('/').collect();
        let (hash, reference) = match parts[..] {
            ["plex", _, hash] => (hash, format!("/{hash}")),
            ["seal", key, _, hash] => (hash, format!("/{hash}/{key}")),
            _ => return None,
        };
        Some((path, hash.parse().expect("a hash"), reference))
    })
}

/// A number that two trees have in common only if they are alike, but for chance.
pub fn tree_hash(tree: &Tree) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    for (path, node) in tree {
        path.hash(&mut hasher);
        match node {
            Node::File(bytes) => (0, bytes).hash(&mut hasher),
            Node::Link(target) => (1, target).hash(&mut hasher),
            Node::Empty => 2.hash(&mut hasher),
        }
    }
    hasher.finish()
}
