//! `list`, `cat`, `info`, `verify`: what they show of a sound pack.

use std::fs;

use crate::support::{self, Place, noise, odd_tree, small_tree};

const NAMES: [&str; 8] =
    [".", "big.bin", "docs", "docs/deep", "docs/deep/note.md", "docs/guide.md", "hello.txt", ""];
const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

#[test]
fn list_shows_every_entry_in_order_of_path() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    assert_eq!(run!("list", &pack).exits(0).lines(), NAMES[..7]);
    let bytes = fs::read(&pack).expect("read");
    let mut piped = pipe!(&bytes, "list", "-").exits(0).lines();
    piped.sort();
    assert_eq!(piped, NAMES[..7]);
    let car = place.path("x.car");
    run!("create", "-o", &car, place.path("tree")).exits(0);
    assert_eq!(run!("list", &car).exits(0).lines(), NAMES[..7]);
    let bytes = fs::read(&car).expect("read");
    assert_eq!(pipe!(&bytes, "list", "-").exits(0).lines(), NAMES[..7]);
}

#[test]
fn list_chooses_by_pattern() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    assert_eq!(
        run!("list", &pack, "docs/deep", "h*").exits(0).lines(),
        ["docs/deep", "docs/deep/note.md", "hello.txt"]
    );
    run!("list", &pack, "no*").exits(2).one_line().says("no*: matches nothing");
}

#[test]
fn the_long_form_shows_size_and_sha256_wherever_it_comes_from() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    let car = place.path("x.car");
    run!("create", "-o", &car, place.path("tree")).exits(0);
    let (pack_bytes, car_bytes) = (fs::read(&pack).expect("read"), fs::read(&car).expect("read"));
    let runs = [
        run!("list", "--json", &pack),
        pipe!(&pack_bytes, "list", "--json", "-"),
        run!("list", "--json", &car),
        pipe!(&car_bytes, "list", "--json", "-"),
    ];
    let mut big = Vec::new();
    for run in runs {
        let entries = run.exits(0).json();
        assert_eq!(entries.len(), 7);
        let find = |path: &str| entries.iter().find(|entry| entry["path"] == path).expect("listed");
        assert_eq!(find("hello.txt")["sha256"], HELLO);
        assert_eq!(find("hello.txt")["size"], 6);
        assert_eq!(find("docs/deep/note.md")["sha256"], HELLO);
        assert_eq!(find("big.bin")["size"], 2_500_000);
        assert_eq!(find("docs")["kind"], "directory");
        big.push(find("big.bin")["sha256"].clone());
    }
    assert!(big.iter().all(|digest| *digest == big[0]) && big[0].is_string(), "{big:?}");
    let line = run!("list", "-l", &pack, "hello.txt").exits(0).text();
    assert!(line.starts_with("-rw") && line.contains(HELLO) && line.contains(" 6 "), "{line}");
}

#[test]
fn names_that_are_not_utf8_stand_in_json_as_base64_too() {
    let place = Place::new();
    odd_tree(&place.path("tree"));
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, place.path("tree")).exits(0);
    let entries = run!("list", "--json", &pack).exits(0).json();
    let odd: Vec<_> = entries.iter().filter(|entry| !entry["path_base64"].is_null()).collect();
    assert_eq!(odd.len(), 1);
    assert_eq!(odd[0]["path_base64"], "bm90//51dGY4");
    assert_eq!(odd[0]["path"], "not\u{fffd}\u{fffd}utf8");
    let link = entries.iter().find(|entry| entry["path"] == "dangling").expect("listed");
    assert_eq!((&link["kind"], &link["target"]), (&"symlink".into(), &"nowhere/at all".into()));
    // In a pipe names come as they are.
    let raw = run!("list", &pack).exits(0).stdout;
    assert!(raw.windows(10).any(|bytes| bytes == b"not\xff\xfeutf8\n"));
}

#[test]
fn cat_gives_whole_files_and_ranges_from_files_and_pipes() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    let car = place.path("x.car");
    run!("create", "-o", &car, place.path("tree")).exits(0);
    let big = noise(2_500_000, 7);
    for pack in [pack, car] {
        let bytes = fs::read(&pack).expect("read");
        assert_eq!(run!("cat", &pack, "big.bin").exits(0).stdout, big);
        assert_eq!(pipe!(&bytes, "cat", "-", "big.bin").exits(0).stdout, big);
        let range = |range: &str| run!("cat", "--range", range, &pack, "big.bin").exits(0).stdout;
        assert_eq!(range("0-0"), big[..1]);
        assert_eq!(range("1048570-1048590"), big[1_048_570..=1_048_590]);
        assert_eq!(range("2499990-"), big[2_499_990..]);
        assert_eq!(range("-5"), big[2_499_995..]);
        assert_eq!(range("2499999-9999999"), big[2_499_999..]);
        run!("cat", "--range", "2500000-2500001", &pack, "big.bin").exits(2).one_line();
        assert_eq!(run!("cat", &pack, "./docs/guide.md").exits(0).stdout, b"# Guide\n".repeat(100));
        run!("cat", &pack, "docs").exits(2).one_line().says("directory");
        run!("cat", &pack, "gone").exits(2).one_line().says("gone: no such entry");
        run!("cat", &pack, "hello.txt/x").exits(2).one_line().says("no such entry");
    }
    run!("cat", "--range", "9-3", "x", "y").exits(2);
}

