//! `cargo xtask compare --car`: going over a CAR of 300 MB in 19,000 blocks, beside other libraries.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::interop::install_node_packages;
use crate::process::{build_example, target};

/// Seconds by what is done.
type Times = BTreeMap<String, f64>;

/// What is wanted: how many times as long as the second the first takes at the least.
const TARGETS: [(&str, &str, f64); 6] = [
    ("iroh-car, unverified, file", "carstone, unverified, file", 2.3),
    ("iroh-car, unverified, memory", "carstone, unverified, memory", 2.3),
    ("@ipld/car, unverified, file", "carstone, unverified, file", 8.0),
    ("fvm_ipld_car, unverified, file", "carstone, unverified, file", 1.0),
    ("@ipld/car, verified, file", "carstone, verified, file", 4.0),
    ("@ipld/car, index, file", "carstone, index, file", 20.0),
];

/// Measures all in turns, and tells the best times. What they are is told, never judged.
pub fn run(root: &Path, runs: usize) -> anyhow::Result<()> {
    let ours = build_example(root, "car_peers")?;
    let node = install_node_packages(root)?;
    // In a file that the system has in memory, as those of users are.
    let folder = tempfile::Builder::new().prefix("cars-").tempdir_in(target(root))?;
    let car = folder.path().join("sample.car");
    ensure!(Command::new(&ours).arg("make").arg(&car).status()?.success(), "no CAR could be made");
    let mut times = Times::new();
    for run in 1..=runs {
        eprintln!("compare: {run}/{runs}");
        merge(&mut times, Command::new(&ours).arg(&car).arg("3"))?;
        merge(&mut times, Command::new("node").arg(node.join("time.mjs")).arg(&car).arg("2"))?;
    }
    let cores = std::thread::available_parallelism()?;
    println!("A CAR of 300 MB in 19,000 blocks, {cores} threads, the best of {runs} runs.\n");
    println!("| what | seconds |\n|---|---:|");
    for (what, seconds) in &times {
        println!("| {what} | {seconds:.4} |");
    }
    println!("\n| carstone | beside | times as fast | wanted |\n|---|---|---:|---:|");
    for (other, own, wanted) in TARGETS {
        let time = |name: &str| times.get(name).with_context(|| format!("{name} was not measured"));
        println!("| {own} | {other} | {:.2} | {wanted} |", time(other)? / time(own)?);
    }
    for what in ["carstone, get each block", "carstone, get each block, verified"] {
        let seconds = times.get(what).context("blocks were not got")?;
        println!("\n{what}: {:.2} µs a block of 15,789 bytes", seconds / 19_000.0 * 1e6);
    }
    Ok(())
}

/// Runs a program, and keeps the better times.
fn merge(times: &mut Times, command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", told.trim());
    for (what, seconds) in serde_json::from_slice::<Times>(&output.stdout)? {
        let best = times.entry(what).or_insert(f64::INFINITY);
        *best = best.min(seconds);
    }
    Ok(())
}
