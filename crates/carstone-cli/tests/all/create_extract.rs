//! What `create` packs, `extract` restores.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::support::{self, Place, look, noise, odd_tree, same_trees, small_tree};

#[track_caller]
fn check(create: &[&str], extract: &[&str]) {
    let place = Place::new();
    odd_tree(&place.path("tree"));
    let pack = place.path("x.cstone");
    let mut args = vec!["create".into(), "-o".into(), pack.clone().into_os_string()];
    args.extend(create.iter().map(Into::into));
    args.push(place.path("tree").into());
    let created = support::run_args(&args, None).exits(0);
    assert!(created.text().starts_with("root bafy"), "{}", created.text());
    let mut args = vec!["extract".into(), "-C".into(), place.path("out").into_os_string()];
    args.extend(extract.iter().map(Into::into));
    args.push("--same-permissions".into());
    args.push(pack.clone().into());
    support::run_args(&args, None).exits(0);
    same_trees(&place.path("tree"), &place.path("out"));
    run!("verify", &pack).exits(0);
    run!("verify", &pack, "--against", place.path("tree")).exits(0);
}

#[test]
fn a_tree_comes_back_identical() {
    check(&[], &[]);
}

#[test]
fn every_codec_order_and_number_of_threads_gives_the_tree_back() {
    check(&["--compress", "zstd:1", "--order", "path", "--threads", "4"], &["--threads", "1"]);
    check(&["--compress", "none", "--order", "given", "--threads", "1"], &["--threads", "4"]);
    check(&["--compress", "brotli:1", "--block-size", "64K"], &["--threads", "2"]);
}

#[test]
fn two_recipients_can_each_open_it_in_a_file_and_through_a_pipe() {
    let place = Place::new();
    odd_tree(&place.path("tree"));
    let (alice, bob) = (place.key("alice"), place.key("bob"));
    let readers = place.write("readers", format!("# bob\n{bob}\n").as_bytes());
    let made = run!("create", "-o", "-", "-r", alice, "-R", readers, place.path("tree")).exits(0);
    for (name, key) in [("out1", "alice"), ("out2", "bob")] {
        let out = place.path(name);
        pipe!(
            &made.stdout,
            "extract",
            "--same-permissions",
            "-C",
            &out,
            "-i",
            place.path(key),
            "-"
        )
        .exits(0);
        same_trees(&place.path("tree"), &out);
    }
    let pack = place.write("x.cstone", &made.stdout);
    let out = place.path("out3");
    run!("extract", "--same-permissions", "-C", &out, "-i", place.path("bob"), pack).exits(0);
    same_trees(&place.path("tree"), &out);
}

#[test]
fn patterns_choose_and_those_that_match_nothing_are_an_error() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    let out = place.path("out");
    run!("extract", "-C", &out, &pack, "docs/*.md").exits(0);
    assert_eq!(look(&out).into_keys().collect::<Vec<_>>(), [&b""[..], b"docs", b"docs/guide.md"]);
    run!("extract", "-C", place.path("out2"), &pack, "hello.txt", "nothing*")
        .exits(2)
        .says("nothing*");
    let bytes = fs::read(&pack).expect("read");
    pipe!(&bytes, "extract", "-C", place.path("out3"), "-", "docs").exits(0);
    assert!(
        place.path("out3/docs/deep/note.md").exists() && !place.path("out3/hello.txt").exists()
    );
    pipe!(&bytes, "extract", "-C", place.path("out4"), "-", "nothing").exits(2).says("nothing");
}

#[test]
fn a_duplicate_of_what_was_filtered_out_comes_through_a_pipe() {
    let place = Place::new();
    for name in ["a", "b"] {
        place.write(&format!("tree/{name}/data.bin"), &noise(1_500_000, 3));
        place.write(&format!("tree/{name}/small"), b"small");
    }
    let made = run!("create", "-o", "-", place.path("tree")).exits(0);
    pipe!(&made.stdout, "extract", "-C", place.path("out"), "-", "b").exits(0);
    assert_eq!(fs::read(place.path("out/b/data.bin")).expect("read"), noise(1_500_000, 3));
    assert_eq!(fs::read(place.path("out/b/small")).expect("read"), b"small");
    assert!(!place.path("out/a").exists());
}