#[test]
fn cat_follows_hard_links_and_no_symlinks() {
    let place = Place::new();
    odd_tree(&place.path("tree"));
    let made = run!("create", "-o", "-", place.path("tree")).exits(0);
    let pack = place.write("x.cstone", &made.stdout);
    for name in ["hello.txt", "docs/same"] {
        assert_eq!(run!("cat", &pack, name).exits(0).stdout, b"hello\n");
        assert_eq!(pipe!(&made.stdout, "cat", "-", name).exits(0).stdout, b"hello\n");
    }
    let mut twice = noise(1 << 20, 7);
    twice.extend_from_slice(&twice.clone());
    assert_eq!(run!("cat", &pack, "twice.bin").exits(0).stdout, twice);
    run!("cat", &pack, "link").exits(2).one_line().says("symlink to hello.txt");
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_failure() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    let mut child = support::command(["cat"])
        .args([pack.as_os_str(), "big.bin".as_ref()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let run = support::Run::from(child.wait_with_output().expect("it ends")).exits(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn info_tells_what_is_public_without_a_key_and_the_rest_with_it() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let (alice, bob) = (place.key("alice"), place.key("bob"));
    let pack = place.path("x.cstone");
    let made = run!("create", "--json", "-o", &pack, "-r", alice, "-r", bob, place.path("tree"));
    let root = made.exits(0).json()[0]["root"].clone();
    let public = run!("info", &pack).exits(0).says("needs a key");
    assert!(public.text().contains("AES-256-GCM") && public.text().contains("2: X25519, X25519"));
    let info = run!("info", "--json", &pack).exits(0).json().remove(0);
    assert_eq!(info["recipients"], serde_json::json!(["X25519", "X25519"]));
    assert!(info["roots"].is_null() && info["pack_id"].is_string());
    let info = run!("info", "--json", "-i", place.path("bob"), &pack).exits(0).json().remove(0);
    assert_eq!(info["roots"], serde_json::json!([root]));
    assert_eq!(info["stored"], fs::metadata(&pack).expect("there").len());
    assert_eq!(info["content"], 2_500_812);
    let car = place.path("x.car");
    run!("create", "-o", &car, place.path("tree")).exits(0);
    let info = run!("info", "--json", &car).exits(0).json().remove(0);
    assert_eq!((&info["format"], &info["roots"]), (&"car".into(), &serde_json::json!([root])));
}

#[test]
fn verify_says_what_it_checked() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let alice = place.key("alice");
    let pack = place.path("x.cstone");
    let made = run!("create", "-o", "-", "-r", alice, place.path("tree")).exits(0);
    fs::write(&pack, &made.stdout).expect("written");
    assert!(run!("verify", &pack).exits(0).text().contains("without a key"));
    let run = run!("verify", "-i", place.path("alice"), &pack).exits(0);
    assert!(run.text().contains("intact"), "{}", run.text());
    pipe!(&made.stdout, "verify", "--json", "-i", place.path("alice"), "-").exits(0);
    let car = place.path("x.car");
    run!("create", "-o", &car, place.path("tree")).exits(0);
    assert!(run!("verify", &car).exits(0).text().contains("intact"));
}

#[test]
fn verify_against_a_directory_tells_each_difference() {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    run!("verify", &pack, "--against", place.path("tree")).exits(0);
    fs::write(place.path("tree/hello.txt"), "HELLO\n").expect("written");
    fs::remove_file(place.path("tree/docs/guide.md")).expect("removed");
    fs::write(place.path("tree/new"), "").expect("written");
    let found = run!("verify", "--json", &pack, "--against", place.path("tree")).exits(1).json();
    let has = |path: &str, what: &str| {
        found.iter().any(|line| line["path"] == path && line["what"] == what)
    };
    assert!(has("hello.txt", "content") && has("docs/guide.md", "missing") && has("new", "extra"));
    run!("verify", &pack, "--against", place.path("gone")).exits(2).one_line().says("gone");
}
