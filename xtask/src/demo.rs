//! The main job on real input: packs the sources of the project's dependencies, lists, reads from the middle,
//! restores, compares, and prints sizes and times.

#![expect(clippy::print_stdout, reason = "what the demo prints is its result")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::process::build_carstone;
use crate::snapshot::{Compare, compare, snapshot};
use crate::sources::dependency_sources;

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
    let demo = Demo { binary: build_carstone(root)?, work };
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
    compare(&tree, &snapshot(&out)?, Compare::Everything)?;
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
