//! What parity does not do: parity of an older state, of which not enough is left, of files that were edited, and of what is no file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use carstone::layer::crc64;

use crate::parity::{burst, damage, object, pack_with, par, sha256};
use crate::support::{Place, Run, command, noise, run_args};

/// A pack that was given to other readers in place, beside which parity of the old one is left, and its new key.
fn rekeyed(place: &Place, readers: usize) -> (PathBuf, PathBuf) {
    let old = place.key("old");
    let new: Vec<String> = (0..readers).map(|number| place.key(&format!("new{number}"))).collect();
    let pack = pack_with(place, &["-r", &old, "--parity", "10%"]);
    let mut args: Vec<OsString> = ["rekey", "--force", "-i"].map(Into::into).into();
    args.extend([place.path("old").into(), "-o".into(), pack.clone().into(), pack.clone().into()]);
    args.extend(new.iter().flat_map(|reader| ["-r".into(), reader.into()]));
    run_args(&args, None).exits(0).says("is parity of what was there before; `carstone protect");
    (pack, place.path("new0"))
}

#[track_caller]
fn once(run: &Run, text: &str) {
    let told = [run.text(), run.stderr.clone()].concat();
    assert_eq!(told.matches(text).count(), 1, "{told}");
}

#[test]
fn parity_from_before_a_change_of_readers_does_not_bring_the_old_ones_back() {
    // With as many readers as before the layer header is as long as it was, and has the same CRC.
    for readers in [1, 2] {
        let place = Place::new();
        let (pack, key) = rekeyed(&place, readers);
        let sound = fs::read(&pack).expect("read");
        let out = place.path("out");
        for (at, len) in [(400_000, 1), (60, 300), (sound.len() - 20, 10)] {
            fs::write(&pack, &sound).expect("written");
            damage(&pack, |bytes| bytes[at..at + len].iter_mut().for_each(|byte| *byte ^= 0x10));
            let plain = run!("repair", "--no-parity", "--force", &pack, "-o", &out);
            let expected = (plain.code, sha256(&out));
            let run = run!("repair", "--force", &pack, "-o", &out);
            assert_eq!((run.code, sha256(&out)), expected, "{at}: {}", run.text());
            once(&run, "is not used");
            assert_eq!(run!("repair", "-n", &pack).code, expected.0);
        }
        // Where much is lost, all that is left comes out for the new readers.
        fs::write(&pack, &sound).expect("written");
        burst(&pack, 150_000, 40_000);
        let damaged = fs::read(&pack).expect("read");
        let run = run!("repair", "--force", "-i", &key, &pack, "-o", &out).exits(1);
        once(&run, "is not used");
        run!("verify", "-i", &key, &out).exits(0);
        assert!(run!("list", "-i", place.path("old"), &out).code != 0);
        run!("scrub", "--heal", &pack).exits(1);
        assert_eq!(fs::read(&pack).expect("read"), damaged, "not in place either");
        // Whoever names it gets what it is of, and is told.
        let run = run!("repair", "--force", "--parity-file", par(&pack), &pack, "-o", &out);
        run.exits(0).says("before it was given to other readers");
        run!("list", "-i", place.path("old"), &out).exits(0);
    }
}

#[test]
fn where_parity_takes_away_more_than_it_gives_the_file_is_taken_as_it_is() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity", "20%"]);
    let sound = fs::read(&pack).expect("read");
    // Of a pack of the same id, and of other content from a third on, which may stand elsewhere; a part of the parity is lost.
    for shift in [0, 100] {
        let (third, part) = (sound.len() / 3, sound.len() / 8);
        let mut older = sound.clone();
        older.splice(third..third + part, noise(part + shift, 5));
        let older = place.write("older", &older);
        run!("protect", "-q", "--force", "--parity", "20%", &older, "-o", par(&pack)).exits(0);
        let len = par(&pack).metadata().expect("made").len() as usize;
        burst(&par(&pack), len / 4, len / 2);
        fs::write(&pack, &sound).expect("written");
        damage(&pack, |bytes| bytes[70_000] ^= 1);
        let out = place.path("out");
        let run = run!("repair", "--force", &pack, "-o", &out).exits(0);
        assert!(run.stderr.contains("goes on with the file as it is"), "{}", run.stderr);
        assert!(fs::read(&out).expect("read") == sound, "byte for byte");
    }
}

