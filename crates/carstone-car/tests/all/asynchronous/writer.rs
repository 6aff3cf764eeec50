//! The asynchronous writer writes what the one that blocks writes, wherever the sink makes it wait.

use super::{Fitful, FitfulSink, poll_times};
use crate::laws::{block, roots};
use crate::sources::{car, raw, small};
use carstone_car::{
    AsyncCarReader, AsyncCarWriter, Block, CarReader, CarWriter, Dedupe, Error, ErrorKind, Limits,
    WriterOptions, cid_of, codec,
};
use futures::executor::block_on;
use futures::{SinkExt, StreamExt};
use proptest::prelude::*;

fn options() -> impl Strategy<Value = WriterOptions> {
    let dedupe = prop_oneof![Just(Dedupe::Off), Just(Dedupe::Multihash), Just(Dedupe::WholeCid)];
    (dedupe, any::<bool>(), prop_oneof![Just(8 << 20), 30..120usize], 0..5000usize).prop_map(
        |(by, skip, section, budget)| {
            WriterOptions::default()
                .dedupe(by)
                .skip_identity(skip)
                .limits(Limits::default().section(section))
                .dedupe_budget(budget)
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![2 => Just(0), 3 => 1..10usize, 2 => 0..40_000usize], 1..20)
}

/// Some blocks, some of them more than once, some of them not what their CID says.
fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let all = prop::collection::vec(block(), 1..6);
    let picks = prop::collection::vec((any::<prop::sample::Index>(), 0..10u8), 1..14);
    (all, picks).prop_map(|(all, picks)| {
        let pick = |(which, wrong): (prop::sample::Index, u8)| {
            let mut block = all[which.index(all.len())].clone();
            if wrong == 0 {
                block.data.push(1);
            }
            block
        };
        picks.into_iter().map(pick).collect()
    })
}

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?} at {:?}", error.kind(), error.offset()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_is_written(
        roots in roots(),
        all in blocks(),
        ways in prop::collection::vec(0..4u8, 14),
        options in options(),
        steps in steps(),
    ) {
        let mut plain = CarWriter::with_options(Vec::new(), &roots, options).expect("header");
        let sink = FitfulSink::new(steps);
        let mut writer = AsyncCarWriter::with_options(sink, &roots, options).expect("header");
        for (Block { cid, data }, way) in all.iter().zip(ways) {
            let (expected, found) = match way {
                0 => (
                    told(plain.write_block(cid, data)),
                    told(block_on(writer.write_block(cid, data))),
                ),
                1 => (
                    told(plain.write_data(codec::RAW, data)),
                    told(block_on(writer.write_data(codec::RAW, data))),
                ),
                2 => (
                    told(plain.put_block(cid, data)),
                    told(block_on(writer.put_block(cid, data))),
                ),
                _ => (
                    told(plain.danger_put_unverified(cid, data)),
                    told(block_on(writer.danger_put_unverified(cid, data))),
                ),
            };
            prop_assert_eq!(found, expected);
            prop_assert_eq!(writer.position(), plain.position());
            prop_assert_eq!(&writer.get_ref().taken, plain.get_ref());
        }
        let sink = block_on(writer.finish()).expect("finish");
        prop_assert_eq!(sink.flushed, sink.taken.len());
        prop_assert_eq!(sink.taken, plain.finish().expect("finish"));
    }

    #[test]
    fn a_dropped_call_leaves_no_part_of_a_section(
        roots in roots(),
        all in prop::collection::vec(block(), 1..10),
        polls in prop::collection::vec(0..4usize, 1..20),
        steps in steps(),
    ) {
        let mut writer = AsyncCarWriter::new(FitfulSink::new(steps), &roots).expect("header");
        let mut polls = polls.into_iter().chain([1]).cycle();
        for Block { cid, data } in &all {
            let start = writer.position();
            while writer.position() == start {
                let times = polls.next().expect("endless");
                let result = poll_times(writer.write_block(cid, data), times);
                let section = result.transpose().expect("sound");
                prop_assert!(section.is_none_or(|section| section.offset == start));
            }
        }
        let sink = block_on(writer.finish()).expect("finish");
        prop_assert_eq!(sink.taken, car(&roots, &all));
    }

    #[test]
    fn many_blocks_go_on_after_a_dropped_call(
        all in prop::collection::vec(block(), 1..10),
        polls in prop::collection::vec(1..9usize, 1..20),
        (read_steps, write_steps) in (steps(), steps()),
    ) {
        let bytes = car(&[], &all);
        let source = Fitful::new(&bytes, read_steps);
        let mut reader = block_on(AsyncCarReader::open(source)).expect("header");
        let mut writer = AsyncCarWriter::new(FitfulSink::new(write_steps), &[]).expect("header");
        let mut polls = polls.into_iter().cycle();
        while poll_times(writer.put_all(&mut reader), polls.next().expect("endless"))
            .transpose()
            .expect("sound")
            .is_none()
        {}
        let sink = block_on(writer.finish()).expect("finish");
        prop_assert_eq!(sink.taken, bytes);
    }
}

