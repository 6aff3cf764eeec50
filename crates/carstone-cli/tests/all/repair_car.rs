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
    assert_eq!(run!("repair", "-n", &clean).exits(0).lines().len(), 1);
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
