//! Damaged packs: what is intact comes out, what is not is named.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use carstone::layer::{FRAME_HEADER_LEN, FrameHeader, Kind, LayerId};

use crate::support::{self, Place, look, noise, same_trees, small_tree};

/// A pack of which one block is zeroed and the end is missing, so that it can only be read front to back.
fn hurt(place: &Place, lose_end: bool) -> std::path::PathBuf {
    small_tree(&place.path("tree"));
    let big = noise(12_000_000, 9);
    place.write("tree/sediment.bin", &big);
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, "--block-size", "64K", place.path("tree")).exits(0);
    let mut bytes = fs::read(&pack).expect("read");
    let at = bytes.len() / 2;
    bytes[at..at + 4096].fill(0);
    if lose_end {
        bytes.truncate(bytes.len() - 2_000);
    }
    place.write("hurt.cstone", &bytes)
}

fn same_where_it_came(part: &[u8], whole: &[u8]) -> usize {
    assert!(part.len() <= whole.len());
    part.iter().zip(whole).filter(|(a, b)| a == b).count()
}

#[test]
fn what_is_intact_is_restored_and_partial_files_only_when_asked_for() {
    let place = Place::new();
    let pack = hurt(&place, true);
    let run = run!("extract", "-C", place.path("out"), &pack).exits(1);
    assert!(run.stderr.contains("sediment.bin"), "{}", run.stderr);
    check_subset(&place.path("tree"), &place.path("out"));
    let names = |dir: &Path| fs::read_dir(dir).expect("a directory").count();
    assert_eq!(names(&place.path("out")) + 1, names(&place.path("tree")));

    let run = run!("extract", "--salvage", "-C", place.path("all"), &pack).exits(1);
    assert!(run.stderr.contains(".partial"), "{}", run.stderr);
    assert!(!place.path("all/sediment.bin").exists());
    let part = fs::read(place.path("all/sediment.bin.partial")).expect("it is kept");
    let whole = fs::read(place.path("tree/sediment.bin")).expect("read");
    // Leaves of 1 MiB that lie in the blocks of 64 KiB that are hit.
    assert!(same_where_it_came(&part, &whole) > 8_000_000);
    check_subset(&place.path("tree"), &place.path("all"));
}

#[test]
fn a_pipe_is_read_past_the_damage() {
    let place = Place::new();
    let pack = hurt(&place, false);
    let bytes = fs::read(&pack).expect("read");
    pipe!(&bytes, "extract", "-C", place.path("out"), "-").exits(1).says("sediment.bin");
    assert!(place.path("out/hello.txt").exists());
    check_subset(&place.path("tree"), &place.path("out"));
    let listed = pipe!(&bytes, "list", "-l", "-").exits(1).lines();
    let incomplete = listed.iter().filter(|line| line.ends_with("(incomplete)"));
    assert_eq!(incomplete.count(), 1, "{listed:#?}");
}

#[test]
fn a_pipe_without_its_container_header_is_read_from_both_ends() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    place.write("tree/sediment.bin", &noise(3_000_000, 9));
    for compression in ["none", "brotli"] {
        let pack = place.path(&format!("{compression}.cstone"));
        let settings = ["--compress", compression, "--block-size", "64K"];
        run!(
            "create",
            "-o",
            &pack,
            settings[0],
            settings[1],
            settings[2],
            settings[3],
            place.path("tree")
        )
        .exits(0);
        let mut bytes = fs::read(&pack).expect("read");
        bytes[..256].fill(0);
        let out = place.path(&format!("out {compression}"));
        let run = pipe!(&bytes, "extract", "--salvage", "-C", &out, "-").exits(1);
        assert!(run.stderr.contains("kept in a temporary file"), "{}", run.stderr);
        same_trees(&place.path("tree"), &out);
        let listed = pipe!(&bytes, "list", "-").exits(1).lines();
        assert!(listed.iter().any(|line| line.ends_with("sediment.bin")), "{listed:#?}");
        let content = pipe!(&bytes, "cat", "-", "hello.txt").exits(1).stdout;
        assert!(!content.is_empty());
        pipe!(&bytes, "verify", "-").exits(1);
    }
    // What is nothing of the kind is not kept.
    pipe!(&noise(100_000, 1), "list", "-").exits(2).says("not a pack");
}

#[test]
fn verify_lists_gaps_and_the_entries_that_are_hit() {
    for lose_end in [false, true] {
        let place = Place::new();
        let pack = hurt(&place, lose_end);
        let found = run!("verify", "--json", &pack).exits(1).json();
        let gaps = found.iter().filter(|line| line["type"] == "gap" && line["length"] != 0);
        assert!(gaps.clone().count() >= 1, "{found:#?}");
        assert!(gaps.clone().any(|gap| gap["layer"] == "compression"), "{found:#?}");
        let hit: Vec<_> = found.iter().filter(|line| line["type"] == "damaged_entry").collect();
        assert_eq!(hit.len(), 1, "{found:#?}");
        assert_eq!(hit[0]["path"], "sediment.bin");
        assert!(hit[0]["missing"].as_array().is_some_and(|ranges| !ranges.is_empty()));
        let summary = found.last().expect("a summary");
        assert_eq!((&summary["type"], &summary["hit_entries"]), (&"summary".into(), &1.into()));
        let text = run!("verify", &pack).exits(1).text();
        assert!(text.contains("sediment.bin") && text.contains("byte"), "{text}");
    }
}

#[test]
fn cat_gives_whole_files_and_the_beginning_of_others() {
    let place = Place::new();
    let pack = hurt(&place, true);
    let hello = fs::read(place.path("tree/hello.txt")).expect("read");
    assert_eq!(run!("cat", &pack, "hello.txt").exits(1).stdout, hello);
    let run = run!("cat", &pack, "sediment.bin").exits(1).says("missing");
    let whole = fs::read(place.path("tree/sediment.bin")).expect("read");
    assert!(run.stdout.len() > 2_000_000 && whole.starts_with(&run.stdout));
    run!("cat", &pack, "no such").exits(2).says("no such entry");
}

