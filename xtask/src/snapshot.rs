//! What a tree holds, and whether two trees hold the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// What a tree holds, by relative path.
pub type Tree = BTreeMap<PathBuf, Item>;

/// One file, directory or symlink.
#[derive(PartialEq, Eq)]
pub struct Item {
    mode: u32,
    mtime: (i64, i64),
    pub len: u64,
    /// Hash of the content, for files.
    pub sha: Option<[u8; 32]>,
    target: Option<PathBuf>,
}

/// How much of two trees must be the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Names, contents, modes and times.
    Everything,
    /// Names and contents.
    Content,
}

/// Reads a whole tree.
pub fn snapshot(folder: &Path) -> anyhow::Result<Tree> {
    let (mut tree, mut folders) = (Tree::new(), vec![folder.to_owned()]);
    while let Some(current) = folders.pop() {
        let items = fs::read_dir(&current).with_context(|| format!("{}", current.display()))?;
        for item in items {
            let path = item?.path();
            let metadata = path.symlink_metadata()?;
            let kind = metadata.file_type();
            if kind.is_dir() {
                folders.push(path.clone());
            }
            let is_file = kind.is_file();
            let entry = Item {
                mode: metadata.mode(),
                mtime: (metadata.mtime(), metadata.mtime_nsec()),
                len: if is_file { metadata.len() } else { 0 },
                sha: is_file.then(|| hash(&path)).transpose()?,
                target: kind.is_symlink().then(|| fs::read_link(&path)).transpose()?,
            };
            tree.insert(path.strip_prefix(folder)?.to_owned(), entry);
        }
    }
    Ok(tree)
}

fn hash(path: &Path) -> anyhow::Result<[u8; 32]> {
    use sha2::{Digest, Sha256};
    let mut file = File::open(path).with_context(|| format!("{}", path.display()))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Fails at the first name that is not the same in both.
pub fn compare(before: &Tree, after: &Tree, how: Compare) -> anyhow::Result<()> {
    for (name, item) in before {
        let other = after.get(name).with_context(|| format!("{} is missing", name.display()))?;
        let same = match how {
            Compare::Everything => item == other,
            Compare::Content => item.content() == other.content(),
        };
        ensure!(same, "{} is not the same", name.display());
    }
    let extra = after.keys().find(|name| !before.contains_key(*name));
    extra.map_or(Ok(()), |name| bail!("{} is new", name.display()))
}

impl Item {
    fn content(&self) -> (u32, u64, Option<[u8; 32]>, Option<&Path>) {
        const KIND: u32 = 0o170_000;
        (self.mode & KIND, self.len, self.sha, self.target.as_deref())
    }
}