#[test]
fn a_small_file_of_which_too_little_is_left_is_told_in_words_of_parity() {
    let place = Place::new();
    let photo = place.write("photo.jpg", &noise(70_000, 4));
    run!("protect", "-q", &photo).exits(0);
    burst(&photo, 20_000, 15_000);
    let out = place.path("no");
    let run = run!("repair", &photo, "-o", &out).exits(1);
    let text = run.text();
    assert!(
        text.contains("% of what the parity in") && text.contains("nothing is written"),
        "{text}"
    );
    assert!(!text.contains("pack") && !run.stderr.contains("pack"), "{text}{}", run.stderr);
    assert!(!out.exists());
    let run = run!("repair", "--json", &photo, "-o", &out).exits(1);
    let over = object(&run, "over_budget");
    assert!(over["found_cells"].as_u64() < over["wanted_cells"].as_u64(), "{over}");
    assert_eq!(object(&run, "summary")["original"], false);
    // Nothing of it is left: the parity is of something else, and nothing can be done.
    fs::write(&photo, noise(70_000, 5)).expect("written");
    run!("repair", &photo, "-o", &out).exits(2).says("is not used");
}

#[test]
fn of_several_parities_in_a_file_the_one_that_matches_is_used() {
    let place = Place::new();
    let [ours, theirs] = [4, 5].map(|seed| noise(70_000, seed));
    let [mine, other] = [place.write("mine", &ours), place.write("other", &theirs)];
    run!("protect", "-q", &mine, &other).exits(0);
    let [own, foreign] = [&mine, &other].map(|path| fs::read(par(path)).expect("read"));
    fs::write(par(&mine), [&b"junk"[..], &foreign, &own].concat()).expect("written");
    fs::write(par(&other), [&foreign[..], &own].concat()).expect("written");
    let out = place.path("out");
    for (path, whole) in [(&mine, &ours), (&other, &theirs)] {
        burst(path, 20_000, 1_000);
        run!("repair", "--force", path, "-o", &out).exits(0);
        assert!(fs::read(&out).expect("read") == *whole, "byte for byte");
    }
}

#[test]
fn parity_that_is_older_now_is_told_when_a_file_is_replaced() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity", "10%"]);
    let tree = place.path("tree");
    let create = |args: &[&str]| {
        let mut all: Vec<OsString> = vec!["create".into(), "--force".into()];
        all.extend(args.iter().map(OsString::from));
        all.extend(["-o".into(), pack.clone().into(), tree.clone().into()]);
        run_args(&all, None).exits(0)
    };
    let told = "is parity of what was there before";
    create(&[]).says(&format!("{told}; `carstone protect --force {}`", pack.display()));
    create(&["--parity-in-pack"]).says(told);
    assert!(!create(&["--parity", "5"]).stderr.contains(told));
    fs::write(par(&pack), b"something else").expect("written");
    assert!(!create(&[]).stderr.contains(told));
}

#[test]
fn what_commands_leave_behind_is_passed_over() {
    let place = Place::new();
    let dir = place.path("dir");
    let file = place.write("dir/a.bin", &noise(50_000, 1));
    let left = ["a.bin.damaged", "a.bin.damaged-1", ".a.binX7yZ12.part"];
    left.iter().for_each(|name| drop(place.write(&format!("dir/{name}"), b"left")));
    // These are somebody's own.
    let own = ["b.damaged", "c.part", ".part", "a.bin.damaged-x"];
    own.iter().for_each(|name| drop(place.write(&format!("dir/{name}"), b"own")));
    let summary = object(&run!("protect", "--json", &dir).exits(0), "summary");
    assert_eq!((&summary["files"], &summary["passed"]), (&5.into(), &3.into()), "{summary}");
    for name in left {
        assert!(!par(&dir.join(name)).exists(), "{name}");
    }
    run!("protect", &dir).exits(0).says("8 passed over");
    let summary = object(&run!("scrub", "--json", &dir).exits(0), "summary");
    assert_eq!((&summary["sound"], &summary["passed"]), (&5.into(), &3.into()), "{summary}");
    // Named, they are files as any other.
    run!("protect", dir.join("a.bin.damaged")).exits(0);
    assert!(par(&dir.join("a.bin.damaged")).exists() && par(&file).exists());
}

