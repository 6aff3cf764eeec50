//! `cargo xtask vectors`: makes the test vectors with the independent Python implementation, or with
//! `--check` compares them with those that are kept, and reads packs of the command with the Python reader. The
//! Python walker of HPPR repositories is tried on sound and damaged ones.

mod command;
mod python;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

pub use self::python::Python;

/// The flags of the task.
#[derive(clap::Args)]
pub struct Arguments {
    /// Compare with the kept vectors instead of rewriting them, and read packs of the command
    #[arg(long)]
    check: bool,
    /// The `carstone` program whose packs are read, instead of one that is built
    #[arg(long, value_name = "PROGRAM", requires = "check")]
    command: Option<PathBuf>,
}

/// Runs the task.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let work = root.join("target").join("vectors");
    let fresh = work.join("fresh");
    let kept = root.join("tests").join("vectors");
    let python = Python::prepare(root, &work)?;

    remove_tree(&fresh)?;
    eprintln!("vectors: making them anew");
    python.run("generate_vectors.py", [Path::new("--out"), &fresh])?;

    if !arguments.check {
        replace(&kept, &fresh)?;
        eprintln!("vectors: {} rewritten", kept.display());
        return judge(&python, &work, &kept);
    }
    compare(&kept, &fresh)?;
    judge(&python, &work, &kept)?;
    command::check(root, &work, &python, arguments.command.as_deref())
}

/// Reads the kept packs, and tries the walker of HPPR repositories.
fn judge(python: &Python, work: &Path, kept: &Path) -> anyhow::Result<()> {
    python.run("check_packs.py", [kept])?;
    let tried = work.join("hppr");
    remove_tree(&tried)?;
    python.run("try_hppr.py", [tried])
}

/// Replaces everything the generator makes; the README stays.
fn replace(kept: &Path, fresh: &Path) -> anyhow::Result<()> {
    for name in files(kept)? {
        fs::remove_file(kept.join(&name))
            .with_context(|| format!("cannot remove {}", name.display()))?;
    }
    for name in files(fresh)? {
        let target = kept.join(&name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(fresh.join(&name), &target)
            .with_context(|| format!("cannot write {}", target.display()))?;
    }
    Ok(())
}

/// Fails with a list of all files that differ, and where.
fn compare(kept: &Path, fresh: &Path) -> anyhow::Result<()> {
    let names: BTreeSet<PathBuf> = files(kept)?.into_iter().chain(files(fresh)?).collect();
    let mut wrong = 0;
    for name in &names {
        let (old, new) = (kept.join(name), fresh.join(name));
        let problem = match (old.exists(), new.exists()) {
            (false, _) => Some("is made by the generator, but not kept".to_owned()),
            (_, false) => Some("is kept, but not made by the generator".to_owned()),
            _ => difference(&fs::read(&old)?, &fs::read(&new)?),
        };
        if let Some(problem) = problem {
            eprintln!("vectors: {} {problem}", name.display());
            wrong += 1;
        }
    }
    ensure!(
        wrong == 0,
        "{wrong} of {} vector files differ; `cargo xtask vectors` rewrites them",
        names.len()
    );
    eprintln!("vectors: {} files agree", names.len());
    Ok(())
}

/// Where two files differ first: the line of a text, the byte of anything else.
fn difference(kept: &[u8], fresh: &[u8]) -> Option<String> {
    if kept == fresh {
        return None;
    }
    let shared = kept.iter().zip(fresh).take_while(|(a, b)| a == b).count();
    let (Ok(old), Ok(new)) = (str::from_utf8(kept), str::from_utf8(fresh)) else {
        return Some(format!(
            "differs at byte {shared}: {} bytes are kept, {} are made",
            kept.len(),
            fresh.len()
        ));
    };
    let line = old.lines().zip(new.lines()).take_while(|(a, b)| a == b).count();
    let show = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
    Some(format!("differs at line {}\n  kept: {}\n  made: {}", line + 1, show(old), show(new)))
}

/// The files below a folder, but for those that the generator does not make, relative to it.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(relative) = waiting.pop() {
        let listed = fs::read_dir(folder.join(&relative))
            .with_context(|| format!("cannot list {}", folder.join(&relative).display()))?;
        for item in listed {
            let item = item?;
            let name = relative.join(item.file_name());
            if item.file_type()?.is_dir() {
                waiting.push(name);
            } else if !BY_HAND.iter().any(|hand| name.starts_with(hand)) {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a folder of this task, which need not exist.
fn remove_tree(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("cannot remove {}: {error}", folder.display())
        }
        _ => Ok(()),
    }
}

/// What the generator does not make: files, and a folder of vectors that others publish.
const BY_HAND: [&str; 3] = ["README.md", ".gitattributes", "public"];

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_text_differs_at_a_line() {
        let found = difference(b"a\nb\nc", b"a\nx\nc").expect("the texts differ");
        assert!(found.starts_with("differs at line 2"), "{found}");
        assert!(found.contains("kept: b") && found.contains("made: x"), "{found}");
    }

    #[test]
    fn a_longer_text_differs_behind_the_end_of_the_shorter() {
        let found = difference(b"a\n", b"a\nb\n").expect("the texts differ");
        assert!(found.contains("kept: (the end)") && found.contains("made: b"), "{found}");
    }

    #[test]
    fn bytes_differ_at_an_offset() {
        let found = difference(b"\xff\x00\x01", b"\xff\x00\x02").expect("the bytes differ");
        assert!(found.starts_with("differs at byte 2"), "{found}");
    }

    #[test]
    fn equal_files_do_not_differ() {
        assert_eq!(difference(b"\xff\n", b"\xff\n"), None);
    }
}
