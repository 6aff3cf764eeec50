//! Packets, alone and one behind the other.

use std::io::{Cursor, Read, Write};

use carstone_hppr::trailer::{self, Announcement, TrailerWriter};
use carstone_hppr::{
    Blob, ErrorKind, Hashes, MAX_EXTRAS_WRITTEN, Packet, PacketReader, ParseOptions, Plex, Result,
    Seal, verify,
};

use super::forge::{by_name, forged};
use crate::input::{Input, noise};
use crate::sources::Stutter;
use crate::vectors::{HPPR, values};

/// What is read is written to the same bytes; strict readers take no more than those by name; a reader of a stream, in whatever pieces that comes, agrees; and what is read goes
/// through the form with hashes behind the data, and comes back.
pub(crate) fn packet(data: &[u8]) {
    let choices = noise(data.len() as u64, 200);
    let mut input = Input::new(&choices);
    // Signatures take long to verify: nothing is done twice.
    let options = input.pick(&[ParseOptions::default(), by_name()]);
    let forged = forged(data);
    alone(&forged, &options);
    if forged != data {
        alone(data, &options);
    }
    if let Ok(packet) = Packet::parse(&forged, &by_name()) {
        goes_around(&packet, &mut input);
    }
    together(&[&forged, data].concat(), &options, &mut input);
}

fn alone(bytes: &[u8], options: &ParseOptions) {
    let strict = Packet::parse(bytes, &ParseOptions::default());
    let taken = Packet::parse(bytes, &by_name());
    match &strict {
        Err(error) if *error.kind() == ErrorKind::ExtrasOutOfOrder => {}
        _ => assert_eq!(strict, taken),
    }
    let parsed = if *options == by_name() { &taken } else { &strict };
    assert_eq!(&Packet::parse_bytes(bytes.to_vec(), options), parsed);
    assert_eq!(verify(bytes, options), parsed.clone().map(|packet| packet.hashes()));
    let read: Vec<_> = PacketReader::with_options(bytes, *options).collect();
    match parsed {
        Ok(packet) => assert_eq!(read, [Ok(packet.clone())]),
        // Another packet may follow, and where nothing is, none is needed.
        Err(error) if *error.kind() == ErrorKind::TrailingBytes => {}
        Err(_) if bytes.is_empty() => assert_eq!(read, []),
        Err(error) => assert_eq!(read, [Err(error.clone())]),
    }
    let Ok(packet) = taken else { return };
    assert_eq!(packet.encode(), bytes);
    let mut written = Vec::new();
    let len = packet.write_to(&mut written).expect("a vector");
    assert!(written == bytes && len == bytes.len() as u64);
    assert!(bytes.starts_with(&packet.head()) && bytes.ends_with(packet.data()));
    let is_made = packet.plex().is_none_or(|plex| plex.extras().len() <= MAX_EXTRAS_WRITTEN);
    if strict.is_ok() && is_made {
        assert_eq!(made(&packet), packet);
    }
}

/// The same packet, made of its parts.
fn made(packet: &Packet) -> Packet {
    let blob = Blob::new(packet.data().clone()).expect("it was read");
    let Some(plex) = packet.plex() else { return blob.into() };
    let extras = plex.extras().to_vec();
    let plex = Plex::new(plex.coordinate().clone(), plex.tai(), extras, blob).expect("it was read");
    let Some(seal) = packet.seal() else { return plex.into() };
    Seal::new(plex, seal.key(), seal.signature()).expect("it was read").into()
}

/// Packets one behind the other are the same from every source.
fn together(stream: &[u8], options: &ParseOptions, input: &mut Input<'_>) {
    let whole: Vec<_> = PacketReader::with_options(stream, *options).collect();
    let pieces = Stutter::new(stream, input);
    let read: Vec<_> = PacketReader::with_options(pieces, *options).collect();
    assert_eq!(read, whole);
    let copied = copied(stream, options);
    assert_eq!(self::copied(Stutter::new(stream, input), options), copied);
    for (copied, whole) in copied.iter().zip(&whole) {
        assert_eq!(copied.clone(), whole.clone().map(|packet| packet.hashes()));
    }
    assert!(copied.len() >= whole.len());
}

