//! `carstone hppr`: packets go in, come out verified, and are kept in order.

use std::fs;
use std::path::Path;

use crate::support::{Place, noise};

/// A place with a repository in it.
fn place() -> (Place, String) {
    let place = Place::new();
    let repo = place.path("repo").to_str().expect("text").to_owned();
    run!("hppr", "--repo", &repo, "init").exits(0);
    (place, repo)
}

fn key(place: &Place, name: &str) -> String {
    run!("hppr", "keygen", "-o", place.path(name)).exits(0);
    run!("hppr", "id", place.path(name)).exits(0).text().trim().to_owned()
}

#[test]
fn what_is_added_is_found_by_coordinate_and_by_hash() {
    let (place, repo) = place();
    let public = key(&place, "key.txt");
    assert!(public.starts_with("V.") && public.ends_with(".H3"));
    run!("hppr", "keygen", "-o", place.path("key.txt")).exits(2).says("key.txt");
    let data = noise(100_000, 1);
    let file = place.write("data", &data);
    let at = "//a-group/an-app/notes/first#1";
    let added = run!(
        "hppr",
        "--repo",
        &repo,
        "add",
        "-k",
        place.path("key.txt"),
        "-H",
        "Kind: note",
        at,
        &file
    );
    let hashes = added.exits(0).lines();
    let [seal, plex, blob] = &hashes[..] else { panic!("{hashes:?}") };
    for address in [
        at.to_owned(),
        format!("{at}/|/seal/{public}"),
        format!("////{seal}"),
        format!("////{blob}"),
    ] {
        let got = run!("hppr", "--repo", &repo, "get", "-d", &address).exits(0);
        assert_eq!(got.stdout, data, "{address}");
    }
    // A later one, without a key, is the tip.
    let later = pipe!(b"later", "hppr", "--repo", &repo, "add", at).exits(0).lines();
    assert_eq!(run!("hppr", "--repo", &repo, "get", "-d", at).exits(0).text(), "later");
    let tips = run!("hppr", "--repo", &repo, "tips", "//a-group/").exits(0).lines();
    assert_eq!(tips.len(), 1);
    assert!(tips[0].ends_with(&later[0]), "{tips:?}");
    assert_eq!(run!("hppr", "--repo", &repo, "ls").exits(0).lines(), ["a-group/"]);
    let listed = run!("hppr", "--repo", &repo, "ls", "//a-group/an-app/notes/").exits(0).lines();
    assert_eq!(listed, ["first#1"]);
    let types = run!("hppr", "--repo", &repo, "ls", format!("{at}/|/")).exits(0).lines();
    assert_eq!(types, ["plex/", "seal/"]);
    let headers = run!("hppr", "--repo", &repo, "headers", format!("////{plex}")).exits(0).text();
    assert!(headers.contains("\nKind: note\n") && headers.ends_with("Data-Length: 100000\n\n"));
    let json = run!("hppr", "--repo", &repo, "--json", "headers", format!("////{seal}")).exits(0);
    let json = json.json();
    assert_eq!((&json[0]["key"], &json[0]["length"]), (&public.into(), &100_000.into()));
    // Another key signs what is there.
    let second = key(&place, "second.txt");
    let sealed = run!(
        "hppr",
        "--repo",
        &repo,
        "seal",
        "-k",
        place.path("second.txt"),
        format!("////{plex}")
    );
    assert_eq!(sealed.exits(0).lines()[1..], [plex.clone(), blob.clone()]);
    let keys = run!("hppr", "--repo", &repo, "ls", format!("{at}/|/seal/")).exits(0).lines();
    assert_eq!(keys.len(), 2);
    assert!(keys.contains(&second));
    run!("hppr", "--repo", &repo, "seal", "-k", place.path("second.txt"), format!("////{blob}"))
        .exits(2)
        .says("is a Blob");
    let checked = run!("hppr", "--repo", &repo, "check").exits(0).text();
    assert!(checked.starts_with("sound: "), "{checked}");
}