/// Where damage repeats a leaf, the others still come from where they are.
#[test]
fn cat_takes_a_repeated_leaf_once() {
    let place = Place::new();
    let whole = noise(3_000_000, 5);
    place.write("tree/sediment.bin", &whole);
    let pack = place.path("sound.cstone");
    let tree = place.path("tree");
    run!("create", "--compress", "none", "--chunker", "fixed:16K", "-o", &pack, tree).exits(0);
    let mut bytes = fs::read(&pack).expect("read");
    let at = bytes.windows(64).position(|bytes| bytes == &whole[..64]).expect("the first leaf");
    // A length of three bytes and a CID of 36 stand before it.
    let section = at - 39..at + (16 << 10);
    let again = bytes[section.clone()].to_vec();
    bytes.splice(section.end..section.end, again.iter().chain(&again).copied());
    let pack = place.write("hurt.cstone", &bytes);
    let run = run!("cat", &pack, "sediment.bin");
    assert!(run.code == 1 && run.stdout == whole, "{}: {}", run.code, run.stderr);
}

/// Both ends of an encrypted pack may be gone, and frames may stand in any order.
#[test]
fn a_pack_without_its_ends_is_read_and_frames_are_put_in_order() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    place.write("tree/sediment.bin", &noise(900_000, 3));
    let alice = place.key("alice");
    let key = place.path("alice");
    let pack = place.path("x.cstone");
    run!("create", "-o", &pack, "-r", alice, "--compress", "none", place.path("tree")).exits(0);
    let sound = fs::read(&pack).expect("read");

    let mut headless = sound.clone();
    headless[..256].fill(0);
    let mut endless = sound.clone();
    endless.truncate(sound.len() - 304);
    let mut swapped = sound.clone();
    let frame = 96 + (128 << 10) + 16;
    let header = 256 + 96 + u32::from_le_bytes(sound[316..320].try_into().expect("4")) as usize;
    for n in 0..frame {
        swapped.swap(header + frame + n, header + 3 * frame + n);
    }
    let mut flipped = sound.clone();
    flipped[header + 5000] ^= 16;
    for (name, bytes) in [("h", headless), ("e", endless), ("s", swapped), ("f", flipped)] {
        let pack = place.write(&format!("{name}.cstone"), &bytes);
        let out = place.path(&format!("out-{name}"));
        run!("extract", "--salvage", "-i", &key, "-C", &out, &pack).exits(1);
        same_trees(&place.path("tree"), &out);
        run!("verify", "-i", &key, &pack).exits(1);
        let mended = place.path(&format!("{name}-mended.cstone"));
        run!("repair", &pack, "-o", &mended).exits(0);
        assert!(fs::read(mended).expect("read") == sound, "{name}");
    }
}

/// A pack opens at random although a bit of a data frame is flipped.
#[test]
fn a_flipped_bit_costs_nothing_wherever_it_is() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let alice = place.key("alice");
    let key = place.path("alice");
    for (name, args) in [
        ("plain", vec!["--compress", "none"]),
        ("brotli", vec!["--block-size", "64K"]),
        ("locked", vec!["-r", &alice]),
    ] {
        let pack = place.path(&format!("{name}.cstone"));
        let mut create: Vec<std::ffi::OsString> = vec!["create".into(), "-o".into()];
        create.push(pack.clone().into());
        create.extend(args.into_iter().map(Into::into));
        create.push(place.path("tree").into());
        support::run_args(&create, None).exits(0);
        let sound = fs::read(&pack).expect("read");
        // In the payload of a frame, and in the header of the second one.
        let second = sound[1000..].windows(8).position(|bytes| bytes == &sound[256..264]);
        let second = 1000 + second.expect("there are several frames");
        for (n, at) in [sound.len() / 3, sound.len() / 2 + 1, second + 70].into_iter().enumerate() {
            let mut flipped = sound.clone();
            flipped[at] ^= 4;
            let pack = place.write(&format!("{name}-{n}.cstone"), &flipped);
            let out = place.path(&format!("{name}-{n}"));
            run!("extract", "-i", &key, "-C", &out, &pack)
                .exits(1)
                .says("1 flipped bit was put right");
            same_trees(&place.path("tree"), &out);
            let cat = run!("cat", "-i", &key, &pack, "big.bin");
            assert!(
                cat.stdout == fs::read(place.path("tree/big.bin")).expect("read"),
                "{name} {n}"
            );
            run!("verify", "-i", &key, &pack).exits(1);
            let told = run!("verify", "-i", &key, "--json", &pack).exits(1).json();
            assert!(told.iter().any(|line| line["type"] == "correction"), "{name} {n}: {told:#?}");
            let names = |pack: &Path| run!("list", "-i", &key, pack).lines();
            assert_eq!(names(&pack), names(&place.path(&format!("{name}.cstone"))));
        }
    }
}

