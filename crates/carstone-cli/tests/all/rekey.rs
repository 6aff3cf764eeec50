//! `rekey`: other readers for a pack, in a real process.

use std::fs;
use std::path::PathBuf;

use crate::support::{Place, look, noise, same_trees, small_tree};

/// A place with a tree, the keys `old` and `new`, and a pack for the first of them.
struct Scene {
    place: Place,
    pack: PathBuf,
    old: PathBuf,
    new: PathBuf,
    old_public: String,
    new_public: String,
}

fn scene() -> Scene {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let (old_public, new_public) = (place.key("old"), place.key("new"));
    let pack = place.path("pack.cstone");
    let tree = place.path("tree");
    run!("create", "-q", "--compress", "none", "-r", &old_public, "-o", &pack, tree).exits(0);
    let (old, new) = (place.path("old"), place.path("new"));
    Scene { place, pack, old, new, old_public, new_public }
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        self.place.path(name)
    }

    /// Fails unless the new key opens `pack`, all of it, and the old one does not.
    #[track_caller]
    fn is_for_new(&self, pack: &PathBuf) {
        for command in ["list", "verify", "info"] {
            run!(command, "-i", &self.old, pack).exits(2);
            run!(command, "-i", &self.new, pack).exits(0);
        }
        let out = self.path("out");
        run!("extract", "-q", "-i", &self.new, "-C", &out, pack).exits(0);
        same_trees(&self.path("tree"), &out);
        fs::remove_dir_all(out).expect("removed");
    }
}

#[test]
fn the_new_reader_reads_and_the_old_one_is_refused() {
    let scene = scene();
    let copy = scene.path("copy.cstone");
    let run = run!("rekey", "-i", &scene.old, &scene.pack, "-o", &copy, "-r", &scene.new_public);
    let run = run.exits(0).says("kept its content key can read the new one too").says("--fresh");
    let run = run.says("Parity and signatures");
    assert!(run.text().contains("for X25519; "), "{}", run.text());
    scene.is_for_new(&copy);
    let list = |key: &PathBuf, pack: &PathBuf| {
        let list = run!("list", "--json", "-l", "-i", key, pack).exits(0).lines();
        let info = run!("info", "--json", "-i", key, pack).exits(0).json().remove(0);
        (list, info["roots"].clone(), info["pack_id"].clone())
    };
    assert_eq!(list(&scene.old, &scene.pack), list(&scene.new, &copy));
    run!("rekey", "-i", &scene.old, &copy, "-o", scene.path("back"), "-r", &scene.old_public)
        .exits(2);
    assert!(!scene.path("back").exists());
}

#[test]
fn programs_are_told_the_same() {
    let scene = scene();
    let copy = scene.path("copy.cstone");
    let readers = scene
        .place
        .write("readers", format!("{}\n{}\n", scene.old_public, scene.new_public).as_bytes());
    let run = run!("rekey", "--json", "-i", &scene.old, &scene.pack, "-o", &copy, "-R", readers);
    let [told] = &run.exits(0).json()[..] else { panic!("one line") };
    assert_eq!(told["type"], "summary");
    assert_eq!(told["fresh"], false);
    assert_eq!(told["content_key_kept"], true);
    assert_eq!(told["appendices_dropped"], 0);
    assert_eq!(told["stored"], fs::metadata(&copy).expect("there").len());
    assert_eq!(told["recipients"].as_array().map(Vec::len), Some(2));
    run!("list", "-i", &scene.old, &copy).exits(0);
    run!("list", "-i", &scene.new, &copy).exits(0);
}

#[test]
fn a_pack_comes_and_goes_through_pipes() {
    let scene = scene();
    let stored = fs::read(&scene.pack).expect("read");
    let run = pipe!(&stored, "rekey", "-i", &scene.old, "-", "-o", "-", "-r", &scene.new_public);
    let copy = scene.place.write("copy.cstone", &run.exits(0).says("standard output: for").stdout);
    scene.is_for_new(&copy);
    let key = fs::read(&scene.old).expect("read");
    let to = scene.path("other");
    pipe!(&key, "rekey", "-i", "-", &scene.pack, "-o", &to, "-r", &scene.new_public).exits(0);
    scene.is_for_new(&to);
    pipe!(&key, "rekey", "-i", "-", "-", "-o", &to, "-r", &scene.new_public)
        .exits(2)
        .says("standard input (-) can be given once only");
}

