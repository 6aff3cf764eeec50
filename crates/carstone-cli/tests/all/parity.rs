//! Parity: made, and files healed with it, in a real process.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{Place, Run, noise, same_trees, small_tree};

/// A pack of some hundred kibibytes, that nothing compresses, with two files.
pub fn pack_with(place: &Place, args: &[&str]) -> PathBuf {
    let pack = place.path("pack.cstone");
    place.write("tree/first.bin", &noise(400_000, 1));
    place.write("tree/sub/second.bin", &noise(300_000, 2));
    small_tree(&place.path("tree/small"));
    let mut all: Vec<OsString> =
        ["create", "-q", "--compress", "none", "--block-size", "64K"].map(Into::into).into();
    all.extend(args.iter().map(OsString::from));
    all.extend(["-o".into(), pack.clone().into(), place.path("tree").into()]);
    crate::support::run_args(&all, None).exits(0);
    pack
}

pub fn sha256(path: &Path) -> Vec<u8> {
    Sha256::digest(fs::read(path).expect("read")).to_vec()
}

pub fn par(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".par");
    name.into()
}

/// Changes a file in place.
pub fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("read");
    let before = bytes.clone();
    change(&mut bytes);
    assert_ne!(before, bytes);
    fs::write(path, bytes).expect("written");
}

/// Zeros that stand for a burst.
pub fn burst(path: &Path, at: usize, len: usize) {
    damage(path, |bytes| bytes[at..at + len].fill(0));
}

#[track_caller]
pub fn object(run: &Run, kind: &str) -> Value {
    let found = run.json().into_iter().find(|object| object["type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {:?}", run.lines()))
}

/// Heals `file` and wants what it was.
#[track_caller]
fn heals(place: &Place, file: &Path, original: &[u8], args: &[&str]) {
    let healed = place.path("healed");
    let mut all: Vec<OsString> = vec!["repair".into()];
    all.extend(args.iter().map(OsString::from));
    all.extend([file.into(), "-o".into(), healed.clone().into(), "--force".into()]);
    let run = crate::support::run_args(&all, None).exits(0);
    assert!(run.text().contains("this is the original again, byte for byte"), "{}", run.text());
    assert_eq!(sha256(&healed), original);
}

#[test]
fn an_encrypted_pack_is_healed_without_a_key() {
    let place = Place::new();
    let key = place.key("key");
    let pack = pack_with(&place, &["-r", &key]);
    let original = sha256(&pack);
    let run = run!("protect", &pack).exits(0);
    assert!(run.text().contains("of parity ("), "{}", run.text());
    assert_eq!(sha256(&pack), original, "the pack stays as it is");
    let (len, added) =
        (pack.metadata().expect("there").len(), par(&pack).metadata().expect("made").len());
    assert!(added * 10 <= len, "{added} of {len}");
    let run = run!("verify", &pack).exits(0);
    assert!(run.text().contains("is sound, and fits"), "{}", run.text());

    burst(&pack, 100_000, 40_000);
    burst(&pack, 600_000, 5_000);
    fs::remove_file(place.path("key")).expect("removed");
    let run = run!("verify", &pack).exits(1);
    assert!(run.text().contains("can be healed by the parity in"), "{}", run.text());
    let damaged = sha256(&pack);
    heals(&place, &pack, &original, &[]);
    assert_eq!(sha256(&pack), damaged, "and so does the damaged one");
    run!("verify", "--no-parity", place.path("healed")).exits(0);
}

