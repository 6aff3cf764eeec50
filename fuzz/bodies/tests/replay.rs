//! Runs every target on its seeds, and on everything that a fuzzer once found.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use carstone_fuzz::{TARGETS, Target};

#[test]
fn seeds_hold() {
    for target in TARGETS {
        for (n, seed) in (target.seeds)().iter().enumerate() {
            run(target, seed, &format!("seed {n}"));
        }
    }
}

#[test]
fn what_was_found_once_holds_now() {
    for target in TARGETS {
        for file in files(&fuzz().join("regressions").join(target.name)) {
            let data = fs::read(&file).expect("a readable file");
            run(target, &data, &file.display().to_string());
        }
    }
}

#[test]
fn every_target_has_a_file_and_every_file_a_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len(), "two targets of one name");
    let stem = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let targets = files(&fuzz().join("fuzz_targets")).iter().map(stem).collect();
    assert_eq!(names, targets);
    let kept: BTreeSet<String> =
        files(&fuzz().join("regressions")).iter().filter(|path| path.is_dir()).map(stem).collect();
    assert!(kept.is_subset(&names), "regressions of no target");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a readable file");
    for name in names {
        let text = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs")));
        assert!(text.expect("a readable file").contains(&format!("run(\"{name}\", data)")));
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{name} is no binary");
    }
}

/// Runs a target, and says on which input it failed.
#[track_caller]
fn run(target: &Target, data: &[u8], what: &str) {
    let outcome = catch_unwind(|| (target.run)(data));
    assert!(outcome.is_ok(), "{} fails on {what}", target.name);
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the fuzzer").to_owned()
}

/// What a folder holds, sorted; nothing where there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    match fs::read_dir(folder) {
        Ok(items) => {
            let mut files: Vec<_> = items.map(|item| item.expect("readable").path()).collect();
            files.sort();
            files
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{}", folder.display());
            Vec::new()
        }
    }
}
