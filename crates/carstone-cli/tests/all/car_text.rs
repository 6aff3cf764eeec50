//! `carstone car debug` and `compile`: a CAR as text, and back.

use std::fs;

use carstone::car::{CarReader, CarWriter, Cid, cid_of, codec};

use crate::support::{Place, small_tree};

/// dag-cbor of a map with one link, its key and a number before it.
fn node(key: &str, link: &Cid) -> Vec<u8> {
    let cid = link.to_bytes();
    let mut data = vec![0xa2, 0x61, b'#', 0x07, 0x60 + u8::try_from(key.len()).expect("short")];
    data.extend_from_slice(key.as_bytes());
    data.extend([0xd8, 0x2a, 0x58, u8::try_from(cid.len() + 1).expect("short"), 0]);
    data.extend(cid);
    data
}

fn car(roots: &[Cid], blocks: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut writer = CarWriter::new(Vec::new(), roots).expect("a header");
    for (cid, data) in blocks {
        writer.write_block(cid, data).expect("written");
    }
    writer.finish().expect("finished")
}

fn blocks(bytes: &[u8]) -> Vec<(Cid, Vec<u8>)> {
    let reader = CarReader::open(bytes).expect("a CAR");
    reader
        .into_iter()
        .map(|block| block.map(|block| (block.cid, block.data)).expect("sound"))
        .collect()
}

/// A root, a node below it, and a leaf below that, with the children behind their parents.
fn chain() -> (Cid, Vec<(Cid, Vec<u8>)>) {
    let leaf = cid_of(codec::RAW, b"hello");
    let middle = node("leaf", &leaf);
    let middle_cid = cid_of(codec::DAG_CBOR, &middle);
    let root = node("node", &middle_cid);
    let root_cid = cid_of(codec::DAG_CBOR, &root);
    let blocks = vec![(root_cid, root), (middle_cid, middle), (leaf, b"hello".to_vec())];
    (root_cid, blocks)
}

#[test]
fn text_comes_back_as_the_same_car() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    for version in ["1", "2"] {
        let car = place.path(&format!("{version}.car"));
        run!("car", "create", "-q", "--car-version", version, "-o", &car, place.path("tree"))
            .exits(0);
        let text = place.path(&format!("{version}.txt"));
        run!("car", "debug", &car, "-o", &text).exits(0);
        let again = place.path(&format!("{version}.again.car"));
        run!("car", "compile", &text, "-o", &again).exits(0);
        let (car, again) = (fs::read(&car).expect("read"), fs::read(&again).expect("read"));
        assert!(car == again, "version {version}");
        let text = pipe!(&car, "car", "debug", "-").exits(0).stdout;
        let again = pipe!(&text, "car", "compile", "--car-version", "1", "-").exits(0).stdout;
        assert_eq!(blocks(&again), blocks(&car));
    }
}

#[test]
fn an_edited_block_changes_all_above_it() {
    let (root, made) = chain();
    let text = pipe!(&car(&[root], &made), "car", "debug", "-").exits(0).text();
    assert!(text.contains("\"#\": 7") && text.contains("\"hello\""), "{text}");
    let edited = text.replace("\"hello\"", "\"goodbye\"") + "\ndata raw\n\"new\"\n";
    let run = pipe!(edited.as_bytes(), "car", "compile", "-o", "-", "-").exits(0);
    let leaf = cid_of(codec::RAW, b"goodbye");
    let middle = node("leaf", &leaf);
    let middle_cid = cid_of(codec::DAG_CBOR, &middle);
    let top = node("node", &middle_cid);
    let top_cid = cid_of(codec::DAG_CBOR, &top);
    let new = cid_of(codec::RAW, b"new");
    let right =
        [(top_cid, top), (middle_cid, middle), (leaf, b"goodbye".to_vec()), (new, b"new".to_vec())];
    assert_eq!(blocks(&run.stdout), right);
    assert_eq!(CarReader::open(&run.stdout[..]).expect("a CAR").roots(), [top_cid]);
    run.says(&format!("{root} has become {top_cid}")).says(&format!("new: {new}"));
}

#[test]
fn what_cannot_be_relinked_is_named() {
    let leaf = cid_of(codec::RAW, b"hello");
    // Keys in the wrong order: no value gives these bytes.
    let mut odd = vec![0xa2, 0x61, b'z', 0x07, 0x61, b'a', 0xd8, 0x2a, 0x58, 0x25, 0];
    odd.extend(leaf.to_bytes());
    let root = cid_of(codec::DAG_CBOR, &odd);
    let car = car(&[root], &[(root, odd), (leaf, b"hello".to_vec())]);
    let text = pipe!(&car, "car", "debug", "-").exits(0).text();
    assert!(text.contains(&format!("data {root}")), "{text}");
    let run = pipe!(text.replace("hello", "other").as_bytes(), "car", "compile", "-").exits(1);
    assert_eq!(CarReader::open(&run.stdout[..]).expect("a CAR").roots(), [root]);
    run.says(&format!("links to {leaf} still"));
}

#[test]
fn bad_texts_are_refused_by_line() {
    let (root, made) = chain();
    let mut bytes = car(&[root], &made);
    let text = pipe!(&bytes, "car", "debug", "-").exits(0).text();
    let leaf = made[2].0.to_string();
    for (bad, says) in [
        (text.replace("\"hello\"", "\"hello"), "the JSON behind line"),
        (text.replace("version 1", "version 7"), "line 1"),
        (text.replace("\"hello\"", "7"), "what follows `data`"),
        (format!("{text}\ndata {leaf}\n\"two\"\n"), "stands twice"),
        (text.replace(&leaf, &root.to_string()), "links to itself"),
        (text.replacen("\"#\": 7", &format!("\"#\": {{\"/\": \"{root}\"}}"), 1), "links to itself"),
        (format!("{text}\nblock raw\n\"x\"\n"), "have no values"),
        ("hello\n".to_owned(), "line 1"),
    ] {
        assert_ne!(bad, text, "{says}");
        let run = pipe!(bad.as_bytes(), "car", "compile", "-").exits(2).says(says).one_line();
        assert!(run.stdout.is_empty(), "{says}");
    }
    *bytes.last_mut().expect("bytes") ^= 1;
    let place = Place::new();
    pipe!(&bytes, "car", "debug", "-", "-o", place.path("x.txt"))
        .exits(2)
        .says("does not match its CID");
    assert!(!place.path("x.txt").exists());
}
