//! `carstone car`: CARs block by block.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use carstone::car::{CarSlice, Cid, Index, cid_of, codec, hash_code};

use crate::support::{Place, look, small_tree};

/// A place with `x.car`, a CARv2 of the small tree.
fn place() -> (Place, PathBuf) {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let car = place.path("x.car");
    run!("car", "create", "-q", "-o", &car, place.path("tree")).exits(0);
    (place, car)
}

fn cids(bytes: &[u8]) -> Vec<String> {
    let car = CarSlice::parse(bytes).expect("a CAR");
    car.sections().map(|section| section.expect("sound").cid.to_string()).collect()
}

fn roots(bytes: &[u8]) -> Vec<Cid> {
    CarSlice::parse(bytes).expect("a CAR").roots().to_vec()
}

#[test]
fn blocks_are_listed_in_the_order_of_the_file() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let right = cids(&bytes);
    assert_eq!(run!("car", "list", &car).exits(0).lines(), right);
    assert_eq!(pipe!(&bytes, "car", "list", "-").exits(0).lines(), right);
    assert_eq!(run!("car", "blocks", &car).exits(0).lines(), right);
    let told = run!("car", "list", "--json", &car).exits(0).json();
    assert_eq!(told.len(), right.len());
    for (told, line) in told.iter().zip(run!("car", "list", "--long", &car).exits(0).lines()) {
        let (at, len) = (told["data_offset"].as_u64(), told["data_size"].as_u64());
        let at = usize::try_from(at.expect("a number")).expect("small");
        let data = &bytes[at..at + usize::try_from(len.expect("a number")).expect("small")];
        let cid: Cid = told["cid"].as_str().expect("text").parse().expect("a CID");
        carstone::car::verify(&cid, data).expect("the data of the block");
        assert_eq!(line, format!("{} {} {cid}", told["offset"], told["data_size"]));
    }
    let mut bad = bytes.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    let bad = place.write("bad.car", &bad);
    let run = run!("car", "blocks", &bad).exits(1).says("another hash");
    assert_eq!(run.lines().len(), right.len() - 1);
    run!("car", "inspect", "--full", &bad).exits(1).says("other data than their CIDs say");
    run!("car", "list", &bad).exits(0);
    run!("car", "list", place.path("tree")).exits(2).says("is a directory").one_line();
    run!("car", "list", place.path("tree/hello.txt")).exits(2).one_line();
}

#[test]
fn roots_are_told_found_and_replaced() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let root = roots(&bytes)[0].to_string();
    assert_eq!(run!("car", "roots", &car).exits(0).text(), format!("{root}\n"));
    assert_eq!(run!("car", "root", "--implicit", &car).exits(0).text(), format!("{root}\n"));
    let other = cids(&bytes)[0].clone();
    run!("car", "set-roots", &car, &other).exits(0);
    assert_eq!(run!("car", "roots", &car).exits(0).text(), format!("{other}\n"));
    assert_eq!(run!("car", "roots", "--implicit", &car).exits(0).text(), format!("{root}\n"));
    run!("car", "set-roots", &car, &root).exits(0);
    assert!(fs::read(&car).expect("read") == bytes);
    run!("car", "set-roots", &car, &root, &root).exits(2).says("cannot replace").one_line();
    assert!(fs::read(&car).expect("read") == bytes);
    let v0 = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG";
    let one = place.path("v0.car");
    let rootless = run!("car", "merge", &car, "-o", "-").exits(0).stdout;
    fs::write(&one, rootless).expect("written");
    run!("car", "set-roots", &one, v0).exits(2).says("cannot replace");
    let old = place.path("old.car");
    run!("car", "create", "-q", "-o", &old, "--profile", "unixfs-v0-2015", place.path("tree"))
        .exits(0);
    let root = roots(&fs::read(&old).expect("read"))[0];
    assert_eq!(run!("car", "roots", &old).exits(0).text(), format!("{root}\n"));
    let later = Cid::new_v1(root.codec(), *root.hash());
    assert!(root != later);
    assert_eq!(run!("car", "root", "--cid-v1", &old).exits(0).text(), format!("{later}\n"));
}

