//! What holds for all CARs.

use std::io::Cursor;

use crate::sources::{Stutter, blocks, car, hashed};
use carstone_car::{Block, CarReader, CarSlice, Cid, Header, cid_of, hash_code, verify};
use proptest::prelude::*;

pub fn block() -> impl Strategy<Value = Block> {
    let code = prop_oneof![
        4 => Just(hash_code::SHA2_256),
        1 => Just(hash_code::IDENTITY),
        1 => Just(hash_code::BLAKE2B_256),
        1 => Just(hash_code::SHA2_512),
        1 => Just(hash_code::BLAKE3),
    ];
    let data = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..64),
        1 => prop::collection::vec(any::<u8>(), 0..20_000),
    ];
    (code, data).prop_map(|(code, mut data)| {
        if code == hash_code::IDENTITY {
            data.truncate(64);
        }
        hashed(code, &data)
    })
}

pub fn roots() -> impl Strategy<Value = Vec<Cid>> {
    prop::collection::vec(any::<(u32, u32)>(), 0..30).prop_map(|roots| {
        let cid = |(codec, data): (u32, u32)| cid_of(codec.into(), &data.to_le_bytes());
        roots.into_iter().map(cid).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(roots in roots(), all in prop::collection::vec(block(), 0..12)) {
        let bytes = car(&roots, &all);
        let reader = CarReader::open(&bytes[..]).expect("header");
        prop_assert_eq!(reader.roots(), &roots[..]);
        let header = Header { roots: roots.clone() };
        prop_assert_eq!(reader.position(), header.encoded_len() as u64);
        prop_assert_eq!(&header.encode(), &bytes[..header.encoded_len()]);
        let found: Vec<_> = reader.into_iter().map(|block| block.expect("block")).collect();
        prop_assert_eq!(&found, &all);
        let slice = CarSlice::parse(&bytes).expect("header");
        let found: Vec<_> = slice.blocks().map(|item| item.expect("block").1.to_block()).collect();
        prop_assert_eq!(&found, &all);
    }

    #[test]
    fn any_split_of_reads_gives_the_same(
        all in prop::collection::vec(block(), 0..12),
        mut steps in prop::collection::vec(prop_oneof![0..10usize, 0..9000usize], 1..20),
    ) {
        steps.push(1); // Not interrupted for ever.
        let bytes = car(&[], &all);
        prop_assert_eq!(blocks(Stutter::new(&bytes, steps)).expect("blocks"), all);
    }

    #[test]
    fn skipping_finds_what_reading_finds(
        all in prop::collection::vec(block(), 0..12),
        mut steps in prop::collection::vec(0..9000usize, 1..20),
        ways in prop::collection::vec(0..3u8, 12),
    ) {
        steps.push(1);
        let bytes = car(&[], &all);
        let mut plain = CarReader::open(&bytes[..]).expect("header");
        let mut mixed = CarReader::open(Stutter::new(&bytes, steps)).expect("header");
        let mut data = Vec::new();
        for way in ways {
            let expected = plain.read_block(&mut data).expect("block");
            let found = match way {
                0 => mixed.read_block(&mut data),
                1 => mixed.next_section(),
                _ => mixed.skip_section(),
            };
            prop_assert_eq!(found.expect("section"), expected);
            prop_assert_eq!(mixed.position(), plain.position());
        }
    }

    #[test]
    fn changes_are_never_wrong_only_missing(
        all in prop::collection::vec(block(), 1..8),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = car(&[all[0].cid], &all);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let Ok(reader) = CarReader::open(Cursor::new(bytes)) else { continue };
            for block in reader.into_iter().flatten() {
                prop_assert!(verify(&block.cid, &block.data).is_ok());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        header in any::<bool>(),
        junk in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let bytes = if header { [car(&[], &[]), junk].concat() } else { junk };
        let stream = blocks(&bytes[..]).map_err(|error| error.to_string());
        let slice = CarSlice::parse(&bytes).and_then(|slice| {
            slice.blocks().map(|item| item.map(|(_, block)| block.to_block())).collect()
        });
        prop_assert_eq!(stream, slice.map_err(|error| error.to_string()));
    }
}
