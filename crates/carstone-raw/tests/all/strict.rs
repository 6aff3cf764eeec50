//! Writing and strict reading: round trips, refusals, failing sinks.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::File;
use std::io::{self, Cursor, ErrorKind as IoKind, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::packs::*;
use carstone_layer::{BoxWriter, Hint, LayerList, LayerWrite, ReadAt};
use carstone_raw::{Appendix, Error, RawFailSafe, RawReader, RawWriter};

#[test]
fn what_is_written_is_read_back() {
    for len in [0, 1, 255, 256, 257, 303, 304, 305, 559, 560, 561, 70_000] {
        let framed = noise(len);
        let stored = pack(&framed);
        assert_eq!(stored.len(), HEADER + len + TRAILER);
        let mut reader = RawReader::open(Cursor::new(&stored)).unwrap();
        assert_eq!((reader.len(), reader.stored_len()), (len as u64, stored.len() as u64));
        assert_eq!(reader.container().pack_id, pack_id());
        assert_eq!(reader.container().layers, layers());
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, framed);
    }
}

#[test]
fn the_trailer_is_the_header_then_length_and_sums() {
    let stored = pack(b"framed");
    let trailer = &stored[HEADER + 6..];
    assert_eq!(trailer[..256], stored[..256]);
    assert_eq!(trailer[256..264], 566_u64.to_le_bytes());
    assert_eq!(trailer[264..272], [0; 8]);
    let mut sealed = trailer.to_vec();
    reseal_trailer(&mut sealed);
    assert_eq!(sealed, trailer);
    assert_eq!(trailer[296..], [0x1A, 0x0A, 0x0D, 0x4E, 0x54, 0x53, 0x43, 0x89]);
}

#[test]
fn two_packs_never_share_an_id() {
    let a = RawWriter::new(Vec::new(), layers()).unwrap();
    let b = RawWriter::new(Vec::new(), layers()).unwrap();
    assert_ne!(a.pack_id(), b.pack_id());
}

#[test]
fn a_writer_refuses_layers_that_no_reader_takes() {
    let list = LayerList::single(slot(2, 0, 65_536));
    let mut sink = Vec::new();
    let error = RawWriter::new(&mut sink, list).unwrap_err();
    assert_eq!(error.kind(), IoKind::InvalidInput);
    assert_eq!(Error::of(&error).unwrap().to_string(), "innermost layer at byte 56 is not valid");
    assert!(sink.is_empty());
}

#[test]
fn a_pack_starts_wherever_its_writer_stood() {
    let mut file = Cursor::new(b"something else".to_vec());
    file.seek(SeekFrom::End(0)).unwrap();
    let mut raw = writer(file).unwrap();
    raw.write_all(b"keystone").unwrap();
    let mut file = raw.finish().unwrap();
    let end = file.position();
    file.write_all(b"and something behind").unwrap();

    let bytes = file.into_inner();
    let mut reader = RawReader::open_range(bytes.clone(), 14..end).unwrap();
    assert_eq!(io::read_to_string(&mut reader).unwrap(), "keystone");
    let mut cut = Cursor::new(&bytes[..end as usize]);
    cut.set_position(14);
    let mut reader = RawReader::open(cut).unwrap();
    assert_eq!(io::read_to_string(&mut reader).unwrap(), "keystone");
    assert!(RawReader::open_range(bytes.clone(), 13..end).is_err());
    assert!(RawReader::open_range(bytes, 14..end + 1).is_err());
}

#[test]
fn appendices_are_stepped_over_and_listed() {
    let mut stored = pack(b"keystone");
    stored.extend(appendix(5, b""));
    stored.extend(appendix(6, &noise(1000)));
    let mut reader = RawReader::open_at(stored).unwrap();
    assert_eq!(io::read_to_string(&mut reader).unwrap(), "keystone");
    let seen: Vec<_> =
        reader.appendices().iter().map(|a| (a.kind, a.id, a.range.clone())).collect();
    assert_eq!(seen, [(5, [9; 16], 568..696), (6, [9; 16], 696..1824)]);
    assert_eq!(reader.stored_len(), 568);
}

#[test]
fn what_is_made_is_an_appendix() {
    for content in [vec![], noise(1000)] {
        let (header, footer) = Appendix::edges(5, [9; 16], content.len() as u64).unwrap();
        let made = [&header[..], &content, &footer].concat();
        // The other one is made by the tests alone.
        assert_eq!(made, appendix(5, &content));
        let mut stored = pack(b"keystone");
        stored.extend(made);
        let reader = RawReader::open_at(&stored).unwrap();
        let body = reader.appendices()[0].body();
        assert_eq!(stored[body.start as usize..body.end as usize], content);
    }
    assert!(Appendix::edges(5, [9; 16], u64::MAX - 127).is_none());
}

