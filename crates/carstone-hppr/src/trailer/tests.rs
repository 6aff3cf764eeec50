//! Round trips, faults at their places, and laws.

use std::io::{self, Cursor};

use proptest::prelude::*;

use super::*;
use crate::packet::ParseOptions;
use crate::packet::tests::{packets, plex, seal};
use crate::{Blob, Header, MAX_DATA, MAX_LINE, Packet};

const OPEN: usize = ELLIPSIS.len() + MARK.len();

fn spool() -> Cursor<Vec<u8>> {
    Cursor::new(Vec::new())
}

fn back(stream: &[u8]) -> Result<Packet> {
    read(stream, spool(), &ParseOptions::default())?.into_packet()
}

fn stream(packet: &Packet) -> String {
    let mut stream = Vec::new();
    write_packet(packet, &mut stream).expect("memory");
    String::from_utf8(stream).expect("text")
}

fn plain() -> Packet {
    plex(["g", "a", "l"], "1640995200:123000000", &["A: 1"], b"hello\n")
}

#[track_caller]
fn refused(text: impl AsRef<[u8]>, kind: ErrorKind, at: usize) {
    let text = text.as_ref();
    let shown = String::from_utf8_lossy(text);
    assert_eq!(back(text).expect_err(&shown), Error::new(kind).at(at as u64), "{shown}");
}

#[track_caller]
fn refused_with(text: &str, piece: &str, with: &str, kind: ErrorKind, behind: usize) {
    let at = text.find(piece).expect("it is there");
    refused(text.replacen(piece, with, 1), kind, at + behind);
}

#[test]
fn the_stream_form_of_the_seal() {
    let expected = "\
⋯🖧: S //a-group/some-app/our-collection/item/|/seal/V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3
This is signed content.
⋯🖧: B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3
Group: a-group
App: some-app
Location: our-collection/item
TAI: 1640995200:000000000
⋯🖧: P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3
Seal-By: V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3
Seal-Sig: SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNuTppu7ibe8rLnNAiLRWVooTO353mmsvf5gVto9Feldr5G
⋯🖧: S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3
";
    assert_eq!(stream(&seal()), expected);
    assert_eq!(back(expected.as_bytes()), Ok(seal()));
    let bare = expected.replace(" //a-group", "\n //a-group");
    let (start, end) = (bare.find("\n //").expect("there"), bare.find("\nThis").expect("there"));
    let bare = format!("{}{}", &bare[..start], &bare[end..]);
    assert_eq!(back(bare.as_bytes()), Ok(seal()), "without a coordinate");

    let mut rebuilt =
        read(expected.as_bytes(), spool(), &ParseOptions::default()).expect("it is one");
    let mut bytes = Vec::new();
    assert_eq!(rebuilt.write_to(&mut bytes).expect("memory"), 445);
    assert_eq!(bytes, seal().encode());
    assert_eq!(rebuilt.hashes(), seal().hashes());
    assert_eq!(rebuilt.into_spool().expect("memory").into_inner(), &seal().data()[..]);
}

#[test]
fn lines_of_data_that_look_like_hashes_are_escaped() {
    for (data, escaped) in [
        ("", ""),
        ("\n", "\n"),
        ("x\n", "x\n"),
        ("⋯🖧: ", "⋯⋯🖧: "),
        ("⋯🖧:", "⋯🖧:"),
        ("⋯⋯🖧: B\n⋯🖧: ", "⋯⋯⋯🖧: B\n⋯⋯🖧: "),
        ("🖧: x\n", "🖧: x\n"),
        ("x⋯🖧: \n⋯\n⋯🖧x", "x⋯🖧: \n⋯\n⋯🖧x"),
        ("⋯🖧⋯🖧: ", "⋯🖧⋯🖧: "),
        ("\r⋯🖧: ", "\r⋯🖧: "),
    ] {
        let packet = Packet::from(Blob::new(data).expect("it fits"));
        let expected = format!("⋯🖧: B\n{escaped}\n⋯🖧: {}\n", packet.hash());
        assert_eq!(stream(&packet), expected);
        assert_eq!(back(expected.as_bytes()), Ok(packet));
    }
}

#[test]
fn a_stream_of_unknown_length_becomes_a_seal() {
    let packet = seal();
    let (sealed, data) = (packet.seal().expect("a Seal"), packet.data());
    let plex = sealed.plex();
    let announcement = Announcement::seal(plex.coordinate().clone(), sealed.key());
    // It is taken from where it is.
    let mut spool = Cursor::new(b"before".to_vec());
    spool.set_position(6);
    let mut writer = TrailerWriter::new(Vec::new(), announcement, &mut spool).expect("memory");
    for byte in data {
        writer.write_all(&[*byte]).expect("memory");
    }
    let sign = |digest: &[u8; 32]| {
        assert_eq!(digest, plex.hash().digest());
        Ok(sealed.signature())
    };
    let finished =
        writer.finish_seal(plex.coordinate(), plex.tai(), Vec::new(), sealed.key(), sign);
    let (written, hashes) = finished.expect("it is signed");
    assert_eq!(hashes, packet.hashes());
    assert_eq!(String::from_utf8(written).expect("text"), stream(&packet));
}

