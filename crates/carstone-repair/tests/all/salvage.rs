//! Damaged streams: what is intact comes out, and nothing wrong does.

use std::ops::Range;

use crate::support::{self, Holes, Packed, assert_never_wrong, pack, salvage};
use carstone_car::CarSlice;
use carstone_layer::Cause;
use carstone_pack::Record;
use proptest::prelude::*;

fn content(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed) ^ (n >> 8) as u8).collect()
}

fn files() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let small = (any::<u8>(), 0usize..3000);
    let large = (any::<u8>(), 4000usize..90_000);
    let one = prop_oneof![4 => small, 1 => large];
    prop::collection::vec(one, 1..40).prop_map(|files| {
        let named = files.into_iter().enumerate();
        named
            .map(|(n, (seed, len))| {
                (format!("d{}/f{n}", n % 3).into_bytes(), content(seed % 16, len))
            })
            .collect()
    })
}

/// The holes that are made when `cuts` of a stream (in thousandths) are lost.
fn holes(packed: &Packed, cuts: &[(u16, usize)]) -> Vec<Range<usize>> {
    let len = packed.bytes.len();
    let mut holes: Vec<Range<usize>> = Vec::new();
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    for (at, size) in cuts {
        let start = (len * usize::from(at) / 1000).max(holes.last().map_or(0, |hole| hole.end + 1));
        let end = (start + size).min(len);
        if start < end {
            holes.push(start..end);
        }
    }
    holes
}

fn is_hit(packed: &Packed, holes: &[Range<usize>], content: &[u8]) -> bool {
    content.chunks(4096).any(|chunk| {
        let cid = carstone_car::cid_of(carstone_car::codec::RAW, chunk);
        let leaf = packed.sections.iter().find(|section| section.digest == cid.hash().digest());
        let range = &leaf.expect("each leaf is in the pack").range;
        holes.iter().any(|hole| hole.start < range.end && range.start < hole.end)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_sound_stream_is_complete(files in files(), threads in 1usize..3) {
        let packed = pack(&files);
        let salvaged = salvage(Holes::new(&packed, Vec::new()), threads);
        prop_assert_eq!(&salvaged.complete, &packed.files);
        prop_assert_eq!((salvaged.partial.len(), salvaged.gaps, salvaged.faults), (0, 0, 0));
        prop_assert_eq!(salvaged.nameless, 0);
    }

    /// Names come from the batch or the manifest, what belongs where from order, records, nodes or the manifest.
    #[test]
    fn a_hole_costs_only_files_whose_leaves_it_hits(
        files in files(),
        at in 0u16..1000,
        size in 1usize..20_000,
        prefix in 0usize..5_000,
        cut in any::<bool>(),
    ) {
        let packed = pack(&files);
        let mut holes = holes(&packed, &[(at, size)]);
        for hole in &mut holes {
            if hole.start < packed.far {
                hole.end = hole.end.min(packed.far);
            }
        }
        let mut source = Holes::new(&packed, holes.clone());
        (source.prefix, source.cause) = (prefix, if cut { Cause::Truncated } else { Cause::Corrupt });
        let salvaged = salvage(source, 1);
        assert_never_wrong(&packed, &salvaged);
        for (path, content) in &packed.files {
            if !is_hit(&packed, &holes, content) {
                prop_assert!(salvaged.complete.contains_key(path), "{}", path.escape_ascii());
            }
        }
    }

    #[test]
    fn many_holes_give_nothing_wrong(
        files in files(),
        cuts in prop::collection::vec((0u16..1000, 1usize..3000), 1..20),
        prefix in 0usize..2000,
    ) {
        let packed = pack(&files);
        let mut source = Holes::new(&packed, holes(&packed, &cuts));
        source.prefix = prefix;
        let salvaged = salvage(source, 2);
        assert_never_wrong(&packed, &salvaged);
        for path in salvaged.complete.keys() {
            prop_assert!(packed.files.contains_key(path) || path.is_empty());
        }
    }

    /// No hash covers the codec of a section: what is taken for another kind of block must not move what follows it.
    #[test]
    fn a_beginning_without_proof_may_have_wrong_codecs(
        files in files(),
        at in 0u16..1000,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0usize..3), 1..4),
        cut in any::<bool>(),
    ) {
        let packed = pack(&files);
        let cuts = holes(&packed, &[(at, 50_000)]);
        let mut source = Holes::new(&packed, cuts);
        source.prefix = 50_000;
        source.cause = if cut { Cause::Truncated } else { Cause::Corrupt };
        for (section, kind) in flips {
            let start = section.get(&packed.sections).range.start;
            let varint = packed.bytes[start..].iter().position(|byte| byte & 0x80 == 0).unwrap_or(0);
            source.flips.push((start + varint + 2, [0x55 ^ 0x71, 0x55 ^ 0x70, 0x70 ^ 0x71][kind]));
        }
        assert_never_wrong(&packed, &salvage(source, 1));
    }

    #[test]
    fn a_cut_keeps_what_is_whole_before_it(files in files(), at in 0u16..1000) {
        let packed = pack(&files);
        let cut = packed.bytes.len() * usize::from(at) / 1000;
        let mut source = Holes::new(&packed, Vec::new());
        source.bytes.truncate(cut);
        let salvaged = salvage(source, 1);
        assert_never_wrong(&packed, &salvaged);
        for (path, content) in &packed.files {
            // Its leaf may stand in front of its announcement, where an earlier file has it too.
            let rest = cut..packed.bytes.len();
            let is_announced = packed.announced[path] <= cut && content.len() <= 4096;
            if is_announced && !is_hit(&packed, std::slice::from_ref(&rest), content) {
                prop_assert!(salvaged.complete.contains_key(path), "{}", path.escape_ascii());
            }
        }
    }
}

/// Records of a pack, and what they are.
fn records(packed: &Packed, is_lost: impl Fn(&Record) -> bool) -> Vec<Range<usize>> {
    let mut lost = Vec::new();
    for block in CarSlice::parse(&packed.bytes).expect("a CAR").blocks() {
        let (section, block) = block.expect("a sound CAR");
        let is_record = Record::is_record(&block.cid, block.data, &support::ID);
        if is_record && is_lost(&Record::decode(block.data, 0).expect("a sound record")) {
            lost.push(section.offset as usize..section.end() as usize);
        }
    }
    lost
}

/// Neither batches nor end records nor manifest: what is left are leaves, nodes and directories.
#[test]
fn directories_give_names_where_nothing_else_does() {
    let files: Vec<_> = (0..30u8)
        .map(|n| (format!("d{}/f{n}", n % 3).into_bytes(), content(n, 100 + usize::from(n) * 50)))
        .collect();
    let packed = pack(&files);
    let named =
        |record: &Record| matches!(record, Record::Batch(_) | Record::End(_) | Record::Manifest);
    let salvaged = salvage(Holes::new(&packed, records(&packed, named)), 1);
    assert_eq!(salvaged.complete, packed.files);
    assert_eq!(salvaged.nameless, 0);
    // Without the tail record nobody can say which directory is the root.
    let named = |record: &Record| named(record) || matches!(record, Record::Tail(_));
    let salvaged = salvage(Holes::new(&packed, records(&packed, named)), 1);
    assert!(salvaged.complete.is_empty());
    assert_eq!(salvaged.nameless, 30);
}