#[test]
fn nobody_waits_for_a_pipe_that_has_the_name_of_parity() {
    let place = Place::new();
    let file = place.write("dir/a.bin", &noise(50_000, 1));
    place.write("dir/b.bin", &noise(50_000, 2));
    assert!(Command::new("mkfifo").arg(par(&file)).status().expect("runs").success());
    for args in [&["protect"][..], &["protect", "--force"]] {
        let mut child = command(args)
            .arg(place.path("dir"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.as_mut().expect("it runs");
        let ended = (0..600).find_map(|_| {
            std::thread::sleep(Duration::from_millis(100));
            child.try_wait().expect("it can be asked")
        });
        let Some(status) = ended else {
            child.kill().expect("ended");
            panic!("it waits for the pipe");
        };
        assert_eq!(status.code(), Some(1), "{args:?}");
        assert!(place.path("dir/b.bin.par").exists());
    }
    fs::remove_file(par(&file)).expect("removed");
    run!("protect", place.path("dir")).exits(0);
}

#[test]
fn parity_goes_to_standard_output() {
    let place = Place::new();
    let file = place.write("a.bin", &noise(50_000, 1));
    let run = run!("protect", "-o", "-", &file).exits(0);
    assert!(
        run.stderr.contains("of parity (") && run.stderr.contains("on standard output"),
        "{}",
        run.stderr
    );
    let made = place.write("made", &run.stdout);
    run!("verify", "--parity-file", &made, &file).exits(0);
    let run = run!("protect", "--json", "-o", "-", &file).exits(0);
    assert!(
        run.stderr.contains(r#""in_pack":false"#) && !run.stderr.contains(r#""file""#),
        "{}",
        run.stderr
    );
}

#[test]
fn what_comes_through_a_pipe_is_verified_by_parity_that_was_named() {
    let place = Place::new();
    let file = place.write("a.bin", &noise(50_000, 1));
    run!("protect", "-q", &file).exits(0);
    let mut bytes = fs::read(&file).expect("read");
    let run = pipe!(&bytes, "verify", "--parity-file", par(&file), "-").exits(0);
    assert!(
        run.text().contains("standard input: as it was when it was protected"),
        "{}",
        run.text()
    );
    bytes[9_000] ^= 0xFF;
    let run = pipe!(&bytes, "verify", "--parity-file", par(&file), "-").exits(1);
    assert!(run.text().contains("can be healed by the parity in"), "{}", run.text());
    pipe!(&bytes, "verify", "-").exits(2).says("not a pack");
    let pack = pack_with(&place, &["--parity", "10%"]);
    let bytes = fs::read(&pack).expect("read");
    let run = pipe!(&bytes, "verify", "--parity-file", par(&pack), "-").exits(0);
    assert!(
        run.text().contains("is sound, and fits") && run.text().contains("intact"),
        "{}",
        run.text()
    );
}

#[test]
fn scrub_says_what_becomes_of_edits() {
    let help = run!("scrub", "--help").exits(0).text();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "a protected file that was changed on purpose",
        "kept as NAME.damaged",
        "Run `protect --force` again",
        "newer than their sidecar are kept all the same",
        "an empty one is taken as a new one",
    ] {
        assert!(help.contains(text), "{help}");
    }
}

/// Overwrites the table of cells in a sidecar with cells of `cell` bytes.
fn lose_table(sidecar: &Path, cell: usize) {
    damage(sidecar, |bytes| {
        let is_table = |at: &usize| bytes[*at..].starts_with(b"\xF5CSP\x01\x02");
        let frames: Vec<usize> = (0..bytes.len() - 8).filter(is_table).collect();
        frames.iter().for_each(|at| bytes[*at..*at + cell].fill(0));
    });
}

#[test]
fn what_is_only_probable_is_not_promised() {
    let place = Place::new();
    let file = place.write("a.bin", &noise(300_000, 1));
    run!("protect", "-q", &file).exits(0);
    lose_table(&par(&file), 1_024);
    burst(&file, 100_000, 3_000);
    let run = run!("verify", &file).exits(1);
    let text = run.text();
    assert!(
        text.contains("can probably be healed")
            && text.contains("293 cells are not told by the table"),
        "{text}"
    );
    let told = object(&run!("verify", "--json", &file).exits(1), "parity");
    assert_eq!(
        (&told["can_heal"], &told["healable"]),
        (&true.into(), &"probably".into()),
        "{told}"
    );
    let run = run!("scrub", &file).exits(1);
    assert!(run.text().contains("it can probably be healed, with --heal"), "{}", run.text());
    // Without a promise it is tried.
    let (dry, done) = (run!("repair", "-n", &file), run!("repair", &file, "-o", place.path("out")));
    assert_eq!(dry.code, done.code, "{}", dry.text());
    assert_eq!(
        dry.text().contains("the original again"),
        done.text().contains("the original again")
    );
}

/// Bytes of which all with the same length have the same CRC.
fn record(byte: u8) -> Vec<u8> {
    let record = vec![byte; 40];
    [&record[..], &crc64(&[&record]).to_le_bytes()].concat()
}

#[test]
fn bytes_of_the_same_crc_do_not_keep_a_damaged_file_from_being_healed() {
    let place = Place::new();
    let mut bytes = noise(300_000, 1);
    bytes[100_000..100_048].copy_from_slice(&record(1));
    let file = place.write("a.bin", &bytes);
    run!("protect", "-q", &file).exits(0);
    damage(&file, |bytes| bytes[100_000..100_048].copy_from_slice(&record(2)));
    burst(&file, 200_000, 3_000);
    run!("repair", &file, "-o", place.path("healed")).exits(0);
    assert!(fs::read(place.path("healed")).expect("read") == bytes, "byte for byte");
    run!("scrub", "--heal", &file).exits(0);
    assert!(fs::read(&file).expect("read") == bytes, "byte for byte");
}

#[test]
fn of_two_parities_the_one_that_suffices_counts_and_both_are_looked_at() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity", "2%", "--parity-in-pack"]);
    run!("protect", "-q", "--parity", "20%", &pack).exits(0);
    let sound = fs::read(&pack).expect("read");
    run!("verify", &pack).exits(0);
    // Damage to the other one is seen, although the first says that all is well.
    let sidecar = fs::read(par(&pack)).expect("read");
    burst(&par(&pack), 3_000, 5_000);
    let run = run!("verify", &pack).exits(1);
    assert!(run.text().contains("frames of the parity in"), "{}", run.text());
    fs::write(par(&pack), &sidecar).expect("written");
    burst(&pack, 100_000, sound.len() / 10);
    let run = run!("verify", &pack).exits(1);
    assert!(run.text().contains("can be healed by the parity in"), "{}", run.text());
    assert!(!run.text().contains("cannot be healed"), "{}", run.text());
    let out = place.path("out");
    run!("repair", &pack, "-o", &out).exits(0);
    assert!(fs::read(&out).expect("read") == sound);
}

#[test]
fn parity_of_a_pack_that_was_there_before_is_not_promised_to_heal_this_one() {
    let place = Place::new();
    let pack = pack_with(&place, &["--parity", "10%"]);
    let parity = fs::read(par(&pack)).expect("read");
    // The same files once more: another id, and next to nothing else.
    let again = pack_with(&place, &["--force"]);
    assert_eq!(again, pack);
    fs::write(par(&pack), parity).expect("written");
    burst(&pack, 5_000, 1_000);
    let run = run!("verify", &pack).exits(1);
    let text = [run.text(), run.stderr.clone()].concat();
    assert!(
        text.contains("if that is the parity of this pack") || text.contains("does not fit"),
        "{text}"
    );
}

/// Calls `change` with the kind and the bytes of each frame of parity.
fn each_frame(path: &Path, cell: usize, mut change: impl FnMut(u8, &mut [u8])) {
    damage(path, |bytes| {
        let mut at = 0;
        while let Some(kind) = bytes.get(at + 5).copied() {
            let len = if kind == 1 { 176 } else { 48 + cell };
            change(kind, &mut bytes[at..at + len]);
            at += len;
        }
    });
}

#[test]
fn what_happens_to_be_zeros_is_whole_without_parity() {
    let place = Place::new();
    let mut photo = noise(100 << 10, 8);
    photo.resize(110 << 10, 0);
    let path = place.write("photo.jpg", &photo);
    run!("protect", "-q", &path).exits(0);
    fs::write(&path, &photo[..100 << 10]).expect("written");
    let mut recovery = 0;
    each_frame(&par(&path), 1_024, |kind, frame| {
        recovery += usize::from(kind == 3);
        if kind == 3 && recovery > 2 {
            frame.fill(0);
        }
    });
    let out = place.path("out");
    let run = run!("repair", &path, "-o", &out).exits(0);
    assert!(run.text().contains("could not restore was zeros"), "{}", run.text());
    assert!(fs::read(&out).expect("read") == photo);
}

#[test]
fn cells_that_only_the_code_tells_count_as_restored() {
    let place = Place::new();
    let photo = noise(524_289, 2);
    let path = place.write("photo.jpg", &photo);
    run!("protect", "-q", "--parity", "50%", &path).exits(0);
    // All frames of the table go.
    each_frame(&par(&path), 2_048, |kind, frame| {
        if kind == 2 {
            frame.fill(0);
        }
    });
    burst(&path, 40 * 2_048, 60 * 2_048);
    let out = place.path("out");
    let run = run!("repair", &path, "-o", &out).exits(0);
    let text = run.text();
    assert!(text.contains("60 cells more restored") && text.contains("50.0 % of"), "{text}");
    assert!(fs::read(&out).expect("read") == photo);
    let run = run!("repair", "--json", "-n", &path).exits(0);
    assert_eq!(object(&run, "summary")["restored_cells"], 60);
}

#[test]
fn bytes_that_were_inserted_take_nothing_from_what_is_left_over_the_budget() {
    let place = Place::new();
    fs::create_dir(place.path("many")).expect("made");
    for number in 0..30 {
        place.write(&format!("many/f{number:02}"), &noise(60_000, number));
    }
    let pack = place.path("many.cstone");
    let create = ["create", "-q", "--block-size", "64K", "--parity", "10%", "-o"];
    let mut args: Vec<OsString> = create.map(Into::into).into();
    args.extend([pack.clone().into(), place.path("many").into()]);
    run_args(&args, None).exits(0);
    let sound = fs::read(&pack).expect("read");
    let entries = |out: &Path| {
        let run = run!("list", "--json", out);
        run.text().lines().filter(|line| line.contains("\"path\":\"f")).count()
    };
    let (with, without) = (place.path("with"), place.path("without"));
    for inserted in [690_000, 700_000, 717_000, 1_000_003] {
        let mut bytes = sound.clone();
        bytes.splice(247_005..323_005, noise(76_000, 99));
        bytes.splice(247_005 + 190_000..247_005 + 330_000, noise(140_000, 98));
        bytes.insert(inserted, b'Z');
        fs::write(&pack, &bytes).expect("written");
        run!("repair", "--force", &pack, "-o", &with).exits(1);
        run!("repair", "--force", "--no-parity", &pack, "-o", &without).exits(1);
        assert!(entries(&with) >= entries(&without), "{inserted}");
        assert!(entries(&with) > 10, "{inserted}");
    }
}
