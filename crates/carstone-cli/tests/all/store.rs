//! `carstone store`: what is put comes out, and CARs of it are those that others make.

use std::fs;

use crate::support::{Place, look, noise, small_tree};

/// A place with a store in it.
fn place() -> (Place, String) {
    let place = Place::new();
    let store = place.path("store").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "init").exits(0);
    (place, store)
}

#[test]
fn files_and_trees_come_out_as_they_were() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    let content = noise(5_000_000, 1);
    let file = place.write("big", &content);
    let put =
        run!("store", "--store", &store, "put", "--pack-size", "2M", place.path("tree"), &file);
    let roots = put.exits(0).lines();
    let [tree, big] = &roots[..] else { panic!("{roots:?}") };
    // The roots that `car create` gives.
    let car = place.path("x.car");
    let made = run!("car", "create", "-q", "-o", &car, place.path("tree")).exits(0).text();
    assert_eq!(made.trim(), tree);
    let mut listed = run!("store", "--store", &store, "ls").exits(0).lines();
    listed.sort();
    let mut due = roots.clone();
    due.sort();
    assert_eq!(listed, due);
    assert_eq!(run!("store", "--store", &store, "cat", big).exits(0).stdout, content);
    let part = run!("store", "--store", &store, "cat", "--range", "1048570-1048590", big).exits(0);
    assert_eq!(part.stdout, content[1_048_570..=1_048_590]);
    let out = place.path("out");
    run!("store", "--store", &store, "get", big, "-o", &out).exits(0);
    assert_eq!(fs::read(&out).expect("written"), content);
    let hello = format!("{tree}/hello.txt");
    assert_eq!(run!("store", "--store", &store, "cat", hello).exits(0).text(), "hello\n");
    let paths = run!("store", "--store", &store, "ls", tree).exits(0).lines();
    assert_eq!(paths.len(), look(&place.path("tree")).len() - 1);
    let dumped = place.path("dump.car");
    run!("store", "--store", &store, "dump", tree, "-o", &dumped).exits(0);
    run!("car", "verify", &dumped).exits(0);
    run!("car", "extract", "-C", place.path("restored"), &dumped).exits(0);
    run!("car", "verify", "--against", place.path("restored"), &car).exits(0);
    // Standard input is a file, and the same file has the same root.
    let again = pipe!(&content, "store", "--store", &store, "put", "-").exits(0).text();
    assert_eq!(again.trim(), big);
    let found = run!("store", "--store", &store, "--json", "find", big).exits(0).json();
    assert!(found.iter().any(|line| line["type"] == "place"));
    assert!(found.iter().filter(|line| line["type"] == "containing").count() >= 4);
    run!("store", "--store", &store, "index", "compact").exits(0);
    let stats = run!("store", "--store", &store, "--json", "stats").exits(0).json();
    assert_eq!((&stats[0]["roots"], &stats[0]["segments"]), (&3.into(), &1.into()));
    assert_eq!(run!("store", "--store", &store, "cat", big).exits(0).stdout, content);
}

#[test]
fn a_damaged_pack_is_told_and_another_place_read() {
    let (place, store) = place();
    let content = noise(3_000_000, 2);
    let file = place.write("big", &content);
    let root = run!("store", "--store", &store, "put", &file).exits(0).lines().remove(0);
    let packs = || -> Vec<_> {
        let packs = fs::read_dir(place.path("store/packs")).expect("there");
        packs.map(|pack| pack.expect("there").path()).collect()
    };
    let [pack] = &packs()[..] else { panic!("one pack") };
    let mut bytes = fs::read(pack).expect("read");
    bytes[1_500_000] ^= 1;
    fs::write(pack, &bytes).expect("written");
    let told = run!("store", "--store", &store, "cat", &root).exits(2);
    let name = pack.file_stem().and_then(|name| name.to_str()).expect("a name");
    told.says(name);
    // Of the same blocks in other packs one is enough.
    run!("store", "--store", &store, "put", "--pack-size", "1100K", &file).exits(0);
    assert_eq!(run!("store", "--store", &store, "cat", &root).exits(0).stdout, content);
    fs::remove_file(pack).expect("removed");
    assert_eq!(run!("store", "--store", &store, "cat", &root).exits(0).stdout, content);
}

