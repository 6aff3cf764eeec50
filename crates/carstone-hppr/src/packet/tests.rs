//! Vectors, faults at their places, and laws.

use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    MAX_DATA, MAX_EXTRAS_READ, MAX_EXTRAS_WRITTEN, MAX_HEAD, MAX_LINE, MAX_PACKET,
};

const SEAL: &str = "\
🖧: S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3
Seal-By: V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3
Seal-Sig: SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNuTppu7ibe8rLnNAiLRWVooTO353mmsvf5gVto9Feldr5G
🖧: P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3
Group: a-group
App: some-app
Location: our-collection/item
TAI: 1640995200:000000000
🖧: B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3
Data-Length: 23

This is signed content.";

const EMPTY_BLOB: &str = "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3";

fn strict() -> ParseOptions {
    ParseOptions::default()
}

fn by_name() -> ParseOptions {
    ParseOptions::default().extras(ExtrasOrder::ByName)
}

pub(crate) fn seal() -> Packet {
    Packet::parse(SEAL.as_bytes(), &strict()).expect("the Seal of the specification")
}

fn header(line: &str) -> Header {
    Header::parse(line.as_bytes()).expect(line)
}

pub(crate) fn plex(place: [&str; 3], tai: &str, extras: &[&str], data: &[u8]) -> Packet {
    let coordinate = Coordinate::new(place[0], place[1], place[2]).expect("a coordinate");
    let extras = extras.iter().map(|line| header(line)).collect();
    let blob = Blob::new(data.to_vec()).expect("a Blob");
    Plex::new(coordinate, tai.parse().expect(tai), extras, blob).expect("a Plex").into()
}

fn plain_plex() -> String {
    let packet = plex(["g", "a", "l/m"], "1640995200:123000000", &["A: 1", "B: 2"], b"hello\n");
    String::from_utf8(packet.encode()).expect("text")
}

/// Gives a few bytes at a time, as many as its steps say.
struct Stutter<'b>(&'b [u8], Vec<usize>, usize);

impl Read for Stutter<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let step = self.1.get(self.2 % self.1.len().max(1)).copied().unwrap_or(1);
        self.2 += 1;
        if step == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.0.take(step as u64).read(buf).inspect(|read| self.0 = &self.0[*read..])
    }
}

/// All ways to read one packet.
fn everyway(bytes: &[u8], options: ParseOptions) -> Vec<Result<PacketHash>> {
    let stutter = || Stutter(bytes, vec![1, 0, 7, 60], 0);
    let streamed = |mut reader: PacketReader<Stutter<'_>>| {
        let mut packet = reader.next_packet()?.expect("something is there");
        packet.copy_to(&mut io::sink())?;
        packet.finish().map(|hashes| hashes.outer())
    };
    vec![
        Packet::parse(bytes, &options).map(|packet| packet.hash()),
        Packet::parse_bytes(bytes.to_vec(), &options).map(|packet| packet.hash()),
        verify(bytes, &options).map(|hashes| hashes.outer()),
        PacketReader::with_options(bytes, options)
            .next()
            .unwrap_or_else(|| Err(Error::new(ErrorKind::Truncated).at(0)))
            .map(|packet| packet.hash()),
        streamed(PacketReader::with_options(stutter(), options)),
    ]
}

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, kind: ErrorKind, at: usize) {
    let bytes = bytes.as_ref();
    for found in everyway(bytes, strict()) {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(found, Err(Error::new(kind.clone()).at(at as u64)), "{text}");
    }
}

/// Replaces a piece of a text, and says where that was.
#[track_caller]
fn replaced(text: &str, piece: &str, with: &str) -> (String, usize) {
    (text.replacen(piece, with, 1), text.find(piece).expect("it is there"))
}

#[track_caller]
fn refused_with(text: &str, piece: &str, with: &str, kind: ErrorKind, behind: usize) {
    let (text, at) = replaced(text, piece, with);
    refused(text, kind, at + behind);
}

