//! Plain CARs of others: damaged, incomplete, without roots, with roots that repeat, with a header that is none.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{self, Place, small_tree};
use carstone::car::{CarReader, CarWriter, Cid, IndexedCar, cid_of, codec, multihash::Multihash};
use carstone::unixfs::{DirectoryBuilder, Link, Profile, write_file};

/// Blocks in the order in which they are made.
#[derive(Default)]
struct Blocks {
    order: Vec<Cid>,
    data: HashMap<Cid, Vec<u8>>,
}

impl Blocks {
    fn file(&mut self, content: &[u8]) -> Link {
        let mut keep = |cid: &Cid, data: &[u8]| {
            self.put(*cid, data);
            Ok(())
        };
        write_file(&Profile::unixfs_v1_2025(), content, &mut keep).expect("memory").into()
    }

    fn directory(&mut self, entries: &[(&str, Link)]) -> Cid {
        let mut directory = DirectoryBuilder::new(&Profile::unixfs_v1_2025());
        for (name, link) in entries {
            directory.add(name, *link).expect("a good name");
        }
        let mut keep = |cid: &Cid, data: &[u8]| {
            self.put(*cid, data);
            Ok(())
        };
        directory.finish(&mut keep).expect("memory").cid
    }

    fn put(&mut self, cid: Cid, data: &[u8]) {
        self.order.push(cid);
        self.data.insert(cid, data.to_vec());
    }

    fn car(&self, roots: &[Cid]) -> Vec<u8> {
        let mut writer = CarWriter::new(Vec::new(), roots).expect("memory");
        for cid in &self.order {
            if let Some(data) = self.data.get(cid) {
                // Whether it fits its CID is for readers to find out.
                writer.danger_write_unverified(cid, data).expect("memory");
            }
        }
        writer.finish().expect("memory")
    }
}

/// A CAR of either version with a block that is not what its CID says, and the byte at which its section starts.
fn hurt(place: &Place, version: &str, content: &[u8]) -> (PathBuf, u64) {
    small_tree(&place.path("tree"));
    let file = place.path(&format!("{version}.car"));
    run!("create", "-q", "--car-version", version, "-o", &file, place.path("tree")).exits(0);
    let mut bytes = fs::read(&file).expect("read");
    let car = IndexedCar::open(bytes.clone()).expect("a CAR");
    let at = bytes.windows(content.len()).position(|bytes| bytes == content).expect("stored");
    let mut reader = car.reader().expect("a CAR");
    let mut start = 0;
    while let Some(section) = reader.skip_section().expect("sound") {
        let place = section.offset + car.payload_start();
        start = if place < at as u64 { place } else { start };
    }
    bytes[at] ^= 1;
    fs::write(&file, bytes).expect("written");
    (file, start)
}

#[test]
fn damage_is_called_damage_and_its_place_is_told() {
    for version in ["1", "2"] {
        let place = Place::new();
        let (car, at) = hurt(&place, version, b"# Guide\n");
        let told = format!("at byte {at}");
        let damage = |run: support::Run| {
            let text = format!("{}{}", run.text(), run.stderr);
            assert!(text.contains("data does not match its CID"), "{text}");
            assert!(text.contains(&told) && !text.contains("missing"), "{told}: {text}");
            assert!(!text.contains("byte 0") && !text.contains("not in the"), "{text}");
        };
        let out = place.path("out");
        let run = run!("extract", "-q", "-C", &out, &car).exits(1).one_line();
        damage(run.says("docs/guide.md: cannot read its content: cannot use a block: "));
        assert!(!out.join("docs/guide.md").exists());
        assert!(out.join("docs/deep/note.md").exists() && out.join("big.bin").exists());
        damage(run!("cat", &car, "docs/guide.md").exits(2).one_line());
        run!("cat", &car, "hello.txt").exits(0);
        damage(run!("verify", &car).exits(1));
        assert_eq!(run!("verify", &car).exits(1).lines().len(), 2);
        damage(run!("verify", &car, "--against", place.path("tree")).exits(1));
        assert!(run!("list", &car).lines().contains(&"docs/deep/note.md".to_owned()));
    }
}