#[test]
fn a_store_is_checked_and_put_in_order() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    let file = place.write("big", &noise(3_000_000, 4));
    let put =
        run!("store", "--store", &store, "put", "--pack-size", "1100K", &file, place.path("tree"));
    let roots = put.exits(0).lines();
    assert!(run!("store", "--store", &store, "check").exits(0).text().starts_with("there: "));
    let told = run!("store", "--store", &store, "--json", "check", "--read-data").exits(0).json();
    assert_eq!((&told[0]["findings"], &told[0]["roots"]), (&0.into(), &2.into()));
    run!("store", "--store", &store, "check", "--read-data", "--shard", "2/3").exits(0);
    run!("store", "--store", &store, "check", "--shard", "4/3").exits(2).says("from 1/N to N/N");
    // A flipped bit, told with its pack.
    let packs = || fs::read_dir(place.path("store/packs")).expect("there").count();
    let all = fs::read_dir(place.path("store/packs")).expect("there");
    let all = all.map(|pack| pack.expect("there").path());
    let size = |pack: &std::path::PathBuf| fs::metadata(pack).expect("there").len();
    let pack = all.max_by_key(size).expect("one");
    let sound = fs::read(&pack).expect("read");
    let mut bytes = sound.clone();
    bytes[400] ^= 1;
    fs::write(&pack, &bytes).expect("written");
    let name = pack.file_stem().and_then(|name| name.to_str()).expect("a name");
    run!("store", "--store", &store, "check").exits(0);
    run!("store", "--store", &store, "check", "--read-data").exits(1).says(name);
    run!("store", "--store", &store, "index", "rebuild").exits(1).says(name);
    fs::write(&pack, &sound).expect("written");
    let mirror = place.path("mirror").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "index", "rebuild").exits(0);
    run!("store", "--store", &store, "copy", &mirror).exits(0);
    run!("store", "--store", &mirror, "check", "--read-data").exits(0);
    fs::write(&pack, &bytes).expect("written");
    let told = run!("store", "--store", &store, "heal").exits(1).says(name);
    told.says("1 of its blobs are nowhere else: baf");
    let healed = run!("store", "--store", &store, "heal", "--from", &mirror).exits(0).lines();
    assert_eq!(healed, [name]);
    assert_eq!(fs::read(&pack).expect("read"), sound);
    // With the same blobs in other packs no other store is needed.
    run!("store", "--store", &store, "put", "--pack-size", "4M", &file, place.path("tree"))
        .exits(0);
    fs::remove_file(&pack).expect("removed");
    assert_eq!(run!("store", "--store", &store, "heal").exits(0).lines(), [name]);
    assert_eq!(fs::read(&pack).expect("read"), sound);
    // Two machines make the index again.
    run!("store", "--store", &store, "index", "rebuild", "--shard", "1/2").exits(0);
    run!("store", "--store", &store, "index", "rebuild", "--shard", "2/2").exits(0);
    let told = run!("store", "--store", &store, "--json", "index", "rebuild", "--finish");
    assert_eq!(told.exits(0).json()[0]["packs"], 0);
    run!("store", "--store", &store, "index", "rebuild", "--finish", "--shard", "1/2").exits(2);
    fs::remove_dir_all(place.path("store/index")).expect("removed");
    run!("store", "--store", &store, "check").exits(1).says("is not in the index");
    run!("store", "--store", &store, "index", "rebuild").exits(0);
    run!("store", "--store", &store, "check", "--read-data").exits(0);
    run!("store", "--store", &store, "cat", &roots[0]).exits(0);
    // What no root needs goes, when it is old enough.
    let before = packs();
    run!("store", "--store", &store, "rm", &roots[0]).exits(0);
    run!("store", "--store", &store, "rm", &roots[0]).exits(2).says("is no root");
    assert!(run!("store", "--store", &store, "gc").exits(0).lines().is_empty());
    let dry = run!("store", "--store", &store, "gc", "--grace", "0", "-n").exits(0).lines();
    assert_eq!(packs(), before);
    assert_eq!(run!("store", "--store", &store, "gc", "--grace", "0").exits(0).lines(), dry);
    assert_eq!(packs(), before - dry.len());
    run!("store", "--store", &store, "check", "--read-data").exits(0);
    run!("store", "--store", &store, "cat", &roots[0]).exits(2);
    run!("store", "--store", &store, "cat", format!("{}/hello.txt", roots[1])).exits(0);
}