/// A page of the manifest is lost, while the pack still opens at random.
#[test]
fn a_lost_page_of_the_manifest_costs_no_entry() {
    let place = Place::new();
    for n in 0..5000 {
        place.write(&format!("tree/d{}/layer number {n:04}", n % 7), format!("{n}").as_bytes());
    }
    let sound = place.path("sound.cstone");
    run!("create", "--compress", "none", "-o", &sound, place.path("tree")).exits(0);
    let mut bytes = fs::read(&sound).expect("read");
    let name = b"d3/layer number 2502";
    let at = bytes.windows(name.len()).rposition(|bytes| bytes == name).expect("it is listed");
    bytes[at..at + name.len()].fill(0);
    let pack = place.write("hurt.cstone", &bytes);

    let names = run!("list", &sound).exits(0).lines();
    let listed = run!("list", &pack).exits(1).says("hurt.cstone: ");
    assert!(listed.lines()[..100] == names[..100], "what comes first comes in order");
    let mut found = listed.lines();
    found.sort();
    let mut expected = names.clone();
    expected.sort();
    assert!(found == expected, "{} of {}", found.len(), expected.len());
    let long = run!("list", "-l", &pack).exits(1).lines();
    assert_eq!(long.len(), names.len());
    assert!(long.iter().filter(|line| line.contains("layer")).all(|line| !line.contains(" - ")));
    let picked = run!("list", &pack, "d3/layer number 2502", "d0/layer number 0000").exits(1);
    assert_eq!(picked.lines().len(), 2);

    let out = place.path("out");
    let run = run!("extract", "--json", "-C", &out, &pack).exits(1);
    same_trees(&place.path("tree"), &out);
    let restored = run.json().into_iter().filter(|line| line["type"] == "restored");
    let mut restored: Vec<_> = restored.map(|line| line["path"].to_string()).collect();
    restored.sort();
    let all = restored.len();
    restored.dedup();
    assert_eq!(restored.len(), all, "each is told once");

    let cat = run!("cat", &pack, "d3/layer number 2502").exits(1).says("hurt.cstone: ");
    assert_eq!(cat.text(), "2502");
    assert_eq!(run!("cat", &pack, "d0/layer number 0000").exits(0).text(), "0");
    run!("cat", &pack, "d3/nothing").exits(2).says("no such entry");
}

/// The announcement of entries is lost, while the pack still opens at random: what their content needs is there.
#[test]
fn a_lost_batch_costs_metadata_and_no_content() {
    let place = Place::new();
    for (n, len) in [(0, 300_000), (1, 400_000), (2, 50), (3, 200_000)] {
        place.write(&format!("tree/bed {n}"), &noise(len, n));
    }
    fs::hard_link(place.path("tree/bed 1"), place.path("tree/another bed")).expect("linked");
    let pack = place.path("sound.cstone");
    run!("create", "--compress", "none", "--block-size", "64K", "-o", &pack, place.path("tree"))
        .exits(0);
    let sound = fs::read(&pack).expect("read");
    for name in ["another bed", "bed 2"] {
        let mut bytes = sound.clone();
        let name = name.as_bytes();
        let at = bytes.windows(name.len()).position(|bytes| bytes == name).expect("announced");
        bytes[at..at + name.len()].fill(0);
        let pack = place.write("hurt.cstone", &bytes);
        let out = place.path(&format!("out of {}", name.escape_ascii()));
        let run = run!("extract", "-C", &out, &pack).exits(1).says("hurt.cstone: ");
        let (whole, found) = (look(&place.path("tree")), look(&out));
        let all = whole.len() == found.len();
        assert!(all || run.stderr.contains("not restored") || run.stderr.contains("missing"));
        for (path, entry) in &found {
            assert!(whole[path].content == entry.content, "{}", path.escape_ascii());
            assert!(whole[path].same_as == entry.same_as, "{}", path.escape_ascii());
        }
        // The content that stands partly in the frame that is hit, under both of its names.
        let lost: Vec<_> = whole.keys().filter(|path| !found.contains_key(*path)).collect();
        let contents: HashSet<_> = lost.iter().map(|path| &whole[*path].content).collect();
        assert!(contents.len() <= 1, "{lost:?} are lost: {}", run.stderr);
    }
}

/// Content is given up to the first hole in what was asked for, each byte once, whichever way it is read.
#[test]
fn cat_gives_ranges_of_a_file_with_a_hole() {
    for lose_end in [false, true] {
        let place = Place::new();
        let pack = hurt(&place, lose_end);
        let whole = fs::read(place.path("tree/sediment.bin")).expect("read");
        let all = run!("cat", &pack, "sediment.bin").exits(1).says("missing");
        let hole = all.stdout.len();
        assert!(hole > 2_000_000 && whole.starts_with(&all.stdout));
        let last = whole.len() - 1000;
        assert!(run!("cat", &pack, "sediment.bin", "--range", "-1000").stdout == whole[last..]);
        let range = format!("{}-", hole + (2 << 20));
        let behind = run!("cat", &pack, "sediment.bin", "--range", range).stdout;
        assert!(behind == whole[hole + (2 << 20)..]);
        let range = format!("{}-{}", hole - 10, hole + 10);
        let across = run!("cat", &pack, "sediment.bin", "--range", range).exits(1).says("missing");
        assert!(across.stdout == whole[hole - 10..hole]);
    }
}