#[test]
fn damaged_directories_do_not_stop_the_rest() {
    for version in ["1", "2"] {
        let place = Place::new();
        // The name stands in the block of the directory `docs`.
        let (car, at) = hurt(&place, version, b"guide.md");
        let out = place.path("out");
        let run = run!("extract", "-q", "-C", &out, &car).exits(1).one_line().says("docs: ");
        let run = run.says("data does not match its CID").says(&format!("at byte {at}"));
        assert!(!run.stderr.contains("missing"), "{}", run.stderr);
        assert!(out.join("hello.txt").exists() && out.join("big.bin").exists());
        run!("list", &car).exits(1).one_line().says("docs: ").says("does not match its CID");
        run!("cat", &car, "docs/guide.md").exits(2).one_line().says("does not match its CID");
        run!("verify", &car).exits(1);
    }
}

#[test]
fn blocks_that_nobody_can_verify_are_told_as_such() {
    let place = Place::new();
    let mut blocks = Blocks::default();
    let odd = Cid::new_v1(0x55, Multihash::wrap(0x9999, &[7; 32]).expect("it fits"));
    blocks.put(odd, b"odd");
    let good = blocks.file(b"good");
    let root = blocks.directory(&[("a", Link { cid: odd, tsize: 3 }), ("b", good)]);
    let car = place.write("odd.car", &blocks.car(&[root]));
    let out = place.path("out");
    let what = "cannot be verified: hash function 0x9999 with a digest of 32 bytes at byte";
    run!("extract", "-q", "-C", &out, &car).exits(1).one_line().says("a: ").says(what);
    assert_eq!(fs::read(out.join("b")).expect("restored"), b"good");
    run!("cat", &car, "a").exits(2).one_line().says(what);
    assert!(run!("verify", &car).exits(1).text().contains(what));
}

#[test]
fn missing_blocks_are_called_missing_once() {
    let place = Place::new();
    let mut blocks = Blocks::default();
    let (gone, good) = (blocks.file(b"gone"), blocks.file(b"good"));
    let root = blocks.directory(&[("a", gone), ("b", good)]);
    blocks.data.remove(&gone.cid);
    let car = place.write("a.car", &blocks.car(&[root]));
    let run = run!("extract", "-q", "-C", place.path("out"), &car).exits(1).one_line();
    assert_eq!(run.stderr, format!("carstone: a: block {} is missing\n", gone.cid));
    run!("cat", &car, "a").exits(2).one_line().says("the block is missing");
    for root in [root, good.cid] {
        blocks.data.remove(&root);
        let car = place.write("root.car", &blocks.car(&[root]));
        let run = run!("extract", "-q", "-C", place.path("none"), &car);
        assert_eq!(run.stderr, format!("carstone: unknown: block {root} is missing\n"));
        run!("list", &car).exits(1).one_line().says("unknown: ").says("is not in the CAR");
        let run = run!("cat", &car, "unknown").exits(2).one_line();
        let told = format!("block {root}: the block is missing\n");
        assert_eq!(run.stderr, format!("carstone: {}: {told}", car.display()));
        assert!(run!("verify", &car).exits(1).text().contains("unknown: block"));
    }
}

/// As programs write it that find the root when all else is written.
#[test]
fn blocks_to_which_no_other_links_stand_for_roots_that_are_not_named() {
    let place = Place::new();
    let mut blocks = Blocks::default();
    let file = blocks.file(b"something");
    let root = blocks.directory(&[("a", file)]);
    let none_known = Cid::new_v1(0x55, Multihash::wrap(0, b"").expect("short"));
    for (name, roots) in [("none", &[][..]), ("placeholder", &[none_known])] {
        let car = place.write(&format!("{name}.car"), &blocks.car(roots));
        let info = run!("info", "--json", &car).exits(0).json().remove(0);
        assert_eq!(info["blocks"], 2);
        assert_eq!(info["roots"].as_array().expect("a list").len(), roots.len());
        let told = format!("names no root; {root}");
        assert_eq!(run!("list", &car).exits(0).says(&told).lines(), [".", "a"]);
        assert_eq!(run!("cat", &car, "a").exits(0).text(), "something");
        assert!(run!("verify", &car).exits(0).says(&told).text().contains("intact: 2 entries"));
        let out = place.path(name);
        run!("extract", "-C", &out, &car).exits(0).says(&told);
        assert_eq!(fs::read(out.join("a")).expect("restored"), b"something");
        run!("verify", &car, "--against", &out).exits(0);
    }
    let text = run!("info", place.path("none.car")).exits(0).text();
    assert!(text.lines().any(|line| line.split_whitespace().eq(["root", "none"])), "{text}");
    let mut bytes = blocks.car(&[]);
    *bytes.last_mut().expect("a block") ^= 1;
    let hurt = place.write("hurt.car", &bytes);
    assert!(run!("verify", hurt).exits(1).text().contains("does not match its CID"));
}