/// Encrypted packs are kept, checked and healed by whoever has no key.
#[test]
fn packs_that_nobody_can_read_here_are_healed() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    let key = place.key("key.txt");
    let pack = place.path("x.cstone");
    run!("create", "-q", "-r", &key, "-o", &pack, place.path("tree")).exits(0);
    let root = run!("store", "--store", &store, "put", "--raw", &pack).exits(0).lines().remove(0);
    let mirror = place.path("mirror").to_str().expect("text").to_owned();
    run!("store", "--store", &store, "copy", &mirror).exits(0);
    let kept = fs::read_dir(place.path("store/packs")).expect("there").next().expect("one");
    let kept = kept.expect("there").path();
    let mut bytes = fs::read(&kept).expect("read");
    assert_eq!(bytes, fs::read(&pack).expect("read"));
    bytes[700] ^= 1;
    fs::write(&kept, &bytes).expect("written");
    run!("store", "--store", &store, "check", "--read-data").exits(1);
    run!("store", "--store", &store, "heal", "--from", &mirror).exits(0);
    run!("store", "--store", &store, "check", "--read-data").exits(0);
    let out = place.path("out.cstone");
    run!("store", "--store", &store, "get", &root, "-o", &out).exits(0);
    run!("verify", "-i", place.path("key.txt"), &out).exits(0);
}

/// Parts of the work come to all of it.
#[test]
fn machines_share_what_takes_long() {
    let (place, store) = place();
    let file = place.write("file", &noise(9_000_000, 7));
    let put = run!("store", "--store", &store, "put", "-q", "--pack-size", "1100K", &file);
    let root = put.exits(0).lines().remove(0);
    let mirror = place.path("mirror").to_str().expect("text").to_owned();
    for shard in ["1/2", "2/2"] {
        run!("store", "--store", &store, "copy", "--shard", shard, &mirror).exits(0);
    }
    run!("store", "--store", &mirror, "cat", &root).exits(2);
    run!("store", "--store", &store, "copy", &mirror).exits(0).says("0 packs copied");
    run!("store", "--store", &mirror, "cat", &root).exits(0);
    let packs: Vec<_> = fs::read_dir(place.path("store/packs")).expect("there").collect();
    for pack in &packs {
        let path = pack.as_ref().expect("there").path();
        let mut bytes = fs::read(&path).expect("read");
        bytes[1000] ^= 1;
        fs::write(path, bytes).expect("written");
    }
    let found = |arguments: &[&str]| {
        let mut all = vec!["store", "--store", &store, "check"];
        all.extend(arguments);
        let all: Vec<std::ffi::OsString> = all.into_iter().map(Into::into).collect();
        let run = crate::support::run_args(&all, None);
        run.stderr.matches("damaged pack").count()
    };
    assert_eq!(found(&[]), 0);
    assert_eq!(found(&["--read-data-subset", "100%"]), packs.len());
    assert_eq!(
        found(&["--read-data-subset", "1/2"]) + found(&["--read-data-subset", "2/2"]),
        packs.len()
    );
    run!("store", "--store", &store, "check", "--read-data-subset", "0%").exits(2);
    for shard in ["1/2", "2/2"] {
        run!("store", "--store", &store, "heal", "--from", &mirror, "--shard", shard);
    }
    run!("store", "--store", &store, "check", "--read-data").exits(0);
}

