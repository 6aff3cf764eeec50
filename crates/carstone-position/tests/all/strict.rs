//! Writing and strict reading: round trips, refusals, seeking, failing sinks.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::File;
use std::io::{self, Cursor, ErrorKind as IoKind, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use carstone_layer::{BoxFailSafe, BoxWriter, Hint, LayerWrite, PackId, ReadAt, crc64};
use carstone_position::{Error, PositionFailSafe, PositionReader, PositionWriter};
use proptest::prelude::*;

const FOOTER: usize = 64;

fn pack_id() -> PackId {
    PackId::from_bytes(*b"sixteen bytes id")
}

fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 37 + at / 251) as u8).collect()
}

/// The stored form of `plain` with a mark at this place.
fn stored(plain: &[u8], mark: Option<usize>) -> Vec<u8> {
    let mut writer = PositionWriter::new(Vec::new(), pack_id());
    let (before, behind) = plain.split_at(mark.unwrap_or(plain.len()));
    writer.write_all(before).unwrap();
    if mark.is_some() {
        writer.mark();
    }
    writer.write_all(behind).unwrap();
    assert_eq!(writer.position(), plain.len() as u64);
    writer.finish().unwrap()
}

#[test]
fn what_is_written_is_read_back() {
    for len in [0, 1, 63, 64, 65, 127, 128, 129, 70_000] {
        let bytes = stored(&noise(len), None);
        assert_eq!(bytes.len(), len + FOOTER);
        let mut reader = PositionReader::open(Cursor::new(bytes)).unwrap();
        assert_eq!((reader.len(), reader.mark()), (len as u64, None));
        assert_eq!(reader.pack_id(), pack_id());
        let mut plain = Vec::new();
        reader.read_to_end(&mut plain).unwrap();
        assert_eq!(plain, noise(len));
    }
}

