//! `create` in other forms: other chunks, dry, and the same bytes each time.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{self, Place, Run, noise, odd_tree, small_tree};

fn create(output: &Path, args: &[&str], paths: &[&Path]) -> Run {
    create_at(None, output, args, paths)
}

/// The same with SOURCE_DATE_EPOCH.
fn create_at(date: Option<&str>, output: &Path, args: &[&str], paths: &[&Path]) -> Run {
    let mut command = support::command(["create", "-q", "-o"]);
    command.arg(output).args(args).args(paths).env_remove("SOURCE_DATE_EPOCH");
    if let Some(date) = date {
        command.env("SOURCE_DATE_EPOCH", date);
    }
    command.output().expect("it runs").into()
}

#[test]
fn packs_take_other_chunks_and_give_the_tree_back() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    // The same content, moved by one byte.
    let big = [b"!", &fs::read(place.path("tree/big.bin")).expect("read")[..]].concat();
    place.write("tree/moved.bin", &big);
    let stored = |name: &str, args: &[&str]| {
        let pack = place.path(name);
        let args = [&["--compress", "none"], args].concat();
        create(&pack, &args, &[&place.path("tree")]).exits(0);
        run!("verify", &pack, "--against", place.path("tree")).exits(0);
        run!("verify", &pack).exits(0);
        let bytes = fs::read(&pack).expect("read");
        pipe!(&bytes, "cat", "-", "moved.bin").exits(0);
        bytes.len()
    };
    let fixed = stored("fixed.cstone", &["--chunker", "fixed:100000"]);
    let moving = stored("moving.cstone", &["--chunker", "fastcdc:32K"]);
    assert!(fixed > 5_000_000 && moving < 3_500_000, "{fixed} {moving}");
}

#[test]
fn what_a_pack_cannot_hold_is_said_before_anything_is_written() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let (pack, tree) = (place.path("x.cstone"), place.path("tree"));
    create(&pack, &["--profile", "unixfs-v0-2015"], &[&tree])
        .exits(2)
        .one_line()
        .says("unixfs-v0-2015")
        .says("--plain");
    create(&pack, &["--profile", "v9"], &[&tree])
        .exits(2)
        .says("[possible values: unixfs-v1-2025, unixfs-v0-2015]");
    for (chunker, text) in [
        ("rabin", "rabin"),
        ("fixed:0", "fixed"),
        ("fixed:9M", ""),
        ("fastcdc:1000", "power of two"),
    ] {
        create(&pack, &["--chunker", chunker], &[&tree]).exits(2).says("--chunker").says(text);
    }
    assert_eq!(place.names(), ["tree"]);
}

#[test]
fn a_dry_run_lists_what_the_pack_would_hold_and_writes_nothing() {
    let place = Place::new();
    let tree = place.path("tree");
    odd_tree(&tree);
    let pack = place.path("x.cstone");
    for args in [&[][..], &["--exclude", "docs/*", "--exclude", "*.bin"]] {
        let before = place.names();
        let dry = create(&pack, &[&["--dry-run"], args].concat(), &[&tree]).exits(0);
        assert_eq!(place.names(), before);
        create(&pack, args, &[&tree]).exits(0);
        assert_eq!(dry.stdout, run!("list", &pack).exits(0).stdout);
        // The output need not be given.
        let mut all: Vec<_> = ["create", "-n", "-q"].map(Into::into).into();
        all.extend(args.iter().map(Into::into));
        all.push(tree.clone().into_os_string());
        assert_eq!(support::run_args(&all, None).exits(0).stdout, dry.stdout);
        fs::remove_file(&pack).expect("removed");
    }
    let run = run!("create", "-n", "--json", "-o", &pack, &tree).exits(0);
    let lines = run.json();
    let (summary, entries) = lines.split_last().expect("a summary");
    assert!(entries.iter().all(|entry| entry["type"] == "entry"));
    let hello = entries.iter().find(|entry| entry["path"] == "hello.txt").expect("listed");
    assert_eq!((&hello["kind"], &hello["size"]), (&"hardlink".into(), &serde_json::Value::Null));
    let guide = entries.iter().find(|entry| entry["path"] == "docs/guide.md").expect("listed");
    assert_eq!((&guide["kind"], &guide["size"]), (&"file".into(), &800.into()));
    let real = run!("create", "--json", "-o", &pack, &tree).exits(0).json().remove(0);
    for key in ["type", "files", "directories", "symlinks", "hard_links", "bytes", "problems"] {
        assert_eq!(summary[key], real[key], "{key}");
    }
    assert_eq!(summary["dry_run"], true);
}

