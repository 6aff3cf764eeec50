//! Damaged streams: what is intact comes out, and nothing wrong does.

mod support;

use std::ops::Range;

use carstone_car::{CarSlice, cid_of, codec};
use carstone_layer::Cause;
use carstone_pack::Record;
use proptest::prelude::*;
use support::{Holes, Packed, assert_never_wrong, pack, pack_linked, salvage};

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
fn is_name(record: &Record) -> bool {
    matches!(record, Record::Batch(_) | Record::End(_) | Record::Manifest)
}

#[test]
fn directories_give_names_where_nothing_else_does() {
    let files: Vec<_> = (0..30u8)
        .map(|n| (format!("d{}/f{n}", n % 3).into_bytes(), content(n, 100 + usize::from(n) * 50)))
        .collect();
    let packed = pack(&files);
    let salvaged = salvage(Holes::new(&packed, records(&packed, is_name)), 1);
    assert_eq!(salvaged.complete, packed.files);
    assert_eq!(salvaged.nameless, 0);
    // Without the tail record nobody can say which directory is the root.
    let named = |record: &Record| is_name(record) || matches!(record, Record::Tail(_));
    let salvaged = salvage(Holes::new(&packed, records(&packed, named)), 1);
    assert!(salvaged.complete.is_empty());
    assert_eq!(salvaged.nameless, 30);
}

/// Files of one, two and three levels, and one in which a leaf stands twice.
fn long_files() -> Vec<(Vec<u8>, Vec<u8>)> {
    let twice = [content(9, 4096), content(8, 4096), content(9, 4096), content(7, 10)].concat();
    let long = |n: u8, len| (vec![b'f', b'0' + n], content(n, len));
    vec![
        long(0, 4096),
        long(1, 4097),
        long(2, 70_000),
        long(3, 4 * 4096),
        (b"twice".to_vec(), twice),
        (b"nothing".to_vec(), Vec::new()),
    ]
}

#[test]
fn files_that_only_directories_name_are_proved_by_their_links() {
    let packed = pack(&long_files());
    let lost = records(&packed, is_name);
    let salvaged = salvage(Holes::new(&packed, lost.clone()), 1);
    assert_eq!(salvaged.complete, packed.files);
    assert!(salvaged.partial.is_empty());
    assert_eq!(salvaged.nameless, 0);
    // Each other section that is lost too costs the files that need it, and no others.
    for section in packed.sections.iter().filter(|section| section.range.end <= packed.far) {
        let mut lost = lost.clone();
        // Nothing of an empty file can be lost.
        let is_empty = section.digest == cid_of(codec::RAW, &[]).hash().digest();
        if lost.contains(&section.range) || is_empty {
            continue;
        }
        lost.push(section.range.clone());
        lost.sort_by_key(|hole| hole.start);
        let salvaged = salvage(Holes::new(&packed, lost), 1);
        assert_never_wrong(&packed, &salvaged);
        assert!(salvaged.complete.len() < packed.files.len(), "{:?}", section.range);
        for (path, (_, missing, size)) in &salvaged.partial {
            assert!(size.is_none() || !missing.is_empty(), "{}", path.escape_ascii());
        }
    }
}

/// Neither announced nor there: an empty file is complete all the same, whether the manifest names it or a directory.
#[test]
fn nothing_of_an_empty_file_can_be_lost() {
    let packed = pack(&[(b"nothing".to_vec(), Vec::new()), (b"long".to_vec(), content(1, 9_000))]);
    let empty = cid_of(codec::RAW, &[]);
    let leaf = packed.sections.iter().find(|section| section.digest == empty.hash().digest());
    let leaf = leaf.expect("it is in the pack").range.clone();
    let is_batch = |record: &Record| matches!(record, Record::Batch(_));
    let cases: [&dyn Fn(&Record) -> bool; 3] = [&|_| false, &is_batch, &is_name];
    for is_lost in cases {
        let mut lost = records(&packed, is_lost);
        lost.push(leaf.clone());
        lost.sort_by_key(|hole| hole.start);
        let salvaged = salvage(Holes::new(&packed, lost), 1);
        assert_eq!(salvaged.complete, packed.files);
    }
}

#[test]
fn hard_links_are_told_whatever_is_left_to_name_them_and_their_originals() {
    let files: Vec<_> = [(0u8, 300), (1, 9_000), (2, 20)]
        .map(|(n, len)| (vec![b'f', b'0' + n], content(n, len)))
        .to_vec();
    let packed = pack_linked(&files, &[(b"link 0", 0), (b"link 1", 1)]);
    let expected = [("link 0", "f0"), ("link 1", "f1")]
        .map(|(link, original)| (link.as_bytes().to_vec(), Some(original.as_bytes().to_vec())));
    let is_of_links = |record: &Record| {
        let link = |path: &[u8]| path.starts_with(b"link");
        matches!(record, Record::Batch(batch) if batch.entries.iter().any(|e| link(&e.path)))
    };
    let is_batch = |record: &Record| matches!(record, Record::Batch(_));
    let is_of_originals = |record: &Record| is_name(record) && !is_of_links(record);
    // The manifest names the links; then links and originals; then only directories name the originals.
    let cases: [&dyn Fn(&Record) -> bool; 4] =
        [&|_| false, &is_of_links, &is_batch, &is_of_originals];
    for (n, is_lost) in cases.into_iter().enumerate() {
        let salvaged = salvage(Holes::new(&packed, records(&packed, is_lost)), 1);
        assert_eq!(salvaged.complete, packed.files, "{n}");
        assert_eq!(salvaged.links, expected.clone().into(), "{n}");
    }
    // Directories alone do not tell links from files.
    let salvaged = salvage(Holes::new(&packed, records(&packed, is_name)), 1);
    assert_eq!(salvaged.complete.len(), 5);
    assert_eq!(salvaged.complete[&b"link 1"[..]], packed.files[&b"f1"[..]]);
}
