//! What is taken into an index, and what is refused.

use std::io;

use super::{build, cars, numbered, open, places};
use crate::sources::{car, hashed};
use carstone_car::{
    CarReader, Cid, Error, ErrorKind, Index, IndexBuilder, IndexCodec, Limits, MultiIndexBuilder,
    Part, ReadAt, ReaderOptions, hash_code,
};

#[track_caller]
fn too_large(error: &Error, expected: Part) {
    match error.kind() {
        ErrorKind::TooLarge { part, size, limit, .. } => {
            assert!(*part == expected && size > limit, "{error}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_car_that_cannot_be_read_to_its_end_is_left_out() {
    let files = cars(&[&[1, 2, 3], &[3, 4], &[5]]);
    let mut builder = MultiIndexBuilder::with_budget(0);
    builder.add_car("0.car", &files[0].1).expect("sound");
    let cut = &files[1].1[..files[1].1.len() - 1];
    let error = builder.add_car("cut", cut).expect_err("cut");
    assert!(matches!(error.kind(), ErrorKind::Truncated(Part::Data)));
    builder.add_car("none", &b"no CAR"[..]).expect_err("no CAR");
    builder.add_car("1.car", &files[1].1).expect("sound");
    builder.add_car("2.car", &files[2].1).expect("sound");
    assert!(builder.write(Vec::new()).expect("memory") == build(&files));
}

#[test]
fn identity_cids_are_left_out_unless_they_are_asked_for() {
    let inline = hashed(hash_code::IDENTITY, b"inline");
    let file = car(&[], &[inline.clone(), numbered(1)]);
    for (identity, expected) in [(false, 1), (true, 2)] {
        let mut builder = MultiIndexBuilder::new().with_identity(identity);
        builder.add_car("a", &file).expect("sound");
        let bytes = builder.write(Vec::new()).expect("memory");
        let index = open(&bytes);
        assert_eq!(index.len(), expected);
        assert_eq!(places(&index, &inline.cid).expect("sound").len(), usize::from(identity));
    }
}

#[test]
fn names_have_a_limit_and_need_not_be_text() {
    let file = car(&[], &[numbered(1)]);
    let mut builder = MultiIndexBuilder::new();
    too_large(&builder.add_car(vec![b'a'; 4001], &file).expect_err("long"), Part::FileName);
    let names = [vec![b'a'; 4000], vec![0xff, 0, b'/'], Vec::new(), b"same".into(), b"same".into()];
    for name in &names {
        builder.add_car(name.clone(), &file).expect("sound");
    }
    let bytes = builder.write(Vec::new()).expect("memory");
    let index = open(&bytes);
    let found: Vec<_> = index.files().map(|file| file.expect("sound").name.clone()).collect();
    assert_eq!(found, names);
    assert_eq!(index.file(1).expect("sound").name(), "\u{fffd}\0/");
}

#[test]
fn an_index_with_longer_digests_or_without_functions_is_refused() {
    let file = car(&[], &[numbered(1)]);
    let by_digest = IndexBuilder::new(IndexCodec::Sorted).finish().expect("empty");
    let mut bytes = Vec::new();
    by_digest.write(&mut bytes).expect("memory");
    let mut builder = MultiIndexBuilder::new();
    let empty = Index::open(bytes).expect("sound");
    builder.add_by_index("no entries", &file, &empty).expect("nothing is missing");

    let mut sorted = IndexBuilder::new(IndexCodec::Sorted);
    sorted.add(&numbered(1).cid, 18).expect("memory");
    let mut bytes = Vec::new();
    sorted.finish().expect("memory").write(&mut bytes).expect("memory");
    let by_digest = Index::open(bytes).expect("sound");
    let error = builder.add_by_index("a", &file, &by_digest).expect_err("which function?");
    assert!(matches!(error.kind(), ErrorKind::BadIndex(_)), "{error}");

    let long = |digest: usize, offset: u64| {
        let (width, code) = ((digest + 8) as u32, 0x13u64);
        let head = [&[0x81, 8][..], &1i32.to_le_bytes(), &code.to_le_bytes(), &1i32.to_le_bytes()];
        let bucket = [&width.to_le_bytes()[..], &u64::from(width).to_le_bytes(), &vec![7; digest]];
        let bytes = [head.concat(), bucket.concat(), offset.to_le_bytes().into()].concat();
        Index::open(bytes).expect("sound")
    };
    builder.add_by_index("b", &file, &long(64, 18)).expect("as long as a digest may be");
    too_large(&builder.add_by_index("c", &file, &long(65, 18)).expect_err("long"), Part::Digest);
    let outside = file.len() as u64;
    builder.add_by_index("d", &file, &long(64, outside - 1)).expect("the last byte");
    let error = builder.add_by_index("e", &file, &long(64, outside)).expect_err("outside");
    assert_eq!((error.offset(), builder.files().len()), (Some(outside), 3));
}

/// A CAR whose only section has more data than memory has room for.
struct Huge {
    head: Vec<u8>,
    len: u64,
}

impl ReadAt for Huge {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = buf.len().min(self.len.saturating_sub(offset) as usize);
        buf[..len].fill(0);
        let _ = self.head.read_at(&mut buf[..len], offset)?;
        Ok(len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_section_that_is_longer_than_entries_can_say_is_refused() {
    for (data, is_taken) in [(u64::from(u32::MAX) - 36 - 5, true), (u64::from(u32::MAX), false)] {
        let mut head = car(&[], &[]);
        let mut len = data + 36;
        while len > 127 {
            head.push(len as u8 | 128);
            len >>= 7;
        }
        head.push(len as u8);
        head.extend(numbered(1).cid.to_bytes());
        let huge = Huge { len: head.len() as u64 + data, head };
        let limits = Limits::default().section(usize::MAX);
        let options = ReaderOptions::default().limits(limits);
        let mut builder = MultiIndexBuilder::new().with_options(options);
        match builder.add_car("huge", &huge) {
            Ok(_) => assert!(is_taken),
            Err(error) => {
                assert!(!is_taken, "{error}");
                too_large(&error, Part::Section);
            }
        }
        let bytes = builder.write(Vec::new()).expect("memory");
        assert_eq!(open(&bytes).len(), u64::from(is_taken));
    }
}

#[test]
fn the_same_entry_stands_once() {
    // An index that lists a section twice says no more than one that does not.
    let file = car(&[], &[numbered(1)]);
    let section = CarReader::open(&file[..]).expect("header").into_sections().next();
    let section = section.expect("one").expect("sound");
    let mut sorted = IndexBuilder::new(IndexCodec::MultihashSorted);
    for _ in 0..3 {
        sorted.add(&section.cid, section.offset).expect("memory");
    }
    let mut bytes = Vec::new();
    sorted.finish().expect("memory").write(&mut bytes).expect("memory");
    let mut builder = MultiIndexBuilder::new();
    builder.add_by_index("a", &file, &Index::open(bytes).expect("sound")).expect("sound");
    let bytes = builder.write(Vec::new()).expect("memory");
    let index = open(&bytes);
    index.verify().expect("as it was written");
    let cid: Cid = section.cid;
    assert_eq!((index.len(), places(&index, &cid).expect("sound").len()), (1, 1));
}