#[test]
fn a_selector_says_what_is_copied() {
    let (_place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let selected = |selector: &str| {
        let run = run!("car", "get-dag", &car, "--selector", selector, "--car-version", "1");
        cids(&run.exits(0).stdout)
    };
    // The root alone, all below it, and what one of its links leads to.
    let root = roots(&bytes)[0].to_string();
    assert_eq!(selected(r#"{".":{}}"#), std::slice::from_ref(&root));
    let all = selected(r#"{"R":{"l":{"none":{}},":>":{"a":{">":{"@":{}}}}}}"#);
    let (mut all, mut right) = (all, cids(&bytes));
    all.sort();
    right.sort();
    right.dedup();
    assert_eq!(all, right);
    let links = r#"{"f":{"f>":{"Links":{"a":{">":{"f":{"f>":{"Hash":{".":{}}}}}}}}}}"#;
    let some = selected(links);
    assert!(some.len() > 1 && some.len() < right.len() && some[0] == root, "{some:?}");
    run!("car", "get-dag", &car, "--selector", r#"{"no":1}"#).exits(2);
}

#[test]
fn damage_in_a_leaf_makes_a_dag_incomplete() {
    let (place, car) = place();
    let mut bytes = fs::read(&car).expect("read");
    let at = bytes.windows(6).position(|part| part == b"hello\n").expect("there");
    bytes[at] ^= 1;
    let bad = place.write("bad.car", &bytes);
    let told = run!("car", "complete", &bad).exits(1).text();
    assert_eq!(told, "not complete: 0 blocks missing, 1 damaged\n");
    run!("car", "complete", "--quick", &bad).exits(0);
}

#[test]
fn what_was_accepted_unverified_is_counted() {
    let place = Place::new();
    let unknown = Cid::new_v1(
        codec::RAW,
        carstone::car::multihash::Multihash::wrap(0xd5, &[7; 16]).expect("short"),
    );
    let mut writer = carstone::car::CarWriter::new(Vec::new(), &[unknown]).expect("a header");
    writer.danger_write_unverified(&unknown, b"hello").expect("a block");
    let car = place.write("x.car", &writer.finish().expect("finished"));
    run!("car", "verify", &car).exits(1);
    run!("car", "inspect", "--full", &car).exits(1).says("cannot be verified");
    let told = run!("car", "verify", "--accept", "unknown-hash", &car).exits(0).text();
    assert!(told.contains("1 blocks, 1 of them unverified"), "{told}");
    let told = run!("car", "verify", "--accept", "unknown-hash", "--json", &car).exits(0).json();
    assert_eq!(told[0]["unverified"], 1);
    run!("car", "inspect", "--full", "--accept", "unknown-hash", &car).exits(0);
}

#[test]
fn parts_of_what_cannot_be_split_do_not_stay() {
    let (place, car) = place();
    let mut bytes = fs::read(&car).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let (bad, parts) = (place.write("bad.car", &bytes), place.path("parts"));
    run!("car", "split", &bad, "--size", "1200K", "-C", &parts).exits(2);
    assert_eq!(fs::read_dir(&parts).expect("made").count(), 0);
    run!("car", "split", &car, "--size", "1200K", "-C", &parts).exits(0);
}

#[test]
fn names_of_options_are_those_of_other_tools_too() {
    let (place, car) = place();
    let (wrapped, alone) = (place.path("w.car"), place.path("a.car"));
    let tree = place.path("tree");
    run!("car", "create", "-q", "--version", "1", "-f", &wrapped, &tree).exits(0);
    run!("car", "create", "-q", "--version", "1", "--file", &alone, "--no-wrap", &tree).exits(0);
    // One directory is the root in any case.
    assert!(fs::read(&wrapped).expect("read") == fs::read(&alone).expect("read"));
    let long = run!("car", "list", "--long", &car).exits(0).text();
    assert_eq!(run!("car", "list", "-v", &car).exits(0).text(), long);
    let chunked = |name: &str| {
        let out = place.path("c.car");
        run!("car", "create", "-q", "--force", "--chunker", name, "-o", &out, &tree).exits(0);
        roots(&fs::read(out).expect("read"))
    };
    assert_eq!(chunked("size-1000"), chunked("fixed:1000"));
    let v1 = place.path("v1.car");
    run!("car", "index", &car, "--car-version", "1", "-o", &v1).exits(0);
    assert_eq!(cids(&fs::read(v1).expect("read")), cids(&fs::read(&car).expect("read")));
}

#[test]
fn single_blocks_come_out_and_go_in() {
    let (place, car) = place();
    let cid = cid_of(codec::RAW, b"hello\n");
    let run = run!("car", "get-block", &car, cid.to_string()).exits(0);
    assert_eq!(run.stdout, b"hello\n");
    let absent = cid_of(codec::RAW, b"absent").to_string();
    run!("car", "get-block", &car, &absent).exits(2).says("has no block").one_line();
    for version in ["1", "2"] {
        let new = place.path(&format!("new{version}.car"));
        let put =
            pipe!(b"absent", "car", "put-block", &new, "--car-version", version, "--set-root");
        assert_eq!(put.exits(0).text(), format!("{absent}\n"));
        let again = pipe!(b"second", "car", "put-block", &new, "--codec", "dag-cbor").exits(0);
        let second = cid_of(codec::DAG_CBOR, b"second").to_string();
        assert_eq!(again.text(), format!("{second}\n"));
        let bytes = fs::read(&new).expect("read");
        assert_eq!(cids(&bytes), [absent.clone(), second.clone()]);
        assert_eq!(roots(&bytes), [absent.parse().expect("a CID")]);
        assert_eq!(run!("car", "get-block", &new, &second).exits(0).stdout, b"second");
        // Blocks that are there are not put again.
        pipe!(b"absent", "car", "put-block", &new).exits(0);
        assert_eq!(cids(&fs::read(&new).expect("read")).len(), 2);
        let wrong = pipe!(b"other", "car", "put-block", &new, "--cid", &absent).exits(2);
        wrong.says("these bytes have").one_line();
        pipe!(b"other", "car", "put-block", &new, "--set-root").exits(2).says("set-roots");
        assert!(fs::read(&new).expect("read") == bytes);
    }
}

#[test]
fn filter_keeps_what_is_listed_or_all_else() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let all = cids(&bytes);
    let list = place.write("cids.txt", format!("{}\n\n{}\n", all[1], all[0]).as_bytes());
    let some = place.path("some.car");
    run!("car", "filter", &car, "--cid-file", &list, "-o", &some).exits(0).says("names none");
    assert_eq!(cids(&fs::read(&some).expect("read")), all[..2]);
    let rest = pipe!(&bytes, "car", "filter", "-", "--cid-file", &list, "--inverse").exits(0);
    assert_eq!(cids(&rest.stdout), all[2..]);
    assert_eq!(roots(&rest.stdout), roots(&bytes));
    assert_eq!(CarSlice::parse(&rest.stdout).expect("a CAR").version(), 2);
    let v1 = run!("car", "filter", &car, "--cid-file", &list, "--car-version", "1").exits(0);
    assert_eq!(CarSlice::parse(&v1.stdout).expect("a CAR").version(), 1);
    let bad = place.write("bad.txt", b"no cid\n");
    run!("car", "filter", &car, "--cid-file", bad).exits(2).says("line 1").one_line();
    run!("car", "filter", &car, "--cid-file", &list, "-o", &some).exits(2).says("--force");
    run!("car", "filter", "-", "-o", &some).exits(2).says("cannot both");

    // What is missing is added to what is there.
    let whole = place.path("rest.car");
    run!("car", "filter", &car, "--cid-file", &list, "--inverse", "-o", &whole).exits(0);
    run!("car", "filter", &car, "--cid-file", &list, "--append", "-o", &whole).exits(0);
    let added = fs::read(&whole).expect("read");
    assert_eq!(cids(&added), [&all[2..], &all[..2]].concat());
    assert_eq!(roots(&added), roots(&bytes));
    run!("car", "filter", &car, "--cid-file", &list, "--append", "-o", &whole).exits(0);
    assert!(fs::read(&whole).expect("read") == added);
    run!("verify", &whole).exits(0);
    run!("car", "filter", &car, "--cid-file", &list, "--append").exits(2).says("-o FILE");
}

#[test]
fn cars_are_put_behind_each_other_or_together() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let other = place.path("other.car");
    pipe!(b"absent", "car", "put-block", &other, "--set-root").exits(0);
    let both = run!("car", "concat", &car, &other, &car).exits(0).stdout;
    let mut right = cids(&bytes);
    right.push(cid_of(codec::RAW, b"absent").to_string());
    right.extend(cids(&bytes));
    assert_eq!(cids(&both), right);
    assert_eq!(roots(&both), roots(&bytes));
    let merged = place.path("merged.car");
    run!("car", "merge", &car, &other, &car, "-o", &merged).exits(0);
    let merged_bytes = fs::read(&merged).expect("read");
    assert_eq!(cids(&merged_bytes), right[..cids(&bytes).len() + 1]);
    assert_eq!(roots(&merged_bytes).len(), 2);
    assert_eq!(CarSlice::parse(&merged_bytes).expect("a CAR").version(), 2);
}

#[test]
fn dags_are_copied_checked_and_split() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let told = run!("car", "complete", &car).exits(0).text();
    assert!(told.starts_with("complete: "), "{told}");
    let dag = run!("car", "get-dag", &car, "--car-version", "1").exits(0).stdout;
    let (mut got, mut right) = (cids(&dag), cids(&bytes));
    assert_eq!(got[0], roots(&bytes)[0].to_string());
    got.sort();
    right.sort();
    assert_eq!(got, right);

    let leaf = cid_of(codec::RAW, b"hello\n").to_string();
    let list = place.write("cids.txt", leaf.as_bytes());
    let part = place.path("part.car");
    run!("car", "filter", &car, "--cid-file", &list, "--inverse", "-o", &part).exits(0);
    let run = run!("car", "complete", &part).exits(1).says("is missing");
    assert!(run.text().starts_with("not complete: 1 "), "{}", run.text());
    let told = run!("car", "complete", "--json", &part).exits(1).json();
    assert_eq!(told[0]["cid"], leaf.as_str());
    run!("car", "get-dag", &part, "-o", place.path("dag.car")).exits(1).says("left out");
    run!("car", "get-dag", &part, "--strict", "-o", place.path("strict.car")).exits(2);
    assert!(!place.path("strict.car").exists());

    let parts = place.path("parts");
    fs::create_dir(&parts).expect("made");
    let made = run!("car", "split", &car, "--size", "1200K", "-C", &parts).exits(0).lines();
    assert!(made.len() > 2, "{made:?}");
    for part in &made {
        assert!(fs::metadata(part).expect("there").len() <= 1200 << 10);
        assert_eq!(roots(&fs::read(part).expect("read")), roots(&bytes));
    }
    let mut args: Vec<std::ffi::OsString> = vec!["car".into(), "merge".into(), "-o".into()];
    args.push(place.path("joined.car").into());
    args.extend(made.iter().map(Into::into));
    crate::support::run_args(&args, None).exits(0);
    run!("car", "complete", place.path("joined.car")).exits(0);
    run!("car", "extract", "-C", place.path("out"), place.path("joined.car")).exits(0);
    assert_eq!(look(&place.path("out")).len(), run!("car", "ls", &car).exits(0).lines().len());
}

#[test]
fn indexes_go_in_and_out_and_versions_there_and_back() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let (v1, v2, index) = (place.path("v1.car"), place.path("v2.car"), place.path("x.idx"));
    run!("car", "unwrap", &car, "-o", &v1).exits(0);
    assert!(bytes[51..].starts_with(&fs::read(&v1).expect("read")));
    run!("car", "wrap", &v1, "-o", &v2).exits(0);
    assert!(fs::read(&v2).expect("read") == bytes);
    assert!(pipe!(&fs::read(&v1).expect("read"), "car", "wrap", "-").exits(0).stdout == bytes);
    assert!(run!("car", "index", &v1, "-o", "-").exits(0).stdout == bytes);
    run!("car", "wrap", &v2, "-o", place.path("no.car")).exits(2);
    assert!(!place.path("no.car").exists());

    run!("car", "index", "create", &v1, "-o", &index).exits(0);
    let alone = fs::read(&index).expect("read");
    assert!(run!("car", "detach-index", &car).exits(0).stdout == alone);
    run!("car", "detach-index", &v1, "-o", place.path("no.idx")).exits(2).says("CARv");
    let found = Index::open(&alone[..]).expect("an index").entries().count();
    assert_eq!(run!("car", "detach-index", "list", &car).exits(0).lines().len(), found);
    assert_eq!(run!("car", "detach-index", "list", &index).exits(0).lines().len(), found);
    run!("car", "index", &v1, "--codec", "none", "-o", &v2, "--force").exits(0);
    run!("car", "attach-index", &v2, &index).exits(0);
    assert!(fs::read(&v2).expect("read") == bytes);
    run!("car", "index", &v1, "--codec", "car-index-sorted", "-o", &v2, "--force").exits(0);
    assert!(fs::read(&v2).expect("read") != bytes);
    run!("car", "attach-index", &v2).exits(0);
    assert!(fs::read(&v2).expect("read") == bytes);
    // An index of another CAR is refused.
    let other = place.path("other.car");
    pipe!(b"absent", "car", "put-block", &other, "--set-root").exits(0);
    run!("car", "attach-index", &other, &index).exits(2);
}

#[test]
fn inspect_counts_and_hash_names_the_whole() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let told = run!("car", "inspect", &car).exits(0).text();
    let count = format!("Block count: {}", cids(&bytes).len());
    for line in ["Version: 2", "Data offset: 51", "Root blocks present in data: Yes", &count] {
        assert!(told.lines().any(|told| told == line), "{line} is not in {told}");
    }
    let told = run!("car", "inspect", "--full", "--json", &car).exits(0).json();
    assert_eq!(told[0]["verified"], cids(&bytes).len());
    let cid = run!("car", "hash", &car).exits(0).text();
    let cid: Cid = cid.trim().parse().expect("a CID");
    assert_eq!((cid.codec(), cid.hash().code()), (0x0202, 0x12));
    assert_eq!(cid.hash(), cid_of(codec::RAW, &bytes).hash());
    run!("car", "hash", place.path("tree/hello.txt")).exits(2);
}

