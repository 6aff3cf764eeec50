//! `carstone repair`: what it writes, what it says, and when it refuses.

use std::fs;

use crate::support;
use crate::support::Place;

/// An encrypted and compressed pack of a small tree.
fn locked(place: &Place) -> Vec<u8> {
    let reader = place.key("key.txt");
    support::small_tree(&place.path("tree"));
    let pack = place.path("sound.cstone");
    run!("create", "-r", reader, "-o", &pack, place.path("tree")).exits(0);
    fs::read(pack).expect("it is there")
}

#[test]
fn a_flipped_bit_is_put_right_without_a_key() {
    let place = Place::new();
    let stored = locked(&place);
    let mut damaged = stored.clone();
    damaged[stored.len() / 2] ^= 8;
    let from = place.write("damaged.cstone", &damaged);
    let to = place.path("mended.cstone");
    let run = run!("repair", &from, "-o", &to).exits(0);
    assert!(run.text().contains("put right: 1 bit in 1 place"), "{}", run.text());
    assert!(fs::read(&to).expect("written") == stored);
    assert!(fs::read(&from).expect("still there") == damaged);
    let json = run!("repair", "--json", "-n", &from).exits(0).json();
    assert_eq!(json[0]["type"], "correction");
    assert_eq!((&json[0]["bits"], &json[0]["offset"]), (&1.into(), &(stored.len() / 2).into()));
    let summary = json.last().expect("there is one");
    assert_eq!((&summary["original"], &summary["unchanged"]), (&true.into(), &false.into()));
}

#[test]
fn a_sound_pack_is_written_as_it_is() {
    let place = Place::new();
    let pack = place.pack("sound.cstone");
    let to = place.path("copy.cstone");
    let run = run!("repair", &pack, "-o", &to).exits(0);
    assert!(run.text().contains("nothing is wrong"), "{}", run.text());
    assert!(fs::read(&to).expect("written") == fs::read(&pack).expect("there"));
}

#[test]
fn both_ends_of_a_pipe_will_do() {
    let place = Place::new();
    let stored = locked(&place);
    // Without its container header, standard input cannot be told by its first bytes.
    let run = pipe!(&stored[256..], "repair", "-", "-o", "-").exits(0);
    assert!(run.stdout == stored);
    assert!(run.stderr.contains("made again: container header"), "{}", run.stderr);
}

#[test]
fn what_is_lost_is_told_and_the_rest_stays_readable() {
    let place = Place::new();
    let stored = locked(&place);
    let mut damaged = stored.clone();
    let at = stored.len() / 2;
    damaged[at..at + 4096].fill(0);
    let from = place.write("damaged.cstone", &damaged);
    let to = place.path("mended.cstone");
    let run = run!("repair", &from, "-o", &to).exits(1);
    assert!(run.text().contains("lost: encryption layer: "), "{}", run.text());
    assert!(run.stderr.contains("With a key (-i FILE or -p)"), "{}", run.stderr);
    assert!(run.text().contains("holes stand for them"), "{}", run.text());
    run!("info", &to).exits(0);
    run!("verify", &to).exits(1);
    let json = run!("repair", "--json", "-n", &from).exits(1).json();
    let finding = json.iter().find(|line| line["type"] == "finding").expect("there is one");
    assert_eq!(finding["layer"], "encryption");
    assert!(finding["length"].as_u64().is_some_and(|len| len >= 131_072), "{finding}");
    assert_eq!(json.last().expect("there is one")["original"], false);
}

#[test]
fn a_pack_that_is_cut_says_so() {
    let place = Place::new();
    let stored = locked(&place);
    let from = place.write("cut.cstone", &stored[..stored.len() / 2]);
    let to = place.path("mended.cstone");
    let run = run!("repair", &from, "-o", &to).exits(1);
    assert!(run.text().contains("the end is lost"), "{}", run.text());
    run!("verify", &to).exits(1);
}

#[test]
fn nothing_is_written_where_it_cannot_be_done() {
    let place = Place::new();
    let to = place.path("out.cstone");
    let text = place.write("text", b"no pack at all");
    let empty = place.write("empty", b"");
    run!("repair", &text, "-o", &to).exits(2).says("not a pack").one_line();
    run!("repair", &empty, "-o", &to).exits(2).says("is empty").one_line();
    run!("repair", place.path("none"), "-o", &to).exits(2).one_line();
    assert!(!to.exists());
    assert!(place.names().iter().all(|name| !name.ends_with(".part")), "{:?}", place.names());
    run!("repair", &text).exits(2);
}

#[test]
fn neither_input_nor_an_existing_output_is_touched() {
    let place = Place::new();
    let pack = place.pack("sound.cstone");
    let before = fs::read(&pack).expect("there");
    let other = place.write("other", b"keep me");
    run!("repair", &pack, "-o", &other).exits(2).says("--force replaces it").one_line();
    assert_eq!(fs::read(&other).expect("there"), b"keep me");
    run!("repair", "--force", &pack, "-o", &pack).exits(2).says("stays as it is").one_line();
    assert!(fs::read(&pack).expect("there") == before);
    run!("repair", "--force", &pack, "-o", &other).exits(0);
    assert!(fs::read(&other).expect("there") == before);
    // A dry run writes nothing, wherever it is told to.
    let new = place.path("new");
    run!("repair", "-n", &pack, "-o", &new).exits(0);
    assert!(!new.exists());
}

/// Three pages of an encrypted pack are zeroed, in different frames.
fn zeroed(stored: &[u8]) -> Vec<u8> {
    let mut damaged = stored.to_vec();
    for n in [2, 4, 6] {
        let at = stored.len() / 8 * n;
        damaged[at..at + 4096].fill(0);
    }
    damaged
}