#[test]
fn parity_in_the_pack_is_made_and_heals_itself_too() {
    let place = Place::new();
    let plain = pack_with(&place, &["--reproducible"]);
    let without = fs::read(&plain).expect("read");
    let pack =
        pack_with(&place, &["--reproducible", "--force", "--parity-in-pack", "--parity", "10"]);
    assert!(!par(&pack).exists());
    let with = fs::read(&pack).expect("read");
    assert_eq!(with[..without.len()], without, "the pack before it is the same");
    assert!(with.len() - without.len() <= without.len() / 10 + 128);
    let original = sha256(&pack);
    pack_with(&place, &["--reproducible", "--force", "--parity-in-pack"]);
    assert_eq!(sha256(&pack), original, "and all of it is the same each time");

    let len = without.len();
    for change in [
        |bytes: &mut Vec<u8>, _| bytes[70_000..100_000].fill(0),
        // Over the trailer, into the parity.
        |bytes: &mut Vec<u8>, len: usize| bytes[len - 4_000..len + 4_000].fill(0),
        |bytes: &mut Vec<u8>, _| bytes[..3_000].fill(0x55),
        // The parity alone, and its end.
        |bytes: &mut Vec<u8>, len: usize| bytes[len + 9_000..len + 30_000].fill(0),
        |bytes: &mut Vec<u8>, _| bytes.truncate(bytes.len() - 100),
    ] {
        fs::write(&pack, &with).expect("written");
        damage(&pack, |bytes| change(bytes, len));
        run!("verify", &pack).exits(1);
        heals(&place, &pack, &original, &[]);
    }
}

#[test]
fn a_pack_with_parity_in_it_is_read_in_all_ways() {
    let place = Place::new();
    let key = place.key("key");
    let pack = pack_with(&place, &["-r", &key, "--parity-in-pack"]);
    let key_file = place.path("key");
    run!("verify", "-i", &key_file, &pack).exits(0);
    let listed = run!("list", "-i", &key_file, &pack).exits(0).lines();
    assert!(listed.len() > 4);
    let bytes = fs::read(&pack).expect("read");
    let piped = pipe!(&bytes, "list", "-i", &key_file, "-").exits(0).lines();
    // In stored order.
    assert_eq!(piped.len(), listed.len());
    pipe!(&bytes, "verify", "-i", &key_file, "-").exits(0);
    let out = place.path("out");
    pipe!(&bytes, "extract", "-q", "-i", &key_file, "-C", &out, "-").exits(0);
    same_trees(&place.path("tree"), &out);
    run!("info", "-i", &key_file, &pack).exits(0);
    let new = place.key("new");
    let run =
        run!("rekey", "-i", &key_file, "-r", &new, &pack, "-o", place.path("rekeyed")).exits(0);
    run.says("what stood behind its end is left out");
    run!("verify", "-i", place.path("new"), place.path("rekeyed")).exits(0);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(place.path("id"))
        .output();
    if made.is_ok_and(|made| made.status.success()) {
        run!("sign", "-k", place.path("id"), &pack).exits(0).says("behind the trailer, are not");
        let public = fs::read_to_string(place.path("id.pub")).expect("made");
        place.write("signers", format!("me {public}").as_bytes());
        let mut damaged = bytes.clone();
        let end = damaged.len();
        damaged[end - 5_000..end - 4_000].fill(0);
        fs::write(&pack, damaged).expect("written");
        let run =
            run!("verify", "--signer", place.path("signers"), "-i", &key_file, &pack).exits(1);
        assert!(
            run.text().contains("frames of the parity behind the pack are lost"),
            "{}",
            run.text()
        );
    }
}

#[test]
fn pipes_carry_parity_in_the_pack_and_refuse_it_beside() {
    let place = Place::new();
    let tree = place.path("tree");
    place.write("tree/file", &noise(200_000, 3));
    let refused = run!("create", "--parity", "10%", "-o", "-", &tree).exits(2).one_line();
    refused.says("-o FILE").says("--parity-in-pack");
    let run =
        run!("create", "-q", "--compress", "none", "--parity-in-pack", "-o", "-", &tree).exits(0);
    let pack = place.write("piped.cstone", &run.stdout);
    let original = sha256(&pack);
    let run = run!("verify", &pack).exits(0);
    assert!(run.text().contains("the parity behind the pack is sound"), "{}", run.text());
    burst(&pack, 50_000, 8_000);
    heals(&place, &pack, &original, &[]);
    // From a pipe, and into one.
    let damaged = fs::read(&pack).expect("read");
    let run = pipe!(&damaged, "repair", "-q", "-", "-o", "-").exits(0);
    assert_eq!(Sha256::digest(&run.stdout).to_vec(), original);
    let spooled = place.path("spooled.par");
    pipe!(&damaged, "protect", "-", "-o", &spooled).exits(0);
    pipe!(&damaged, "protect", "-").exits(2).one_line().says("-o FILE.par");
    let worse = {
        let mut bytes = damaged.clone();
        bytes[90_000..95_000].fill(0);
        bytes
    };
    let run = pipe!(&worse, "repair", "-q", "--parity-file", &spooled, "-", "-o", "-").exits(0);
    assert_eq!(run.stdout, damaged);
    run!("create", "--parity-in-pack", "-o", place.path("x.car"), &tree).exits(2).says("plain CAR");
}

