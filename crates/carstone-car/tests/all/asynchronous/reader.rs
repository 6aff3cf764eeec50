//! The asynchronous reader finds what the one that blocks finds, wherever the source makes it wait.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Fitful, poll_times};
use crate::laws::{block, roots};
use crate::sources::{car, raw, small};
use carstone_car::{
    AsyncCarReader, Block, CarFileWriter, CarReader, Cid, Error, ErrorKind, FileOptions, Limits,
    ReaderOptions, Result,
};
use futures::executor::block_on;
use futures::{AsyncRead, StreamExt, TryStreamExt};
use proptest::prelude::*;

/// What came of a call: all that there is to know of a block or an error.
fn told<T: std::fmt::Debug>(result: &Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => {
            format!("{:?} at {:?}, {:?}", error.kind(), error.offset(), error.file_offset())
        }
    }
}

/// Reads all of a CAR, every block in one of three ways, and tells what came of it, up to the second call that gives nothing.
fn read(bytes: &[u8], options: ReaderOptions, ways: &[u8]) -> Vec<String> {
    let mut reader = match CarReader::with_options(bytes, options) {
        Ok(reader) => reader,
        Err(error) => return vec![told(&Err::<(), _>(error))],
    };
    let mut log = vec![format!("{:?} {:?}", reader.header(), reader.v2_header())];
    let mut ends = 0;
    for way in ways.iter().cycle() {
        let mut data = Vec::new();
        let (is_end, text) = match way {
            0 => outcome(reader.next_block()),
            1 => outcome(reader.next_section()),
            _ => outcome(reader.read_block(&mut data)),
        };
        log.push(format!("{text} {data:?} next {}", reader.position()));
        ends += usize::from(is_end);
        if ends == 2 {
            break;
        }
    }
    log
}

/// The same, where every future is dropped after as many polls as a list says, and the call made again.
fn read_async(source: Fitful, options: ReaderOptions, ways: &[u8], polls: &[usize]) -> Vec<String> {
    let mut reader = match block_on(AsyncCarReader::with_options(source, options)) {
        Ok(reader) => reader,
        Err(error) => return vec![told(&Err::<(), _>(error))],
    };
    let mut log = vec![format!("{:?} {:?}", reader.header(), reader.v2_header())];
    let mut polls = polls.iter().cycle();
    let (mut ends, mut data) = (0, Vec::new());
    for way in ways.iter().cycle() {
        data.clear();
        let (is_end, text) = loop {
            let times = *polls.next().expect("endless");
            let outcome = match way {
                0 => poll_times(reader.next_block(), times).map(outcome),
                1 => poll_times(reader.next_section(), times).map(outcome),
                _ => poll_times(reader.read_block(&mut data), times).map(outcome),
            };
            if let Some(outcome) = outcome {
                break outcome;
            }
        };
        log.push(format!("{text} {data:?} next {}", reader.position()));
        ends += usize::from(is_end);
        if ends == 2 {
            break;
        }
    }
    log
}

fn outcome<T: std::fmt::Debug>(result: Result<Option<T>>) -> (bool, String) {
    let is_end = match &result {
        Ok(value) => value.is_none(),
        Err(error) => !error.is_block_error(),
    };
    (is_end, told(&result))
}

fn v2(roots: &[Cid], blocks: &[Block], padding: u64) -> Vec<u8> {
    let options = FileOptions::v2().data_padding(padding);
    let mut writer =
        CarFileWriter::with_options(Cursor::new(Vec::new()), roots, options).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

fn options() -> impl Strategy<Value = ReaderOptions> {
    (any::<[bool; 5]>(), 0..4u8, prop_oneof![Just(None), (0..200usize).prop_map(Some)]).prop_map(
        |([zero, trailing, padded, roots, only_v1], checks, limit)| {
            let options = ReaderOptions::default()
                .zero_section_is_end(zero)
                .ignore_trailing_bytes(trailing)
                .padded_varints(padded)
                .require_roots(roots && zero)
                .only_v1(only_v1 && padded);
            let options = match limit {
                Some(limit) => options.limits(Limits::default().section(limit).header(2 * limit)),
                None => options,
            };
            match checks {
                0 => options.danger_skip_verification(),
                1 => options.danger_accept_unverifiable(),
                _ => options,
            }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![2 => Just(0), 3 => 1..10usize, 2 => 0..40_000usize], 1..20)
}

fn ways() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..3u8, 1..8)
}

