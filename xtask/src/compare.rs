//! `cargo xtask compare`: carstone beside programs that do a similar job, on the same tree, in one run.

#![expect(clippy::print_stdout, reason = "the tables are the result of the task")]

mod cars;
mod parity;
mod programs;
mod rekey;
mod report;
mod stores;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use self::programs::{OPERATIONS, Operation, PROGRAMS, Place, Program};
use self::report::Results;
use self::tree::Goal;
use crate::measure::Usage;
use crate::process::build_carstone;
use crate::shm;
use crate::snapshot::{Compare, Tree, compare, snapshot};

/// The flags of the task.
#[derive(clap::Args)]
pub struct Arguments {
    /// A tenth of the tree, and one run
    #[arg(long)]
    quick: bool,
    /// Go over a CAR of 300 MB instead, beside libraries for CARs
    #[arg(long, conflicts_with_all = ["tree", "json", "without"])]
    car: bool,
    /// Put a file of 2 GB into stores instead, beside what that cannot do without
    #[arg(long, conflicts_with_all = ["car", "tree", "json", "without"])]
    store: bool,
    /// Give a pack of 1 GB to another reader instead, beside a copy of its file
    #[arg(long, conflicts_with_all = ["car", "store", "tree", "json", "without"])]
    rekey: bool,
    /// Make and use parity of 8 MiB and 500 MB instead, beside `par2`
    #[arg(long, conflicts_with_all = ["car", "store", "rekey", "tree", "json", "without"])]
    parity: bool,
    /// With --rekey or --parity, the `carstone` program to measure, instead of one that is built
    #[arg(long, value_name = "PROGRAM")]
    command: Option<PathBuf>,
    /// The tree to pack, instead of one of 330 MB that is put together from what the machine has
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// How often each program does each thing; medians are told [default: 3]
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Write every measurement to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave out programs whose name begins so; can be given again
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
}

/// Runs the task. What it finds is told, never judged: a slow machine is no failure.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let goal = match arguments.quick {
        true => Goal { files: 1_590, bytes: 33_000_000 },
        false => Goal { files: 15_900, bytes: 330_000_000 },
    };
    let runs = arguments.runs.unwrap_or(if arguments.quick { 1 } else { 3 });
    ensure!(runs > 0, "nothing can be measured in no run");
    if arguments.car {
        return cars::run(root, runs);
    }
    if arguments.store {
        return stores::run(root, if arguments.quick { 300_000_000 } else { 2_000_000_000 }, runs);
    }
    if arguments.rekey {
        let len = if arguments.quick { 100_000_000 } else { 1_000_000_000 };
        return rekey::run(root, arguments.command.as_deref(), len, runs);
    }
    if arguments.parity {
        return parity::run(root, arguments.command.as_deref(), arguments.quick, runs);
    }
    let (folder, made_of) = match &arguments.tree {
        Some(folder) => (folder.canonicalize()?, "as it is".to_owned()),
        None => tree::mixed(root, goal)?,
    };
    let carstone = build_carstone(root)?;
    let mlar = programs::mlar(root)?;

    // Reading it all also brings it into the page cache.
    let before = snapshot(&folder)?;
    let bytes: u64 = before.values().map(|item| item.len).sum();
    let files = before.values().filter(|item| item.sha.is_some()).count();
    let title = format!(
        "Tree: {files} files, {:.1} MB: {made_of}. {} threads, medians of {runs} runs, in memory.",
        bytes as f64 / 1e6,
        std::thread::available_parallelism()?
    );
    println!("{title}\n");

    // For what six programs make of the tree, and for one tree that is restored.
    let memory = shm::folder(5 * bytes)?;
    let mut place = Place {
        carstone,
        mlar,
        tree: folder,
        file: middle_file(&before)?,
        work: memory.path().to_owned(),
        recipient: String::new(),
    };
    place.make_keys()?;
    let programs = present(&place, &arguments.without);
    let mut results = measure(&place, &before, &programs, runs)?;
    results.title = title;
    println!("\n`cat` reads {}.\n", place.file.display());
    print!("{}", results.tables());
    print!("{}", results.targets());
    if let Some(file) = &arguments.json {
        fs::write(file, serde_json::to_string_pretty(&results.to_json())?)?;
    }
    Ok(())
}