#[test]
fn another_packet_than_announced_is_not_finished() {
    let (place, other) = (
        Coordinate::new("g", "a", "l").expect("one"),
        Coordinate::new("g", "a", "m").expect("one"),
    );
    let writer = |announcement| TrailerWriter::new(Vec::new(), announcement, spool()).expect("one");
    let tai = Tai::new(0, 0).expect("a time");
    let kind =
        |result: Result<_>| result.map(|_: (Vec<u8>, _)| ()).expect_err("another").kind().clone();
    let plex = writer(Announcement::plex(place.clone())).finish_plex(&other, tai, Vec::new());
    assert_eq!(kind(plex), ErrorKind::AnnouncedOther);
    let plex = writer(Announcement::Blob).finish_plex(&place, tai, Vec::new());
    assert_eq!(kind(plex), ErrorKind::AnnouncedOther);
    let blob = writer(Announcement::plex(place.clone())).finish_blob();
    assert_eq!(kind(blob), ErrorKind::AnnouncedOther);
    let extras = vec![Header::new("⋯🖧", "x").expect("a header")];
    let plex = writer(Announcement::Plex(None)).finish_plex(&place, tai, extras);
    assert_eq!(kind(plex), ErrorKind::ReservedName);
}

#[test]
fn a_writer_that_has_failed_stays_so() {
    let mut writer = TrailerWriter::new(Vec::new(), Announcement::Blob, spool()).expect("one");
    writer.write_all(&vec![0; MAX_DATA]).expect("it fits");
    let error = writer.write_all(b"x").expect_err("it is too long");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(writer.write(b"").is_err());
    assert_eq!(writer.finish_blob().expect_err("it is broken").kind(), &ErrorKind::Broken);
}

#[test]
fn announcements_that_are_none() {
    let text = stream(&plain());
    refused("", ErrorKind::Truncated, 0);
    refused("🖧: B", ErrorKind::BadAnnouncement, 0);
    refused("⋯🖧:\n", ErrorKind::BadAnnouncement, 8);
    refused("⋯🖧: \n", ErrorKind::BadAnnouncement, OPEN);
    refused("⋯🖧: V\n", ErrorKind::BadAnnouncement, OPEN);
    refused("⋯🖧: B//g/a/l\n", ErrorKind::BadAnnouncement, OPEN + 1);
    refused("⋯🖧: B //g/a/l\n", ErrorKind::BadAnnouncement, OPEN + 1);
    refused_with(&text, "//g/a/l", "//g/a/", ErrorKind::EmptyValue, 6);
    refused_with(&text, "|/plex", "|/blob", ErrorKind::BadSelector, 2);
    let hash = format!("////{}\n", plain().hash());
    refused_with(&text, "//g/a/l/|/plex\n", &hash, ErrorKind::BadAnnouncement, 0);
    let long = format!("⋯🖧: P //{}", "x".repeat(2000));
    refused(long, ErrorKind::LineTooLong, MAX_ANNOUNCEMENT);
}

#[test]
fn another_packet_than_announced_is_not_taken() {
    let text = stream(&plain());
    let at = ErrorKind::AnnouncedOther;
    refused_with(&text, "//g/a/l", "//g/a/m", at.clone(), 0);
    refused_with(&text, "//g/a/l/|/plex", "//g/a/l/|/seal", at.clone(), 0);
    let tai = "//g/a/l/|/plex/1640995200:000000000\n";
    refused_with(&text, "//g/a/l/|/plex\n", tai, at.clone(), 0);
    let key = "V.ZCQ6rNNPm~ps~o4peKyV7dfEVj9mgLNzagbLeWYv9eG.H3";
    let other =
        stream(&seal()).replacen("V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3", key, 1);
    refused(other, at, OPEN + 2);
    let right = text.replace("|/plex\n", "|/plex/1640995200:123000000\n");
    assert_eq!(back(right.as_bytes()), Ok(plain()));
}

#[test]
fn what_follows_the_data_has_its_order() {
    let text = stream(&plain());
    let missing = |expected| ErrorKind::MissingHeader { expected };
    refused_with(&text, "TAI: 1640995200:123000000\n", "", missing("TAI"), 0);
    let expected = "App";
    refused_with(&text, "App: a\n", "", ErrorKind::HeaderOutOfOrder { expected }, 0);
    refused_with(&text, "A: 1\n", "A:1\n", ErrorKind::NoSpace, 2);
    refused_with(&text, "A: 1\n", "B: 1\nA: 1\n", ErrorKind::ExtrasOutOfOrder, 5);
    let expected = PacketKind::Blob;
    refused_with(&text, "B.", "P.", ErrorKind::WrongPacket { expected }, 0);
    let expected = PacketKind::Plex;
    refused_with(&text, "P.", "S.", ErrorKind::WrongPacket { expected }, 0);
    let sealed = stream(&seal());
    refused_with(&sealed, "⋯🖧: S.", "X: y\n⋯🖧: S.", ErrorKind::UnknownHeader, 0);
    let long = format!("A: {}\n", "1".repeat(MAX_LINE));
    refused_with(&text, "A: 1\n", &long, ErrorKind::LineTooLong, MAX_LINE);
    refused("⋯🖧: B\n⋯🖧: B.", ErrorKind::NoLineBeforeClose, 11);
}