#[test]
fn what_the_format_does_not_have_is_accepted_by_name() {
    let (place, car) = place();
    run!("car", "unwrap", &car, "-o", place.path("v1.car")).exits(0);
    let mut padded = fs::read(place.path("v1.car")).expect("read");
    let blocks = cids(&padded);
    padded.extend([0; 100]);
    let padded = place.write("padded.car", &padded);
    run!("car", "list", &padded).exits(2).one_line();
    let accept = |what: &str| run!("car", "list", "--accept", what, &padded);
    assert_eq!(accept("zero-section").exits(0).lines(), blocks);
    assert_eq!(accept("trailing-bytes").exits(0).lines(), blocks);
    accept("padded-varints").exits(2);
    // What reads files accepts the same.
    run!("car", "verify", &padded).exits(1);
    run!("car", "verify", "--accept", "zero-section", &padded).exits(0);
    run!("car", "verify", "--accept", "padded-varints", &padded).exits(1);
    let listed = run!("car", "ls", &car).exits(0).text();
    run!("car", "ls", &padded).exits(1);
    let accepted =
        pipe!(&fs::read(&padded).expect("read"), "car", "ls", "--accept", "trailing-bytes", "-");
    assert_eq!(accepted.exits(0).text(), listed);
    let to = place.path("accepted");
    run!("car", "extract", "--accept", "zero-section", "-C", &to, &padded).exits(0);
    assert_eq!(look(&to).len(), listed.lines().count());
    run!("car", "verify", "--accept", "zero-section", "--against", &to, &padded).exits(0);
    run!("car", "cat", "--accept", "zero-section", &padded, "hello.txt").exits(0);
    let pack = place.path("accepted.cstone");
    run!("car", "import", "--accept", "zero-section", &padded, "-o", &pack).exits(0);
    run!("car", "create", "--accept", "zero-section", &to, "-o", place.path("never.car"))
        .exits(2)
        .says("--accept is for commands that read a CAR");
    // So is an index without its codec.
    let old = place.path("old.car");
    run!("car", "index", "--codec", "car-index-sorted", &car, "-o", &old).exits(0);
    let mut bytes = fs::read(&old).expect("read");
    let header = carstone::car::V2Header::decode(bytes[11..51].try_into().expect("40"), None);
    let index = header.expect("a CARv2").index_offset.expect("an index");
    let index = usize::try_from(index).expect("small");
    assert_eq!(bytes[index..index + 2], [0x80, 0x08]);
    bytes.drain(index..index + 2);
    fs::write(&old, &bytes).expect("written");
    run!("car", "verify", &old).exits(1);
    run!("car", "verify", "--accept", "legacy-index", &old).exits(0);
}

