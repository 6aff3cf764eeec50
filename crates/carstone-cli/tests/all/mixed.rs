//! Pieces of several packs, or of packs and CARs, in one file: what belongs together comes out, and the rest is told.

use std::fs;
use std::path::PathBuf;

use crate::support::{Place, noise, same_trees};

/// A tree of small files, and two packs for one key: of it, and of another one.
struct Two {
    place: Place,
    key: PathBuf,
    first: Vec<u8>,
    second: Vec<u8>,
}

fn two() -> Two {
    let place = Place::new();
    for number in 0..30 {
        place.write(&format!("tree/f{number:02}"), &noise(20_000, number));
    }
    place.write("other/sediment.bin", &noise(600_000, 77));
    let (recipient, key) = (place.key("key.txt"), place.path("key.txt"));
    let pack = |tree: &str| {
        let pack = place.path(&format!("{tree}.cstone"));
        run!("create", "-q", "-r", &recipient, "-o", &pack, place.path(tree)).exits(0);
        fs::read(pack).expect("read")
    };
    let (first, second) = (pack("tree"), pack("other"));
    Two { place, key, first, second }
}

impl Two {
    /// The first pack comes out whole, and something is told.
    #[track_caller]
    fn check(&self, name: &str, bytes: &[u8]) {
        let (file, out) = (self.place.write(name, bytes), self.place.path(&format!("{name}.out")));
        run!("extract", "-i", &self.key, "-C", &out, file).exits(1);
        same_trees(&self.place.path("tree"), &out);
    }

    #[track_caller]
    fn check_pipe(&self, name: &str, bytes: &[u8]) {
        let out = self.place.path(&format!("{name}.out"));
        pipe!(bytes, "extract", "-i", &self.key, "-C", &out, "-").exits(1);
        same_trees(&self.place.path("tree"), &out);
    }
}

#[test]
fn an_end_of_another_pack_does_not_stop_reading() {
    let two = two();
    let (first, second) = (&two.first, &two.second);
    two.check("appended", &[&first[..], second].concat());
    let (file, mended) = (two.place.path("appended"), two.place.path("mended"));
    let told = run!("repair", &file, "-o", &mended).exits(0).text();
    assert!(told.contains("nothing of this pack"), "{told}");
    assert!(fs::read(mended).expect("the first") == *first);
    let end = 304;
    let foreign = [&first[..first.len() - end], &second[second.len() - end..]].concat();
    two.check("foreign", &foreign);
    // More than once, so that the end is that of the same pack.
    two.check_pipe("twice", &[&first[..], first].concat());
}

#[test]
fn a_front_of_another_pack_does_not_stop_reading() {
    let two = two();
    let (first, second) = (&two.first, &two.second);
    // The container header, and with it most of the frame that has the key envelope.
    let stored_len = first[256 + 60..256 + 64].try_into().expect("four bytes");
    let frame = 96 + u32::from_le_bytes(stored_len) as usize;
    for len in [256, 256 + frame - 5] {
        let foreign = [&second[..len], &first[len..]].concat();
        two.check(&format!("front{len}"), &foreign);
    }
}

#[test]
fn a_pipe_whose_key_envelope_is_damaged_has_a_copy_of_it() {
    let two = two();
    let mut zeroed = two.first.clone();
    zeroed[456..488].fill(0);
    two.check_pipe("zeroed", &zeroed);
    let mut longer = two.first.clone();
    longer.insert(456, b'x');
    two.check_pipe("longer", &longer);
    let text =
        b"What stands in front is text, and longer than what is looked at first of all bytes.\n";
    two.check_pipe("text", &[&text[..], &two.first].concat());
}

#[test]
fn a_pack_in_a_car_that_lacks_its_header_is_content() {
    let two = two();
    let place = &two.place;
    fs::create_dir(place.path("held")).expect("a new directory");
    // A pack of several leaves, and files behind it.
    place.write("packed/big.bin", &noise(3_000_000, 5));
    run!("create", "-q", "-o", place.path("held/a.cstone"), place.path("packed")).exits(0);
    for number in 0..5 {
        place.write(&format!("held/f{number}"), &noise(20_000, 90 + number));
    }
    let car = place.path("held.car");
    run!("create", "-q", "--car-version", "1", "-o", &car, place.path("held")).exits(0);
    let bytes = fs::read(&car).expect("read");
    let headless = place.write("headless.car", &bytes[101..]);
    let out = place.path("out");
    run!("extract", "-C", &out, &headless).exits(1).says("a.cstone");
    for number in 0..5 {
        let name = format!("f{number}");
        let (found, expected) = (out.join(&name), place.path("held").join(&name));
        assert_eq!(fs::read(found).expect("there"), fs::read(expected).expect("there"), "{name}");
    }
    assert!(!out.join("big.bin").exists());
    let told = run!("verify", &headless).exits(1).text();
    assert!(told.contains("no CAR header"), "{told}");
}