#[test]
fn hashes_are_checked_at_their_places() {
    let text = stream(&seal());
    for (packet, piece, with) in [
        (PacketKind::Blob, "B.xNC", "B.xND"),
        (PacketKind::Plex, "P.VoN", "P.VoO"),
        (PacketKind::Seal, "S.7NT", "S.7NU"),
    ] {
        refused_with(&text, piece, with, ErrorKind::HashMismatch { packet }, 0);
    }
    let at = text.find("B.xNC").expect("it is there");
    let packet = PacketKind::Blob;
    refused(text.replace("signed", "Signed"), ErrorKind::HashMismatch { packet }, at);
}

#[test]
fn every_cut_and_what_follows_is_seen() {
    let text = stream(&seal());
    for len in 0..text.len() {
        refused(&text.as_bytes()[..len], ErrorKind::Truncated, len);
    }
    refused(format!("{text}\n"), ErrorKind::TrailingBytes, text.len());
}

#[test]
fn every_flipped_bit_is_seen() {
    let text = stream(&seal());
    for bit in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(back(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn data_at_the_limit_and_one_over() {
    let most = Packet::from(Blob::new(vec![b'x'; MAX_DATA]).expect("it fits"));
    let text = stream(&most);
    assert!(back(text.as_bytes()) == Ok(most));
    let at = OPEN + 2 + MAX_DATA;
    refused_quietly(text.replacen('x', "xx", 1), at);
    // The one that is too much was kept back until it was known to be data.
    let end = "\n⋯x\n";
    for kept in 1..=5 {
        let data = format!("{}{end}", "x".repeat(MAX_DATA - 6 + kept));
        refused_quietly(format!("⋯🖧: B\n{data}\n⋯🖧: "), at);
    }
}

#[track_caller]
fn refused_quietly(text: String, at: usize) {
    let error = back(text.as_bytes()).expect_err("it is too long");
    assert_eq!(error, Error::new(ErrorKind::DataTooLong).at(at as u64));
}

/// Gives so many bytes at a time.
struct Steps<'b>(&'b [u8], usize);

impl io::Read for Steps<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let step = self.1.min(buf.len());
        self.0.read(&mut buf[..step])
    }
}

proptest! {
    #[test]
    fn packets_come_back(packet in packets(), step in 1..40_usize) {
        let mut text = Vec::new();
        write_packet(&packet, &mut text).expect("memory");
        prop_assert_eq!(&back(&text), &Ok(packet.clone()));
        let stepped = read(Steps(&text, step), spool(), &ParseOptions::default());
        prop_assert_eq!(stepped.and_then(Rebuilt::into_packet), Ok(packet.clone()));

        let announcement = match packet.plex() {
            None => Announcement::Blob,
            Some(plex) => Announcement::plex(plex.coordinate().clone()),
        };
        let mut writer = TrailerWriter::new(Vec::new(), announcement, spool()).expect("memory");
        for chunk in packet.data().chunks(step) {
            writer.write_all(chunk).expect("memory");
        }
        let (written, hashes) = match packet.plex() {
            None => writer.finish_blob(),
            Some(plex) => writer.finish_plex(plex.coordinate(), plex.tai(), plex.extras().to_vec()),
        }.expect("memory");
        prop_assert_eq!(written, text);
        prop_assert_eq!(hashes, packet.hashes());
    }

    #[test]
    fn data_comes_back(
        data in "(⋯{0,3}(🖧: |🖧|x|\u{22ee}|é)?\n?){0,20}",
        cut in any::<prop::sample::Index>(),
        step in 1..9_usize,
    ) {
        // Cut within characters too.
        let data = &data.as_bytes()[..cut.index(data.len() + 1)];
        let mut writer = TrailerWriter::new(Vec::new(), Announcement::Blob, spool()).expect("memory");
        for chunk in data.chunks(step) {
            writer.write_all(chunk).expect("memory");
        }
        let (written, _) = writer.finish_blob().expect("memory");
        let packet = Packet::from(Blob::new(data.to_vec()).expect("it fits"));
        let mut whole = Vec::new();
        write_packet(&packet, &mut whole).expect("memory");
        prop_assert_eq!(&written, &whole);
        let stepped = read(Steps(&written, step), spool(), &ParseOptions::default());
        prop_assert_eq!(stepped.and_then(Rebuilt::into_packet), Ok(packet));
    }
}
