//! Every legal combination of layers writes, opens and streams; everything else is refused.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::thread;

use carstone::compress::{self, Codec, CompressOptions, CompressReader, CompressWriter};
use carstone::encrypt::{self, EncryptOptions, EncryptReader, EncryptWriter};
use carstone::layer::{LayerId, LayerList, LayerSlot, LayerWrite, PackId, digest16};
use carstone::pack::{PackReader, PackWriter};
use carstone::position::{PositionReader, PositionWriter};
use carstone::raw::{Container, RawOptions, RawReader, RawWriter};
use carstone::stack::{self, OpenOptions, Protection, WriteOptions};

use crate::support::{
    self, ID, KEY, Layers, appendix, few_threads, message, open, pack, read_all, sample, stream,
    tiny,
};

const POSITION: LayerSlot = LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 };

#[test]
fn every_combination_opens_to_what_was_written() {
    let tree = sample();
    for layers in Layers::all() {
        let opened = open(&pack(&tree, layers.options(), 2));
        assert_eq!(read_all(&opened).expect("a sound pack"), tree, "{layers:?}");
        let mut found = |finding| panic!("{layers:?}: {finding:?}");
        let reader = opened.pack().expect("a sound pack");
        let report = reader.verify(&mut |_| {}, &mut found).expect("a sound pack");
        assert_eq!((report.findings, report.entries), (0, 9 + 1), "the root is implied");
    }
}

#[test]
fn every_combination_goes_through_a_pipe() {
    let tree = sample();
    for layers in Layers::all() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let sent = tree.clone();
        // The writing end is closed there: a reader waits for appendices behind the pack.
        let sender =
            thread::spawn(move || support::write_to(writer, &sent, layers.options(), 2).map(drop));
        let got = stream(reader);
        assert!(got.error.is_none() && got.tail, "{layers:?}: {:?}", got.error);
        assert_eq!(got.tree, tree, "{layers:?}");
        sender.join().expect("no panic").expect("the pipe takes every byte");
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let tree = sample();
    for layers in Layers::all() {
        let one = pack(&tree, layers.options(), 1);
        assert!(one == pack(&tree, layers.options(), 4), "{layers:?}");
        assert!(one == pack(&tree, layers.options().budget(1 << 20), 3), "{layers:?}");
    }
}