#[track_caller]
fn known(packet: &Packet, hash: &str, len: usize) {
    assert_eq!(packet.hash().to_string(), hash);
    let bytes = packet.encode();
    assert_eq!(bytes.len(), len);
    for found in everyway(&bytes, strict()) {
        assert_eq!(found.expect("it is one"), packet.hash());
    }
    assert_eq!(&Packet::parse(&bytes, &strict()).expect("it is one"), packet);
}

#[test]
fn blobs_of_the_specification() {
    let all: Vec<u8> = (0..=255).collect();
    for (data, hash, len) in [
        (vec![], EMPTY_BLOB, 71),
        (b"hello\n".to_vec(), "B.f3WWOojJFy1t_J2WinAFeTdxqQbdYr5neCimrmRf~3h.H3", 77),
        (
            b"This is signed content.".to_vec(),
            "B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3",
            95,
        ),
        (all, "B.u2JQeHYkGWwD2cRZIDJPA5cqm9vvh4KDN3uzmZQ~zzl.H3", 329),
        (vec![b'a'; 1_000_003], "B.pG7Zsgd7QVXgzgf0Ej9oTfqEJjUWCwaY1GN34jKGbj0.H3", 1_000_080),
    ] {
        known(&Blob::new(data).expect("it fits").into(), hash, len);
    }
    let digest = *Blob::new("").expect("it fits").hash().digest();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "dfaf55f9c587aaa9c906dfe1366bd6cb9637a2edfb90643687475c9efd51c346");
}

#[test]
fn plexes_of_the_specification() {
    let link = format!("+Link: source {EMPTY_BLOB}");
    let one = plex(
        ["a-group", "some-app", "our-collection/item"],
        "1640995200:123000000",
        &["X-Custom: header value", &link],
        b"hello\n",
    );
    known(&one, "P._B8CSOzsmGyZiPoHO0Bdf4Rf0FfqaTqFIHvGMVMNsLO.H3", 303);
    let two = plex(
        ["grüppe", "app", "café/日本#1"],
        "1767225637:000000001",
        &["é: x: y", "a: 0", "A: 2", "A: 1"],
        b"\x00\xff\n",
    );
    known(&two, "P.F8gIPiGPSTfCV2UTB29iFiucSCUj3BNfSUjyPmLivS4.H3", 228);
    let lines: Vec<_> = two.plex().expect("a Plex").extras().iter().map(Header::line).collect();
    assert_eq!(lines, ["A: 1", "A: 2", "a: 0", "é: x: y"]);
    let blob = two.blob().hash().to_string();
    assert_eq!(blob, "B.tuCdMbWfBY0ecgAlj2HIm59c25XPip8hhgy2SaRkHdK.H3");
    let three = plex(["g", "a", "l"], "0000000037:000000000", &[], b"");
    known(&three, "P.WDktGMEDkJGAwsQGxQfa8hDC6WQGXp9Y4jVasCSe3zK.H3", 180);
}

#[test]
fn the_seal_of_the_specification() {
    assert_eq!(SEAL.len(), 445);
    let packet = seal();
    assert_eq!(packet.encode(), SEAL.as_bytes());
    known(&packet, "S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3", 445);
    let seal = packet.seal().expect("a Seal");
    let plex = plex(
        ["a-group", "some-app", "our-collection/item"],
        "1640995200:000000000",
        &[],
        seal.data(),
    );
    assert_eq!(plex.plex(), Some(seal.plex()));
    let made = Seal::new(seal.plex().clone(), seal.key(), seal.signature()).expect("it is signed");
    assert_eq!(&made, seal);
    assert_eq!(packet.hashes(), verify(SEAL.as_bytes(), &strict()).expect("a Seal"));
    assert_eq!(packet.hashes().iter().count(), 3);
}

