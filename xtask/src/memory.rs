//! `cargo xtask memory`: the most memory that making, restoring and checking a pack take.

#![expect(clippy::print_stdout, reason = "the table is the result of the task")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::made;
use crate::rig::{Rig, mib};

/// The flags of the task.
#[derive(clap::Args)]
pub struct Arguments {
    /// Bytes of the one large file
    #[arg(long, value_name = "N", default_value_t = 4 << 30)]
    file_bytes: u64,
    /// Number of small files
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    files: u64,
    /// Threads that carstone may use
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// What it should stay under, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 160.0)]
    limit: f64,
    /// How packs are compressed
    #[arg(long, value_name = "CODEC", default_value = "brotli:5")]
    compress: String,
    /// A folder with room for three times the bytes [default: target/memory]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Runs the task. What it finds is told, never judged.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let folder = arguments.folder.clone().unwrap_or_else(|| root.join("target/memory"));
    let rig = Rig::new(root, &folder, &arguments.compress, arguments.threads)?;
    println!(
        "carstone with {}, encrypted, {} threads; at most {} MiB.\n",
        arguments.compress, arguments.threads, arguments.limit
    );
    println!("| tree | command | peak memory, MiB | | wall time, s |\n|---|---|---:|---|---:|");
    eprintln!("memory: one file of {} bytes", arguments.file_bytes);
    fs::create_dir(rig.tree())?;
    made::one_file(&rig.tree().join("large.dat"), arguments.file_bytes)?;
    let title = format!("one file of {:.0} MiB", mib(arguments.file_bytes));
    measure(&rig, &title, arguments.limit)?;

    eprintln!("memory: {} files", arguments.files);
    made::small_files(&rig.tree(), arguments.files)?;
    measure(&rig, &format!("{} small files", arguments.files), arguments.limit)
}

fn measure(rig: &Rig, title: &str, limit: f64) -> anyhow::Result<()> {
    let usages =
        [("create", rig.create()?.0), ("extract", rig.extract()?), ("verify", rig.verify()?)];
    for (command, usage) in usages {
        let memory = mib(usage.memory);
        let mark = if memory <= limit { "pass" } else { "FAIL" };
        let wall = usage.wall.as_secs_f64();
        println!("| {title} | {command} | {memory:.1} | {mark} | {wall:.1} |");
    }
    rig.clear()
}