/// Packs that are made compressed and encrypted: each is read with a key, and kept in order without one.
#[test]
fn encrypted_packs_are_made_read_and_kept() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    let (recipient, key) = (place.key("key.txt"), place.path("key.txt"));
    let put = run!("store", "--store", &store, "put", "-q", "-r", &recipient, place.path("tree"));
    let root = put.exits(0).lines().remove(0);
    let tree = root_of(&place);
    assert_eq!(root, tree, "the root does not depend on how packs are stored");
    for pack in fs::read_dir(place.path("store/packs")).expect("there") {
        let stored = fs::read(pack.expect("there").path()).expect("read");
        assert!(stored.starts_with(b"\x89CSTN"));
        assert!(!stored.windows(6).any(|part| part == b"hello\n"));
    }
    let hello = format!("{root}/hello.txt");
    run!("store", "--store", &store, "cat", &hello).exits(2).says("no key at hand opens it");
    assert_eq!(
        run!("store", "--store", &store, "cat", "-i", &key, &hello).exits(0).text(),
        "hello\n"
    );
    let out = place.path("out");
    run!("store", "--store", &store, "extract", "-i", &key, &root, "-C", &out).exits(0);
    run!("car", "verify", "--against", &out, place.path("tree.car")).exits(0);
    run!("store", "--store", &store, "check", "--read-data").exits(0);
    run!("store", "--store", &store, "check", "--read-data", "-i", &key).exits(0);
    run!("store", "--store", &store, "index", "rebuild").exits(0);
    assert_eq!(
        run!("store", "--store", &store, "cat", "-i", &key, &hello).exits(0).text(),
        "hello\n"
    );
    run!("store", "--store", &store, "index", "rebuild", "-i", &key).exits(0);
    let dump = place.path("dump.car");
    run!("store", "--store", &store, "dump", "-i", &key, &root, "-o", &dump).exits(0);
    run!("car", "verify", &dump).exits(0);
}

/// The root that a plain CAR of the tree has.
fn root_of(place: &Place) -> String {
    let car = place.path("tree.car");
    run!("car", "create", "-q", "-o", &car, place.path("tree")).exits(0);
    run!("car", "roots", &car).exits(0).lines().remove(0)
}

/// Files are indexed where they lie: nothing of them is copied.
#[test]
fn files_stay_where_they_lie() {
    let (place, store) = place();
    fs::create_dir_all(place.path("files/below")).expect("made");
    let big = noise(3_000_000, 9);
    fs::write(place.path("files/below/big"), &big).expect("written");
    fs::write(place.path("files/small"), b"hello\n").expect("written");
    let files = place.path("files");
    let told = run!("store", "--store", &store, "index", "place", &files).exits(0).lines();
    let root_of = |name: &str| {
        let line = told.iter().find(|line| line.ends_with(name)).expect("told");
        line.split(' ').next().expect("a root").to_owned()
    };
    let root = root_of("below/big");
    let packs = fs::read_dir(place.path("store/packs")).expect("there");
    let bytes: u64 = packs.map(|pack| pack.expect("there").metadata().expect("there").len()).sum();
    assert!(bytes < 2000, "{bytes} bytes were copied");
    let get = run!("store", "--store", &store, "--files", &files, "cat", &root).exits(0);
    assert!(get.stdout == big);
    let small = run!("store", "--store", &store, "--files", &files, "cat", root_of("small"));
    assert_eq!(small.exits(0).text(), "hello\n");
    run!("store", "--store", &store, "cat", &root).exits(2);
    run!("store", "--store", &store, "check", "--read-data").exits(0);
    fs::write(place.path("files/below/big"), noise(3_000_000, 10)).expect("changed");
    run!("store", "--store", &store, "--files", &files, "cat", &root).exits(2);
}

