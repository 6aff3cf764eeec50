//! Keeps the house in order: who may depend on whom, how large a file may grow, that every file says what it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which crates of the workspace each crate may depend on (`docs/architecture.md`).
const MAY_USE: &[(&str, &[&str])] = &[
    ("carstone-layer", &[]),
    ("carstone-raw", &["carstone-layer"]),
    ("carstone-position", &["carstone-layer"]),
    ("carstone-compress", &["carstone-layer"]),
    ("carstone-encrypt", &["carstone-layer"]),
    ("carstone-keys", &["carstone-layer"]),
    ("carstone-parity", &["carstone-layer"]),
    ("carstone-car", &[]),
    ("carstone-unixfs", &["carstone-car"]),
    ("carstone-pack", &["carstone-layer", "carstone-car", "carstone-unixfs"]),
    ("carstone-repair", &["carstone-layer", "carstone-car", "carstone-unixfs", "carstone-pack"]),
    (
        "carstone",
        &[
            "carstone-layer",
            "carstone-raw",
            "carstone-position",
            "carstone-compress",
            "carstone-encrypt",
            "carstone-keys",
            "carstone-parity",
            "carstone-car",
            "carstone-unixfs",
            "carstone-pack",
            "carstone-repair",
        ],
    ),
    ("carstone-store", &["carstone-layer", "carstone-parity", "carstone-car", "carstone-unixfs"]),
    ("carstone-hppr", &[]),
    ("carstone-cli", &["carstone", "carstone-hppr", "carstone-store"]),
];

/// The whole list of what the trait crate may pull in.
const LAYER_DEPENDENCIES: &[&str] = &["blake3", "crc-fast"];

/// The most crates in the default tree of a crate that people take alone, the crate itself included.
const TREE_LIMITS: &[(&str, usize)] = &[("carstone-encrypt", 40), ("carstone-car", 45)];

/// Beginnings of the names of crates that are built for asynchronous code alone.
const ASYNCHRONOUS: &[&str] = &["async-", "futures", "pin-", "smol", "tokio"];

/// Crates that have nothing asynchronous in their default tree, and what the feature after them may add to that.
const NOT_ASYNCHRONOUS: &[(&str, &str, &[&str])] = &[
    ("carstone-car", "futures", &["futures-core", "futures-io", "futures-sink"]),
    (
        "carstone-car",
        "tokio",
        &["futures-core", "futures-io", "futures-sink", "pin-project-lite", "tokio"],
    ),
];

const MAX_LINES: usize = 400;

#[test]
fn crates_depend_only_on_those_below_them() {
    for manifest in manifests() {
        let table = read_toml(&manifest);
        let name = table["package"]["name"].as_str().expect("a package has a name");
        let rule = MAY_USE.iter().find(|(known, _)| *known == name);
        let (_, allowed) = rule.unwrap_or_else(|| panic!("{name} is not in the dependency table"));
        let dependencies = table.get("dependencies").and_then(|value| value.as_table());
        for dependency in dependencies.into_iter().flat_map(|table| table.keys()) {
            let ours = dependency.starts_with("carstone");
            assert!(!ours || allowed.contains(&dependency.as_str()), "{name} uses {dependency}");
            let is_layer = name == "carstone-layer";
            assert!(
                !is_layer || LAYER_DEPENDENCIES.contains(&dependency.as_str()),
                "{name} uses {dependency}"
            );
        }
    }
}

#[test]
fn every_crate_takes_the_workspace_settings() {
    for manifest in manifests() {
        let table = read_toml(&manifest);
        let at = manifest.display();
        assert_eq!(table["lints"]["workspace"].as_bool(), Some(true), "{at}");
        for key in ["version", "edition", "rust-version", "license"] {
            assert_eq!(table["package"][key]["workspace"].as_bool(), Some(true), "{at}: {key}");
        }
        assert!(table["package"].get("description").is_some(), "{at}: description");
        let readme = manifest.with_file_name("README.md");
        assert!(readme.is_file(), "{} is missing", readme.display());
    }
}

