//! What is written comes back, whatever the lengths, splits, threads and sinks.

use std::io::{self, Cursor, ErrorKind as IoKind, Read, Seek, SeekFrom, Write};

use crate::streams::{
    FRAME, HEADER, KEY, N, PACK, frame_at, open, options, plain, read_all, seal, seal_with,
};
use carstone_encrypt::{
    Anchor, Backend, EncryptOptions, EncryptReader, EncryptWriter, Error, ErrorKind, LayerHeader,
    ReadOptions,
};
use carstone_layer::{FrameHeader, Hint, Kind, LayerId, LayerWrite, ReadAt};

#[track_caller]
fn check(len: usize) {
    let plain = plain(len);
    let stored = seal(&plain);
    assert_eq!(stored.len(), 2 * HEADER + len + 112 * len.div_ceil(N).max(1));
    for threads in [1, 3] {
        let options = ReadOptions::default().threads(threads);
        let reader = EncryptReader::with_options(&stored, &KEY, options).expect("undamaged");
        assert_eq!(reader.len(), len as u64);
        let mut positional = vec![0; len + 1];
        assert_eq!(reader.read_at(&mut positional, 0).expect("undamaged"), len);
        assert!(positional[..len] == plain);
        assert!(read_all(reader) == plain);
    }
}

#[test]
fn an_empty_stream_has_one_empty_frame() {
    check(0);
}

#[test]
fn lengths_around_a_frame_come_back() {
    for len in [1, 2, 1000, N - 1, N, N + 1, 2 * N - 1, 2 * N, 2 * N + 1] {
        check(len);
    }
}

#[test]
fn lengths_around_a_batch_come_back() {
    for len in [8 * N - 1, 8 * N, 8 * N + 1, 24 * N, 40 * N + 5] {
        check(len);
    }
}

#[test]
fn the_bytes_do_not_depend_on_threads_budget_splits_flushes_or_backend() {
    let plain = plain(21 * N + 7);
    let expected = seal(&plain);
    for (threads, budget, piece, flush_every) in [
        (1, 0, 1000, 7),
        (2, 1 << 20, N, 3),
        (3, 64 << 20, 3 * N + 1, 1),
        (2, 300_000, 65_537, 1000),
    ] {
        let options = options().threads(threads).budget(budget).backend(Backend::AesGcm);
        let mut writer = EncryptWriter::with_options(Vec::new(), &KEY, options).expect("opens");
        for (index, piece) in plain.chunks(piece).enumerate() {
            writer.write_all(piece).expect("a Vec takes all");
            if index % flush_every == 0 {
                writer.flush().expect("a Vec takes all");
            }
        }
        assert!(writer.finish().expect("a Vec takes all") == expected, "{threads} {piece}");
    }
}

#[test]
fn flush_lets_out_all_frames_but_the_newest() {
    let mut writer = EncryptWriter::with_options(Vec::new(), &KEY, options()).expect("opens");
    writer.write_all(&plain(3 * N)).expect("a Vec takes all");
    writer.flush().expect("a Vec takes all");
    assert_eq!(writer.get_ref().len(), HEADER + 2 * FRAME);
    writer.flush().expect("a Vec takes all");
    assert_eq!(writer.get_ref().len(), HEADER + 2 * FRAME);
    let stored = writer.finish().expect("a Vec takes all");
    assert!(read_all(open(stored).expect("undamaged")) == plain(3 * N));
}

#[test]
fn an_unfinished_stream_reads_as_truncated() {
    for len in [0, 1, N, 30 * N] {
        let mut sink = Vec::new();
        let mut writer = EncryptWriter::with_options(&mut sink, &KEY, options()).expect("opens");
        writer.write_all(&plain(len)).expect("a Vec takes all");
        drop(writer);
        let error = open(&sink).expect_err("not finished");
        assert!(matches!(error.kind(), ErrorKind::Truncated), "{len}: {error}");
    }
}

/// Takes `left` bytes, a few at a time, then fails for good.
#[derive(Debug)]
struct Failing {
    left: usize,
    taken: Vec<u8>,
}

impl Write for Failing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(IoKind::StorageFull.into());
        }
        let n = buf.len().min(self.left).min(70_001);
        self.taken.extend_from_slice(&buf[..n]);
        self.left -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_failed_write_the_writer_is_broken_for_ever() {
    let mut sink = Failing { left: HEADER + 3 * FRAME, taken: Vec::new() };
    let mut writer = EncryptWriter::with_options(&mut sink, &KEY, options()).expect("opens");
    let error = writer.write_all(&plain(40 * N)).expect_err("the sink fails");
    assert_eq!(error.kind(), IoKind::StorageFull);
    let broken =
        |error: io::Error| matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::Broken));
    assert!(broken(writer.write(b"again").expect_err("broken")));
    assert!(broken(writer.flush().expect_err("broken")));
    assert!(broken(writer.boundary().expect_err("broken")));
    assert!(broken(writer.finish().expect_err("broken")));
    let error = open(&sink.taken).expect_err("not finished");
    assert!(matches!(error.kind(), ErrorKind::Truncated));
}

