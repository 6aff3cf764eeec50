//! Blocks under other hash functions than SHA-256.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};

use carstone_car::{hash_code, multihash_of, verify};
use carstone_unixfs::{
    Cid, CidVersion, DirectoryBuilder, ErrorKind, FileReader, FileRoot, Layout, Leaves, Limits,
    Profile, ShardThreshold, resolve, symlink, write_file,
};
use proptest::prelude::*;

type Blocks = HashMap<Cid, Vec<u8>>;

/// One of each family, among them the shortest and the longest digests.
const FUNCTIONS: [u64; 9] = [
    hash_code::SHA2_256,
    hash_code::SHA2_512,
    hash_code::SHA2_224,
    hash_code::DBL_SHA2_256,
    hash_code::SHA3_384,
    hash_code::KECCAK_512,
    hash_code::BLAKE3,
    hash_code::BLAKE2B_160,
    hash_code::BLAKE2S_256,
];

fn v1() -> Profile {
    Profile::unixfs_v1_2025()
}

fn under(profile: Profile, code: u64) -> Profile {
    profile.with_hash(code).expect("known")
}

fn file(profile: &Profile, data: &[u8]) -> FileRoot {
    write_file(profile, data, &mut |_, _| Ok(())).expect("neither side fails")
}

fn keep(blocks: &mut Blocks) -> impl FnMut(&Cid, &[u8]) -> io::Result<()> {
    |cid, data| {
        blocks.insert(*cid, data.to_vec());
        Ok(())
    }
}

#[test]
fn leaves_are_those_of_kubo() {
    #[track_caller]
    fn check(code: u64, data: &str, cid: &str) {
        let cid = Cid::try_from(cid).expect("a CID");
        assert_eq!(file(&under(v1(), code), data.as_bytes()).cid, cid);
    }
    check(
        hash_code::SHA3_256,
        "hello, world!",
        "bafkrmichjflejeh6aren53o7pig7zk3m3vxqcoc2i5dv326k3x6obh7jry",
    );
    check(
        hash_code::BLAKE2B_256,
        "awesome test content\n",
        "zCT5htke82ziqES2sZUP6MPR1EcC3DchZjbFuGeQcTfm16m5q5e8",
    );
    check(
        hash_code::SHA3_512,
        "ooh la la\n",
        "zB7NbGN5wyfSbNNNwo3smZczHZutiWERdvWuMcHXTj393RnbhwsHjrP7bPDRPA79YWPbS69cZLWXSANcwUMmk4Rp3hP9Y",
    );
    check(
        hash_code::BLAKE2B_512,
        "ooh la la\n",
        "z4QM3CM1XM3U62Yf7KNUzBpMPrjTAdeKJnp75JNkRQGeYk15w1hFt2z4ayjP33dBwuqsGz54hH47FMKi7LQ6iRNh8i2gUKDt",
    );
}

