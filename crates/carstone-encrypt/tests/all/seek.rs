//! Reading at any offset.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, thread};

use crate::streams::{self, KEY, N, open, plain, seal};
use carstone_encrypt::{EncryptReader, ReadOptions};
use carstone_layer::ReadAt;
use proptest::prelude::*;

#[test]
fn a_read_after_a_seek_past_the_end_gives_nothing() {
    for len in [0, 10, N, N + 1] {
        let mut reader = open(seal(&plain(len))).expect("undamaged");
        for to in [SeekFrom::End(0), SeekFrom::End(5), SeekFrom::Start(u64::MAX)] {
            reader.seek(to).expect("any offset will do");
            assert_eq!(reader.read(&mut [0; 9]).expect("the end"), 0);
        }
        assert_eq!(reader.read_at(&mut [0; 9], len as u64).expect("the end"), 0);
        assert_eq!(reader.read_at(&mut [0; 9], u64::MAX).expect("the end"), 0);
    }
}

#[test]
fn a_seek_before_the_start_is_refused_and_moves_nothing() {
    let mut reader = open(seal(b"keystone")).expect("undamaged");
    reader.seek(SeekFrom::Start(3)).expect("inside");
    for to in [SeekFrom::Current(-4), SeekFrom::End(-9), SeekFrom::Current(i64::MIN)] {
        assert_eq!(reader.seek(to).expect_err("before 0").kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(reader.stream_position().expect("known"), 3);
    assert_eq!(streams::read_all(reader), b"stone");
}

/// Counts the bytes that are read.
struct Counting<'a>(&'a [u8], &'a AtomicU64);

impl ReadAt for Counting<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let n = self.0.read_at(buf, offset)?;
        self.1.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

#[test]
fn a_short_read_after_a_seek_decrypts_one_frame_and_the_next_ones_none() {
    let stored = seal(&plain(40 * N));
    let count = AtomicU64::new(0);
    let mut reader = open(Counting(&stored, &count)).expect("undamaged");
    count.store(0, Ordering::Relaxed);
    reader.seek(SeekFrom::Start(20 * N as u64 + 7)).expect("inside");
    for _ in 0..100 {
        reader.read_exact(&mut [0; 50]).expect("undamaged");
        reader.read_exact_at(&mut [0; 50], 20 * N as u64).expect("undamaged");
    }
    assert_eq!(count.load(Ordering::Relaxed), streams::FRAME as u64);
}

#[test]
fn reading_through_reads_each_stored_byte_once() {
    let stored = seal(&plain(100 * N));
    for threads in [1, 2] {
        let count = AtomicU64::new(0);
        let options = ReadOptions::default().threads(threads);
        let source = Counting(&stored, &count);
        let mut reader = EncryptReader::with_options(source, &KEY, options).expect("undamaged");
        let opened = count.swap(0, Ordering::Relaxed);
        io::copy(&mut reader, &mut io::sink()).expect("undamaged");
        // The last frame was decrypted when the stream was opened, and may be read again with its neighbours.
        let read = count.load(Ordering::Relaxed);
        assert!(read <= stored.len() as u64 && read + opened >= stored.len() as u64, "{read}");
    }
}

#[test]
fn a_source_needs_no_static_lifetime_and_readers_share_threads() {
    let plain = plain(70 * N + 11);
    let stored = seal(&plain);
    let options = ReadOptions::default().threads(3);
    let reader = EncryptReader::with_options(&stored[..], &KEY, options).expect("undamaged");
    thread::scope(|scope| {
        for start in [0, 1, 5 * N, 33 * N + 1] {
            let mut clone = reader.clone();
            let (reader, plain) = (&reader, &plain);
            scope.spawn(move || {
                clone.seek(SeekFrom::Start(start as u64)).expect("inside");
                assert!(streams::read_all(&mut clone) == plain[start..]);
                let mut buf = vec![0; 30 * N];
                reader.read_exact_at(&mut buf, start as u64).expect("undamaged");
                assert!(buf == plain[start..start + buf.len()]);
            });
        }
    });
}

#[test]
fn reading_goes_on_behind_a_damaged_frame() {
    let plain = plain(60 * N);
    let mut stored = seal(&plain);
    stored[streams::frame_at(30) + 5000] ^= 1;
    for threads in [1, 3] {
        let options = ReadOptions::default().threads(threads);
        let mut reader = EncryptReader::with_options(&stored, &KEY, options).expect("good end");
        let mut before = Vec::new();
        for _ in 0..2 {
            reader.read_to_end(&mut before).expect_err("frame 30 is damaged");
            assert!(before == plain[..30 * N], "{}", before.len());
        }
        reader.seek(SeekFrom::Start(31 * N as u64)).expect("inside");
        assert!(streams::read_all(&mut reader) == plain[31 * N..]);

        let mut all = vec![0; 60 * N];
        assert_eq!(reader.read_at(&mut all, 0).expect("a part"), 30 * N);
        assert!(all[..30 * N] == plain[..30 * N]);
        assert!(all[30 * N..].iter().all(|&byte| byte == 0), "nothing unproven leaves");
        reader.read_at(&mut all, 30 * N as u64 + 9).expect_err("frame 30 is damaged");
        assert_eq!(reader.read_at(&mut all, 31 * N as u64).expect("good"), 29 * N);
        assert!(all[..29 * N] == plain[31 * N..]);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Seek(SeekFrom),
    ReadAt(usize, u64),
}

fn step(len: usize) -> impl Strategy<Value = Step> {
    let end = len as i64;
    prop_oneof![
        (0..2 * N).prop_map(Step::Read),
        (0..300usize).prop_map(Step::Read),
        (0..12 * N).prop_map(Step::Read),
        (0..end + 100).prop_map(|at| Step::Seek(SeekFrom::Start(at as u64))),
        (-end - 10..100).prop_map(|by| Step::Seek(SeekFrom::End(by))),
        (-2 * N as i64..2 * N as i64).prop_map(|by| Step::Seek(SeekFrom::Current(by))),
        ((0..20 * N), (0..end as u64 + 10)).prop_map(|(len, at)| Step::ReadAt(len, at)),
    ]
}

const LENS: [usize; 6] = [0, 1, N, N + 1, 9 * N + 77, 24 * N];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn seeking_agrees_with_a_cursor_over_the_plain_bytes(
        (len, steps) in prop::sample::select(LENS.to_vec())
            .prop_flat_map(|len| (Just(len), prop::collection::vec(step(len), 1..30))),
        threads in 1..3usize,
        cache in prop::sample::select(vec![0, 200_000, 2 << 20]),
    ) {
        let plain = plain(len);
        let options = ReadOptions::default().threads(threads).cache(cache).budget(1 << 20);
        let mut reader = EncryptReader::with_options(seal(&plain), &KEY, options).expect("undamaged");
        let mut cursor = Cursor::new(&plain);
        for step in steps {
            match step {
                Step::Read(len) => {
                    let mut buf = vec![0; len];
                    let n = reader.read(&mut buf).expect("undamaged");
                    let mut expected = vec![0; n];
                    cursor.read_exact(&mut expected).expect("as much as the reader gave");
                    prop_assert!(buf[..n] == expected);
                    let at_end = cursor.position() >= plain.len() as u64;
                    prop_assert!(n > 0 || len == 0 || at_end);
                }
                Step::Seek(to) => {
                    prop_assert_eq!(reader.seek(to).ok(), cursor.seek(to).ok());
                }
                Step::ReadAt(len, at) => {
                    let mut buf = vec![0; len];
                    let n = reader.read_at(&mut buf, at).expect("undamaged");
                    let mut expected = vec![0; len];
                    prop_assert_eq!(n, plain.read_at(&mut expected, at).expect("memory"));
                    prop_assert!(buf == expected);
                }
            }
        }
    }
}