#[test]
fn many_blocks_are_counted() {
    let (bytes, all) = small();
    let options = WriterOptions::default().dedupe(Dedupe::Multihash);
    let mut writer = AsyncCarWriter::with_options(Vec::new(), &[], options).expect("header");
    let mut plain = CarWriter::with_options(Vec::new(), &[], options).expect("header");
    for _ in 0..2 {
        let expected = plain.put_many(all.iter().map(Block::as_ref)).expect("blocks");
        let found = block_on(writer.put_many(all.iter().map(Block::as_ref))).expect("blocks");
        assert_eq!(found, expected);
    }
    let mut reader = block_on(AsyncCarReader::open(&bytes[..])).expect("header");
    let found = block_on(writer.put_all(&mut reader)).expect("blocks");
    let expected = plain.put_all(&mut CarReader::open(&bytes[..]).expect("header"));
    assert_eq!(found, expected.expect("blocks"));
    assert_eq!(block_on(writer.finish()).expect("finish"), plain.finish().expect("finish"));
}

#[test]
fn a_writer_is_broken_after_its_sink_has_failed() {
    let (whole, all) = small();
    let reader = CarReader::open(&whole[..]).expect("header");
    let roots = reader.roots().to_vec();
    let starts: Vec<_> = reader
        .into_places()
        .map(|place| place.expect("sound").offset())
        .chain([whole.len() as u64])
        .collect();
    for fails_after in 0..whole.len() {
        let mut sink = FitfulSink::new(vec![0, 5]);
        sink.fails_after = fails_after;
        let mut writer = AsyncCarWriter::new(&mut sink, &roots).expect("header");
        let failed = all
            .iter()
            .find_map(|block| block_on(writer.write_block(&block.cid, &block.data)).err())
            .expect("the sink is too small");
        assert!(matches!(failed.kind(), ErrorKind::Io(_)));
        let failed_at = fails_after as u64;
        let start = starts.iter().rfind(|&&start| start <= failed_at).copied().unwrap_or(0);
        assert_eq!(failed.offset(), Some(start), "{fails_after}");

        let again = block_on(writer.write_data(codec::RAW, b"")).expect_err("broken");
        assert!(matches!(again.kind(), ErrorKind::Broken));
        assert!(matches!(block_on(writer.flush()).expect_err("").kind(), ErrorKind::Broken));
        assert!(matches!(block_on(writer.close()).expect_err("").kind(), ErrorKind::Broken));
        let finish = block_on(writer.finish()).expect_err("broken");
        assert!(matches!(Error::of(&finish).expect("ours").kind(), ErrorKind::Broken));
        assert_eq!(sink.taken, &whole[..fails_after]);
    }
}