#[test]
fn no_more_than_64_appendices_are_stepped_over() {
    let mut stored = pack(b"");
    (0..64).for_each(|kind| stored.extend(appendix(kind, b"")));
    assert_eq!(RawReader::open_at(&stored).unwrap().appendices().len(), 64);
    stored.extend(appendix(64, b""));
    check_refused(&stored, "more appendices before byte 688 than the limit of 64");
}

#[track_caller]
fn check_refused(stored: &[u8], expected: &str) {
    let error = RawReader::open(Cursor::new(stored)).unwrap_err();
    assert_eq!(error.to_string(), expected);
    // Errors count from the start of the pack, wherever that is.
    let mut shifted = vec![0x89; 100];
    shifted.extend(stored);
    let error = RawReader::open_range(shifted, 100..u64::MAX).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

/// A pack of `keystone` with its trailer changed; `reseal` makes its checksums right again.
fn with_trailer(reseal: bool, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut stored = pack(b"keystone");
    let trailer = &mut stored[HEADER + 8..];
    change(trailer);
    if reseal {
        reseal_trailer(trailer);
    }
    stored
}

#[test]
fn a_pack_cut_anywhere_is_refused() {
    let stored = pack(&noise(400));
    for len in 0..stored.len() {
        let error = RawReader::open_at(&stored[..len]).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), IoKind::UnexpectedEof, "cut to {len}");
    }
    check_refused(&stored[..959], "pack stops at byte 959 without a container trailer");
    check_refused(&stored[..300], "pack stops at byte 300 without a container trailer");
}

#[test]
fn an_unfinished_pack_reads_as_truncated() {
    let mut stored = Vec::new();
    let mut raw = writer(&mut stored).unwrap();
    raw.write_all(&noise(1000)).unwrap();
    drop(raw);
    check_refused(&stored, "pack stops at byte 1256 without a container trailer");
}

#[test]
fn a_damaged_trailer_is_refused() {
    let expected = "container trailer at byte 264 does not match its checksums";
    for at in 0..TRAILER {
        check_refused(&with_trailer(false, |trailer| trailer[at] ^= 4), expected);
    }
}

#[test]
fn a_trailer_that_differs_from_the_header_is_refused() {
    let differ = |at: usize, expected| {
        check_refused(&with_trailer(true, |trailer| trailer[at] ^= 1), expected);
    };
    differ(10, "container trailer states another version at byte 274 than the header");
    differ(12, "container trailer states another segment number at byte 276 than the header");
    differ(24, "container trailer states another set of features at byte 288 than the header");
    differ(47, "container trailer states another pack id at byte 311 than the header");
    differ(60, "container trailer states another list of layers at byte 324 than the header");
    differ(240, "container trailer states another checksum at byte 504 than the header");
    differ(
        200,
        "container trailer states another value of reserved bytes at byte 464 than the header",
    );
    differ(264, "reserved bytes of the container trailer at byte 528 is not valid");
}

#[test]
fn a_wrong_length_is_refused() {
    check_refused(
        &with_trailer(true, |trailer| trailer[256] += 1),
        "container trailer at byte 264 states a pack of 569 bytes, but it has 568",
    );
    // Bytes that went missing in between are noticed by the length alone.
    let mut stored = pack(&noise(100));
    stored.drain(300..310);
    let expected = "container trailer at byte 346 states a pack of 660 bytes, but it has 650";
    check_refused(&stored, expected);
}

#[test]
fn an_appendix_that_lies_is_refused() {
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut added = appendix(5, b"content");
        change(&mut added);
        [pack(b"keystone"), added].concat()
    };
    let lies = "appendix footer at byte 639 states 135 bytes, but no appendix starts there";
    check_refused(&with(&|a| a[3] ^= 1), lies);
    check_refused(&with(&|a| a[8] ^= 1), lies);
    check_refused(&with(&|a| a[60] ^= 1), lies);
    let damaged = "appendix footer at byte 639 does not match its checksum";
    check_refused(&with(&|a| a[80] ^= 1), damaged);
    let footer = |at: usize, value: u64| {
        with(&|a: &mut Vec<u8>| {
            let footer = a.len() - 64;
            a[footer + at..footer + at + 8].copy_from_slice(&value.to_le_bytes());
            let crc = carstone_layer::crc64(&[&a[footer..footer + 48]]);
            a[footer + 48..footer + 56].copy_from_slice(&crc.to_le_bytes());
        })
    };
    for stated in [0, 64, 127, 136, 704, 705, u64::MAX] {
        let lies = "but no appendix starts there";
        let expected = format!("appendix footer at byte 639 states {stated} bytes, {lies}");
        check_refused(&footer(8, stated), &expected);
    }
    let reserved = "reserved bytes of an appendix footer at byte 639 is not valid";
    check_refused(&footer(0, 5 | 1 << 32), reserved);
    check_refused(&footer(40, 1), reserved);
}

/// Takes `room` bytes, one with each write, then fails for as long as it is asked.
#[derive(Debug)]
struct Narrow {
    taken: Vec<u8>,
    room: usize,
    fails_flush: bool,
}

