//! `carstone store` with names, files and disks that are out of the ordinary.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::{Place, command, noise, small_tree};

fn place() -> (Place, String) {
    let place = Place::new();
    let store = place.path("store").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "init").exits(0);
    (place, store)
}

#[test]
fn only_what_lies_in_the_directory_itself_is_indexed_there() {
    let (place, store) = place();
    place.write("outside", b"secret");
    place.write("files/below/one", b"one");
    let files = place.path("files");
    symlink(place.path("outside"), files.join("link")).expect("linked");
    symlink("below/one", files.join("inner")).expect("linked");
    symlink("/", files.join("tree")).expect("linked");
    assert!(Command::new("mkfifo").arg(files.join("fifo")).status().expect("runs").success());
    let told = run!("store", "--store", &store, "index", "place", &files).exits(0);
    let told = told.says("link: is a link, and is left out").says("tree: is a link");
    let told = told.says("fifo: is no file").says("inner: is a link");
    let lines = told.lines();
    assert!(lines.len() == 1 && lines[0].ends_with(" below/one"), "{lines:?}");
    // A name that is no text cannot stand in the index.
    fs::write(files.join(OsStr::from_bytes(b"odd\xff")), b"odd").expect("written");
    let told = run!("store", "--store", &store, "index", "place", &files).exits(1);
    assert_eq!(told.says("odd\\xff: left out: its name is no text").lines(), lines);
}

#[test]
fn a_url_of_another_kind_makes_no_directory() {
    let place = Place::new();
    let at = |args: &[&str]| {
        let mut command = command(args);
        crate::support::Run::from(command.current_dir(place.dir.path()).output().expect("runs"))
    };
    for args in
        [&["store", "--store", "ftp://x/y", "init"][..], &["store", "--store", "ftp://x/y", "ls"]]
    {
        at(args).exits(2).says("ftp://x/y").says("s3://").says("file:///");
    }
    at(&["store", "--store", "file://host/y", "init"]).exits(2).says("with a host");
    let url = format!("file://{}", place.path("store").display());
    at(&["store", "--store", &url, "init"]).exits(0);
    let file = place.write("file", b"content");
    let file = file.to_str().expect("text");
    let root = at(&["store", "--store", &url, "put", file]).exits(0).lines().remove(0);
    assert_eq!(at(&["store", "--store", "store", "cat", &root]).exits(0).text(), "content");
    let records = format!("file://{}", place.path("records").display());
    let export = ["store", "--store", &url, "index", "export", "--as", "records", "-o", &records];
    at(&export).exits(0);
    at(&["store", "--store", &url, "index", "import", &records]).exits(0);
    assert_eq!(place.names(), ["file", "records", "store"]);
}

#[test]
fn programs_are_told_what_people_are() {
    let (place, store) = place();
    let json = |args: &[&str]| {
        let mut all = vec!["store", "--store", &store, "--json"];
        all.extend(args);
        crate::support::Run::from(command(all).output().expect("it runs")).exits(0).json()
    };
    assert_eq!(json(&["init"])[0]["store"], store.as_str());
    let file = place.write("file", &noise(100_000, 1));
    let put = json(&["put", file.to_str().expect("text")]);
    let root = put[0]["root"].as_str().expect("a root").to_owned();
    let told = json(&["index", "compact"]);
    assert_eq!((&told[0]["type"], &told[0]["segments"]), (&"summary".into(), &1.into()));
    let told = json(&["heal"]);
    assert_eq!((&told[0]["type"], &told[0]["packs"]), (&"summary".into(), &0.into()));
    let told = json(&["rm", &root]);
    assert_eq!((&told[0]["root"], &told[0]["records"]), (&root.as_str().into(), &1.into()));
    let gc = ["gc", "--grace", "0", "--no-roots"];
    let told = json(&[&gc[..], &["-n"]].concat());
    assert_eq!((&told[0]["type"], &told[1]["dry_run"]), (&"would_remove".into(), &true.into()));
    assert_eq!((&told[1]["type"], &told[1]["packs"]), (&"summary".into(), &1.into()));
    assert_eq!(fs::read_dir(place.path("store/packs")).expect("there").count(), 1);
    let told = json(&gc);
    assert_eq!((&told[0]["type"], &told[1]["dry_run"]), (&"removed".into(), &false.into()));
    assert_eq!((&told[1]["packs"], &told[1]["young"]), (&1.into(), &0.into()));
    assert!(told[1]["bytes"].as_u64().is_some_and(|bytes| bytes > 100_000));
}

#[test]
fn a_name_that_is_no_text_is_told_whole() {
    let (place, store) = place();
    let file = place.dir.path().join(OsStr::from_bytes(b"odd\xff"));
    fs::write(&file, b"odd").expect("written");
    let put = run!("store", "--store", &store, "--json", "put", &file).exits(0).json();
    let raw = run!("store", "--store", &store, "--json", "put", "--raw", &file).exits(0).json();
    let encoded = put[0]["path_base64"].as_str().expect("its bytes");
    assert!(
        encoded.len() > file.as_os_str().len() && put[0]["path_base64"] == raw[0]["path_base64"]
    );
}

#[test]
fn one_path_that_cannot_be_read_keeps_no_other_from_being_put() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    let (a, b) = (place.write("a", b"a"), place.write("b", b"b"));
    let nope = place.path("nope");
    let tree = place.path("tree");
    let put = run!("store", "--store", &store, "put", &b, &nope, &tree, &a).exits(1);
    let roots = put.says("nope: cannot open").lines();
    assert_eq!(roots.len(), 3);
    assert_eq!(run!("store", "--store", &store, "cat", &roots[2]).exits(0).text(), "a");
    let raw = run!("store", "--store", &store, "--json", "put", "--raw", &tree, &a).exits(1).json();
    assert_eq!((&raw[0]["type"], &raw[1]["type"]), (&"problem".into(), &"put".into()));
    // One that opens, and then fails.
    let put = run!("store", "--store", &store, "put", "/proc/self/mem", &a).exits(1);
    assert_eq!(put.says("/proc/self/mem").lines(), roots[2..]);
    // Where nothing is put at all, that could not be done.
    run!("store", "--store", &store, "put", &nope, &nope).exits(2).says("nothing is put");
    run!("store", "--store", &store, "put", &nope).exits(2).one_line().says("nope: cannot open");
    // A store that takes no more is no fault of a path.
    let big = place.write("big", &noise(2_000_000, 3));
    let put = run!("store", "--store", &store, "put", "--pack-size", "1M", &big, &a).exits(2);
    assert!(put.says("fits into no pack").lines().is_empty());
}

/// `/dev/full` is a disk without room.
#[test]
fn an_output_that_takes_nothing_is_named() {
    let (place, store) = place();
    let file = place.write("file", &noise(100_000, 1));
    let root = run!("store", "--store", &store, "put", &file).exits(0).lines().remove(0);
    for what in ["get", "dump"] {
        let told = run!("store", "--store", &store, what, &root, "-o", "/dev/full").exits(2);
        let told = told.one_line().says("/dev/full").says("No space left");
        assert!(!told.stderr.contains(&root), "{}", told.stderr);
    }
    let full = fs::File::options().write(true).open("/dev/full").expect("opened");
    let mut cat = command(["store", "--store", &store, "cat", &root]);
    let told = crate::support::Run::from(cat.stdout(full).output().expect("it runs")).exits(2);
    assert!(!told.one_line().says("standard output").stderr.contains(&root));
}

#[test]
fn where_a_tree_goes_first_is_told() {
    let help = run!("store", "put", "--help").exits(0).text();
    assert!(help.contains("$TMPDIR"), "{help}");
}