#[test]
fn a_sink_that_takes_nothing_is_an_error() {
    let mut room = [0; 30];
    let mut writer =
        AsyncCarWriter::new(futures::io::Cursor::new(&mut room[..]), &[]).expect("header");
    let error = block_on(writer.write_data(codec::RAW, b"hello")).expect_err("no room");
    let ErrorKind::Io(cause) = error.kind() else { panic!("{error}") };
    assert_eq!(cause.kind(), std::io::ErrorKind::WriteZero);
    assert_eq!(error.offset(), Some(18));
}

#[test]
fn a_closed_writer_takes_nothing() {
    let mut sink = FitfulSink::new(vec![0, 0, 90, 0]);
    let mut writer = AsyncCarWriter::new(&mut sink, &[]).expect("header");
    block_on(writer.write_data(codec::RAW, b"x")).expect("block");
    // From the first call on, also one that was dropped.
    assert!(poll_times(writer.close(), 1).is_none());
    let cid = cid_of(codec::RAW, b"y");
    let refused = [
        block_on(writer.write_block(&cid, b"y")).err(),
        block_on(writer.put_block(&cid, b"y")).err(),
        block_on(writer.flush()).err(),
        block_on(writer.feed(raw(b"y"))).err(),
    ];
    for error in refused {
        let error = error.expect("closing");
        assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
    }
    for _ in 0..2 {
        block_on(writer.close()).expect("once or twice");
    }
    let error = block_on(writer.write_block(&cid, b"y")).expect_err("closed");
    assert_eq!(error.to_string(), "the CAR has been closed at byte 56");
    block_on(writer.finish()).expect("closed before");
    assert!(sink.is_closed);
    assert_eq!(sink.taken, car(&[], &[raw(b"x")]));
}

#[test]
fn an_empty_car_has_its_header() {
    let root = cid_of(codec::RAW, b"absent");
    let writer = AsyncCarWriter::new(Vec::new(), &[root]).expect("header");
    assert_eq!(block_on(writer.finish()).expect("finish"), car(&[root], &[]));
    let mut sink = FitfulSink::new(vec![]);
    let mut writer = AsyncCarWriter::new(&mut sink, &[root]).expect("header");
    block_on(writer.flush()).expect("flush");
    assert_eq!(sink.taken, car(&[root], &[]));
    let limits = Limits::default().roots(0);
    let options = WriterOptions::default().limits(limits);
    let error = AsyncCarWriter::with_options(Vec::new(), &[root], options).expect_err("limit");
    assert_eq!(error.to_string(), "1 roots or more, over the limit of 0 at byte 0");
}

#[test]
fn sections_can_be_appended() {
    let (first, second) = (raw(b"first"), raw(b"second"));
    let file = car(&[], std::slice::from_ref(&first));
    let len = file.len() as u64;
    let options = WriterOptions::default().dedupe(Dedupe::WholeCid);
    let mut writer = AsyncCarWriter::append(file, len).options(options);
    let section = block_on(writer.write_block(&second.cid, &second.data)).expect("block");
    assert_eq!(section.offset, len);
    assert!(block_on(writer.put_block(&second.cid, &second.data)).expect("there").is_none());
    assert_eq!(block_on(writer.finish()).expect("finish"), car(&[], &[first, second]));
}

#[test]
fn a_stream_of_blocks_goes_into_a_writer() {
    let (bytes, _) = small();
    let source = Fitful::new(&bytes, vec![0, 50]);
    let mut sink = FitfulSink::new(vec![0, 9, 0, 90]);
    block_on(async {
        let reader = AsyncCarReader::open(source).await.expect("header");
        let roots = reader.roots().to_vec();
        let writer = AsyncCarWriter::new(&mut sink, &roots).expect("header");
        reader.forward(writer).await.expect("copied");
    });
    assert!(sink.is_closed);
    assert_eq!(sink.taken, bytes);
}
