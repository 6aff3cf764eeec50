//! Whole files: wrapped and unwrapped, with an index put in and taken out, and what a crash leaves.

use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::sources::{Sink, car, hashed, raw, small};
use carstone_car::{
    Block, CarFileWriter, CarReader, CarSlice, CarStore, CarWriter, Cid, Editable, ErrorKind,
    FileOptions, Index, IndexBuilder, IndexCodec, IndexedCar, ReaderOptions, StoreOptions,
    V2Header, attach_index, cid_of, codec, detach_index, extract_payload, generate_index,
    hash_code, make_index, remove_index, replace_roots, unwrap_file, wrap, wrap_file,
};

fn fixture(name: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/car");
    match fs::read(Path::new(folder).join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            eprintln!("skipped: {name}: {error}");
            None
        }
    }
}

fn strict() -> ReaderOptions {
    ReaderOptions::default()
}

/// A CARv2 of these blocks, as the writer makes it.
fn written(roots: &[Cid], blocks: &[Block], options: FileOptions) -> Vec<u8> {
    let sink = Cursor::new(Vec::new());
    let mut writer = CarFileWriter::with_options(sink, roots, options).expect("header");
    for block in blocks {
        writer.write_block(&block.cid, &block.data).expect("block");
    }
    writer.finish().expect("finish").into_inner()
}

fn wrapped(v1: &[u8], options: FileOptions) -> Vec<u8> {
    let mut v2 = Vec::new();
    let header = wrap(Cursor::new(v1), &mut v2, options, strict()).expect("wrap");
    assert_eq!(CarSlice::parse(&v2).expect("header").v2_header(), Some(&header));
    v2
}

fn unwrapped(v2: &[u8]) -> Vec<u8> {
    let mut v1 = Vec::new();
    extract_payload(Cursor::new(v2), &mut v1).expect("a CARv2");
    v1
}

fn all_options() -> Vec<FileOptions> {
    let mut all = Vec::new();
    for codec in [None, Some(IndexCodec::Sorted), Some(IndexCodec::MultihashSorted)] {
        for identity in [false, true] {
            let options = FileOptions::v2().index(codec).index_identity(identity);
            all.extend([options, options.data_padding(13).index_padding(7)]);
        }
    }
    all
}

#[test]
fn wrapping_gives_what_the_writer_writes_and_unwrapping_gives_it_back() {
    let (v1, blocks) = small();
    let roots = CarSlice::parse(&v1).expect("header").roots().to_vec();
    for options in all_options() {
        let v2 = wrapped(&v1, options);
        assert_eq!(v2, written(&roots, &blocks, options), "{options:?}");
        assert_eq!(unwrapped(&v2), v1);
    }
    assert_eq!(wrapped(&v1, FileOptions::v1()), wrapped(&v1, FileOptions::v2()));
}

#[test]
fn foreign_files_are_wrapped_and_unwrapped_byte_for_byte() {
    let (Some(v1), Some(v2)) = (fixture("sample-v1.car"), fixture("sample-wrapped-v2.car")) else {
        return;
    };
    assert_eq!(wrapped(&v1, FileOptions::v2()).len(), v2.len());
    assert_eq!(unwrapped(&v2), v1);
    let Some(bare) = fixture("sample-v2-indexless.car") else { return };
    assert_eq!(wrapped(&v1, FileOptions::v2().index(None)), bare);
}

#[test]
fn padding_behind_the_sections_is_left_out_where_it_is_accepted() {
    let (v1, _) = small();
    let padded = [&v1[..], &[0; 30]].concat();
    let wrap = |options| {
        let mut sink = Vec::new();
        wrap(Cursor::new(&padded), &mut sink, FileOptions::v2(), options).map(|_| sink)
    };
    let error = wrap(strict()).expect_err("zeros");
    assert_eq!(error.accepted_by(), Some("zero_section_is_end"));
    let v2 = wrap(strict().zero_section_is_end(true)).expect("accepted");
    assert_eq!(v2, wrapped(&v1, FileOptions::v2()));
}

