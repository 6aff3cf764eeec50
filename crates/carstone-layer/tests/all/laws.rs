//! Laws of the scan under random damage.

use crate::support::*;
use carstone_layer::{PlainSource, Scanned};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Zero(usize, usize),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Cut(usize),
    Swap(usize, usize, usize),
    Foreign(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..20_000_usize;
    prop_oneof![
        4 => (at.clone(), 1..=255_u8).prop_map(|(at, flips)| Damage::Flip(at, flips)),
        2 => (at.clone(), 1..3000_usize).prop_map(|(at, len)| Damage::Zero(at, len)),
        2 => (at.clone(), vec(any::<u8>(), 1..200)).prop_map(|(at, new)| Damage::Insert(at, new)),
        2 => (at.clone(), 1..3000_usize).prop_map(|(at, len)| Damage::Remove(at, len)),
        1 => at.clone().prop_map(Damage::Cut),
        1 => (at.clone(), at.clone(), 1..500_usize).prop_map(|(a, b, n)| Damage::Swap(a, b, n)),
        1 => (at, 0..900_usize).prop_map(|(at, len)| Damage::Foreign(at, len)),
    ]
}

fn apply(stored: &mut Vec<u8>, damage: &Damage) {
    let len = stored.len();
    let range = |at: usize, n: usize| at.min(len)..(at + n).min(len);
    match damage {
        Damage::Flip(at, flips) => stored.iter_mut().skip(*at).take(1).for_each(|b| *b ^= flips),
        Damage::Zero(at, n) => stored[range(*at, *n)].fill(0),
        Damage::Insert(at, new) => drop(stored.splice(range(*at, 0), new.iter().copied())),
        Damage::Remove(at, n) => drop(stored.drain(range(*at, *n))),
        Damage::Cut(at) => stored.truncate(*at),
        Damage::Swap(a, b, n) => {
            let piece = stored[range(*a, *n)].to_vec();
            let at = range(*b, piece.len());
            stored[at.clone()].copy_from_slice(&piece[..at.len()]);
        }
        Damage::Foreign(at, n) => {
            let new = frame_of(OTHER, LAYER, 1, *n);
            drop(stored.splice(range(*at, new.len()), new));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// What is given back is never wrong, and nothing goes untold.
    #[test]
    fn frames_are_a_subset_and_all_bytes_are_accounted_for(
        lens in vec(prop_oneof![Just(0), 1..50_usize, 50..5000_usize], 1..8),
        damages in vec(damage(), 0..5),
        step in 1..3000_usize,
        known in any::<bool>(),
    ) {
        let frames = stream(&lens);
        let mut stored = frames.concat();
        damages.iter().for_each(|damage| apply(&mut stored, damage));
        let pack = known.then_some(PACK);
        let (found, report) = scan_from(PlainSource::new(&stored[..]), pack);
        check_tiles(&found, stored.len() as u64);
        if known && !damages.iter().any(|damage| matches!(damage, Damage::Swap(..))) {
            check_subset(&found, &frames);
        }
        for item in &found {
            if let Scanned::Frame(frame) = item {
                let bytes = bytes_of(frame);
                let other = |len| frame_of(OTHER, LAYER, 1, len);
                prop_assert!(frames.contains(&bytes) || (!known && bytes == other(bytes.len() - 96)));
            }
        }
        if damages.is_empty() {
            prop_assert_eq!(check_subset(&found, &frames), frames.len());
        }
        let stuttering = PlainSource::new(Stutter(&stored[..], step, false));
        prop_assert_eq!(scan_from(stuttering, pack), (found, report));
    }

    /// Damage in one place costs the frames that it touches.
    #[test]
    fn frames_that_were_not_touched_are_found(
        lens in vec(50..3000_usize, 2..8),
        at in 0..20_000_usize,
        len in 1..3000_usize,
        how in 0..3_usize,
    ) {
        let frames = stream(&lens);
        let mut stored = frames.concat();
        let (at, end) = (at.min(stored.len()), (at + len).min(stored.len()));
        let (mut begin, mut whole) = (0, Vec::new());
        for frame in &frames {
            let inserted = how == 2;
            let clear = if inserted { at <= begin || at >= begin + frame.len() } else {
                end <= begin || at >= begin + frame.len()
            };
            if clear {
                whole.push(frame.clone());
            }
            begin += frame.len();
        }
        match how {
            0 => stored[at..end].fill(0),
            1 => drop(stored.drain(at..end)),
            _ => drop(stored.splice(at..at, noise(len as u64, len))),
        }
        let (found, _) = scan(&stored);
        let good: Vec<_> = found.iter().filter_map(|item| match item {
            Scanned::Frame(frame) => Some(bytes_of(frame)),
            _ => None,
        }).collect();
        prop_assert!(whole.iter().all(|frame| good.contains(frame)));
    }
}
