//! Laws: any split of writes and reads, seeking as a `Cursor` does, damage never taken for content.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use crate::packs::*;
use carstone_layer::{Cause, FailSafeRead};
use carstone_raw::{RawFailSafe, RawReader};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Seek(SeekFrom),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..700_usize).prop_map(Step::Read),
        (0..1500_u64).prop_map(|at| Step::Seek(SeekFrom::Start(at))),
        Just(Step::Seek(SeekFrom::Start(u64::MAX))),
        (-1500..500_i64).prop_map(|by| Step::Seek(SeekFrom::End(by))),
        (-700..700_i64).prop_map(|by| Step::Seek(SeekFrom::Current(by))),
    ]
}

/// Reads to the end, with buffers of these sizes in turn, through all gaps.
fn salvage(mut reader: impl FailSafeRead, sizes: &[usize]) -> (Vec<u8>, Vec<Cause>) {
    let (mut bytes, mut causes) = (Vec::new(), Vec::new());
    let mut sizes = sizes.iter().cycle();
    loop {
        let mut buf = vec![0; *sizes.next().expect("there is a size")];
        match reader.read(&mut buf).expect("sources in memory do not fail") {
            0 => match reader.next_gap().expect("sources in memory do not fail") {
                Some(gap) => causes.push(gap.cause),
                None => return (bytes, causes),
            },
            n => bytes.extend(&buf[..n]),
        }
        assert_eq!(reader.position(), bytes.len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_of_writes_gives_the_same_pack(
        framed in prop::collection::vec(any::<u8>(), 0..2000),
        sizes in prop::collection::vec(1..500_usize, 1..8),
    ) {
        let mut raw = writer(Vec::new()).unwrap();
        let mut rest = framed.as_slice();
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*size));
            raw.write_all(now).unwrap();
            rest = later;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(raw.finish().unwrap(), pack(&framed));
    }

    #[test]
    fn seeking_agrees_with_a_cursor(
        len in 0..1200_usize,
        before in 0..50_u64,
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let framed = noise(len);
        let mut stored = vec![7; before as usize];
        stored.extend(pack(&framed));
        let mut source = Cursor::new(stored);
        source.set_position(before);
        let mut reader = RawReader::open(source).unwrap();
        let mut model = Cursor::new(framed);
        for step in steps {
            match step {
                Step::Read(len) => {
                    let (mut a, mut b) = (vec![0; len], vec![0; len]);
                    let n = reader.read(&mut a).unwrap();
                    prop_assert_eq!(n, model.read(&mut b).unwrap());
                    prop_assert_eq!(a, b);
                }
                Step::Seek(to) => {
                    prop_assert_eq!(reader.seek(to).ok(), model.seek(to).ok());
                }
            }
            prop_assert_eq!(reader.stream_position().unwrap(), model.position());
        }
    }

    #[test]
    fn a_fail_safe_reader_gives_any_pack_whole_in_any_pieces(
        len in 0..40_000_usize,
        sizes in prop::collection::vec(1..20_000_usize, 1..6),
    ) {
        let (framed, stored) = (noise(len), pack(&noise(len)));
        let forward = salvage(RawFailSafe::new(stored.as_slice()).unwrap(), &sizes);
        prop_assert_eq!(&forward, &(framed.clone(), vec![]));
        let seeking = salvage(RawFailSafe::open_seekable(Cursor::new(stored)).unwrap(), &sizes);
        prop_assert_eq!(&seeking, &(framed, vec![]));
    }

    #[test]
    fn a_cut_pack_gives_all_that_is_there_and_says_so(
        len in 0..3000_usize,
        cut in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1..1000_usize, 1..4),
    ) {
        let stored = pack(&noise(len));
        let stored = &stored[..cut.index(stored.len())];
        let forward = salvage(RawFailSafe::new(stored).unwrap(), &sizes);
        let seeking = salvage(RawFailSafe::open_seekable(Cursor::new(stored)).unwrap(), &sizes);
        prop_assert_eq!(&forward, &seeking);
        let (bytes, causes) = forward;
        prop_assert_eq!(causes.last(), Some(&Cause::Truncated));
        // A header that was cut too is given as well: there may be frames in what looks like one.
        prop_assert_eq!(bytes, stored.get(HEADER..).unwrap_or(stored));
    }

    #[test]
    fn damage_anywhere_never_panics_and_never_opens_strictly(
        len in 0..1000_usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..6),
    ) {
        let good = pack(&noise(len));
        let mut stored = good.clone();
        for (at, mask) in flips {
            stored[at.index(good.len())] ^= mask;
        }
        if let Ok(mut reader) = RawReader::open_at(&stored) {
            prop_assert_eq!(&stored[..HEADER], &good[..HEADER]);
            prop_assert_eq!(&stored[HEADER + len..], &good[HEADER + len..]);
            let mut framed = Vec::new();
            reader.read_to_end(&mut framed).unwrap();
            prop_assert_eq!(framed.as_slice(), &stored[HEADER..HEADER + len]);
        }
        for (bytes, _) in [
            salvage(RawFailSafe::new(stored.as_slice()).unwrap(), &[100]),
            salvage(RawFailSafe::open_seekable(Cursor::new(&stored)).unwrap(), &[100]),
        ] {
            let framed = &stored[HEADER..HEADER + len];
            prop_assert!(bytes.windows(len.max(1)).any(|window| window == framed) || len == 0);
        }
    }
}
