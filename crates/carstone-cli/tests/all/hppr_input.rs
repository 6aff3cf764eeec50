//! What `carstone hppr` takes and refuses, and what it says then.

use std::fs;

use carstone_hppr::{Blob, Coordinate, Packet, Plex, Tai};

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

fn plex(app: &str) -> Vec<u8> {
    let coordinate = Coordinate::new("g", app, "l").expect("a coordinate");
    let blob = Blob::new("data").expect("a Blob");
    let tai = Tai::new(1_640_995_200, 0).expect("a time");
    Packet::from(Plex::new(coordinate, tai, Vec::new(), blob).expect("a Plex")).encode()
}

/// A Plex whose extra headers are in order by their names alone.
const BY_NAME: &str = "\
\u{1f5a7}: P.vR4MEH337lYtHSgXrqkK_SqBt~oUF2xm6x_YJlIU5ZK.H3
Group: g
App: a
Location: l
TAI: 1640995200:000000000
A: 2
A: 1
\u{1f5a7}: B.1~28V2siN6f3tioXnVD8xMwee0Xs6Gf8TTXWtvPWtEK.H3
Data-Length: 4

data";

#[test]
fn what_was_stored_by_name_goes_into_another_repository() {
    let (place, repo) = place();
    let packet = BY_NAME.as_bytes();
    pipe!(packet, "hppr", "--repo", &repo, "store").exits(2).says("--by-name");
    pipe!(packet, "hppr", "--repo", &repo, "store", "--by-name").exits(0);
    for form in [&[][..], &["--car"]] {
        let run = |repo: &str, arguments: &[&str], input: Option<&[u8]>| {
            let all = [&["hppr", "--repo", repo], arguments, form].concat();
            let all: Vec<_> = all.into_iter().map(Into::into).collect();
            crate::support::run_args(&all, input)
        };
        let exported = run(&repo, &["export"], None).exits(0).says("1 packet, ").stdout;
        let other = repository(&place, &format!("other{}", form.len()));
        run(&other, &["import"], Some(&exported)).exits(2).says("--by-name takes").says("byte ");
        run(&other, &["import", "--by-name"], Some(&exported)).exits(0).says("1 packet\n");
        assert_eq!(run!("hppr", "--repo", &other, "get", "//g/a/l").exits(0).stdout, packet);
    }
    // What does not help is not named.
    let descending = BY_NAME.replace("A: 2\n", "B: 2\n");
    let refused = pipe!(descending.as_bytes(), "hppr", "--repo", &repo, "import", "--by-name");
    assert!(!refused.exits(2).says("the extra header is to be").stderr.contains("--by-name"));
}

#[test]
fn a_command_is_refused_at_its_byte() {
    let (place, repo) = place();
    let good = plex("a");
    let stream = [&good[..], &plex("\u{1f5a7}get")].concat();
    let file = place.write("stream", &stream);
    for what in ["store", "import"] {
        let said = format!("stream: byte {}: it is a command", good.len());
        run!("hppr", "--repo", &repo, what, &file).exits(2).says(&said);
        run!("hppr", "--repo", &repo, "get", "//g/a/l").exits(0);
    }
}

#[test]
fn a_header_that_cannot_be_given_is_named() {
    let (_place, repo) = place();
    let added = pipe!(b"", "hppr", "--repo", &repo, "add", "-H", "A: x", "-H", "TAI: y", "//g/a/l");
    added.exits(2).says("TAI: y").says("no extra header may have this name");
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
fn standard_input_is_given_once() {
    let (place, repo) = place();
    let key = run!("hppr", "keygen").exits(0).stdout;
    for arguments in [
        &["add", "-k", "-", "//g/a/l", "-"][..],
        &["add", "-k", "-", "//g/a/l"],
        &["store", "-", "-"],
        &["import", "-", "-"],
    ] {
        let all = [&["hppr", "--repo", &repo], arguments].concat();
        let all: Vec<_> = all.into_iter().map(Into::into).collect();
        let refused = crate::support::run_args(&all, Some(&key)).exits(2);
        refused.says("standard input (-) can be given once only");
    }
    assert_eq!(run!("hppr", "--repo", &repo, "ls").exits(0).text(), "");
    // The key alone may come from it.
    let file = place.write("data", b"data");
    let added = pipe!(&key, "hppr", "--repo", &repo, "add", "-k", "-", "//g/a/l", &file);
    assert_eq!(added.exits(0).lines().len(), 3);
}

#[test]
fn an_input_without_a_packet_is_no_packet_to_store() {
    let (place, repo) = place();
    pipe!(b"", "hppr", "--repo", &repo, "store").exits(2).says("standard input: is empty");
    pipe!(b"", "hppr", "--repo", &repo, "store", "--trailer").exits(2);
    let empty = place.write("empty", b"");
    let good = place.write("good", &plex("a"));
    run!("hppr", "--repo", &repo, "store", good, empty).exits(2).says("empty: is empty");
    // Nothing is what a repository without packets exports.
    pipe!(b"", "hppr", "--repo", &repo, "import").exits(0).says("0 packets");
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
