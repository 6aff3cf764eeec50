//! What holds for any damage.

use carstone_parity::{ErrorKind, Layout, Memory, Parity, Share, protect};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::packed::{Frame, Kind, frames, healed, joined, noise, options, parity_of};

/// What befalls a cell, or a frame.
#[derive(Clone, Debug)]
enum Hit {
    Zero,
    Overwrite(u64),
    Flip(Vec<Index>),
    /// Some 1 to 40 bits, others in each.
    FlipDrawn(u64),
    Remove,
    Cut(Index, Index),
    Insert(Index, usize),
}

impl Hit {
    fn on(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match self {
            Self::Zero => bytes.fill(0),
            Self::Overwrite(seed) => *bytes = noise(len, *seed),
            Self::Flip(bits) => bits.iter().for_each(|bit| {
                let bit = bit.index(8 * len);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }),
            Self::FlipDrawn(seed) => {
                let drawn = noise(402, seed ^ carstone_layer::crc64(&[bytes]));
                let bits = drawn[2..].chunks_exact(10).take(usize::from(drawn[0] % 40) + 1);
                for bit in bits
                    .map(|bytes| bytes.iter().fold(0, |bit, byte| bit << 6 ^ usize::from(*byte)))
                {
                    bytes[bit / 8 % len] ^= 1 << (bit % 8);
                }
            }
            Self::Remove => bytes.clear(),
            Self::Cut(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                drop(bytes.drain(from.min(to)..from.max(to)));
            }
            Self::Insert(at, many) => {
                let at = at.index(len);
                bytes.splice(at..at, noise(*many, len as u64));
            }
        }
    }
}

fn hit() -> impl Strategy<Value = Hit> {
    let index = any::<Index>;
    prop_oneof![
        Just(Hit::Zero),
        any::<u64>().prop_map(Hit::Overwrite),
        proptest::collection::vec(index(), 1..40).prop_map(Hit::Flip),
        Just(Hit::Remove),
        (index(), index()).prop_map(|(from, to)| Hit::Cut(from, to)),
        (index(), 1..3_000_usize).prop_map(|(at, many)| Hit::Insert(at, many)),
    ]
}

/// What changes no length, and is another error in each cell of noise.
fn hit_in_place() -> impl Strategy<Value = Hit> {
    prop_oneof![
        Just(Hit::Zero),
        any::<u64>().prop_map(Hit::Overwrite),
        any::<u64>().prop_map(Hit::FlipDrawn),
    ]
}

/// Which of some things are hit, and how.
#[derive(Clone, Debug)]
struct Hits {
    /// How many of those that may be, in 256ths; all of them as often as not.
    part: u32,
    /// The first of them, where they lie side by side.
    burst: Option<Index>,
    seed: u64,
    kinds: Vec<Hit>,
}

fn hits() -> impl Strategy<Value = Hits> {
    hits_of(hit())
}

fn hits_in_place() -> impl Strategy<Value = Hits> {
    hits_of(hit_in_place())
}

fn hits_of(hit: impl Strategy<Value = Hit>) -> impl Strategy<Value = Hits> {
    let part = prop_oneof![Just(256), 0..=256_u32];
    let burst = proptest::option::of(any::<Index>());
    let kinds = proptest::collection::vec(hit, 1..6);
    (part, burst, any::<u64>(), kinds).prop_map(|(part, burst, seed, kinds)| Hits {
        part,
        burst,
        seed,
        kinds,
    })
}

impl Hits {
    /// Hits at most `most` of these; says how many.
    fn on(&self, things: &mut [&mut Vec<u8>], most: usize) -> usize {
        let count = (self.part as usize * most).div_ceil(256).min(things.len());
        let order = |at: usize| match self.burst {
            Some(first) => {
                let first = first.index(things.len() - count + 1);
                (!(first..first + count).contains(&at)).into()
            }
            None => noise(8, self.seed.wrapping_add(at as u64))
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let mut chosen: Vec<usize> = (0..things.len()).collect();
        chosen.sort_by_key(|at| order(*at));
        for (at, kind) in chosen.into_iter().take(count).zip(self.kinds.iter().cycle()) {
            kind.on(things[at]);
        }
        count
    }
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0..300_usize, 900..1_200_usize, 1_024..17_000_usize, 16_384..200_000_usize]
}

