//! A small tree with one of everything, and the comparison of two trees.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;

const MIB: usize = 1024 * 1024;

/// Writes the tree into a new folder.
pub fn make(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder.join("empty-directory"))?;
    fs::create_dir_all(folder.join("a/b/c"))?;
    write(&folder.join("empty"), b"", 1)?;
    write(&folder.join("a/small.txt"), b"a small file\n", 1_700_000_000)?;
    write(&folder.join("a/b/duplicate.txt"), b"a small file\n", 1_600_000_000)?;
    write(&folder.join("a/b/c/.hidden"), b"hidden\n", 1_500_000_000)?;
    write(&folder.join("exactly-one-chunk"), &noise(1, MIB), 2_000_000_000)?;
    write(&folder.join("noise.bin"), &noise(2, 5 * MIB / 2), 1_700_000_001)?;
    let text = text(9 * MIB + 77);
    write(&folder.join("long.txt"), &text, 1_700_000_002)?;
    // Shares leaves with the file before, so it refers to them.
    let mixed = [&text[..3 * MIB], &noise(3, MIB), &text[4 * MIB..6 * MIB]].concat();
    write(&folder.join("mixed.bin"), &mixed, 1_700_000_003)?;
    for number in 0..300 {
        let path = folder.join(format!("a/b/c/file {number:03}.txt"));
        write(&path, format!("file {number}\n").as_bytes(), 1_700_000_000 + number)?;
    }
    fs::hard_link(folder.join("a/small.txt"), folder.join("hard-link"))?;
    unix(folder)
}

/// Names and links that only exist on Unix.
#[cfg(unix)]
fn unix(folder: &Path) -> anyhow::Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    symlink("../nowhere", folder.join("dangling"))?;
    symlink("small.txt", folder.join("a/link"))?;
    write(&folder.join(OsStr::from_bytes(b"latin-\xe9")), b"not UTF-8\n", 1_700_000_004)?;
    write(&folder.join("line\nbreak"), b"newline\n", 1_700_000_005)?;
    let script = folder.join("script.sh");
    write(&script, b"#!/bin/sh\n", 1_700_000_006)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o750))?;
    fs::set_permissions(folder.join("empty-directory"), fs::Permissions::from_mode(0o700))?;
    Ok(())
}

/// Only Unix has such names and links.
#[cfg(not(unix))]
fn unix(_folder: &Path) -> anyhow::Result<()> {
    Ok(())
}

fn write(path: &Path, content: &[u8], seconds: u64) -> anyhow::Result<()> {
    let mut file =
        File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(content)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789))?;
    Ok(())
}

/// Bytes that do not compress: a linear congruential generator, its upper bytes.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Bytes that compress well.
fn text(length: usize) -> Vec<u8> {
    let lines =
        (0..length / 20 + 1).flat_map(|line| format!("line {line:08} of the text\n").into_bytes());
    lines.take(length).collect()
}

/// What differs between two trees: names, kinds, contents, modes, times, links.
pub fn differences(original: &Path, extracted: &Path) -> anyhow::Result<Vec<String>> {
    let (old, new) = (describe(original)?, describe(extracted)?);
    let mut found = Vec::new();
    for path in old.keys().chain(new.keys().filter(|path| !old.contains_key(*path))) {
        match (old.get(path), new.get(path)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => found.push(format!("{}: {a:?} became {b:?}", path.display())),
            (Some(_), None) => found.push(format!("{} is missing", path.display())),
            (None, _) => found.push(format!("{} is new", path.display())),
        }
    }
    Ok(found)
}

/// What is compared of an entry. Contents are kept as a length and a hash, so that a difference prints well.
#[derive(Debug, PartialEq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    modified: Option<SystemTime>,
    content: Option<(usize, u64)>,
    target: Option<PathBuf>,
    links: u64,
}

fn describe(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, Entry>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(relative) = waiting.pop() {
        let path = folder.join(&relative);
        let entry =
            describe_one(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if entry.kind == "directory" {
            for item in fs::read_dir(&path)? {
                waiting.push(relative.join(item?.file_name()));
            }
        }
        found.insert(relative, entry);
    }
    Ok(found)
}

fn describe_one(path: &Path) -> anyhow::Result<Entry> {
    use std::hash::{DefaultHasher, Hash, Hasher};

    let metadata = fs::symlink_metadata(path)?;
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => "directory",
        kind if kind.is_symlink() => "symlink",
        _ => "file",
    };
    let content = if kind == "file" {
        let bytes = fs::read(path)?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Some((bytes.len(), hasher.finish()))
    } else {
        None
    };
    let target = (kind == "symlink").then(|| fs::read_link(path)).transpose()?;
    let (mode, links) = mode_and_links(&metadata, kind);
    let modified = Some(metadata.modified()?);
    Ok(Entry { kind, mode, modified, content, target, links })
}

/// Permission bits, and for files the number of names.
#[cfg(unix)]
fn mode_and_links(metadata: &fs::Metadata, kind: &str) -> (u32, u64) {
    use std::os::unix::fs::MetadataExt;

    let links = if kind == "file" { metadata.nlink() } else { 0 };
    (metadata.mode() & 0o7777, links)
}

/// Other systems have no such bits.
#[cfg(not(unix))]
fn mode_and_links(_metadata: &fs::Metadata, _kind: &str) -> (u32, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::{differences, make};

    #[test]
    fn a_tree_equals_its_twin_until_a_file_changes() {
        let work = std::env::temp_dir().join(format!("carstone-xtask-{}", std::process::id()));
        let (one, two) = (work.join("one"), work.join("two"));
        make(&one).expect("the first tree is written");
        make(&two).expect("the second tree is written");
        // Directories carry the time of their making, which differs.
        let content = |found: Vec<String>| -> Vec<String> {
            let told = found.into_iter().filter(|line| !line.contains("\"directory\""));
            told.collect()
        };
        let found = differences(&one, &two).expect("both trees are read");
        #[cfg(unix)]
        let found: Vec<String> =
            found.into_iter().filter(|line| !line.contains("\"symlink\"")).collect();
        assert_eq!(content(found), Vec::<String>::new());

        std::fs::write(two.join("empty"), b"x").expect("a file is changed");
        std::fs::remove_file(two.join("a/small.txt")).expect("a file is removed");
        let found = differences(&one, &two).expect("both trees are read");
        assert!(found.iter().any(|line| line.starts_with("empty: ")), "{found:?}");
        assert!(found.iter().any(|line| line == "a/small.txt is missing"), "{found:?}");
        std::fs::remove_dir_all(work).expect("the trees are removed");
    }
}