#[test]
fn a_pack_is_replaced_only_where_that_is_asked_for() {
    let scene = scene();
    let before = fs::read(&scene.pack).expect("read");
    let rekey =
        || run!("rekey", "-i", &scene.old, &scene.pack, "-o", &scene.pack, "-r", &scene.new_public);
    rekey().exits(2).one_line().says("exists already");
    assert!(fs::read(&scene.pack).expect("read") == before);
    let names = scene.place.names();
    run!(
        "rekey",
        "--force",
        "-i",
        &scene.old,
        &scene.pack,
        "-o",
        &scene.pack,
        "-r",
        &scene.new_public
    )
    .exits(0);
    scene.is_for_new(&scene.pack);
    assert_eq!(scene.place.names(), names);
}

#[test]
fn passphrases_are_those_of_before_and_after() {
    let scene = scene();
    let first = scene.place.write("first", b"sand\n");
    let second = scene.place.write("second", b"silt\n");
    let (locked, again) = (scene.path("locked"), scene.path("again"));
    run!("rekey", "-q", "-i", &scene.old, &scene.pack, "-o", &locked, "--passphrase-file", &first)
        .exits(0);
    run!("list", "-i", &scene.old, &locked).exits(2);
    run!("list", "--passphrase-file", &first, &locked).exits(0);
    let rekey = |old: &PathBuf| {
        run!(
            "rekey",
            "-q",
            "--old-passphrase-file",
            old,
            &locked,
            "-o",
            &again,
            "--passphrase-file",
            &second
        )
    };
    rekey(&second).exits(2);
    assert!(!again.exists());
    rekey(&first).exits(0);
    run!("list", "--passphrase-file", &first, &again).exits(2);
    run!("list", "--passphrase-file", &second, &again).exits(0);
    let run =
        run!("rekey", "-i", &scene.old, &again, "-o", scene.path("x"), "-r", &scene.new_public);
    run.exits(2);
}

#[test]
fn what_cannot_be_given_to_others_is_refused_and_leaves_nothing() {
    let scene = scene();
    let plain = scene.path("plain.cstone");
    run!("create", "-q", "-o", &plain, scene.path("tree")).exits(0);
    let car = scene.path("x.car");
    run!("create", "-q", "-o", &car, scene.path("tree")).exits(0);
    let stored = fs::read(&scene.pack).expect("read");
    let mut damaged = stored.clone();
    damaged[stored.len() / 2] ^= 1;
    let damaged = scene.place.write("damaged", &damaged);
    let cut = scene.place.write("cut", &stored[..stored.len() - 5000]);
    let holes = scene.path("holes");
    let mut lost = stored.clone();
    lost[700_000..900_000].fill(0);
    let lost = scene.place.write("lost", &lost);
    run!("repair", "-q", &lost, "-o", &holes).exits(1);
    let names = scene.place.names();
    let to = scene.path("new.cstone");
    for (pack, why) in [
        (&plain, "is not encrypted"),
        (&car, "only a sound pack"),
        (&damaged, "encrypted frame 9 at byte 118"),
        (&cut, "without a container trailer"),
        (&holes, "a hole stands for it"),
        (&lost, "encrypted frame"),
    ] {
        run!("rekey", "-i", &scene.old, pack, "-o", &to, "-r", &scene.new_public)
            .exits(2)
            .one_line()
            .says(why)
            .says(if pack == &plain || pack == &car {
                ""
            } else {
                "`carstone repair` may mend it first"
            });
        assert_eq!(scene.place.names(), names, "{why}");
    }
    run!("rekey", &scene.pack, "-o", &to, "-r", &scene.new_public)
        .exits(2)
        .one_line()
        .says("-i FILE or --old-passphrase");
    run!("rekey", "-i", &scene.new, &scene.pack, "-o", &to, "-r", &scene.new_public)
        .exits(2)
        .one_line();
    run!("rekey", "-i", &scene.old, &scene.pack, "-o", &to)
        .exits(2)
        .one_line()
        .says("-r, -R or -p");
    run!("rekey", "-i", &scene.old, &scene.pack, "-r", &scene.new_public).exits(2);
    assert_eq!(scene.place.names(), names);
}

