//! Profiles and free settings give the root CIDs that other programs give; `vectors/README.md` says how those were obtained.

use std::io;

use carstone_unixfs::{
    ChunkerSpec, Cid, CidVersion, DirectoryBuilder, ErrorKind, FileRoot, Leaves, Link, Profile,
    ShardThreshold, symlink, write_file,
};

fn discard(_: &Cid, _: &[u8]) -> io::Result<()> {
    Ok(())
}

fn v0() -> Profile {
    Profile::unixfs_v0_2015()
}

fn v1() -> Profile {
    Profile::unixfs_v1_2025()
}

/// The byte at `i` of every test file.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + (i >> 8) * 13 + (i >> 16) * 29) as u8).collect()
}

fn file(profile: &Profile, data: &[u8]) -> FileRoot {
    write_file(profile, data, &mut discard).expect("neither side fails")
}

#[track_caller]
fn check_file(profile: &Profile, len: usize, tsize: u64, cid: &str) {
    let root = file(profile, &content(len));
    assert_eq!((root.cid.to_string().as_str(), root.size, root.tsize), (cid, len as u64, tsize));
}

fn directory(profile: &Profile, entries: impl IntoIterator<Item = (String, Link)>) -> Link {
    let mut builder = DirectoryBuilder::new(profile);
    for (name, link) in entries {
        builder.add(&name, link).expect("names are good and differ");
    }
    builder.finish(&mut discard).expect("the sink never fails")
}

