//! Damaged plain CARs: blocks come out as they were, damage costs the blocks it touches, and hashing is bounded.

use std::io::{self, Read};
use std::ops::Range;

use carstone_car::{
    CarReader, CarWriter, Cid, Limits, ReaderOptions, cid_of, codec, multihash::Multihash, verify,
};
use carstone_repair::{BlockSearch, CarFault, CarGap, CarItem, CarSalvage};
use proptest::prelude::*;

fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A CAR, and where its sections lie.
struct Car {
    bytes: Vec<u8>,
    sections: Vec<(Range<usize>, Cid)>,
    header: usize,
}

fn car(blocks: &[Vec<u8>]) -> Car {
    let root = cid_of(codec::RAW, b"root");
    let mut writer = CarWriter::new(Vec::new(), &[root]).expect("memory");
    let header = writer.position() as usize;
    let mut sections = Vec::new();
    for data in blocks {
        let start = writer.position() as usize;
        let cid = cid_of(codec::RAW, data);
        writer.write_block(&cid, data).expect("memory");
        sections.push((start..writer.position() as usize, cid));
    }
    Car { bytes: writer.finish().expect("memory"), sections, header }
}

#[derive(Default)]
struct Found {
    blocks: Vec<(Range<usize>, Cid)>,
    gaps: Vec<CarGap>,
    has_header: bool,
    hashed: u64,
    taken: u64,
}

/// Reads to the end, and fails unless blocks are true and everything tiles the input.
#[track_caller]
fn salvage_with(bytes: &[u8], limits: Limits) -> Found {
    let (mut salvage, mut found, mut at) =
        (CarSalvage::with_limits(bytes, limits), Found::default(), 0);
    while let Some(item) = salvage.next().expect("memory can be read") {
        match item {
            CarItem::Header { len, .. } => {
                found.has_header = true;
                at += len;
            }
            CarItem::Block { section, data, .. } => {
                assert_eq!(section.offset, at, "no overlap, and nothing between");
                verify(&section.cid, &data).expect("a true block");
                let inside = section.data_offset as usize..section.end() as usize;
                assert!(bytes[inside] == data[..], "nothing is joined");
                found.blocks.push((section.offset as usize..section.end() as usize, section.cid));
                at = section.end();
            }
            CarItem::Gap(gap) => {
                assert_eq!(gap.range.start, at, "no overlap, and nothing between");
                at = gap.range.end;
                found.gaps.push(gap);
            }
            _ => {}
        }
        assert_eq!(salvage.position(), at);
    }
    assert_eq!(at, bytes.len() as u64, "all of the input");
    (found.hashed, found.taken) = (salvage.hashed(), salvage.taken());
    found
}

#[track_caller]
fn salvage(bytes: &[u8]) -> Found {
    salvage_with(bytes, Limits::default())
}

fn bound(taken: u64, limits: Limits) -> u64 {
    BlockSearch::<&[u8]>::HASHED_PER_BYTE * taken + 2 * limits.section as u64
}

/// Damage in one place: the damaged bytes, and those of the original that are touched.
#[derive(Clone, Debug)]
enum Damage {
    Flip(u8),
    Zero(usize),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
    Cut,
}

impl Damage {
    fn apply(&self, bytes: &[u8], at: usize) -> (Vec<u8>, Range<usize>) {
        let mut damaged = bytes.to_vec();
        let end = |len: usize| (at + len).min(bytes.len());
        match self {
            Self::Flip(bit) => {
                damaged[at] ^= 1 << (bit % 8);
                (damaged, at..at + 1)
            }
            Self::Zero(len) => {
                damaged[at..end(*len)].fill(0);
                (damaged, at..end(*len))
            }
            Self::Insert(more) => {
                damaged.splice(at..at, more.iter().copied());
                (damaged, at..at)
            }
            Self::Remove(len) => {
                damaged.drain(at..end(*len));
                (damaged, at..end(*len))
            }
            Self::Repeat(len) => {
                let again = bytes[at..end(*len)].to_vec();
                damaged.splice(end(*len)..end(*len), again);
                (damaged, end(*len)..end(*len))
            }
            Self::Cut => {
                damaged.truncate(at);
                (damaged, at..bytes.len())
            }
        }
    }
}

