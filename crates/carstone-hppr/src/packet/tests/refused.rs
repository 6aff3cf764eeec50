//! What is no packet, at the byte where that shows.

use super::*;

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
