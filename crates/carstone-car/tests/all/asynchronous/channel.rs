//! Channels: order, waiting, what happens when an end goes away.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::poll_times;
use crate::laws::{block, roots};
use crate::sources::{blocks, car, hashed, raw, small};
use carstone_car::{
    AsyncCarReader, AsyncCarWriter, Block, CarBytes, CarSender, ChannelOptions, Dedupe, Error,
    ErrorKind, Limits, Part, Result, WriterOptions, car_appender, car_channel, cid_of, codec,
    hash_code,
};
use futures::executor::block_on;
use futures::{AsyncReadExt, StreamExt, TryStreamExt};
use proptest::prelude::*;

fn channel() -> (CarSender, CarBytes) {
    car_channel(&[], ChannelOptions::default()).expect("no roots")
}

fn all_of(bytes: CarBytes) -> Result<Vec<u8>> {
    block_on(bytes.try_concat())
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn is_send<T: Send>(_: &T) {}

#[test]
fn ends_and_futures_can_be_sent_to_other_tasks() {
    let (mut sender, bytes) = channel();
    is_send(&bytes);
    is_send(&sender);
    is_send(&sender.put_data(codec::RAW, b""));
    is_send(&AsyncCarReader::open(bytes));
    let mut writer = AsyncCarWriter::new(Vec::new(), &[]).expect("header");
    is_send(&writer.write_data(codec::RAW, b""));
}

#[test]
fn a_put_returns_when_its_bytes_have_been_taken() {
    let block = raw(b"hello");
    let (mut sender, mut bytes) = channel();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    {
        let mut put = pin!(sender.put(&block.cid, &block.data));
        assert!(put.as_mut().poll(&mut context).is_pending());
        // The header is not the block, and neither is a part of it.
        assert_eq!(block_on(bytes.next()).expect("header").expect("open"), car(&[], &[]));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(put.as_mut().poll(&mut context).is_pending());
        let mut part = [0; 41];
        block_on(bytes.read_exact(&mut part)).expect("a part");
        assert!(put.as_mut().poll(&mut context).is_pending());
        assert_eq!(block_on(bytes.read(&mut [0; 9])).expect("the rest"), 1);
        let Poll::Ready(section) = put.as_mut().poll(&mut context) else { panic!("still waiting") };
        assert_eq!(section.expect("put").expect("written").offset, 18);
    }
    assert_eq!((sender.waiting(), sender.position()), (0, 60));
}

#[test]
fn whoever_waits_for_bytes_is_woken() {
    let (mut sender, mut bytes) = channel();
    block_on(bytes.next()).expect("header").expect("open");
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    assert!(bytes.poll_next_unpin(&mut context).is_pending());
    sender.enqueue_data(codec::RAW, b"x").expect("room");
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(bytes.poll_next_unpin(&mut context).is_ready());
    assert!(bytes.poll_next_unpin(&mut context).is_pending());
    sender.close().expect("open");
    assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    assert!(matches!(bytes.poll_next_unpin(&mut context), Poll::Ready(None)));

    let (sender, mut bytes) = channel();
    assert!(bytes.poll_next_unpin(&mut context).is_ready());
    assert!(bytes.poll_next_unpin(&mut context).is_pending());
    drop(sender);
    assert_eq!(woken.0.load(Ordering::Relaxed), 3);
}

#[test]
fn blocks_come_out_in_order_between_threads() {
    let all: Vec<_> = (0..3000u32).map(|n| raw(&n.to_le_bytes().repeat(n as usize % 50))).collect();
    let options = ChannelOptions::default().queue_limit(2000);
    let (mut sender, mut bytes) = car_channel(&[all[7].cid], options).expect("header");
    let found = thread::scope(|scope| {
        let (all, found) = (
            &all,
            scope.spawn(move || {
                let mut found = Vec::new();
                block_on(bytes.read_to_end(&mut found)).map(|_| found)
            }),
        );
        scope.spawn(move || {
            for (n, block) in all.iter().enumerate() {
                let queued = n % 3 != 0 && sender.enqueue(&block.cid, &block.data).is_ok();
                if !queued {
                    block_on(sender.put(&block.cid, &block.data)).expect("taken");
                }
                assert!(sender.waiting() <= 2000);
            }
            sender.close().expect("open");
            block_on(sender.taken()).expect("taken");
        });
        found.join().expect("no panic")
    });
    assert_eq!(found.expect("complete"), car(&[all[7].cid], &all));
}

#[test]
fn the_end_comes_behind_all_that_waits() {
    let (bytes, all) = small();
    let roots = [all[0].cid, all[4].cid];
    let (mut sender, out) = car_channel(&roots, ChannelOptions::default()).expect("header");
    for block in &all {
        sender.enqueue(&block.cid, &block.data).expect("room");
    }
    assert_eq!((sender.waiting(), sender.position()), (bytes.len(), bytes.len() as u64));
    for _ in 0..2 {
        sender.close().expect("once or twice");
    }
    assert!(poll_times(sender.taken(), 3).is_none());
    assert_eq!(all_of(out).expect("complete"), bytes);
    block_on(sender.taken()).expect("all taken");
}

#[test]
fn a_closed_sender_takes_nothing() {
    let (mut sender, bytes) = channel();
    sender.close().expect("open");
    let cid = cid_of(codec::RAW, b"x");
    let refused = [
        sender.enqueue(&cid, b"x").err(),
        sender.enqueue_data(codec::RAW, b"x").err(),
        sender.danger_enqueue_unverified(&cid, b"x").err(),
        block_on(sender.put(&cid, b"x")).err(),
        block_on(sender.put_data(codec::RAW, b"x")).err(),
        block_on(sender.danger_put_unverified(&cid, b"x")).err(),
    ];
    for error in refused {
        let error = error.expect("closed");
        assert!(matches!(error.kind(), ErrorKind::Closed), "{error}");
        assert_eq!(error.offset(), Some(18));
    }
    drop(sender);
    assert_eq!(all_of(bytes).expect("complete"), car(&[], &[]));
}

#[test]
fn a_sender_that_is_dropped_before_the_end_makes_no_whole_car() {
    let send = || {
        let (mut sender, bytes) = channel();
        sender.enqueue_data(codec::RAW, b"x").expect("room");
        assert!(poll_times(sender.put_data(codec::RAW, b"y"), 1).is_none());
        bytes
    };
    let whole = car(&[], &[raw(b"x"), raw(b"y")]);
    let items: Vec<_> = block_on(send().collect());
    let (error, sound) = items.split_last().expect("an error");
    let sound: Vec<_> = sound.iter().flat_map(|item| item.as_ref().expect("sound")).collect();
    assert!(sound.into_iter().eq(&whole));
    let error = error.as_ref().expect_err("the last one");
    assert!(matches!(error.kind(), ErrorKind::Disconnected));
    assert_eq!(
        error.to_string(),
        format!("the other end is gone, before the CAR was complete at byte {}", whole.len())
    );

    let mut bytes = send();
    let mut found = Vec::new();
    for _ in 0..2 {
        let error = block_on(bytes.read_to_end(&mut found)).expect_err("no end");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(matches!(Error::of(&error).expect("ours").kind(), ErrorKind::Disconnected));
        assert_eq!(found, whole);
    }

    // Whoever reads the CAR gets the blocks, and the error.
    let found = block_on(async {
        AsyncCarReader::open(send())
            .await?
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect::<Result<Vec<_>>>()
    });
    let error = found.expect_err("no end");
    let ErrorKind::Io(cause) = error.kind() else { panic!("{error}") };
    assert!(matches!(Error::of(cause).expect("ours").kind(), ErrorKind::Disconnected));
}

#[test]
fn a_receiver_that_is_dropped_is_told_to_whoever_waits() {
    let cid = cid_of(codec::RAW, b"x");
    let (mut sender, bytes) = channel();
    let woken = Arc::new(Woken::default());
    {
        let mut put = pin!(sender.put(&cid, b"x"));
        let waker = Waker::from(woken.clone());
        let mut context = Context::from_waker(&waker);
        assert!(put.as_mut().poll(&mut context).is_pending());
        drop(bytes);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let Poll::Ready(Err(error)) = put.as_mut().poll(&mut context) else { panic!("no error") };
        assert!(matches!(error.kind(), ErrorKind::Disconnected));
    }
    for error in [
        block_on(sender.put(&cid, b"x")).err(),
        block_on(sender.taken()).err(),
        sender.enqueue(&cid, b"x").err(),
        sender.close().err(),
    ] {
        assert!(matches!(error.expect("gone").kind(), ErrorKind::Disconnected));
    }
    assert_eq!(sender.position(), 18 + 38);
}

#[test]
fn what_was_taken_before_the_receiver_was_dropped_has_been_put() {
    let cid = cid_of(codec::RAW, b"x");
    let (mut sender, mut bytes) = channel();
    {
        let mut put = pin!(sender.put(&cid, b"x"));
        let mut context = Context::from_waker(Waker::noop());
        assert!(put.as_mut().poll(&mut context).is_pending());
        block_on(bytes.read_exact(&mut [0; 18 + 38])).expect("all");
        drop(bytes);
        assert!(matches!(put.as_mut().poll(&mut context), Poll::Ready(Ok(Some(_)))));
    }
    block_on(sender.taken()).expect("all");
    assert!(matches!(sender.close().expect_err("gone").kind(), ErrorKind::Disconnected));
}

#[test]
fn a_queue_that_is_full_refuses_or_makes_wait() {
    let options = ChannelOptions::default().queue_limit(310);
    let (mut sender, mut bytes) = car_channel(&[], options).expect("header");
    let [one, two, three] = [raw(&[1; 50]), raw(&[2; 50]), raw(&[3; 500])];
    sender.enqueue(&one.cid, &one.data).expect("room");
    let (position, waiting) = (sender.position(), sender.waiting());
    let error = sender.enqueue(&two.cid, &two.data).expect_err("full");
    let ErrorKind::TooLarge { part: Part::Queue, size, limit: 310, .. } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(*size, 18 + 87 + 87 + 3 * 64);
    assert_eq!(error.offset(), Some(position));
    // Nothing of one that waits for room has been put.
    assert!(poll_times(sender.put(&two.cid, &two.data), 3).is_none());
    assert_eq!((sender.position(), sender.waiting()), (position, waiting));

    block_on(bytes.next()).expect("header").expect("open");
    sender.enqueue(&two.cid, &two.data).expect("room");
    // One that is too large for the queue goes alone.
    assert!(sender.enqueue(&three.cid, &three.data).is_err());
    assert!(poll_times(sender.put(&three.cid, &three.data), 3).is_none());
    block_on(bytes.next()).expect("one").expect("open");
    block_on(bytes.next()).expect("two").expect("open");
    let start = sender.position();
    assert!(poll_times(sender.put(&three.cid, &three.data), 1).is_none());
    assert_eq!((sender.waiting() as u64, sender.position()), (538, start + 538));
    let rest = block_on(bytes.next()).expect("three").expect("open");
    assert_eq!(rest, car(&[], &[three])[18..]);
}

#[test]
fn a_bad_block_is_not_put_and_does_no_harm() {
    let writer = WriterOptions::default()
        .dedupe(Dedupe::Multihash)
        .skip_identity(true)
        .limits(Limits::default().section(100));
    let options = ChannelOptions::default().writer(writer);
    let (mut sender, bytes) = car_channel(&[], options).expect("header");
    let cid = cid_of(codec::RAW, b"right");
    for error in [
        sender.enqueue(&cid, b"wrong").expect_err("mismatch"),
        block_on(sender.put(&cid, b"wrong")).expect_err("mismatch"),
    ] {
        assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }));
        assert_eq!(error.offset(), Some(18));
    }
    for error in [
        sender.enqueue_data(codec::RAW, &[0; 65]).expect_err("large"),
        block_on(sender.put_data(codec::RAW, &[0; 65])).expect_err("large"),
    ] {
        assert_eq!(error.to_string(), "a section of 101 bytes is over the limit of 100 at byte 18");
    }
    sender.enqueue(&cid, b"right").expect("room").expect("new");
    // What is left out is given at once, though nobody takes anything.
    let identity = hashed(hash_code::IDENTITY, b"in");
    assert!(block_on(sender.put(&cid, b"right")).expect("there").is_none());
    assert!(block_on(sender.put(&identity.cid, &identity.data)).expect("left out").is_none());
    assert!(sender.enqueue(&cid, b"right").expect("there").is_none());
    sender.close().expect("open");
    assert_eq!(all_of(bytes).expect("complete"), car(&[], &[raw(b"right")]));
}