#[test]
fn packets_go_from_one_repository_into_another() {
    let (place, repo) = place();
    key(&place, "key.txt");
    for number in 0..20 {
        let at = format!("//g/a/l{}", number % 7);
        let text = format!("number {number}");
        let added = match number % 3 {
            0 => pipe!(
                text.as_bytes(),
                "hppr",
                "--repo",
                &repo,
                "add",
                "-k",
                place.path("key.txt"),
                at
            ),
            _ => pipe!(text.as_bytes(), "hppr", "--repo", &repo, "add", at),
        };
        added.exits(0);
    }
    let tips = run!("hppr", "--repo", &repo, "tips").exits(0).lines();
    assert_eq!(tips.len(), 7);
    for (form, name) in [(&[][..], "stream"), (&["--car"], "car")] {
        let out = place.path(name);
        let mut arguments =
            vec!["hppr", "--repo", &repo, "export", "-o", out.to_str().expect("text")];
        arguments.extend(form);
        let arguments: Vec<_> = arguments.into_iter().map(Into::into).collect();
        crate::support::run_args(&arguments, None).exits(0);
        let other = place.path(&format!("{name}-repo")).to_str().expect("text").to_owned();
        run!("hppr", "--repo", &other, "init").exits(0);
        let mut arguments = vec!["hppr", "--repo", &other, "import", out.to_str().expect("text")];
        arguments.extend(form);
        let arguments: Vec<_> = arguments.into_iter().map(Into::into).collect();
        crate::support::run_args(&arguments, None).exits(0).says("20 packets");
        assert_eq!(run!("hppr", "--repo", &other, "tips").exits(0).lines(), tips);
        run!("hppr", "--repo", &other, "check").exits(0);
    }
    run!("car", "verify", place.path("car")).exits(0);
    // One at a time, in both forms, through pipes.
    let other = place.path("piped").to_str().expect("text").to_owned();
    run!("hppr", "--repo", &other, "init").exits(0);
    for (number, tip) in tips.iter().enumerate() {
        let form = if number % 2 == 0 { "--trailer" } else { "--by-name" };
        let packet = match form {
            "--trailer" => run!("hppr", "--repo", &repo, "get", form, tip).exits(0).stdout,
            _ => run!("hppr", "--repo", &repo, "get", tip).exits(0).stdout,
        };
        pipe!(&packet, "hppr", "--repo", &other, "store", form).exits(0);
    }
    assert_eq!(run!("hppr", "--repo", &other, "tips").exits(0).lines(), tips);
}

#[test]
fn blobs_that_nothing_has_are_exported_where_they_are_asked_for() {
    let (place, repo) = place();
    pipe!(b"of a Plex", "hppr", "--repo", &repo, "add", "//g/a/l").exits(0);
    let blob = b"nobody's";
    // A Plex of it, which is detached and leaves the Blob alone.
    let lone = pipe!(blob, "hppr", "--repo", &repo, "add", "//g/a/gone").exits(0).lines();
    run!("hppr", "--repo", &repo, "detach", &lone[0]).exits(0);
    let other = place.path("other").to_str().expect("text").to_owned();
    for (form, count, status) in [(None, "1 packet", 2), (Some("--lone-blobs"), "2 packets", 0)] {
        let mut arguments = vec!["hppr", "--repo", &repo, "export"];
        arguments.extend(form);
        let arguments: Vec<_> = arguments.into_iter().map(Into::into).collect();
        let stream = crate::support::run_args(&arguments, None).exits(0).says(count).stdout;
        run!("hppr", "--repo", &other, "init").exits(0);
        pipe!(&stream, "hppr", "--repo", &other, "import").exits(0).says(count);
        let got = run!("hppr", "--repo", &other, "get", "-d", format!("////{}", lone[1]));
        assert_eq!(got.exits(status).stdout, if form.is_some() { &blob[..] } else { b"" });
    }
    run!("hppr", "--repo", &repo, "export", "--lone-blobs", "//g/").exits(2).says("no prefix");
}