#[test]
fn the_blocks_of_each_file_are_listed() {
    let (place, car) = place();
    let told = run!("car", "ls", "--blocks", &car).exits(0).lines();
    let cids: HashSet<_> = told.iter().map(|line| line.split(' ').next().expect("a CID")).collect();
    let all = run!("car", "list", &car).exits(0).lines();
    assert_eq!(cids, all.iter().map(String::as_str).collect());
    let paths = |lines: &[String]| {
        let mut paths: Vec<_> = lines
            .iter()
            .map(|line| line.splitn(3, ' ').nth(2).expect("a path").to_owned())
            .collect();
        paths.dedup();
        paths
    };
    assert_eq!(paths(&told), run!("car", "ls", &car).exits(0).lines());
    // Of a large file its nodes come before its leaves, whose lengths make up its own.
    let large = run!("car", "ls", "--json", &car).exits(0).json();
    let large = large.iter().max_by_key(|entry| entry["size"].as_u64()).expect("entries");
    let (path, size) = (large["path"].as_str().expect("a path"), large["size"].as_u64());
    let blocks = run!("car", "ls", "--json", "--unixfs-blocks", &car, path).exits(0).json();
    assert_eq!(blocks[0]["cid"], large["cid"]);
    let is_leaf = |block: &&serde_json::Value| {
        block["cid"].as_str().is_some_and(|cid| cid.starts_with("bafk"))
    };
    let leaves = blocks.iter().filter(is_leaf).filter_map(|block| block["data_size"].as_u64());
    assert_eq!(Some(leaves.sum()), size);
    // Shards of a large directory are its own.
    let wide = place.path("wide");
    fs::create_dir(&wide).expect("made");
    for name in 0..300 {
        fs::write(wide.join(format!("file {name}")), name.to_string()).expect("written");
    }
    let sharded = place.path("sharded.car");
    run!("car", "create", "--hamt-threshold", "100", &wide, "-o", &sharded).exits(0);
    let told = run!("car", "ls", "--blocks", &sharded).exits(0).lines();
    let shards = told.iter().filter(|line| line.ends_with(" .")).count();
    assert!(shards > 1, "{told:?}");
    assert_eq!(told.len(), shards + 300);
    // What is missing is told.
    let leaf =
        blocks.iter().rfind(is_leaf).expect("leaves")["cid"].as_str().expect("a CID").to_owned();
    let part = place.path("part.car");
    let without = place.write("without.txt", leaf.as_bytes());
    run!("car", "filter", "--inverse", "--cid-file", without, &car, "-o", &part).exits(0);
    run!("car", "ls", "--blocks", &part, path).exits(1).says(&leaf);
    let pack = place.path("p.cstone");
    run!("create", &wide, "-o", &pack).exits(0);
    run!("car", "ls", "--blocks", &pack).exits(2).says("this is a pack");
}