#[test]
fn the_id_of_a_reproducible_pack_is_derived_from_content_and_settings() {
    let print = [9; 32];
    let options = || WriteOptions::default().block_size(1 << 16);
    for (options, codec) in [
        (options().codec(Codec::Brotli(1)), "brotli:1"),
        (options().codec(Codec::Stored), "none"),
        (options().without_compression(), ""),
    ] {
        let pipe = stack::write(Vec::new(), options.reproducible(print)).expect("memory");
        let layers = pipe.container().layers.canonical();
        let label = b"carstone/1 reproducible";
        let expected = digest16(&[label, &layers, codec.as_bytes(), &[0], &print]);
        assert_eq!(*pipe.pack_id().as_bytes(), expected, "{codec}");
    }
    let sealed = options().protection(Protection::content_key(KEY)).reproducible(print);
    let error = stack::write(Vec::new(), sealed).expect_err("it is refused");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_pack_may_start_in_the_middle_of_a_file() {
    let tree = sample();
    for layers in Layers::all() {
        let stored = pack(&tree, layers.options(), 2);
        let front = support::content(9, 12_345);
        let file = [&front[..], &stored, b"and something else behind it"].concat();
        let end = 12_345 + stored.len() as u64;

        let options = few_threads().range(12_345..end);
        let opened = stack::open(file.clone(), &KEY, &options).expect("a pack in this range");
        assert_eq!(read_all(&opened).expect("a sound pack"), tree, "{layers:?}");

        // A reader that stands at the start of the pack; nothing follows it.
        let mut source = Cursor::new(file[..end as usize].to_vec());
        source.seek(SeekFrom::Start(12_345)).expect("a cursor seeks");
        assert_eq!(open_by_hand(source, layers).entries().count(), 9 + 1);

        let mut source = Cursor::new(file);
        io::copy(&mut Read::by_ref(&mut source).take(12_345), &mut io::sink())
            .expect("a cursor reads");
        assert_eq!(stream(source).tree, tree, "{layers:?}");
    }
}

#[test]
fn a_range_that_is_not_the_pack_is_refused() {
    let stored = pack(&tiny(), WriteOptions::default(), 1);
    let len = stored.len() as u64;
    let file = [&b"x"[..], &stored, b"y"].concat();
    for range in [0..len + 1, 1..len, 1..len + 2, 2..len + 1, 1..1, 5..u64::MAX] {
        let options = OpenOptions::default().range(range.clone());
        assert!(stack::open(file.clone(), &KEY, &options).is_err(), "{range:?}");
    }
}

#[test]
fn a_pipe_by_hand_gives_the_bytes_of_the_stack() {
    let tree = sample();
    for layers in Layers::all() {
        let by_stack = pack(&tree, layers.options(), 2);
        let top = write_by_hand(layers);
        let mut by_hand = PackWriter::new(top, ID).expect("memory");
        let mut ids = std::collections::HashMap::new();
        for (path, item) in &tree {
            use carstone::pack::EntryKind;
            let mut metadata = carstone::pack::Metadata::default();
            (metadata.mode, metadata.mtime) = (item.mode, item.mtime);
            let id = match item.kind {
                EntryKind::Directory => by_hand.add_directory(path, metadata),
                EntryKind::Symlink => by_hand.add_symlink(path, &item.body, metadata),
                EntryKind::HardLink => {
                    by_hand.add_hard_link(path, ids[&item.body], &item.body, metadata)
                }
                _ => by_hand.add_file(path, metadata, item.body.as_slice()),
            };
            let id = id.expect("memory");
            by_hand.expect_hard_links(id);
            ids.insert(path.clone(), id);
        }
        let (top, _) = by_hand.finish().expect("memory");
        assert!(Box::new(top).finish_stack().expect("memory") == by_stack, "{layers:?}");
    }
}

#[test]
fn layers_in_another_order_are_refused() {
    let (encryption, compression) = (encrypt::slot(), CompressOptions::default().layer_slot());
    let own = LayerSlot { id: LayerId(64), algorithm: 0, unit: 0 };
    let sound = LayerList::new(vec![encryption, compression, POSITION]).expect("a legal order");
    assert!(Container::new(ID, sound).is_ok());
    for slots in [
        vec![compression, encryption, POSITION],
        vec![POSITION, compression],
        vec![compression],
        vec![encryption, compression],
        vec![encryption, POSITION, compression],
        vec![POSITION, own],
    ] {
        let list = LayerList::new(slots.clone()).expect("each stands once");
        assert!(Container::new(ID, list.clone()).is_err(), "{slots:?}");

        let mut stored = pack(&tiny(), WriteOptions::default(), 1);
        patch(&mut stored, |header| {
            header[48..184].fill(0);
            let list = list.canonical();
            header[48] = list[0];
            header[56..56 + list.len() - 1].copy_from_slice(&list[1..]);
        });
        assert!(stack::open(stored.clone(), &KEY, &few_threads()).is_err(), "{slots:?}");
        assert!(stream(stored.as_slice()).error.is_some(), "{slots:?}");
    }
}

#[test]
fn what_a_newer_carstone_writes_is_refused_as_such() {
    check_newer(|header| header[16] = 1);
    check_newer(|header| header[23] = 0x80);
    check_newer(|header| header[8] = 2);
    check_newer(|header| header[9] = 1);
    check_newer(|header| header[56] = 4); // The reserved id of the parity layer in the place of compression.
    check_newer(|header| header[56] = 64);
}

#[test]
fn newer_minor_versions_and_compatible_features_are_read() {
    for layers in Layers::all() {
        let mut stored = pack(&tiny(), layers.options(), 1);
        patch(&mut stored, |header| (header[10], header[24]) = (3, 1));
        assert_eq!(read_all(&open(&stored)).expect("nothing is amiss"), tiny(), "{layers:?}");
        assert_eq!(stream(stored.as_slice()).tree, tiny(), "{layers:?}");
    }
}

#[test]
fn appendices_are_passed_over_in_both_directions() {
    for layers in Layers::all() {
        let stored = pack(&sample(), layers.options(), 1);
        let with = [&stored[..], &appendix(&[7; 5_000]), &appendix(b"")].concat();
        assert_eq!(read_all(&open(&with)).expect("nothing is amiss"), sample(), "{layers:?}");
        let streamed = stream(with.as_slice());
        assert!(streamed.error.is_none() && streamed.tail, "{layers:?}: {:?}", streamed.error);
        assert_eq!(streamed.tree, sample(), "{layers:?}");
    }
}

#[test]
fn a_trailer_that_differs_from_the_header_is_refused() {
    for layers in Layers::all() {
        let sound = pack(&tiny(), layers.options(), 1);
        let trailer = sound.len() - 304;
        let mut stored = sound.clone();
        patch_at(&mut stored, trailer, |header| header[24] = 1);
        let error = stack::open(stored, &KEY, &few_threads()).expect_err("two headers");
        let place = error.offset().expect("a place");
        assert!(place == 0 || place >= trailer as u64, "{layers:?}: {error}");

        // A stated length that is not that of the pack.
        let mut stored = sound.clone();
        stored[trailer + 256] ^= 1;
        support::seal_trailer(&mut stored[trailer..]);
        assert!(stack::open(stored, &KEY, &few_threads()).is_err(), "{layers:?}");
    }
}

#[test]
fn a_frame_of_another_pack_is_not_content() {
    let tree = sample();
    for layers in Layers::all().into_iter().filter(|l| l.encrypted || l.codec.is_some()) {
        let sound = pack(&tree, layers.options(), 1);
        let id = PackId::from_bytes([0xee; 16]);
        let other = pack(&tree, layers.options().danger_pack_id(id), 1);
        let place = |stored: &[u8]| {
            let frames = support::frames(&stored[256..stored.len() - 304]);
            let data: Vec<_> = frames.into_iter().filter(|frame| frame.kind == 1).collect();
            256 + data[data.len() / 2].at..256 + data[data.len() / 2].end()
        };
        let mut stored = sound.clone();
        assert_eq!(place(&sound), place(&other), "packs of the same shape");
        stored[place(&sound)].copy_from_slice(&other[place(&other)]);

        let read = stack::open(stored.clone(), &KEY, &few_threads());
        let read = read.map_err(Into::into).and_then(|opened| read_all(&opened));
        assert!(read.is_err(), "{layers:?}");
        let got = stream(stored.as_slice());
        assert!(got.error.is_some() && !got.tail, "{layers:?}");
        assert!(got.tree.iter().all(|(path, item)| tree.get(path) == Some(item)), "{layers:?}");
    }
}

#[test]
fn keys_that_are_missing_or_wrong_are_told_apart_from_damage() {
    for layers in Layers::all() {
        let stored = pack(&tiny(), layers.options(), 1);
        let none = |_: &[u8]| Ok(None);
        let without = stack::open(stored.clone(), none, &few_threads()).err();
        let wrong = stack::open(stored.clone(), &[1; 32], &few_threads()).err();
        let stream_without = stack::stream(stored.as_slice(), none, &few_threads()).err();
        let stream_wrong = stack::stream(stored.as_slice(), &[1; 32], &few_threads()).err();
        for error in [without, wrong, stream_without, stream_wrong] {
            assert_eq!(error.is_some(), layers.encrypted, "{layers:?}: {error:?}");
            assert!(error.is_none_or(|error| error.is_about_keys()), "{layers:?}");
        }
        let stored = stack::inspect(stored, &few_threads()).expect("no key is needed");
        assert_eq!(stored.encryption.is_some(), layers.encrypted);
    }
}

#[test]
fn recipients_open_what_is_sealed_to_them() {
    use carstone::keys::{Identities, Identity, Recipients};
    let (alice, bob) =
        (Identity::generate().expect("random"), Identity::generate().expect("random"));
    let mut recipients = Recipients::new();
    recipients.add(alice.to_public());
    recipients.add(bob.to_public());
    let protection = Protection::seal(&recipients).expect("recipients");
    let stored = pack(&tiny(), WriteOptions::default().protection(protection), 1);
    for identity in [alice, bob] {
        let mut identities = Identities::new();
        identities.add_identity(identity);
        let keys = stack::envelope_keys(&identities);
        let opened = stack::open(stored.clone(), keys, &few_threads()).expect("a recipient");
        assert_eq!(read_all(&opened).expect("a sound pack"), tiny());
    }
    let mut stranger = Identities::new();
    stranger.add_identity(Identity::generate().expect("random"));
    let keys = stack::envelope_keys(&stranger);
    assert!(stack::open(stored, keys, &few_threads()).is_err());
}

#[test]
fn what_is_no_pack_is_named_so() {
    for bytes in [&b""[..], b"x", &[0; 1000], b"\x11\xa2\x65roots\x80\x67version\x01"] {
        assert!(stack::open(bytes.to_vec(), &KEY, &few_threads()).is_err());
        assert!(stream(bytes).error.is_some());
    }
}

#[track_caller]
fn check_newer(change: impl Fn(&mut [u8])) {
    let mut stored = pack(&tiny(), WriteOptions::default(), 1);
    patch(&mut stored, change);
    let opened = stack::open(stored.clone(), &KEY, &few_threads()).expect_err("newer");
    assert!(message(&opened).contains("needs a newer carstone"), "{}", message(&opened));
    let streamed = stack::stream(stored.as_slice(), &KEY, &few_threads()).expect_err("newer");
    assert!(message(&streamed).contains("needs a newer carstone"), "{}", message(&streamed));
}

/// Changes header and trailer alike, and makes all checksums fit.
fn patch(stored: &mut [u8], change: impl Fn(&mut [u8])) {
    let trailer = stored.len() - 304;
    patch_at(stored, 0, &change);
    patch_at(stored, trailer, change);
}

fn patch_at(stored: &mut [u8], at: usize, change: impl Fn(&mut [u8])) {
    let header = &mut stored[at..at + 256];
    change(header);
    let digest = carstone::layer::digest16(&[&header[..232]]);
    header[232..248].copy_from_slice(&digest);
    let crc = carstone::layer::crc64(&[&header[..248]]);
    header[248..].copy_from_slice(&crc.to_le_bytes());
    if at > 0 {
        support::seal_trailer(&mut stored[at..]);
    }
}

fn compression(codec: Codec) -> CompressOptions {
    CompressOptions::default().codec(codec).block_size(64 << 10).pack_id(ID)
}

fn write_by_hand(layers: Layers) -> carstone::layer::BoxWriter<'static, Vec<u8>> {
    let encryption = layers.encrypted.then(encrypt::slot);
    let compress = layers.codec.map(|codec| compression(codec).layer_slot());
    let slots = encryption.into_iter().chain(compress).chain([POSITION]).collect();
    let list = LayerList::new(slots).expect("a legal order");
    let options = RawOptions::default().with_pack_id(ID);
    let raw = RawWriter::with_options(Vec::new(), list.clone(), options).expect("memory");
    let container = raw.container().encode().to_vec();
    let mut top: carstone::layer::BoxWriter<'static, Vec<u8>> = Box::new(raw);
    if layers.encrypted {
        let options = EncryptOptions::default().pack_id(ID).layers(list);
        let options = options.container(container.clone());
        top = Box::new(EncryptWriter::with_options(top, &KEY, options).expect("memory"));
    }
    if let Some(codec) = layers.codec {
        let mut options = compression(codec);
        if !layers.encrypted {
            options = options.anchor(container);
        }
        top = Box::new(CompressWriter::with_options(top, options).expect("memory"));
    }
    Box::new(PositionWriter::new(top, ID))
}

