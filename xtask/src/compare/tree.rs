//! The tree that is packed: a fixed choice of real files, and made-up ones where a machine has too few.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::seeded::Random;
use crate::sources::{dependency_folders, toolchain};

/// How large a tree is to be.
#[derive(Clone, Copy)]
pub struct Goal {
    pub files: u64,
    pub bytes: u64,
}

const MAX_FILE: u64 = 24_000_000;

/// A file that may be taken.
struct Candidate {
    path: PathBuf,
    /// Where it goes in the tree.
    name: PathBuf,
    len: u64,
    /// Folders are taken whole, in the order of the hash of their name: mixed, and the same in every run.
    order: [u8; 32],
}

/// Makes the tree below `target/` unless it is there. Returns it and a sentence on what it is made of.
pub fn mixed(root: &Path, goal: Goal) -> anyhow::Result<(PathBuf, String)> {
    let base = root.join("target/compare").join(format!("{}-files", goal.files));
    let (tree, note) = (base.join("tree"), base.join("made-of.txt"));
    // The note is written last: a tree that is only half made is made again.
    if let Ok(made_of) = fs::read_to_string(&note) {
        return Ok((tree, made_of));
    }
    if base.exists() {
        fs::remove_dir_all(&base)?;
    }
    fs::create_dir_all(&tree)?;
    let made_of = make(root, goal, &tree)?;
    fs::write(note, &made_of)?;
    Ok((tree, made_of))
}

fn make(root: &Path, goal: Goal, tree: &Path) -> anyhow::Result<String> {
    let toolchain = toolchain()?;
    let mut taker = Taker { tree, files: 0, bytes: 0 };
    // As on a disk: source code, documentation, what programs share (names that repeat in every language, texts, pictures, pages that
    // are compressed already), and a hundredth of the files that are programs and libraries.
    let sources = candidates(&dependency_folders(root)?, "src", 0)?;
    let (source_files, source_bytes) = taker.take(sources, goal.files / 4, goal.bytes / 4)?;
    let documents = candidates(&[toolchain.join("share/doc")], "doc", 0)?;
    let (document_files, document_bytes) =
        taker.take(documents, goal.files * 15 / 100, goal.bytes * 15 / 100)?;
    let shared = candidates(&[PathBuf::from("/usr/share")], "usr", 0)?;
    let files = (goal.files * 99 / 100).saturating_sub(taker.files);
    let (shared_files, shared_bytes) = taker.take(shared, files, goal.bytes * 35 / 100)?;
    let binaries = candidates(&[toolchain.join("lib"), toolchain.join("bin")], "lib", 100_000)?;
    let files = goal.files.saturating_sub(taker.files);
    let bytes = (goal.bytes * 199 / 200).saturating_sub(taker.bytes);
    let (binary_files, binary_bytes) = taker.take(binaries, files, bytes)?;
    let (made_files, made_bytes) = taker.fill(goal)?;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    Ok(format!(
        "sources of dependencies ({source_files} files, {:.0} MB), toolchain documentation \
         ({document_files}, {:.0} MB), shared data of the system ({shared_files}, {:.0} MB), programs and libraries of the toolchain ({binary_files}, {:.0} MB), \
         made-up text, JSON and noise ({made_files}, {:.0} MB)",
        mb(source_bytes),
        mb(document_bytes),
        mb(shared_bytes),
        mb(binary_bytes),
        mb(made_bytes),
    ))
}

/// All plain files below the folders that are neither too small nor too large, in mixed order.
fn candidates(folders: &[PathBuf], under: &str, min: u64) -> anyhow::Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for base in folders.iter().filter(|base| base.is_dir()) {
        let parent = base.parent().unwrap_or(base);
        let mut waiting = vec![base.clone()];
        while let Some(folder) = waiting.pop() {
            for item in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = item?.path();
                let metadata = path.symlink_metadata()?;
                if metadata.is_dir() {
                    waiting.push(path);
                } else if metadata.is_file() && (min..=MAX_FILE).contains(&metadata.len()) {
                    let name = Path::new(under).join(path.strip_prefix(parent)?);
                    let folder = name.parent().unwrap_or(&name).as_os_str();
                    let order = Sha256::digest(folder.as_encoded_bytes()).into();
                    found.push(Candidate { path, name, len: metadata.len(), order });
                }
            }
        }
    }
    found.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    Ok(found)
}

struct Taker<'a> {
    tree: &'a Path,
    files: u64,
    bytes: u64,
}

impl Taker<'_> {
    /// Copies files until there are so many, and passes over those that would make it too many bytes.
    fn take(&mut self, from: Vec<Candidate>, files: u64, bytes: u64) -> anyhow::Result<(u64, u64)> {
        let (mut taken, mut taken_bytes) = (0, 0);
        for candidate in from {
            if taken == files {
                break;
            }
            let target = self.tree.join(&candidate.name);
            if taken_bytes + candidate.len > bytes || target.exists() {
                continue;
            }
            make_parent(&target)?;
            fs::copy(&candidate.path, &target)
                .with_context(|| format!("cannot copy {}", candidate.path.display()))?;
            let modified = fs::metadata(&candidate.path)?.modified()?;
            set_time(&target, modified)?;
            taken += 1;
            taken_bytes += candidate.len;
        }
        self.files += taken;
        self.bytes += taken_bytes;
        Ok((taken, taken_bytes))
    }

    /// Makes up what is missing.
    fn fill(&mut self, goal: Goal) -> anyhow::Result<(u64, u64)> {
        let files = goal.files.saturating_sub(self.files);
        let mut left = goal.bytes.saturating_sub(self.bytes);
        let bytes = left;
        for number in 0..files {
            let mut random = Random::new(number);
            let mean = left / (files - number);
            let len = if number + 1 == files { left } else { random.below(2 * mean + 1) };
            left -= len;
            let (ending, content) = random.file(usize::try_from(len)?);
            let name = format!("made/{:03}/{number:05}.{ending}", number / 200);
            let target = self.tree.join(name);
            make_parent(&target)?;
            fs::write(&target, content)?;
            set_time(&target, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))?;
        }
        Ok((files, bytes))
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Whole seconds, since not every program keeps more.
fn set_time(path: &Path, time: SystemTime) -> anyhow::Result<()> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    // A copied file may be read-only; its time may be set all the same.
    Ok(File::open(path)?.set_modified(time)?)
}