/// Whether the damaged bytes are, by all lengths in them, a whole CAR, in which a block begins inside of another one. Nobody can tell that from a block that holds
/// a CAR and has a flipped bit.
fn swallows(sound: &[u8], damaged: &[u8], touched: &Range<usize>, lost: &Range<usize>) -> bool {
    let shifted = |at: usize| match at >= touched.end {
        true => at + damaged.len() - sound.len(),
        false => at,
    };
    let start = shifted(lost.start) as u64;
    let options = ReaderOptions::default().danger_skip_verification();
    let Ok(reader) = CarReader::with_options(damaged, options) else { return false };
    let sections: Result<Vec<_>, _> = reader.into_sections().collect();
    sections.is_ok_and(|sections| {
        sections.iter().any(|section| section.offset < start && start < section.end())
    })
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<u8>().prop_map(Damage::Flip),
        (1usize..5000).prop_map(Damage::Zero),
        prop::collection::vec(any::<u8>(), 1..300).prop_map(Damage::Insert),
        (1usize..5000).prop_map(Damage::Remove),
        (1usize..5000).prop_map(Damage::Repeat),
        Just(Damage::Cut),
    ]
}

/// Blocks of many sizes, some of which hold whole CARs.
fn blocks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let plain = (any::<u64>(), 0usize..4000).prop_map(|(seed, len)| content(seed, len));
    let nested = (any::<u64>(), 1usize..4).prop_map(|(seed, count)| {
        let inner: Vec<_> = (0..count).map(|n| content(seed ^ n as u64, 40 * n)).collect();
        car(&inner).bytes
    });
    prop::collection::vec(prop_oneof![3 => plain, 1 => nested], 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damage_in_one_place_costs_the_blocks_it_touches(
        blocks in blocks(), damage in damage(), place in 0.0f64..1.0,
    ) {
        let car = car(&blocks);
        let at = (car.bytes.len() as f64 * place) as usize;
        let (damaged, touched) = damage.apply(&car.bytes, at);
        let found = salvage(&damaged);
        prop_assert!(found.hashed <= bound(found.taken, Limits::default()));
        for (range, cid) in &car.sections {
            let is_touched = match touched.is_empty() {
                true => range.start < touched.start && touched.start < range.end,
                false => range.start < touched.end && touched.start < range.end,
            };
            let is_there = found.blocks.iter().any(|(_, found)| found == cid);
            let is_swallowed = || swallows(&car.bytes, &damaged, &touched, range);
            prop_assert!(
                is_touched || is_there || is_swallowed(),
                "{:?} at {} lost {:?}", damage, at, range
            );
        }
        if touched.start >= car.header {
            prop_assert!(found.has_header);
        }
    }

    #[test]
    fn a_sound_car_has_no_gaps(blocks in blocks()) {
        let car = car(&blocks);
        let found = salvage(&car.bytes);
        prop_assert!(found.has_header);
        prop_assert_eq!(&found.gaps, &[]);
        prop_assert_eq!(found.blocks, car.sections);
        prop_assert!(found.hashed <= found.taken);
    }

    #[test]
    fn without_its_header_all_blocks_are_found(blocks in blocks(), junk in 0usize..200) {
        let car = car(&blocks);
        let bytes = [&vec![0; junk], &car.bytes[car.header..]].concat();
        let found = salvage(&bytes);
        prop_assert!(!found.has_header);
        prop_assert_eq!(found.blocks.len(), car.sections.len());
        prop_assert_eq!(found.gaps.len(), 1);
        prop_assert_eq!(&found.gaps[0].fault, &CarFault::Header);
    }

    #[test]
    fn the_pieces_in_which_a_stream_arrives_make_no_difference(
        blocks in blocks(), damage in damage(), place in 0.0f64..1.0, piece in 1usize..5000,
    ) {
        let car = car(&blocks);
        let (damaged, _) = damage.apply(&car.bytes, (car.bytes.len() as f64 * place) as usize);
        let whole = items(&damaged[..]);
        prop_assert_eq!(whole, items(Pieces { bytes: &damaged, piece }));
    }

    #[test]
    fn any_bytes_are_tiled(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        salvage(&bytes);
    }
}

fn items(source: impl Read) -> Vec<CarItem> {
    let mut salvage = CarSalvage::new(source);
    std::iter::from_fn(|| salvage.next().expect("memory can be read")).collect()
}

struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let most = buf.len().min(self.piece);
        self.bytes.read(&mut buf[..most])
    }
}

#[test]
fn a_flipped_bit_is_a_mismatch_of_its_block_alone() {
    let mut car = car(&[content(1, 300), content(2, 300), content(3, 300)]);
    for hit in [0, 1] {
        car.bytes[car.sections[hit].0.end - 5] ^= 4;
    }
    let found = salvage(&car.bytes);
    let faults: Vec<_> = found.gaps.iter().map(|gap| gap.fault.clone()).collect();
    let mismatch = |n: usize| CarFault::Mismatch(Box::new(car.sections[n].1));
    assert_eq!(faults, [mismatch(0), mismatch(1)]);
    assert_eq!(found.blocks, car.sections[2..]);
}

