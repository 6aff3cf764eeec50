//! `carstone car import` and `export`: files go from CARs into packs and back.

use std::fs;

use carstone::car::{CarReader, Cid};

use crate::support::{Place, look, small_tree};

fn roots(car: &[u8]) -> Vec<Cid> {
    CarReader::open(car).expect("a CAR").roots().to_vec()
}

fn cids(car: &[u8]) -> Vec<Cid> {
    let reader = CarReader::open(car).expect("a CAR");
    let mut cids: Vec<_> = reader.into_iter().map(|block| block.expect("sound").cid).collect();
    cids.sort_unstable();
    cids
}

/// A place with a tree of small files, a large one and a wide directory.
fn place() -> Place {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let large: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(place.path("tree/large"), large).expect("written");
    fs::create_dir(place.path("tree/wide")).expect("made");
    for i in 0..50 {
        fs::write(place.path(&format!("tree/wide/{i}")), format!("{i}")).expect("written");
    }
    place
}

#[test]
fn a_car_goes_into_a_pack_and_comes_out_again() {
    let place = place();
    let (car, pack, back) = (place.path("x.car"), place.path("x.cstone"), place.path("back.car"));
    for chunker in ["fixed:1M", "fixed:100K", "fastcdc:64K"] {
        let tree = place.path("tree");
        let made = run!("car", "create", "-q", "--force", "--chunker", chunker, "-o", &car, tree);
        let root = roots(&fs::read(&car).expect("read"))[0];
        assert_eq!(made.exits(0).text(), format!("{root}\n"));
        let run = run!("car", "import", "--force", &car, "-o", &pack).exits(0);
        assert_eq!(run.text(), format!("root {root}\n"), "{chunker}");
        run!("verify", &pack).exits(0);
        run!("car", "export", "--force", &pack, "-o", &back).exits(0);
        let (car, back) = (fs::read(&car).expect("read"), fs::read(&back).expect("read"));
        assert_eq!(roots(&back), [root]);
        assert_eq!(cids(&back), cids(&car), "{chunker}");
    }
    let name = fs::read_dir(place.path("tree")).expect("read").count();
    run!("extract", "-C", place.path("out"), &pack).exits(0);
    let wrapped = place.path("out");
    assert_eq!(fs::read_dir(&wrapped).expect("read").count(), name);
    assert_eq!(
        look(&wrapped).keys().collect::<Vec<_>>(),
        look(&place.path("tree")).keys().collect::<Vec<_>>()
    );
}

#[test]
fn a_part_of_an_encrypted_pack_comes_out() {
    let place = place();
    let (key, pack) = (place.key("key.txt"), place.path("x.cstone"));
    let car = place.path("x.car");
    run!("car", "create", "-q", "-o", &car, place.path("tree")).exits(0);
    run!("car", "import", "-q", "-r", &key, "--compress", "none", &car, "-o", &pack).exits(0);
    let wide = place.path("wide.car");
    run!("car", "export", &pack, "wide", "-o", &wide).exits(2).says("no key was given");
    assert!(!wide.exists());
    run!("car", "export", "-i", place.path("key.txt"), &pack, "wide", "-o", &wide).exits(0);
    let listed = run!("car", "ls", &wide).exits(0).lines();
    assert_eq!(listed.len(), 50 + usize::from(listed.iter().any(|line| line == ".")), "{listed:?}");
    run!("car", "complete", &wide).exits(0);
    run!("car", "export", "-i", place.path("key.txt"), &pack, "none", "-o", place.path("n.car"))
        .exits(2)
        .says("there is no none");
    run!("car", "export", &car, "-o", place.path("n.car")).exits(2).says("a plain CAR already");
    run!("car", "import", &pack, "-o", place.path("n.cstone")).exits(2).says("not a plain CAR");
    assert!(!place.path("n.car").exists() && !place.path("n.cstone").exists());
}

#[test]
fn other_forms_keep_their_files_and_tell_their_root() {
    let place = place();
    let (car, pack) = (place.path("x.car"), place.path("x.cstone"));
    run!("car", "create", "-q", "--profile", "unixfs-v0-2015", "-o", &car, place.path("tree"))
        .exits(0);
    let root = roots(&fs::read(&car).expect("read"))[0];
    run!("car", "import", &car, "-o", &pack).exits(0).says(&format!("The CAR has the root {root}"));
    run!("verify", &pack).exits(0);
    run!("extract", "-C", place.path("out"), &pack).exits(0);
    let (left, right) = (fs::read(place.path("out/large")), fs::read(place.path("tree/large")));
    assert!(left.expect("read") == right.expect("read"));
    run!(
        "car",
        "create",
        "-q",
        "--force",
        "--width",
        "3",
        "--chunker",
        "fixed:64K",
        "-o",
        &car,
        place.path("tree")
    )
    .exits(0);
    let root = roots(&fs::read(&car).expect("read"))[0];
    let run = run!("car", "import", "--force", "--width", "3", &car, "-o", &pack).exits(0);
    assert_eq!(run.text(), format!("root {root}\n"));
}

#[test]
fn what_is_damaged_is_left_out_and_told() {
    let place = place();
    let (car, pack) = (place.path("x.car"), place.path("x.cstone"));
    run!("car", "create", "-q", "-o", &car, place.path("tree")).exits(0);
    let mut bytes = fs::read(&car).expect("read");
    let at = bytes
        .windows(8)
        .position(|eight| eight == [0, 0, 0, 0, 1, 0, 0, 0])
        .expect("the large file");
    bytes[at + 100_000] ^= 1;
    fs::write(&car, &bytes).expect("written");
    run!("car", "import", &car, "-o", &pack).exits(1).says("left out").says("large");
    run!("verify", &pack).exits(0);
    let listed = run!("list", &pack).exits(0).lines();
    assert!(listed.iter().all(|path| !path.ends_with("large")), "{listed:?}");
    assert!(listed.iter().any(|path| path.ends_with("wide/49")), "{listed:?}");
}
