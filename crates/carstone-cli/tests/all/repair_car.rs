//! Plain CARs that are damaged, and what `repair` makes of them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Place, look, noise, small_tree};

/// A CAR of a tree with a file of three leaves.
fn sound(place: &Place, version: &str) -> PathBuf {
    small_tree(&place.path("tree"));
    place.write("tree/long.bin", &noise(2_500_000, 5));
    let car = place.path("sound.car");
    let tree = place.path("tree");
    run!("create", "-q", "--force", "--car-version", version, "-o", &car, tree).exits(0);
    car
}

/// Where the bytes from `from` to `from + 40` of the long file stand.
fn place_of(car: &[u8], from: usize) -> usize {
    let content = noise(2_500_000, 5);
    let part = &content[from..from + 40];
    car.windows(part.len()).position(|bytes| bytes == part).expect("stored")
}

/// All that came out is what it was; gives how much that is.
fn check_subset(tree: &Path, out: &Path) -> usize {
    let (original, found) = (look(tree), look(out));
    for (path, seen) in &found {
        let name = path.escape_ascii();
        assert_eq!(original.get(path).map(|seen| &seen.content), Some(&seen.content), "{name}");
    }
    found.len()
}

#[test]
fn a_clean_car_is_made_of_all_good_blocks() {
    for (version, what) in [("1", "bit"), ("2", "bit"), ("1", "removed"), ("2", "inserted")] {
        let place = Place::new();
        let car = sound(&place, version);
        let mut bytes = fs::read(&car).expect("read");
        // In the second of three leaves.
        let at = place_of(&bytes, 1_500_000);
        match what {
            "bit" => bytes[at] ^= 4,
            "removed" => drop(bytes.remove(at)),
            _ => bytes.insert(at, 9),
        }
        let hurt = place.write("hurt.car", &bytes);
        let clean = place.path("clean.car");
        let run = run!("repair", &hurt, "-o", &clean).exits(1);
        let text = run.text();
        let lost = "long.bin: ";
        assert!(text.contains(lost) && text.contains("bytes 1048576–2097151 are lost"), "{text}");
        assert!(text.contains(&format!("a new CARv{version} of ")), "{text}");
        assert!(text.contains("at byte ") && text.contains("bytes are passed over"), "{text}");
        // Of the clean one nothing but the block is missing.
        let told = run!("verify", "--json", &clean).exits(1).json();
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0]["path"], "long.bin");
        assert_eq!(told[0]["missing"], serde_json::json!([[1_048_576, 2_097_152]]));
        let summary = run!("info", "--json", &clean).exits(0).json().remove(0);
        let original = run!("info", "--json", &car).exits(0).json().remove(0);
        assert_eq!(summary["roots"], original["roots"]);
        assert_eq!(summary["blocks"].as_u64().map(|n| n + 1), original["blocks"].as_u64());
        let out = place.path("out");
        run!("extract", "-q", "-C", &out, &clean).exits(1);
        assert_eq!(check_subset(&place.path("tree"), &out) + 1, look(&place.path("tree")).len());
        // The same to a pipe, whose header cannot be put in later.
        let piped = run!("repair", "-q", &hurt, "-o", "-").exits(1).stdout;
        let piped = place.write("piped.car", &piped);
        assert_eq!(run!("verify", "--json", &piped).exits(1).json().len(), 2);
        let told = run!("repair", "-n", "--json", &hurt).exits(1).json();
        let gap = told.iter().find(|told| told["type"] == "gap").expect("a gap");
        assert!(gap["length"].as_u64() >= Some(1 << 20), "{gap}");
        let entry = told.iter().find(|told| told["type"] == "damaged_entry").expect("a file");
        assert_eq!(entry["missing"], serde_json::json!([[1_048_576, 2_097_152]]));
        assert_eq!(told.last().expect("a summary")["damaged_entries"], 1);
    }
}

#[test]
fn a_sound_car_is_copied() {
    for version in ["1", "2"] {
        let place = Place::new();
        let car = sound(&place, version);
        let bytes = fs::read(&car).expect("read");
        let copy = place.path("copy.car");
        let text = run!("repair", &car, "-o", &copy).exits(0).text();
        assert!(text.contains("nothing is wrong with it"), "{text}");
        assert_eq!(fs::read(&copy).expect("read"), bytes);
        assert_eq!(pipe!(&bytes, "repair", "-q", "-", "-o", "-").exits(0).stdout, bytes);
    }
}

