//! Plain CARs of both versions: written to files and pipes, read from both, with an index that is right or lies.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{self, Place, look, small_tree};
use carstone::car::{CarReader, CarSlice, IndexCodec, V2Header};

const NAMES: [&str; 7] =
    [".", "big.bin", "docs", "docs/deep", "docs/deep/note.md", "docs/guide.md", "hello.txt"];

/// Writes the small tree to `name`, and gives its bytes.
fn car(place: &Place, name: &str, args: &[&str]) -> Vec<u8> {
    small_tree(&place.path("tree"));
    let mut all = vec!["create".into(), "-q".into(), "-o".into(), place.path(name).into()];
    all.extend(args.iter().map(Into::into));
    all.push(place.path("tree").into());
    support::run_args(&all, None).exits(0);
    fs::read(place.path(name)).expect("read")
}

fn version(bytes: &[u8]) -> u64 {
    CarSlice::parse(bytes).expect("a CAR").version()
}

/// Everything that reads gives what was packed, from a file and from a pipe.
#[track_caller]
fn reads_well(place: &Place, file: &Path) {
    let bytes = fs::read(file).expect("read");
    let big = fs::read(place.path("tree/big.bin")).expect("read");
    assert_eq!(run!("list", file).exits(0).lines(), NAMES);
    assert_eq!(pipe!(&bytes, "list", "-").exits(0).lines(), NAMES);
    assert!(run!("cat", file, "big.bin").exits(0).stdout == big);
    assert!(pipe!(&bytes, "cat", "-", "big.bin").exits(0).stdout == big);
    assert_eq!(run!("cat", "--range", "-6", file, "hello.txt").exits(0).stdout, b"hello\n");
    run!("verify", file).exits(0);
    pipe!(&bytes, "verify", "-").exits(0);
    run!("verify", file, "--against", place.path("tree")).exits(0);
    run!("info", file).exits(0);
    pipe!(&bytes, "info", "-").exits(0);
    let (out, piped) = (tempfile::tempdir(), tempfile::tempdir());
    let (out, piped) = (out.expect("made"), piped.expect("made"));
    run!("extract", "-C", out.path(), file).exits(0);
    pipe!(&bytes, "extract", "-C", piped.path(), "-").exits(0);
    for directory in [out.path(), piped.path()] {
        assert!(fs::read(directory.join("big.bin")).expect("read") == big);
        assert_eq!(look(directory).len(), NAMES.len());
    }
}

#[test]
fn files_are_carv2_and_pipes_carv1_unless_asked_otherwise() {
    let place = Place::new();
    let v2 = car(&place, "x.car", &[]);
    assert_eq!(v2, car(&place, "y.bin", &["--plain"]));
    let v1 = car(&place, "one.car", &["--car-version", "1"]);
    assert_eq!((version(&v2), version(&v1)), (2, 1));
    // A CARv2 is the CARv1 with something around it.
    let header = V2Header::decode(v2[11..51].try_into().expect("40"), None).expect("sound");
    assert_eq!((header.data_offset, header.data_size), (51, v1.len() as u64));
    assert!(v2[51..].starts_with(&v1));
    let piped = |args: &[&str]| {
        let mut all: Vec<_> = ["create", "-q", "-o", "-", "--plain"].map(Into::into).into();
        all.extend(args.iter().map(Into::into));
        all.push(place.path("tree").into());
        support::run_args(&all, None).exits(0).stdout
    };
    assert!(piped(&[]) == v1);
    assert!(piped(&["--car-version", "2"]) == v2);
    for name in ["x.car", "one.car"] {
        reads_well(&place, &place.path(name));
    }
    let stored = run!("create", "--json", "--force", "-o", place.path("x.car"), place.path("tree"));
    assert_eq!(stored.exits(0).json()[0]["stored"], v2.len());
}

#[test]
fn a_version_is_for_plain_cars_only() {
    let place = Place::new();
    small_tree(&place.path("tree"));
    let tree = place.path("tree");
    for version in ["1", "2"] {
        run!("create", "-o", place.path("x.cstone"), "--car-version", version, &tree)
            .exits(2)
            .one_line()
            .says("--car-version is for plain CARs");
    }
    run!("create", "-o", place.path("x.car"), "--car-version", "3", &tree)
        .exits(2)
        .says("[possible values: 1, 2]");
    assert_eq!(place.names(), ["tree"]);
}

