//! All sources read alike at any offset.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::thread;

use carstone_layer::{
    BoxFailSafe, BoxWriter, FailSafeRead, Hint, LayerWrite, PlainSource, ReadAt, ReadSeek, Report,
    SeekSource, read_full,
};

const LEN: usize = 1000;

fn bytes() -> Vec<u8> {
    (0..LEN).map(|i| (i * 7 % 251) as u8).collect()
}

#[track_caller]
fn check(source: &dyn ReadAt) {
    let all = bytes();
    assert_eq!(source.size().expect("a size"), LEN as u64);
    for (at, len) in [(0, 0), (0, 1), (0, LEN), (0, LEN + 1), (999, 5), (1000, 5), (1001, 5)] {
        let mut buf = vec![0xEE; len];
        let n = read_full(source, &mut buf, at as u64).expect("no fault");
        let expected = &all[at.min(LEN)..(at + len).min(LEN)];
        assert_eq!(&buf[..n], expected, "{len} bytes from {at}");
        assert!(buf[n..].iter().all(|&b| b == 0xEE));
        let exact = source.read_exact_at(&mut buf, at as u64);
        assert_eq!(exact.is_ok(), n == len);
        if let Err(error) = exact {
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn every_source_reads_alike() {
    check(&&bytes()[..]);
    check(&bytes());
    check(&Arc::new(bytes()));
    check(&(Box::new(bytes()) as Box<dyn ReadAt>));
    let mut moved = Cursor::new(bytes());
    moved.set_position(500);
    let source = SeekSource::new(moved);
    check(&source);
    assert_eq!(source.into_inner().into_inner(), bytes());
    let path = std::env::temp_dir().join(format!("carstone-layer-{}", std::process::id()));
    fs::write(&path, bytes()).expect("a writable temporary folder");
    let file = File::open(&path).expect("the file was written");
    check(&file);
    check(&SeekSource::new(&file));
    fs::remove_file(&path).expect("the file was written");
}

#[test]
fn far_offsets_are_behind_the_end() {
    assert_eq!(bytes().read_at(&mut [0; 9], u64::MAX).expect("no fault"), 0);
    assert_eq!(read_full(&bytes(), &mut [0; 9], u64::MAX).expect("no fault"), 0);
}

#[test]
fn short_and_interrupted_reads_go_on() {
    struct Stutter(Vec<u8>, std::sync::atomic::AtomicBool);
    impl ReadAt for Stutter {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            if self.1.fetch_not(std::sync::atomic::Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let n = buf.len().min(7);
            self.0.read_at(&mut buf[..n], offset)
        }
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }
    }
    check(&Stutter(bytes(), true.into()));
}

#[test]
fn threads_share_a_seekable_source() {
    let source = SeekSource::new(Cursor::new(bytes()));
    thread::scope(|scope| {
        for first in 0..4 {
            let source = &source;
            scope.spawn(move || {
                for at in (first..LEN).step_by(4) {
                    let mut byte = [0];
                    source.read_exact_at(&mut byte, at as u64).expect("inside");
                    assert_eq!(byte[0], bytes()[at]);
                }
            });
        }
    });
}

#[test]
fn a_plain_source_counts_and_has_no_gaps() {
    let mut source = PlainSource::new(Cursor::new(bytes()));
    let mut report = Report::default();
    assert_eq!(source.read(&mut [0; 300]).expect("no fault"), 300);
    assert_eq!(source.position(), 300);
    let mut boxed: BoxFailSafe<'_> = Box::new(source);
    assert_eq!(io::copy(&mut boxed, &mut io::sink()).expect("no fault"), 700);
    assert_eq!((boxed.position(), boxed.next_boundary()), (1000, None));
    assert_eq!(boxed.next_gap().expect("no fault"), None);
    assert_eq!(boxed.read_unchecked(&mut [0; 9]).expect("no fault"), 0);
    boxed.drain_report(&mut report);
    assert_eq!(report, Report::default());
}

/// The base of a stack: keeps the bytes and the hints.
struct Base(Vec<u8>, Vec<Hint>);

impl Write for Base {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LayerWrite for Base {
    type Sink = (Vec<u8>, Vec<Hint>);
    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        self.1.push(hint);
        Ok(())
    }
    fn finish_stack(self: Box<Self>) -> io::Result<Self::Sink> {
        Ok((self.0, self.1))
    }
}

#[test]
fn boxes_forward_bytes_hints_and_the_end() {
    let base: BoxWriter<'_, _> = Box::new(Base(Vec::new(), Vec::new()));
    let mut top: BoxWriter<'_, _> = Box::new(base);
    top.write_all(b"ab").expect("no fault");
    top.boundary().expect("no fault");
    top.hint(Hint::SeekUnit(9)).expect("no fault");
    let (bytes, hints) = top.finish_stack().expect("no fault");
    assert_eq!((&bytes[..], &hints[..]), (&b"ab"[..], &[Hint::Boundary, Hint::SeekUnit(9)][..]));
}

#[test]
fn a_seekable_stream_is_an_object() {
    let mut stream: Box<dyn ReadSeek + Send> = Box::new(Cursor::new(bytes()));
    assert_eq!(stream.seek(SeekFrom::End(-1)).expect("inside"), 999);
}

const fn assert_send<T: Send + ?Sized>() {}
const fn assert_sync<T: Sync + ?Sized>() {}
const _: () = {
    assert_send::<dyn ReadAt + Send>();
    assert_send::<BoxWriter<'_, Vec<u8>>>();
    assert_send::<BoxFailSafe<'_>>();
    assert_send::<PlainSource<File>>();
    assert_send::<SeekSource<File>>();
    assert_sync::<SeekSource<Cursor<Vec<u8>>>>();
    assert_send::<Report>();
    assert_send::<carstone_layer::Error>();
    assert_sync::<carstone_layer::Error>();
    assert_send::<carstone_layer::Gap>();
};
