//! Container header, trailer, appendices.

use std::io::{Cursor, Write};

use carstone::layer::{LayerId, LayerList, LayerSlot, PackId, crc64, digest16};
use carstone::raw::{Container, RawFailSafe, RawOptions, RawReader, RawWriter, read_container};

use crate::damage;
use crate::input::{Input, choices, noise};
use crate::laws;
use crate::sources::Stutter;
use crate::vectors;

const PACK: PackId = PackId::from_bytes(*b"sixteen bytes id");

/// Any 256 bytes, also with sums put right: what is read encodes to the same bytes.
pub fn container(data: &[u8]) {
    let mut bytes = sample_container();
    let (flags, rest) = data.split_first().unwrap_or((&0, &[]));
    let start = if flags & 2 == 2 { usize::from(*flags) } else { 0 };
    for (byte, new) in bytes.iter_mut().skip(start).zip(rest) {
        *byte = *new;
    }
    if flags & 1 == 1 {
        reseal(&mut bytes, 232);
    }
    let read = Container::decode(&bytes);
    if let Ok(container) = &read {
        assert_eq!(container.encode(), bytes);
        let again = Container::new(container.pack_id, container.layers.clone());
        assert!(again.is_ok(), "a container that is read can be written");
    }
    if let Some((container, correction)) = Container::decode_corrected(&bytes) {
        assert_eq!(read.is_ok(), correction.is_none());
        assert!(Container::decode(&container.encode()).is_ok());
    }
    let _ = read_container(data);
    for (at, slot) in rest.chunks_exact(LayerSlot::LEN).take(4).enumerate() {
        let slot = slot.first_chunk().expect("a chunk has this length");
        if let Ok(read) = LayerSlot::decode(slot, at as u64) {
            assert_eq!(read.encode(), *slot);
        }
    }
}

/// The shared vectors, as they are and with their sums to be put right.
pub fn container_seeds() -> Vec<Vec<u8>> {
    let headers = vectors::values(vectors::CONTAINER, "bytes");
    let flagged = |flags| headers.iter().map(move |header| [&[flags], &header[..]].concat());
    choices().into_iter().chain(flagged(0)).chain(flagged(1)).collect()
}

/// A pack that starts anywhere in a larger file, with appendices: it opens only if header and trailer are right.
pub fn strict(data: &[u8]) {
    let mut input = Input::new(data);
    let framed = noise(3, input.pick(&[0, 1, 100, 600]));
    let sound = pack(&framed);
    let mut stored = sound.clone();
    for _ in 0..input.below(4) {
        stored.extend(appendix(input.number() as u32, input.text(80)));
    }
    let is_changed = input.flag();
    if is_changed {
        damage::tampering(&mut stored, &mut input);
        if input.flag() {
            reseal_pack(&mut stored, &mut input);
        }
    }
    let before = input.text(20).len();
    let whole = [&vec![7; before][..], &stored].concat();
    let mut source = Cursor::new(&whole);
    source.set_position(before as u64);
    let opened = RawReader::open(source);
    let range = before as u64..input.pick(&[u64::MAX, whole.len() as u64]);
    let other = RawReader::open_range(&whole, range);
    assert_eq!(opened.is_ok(), other.is_ok());
    let Ok(reader) = other else {
        assert!(is_changed, "a sound pack opens");
        return;
    };
    let (len, stored_len) = (reader.len() as usize, reader.stored_len() as usize);
    assert_eq!(stored_len, len + 256 + 304);
    let inside = &stored[256..256 + len];
    assert_eq!(reader.container().encode(), stored[..256]);
    assert_eq!(reader.container().encode(), stored[256 + len..][..256]);
    let end = reader.appendices().iter().fold(stored_len as u64, |at, appendix| {
        assert_eq!(appendix.range.start, at, "appendices follow each other");
        appendix.range.end
    });
    assert_eq!(end, stored.len() as u64);
    laws::places(&reader, inside, &mut input);
    laws::seeks(reader, inside, true, &mut input);
    assert!(laws::strict(opened.expect("both open"), inside, &mut input));
}