#[test]
fn files_are_small_and_say_what_they_are() {
    let mut faults = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(&file).expect("a source file is UTF-8");
        let at = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        if !text.starts_with("//!") {
            faults.push(format!("{at}: does not open with module docs"));
        }
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        let is_test = file.components().any(|part| part.as_os_str() == "tests");
        if lines > MAX_LINES && !is_test && !at.ends_with("tests.rs") {
            faults.push(format!("{at}: {lines} lines before its tests, at most {MAX_LINES}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn trees_of_crates_that_stand_alone_stay_small() {
    for (name, limit) in TREE_LIMITS {
        let crates = tree(name, "");
        assert!(crates.len() <= *limit, "{name} needs {} crates, at most {limit}", crates.len());
    }
}

#[test]
fn asynchronous_crates_are_built_only_where_a_feature_asks_for_them() {
    for (name, feature, added) in NOT_ASYNCHRONOUS {
        let default = names(&tree(name, ""));
        let found = default.iter().find(|name| ASYNCHRONOUS.iter().any(|a| name.starts_with(a)));
        assert_eq!(found, None, "in the default tree of {name}");
        let with = names(&tree(name, feature));
        let more: Vec<_> = with.difference(&default).map(String::as_str).collect();
        assert_eq!(more, *added, "what {feature} adds to {name}");
    }
}

/// Without its feature `fs`, `carstone-car` uses no files, threads or positional reads: what does lies in modules that the feature has.
#[test]
fn carstone_car_uses_files_and_threads_only_where_a_feature_asks_for_them() {
    const WORDS: [&str; 7] =
        ["std::fs", "std::thread", "std::path", "std::os::", "sync::mpsc", "read_at", "tempfile"];
    let folder = root().join("crates/carstone-car/src");
    let inside: Vec<_> = sources().into_iter().filter(|file| file.starts_with(&folder)).collect();
    let mut gated = Vec::new();
    for file in &inside {
        let text = fs::read_to_string(file).expect("a source file is UTF-8");
        let parent = file.parent().expect("a file lies in a folder");
        for item in text.split("#[cfg(feature = \"fs\")]\n").skip(1) {
            if let Some(name) = item.strip_prefix("mod ").and_then(|item| item.split(';').next()) {
                gated.push(parent.join(name));
            }
        }
    }
    assert!(gated.len() > 8, "{gated:?}");
    let mut seen = 0;
    for file in inside {
        let module = file.with_extension("");
        if gated.iter().any(|gated| module.starts_with(gated)) {
            continue;
        }
        seen += 1;
        let text = fs::read_to_string(&file).expect("a source file is UTF-8");
        let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
        // A line behind the feature is as good as a module.
        let mut lines = code.take_while(|line| *line != "#[cfg(test)]").peekable();
        while let Some(line) = lines.next() {
            if line == "#[cfg(feature = \"fs\")]" {
                lines.next();
                continue;
            }
            let word = WORDS.iter().find(|word| line.contains(**word));
            assert!(word.is_none(), "{}: {line}", file.display());
        }
    }
    assert!(seen > 30, "{seen} files");
    let bare = names(&tree_of("carstone-car", &["--no-default-features"]));
    assert!(!bare.contains("tempfile") && !bare.contains("rustix"), "{bare:?}");
}

/// Each row of what other libraries have says what it is called here, and names tests that there are.
#[test]
fn every_row_of_the_table_of_car_libraries_has_its_tests() {
    let readme = root().join("crates/carstone-car/README.md");
    let readme = fs::read_to_string(readme).expect("there is a README");
    let (_, tables) =
        readme.split_once("\n## Beside other libraries and commands\n").expect("tables");
    let tests = tests();
    let rows = tables.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| there"));
    let mut count = 0;
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let named: Vec<_> = cells[2].split('`').filter(|name| name.contains("::")).collect();
        assert!(!named.is_empty() || cells[2].contains("doctest"), "{row}");
        let lost: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
        assert!(lost.is_empty(), "{row}: there is no {lost:?}");
        count += 1;
    }
    assert!(count > 90, "{count} rows");
}

/// What is promised is shown: each test that the page on security names is there.
#[test]
fn every_test_named_in_the_page_on_security_exists() {
    let page = fs::read_to_string(root().join("docs/security.md")).expect("there is a page");
    let tests = tests();
    let named: BTreeSet<_> =
        page.split('`').skip(1).step_by(2).filter(|name| name.contains("::")).collect();
    let lost: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
    assert!(lost.is_empty(), "there is no {lost:#?}");
    assert!(named.len() > 60, "{} tests", named.len());
    // A promise without a test is none.
    let (_, promises) = page.split_once("\n## 2. ").expect("what is promised");
    let promises = promises.split("\n## ").next().unwrap_or_default();
    let rows: Vec<_> = promises.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 8, "{rows:#?}");
    for row in rows {
        assert!(row.contains("::") || row.contains("| section 3."), "{row}");
    }
}

#[test]
fn the_readme_gives_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let ci = fs::read_to_string(root().join(".ci/run")).expect("there is a CI script");
    assert!(readme.contains("\ncargo xtask demo\n"), "the command that runs the main job");
    assert!(readme.contains("\ncargo test --workspace\n"), "the command that runs the tests");
    assert!(ci.contains("\ncargo test --workspace\n"), "CI runs the README's test command");
}

/// All tests, as `file::name`.
fn tests() -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in sources() {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).expect("a source file is UTF-8");
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            match line.strip_prefix("fn ") {
                Some(rest) if is_test => {
                    let name = rest.split('(').next().unwrap_or_default();
                    tests.insert(format!("{stem}::{name}"));
                    is_test = false;
                }
                // Other attributes and comments may stand between.
                _ => is_test = line == "#[test]" || (is_test && line.starts_with(['#', '/'])),
            }
        }
    }
    tests
}

/// The crates that a crate is built of with these features beside the default ones, itself included, with their versions.
fn tree(name: &str, features: &str) -> BTreeSet<String> {
    tree_of(name, &["--features", features])
}

fn tree_of(name: &str, arguments: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", name])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)").to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// The names in a [`tree`].
fn names(tree: &BTreeSet<String>) -> BTreeSet<String> {
    tree.iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn root() -> PathBuf {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.expect("the xtask package has a parent folder").to_owned()
}

fn manifests() -> Vec<PathBuf> {
    let folders = fs::read_dir(root().join("crates")).expect("there are crates");
    let folders = folders.map(|folder| folder.expect("readable").path().join("Cargo.toml"));
    folders.filter(|manifest| manifest.is_file()).collect()
}

fn read_toml(path: &Path) -> toml::Table {
    let text = fs::read_to_string(path).expect("a manifest is readable");
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<_> =
        ["crates", "xtask", "benches", "tests", "fuzz"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).expect("a readable folder") {
            let path = item.expect("a readable folder").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files
}