#[test]
fn behind_an_index_that_leads_astray_only_what_is_damaged_is_lost() {
    let two = two();
    let place = &two.place;
    let car = place.path("x.car");
    run!("create", "-q", "-o", &car, place.path("tree")).exits(0);
    let mut bytes = fs::read(&car).expect("read");
    let content = noise(20_000, 5);
    let at =
        bytes.windows(40).position(|window| window == &content[..40]).expect("stored as it is");
    // The first byte of the length: as long as nothing.
    bytes[at - 39] = 0;
    let damaged = place.write("damaged.car", &bytes);
    let out = place.path("out");
    let run = run!("extract", "-C", &out, &damaged).exits(1);
    assert!(run.stderr.contains("f05: "), "{}", run.stderr);
    assert_eq!(fs::read_dir(&out).expect("a directory").count(), 29);
}

#[test]
fn what_is_left_of_a_file_takes_no_name_of_an_entry() {
    let place = Place::new();
    let (whole, entry) = (noise(3_000_000, 1), noise(1_800_000, 2));
    place.write("tree/x", &whole);
    place.write("tree/x.partial", &entry);
    let pack = place.path("x.cstone");
    let small = ["--compress", "none", "--block-size", "64K"];
    run!("create", "-o", &pack, small[0], small[1], small[2], small[3], place.path("tree"))
        .exits(0);
    let mut bytes = fs::read(&pack).expect("read");
    let at = bytes.windows(64).position(|window| window == &whole[1_500_000..1_500_064]);
    let at = at.expect("stored as it is");
    bytes[at..at + 4096].fill(0);
    let damaged = place.write("damaged.cstone", &bytes);
    let out = place.path("out");
    for overwrite in ["never", "always"] {
        let options = ["--salvage", "--overwrite", overwrite];
        let run =
            run!("extract", options[0], options[1], options[2], "-C", &out, &damaged).exits(1);
        assert_eq!(fs::read(out.join("x.partial")).expect("an entry"), entry, "{overwrite}");
        assert!(run.stderr.contains("x.partial.partial"), "{}", run.stderr);
        let part = fs::read(out.join("x.partial.partial")).expect("what is left");
        assert_eq!(part[..1 << 20], whole[..1 << 20]);
        assert!(!out.join("x").exists());
    }
    let told = run!("extract", "--json", "-C", place.path("told"), &damaged).exits(1).json();
    let problem = |path: &str| told.iter().find(|line| line["path"] == path);
    let missing = problem("x").map(|line| line["missing"].clone());
    assert_eq!(missing, Some(serde_json::json!([[1 << 20, 2 << 20]])));
    let gap = told.iter().find(|line| line["layer"] == "compression").expect("it is told");
    assert_eq!((&gap["cause"], &gap["length"]), (&"corrupt".into(), &65_536.into()));
    // A part of one file is something too.
    run!("extract", "--salvage", "-C", place.path("one"), &damaged, "x").exits(1);
    assert!(place.path("one/x.partial").exists());
    // Both are damaged, or nothing is left of the one that has the name.
    let start = |file: &[u8]| bytes.windows(64).position(|window| window == &file[..64]);
    let start = start(&entry).expect("stored as it is");
    for (number, (from, to)) in [(900_000, 904_000), (0, 1_800_000)].into_iter().enumerate() {
        let mut bytes = bytes.clone();
        // Frame headers are hit too.
        bytes[start + from..start + to].fill(0);
        let damaged = place.write("damaged.cstone", &bytes);
        for how in ["never", "always"] {
            let out = place.path(&format!("both-{number}-{how}"));
            let options = ["--salvage", "--overwrite", how];
            run!("extract", options[0], options[1], options[2], "-C", &out, &damaged).exits(1);
            let kept = fs::read_dir(&out).expect("made").map(|kept| kept.expect("there").path());
            let kept: Vec<_> = kept.map(|path| (fs::read(&path).expect("read"), path)).collect();
            let of =
                |file: &[u8]| kept.iter().filter(|(part, _)| part[..1000] == file[..1000]).count();
            assert_eq!((of(&whole), of(&entry)), (1, 1 - number), "{number}: {how}");
            assert!(!out.join("x.partial").exists() && !out.join("x").exists());
        }
    }
}
