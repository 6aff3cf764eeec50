//! A pack is given to other readers without a look inside, and nothing that is not sound is.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use crate::support::{
    self, KEY, Layers, appendix, content, few_threads, frames, pack, read_all, tiny,
};
use carstone::compress::Codec;
use carstone::encrypt::{self, LayerHeader};
use carstone::keys::secrecy::ExposeSecret;
use carstone::keys::{ContentKey, Envelope, Identities, Identity, Recipients};
use carstone::layer::FrameHeader;
use carstone::raw::Container;
use carstone::stack::{
    self, Carved, Conflict, ErrorKind, OpenOptions, Protection, Rekey, RekeyedPack, WriteOptions,
    envelope_keys,
};
use proptest::prelude::*;

/// Somebody with a key.
struct Reader {
    identities: Identities,
    recipients: Recipients,
}

fn reader() -> Reader {
    let identity = Identity::generate().expect("randomness");
    let recipients = [identity.to_public()].into_iter().collect();
    let mut identities = Identities::new();
    identities.add(identity.to_secret_text().expose_secret()).expect("an identity");
    Reader { identities, recipients }
}

const STORED: Layers = Layers { encrypted: true, codec: Some(Codec::Stored) };

fn encrypted() -> impl Iterator<Item = Layers> {
    Layers::all().into_iter().filter(|layers| layers.encrypted)
}

/// Options under [`KEY`], sealed to `whom`.
fn sealed(layers: Layers, whom: &Recipients) -> WriteOptions {
    let key = ContentKey::from_bytes(KEY);
    let envelope = whom.seal(&key).expect("randomness");
    layers.options().protection(Protection::with_envelope(key, &envelope))
}

/// A pack whose CAR stream is these bytes.
fn around(options: WriteOptions, plain: &[u8]) -> Vec<u8> {
    let mut pipe = stack::write(Vec::new(), options).expect("a Vec takes all");
    pipe.write_all(plain).expect("a Vec takes all");
    pipe.finish().expect("a Vec takes all")
}

fn rekey(
    stored: &[u8],
    old: &Reader,
    new: &Recipients,
) -> Result<(Vec<u8>, RekeyedPack), stack::Error> {
    let source = Arc::new(stored.to_vec());
    let rekey = Rekey::open(source, envelope_keys(&old.identities), &few_threads())?;
    let (mut last, len) = (0, stored.len() as u64);
    let mut hear = |at| {
        assert!(last < at && at < len, "{last} {at} of {len}");
        last = at;
    };
    let (copy, told) = rekey.write(Vec::new(), new, &mut hear)?;
    assert_eq!(told.stored_len, copy.len() as u64);
    Ok((copy, told))
}

/// The range of the frames.
fn framed(stored: &[u8]) -> Range<usize> {
    Container::LEN..stored.len() - Container::TRAILER_LEN
}

fn layer_header(stored: &[u8]) -> LayerHeader {
    LayerHeader::read_at(&stored[framed(stored)]).expect("a sound layer header")
}

/// Fails unless only `reader` can open it, its envelope is one in all places, and all of it is sound.
#[track_caller]
fn is_for(stored: &[u8], reader: &Reader, not: &Reader) {
    let options = few_threads();
    let keys = |who: &'_ Reader| {
        stack::open(stored.to_vec(), envelope_keys(&who.identities), &options).map(drop)
    };
    keys(reader).expect("the new reader opens it");
    let refused = keys(not).expect_err("the old reader does not");
    assert!(!matches!(refused.kind(), ErrorKind::Write(_)));
    let check =
        stack::verify(stored.to_vec(), envelope_keys(&reader.identities), &options, &mut |_, _| ());
    assert!(check.expect("a pack").is_sound());
    let header = layer_header(stored);
    let mut holders = 0;
    for frame in frames(&stored[framed(stored)]) {
        let bytes = &stored[Container::LEN + frame.at..Container::LEN + frame.end()];
        let head = FrameHeader::decode(bytes.first_chunk().expect("a header")).expect("sound");
        if let Some(found) = LayerHeader::in_frame(&head, &bytes[96..]) {
            assert_eq!(found, header);
            holders += 1;
        }
    }
    assert!(holders >= 2, "{holders}");
}

