//! What `carstone hppr` takes and refuses, and what it says then.

use std::fs;

use crate::support::{Place, command, noise};

/// A place with a repository in it.
fn place() -> (Place, String) {
    let place = Place::new();
    let repo = repository(&place, "repo");
    (place, repo)
}

fn repository(place: &Place, name: &str) -> String {
    let repo = place.path(name).to_str().expect("text").to_owned();
    run!("hppr", "--repo", &repo, "init").exits(0);
    repo
}

#[test]
fn headers_are_said_not_to_be_verified() {
    let (place, repo) = place();
    pipe!(b"data", "hppr", "--repo", &repo, "add", "-H", "Kind: note", "//g/a/l").exits(0);
    let thin = fs::read_dir(place.path("repo/hash/P")).expect("listed").next().expect("one");
    let thin = fs::read_dir(thin.expect("an entry").path()).expect("listed").next().expect("one");
    let thin = thin.expect("an entry").path();
    let text = fs::read_to_string(&thin).expect("text").replace("Kind: note", "Kind: nota");
    fs::write(thin, text).expect("written");
    let shown = run!("hppr", "--repo", &repo, "headers", "//g/a/l").exits(0);
    assert!(shown.text().contains("Kind: nota\n"));
    shown.says("nothing of these headers is verified");
    let quiet = run!("hppr", "--repo", &repo, "--quiet", "headers", "//g/a/l").exits(0);
    assert_eq!(quiet.stderr, "");
    run!("hppr", "--repo", &repo, "get", "//g/a/l").exits(2).says("hash");
}

#[test]
fn an_export_that_ends_at_a_packet_says_how_to_go_on() {
    let (place, repo) = place();
    pipe!(&noise(1000, 1), "hppr", "--repo", &repo, "add", "//g/a/l").exits(0);
    let mut path = place.path("repo/hash/P");
    while path.is_dir() {
        let entry = fs::read_dir(&path).expect("listed").next().expect("one");
        path = entry.expect("an entry").path();
    }
    let thin = fs::read(&path).expect("read");
    let mut other = thin.clone();
    other[8] ^= 1;
    for bytes in [Some(&thin[..thin.len() - 9]), Some(&other), Some(b""), None] {
        fs::remove_file(&path).expect("removed");
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).expect("written");
        }
        run!("hppr", "--repo", &repo, "export").exits(2).says("--skip-damaged leaves");
        let left = run!("hppr", "--repo", &repo, "export", "--skip-damaged").exits(1);
        left.says("0 packets, 0 bytes").says("1 packet is damaged");
        fs::write(&path, &thin).expect("written");
    }
    run!("hppr", "--repo", &repo, "check").exits(0).text().starts_with("sound: 2 packets, ");
    // Of what is no packet nothing is left out.
    let full = run!("hppr", "--repo", &repo, "export", "-o", "/dev/full", "--force");
    assert!(!full.exits(2).stderr.contains("--skip-damaged"));
}

#[test]
fn an_empty_variable_names_no_repository() {
    let (place, repo) = place();
    let list = |value: &str, arguments: &[&str]| {
        let mut command = command([&["hppr"], arguments].concat());
        command.current_dir(place.dir.path()).env("CARSTONE_HPPR", value);
        crate::support::Run::from(command.output().expect("it runs"))
    };
    list(&repo, &["ls"]).exits(0);
    list("", &["ls"]).exits(2).says("hppr: it is no repository");
    list("", &["init"]).exits(0);
    list("", &["ls"]).exits(0);
    assert!(place.path("hppr/index").is_dir());
    list("", &["--repo", "", "ls"]).exits(2).says("a value is required");
}