#[test]
fn a_car_without_blocks_and_roots_holds_no_files() {
    let place = Place::new();
    let car = place.write("empty.car", &Blocks::default().car(&[]));
    let refused = "the CAR has no root, so it holds no files";
    let out = place.path("out");
    run!("list", &car).exits(2).one_line().says("empty.car").says(refused);
    run!("cat", &car, "a").exits(2).one_line().says(refused);
    run!("extract", "-C", &out, &car).exits(2).one_line().says(refused);
    run!("verify", &car, "--against", place.dir.path()).exits(2).one_line().says(refused);
    assert!(!out.exists());
    assert!(run!("verify", &car).exits(0).text().contains("intact: 0 entries, 0 blocks"));
}

/// Nothing is wrong with blocks of other formats, though nobody can tell whether all of them are there.
#[test]
fn what_is_no_unixfs_is_not_damaged() {
    let place = Place::new();
    let mut blocks = Blocks::default();
    let cbor = carstone::car::cid_of(0x71, b"\xa0");
    blocks.put(cbor, b"\xa0");
    let node = carstone::car::cid_of(0x70, b"");
    blocks.put(node, b"");
    let car = place.write("x.car", &blocks.car(&[cbor, node]));
    let text = run!("verify", &car).exits(0).text();
    assert!(text.contains("intact: 0 entries and 2 DAGs that are no UnixFS, 2 blocks"), "{text}");
    assert_eq!(run!("verify", "--json", &car).exits(0).json().pop().expect("a line")["foreign"], 2);
    run!("list", &car).exits(1).says("of the codec 0x71").says("without UnixFS");
}

