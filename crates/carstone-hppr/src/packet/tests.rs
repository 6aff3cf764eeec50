//! Vectors, faults at their places, and laws.

mod known;
mod laws;
mod refused;
mod signatures;
mod streams;

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