/// Hashes of packets whose data is copied through, up to what is none.
fn copied(source: impl Read, options: &ParseOptions) -> Vec<Result<Hashes>> {
    let mut reader = PacketReader::with_options(source, *options);
    let mut all = Vec::new();
    loop {
        match reader.next_packet() {
            Ok(None) => return all,
            Ok(Some(mut packet)) => {
                let mut data = Vec::new();
                let (len, hash) = (packet.head().data_len(), packet.head().blob_hash());
                let copied = packet.copy_to(&mut data);
                let finished = packet.finish();
                match copied {
                    Ok(copied) => assert!(copied == len as u64 && data.len() == len),
                    Err(error) => assert_eq!(finished, Err(error)),
                }
                if finished.is_ok() {
                    assert_eq!(Blob::new(data).expect("not too long").hash(), hash);
                }
                all.push(finished);
            }
            Err(error) => {
                let again = reader.next_packet().map(|packet| packet.is_some());
                assert_eq!(again, Err(error.clone()));
                all.push(Err(error));
                return all;
            }
        }
    }
}

/// A packet is written to the form with hashes behind the data, and comes back.
pub(super) fn goes_around(packet: &Packet, input: &mut Input<'_>) {
    let mut stream = Vec::new();
    if let Err(error) = trailer::write_packet(packet, &mut stream) {
        assert_eq!(*error.kind(), ErrorKind::ReservedName);
        return;
    }
    let spool = || Cursor::new(Vec::new());
    let mut back = trailer::read(&stream[..], spool(), &by_name()).expect("just written");
    assert_eq!(back.hashes(), packet.hashes());
    let mut bytes = Vec::new();
    let len = back.write_to(&mut bytes).expect("in memory");
    assert!(bytes == packet.encode() && len == bytes.len() as u64);
    assert_eq!(&back.into_packet().expect("in memory"), packet);
    let pieces = Stutter::new(&stream, input);
    let back = trailer::read(pieces, spool(), &by_name()).expect("just written");
    assert_eq!(&back.into_packet().expect("in memory"), packet);
    assert!(trailer::read(&stream[..stream.len() - 1], spool(), &by_name()).is_err());

    let announcement = match packet {
        Packet::Blob(_) => Announcement::Blob,
        Packet::Plex(plex) => Announcement::plex(plex.coordinate().clone()),
        Packet::Seal(seal) => Announcement::seal(seal.plex().coordinate().clone(), seal.key()),
    };
    let mut writer = TrailerWriter::new(Vec::new(), announcement, spool()).expect("in memory");
    let mut left = &packet.data()[..];
    while !left.is_empty() {
        let (piece, rest) = left.split_at(1 + input.below(left.len().min(9)));
        writer.write_all(piece).expect("in memory");
        left = rest;
    }
    let is_sorted = |plex: &Plex| plex.extras().is_sorted();
    if !packet
        .plex()
        .is_none_or(|plex| is_sorted(plex) && plex.extras().len() <= MAX_EXTRAS_WRITTEN)
    {
        return;
    }
    let (written, hashes) = match (packet.plex(), packet.seal()) {
        (Some(plex), seal) => {
            let (place, extras) = (plex.coordinate(), plex.extras().to_vec());
            match seal {
                None => writer.finish_plex(place, plex.tai(), extras),
                Some(seal) => writer
                    .finish_seal(place, plex.tai(), extras, seal.key(), |_| Ok(seal.signature())),
            }
        }
        (None, _) => writer.finish_blob(),
    }
    .expect("it was written before");
    assert!(written == stream && hashes == packet.hashes());
}

/// Packets of the vectors, right ones and others.
pub(crate) fn packet_seeds() -> Vec<Vec<u8>> {
    values(HPPR, "packet")
}