#[test]
fn the_new_reader_reads_what_the_old_one_did() {
    for layers in encrypted() {
        let (old, new) = (reader(), reader());
        let stored = pack(&support::sample(), sealed(layers, &old.recipients), 2);
        let (copy, told) = rekey(&stored, &old, &new.recipients).expect("a sound pack");
        is_for(&copy, &new, &old);
        let tree = |stored: &[u8], who: &Reader| {
            let keys = envelope_keys(&who.identities);
            let opened = stack::open(stored.to_vec(), keys, &few_threads()).expect("its reader");
            let tail = opened.pack().expect("a tail").tail().clone();
            (opened.stored.pack_id(), tail, read_all(&opened).expect("a sound pack"))
        };
        assert!(tree(&stored, &old) == tree(&copy, &new), "{layers:?}");
        assert_eq!(told.recipients.len(), 1);
        assert_eq!(stored[..Container::LEN], copy[..Container::LEN]);
    }
}

/// Fails unless a copy is what a writer makes under the new envelope: nothing else is changed, and nothing is left.
#[track_caller]
fn is_as_written(layers: Layers, plain: &[u8], old: &Reader, new: &Recipients) {
    let stored = around(sealed(layers, &old.recipients), plain);
    let (copy, _) = rekey(&stored, old, new).expect("a sound pack");
    let envelope = Envelope::from_bytes(&layer_header(&copy).envelope).expect("an age file");
    let key = ContentKey::from_bytes(KEY);
    let written =
        around(layers.options().protection(Protection::with_envelope(key, &envelope)), plain);
    assert!(copy == written, "{} plain bytes", plain.len());
}

#[test]
fn anchors_are_those_of_the_new_envelope() {
    let (old, new, third) = (reader(), reader(), reader());
    let both = new.recipients.keys().iter().chain(third.recipients.keys()).cloned().collect();
    let plain = content(5, 513 * encrypt::FRAME_LEN);
    is_as_written(Layers { encrypted: true, codec: None }, &plain, &old, &both);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn for_any_lengths_it_is_the_pack_that_a_writer_makes(
        len in prop_oneof![0..70_000usize, (0..4usize, 0..3usize).prop_map(|(n, by)| (n << 17) + by)],
        codec in prop::sample::select(vec![None, Some(Codec::Stored), Some(Codec::Brotli(1))]),
        readers in 1..4usize,
    ) {
        let old = reader();
        let new: Recipients =
            (0..readers).flat_map(|_| reader().recipients.keys().to_vec()).collect();
        is_as_written(Layers { encrypted: true, codec }, &content(len as u64, len), &old, &new);
    }
}

#[test]
fn readers_can_be_added_and_a_passphrase_set() {
    let (old, new) = (reader(), reader());
    let stored = pack(&tiny(), sealed(STORED, &old.recipients), 1);
    let both = old.recipients.keys().iter().chain(new.recipients.keys()).cloned().collect();
    let (copy, told) = rekey(&stored, &old, &both).expect("a sound pack");
    assert_eq!(told.recipients.len(), 2);
    for who in [&old, &new] {
        let keys = envelope_keys(&who.identities);
        stack::open(copy.clone(), keys, &few_threads()).expect("a reader");
    }
    let mut secret = Recipients::new().with_work_factor(2).expect("a factor");
    secret.passphrase("sand".to_owned().into());
    let (copy, _) = rekey(&copy, &new, &secret).expect("a sound pack");
    let mut identities = Identities::new();
    identities.passphrase("sand".to_owned().into());
    stack::open(copy, envelope_keys(&identities), &few_threads()).expect("the passphrase");
    let mixed: Vec<_> = new.recipients.keys().to_vec();
    secret.extend(mixed);
    let error = rekey(&stored, &old, &secret).expect_err("it cannot stand with others");
    assert!(matches!(error.kind(), ErrorKind::Keys(_)), "{error}");
}