/// Places are those in the file, whatever was lost before them and put in order on the way.
#[test]
fn places_of_damage_are_those_in_the_file() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let reader = place.key("alice");
    let pack = place.path("x.cstone");
    let tree = place.path("tree");
    let layers = ["--compress", "none", "--block-size", "64K"];
    run!("create", "-o", &pack, "-r", reader, layers[0], layers[1], layers[2], layers[3], tree)
        .exits(0);
    let sound = fs::read(&pack).expect("read");
    let frame = 96 + (128 << 10) + 16;
    let first = 256 + 96 + u32::from_le_bytes(sound[316..320].try_into().expect("4")) as usize;
    let mut bytes = sound.clone();
    let places = [3, 9].map(|n| first + n * frame);
    for at in places {
        bytes[at + 5000..at + 9096].fill(0);
    }
    let pack = place.write("hurt.cstone", &bytes);
    let stored = places.map(|at| serde_json::json!([at, at + frame]));
    for keys in [&["-i", "alice"][..], &[]] {
        let mut args: Vec<std::ffi::OsString> = vec!["verify".into(), pack.clone().into()];
        args.extend(keys.iter().map(|key| match *key {
            "alice" => place.path("alice").into(),
            option => option.into(),
        }));
        let text = support::run_args(&args, None).exits(1).text();
        for at in places {
            assert!(text.contains(&format!(": the pack is corrupt at byte {at} (")), "{text}");
        }
        args.push("--json".into());
        let told = support::run_args(&args, None).exits(1).json();
        let found: Vec<_> = told.iter().map(|line| line["stored"].clone()).collect();
        assert!(stored.iter().all(|stored| found.contains(stored)), "{told:#?}");
    }
    let said = run!("list", "-i", place.path("alice"), &pack).exits(0).stderr;
    assert!(said.is_empty(), "{said}");
    let mut flipped = sound;
    flipped[first + 7000] ^= 8;
    let flipped = place.write("flipped.cstone", &flipped);
    let text = run!("verify", &flipped).exits(1).text();
    assert!(text.contains("1 flipped bit can be put right"), "{text}");
    run!("info", place.write("headless.cstone", &bytes[300..])).exits(2).says("carstone repair");
}

/// 0 says that all was as it should be; what was put right on the way was not.
#[test]
fn exit_statuses_tell_damage_from_loss_and_from_failure() {
    let place = Place::new();
    let sound = place.pack("x.cstone");
    let bytes = fs::read(&sound).expect("read");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let flipped = place.write("flipped.cstone", &flipped);
    let mut torn = bytes.clone();
    torn[bytes.len() / 2..][..4096].fill(0);
    let torn = place.write("torn.cstone", &torn);
    let none = place.write("none.cstone", b"nothing of the kind");
    let statuses = |pack: &Path, name: &str| {
        let (out, mended) = (place.path(&format!("out {name}")), place.path(&format!("to {name}")));
        [
            run!("list", pack).code,
            run!("cat", pack, "big.bin").code,
            run!("extract", "-C", out, pack).code,
            run!("verify", pack).code,
            run!("repair", pack, "-o", mended).code,
        ]
    };
    assert_eq!(statuses(&sound, "sound"), [0; 5]);
    // The listing reads nothing of what is damaged. Mended is as good as sound.
    assert_eq!(statuses(&flipped, "flipped"), [0, 1, 1, 1, 0]);
    same_trees(&place.path("tree"), &place.path("out flipped"));
    assert_eq!(statuses(&torn, "torn"), [0, 1, 1, 1, 1]);
    assert_eq!(statuses(&none, "none"), [2; 5]);
}

/// All that is in `found` is as it is in `whole`.
#[track_caller]
fn check_subset(whole: &Path, found: &Path) {
    let whole = look(whole);
    for (path, seen) in look(found).into_iter().filter(|(path, _)| !path.ends_with(b".partial")) {
        assert_eq!(whole.get(&path), Some(&seen), "{}", path.escape_ascii());
    }
}

#[test]
fn a_pack_that_is_cut_keeps_the_beginning_of_the_leaf_it_is_cut_in() {
    let place = Place::new();
    let files = [("a.bin", noise(400_000, 3)), ("long.bin", noise(2_700_000, 4))];
    for (name, content) in &files {
        place.write(&format!("tree/{name}"), content);
    }
    let key = place.key("id");
    let identity = place.path("id");
    for (number, codec) in ["none", "zstd", "none", "brotli"].into_iter().enumerate() {
        let is_encrypted = number > 1;
        let pack = place.path("x.cstone");
        let tree = place.path("tree");
        let made = ["create", "-q", "--force", "--block-size=64K", "--compress", codec, "-o"];
        let mut args = made.map(OsString::from).to_vec();
        args.extend([pack.clone().into(), tree.into()]);
        if is_encrypted {
            args.extend(["-r".into(), key.clone().into()]);
        }
        support::run_args(&args, None).exits(0);
        let bytes = fs::read(&pack).expect("read");
        for tenth in 1..10 {
            let at = bytes.len() * tenth / 10;
            let cut = place.write("cut.cstone", &bytes[..at]);
            let out = place.path(&format!("out-{number}-{tenth}"));
            let run = run!("extract", "--salvage", "--json", "-i", &identity, "-C", &out, &cut);
            let problems = run.exits(1).json();
            let mut came = 0;
            for (name, content) in &files {
                if let Ok(found) = fs::read(out.join(name)) {
                    assert_eq!(&found, content, "{name}");
                    came += content.len();
                }
                let Ok(found) = fs::read(out.join(format!("{name}.partial"))) else { continue };
                assert!(content.starts_with(&found), "{name}.partial, {codec}, {tenth}");
                let told = problems.iter().find(|told| told["path"] == *name);
                let told = told.unwrap_or_else(|| panic!("{name} is not told: {problems:?}"));
                // What stands in no whole frame is what it was, but nothing proves it.
                let unproved = told.get("unproved").map(|ranges| ranges[0].clone());
                let end = unproved.as_ref().map_or(found.len().into(), |range| range[1].clone());
                assert_eq!(end, found.len(), "{told}");
                assert!(unproved.is_none() || !is_encrypted, "{told}");
                assert!(unproved.is_some() || codec != "none" || is_encrypted, "{told}");
                // Of the long file it is not known how long it was.
                if content.len() == 400_000 {
                    assert_eq!(told["missing"][0][0], found.len(), "{told}");
                }
                came += found.len();
            }
            assert!(came + 200_000 > at, "{came} bytes came of {at}, {codec}");
        }
    }
}