#[test]
fn no_markline() {
    refused("Group: g\n", ErrorKind::NoMarkline, 0);
    refused("🖧; B", ErrorKind::NoMarkline, 4);
    refused("🖧:", ErrorKind::Truncated, 5);
    refused("🖧:\n", ErrorKind::NoMarkline, 5);
    refused(vec![0; 5000], ErrorKind::NoMarkline, 0);
    refused_with(&plain_plex(), "🖧: B", "🖧:B", ErrorKind::NoSpace, 5);
}

#[test]
fn marklines_that_are_none() {
    refused("🖧: 0.H3\n", ErrorKind::BadLength, 6 + 4);
    refused("🖧: \n", ErrorKind::BadLength, 6);
    let blob = format!("🖧: {EMPTY_BLOB}\nData-Length: 0\n\n");
    refused_with(&blob, "B.svy", "V.svy", ErrorKind::BadType, 0);
    refused_with(&blob, "B.svy", "B-svy", ErrorKind::BadText, 1);
    refused_with(&blob, "B.svy", "B.s+y", ErrorKind::BadSymbol, 3);
    refused_with(&blob, "lpO.", "lpP.", ErrorKind::BadTail, 2);
    refused_with(&blob, ".H3", ".H4", ErrorKind::BadText, 0);
    refused_with(&blob, ".H3\n", ".H3\r\n", ErrorKind::BadLength, 4);
    refused_with(&blob, ".H3\n", ".H3 \n", ErrorKind::BadLength, 4);
    refused(format!("🖧: {}", "B".repeat(2000)), ErrorKind::LineTooLong, MAX_LINE);
}

#[test]
fn another_packet_than_is_to_be_there() {
    let expected = PacketKind::Blob;
    refused_with(&plain_plex(), "B.", "P.", ErrorKind::WrongPacket { expected }, 0);
    let expected = PacketKind::Plex;
    refused_with(SEAL, "P.Vo", "B.Vo", ErrorKind::WrongPacket { expected }, 0);
    refused_with(SEAL, "P.Vo", "S.Vo", ErrorKind::WrongPacket { expected }, 0);
}

#[test]
fn a_header_that_is_missing() {
    let plex = plain_plex();
    let missing = |expected| ErrorKind::MissingHeader { expected };
    refused_with(&plex, "TAI: 1640995200:123000000\n", "", missing("TAI"), 0);
    refused_with(&plex, "Group: g\n", "X: g\n", missing("Group"), 0);
    refused_with(&plex, "Data-Length: 6\n", "Length: 6\n", missing("Data-Length"), 0);
    let start = plex.find("Group").expect("it is there");
    let end = plex.find("🖧: B").expect("it is there");
    refused(format!("{}{}", &plex[..start], &plex[end..]), missing("Group"), start);
    let start = SEAL.find("Seal-Sig").expect("it is there");
    let end = SEAL.find("🖧: P").expect("it is there");
    refused(format!("{}{}", &SEAL[..start], &SEAL[end..]), missing("Seal-Sig"), start);
}

#[test]
fn a_header_that_is_repeated() {
    let plex = plain_plex();
    refused_with(&plex, "App: a\n", "Group: g\nApp: a\n", ErrorKind::RepeatedHeader, 0);
    refused_with(&plex, "A: 1\n", "TAI: 1\n", ErrorKind::ReservedName, 0);
    refused_with(SEAL, "🖧: P", "Seal-By: x\n🖧: P", ErrorKind::RepeatedHeader, 0);
}

#[test]
fn headers_out_of_order() {
    let swapped = "App: a\nGroup: g\n";
    let kind = ErrorKind::HeaderOutOfOrder { expected: "Group" };
    refused_with(&plain_plex(), "Group: g\nApp: a\n", swapped, kind, 0);
    let kind = ErrorKind::HeaderOutOfOrder { expected: "App" };
    refused_with(&plain_plex(), "App: a\n", "", kind, 0);
    let kind = ErrorKind::HeaderOutOfOrder { expected: "Seal-By" };
    refused_with(SEAL, "Seal-By: ", "Seal-Sig: ", kind, 0);
}

