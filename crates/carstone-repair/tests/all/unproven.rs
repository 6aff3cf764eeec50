//! Streams without frames, and frames with which no sum agrees: damage costs the blocks it touches, and nothing wrong comes out.

use std::ops::Range;

use crate::support::{
    self, Holes, Packed, Salvaged, assert_never_wrong, pack, salvage, salvage_with,
};
use carstone_car::{CarSlice, cid_of, codec};
use carstone_layer::Cause;
use carstone_repair::SalvageOptions;
use proptest::prelude::*;

fn content(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed) ^ (n >> 8) as u8).collect()
}

/// Files of one leaf and of several, some of which are streams of packs.
fn files() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let plain = prop_oneof![4 => 0usize..3000, 1 => 4000usize..60_000];
    let plain = (any::<u8>(), plain).prop_map(|(seed, len)| content(seed, len));
    let nested = (any::<u8>(), 1usize..6).prop_map(|(seed, count)| {
        let files: Vec<_> = (0..count)
            .map(|n| (format!("inner {n}").into_bytes(), content(seed, 100 + 90 * n)))
            .collect();
        let mut bytes = pack(&files).bytes;
        // The same records under another pack id: their CIDs do not fit any more, those of leaves and nodes do.
        let own = support::ID.as_bytes();
        while let Some(at) = bytes.windows(16).position(|window| window == own) {
            bytes[at..at + 16].fill(0xee);
        }
        bytes
    });
    prop::collection::vec(prop_oneof![6 => plain, 1 => nested], 1..30).prop_map(|files| {
        let named = files.into_iter().enumerate();
        named.map(|(n, content)| (format!("d{}/f{n}", n % 3).into_bytes(), content)).collect()
    })
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(u8),
    Zero(usize),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
}