#[test]
fn info_tells_what_a_carv2_is_made_of() {
    let place = Place::new();
    let bytes = car(&place, "x.car", &[]);
    let blocks = CarReader::open(&bytes[..]).expect("a CAR").blocks().count();
    let info = run!("info", "--json", place.path("x.car")).exits(0).json().remove(0);
    assert_eq!((&info["format"], &info["version"]), (&"car".into(), &"2".into()));
    assert_eq!(info["blocks"], blocks);
    assert_eq!((&info["data_offset"], &info["stored"]), (&51.into(), &bytes.len().into()));
    let index_offset = 51 + info["data_size"].as_u64().expect("a number");
    assert_eq!(info["index_offset"], index_offset);
    let index = serde_json::json!({"readable": true, "codec": 0x0401, "entries": blocks});
    assert_eq!(info["index"], index);
    assert_eq!(info["fully_indexed"], false);
    assert_eq!(info["characteristics"], "0".repeat(32));
    let text = run!("info", place.path("x.car")).exits(0).text();
    assert!(text.contains("plain CAR, version 2"), "{text}");
    assert!(text.contains(&format!("0x0401, by hash function and digest, {blocks} entries")));

    // Bits and an index that nobody knows are told, not refused.
    let mut odd = bytes.clone();
    odd[11] = 0xc0;
    odd[index_offset as usize] = 0x82;
    let odd = place.write("odd.car", &odd);
    let info = run!("info", "--json", &odd).exits(1).says("index codec").json().remove(0);
    assert_eq!((&info["index"]["readable"], &info["fully_indexed"]), (&false.into(), &true.into()));
    assert!(run!("info", odd).exits(1).text().contains("c0000000000000000000000000000000"));
}

/// What a section far from the wanted ones holds is not looked at: the index leads past it.
#[test]
fn one_file_is_read_by_the_index() {
    let place = Place::new();
    let mut bytes = car(&place, "x.car", &[]);
    let leaf = CarSlice::parse(&bytes).expect("a CAR").blocks().find_map(|block| {
        let (section, block) = block.expect("sound");
        (block.data.len() == 1 << 20).then_some(section.offset as usize)
    });
    let at = 51 + leaf.expect("the large file has full leaves");
    bytes[at..at + 4].fill(0xff);
    let hurt = place.write("hurt.car", &bytes);
    let run = run!("cat", &hurt, "hello.txt").exits(0);
    assert_eq!((&run.stdout[..], run.stderr.as_str()), (&b"hello\n"[..], ""));
    run!("verify", &hurt).exits(1);
    // Without the index there is a pass over all sections, which tells what is damaged and goes on behind it.
    let v1 = place.write("v1.car", &bytes[51..]);
    let run = run!("cat", v1, "hello.txt").exits(1).says("no section at byte ");
    assert_eq!(run.stdout, b"hello\n");
}

/// A CARv2 with an index that was changed.
fn with_index(place: &Place, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let bytes = car(place, "x.car", &[]);
    let header = V2Header::decode(bytes[11..51].try_into().expect("40"), None).expect("sound");
    let at = header.index_offset.expect("there is one") as usize;
    let mut index = bytes[at..].to_vec();
    // Codec 2, one hash function 4 + 8, one width 4 + 4 + 8, then entries of 32 + 8.
    assert_eq!((index.len() - INDEX_HEAD) % ENTRY, 0);
    change(&mut index);
    fs::remove_file(place.path("x.car")).expect("removed");
    place.write("x.car", &[&bytes[..at], &index].concat())
}

const INDEX_HEAD: usize = 30;
const ENTRY: usize = 40;

#[test]
fn an_index_that_lies_is_found_and_not_believed() {
    let swap = |index: &mut Vec<u8>| {
        let offset = |entry: usize| INDEX_HEAD + entry * ENTRY + 32;
        for byte in 0..8 {
            index.swap(offset(0) + byte, offset(1) + byte);
        }
    };
    let place = Place::new();
    let lying = with_index(&place, swap);
    let run = run!("verify", &lying).exits(1);
    assert!(run.text().contains("2 entries of the index lead to no section of theirs"));
    let findings = run!("verify", "--json", &lying).exits(1).json();
    assert!(findings.iter().any(|finding| finding["layer"] == "index"), "{findings:?}");
    assert_eq!(findings.last().expect("a summary")["sound"], false);
    // Only `verify` compares it; `info` does not claim to.
    let info = run!("info", "--json", &lying).exits(0).json().remove(0);
    assert_eq!((&info["index"]["readable"], &info["index"]["usable"]), (&true.into(), &().into()));
    assert!(run!("info", "--help").exits(0).text().contains("`verify` does that"));
    // The content is all there; what reads finds it, and says that the index is wrong.
    let run = run!("extract", "-q", "-C", place.path("out"), &lying).exits(1);
    run.one_line().says("the index leads to another block");
    assert_eq!(look(&place.path("out")).len(), NAMES.len());
    assert_eq!(run!("list", &lying).exits(1).lines(), NAMES);
}