#[test]
fn a_header_that_no_seal_has() {
    refused_with(SEAL, "🖧: P", "X: y\n🖧: P", ErrorKind::UnknownHeader, 0);
    refused_with(SEAL, "Seal-Sig", "Seal-sig", ErrorKind::UnknownHeader, 0);
}

#[test]
fn names_that_no_extra_header_may_have() {
    let names =
        ["Group", "App", "Location", "TAI", "Data-Length", "Seal-By", "Seal-Sig", "\u{1f5a7}"];
    for name in names {
        if name != "\u{1f5a7}" {
            let line = format!("{name}: 1\n");
            refused_with(&plain_plex(), "A: 1\n", &line, ErrorKind::ReservedName, 0);
        }
        let extras = vec![Header::new(name, "x").expect("a header")];
        let coordinate = Coordinate::new("g", "a", "l").expect("a coordinate");
        let blob = Blob::new("").expect("a Blob");
        let tai = Tai::new(0, 0).expect("a time");
        let error = Plex::new(coordinate, tai, extras, blob).expect_err(name);
        assert_eq!(error.kind(), &ErrorKind::ReservedName);
    }
}

#[test]
fn extra_headers_out_of_order() {
    let kind = ErrorKind::ExtrasOutOfOrder;
    refused_with(&plain_plex(), "A: 1\nB: 2\n", "B: 2\nA: 1\n", kind.clone(), 5);
    refused_with(&plain_plex(), "A: 1\nB: 2\n", "A: 2\nA: 1\n", kind, 5);
}

#[test]
fn by_name_only_names_are_not_to_descend() {
    let (text, at) = replaced(&plain_plex(), "A: 1\nB: 2\n", "A: 2\nA: 1\n");
    // Its own hash now.
    let payload = &text[text.find("Group").expect("it is there")..];
    let hash = PacketHash::of(PacketKind::Plex, payload.as_bytes());
    let text = format!("🖧: {hash}\n{payload}");
    for found in everyway(text.as_bytes(), by_name()) {
        assert_eq!(found, Ok(hash));
    }
    let packet = Packet::parse(text.as_bytes(), &by_name()).expect("a Plex");
    assert_eq!(packet.encode(), text.as_bytes());
    refused(&text, ErrorKind::ExtrasOutOfOrder, at + 5);
    let (text, at) = replaced(&plain_plex(), "A: 1\nB: 2\n", "B: 2\nA: 1\n");
    for found in everyway(text.as_bytes(), by_name()) {
        assert_eq!(found, Err(Error::new(ErrorKind::ExtrasOutOfOrder).at(at as u64 + 5)));
    }
}

#[test]
fn extra_headers_at_the_limits_and_one_over() {
    let lines = |count: usize| -> String { (0..count).map(|n| format!("X: {n:04}\n")).collect() };
    let with = |count: usize| {
        let text = plain_plex().replace("A: 1\nB: 2\n", &lines(count));
        let payload = &text[text.find("Group").expect("it is there")..];
        let hash = PacketHash::of(PacketKind::Plex, payload.as_bytes());
        (format!("🖧: {hash}\n{payload}"), hash)
    };
    let (most, hash) = with(MAX_EXTRAS_READ);
    for found in everyway(most.as_bytes(), strict()) {
        assert_eq!(found, Ok(hash));
    }
    let (over, _) = with(MAX_EXTRAS_READ + 1);
    let at = over.find("X: 1024").expect("the last");
    refused(over, ErrorKind::TooManyExtras, at);

    let made = |count: usize| {
        let coordinate = Coordinate::new("g", "a", "l")?;
        let extras = vec![Header::new("X", "same")?; count];
        Plex::new(coordinate, "0000000000:000000000".parse()?, extras, Blob::new("")?)
    };
    assert_eq!(made(MAX_EXTRAS_WRITTEN).expect("it fits").extras().len(), 256);
    assert_eq!(made(MAX_EXTRAS_WRITTEN + 1), Err(Error::new(ErrorKind::TooManyExtras)));
}