#[test]
fn a_failed_flush_breaks_the_writer_too() {
    struct NoFlush;
    impl Write for NoFlush {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(IoKind::BrokenPipe.into())
        }
    }
    let mut writer = EncryptWriter::new(NoFlush, &KEY).expect("opens");
    assert_eq!(writer.flush().expect_err("fails").kind(), IoKind::BrokenPipe);
    assert_eq!(writer.finish().map(drop).expect_err("broken").kind(), IoKind::Other);
}

#[test]
fn a_sink_that_takes_one_byte_at_a_time_gets_the_same_bytes() {
    struct OneByte(Vec<u8>);
    impl Write for OneByte {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.extend(buf.first());
            Ok(buf.len().min(1))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let plain = plain(N + 3);
    let mut writer =
        EncryptWriter::with_options(OneByte(Vec::new()), &KEY, options()).expect("opens");
    writer.write_all(&plain).expect("takes all");
    assert!(writer.finish().expect("takes all").0 == seal(&plain));
}

#[test]
fn a_source_that_gives_one_byte_at_a_time_reads_the_same() {
    struct OneByte(Cursor<Vec<u8>>);
    impl Read for OneByte {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let n = buf.len().min(1);
            self.0.read(&mut buf[..n])
        }
    }
    impl Seek for OneByte {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let plain = plain(N + 3);
    let reader = EncryptReader::open(OneByte(Cursor::new(seal(&plain))), &KEY).expect("undamaged");
    assert!(read_all(reader) == plain);
}

#[test]
fn the_key_envelope_comes_back_without_a_key() {
    for len in [0, 1, 900, carstone_encrypt::MAX_ENVELOPE] {
        let envelope = plain(len);
        let mut stored = seal_with(b"keystone", options().envelope(envelope.clone()));
        let header = LayerHeader::read_at(&stored).expect("undamaged");
        assert_eq!((header.pack_id, &header.envelope), (PACK, &envelope));
        let mut seen = None;
        let reader = EncryptReader::open_at(&stored, |envelope: &[u8]| {
            seen = Some(envelope.to_vec());
            Ok(Some(carstone_encrypt::ContentKeyBytes::new(KEY)))
        });
        assert!(read_all(reader.expect("undamaged")) == b"keystone");
        assert_eq!(seen.as_ref(), Some(&envelope));
        stored[100] ^= 1; // The copy at the end is as good.
        assert_eq!(LayerHeader::read_at(&stored).expect("one good copy").envelope, envelope);
        let end = stored.len() - 1;
        stored[end - len] ^= 1;
        // Both copies are damaged, but one bit can be put right.
        assert_eq!(LayerHeader::read_at(&stored).expect("corrected").envelope, envelope);
        stored[96..120].fill(0);
        stored[end - 30..].fill(0);
        assert!(LayerHeader::read_at(&stored).is_err());
    }
    let error = EncryptWriter::with_options(
        Vec::new(),
        &KEY,
        options().envelope(plain(carstone_encrypt::MAX_ENVELOPE + 1)),
    )
    .expect_err("over the limit");
    assert!(matches!(Error::of(&error).map(Error::kind), Some(ErrorKind::TooLong { .. })));
}

#[test]
fn anchors_repeat_container_and_layer_header_after_512_frames() {
    let envelope = plain(33);
    let container = plain(256);
    let len = 513 * N + 9;
    let plain = plain(len);
    let options =
        EncryptOptions::default().pack_id(PACK).container(container.clone()).envelope(envelope);
    let stored = seal_with(&plain, options);
    let header_len = HEADER + 33;
    let at = header_len + 512 * FRAME;
    let header: &[u8; 96] = stored[at..].first_chunk().expect("long enough");
    let header = FrameHeader::decode(header).expect("an anchor");
    assert_eq!((header.layer, header.kind), (LayerId::ENCRYPTION, Kind::ANCHOR));
    assert_eq!((header.sequence, header.plain_offset), (0, 512 * N as u64));
    let payload = &stored[at + 96..][..header.stored_len as usize];
    assert!(header.payload_is_intact(payload));
    let anchor = Anchor::decode(payload).expect("an anchor");
    assert_eq!(anchor.container, container);
    assert_eq!(anchor.layer_header, stored[96..header_len]);

    let mut reader = open(&stored).expect("undamaged");
    let mut buf = vec![0; 2 * N];
    reader.read_exact_at(&mut buf, 511 * N as u64 - 5).expect("undamaged");
    assert!(buf == plain[511 * N - 5..][..2 * N]);
    let mut read = 0;
    let mut buf = vec![0; 777_777];
    loop {
        let n = reader.read(&mut buf).expect("undamaged");
        assert!(buf[..n] == plain[read..read + n]);
        read += n;
        if n == 0 {
            break;
        }
    }
    assert_eq!(read, len);
}

#[test]
fn a_last_frame_has_no_anchor_behind_it() {
    let stored = seal(&vec![0; 512 * N]);
    assert_eq!(stored.len(), 2 * HEADER + 512 * FRAME);
    assert_eq!(open(&stored).expect("undamaged").len(), 512 * N as u64);
}

#[test]
fn anchors_stand_in_the_same_place_wherever_the_writer_is_flushed() {
    let plain = vec![3; 514 * N];
    let mut writer = EncryptWriter::with_options(Vec::new(), &KEY, options()).expect("opens");
    writer.write_all(&plain[..3 * N + 5]).expect("takes all");
    writer.flush().expect("takes all");
    writer.write_all(&plain[3 * N + 5..]).expect("takes all");
    assert!(writer.finish().expect("takes all") == seal(&plain));
}

#[test]
fn the_first_boundary_of_each_frame_is_recorded() {
    let mut writer = EncryptWriter::with_options(Vec::new(), &KEY, options()).expect("opens");
    let boundaries = [10, 20, 2 * N, 3 * N + 1];
    let plain = plain(4 * N);
    let mut from = 0;
    for at in boundaries {
        writer.write_all(&plain[from..at]).expect("a Vec takes all");
        writer.boundary().expect("not broken");
        from = at;
    }
    writer.write_all(&plain[from..]).expect("a Vec takes all");
    writer.boundary().expect("not broken"); // No byte follows: no frame records it.
    let stored = writer.finish().expect("a Vec takes all");
    let recorded: Vec<_> = (0..4)
        .map(|frame| {
            let header = stored[frame_at(frame)..].first_chunk().expect("long enough");
            FrameHeader::decode(header).expect("a frame").first_boundary
        })
        .collect();
    assert_eq!(recorded, [Some(10), None, Some(0), Some(1)]);
    assert!(read_all(open(stored).expect("undamaged")) == plain);
}

#[test]
fn hints_for_other_layers_are_passed_on() {
    #[derive(Default)]
    struct Below(Vec<u8>, Vec<Hint>);
    impl Write for Below {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.write(buf)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl LayerWrite for Below {
        type Sink = Self;
        fn hint(&mut self, hint: Hint) -> io::Result<()> {
            self.1.push(hint);
            Ok(())
        }
        fn finish_stack(self: Box<Self>) -> io::Result<Self> {
            Ok(*self)
        }
    }
    let mut top = Box::new(EncryptWriter::new(Below::default(), &KEY).expect("opens"));
    for hint in [Hint::Boundary, Hint::Mark, Hint::SeekUnit(7)] {
        top.hint(hint).expect("passes");
    }
    top.write_all(b"keystone").expect("takes all");
    let below = top.finish_stack().expect("takes all");
    assert_eq!(below.1, [Hint::Mark, Hint::SeekUnit(7)]);
    assert!(read_all(open(below.0).expect("undamaged")) == b"keystone");
}

#[test]
fn two_streams_under_one_key_share_no_bytes_of_ciphertext() {
    let write = || {
        let mut writer = EncryptWriter::new(Vec::new(), &KEY).expect("opens");
        writer.write_all(&[0; 1000]).expect("takes all");
        writer.finish().expect("takes all")
    };
    let (a, b) = (write(), write());
    assert_ne!(
        LayerHeader::read_at(&a).expect("a").pack_id,
        LayerHeader::read_at(&b).expect("b").pack_id
    );
    assert_ne!(a[HEADER + 96..][..1000], b[HEADER + 96..][..1000]);
}

const _: () = {
    const fn send<T: Send>() {}
    const fn sync<T: Sync>() {}
    send::<EncryptWriter<Vec<u8>>>();
    send::<Box<dyn LayerWrite<Sink = EncryptWriter<Vec<u8>>> + Send>>();
    send::<EncryptReader<Vec<u8>>>();
    sync::<EncryptReader<Vec<u8>>>();
};