#[test]
fn roots_that_repeat_are_one() {
    let mut blocks = Blocks::default();
    let file = blocks.file(b"content");
    let root = blocks.directory(&[("a", file)]);
    let check = |roots: &[Cid], paths: &[String]| {
        let place = Place::new();
        let car = place.write("x.car", &blocks.car(roots));
        assert_eq!(run!("list", &car).exits(0).lines(), paths);
        let last = paths.last().expect("an entry");
        assert_eq!(run!("cat", &car, last).exits(0).stdout, b"content");
        let out = place.path("out");
        run!("extract", "-q", "-C", &out, &car).exits(0);
        assert_eq!(fs::read(out.join(last)).expect("restored"), b"content");
        run!("verify", &car).exits(0);
        run!("verify", &car, "--against", &out).exits(0);
        let info = run!("info", "--json", &car).exits(0).json().remove(0);
        assert_eq!(info["roots"].as_array().expect("a list").len(), roots.len());
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    check(&[root, root], &names(&[".", "a"]));
    check(&[file.cid, file.cid, file.cid], &names(&["unknown"]));
    let both = [root.to_string(), format!("{root}/a"), file.cid.to_string()];
    check(&[root, file.cid, root], &both);
}

/// Every reading command says what is wrong with the header, in one line.
#[track_caller]
fn refused(place: &Place, name: &str, bytes: &[u8], text: &str) {
    let told = |file: &Path| {
        let runs = [
            run!("list", file),
            run!("info", file),
            run!("verify", file),
            run!("cat", file, "a"),
            run!("extract", "-C", place.path("out"), file),
        ];
        for run in runs {
            run.exits(2).one_line().says(name).says(text);
        }
    };
    told(&place.write(name, bytes));
    pipe!(bytes, "list", "-").exits(2).one_line().says("standard input").says(text);
    assert!(!place.path("out").exists());
}

#[test]
fn headers_that_are_wrong_are_told_as_headers_of_a_car() {
    let place = Place::new();
    let v2 = |header: [u8; 40]| [&b"\x0a\xa1\x67version\x02"[..], &header, b"\x11"].concat();
    for (name, bytes, text) in [
        ("v3", &b"\x0a\xa1\x67version\x03"[..], "version 3 is not supported"),
        ("v0", b"\x11\xa2\x65roots\x80\x67version\x00", "version 0 is not supported"),
        ("alone", b"\x08\xa1\x65roots\x80", "invalid CAR header"),
        ("third", b"\x14\xa3\x65roots\x80\x67version\x01\x61a\x00", "invalid CAR header"),
        ("loose", b"\x12\xb8\x02\x65roots\x80\x67version\x01", "invalid CAR header"),
        ("endless", b"\x12\xbf\x65roots\x80\x67version\x01\xff", "invalid CAR header"),
        ("cut", b"\x11\xa2\x65ro", "the CAR stops inside the header at byte"),
        ("cut pragma", b"\x0a\xa1\x67ver", "the CAR stops inside the header at byte"),
        (
            "long varint",
            b"\x91\0\xa2\x65roots\x80\x67version\x01",
            "malformed varint in the header",
        ),
        ("zeros", &v2([0; 40]), "unfinished CARv2"),
        ("ones", &v2([0xff; 40]), "invalid CARv2 header"),
    ] {
        refused(&place, name, bytes, text);
    }
}

/// A CAR of the small tree and of a file with several leaves.
fn several(place: &Place, version: &str) -> (PathBuf, Vec<u8>) {
    small_tree(&place.path("tree"));
    fs::write(place.path("tree/long.bin"), support::noise(3_500_000, 9)).expect("written");
    let file = place.path(&format!("{version}.car"));
    run!("create", "-q", "--car-version", version, "-o", &file, place.path("tree")).exits(0);
    let bytes = fs::read(&file).expect("read");
    (file, bytes)
}

#[test]
fn what_stands_behind_lost_and_added_bytes_is_read() {
    for version in ["1", "2"] {
        for is_lost in [true, false] {
            let place = Place::new();
            let (car, mut bytes) = several(&place, version);
            let long = fs::read(place.path("tree/long.bin")).expect("read");
            // In the second leaf.
            let part = &long[1_500_000..1_500_100];
            let at = bytes.windows(100).position(|window| window == part).expect("stored");
            match is_lost {
                true => drop(bytes.remove(at)),
                false => bytes.insert(at, 7),
            }
            fs::write(&car, &bytes).expect("written");
            let listed = run!("list", &car).exits(1);
            assert!(listed.lines().contains(&"long.bin".to_owned()), "{}", listed.text());
            let out = place.path("out");
            run!("extract", "-q", "-C", &out, &car).exits(1).says("long.bin: ");
            assert!(!out.join("long.bin").exists() && !out.join("long.bin.partial").exists());
            for name in ["hello.txt", "big.bin", "docs/guide.md"] {
                let original = fs::read(place.path("tree").join(name)).expect("read");
                assert!(fs::read(out.join(name)).expect("restored") == original, "{name}");
                assert!(run!("cat", &car, name).exits(1).stdout == original, "{name}");
            }
            let partial = place.path("partial");
            let run = run!("extract", "-q", "--salvage", "-C", &partial, &car).exits(1);
            run.says("long.bin: ").says(".partial");
            let kept = fs::read(partial.join("long.bin.partial")).expect("kept");
            assert_eq!(kept.len(), long.len());
            let same = kept.iter().zip(&long).filter(|(kept, byte)| kept == byte).count();
            assert!(same > 2_000_000, "{same}");
            assert!(
                kept[..1_000_000] == long[..1_000_000] && kept[3_000_000..] == long[3_000_000..]
            );
            let found = run!("verify", &car).exits(1);
            assert!(found.text().contains("does not match its CID"), "{}", found.text());
            assert!(found.text().contains("long.bin"), "{}", found.text());
        }
    }
}

#[test]
fn without_a_header_the_files_are_found_all_the_same() {
    for version in ["1", "2"] {
        let place = Place::new();
        let (car, bytes) = several(&place, version);
        let names = run!("list", &car).exits(0).lines();
        // Where nothing but headers is lost.
        for len in [8, 40, 58] {
            let mut hurt = bytes.clone();
            hurt[..len].fill(0);
            fs::write(&car, &hurt).expect("written");
            let run = run!("list", &car).exits(1);
            assert_eq!(run.lines(), names, "{version} without {len} bytes: {}", run.stderr);
            // In a CARv2 the roots stand at byte 51.
            let has_roots = version == "2" && len < 51;
            let told = if has_roots { "CAR header" } else { "the roots are unknown" };
            run.says(told);
            let out = place.path(&format!("out{len}"));
            run!("extract", "-q", "-C", &out, &car).exits(1);
            for name in ["hello.txt", "big.bin", "long.bin", "docs/guide.md", "docs/deep/note.md"] {
                let original = fs::read(place.path("tree").join(name)).expect("read");
                assert!(fs::read(out.join(name)).expect("restored") == original, "{name}");
            }
            run!("cat", &car, "hello.txt").exits(1);
            assert!(run!("verify", &car).exits(1).text().contains(told));
        }
    }
}

#[test]
fn sections_that_were_put_into_a_carv2_hide_none_behind_its_end() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let (car, out) = (place.path("x.car"), place.path("out"));
    run!("create", "-q", "-o", &car, place.path("tree")).exits(0);
    let good = fs::read(&car).expect("read");
    let sections = CarReader::open(&good[..]).expect("a CAR").into_sections();
    let sections: Vec<_> = sections.map(|section| section.expect("sound")).collect();
    let start = 51;
    let place_of = |at: u64| start + usize::try_from(at).expect("small");
    // The last one is as long as what is put in, or is cut by the end that the header states.
    for twice in [&sections[..1], &sections[2..5], &sections[sections.len() - 1..]] {
        let [first, .., last] = [&twice[0], &twice[twice.len() - 1]];
        let (from, to) = (place_of(first.offset), place_of(last.end()));
        let bytes = [&good[..to], &good[from..to], &good[to..]].concat();
        let bad = place.write("bad.car", &bytes);
        for args in [&["extract"][..], &["extract", "--salvage"]] {
            let mut all: Vec<std::ffi::OsString> = args.iter().map(Into::into).collect();
            all.extend(["-C".into(), out.clone().into(), bad.clone().into()]);
            support::run_args(&all, None).exits(1);
            for name in ["big.bin", "docs/guide.md", "docs/deep/note.md", "hello.txt"] {
                let read = |place: PathBuf| fs::read(place.join(name)).expect("read");
                assert!(read(out.clone()) == read(place.path("tree")), "{name}");
            }
            fs::remove_dir_all(&out).expect("remove");
        }
        assert_eq!(run!("list", &bad).exits(1).lines(), run!("list", &car).exits(0).lines());
        run!("verify", &bad).exits(1);
    }
}