#[test]
fn header_lines_that_break_a_rule() {
    let plex = plain_plex();
    for (with, kind, behind) in [
        ("A:1\n", ErrorKind::NoSpace, 2),
        ("A 1\n", ErrorKind::NoColon, 3),
        ("A:  1\n", ErrorKind::SecondSpace, 3),
        (": 1\n", ErrorKind::EmptyName, 0),
        ("A B: 1\n", ErrorKind::NameHasSpace, 1),
        ("A: \n", ErrorKind::EmptyValue, 3),
        ("A: 1\r\n", ErrorKind::CarriageReturn, 4),
        ("A: \t\n", ErrorKind::ControlByte, 3),
        ("A: e\u{301}\n", ErrorKind::NotNfc, 3),
        ("\n", ErrorKind::NoColon, 0),
    ] {
        refused_with(&plex, "A: 1\n", with, kind, behind);
    }
    let at = plex.find("A: 1").expect("it is there") + 3;
    let mut bytes = plex.clone().into_bytes();
    bytes[at] = 0xff;
    refused(bytes, ErrorKind::NotUtf8, at);
    let long = format!("A: {}\n", "1".repeat(MAX_LINE - 2));
    refused_with(&plex, "A: 1\n", &long, ErrorKind::LineTooLong, MAX_LINE);
    refused_with(&plex, "Group: g\n", "Group: \n", ErrorKind::EmptyValue, 7);
}

#[test]
fn coordinates_that_break_a_rule() {
    let plex = plain_plex();
    for (piece, with, kind, behind) in [
        ("Group: g", "Group: g/h", ErrorKind::ForbiddenCharacter, 8),
        ("Group: g", "Group: ..", ErrorKind::DotName, 7),
        ("App: a", "App: a#", ErrorKind::ForbiddenCharacter, 6),
        ("Location: l/m", "Location: l/m/", ErrorKind::EmptySegment, 14),
        ("Location: l/m", "Location: /l/m", ErrorKind::EmptySegment, 10),
        ("Location: l/m", "Location: l/../m", ErrorKind::DotName, 12),
        ("Location: l/m", "Location: l/|", ErrorKind::ForbiddenCharacter, 12),
    ] {
        refused_with(&plex, piece, with, kind, behind);
    }
    let long = "g".repeat(57);
    refused_with(&plex, "Group: g", &format!("Group: {long}"), ErrorKind::NameTooLong, 7 + 56);
}

#[test]
fn times_that_are_none() {
    refused_with(&plain_plex(), "TAI: 1640995200:", "TAI: 1640995200.", ErrorKind::BadTime, 15);
    refused_with(&plain_plex(), "TAI: 1", "TAI: ", ErrorKind::BadTime, 14);
}

#[test]
fn keys_and_signatures_that_are_none() {
    refused_with(SEAL, "V.XB", "B.XB", ErrorKind::BadType, 0);
    refused_with(SEAL, "SlBf", "Sl+f", ErrorKind::BadSymbol, 2);
    refused_with(SEAL, "SlBf", "SlB", ErrorKind::BadLength, 85);
}

#[test]
fn lengths_of_data_that_are_none() {
    for (with, behind) in [("06", 0), ("00", 0), ("-6", 0), ("+6", 0), ("6 ", 1), ("6x", 1)] {
        let with = format!("Data-Length: {with}\n");
        let kind = ErrorKind::BadDataLength;
        refused_with(&plain_plex(), "Data-Length: 6\n", &with, kind, 13 + behind);
    }
    for len in [MAX_DATA.to_string() + "0", (MAX_DATA + 1).to_string(), "9".repeat(99)] {
        let with = format!("Data-Length: {len}\n");
        refused_with(&plain_plex(), "Data-Length: 6\n", &with, ErrorKind::DataTooLong, 13);
    }
}

