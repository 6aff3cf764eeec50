//! `scrub`: directories looked through and healed, in a real process.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Place, noise, small_tree};

/// A folder with two protected files, a pack that has its parity behind it, a pack that has none, and a file that nothing is known of.
fn kept() -> (Place, PathBuf) {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let folder = place.path("kept");
    fs::create_dir_all(folder.join("below")).expect("made");
    place.write("kept/a.bin", &noise(600_000, 1));
    place.write("kept/below/b.bin", &noise(300_000, 2));
    place.write("kept/unknown", b"anything");
    run!("protect", "-q", folder.join("a.bin"), folder.join("below/b.bin")).exits(0);
    let create = ["create", "-q", "--compress", "none", "--block-size", "64K"];
    let tree = place.path("tree");
    run!(
        create[0],
        create[1],
        create[2],
        create[3],
        "--parity-in-pack",
        "-o",
        folder.join("in.cstone"),
        &tree
    )
    .exits(0);
    run!(create[0], create[1], create[2], create[3], "-o", folder.join("none.cstone"), &tree)
        .exits(0);
    (place, folder)
}

fn damage(path: &Path, at: usize, len: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[at..at + len].iter_mut().for_each(|byte| *byte = !*byte);
    fs::write(path, bytes).expect("written");
}

/// How many files there are of each state.
#[track_caller]
fn states(run: &crate::support::Run) -> [u64; 4] {
    let summary = run.json().pop().expect("a summary");
    assert_eq!(summary["type"], "summary");
    ["sound", "healed", "damaged", "passed"].map(|key| summary[key].as_u64().expect("a number"))
}

#[test]
fn what_is_sound_is_left_alone() {
    let (_place, folder) = kept();
    let run = run!("scrub", "--json", &folder).exits(0);
    assert_eq!(states(&run), [4, 0, 0, 1]);
    let run = run!("scrub", "--heal", &folder).exits(0);
    assert!(run.text().contains("4 sound, 0 healed, 0 damaged"), "{}", run.text());
}

#[test]
fn damage_is_told_and_healed_when_that_is_asked_for() {
    let (_place, folder) = kept();
    let paths = ["a.bin", "below/b.bin", "in.cstone"].map(|name| folder.join(name));
    let whole = paths.clone().map(|path| fs::read(path).expect("read"));
    damage(&paths[0], 100_000, 20_000);
    damage(&paths[1], 77, 1);
    damage(&paths[2], 300, 1);
    let damaged = paths.clone().map(|path| fs::read(path).expect("read"));

    let run = run!("scrub", &folder).exits(1);
    assert!(run.text().contains("it can be healed, with --heal"), "{}", run.text());
    assert_eq!(paths.clone().map(|path| fs::read(path).expect("read")), damaged, "untouched");

    let run = run!("scrub", "--heal", "--json", &folder).exits(0);
    assert_eq!(states(&run), [1, 3, 0, 1]);
    assert_eq!(paths.clone().map(|path| fs::read(path).expect("read")), whole);
    for (path, damaged) in paths.iter().zip(damaged) {
        let kept = PathBuf::from(format!("{}.damaged", path.display()));
        assert_eq!(fs::read(kept).expect("kept"), damaged);
    }
    // What is kept is not looked at again.
    let run = run!("scrub", "--json", &folder).exits(0);
    assert_eq!(states(&run), [4, 0, 0, 4]);

    damage(&paths[1], 77, 1);
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
    fs::File::options()
        .write(true)
        .open(&paths[1])
        .and_then(|file| file.set_modified(before))
        .expect("set");
    run!("scrub", "--heal", "--discard-damaged", &folder).exits(0);
    assert_eq!(fs::read(&paths[1]).expect("read"), whole[1]);
    assert!(!folder.join("below/b.bin.damaged-1").exists());
}

#[test]
fn what_cannot_be_healed_stays_as_it_is() {
    let (_place, folder) = kept();
    let path = folder.join("a.bin");
    damage(&path, 100_000, 200_000);
    damage(&folder.join("none.cstone"), 400, 1);
    let before = fs::read(&path).expect("read");
    let run = run!("scrub", "--heal", "--json", &folder).exits(1);
    assert_eq!(states(&run), [2, 0, 2, 1]);
    assert_eq!(fs::read(&path).expect("read"), before);
    assert!(!folder.join("a.bin.damaged").exists());
}

