//! Protects a file, damages a copy of it, and heals that: `cargo run --example heal -- FILE`.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use carstone_layer::default_threads;
use carstone_parity::{Options, Parity, Survey, heal, protect};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    let given = std::env::args_os().nth(1);
    let folder = std::env::temp_dir().join(format!("carstone-heal-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let content = match given {
        Some(path) => fs::read(path)?,
        None => (0..500_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect(),
    };
    let original = folder.join("original");
    fs::write(&original, &content)?;

    // The sidecar is written at any place, and read again later.
    let sidecar = folder.join("original.par");
    let made = protect(&File::open(&original)?, &file(&sidecar)?, &Options::default(), &|_| ())?;
    writeln!(out, "{} bytes, parity {}", content.len(), made.layout().parity_len())?;

    let mut damaged = content.clone();
    let middle = damaged.len() / 2;
    let end = (middle + damaged.len() / 50).min(damaged.len());
    damaged[middle..end].fill(0);
    let copy = folder.join("damaged");
    fs::write(&copy, damaged)?;

    let threads = default_threads();
    let (source, parity) = (File::open(&copy)?, Parity::open(File::open(&sidecar)?, threads)?);
    let survey = Survey::of(&source, &parity, threads, &|_| ())?;
    writeln!(out, "{:?}, {:.0} % of the budget", survey.counts(), survey.used() * 100.0)?;
    let target = folder.join("healed");
    let healed = heal(&source, &parity, &survey, &file(&target)?, threads, &|_| ())?;
    writeln!(out, "whole: {}, the same: {}", healed.whole, fs::read(&target)? == content)?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// A new file that is read too.
fn file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
}