impl Damage {
    /// Applies it, and gives the bytes of the original that it touches.
    fn apply(&self, bytes: &mut Vec<u8>, at: usize) -> Range<usize> {
        let end = |len: usize| (at + len).min(bytes.len());
        match self {
            Self::Flip(bit) => {
                bytes[at] ^= 1 << (bit % 8);
                at..at + 1
            }
            Self::Zero(len) => {
                let range = at..end(*len);
                bytes[range.clone()].fill(0);
                range
            }
            Self::Insert(more) => {
                bytes.splice(at..at, more.iter().copied());
                at..at + 1
            }
            Self::Remove(len) => {
                let range = at..end(*len);
                bytes.drain(range.clone());
                range
            }
            Self::Repeat(len) => {
                let again = bytes[at..end(*len)].to_vec();
                bytes.splice(at..at, again);
                at..at + 1
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<u8>().prop_map(Damage::Flip),
        (1usize..5000).prop_map(Damage::Zero),
        prop::collection::vec(any::<u8>(), 1..300).prop_map(Damage::Insert),
        (1usize..5000).prop_map(Damage::Remove),
        (1usize..5000).prop_map(Damage::Repeat),
    ]
}

/// Whether a file has a block, or an inner node, in these bytes.
fn is_hit(packed: &Packed, touched: &Range<usize>, content: &[u8]) -> bool {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for chunk in content.chunks(4096) {
        let cid = cid_of(codec::RAW, chunk);
        let leaf = packed.sections.iter().find(|section| section.digest == cid.hash().digest());
        ranges.push(leaf.expect("each leaf is in the pack").range.clone());
    }
    if ranges.len() > 1 {
        // Its nodes stand between its leaves and behind them.
        let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
        let start = ranges.iter().map(|range| range.start).min().unwrap_or(0);
        ranges.push(start..end + 1000);
    }
    ranges.iter().any(|range| range.start < touched.end && touched.start < range.end)
}

fn bare(source: Holes) -> Salvaged {
    salvage_with(source, &SalvageOptions::default().threads(1).without_frames())
}

#[track_caller]
fn assert_untouched_is_whole(packed: &Packed, salvaged: &Salvaged, touched: &Range<usize>) {
    assert_never_wrong(packed, salvaged);
    for path in salvaged.complete.keys() {
        assert!(packed.files.contains_key(path), "{} is no file of it", path.escape_ascii());
    }
    for (path, content) in &packed.files {
        let is_there = salvaged.complete.contains_key(path);
        let is_lost = !is_there && !is_hit(packed, touched, content);
        assert!(!is_lost, "{} of {} bytes, {touched:?}", path.escape_ascii(), content.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_sound_stream_without_frames_is_complete(files in files()) {
        let packed = pack(&files);
        let salvaged = bare(Holes::new(&packed, Vec::new()));
        prop_assert_eq!(&salvaged.complete, &packed.files);
        prop_assert_eq!((salvaged.partial.len(), salvaged.gaps, salvaged.faults), (0, 0, 0));
    }

    #[test]
    fn without_frames_damage_costs_the_blocks_it_touches(
        files in files(), damage in damage(), place in 0.0f64..1.0,
    ) {
        let packed = pack(&files);
        let mut source = Holes::new(&packed, Vec::new());
        let at = (packed.bytes.len() as f64 * place) as usize;
        let touched = damage.apply(&mut source.bytes, at);
        let is_changed = source.bytes != packed.bytes;
        let salvaged = bare(source);
        prop_assert!(!is_changed || salvaged.gaps + salvaged.faults > 0);
        assert_untouched_is_whole(&packed, &salvaged, &touched);
    }

    #[test]
    fn without_frames_much_damage_gives_nothing_wrong(
        files in files(), damage in prop::collection::vec((damage(), 0.0f64..1.0), 1..8),
    ) {
        let packed = pack(&files);
        let mut source = Holes::new(&packed, Vec::new());
        for (damage, place) in damage {
            let at = (source.bytes.len() as f64 * place) as usize;
            let at = at.min(source.bytes.len() - 1);
            damage.apply(&mut source.bytes, at);
        }
        let salvaged = bare(source);
        assert_never_wrong(&packed, &salvaged);
        for path in salvaged.complete.keys() {
            prop_assert!(packed.files.contains_key(path));
        }
    }

    /// All bytes of a frame can be read, and some are wrong: a codec that is stored.
    #[test]
    fn a_readable_frame_gives_all_blocks_but_those_that_are_hit(
        files in files(), at in 0.0f64..1.0, size in 1usize..60_000, hit in 0.0f64..1.0, xor in 1u8..,
    ) {
        let packed = pack(&files);
        let start = (packed.bytes.len() as f64 * at) as usize;
        let hole = start..(start + size).min(packed.bytes.len());
        let place = hole.start + (hole.len() as f64 * hit) as usize;
        let mut source = Holes::new(&packed, vec![hole.clone()]);
        (source.prefix, source.cause) = (hole.len(), Cause::Corrupt);
        source.flips.push((place, xor));
        let salvaged = salvage(source, 1);
        assert_untouched_is_whole(&packed, &salvaged, &(place..place + 1));
        let section = packed.sections.iter().find(|section| section.range.contains(&place));
        let most = section.map_or(64, |section| section.range.len());
        let last = packed.sections.iter().find(|section| section.range.contains(&(hole.end - 1)));
        let straddling = last.map_or(0, |section| section.range.len());
        prop_assert!(salvaged.missing as usize <= most + straddling, "{} bytes", salvaged.missing);
    }
}

/// The one behind a damaged block, which may begin with any number of bytes in the damaged frame.
#[test]
fn a_block_is_completed_whose_head_is_cut_behind_one_that_is_hit() {
    let files: Vec<_> = (0..3u8).map(|n| (format!("f{n}").into_bytes(), content(n, 900))).collect();
    let packed = pack(&files);
    let section = |n| {
        let digest = cid_of(codec::RAW, &content(n, 900)).hash().digest().to_vec();
        let found = packed.sections.iter().find(|section| section.digest[..] == digest[..]);
        found.expect("it is in the pack").range.clone()
    };
    let (hit, next) = (section(0), section(1));
    assert_eq!(hit.end, next.start);
    for end in next.start..next.end {
        let hole = hit.start + 100..end;
        let mut source = Holes::new(&packed, vec![hole.clone()]);
        (source.prefix, source.cause) = (hole.len(), Cause::Corrupt);
        source.flips.push((hole.start, 1));
        let salvaged = salvage(source, 1);
        assert_untouched_is_whole(&packed, &salvaged, &(hole.start..hole.start + 1));
    }
}

/// What is removed or repeated may be exactly so many sections that all that is left fits together.
#[test]
fn sections_that_are_gone_without_a_trace_give_nothing_wrong() {
    let files: Vec<_> = (0..12u8)
        .map(|n| (format!("f{n}").into_bytes(), content(n, if n == 5 { 30_000 } else { 500 })))
        .collect();
    let packed = pack(&files);
    let sections: Vec<_> = packed.sections.iter().map(|section| section.range.clone()).collect();
    for from in 0..sections.len() {
        for to in from + 1..(from + 4).min(sections.len()) {
            let range = sections[from].start..sections[to - 1].end;
            let mut without = Holes::new(&packed, Vec::new());
            without.bytes.drain(range.clone());
            let salvaged = bare(without);
            for (path, content) in &salvaged.complete {
                let sizes = (packed.files[path].len(), content.len());
                // Whoever writes it compares its SHA-256.
                assert!(sizes.0 == sizes.1 && packed.files[path] == *content, "{from}..{to}");
            }
            let mut twice = Holes::new(&packed, Vec::new());
            let again = packed.bytes[range.clone()].to_vec();
            twice.bytes.splice(range.end..range.end, again);
            for (path, content) in &bare(twice).complete {
                assert!(packed.files[path] == *content, "{from}..{to} twice");
            }
        }
    }
}

/// A pack that has a copy of its own beginning as a file, as one that is written into the directory that it packs.
#[test]
fn a_copy_of_the_pack_in_itself_says_nothing_new() {
    let mut files: Vec<_> =
        (0..20u8).map(|n| (format!("f{n}").into_bytes(), content(n, 300))).collect();
    let first = pack(&files);
    let begun = first.bytes[..first.far.min(4000)].to_vec();
    files.push((b"z itself".to_vec(), begun));
    let packed = pack(&files);
    assert!(CarSlice::parse(&packed.bytes).is_ok());
    for at in (0..packed.bytes.len()).step_by(13) {
        for damage in [Damage::Zero(60), Damage::Insert(vec![7]), Damage::Remove(40)] {
            let mut source = Holes::new(&packed, Vec::new());
            let touched = damage.apply(&mut source.bytes, at);
            let salvaged = bare(source);
            assert_untouched_is_whole(&packed, &salvaged, &touched);
        }
    }
}