#[test]
fn a_key_that_is_kept_elsewhere_gets_an_envelope() {
    let new = reader();
    let stored = pack(&tiny(), STORED.options(), 1);
    let rekey = Rekey::open(Arc::new(stored), &KEY, &few_threads()).expect("the key is right");
    let (copy, _) = rekey.write(Vec::new(), &new.recipients, &mut |_| ()).expect("memory");
    is_for(&copy, &new, &reader());
}

#[test]
fn what_follows_the_trailer_is_left_behind_and_told() {
    let (old, new) = (reader(), reader());
    let stored = pack(&tiny(), sealed(STORED, &old.recipients), 1);
    let with = [&stored[..], &appendix(&[7; 300])].concat();
    let source = Arc::new(with);
    let open = Rekey::open(source, envelope_keys(&old.identities), &few_threads());
    let open = open.expect("a sound pack");
    assert_eq!(open.appendices().len(), 1);
    assert_eq!(open.appendices()[0].kind, 1000);
    assert_eq!(open.stored_len(), stored.len() as u64);
    let (copy, _) = open.write(Vec::new(), &new.recipients, &mut |_| ()).expect("memory");
    is_for(&copy, &new, &old);
    let fresh = open.fresh(&mut |_| ()).expect("a sound pack");
    let (copy, _) = fresh.write(Vec::new(), &new.recipients, &mut |_| ()).expect("memory");
    is_for(&copy, &new, &old);
}

#[test]
fn what_has_no_readers_or_none_of_these_is_refused() {
    let (old, new) = (reader(), reader());
    let plain = pack(&tiny(), Layers { encrypted: false, codec: Some(Codec::Stored) }.options(), 1);
    let error = rekey(&plain, &old, &new.recipients).expect_err("not encrypted");
    assert!(matches!(error.kind(), ErrorKind::NotEncrypted), "{error}");
    let stored = pack(&tiny(), sealed(STORED, &old.recipients), 1);
    assert!(rekey(&stored, &new, &old.recipients).is_err(), "not a reader of it");
    let nobody = reader();
    let nobody = Reader { identities: Identities::new(), ..nobody };
    let error = rekey(&stored, &nobody, &new.recipients).expect_err("no key");
    assert!(error.is_about_keys(), "{error}");
    let error = rekey(&stored, &old, &Recipients::new()).expect_err("nobody to read it");
    assert!(matches!(error.kind(), ErrorKind::Keys(_)), "{error}");
}

#[test]
fn an_envelope_with_a_key_that_breaks_the_commitment_is_refused() {
    let (old, new) = (reader(), reader());
    let other = old.recipients.seal(&ContentKey::from_bytes([9; 32])).expect("randomness");
    let forged = Protection::with_envelope(ContentKey::from_bytes(KEY), &other);
    let stored = pack(&tiny(), STORED.options().protection(forged), 1);
    let error = rekey(&stored, &old, &new.recipients).expect_err("another key is committed to");
    assert!(error.is_about_keys(), "{error}");
    let ErrorKind::Encrypt(fault) = error.kind() else { panic!("{error}") };
    assert!(matches!(fault.kind(), encrypt::ErrorKind::WrongKey), "{fault}");
}