#[test]
fn no_blank_line_ahead_of_the_data() {
    refused_with(&plain_plex(), "\n\nhello", "\nhello", ErrorKind::MissingBlankLine, 1);
}

#[test]
fn every_cut_is_seen_at_the_end() {
    for len in 0..SEAL.len() {
        if len == 0 {
            let none = Packet::parse(b"", &strict());
            assert_eq!(none, Err(Error::new(ErrorKind::Truncated).at(0)));
            assert!(PacketReader::new(io::empty()).next().is_none());
        } else {
            refused(&SEAL.as_bytes()[..len], ErrorKind::Truncated, len);
        }
    }
}

#[test]
fn bytes_behind_a_packet() {
    let bytes = [SEAL, "\n"].concat();
    let error = Error::new(ErrorKind::TrailingBytes).at(445);
    assert_eq!(Packet::parse(bytes.as_bytes(), &strict()), Err(error.clone()));
    assert_eq!(Packet::parse_bytes(bytes.clone(), &strict()), Err(error.clone()));
    assert_eq!(verify(bytes.as_bytes(), &strict()), Err(error));
    let mut reader = PacketReader::new(bytes.as_bytes());
    assert_eq!(reader.next(), Some(Ok(seal())));
    assert_eq!(reader.next(), Some(Err(Error::new(ErrorKind::NoMarkline).at(445))));
    assert_eq!(reader.next(), None);
}

#[test]
fn a_hash_that_is_another() {
    let mismatch = |packet| ErrorKind::HashMismatch { packet };
    refused_with(SEAL, "B.xNC", "B.xND", mismatch(PacketKind::Blob), 0);
    refused_with(SEAL, "P.VoN", "P.VoO", mismatch(PacketKind::Plex), 0);
    refused_with(SEAL, "S.7NT", "S.7NU", mismatch(PacketKind::Seal), 0);
    let (text, _) = replaced(SEAL, "signed", "Signed");
    refused(text, mismatch(PacketKind::Blob), SEAL.find("B.xNC").expect("it is there"));
    let (text, _) = replaced(SEAL, "a-group", "b-group");
    refused(text, mismatch(PacketKind::Plex), SEAL.find("P.VoN").expect("it is there"));
    let (text, _) = replaced(SEAL, "SlBf", "SlBg");
    refused(text, mismatch(PacketKind::Seal), SEAL.find("S.7NT").expect("it is there"));
}

#[test]
fn data_at_the_limit_and_one_over() {
    let blob = Blob::new(vec![7; MAX_DATA]).expect("it fits");
    let packet = Packet::from(blob);
    let bytes = packet.encode();
    assert!(verify(&bytes, &strict()).is_ok());
    let read = PacketReader::new(&bytes[..]).next().expect("it is there");
    assert!(read.expect("a packet") == packet);
    let error = Blob::new(vec![7; MAX_DATA + 1]).expect_err("it is too long");
    assert_eq!(error, Error::new(ErrorKind::DataTooLong).at(MAX_DATA as u64));
}

#[test]
fn no_packet_of_parts_that_fit_is_over_the_limit() {
    assert_eq!(MAX_PACKET, 35_651_584);
    let line = |name: &str| format!("{name}: {}", "x".repeat(MAX_LINE - name.len() - 2));
    let line = line("X") + "\n";
    assert_eq!(line.len(), MAX_LINE + 1);
    let text = SEAL.replace("🖧: B", &(line.repeat(MAX_EXTRAS_READ) + "🖧: B"));
    let head = text.len() - 23;
    assert!(head < MAX_HEAD && MAX_HEAD + MAX_DATA <= MAX_PACKET);
    let at = SEAL.find("P.Vo").expect("it is there");
    refused(text, ErrorKind::HashMismatch { packet: PacketKind::Plex }, at);
}