#[test]
fn what_cannot_hash_blocks_is_refused() {
    // The identity, SHA-1, SHAKE-128, BLAKE2b with 19 bytes, and what nobody has defined.
    for code in [hash_code::IDENTITY, hash_code::SHA1, 0x18, hash_code::BLAKE2B_160 - 1, u64::MAX] {
        let error = v1().with_hash(code).expect_err("refused");
        assert!(matches!(error.kind(), ErrorKind::UnknownHash(told) if *told == code), "{error}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
    }
    for code in FUNCTIONS {
        assert_eq!(under(v1(), code).hash(), code);
        assert_eq!(under(v1(), code).name().is_some(), code == hash_code::SHA2_256);
    }
}

#[test]
fn only_sha_256_has_cids_of_version_0_in_whichever_order_it_is_set() {
    let content = [7; 300_000];
    let published = Profile::unixfs_v0_2015();
    for code in FUNCTIONS {
        let version = match code {
            hash_code::SHA2_256 => CidVersion::V0,
            _ => CidVersion::V1,
        };
        let earlier = under(v1().with_cid_version(CidVersion::V0), code);
        let later = under(v1(), code).with_cid_version(CidVersion::V0);
        for profile in [earlier, later, under(published.clone(), code)] {
            let root = file(&profile.clone().with_leaves(Leaves::DagPb), &content).cid;
            assert_eq!(profile.cid_version(), version);
            assert_eq!(root.version() == carstone_car::cid::Version::V0, version == CidVersion::V0);
            assert_eq!(root.hash().code(), code);
        }
        // The version that was set is that of SHA-256, if it comes back.
        assert_eq!(under(under(published.clone(), code), hash_code::SHA2_256), published);
    }
}

#[test]
fn a_leaf_that_is_verified_is_hashed_again_where_the_function_is_another() {
    let (content, other) = (b"keystone".to_vec(), b"another".to_vec());
    for code in FUNCTIONS {
        let profile = under(v1(), code);
        let leaf = profile.leaf(content.clone());
        for verified in FUNCTIONS {
            let cid = under(v1(), verified).leaf(content.clone()).cid;
            assert_eq!(profile.danger_verified_leaf(&cid, content.clone()), leaf);
        }
        // Of the same function it is believed.
        let believed = profile.danger_verified_leaf(&leaf.cid, other.clone());
        assert_eq!((believed.cid, believed.block), (leaf.cid, other.clone()));
        let node = Cid::new_v1(0x70, *leaf.cid.hash());
        assert_eq!(profile.danger_verified_leaf(&node, content.clone()), leaf);
    }
    // A digest that was cut is not the function's.
    let whole = *under(v1(), hash_code::BLAKE3).leaf(content.clone()).cid.hash();
    let cut = carstone_car::multihash::Multihash::wrap(whole.code(), &whole.digest()[..20]);
    let cid = Cid::new_v1(0x55, cut.expect("short"));
    let leaf = under(v1(), hash_code::BLAKE3).danger_verified_leaf(&cid, content);
    assert_eq!(*leaf.cid.hash(), whole);
}

fn profiles() -> impl Strategy<Value = Profile> {
    let shape = (prop::bool::ANY, prop::bool::ANY, prop::bool::ANY, prop::bool::ANY);
    let code = prop::sample::select(&FUNCTIONS[..]);
    let inline = prop::option::weighted(0.2, 0_usize..=64);
    (shape, code, inline, 1_usize..100, 2_usize..5).prop_map(
        |((raw, v0, trickle, sharded), code, inline, chunk, width)| {
            let profile = under(v1(), code).with_chunk_size(chunk).expect("in range");
            let profile = profile.with_width(width).expect("in range");
            let profile = profile.with_leaves(if raw { Leaves::Raw } else { Leaves::DagPb });
            let profile =
                profile.with_cid_version(if v0 { CidVersion::V0 } else { CidVersion::V1 });
            let threshold = ShardThreshold::Entries(if sharded { 2 } else { 1000 });
            let profile = profile.with_shard_threshold(threshold);
            let profile = profile.with_inline_limit(inline).expect("in range");
            profile.with_layout(if trickle { Layout::Trickle } else { Layout::Balanced })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_built_under_any_function_is_verified_and_read(
        profile in profiles(),
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..9),
    ) {
        let mut blocks = Blocks::new();
        let mut directory = DirectoryBuilder::new(&profile);
        for (number, content) in contents.iter().enumerate() {
            let root = write_file(&profile, &content[..], &mut keep(&mut blocks)).expect("memory");
            directory.add(&format!("f{number}"), root.into()).expect("one of each");
        }
        let link = symlink(&profile, b"../to", &mut keep(&mut blocks)).expect("memory");
        directory.add("link", link).expect("one of each");
        let root = directory.finish(&mut keep(&mut blocks)).expect("memory");
        for (cid, data) in &blocks {
            prop_assert!(verify(cid, data).is_ok());
            prop_assert_eq!(Some(*cid.hash()), multihash_of(profile.hash(), data));
        }
        for (number, content) in contents.iter().enumerate() {
            let path = format!("f{number}");
            let entry = resolve(&blocks, &root.cid, path.as_bytes()).expect("sound").expect("there");
            let (mut reader, mut read) =
                (FileReader::open(&blocks, &entry.cid).expect("sound"), Vec::new());
            reader.read_to_end(&mut read).expect("sound");
            prop_assert_eq!(&read, content);
        }
        let found = carstone_unixfs::directory_links(&blocks, &root.cid, &Limits::default());
        prop_assert_eq!(found.expect("sound").len(), contents.len() + 1);
    }

    #[test]
    fn leaves_together_are_those_that_are_made_one_by_one(
        profile in profiles(),
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..6),
    ) {
        let one_by_one: Vec<_> = contents.iter().map(|data| profile.leaf(data.clone())).collect();
        prop_assert_eq!(profile.leaf_each(contents), one_by_one);
        let functions: BTreeSet<_> =
            [b"a".to_vec(), vec![0; 65]].map(|data| profile.leaf(data).cid.hash().code()).into();
        prop_assert!(functions.contains(&profile.hash()), "long blocks are hashed");
    }
}