/// Its first leaf is one that was there before, and is lost; its end is behind a cut.
#[test]
fn that_the_end_of_a_file_is_lost_is_told_beside_its_holes() {
    let place = Place::new();
    let shared = noise(2 << 20, 1);
    place.write("tree/a", &shared);
    place.write("tree/b", &[shared, noise(3 << 20, 2)].concat());
    let pack = place.path("x.cstone");
    let args = ["--compress=none", "--block-size=64K", "--order=path", "-o"];
    let [compress, size, order, to] = args;
    run!("create", "-q", compress, size, order, to, &pack, place.path("tree")).exits(0);
    let mut bytes = fs::read(&pack).expect("read");
    bytes[500_000..504_096].fill(0);
    let hurt = place.write("hurt.cstone", &bytes[..4_000_000]);
    let out = place.path("out");
    let told = run!("extract", "--salvage", "--json", "-C", &out, &hurt).exits(1).json();
    let told = told.iter().find(|told| told["path"] == "b").expect("it is told");
    assert_eq!(told["missing"][0][0], 0, "{told}");
    assert_eq!((&told["size"], &told["end_lost"]), (&serde_json::Value::Null, &true.into()));
    assert!(told["message"].as_str().is_some_and(|text| text.contains("and its end")), "{told}");
    let text = run!("verify", &hurt).exits(1).text();
    assert!(text.contains("b: ") && text.contains("are missing, and its end"), "{text}");
    let told = run!("verify", "--json", &hurt).exits(1).json();
    assert!(told.iter().any(|told| told["end_lost"] == true), "{told:?}");
}

#[test]
fn a_cut_that_leaves_no_entry_is_damage_as_any_other() {
    let place = Place::new();
    place.write("tree/a.bin", &noise(400_000, 3));
    let key = place.key("id");
    let pack = place.path("x.cstone");
    run!("create", "-q", "-r", &key, "-o", &pack, place.path("tree")).exits(0);
    let bytes = fs::read(&pack).expect("read");
    for at in [20_000, 77_216] {
        let cut = place.write("cut.cstone", &bytes[..at]);
        for salvage in [&[][..], &["--salvage"]] {
            let mut args = vec!["extract".into(), "-C".into(), place.path("out").into()];
            args.extend(salvage.iter().map(OsString::from));
            args.extend(["-i".into(), place.path("id").into(), cut.clone().into()]);
            support::run_args(&args, None).exits(1);
        }
    }
}

#[test]
fn a_damaged_footer_costs_nothing_and_is_told() {
    let place = Place::new();
    for number in 0..12 {
        place.write(&format!("tree/f{number:02}"), &noise(20_000, number));
    }
    let (pack, out) = (place.path("tree.cstone"), place.path("out"));
    run!("create", "-q", "--block-size", "64k", "-o", &pack, place.path("tree")).exits(0);
    let good = fs::read(&pack).expect("read");
    run!("list", &pack).exits(0);
    // Page and tail of the compression footer: the last two frames, in front of the trailer.
    let is_frame = |at: &usize| good[*at..].starts_with(b"\xF4CSF\r\n\x1A\xC1");
    let frames: Vec<_> = (0..good.len()).filter(is_frame).collect();
    let [.., page, tail] = frames[..] else { panic!("there are frames") };
    for at in [page + 2, page + 100, tail + 2, tail + 100] {
        let mut bytes = good.clone();
        bytes[at..at + 6].iter_mut().for_each(|byte| *byte ^= 0x5A);
        let bad = place.write("bad.cstone", &bytes);
        run!("list", &bad).exits(1).says("no content is lost");
        run!("cat", &bad, "f03").exits(1).says("no content is lost");
        run!("extract", "-C", &out, &bad).exits(1).says("no content is lost");
        same_trees(&place.path("tree"), &out);
        fs::remove_dir_all(&out).expect("remove");
        tells_everywhere(&place, &bytes, None);
    }
}

/// All that reads gives everything, from a file and from a pipe, and ends with 1.
#[track_caller]
fn tells_everywhere(place: &Place, bytes: &[u8], key: Option<&Path>) {
    let (bad, out) = (place.write("told.cstone", bytes), place.path("told"));
    let with = |args: &[&str], pack: &Path| {
        let mut all: Vec<OsString> = args.iter().map(Into::into).collect();
        all.extend(key.iter().flat_map(|key| ["-i".into(), key.into()]));
        all.extend(
            [OsString::from("-C"), out.clone().into()].into_iter().filter(|_| args[0] == "extract"),
        );
        all.push(pack.into());
        all
    };
    for args in [&["list"][..], &["extract"], &["extract", "--salvage"], &["verify"]] {
        for (pack, input) in [(bad.as_path(), None), (Path::new("-"), Some(bytes))] {
            let run = support::run_args(&with(args, pack), input).exits(1);
            assert!(!run.stderr.is_empty(), "{args:?}");
            if args[0] == "extract" {
                same_trees(&place.path("tree"), &out);
                fs::remove_dir_all(&out).expect("remove");
            }
        }
    }
}

#[test]
fn damage_that_costs_nothing_is_told_by_all_that_reads() {
    let place = Place::new();
    for number in 0..12 {
        place.write(&format!("tree/f{number:02}"), &noise(20_000, number));
    }
    let (recipient, key) = (place.key("key.txt"), place.path("key.txt"));
    for is_encrypted in [false, true] {
        let pack = place.path(&format!("{is_encrypted}.cstone"));
        match is_encrypted {
            true => run!("create", "-q", "-r", &recipient, "-o", &pack, place.path("tree")),
            false => run!("create", "-q", "-o", &pack, place.path("tree")),
        }
        .exits(0);
        let good = fs::read(&pack).expect("read");
        let is_frame = |at: &usize| good[*at..].starts_with(b"\xF4CSF\r\n\x1A\xC1");
        let frames: Vec<_> = (0..good.len()).filter(is_frame).collect();
        let [.., before, last] = frames[..] else { panic!("there are frames") };
        let end = good.len() - 304;
        let put_in = |at: usize, bytes: &[u8]| [&good[..at], bytes, &good[at..]].concat();
        let without = |from: usize, to: usize| [&good[..from], &good[to..]].concat();
        let swapped =
            [&good[..before], &good[last..end], &good[before..last], &good[end..]].concat();
        let zeroed = [&good[..last], &vec![0; end - last], &good[end..]].concat();
        let key = is_encrypted.then_some(key.as_path());
        for damaged in [
            put_in(last, &noise(1000, 3)),
            put_in(end, &[0; 1000]),
            put_in(good.len(), &[0; 1000]),
            without(last, end),
            swapped,
            zeroed,
        ] {
            tells_everywhere(&place, &damaged, key);
        }
    }
}