#[test]
fn sections_that_the_index_lacks_are_found_all_the_same() {
    let place = Place::new();
    let lacking = with_index(&place, |index| {
        index.drain(INDEX_HEAD..INDEX_HEAD + 2 * ENTRY);
        let len = (index.len() - INDEX_HEAD) as u64;
        index[INDEX_HEAD - 8..INDEX_HEAD].copy_from_slice(&len.to_le_bytes());
    });
    let run = run!("verify", &lacking).exits(1);
    assert!(run.text().contains("2 sections are not in the index, first at byte"));
    let run = run!("extract", "-q", "-C", place.path("out"), &lacking).exits(1);
    run.one_line().says("its index does not have all of its blocks");
    let big = fs::read(place.path("tree/big.bin")).expect("read");
    assert!(fs::read(place.path("out/big.bin")).expect("read") == big);
    assert!(run!("cat", &lacking, "big.bin").stdout == big);
}

#[test]
fn an_index_that_cannot_be_read_is_told_and_done_without() {
    let place = Place::new();
    for change in [
        |index: &mut Vec<u8>| index.truncate(INDEX_HEAD + 5),
        |index: &mut Vec<u8>| index.push(0),
        |index: &mut Vec<u8>| index[2] = 9,
    ] {
        let bad = with_index(&place, change);
        assert_eq!(run!("list", &bad).exits(1).one_line().says("x.car").lines(), NAMES);
        run!("verify", &bad).exits(1);
        fs::remove_file(bad).expect("removed");
    }
}

#[test]
fn a_carv2_that_is_cut_keeps_the_blocks_before_the_cut() {
    let place = Place::new();
    // With the root in front it can still be walked.
    let bytes = car(&place, "x.car", &[]);
    let payload = CarSlice::parse(&bytes).expect("a CAR");
    let blocks: Vec<_> = payload.blocks().collect::<Result<_, _>>().expect("sound");
    let mut writer =
        carstone::car::CarFileWriter::new(std::io::Cursor::new(Vec::new()), payload.roots())
            .expect("memory");
    for (_, block) in blocks.iter().rev() {
        writer.write_block(&block.cid, block.data).expect("memory");
    }
    let whole = writer.finish().expect("memory").into_inner();
    let sound = place.write("reversed.car", &whole);
    reads_well(&place, &sound);
    let cut = place.write("cut.car", &whole[..whole.len() - 600_000]);
    let listed = run!("list", &cut).exits(1).says("its data goes past the end of the file");
    assert_eq!(listed.lines(), NAMES);
    assert_eq!(run!("cat", &cut, "hello.txt").exits(1).stdout, b"hello\n");
    run!("verify", &cut).exits(1);
    let cut_bytes = fs::read(&cut).expect("read");
    assert_eq!(pipe!(&cut_bytes, "list", "-").exits(1).lines(), NAMES);
    // The payload is whole, and the index gone.
    let header = V2Header::decode(whole[11..51].try_into().expect("40"), None).expect("sound");
    let bare = place.write("bare.car", &whole[..header.data_end() as usize]);
    let listed = run!("list", &bare).exits(1).one_line().says("its index starts behind the end");
    assert_eq!(listed.lines(), NAMES);
    let run = run!("verify", &bare).exits(1);
    assert_eq!(run.lines().len(), 1, "{:?}", run.lines());
    // Nothing but the start of a header.
    let start = place.write("start.car", &whole[..30]);
    run!("list", start).exits(2).one_line().says("start.car");
    let unfinished = [&whole[..11], &[0; 40], &whole[51..]].concat();
    let listed = run!("list", place.write("unfinished.car", &unfinished)).exits(1);
    assert_eq!(listed.says("unfinished CARv2").lines(), NAMES);
}

#[test]
fn every_profile_and_chunker_fits_into_a_plain_car() {
    let place = Place::new();
    let root = |file: &str| {
        let bytes = fs::read(place.path(file)).expect("read");
        CarSlice::parse(&bytes).expect("a CAR").roots()[0].to_string()
    };
    car(&place, "x.car", &[]);
    car(&place, "old.car", &["--profile", "unixfs-v0-2015"]);
    car(&place, "one.car", &["--profile", "unixfs-v0-2015", "--car-version", "1"]);
    car(&place, "same.car", &["--profile", "unixfs-v1-2025", "--chunker", "fixed:1M"]);
    car(&place, "cut.car", &["--chunker", "fastcdc:64K"]);
    assert!(root("old.car").starts_with("Qm"), "{}", root("old.car"));
    assert_eq!((root("one.car"), root("same.car")), (root("old.car"), root("x.car")));
    assert_ne!(root("cut.car"), root("x.car"));
    for name in ["old.car", "one.car", "cut.car"] {
        reads_well(&place, &place.path(name));
    }
    let bytes = fs::read(place.path("old.car")).expect("read");
    let car = CarSlice::parse(&bytes).expect("a CAR");
    let index = car.index().expect("sound").expect("there is one");
    assert_eq!(index.codec(), IndexCodec::MultihashSorted);
    for block in car.blocks() {
        let (_, block) = block.expect("sound");
        assert!(index.find(&block.cid).expect("sound").is_some());
    }
}