/// The same by a reader that goes on without header or trailer: all that is framed comes out, in whatever pieces.
pub fn fail_safe(data: &[u8]) {
    let mut input = Input::new(data);
    let framed = noise(3, input.pick(&[0, 1, 100, 600, 20_000]));
    let mut stored = pack(&framed);
    if input.one_in(4) {
        stored.extend(appendix(1, input.text(80)));
    }
    let is_changed = input.flag();
    if is_changed {
        damage::tampering(&mut stored, &mut input);
        if input.flag() {
            reseal_pack(&mut stored, &mut input);
        }
    }
    let forward = RawFailSafe::new(&stored[..]);
    let pieces = RawFailSafe::new(Stutter::new(&stored, &mut input));
    let (Ok(forward), Ok(pieces)) = (forward, pieces) else {
        // A header that states what only a newer version knows.
        assert!(is_changed && RawFailSafe::new(&stored[..]).is_err());
        return;
    };
    assert_eq!(forward.container(), pieces.container());
    let forward = laws::salvage(forward, &mut input);
    let pieces = laws::salvage(pieces, &mut input);
    assert!(forward == pieces, "pieces make a difference");
    if let Ok(seeking) = RawFailSafe::open_seekable(Cursor::new(&stored)) {
        let seeking = laws::salvage(seeking, &mut input);
        if !is_changed {
            assert!(seeking.is_whole(), "{:?}", seeking.gaps);
            seeking.check(&framed);
        }
    }
    // What is framed is given in one piece, in whatever company.
    let given: usize = forward.stretches.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(given <= stored.len());
}

fn pack(framed: &[u8]) -> Vec<u8> {
    let slot = |id, algorithm, unit| LayerSlot { id, algorithm, unit };
    let layers = vec![
        slot(LayerId::ENCRYPTION, 1, 131_072),
        slot(LayerId::COMPRESSION, 0, 1 << 22),
        slot(LayerId::POSITION, 0, 0),
    ];
    let layers = LayerList::new(layers).expect("three layers in order");
    let options = RawOptions::default().with_pack_id(PACK);
    let mut writer = RawWriter::with_options(Vec::new(), layers, options).expect("a Vec takes all");
    writer.write_all(framed).expect("a Vec takes all");
    writer.finish().expect("a Vec takes all")
}

fn sample_container() -> [u8; Container::LEN] {
    *pack(b"").first_chunk().expect("a pack starts with its header")
}

fn appendix(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut body = [&kind.to_le_bytes()[..], &[0; 4]].concat();
    body.extend((content.len() as u64 + 128).to_le_bytes());
    body.extend([9; 16]);
    body.extend([0; 16]);
    body.extend(crc64(&[&body]).to_le_bytes());
    let (magic, end) = (b"\x89CSTa\x0d\x0a\x1a", b"\x1a\x0a\x0daTSC\x89");
    [&magic[..], &body, content, &body, end].concat()
}

/// Makes sums fit again: of the header, of the trailer if it is the end of the stream, and of its copy of the header.
fn reseal_pack(stored: &mut [u8], input: &mut Input<'_>) {
    let which = input.byte();
    if let Some(header) = stored.first_chunk_mut::<256>()
        && which & 1 == 1
    {
        reseal(header, 232);
    }
    let header = stored.first_chunk::<256>().copied();
    let len = stored.len() as u64;
    if let Some(trailer) = stored.last_chunk_mut::<304>() {
        if let Some(header) = header.filter(|_| which & 2 == 2) {
            trailer[..256].copy_from_slice(&header);
        }
        if which & 4 == 4 {
            trailer[256..264].copy_from_slice(&len.to_le_bytes());
        }
        if which & 8 == 8 {
            reseal(&mut trailer[..296], 272);
        }
    }
}

fn reseal(bytes: &mut [u8], digest_at: usize) {
    let digest = digest16(&[&bytes[..digest_at]]);
    bytes[digest_at..digest_at + 16].copy_from_slice(&digest);
    let sum = crc64(&[&bytes[..digest_at + 16]]);
    bytes[digest_at + 16..].copy_from_slice(&sum.to_le_bytes());
}
