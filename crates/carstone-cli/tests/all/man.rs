//! Pages of the manual, as `man` would show them.

use std::fs;
use std::process::Command;

use crate::support::Place;

#[test]
fn every_command_has_a_page() {
    let place = Place::new();
    run!("man", "--out", place.path("man/man1")).exits(0);
    let mut pages: Vec<String> = fs::read_dir(place.path("man/man1"))
        .expect("it was made")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    // Those of commands below another one.
    assert!(pages.contains(&"carstone-car-filter.1".to_owned()), "{pages:?}");
    let above = ["carstone-car-", "carstone-hppr-", "carstone-store-"];
    let is_below = |page: &str| above.iter().any(|above| page.starts_with(above));
    pages.retain(|page| !is_below(page));
    pages.sort();
    let help = run!("--help").exits(0).text();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = commands.map_while(|line| line.strip_prefix("  ")?.split(' ').next());
    let mut expected: Vec<String> = names
        .filter(|name| !name.is_empty() && *name != "help")
        .map(|name| format!("carstone-{name}.1"))
        .collect();
    expected.push("carstone.1".to_owned());
    expected.sort();
    assert!(expected.len() > 8, "{expected:?}");
    assert_eq!(pages, expected);
    // Pages that are there are replaced, and something in the way is told.
    run!("man", "--out", place.path("man/man1")).exits(0);
    run!("man", "--out", place.write("file", b"")).exits(2).one_line().says("file");
}

/// Reads every page as a formatter does, with all its warnings.
#[track_caller]
fn judge(program: &str, args: &[&str]) {
    let place = Place::new();
    run!("man", "-q", "--out", place.path("man")).exits(0);
    for page in fs::read_dir(place.path("man")).expect("it was made") {
        let page = page.expect("an entry").path();
        let Ok(output) = Command::new(program).args(args).arg(&page).output() else {
            eprintln!("{program} is not installed: not tested");
            return;
        };
        let told = [&output.stdout[..], &output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(output.status.success() && told.is_empty(), "{}: {told}", page.display());
    }
}

#[test]
fn groff_has_nothing_to_warn_of() {
    judge("groff", &["-man", "-Tutf8", "-ww", "-z"]);
}

#[test]
fn mandoc_finds_no_error() {
    judge("mandoc", &["-T", "lint", "-W", "error"]);
}
