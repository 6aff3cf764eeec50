//! Runs every target on its seeds, and on everything that a fuzzer once found.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use carstone_fuzz::{TARGETS, Target};

#[test]
fn seeds_hold() {
    let seeds = TARGETS.iter().flat_map(|target| {
        let seeds = (target.seeds)().into_iter().enumerate();
        seeds.map(move |(n, seed)| (target, format!("seed {n}"), seed))
    });
    all_hold(seeds);
}

#[test]
fn what_was_found_once_holds_now() {
    let found = TARGETS.iter().flat_map(|target| {
        let files = files(&fuzz().join("regressions").join(target.name)).into_iter();
        files.map(move |file| {
            let data = fs::read(&file).expect("a readable file");
            (target, file.display().to_string(), data)
        })
    });
    all_hold(found);
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

/// Runs targets on inputs, and says on which ones they failed.
fn all_hold(inputs: impl Iterator<Item = (&'static Target, String, Vec<u8>)>) {
    let failed = inputs.filter(|(target, _, data)| catch_unwind(|| (target.run)(data)).is_err());
    let failed: Vec<_> =
        failed.map(|(target, what, _)| format!("{} on {what}", target.name)).collect();
    assert!(failed.is_empty(), "these fail: {}", failed.join(", "));
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