/// The outermost frames of a sound pack, and where each starts.
fn frames(pack: &[u8]) -> Vec<(usize, FrameHeader)> {
    let (mut at, mut frames) = (256, Vec::new());
    while let Some(header) = pack[at..].first_chunk::<FRAME_HEADER_LEN>() {
        let Some(header) = FrameHeader::probe(header) else { break };
        frames.push((at, header));
        at += FRAME_HEADER_LEN + header.stored_len as usize;
    }
    frames
}

/// What is read of a pack to open it may reach into the frame before the last one, when that is short.
#[test]
fn damage_before_a_short_last_frame_is_damage_as_any_other() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let key = place.key("key.txt");
    let pack = place.path("x.cstone");
    let is_short = |header: &FrameHeader| {
        header.layer == LayerId::ENCRYPTION && header.kind == Kind::DATA && header.plain_len < 3000
    };
    let found = (0..60).find_map(|more| {
        place.write("tree/filler", &noise(300_000 + more * 2500, 3));
        let small = ["--block-size", "64K"];
        run!(
            "create",
            "-q",
            "--force",
            small[0],
            small[1],
            "-r",
            &key,
            "-o",
            &pack,
            place.path("tree")
        )
        .exits(0);
        let frames = frames(&fs::read(&pack).expect("read"));
        let last = frames.iter().rposition(|(_, header)| is_short(header))?;
        Some(frames[last - 1].0)
    });
    let mut bytes = fs::read(&pack).expect("read");
    let at = found.expect("one of the sizes leaves little for the last frame") + 5000;
    bytes[at..at + 100].fill(0);
    let pack = place.write("hurt.cstone", &bytes);
    let key = place.path("key.txt");
    // What is hit may be content alone, which a list does not look at.
    assert!(!run!("list", "-i", &key, &pack).lines().is_empty());
    run!("extract", "-i", &key, "-C", place.path("out"), &pack).exits(1);
    let whole: Vec<_> = look(&place.path("out")).into_keys().collect();
    assert!(whole.len() > 1, "{whole:?}");
    check_subset(&place.path("tree"), &place.path("out"));
}

#[test]
fn a_pipe_whose_front_is_damaged_is_read_by_the_copies_of_it() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let key = place.key("key.txt");
    let (plain, sealed) = (place.path("plain.cstone"), place.path("sealed.cstone"));
    let (foreign, other) = (place.path("foreign.cstone"), place.path("other.cstone"));
    run!("create", "-q", "-o", &plain, place.path("tree")).exits(0);
    run!("create", "-q", "-r", &key, "-o", &sealed, place.path("tree")).exits(0);
    run!("create", "-q", "-o", &foreign, place.path("tree/docs")).exits(0);
    run!("create", "-q", "-r", &key, "-o", &other, place.path("tree/docs")).exits(0);
    let [plain, sealed, foreign, other] =
        [plain, sealed, foreign, other].map(|path| fs::read(path).expect("read"));
    let first = frames(&sealed)[1].0;
    let put_in = |at: usize| [&plain[..at], b"z", &plain[at..]].concat();
    let cases = [
        put_in(9),
        put_in(100),
        put_in(249),
        [&plain[..100], &plain[101..]].concat(),
        [&plain[..20], &[0; 236], &plain[256..]].concat(),
        // The key envelope is gone, or that of another pack for the same reader.
        [&sealed[..256], &sealed[first..]].concat(),
        [&sealed[..256], &other[256..frames(&other)[1].0], &sealed[first..]].concat(),
        // The container header of another pack.
        [&foreign[..256], &plain[256..]].concat(),
        [&other[..256], &sealed[256..]].concat(),
    ];
    for (number, bytes) in cases.into_iter().enumerate() {
        let key = place.path("key.txt");
        let out = place.path(&format!("out-{number}"));
        pipe!(&bytes, "extract", "-i", &key, "-C", &out, "-").exits(1).says("put right");
        same_trees(&place.path("tree"), &out);
        let listed = pipe!(&bytes, "list", "-i", &key, "-").exits(1).lines();
        assert!(listed.len() > 5, "case {number}: {listed:?}");
    }
    pipe!(&sealed, "list", "-").exits(2).says("no key was given").one_line();
    pipe!(&[&sealed[..256], &sealed[first..]].concat(), "list", "-").exits(2);
}