fn polls() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..4usize, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sound_cars_are_read_alike(
        roots in roots(),
        all in prop::collection::vec(block(), 0..12),
        padding in prop::option::of(0..100_000u64),
        options in options(),
        steps in steps(),
        ways in ways(),
        polls in polls(),
    ) {
        let bytes = match padding {
            Some(padding) => v2(&roots, &all, padding),
            None => car(&roots, &all),
        };
        let found = read_async(Fitful::new(&bytes, steps), options, &ways, &polls);
        prop_assert_eq!(found, read(&bytes, options, &ways));
    }

    #[test]
    fn damage_is_told_alike(
        roots in roots(),
        all in prop::collection::vec(block(), 1..8),
        padding in prop::option::of(0..300u64),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        early in prop::option::of((0..120usize, any::<u8>())),
        cut in prop::option::of(any::<prop::sample::Index>()),
        behind in prop::option::of(prop::collection::vec(0..3u8, 1..60)),
        options in options(),
        steps in steps(),
        ways in ways(),
        polls in polls(),
    ) {
        let mut bytes = match padding {
            Some(padding) => v2(&roots, &all, padding),
            None => car(&roots, &all),
        };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some((at, value)) = early {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.extend(behind.unwrap_or_default());
        let len = cut.map_or(bytes.len(), |cut| cut.index(bytes.len()));
        let bytes = &bytes[..len];
        let found = read_async(Fitful::new(bytes, steps), options, &ways, &polls);
        prop_assert_eq!(found, read(bytes, options, &ways));
    }

    #[test]
    fn any_bytes_are_told_alike(
        header in any::<bool>(),
        junk in prop::collection::vec(any::<u8>(), 0..400),
        options in options(),
        steps in steps(),
        ways in ways(),
        polls in polls(),
    ) {
        let bytes = if header { [car(&[], &[]), junk].concat() } else { junk };
        let found = read_async(Fitful::new(&bytes, steps), options, &ways, &polls);
        prop_assert_eq!(found, read(&bytes, options, &ways));
    }
}

#[test]
fn large_blocks_are_read_over_any_wait() {
    let mut all = small().1;
    for len in [4095, 32 << 10, (32 << 10) + 1, 64 << 10, 300_000, 1 << 20] {
        all.push(raw(&vec![len as u8; len]));
        all.push(raw(b"small"));
    }
    for bytes in [car(&[], &all), v2(&[], &all, 70_000)] {
        for steps in [vec![usize::MAX], vec![0, 4096], vec![0, 0, 7, 100_000, 0, 32 << 10]] {
            for polls in [vec![1], vec![usize::MAX]] {
                let source = Fitful::new(&bytes, steps.clone());
                let found = read_async(source, ReaderOptions::default(), &[2], &polls);
                assert!(found == read(&bytes, ReaderOptions::default(), &[2]));
            }
        }
    }
}

#[test]
fn every_cut_is_told_alike() {
    let (bytes, blocks) = small();
    for bytes in [bytes, v2(&[blocks[0].cid], &blocks, 9)] {
        for len in 0..bytes.len() {
            let bytes = &bytes[..len];
            for way in [0, 1] {
                let source = Fitful::new(bytes, vec![0, 30]);
                let found = read_async(source, ReaderOptions::default(), &[way], &[1]);
                assert_eq!(found, read(bytes, ReaderOptions::default(), &[way]), "{len}");
            }
        }
    }
}

#[test]
fn a_failing_source_is_told_from_one_that_waits_and_from_an_end() {
    let (whole, _) = small();
    // Also where the error has the name of what waiting is called elsewhere.
    for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::WouldBlock] {
        for len in 0..=whole.len() {
            let source = Fitful::new(&whole[..len], vec![0, 30]).failing(kind);
            let error = block_on(async {
                AsyncCarReader::open(source).await?.try_collect::<Vec<_>>().await
            });
            let error = error.expect_err("failed");
            assert!(matches!(error.kind(), ErrorKind::Io(cause) if cause.kind() == kind));
            assert_eq!(error.offset(), Some(len as u64));
        }
    }
}

