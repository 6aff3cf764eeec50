//! What a signature is over.

use std::io::{self, Read};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use carstone::layer::ReadAt;
use carstone::pack::{Metadata, PackWriter};
use carstone::stack::{self, SignedBytes, WriteOptions};

use crate::support::appendix;

fn pack() -> Vec<u8> {
    let pipe = stack::write(Vec::new(), WriteOptions::default()).expect("a Vec takes all");
    let id = pipe.pack_id();
    let mut writer = PackWriter::new(pipe, id).expect("begun");
    writer.add_file(b"a", Metadata::default(), &b"content"[..]).expect("added");
    let (pipe, _) = writer.finish().expect("written");
    pipe.finish().expect("written")
}

/// Reads all of the pack that fills this range.
#[track_caller]
fn check(file: &[u8], range: std::ops::Range<u64>, pack: &[u8], uncovered: u64) {
    let mut signed = SignedBytes::open(file.to_vec(), range).expect("a pack");
    assert_eq!(signed.pack_id().as_bytes()[..], pack[32..48]);
    assert_eq!((signed.len(), signed.uncovered()), (pack.len() as u64, uncovered));
    assert!(!signed.is_empty());
    let mut bytes = Vec::new();
    signed.read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes, pack);
    assert_eq!(signed.read(&mut [0; 9]).expect("nothing more"), 0);
}

#[test]
fn it_is_the_pack_without_what_stands_around_it() {
    let pack = pack();
    check(&pack, 0..u64::MAX, &pack, 0);
    let before = [&b"something else"[..], &pack].concat();
    check(&before, 14..u64::MAX, &pack, 0);
    let around = [&before[..], &appendix(b""), &appendix(b"parity"), b"another"].concat();
    check(&around, 14..around.len() as u64 - 7, &pack, 128 + 134);
}

#[test]
fn where_the_end_is_not_known_nothing_is_read() {
    let pack = pack();
    for end in [0, 255, 256, pack.len() as u64 - 1] {
        assert!(SignedBytes::open(pack.clone(), 0..end).is_err(), "{end}");
    }
    let behind = [&pack[..], b"x"].concat();
    assert!(SignedBytes::open(behind, 0..u64::MAX).is_err(), "it is no appendix");
    assert!(SignedBytes::open(pack, 1..u64::MAX).is_err());
}

/// A file that somebody else cuts.
struct Cut<'a>(&'a [u8], &'a AtomicUsize);

impl ReadAt for Cut<'_> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0[..self.1.load(Relaxed)].read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.1.load(Relaxed) as u64)
    }
}

#[test]
fn a_file_that_becomes_shorter_is_an_error() {
    let pack = pack();
    let len = AtomicUsize::new(pack.len());
    let mut signed = SignedBytes::open(Cut(&pack, &len), 0..u64::MAX).expect("a pack");
    len.store(300, Relaxed);
    let error = signed.read_to_end(&mut Vec::new()).expect_err("it is gone");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