#[test]
fn a_dry_run_tells_what_the_real_run_would_tell() {
    let place = Place::new();
    let tree = place.path("tree");
    small_tree(&tree);
    let _socket = UnixListener::bind(tree.join("socket")).expect("bound");
    place.write("tree/x.cstone", b"an older pack");
    let pack = tree.join("x.cstone");
    create(&pack, &["-n"], &[&tree]).exits(2).one_line().says("--force");
    let missing = place.path("missing");
    let both = |args: &[&str]| {
        let dry = create(&pack, &[args, &["-n"]].concat(), &[&tree, &missing]).exits(1);
        let real = create(&pack, args, &[&tree, &missing]).exits(1);
        assert_eq!(dry.stderr, real.stderr);
        dry
    };
    let dry = both(&["--force"]).says("socket").says("missing");
    assert!(!dry.text().contains("x.cstone") && !dry.text().contains("socket"));
    for below in ["gone/x.cstone", "tree/hello.txt/x.cstone"] {
        let dry = create(&place.path(below), &["-n"], &[&tree]).exits(2).one_line().says(below);
        assert_eq!(dry.stderr, create(&place.path(below), &[], &[&tree]).exits(2).stderr);
        assert!(dry.stdout.is_empty());
    }
    let only = place.path("only");
    create(&pack, &["-n", "--force"], &[&only]).exits(2).one_line().says("nothing is packed");
    // Keys are checked, and no passphrase is asked for.
    create(&place.path("y"), &["-n", "-p"], &[&tree]).exits(1).one_line().says("socket");
    for wrong in [["-R", "nowhere"], ["-r", "nobody"], ["--passphrase-file", "nowhere"]] {
        let told = |more: &[&str]| {
            create(&place.path("y"), &[&wrong, more].concat(), &[&tree]).exits(2).one_line().stderr
        };
        assert_eq!(told(&["-n"]), told(&[]));
    }
    // What cannot go together still cannot.
    create(&place.path("y.car"), &["-n", "-R", "nowhere"], &[&tree]).exits(2).says("encrypted");
    run!("create", "-n", "--stdin-name", "a").exits(2).says("cannot be used with");
    run!("create", "-n").exits(2).says("nothing to pack");
    run!("create", &tree).exits(2).says("--output");
}

#[test]
fn a_dry_run_knows_files_that_cannot_be_read() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let secret = place.write("tree/secret", b"x");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("set");
    if fs::File::open(&secret).is_ok() {
        eprintln!("everything can be read here: not tested");
        return;
    }
    let run = create(&place.path("x.cstone"), &["-n"], &[&place.path("tree")]).exits(1).one_line();
    assert!(!run.says("secret: cannot read").text().contains("secret"));
}

#[test]
fn a_dry_run_for_a_plain_car_tells_of_names_that_it_cannot_hold() {
    let place = Place::new();
    odd_tree(&place.path("tree"));
    for args in [&["--plain"][..], &[]] {
        let output = place.path(if args.is_empty() { "x.car" } else { "x" });
        let args = [args, &["-n"]].concat();
        let run = create(&output, &args, &[&place.path("tree")]).exits(1).says("not UTF-8");
        assert_eq!(run.stderr.lines().count(), 1);
    }
}

/// Names and contents of [`odd_tree`], made in another order, with other modes, times and links.
fn same_tree(root: &Path, other: bool) {
    let mut names: Vec<usize> = (0..30).collect();
    if other {
        names.reverse();
    }
    for n in names {
        let path = root.join(format!("d{}/f{n}.{}", n % 4, n % 3));
        fs::create_dir_all(path.parent().expect("below")).expect("made");
        fs::write(path, noise(n * 900, n as u64 % 25)).expect("written");
    }
    fs::write(root.join("big"), noise(2_500_000, 3)).expect("written");
    match other {
        true => fs::hard_link(root.join("big"), root.join("d0/big")).expect("linked"),
        false => fs::write(root.join("d0/big"), noise(2_500_000, 3)).expect("written"),
    }
    symlink("big", root.join("link")).expect("linked");
    fs::write(root.join("tool"), "#!/bin/sh\n").expect("written");
    let mode = |name: &str, mode| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).expect("set");
    };
    mode("tool", if other { 0o700 } else { 0o755 });
    if other {
        mode("d1", 0o700);
        mode("d1/f1.1", 0o600);
        let _ = xattr::set(root.join("tool"), "user.note", b"here only");
        // Only root may give files away; then both trees have one owner.
        let _ = std::os::unix::fs::chown(root.join("big"), Some(1234), Some(1234));
    }
    for name in ["tool", "d2", "d3/f3.0"] {
        let time = UNIX_EPOCH + Duration::from_secs(if other { 77 } else { 1_900_000_000 });
        fs::File::open(root.join(name)).and_then(|file| file.set_modified(time)).expect("set");
    }
}

