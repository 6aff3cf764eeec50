//! `cargo xtask compare --store`: a file into a store, beside what that cannot do without.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::process::{build_example, output, target};
use crate::s3::Server;
use crate::seeded::Random;

/// Measures all in turns, and tells the best times. What they are is told, never judged.
pub fn run(root: &Path, len: u64, runs: usize) -> anyhow::Result<()> {
    let program = build_example(root, "store_speed")?;
    let server = Server::start(root)?;
    let folder = tempfile::Builder::new().prefix("stores-").tempdir_in(target(root))?;
    let file = folder.path().join("file");
    make(&file, len)?;
    let mut program = Command::new(program);
    program.arg(&file).arg(folder.path()).arg(runs.to_string());
    let times: BTreeMap<String, f64> =
        serde_json::from_str(&output(server.env(&mut program))?).context("no times were told")?;
    println!(
        "A file of {len} bytes, the best of {runs} runs.\n\n| what | seconds | MB/s |\n|---|---:|---:|"
    );
    for (what, seconds) in &times {
        println!("| {what} | {seconds:.3} | {:.0} |", len as f64 / seconds / 1e6);
    }
    let time = |name: &str| times.get(name).with_context(|| format!("{name} was not measured"));
    let slower = time("SHA-256 on one core")?.max(*time("written and made durable")?);
    let directory = slower / time("carstone, put into a directory")?;
    let service =
        time("uploaded in parts by object_store")? / time("carstone, put into a service")?;
    println!("\n| put into | beside | of its rate | wanted |\n|---|---|---:|---:|");
    println!("| a directory | the slower of SHA-256 and of writing | {directory:.2} | 0.8 |");
    println!("| a service | an upload in parts | {service:.2} | 0.8 |");
    Ok(())
}

fn make(path: &Path, len: u64) -> anyhow::Result<()> {
    let (mut file, mut random, mut left) =
        (BufWriter::new(File::create(path)?), Random::new(7), len);
    while left > 0 {
        let piece = left.min(1 << 20);
        file.write_all(&random.noise(usize::try_from(piece)?))?;
        left -= piece;
    }
    Ok(file.into_inner()?.sync_all()?)
}