#[test]
fn what_is_detached_goes_when_it_is_collected() {
    let (_place, repo) = place();
    let hashes = pipe!(b"gone soon", "hppr", "--repo", &repo, "add", "//g/a/l").exits(0).lines();
    let by_hash = format!("////{}", hashes[0]);
    run!("hppr", "--repo", &repo, "detach", &hashes[1]).exits(2).says("a Plex has this Blob");
    run!("hppr", "--repo", &repo, "detach", &hashes[0]).exits(0);
    run!("hppr", "--repo", &repo, "detach", &hashes[0]).exits(0).says("was detached already");
    run!("hppr", "--repo", &repo, "get", "//g/a/l").exits(2).says("there is no such packet");
    assert_eq!(run!("hppr", "--repo", &repo, "get", "-d", &by_hash).exits(0).text(), "gone soon");
    run!("hppr", "--repo", &repo, "collect").exits(0).says("1 Blob, 1 Plex and 0 Seals removed");
    run!("hppr", "--repo", &repo, "get", &by_hash).exits(2);
    run!("hppr", "--repo", &repo, "check").exits(0);
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("listed") {
        let entry = entry.expect("there");
        match entry.file_type().expect("known") {
            kind if kind.is_dir() => files(&entry.path(), found),
            _ => found.push(entry.path()),
        }
    }
}

#[test]
fn what_is_wrong_is_told_and_put_right() {
    let (place, repo) = place();
    let hashes = pipe!(b"some data", "hppr", "--repo", &repo, "add", "//g/a/l").exits(0).lines();
    let tip = place.path("repo/index/g/a/l/|/tip");
    fs::remove_file(&tip).expect("it is there");
    run!("hppr", "--repo", &repo, "check").exits(1).says("missing-tip");
    // A reader finds the packet all the same, and changes nothing.
    assert_eq!(run!("hppr", "--repo", &repo, "get", "-d", "//g/a/l").exits(0).text(), "some data");
    assert!(fs::symlink_metadata(&tip).is_err());
    let repaired = run!("hppr", "--repo", &repo, "--json", "check", "--repair").exits(0).json();
    assert!(repaired.iter().any(|line| line["finding"] == "missing-tip" && line["mended"] == true));
    run!("hppr", "--repo", &repo, "check").exits(0);
    // A flipped bit cannot be put right, and is never given out.
    let mut data = Vec::new();
    files(&place.path("repo/hash/B"), &mut data);
    let [file] = &data[..] else { panic!("{data:?}") };
    fs::write(file, b"same data").expect("written");
    run!("hppr", "--repo", &repo, "get", "//g/a/l").exits(2).says("hash");
    run!("hppr", "--repo", &repo, "check").exits(1).says("damaged");
    run!("hppr", "--repo", &repo, "check", "--quick").exits(0);
    run!("hppr", "--repo", &repo, "check", "--repair").exits(1).says("damaged");
    run!("hppr", "--repo", &repo, "export").exits(2).says("--skip-damaged");
    run!("hppr", "--repo", &repo, "export", "--skip-damaged").exits(1).says("1 packet is damaged");
    // The packet once more heals it, since nothing else does.
    fs::remove_file(file).expect("removed");
    let tai = run!("hppr", "--repo", &repo, "ls", "//g/a/l/|/plex/").exits(0).lines().remove(0);
    let again = pipe!(b"some data", "hppr", "--repo", &repo, "add", "--tai", tai, "//g/a/l");
    assert_eq!(again.exits(0).lines(), hashes);
    run!("hppr", "--repo", &repo, "check").exits(0);
}

#[test]
fn what_is_no_packet_is_refused_at_its_byte() {
    let (place, repo) = place();
    pipe!(b"data", "hppr", "--repo", &repo, "add", "//g/a/l").exits(0);
    let packet = run!("hppr", "--repo", &repo, "get", "//g/a/l").exits(0).stdout;
    let mut wrong = packet.clone();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    let file = place.write("wrong", &wrong);
    run!("hppr", "--repo", &repo, "store", &file).exits(2).says("wrong").says("byte ");
    pipe!(&packet[..packet.len() - 1], "hppr", "--repo", &repo, "store")
        .exits(2)
        .says("standard input");
    pipe!(b"", "hppr", "--repo", &repo, "add", "//g/a").exits(2).says("ends before its group");
    pipe!(b"", "hppr", "--repo", &repo, "add", "//g/a/../l").exits(2).says("byte 6");
    run!("hppr", "--repo", place.path("none"), "ls").exits(2).says("it is no repository");
    run!("hppr", "id", &file).exits(2).says("is no key");
    let command = "//g/\u{1f5a7}run/l";
    pipe!(b"", "hppr", "--repo", &repo, "add", command).exits(2).says("it is a command");
    run!("hppr", "--repo", &repo, "check").exits(0);
}