#[test]
fn create_makes_a_sidecar_and_tells_of_it() {
    let place = Place::new();
    let tree = place.path("tree");
    place.write("tree/file", &noise(500_000, 3));
    let pack = place.path("x.cstone");
    let run = run!("create", "--json", "--parity", "5%", "-o", &pack, &tree).exits(0);
    let parity = &object(&run, "summary")["parity"];
    assert_eq!(parity["file"], par(&pack).to_str().expect("text"));
    assert_eq!(parity["share"], 5.0);
    assert_eq!(parity["bytes"], par(&pack).metadata().expect("made").len());
    assert!(parity["percent"].as_f64().is_some_and(|p| p > 3.0 && p <= 5.0), "{parity}");
    // What is there is not replaced, and nothing is done before that is known.
    fs::remove_file(&pack).expect("removed");
    run!("create", "--parity", "5%", "-o", &pack, &tree).exits(2).says(".par: exists already");
    run!("create", "-n", "--parity", "5%", "-o", &pack, &tree)
        .exits(2)
        .says(".par: exists already");
    assert!(!pack.exists());
    run!("create", "-q", "--force", "--parity", "5%", "-o", &pack, &tree).exits(0);
    run!("create", "--parity", "0.5%", "-o", &pack, &tree).exits(2).says("1% to 100%");
    // A plain CAR gets one too.
    let car = place.path("x.car");
    run!("create", "-q", "--parity", "10", "-o", &car, &tree).exits(0);
    let original = sha256(&car);
    run!("verify", &car).exits(0);
    burst(&car, 200_000, 9_000);
    run!("verify", &car).exits(1);
    heals(&place, &car, &original, &[]);
}

#[test]
fn directories_are_protected_and_what_fits_is_skipped() {
    let place = Place::new();
    let dir = place.path("dir");
    let photo = place.write("dir/photo.jpg", &noise(70_000, 4));
    let text = place.write("dir/below/text", b"some text\n");
    place.write("dir/below/empty", b"");
    let run = run!("protect", "--json", &dir).exits(0);
    let summary = object(&run, "summary");
    assert_eq!((&summary["files"], &summary["skipped"]), (&3.into(), &0.into()), "{summary}");
    assert!(!par(&par(&photo)).exists());
    // Another one comes, one changes, one parity is damaged.
    place.write("dir/new", &noise(5_000, 5));
    damage(&text, |bytes| bytes[0] = b'S');
    burst(&par(&photo), 3_000, 500);
    let run = run!("protect", "--json", &dir).exits(1);
    let summary = object(&run, "summary");
    assert_eq!((&summary["files"], &summary["skipped"]), (&2.into(), &1.into()), "{summary}");
    assert!(run.stderr.contains("another state"), "{}", run.stderr);
    run!("protect", &photo).exits(0);
    assert!(run!("protect", &photo).exits(0).text().contains("skipped"));
    run!("protect", "-q", "--force", &dir).exits(0);
    let run = run!("protect", "--json", &dir).exits(0);
    assert_eq!(object(&run, "summary")["skipped"], 4);
    // What is no parity is never replaced unasked.
    fs::write(par(&text), b"mine").expect("written");
    run!("protect", &text).exits(2).says("no parity");
    assert_eq!(fs::read(par(&text)).expect("read"), b"mine");
    run!("protect", &dir, "-o", place.path("x.par")).exits(2).says("is a directory");
    run!("protect", &text, &photo, "-o", place.path("x.par")).exits(2).says("-o is for one file");
    run!("protect", place.path("nothing")).exits(2).says("cannot open");
}