#[test]
fn fresh_is_another_pack_of_the_same_tree() {
    let scene = scene();
    let copy = scene.path("copy.cstone");
    let fresh = |to: &PathBuf, pack: &PathBuf| {
        run!(
            "rekey",
            "--json",
            "--fresh",
            "-i",
            &scene.old,
            pack,
            "-o",
            to,
            "-r",
            &scene.new_public
        )
    };
    let told = fresh(&copy, &scene.pack).exits(0).json().remove(0);
    scene.is_for_new(&copy);
    assert_eq!(told["content_key_kept"], false);
    assert_eq!(told["recipients"], serde_json::json!(["X25519"]));
    assert_ne!(told["pack_id"], told["old_pack_id"]);
    let info = |key: &PathBuf, pack: &PathBuf| {
        run!("info", "--json", "-i", key, pack).exits(0).json().remove(0)
    };
    let (before, after) = (info(&scene.old, &scene.pack), info(&scene.new, &copy));
    assert_eq!(before["roots"], after["roots"]);
    assert_eq!(before["layers"], after["layers"]);
    assert_eq!(before["pack_id"], told["old_pack_id"]);
    assert_eq!(after["pack_id"], told["pack_id"]);
    // Stored frames stay stored.
    let stored = |pack: &PathBuf| fs::metadata(pack).expect("there").len() as f64;
    assert!((stored(&copy) / stored(&scene.pack) - 1.0).abs() < 0.05);
    let mut damaged = fs::read(&scene.pack).expect("read");
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let damaged = scene.place.write("damaged", &damaged);
    let to = scene.path("other");
    let run = fresh(&to, &damaged).exits(2);
    assert!(run.stderr.contains("encrypted frame"), "{}", run.stderr);
    assert!(!to.exists());
}

#[test]
fn an_old_header_in_a_copy_is_told() {
    let scene = scene();
    let copy = scene.path("copy.cstone");
    run!("rekey", "-q", "-i", &scene.old, &scene.pack, "-o", &copy, "-r", &scene.new_public)
        .exits(0);
    let image =
        [fs::read(&copy).expect("read"), noise(5000, 3), fs::read(&scene.pack).expect("read")]
            .concat();
    let image = scene.place.write("image", &image);
    let run = run!("carve", &image, "-C", scene.path("found")).exits(1);
    assert!(run.text().contains("two key envelopes"), "{}", run.text());
    let found: Vec<_> =
        look(&scene.path("found")).into_keys().filter(|name| !name.is_empty()).collect();
    assert_eq!(found.len(), 1);
    let told = run!("carve", "--json", "-n", &image).exits(1).json().remove(0);
    assert_eq!(told["conflicts"].as_array().map(Vec::len), Some(1));
    assert_eq!(told["whole"], false);
}

#[test]
fn a_signature_made_before_is_stale() {
    let scene = scene();
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../carstone-keys/tests/keys");
    let public = fs::read_to_string(format!("{keys}/ed25519.pub")).expect("a public key");
    let list = scene.place.write("signers", format!("alice@example.org {public}").as_bytes());
    run!("sign", "-q", &scene.pack, "-k", format!("{keys}/ed25519")).exits(0);
    let signature = scene.path("pack.cstone.sig");
    run!("verify", &scene.pack, "--signer", &list).exits(0);
    let copy = scene.path("copy.cstone");
    run!("rekey", "-q", "-i", &scene.old, &scene.pack, "-o", &copy, "-r", &scene.new_public)
        .exits(0);
    let verify =
        || run!("verify", "-i", &scene.new, &copy, "--signer", &list, "--signature", &signature);
    let run = verify().exits(1);
    assert!(run.lines()[0].contains("the signature is stale"), "{}", run.text());
    // Without a word of the signature the copy is sound.
    run!("verify", "-i", &scene.new, &copy).exits(0);
    // Of a pack under another id nobody knows that it was this one.
    run!(
        "rekey",
        "-q",
        "--fresh",
        "--force",
        "-i",
        &scene.old,
        &scene.pack,
        "-o",
        &copy,
        "-r",
        &scene.new_public
    )
    .exits(0);
    let run = verify().exits(1);
    assert!(run.lines()[0].contains("of another pack"), "{}", run.text());
}