#[test]
fn files_of_v0_2015() {
    check_file(&v0(), 0, 6, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
    check_file(&v0(), 1, 9, "QmS9JArPwa55ePgDnyg6TzX24mYTS1b1vLqWNebyVotKxQ");
    check_file(&v0(), 262_143, 262_157, "QmRDTWCWnQDcZQoycyDspFKrB6N45dMAimhXcF9UCe2Lnj");
    check_file(&v0(), 262_144, 262_158, "QmU2vSBgERynihz93uYDQZpWR5V3bp8QwGQJ1ZQZFJa4y1");
    check_file(&v0(), 262_145, 262_267, "QmdiRMrp42q8G4s968kdA3NCfdH34uLsPPp5fVqE6LXoDD");
    check_file(&v0(), 1_310_723, 1_311_093, "Qmedc5yFmqwvFbcHuRGDhN5mHAfiHHAKNrybo3zhGHq2ka");
}

#[test]
fn leaves_and_cid_versions_are_chosen_apart() {
    let small = |version, leaves| {
        let profile = v1().with_chunk_size(10).expect("in range").with_width(4).expect("in range");
        profile.with_cid_version(version).with_leaves(leaves)
    };
    let profile = small(CidVersion::V0, Leaves::DagPb);
    check_file(&profile, 0, 6, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
    check_file(&profile, 10, 18, "QmV1YSP8bFugrtnFQEKjfrC1V65rFLCMAkPCRx8F2WP4zC");
    check_file(&profile, 11, 121, "QmXqbYRAjhb16sq7JqeSqkoQMHgGBv6NKVeeDttdniEc7B");
    check_file(&profile, 40, 254, "Qme924b4Egq3v9Kb61hZ9TWRJ9bT7mRXqoH3xsyL5Hqpm8");
    check_file(&profile, 41, 408, "QmS8bWapuVBv29h412QCs4Z7LT1znZrrn3pidPVrCLYAqY");
    check_file(&profile, 1000, 7957, "Qma6kVgqLJjzYL3dFiEPvdeaWPEWpFLjkYdWJUmu1X78hE");
    // Nodes under CIDs of version 0 over raw leaves, which have CIDs of version 1 only.
    let profile = small(CidVersion::V0, Leaves::Raw);
    check_file(&profile, 0, 0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
    check_file(&profile, 10, 10, "bafkreiay3jkal6m25wuatcoe33x2lev7bpfrbcffi255mol6futokprj7y");
    check_file(&profile, 11, 109, "QmTCvYpszRDspBuHZD2yBChNrabcZH3kjCiu69ispR6tJk");
    check_file(&profile, 41, 378, "QmcXziytfXJmzbMiXm19eVcQxX6UEKsG3cHPBtiQKwyAXp");
    check_file(&profile, 1000, 7357, "Qmbmwy4QoaJGk1rYcHW8vcJWSWZ5xeQsS5UtpUrb7KwVaW");
    let profile = small(CidVersion::V1, Leaves::DagPb);
    check_file(&profile, 0, 6, "bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y");
    check_file(&profile, 10, 18, "bafybeidddsxk4v5f6gdn5ythhp4eyeayq4rh4pipvvb5hcj2ppqccbuyie");
    check_file(&profile, 41, 422, "bafybeid2tmmkz7dsn5ribiz4c4nmvwqmziqk522aso5dddtgnwewzmxb2q");
    check_file(&profile, 1000, 8225, "bafybeigcighekrpycnpn66th3xt2bgqk6zgcmesscko5tz6sq2ecrsihxi");
    let profile = small(CidVersion::V1, Leaves::Raw);
    check_file(&profile, 41, 382, "bafybeifa2cp6vtbc5yk2wtmd6inuxwtnm3hcieefmfyawcew3xaba7sola");
    check_file(&profile, 1000, 7425, "bafybeiblgcg5xazmdklwufcfvvsnxtvh4u3vypecjksdx26a6qysur45dm");
}

/// 300 files, `f0` to `f299`, that hold their numbers.
#[track_caller]
fn check_directory(profile: &Profile, tsize: u64, cid: &str) {
    let entries =
        (0..300).map(|i| (format!("f{i}"), file(profile, i.to_string().as_bytes()).into()));
    let link = directory(profile, entries);
    assert_eq!((link.cid.to_string().as_str(), link.tsize), (cid, tsize));
}

#[test]
fn thresholds_and_fanouts_of_directories() {
    let links =
        |profile: Profile, bytes| profile.with_shard_threshold(ShardThreshold::LinkBytes(bytes));
    let entries = |profile: Profile, n| profile.with_shard_threshold(ShardThreshold::Entries(n));
    let (plain, sharded) = (
        "Qme2K9Bok6vMS17Sz56p1ee8YwW8HzSReTYjB8PxKwLbLX",
        "QmYkw85QEbMM1rcsYnWri3JdZGDGYRTnbhfAU2yvzpV6YU",
    );
    check_directory(&v0(), 16_884, plain);
    check_directory(&links(v0(), 11_290), 16_884, plain);
    check_directory(&links(v0(), 11_289), 24_135, sharded);
    check_directory(&entries(v0(), 300), 16_884, plain);
    check_directory(&entries(v0(), 299), 24_135, sharded);
    let sixteen = links(v0(), 0).with_fanout(16).expect("allowed");
    check_directory(&sixteen, 23_290, "QmSTvdmpTssUctxho5Vid2PZKShVKFhko3A717fBXwvtcF");
    let (plain, sharded) = (
        "bafybeiges7yo32lkcedfgw6d6h3jz4x3jviz4rp4gnrzsmnwsqqaoeokuq",
        "bafybeicehtyiu43swtswhvpr4vf4ahz3danmqyxuqbnlpopq6gkba3hu6a",
    );
    check_directory(&links(v1(), 11_890), 15_084, plain);
    check_directory(&links(v1(), 11_889), 22_498, sharded);
    check_directory(&entries(v1(), 299), 22_498, sharded);
}

#[test]
fn directories_and_symlinks_of_v0_2015() {
    let profile = v0();
    let leaf = |text: &str| Link::from(file(&profile, text.as_bytes()));
    let dir = |entries: &[(&str, Link)]| {
        directory(&profile, entries.iter().map(|(name, link)| ((*name).to_owned(), *link)))
    };
    let empty = dir(&[]);
    assert_eq!(empty.cid.to_string(), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn");
    let sub = dir(&[("deep", dir(&[("z", leaf("deep"))]))]);
    let tree = dir(&[
        ("a.txt", leaf("hello")),
        ("empty", leaf("")),
        (".hidden", dir(&[("y", leaf("x"))])),
        ("Z", leaf("Z")),
        ("ü", leaf("u")),
        ("sub", sub),
    ]);
    assert_eq!(tree.cid.to_string(), "QmQLn51nmf8ciaD7VvNRbnw2YqPZtkQ7FzqiyS7kU3uL9F");
    assert_eq!(tree.tsize, 481);
    let (v0, v1) = (symlink(&profile, b"bar", &mut discard), symlink(&v1(), b"bar", &mut discard));
    let (v0, v1) = (v0.expect("the sink never fails"), v1.expect("the sink never fails"));
    assert_eq!((v0.cid.to_bytes().len(), v0.tsize), (34, v1.tsize));
    assert_eq!(v0.cid.hash(), v1.cid.hash(), "one node under two CIDs");
}

/// The stream that Kubo's own tests of profiles are fed with: ChaCha20 with the SHA-256 of a seed as its key.
struct Stream {
    state: [u32; 16],
    block: [u8; 64],
    at: usize,
}

impl Stream {
    fn new(seed: &str) -> Self {
        let key = carstone_unixfs::leaf_cid(seed.as_bytes());
        let mut state = [0; 16];
        state[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        for (word, bytes) in state[4..12].iter_mut().zip(key.hash().digest().chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        }
        Self { state, block: [0; 64], at: 64 }
    }

    fn refill(&mut self) {
        let mut x = self.state;
        let mut quarter = |a: usize, b: usize, c: usize, d: usize| {
            x[a] = x[a].wrapping_add(x[b]);
            x[d] = (x[d] ^ x[a]).rotate_left(16);
            x[c] = x[c].wrapping_add(x[d]);
            x[b] = (x[b] ^ x[c]).rotate_left(12);
            x[a] = x[a].wrapping_add(x[b]);
            x[d] = (x[d] ^ x[a]).rotate_left(8);
            x[c] = x[c].wrapping_add(x[d]);
            x[b] = (x[b] ^ x[c]).rotate_left(7);
        };
        for _ in 0..10 {
            (0..4).for_each(|i| quarter(i, 4 + i, 8 + i, 12 + i));
            (0..4).for_each(|i| quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4));
        }
        for (i, bytes) in self.block.chunks_exact_mut(4).enumerate() {
            bytes.copy_from_slice(&x[i].wrapping_add(self.state[i]).to_le_bytes());
        }
        self.state[12] += 1;
        self.at = 0;
    }
}

impl io::Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == 64 {
            self.refill();
        }
        let n = buf.len().min(64 - self.at);
        buf[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[track_caller]
fn check_kubo_file(profile: &Profile, len: u64, seed: &str, expected: &str) {
    let stream = io::Read::take(Stream::new(seed), len);
    let root = write_file(profile, stream, &mut discard).expect("neither side fails");
    assert_eq!((root.cid.to_string().as_str(), root.size), (expected, len));
}

#[test]
fn files_of_kubos_tests_of_profiles() {
    let small = |profile| file(&profile, b"hello world").cid.to_string();
    assert_eq!(small(v0()), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
    assert_eq!(small(v1()), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
    let (chunk, seed) = (262_144, "chunk-v0-seed");
    check_kubo_file(&v0(), chunk, seed, "QmWmRj3dFDZdb6ABvbmKhEL6TmPbAfBZ1t5BxsEyJrcZhE");
    check_kubo_file(&v0(), chunk + 1, seed, "QmYyLxtzZyW22zpoVAtKANLRHpDjZtNeDjQdJrcQNWoRkJ");
    let full = 174 * chunk;
    check_kubo_file(&v0(), full, "v0-seed", "QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2");
    check_kubo_file(&v0(), full + 1, "v0-seed", "QmV81WL765sC8DXsRhE5fJv2rwhS4icHRaf3J9Zk5FdRnW");
    check_kubo_file(
        &v1(),
        (1 << 20) + 1,
        "chunk-v1-seed",
        "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64",
    );
}

/// `count` files that hold an `x`, under names of `len` letters, the last of `last`.
#[track_caller]
fn check_kubo_directory(profile: &Profile, count: usize, len: usize, last: usize, expected: &str) {
    let mut stream = Stream::new(&format!("hamt-{}", profile.name().expect("a published profile")));
    let link = Link::from(file(profile, b"x"));
    let names = (0..count).map(|i| {
        let mut name = vec![0; if i + 1 == count { last } else { len }];
        io::Read::read_exact(&mut stream, &mut name).expect("the stream does not end");
        let letters = b"abcdefghijklmnopqrstuvwxyz01234567890-_";
        (name.into_iter().map(|byte| char::from(letters[byte as usize % 39])).collect(), link)
    });
    assert_eq!(directory(profile, names).cid.to_string(), expected);
}

#[test]
fn directories_of_kubos_tests_of_profiles() {
    // Exactly at the threshold, and one byte above it.
    check_kubo_directory(&v0(), 4096, 30, 30, "QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN");
    check_kubo_directory(&v0(), 4033, 31, 31, "QmeMiJzmhpJAUgynAcxTQYek5PPKgdv3qEvFsdV3XpVnvP");
    let at = "bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4";
    check_kubo_directory(&v1(), 4766, 11, 21, at);
    let above = "bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu";
    check_kubo_directory(&v1(), 4766, 11, 22, above);
}

#[test]
fn published_profiles_are_found_by_name_and_changed_ones_have_none() {
    for name in Profile::NAMES {
        let profile: Profile = name.parse().expect("it is in the list");
        assert_eq!(profile.name(), Some(*name));
        assert_eq!(profile.with_width(3).expect("in range").name(), None);
    }
    let error = Profile::by_name("unixfs-v9").expect_err("there is none");
    assert!(matches!(error.kind(), ErrorKind::UnknownProfile(name) if name == "unixfs-v9"));
    assert!(error.to_string().contains("unixfs-v0-2015"), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn settings_out_of_range_are_refused() {
    let bad = |result: Result<Profile, carstone_unixfs::Error>| {
        let error = result.expect_err("out of range");
        assert!(matches!(error.kind(), ErrorKind::BadSetting { .. }), "{error}");
    };
    bad(v1().with_chunk_size(0));
    bad(v1().with_chunk_size(ChunkerSpec::MAX_CHUNK + 1));
    bad(v1().with_width(0));
    bad(v1().with_width(1));
    bad(v1().with_width(65_537));
    let error = v1().with_fanout(24).expect_err("no power of two");
    assert!(matches!(error.kind(), ErrorKind::BadFanout(24)));
}

#[test]
fn the_largest_leaf_and_the_widest_node_fit_into_a_section() {
    let profile = v0().with_chunk_size(ChunkerSpec::MAX_CHUNK).expect("in range");
    let leaf = profile.leaf(vec![0; ChunkerSpec::MAX_CHUNK]);
    assert!(leaf.block.len() + 36 <= 8 << 20);
    let mut largest = 0;
    let mut sink = |_: &Cid, block: &[u8]| {
        largest = largest.max(block.len());
        Ok(())
    };
    let profile = v1().with_width(65_536).expect("in range");
    let mut builder = carstone_unixfs::FileBuilder::new(&profile);
    for _ in 0..65_536 {
        builder.add_leaf(leaf.cid, leaf.size, &mut sink).expect("the sink never fails");
    }
    builder.finish(&mut sink).expect("the sink never fails");
    // With the longest numbers, 20 bytes a link more.
    assert!(largest > 65_536 * 40 && largest + 65_536 * 20 + 36 <= 8 << 20, "{largest}");
}
