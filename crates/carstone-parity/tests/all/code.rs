//! What the Reed–Solomon library makes are code words of the code that section 14.3 of the format describes.

use std::collections::BTreeMap;

use reed_solomon_simd::{decode, encode};

use crate::textbook::{BASIS, Code, Element, Shard};

const ORIGINALS: [u16; 8] = [1, 2, 3, 5, 16, 17, 40, 100];
const RECOVERIES: [u16; 6] = [1, 2, 3, 7, 16, 33];

/// Each combination with its originals, and its recoveries by the library.
fn zones() -> impl Iterator<Item = (Code, Vec<Shard>, Vec<Shard>)> {
    let pairs = ORIGINALS.into_iter().flat_map(|first| RECOVERIES.map(|second| (first, second)));
    pairs.map(|(originals, recoveries)| {
        let mut bytes = blake3::Hasher::new()
            .update(format!("{originals} originals, {recoveries} recoveries").as_bytes())
            .finalize_xof();
        let mut shards = vec![[0; 64]; originals.into()];
        shards.iter_mut().for_each(|shard| bytes.fill(shard));
        let made = encode(originals.into(), recoveries.into(), &shards).unwrap();
        let made = made.into_iter().map(|shard| shard.try_into().unwrap()).collect();
        (Code::new(originals, recoveries), shards, made)
    })
}

/// As many originals as can be missing are left out, from the middle to the end and then from the front; and as many
/// recoveries stay, the last ones.
fn erased(
    originals: &[Shard],
    recoveries: &[Shard],
) -> (BTreeMap<u16, Shard>, BTreeMap<u16, Shard>) {
    let lost = originals.len().min(recoveries.len());
    let keep = |(at, _): &(u16, Shard)| {
        let place = (usize::from(*at) + originals.len() - originals.len() / 2) % originals.len();
        place >= lost
    };
    let kept = (0..).zip(originals.iter().copied()).filter(keep).collect();
    let last = (0..).zip(recoveries.iter().copied()).skip(recoveries.len() - lost).collect();
    (kept, last)
}

#[test]
fn each_basis_element_is_its_successor_squared_and_added() {
    let basis = BASIS.map(Element);
    assert_eq!(basis[0], Element::ONE);
    for pair in basis.windows(2) {
        assert_eq!(pair[1].times(pair[1]).plus(pair[1]), pair[0]);
    }
}

#[test]
fn the_library_makes_code_words() {
    for (code, originals, made) in zones() {
        assert_eq!(code.recover(&originals), made, "{:?} {:?}", code.originals, code.recoveries);
    }
}

#[test]
fn what_an_original_counts_is_a_quotient() {
    for (code, ..) in zones() {
        for at in code.recoveries.clone() {
            let quotient = |original: u16| {
                let (few, many) = (original.min(at), original.max(at));
                let above = Element::of(many / code.block);
                above.times(Element::of(few ^ many).inverse())
            };
            let quotients: Vec<_> = code.originals.clone().map(quotient).collect();
            assert_eq!(code.weights(at), quotients, "{:?} at {at}", code.originals);
        }
    }
}

#[test]
fn recoveries_of_the_library_restore_by_the_textbook() {
    for (code, originals, made) in zones() {
        let (kept, used) = erased(&originals, &made);
        let restored = code.restore(&kept, &used);
        assert_eq!(restored.len(), originals.len().min(made.len()));
        for (at, shard) in restored {
            assert_eq!(shard, originals[usize::from(at)]);
        }
    }
}

#[test]
fn recoveries_of_the_textbook_restore_by_the_library() {
    for (code, originals, made) in zones() {
        let (kept, used) = erased(&originals, &code.recover(&originals));
        let kept = kept.into_iter().map(|(at, shard)| (usize::from(at), shard));
        let used = used.into_iter().map(|(at, shard)| (usize::from(at), shard));
        let restored = decode(originals.len(), made.len(), kept, used).unwrap();
        assert_eq!(restored.len(), originals.len().min(made.len()));
        for (at, shard) in restored {
            assert_eq!(shard, originals[at]);
        }
    }
}
