//! Root CIDs that `ipfs-unixfs-importer` gives, from a table; `vectors/README.md` says how it was made.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::str::FromStr;

use carstone_car::hash_code;
use carstone_unixfs::{
    Cid, CidVersion, DirectoryBuilder, FileBuilder, FileRoot, Leaves, Link, Metadata, Profile,
    ShardThreshold, write_file, write_file_with_metadata,
};

/// The lines of the table that begin with `kind`, as their other fields.
fn cases(kind: &str) -> Vec<Vec<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/importer.txt");
    let table = fs::read_to_string(path).expect("the table is part of the crate");
    let lines = table.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|fields| fields[0] == kind).map(|fields| fields[1..].to_vec()).collect()
}

fn number<T: FromStr>(field: &str) -> T {
    field.parse().unwrap_or_else(|_| panic!("{field} is no number"))
}

/// The content of files: the lowest byte of each state of a 32-bit xorshift.
struct Stream(u32);

impl Stream {
    fn new() -> Self {
        Self(2_463_534_242)
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        for byte in &mut *buf {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            *byte = self.0 as u8;
        }
        Ok(buf.len())
    }
}

fn discard(_: &Cid, _: &[u8]) -> io::Result<()> {
    Ok(())
}

fn leaves_and_version(leaves: &str, version: &str) -> Profile {
    let leaves = if leaves == "raw" { Leaves::Raw } else { Leaves::DagPb };
    let version = if version == "0" { CidVersion::V0 } else { CidVersion::V1 };
    Profile::unixfs_v1_2025().with_leaves(leaves).with_cid_version(version)
}

/// The settings in the first five fields of a file.
fn settings(case: &[String]) -> Profile {
    let profile = leaves_and_version(&case[1], &case[2]).with_layout(case[0].parse().expect("one"));
    let profile = profile.with_chunk_size(number(&case[3])).expect("in range");
    profile.with_width(number(&case[4])).expect("in range")
}

#[track_caller]
fn check(link: Link, case: &[String]) {
    let [.., cid, tsize] = case else { panic!("{case:?}") };
    assert_eq!(
        (link.cid.to_string().as_str(), link.tsize),
        (cid.as_str(), number(tsize)),
        "{case:?}"
    );
}

/// Mode, seconds and nanoseconds.
fn metadata(case: &[String], at: Range<usize>) -> Metadata {
    let [mode, seconds, nanos] = &case[at] else { panic!("{case:?}") };
    let metadata = Metadata::default().with_mode(number(mode));
    metadata.with_mtime(number(seconds), number(nanos)).expect("in range")
}

#[test]
fn files_of_both_layouts_under_all_settings() {
    let cases = cases("file");
    assert!(cases.len() > 600, "{}", cases.len());
    for case in cases {
        let content = Stream::new().take(number(&case[5]));
        let root = write_file(&settings(&case), content, &mut discard).expect("neither side fails");
        check(root.into(), &case);
    }
}

#[test]
fn files_with_metadata() {
    let cases = cases("meta");
    assert!(cases.len() > 90, "{}", cases.len());
    for case in cases {
        let (metadata, content) = (metadata(&case, 6..9), Stream::new().take(number(&case[5])));
        let root = write_file_with_metadata(&settings(&case), &metadata, content, &mut discard);
        check(root.expect("neither side fails").into(), &case);
    }
}

#[test]
fn files_with_blocks_in_their_cids() {
    let cases = cases("inline");
    assert_eq!(cases.len(), 4 * 8 * 7);
    for case in cases {
        let profile = settings(&case[1..]).with_inline_limit(number::<usize>(&case[0]));
        let content = Stream::new().take(number(&case[6]));
        let root = write_file(&profile.expect("in range"), content, &mut discard);
        check(root.expect("neither side fails").into(), &case);
    }
}