#[test]
fn a_car_whose_front_is_text_is_searched_for_blocks() {
    let place = Place::new();
    place.write("tree/a.txt", &b"a line of text\n".repeat(400));
    place.write("tree/b.txt", &b"another line of text\n".repeat(400));
    let (car, out) = (place.path("x.car"), place.path("out"));
    run!("create", "-q", "-o", &car, "--car-version", "1", place.path("tree")).exits(0);
    let good = fs::read(&car).expect("read");
    let cut = place.write("cut.car", &good[1000..]);
    run!("list", &cut).exits(1);
    run!("extract", "-C", &out, &cut).exits(1);
    assert!(
        fs::read(out.join("b.txt")).expect("it is whole") == b"another line of text\n".repeat(400)
    );
    run!("repair", &cut, "-o", place.path("mended.car")).exits(1);
    run!("list", place.path("tree/a.txt")).exits(2).says("looks like text");
    pipe!(&good[1000..], "list", "-").exits(1);
}

#[test]
fn a_node_that_is_no_unixfs_is_not_called_damaged() {
    let place = Place::new();
    let data = [0x0a, 3, 0xff, 0xff, 0xff];
    let root = cid_of(codec::DAG_PB, &data);
    let mut writer = CarWriter::new(Vec::new(), &[root]).expect("in memory");
    writer.write_block(&root, &data).expect("in memory");
    let car = place.write("x.car", &writer.finish().expect("in memory"));
    let told = run!("verify", &car).exits(0).text();
    assert!(told.contains("1 DAG that is no UnixFS"), "{told}");
    run!("car", "complete", &car).exits(0);
    run!("extract", "-C", place.path("out"), &car).exits(1);
}