#[test]
fn a_block_that_was_being_passed_over_is_left_out() {
    let all = [raw(&[1; 100]), raw(&[2; 100]), raw(&[3; 100])];
    let bytes = car(&[], &all);
    // The first section is there but for a part of its data.
    let mut reader =
        block_on(AsyncCarReader::open(Fitful::new(&bytes, vec![0, 100, 0, 1000]))).expect("header");
    assert!(poll_times(reader.next_section(), 1).is_none());
    assert_eq!(reader.position(), 18);
    assert_eq!(block_on(reader.next_block()).expect("block").as_ref(), Some(&all[1]));

    // The other way round nothing is lost.
    let mut reader =
        block_on(AsyncCarReader::open(Fitful::new(&bytes, vec![0, 100, 0, 1000]))).expect("header");
    assert!(poll_times(reader.next_block(), 1).is_none());
    let section = block_on(reader.next_section()).expect("section").expect("one");
    assert_eq!((section.cid, section.offset), (all[0].cid, 18));
    assert_eq!(block_on(reader.next_block()).expect("block").as_ref(), Some(&all[1]));
}

#[test]
fn a_section_that_is_there_is_handed_out_before_more_comes() {
    struct Rest<'a>(&'a [u8]);
    impl AsyncRead for Rest<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            assert!(!self.0.is_empty(), "more was asked for than the section has");
            let (taken, rest) = self.0.split_at(buf.len().min(self.0.len()));
            buf[..taken.len()].copy_from_slice(taken);
            self.0 = rest;
            Poll::Ready(Ok(taken.len()))
        }
    }
    let block = raw(b"x");
    let bytes = car(&[], std::slice::from_ref(&block));
    let mut reader = block_on(AsyncCarReader::open(Rest(&bytes))).expect("header");
    assert_eq!(block_on(reader.next_block()).expect("block"), Some(block));
}

#[test]
fn streams_give_what_iterators_give() {
    let (_, all) = small();
    let mut bytes = v2(&[all[0].cid], &all, 5);
    let open = |bytes: Vec<u8>| {
        block_on(AsyncCarReader::open(futures::io::Cursor::new(bytes))).expect("header")
    };
    let sync = |bytes: &[u8]| CarReader::open(Cursor::new(bytes.to_vec())).expect("header");
    for _ in 0..2 {
        let found: Vec<_> = block_on(open(bytes.clone()).map(|item| told(&item)).collect());
        let expected: Vec<_> = sync(&bytes).into_iter().map(|item| told(&item)).collect();
        assert_eq!(found, expected);
        assert_eq!(found.len(), all.len());

        let found = open(bytes.clone()).into_cid_stream().map(|item| told(&item));
        let expected: Vec<_> = sync(&bytes).into_cids().map(|item| told(&item)).collect();
        assert_eq!(block_on(found.collect::<Vec<_>>()), expected);

        let found = open(bytes.clone()).into_place_stream().map(|item| told(&item));
        let expected: Vec<_> = sync(&bytes).into_places().map(|item| told(&item)).collect();
        assert_eq!(block_on(found.collect::<Vec<_>>()), expected);

        // Once more with a block that does not match, which is no end.
        let place = sync(&bytes).into_places().next().expect("a block").expect("sound");
        bytes[place.file_data_offset() as usize] ^= 1;
    }
}

#[test]
fn an_error_that_ends_the_car_ends_the_stream() {
    let bytes = [car(&[], &[raw(b"x")]), vec![0, 1]].concat();
    let open = || block_on(AsyncCarReader::open(&bytes[..])).expect("header");
    let blocks: Vec<_> = block_on(open().collect());
    let cids: Vec<_> = block_on(open().into_cid_stream().collect());
    let (block, error) = (blocks[0].as_ref(), blocks[1].as_ref().map_err(Error::kind));
    assert_eq!(block.expect("sound"), &raw(b"x"));
    assert!(matches!(error, Err(ErrorKind::EmptySection)));
    assert!(matches!(cids[1].as_ref().map_err(Error::kind), Err(ErrorKind::EmptySection)));
    assert_eq!((blocks.len(), cids.len()), (2, 2));
}