#[test]
fn existing_files_stay_unless_asked_otherwise() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    place.write("out/hello.txt", b"mine");
    let run = run!("extract", "-C", place.path("out"), &pack).exits(1);
    let run = run.says("hello.txt: exists already");
    assert!(!run.stderr.contains("guide.md"));
    assert_eq!(fs::read(place.path("out/hello.txt")).expect("read"), b"mine");
    run!("extract", "--overwrite", "if-newer", "-C", place.path("out"), &pack).exits(0);
    assert_eq!(fs::read(place.path("out/hello.txt")).expect("read"), b"mine");
    run!("extract", "--overwrite", "always", "-C", place.path("out"), &pack).exits(0);
    assert_eq!(fs::read(place.path("out/hello.txt")).expect("read"), b"hello\n");
}

#[test]
fn leading_components_are_cut_off() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    run!("extract", "--strip-components", "1", "-C", place.path("out"), &pack).exits(0);
    assert!(place.path("out/deep/note.md").exists() && !place.path("out/hello.txt").exists());
}

#[test]
fn dangerous_mode_bits_come_back_only_when_asked_for() {
    let place = Place::new();
    let path = place.write("tree/tool", b"#!/bin/sh\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4755)).expect("set");
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, place.path("tree")).exits(0);
    let mode = |dir: &str| {
        fs::metadata(place.path(dir).join("tool")).expect("there").permissions().mode() & 0o7777
    };
    run!("extract", "-C", place.path("out1"), &pack).exits(0);
    assert_eq!(mode("out1") & 0o7000, 0);
    run!("extract", "--same-permissions", "-C", place.path("out2"), &pack).exits(0);
    assert_eq!(mode("out2"), 0o4755);
}

#[test]
fn nothing_is_written_through_a_symlink_that_stands_in_the_way() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    fs::create_dir_all(place.path("outside")).expect("made");
    fs::create_dir_all(place.path("out")).expect("made");
    symlink(place.path("outside"), place.path("out/docs")).expect("linked");
    run!("extract", "-C", place.path("out"), &pack).exits(1).says("docs");
    assert_eq!(fs::read_dir(place.path("outside")).expect("listed").count(), 0);
}

#[test]
fn an_existing_output_is_refused_without_force() {
    let place = Place::new();
    let pack = place.write("x.cstone", b"precious");
    small_tree(&place.path("tree"));
    run!("create", "-o", &pack, place.path("tree")).exits(2).one_line().says("--force");
    assert_eq!(fs::read(&pack).expect("read"), b"precious");
    run!("create", "--force", "-o", &pack, place.path("tree")).exits(0);
    run!("verify", &pack).exits(0);
    assert_eq!(place.names(), ["tree", "x.cstone"]);
}

#[test]
fn the_output_is_never_packed() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let pack = place.path("tree/x.cstone");
    run!("create", "-o", &pack, place.path("tree")).exits(0);
    assert!(!run!("list", &pack).exits(0).text().contains("cstone"));
    run!("create", "--force", "-o", &pack, place.path("tree")).exits(0);
    assert!(!run!("list", &pack).exits(0).text().contains("cstone"));
}

#[test]
fn several_paths_stand_under_their_names() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    place.write("other/file", b"x");
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, "-C", place.dir.path(), "tree/docs", "other").exits(0);
    let lines = run!("list", &pack).exits(0).lines();
    for name in ["other/file", "tree/docs/guide.md"] {
        assert!(lines.iter().any(|line| line == name), "{lines:?}");
    }
    run!("create", "-o", place.path("y.cstone"), "-C", place.path("tree"), "../other", "docs")
        .exits(2);
    assert!(!place.path("y.cstone").exists());
}

#[test]
fn lists_of_names_are_read_from_files_and_from_a_pipe() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    place.write("tree/new\nline", b"x");
    let pack = place.path("x.cstone");
    let tree = place.path("tree");
    pipe!(b"hello.txt\0new\nline\0", "create", "-o", &pack, "-C", &tree, "-T", "-", "--null")
        .exits(0);
    let listed = run!("list", "-0", &pack).exits(0);
    assert!(listed.text().contains("hello.txt\0new\nline\0"), "{:?}", listed.text());
    let list = place.write("list", b"docs\n");
    let pack = place.path("y.cstone");
    run!("create", "-o", &pack, "-C", &tree, "-T", list, "--no-recursion").exits(0);
    assert_eq!(run!("list", &pack).exits(0).lines().last().map(String::as_str), Some("docs"));
}