#[test]
fn any_file_is_verified_and_healed() {
    let place = Place::new();
    let photo = place.write("photo.jpg", &noise(70_000, 4));
    run!("verify", &photo).exits(2).says("not a pack");
    let original = sha256(&photo);
    run!("protect", "-q", &photo).exits(0);
    let run = run!("verify", &photo).exits(0);
    assert!(run.text().contains("as it was when it was protected"), "{}", run.text());
    let healed = place.path("same.jpg");
    let run = run!("repair", &photo, "-o", &healed).exits(0);
    assert!(run.text().contains("nothing is wrong with it"), "{}", run.text());
    assert_eq!(sha256(&healed), original);
    burst(&photo, 20_480, 2_500);
    let run = run!("verify", "--json", &photo).exits(1);
    let told = object(&run, "parity");
    assert_eq!((&told["state"], &told["can_heal"]), (&"damaged".into(), &true.into()), "{told}");
    assert!(told["lost_cells"].as_u64().is_some_and(|cells| cells == 3), "{told}");
    assert_eq!(object(&run, "summary")["sound"], false);
    let run = run!("repair", "-n", "--json", &photo).exits(0);
    assert_eq!(object(&run, "summary")["dry_run"], true);
    let run = run!("repair", "--json", &photo, "-o", place.path("healed.json")).exits(0);
    let summary = object(&run, "summary");
    assert_eq!((&summary["original"], &summary["by_parity"]), (&true.into(), &true.into()));
    assert!(object(&run, "parity")["used"].as_f64().is_some_and(|used| used > 0.0 && used <= 1.0));
    heals(&place, &photo, &original, &[]);
    // Nobody overwrites what is read.
    run!("repair", &photo, "-o", &photo, "--force").exits(2).says("is the damaged pack itself");
    run!("repair", &photo, "-o", par(&photo), "--force").exits(2).says("is the parity");

    // Too much.
    burst(&photo, 20_000, 15_000);
    let run = run!("verify", &photo).exits(1);
    let text = run.text();
    assert!(
        text.contains("cannot be healed") || text.contains("too little of it is left"),
        "{text}"
    );
    let _ = fs::remove_file(place.path("no"));
    let run = run!("repair", &photo, "-o", place.path("no"));
    assert_ne!(run.code, 0);
    assert!(!place.path("no").exists(), "nothing is written");
}

#[test]
fn what_is_lost_of_a_file_that_is_no_pack_is_told() {
    let place = Place::new();
    let file = place.write("disk.img", &[&[1; 9], &noise(900_000, 4)[..]].concat());
    run!("protect", "-q", &file).exits(0);
    // Some of the parity is lost, so that less can be restored than may be lost.
    let bytes = fs::read(&file).expect("read");
    burst(&par(&file), 10_000, 24_000);
    burst(&file, 300_000, 80_000);
    damage(&file, |bytes| bytes[3] ^= 1);
    let rest = place.path("rest.img");
    run!("repair", "-n", &file).exits(1);
    assert!(!rest.exists());
    let run = run!("repair", &file, "-o", &rest).exits(1);
    let text = run.text();
    assert!(text.contains("cannot be restored") && text.contains("lost: bytes 299008–"), "{text}");
    assert!(text.contains("% of what the parity in") && text.contains("; zeros stand for the"));
    let run = run!("repair", "--json", "--force", &file, "-o", &rest).exits(1);
    let over = object(&run, "over_budget");
    assert!(over["lost"].as_u64().is_some_and(|lost| lost >= 80_000), "{over}");
    assert!(over["over"].as_u64().is_some_and(|over| over > 0), "{over}");
    assert!(over["used"].as_f64().is_some_and(|used| used > 1.0), "{over}");
    assert_eq!(object(&run, "summary")["stored"], bytes.len());
    // All else is as it was, also what was flipped.
    let mut expected = bytes.clone();
    for range in over["ranges"].as_array().expect("ranges") {
        let [from, to] = [0, 1].map(|end| range[end].as_u64().expect("a number") as usize);
        expected[from..to].fill(0);
    }
    assert!(fs::read(&rest).expect("written") == expected, "zeros where it is told");
    let run = pipe!(
        &fs::read(&file).expect("read"),
        "repair",
        "--parity-file",
        par(&file),
        "-",
        "-o",
        "-"
    );
    assert_eq!((run.code, run.stdout == expected), (1, true), "{}", run.stderr);
    run!("verify", &file).exits(1);
    fs::write(&file, bytes).expect("written");
    let run = run!("verify", &file).exits(1);
    assert!(run.text().contains("frames of the parity in"), "{}", run.text());
}