#[test]
fn damaged_parity_is_made_anew() {
    let (_place, folder) = kept();
    let sidecar = folder.join("a.bin.par");
    let (whole, pack) =
        (fs::read(&sidecar).expect("read"), fs::read(folder.join("in.cstone")).expect("read"));
    damage(&sidecar, 2_000, 3_000);
    damage(&folder.join("in.cstone"), pack.len() - 1_000, 500);
    run!("scrub", &folder).exits(1);
    let run = run!("scrub", "--heal", "--json", &folder).exits(0);
    assert_eq!(states(&run), [2, 2, 0, 1]);
    assert_eq!(fs::read(&sidecar).expect("read"), whole);
    assert_eq!(fs::read(folder.join("in.cstone")).expect("read"), pack);
}

#[test]
fn a_run_that_was_stopped_goes_on() {
    let (place, folder) = kept();
    let journal = place.path("journal");
    damage(&folder.join("a.bin"), 9, 1);
    // As far as a run came that was stopped: all that was sound, and half a line.
    let lines = ["below/b.bin", "in.cstone"].map(|name| {
        let path = folder.join(name);
        let metadata = fs::metadata(&path).expect("there");
        let since = metadata.modified().expect("a time").duration_since(std::time::UNIX_EPOCH);
        let since = since.expect("after 1970");
        let modified = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
        serde_json::json!({"len": metadata.len(), "modified": modified, "path": path.to_str()})
            .to_string()
    });
    fs::write(&journal, format!("{JOURNAL}{}\n{}\n{{\"le", lines[0], lines[1])).expect("written");
    let run = run!("scrub", "--json", "--resume", &journal, &folder).exits(1);
    assert_eq!(states(&run), [1, 0, 1, 1]);
    assert_eq!(run.json().pop().expect("a summary")["resumed"], 2);
    assert!(!journal.exists(), "all was looked at");
}

/// The first line of a journal.
const JOURNAL: &str = "{\"type\":\"scrub-journal\",\"version\":1}\n";