fn open_by_hand<R: Read + Seek + Send + 'static>(source: R, layers: Layers) -> support::Pack {
    use carstone::stack::SharedSource;
    use std::sync::Arc;
    let raw = RawReader::open(source).expect("a pack starts here");
    let list = raw.container().layers.clone();
    let mut top: SharedSource = Arc::new(raw);
    if layers.encrypted {
        let options = encrypt::ReadOptions::default().pack_id(ID).layers(list);
        top = Arc::new(EncryptReader::with_options(top, &KEY, options).expect("sound"));
    }
    if layers.codec.is_some() {
        let options = compress::ReadOptions::default().pack_id(ID);
        top = Arc::new(CompressReader::with_options(top, options).expect("sound"));
    }
    let position = PositionReader::open_at(top).expect("sound");
    let mark = position.mark().expect("a pack has a mark");
    let top: SharedSource = Arc::new(position);
    PackReader::open(top, ID, mark).expect("sound")
}

#[test]
fn plain_bytes_go_through_a_stack_without_a_pack() {
    for layers in Layers::all() {
        let mut pipe = stack::write(Vec::new(), layers.options()).expect("memory");
        pipe.write_all(b"sand and silt").expect("memory");
        let opened = open(&pipe.finish().expect("memory"));
        let mut plain = vec![0; 13];
        opened.source().read_exact_at(&mut plain, 0).expect("13 bytes");
        assert_eq!(
            (plain.as_slice(), opened.len(), opened.mark()),
            (&b"sand and silt"[..], 13, None)
        );
        assert!(opened.pack().is_err(), "there is no tail record");
    }
}
