//! The laws of every layer, on random streams.

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use crate::streams::{N, codecs, noise, options, plain, store};
use carstone_compress::{Codec, CompressFailSafe, CompressReader, CompressWriter, ReadOptions};
use carstone_layer::{FailSafeRead, Kind, PlainSource, ReadAt};
use proptest::prelude::*;

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(codecs())
}

const CASES: u32 = 48;

/// Compressible, incompressible and mixed.
fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    (0..most, 0..3).prop_map(|(len, kind)| match kind {
        0 => plain(len),
        1 => noise(len),
        _ => [plain(len / 2), noise(len - len / 2)].concat(),
    })
}

/// What is done to a writer.
#[derive(Clone, Debug)]
enum Act {
    Write(usize),
    Boundary,
    SeekUnit(u32),
    Flush,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..N + N / 2).prop_map(Act::Write),
        2 => Just(Act::Boundary),
        1 => (0..2 * N as u32).prop_map(Act::SeekUnit),
        1 => Just(Act::Flush),
    ];
    prop::collection::vec(act, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn what_is_written_comes_back_with_its_boundaries(codec in codec(), acts in acts()) {
        let all = plain(12 * 2 * N);
        let write = |threads| {
            let options = options(codec).threads(threads);
            let mut writer = CompressWriter::with_options(Vec::new(), options).expect("opens");
            let (mut at, mut sections) = (0, Vec::new());
            for act in &acts {
                match *act {
                    Act::Write(len) => {
                        writer.write_all(&all[at..at + len]).expect("writes");
                        at += len;
                    }
                    Act::Boundary => {
                        writer.boundary();
                        sections.push(at as u64);
                    }
                    // A unit of few bytes would make thousands of frames.
                    Act::SeekUnit(max) => writer.seek_unit(max.max(1000)),
                    Act::Flush => writer.flush().expect("flushes"),
                }
            }
            (writer.finish().expect("finishes"), at, sections)
        };
        let (stored, len, sections) = write(2);
        prop_assert!(stored == write(1).0);
        let mut reader = CompressReader::open(Cursor::new(&stored)).expect("opens");
        let mut back = Vec::new();
        reader.read_to_end(&mut back).expect("reads");
        prop_assert!(back == all[..len]);
        reader.verify(|_| ()).expect("verifies");
        for frame in reader.frames() {
            let header = frame.expect("sound").1;
            if header.kind == Kind::DATA {
                let range = header.plain_offset..header.plain_end().expect("fits");
                let first = sections.iter().find(|at| range.contains(at));
                let stated = header.first_boundary.map(|at| range.start + u64::from(at));
                prop_assert_eq!(stated, first.copied());
            }
        }
    }

    #[test]
    fn any_split_of_writes_and_reads_gives_the_same_bytes(
        plain in bytes(3 * N),
        splits in prop::collection::vec(1..N * 2, 1..20),
        reads in prop::collection::vec(1..N * 2, 1..20),
    ) {
        let whole = store(&plain, options(Codec::Brotli(1)));
        let mut writer =
            CompressWriter::with_options(Vec::new(), options(Codec::Brotli(1))).expect("opens");
        let (mut rest, mut lens) = (&plain[..], splits.iter().cycle());
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(rest.len().min(*lens.next().expect("endless")));
            writer.write_all(part).expect("writes");
            rest = behind;
        }
        let stored = writer.finish().expect("finishes");
        prop_assert!(stored == whole);
        let mut reader = CompressReader::open(Cursor::new(&stored)).expect("opens");
        let (mut back, mut lens) = (Vec::new(), reads.iter().cycle());
        loop {
            let len = *lens.next().expect("endless") as u64;
            if reader.by_ref().take(len).read_to_end(&mut back).expect("reads") == 0 {
                break;
            }
        }
        prop_assert!(back == plain);
    }

    #[test]
    fn seeks_agree_with_a_cursor(
        plain in bytes(4 * N),
        cache in 0..4 * N,
        steps in prop::collection::vec((any::<bool>(), 0..5 * N as u64, 0..N), 1..20),
    ) {
        let stored = store(&plain, options(Codec::Brotli(1)));
        let read = ReadOptions::default().cache(cache).threads(2);
        let mut reader = CompressReader::with_options(&stored, read).expect("opens");
        let mut model = Cursor::new(&plain);
        for (seeks, at, len) in steps {
            if seeks {
                let at = SeekFrom::Start(at);
                prop_assert_eq!(reader.seek(at).expect("seeks"), model.seek(at).expect("seeks"));
            }
            let (mut a, mut b) = (Vec::new(), Vec::new());
            reader.by_ref().take(len as u64).read_to_end(&mut a).expect("reads");
            model.by_ref().take(len as u64).read_to_end(&mut b).expect("reads");
            prop_assert!(a == b);
            let (mut a, mut b) = (vec![0; len], vec![0; len]);
            let n = carstone_layer::read_full(&reader, &mut a, at).expect("reads");
            let m = carstone_layer::read_full(&plain, &mut b, at).expect("reads");
            prop_assert!(n == m && a == b);
        }
        prop_assert_eq!(reader.size().expect("known"), plain.len() as u64);
    }

    #[test]
    fn flips_and_cuts_are_never_wrong_only_missing(
        codec in codec(),
        plain in bytes(5 * N),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..4096_usize), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        moved in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let mut stored = store(&plain, options(codec));
        for (at, len) in flips {
            let at = at.index(stored.len());
            let end = stored.len().min(at + len);
            stored[at..end].iter_mut().for_each(|byte| *byte ^= 0xA5);
        }
        if let Some((a, b)) = moved {
            let (a, b) = (a.index(stored.len()), b.index(stored.len()));
            let piece: Vec<u8> = stored.drain(a.min(b)..a.max(b)).collect();
            let to = stored.len() / 2;
            stored.splice(to..to, piece);
        }
        if let Some(cut) = cut {
            stored.truncate(cut.index(stored.len()));
        }
        // The strict reader gives the plain bytes or an error.
        let mut back = Vec::new();
        if let Ok(mut reader) = CompressReader::open_at(&stored) {
            let read = reader.read_to_end(&mut back);
            prop_assert!(plain.starts_with(&back));
            prop_assert!(read.is_err() || back == plain);
        }
        // What the fail-safe reader gives and what it reports make up the stream.
        let mut reader =
            CompressFailSafe::new(PlainSource::new(&stored[..]), ReadOptions::default());
        let mut next = 0;
        loop {
            let mut part = Vec::new();
            reader.read_to_end(&mut part).expect("reads");
            prop_assert!(plain[next..].starts_with(&part), "wrong bytes at {next}");
            next += part.len();
            prop_assert_eq!(reader.position(), next as u64);
            let Some(gap) = reader.next_gap().expect("reads") else { break };
            prop_assert_eq!(gap.at, next as u64);
            match gap.len {
                Some(len) => next += len as usize,
                None => {
                    // Nothing comes behind a gap without end.
                    prop_assert_eq!(reader.read(&mut [0]).expect("reads"), 0);
                    prop_assert!(reader.next_gap().expect("reads").is_none());
                    next = plain.len();
                    break;
                }
            }
        }
        prop_assert_eq!(next, plain.len());
    }
}