#[test]
fn a_header_over_the_limits_makes_no_channel() {
    let writer = WriterOptions::default().limits(Limits::default().roots(0));
    let options = ChannelOptions::default().writer(writer);
    let error = car_channel(&[cid_of(codec::RAW, b"")], options).expect_err("a root");
    assert_eq!(error.to_string(), "1 roots or more, over the limit of 0 at byte 0");
}

#[test]
fn an_appender_has_no_header() {
    let (first, second) = (raw(b"first"), raw(b"second"));
    let mut file = car(&[], std::slice::from_ref(&first));
    let (mut sender, mut bytes) = car_appender(file.len() as u64, ChannelOptions::default());
    let section = sender.enqueue(&second.cid, &second.data).expect("room").expect("new");
    assert_eq!(section.offset, file.len() as u64);
    sender.close().expect("open");
    block_on(bytes.read_to_end(&mut file)).expect("complete");
    assert_eq!(blocks(&file[..]).expect("sound"), [first, second]);

    let (mut sender, bytes) = car_appender(1000, ChannelOptions::default());
    sender.close().expect("open");
    assert_eq!(all_of(bytes).expect("complete"), b"");
    let (sender, bytes) = car_appender(1000, ChannelOptions::default());
    drop(sender);
    assert_eq!(all_of(bytes).expect_err("no end").offset(), Some(1000));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_calls_gives_the_same_bytes(
        roots in roots(),
        all in prop::collection::vec(block(), 0..12),
        // What is tried next: a put, an enqueue, an item, some bytes.
        turns in prop::collection::vec((0..4u8, 1..500usize), 1..60),
        limit in prop_oneof![0..3000usize, Just(1 << 20)],
    ) {
        let options = ChannelOptions::default().queue_limit(limit);
        let (mut sender, mut bytes) = car_channel(&roots, options).expect("header");
        let (mut found, mut next) = (Vec::new(), all.iter().peekable());
        for (what, len) in turns.into_iter().cycle() {
            let start = sender.position();
            match (what, next.peek()) {
                (0, Some(Block { cid, data })) => {
                    let put = poll_times(sender.put(cid, data), 1);
                    prop_assert!(put.is_none(), "nobody has taken it");
                }
                (1, Some(Block { cid, data })) => {
                    let is_queued = sender.enqueue(cid, data).is_ok();
                    prop_assert_eq!(is_queued, sender.position() > start);
                    prop_assert!(!is_queued || sender.waiting() <= limit);
                }
                (2, _) => {
                    let item = poll_times(bytes.next(), 1).flatten().transpose().expect("open");
                    found.extend(item.unwrap_or_default());
                }
                _ => {
                    let mut part = vec![0; len];
                    let read = poll_times(bytes.read(&mut part), 1).transpose().expect("open");
                    found.extend_from_slice(&part[..read.unwrap_or_default()]);
                }
            }
            if sender.position() > start {
                next.next();
            }
            prop_assert_eq!(found.len() + sender.waiting(), sender.position() as usize);
            if next.peek().is_none() {
                break;
            }
            // Whatever the turns are, it goes on.
            if let Some(item) = poll_times(bytes.next(), 1).flatten() {
                found.extend(item.expect("open"));
            } else if let Some(Block { cid, data }) = next.next() {
                prop_assert!(poll_times(sender.put(cid, data), 1).is_none());
            }
        }
        sender.close().expect("open");
        block_on(bytes.read_to_end(&mut found)).expect("complete");
        prop_assert_eq!(found, car(&roots, &all));
    }
}