#[test]
fn a_car_without_its_header_and_one_that_is_cut_are_repaired() {
    let place = Place::new();
    let car = sound(&place, "1");
    let bytes = fs::read(&car).expect("read");
    let mut headless = bytes.clone();
    headless[..30].fill(0);
    let hurt = place.write("headless.car", &headless);
    let clean = place.path("clean.car");
    let text = run!("repair", &hurt, "-o", &clean).exits(1).text();
    assert!(text.contains("the roots are unknown"), "{text}");
    run!("verify", &clean).exits(0);
    let out = place.path("out");
    run!("extract", "-q", "-C", &out, &clean).exits(0);
    assert_eq!(check_subset(&place.path("tree"), &out), look(&place.path("tree")).len());

    let cut = place.write("cut.car", &bytes[..bytes.len() - 10]);
    run!("repair", "-q", "--force", &cut, "-o", &clean).exits(1);
    // Of what is missing no byte is left, but the root names it.
    let text = run!("repair", "-n", &clean).exits(1).text();
    assert!(text.contains("all of its sections are sound, and blocks are missing"), "{text}");
}

#[test]
fn an_index_that_lies_is_made_again() {
    let place = Place::new();
    let car = sound(&place, "2");
    let bytes = fs::read(&car).expect("read");
    let mut hurt = bytes.clone();
    // The last entry of the index: where a section stands.
    let at = hurt.len() - 8;
    hurt[at] ^= 1;
    let hurt = place.write("hurt.car", &hurt);
    let clean = place.path("clean.car");
    let text = run!("repair", &hurt, "-o", &clean).exits(1).text();
    assert!(text.contains("of the index"), "{text}");
    assert_eq!(fs::read(&clean).expect("read"), bytes);
}

#[test]
fn what_means_nothing_for_a_car_is_refused() {
    let place = Place::new();
    let car = sound(&place, "1");
    for flag in ["--holes", "--keep-partial"] {
        let to = place.path("clean.car");
        run!("repair", flag, &car, "-o", &to).exits(2).one_line().says("is a plain CAR");
        assert!(!to.exists());
    }
}

/// Where the sections of a CARv1 begin.
fn sections(car: &[u8]) -> Vec<usize> {
    let mut reader = carstone::car::CarReader::open(std::io::Cursor::new(car)).expect("a CAR");
    let mut starts = Vec::new();
    while let Some(section) = reader.skip_section().expect("sound") {
        starts.push(usize::try_from(section.offset).expect("small"));
    }
    starts
}

#[test]
fn blocks_that_are_missing_without_a_trace_in_the_bytes_are_told() {
    let place = Place::new();
    let bytes = fs::read(sound(&place, "1")).expect("read");
    let starts = sections(&bytes);
    let cut = bytes[..starts[starts.len() / 2]].to_vec();
    let without = [&bytes[..starts[2]], &bytes[starts[3]..]].concat();
    for (name, hurt) in [("cut", &cut), ("without", &without)] {
        let file = place.write(name, hurt);
        let told = run!("repair", "-n", "--json", &file).exits(1).json();
        let summary = told.last().expect("a summary");
        assert_eq!((&summary["original"], &summary["unchanged"]), (&false.into(), &true.into()));
        assert!(summary["damaged_entries"].as_u64() > Some(0), "{summary}");
        let clean = place.path(&format!("{name}.clean"));
        let text = run!("repair", &file, "-o", &clean).exits(1).text();
        assert!(text.contains("blocks are missing"), "{text}");
        assert_eq!(&fs::read(&clean).expect("a copy"), hurt);
    }
}

