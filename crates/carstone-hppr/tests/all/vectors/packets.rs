//! Packets, right and wrong, also with their hashes behind the data.

use std::io::Cursor;

use carstone_hppr::{
    ErrorKind, ExportOptions, ExtrasOrder, Packet, PacketHash, ParseOptions, Repository,
    StoreOptions, import_car, trailer, verify,
};
use cid::Cid;
use toml::Value;

use super::faults::Wrong;
use super::{bytes, each, maybe, number, stream, text};

fn by_name() -> ParseOptions {
    ParseOptions::default().extras(ExtrasOrder::ByName)
}

/// Parses a packet in each way, which all give the same, whose bytes are those that were given.
fn parsed(name: &str, bytes: &[u8], hash: &str) -> Packet {
    let options = ParseOptions::default();
    let packet = Packet::parse(bytes, &options).expect(name);
    assert_eq!(packet.hash().to_string(), hash, "{name}");
    assert_eq!(packet.encode(), bytes, "{name}");
    assert_eq!(verify(bytes, &options), Ok(packet.hashes()), "{name}");
    assert_eq!(Packet::parse(bytes, &by_name()).as_ref(), Ok(&packet), "{name}");
    assert_eq!(stream(bytes, options).as_deref(), Ok(&[packet.clone()][..]), "{name}");
    packet
}

#[test]
fn known_packets_are_the_same() {
    each("known", |case| {
        let (name, hash) = (text(case, "name"), text(case, "hash"));
        let bytes = match case.get("unit") {
            Some(_) => {
                let times = usize::try_from(number(case, "times")).expect("a length");
                let data = bytes(case, "unit").repeat(times);
                carstone_hppr::Blob::new(data).map(Packet::from).expect(name).encode()
            }
            None => bytes(case, "packet"),
        };
        assert_eq!(bytes.len() as u64, number(case, "length"), "{name}");
        in_a_car(&parsed(name, &bytes, hash), text(case, "cid"));
    });
}

/// The packet is the last block of a CAR, under this CID, and comes back out of it.
fn in_a_car(packet: &Packet, cid: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = Repository::init(folder.path()).expect("a repository");
    repository.store(packet, &StoreOptions::default()).expect("stored");
    let mut car = Vec::new();
    repository.export_car(&ExportOptions::default().lone_blobs(true), &mut car).expect("exported");
    let packet_bytes = packet.encode();
    let cid: Cid = cid.parse().expect("a CID");
    let block = [&cid.to_bytes(), &packet_bytes[55..]].concat();
    assert!(car.ends_with(&block), "{cid}");
    let mut back = Vec::new();
    let mut take = |packet: &Packet| {
        back.push(packet.clone());
        Ok(())
    };
    import_car(&car[..], &ParseOptions::default(), &mut take).expect("imported");
    assert_eq!(back, std::slice::from_ref(packet));
}

#[test]
fn packets_hold_the_same() {
    each("packet", |case| {
        let name = text(case, "name");
        let packet = parsed(name, &bytes(case, "packet"), text(case, "hash"));
        assert_eq!(packet.data()[..], bytes(case, "data"), "{name}");
        let key = packet.seal().map(|seal| seal.key().to_string());
        assert_eq!(key.as_deref(), maybe(case, "vkey"), "{name}");
        let Some(plex) = packet.plex() else {
            return assert_eq!(case.get("group"), None, "{name}");
        };
        let coordinate = plex.coordinate();
        assert_eq!(coordinate.group(), text(case, "group"), "{name}");
        assert_eq!(coordinate.app(), text(case, "app"), "{name}");
        assert_eq!(coordinate.location(), text(case, "location"), "{name}");
        assert_eq!(plex.tai().to_string(), text(case, "tai"), "{name}");
        let extras = plex.extras().iter();
        let extras: Vec<Value> =
            extras.map(|extra| Value::from(vec![extra.name(), extra.value()])).collect();
        assert_eq!(Value::from(extras), case["extra"], "{name}");
    });
}

#[test]
fn packets_at_the_edge_of_a_rule_are_taken() {
    each("edge", |case| {
        parsed(text(case, "name"), &bytes(case, "packet"), text(case, "hash"));
    });
}

#[test]
fn packets_that_break_a_rule_are_refused_for_it_at_the_line_that_does() {
    let mut wrong = Wrong::default();
    each("reject", |case| {
        let (name, packet) = (text(case, "name"), bytes(case, "packet"));
        let Err(error) = Packet::parse(&packet, &ParseOptions::default()) else {
            return wrong.0.push(format!("{name}: taken"));
        };
        let (expect, at) = (text(case, "expect"), error.offset());
        wrong.compare(name, expect, &error);
        if case.get("line").is_some() {
            let line = number(case, "line") as usize;
            let rest = packet.get(line..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let inside = at.is_some_and(|at| (line..=line + end).contains(&(at as usize)));
            if !inside {
                wrong.0.push(format!("{name} ({expect}): {error}, not in {line}..={}", line + end));
            }
        }
        let is_taken = Packet::parse(&packet, &by_name()).is_ok();
        if is_taken != case.get("by_name").is_some() {
            wrong.0.push(format!("{name}: by names taken: {is_taken}"));
        }
        if verify(&packet, &ParseOptions::default()).as_ref() != Err(&error) {
            wrong.0.push(format!("{name}: verify differs"));
        }
        if error.kind() != &ErrorKind::TrailingBytes && !packet.is_empty() {
            match stream(&packet, ParseOptions::default()) {
                Err(other) if other == error => {}
                other => wrong.0.push(format!("{name}: {error}, but {other:?} in a stream")),
            }
        }
    });
    wrong.end();
}

fn read(stream: &[u8]) -> carstone_hppr::Result<Packet> {
    let spool = Cursor::new(Vec::new());
    trailer::read(stream, spool, &ParseOptions::default()).and_then(trailer::Rebuilt::into_packet)
}

#[test]
fn streams_with_hashes_behind_are_the_same() {
    each("stream", |case| {
        let (name, expected) = (text(case, "name"), bytes(case, "stream"));
        let packet = Packet::parse(&bytes(case, "packet"), &ParseOptions::default()).expect(name);
        let mut made = Vec::new();
        trailer::write_packet(&packet, &mut made).expect(name);
        assert!(made == expected, "{name}");
        assert_eq!(read(&expected).as_ref(), Ok(&packet), "{name}");

        let first = expected.iter().position(|byte| *byte == b'\n').expect("a line");
        let line = std::str::from_utf8(&expected[..first]).expect("UTF-8");
        let letter = packet.kind().letter();
        let alone = format!("⋯🖧: {letter}");
        let whole = match maybe(case, "announced") {
            Some(announced) => format!("{alone} {announced}"),
            None => alone.clone(),
        };
        assert_eq!(line, whole, "{name}");
        let unannounced = [alone.as_bytes(), &expected[first..]].concat();
        assert_eq!(read(&unannounced).as_ref(), Ok(&packet), "{name}");
    });
}

#[test]
fn streams_that_break_a_rule_are_refused_for_it() {
    let mut wrong = Wrong::default();
    each("stream_refused", |case| {
        let name = text(case, "name");
        let error = read(&bytes(case, "stream")).expect_err(name);
        wrong.compare(name, text(case, "expect"), &error);
    });
    wrong.end();
}

#[test]
fn the_empty_blob_is_the_known_one() {
    let known = "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3";
    let packet = Packet::from(carstone_hppr::Blob::new("").expect("short"));
    assert_eq!(Ok(packet.hash()), PacketHash::parse(known.as_bytes()));
}