#[test]
fn every_field_of_the_footer_stands_where_the_format_says() {
    let bytes = stored(&noise(0x0201), Some(0x0102));
    let mut expected = vec![0x89, 0x43, 0x53, 0x50, 0x4F, 0x0D, 0x0A, 0x1A];
    expected.extend([1, 2, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
    expected.extend(b"sixteen bytes id");
    expected.resize(56, 0);
    expected.extend(crc64(&[&expected]).to_le_bytes());
    assert_eq!(bytes[0x0201..], expected);
    assert_eq!(stored(b"", None)[16..24], [0xFF; 8]);
}

#[test]
fn the_last_mark_counts() {
    let mut writer = PositionWriter::new(Vec::new(), pack_id());
    writer.mark();
    writer.write_all(b"key").unwrap();
    writer.mark();
    writer.write_all(b"stone").unwrap();
    let reader = PositionReader::open_at(writer.finish().unwrap()).unwrap();
    assert_eq!(reader.mark(), Some(3));
    assert_eq!(PositionReader::open_at(stored(b"key", Some(0))).unwrap().mark(), Some(0));
    // There is no byte that this one could stand for.
    assert_eq!(PositionReader::open_at(stored(b"key", Some(3))).unwrap().mark(), None);
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &str) {
    assert_eq!(PositionReader::open(Cursor::new(bytes)).unwrap_err().to_string(), expected);
}

/// `keystone` with its footer changed and its checksum made right.
fn with_footer(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = stored(b"keystone", Some(3));
    change(&mut bytes[8..]);
    let crc = crc64(&[&bytes[8..64]]);
    bytes[64..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_stream_cut_anywhere_is_refused() {
    let bytes = stored(&noise(100), Some(50));
    for len in 0..bytes.len() {
        let error = PositionReader::open_at(&bytes[..len]).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), IoKind::UnexpectedEof, "cut to {len}");
    }
    check_refused(&bytes[..163], "stream stops at byte 163 without a position footer");
    check_refused(&bytes[..10], "stream stops at byte 10 without a position footer");
}

#[test]
fn an_unfinished_stream_reads_as_truncated() {
    let mut sink = Vec::new();
    let mut writer = PositionWriter::new(&mut sink, pack_id());
    writer.write_all(&noise(1000)).unwrap();
    drop(writer);
    check_refused(&sink, "stream stops at byte 1000 without a position footer");
}

#[test]
fn a_footer_that_is_wrong_is_refused() {
    let good = stored(b"keystone", None);
    for at in 16..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 2;
        check_refused(&bytes, "position footer at byte 8 does not match its checksum");
    }
    check_refused(
        &with_footer(|footer| footer[8] = 9),
        "position footer at byte 16 states 9 bytes before it, but there are 8",
    );
    check_refused(
        &with_footer(|footer| footer[16] = 8),
        "mark of the position footer at byte 24 is not valid",
    );
    check_refused(
        &with_footer(|footer| footer[40] = 1),
        "segment number of the position footer at byte 48 is not valid",
    );
    for at in 44..56 {
        let expected = "reserved bytes of the position footer at byte 52 is not valid";
        check_refused(&with_footer(|footer| footer[at] = 1), expected);
    }
}

/// Takes `room` bytes, one with each write, fails once, and would then work again.
#[derive(Debug)]
struct Narrow {
    taken: Vec<u8>,
    room: usize,
}

impl Write for Narrow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.taken.len() == self.room {
            self.room = usize::MAX;
            return Err(IoKind::StorageFull.into());
        }
        self.taken.extend(buf.first());
        Ok(buf.len().min(1))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_takes_one_byte_at_a_time_gets_the_same_stream() {
    let sink = Narrow { taken: Vec::new(), room: usize::MAX };
    let mut writer = PositionWriter::new(sink, pack_id());
    writer.write_all(&noise(500)).unwrap();
    assert_eq!((writer.position(), writer.get_ref().taken.len()), (500, 500));
    assert_eq!(writer.finish().unwrap().taken, stored(&noise(500), None));
}

#[test]
fn a_failing_sink_is_never_taken_for_success() {
    for room in 0..40 + FOOTER {
        let mut sink = Narrow { taken: Vec::new(), room };
        let mut writer = PositionWriter::new(&mut sink, pack_id());
        let written = writer.write_all(&noise(40));
        assert_eq!(written.is_ok(), room >= 40);
        if written.is_err() {
            // The sink would take bytes again, but the writer does not.
            assert!(writer.write(b"x").is_err() && writer.flush().is_err());
        }
        assert!(writer.finish().is_err());
        assert!(PositionReader::open_at(sink.taken).is_err(), "room for {room}");
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
            Err(IoKind::BrokenPipe.into())
        }
    }
    let mut writer = PositionWriter::new(NoFlush, pack_id());
    assert!(writer.flush().is_err());
    assert!(writer.write(b"x").is_err());
    let error = writer.finish().map(drop).expect_err("broken");
    assert_eq!(error.kind(), IoKind::Other);
}

/// A layer that notes what it is told, and fails on request.
#[derive(Default)]
struct Below {
    taken: Vec<u8>,
    told: Vec<(usize, Hint)>,
    fails: bool,
}

impl Write for Below {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.taken.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LayerWrite for Below {
    type Sink = (Vec<u8>, Vec<(usize, Hint)>);

    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        if std::mem::take(&mut self.fails) {
            return Err(IoKind::StorageFull.into());
        }
        self.told.push((self.taken.len(), hint));
        Ok(())
    }

    fn finish_stack(self: Box<Self>) -> io::Result<Self::Sink> {
        Ok((self.taken, self.told))
    }
}

