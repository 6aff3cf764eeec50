//! The main job on real input: packs the sources of the project's dependencies, lists, reads from the middle,
//! restores, compares, and prints sizes and times.

#![expect(clippy::print_stdout, reason = "what the demo prints is its result")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// What to pack.
#[derive(clap::Args)]
pub struct Arguments {
    /// A folder to pack [default: the sources of the dependencies]
    folder: Option<PathBuf>,
}

/// Runs the whole job once.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let input = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => dependency_sources(root)?,
    };
    let work = root.join("target/demo");
    if work.exists() {
        fs::remove_dir_all(&work).context("cannot clear target/demo")?;
    }
    fs::create_dir_all(&work)?;
    crate::cargo(root).args(["build", "--release", "--package", "carstone-cli"]).run()?;
    let demo = Demo { binary: root.join("target/release/carstone"), work };
    let tree = snapshot(&input)?;
    let plain: u64 = tree.values().map(|item| item.len).sum();
    let files = tree.values().filter(|item| item.sha.is_some()).count();
    println!("input    {}: {files} files, {}", input.display(), size(plain));

    let identity = demo.work.join("identity.txt");
    demo.step("keygen", &["keygen", "-o", path(&identity)?])?;
    let key = fs::read_to_string(&identity)?;
    let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: "));
    let recipient = recipient.context("keygen printed no public key")?;
    let pack = demo.work.join("demo.cstone");
    demo.step("create", &["create", "-q", "-r", recipient, "-o", path(&pack)?, path(&input)?])?;
    let stored = fs::metadata(&pack)?.len();
    println!("         {} → {}, ratio {:.2}", size(plain), size(stored), ratio(plain, stored));

    let listed = demo.step("list", &["list", "-i", path(&identity)?, path(&pack)?])?;
    println!("         {} names", listed.lines().count());
    let middle = tree.iter().filter(|(_, item)| item.len > 2000 && item.sha.is_some());
    let names: Vec<_> = middle.collect();
    let (name, item) = names.get(names.len() / 2).context("no file of more than 2000 bytes")?;
    let inside = name.to_str().context("the name of the file in the middle is not UTF-8")?;
    let range = format!("{}-{}", item.len / 2, item.len / 2 + 99);
    let cat = ["cat", "-i", path(&identity)?, path(&pack)?, inside, "--range", &range];
    let part = demo.bytes("cat", &cat)?;
    let whole = fs::read(input.join(name))?;
    let from = usize::try_from(item.len / 2)?;
    ensure!(part == whole[from..(from + 100).min(whole.len())], "{inside}: cat gave other bytes");
    println!("         {} bytes from the middle of {inside}", part.len());

    let out = demo.work.join("restored");
    demo.step(
        "extract",
        &["extract", "-q", "-i", path(&identity)?, "-C", path(&out)?, path(&pack)?],
    )?;
    demo.step("verify", &["verify", "-q", "-i", path(&identity)?, path(&pack)?])?;
    compare(&tree, &snapshot(&out)?)?;
    println!("compare  every name, mode, time and byte is the same");
    Ok(())
}

struct Demo {
    binary: PathBuf,
    work: PathBuf,
}

impl Demo {
    fn step(&self, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&self.bytes(name, arguments)?).into_owned())
    }

    /// Runs `carstone` and prints how long it took.
    fn bytes(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        let start = Instant::now();
        let output = Command::new(&self.binary)
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        if !output.status.success() {
            bail!("carstone {name} failed: {}", output.status);
        }
        println!("{name:8} {}", seconds(start.elapsed()));
        Ok(output.stdout)
    }
}

/// What a tree holds, by relative path.
type Tree = BTreeMap<PathBuf, Item>;

#[derive(PartialEq, Eq)]
struct Item {
    mode: u32,
    mtime: (i64, i64),
    len: u64,
    /// Hash of the content, for files.
    sha: Option<[u8; 32]>,
    target: Option<PathBuf>,
}

fn snapshot(folder: &Path) -> anyhow::Result<Tree> {
    use std::os::unix::fs::MetadataExt;
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

fn compare(before: &Tree, after: &Tree) -> anyhow::Result<()> {
    for (name, item) in before {
        let other = after.get(name).with_context(|| format!("{} is missing", name.display()))?;
        ensure!(item == other, "{} is not the same", name.display());
    }
    let extra = after.keys().find(|name| !before.contains_key(*name));
    extra.map_or(Ok(()), |name| bail!("{} is new", name.display()))
}

/// The folder in which cargo keeps the sources of most dependencies.
fn dependency_sources(root: &Path) -> anyhow::Result<PathBuf> {
    let output = crate::cargo(root).args(["metadata", "--format-version", "1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let manifests = packages.iter().filter_map(|package| package["manifest_path"].as_str());
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for manifest in manifests.map(Path::new).filter(|manifest| !manifest.starts_with(root)) {
        if let Some(folder) = manifest.parent().and_then(Path::parent) {
            *counts.entry(folder.to_owned()).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    Ok(most.context("no dependency has sources on this machine")?.0)
}

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn ratio(plain: u64, stored: u64) -> f64 {
    plain as f64 / stored.max(1) as f64
}

fn size(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