#[test]
fn the_other_version_is_refused_and_nothing_is_written() {
    let (v1, _) = small();
    let v2 = wrapped(&v1, FileOptions::v2());
    let mut sink = Vec::new();
    let error = wrap(Cursor::new(&v2), &mut sink, FileOptions::v2(), strict()).expect_err("v2");
    assert_eq!(error.to_string(), "CARv2, where CARv1 is expected at byte 0");
    let error = extract_payload(Cursor::new(&v1), &mut sink).expect_err("v1");
    assert_eq!(error.to_string(), "CARv1, where CARv2 is expected at byte 0");
    assert!(matches!(error.kind(), ErrorKind::UnsupportedVersion(1)));
    let cut = &v1[..v1.len() - 1];
    assert!(wrap(Cursor::new(cut), &mut sink, FileOptions::v2(), strict()).is_err());
    assert!(sink.is_empty());
    for result in [
        remove_index(Cursor::new(v1.clone())).map(drop),
        make_index(Cursor::new(v1.clone()), FileOptions::v2(), strict()).map(drop),
        detach_index(Cursor::new(v1), &mut sink, strict()).map(drop),
    ] {
        let error = result.expect_err("v1");
        assert!(matches!(error.kind(), ErrorKind::UnsupportedVersion(1)));
    }
}

#[test]
fn a_sink_that_fails_gives_its_error() {
    let (v1, _) = small();
    let v2 = wrapped(&v1, FileOptions::v2());
    for fails_after in 0..v2.len() {
        let mut sink = Sink::new(50, fails_after);
        let result = wrap(Cursor::new(&v1), &mut sink, FileOptions::v2(), strict());
        assert!(matches!(result.expect_err("full").kind(), ErrorKind::Io(_)));
        assert_eq!(sink.taken, &v2[..fails_after]);
    }
}

#[test]
fn files_are_replaced_also_by_themselves() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    let (v1, _) = small();
    let v2 = wrapped(&v1, FileOptions::v2());
    fs::write(path("one.car"), &v1).expect("write");
    wrap_file(path("one.car"), path("two.car"), FileOptions::v2(), strict()).expect("wrap");
    assert_eq!(fs::read(path("two.car")).expect("read"), v2);
    unwrap_file(path("two.car"), path("two.car")).expect("in place");
    assert_eq!(fs::read(path("two.car")).expect("read"), v1);
    wrap_file(path("two.car"), path("two.car"), FileOptions::v2(), strict()).expect("in place");
    assert_eq!(fs::read(path("two.car")).expect("read"), v2);

    // One that cannot be made leaves what was there, and nothing else.
    assert!(unwrap_file(path("one.car"), path("two.car")).is_err());
    assert!(wrap_file(path("two.car"), path("two.car"), FileOptions::v2(), strict()).is_err());
    assert_eq!(fs::read(path("two.car")).expect("read"), v2);
    assert!(unwrap_file(path("none.car"), path("new.car")).is_err());
    let names = fs::read_dir(folder.path()).expect("list");
    assert_eq!(names.count(), 2);
}

#[cfg(unix)]
#[test]
fn a_replaced_file_keeps_its_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("one.car");
    fs::write(&path, small().0).expect("write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("permissions");
    wrap_file(&path, &path, FileOptions::v2(), strict()).expect("in place");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
}

#[cfg(unix)]
#[test]
fn a_link_to_a_replaced_file_stays_a_link() {
    let folder = tempfile::tempdir().expect("folder");
    let (file, link) = (folder.path().join("one.car"), folder.path().join("link.car"));
    let (v1, _) = small();
    fs::write(&file, &v1).expect("write");
    std::os::unix::fs::symlink("one.car", &link).expect("a link");
    wrap_file(&link, &link, FileOptions::v2(), strict()).expect("in place");
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(fs::read(&file).expect("read"), wrapped(&v1, FileOptions::v2()));
}

#[test]
fn a_file_that_a_store_has_open_is_not_replaced() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("one.car");
    let v2 = wrapped(&small().0, FileOptions::v2());
    fs::write(&path, &v2).expect("write");
    let store = CarStore::open(&path, StoreOptions::default()).expect("a store");
    let error = unwrap_file(&path, &path).expect_err("it is locked");
    assert!(matches!(error.kind(), ErrorKind::Locked), "{error}");
    assert_eq!(fs::read(&path).expect("read"), v2);
    assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    drop(store);
    unwrap_file(&path, &path).expect("nobody has it");
}

#[test]
fn a_disk_that_is_full_leaves_a_file_without_an_index_and_nothing_behind() {
    let (v1, _) = small();
    let bare = wrapped(&v1, FileOptions::v2().index(None));
    let options = FileOptions::v2().index_padding(9);
    let len = wrapped(&v1, options).len();
    for before in [bare.clone(), wrapped(&v1, FileOptions::v2())] {
        for room in bare.len()..len {
            let mut file = Full { file: Cursor::new(before.clone()), room: room as u64 };
            let error = make_index(&mut file, options, strict()).expect_err("full");
            assert!(matches!(error.kind(), ErrorKind::Io(_)));
            assert_eq!(file.file.get_ref(), &bare);
        }
    }
}

