//! What is written comes back, and nothing else is written.

use std::io::{self, Cursor, Read, Write};

use crate::streams::{BLOCK, N, PACK, codecs, noise, options, plain, store};
use carstone_compress::{Codec, CompressOptions, CompressReader, CompressWriter, Error, ErrorKind};
use carstone_layer::{BoxWriter, Kind, LayerWrite};

#[track_caller]
fn check(plain: &[u8], codec: Codec) {
    let stored = store(plain, options(codec));
    assert!(stored == store(plain, options(codec).threads(1)), "bytes depend on threads");
    assert!(stored == store(plain, options(codec).threads(3).budget(1)), "bytes depend on memory");
    let mut reader = CompressReader::open(Cursor::new(&stored)).expect("opens");
    assert_eq!(reader.len(), plain.len() as u64);
    assert!(reader.has_footer());
    let mut back = Vec::new();
    reader.read_to_end(&mut back).expect("reads");
    assert!(back == plain, "{} bytes came back as {}", plain.len(), back.len());
    reader.verify(|_| ()).expect("verifies");
}

#[test]
fn interesting_lengths_come_back() {
    for codec in codecs() {
        for len in [0, 1, N - 1, N, N + 1, 2 * N, 2 * N + 1, 5 * N + 77] {
            check(&plain(len), codec);
        }
    }
}

#[test]
fn noise_and_zeros_come_back() {
    for codec in codecs() {
        check(&noise(3 * N + 5), codec);
        check(&vec![0; 3 * N + 5], codec);
        check(&[&noise(2 * N)[..], &plain(2 * N)].concat(), codec);
    }
}

#[test]
fn a_footer_of_several_pages_is_searched() {
    let mut writer =
        CompressWriter::with_options(Vec::new(), options(Codec::Stored)).expect("opens");
    writer.seek_unit(10);
    let plain = noise(2 * 4096 * 10 + 35);
    writer.write_all(&plain).expect("writes");
    let stored = writer.finish().expect("finishes");
    let mut reader = CompressReader::open(Cursor::new(&stored)).expect("opens");
    let mut back = Vec::new();
    reader.read_to_end(&mut back).expect("reads");
    assert!(back == plain);
    reader.verify(|_| ()).expect("verifies");
    for at in [0, 9, 10, 40_959, 40_960, 40_961, 81_919, 81_920, 81_954] {
        let mut byte = [0];
        carstone_layer::ReadAt::read_exact_at(&reader, &mut byte, at as u64).expect("reads");
        assert_eq!(byte[0], plain[at], "byte {at}");
    }
    let footers = reader.frames().map(|frame| frame.expect("sound").1);
    assert_eq!(footers.filter(|header| header.kind == Kind::FOOTER).count(), 4);
}

#[test]
fn noise_is_stored_and_text_is_not() {
    let stored = store(&noise(N), options(Codec::Brotli(1)));
    assert_eq!(stored.len(), 96 + N + 96 + 16 + 136);
    assert!(store(&plain(N), options(Codec::Brotli(1))).len() < N * 3 / 4);
}

#[test]
fn hints_cut_blocks_and_mark_sections() {
    let mut writer = CompressWriter::with_options(Vec::new(), options(Codec::Stored)).expect("ok");
    writer.write_all(&[1; 100]).expect("writes");
    writer.boundary();
    writer.boundary();
    writer.write_all(&[2; 50]).expect("writes");
    writer.boundary(); // The second of its frame.
    writer.write_all(&[3; 50]).expect("writes");
    writer.boundary(); // Belongs to the frame that holds the next byte.
    writer.seek_unit(60);
    writer.seek_unit(60);
    writer.write_all(&[4; 130]).expect("writes");
    writer.seek_unit(u32::MAX);
    writer.write_all(&vec![5; N + 1]).expect("writes");
    writer.seek_unit(1);
    writer.boundary(); // Nothing follows.
    let stored = writer.finish().expect("finishes");
    let reader = CompressReader::open(Cursor::new(&stored)).expect("opens");
    let frames: Vec<_> = reader
        .frames()
        .map(|frame| frame.expect("sound").1)
        .filter(|header| header.kind == Kind::DATA)
        .map(|header| (header.plain_len, header.first_boundary, header.last))
        .collect();
    let expected = [
        (200, Some(100), false),
        (60, Some(0), false),
        (60, None, false),
        (10, None, false),
        (BLOCK, None, false),
        (1, None, true),
    ];
    assert_eq!(frames, expected);
}

#[test]
fn flush_cuts_no_frame() {
    let mut writer = CompressWriter::with_options(Vec::new(), options(Codec::Stored)).expect("ok");
    for byte in 0..10 {
        writer.write_all(&[byte]).expect("writes");
        writer.flush().expect("flushes");
    }
    let stored = writer.finish().expect("finishes");
    assert_eq!(stored.len(), 96 + 10 + 96 + 16 + 136);
}