#[test]
fn packets_behind_each_other_come_apart() {
    let packets = [
        seal(),
        plex(["g", "a", "l"], "0000000037:000000000", &[], b""),
        Blob::new("hello\n").expect("it fits").into(),
        Blob::new("").expect("it fits").into(),
        seal(),
    ];
    let bytes = packets.each_ref().map(Packet::encode).concat();
    let read: Result<Vec<_>> = PacketReader::new(&bytes[..]).collect();
    assert_eq!(read.expect("packets"), packets);

    // Heads alone, data being passed over.
    let mut reader = PacketReader::new(&bytes[..]);
    let (mut heads, mut offset) = (Vec::new(), 0);
    while let Some(packet) = reader.next_packet().expect("a packet") {
        assert_eq!(packet.head().offset(), offset);
        offset += packet.head().head_len() + packet.head().data_len() as u64;
        heads.push(packet.head().hash());
    }
    assert_eq!(heads, packets.each_ref().map(Packet::hash));
    assert_eq!(offset, bytes.len() as u64);
}

#[test]
fn behind_a_wrong_hash_the_next_packet_can_be_read() {
    let bad = SEAL.replace("signed", "Signed");
    let bytes = [&bad, SEAL].concat();
    let mut reader = PacketReader::new(bytes.as_bytes());
    let first = reader.next_packet().expect("a head").expect("a head");
    assert!(first.finish().is_err());
    let second = reader.next_packet().expect("a head").expect("a head");
    assert_eq!(second.into_packet(), Ok(seal()));
    assert!(reader.next_packet().expect("the end").is_none());
}

#[test]
fn faults_of_a_source_stay_and_those_of_a_sink_do_not() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let bytes = [SEAL, "x"].concat();
    let mut reader = PacketReader::new(bytes.as_bytes());
    let mut packet = reader.next_packet().expect("a head").expect("a head");
    let error = packet.copy_to(&mut Full).expect_err("it is full");
    assert_eq!(error.kind(), &ErrorKind::Io(io::ErrorKind::StorageFull));
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(packet.finish().expect("the packet is good").outer(), seal().hash());
    for _ in 0..2 {
        let error = reader.next_packet().expect_err("it is no packet");
        assert_eq!(error, Error::new(ErrorKind::NoMarkline).at(445));
    }
}

#[test]
fn a_packet_whose_data_is_taken_is_not_whole() {
    let mut reader = PacketReader::new(SEAL.as_bytes());
    let mut packet = reader.next_packet().expect("a head").expect("a head");
    packet.copy_to(&mut io::sink()).expect("it goes nowhere");
    assert_eq!(packet.into_packet().expect_err("it is taken").kind(), &ErrorKind::DataTaken);
}

#[test]
fn every_flipped_bit_is_seen() {
    for text in [SEAL, &plain_plex()] {
        for bit in 0..text.len() * 8 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            for found in everyway(&bytes, by_name()).into_iter().take(3) {
                assert!(found.is_err(), "bit {bit}");
            }
            let streamed: Result<Vec<_>> = PacketReader::new(&bytes[..]).collect();
            assert!(streamed.is_err(), "bit {bit}");
        }
    }
}

pub(crate) fn packets() -> impl Strategy<Value = Packet> {
    let name = "[^/{}|#\\p{C} .\\p{M}]{1,5}";
    let name = name.prop_filter("normal", |name| Coordinate::new(name, name, name).is_ok());
    let header = ("[A-Z+a-c-]{1,3}", "[!-~é][ -~]{0,9}");
    let extra = header.prop_map(|(name, value)| Header::new(&name, &value));
    let extras = prop::collection::vec(extra, 0..9);
    let place = (name.clone(), name.clone(), prop::collection::vec(name, 1..4));
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "(⋯{0,3}(🖧: |🖧|x)?\n?){0,9}".prop_map(String::into_bytes),
    ];
    let seconds = (0..=9_999_999_999_u64, 0..1_000_000_000_u32);
    (place, extras, data, seconds, 0..3).prop_filter_map(
        "a packet",
        |((group, app, location), extras, data, (seconds, nanos), kind)| {
            let blob = Blob::new(data).ok()?;
            if kind == 0 {
                return Some(blob.into());
            }
            let coordinate = Coordinate::new(&group, &app, &location.join("/")).ok()?;
            let extras = extras.into_iter().collect::<Result<_>>().ok()?;
            Plex::new(coordinate, Tai::new(seconds, nanos)?, extras, blob).ok().map(Packet::from)
        },
    )
}