/// A file on a disk that has no room behind a place.
struct Full {
    file: Cursor<Vec<u8>>,
    room: u64,
}

impl Read for Full {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.room.saturating_sub(self.file.position());
        match buf.len().min(room as usize) {
            0 if !buf.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            len => self.file.write(&buf[..len]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Editable for Full {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_accepted_for_an_index_is_accepted_for_none() {
    let (v1, _) = small();
    assert!(v1[0] < 0x80, "a header length of one byte");
    let padded = [&[v1[0] | 0x80, 0], &v1[1..]].concat();
    let options = strict().padded_varints(true);
    let mut v2 = Vec::new();
    wrap(Cursor::new(&padded), &mut v2, FileOptions::v2(), options).expect("accepted");
    let mut file = Cursor::new(v2);
    let header = make_index(&mut file, FileOptions::v2().index(None), options).expect("accepted");
    assert_eq!(header.index_offset, None);
    assert_eq!(file.get_ref().len() as u64, header.data_end());
}

#[test]
fn an_index_is_taken_out_and_put_in_again() {
    let (v1, _) = small();
    for options in all_options() {
        let whole = wrapped(&v1, options);
        let mut index = Vec::new();
        let len = detach_index(Cursor::new(&whole), &mut index, strict()).expect("a CARv2");
        assert_eq!(len, options.index.map(|_| index.len() as u64));
        let mut file = Cursor::new(whole.clone());
        assert_eq!(remove_index(&mut file).expect("sound"), options.index.is_some());
        let bare = wrapped(&v1, options.index(None));
        assert_eq!(file.get_ref(), &bare, "{options:?}");
        assert_eq!(len.is_some(), !index.is_empty());
        if len.is_none() {
            continue;
        }
        let open = || Index::open(&index[..]).expect("sound");
        // Into a file without one, and over another one.
        let other = make_index(&mut file, FileOptions::v2().index_padding(900), strict());
        let other_header = other.expect("sound");
        assert!(other_header.index_offset.is_some());
        for mut file in [Cursor::new(bare), file] {
            attach_index(&mut file, &open(), options.index_padding, strict()).expect("sound");
            assert_eq!(file.get_ref(), &whole, "{options:?}");
        }
    }
}

#[test]
fn an_index_is_made_in_place() {
    let (v1, _) = small();
    for options in all_options() {
        let whole = wrapped(&v1, options);
        for before in all_options() {
            let mut file = Cursor::new(wrapped(&v1, before.data_padding(options.data_padding)));
            make_index(&mut file, options, strict()).expect("sound");
            assert_eq!(file.get_ref(), &whole, "{before:?} {options:?}");
        }
    }
}

#[test]
fn a_made_index_is_that_of_the_writer() {
    let (v1, blocks) = small();
    for codec in [IndexCodec::Sorted, IndexCodec::MultihashSorted] {
        let v2 = written(&[], &blocks, FileOptions::v2().index(Some(codec)));
        let mut stored = Vec::new();
        detach_index(Cursor::new(&v2), &mut stored, strict()).expect("sound").expect("one");
        let mut made = Vec::new();
        let index = generate_index(Cursor::new(&v2), codec, strict()).expect("sound");
        index.write(&mut made).expect("memory");
        assert_eq!(made, stored);
        // Its roots make the header of the CARv1 longer.
        let index = generate_index(Cursor::new(&v1), codec, strict()).expect("sound");
        assert_eq!(index.encoded_len(), stored.len() as u64);
    }
}

#[test]
fn an_index_that_is_wrong_or_lacks_a_section_is_not_put_in() {
    let blocks = [raw(b"one"), raw(b"two"), hashed(hash_code::IDENTITY, b"three")];
    let v1 = car(&[], &blocks);
    let file = wrapped(&v1, FileOptions::v2().index(None));
    let sections: Vec<_> = CarSlice::parse(&v1).expect("header").sections().collect();
    let sections: Vec<_> = sections.into_iter().map(|section| section.expect("section")).collect();
    let index = |entries: &[(Cid, u64)]| {
        let mut builder = IndexBuilder::new(IndexCodec::default()).with_identity(true);
        for (cid, offset) in entries {
            builder.add(cid, *offset).expect("entry");
        }
        let mut bytes = Vec::new();
        builder.finish().expect("sorted").write(&mut bytes).expect("memory");
        Index::open(bytes).expect("sound")
    };
    let entries: Vec<_> = sections.iter().map(|section| (section.cid, section.offset)).collect();
    let refused = |entries: &[(Cid, u64)], expected: &str| {
        let mut file = Cursor::new(file.clone());
        let before = file.get_ref().clone();
        let error = attach_index(&mut file, &index(entries), 0, strict()).expect_err("refused");
        assert_eq!(error.to_string(), expected);
        assert_eq!(file.get_ref(), &before, "the file was changed");
    };
    let lacks = |section: usize| {
        let at = 51 + sections[section].offset;
        format!("invalid index: a section of the payload is not in it at byte {at}")
    };
    refused(&entries[1..], &lacks(0));
    refused(&entries[..1], &lacks(1));
    let stale = |offset: u64| format!("the index leads to another block at byte {}", 51 + offset);
    let wrong = [entries[0], entries[1], (entries[1].0, entries[0].1)];
    refused(&wrong, &stale(entries[0].1));
    refused(&[entries[0], entries[1], (raw(b"x").cid, 5)], &stale(5));

    // Those of identity CIDs may be missing, and the header does not claim them then.
    let attach = |entries: &[(Cid, u64)]| {
        let mut file = Cursor::new(file.clone());
        attach_index(&mut file, &index(entries), 0, strict()).expect("sound")
    };
    assert!(attach(&entries).characteristics.is_fully_indexed());
    assert!(!attach(&entries[..2]).characteristics.is_fully_indexed());
}

#[test]
fn an_old_index_gets_its_codec_when_it_is_taken_out() {
    let whole = wrapped(&small().0, FileOptions::v2().index(Some(IndexCodec::Sorted)));
    let mut index = Vec::new();
    detach_index(Cursor::new(&whole), &mut index, strict()).expect("sound").expect("one");
    let mut old = whole.clone();
    let at = whole.len() - index.len();
    old.drain(at..at + 2);
    let mut found = Vec::new();
    assert!(detach_index(Cursor::new(&old), &mut found, strict()).is_err());
    let options = strict().legacy_index(true);
    let len = detach_index(Cursor::new(&old), &mut found, options).expect("accepted");
    assert_eq!((&found, len), (&index, Some(index.len() as u64)));
}

/// A file, and all that was done to it.
struct Recorder {
    file: Cursor<Vec<u8>>,
    steps: Vec<Step>,
}

#[derive(Clone)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl Recorder {
    fn new(bytes: &[u8]) -> Self {
        Recorder { file: Cursor::new(bytes.to_vec()), steps: Vec::new() }
    }
}

impl Read for Recorder {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.file.read(buf)
    }
}

impl Seek for Recorder {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Write for Recorder {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.steps.push(Step::Write(self.file.position(), buf.to_vec()));
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Editable for Recorder {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.steps.push(Step::SetLen(len));
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.steps.push(Step::Sync);
        Ok(())
    }
}

fn apply(file: &mut Cursor<Vec<u8>>, step: &Step, len: usize) {
    match step {
        Step::Write(at, bytes) => {
            file.set_position(*at);
            file.write_all(&bytes[..len.min(bytes.len())]).expect("memory");
        }
        Step::SetLen(len) => file.set_len(*len).expect("memory"),
        Step::Sync => {}
    }
}

/// All that a crash can leave: what was synced, and of the steps behind it any that have come so far, the last one in part.
fn after_crashes(before: &[u8], steps: &[Step], mut check: impl FnMut(&[u8])) {
    let mut synced = Cursor::new(before.to_vec());
    let mut open: Vec<&Step> = Vec::new();
    for step in steps {
        if matches!(step, Step::Sync) {
            open.drain(..).for_each(|step| apply(&mut synced, step, usize::MAX));
            continue;
        }
        open.push(step);
        assert!(open.len() < 10);
        for chosen in 0..1u32 << open.len() {
            let cuts = match step {
                Step::Write(0..40, _) => vec![usize::MAX], // A header is written all or not.
                Step::Write(_, bytes) => vec![0, 1, bytes.len() / 2, bytes.len() - 1, usize::MAX],
                _ => vec![usize::MAX],
            };
            for cut in cuts {
                let mut file = synced.clone();
                for (number, step) in open.iter().enumerate() {
                    if chosen & (1 << number) != 0 {
                        let last = number + 1 == open.len();
                        apply(&mut file, step, if last { cut } else { usize::MAX });
                    }
                }
                check(file.get_ref());
            }
        }
    }
}

#[test]
fn a_crash_while_an_index_is_changed_leaves_a_readable_file() {
    let blocks: Vec<_> = (0..20u8).map(|n| raw(&[n; 30])).collect();
    let v1 = car(&[blocks[0].cid], &blocks);
    let check = |bytes: &[u8]| {
        let found = CarReader::open_seekable(Cursor::new(bytes), strict()).expect("header");
        let found: Vec<_> = found.into_iter().map(|block| block.expect("block")).collect();
        assert_eq!(found, blocks);
        let car = IndexedCar::open(bytes).expect("header");
        assert!(car.index_fault().is_none());
        for block in &blocks {
            assert_eq!(car.get(&block.cid).expect("sound").as_ref(), Some(&block.data));
        }
        assert!(car.index_fault().is_none());
    };
    let mut states = 0;
    let options =
        [None, Some(IndexCodec::Sorted), Some(IndexCodec::MultihashSorted)].map(|codec| {
            FileOptions::v2().index(codec).index_padding(if codec.is_some() { 11 } else { 0 })
        });
    for before in options {
        let bytes = wrapped(&v1, before);
        for after in options {
            let mut file = Recorder::new(&bytes);
            make_index(&mut file, after, strict()).expect("sound");
            assert_eq!(file.file.get_ref(), &wrapped(&v1, after));
            assert!(matches!(file.steps.last(), Some(Step::Sync)), "it is on the disk");
            after_crashes(&bytes, &file.steps, |bytes| {
                states += 1;
                check(bytes);
            });
        }
    }
    assert!(states > 300, "{states}");
}

#[test]
fn roots_are_replaced_in_bytes_and_files_of_both_versions() {
    let (one, other) = (cid_of(codec::RAW, b"1"), cid_of(codec::RAW, b"2"));
    let blocks = [raw(b"first")];
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("roots.car");
    for options in [FileOptions::v1(), FileOptions::v2().data_padding(5)] {
        let mut bytes = written(&[one], &blocks, options);
        let expected = written(&[other], &blocks, options);
        fs::write(&path, &bytes).expect("write");
        let file = fs::File::options().read(true).write(true).open(&path).expect("open");
        replace_roots(&file, &[other]).expect("same length");
        assert_eq!(fs::read(&path).expect("read"), expected);

        replace_roots(Cursor::new(&mut bytes[..]), &[other]).expect("same length");
        assert_eq!(bytes, expected);
        let error = replace_roots(Cursor::new(&mut bytes[..]), &[]).expect_err("shorter");
        let ErrorKind::HeaderLength { old, new, .. } = error.kind() else { panic!("{error}") };
        assert_eq!((*old, *new, &bytes), (59, 18, &expected));
        assert_eq!(error.file_offset(), Some(if options.version() == 1 { 0 } else { 56 }));
    }
}

#[test]
fn an_appender_makes_one_car_of_two_parts() {
    let (first, second) = ([raw(b"first")], [raw(b"second"), raw(b"third")]);
    let existing = car(&[first[0].cid], &first);
    // Without the bytes that it will stand behind, and without a header.
    let mut appender = CarWriter::append(Vec::new(), existing.len() as u64);
    let mut offset = existing.len() as u64;
    for block in &second {
        let section = appender.write_block(&block.cid, &block.data).expect("block");
        assert_eq!(section.offset, offset);
        offset = section.end();
    }
    let appended = appender.finish().expect("finish");
    let whole = [existing, appended].concat();
    let all = [&first[..], &second].concat();
    assert_eq!(whole, car(&[first[0].cid], &all));
    let found: carstone_car::Result<Vec<_>> =
        CarReader::open(&whole[..]).expect("header").into_iter().collect();
    assert_eq!(found.expect("blocks"), all);
}

#[test]
fn headers_are_at_their_places_in_a_large_frame() {
    let v2 = wrapped(&small().0, FileOptions::v2().data_padding(200_000));
    assert_eq!(unwrapped(&v2), small().0);
    let slice = CarSlice::parse(&v2).expect("header");
    assert_eq!(slice.payload_start(), V2Header::DATA_OFFSET + 200_000);
}
