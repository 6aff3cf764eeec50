//! Several parities in one source, of which one is that of a stream.

use carstone_parity::{Memory, Options, Parity, ProtectionId, Share, Survey, heal, protect};

use crate::packed::noise;

fn parity_of(stream: &[u8], id: u8, share: u32) -> Vec<u8> {
    let target = Memory::new();
    let options = Options::default()
        .with_share(Share::new(share).unwrap())
        .with_id(ProtectionId::from_bytes([id; 16]));
    protect(stream, &target, &options, &|_| ()).unwrap();
    target.into_bytes()
}

/// The id of what is taken for the parity of a stream.
fn id_of(stream: &[u8], parity: &[u8]) -> u8 {
    Parity::open_for(parity, stream, 2).unwrap().descriptor().id().as_bytes()[0]
}

#[track_caller]
fn check_heals(damaged: &[u8], parity: &[u8], whole: &[u8]) {
    let parity = Parity::open_for(parity, damaged, 2).unwrap();
    let survey = Survey::of(damaged, &parity, 2, &|_| ()).unwrap();
    let target = Memory::new();
    assert!(heal(damaged, &parity, &survey, &target, 2, &|_| ()).unwrap().whole);
    assert!(target.into_bytes() == whole);
}

#[test]
fn of_several_parities_the_one_whose_table_matches_is_taken() {
    let streams = [noise(300_000, 1), noise(300_000, 2), noise(40_000, 3), Vec::new()];
    let parities: Vec<_> = (0..).zip(&streams).map(|(id, all)| parity_of(all, id, 1_000)).collect();
    let junk = noise(777, 4);
    for joined in [
        parities.concat(),
        parities.iter().rev().flatten().copied().collect(),
        [&junk, &parities[1], &junk, &parities[0], &junk[..5], &parities[2]].concat(),
    ] {
        for (id, whole) in (0..).zip(&streams[..3]) {
            assert_eq!(id_of(whole, &joined), id);
            let mut damaged = whole.clone();
            damaged[10_300..11_000].fill(7);
            check_heals(&damaged, &joined, whole);
            damaged.splice(0..0, [1, 2, 3]);
            check_heals(&damaged, &joined, whole);
            damaged.drain(..4_003);
            assert_eq!(id_of(&damaged, &joined), id);
        }
    }
    // Where it is alone, and where none matches, it is that of `open`.
    assert_eq!(id_of(b"", &parities[2]), 2);
    assert_eq!(id_of(&noise(300_000, 9), &parities.concat()), 0);
    assert!(Parity::open_for(&junk[..], &junk[..], 2).is_err());
}

#[test]
fn parity_of_a_shorter_or_longer_state_is_not_taken_for_that_of_this_one() {
    let states: Vec<Vec<u8>> = [200_000, 270_000, 300_000]
        .into_iter()
        .map(|len| noise(300_000, 1)[..len].to_vec())
        .collect();
    let parities: Vec<_> = (0..).zip(&states).map(|(id, all)| parity_of(all, id, 1_000)).collect();
    for joined in [parities.concat(), parities.iter().rev().flatten().copied().collect()] {
        for (id, whole) in (0..).zip(&states) {
            check_heals(whole, &joined, whole);
            // Its end is lost, and so is some of the front.
            let mut damaged = whole.clone();
            damaged[whole.len() - 10_000..].fill(0);
            check_heals(&damaged, &joined, whole);
            damaged = whole.clone();
            (0..10).for_each(|cell| damaged[cell * 16_384] ^= 0x5A);
            damaged.truncate(whole.len() - 1_500);
            assert_eq!(id_of(&damaged, &joined), id);
        }
    }
}

#[test]
fn parity_that_lost_its_table_is_taken_before_one_whose_table_matches_nothing() {
    let (ours, theirs) = (noise(300_000, 1), noise(200_000, 2));
    let mut parity = parity_of(&ours, 1, 1_000);
    let is_table = |at: &usize| parity[*at..].starts_with(b"\xF5CSP\x01\x02");
    let tables: Vec<usize> = (0..parity.len()).filter(is_table).collect();
    tables.iter().for_each(|at| parity[*at..*at + 48].fill(0));
    let theirs = parity_of(&theirs, 2, 1_000);
    let mut damaged = ours.clone();
    damaged[50_000..53_000].fill(0);
    check_heals(&damaged, &[&theirs[..], &parity].concat(), &ours);
    check_heals(&damaged, &[&parity[..], &theirs].concat(), &ours);
}