impl Narrow {
    fn new(room: usize) -> Self {
        Self { taken: Vec::new(), room, fails_flush: false }
    }
}

impl Write for Narrow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match (buf, self.taken.len() < self.room) {
            ([], _) => Ok(0),
            (_, false) => {
                self.room = usize::MAX; // It would work again, but the pack has a hole by now.
                Err(IoKind::StorageFull.into())
            }
            ([byte, ..], true) => {
                self.taken.push(*byte);
                Ok(1)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.fails_flush { Err(IoKind::StorageFull.into()) } else { Ok(()) }
    }
}

#[test]
fn a_sink_that_takes_one_byte_at_a_time_gets_the_same_pack() {
    let mut raw = writer(Narrow::new(usize::MAX)).unwrap();
    raw.write_all(&noise(500)).unwrap();
    assert_eq!(raw.get_ref().taken.len(), HEADER + 500);
    assert_eq!(raw.finish().unwrap().taken, pack(&noise(500)));
}

#[test]
fn a_failing_sink_is_never_taken_for_success() {
    let framed = noise(40);
    for room in 0..HEADER + framed.len() + TRAILER {
        let mut sink = Narrow::new(room);
        let Ok(mut raw) = writer(&mut sink) else {
            assert!(room < HEADER);
            continue;
        };
        if raw.write_all(&framed).is_err() {
            assert!(room < HEADER + framed.len());
            // The sink would take bytes again, but the writer does not.
            assert!(raw.write(b"x").is_err() && raw.flush().is_err());
            assert!(raw.hint(Hint::Mark).is_err());
        }
        assert_eq!(raw.finish().unwrap_err().kind() == IoKind::StorageFull, room >= HEADER + 40);
        assert!(RawReader::open_at(sink.taken).is_err(), "room for {room}");
    }
    let mut sink = Narrow::new(usize::MAX);
    sink.fails_flush = true;
    assert!(writer(sink).unwrap().finish().is_err());
}

#[test]
fn a_failed_flush_breaks_the_writer_too() {
    let mut sink = Narrow::new(usize::MAX);
    sink.fails_flush = true;
    let mut raw = writer(sink).unwrap();
    assert!(raw.flush().is_err());
    assert!(raw.write(b"x").is_err());
    assert!(raw.hint(Hint::Mark).is_err());
}

#[test]
fn an_interrupted_write_is_tried_again() {
    struct Interrupted(Vec<u8>, bool);
    impl Write for Interrupted {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(IoKind::Interrupted.into()) } else { self.0.write(buf) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut raw = writer(Interrupted(Vec::new(), false)).unwrap();
    raw.write_all(b"keystone").unwrap();
    assert_eq!(raw.finish().unwrap().0, pack(b"keystone"));
}

#[test]
fn a_stack_ends_in_the_sink_and_hints_change_nothing() {
    let mut stack: BoxWriter<'_, Vec<u8>> = Box::new(writer(Vec::new()).unwrap());
    stack.hint(Hint::SeekUnit(7)).unwrap();
    stack.boundary().unwrap();
    stack.write_all(b"keystone").unwrap();
    stack.hint(Hint::Mark).unwrap();
    assert_eq!(stack.finish_stack().unwrap(), pack(b"keystone"));
}

#[test]
fn clones_share_the_source_and_not_the_position() {
    let mut a = RawReader::open_at(Arc::new(pack(b"keystone"))).unwrap();
    a.seek(SeekFrom::Start(3)).unwrap();
    let mut b = a.clone();
    assert_eq!(io::read_to_string(&mut a).unwrap(), "stone");
    assert_eq!(io::read_to_string(&mut b).unwrap(), "stone");
    let mut at = [0; 100];
    assert_eq!(b.read_at(&mut at, 6).unwrap(), 2);
    assert_eq!(b.read_at(&mut at, 8).unwrap(), 0);
    assert_eq!(b.read_at(&mut at, u64::MAX).unwrap(), 0);
    assert_eq!(b.size().unwrap(), 8);
}

#[test]
fn source_errors_are_passed_on_with_their_cause() {
    struct Broken;
    impl ReadAt for Broken {
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
            Err(IoKind::PermissionDenied.into())
        }
        fn size(&self) -> io::Result<u64> {
            Ok(1000)
        }
    }
    let error = RawReader::open_at(Broken).map(|_| ()).unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
    let error = io::Error::from(error);
    assert_eq!(error.kind(), IoKind::PermissionDenied);
    assert_eq!(Error::of(&error).unwrap().to_string(), "cannot read the pack at byte 0");
}

const _: fn() = || {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<RawWriter<File>>();
    is_send::<RawReader<Arc<File>>>();
    is_sync::<RawReader<Arc<File>>>();
    is_send::<RawFailSafe<File>>();
    is_send::<Error>();
    is_sync::<Error>();
    let _: Option<BoxWriter<'_, File>> = None::<Box<RawWriter<File>>>.map(|writer| writer as _);
};
