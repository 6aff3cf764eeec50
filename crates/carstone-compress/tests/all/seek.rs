//! Reading at any offset, by cursor and by position, agrees with the plain bytes.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::streams::{BLOCK, N, PACK, codecs, options, plain, store};
use carstone_compress::{Codec, CompressReader, ErrorKind, ReadOptions};
use carstone_layer::{FrameHeader, Kind, LayerId, PackId, ReadAt};

#[test]
fn any_order_of_seeks_gives_the_plain_bytes() {
    for codec in codecs() {
        let plain = plain(5 * N + 3);
        let stored = store(&plain, options(codec));
        for (cache, threads) in [(0, 2), (N, 2), (3 * N, 2), (32 << 20, 3), (32 << 20, 1)] {
            let read = ReadOptions::default().cache(cache).threads(threads);
            let mut reader = CompressReader::with_options(&stored[..], read).expect("opens");
            for from in [4 * N, 0, N - 1, N, N, 3 * N - 7, 5 * N + 2, 5 * N + 3, 2 * N] {
                let mut part = vec![0; N + 9];
                reader.seek(SeekFrom::Start(from as u64)).expect("seeks");
                let mut n = 0;
                while let got @ 1.. = reader.read(&mut part[n..]).expect("reads") {
                    n += got;
                }
                let expected = &plain[from..plain.len().min(from + N + 9)];
                assert!(&part[..n] == expected, "from {from}, cache {cache}, {threads} threads");
            }
        }
    }
}

/// A long frame that is jumped to is decoded in part, and in whole when more of it is wanted.
#[test]
fn jumps_into_long_frames_give_the_plain_bytes() {
    let long = 16 * N;
    let plain = plain(2 * long + 1_000);
    for codec in codecs() {
        let stored = store(&plain, options(codec).block_size(16 * BLOCK));
        let read = ReadOptions::default().cache(2 * long).threads(2);
        let mut by_seek = CompressReader::with_options(&stored[..], read.clone()).expect("opens");
        let by_place = CompressReader::with_options(&stored[..], read).expect("opens");
        let jumps =
            [(5, 10), (70_000, 20), (900_000, 300_000), (long + 3, 400_000), (9, 1), (long, 1)];
        for (from, len) in jumps {
            let (mut a, mut b) = (vec![0; len], vec![0; len]);
            by_seek.seek(SeekFrom::Start(from as u64)).expect("seeks");
            by_seek.read_exact(&mut a).expect("reads");
            by_place.read_exact_at(&mut b, from as u64).expect("reads");
            assert!(a == plain[from..from + len] && b == a, "{codec}: {len} bytes at {from}");
        }
    }
}

#[test]
fn seeks_are_those_of_a_cursor() {
    let plain = plain(N + 10);
    let stored = store(&plain, options(Codec::Stored));
    let mut reader = CompressReader::open(Cursor::new(stored)).expect("opens");
    let mut model = Cursor::new(&plain);
    for to in [
        SeekFrom::End(-3),
        SeekFrom::Current(-10_000_000),
        SeekFrom::Current(2),
        SeekFrom::End(100),
        SeekFrom::Current(-150),
        SeekFrom::Start(u64::MAX),
        SeekFrom::Current(1),
    ] {
        assert_eq!(reader.seek(to).ok(), model.seek(to).ok(), "{to:?}");
        let (mut a, mut b) = ([0; 20], [0; 20]);
        let (n, m) = (reader.read(&mut a).expect("reads"), model.read(&mut b).expect("reads"));
        assert_eq!((n, a), (m, b), "{to:?}");
    }
}

/// Counts reads and the bytes read.
struct Counted<'a> {
    stored: &'a [u8],
    reads: Cell<usize>,
    bytes: Cell<usize>,
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.stored.read_at(buf, offset)?;
        self.reads.set(self.reads.get() + 1);
        self.bytes.set(self.bytes.get() + n);
        Ok(n)
    }

    fn size(&self) -> io::Result<u64> {
        self.stored.size()
    }
}

#[test]
fn opening_is_one_small_read_and_each_frame_is_read_once() {
    let plain = plain(6 * N);
    let stored = store(&plain, options(Codec::Brotli(1)));
    let source = Counted { stored: &stored, reads: Cell::new(0), bytes: Cell::new(0) };
    let reader = CompressReader::open_at(&source).expect("opens");
    assert_eq!(source.reads.get(), 1);
    assert!(source.bytes.get() <= 4096);
    let mut back = vec![0; plain.len()];
    for (i, part) in back.chunks_mut(100).enumerate() {
        reader.read_exact_at(part, i as u64 * 100).expect("reads");
    }
    assert!(back == plain);
    assert_eq!(source.reads.get(), 1 + 6);
    assert!(source.bytes.get() < 4096 + stored.len());
}