#[test]
fn equal_trees_give_equal_bytes() {
    let place = Place::new();
    let (one, two) = (place.path("one"), place.path("two"));
    same_tree(&one, false);
    same_tree(&two, true);
    let pack = |tree: &PathBuf, date: Option<&str>, args: &[&str]| {
        let output = place.path("x.cstone");
        let args = [&["--reproducible", "--force"], args].concat();
        create_at(date, &output, &args, &[tree]).exits(0);
        run!("verify", &output).exits(0);
        fs::read(output).expect("read")
    };
    let first = pack(&one, None, &["--threads", "1"]);
    assert!(first == pack(&two, None, &["--threads", "2"]));
    assert!(first == pack(&two, None, &["--threads", "3"]));
    let id = |pack: &[u8]| pack[32..48].to_vec();
    // Whatever changes the bytes changes the id.
    let mut ids = vec![id(&first)];
    for args in [
        &["--compress", "brotli:1"][..],
        &["--compress", "none"],
        &["--block-size", "1M"],
        &["--chunker", "fastcdc:64K"],
        &["--order", "path"],
    ] {
        ids.push(id(&pack(&one, None, args)));
    }
    let dated = pack(&one, Some("1700000000"), &[]);
    assert!(dated == pack(&two, Some("1700000000"), &[]));
    ids.push(id(&dated));
    fs::write(one.join("tool"), "#!/bin/sh\nexit\n").expect("written");
    ids.push(id(&pack(&one, None, &[])));
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
    // Without the option the id is drawn.
    create(&place.path("y"), &[], &[&two]).exits(0);
    create(&place.path("z"), &[], &[&two]).exits(0);
    let read = |name: &str| fs::read(place.path(name)).expect("read");
    assert_ne!(id(&read("y")), id(&read("z")));
}

#[test]
fn metadata_is_that_of_nobody() {
    let place = Place::new();
    same_tree(&place.path("tree"), true);
    let pack = place.path("x.cstone");
    let listed = |date: Option<&str>| {
        let args = ["--reproducible", "--force"];
        create_at(date, &pack, &args, &[&place.path("tree")]).exits(0);
        run!("list", "--json", &pack).exits(0).json()
    };
    for entry in listed(None) {
        let expected = match entry["kind"].as_str() {
            Some("symlink") => "0777",
            Some("file") if entry["path"] != "tool" => "0644",
            _ => "0755",
        };
        assert_eq!(entry["mode"], expected, "{entry}");
        assert!(entry.get("mtime").is_none() && entry["kind"] != "hardlink", "{entry}");
    }
    for entry in listed(Some("1700000000")) {
        assert_eq!(entry["mtime"], "2023-11-14T22:13:20.000000000Z");
    }
    for bad in ["", "yesterday", "-1"] {
        create_at(Some(bad), &place.path("y"), &["--reproducible"], &[&place.path("tree")])
            .exits(2)
            .one_line()
            .says("SOURCE_DATE_EPOCH");
    }
    // Without the option nobody looks at it.
    create_at(Some("bad"), &place.path("y"), &[], &[&place.path("tree")]).exits(0);
}

#[test]
fn an_encrypted_pack_is_not_reproducible() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let public = place.key("key");
    create(&place.path("x"), &["--reproducible", "-r", &public], &[&place.path("tree")])
        .exits(2)
        .one_line()
        .says("an encrypted pack cannot be reproducible");
    assert_eq!(place.names(), ["key", "tree"]);
}

#[test]
fn plain_cars_are_reproducible_anyway() {
    let place = Place::new();
    same_tree(&place.path("one"), false);
    same_tree(&place.path("two"), true);
    let car = |tree: &str, args: &[&str]| {
        let output = place.path("x.car");
        create(&output, &[&["--force"], args].concat(), &[&place.path(tree)]).exits(0);
        fs::read(output).expect("read")
    };
    let first = car("one", &["--reproducible", "--threads", "1"]);
    assert!(first == car("two", &["--reproducible", "--threads", "3"]));
    assert!(first == car("two", &[]));
}

#[test]
fn standard_input_is_kept_for_both_passes() {
    let place = Place::new();
    let content = noise(3_000_001, 11);
    let pack = |name: &str| {
        let output = place.path(name);
        pipe!(&content, "create", "-o", &output, "--reproducible", "--stdin-name", "dump").exits(0);
        assert!(run!("cat", &output, "dump").exits(0).stdout == content);
        fs::read(output).expect("read")
    };
    assert!(pack("x.cstone") == pack("y.cstone"));
    let piped = pipe!(&content, "create", "-o", "-", "--reproducible", "--stdin-name", "dump");
    assert!(piped.exits(0).stdout == pack("z.cstone"));
}

#[test]
fn what_changes_between_the_passes_is_not_written() {
    // A file with other content each time.
    let uuid = Path::new("/proc/sys/kernel/random/uuid");
    if !uuid.exists() {
        eprintln!("no file changes by itself here: not tested");
        return;
    }
    let place = Place::new();
    create(&place.path("x.cstone"), &["--reproducible"], &[uuid])
        .exits(2)
        .one_line()
        .says("changed between its two passes");
    assert_eq!(place.names(), [] as [&str; 0]);
    let piped = create(Path::new("-"), &["--reproducible"], &[uuid]).exits(2);
    pipe!(&piped.stdout, "extract", "-C", place.path("out"), "-").says("cut off");
}