#[test]
fn frames_that_stand_too_early_in_a_pipe_cost_nothing() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let key = place.key("key.txt");
    let (plain, sealed) = (place.path("plain.cstone"), place.path("sealed.cstone"));
    run!("create", "-q", "--block-size", "64K", "-o", &plain, place.path("tree")).exits(0);
    run!("create", "-q", "-r", &key, "-o", &sealed, place.path("tree")).exits(0);
    for (name, pack) in [("plain", plain), ("sealed", sealed)] {
        let bytes = fs::read(pack).expect("read");
        let frames = frames(&bytes);
        let late = frames[frames.len() - 4].0..frames[frames.len() - 3].0;
        for at in [frames[1].0, frames[2].0, frames[5].0] {
            let copied = [&bytes[..at], &bytes[late.clone()], &bytes[at..]].concat();
            let moved =
                [&bytes[..at], &bytes[late.clone()], &bytes[at..late.start], &bytes[late.end..]];
            for (how, bytes) in [("copied", copied), ("moved", moved.concat())] {
                let out = place.path(&format!("{name}-{how}-{at}"));
                let key = place.path("key.txt");
                let run = pipe!(&bytes, "extract", "-i", key, "-C", &out, "-").exits(1);
                assert!(
                    run.stderr.contains("out of order") || run.stderr.contains("longer"),
                    "{}",
                    run.stderr
                );
                same_trees(&place.path("tree"), &out);
            }
        }
    }
}

/// A piece that has the header of a later frame and not all of it says where that frame stands, and what follows says otherwise.
#[test]
fn a_piece_of_a_later_frame_costs_only_where_it_stands() {
    let place = Place::new();
    fs::create_dir(place.path("tree")).expect("made");
    for n in 0..200 {
        place.write(&format!("tree/{n}"), &noise(4000, n));
    }
    for compression in ["none", "brotli", "zstd"] {
        let pack = place.path("x.cstone");
        let form = ["--force", "--block-size", "64K", "--compress", compression];
        run!(
            "create",
            "-q",
            form[0],
            form[1],
            form[2],
            form[3],
            form[4],
            "-o",
            &pack,
            place.path("tree")
        )
        .exits(0);
        let bytes = fs::read(&pack).expect("read");
        let frames = frames(&bytes);
        let (early, late) = (frames[3].0 + 20_000, frames[9].0 - 1000);
        let inserted = [&bytes[..early], &bytes[late..late + 4096], &bytes[early..]].concat();
        let swapped = [
            &bytes[..early],
            &bytes[late..late + 4096],
            &bytes[early + 4096..late],
            &bytes[early..early + 4096],
            &bytes[late + 4096..],
        ];
        for (how, bytes, frames) in [("inserted", inserted, 2), ("swapped", swapped.concat(), 4)] {
            let hurt = place.write("hurt.cstone", &bytes);
            let out = place.path(&format!("{compression}-{how}"));
            run!("extract", "-C", &out, &hurt).exits(1);
            check_subset(&place.path("tree"), &out);
            let kept = fs::read_dir(&out).expect("listed").count();
            // Some 16 files in each frame.
            assert!(kept + frames * 18 >= 200, "{compression}, {how}: {kept} of 200");
        }
    }
}

#[test]
fn several_frames_that_stand_too_early_in_a_pipe_cost_nothing() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let pack = place.path("x.cstone");
    run!("create", "-q", "--block-size", "64K", "-o", &pack, place.path("tree")).exits(0);
    let bytes = fs::read(pack).expect("read");
    let frames = frames(&bytes);
    let (to, from, end) = (frames[2].0, frames[20].0, frames[23].0);
    let one = frames[21].0;
    let moved = [&bytes[..to], &bytes[from..end], &bytes[to..from], &bytes[end..]].concat();
    let twice = [&bytes[..to], &bytes[from..one], &bytes[from..one], &bytes[to..]].concat();
    let beside = [&bytes[..to], b"junk", &bytes[from..one], &[0; 700], &bytes[to..]].concat();
    for (number, bytes) in [moved, twice, beside].into_iter().enumerate() {
        let out = place.path(&format!("out-{number}"));
        pipe!(&bytes, "extract", "-C", &out, "-").exits(1);
        same_trees(&place.path("tree"), &out);
    }
}

#[test]
fn what_stands_of_another_pack_in_front_hides_none() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let key = place.key("key.txt");
    let (other, pack) = (place.path("other.cstone"), place.path("x.cstone"));
    run!("create", "-q", "-r", &key, "-o", &other, place.path("tree/docs")).exits(0);
    let other = fs::read(other).expect("read");
    let first = frames(&other)[1].0;
    let reader = place.path("key.txt");
    for is_sealed in [false, true] {
        let form = if is_sealed { ["-r", &key[..]] } else { ["--compress", "zstd"] };
        run!("create", "-q", "--force", form[0], form[1], "-o", &pack, place.path("tree")).exits(0);
        let bytes = fs::read(&pack).expect("read");
        let fronts = [
            &other[..256],
            &other[..700],
            &other[..first],
            &other[..first - 20],
            &other[other.len() - 304..],
            &[&other[..256], b"junk"].concat()[..],
        ];
        let mut cases: Vec<_> = fronts.iter().map(|front| [*front, &bytes].concat()).collect();
        cases.push([&bytes[..256], &other[256..first], &bytes[256..]].concat());
        // In place of the own header, of about its length; and more, that was before.
        for len in [255, 257, 300] {
            cases.push([&vec![0x55; len - 250], &other[..250], &bytes[256..]].concat());
            cases.push([&other[..256], &vec![0x55; len - 255], &bytes[256..]].concat());
        }
        cases.push([&other[..256], &bytes[255..]].concat());
        for (number, bytes) in cases.into_iter().enumerate() {
            let hurt = place.write("hurt.cstone", &bytes);
            let (file, piped) =
                (format!("file-{is_sealed}-{number}"), format!("pipe-{is_sealed}-{number}"));
            run!("extract", "-i", &reader, "-C", place.path(&file), &hurt).exits(1);
            same_trees(&place.path("tree"), &place.path(&file));
            pipe!(&bytes, "extract", "-i", &reader, "-C", place.path(&piped), "-").exits(1);
            same_trees(&place.path("tree"), &place.path(&piped));
            let mended = place.path("mended.cstone");
            run!("repair", "--force", "-i", &reader, "-o", &mended, &hurt);
            run!("verify", "-i", &reader, &mended).exits(0);
            run!("verify", "-i", &reader, "--against", place.path("tree"), &mended).exits(0);
        }
    }
}