#[test]
fn what_is_no_journal_is_refused_and_stays_as_it_is() {
    let (place, folder) = kept();
    let entry = r#"{"len":1,"modified":null,"path":"a"}"#;
    for odd in [
        "no journal\n".to_owned(),
        "{\"name\":\"mine\"}\n{\"name\":\"too\"}\n".to_owned(),
        "{}".to_owned(),
        "\n".to_owned(),
        format!("{entry}\n"),
        JOURNAL[..JOURNAL.len() - 1].to_owned(),
        JOURNAL.replace('1', "2"),
        format!("{JOURNAL}{entry}\n\n"),
        format!("{JOURNAL}{entry}\nmine"),
        format!("{JOURNAL}{{\"name\":\"mine\"}}\n"),
        format!("{JOURNAL}{}\n", entry.replace("1,", "1, ")),
        format!("{JOURNAL}{}\n", entry.replace("null", "7")),
        format!("{JOURNAL}{entry}\n{}\n", entry.replace('}', r#","more":1}"#)),
    ] {
        let path = place.write("odd", odd.as_bytes());
        let run = run!("scrub", "--resume", &path, &folder).exits(2);
        assert!(run.stderr.contains("is no journal of `scrub`"), "{odd}: {}", run.stderr);
        assert_eq!(fs::read_to_string(&path).expect("read"), odd);
    }
    run!("scrub", "--resume", &folder, &folder).exits(2).says("is no journal of `scrub`");
    // What it makes itself, and what it may make of an empty file.
    for text in ["", JOURNAL, &format!("{JOURNAL}{entry}\n")] {
        let path = place.write("journal", text.as_bytes());
        run!("scrub", "--resume", &path, &folder).exits(0);
        assert!(!path.exists(), "{text}");
    }
}

#[test]
fn a_pack_in_a_file_is_not_the_file() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let inner = place.path("inner.cstone");
    run!("create", "-q", "--parity-in-pack", "-o", &inner, place.path("tree")).exits(0);
    let image = [noise(5_000, 1), fs::read(&inner).expect("read"), noise(700, 2)].concat();
    let path = place.write("kept/image", &image);
    let folder = place.path("kept");
    assert_eq!(states(&run!("scrub", "--heal", "--json", &folder).exits(0)), [0, 0, 0, 1]);
    run!("protect", "-q", &path).exits(0);
    assert_eq!(states(&run!("scrub", "--heal", "--json", &folder).exits(0)), [1, 0, 0, 0]);
    run!("verify", &path).exits(0);
    assert_eq!(fs::read(&path).expect("read"), image);
    damage(&path, 6_000, 3);
    run!("repair", "-q", &path, "-o", place.path("healed")).exits(0);
    assert_eq!(fs::read(place.path("healed")).expect("read"), image);
}

#[test]
fn parity_of_an_older_pack_under_the_same_name_changes_nothing() {
    let place = Place::new();
    place.write("tree/large", &noise(900_000, 1));
    let path = place.path("kept/pack.cstone");
    fs::create_dir_all(place.path("kept")).expect("made");
    let create = |parity: &[&str]| {
        let mut args: Vec<std::ffi::OsString> =
            ["create", "-q", "--force", "--compress", "none", "--block-size", "64K"]
                .map(Into::into)
                .into();
        args.extend(parity.iter().map(Into::into));
        args.extend(["-o".into(), path.clone().into(), place.path("tree").into()]);
        crate::support::run_args(&args, None).exits(0);
    };
    create(&["--parity", "20"]);
    create(&[]);
    let newer = fs::read(&path).expect("read");
    damage(&path, 400_000, 1);
    let damaged = fs::read(&path).expect("read");
    run!("scrub", "--heal", "--discard-damaged", place.path("kept")).exits(1);
    assert_eq!(fs::read(&path).expect("read"), damaged);
    run!("repair", "-q", &path, "-o", place.path("healed"));
    let healed = fs::read(place.path("healed")).unwrap_or_default();
    assert!(healed == newer || healed.is_empty(), "never the older one");
}

#[test]
fn what_may_have_been_edited_is_kept_and_links_are_followed() {
    let place = Place::new();
    let real = place.write("real", &noise(100_000, 1));
    let link = place.path("link");
    std::os::unix::fs::symlink("real", &link).expect("linked");
    let whole = fs::read(&real).expect("read");
    run!("protect", "-q", &link).exits(0);
    damage(&real, 500, 8);
    let damaged = fs::read(&real).expect("read");
    let later = fs::metadata(place.path("link.par")).expect("there").modified().expect("a time");
    let later = later + std::time::Duration::from_secs(5);
    let file = fs::File::options().write(true).open(&real).expect("there");
    file.set_modified(later).expect("set");
    run!("scrub", "--heal", "--discard-damaged", &link).exits(0);
    assert_eq!(fs::read(&real).expect("read"), whole);
    assert_eq!(fs::read(place.path("real.damaged")).expect("kept"), damaged);
    assert_eq!(fs::metadata(&real).expect("there").modified().expect("a time"), later);
}

#[test]
fn parity_is_as_private_as_what_it_protects() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.write("secret", &noise(3_000, 1));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
    run!("protect", "-q", &path).exits(0);
    let mode = fs::metadata(place.path("secret.par")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_is_gone_is_told() {
    let (_place, folder) = kept();
    fs::remove_file(folder.join("a.bin")).expect("removed");
    run!("scrub", &folder).exits(1).says("is gone, and its parity is there");
}

/// What `scrub --heal` must leave as it is, and tell.
#[track_caller]
fn stays(path: &Path, damaged: bool) {
    let before = fs::read(path).expect("read");
    for args in [&["scrub"][..], &["scrub", "--heal", "--discard-damaged"]] {
        let mut args: Vec<std::ffi::OsString> = args.iter().map(Into::into).collect();
        args.extend(["--json".into(), path.into()]);
        let run = crate::support::run_args(&args, None).exits(damaged.into());
        assert_eq!(states(&run), [0, 0, damaged.into(), (!damaged).into()]);
        assert!(fs::read(path).expect("read") == before, "it is changed");
    }
}

#[test]
fn parity_behind_a_pack_heals_it_also_where_an_end_of_it_is_lost() {
    let (_place, folder) = kept();
    let path = folder.join("in.cstone");
    let whole = fs::read(&path).expect("read");
    let len = whole.len();
    let front = [&[0; 512], &whole[512..]].concat();
    let footer = [&whole[..len - 64], &[0x5A; 64]].concat();
    let mut cut = whole[..len - 10].to_vec();
    cut[900_000..905_000].iter_mut().for_each(|byte| *byte = !*byte);
    let mut moved = whole[..len - 10].to_vec();
    moved.drain(900_000..900_700);
    for (number, damaged) in [front, footer, cut, moved].iter().enumerate() {
        fs::write(&path, damaged).expect("written");
        let run = run!("scrub", "--json", &folder).exits(1);
        assert_eq!(states(&run), [3, 0, 1, 1 + number as u64], "{}", run.text());
        assert!(fs::read(&path).expect("read") == *damaged);
        // What is only found, and not where it belongs, is never all that is kept.
        let run = run!("scrub", "--heal", "--discard-damaged", "--json", &folder).exits(0);
        assert_eq!(states(&run), [3, 1, 0, 1 + number as u64], "{}", run.text());
        assert!(fs::read(&path).expect("read") == whole, "byte for byte");
        let name = ["in.cstone.damaged".to_owned(), format!("in.cstone.damaged-{number}")];
        let kept = folder.join(&name[usize::from(number > 0)]);
        assert!(fs::read(kept).expect("kept") == *damaged);
    }
    // Something stands behind it: a file is not replaced by a part of itself.
    fs::write(&path, [&whole[..], &noise(5_000, 3)].concat()).expect("written");
    stays(&path, true);
}

#[test]
fn a_pack_without_a_front_is_damaged_and_a_file_with_a_pack_in_it_is_not() {
    let (place, folder) = kept();
    let whole = ["none.cstone", "in.cstone"].map(|name| fs::read(folder.join(name)).expect("read"));
    stays(&place.write("headless", &[&[0; 512], &whole[0][512..]].concat()), true);
    for pack in &whole {
        let image = [&noise(5_000, 1), &pack[..]].concat();
        stays(&place.write("image", &image), false);
        let mut damaged = image;
        damaged[5_000..5_512].fill(0);
        stays(&place.write("image", &damaged), true);
    }
    let tiny = place.path("tiny.cstone");
    run!("create", "-q", "-o", &tiny, place.write("one", b"1")).exits(0);
    let mut bytes = fs::read(&tiny).expect("read");
    bytes[..64].fill(0);
    stays(&place.write("tiny", &bytes), true);
}

#[test]
fn parity_that_is_content_of_a_pack_heals_nothing() {
    let (place, folder) = kept();
    let outer = place.path("outer.cstone");
    let create = ["create", "-q", "--compress", "none", "-o"].map(std::ffi::OsString::from);
    let mut args = create.to_vec();
    args.extend([outer.clone().into(), folder.join("in.cstone").into()]);
    crate::support::run_args(&args, None).exits(0);
    let whole = fs::read(&outer).expect("read");
    stays(&place.write("front", &[&[0; 512], &whole[512..]].concat()), true);
    stays(&place.write("end", &whole[..whole.len() - 10]), true);
    let mut both = whole[..whole.len() - 300].to_vec();
    both[60..2_000].fill(0);
    stays(&place.write("both", &both), true);
    both[..60].fill(0);
    both.extend(&whole[whole.len() - 4..]);
    stays(&place.write("both", &both), true);
}

#[test]
fn all_parity_of_a_file_is_looked_at() {
    let (_place, folder) = kept();
    let path = folder.join("in.cstone");
    run!("protect", "-q", &path).exits(0);
    let sidecar = folder.join("in.cstone.par");
    let whole = [&path, &sidecar].map(|path| fs::read(path).expect("read"));
    let is_whole = || [&path, &sidecar].map(|path| fs::read(path).expect("read")) == whole;
    assert_eq!(states(&run!("scrub", "--json", &path).exits(0)), [1, 0, 0, 0]);
    let len = whole[0].len();
    // Pack, appendix and sidecar, each alone and together.
    for parts in 1..8_u32 {
        if parts & 1 > 0 {
            damage(&path, 500_000, 300);
        }
        if parts & 2 > 0 {
            damage(&path, len - 30_000, 300);
        }
        if parts & 4 > 0 {
            damage(&sidecar, 2_000, 3_000);
        }
        let run = run!("scrub", "--json", &path).exits(1);
        assert_eq!(states(&run), [0, 0, 1, 0], "{parts}");
        let run = run!("scrub", "--heal", "--discard-damaged", "--json", &path).exits(0);
        assert_eq!(states(&run), [0, 1, 0, 0], "{parts}: {}", run.text());
        assert!(is_whole(), "{parts}");
        assert_eq!(states(&run!("scrub", "--json", &path).exits(0)), [1, 0, 0, 0], "{parts}");
    }
    // Nobody knows what that was.
    fs::write(&sidecar, b"anything").expect("written");
    damage(&path, 500_000, 300);
    let run = run!("scrub", "--heal", "--json", &path).exits(1);
    assert_eq!(states(&run), [0, 0, 1, 0]);
    assert!(run.text().contains("in.cstone.damaged"), "{}", run.text());
    assert!(fs::read(&path).expect("read") == whole[0], "the pack is healed all the same");
}

#[test]
fn a_link_with_parity_beside_it_is_looked_at_as_its_file() {
    let place = Place::new();
    let dir = place.path("dir");
    for (real, to) in [("dir/sub/inside", "sub/inside"), ("outside", "../outside")] {
        let real = place.write(real, &noise(100_000, 1));
        let link = dir.join(if to.starts_with("..") { "out" } else { "in" });
        std::os::unix::fs::symlink(to, &link).expect("linked");
        run!("protect", "-q", &link).exits(0);
        let whole = fs::read(&real).expect("read");
        run!("scrub", "--heal", &dir).exits(0);
        damage(&real, 500, 80);
        let damaged = fs::read(&real).expect("read");
        run!("scrub", &dir).exits(1);
        if to.starts_with("..") {
            let run = run!("scrub", "--heal", &dir).exits(1);
            assert!(run.text().contains("which lies elsewhere"), "{}", run.text());
            assert_eq!(fs::read(&real).expect("read"), damaged);
            run!("scrub", "--heal", &link).exits(0);
        } else {
            let run = run!("scrub", "--heal", &dir).exits(0);
            assert!(run.text().contains("healed in "), "{}", run.text());
        }
        assert_eq!(fs::read(&real).expect("read"), whole);
        assert!(link.is_symlink());
    }
    fs::remove_file(dir.join("sub/inside")).expect("removed");
    run!("scrub", &dir).exits(1).says("is a link to no file, and its parity is there");
}

#[test]
fn damage_is_told_where_nothing_can_be_written() {
    let place = Place::new();
    // With `.damaged` behind it its name would be too long.
    let path = place.write(&"n".repeat(250), &noise(100_000, 1));
    run!("protect", "-q", &path).exits(0);
    damage(&path, 500, 80);
    let damaged = fs::read(&path).expect("read");
    let run = run!("scrub", "--heal", "--json", place.path("")).exits(1);
    assert_eq!(states(&run), [0, 0, 1, 0]);
    let text = run.text();
    assert!(text.contains("it can be healed, and is not: cannot keep"), "{text}");
    assert_eq!(fs::read(&path).expect("read"), damaged);
}

#[test]
fn nobody_waits_for_a_pipe() {
    let place = Place::new();
    let pipe = place.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("runs").success());
    run!("scrub", &pipe).exits(1).says("is no regular file");
    run!("scrub", "--resume", &pipe, place.path("")).exits(2).says("no regular file");
}