#[test]
fn over_the_budget_intact_entries_come_out() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity", "10%"]);
    // Some of the parity is lost, so that less can be restored than may be lost.
    let len = par(&pack).metadata().expect("made").len() as usize;
    burst(&par(&pack), len / 4, len * 3 / 10);
    let bytes = fs::read(&pack).expect("read");
    let piece = &noise(400_000, 1)[100_000..100_032];
    let at = bytes.windows(32).position(|window| window == piece).expect("nothing compresses it");
    burst(&pack, at, bytes.len() * 85 / 1000);
    let run = run!("repair", &pack, "-o", place.path("rest.cstone")).exits(1);
    let text = run.text();
    assert!(text.contains("cannot be restored"), "{text}");
    let out = place.path("out");
    run!("extract", "-q", "-C", &out, place.path("rest.cstone")).exits(0);
    let second = place.path("tree/sub/second.bin");
    assert_eq!(sha256(&out.join("sub/second.bin")), sha256(&second));
    assert!(!out.join("first.bin").exists(), "the one that is hit is left out");
    same_trees(&place.path("tree/small"), &out.join("small"));
    let run = run!("repair", "--json", &pack, "-o", place.path("again.cstone")).exits(1);
    assert_eq!(object(&run, "parity")["can_heal"], false);
    assert!(object(&run, "over_budget")["over"].as_u64().is_some_and(|over| over > 0));
    assert_eq!(object(&run, "summary")["original"], false);
    // The same without writing.
    run!("repair", "-n", &pack).exits(1);
}

#[test]
fn foreign_and_older_parity_changes_nothing() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity", "10%"]);
    let sound = fs::read(&pack).expect("read");
    let other = place.write("other", &noise(sound.len(), 77));
    run!("protect", "-q", &other).exits(0);
    let out = place.path("out.cstone");

    // Named, it is an error; found, a note.
    let run = run!("repair", "--parity-file", par(&other), &pack, "-o", &out).exits(2);
    run.one_line().says("is of another stream");
    assert!(!out.exists());
    run!("verify", "--parity-file", par(&other), &pack).exits(2).says("does not fit");
    let mine = fs::read(par(&pack)).expect("read");
    fs::copy(par(&other), par(&pack)).expect("copied");
    run!("repair", &pack, "-o", &out).exits(0).says("is not used");
    assert_eq!(fs::read(&out).expect("read"), sound);
    run!("verify", &pack).exits(0).says("does not fit");
    let run = run!("verify", "--json", &pack).exits(0);
    assert_eq!(object(&run, "parity")["state"], "foreign");

    // Of an older state: most of it is as it was.
    let mut older = sound.clone();
    older[300_000..310_000].fill(7);
    let older = place.write("older", &older);
    run!("protect", "-q", "--force", &older, "-o", par(&pack)).exits(0);
    let run = run!("repair", "--force", &pack, "-o", &out).exits(0).says("is not used");
    let run = run.says("another state of the pack");
    assert!(!run.text().contains("of what the parity"), "{}", run.text());
    assert_eq!(fs::read(&out).expect("read"), sound, "the sound pack stays as it is");
    let run = run!("repair", "--force", "--parity-file", par(&pack), &pack, "-o", place.path("no"));
    run.exits(2).says("another state of the pack");
    assert!(!place.path("no").exists());
    run!("verify", &pack).exits(0).says("does not fit: it is of another state");

    // No parity at all.
    fs::write(par(&pack), b"something else").expect("written");
    run!("repair", "--force", &pack, "-o", &out).exits(0).says("no parity");
    run!("verify", &pack).exits(0);
    run!("verify", "--parity-file", par(&pack), &pack).exits(2).says("no parity");
    run!("repair", "--parity-file", place.path("none"), &pack, "-o", place.path("no")).exits(2);
    fs::write(par(&pack), mine).expect("written");
    run!("verify", &pack).exits(0);
}

