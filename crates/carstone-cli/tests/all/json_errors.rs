//! With `--json` what ended the run is told as JSON too.

use crate::support::{self, Place, Run, small_tree};

/// The last line for programs is an error with this text, and people are told too.
#[track_caller]
fn check(run: Run, text: &str) {
    let run = run.exits(2).says(text);
    let last = run.json().pop().expect("a line");
    assert_eq!(last["type"], "error");
    let message = last["message"].as_str().expect("a text");
    assert!(message.contains(text) && !message.starts_with("error"), "{message}");
}

#[test]
fn what_could_not_be_done_is_the_last_line() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let (tree, pack) = (place.path("tree"), place.path("x.cstone"));
    for command in ["list", "info", "verify", "extract"] {
        check(run!("--json", command, place.path("gone")), "No such file");
    }
    run!("create", "-q", "-o", &pack, &tree).exits(0);
    check(run!("create", "--json", "-o", &pack, &tree), "exists already");
    check(run!("cat", "--json", &pack, "nothing"), "no such entry");
    check(pipe!(b"text", "list", "--json", "-"), "it looks like text");
    // So are wrong arguments.
    check(run!("create", "--json", "-o", &pack, "--chunker", "rabin", &tree), "rabin");
    check(run!("list", "--json"), "<PACK>");
    let run = run!("list").exits(2);
    assert!(run.stdout.is_empty());
}

#[test]
fn where_standard_output_carries_content_they_go_to_standard_error() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let pack = place.path("x.car");
    run!("create", "-q", "-o", &pack, place.path("tree")).exits(0);
    let mut bytes = std::fs::read(&pack).expect("read");
    let at = bytes.windows(8).position(|bytes| bytes == b"# Guide\n").expect("it is stored");
    bytes[at] ^= 1;
    let hurt = place.write("hurt.car", &bytes);
    // Nothing was written yet.
    check(run!("cat", "--json", &hurt, "docs/guide.md"), "does not match its CID");
    let end = &support::noise(2_500_000, 7)[2_400_000..2_400_064];
    let big = bytes.windows(64).position(|bytes| bytes == end);
    bytes[big.expect("it is stored")] ^= 1;
    let hurt = place.write("hurt.car", &bytes);
    let run = run!("cat", "--json", &hurt, "big.bin").exits(2);
    assert_eq!(run.stdout.len(), 2 << 20);
    let line = run.stderr.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    let line: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
    assert_eq!(line["type"], "error");
}