#[test]
fn the_shape_of_files_can_be_chosen() {
    use carstone::unixfs::{CidVersion, Layout, Leaves, Profile, write_file};
    let place = Place::new();
    let base = Profile::unixfs_v1_2025;
    let shapes: [(&[&str], Profile); 7] = [
        (&["--hash", "sha2-512"], base().with_hash(hash_code::SHA2_512).expect("known")),
        (&["--hash", "blake3", "--raw-leaves", "false"], {
            base().with_leaves(Leaves::DagPb).with_hash(hash_code::BLAKE3).expect("known")
        }),
        (&["--layout", "trickle"], base().with_layout(Layout::Trickle)),
        (&["--raw-leaves", "false"], base().with_leaves(Leaves::DagPb)),
        (
            &["--cid-version", "0", "--raw-leaves", "false", "--layout", "trickle"],
            base()
                .with_leaves(Leaves::DagPb)
                .with_cid_version(CidVersion::V0)
                .with_layout(Layout::Trickle),
        ),
        (&["--inline-limit", "20"], base().with_inline_limit(20).expect("in range")),
        (&["--width", "2", "--chunker", "fixed:1K"], {
            let profile = base().with_chunk_size(1024).expect("in range");
            profile.with_width(2).expect("in range")
        }),
    ];
    for (number, len) in [0, 5, 1024, 5000, 2_500_000].into_iter().enumerate() {
        let content = crate::support::noise(len, 3);
        let file = place.write(&format!("f{number}"), &content);
        for (index, (args, profile)) in shapes.iter().enumerate() {
            let car = place.path(&format!("{number}-{index}.car"));
            let mut all: Vec<std::ffi::OsString> = vec!["car".into(), "create".into()];
            all.extend(args.iter().map(Into::into));
            all.extend(["-q".into(), "--no-wrap".into(), "-o".into(), car.clone().into()]);
            all.push(file.clone().into());
            crate::support::run_args(&all, None).exits(0);
            let told = roots(&fs::read(&car).expect("read"))[0];
            let root =
                write_file(profile, &content[..], &mut |_, _| Ok(())).expect("in memory").cid;
            match root.hash().code() {
                // A root stands in the header, where it cannot hold its block.
                0 => assert_eq!(told.hash(), cid_of(codec::RAW, root.hash().digest()).hash()),
                _ => assert_eq!(told, root, "{args:?} of {len} bytes"),
            }
            run!("car", "complete", &car).exits(0);
            run!("verify", &car).exits(0);
            let wrapped = place.path("wrapped.car");
            all.retain(|arg| arg != "--no-wrap");
            *all.iter_mut().rev().nth(1).expect("the output") = wrapped.clone().into();
            all.push("--force".into());
            crate::support::run_args(&all, None).exits(0);
            let name = run!("car", "ls", &wrapped).exits(0).lines().pop().expect("a file");
            let read = run!("cat", &wrapped, name).exits(0).stdout;
            assert!(read == content, "{args:?} of {len} bytes");
        }
    }
    let two = run!(
        "car",
        "create",
        "--no-wrap",
        "-o",
        place.path("no.car"),
        place.path("f0"),
        place.path("f1")
    );
    two.exits(2).says("one file alone");
    assert!(!place.path("no.car").exists());
    let pack = place.path("x.cstone");
    run!("create", "--layout", "trickle", "-o", &pack, place.path("f0"))
        .exits(2)
        .says("plain CARs");
    run!("create", "--no-wrap", "-o", &pack, place.path("f0")).exits(2).says("plain CARs");
    run!("create", "--hash", "blake3", "-o", &pack, place.path("f0")).exits(2).says("plain CARs");
    assert!(!pack.exists());
    // CIDs of version 0 have one function. Where the profile has them, others have version 1.
    let car = place.path("y.car");
    let v0 = ["--hash", "blake3", "--cid-version", "0"];
    run!("car", "create", v0[0], v0[1], v0[2], v0[3], "-o", &car, place.path("f0"))
        .exits(2)
        .says("sha2-256 alone");
    let old = ["--hash", "blake3", "--profile", "unixfs-v0-2015"];
    let made = run!("car", "create", old[0], old[1], old[2], old[3], "-o", &car, place.path("f0"));
    let root = Cid::try_from(made.exits(0).text().trim()).expect("a CID");
    assert_eq!((root.hash().code(), root.codec()), (hash_code::BLAKE3, codec::DAG_PB));
    run!("car", "verify", &car).exits(0);
}