#[test]
fn cars_of_others_become_packs() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    let root = root_of(&place);
    let car = place.path("tree.car");
    let name = run!("store", "--store", &store, "index", "add", &car).exits(0).lines().remove(0);
    let kept = fs::read(place.path(&format!("store/packs/{name}.car"))).expect("there");
    assert!(kept == fs::read(&car).expect("read"), "byte for byte");
    let hello = format!("{root}/hello.txt");
    assert_eq!(run!("store", "--store", &store, "cat", &hello).exits(0).text(), "hello\n");
    assert!(
        run!("store", "--store", &store, "index", "find", &root).exits(0).text().contains(&name)
    );
    run!("store", "--store", &store, "check", "--read-data").exits(0);
    // What it has is left out of what comes.
    let put =
        run!("store", "--store", &store, "put", "--dedupe=store", "--json", place.path("tree"));
    let told = put.exits(0).json();
    assert_eq!(
        (&told[0]["root"], &told[0]["packs"]),
        (&root.as_str().into(), &serde_json::json!([]))
    );
    // A CAR with a block that is not what it says is refused whole.
    let mut bad = kept;
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    let bad = place.write("bad.car", &bad);
    run!("store", "--store", &store, "index", "add", &bad).exits(2);
    assert_eq!(fs::read_dir(place.path("store/packs")).expect("there").count(), 1);
}

#[test]
fn what_cannot_be_done_is_told() {
    let (place, store) = place();
    let missing = place.path("no-store").to_str().expect("text").to_owned();
    run!("store", "--store", &missing, "ls").exits(2).says("carstone store init");
    let nobody = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    run!("store", "--store", &store, "cat", nobody).exits(2).says(nobody);
    run!("store", "--store", &store, "find", nobody).exits(2).says("is not in the index");
    run!("store", "--store", &store, "get", "x", "-o", place.path("out"))
        .exits(2)
        .says("is no CID");
    assert!(!place.path("out").exists());
    run!("store", "--store", &store, "put", place.path("nothing")).exits(2).says("nothing");
    small_tree(&place.path("tree"));
    let tree =
        run!("store", "--store", &store, "put", place.path("tree")).exits(0).lines().remove(0);
    run!("store", "--store", &store, "cat", &tree).exits(2).says("is a directory");
    run!("store", "--store", &store, "cat", format!("{tree}/nothing"))
        .exits(2)
        .says("no such entry");
    // A pack of nothing but a file that is too large for it.
    let file = place.write("big", &noise(2_000_000, 3));
    run!("store", "--store", &store, "put", "--pack-size", "1M", file)
        .exits(2)
        .says("fits into no pack");
    // Where nothing is kept, what is put is gone.
    let kept = run!("store", "--store", "memory:", "put", place.path("tree")).exits(0).lines();
    assert_eq!(kept, [tree]);
    run!("store", "--store", "memory:", "cat", format!("{}/hello.txt", kept[0])).exits(2);
}

