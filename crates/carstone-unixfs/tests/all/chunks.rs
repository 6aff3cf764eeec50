//! Content-defined chunks: the same however the bytes arrive, and few of them change with the content.

use std::collections::HashSet;
use std::io::{self, Read};

use carstone_unixfs::{Chunker, ChunkerSpec, FileReader, Profile, leaf_cid, write_file};
use proptest::prelude::*;

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn chunks(spec: ChunkerSpec, reader: impl Read) -> Vec<Vec<u8>> {
    let (mut chunker, mut chunk, mut chunks) = (spec.over(reader), Vec::new(), Vec::new());
    while chunker.next_chunk(&mut chunk).expect("the source never fails") {
        chunks.push(std::mem::take(&mut chunk));
    }
    assert!(!chunker.next_chunk(&mut chunk).expect("the source never fails") && chunk.is_empty());
    chunks
}

/// Gives the bytes in pieces of the given sizes, over and over, and is interrupted before each.
struct Pieces<'a> {
    rest: &'a [u8],
    sizes: &'a [usize],
    next: usize,
    interrupted: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let n = buf.len().min(self.sizes[self.next % self.sizes.len()]);
        self.next += 1;
        self.rest.read(&mut buf[..n])
    }
}

fn specs() -> impl Strategy<Value = ChunkerSpec> {
    prop_oneof![
        (8_u32..13).prop_map(|bits| ChunkerSpec::fastcdc(1 << bits).expect("a power of two")),
        (1_usize..5000).prop_map(|size| ChunkerSpec::fixed(size).expect("in range")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn boundaries_do_not_depend_on_how_the_bytes_arrive(
        len in 0_usize..80_000, seed: u64, spec in specs(),
        sizes in prop::collection::vec(1_usize..9000, 1..8),
    ) {
        let data = noise(len, seed);
        let whole = chunks(spec, &data[..]);
        prop_assert!(whole.concat() == data);
        let reader = Pieces { rest: &data, sizes: &sizes, next: 0, interrupted: false };
        prop_assert!(chunks(spec, reader) == whole);
        // A caller who collects the bytes by itself finds the same, whatever it has at a time.
        let (mut held, mut found, mut rest) = (Vec::new(), Vec::new(), &data[..]);
        loop {
            match spec.cut(&held, rest.is_empty()) {
                Some(cut) => found.push(held.drain(..cut).collect::<Vec<u8>>()),
                None if rest.is_empty() => break,
                None => {
                    prop_assert!(held.len() < spec.max(), "so many bytes are always enough");
                    let n = rest.len().min(sizes[found.len() % sizes.len()]);
                    held.extend_from_slice(&rest[..n]);
                    rest = &rest[n..];
                }
            }
        }
        prop_assert!(found == whole);
        prop_assert!(whole.iter().rev().skip(1).all(|chunk| (spec.min()..=spec.max()).contains(&chunk.len())));
        prop_assert!(len > spec.min() || whole.len() == usize::from(len > 0), "short content is one chunk");
    }
}

#[test]
fn a_byte_in_front_changes_few_chunks() {
    let spec = ChunkerSpec::fastcdc(4096).expect("a power of two");
    let data = noise(1 << 20, 7);
    let before: HashSet<_> = chunks(spec, &data[..]).into_iter().collect();
    let after = chunks(spec, (&b"!"[..]).chain(&data[..]));
    let new = after.iter().filter(|chunk| !before.contains(*chunk)).count();
    assert!(after.len() > 100, "{} chunks", after.len());
    assert!((1..=4).contains(&new), "{new} of {} chunks are new", after.len());
    // Chunks of equal size all change.
    let fixed = ChunkerSpec::fixed(4096).expect("in range");
    let before: HashSet<_> = chunks(fixed, &data[..]).into_iter().collect();
    assert!(
        chunks(fixed, (&b"!"[..]).chain(&data[..])).iter().all(|chunk| !before.contains(chunk))
    );
}

#[test]
fn boundaries_stay_what_they_are() {
    // A change of the crate that finds them would break deduplication against older packs.
    let data = noise(200_000, 1);
    let spec = ChunkerSpec::fastcdc(16 << 10).expect("a power of two");
    let lengths: Vec<usize> = chunks(spec, &data[..]).iter().map(Vec::len).collect();
    assert_eq!(
        lengths,
        [23042, 12869, 9593, 5885, 16905, 11730, 25207, 18981, 38569, 21328, 10984, 4907]
    );
}

#[test]
fn a_source_that_fails_fails_the_chunker() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let spec = ChunkerSpec::fastcdc(1024).expect("a power of two");
    let head = noise(100, 3);
    let mut chunker = spec.over(head.as_slice().chain(Failing));
    let error = chunker.next_chunk(&mut Vec::new()).expect_err("the source fails");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn files_in_chunks_of_their_content_come_back() {
    let profile = Profile::unixfs_v1_2025()
        .with_chunker(ChunkerSpec::fastcdc(1024).expect("a power of two"))
        .with_width(5)
        .expect("in range");
    let data = noise(100_001, 5);
    let mut blocks = std::collections::HashMap::new();
    let root = write_file(&profile, &data[..], &mut |cid: &_, block: &[u8]| {
        blocks.insert(*cid, block.to_vec());
        Ok(())
    });
    let root = root.expect("neither side fails");
    let mut back = Vec::new();
    let mut reader = FileReader::open(&blocks, &root.cid).expect("the root is there");
    reader.read_to_end(&mut back).expect("every block is there");
    assert!(back == data);
    let leaves = chunks(profile.chunker(), &data[..]);
    assert!(leaves.len() > 50 && leaves.iter().all(|leaf| blocks.contains_key(&leaf_cid(leaf))));
}