#[test]
fn threads_share_what_is_decoded() {
    struct Shared(Vec<u8>, AtomicUsize);
    impl ReadAt for Shared {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read_at(buf, offset)
        }
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }
    }
    let plain = plain(8 * N);
    let stored = store(&plain, options(Codec::Brotli(1)));
    let source = Arc::new(Shared(stored, AtomicUsize::new(0)));
    let reader = CompressReader::open_at(Arc::clone(&source)).expect("opens");
    thread::scope(|scope| {
        for _ in 0..4 {
            let (mut reader, plain) = (reader.clone(), &plain);
            scope.spawn(move || {
                let mut back = Vec::new();
                reader.read_to_end(&mut back).expect("reads");
                assert!(back == *plain);
                let mut byte = [0];
                reader.read_exact_at(&mut byte, 3).expect("reads");
                assert_eq!(byte[0], plain[3]);
            });
        }
    });
    assert_eq!(source.1.load(Ordering::Relaxed), 1 + 8);
}

#[test]
fn readers_can_go_to_other_threads() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<CompressReader<std::fs::File>>();
    is_sync::<CompressReader<std::fs::File>>();
    is_send::<carstone_compress::CompressWriter<Vec<u8>>>();
    is_send::<carstone_compress::CompressFailSafe<carstone_layer::PlainSource<&[u8]>>>();
}

#[test]
fn only_the_pack_and_the_block_size_asked_for_are_read() {
    let stored = store(&plain(2 * N), options(Codec::Stored));
    let kind = |options| {
        CompressReader::with_options(&stored[..], options).and_then(|mut reader| {
            io::copy(&mut reader, &mut io::sink()).map_err(|error| {
                match error.downcast::<carstone_compress::Error>() {
                    Ok(error) => error,
                    Err(error) => panic!("not typed: {error}"),
                }
            })
        })
    };
    assert!(kind(ReadOptions::default().pack_id(PACK)).is_ok());
    let other = kind(ReadOptions::default().pack_id(PackId::from_bytes([8; 16])));
    assert!(matches!(other.expect_err("foreign").kind(), ErrorKind::Foreign));
    assert!(kind(ReadOptions::default().max_block(BLOCK)).is_ok());
    let small = kind(ReadOptions::default().max_block(BLOCK - 1)).expect_err("too long");
    assert!(matches!(small.kind(), ErrorKind::TooLong { .. }), "{small}");
}

#[test]
fn frames_are_found_by_their_headers_where_the_footer_is_damaged() {
    let plain = plain(5 * N + 9);
    let good = store(&plain, options(Codec::Brotli(1)));
    let footer = good.len() - 136 - 96 - 6 * 16;
    for at in [footer + 4, footer + 96 + 20, good.len() - 130, good.len() - 20] {
        let mut stored = good.clone();
        stored[at] ^= 0xFF;
        let mut reader = CompressReader::open_at(&stored).expect("opens without its footer");
        assert!(!reader.has_footer(), "byte {at}");
        let mut back = Vec::new();
        reader.read_to_end(&mut back).expect("reads");
        assert!(back == plain);
        reader.verify(|_| ()).expect_err("the footer is damaged");
        reader.check_footer().expect_err("the footer is damaged");
    }
    CompressReader::open_at(&good).expect("opens").check_footer().expect("the footer is sound");
    let mut reader =
        CompressReader::open_scan(&good, ReadOptions::default()).expect("opens by headers");
    assert!(!reader.has_footer());
    let mut verified = 0;
    reader.verify(|end| verified = verified.max(end)).expect("verifies");
    assert_eq!(verified, plain.len() as u64);
    reader.seek(SeekFrom::Start(3 * N as u64)).expect("seeks");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).expect("reads");
    assert!(rest == plain[3 * N..]);
}

#[test]
fn frames_of_kinds_from_128_on_are_skipped() {
    let plain = plain(2 * N);
    let good = store(&plain, options(Codec::Stored));
    let payload = b"something newer";
    let mut header = FrameHeader::data(LayerId::COMPRESSION, PACK, 0, N as u64)
        .with_lengths(0, payload.len() as u32);
    header.kind = Kind(200);
    let ancillary = [&header.sealed(payload).encode()[..], payload].concat();
    let mut stored = good;
    stored.splice(96 + N..96 + N, ancillary);
    let mut reader =
        CompressReader::open_scan(&stored, ReadOptions::default()).expect("opens by headers");
    let mut back = Vec::new();
    reader.read_to_end(&mut back).expect("reads");
    assert!(back == plain);
}

#[test]
fn fields_that_a_kind_does_not_have_are_refused() {
    let good = store(&plain(2 * N), options(Codec::Stored));
    let opens = |kind, change: fn(&mut FrameHeader)| {
        let mut header = FrameHeader::data(LayerId::COMPRESSION, PACK, 0, N as u64);
        header.kind = kind;
        change(&mut header);
        let mut stored = good.clone();
        stored.splice(96 + N..96 + N, header.sealed(&[]).encode());
        CompressReader::open_scan(&stored, ReadOptions::default()).map(drop)
    };
    opens(Kind::ANCHOR, |_| ()).expect("an anchor may stand between data frames");
    let changes: [fn(&mut FrameHeader); 4] = [
        |header| header.last = true,
        |header| header.codec = 1,
        |header| header.plain_len = 1,
        |header| header.first_boundary = Some(0),
    ];
    for change in changes {
        let error = opens(Kind::ANCHOR, change).expect_err("refused");
        assert!(matches!(error.kind(), ErrorKind::Misplaced { .. }), "{error}");
    }
    assert!(opens(Kind::LAYER_HEADER, |_| ()).is_err(), "this layer has no header frame");
}
