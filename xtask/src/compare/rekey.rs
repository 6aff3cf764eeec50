//! `cargo xtask compare --rekey`: a pack for other readers, beside a copy of its file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::made;
use crate::measure::{Job, Usage};
use crate::process::{carstone, target};
use crate::shm;

/// Measures both in turns, where the workspace stands and in memory, and tells the ratio of their medians. What it is is told, never judged.
pub fn run(root: &Path, program: Option<&Path>, len: u64, runs: usize) -> anyhow::Result<()> {
    let carstone = carstone(root, program)?;
    println!(
        "A pack of {len} bytes, not compressed, medians of {runs} runs; both wait until the disk has it.\n"
    );
    println!(
        "| where | `cp`, then `sync` | `carstone rekey` | ratio | wanted |\n|---|---:|---:|---:|---:|"
    );
    let disk = tempfile::Builder::new().prefix("rekey-").tempdir_in(target(root))?;
    measure("the disk of the workspace", disk.path(), &carstone, len, runs)?;
    drop(disk);
    // The content, the pack, and the copy.
    match shm::folder(3 * len) {
        Ok(memory) => measure("memory", memory.path(), &carstone, len, runs),
        Err(error) => {
            println!("\nNot in memory: {error:#}.");
            Ok(())
        }
    }
}

fn measure(
    name: &str,
    folder: &Path,
    carstone: &Path,
    len: u64,
    runs: usize,
) -> anyhow::Result<()> {
    let path = |name: &str| folder.join(name);
    let (pack, copy) = (path("pack"), path("copy"));
    made::one_file(&path("content"), len)?;
    let keygen = |name: &str| -> anyhow::Result<String> {
        Job::new(carstone).args(["keygen", "-o"]).arg(path(name)).measure()?;
        let text = fs::read_to_string(path(name))?;
        let key = text.lines().find_map(|line| line.strip_prefix("# public key: "));
        Ok(key.context("a key file tells its public key")?.to_owned())
    };
    let (old, new) = (keygen("old")?, keygen("new")?);
    let create = Job::new(carstone).args(["create", "--compress", "none", "-r"]).arg(old);
    create.arg("-o").args([&pack, &path("content")]).measure()?;
    fs::remove_file(path("content"))?;
    let cp = Job::pipeline("cp \"$1\" \"$2\" && sync \"$2\"").args([&pack, &copy]);
    let rekey = Job::new(carstone).args(["rekey", "-q", "-r"]).arg(new).arg("-i").arg(path("old"));
    let rekey = rekey.arg(&pack).arg("-o").arg(&copy);
    let (mut copied, mut rekeyed) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        for (job, usages, what) in [(&cp, &mut copied, "cp"), (&rekey, &mut rekeyed, "rekey")] {
            eprintln!("compare: {name} {run}/{runs}: {what}");
            usages.push(job.measure()?);
            let (found, wanted) = (fs::metadata(&copy)?.len(), fs::metadata(&pack)?.len());
            // A new envelope may be some hundred bytes longer in each of its places.
            ensure!(found.abs_diff(wanted) < wanted / 1000 + 10_000, "{what} gave {found} bytes");
            fs::remove_file(&copy)?;
            settle(folder)?;
        }
    }
    let wall = |usages: &[Usage]| -> anyhow::Result<Duration> {
        Ok(Usage::median(usages).context("nothing was measured")?.wall)
    };
    let (cp, rekey) = (wall(&copied)?.as_secs_f64(), wall(&rekeyed)?.as_secs_f64());
    println!("| {name} | {cp:.2} s | {rekey:.2} s | {:.2} | 1.5 |", rekey / cp);
    Ok(())
}

/// What the run before left to the disk must not be paid for by the next one.
fn settle(folder: &Path) -> anyhow::Result<()> {
    Job::new("sync").arg("-f").arg(folder).measure().map(drop)
}