/// The beginning of one pack, written over that of another, costs what it hits.
#[test]
fn the_beginning_of_another_pack_is_not_the_pack() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    for name in 0..60 {
        place.write(&format!("tree/f{name}"), &noise(30_000, name));
    }
    place.write("other/big", &noise(400_000, 99));
    let key = place.key("key.txt");
    let reader = place.path("key.txt");
    let make = |name: &str, tree: &str, options: &[&str]| {
        let pack = place.path(name);
        let mut args: Vec<std::ffi::OsString> = vec!["create".into(), "-q".into(), "-o".into()];
        args.extend([pack.clone().into(), place.path(tree).into()]);
        args.extend(["--block-size", "64K"].iter().chain(options).map(Into::into));
        crate::support::run_args(&args, None).exits(0);
        fs::read(pack).expect("read")
    };
    let sealed = ["-r", &key[..]];
    let own = [make("own-p", "tree", &[]), make("own-e", "tree", &sealed)];
    let other = [make("other-p", "other", &[]), make("other-e", "other", &sealed)];
    for (number, (own, other)) in
        own.iter().flat_map(|own| other.iter().map(move |other| (own, other))).enumerate()
    {
        let bytes = [&other[..4096], &own[4096..]].concat();
        let hurt = place.write("hurt.cstone", &bytes);
        let (out, piped) = (place.path(&format!("o{number}")), place.path(&format!("p{number}")));
        run!("extract", "-i", &reader, "-C", &out, &hurt).exits(1);
        pipe!(&bytes, "extract", "-i", &reader, "-C", &piped, "-").exits(1);
        for out in [out, piped] {
            check_subset(&place.path("tree"), &out);
            assert!(look(&out).len() > 40, "{number}: {}", look(&out).len());
        }
        let mended = place.path("mended.cstone");
        run!("repair", "--force", "-i", &reader, "-o", &mended, &hurt).exits(1);
        run!("verify", "-i", &reader, &mended).exits(0);
        assert!(run!("list", "-i", &reader, &mended).exits(0).lines().len() > 40);
    }
}

/// One compressed frame lies in several encrypted ones, and each of them that is lost has its place.
#[test]
fn verify_tells_each_frame_that_is_lost() {
    let place = Place::new();
    place.write("tree/a", &noise(3_000_000, 1));
    place.write("tree/b", &noise(3_000_000, 2));
    let key = place.key("key.txt");
    let pack = place.path("x.cstone");
    let small = ["--block-size", "1M"];
    run!("create", "-q", small[0], small[1], "-r", &key, "-o", &pack, place.path("tree")).exits(0);
    let sound = fs::read(&pack).expect("read");
    let frames = frames(&sound);
    let data = frames.iter().filter(|(_, header)| header.kind == Kind::DATA);
    let places: Vec<u64> = data.map(|(at, _)| *at as u64).collect();
    let count = places.len();
    for hit in [vec![3, 5], vec![8, 9, 11], vec![4, 6, 7, 13, 15, 16], (2..count - 2).collect()] {
        let mut bytes = sound.clone();
        for frame in &hit {
            let at = places[*frame] as usize + 2000;
            bytes[at..at + 100].fill(0x5a);
        }
        let hurt = place.write("hurt.cstone", &bytes);
        let told = run!("verify", "--json", "-i", place.path("key.txt"), &hurt).exits(1).json();
        let stored = told.iter().filter(|line| line["layer"] == "encryption");
        let stored: Vec<_> = stored.filter_map(|line| line["stored"].as_array()).collect();
        for frame in hit {
            let inside = places[frame] + 2050;
            let holds = |range: &&Vec<serde_json::Value>| {
                let at = |end: usize| range[end].as_u64().expect("a number");
                (at(0)..at(1)).contains(&inside)
            };
            assert!(stored.iter().any(holds), "{frame}: {told:?}");
        }
    }
}

/// A pack in a file of a damaged one is content of that, wherever the damage is.
#[test]
fn a_pack_in_a_file_of_a_damaged_pack_is_not_taken_for_it() {
    let place = Place::new();
    small_tree(&place.path("inner"));
    fs::create_dir(place.path("tree")).expect("made");
    run!("create", "-q", "-o", place.path("tree/a.cstone"), place.path("inner/docs")).exits(0);
    place.write("tree/b", &noise(200_000, 1));
    let pack = place.path("x.cstone");
    run!("create", "-q", "--compress", "none", "-o", &pack, place.path("tree")).exits(0);
    let bytes = fs::read(&pack).expect("read");
    let inner = fs::read(place.path("tree/a.cstone")).expect("read");
    let at = bytes.windows(inner.len()).position(|window| window == inner).expect("it is stored");
    let (mut flipped, mut headless) = (bytes.clone(), bytes.clone());
    flipped[300] ^= 0xff;
    headless[256..352].fill(0);
    let cut = bytes[..at + inner.len() + 500].to_vec();
    let gone = [&bytes[..300], &bytes[at - 10..]].concat();
    for (number, bytes) in [flipped, headless, cut, gone].into_iter().enumerate() {
        let hurt = place.write("hurt.cstone", &bytes);
        for (how, listed) in
            [("file", run!("list", &hurt).lines()), ("pipe", pipe!(&bytes, "list", "-").lines())]
        {
            let is_inner = |path: &String| path.contains("guide") || path.contains("deep");
            assert!(!listed.iter().any(is_inner), "case {number}, {how}: {listed:?}");
        }
        let out = place.path(&format!("out-{number}"));
        run!("extract", "-C", &out, &hurt);
        if out.exists() {
            check_subset(&place.path("tree"), &out);
        }
    }
}
