//! `carstone carve`: what it finds in images, what it writes, and what it says.

use std::fs;
use std::path::PathBuf;

use crate::support::{self, Place, noise, small_tree};

/// An image with an encrypted pack, a pack that is not, and a plain CAR; and the bytes of each.
fn image(place: &Place) -> (Vec<u8>, [Vec<u8>; 3]) {
    let reader = place.key("key.txt");
    small_tree(&place.path("tree"));
    let tree = place.path("tree");
    let make = |name: &str, args: &[&str]| {
        let mut all = vec!["create".into(), "-q".into(), "-o".into(), place.path(name).into()];
        all.extend(args.iter().map(Into::into));
        all.push(tree.clone().into());
        support::run_args(&all, None).exits(0);
        fs::read(place.path(name)).expect("written")
    };
    let parts = [
        make("a.cstone", &["-r", &reader]),
        make("b.cstone", &[]),
        make("c.car", &["--car-version", "1"]),
    ];
    let mut image = noise(5000, 1);
    for (n, part) in parts.iter().enumerate() {
        image.extend_from_slice(part);
        image.extend(noise(3000, 2 + n as u64));
    }
    (image, parts)
}

fn written(place: &Place, name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.path(name)).expect("a directory");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

#[test]
fn packs_and_cars_are_written_as_they_were() {
    let place = Place::new();
    let (bytes, parts) = image(&place);
    let from = place.write("disk.img", &bytes);
    let out = place.path("found");
    let run = run!("carve", &from, "-C", &out).exits(0);
    assert_eq!(run.lines().len(), 3, "{}", run.text());
    assert!(run.lines().iter().all(|line| line.ends_with("whole")), "{}", run.text());
    let paths = written(&place, "found");
    for (path, part) in paths.iter().zip(&parts) {
        assert!(fs::read(path).expect("written") == *part, "{}", path.display());
    }
    let names: Vec<_> =
        paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy()).collect();
    assert!(names[0].starts_with("0001-") && names[0].ends_with(".cstone"), "{names:?}");
    let at = bytes.len() - 3000 - parts[2].len();
    assert_eq!(names[2], format!("0003-{at}.car"));
    for (n, path) in paths.iter().enumerate() {
        let restored = place.path(&format!("out{n}"));
        run!("extract", "-q", "-i", place.path("key.txt"), "-C", &restored, path).exits(0);
        for name in ["hello.txt", "big.bin", "docs/guide.md", "docs/deep/note.md"] {
            let original = fs::read(place.path("tree").join(name)).expect("read");
            assert!(fs::read(restored.join(name)).expect("restored") == original, "{name}");
        }
    }
}

#[test]
fn programs_are_told_each_find_and_the_sum() {
    let place = Place::new();
    let (mut bytes, parts) = image(&place);
    // A page in the middle of the encrypted pack.
    bytes[5000 + parts[0].len() / 2..][..4096].fill(0);
    let json = pipe!(&bytes, "carve", "--json", "-n", "-").exits(1).json();
    assert_eq!(json.len(), 4);
    assert!(json[..3].iter().all(|line| line["type"] == "carved"));
    assert_eq!((&json[0]["kind"], &json[0]["whole"]), (&"pack".into(), &false.into()));
    assert_eq!(json[0]["holes"], 1);
    assert_eq!((&json[0]["encrypted"], &json[1]["encrypted"]), (&true.into(), &false.into()));
    assert_eq!(
        (&json[1]["offset"], &json[1]["whole"]),
        (&(8000 + parts[0].len()).into(), &true.into())
    );
    assert_eq!((&json[2]["kind"], &json[2]["bytes"]), (&"car".into(), &parts[2].len().into()));
    let summary = &json[3];
    assert_eq!((&summary["found"], &summary["whole"]), (&3.into(), &2.into()));
    assert_eq!((&summary["damaged"], &summary["dry_run"]), (&1.into(), &true.into()));
}

#[test]
fn what_has_holes_is_written_and_told() {
    let place = Place::new();
    let (mut bytes, parts) = image(&place);
    bytes[5000 + parts[0].len() / 2..][..4096].fill(0);
    let from = place.write("disk.img", &bytes);
    let run = run!("carve", &from, "-C", place.path("found")).exits(1);
    assert!(run.lines()[0].contains("1 hole, "), "{}", run.text());
    assert_eq!(written(&place, "found").len(), 3);
}

#[test]
fn nothing_found_is_told() {
    let place = Place::new();
    let from = place.write("disk.img", &noise(200_000, 7));
    let run = run!("carve", &from, "-C", place.path("found")).exits(1).one_line();
    run.says("disk.img: holds no pack and no CAR");
    assert!(!place.path("found").exists());
    let json = run!("carve", "--json", "-n", &from).exits(1).json();
    assert_eq!(json.last().expect("a summary")["found"], 0);
}

#[test]
fn existing_files_stay_unless_forced() {
    let place = Place::new();
    let (bytes, _) = image(&place);
    let from = place.write("disk.img", &bytes);
    let out = place.path("found");
    run!("carve", &from, "-C", &out).exits(0);
    run!("carve", &from, "-C", &out).exits(2).one_line().says("exists");
    run!("carve", "--force", &from, "-C", &out).exits(0);
    assert_eq!(written(&place, "found").len(), 3);
    run!("carve", &from).exits(2);
    run!("carve", "-n", place.path("nothing")).exits(2).one_line().says("nothing: cannot open");
    run!("carve", "-n", &out).exits(2).one_line().says("is a directory");
}

/// Data frames of an encrypted pack, and nothing that says what lies in them.
#[test]
fn fragments_that_nothing_explains_are_kept_for_later() {
    let place = Place::new();
    let (_, parts) = image(&place);
    let stored = &parts[0];
    let magic = &stored[256..264];
    let starts: Vec<_> = (0..stored.len() - 8).filter(|at| &stored[*at..at + 8] == magic).collect();
    // Without the layer header in front, and the one behind.
    let (first, last) = (starts[1], starts[starts.len() - 1]);
    let fragment = [&noise(999, 5), &stored[first..last], &noise(999, 6)].concat();
    let from = place.write("disk.img", &fragment);
    let run = run!("carve", &from, "-C", place.path("found")).exits(1);
    assert!(run.text().contains("cannot be put together: no header"), "{}", run.text());
    assert!(run.text().contains("its frames are kept"), "{}", run.text());
    let kept = written(&place, "found");
    assert_eq!(kept.len(), 1);
    assert!(kept[0].extension().is_some_and(|extension| extension == "frames"));
    let kept = fs::read(&kept[0]).expect("written");
    assert!(kept == stored[first..last]);
    let json = run!("carve", "--json", "-n", &from).exits(1).json();
    assert_eq!((&json[0]["whole"], json[0]["output"].is_string()), (&false.into(), true));
    // With the rest of it, it is whole.
    let both = [&kept[..], &stored[..first], &stored[last..]].concat();
    let from = place.write("both.img", &both);
    run!("carve", &from, "-C", place.path("whole")).exits(0);
    assert!(fs::read(&written(&place, "whole")[0]).expect("written") == *stored);
}