/// A file of zeros, whose leaves need no hashing but one.
fn zeros(profile: &Profile, mut len: u64) -> FileRoot {
    let mut builder = FileBuilder::new(profile);
    let chunk = profile.chunk_size();
    let full = profile.leaf(vec![0; chunk]);
    while len >= chunk as u64 {
        builder.add_leaf(full.cid, full.size, &mut discard).expect("the sink never fails");
        len -= chunk as u64;
    }
    assert_eq!(len, 0, "the table has whole chunks only");
    builder.finish(&mut discard).expect("the sink never fails")
}

#[test]
fn files_of_a_gibibyte() {
    let cases = cases("zeros");
    assert!(cases.len() >= 48, "{}", cases.len());
    for case in cases {
        check(zeros(&settings(&case), number(&case[5])).into(), &case);
    }
}

/// `count` entries, each a file that holds its number in decimal.
fn directory(profile: &Profile, metadata: &Metadata, count: usize) -> Link {
    let mut builder = DirectoryBuilder::with_metadata(profile, metadata).expect("in range");
    for i in 0..count {
        let file = write_file(profile, i.to_string().as_bytes(), &mut discard);
        let link = file.expect("neither side fails").into();
        builder.add(&format!("entry {i}.txt"), link).expect("names are good and differ");
    }
    builder.finish(&mut discard).expect("the sink never fails")
}

fn sharded(profile: Profile, by: &str, above: &str, fanout: &str) -> Profile {
    let threshold = match by {
        "link-bytes" => ShardThreshold::LinkBytes(number(above)),
        _ => ShardThreshold::NodeBytes(number(above)),
    };
    profile.with_shard_threshold(threshold).with_fanout(number(fanout)).expect("allowed")
}

#[test]
fn directories_of_all_fanouts_on_both_sides_of_the_threshold() {
    let cases = cases("dir");
    assert!(cases.len() >= 88, "{}", cases.len());
    for case in cases {
        let profile = leaves_and_version(&case[0], &case[1]);
        let profile = sharded(profile, &case[3], &case[4], &case[5]);
        check(directory(&profile, &Metadata::default(), number(&case[2])), &case);
    }
}

#[test]
fn directories_with_metadata() {
    let cases = cases("dirmeta");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let profile = sharded(Profile::unixfs_v1_2025(), &case[1], &case[2], &case[3]);
        check(directory(&profile, &metadata(&case, 4..7), number(&case[0])), &case);
    }
}

#[test]
fn directories_with_blocks_in_their_cids() {
    let cases = cases("inlinedir");
    assert_eq!(cases.len(), 4 * 4 * 4);
    for case in cases {
        let profile = leaves_and_version(&case[1], &case[2]);
        let profile = sharded(profile, &case[4], &case[5], &case[6]);
        let profile = profile.with_inline_limit(number::<usize>(&case[0])).expect("in range");
        check(directory(&profile, &Metadata::default(), number(&case[3])), &case);
    }
}

/// The function that the first field names.
fn hashed(profile: Profile, case: &[String]) -> Profile {
    let code = match case[0].as_str() {
        "sha2-512" => hash_code::SHA2_512,
        "blake2b-256" => hash_code::BLAKE2B_256,
        other => panic!("{other}"),
    };
    profile.with_hash(code).expect("known")
}

#[test]
fn files_under_other_hash_functions() {
    let cases = cases("hash");
    assert_eq!(cases.len(), 2 * 2 * 2 * 2 * 7);
    for case in cases {
        let content = Stream::new().take(number(&case[6]));
        let profile = hashed(settings(&case[1..]), &case);
        let root = write_file(&profile, content, &mut discard).expect("neither side fails");
        check(root.into(), &case);
    }
}

#[test]
fn directories_under_other_hash_functions() {
    let cases = cases("hashdir");
    assert_eq!(cases.len(), 2 * 2 * 5);
    for case in cases {
        let profile = sharded(leaves_and_version(&case[1], &case[2]), &case[4], &case[5], &case[6]);
        check(directory(&hashed(profile, &case), &Metadata::default(), number(&case[3])), &case);
    }
}