#[test]
fn marks_are_kept_and_other_hints_passed_on_in_their_place() {
    let below: BoxWriter<'_, _> = Box::new(Below::default());
    let mut stack: BoxWriter<'_, _> = Box::new(PositionWriter::new(below, pack_id()));
    stack.boundary().unwrap();
    stack.write_all(b"key").unwrap();
    stack.hint(Hint::Mark).unwrap();
    stack.hint(Hint::SeekUnit(9)).unwrap();
    stack.write_all(b"stone").unwrap();
    let (bytes, told) = stack.finish_stack().unwrap();
    assert_eq!(bytes, stored(b"keystone", Some(3)));
    assert_eq!(told, [(0, Hint::Boundary), (3, Hint::SeekUnit(9))]);
}

#[test]
fn a_failed_hint_breaks_the_writer() {
    let below = Below { fails: true, ..Below::default() };
    let mut writer = PositionWriter::new(below, pack_id());
    writer.hint(Hint::Mark).unwrap();
    assert!(writer.boundary().is_err());
    assert!(writer.write(b"x").is_err() && writer.hint(Hint::Mark).is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn clones_share_the_source_and_not_the_position() {
    let mut a = PositionReader::open_at(Arc::new(stored(b"keystone", None))).unwrap();
    a.seek(SeekFrom::End(-5)).unwrap();
    let mut b = a.clone();
    assert_eq!(io::read_to_string(&mut a).unwrap(), "stone");
    assert_eq!(io::read_to_string(&mut b).unwrap(), "stone");
    let mut at = [0; 100];
    assert_eq!(b.read_at(&mut at, 6).unwrap(), 2);
    assert_eq!(b.read_at(&mut at, 8).unwrap(), 0);
    assert_eq!(b.read_at(&mut at, u64::MAX).unwrap(), 0);
    assert_eq!(b.size().unwrap(), 8);
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Seek(SeekFrom),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..300_usize).prop_map(Step::Read),
        (0..600_u64).prop_map(|at| Step::Seek(SeekFrom::Start(at))),
        Just(Step::Seek(SeekFrom::Start(u64::MAX))),
        (-600..200_i64).prop_map(|by| Step::Seek(SeekFrom::End(by))),
        (-300..300_i64).prop_map(|by| Step::Seek(SeekFrom::Current(by))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn seeking_agrees_with_a_cursor(
        len in 0..500_usize,
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let mut model = Cursor::new(noise(len));
        let mut reader = PositionReader::open(Cursor::new(stored(&noise(len), None))).unwrap();
        for step in steps {
            match step {
                Step::Read(len) => {
                    let (mut a, mut b) = (vec![0; len], vec![0; len]);
                    prop_assert_eq!(reader.read(&mut a).unwrap(), model.read(&mut b).unwrap());
                    prop_assert_eq!(a, b);
                }
                Step::Seek(to) => prop_assert_eq!(reader.seek(to).ok(), model.seek(to).ok()),
            }
            prop_assert_eq!(reader.stream_position().unwrap(), model.position());
        }
    }

    #[test]
    fn any_split_of_writes_gives_the_same_stream(
        plain in prop::collection::vec(any::<u8>(), 0..1000),
        size in 1..300_usize,
    ) {
        let mut writer = PositionWriter::new(Vec::new(), pack_id());
        plain.chunks(size).for_each(|chunk| writer.write_all(chunk).unwrap());
        prop_assert_eq!(writer.finish().unwrap(), stored(&plain, None));
    }
}

const _: fn() = || {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<PositionWriter<File>>();
    is_send::<PositionReader<Arc<File>>>();
    is_sync::<PositionReader<Arc<File>>>();
    is_send::<PositionFailSafe<BoxFailSafe<'_>>>();
    is_send::<Error>();
    is_sync::<Error>();
    let _: Option<BoxWriter<'_, File>> =
        None::<Box<PositionWriter<BoxWriter<'_, File>>>>.map(|writer| writer as _);
    let _: Option<BoxFailSafe<'_>> =
        None::<Box<PositionFailSafe<BoxFailSafe<'_>>>>.map(|reader| reader as _);
};