#[test]
fn a_directory_is_sharded_where_it_is_asked_for() {
    let place = Place::new();
    for number in 0..40 {
        place.write(&format!("tree/file-{number:02}"), &[number]);
    }
    let root = |args: &[&str]| {
        let mut all: Vec<std::ffi::OsString> = vec!["car".into(), "create".into()];
        all.extend(args.iter().map(Into::into));
        all.extend(["-o".into(), "-".into(), place.path("tree").into()]);
        let car = crate::support::run_args(&all, None).exits(0).stdout;
        let listed = pipe!(&car, "car", "ls", "-").exits(0).lines();
        assert_eq!(listed.len(), 41, "{args:?}");
        roots(&car)[0]
    };
    let plain = root(&[]);
    assert_eq!(root(&["--hamt-threshold", "40"]), plain);
    let sharded = root(&["--hamt-threshold", "39"]);
    assert_ne!(sharded, plain);
    assert_eq!(root(&["--hamt-threshold", "1K"]), sharded);
    assert_ne!(root(&["--hamt-threshold", "39", "--hamt-fanout", "16"]), sharded);
    run!("car", "create", "-o", "-", "--hamt-fanout", "7", place.path("tree")).exits(2);
}

#[test]
fn files_below_any_block_are_listed_and_restored() {
    let (place, car) = place();
    let long = run!("car", "ls", "--json", &car).exits(0).json();
    assert!(!long.is_empty());
    let all = run!("car", "ls", &car).exits(0).lines();
    let top = roots(&fs::read(&car).expect("read"))[0];
    // A directory, and a leaf.
    let mut below = Vec::new();
    for cid in cids(&fs::read(&car).expect("read")) {
        if cid == top.to_string() {
            continue;
        }
        let found = run!("car", "ls", "--root", &cid, &car).exits(0).lines();
        let out = place.path(&format!("out-{cid}"));
        run!("car", "extract", "--root", &cid, "-C", &out, &car).exits(0);
        assert!(out.exists(), "{cid}");
        below.extend(found);
    }
    let is_there = |name: &str| below.iter().any(|path| path.ends_with(name));
    assert!(all.iter().any(|path| is_there(path.rsplit('/').next().expect("a name"))));
    let missing = cid_of(codec::RAW, b"not there").to_string();
    run!("car", "ls", "--root", &missing, &car).exits(1).says(&missing);
    let none = place.path("none");
    run!("extract", "--root", &missing, "-C", &none, &car).exits(1).says("missing");
    let pack = place.path("x.cstone");
    run!("create", "-q", "-o", &pack, place.path("tree")).exits(0);
    run!("list", "--root", &missing, &pack).exits(2).says("is for plain CARs").one_line();
}

#[test]
fn a_part_of_a_dag_is_what_it_takes_to_read_it() {
    let place = Place::new();
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::create_dir_all(place.path("tree/deep")).expect("made");
    fs::write(place.path("tree/deep/numbers"), &content).expect("written");
    fs::write(place.path("tree/other"), "other").expect("written");
    let car = place.path("x.car");
    run!("car", "create", "-q", "--chunker", "fixed:64K", "-o", &car, place.path("tree")).exits(0);
    let cut = |arguments: &[&str]| {
        let out = place.path("part.car");
        let fixed = ["car", "get-dag", "--force"].map(Into::into);
        let mut all: Vec<std::ffi::OsString> = fixed.to_vec();
        all.extend(arguments.iter().map(Into::into));
        all.extend([car.clone().into(), "-o".into(), out.clone().into()]);
        crate::support::run_args(&all, None).exits(0);
        fs::read(out).expect("read")
    };
    let block = cids(&cut(&["--path", "deep/numbers", "--scope", "block"]));
    assert_eq!(block.len(), 3, "two directories, and the root of the file");
    let whole = cids(&cut(&["--path", "deep/numbers"]));
    assert_eq!(whole[..3], block);
    assert_eq!(whole.len(), 3 + content.len().div_ceil(64 << 10));
    let part = cids(&cut(&["--path", "deep/numbers", "--scope", "entity", "--bytes", "-10:-1"]));
    assert_eq!(part, [&block[..], &whole[whole.len() - 1..]].concat());
    let listed = cids(&cut(&["--scope", "entity"]));
    assert_eq!(listed, block[..1]);
    run!("car", "get-dag", &car, "--path", "none", "-o", place.path("n.car"))
        .exits(2)
        .says("names nothing");
    run!("car", "get-dag", &car, "--path", "other", "--bytes", "5:*", "-o", place.path("n.car"))
        .exits(2)
        .says("none of it");
    assert!(!place.path("n.car").exists());
    run!("car", "get-dag", &car, "--bytes", "1", "-o", place.path("n.car"))
        .exits(2)
        .says("FROM:TO");
}