#[test]
fn forged_parity_is_found_out_by_the_tags() {
    let place = Place::new();
    let key = place.key("key");
    let pack = pack_with(&place, &["-r", &key]);
    let sound = sha256(&pack);
    // Somebody without the key says that the pack was another.
    let mut forged = fs::read(&pack).expect("read");
    forged[300_000] ^= 1;
    let forged = place.write("forged", &forged);
    run!("protect", "-q", &forged, "-o", par(&pack)).exits(0);
    // A sound pack does not listen.
    let out = place.path("out");
    run!("repair", "-q", &pack, "-o", &out).exits(0);
    assert_eq!(sha256(&out), sound);
    // A damaged one becomes what was forged, and whoever has the key sees it.
    burst(&pack, 700_000, 3_000);
    run!("repair", "-q", "--force", &pack, "-o", &out).exits(0);
    assert_eq!(sha256(&out), sha256(&forged));
    run!("verify", "-i", place.path("key"), &out).exits(1);
}

#[test]
fn a_second_parity_is_used_where_the_first_is_not_enough() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity-in-pack", "--parity", "1%"]);
    run!("protect", "-q", "--parity", "20%", &pack).exits(0);
    let original = sha256(&pack);
    burst(&pack, 300_000, 40_000);
    heals(&place, &pack, &original, &[]);
}

#[test]
fn parity_can_be_left_alone() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity", "10%"]);
    burst(&pack, 200_000, 60_000);
    let run = run!("repair", "--no-parity", &pack, "-o", place.path("rest.cstone")).exits(1);
    assert!(!run.text().contains("parity"), "{}", run.text());
    let run = run!("verify", "--no-parity", &pack).exits(1);
    assert!(!run.text().contains("parity"), "{}", run.text());
}

#[test]
fn tiny_files_are_healed_too() {
    let place = Place::new();
    for (name, content) in [("empty", &b""[..]), ("one", b"x"), ("few", b"a few bytes only")] {
        let file = place.write(name, content);
        let run = run!("protect", &file).exits(0);
        if !content.is_empty() {
            assert!(run.text().contains("as little as 10 % is not possible"), "{}", run.text());
        }
        run!("verify", &file).exits(0);
        let same = place.path("same");
        run!("repair", "--force", &file, "-o", &same).exits(0);
        assert_eq!(fs::read(same).expect("read"), content);
    }
}

#[test]
fn moved_and_flipped_bytes_are_put_right() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity", "10%"]);
    let (original, sound) = (sha256(&pack), fs::read(&pack).expect("read"));
    let mut state = 9_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for what in ["flips", "insertion", "cut", "front", "end", "repeat"] {
        let mut bytes = sound.clone();
        match what {
            "flips" => (0..40).for_each(|_| {
                let at = next() % bytes.len();
                bytes[at] ^= 1 << (next() % 8);
            }),
            "insertion" => drop(bytes.splice(123_456..123_456, noise(777, 6))),
            "cut" => drop(bytes.drain(123_456..124_000)),
            "front" => drop(bytes.drain(..30_000)),
            "end" => bytes.truncate(bytes.len() - 30_000),
            _ => {
                let piece = bytes[50_000..90_000].to_vec();
                drop(bytes.splice(200_000..200_000, piece));
            }
        }
        fs::write(&pack, bytes).expect("written");
        run!("verify", &pack).exits(1);
        heals(&place, &pack, &original, &[]);
    }
}

#[test]
fn a_tiny_file_with_a_flipped_bit_is_put_right() {
    let place = Place::new();
    let file = place.write("one", b"x");
    run!("protect", "-q", &file).exits(0);
    fs::write(&file, b"y").expect("written");
    let original = Sha256::digest(b"x").to_vec();
    heals(&place, &file, &original, &[]);
}

#[test]
fn a_pack_with_parity_in_it_is_healed_where_bytes_are_gone() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity-in-pack"]);
    let (original, sound) = (sha256(&pack), fs::read(&pack).expect("read"));
    for (at, len) in [(0, 20_000), (100_000, 333), (sound.len() - 9_000, 9_000)] {
        let mut bytes = sound.clone();
        bytes.drain(at..at + len);
        fs::write(&pack, bytes).expect("written");
        heals(&place, &pack, &original, &[]);
    }
}