/// The programs that run here; the others are named.
fn present(place: &Place, without: &[String]) -> Vec<Program> {
    let mut present = Vec::new();
    for program in PROGRAMS {
        if without.iter().any(|name| program.name().starts_with(name.as_str())) {
            continue;
        }
        match program.versions(place) {
            Ok(versions) => {
                println!("- {}: {versions}", program.name());
                present.push(program);
            }
            Err(missing) => println!("- {}: skipped, {missing}", program.name()),
        }
    }
    present
}

/// Every operation in turn; in each run every program once, so that a disturbance hits all alike.
fn measure(
    place: &Place,
    before: &Tree,
    programs: &[Program],
    runs: usize,
) -> anyhow::Result<Results> {
    let mut results = Results::new(programs);
    for operation in OPERATIONS {
        for run in 1..=runs {
            for &program in programs {
                eprintln!("compare: {} {run}/{runs}: {}", operation.name(), program.name());
                let usage = once(place, before, program, operation);
                let usage = usage
                    .with_context(|| format!("{} cannot {}", program.name(), operation.name()))?;
                if let Some(usage) = usage {
                    results.add(program, operation, usage);
                }
                if operation == Operation::Create {
                    results
                        .sizes
                        .insert(program.name(), size_of(&place.store(program).join("pack"))?);
                }
            }
        }
    }
    Ok(results)
}

/// Does it once, and makes sure that it was done right.
fn once(
    place: &Place,
    before: &Tree,
    program: Program,
    operation: Operation,
) -> anyhow::Result<Option<Usage>> {
    if operation == Operation::Create
        && let Some(job) = place.before_create(program)?
    {
        job.measure()?;
    }
    if operation == Operation::Extract {
        fs::create_dir(place.out())?;
    }
    let Some(job) = place.job(program, operation) else { return Ok(None) };
    let usage = job.measure()?;
    match operation {
        Operation::List => {
            let names = fs::read_to_string(place.stdout())?.lines().count();
            let files = before.values().filter(|item| item.sha.is_some()).count();
            ensure!(names >= files, "{names} names are listed, of {files} files");
        }
        Operation::Extract => {
            let how = match program.keeps_metadata() {
                true => Compare::Everything,
                false => Compare::Content,
            };
            compare(before, &snapshot(&place.extracted(program))?, how)?;
            fs::remove_dir_all(place.out())?;
        }
        Operation::Cat => {
            let right = fs::read(place.stdout())? == fs::read(place.tree.join(&place.file))?;
            ensure!(right, "cat gave other bytes");
        }
        Operation::Repair => {
            if let Program::Carstone(_) = program {
                let pack = place.store(program).join("pack");
                ensure!(fs::read(place.repaired())? == fs::read(pack)?, "repair changed the pack");
            }
            fs::remove_file(place.repaired())?;
        }
        Operation::Create | Operation::Verify => {}
    }
    Ok(Some(usage))
}

/// A file of middle size from the middle of the tree.
fn middle_file(tree: &Tree) -> anyhow::Result<PathBuf> {
    let fits = |len| (20_000..60_000).contains(&len);
    let mut names: Vec<_> = tree.iter().filter(|(_, item)| fits(item.len)).collect();
    if names.is_empty() {
        names = tree.iter().filter(|(_, item)| item.len > 0).collect();
    }
    Ok(names.get(names.len() / 2).context("no file has content")?.0.clone())
}

/// The bytes of a file, or of all files in a folder.
fn size_of(path: &Path) -> anyhow::Result<u64> {
    let metadata = path.symlink_metadata()?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|item| size_of(&item?.path())).sum()
}