/// Up to 200 KB: noise, or what repeats itself.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    (length(), any::<u64>(), 0..8_u8, 1..5_000_usize).prop_map(|(len, seed, kind, period)| {
        let noise = noise(len.max(period), seed);
        let byte = |at: usize| match kind {
            0 => 0,
            1 => noise[at % period],
            2 => noise[at % (period % 7 + 1)],
            3 if (at / period).is_multiple_of(3) => 0,
            _ => noise[at],
        };
        (0..len).map(byte).collect()
    })
}

fn share() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1_000), 100..3_000_u32, Just(10_000)]
}

/// Where some bytes are put between cells or frames, and how many.
fn between() -> impl Strategy<Value = Vec<(Index, usize)>> {
    proptest::collection::vec((any::<Index>(), 1..5_000_usize), 0..5)
}

/// All cells, one behind the other, and foreign bytes between some of them.
fn put_together(parts: Vec<Vec<u8>>, between: &[(Index, usize)]) -> Vec<u8> {
    let mut parts = parts;
    for (at, many) in between {
        let at = at.index(parts.len() + 1);
        parts.insert(at, noise(*many, at as u64));
    }
    parts.concat()
}

/// Parity of which recovery cells, half of the table and all descriptors but one may be hit; and how many recovery cells are.
fn damaged_parity(parity: &[u8], hits: &[Hits; 3], between: &[(Index, usize)]) -> (Vec<u8>, usize) {
    let mut frames = frames(parity);
    let mut hit = |kind: Kind, hits: &Hits, most: &dyn Fn(usize) -> usize| {
        let of_kind = frames.iter_mut().filter(|frame| frame.kind == kind);
        let mut of_kind: Vec<_> = of_kind.map(|frame| &mut frame.bytes).collect();
        let most = most(of_kind.len());
        hits.on(&mut of_kind, most)
    };
    hit(Kind::Descriptor, &hits[0], &|all| all - 1);
    hit(Kind::Table, &hits[1], &|all| all / 2);
    let lost = hit(Kind::Recovery, &hits[2], &|all| all / 2);
    let frames = frames.into_iter().map(|frame| frame.bytes).collect();
    (put_together(frames, between), lost)
}

/// Something that is done to any bytes.
#[derive(Clone, Debug)]
enum Edit {
    Hit(Index, usize, Hit),
    Copy(Index, usize, Index),
    Bytes(Index, Vec<u8>),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..100);
    let (index, len) = (any::<Index>, prop_oneof![0..100_usize, 0..30_000_usize]);
    let edit = prop_oneof![
        (index(), len.clone(), hit()).prop_map(|(at, len, hit)| Edit::Hit(at, len, hit)),
        (index(), len, index()).prop_map(|(at, len, to)| Edit::Copy(at, len, to)),
        (index(), bytes).prop_map(|(at, bytes)| Edit::Bytes(at, bytes)),
    ];
    proptest::collection::vec(edit, 0..8)
}