#[test]
fn with_the_key_a_clean_pack_holds_every_entry_that_is_whole() {
    let place = Place::new();
    support::odd_tree(&place.path("tree"));
    for n in 0..40 {
        place.write(&format!("tree/many/{n:02}"), &support::noise(150_000, n));
    }
    let reader = place.key("key.txt");
    let other = place.key("other.txt");
    let (key, pack) = (place.path("key.txt"), place.path("sound.cstone"));
    let tree = place.path("tree");
    run!("create", "--block-size", "64K", "-r", reader, "-r", other, "-o", &pack, tree).exits(0);
    let from = place.write("damaged.cstone", &zeroed(&fs::read(&pack).expect("there")));
    let to = place.path("clean.cstone");
    let run = run!("repair", "-i", &key, "--json", &from, "-o", &to).exits(1);
    let told = run.json();
    let summary = told.last().expect("there is one");
    assert_eq!((&summary["rebuilt"], &summary["original"]), (&true.into(), &false.into()));
    assert_ne!(summary["pack_id"], summary["damaged_pack_id"]);
    let dropped: Vec<_> = told.iter().filter(|line| line["type"] == "damaged_entry").collect();
    assert!(!dropped.is_empty() && dropped.len() < 12, "{dropped:#?}");
    assert_eq!(summary["left_out"], dropped.len());
    // Whoever could open the damaged pack opens this one.
    for key in [&key, &place.path("other.txt")] {
        run!("verify", "-i", key, &to).exits(0);
    }
    run!("verify", &to).exits(0);
    run!("repair", "-n", &to).exits(0);
    let out = place.path("out");
    run!("extract", "-i", &key, "-C", &out, &to).exits(0);
    let (whole, found) = (support::look(&place.path("tree")), support::look(&out));
    for (path, seen) in &found {
        // Attributes, times, modes and links too. Names of a lost file are lost with it.
        assert_eq!(whole.get(path), Some(seen), "{}", path.escape_ascii());
    }
    let dropped: std::collections::BTreeSet<_> =
        dropped.iter().map(|line| line["path"].as_str().map(str::to_owned)).collect();
    let missing = whole.keys().filter(|path| !found.contains_key(*path));
    for path in missing {
        let name = String::from_utf8(path.clone()).ok();
        assert!(dropped.contains(&name), "{} is missing", path.escape_ascii());
    }
    assert_eq!(found.len() + dropped.len(), whole.len());
    // What extraction from the damaged pack gives is the same.
    run!("extract", "-i", &key, "-C", place.path("direct"), &from).exits(1);
    support::same_trees(&place.path("direct"), &out);
}

#[test]
fn holes_stand_for_what_is_lost_where_that_is_asked_for() {
    let place = Place::new();
    let stored = locked(&place);
    let from = place.write("damaged.cstone", &zeroed(&stored));
    let (frames, same) = (place.path("frames.cstone"), place.path("same.cstone"));
    run!("repair", &from, "-o", &frames).exits(1);
    run!("repair", "--holes", "-i", place.path("key.txt"), &from, "-o", &same).exits(1);
    assert!(fs::read(&frames).expect("written") == fs::read(&same).expect("written"));
}

#[test]
fn a_pack_that_anyone_can_read_is_rebuilt_without_being_asked() {
    let place = Place::new();
    support::small_tree(&place.path("tree"));
    let pack = place.path("sound.cstone");
    run!("create", "--block-size", "64K", "-o", &pack, place.path("tree")).exits(0);
    let stored = fs::read(&pack).expect("there");
    let mut damaged = stored.clone();
    let at = stored.len() / 2;
    damaged[at..at + 4096].fill(0);
    let from = place.write("damaged.cstone", &damaged);
    let to = place.path("clean.cstone");
    let run = run!("repair", &from, "-o", &to).exits(1);
    let text = run.text();
    assert!(text.contains("big.bin: ") && text.contains("(damage 1)"), "{text}");
    assert!(text.contains("damage 1: ") && text.contains("1 are left out"), "{text}");
    assert!(run.stderr.contains("--keep-partial"), "{}", run.stderr);
    run!("verify", &to).exits(0);
    let names = run!("list", &to).exits(0).lines();
    assert!(names.contains(&"hello.txt".to_owned()) && !names.contains(&"big.bin".to_owned()));
    let partial = place.path("partial.cstone");
    let text = run!("repair", "--keep-partial", &from, "-o", &partial).exits(1).text();
    assert!(text.contains("kept as big.bin.partial"), "{text}");
    run!("verify", &partial).exits(0);
    let whole = fs::read(place.path("tree/big.bin")).expect("there");
    let part = run!("cat", &partial, "big.bin.partial").exits(0).stdout;
    assert!(part.len() <= whole.len());
    let right = part.iter().zip(&whole).filter(|(a, b)| a == b).count();
    assert!(right > 1_000_000 && right < whole.len());
    // Into a pipe the same, and a dry run writes nothing.
    let piped = run!("repair", &from, "-o", "-").exits(1);
    let piped = place.write("piped.cstone", &piped.stdout);
    run!("verify", &piped).exits(0);
    let new = place.path("new");
    let text = run!("repair", "-n", &from, "-o", &new).exits(1).text();
    assert!(text.contains("would be left out") && !new.exists(), "{text}");
}

#[test]
fn a_wrong_key_writes_nothing() {
    let place = Place::new();
    let stored = locked(&place);
    place.key("other.txt");
    let from = place.write("damaged.cstone", &zeroed(&stored));
    let to = place.path("out.cstone");
    run!("repair", "-i", place.path("other.txt"), &from, "-o", &to).exits(2).one_line();
    assert!(!to.exists());
    assert!(place.names().iter().all(|name| !name.ends_with(".part")), "{:?}", place.names());
}