#[test]
fn links_of_every_codec_tell_which_blocks_are_roots() {
    let place = Place::new();
    let leaf = cid_of(codec::RAW, b"leaf");
    let node = format!(r#"{{"a":{{"/":"{leaf}"}}}}"#);
    let root = cid_of(codec::DAG_JSON, node.as_bytes());
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("in memory");
    writer.write_block(&leaf, b"leaf").expect("in memory");
    writer.write_block(&root, node.as_bytes()).expect("in memory");
    let car = place.write("x.car", &writer.finish().expect("in memory"));
    run!("verify", &car).exits(0).says(&root.to_string());
}

/// A directory as its bytes, whatever the names.
fn raw_directory(entries: &[(&[u8], Cid)]) -> (Cid, Vec<u8>) {
    fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
        out.push(number << 3 | 2);
        assert!(bytes.len() < 128, "one byte tells the length");
        out.push(bytes.len() as u8);
        out.extend_from_slice(bytes);
    }
    let mut block = Vec::new();
    for (name, cid) in entries {
        let mut link = Vec::new();
        field(&mut link, 1, &cid.to_bytes());
        field(&mut link, 2, name);
        field(&mut block, 2, &link);
    }
    field(&mut block, 1, b"\x08\x01");
    (cid_of(codec::DAG_PB, &block), block)
}

/// ipld/go-car 264: names and links that lead out of the folder.
#[test]
fn go_car_264_nothing_is_written_outside_of_the_folder() {
    let place = Place::new();
    fs::create_dir_all(place.path("outside")).expect("made");
    let mut blocks = Blocks::default();
    let file = blocks.file(b"stray").cid;
    let (inner, data) = raw_directory(&[(b"stray", file)]);
    blocks.put(inner, &data);
    let mut keep = |cid: &Cid, data: &[u8]| {
        blocks.order.push(*cid);
        blocks.data.insert(*cid, data.to_vec());
        Ok(())
    };
    let profile = Profile::unixfs_v1_2025();
    let out = place.path("outside").into_os_string().into_encoded_bytes();
    let link = carstone::unixfs::symlink(&profile, &out, &mut keep).expect("memory").cid;
    let near = carstone::unixfs::symlink(&profile, b"../outside", &mut keep).expect("memory").cid;
    let absolute = [&out[..], b"/absolute"].concat();
    let cases: [&[(&[u8], Cid)]; 7] = [
        &[(b"..", inner)],
        &[(b"../outside/stray", file)],
        &[(b"x/../../outside/stray", file)],
        &[
            (&absolute[absolute.len().saturating_sub(100)..], file),
            (b"/", inner),
            (b"/stray", file),
        ],
        &[(b"a\0b", file), (b"", inner), (b".", inner)],
        // A link, and below it a file.
        &[(b"d", link), (b"d", inner)],
        &[(b"d", near), (b"d/stray", file), (b"d", inner)],
    ];
    for (number, entries) in cases.into_iter().enumerate() {
        let (root, data) = raw_directory(entries);
        let mut order = blocks.order.clone();
        order.push(root);
        let mut all = blocks.data.clone();
        all.insert(root, data);
        let car = place.write("hostile.car", &Blocks { order, data: all }.car(&[root]));
        for overwrite in ["never", "always"] {
            let to = place.path(&format!("out-{number}"));
            let run = run!("extract", "--overwrite", overwrite, "-C", &to, &car);
            assert_eq!(run.code, 1, "case {number}: {}", run.stderr);
            let left: Vec<_> = fs::read_dir(place.path("outside")).expect("listed").collect();
            assert!(left.is_empty(), "case {number}: {left:?}");
            let beside = place.names();
            assert!(!beside.iter().any(|name| name == "stray"), "case {number}: {beside:?}");
        }
    }
}