#[test]
fn what_is_excluded_is_left_out() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let list = place.write("excludes", b"docs/deep\n\nnothing*\n");
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, "--exclude", "*.bin", "--exclude-from", list, place.path("tree"))
        .exits(0);
    assert_eq!(run!("list", &pack).exits(0).lines(), [".", "docs", "docs/guide.md", "hello.txt"]);
    run!("create", "-o", place.path("y.cstone"), "--exclude", "a{b", place.path("tree")).exits(2);
}

#[test]
fn standard_input_becomes_a_file() {
    let place = Place::new();
    let content = noise(3_000_001, 11);
    let pack = place.path("x.cstone");
    pipe!(&content, "create", "-o", &pack, "--stdin-name", "dump.sql").exits(0);
    assert_eq!(run!("cat", &pack, "dump.sql").exits(0).stdout, content);
    pipe!(b"", "create", "-o", place.path("y.cstone"), "--stdin-name", "empty").exits(0);
    assert_eq!(run!("cat", place.path("y.cstone"), "empty").exits(0).stdout, b"");
}

#[test]
fn sockets_are_skipped_with_a_line_and_exit_1() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let _socket = UnixListener::bind(place.path("tree/socket")).expect("bound");
    let pack = place.path("x.cstone");
    run!("create", "--quiet", "-o", &pack, place.path("tree")).exits(1).one_line().says("socket");
    run!("verify", &pack).exits(0);
}

#[test]
fn a_missing_path_is_told_and_the_rest_is_packed() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let pack = place.path("x.cstone");
    run!("create", "-q", "-o", &pack, "-C", place.path("tree"), "gone", "docs")
        .exits(1)
        .one_line()
        .says("gone");
    run!("verify", &pack).exits(0);
    run!("create", "-o", place.path("y.cstone"), place.path("gone"))
        .exits(2)
        .one_line()
        .says("gone");
    assert!(!place.path("y.cstone").exists());
}

#[test]
fn a_full_disk_is_one_line_and_nothing_under_the_final_name() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let full = fs::File::options().write(true).open("/dev/full").expect("it is there");
    let output = support::command(["create", "-q", "-o", "-"])
        .arg(place.path("tree"))
        .stdout(full)
        .output()
        .expect("it runs");
    support::Run::from(output).exits(2).one_line().says("No space left");
    let disk = place.path("disk");
    fs::create_dir_all(&disk).expect("made");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(&disk)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("no small file system can be mounted here: not tested");
        return;
    }
    let run = run!("create", "-q", "-o", disk.join("x.cstone"), place.path("tree"));
    let left = fs::read_dir(&disk).expect("listed").count();
    let unmounted = std::process::Command::new("umount").arg(&disk).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    run.exits(2).one_line().says("x.cstone").says("No space left");
    assert_eq!(left, 0);
}

#[test]
fn json_tells_a_summary() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let pack = place.path("x.cstone");
    let summary = run!("create", "--json", "-o", &pack, place.path("tree")).exits(0).json();
    assert_eq!(summary.len(), 1);
    assert_eq!(summary[0]["type"], "summary");
    assert_eq!(summary[0]["files"], 4);
    assert_eq!(summary[0]["stored"], fs::metadata(&pack).expect("there").len());
    let told = run!("extract", "--json", "-C", place.path("out"), &pack).exits(0).json();
    assert_eq!(told.iter().filter(|line| line["type"] == "restored").count(), 7);
    assert_eq!(told.last().expect("a line")["bytes"], 2_500_812);
    // Content and JSON never mix on standard output.
    let piped = run!("create", "--json", "-o", "-", place.path("tree")).exits(0);
    assert!(piped.stdout.starts_with(b"\x89CSTN") && piped.stderr.starts_with('{'));
}

#[test]
fn a_pipe_behind_a_link_is_written_to_and_never_replaced() {
    let place = Place::new();
    place.write("tree/file", b"content");
    let link = place.path("link");
    symlink("/dev/stdout", &link).expect("made");
    for name in
        ["/dev/stdout", "/proc/self/fd/1"].map(PathBuf::from).into_iter().chain([link.clone()])
    {
        let run = run!("create", "-q", "--plain", "-o", name, place.path("tree")).exits(0);
        // Nothing but the CAR, which ends with the directory's node.
        let listed = pipe!(&run.stdout, "list", "-").exits(0);
        assert_eq!(listed.lines(), [".", "file"]);
    }
    assert!(fs::symlink_metadata(&link).expect("still there").is_symlink());
    run!("create", "-o", place.path("new/"), place.path("tree")).exits(2).one_line().says("new/");
    assert_eq!(place.names(), ["link", "tree"]);
}
