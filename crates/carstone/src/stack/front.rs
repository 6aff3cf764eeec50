//! Where a pack begins that has something of another one in front.

use std::io;
use std::ops::Range;

use carstone_layer::{
    FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Kind, LayerId, ReadAt, read_full,
};
use carstone_raw::Container;

/// All bytes of a source of this size; without those before the container header of a pack, if a container header or trailer of another one
/// stands at the front, of which no whole frame is near, and the pack goes on to the end.
pub(super) fn own_range<R: ReadAt + ?Sized>(source: &R, size: u64) -> io::Result<Range<u64>> {
    let mut front = vec![0; WINDOW.min(usize::try_from(size).unwrap_or(usize::MAX))];
    let read = read_full(source, &mut front, 0)?;
    let front = &front[..read];
    let container_at = |at: usize| {
        let bytes = front.get(at..).and_then(<[u8]>::first_chunk)?;
        Container::decode(bytes).ok()
    };
    let trailer = || Container::decode_trailer(front.first_chunk()?).map(|(trailer, _)| trailer);
    let Some(foreign) = container_at(0).or_else(trailer) else { return Ok(0..size) };
    let frames = frames(front);
    let has_frames = [LayerId::ENCRYPTION, LayerId::COMPRESSION]
        .iter()
        .any(|layer| foreign.layers.get(*layer).is_some());
    let of_front = frames.iter().find(|(_, header)| header.pack == foreign.pack_id);
    let is_there = match of_front {
        Some((at, header)) => is_whole(source, *at as u64, header)?,
        None => false,
    };
    let own = frames.iter().find(|(_, header)| header.pack != foreign.pack_id);
    let start = match own {
        Some((frame, header)) if has_frames && !is_there => {
            let is_own =
                |at: &usize| container_at(*at).is_some_and(|own| own.pack_id == header.pack);
            // The nearest one: what stands before it is not the pack's. A pack that lies in a file of another one ends before that does.
            let start = (1..*frame).rev().find(is_own).unwrap_or(0);
            if ends_with(source, header, start as u64, size)? { start } else { 0 }
        }
        _ => 0,
    };
    Ok(start as u64..size)
}

/// Whether the last bytes are the trailer of the pack of a frame, which begins here and goes on to there.
fn ends_with<R: ReadAt + ?Sized>(
    source: &R,
    header: &FrameHeader,
    start: u64,
    size: u64,
) -> io::Result<bool> {
    let mut trailer = [0; Container::TRAILER_LEN];
    let at = size.saturating_sub(Container::TRAILER_LEN as u64);
    let read = read_full(source, &mut trailer, at)?;
    let trailer = Container::decode_trailer(&trailer).filter(|_| read == trailer.len());
    Ok(trailer.is_some_and(|(own, len)| own.pack_id == header.pack && len == size - start))
}

/// Whether the content of a frame is there, or the next frame of its pack behind it.
fn is_whole<R: ReadAt + ?Sized>(source: &R, at: u64, header: &FrameHeader) -> io::Result<bool> {
    let len = header.stored_len as usize;
    if len > LONGEST {
        return Ok(false);
    }
    let mut payload = vec![0; len + FRAME_HEADER_LEN];
    let start = at.saturating_add(FRAME_HEADER_LEN as u64);
    let read = read_full(source, &mut payload, start)?;
    let (payload, next) = payload[..read].split_at(len.min(read));
    let next = next.first_chunk().and_then(FrameHeader::probe);
    let goes_on = next.is_some_and(|next| next.pack == header.pack);
    // One frame alone that holds no content is as little as a header.
    let holds = header.kind == Kind::DATA && payload.len() == len;
    Ok(goes_on || (holds && header.payload_matches_crc(payload)))
}

/// The frame headers, and where they stand.
fn frames(bytes: &[u8]) -> Vec<(usize, FrameHeader)> {
    let magic = bytes.windows(FRAME_MAGIC.len()).enumerate();
    let found = magic.filter(|(_, window)| *window == FRAME_MAGIC);
    let frames = found.filter_map(|(at, _)| {
        let header = bytes.get(at..)?.first_chunk::<FRAME_HEADER_LEN>()?;
        Some((at, FrameHeader::probe(header)?))
    });
    frames.collect()
}

/// Bytes at the front that are looked through.
const WINDOW: usize = 64 << 10;

/// No frame has a longer payload.
const LONGEST: usize = 17 << 20;