#[test]
fn anchors_repeat_the_container_header_behind_64_mebibytes() {
    let header = noise(256);
    let options = options(Codec::Stored).block_size(16 << 20).anchor(header.clone()).budget(1);
    let plain = noise(16 << 20);
    let mut writer = CompressWriter::with_options(Vec::new(), options.clone()).expect("opens");
    for _ in 0..9 {
        writer.write_all(&plain).expect("writes");
    }
    let stored = writer.finish().expect("finishes");
    let reader = CompressReader::open_at(&stored).expect("opens");
    let frames: Vec<_> = reader.frames().map(|frame| frame.expect("sound")).collect();
    let kinds: Vec<_> = frames.iter().map(|(_, header)| header.kind).collect();
    let (data, anchor, footer) = (Kind::DATA, Kind::ANCHOR, Kind::FOOTER);
    let expected =
        [data, data, data, data, anchor, data, data, data, data, anchor, data, footer, footer];
    assert_eq!(kinds, expected);
    let (at, second) = frames[9];
    assert_eq!((second.sequence, second.plain_offset, second.last), (1, 8 * (16 << 20), false));
    let payload = &stored[at as usize + 96..][..second.stored_len as usize];
    assert_eq!(payload, [&256_u32.to_le_bytes()[..], &header, &[0; 4]].concat());
    reader.verify(|_| ()).expect("verifies");

    // Behind the last data frame none stands.
    let mut writer = CompressWriter::with_options(Vec::new(), options).expect("opens");
    for _ in 0..4 {
        writer.write_all(&plain).expect("writes");
    }
    let stored = writer.finish().expect("finishes");
    let reader = CompressReader::open_at(&stored).expect("opens");
    assert!(reader.frames().all(|frame| frame.expect("sound").1.kind != anchor));
}

#[test]
fn options_outside_the_format_are_refused() {
    let bad = [
        CompressOptions::default().block_size(BLOCK - 1),
        CompressOptions::default().block_size((16 << 20) + 1),
        CompressOptions::default().codec(Codec::Brotli(12)),
        CompressOptions::default().anchor(vec![0; 255]),
    ];
    for options in bad {
        let error = CompressWriter::with_options(io::sink(), options).expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let kind = Error::of(&error).expect("typed").kind();
        assert!(matches!(kind, ErrorKind::BadOption(_)), "{kind:?}");
    }
}

#[test]
fn pack_ids_are_random_unless_given() {
    let id = |options| CompressWriter::with_options(io::sink(), options).expect("opens").pack_id();
    assert_eq!(id(options(Codec::Stored)), PACK);
    assert_ne!(id(CompressOptions::default()), id(CompressOptions::default()));
}

/// Takes one byte at a time, and `left` bytes in all.
struct Narrow {
    taken: Vec<u8>,
    left: usize,
}

impl Write for Narrow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("disk full"));
        }
        self.left -= 1;
        self.taken.push(buf[0]);
        Ok(1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LayerWrite for Narrow {
    type Sink = Vec<u8>;

    fn hint(&mut self, _: carstone_layer::Hint) -> io::Result<()> {
        Ok(())
    }

    fn finish_stack(self: Box<Self>) -> io::Result<Vec<u8>> {
        Ok(self.taken)
    }
}

#[test]
fn a_sink_that_takes_single_bytes_gets_the_same_bytes() {
    let plain = plain(3 * N);
    let sink = Narrow { taken: Vec::new(), left: usize::MAX };
    let writer = CompressWriter::with_options(sink, options(Codec::Stored)).expect("opens");
    let mut boxed: BoxWriter<'_, Vec<u8>> = Box::new(writer);
    boxed.write_all(&plain).expect("writes");
    assert!(boxed.finish_stack().expect("finishes") == store(&plain, options(Codec::Stored)));
}

#[test]
fn a_failing_sink_breaks_the_writer_for_good_and_the_rest_reads_as_truncated() {
    for left in [0, 50, 96, N + 200, 3 * N] {
        let mut taken = Vec::new();
        let sink = Capped { taken: &mut taken, left };
        let mut writer = CompressWriter::with_options(sink, options(Codec::Stored)).expect("opens");
        let failed = writer.write_all(&noise(8 * N)).and_then(|()| writer.flush()).is_err();
        if failed {
            assert!(writer.write(b"x").is_err());
            assert!(writer.flush().is_err());
        }
        assert!(writer.finish().is_err(), "{left} bytes were enough");
        assert_eq!(taken.len(), left);
        let error = CompressReader::open_at(&taken).expect_err("unfinished");
        assert!(matches!(error.kind(), ErrorKind::Truncated), "{error}");
    }
}

#[test]
fn a_failed_flush_breaks_the_writer_too() {
    struct NoFlush;
    impl Write for NoFlush {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut writer = CompressWriter::new(NoFlush).expect("opens");
    assert!(writer.flush().is_err());
    assert!(writer.write(b"x").is_err());
    let error = writer.finish().map(drop).expect_err("broken");
    assert_eq!(error.kind(), io::ErrorKind::Other);
}

struct Capped<'a> {
    taken: &'a mut Vec<u8>,
    left: usize,
}

impl Write for Capped<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(self.left);
        if n == 0 {
            return Err(io::Error::other("disk full"));
        }
        self.left -= n;
        self.taken.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