/// Puts files and kills the program at a moment, again and again: what it has printed is there, whole.
fn kills(rounds: u64) {
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::time::Instant;
    let (place, store) = place();
    let files: Vec<_> = (0..4)
        .map(|seed| {
            place.write(&format!("file-{seed}"), &noise(1_500_000 + 400_000 * seed, seed as u64))
        })
        .collect();
    let start = Instant::now();
    let all = files.iter().cycle().take(3).map(|file| file.as_os_str().to_owned());
    let put = ["store", "--store", &store, "put", "-q", "--pack-size", "1100K"].map(Into::into);
    crate::support::run_args(&put.into_iter().chain(all).collect::<Vec<_>>(), None).exits(0);
    let whole = start.elapsed();
    // Not there any more, so that as much is written the next time.
    let empty = || {
        fs::remove_dir_all(place.path("store")).expect("removed");
        run!("store", "--store", &store, "init").exits(0);
    };
    empty();
    let mut acknowledged = std::collections::BTreeMap::new();
    let mut killed = 0;
    for round in 0..rounds {
        let mut put = Command::new(env!("CARGO_BIN_EXE_carstone"))
            .args(["store", "--store", &store, "put", "-q", "--pack-size", "1100K"])
            .args(files.iter().cycle().skip(round as usize % 4).take(3))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        // Moments of all kinds while it works.
        std::thread::sleep(whole * u32::try_from((round * 7919) % 97).expect("small") / 110);
        killed += u64::from(put.try_wait().expect("asked").is_none());
        put.kill().expect("killed");
        let mut told = String::new();
        put.stdout.take().expect("piped").read_to_string(&mut told).expect("read");
        put.wait().expect("ended");
        let whole = told.lines().filter(|line| line.len() == 59);
        for (number, root) in whole.enumerate() {
            acknowledged.insert(root.to_owned(), (round as usize + number) % 4);
        }
        let found = run!("store", "--store", &store, "--json", "check", "--read-data").json();
        let problems = found.iter().filter(|line| line["type"] == "problem");
        for problem in problems {
            // A pack of which nobody was told yet is no fault.
            let message = problem["message"].as_str().expect("a message");
            assert!(message.ends_with("is not in the index"), "{message}");
        }
        if round % 10 == 9 || round + 1 == rounds {
            for (root, number) in &acknowledged {
                let content = run!("store", "--store", &store, "cat", root).exits(0).stdout;
                assert!(content == fs::read(&files[*number]).expect("read"), "{root}");
            }
            if round + 1 < rounds {
                acknowledged.clear();
                empty();
            }
        }
    }
    assert!(killed > rounds / 4, "{killed} of {rounds}");
    run!("store", "--store", &store, "index", "rebuild").exits(0);
    run!("store", "--store", &store, "check", "--read-data").exits(0);
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    kills(12);
}

#[test]
#[ignore = "takes a minute"]
fn what_was_acknowledged_is_there_after_two_hundred_kills() {
    kills(200);
}

#[test]
fn blobs_have_the_hash_that_is_asked_for() {
    let (place, store) = place();
    small_tree(&place.path("tree"));
    let content = noise(3_000_000, 1);
    let file = place.write("big", &content);
    for function in ["sha2-512", "blake3"] {
        let car = place.path(&format!("{function}.car"));
        let tree = place.path("tree");
        let made = run!("car", "create", "-q", "--hash", function, "-o", &car, &tree).exits(0);
        let put = ["store", "--store", &store, "put", "--pack-size", "1100K", "--hash", function];
        let mut put: Vec<std::ffi::OsString> = put.map(Into::into).into();
        put.extend([tree.into(), file.clone().into()]);
        let roots = crate::support::run_args(&put, None).exits(0).lines();
        let [tree, big] = &roots[..] else { panic!("{roots:?}") };
        assert_eq!(made.text().trim(), tree);
        assert_eq!(run!("store", "--store", &store, "cat", big).exits(0).stdout, content);
        let hello = format!("{tree}/hello.txt");
        assert_eq!(run!("store", "--store", &store, "cat", hello).exits(0).text(), "hello\n");
        let dumped = place.path(&format!("{function}-dump.car"));
        run!("store", "--store", &store, "dump", tree, "-o", &dumped).exits(0);
        run!("car", "verify", &dumped).exits(0);
        let told = run!("car", "inspect", "--full", &dumped).exits(0).text();
        assert!(told.contains(function) && !told.contains("sha2-256"), "{told}");
        let out = place.path(&format!("{function}-out"));
        run!("store", "--store", &store, "extract", tree, "-C", &out).exits(0);
        run!("car", "verify", "--against", &out, &car).exits(0);
    }
    run!("store", "--store", &store, "check", "--read-data").exits(0);
    run!("store", "--store", &store, "index", "rebuild").exits(0);
    run!("store", "--store", &store, "check", "--read-data").exits(0);
    run!("store", "--store", &store, "put", "--hash", "md5", &file).exits(2).says("blake3");
    run!("store", "--store", &store, "put", "--hash", "blake3", "--raw", &file).exits(2);
}