#[test]
fn a_newer_version_and_an_unknown_layer_are_refused() {
    let (old, new) = (reader(), reader());
    let stored = pack(&tiny(), sealed(STORED, &old.recipients), 1);
    // Checksums are made to fit again.
    let refused = |change: fn(&mut [u8])| {
        let mut newer = stored.clone();
        let end = newer.len() - Container::TRAILER_LEN;
        for at in [0, end] {
            change(&mut newer[at..at + Container::LEN]);
            seal(&mut newer[at..], 232);
        }
        seal(&mut newer[end..], 272);
        support::message(&rekey(&newer, &old, &new.recipients).expect_err("newer"))
    };
    assert!(refused(|header| header[8] = 2).contains("major version"));
    assert!(refused(|header| header[16] = 1).contains("feature"));
}

/// Digest and CRC-64 at `at` over the bytes before.
fn seal(block: &mut [u8], at: usize) {
    let digest = carstone::layer::digest16(&[&block[..at]]);
    block[at..at + 16].copy_from_slice(&digest);
    let crc = carstone::layer::crc64(&[&block[..at + 16]]);
    block[at + 16..at + 24].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn damage_at_every_kind_of_place_is_an_error() {
    let (old, new) = (reader(), reader());
    let plain = content(3, 400_000);
    let stored = around(sealed(STORED, &old.recipients), &plain);
    let whole = frames(&stored[framed(&stored)]);
    let starts = whole.iter().map(|frame| Container::LEN + frame.at);
    let around_starts = starts.flat_map(|at| (at..at + 97).step_by(5).chain([at + 200]));
    let trailer = stored.len() - Container::TRAILER_LEN..stored.len();
    let places = (0..Container::LEN).step_by(3).chain(around_starts).chain(trailer.step_by(3));
    for at in places {
        let mut damaged = stored.clone();
        damaged[at] ^= 0x10;
        let error = rekey(&damaged, &old, &new.recipients).map(drop);
        error.expect_err(&format!("byte {at}"));
    }
    for len in (0..stored.len()).step_by(7001).chain(stored.len() - 320..stored.len()) {
        rekey(&stored[..len], &old, &new.recipients).map(drop).expect_err("cut");
    }
    // The place is that of the frame, in the stream of the layer.
    let frame = whole[2];
    let mut damaged = stored.clone();
    damaged[Container::LEN + frame.at + 300] ^= 1;
    let error = rekey(&damaged, &old, &new.recipients).expect_err("a frame");
    assert_eq!(error.offset(), Some(frame.at as u64));
}

#[test]
fn a_pack_with_holes_is_refused_and_the_hole_named() {
    let (old, new) = (reader(), reader());
    let stored = around(sealed(STORED, &old.recipients), &content(3, 400_000));
    let frame = frames(&stored[framed(&stored)])[2];
    let mut damaged = stored.clone();
    damaged[Container::LEN + frame.at..Container::LEN + frame.end()].fill(0);
    let healed = stack::heal(&damaged, &few_threads(), &mut |_| ()).expect("most is left");
    let mut holed = Vec::new();
    healed.copy_to(&mut holed, &mut |_| ()).expect("memory");
    let error = rekey(&holed, &old, &new.recipients).expect_err("a hole");
    let ErrorKind::Encrypt(fault) = error.kind() else { panic!("{error}") };
    assert!(matches!(fault.kind(), encrypt::ErrorKind::Hole { frame: 1 }), "{fault}");
    assert_eq!(error.offset(), Some(frame.at as u64));
}

#[test]
fn a_sink_that_is_full_is_told_as_that() {
    let (old, new) = (reader(), reader());
    let stored = around(sealed(STORED, &old.recipients), &content(3, 400_000));
    let source = Arc::new(stored.clone());
    let open = Rekey::open(source, envelope_keys(&old.identities), &few_threads()).expect("sound");
    // The length of an envelope is left to chance.
    for room in [0, 100, 256, 300, 1000, 200_000, 400_000] {
        let mut place = vec![0; room];
        let error = open.write(io::Cursor::new(&mut place[..]), &new.recipients, &mut |_| ());
        let error = error.map(drop).expect_err("too little room");
        assert!(matches!(error.kind(), ErrorKind::Write(_)), "{room}: {error}");
    }
}

/// A pack before and after.
fn before_and_after(old: &Reader, new: &Reader, whom: &Recipients) -> (Vec<u8>, Vec<u8>) {
    let stored = around(sealed(STORED, &old.recipients), &content(3, 400_000));
    let (copy, _) = rekey(&stored, old, whom).expect("a sound pack");
    is_for(&copy, new, old);
    (stored, copy)
}

#[test]
fn fragments_and_repair_know_the_new_envelope_only() {
    let (old, new) = (reader(), reader());
    let (_, copy) = before_and_after(&old, &new, &new.recipients);
    let first = frames(&copy[framed(&copy)])[0];
    // The front is lost: the copy at the end is made of.
    let mut damaged = copy.clone();
    damaged[..Container::LEN + first.end()].fill(0);
    let healed = stack::heal(&damaged, &few_threads(), &mut |_| ()).expect("all but the front");
    assert!(healed.report().is_original(), "{:?}", healed.report());
    let mut mended = Vec::new();
    healed.copy_to(&mut mended, &mut |_| ()).expect("memory");
    assert!(mended == copy);
}

#[test]
fn an_anchor_of_a_copy_opens_a_fragment_for_the_new_reader_alone() {
    let (old, new) = (reader(), reader());
    let layers = Layers { encrypted: true, codec: None };
    let plain = content(9, 515 * encrypt::FRAME_LEN);
    let stored = around(sealed(layers, &old.recipients), &plain);
    let (copy, _) = rekey(&stored, &old, &new.recipients).expect("a sound pack");
    is_for(&copy, &new, &old);
    let all = frames(&copy[framed(&copy)]);
    let anchor = all.iter().position(|frame| frame.kind == 5).expect("behind 512 frames");
    let fragment = Container::LEN + all[anchor].at..Container::LEN + all[anchor + 2].end();
    let source = Arc::new(copy[fragment].to_vec());
    let salvage = |who: &Reader| {
        let keys = envelope_keys(&who.identities);
        stack::salvage_at(Arc::clone(&source), keys, &few_threads(), &mut |_| ()).map(drop)
    };
    salvage(&new).expect("the anchor has the envelope");
    assert!(salvage(&old).is_err());
}

#[test]
fn an_old_layer_header_in_a_copy_is_a_conflict() {
    let (old, new, third) = (reader(), reader(), reader());
    let both = new.recipients.keys().iter().chain(third.recipients.keys()).cloned().collect();
    // Envelopes of one length, and of another.
    for whom in [&new.recipients, &both] {
        let (stored, copy) = before_and_after(&old, &new, whom);
        let front = |stored: &[u8]| {
            Container::LEN..Container::LEN + frames(&stored[framed(stored)])[0].end()
        };
        let mixed =
            [&copy[..Container::LEN], &stored[front(&stored)], &copy[front(&copy).end..]].concat();
        let healed = stack::heal(&mixed, &few_threads(), &mut |_| ()).expect("all is there");
        let report = healed.report();
        assert!(!report.is_original());
        let conflicts = &report.conflicts;
        let told = |conflict: &Conflict| matches!(conflict, Conflict::LayerHeaders { .. });
        assert!(conflicts.iter().any(told), "{conflicts:?}");
        let mut mended = Vec::new();
        healed.copy_to(&mut mended, &mut |_| ()).expect("memory");
        let len = |stored: &[u8]| layer_header(stored).envelope.len();
        if len(&stored) != len(&copy) {
            // The length of the pack tells which envelope it had.
            assert!(mended == copy);
            is_for(&mended, &new, &old);
        }
    }
}

#[test]
fn copies_of_both_in_one_image_are_told() {
    let (old, new) = (reader(), reader());
    let (stored, copy) = before_and_after(&old, &new, &new.recipients);
    for image in [[&stored[..], &copy].concat(), [&copy[..], &stored].concat()] {
        let carving = stack::carve(&image, 0, &mut |_| ()).expect("memory");
        let [Carved::Pack(found)] = &carving.found[..] else { panic!("{:?}", carving.found) };
        let mended = found.mend(&image, &mut |_| ()).expect("all is there");
        let conflicts = &mended.report().conflicts;
        let told = |conflict: &Conflict| matches!(conflict, Conflict::LayerHeaders { .. });
        assert!(conflicts.iter().any(told), "{conflicts:?}");
        assert!(!mended.is_whole());
    }
    let alone = stack::carve(&copy, 0, &mut |_| ()).expect("memory");
    let [Carved::Pack(found)] = &alone.found[..] else { panic!("{:?}", alone.found) };
    assert!(found.mend(&copy, &mut |_| ()).expect("all is there").is_whole());
}

mod fresh {
    use super::*;
    use carstone::stack::RebuiltPack;

    fn fresh(
        stored: &[u8],
        old: &Reader,
        new: &Recipients,
    ) -> Result<(Vec<u8>, RebuiltPack), stack::Error> {
        let options = OpenOptions::default().threads(2);
        let keys = envelope_keys(&old.identities);
        let rekey = Rekey::open(Arc::new(stored.to_vec()), keys, &options)?;
        let fresh = rekey.fresh(&mut |_| ())?;
        fresh.write(Vec::new(), new, &mut |_| ())
    }

    #[test]
    fn it_is_the_same_tree_under_another_id_and_key() {
        for layers in encrypted() {
            let (old, new) = (reader(), reader());
            let stored = pack(&support::sample(), sealed(layers, &old.recipients), 2);
            let (copy, told) = fresh(&stored, &old, &new.recipients).expect("a sound pack");
            is_for(&copy, &new, &old);
            // What the old reader kept does not open it.
            let error = stack::open(copy.clone(), &KEY, &few_threads()).expect_err("another key");
            assert!(error.is_about_keys(), "{error}");
            let open = |stored: &[u8], who: &Reader| {
                let keys = envelope_keys(&who.identities);
                stack::open(stored.to_vec(), keys, &few_threads()).expect("its reader")
            };
            let (before, after) = (open(&stored, &old), open(&copy, &new));
            assert_ne!(before.stored.pack_id(), after.stored.pack_id());
            assert_eq!(after.stored.pack_id(), told.pack_id);
            assert_eq!(before.stored.container.layers, after.stored.container.layers);
            let roots =
                |opened: &stack::Opened| opened.pack().expect("a tail").tail().roots.clone();
            assert_eq!(roots(&before), roots(&after));
            assert!(read_all(&before).expect("sound") == read_all(&after).expect("sound"));
        }
    }

    #[test]
    fn what_is_not_whole_is_refused_with_its_place() {
        let (old, new) = (reader(), reader());
        let stored = pack(&support::sample(), sealed(STORED, &old.recipients), 2);
        let all = frames(&stored[framed(&stored)]);
        let frame = all[all.len() / 2];
        for (at, bits) in [(frame.at + 400, 1), (frame.at + 40, 0xff), (frame.at + 20_000, 0x81)] {
            let mut damaged = stored.clone();
            damaged[Container::LEN + at] ^= bits;
            let error = fresh(&damaged, &old, &new.recipients).map(drop).expect_err("a frame");
            assert_eq!(error.offset(), Some(frame.at as u64), "{error}");
        }
        assert_eq!(frame.kind, 1);
        let mut damaged = stored;
        let place = Container::LEN + frame.at..Container::LEN + frame.end();
        damaged[place].fill(0);
        let error = fresh(&damaged, &old, &new.recipients).map(drop).expect_err("a frame");
        assert!(matches!(error.kind(), ErrorKind::Encrypt(_)), "{error}");
    }
}
