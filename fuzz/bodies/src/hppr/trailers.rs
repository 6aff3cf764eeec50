//! The stream form with hashes behind the data.

use std::io::Cursor;

use carstone_hppr::{ErrorKind, Packet, PacketHash, PacketKind, Result, TYPED, trailer, verify};

use super::forge::{MARK, by_name, forged};
use super::packets::goes_around;
use crate::input::{Input, noise};
use crate::sources::Stutter;
use crate::vectors::{HPPR, values};

/// What comes of a stream is verified; it is the same in whatever pieces the stream comes, and written again; with the right hashes it is what the lines of the stream say.
pub(crate) fn trailer(data: &[u8]) {
    let choices = noise(data.len() as u64, 200);
    let mut input = Input::new(&choices);
    let _ = read(data, &mut input);
    let Some((stream, packet)) = rebuilt(data) else { return };
    let found = read(&stream, &mut input);
    match (Packet::parse(&packet, &by_name()), found) {
        (Ok(packet), Ok(found)) => assert_eq!(found, packet),
        (Ok(_), Err(error)) => assert!(
            matches!(
                error.kind(),
                // The announcement is not looked at here.
                ErrorKind::AnnouncedOther | ErrorKind::BadAnnouncement | ErrorKind::LineTooLong
            ) || error.offset().is_some_and(|at| at < first_line(&stream)),
            "{error}"
        ),
        (Err(error), Ok(_)) => panic!("{error}, and yet it is read"),
        (Err(_), Err(_)) => {}
    }
}

fn read(stream: &[u8], input: &mut Input<'_>) -> Result<Packet> {
    let spool = || Cursor::new(b"ahead".to_vec());
    let placed = || {
        let mut spool = spool();
        spool.set_position(5);
        spool
    };
    let found = trailer::read(stream, placed(), &by_name());
    let found = found.map(|found| found.into_packet().expect("in memory"));
    let pieces = trailer::read(Stutter::new(stream, input), placed(), &by_name());
    let pieces = pieces.map(|found| found.into_packet().expect("in memory"));
    assert_eq!(pieces, found);
    if let Ok(packet) = &found {
        assert_eq!(verify(&packet.encode(), &by_name()), Ok(packet.hashes()));
        goes_around(packet, input);
    }
    found
}

/// The same stream with the right hashes, and the packet that it is, read line by line and as simply as can be; `None` if it has not all its parts.
fn rebuilt(stream: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mark = [ELLIPSIS, MARK].concat();
    let first = first_line(stream) as usize;
    let kind = PacketKind::of_letter(*stream.get(mark.len())?)?;
    let (mut data, mut head) = (Vec::new(), Vec::new());
    let mut heads = Vec::new();
    // Where hashes are, innermost first.
    let mut places = Vec::new();
    let mut at = first;
    for line in stream[first..].split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n")?;
        if let Some(hash) = text.strip_prefix(&mark[..]) {
            if hash.len() != TYPED {
                return None;
            }
            places.push(at + mark.len());
            heads.push(std::mem::take(&mut head));
        } else if places.is_empty() {
            data.extend_from_slice(unescaped(line));
        } else {
            head.extend_from_slice(line);
        }
        at += line.len();
    }
    let letters = [PacketKind::Blob, PacketKind::Plex, PacketKind::Seal];
    let kinds = &letters[..=letters.iter().position(|letter| *letter == kind)?];
    if places.len() != kinds.len() || !head.is_empty() {
        return None;
    }
    data.pop()?;
    let any = |kind| [MARK, PacketHash::new(kind, [0; 32]).to_string().as_bytes(), b"\n"].concat();
    let mut packet = Vec::new();
    for (kind, head) in kinds.iter().zip(&heads).rev() {
        packet.extend_from_slice(&any(*kind));
        packet.extend_from_slice(head);
    }
    packet.extend_from_slice(b"Data-Length: 0\n\n");
    packet.extend_from_slice(&data);
    let packet = forged(&packet);

    let mut stream = stream.to_vec();
    let hashes = packet.split_inclusive(|byte| *byte == b'\n').filter_map(|line| {
        let hash = line.strip_prefix(MARK)?.strip_suffix(b"\n")?;
        (hash.len() == TYPED).then_some(hash)
    });
    let hashes: Vec<&[u8]> = hashes.take(kinds.len()).collect();
    if hashes.len() != places.len() {
        return None;
    }
    for (place, hash) in places.iter().zip(hashes.iter().rev()) {
        stream[*place..place + TYPED].copy_from_slice(hash);
    }
    // The signature has been put right too.
    if let (PacketKind::Seal, [.., plex, seal]) = (kind, &places[..]) {
        let start = plex + TYPED + 1;
        let lines = &packet[MARK.len() + TYPED + 1..];
        let end = seal - mark.len();
        stream[start..end].copy_from_slice(lines.get(..end - start)?);
    }
    Some((stream, packet))
}

/// A line of data without one of the ellipses that it begins with, if a mark follows them.
fn unescaped(line: &[u8]) -> &[u8] {
    let mut rest = line;
    while let Some(behind) = rest.strip_prefix(ELLIPSIS) {
        rest = behind;
    }
    match rest.starts_with(MARK) && rest.len() < line.len() {
        true => &line[ELLIPSIS.len()..],
        false => line,
    }
}

/// Bytes of the first line.
fn first_line(stream: &[u8]) -> u64 {
    stream.split_inclusive(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) as u64
}

/// Streams of the vectors, right ones and others.
pub(crate) fn trailer_seeds() -> Vec<Vec<u8>> {
    values(HPPR, "stream")
}

const ELLIPSIS: &[u8] = "\u{22ef}".as_bytes();