proptest! {
    #[test]
    fn packets_come_back(packet in packets()) {
        let bytes = packet.encode();
        let mut written = Vec::new();
        prop_assert_eq!(packet.write_to(&mut written).expect("memory"), bytes.len() as u64);
        prop_assert_eq!(&written, &bytes);
        for found in everyway(&bytes, strict()) {
            prop_assert_eq!(found, Ok(packet.hash()));
        }
        prop_assert_eq!(Packet::parse(&bytes, &strict()), Ok(packet));
    }

    #[test]
    fn any_split_of_reads_gives_the_same(
        packets in prop::collection::vec(packets(), 1..4),
        steps in prop::collection::vec(0..200_usize, 1..9),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        prop_assume!(steps.iter().any(|step| *step > 0));
        let mut bytes: Vec<u8> = packets.iter().flat_map(Packet::encode).collect();
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole: Vec<_> = PacketReader::new(&bytes[..]).collect();
        let split: Vec<_> = PacketReader::new(Stutter(&bytes, steps, 0)).collect();
        prop_assert_eq!(&whole, &split);
        if damage.is_none() {
            prop_assert_eq!(whole, packets.into_iter().map(Ok).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_taken_is_what_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mark = [MARK, &bytes].concat();
        for bytes in [&bytes, &mark] {
            if let Ok(packet) = Packet::parse(bytes, &by_name()) {
                prop_assert_eq!(&packet.encode(), bytes);
            }
        }
    }
}

/// The Seal of the specification, with another line in it, and the hash that it then has.
fn sealed_again(piece: &str, with: &str) -> (String, usize) {
    let text = String::from_utf8(seal().encode()).expect("text");
    let (text, at) = replaced(&text, piece, with);
    let (_, payload) = text.split_once('\n').expect("a markline");
    let hash = PacketHash::of(PacketKind::Seal, payload.as_bytes());
    (format!("\u{1f5a7}: {hash}\n{payload}"), at)
}

#[test]
fn a_signature_that_is_wrong() {
    // Another digit in the scalar, and then in the point.
    for (piece, with, kind, behind) in [
        ("Feldr5G", "Feldr5W", ErrorKind::BadSignature, 79),
        ("Seal-Sig: SlBf", "Seal-Sig: SlBg", ErrorKind::BadSignature, 0),
        (
            "Seal-Sig: SlBfXFc6TtxJSSHWMwnCDMdKTaxI_i7r5d9u4cbwNu",
            "Seal-Sig: ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~",
            ErrorKind::BadSignaturePoint,
            0,
        ),
    ] {
        let (text, at) = sealed_again(piece, with);
        let at = if behind == 0 { at + "Seal-Sig: ".len() } else { at - behind };
        refused(&text, kind, at);
    }
}

#[test]
fn a_key_that_is_no_coordinate() {
    let none = format!("Seal-By: V.{}.H3", "~".repeat(42) + "x");
    let (text, at) =
        sealed_again("Seal-By: V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3", &none);
    refused(&text, ErrorKind::BadKey, at + "Seal-By: ".len());
}

#[test]
fn no_seal_is_made_of_a_wrong_signature() {
    let packet = seal();
    let seal = packet.seal().expect("a Seal");
    let mut bytes = *seal.signature().as_bytes();
    bytes[40] ^= 1;
    let made = Seal::new(seal.plex().clone(), seal.key(), Signature::new(bytes));
    assert_eq!(*made.expect_err("it is wrong").kind(), ErrorKind::BadSignature);
}