/// Only a header that says so promises an index of every section.
#[test]
fn blocks_that_the_index_lacks_are_found() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let slice = CarSlice::parse(&bytes).expect("a CAR");
    let at = slice.v2_header().expect("version 2").index_offset.expect("an index");
    let mut builder = carstone::car::IndexBuilder::new(carstone::car::IndexCodec::MultihashSorted);
    let sections: Vec<_> = slice.sections().map(|section| section.expect("sound")).collect();
    for section in &sections[1..] {
        builder.add(&section.cid, section.offset).expect("added");
    }
    let mut short = bytes[..usize::try_from(at).expect("small")].to_vec();
    builder.finish().expect("sorted").write(&mut short).expect("memory");
    let short = place.write("short.car", &short);
    let lacking = sections[0].cid.to_string();
    assert_eq!(
        run!("car", "get-block", &short, &lacking).exits(0).stdout,
        run!("car", "get-block", &car, &lacking).exits(0).stdout
    );
    run!("car", "complete", &short).exits(0);
    let copied = run!("car", "get-dag", "--car-version", "1", &short).exits(0).stdout;
    assert_eq!(cids(&copied).len(), sections.len());
    let told = run!("car", "inspect", &short).exits(0).text();
    assert!(told.contains("Index type: car-multihash-index-sorted"), "{told}");
}

#[test]
fn blocks_that_no_root_leads_to_are_told_where_they_are_left_out() {
    let (place, car) = place();
    run!("car", "split", "--size", "1G", "-C", place.path("."), &car).exits(0);
    let one = place.path("one.car");
    fs::copy(&car, &one).expect("copied");
    pipe!(b"stray", "car", "put-block", &one).exits(0);
    let to = place.path("parts");
    fs::create_dir(&to).expect("made");
    run!("car", "split", "--size", "1G", "-C", &to, &one)
        .exits(1)
        .says("no root leads to 1 blocks");
    run!("car", "split", "--simple", "--force", "--size", "1G", "-C", &to, &one).exits(0);
}

#[test]
fn what_is_told_of_hashes_and_tolerances_is_what_was_asked_for() {
    let (_place, car) = place();
    let told = run!("car", "hash", "-m", &car).exits(0).text();
    let json = run!("car", "hash", "-m", "--json", &car).exits(0).json();
    assert_eq!(json[0]["multihash"].as_str(), Some(told.trim()));
    let listed = run!("car", "ls", "--json", &car).exits(0).json();
    assert!(listed.iter().all(|entry| entry["cid"].as_str().is_some()), "{listed:?}");
    assert_eq!(run!("car", "cat", &car, "hello.txt").exits(0).text(), "hello\n");
    // A CAR of one block under SHA-1.
    let digest =
        b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
    let hash = carstone::car::multihash::Multihash::wrap(carstone::car::hash_code::SHA1, digest);
    let cid = Cid::new_v1(codec::RAW, hash.expect("short"));
    let mut writer = carstone::car::CarWriter::new(Vec::new(), &[cid]).expect("a header");
    writer.danger_write_unverified(&cid, b"abc").expect("written");
    let sha1 = writer.finish().expect("finished");
    pipe!(&sha1, "car", "blocks", "-").exits(1).says("cannot be verified here");
    let accepted = pipe!(&sha1, "car", "blocks", "--accept", "sha1", "-").exits(0);
    assert_eq!(accepted.text(), format!("{cid}\n"));
    let full = pipe!(&sha1, "car", "inspect", "--full", "--accept", "sha1", "-").exits(0).text();
    assert!(full.contains("Blocks verified: 1"), "{full}");
}

/// Leaves that are content and nothing else have CIDs of version 1, whatever nodes have.
#[test]
fn one_leaf_is_the_root_also_where_nodes_have_cids_of_version_0() {
    let place = Place::new();
    let shape = ["--no-wrap", "--raw-leaves", "true", "--cid-version", "0"];
    for (len, is_leaf) in [(0, true), (5000, true), (3_000_000, false)] {
        let file = place.write("file", &vec![7; len]);
        for version in ["1", "2"] {
            let car = place.path("x.car");
            let mut arguments: Vec<std::ffi::OsString> =
                ["car", "create", "--force", "--car-version", version].map(Into::into).into();
            arguments.extend(shape.iter().map(Into::into));
            arguments.extend(["-o".into(), car.clone().into(), file.clone().into()]);
            crate::support::run_args(&arguments, None).exits(0);
            let root = roots(&fs::read(&car).expect("read"))[0];
            assert_eq!(root.codec() == codec::RAW, is_leaf, "{len}");
            if is_leaf {
                assert_eq!(root, cid_of(codec::RAW, &vec![7; len]));
            }
            run!("car", "verify", &car).exits(0);
        }
    }
}

/// An exit status says so where blocks are put into the same file at the same time, and none is lost.
#[test]
fn blocks_are_put_side_by_side_into_one_file() {
    let place = Place::new();
    let car = place.path("x.car");
    let one = |number: usize| {
        pipe!(format!("block {number}").as_bytes(), "car", "put-block", "--car-version", "1", &car)
            .exits(0)
            .text()
    };
    let mut put: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..8).map(|number| scope.spawn(move || one(number))).collect();
        running.into_iter().map(|run| run.join().expect("it ran").trim().to_owned()).collect()
    });
    let mut found = run!("car", "blocks", &car).exits(0).lines();
    put.sort();
    found.sort();
    assert_eq!(found, put);
}