/// What stands below a directory whose block is lost has no name any more, but it is there.
#[test]
fn what_nothing_links_to_any_more_stands_under_its_cid() {
    for (version, lost) in [("1", "root"), ("2", "root"), ("1", "docs"), ("2", "docs")] {
        let place = Place::new();
        let mut bytes = fs::read(sound(&place, version)).expect("read");
        let (tree, original) = (place.path("tree"), look(&place.path("tree")));
        // The name of an entry stands in the block of its directory.
        let name: &[u8] = if lost == "root" { b"long.bin" } else { b"guide.md" };
        let at = bytes.windows(name.len()).rposition(|part| part == name).expect("a link");
        bytes[at] ^= 1;
        let hurt = place.write("hurt.car", &bytes);
        let out = place.path("out");
        let run = run!("extract", "-C", &out, &hurt).exits(1);
        assert!(run.stderr.contains("nothing that is left links to"), "{}", run.stderr);
        let found = look(&out);
        let is_there = |path: &str| {
            let content = &original[path.as_bytes()].content;
            assert!(found.values().any(|seen| &seen.content == content), "{path}, {lost}");
        };
        ["docs/guide.md", "long.bin", "hello.txt"].into_iter().for_each(is_there);
        assert_eq!(out.join("long.bin").exists(), lost == "docs", "{lost}");
        // Under its CID `cat` gives it too.
        let listed = run!("list", &hurt).exits(1).lines();
        let guide = fs::read(tree.join("docs/guide.md")).expect("read");
        let by_cid = carstone::car::cid_of(0x55, &guide).to_string();
        let path = listed.iter().find(|path| **path == by_cid);
        let path = path.or_else(|| listed.iter().find(|path| path.ends_with("/guide.md")));
        let path = path.unwrap_or_else(|| panic!("{listed:?}"));
        assert_eq!(run!("cat", &hurt, path).exits(0).stdout, guide);
    }
}

#[test]
fn a_damaged_front_of_a_carv2_costs_neither_roots_nor_version() {
    let place = Place::new();
    let car = sound(&place, "2");
    let bytes = fs::read(&car).expect("read");
    let original = run!("info", "--json", &car).exits(0).json().remove(0);
    // In the pragma, the offset of the payload, its length, the offset of the index.
    for at in [6, 27, 30, 35, 40, 43, 46] {
        let mut hurt = bytes.clone();
        hurt[at] ^= 0x40;
        let hurt = place.write("hurt.car", &hurt);
        let clean = place.path("clean.car");
        run!("repair", "-q", "--force", &hurt, "-o", &clean).exits(1);
        assert!(fs::read(&clean).expect("read") == bytes, "byte {at}");
        let told = run!("extract", "-q", "-C", place.path("out"), "--overwrite=always", &hurt);
        told.exits(1);
        let cut = place.write("cut.car", &fs::read(&hurt).expect("read")[..1_500_000]);
        run!("repair", "-q", "--force", &cut, "-o", &clean).exits(1);
        let summary = run!("info", "--json", &clean).exits(0).json().remove(0);
        assert_eq!(summary["roots"], original["roots"], "byte {at}");
        assert_eq!(summary["car_version"], original["car_version"], "byte {at}");
        // Of what is lost nothing is made up.
        let hurt = run!("info", "--json", &hurt).json().remove(0);
        assert!(hurt["index_offset"].as_u64() != Some(bytes.len() as u64), "byte {at}: {hurt}");
    }
}

#[test]
fn a_sound_index_is_no_gap() {
    let place = Place::new();
    let mut bytes = fs::read(sound(&place, "2")).expect("read");
    let at = place_of(&bytes, 1_500_000);
    bytes[at] ^= 1;
    let hurt = place.write("hurt.car", &bytes);
    let told = run!("verify", "--json", &hurt).exits(1).json();
    let gaps: Vec<_> = told.iter().filter(|told| told["layer"] == "car").collect();
    assert_eq!(gaps.len(), 1, "{told:?}");
    assert!(told.iter().all(|told| told["layer"] != "index"), "{told:?}");
    let told = run!("repair", "-n", "--json", &hurt).exits(1).json();
    assert_eq!(told.last().expect("a summary")["left_out"], gaps[0]["length"]);
    // The length of the section, of which three bytes tell.
    let section = gaps[0]["offset"].as_u64().expect("a number") as usize;
    bytes[section] ^= 1;
    let hurt = place.write("hurt.car", &bytes);
    let told = run!("verify", "--json", &hurt).exits(1).json();
    assert!(told.iter().all(|told| told["layer"] != "index"), "{told:?}");
}

#[test]
fn a_file_that_is_in_the_way_is_no_damage() {
    let place = Place::new();
    let (root, other) = (b"kept", b"linked by nothing");
    let cid = carstone::car::cid_of(0x55, root);
    let mut writer = carstone::car::CarWriter::new(Vec::new(), &[cid]).expect("memory");
    for data in [&root[..], other] {
        writer.write_data(0x55, data).expect("memory");
    }
    let car = place.write("x.car", &writer.finish().expect("memory"));
    place.write("out/unknown", b"in the way");
    run!("extract", "-q", "-C", place.path("out"), &car).exits(1).says("exists already");
    let by_cid = carstone::car::cid_of(0x55, other).to_string();
    assert!(!place.path("out").join(by_cid).exists());
}