fn edited(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for edit in edits {
        let range = |at: &Index, len: usize| {
            let at = at.index(bytes.len() + 1);
            at..bytes.len().min(at + len)
        };
        match edit {
            Edit::Hit(at, len, hit) => {
                let range = range(at, *len);
                let mut part = bytes[range.clone()].to_vec();
                if !part.is_empty() {
                    hit.on(&mut part);
                }
                bytes.splice(range, part);
            }
            Edit::Copy(at, len, to) => {
                let part = bytes[range(at, *len)].to_vec();
                let to = to.index(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            Edit::Bytes(at, part) => drop(bytes.splice(range(at, part.len()), part.clone())),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damage_to_no_more_cells_than_can_be_restored_is_healed(
        (stream, share) in (stream(), share()),
        hits in hits(),
        parity_hits in [hits(), hits(), hits()],
        (in_stream, in_parity) in (between(), between()),
    ) {
        let layout = Layout::new(stream.len() as u64, Share::new(share).unwrap()).unwrap();
        prop_assert!(layout.zones() <= 1);
        let (parity, lost) = damaged_parity(&parity_of(&stream, share), &parity_hits, &in_parity);
        let cells = stream.chunks(layout.cell_len() as usize);
        let mut cells: Vec<Vec<u8>> = cells.map(<[u8]>::to_vec).collect();
        // One cell must be there, or nothing ties the parity to the stream.
        let most = (layout.recovery() as usize - lost).min(cells.len().saturating_sub(1));
        hits.on(&mut cells.iter_mut().collect::<Vec<_>>(), most);
        let (healed, bytes) = healed(&put_together(cells, &in_stream), &parity).unwrap();
        prop_assert!(healed.whole, "{:?}", healed);
        prop_assert!(bytes == stream);
        prop_assert!(healed.restored <= most as u64 && healed.lost.is_empty());
    }

    #[test]
    fn without_its_table_damage_in_place_is_healed_as_long_as_three_recovery_cells_are_left_over(
        (len, share, seed) in (length(), share(), any::<u64>()),
        recovery_hits in hits(),
        hits in hits_in_place(),
    ) {
        let stream = noise(len, seed);
        let layout = Layout::new(len as u64, Share::new(share).unwrap()).unwrap();
        let mut frames = frames(&parity_of(&stream, share));
        frames.retain(|frame| frame.kind != Kind::Table);
        let recovery = frames.iter_mut().filter(|frame| frame.kind == Kind::Recovery);
        let mut recovery: Vec<_> = recovery.map(|frame| &mut frame.bytes).collect();
        let most = recovery.len() / 2;
        let lost = recovery_hits.on(&mut recovery, most);
        let cells = stream.chunks(layout.cell_len() as usize);
        let mut cells: Vec<Vec<u8>> = cells.map(<[u8]>::to_vec).collect();
        let most = (layout.recovery() as usize - lost).saturating_sub(3);
        hits.on(&mut cells.iter_mut().collect::<Vec<_>>(), most);
        let (healed, bytes) = healed(&cells.concat(), &joined(&frames)).unwrap();
        prop_assert!(healed.whole, "{:?} of {}", healed, most);
        prop_assert!(bytes == stream);
        prop_assert!(healed.lost.is_empty());
    }

    #[test]
    fn damage_of_any_kind_is_never_wrong(
        (stream, share) in (stream(), share()),
        (in_stream, in_parity) in (edits(), edits()),
    ) {
        let damaged = edited(&stream, &in_stream);
        let parity = edited(&parity_of(&stream, share), &in_parity);
        if let Ok((healed, bytes)) = healed(&damaged, &parity) {
            prop_assert_eq!(healed.whole, bytes == stream);
            prop_assert_eq!(bytes.len(), stream.len());
            prop_assert!(healed.lost.is_sorted_by_key(|range| range.start));
            for range in healed.lost {
                let lost = bytes.get(range.start as usize..range.end as usize).unwrap();
                prop_assert!(!healed.whole && !lost.is_empty() && lost.iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_parity(
        stream in stream(),
        bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
        frames in proptest::collection::vec((any::<Index>(), any::<Index>()), 0..4),
    ) {
        // Magics with anything behind them.
        let mut bytes = bytes;
        for (at, len) in frames {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + 8);
            let log = [6, 7, 8, 10, 20][len.index(5)];
            bytes.splice(at..end, [0xF5, b'C', b'S', b'P', 1, log % 3 + 1, log, 0]);
        }
        let error = healed(&stream, &bytes).unwrap_err();
        prop_assert!(matches!(error.kind(), ErrorKind::NoParity), "{}", error);
    }
}

#[test]
fn frames_are_all_of_the_parity() {
    for len in [0, 1, 70, 5_000, 100_000] {
        let parity = parity_of(&noise(len, 1), 1_000);
        let frames: Vec<Frame> = frames(&parity);
        assert!(joined(&frames) == parity);
        let descriptors = frames.iter().filter(|frame| frame.kind == Kind::Descriptor);
        assert_eq!(descriptors.count(), 2);
        let sealed = frames.iter().cloned().map(|mut frame| {
            frame.seal();
            frame
        });
        assert!(joined(&sealed.collect::<Vec<_>>()) == parity);
    }
}

#[test]
fn parity_is_the_same_however_the_source_is_read_and_the_target_written() {
    for len in [0, 1, 1_500, 60_000] {
        let stream = noise(len, 2);
        let whole = parity_of(&stream, 1_000);
        for threads in [1, 3] {
            let options = options(1_000).with_threads(threads);
            let target = Memory::new();
            protect(&crate::faults::OneByte(&stream), &target, &options, &|_| ()).unwrap();
            assert!(target.into_bytes() == whole);
            let target = crate::faults::Pieces::default();
            protect(&stream[..], &target, &options.with_at(1_000), &|_| ()).unwrap();
            assert!(target.into_bytes() == [&[0; 1_000][..], &whole].concat());
        }
        let parity = Parity::open(crate::faults::OneByte(&whole), 3).unwrap();
        assert!(parity.is_sound());
    }
}