/// What an interrupted writer left is taken up by the next one.
#[test]
fn blocks_are_put_into_an_unfinished_file() {
    let (place, car) = place();
    let bytes = fs::read(&car).expect("read");
    let payload = CarSlice::parse(&bytes).expect("a CAR");
    let header = payload.v2_header().expect("a CARv2");
    let end = usize::try_from(header.data_end()).expect("small");
    let mut unfinished = bytes[..end].to_vec();
    unfinished[11..51].fill(0);
    let before = cids(&bytes).len();
    let start = usize::try_from(header.data_offset).expect("small");
    // As they are while they are written: the payload right behind the header.
    let unfinished = place.write("u.car", &[&unfinished[..51], &unfinished[start..]].concat());
    run!("car", "verify", &unfinished).exits(1);
    let put = pipe!(b"one more", "car", "put-block", &unfinished).exits(0).text();
    let listed = run!("car", "list", &unfinished).exits(0).lines();
    assert_eq!(listed.len(), before + 1);
    assert_eq!(listed.last().map(String::as_str), Some(put.trim()));
    run!("car", "verify", &unfinished).exits(0);
}

/// A DAG of few blocks may have more paths, and a file more bytes, than anybody has time for.
#[test]
fn what_repeats_itself_ends() {
    use carstone::car::CarWriter;
    let place = Place::new();
    // dag-pb: two links to the same node, then data: a directory, or a file of twice the size.
    let node = |child: &Cid, size: Option<u64>| {
        let mut links = Vec::new();
        for name in ["a", "b"] {
            let mut link = vec![0x0a, 36];
            link.extend(child.to_bytes());
            match size {
                None => link.extend([0x12, 1, name.as_bytes()[0]]),
                Some(_) => link.extend([0x12, 0]),
            }
            links.extend([0x12, u8::try_from(link.len()).expect("short")]);
            links.extend(link);
        }
        let mut data = vec![0x08, 1];
        if let Some(size) = size {
            data = vec![0x08, 2, 0x18];
            let varint = |mut value: u64, data: &mut Vec<u8>| {
                while value >= 0x80 {
                    data.push(value as u8 | 0x80);
                    value >>= 7;
                }
                data.push(value as u8);
            };
            varint(2 * size, &mut data);
            for _ in 0..2 {
                data.push(0x20);
                varint(size, &mut data);
            }
        }
        links.extend([0x0a, u8::try_from(data.len()).expect("short")]);
        links.extend(data);
        links
    };
    for is_file in [false, true] {
        let leaf = if is_file { b"x".to_vec() } else { vec![0x0a, 2, 8, 1] };
        let mut child = cid_of(if is_file { codec::RAW } else { codec::DAG_PB }, &leaf);
        let mut blocks = vec![(child, leaf)];
        for level in 0..60 {
            let data = node(&child, is_file.then_some(1 << level));
            child = cid_of(codec::DAG_PB, &data);
            blocks.push((child, data));
        }
        let mut writer = CarWriter::new(Vec::new(), &[child]).expect("a header");
        for (cid, data) in &blocks {
            writer.write_block(cid, data).expect("written");
        }
        let car = place.write("x.car", &writer.finish().expect("finished"));
        let verified = run!("car", "verify", &car);
        match is_file {
            true => drop(verified.exits(0)),
            false => drop(verified.exits(2).says("the limit on nodes is reached")),
        }
        let to = place.path("entity.car");
        run!("car", "get-dag", "--force", "--scope", "entity", &car, "-o", &to).exits(0);
        run!("car", "complete", &car).exits(0);
    }
}

/// What ends a CAR before its end is told by whatever reads all of it, and what nobody can verify is taken where that is asked for.
#[test]
fn faults_behind_what_is_wanted_are_told() {
    let (place, car) = place();
    run!("car", "unwrap", &car, "-o", place.path("v1.car")).exits(0);
    let mut bytes = fs::read(place.path("v1.car")).expect("read");
    bytes.extend([0; 40]);
    let padded = place.write("padded.car", &bytes);
    run!("car", "complete", &padded).exits(1).says("section of length zero");
    run!("car", "complete", "--accept", "zero-section", &padded).exits(0);
    run!("car", "get-dag", &padded, "-o", place.path("dag.car")).exits(1);
    let hash = carstone::car::multihash::Multihash::wrap(0x1234, b"digest").expect("short");
    let cid = Cid::new_v1(codec::RAW, hash);
    let mut writer = carstone::car::CarWriter::new(Vec::new(), &[cid]).expect("a header");
    writer.danger_write_unverified(&cid, b"abc").expect("written");
    let unknown = place.write("unknown.car", &writer.finish().expect("finished"));
    let wrapped = place.path("wrapped.car");
    run!("car", "concat", &unknown, "-o", &wrapped).exits(2);
    run!("car", "concat", "--accept", "unknown-hash", &unknown, "-o", &wrapped).exits(0);
    assert_eq!(run!("car", "list", &wrapped).exits(0).text(), format!("{cid}\n"));
}

/// Where a root is so small that CIDs could hold it, it is a block all the same, under a CID of the version that was asked for.
#[test]
fn small_roots_are_blocks() {
    let place = Place::new();
    place.write("tree/one", b"1");
    for (version, start) in [("0", "Qm"), ("1", "bafy")] {
        let car = place.path("x.car");
        let shape = ["--cid-version", version, "--inline-limit", "64", "--force"];
        run!(
            "car",
            "create",
            "-q",
            shape[0],
            shape[1],
            shape[2],
            shape[3],
            shape[4],
            "-o",
            &car,
            place.path("tree")
        )
        .exits(0);
        assert!(run!("car", "roots", &car).exits(0).text().starts_with(start));
        run!("car", "verify", &car).exits(0);
    }
}