#[test]
fn a_block_that_nobody_can_verify_is_passed_over_whole() {
    let odd = Cid::new_v1(codec::RAW, Multihash::wrap(0x9999, &[7; 32]).expect("it fits"));
    let inner = car(&[content(1, 100)]);
    let mut writer = CarWriter::new(Vec::new(), &[]).expect("memory");
    writer.danger_write_unverified(&odd, &inner.bytes).expect("memory");
    writer.danger_write_unverified(&odd, &inner.bytes).expect("memory");
    writer.write_data(codec::RAW, b"behind").expect("memory");
    let found = salvage(&writer.finish().expect("memory"));
    let is_odd = |gap: &CarGap| gap.fault == CarFault::Unverifiable(Box::new(odd));
    assert!(found.gaps.len() == 2 && found.gaps.iter().all(is_odd), "{:?}", found.gaps);
    assert_eq!(found.blocks.len(), 1);
}

/// Where the next one stands right behind it, its length is right, and so all that is in it is content.
#[test]
fn what_is_inside_of_a_damaged_block_is_content() {
    let inner = car(&[content(1, 100), content(2, 100)]);
    let mut outer = car(&[content(3, 50), inner.bytes, content(4, 50)]);
    let section = outer.sections[1].0.clone();
    // In the inner header, which no section of it touches.
    let at = section.start + 60;
    outer.bytes[at] ^= 1;
    for (bytes, more) in [(&outer.bytes[..], 1), (&outer.bytes[..section.end], 0)] {
        let found = salvage(bytes);
        assert_eq!(found.blocks.len(), 1 + more);
        assert_eq!(found.gaps.len(), 1, "{:?}", found.gaps);
        assert_eq!(found.gaps[0].range, section.start as u64..section.end as u64);
    }
}

#[test]
fn what_is_inside_of_a_verified_block_is_content() {
    let inner = car(&(0..20).map(|n| content(n, 200)).collect::<Vec<_>>());
    let outer = car(&[inner.bytes.clone(), content(99, 50)]);
    let mut bytes = outer.bytes.clone();
    bytes[..outer.header].fill(0);
    assert_eq!(salvage(&bytes).blocks, outer.sections);
}

/// Heads of sections every 64 bytes, each announcing the largest section there may be.
fn pathological(len: usize, limits: Limits) -> Vec<u8> {
    let mut varint = Vec::new();
    let mut left = limits.section;
    while left >= 0x80 {
        varint.push(left as u8 | 0x80);
        left >>= 7;
    }
    varint.push(left as u8);
    let mut bytes = Vec::new();
    for n in 0..len / 64 {
        let head = [&varint, &cid_of(codec::RAW, &n.to_le_bytes()).to_bytes()[..]].concat();
        bytes.extend_from_slice(&head);
        bytes.resize((n + 1) * 64, 0xff);
    }
    bytes
}

#[test]
fn hashing_is_linear_in_the_input_whatever_it_announces() {
    let limits = Limits::default().section(64 << 10);
    let noise = pathological(1 << 20, limits);
    let found = salvage_with(&noise, limits);
    assert!(found.blocks.is_empty());
    assert_eq!(found.taken, noise.len() as u64);
    assert!(found.hashed <= bound(found.taken, limits), "{} of {}", found.hashed, found.taken);
    // Without a bound it would be so many times the input.
    assert!(found.hashed * 100 < (noise.len() / 64 * limits.section) as u64);
}

#[test]
fn behind_a_pathological_stretch_blocks_are_found_again() {
    let limits = Limits::default().section(64 << 10);
    let behind = car(&(0..20).map(|n| content(n, 40_000)).collect::<Vec<_>>());
    let bytes = [pathological(1 << 20, limits), behind.bytes].concat();
    let found = salvage_with(&bytes, limits);
    assert!(found.blocks.len() >= 16, "{} blocks", found.blocks.len());
    assert!(found.gaps.iter().any(|gap| gap.range.end > 1 << 20) || found.blocks.len() == 20);
    assert!(found.hashed <= bound(found.taken, limits));
}

#[test]
fn a_section_over_the_limit_is_damage() {
    let car = car(&[content(1, 5000), content(2, 500)]);
    let found = salvage_with(&car.bytes, Limits::default().section(1000));
    assert_eq!(found.blocks, car.sections[1..]);
}
