//! The laws of a layer, for any lengths, splits and damage.

use std::io::{Read, Write};

use crate::streams::{KEY, N, options, plain, seal};
use carstone_encrypt::{
    EncryptFailSafe, EncryptReader, EncryptWriter, FailSafeOptions, ReadOptions,
};
use carstone_layer::{FailSafeRead, PlainSource};
use proptest::prelude::*;

fn len() -> impl Strategy<Value = usize> {
    let near = prop::sample::select(vec![0, N, 2 * N, 3 * N, 8 * N, 9 * N]);
    prop_oneof![0..3000usize, (near, 0..3usize).prop_map(|(at, by)| (at + by).saturating_sub(1))]
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(usize),
    Zero(usize, usize),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
    Cut(usize),
}

impl Damage {
    fn hit(self, stored: &mut Vec<u8>) {
        let len = stored.len();
        let range = |at: usize, n: usize| at % (len + 1)..(at % (len + 1) + n).min(len);
        match self {
            _ if len == 0 => {}
            Self::Flip(bit) => stored[bit / 8 % len] ^= 1 << (bit % 8),
            Self::Zero(at, n) => stored[range(at, n)].fill(0),
            Self::Remove(at, n) => drop(stored.drain(range(at, n))),
            Self::Insert(at, bytes) => drop(stored.splice(range(at, 0), bytes)),
            Self::Repeat(at, n) => {
                let copy = stored[range(at, n)].to_vec();
                stored.splice(range(at, 0), copy);
            }
            Self::Cut(at) => stored.truncate(at % (len + 1)),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>;
    prop_oneof![
        at().prop_map(Damage::Flip),
        (at(), 1..9000usize).prop_map(|(at, n)| Damage::Zero(at, n)),
        (at(), 1..200_000usize).prop_map(|(at, n)| Damage::Remove(at, n)),
        (at(), prop::collection::vec(any::<u8>(), 1..200))
            .prop_map(|(at, b)| Damage::Insert(at, b)),
        (at(), 1..300_000usize).prop_map(|(at, n)| Damage::Repeat(at, n)),
        at().prop_map(Damage::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_split_of_writes_and_reads_gives_the_same_bytes(
        len in len(),
        writes in prop::collection::vec(1..200_000usize, 1..6),
        reads in prop::collection::vec(1..300_000usize, 1..6),
        threads in 1..4usize,
    ) {
        let plain = plain(len);
        let mut writer =
            EncryptWriter::with_options(Vec::new(), &KEY, options().threads(threads)).expect("opens");
        let mut rest = &plain[..];
        for n in writes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at(rest.len().min(*n));
            writer.write_all(piece).expect("takes all");
            rest = behind;
        }
        let stored = writer.finish().expect("takes all");
        prop_assert!(stored == seal(&plain));

        let options = ReadOptions::default().threads(threads);
        let mut reader = EncryptReader::with_options(&stored, &KEY, options).expect("undamaged");
        let mut got = Vec::new();
        for n in reads.iter().cycle() {
            let mut buf = vec![0; *n];
            match reader.read(&mut buf).expect("undamaged") {
                0 => break,
                n => got.extend_from_slice(&buf[..n]),
            }
        }
        prop_assert!(got == plain);
    }

    #[test]
    fn damage_is_never_wrong_only_missing(
        len in len(),
        damages in prop::collection::vec(damage(), 1..5),
        threads in 1..3usize,
    ) {
        let plain = plain(len);
        let mut stored = seal(&plain);
        damages.into_iter().for_each(|damage| damage.hit(&mut stored));

        let options = FailSafeOptions::default().threads(threads);
        let source = PlainSource::new(&stored[..]);
        let mut reader = EncryptFailSafe::new(source, &KEY, options).expect("the right key or none");
        let (mut at, mut buf) = (0, vec![0; 70_000]);
        let mut open_end = false;
        loop {
            prop_assert_eq!(reader.position(), at);
            let n = reader.read(&mut buf).expect("memory");
            prop_assert!(plain.get(at as usize..at as usize + n) == Some(&buf[..n]));
            at += n as u64;
            if n > 0 {
                continue;
            }
            let Some(gap) = reader.next_gap().expect("memory") else { break };
            prop_assert_eq!(gap.at, at);
            prop_assert!(!open_end, "nothing follows a gap up to the end");
            open_end = gap.len.is_none();
            at += gap.len.unwrap_or(0);
        }
        // Recovered bytes and gaps make up the whole stream.
        prop_assert!(open_end || at == len as u64, "{} of {}", at, len);

        // The strict reader gives a right beginning, then an error.
        if let Ok(mut reader) = EncryptReader::open_at(&stored, &KEY) {
            let mut got = Vec::new();
            let all = reader.read_to_end(&mut got).is_ok();
            prop_assert!(plain.starts_with(&got));
            prop_assert!(!all || got.len() == len);
        }
    }
}
