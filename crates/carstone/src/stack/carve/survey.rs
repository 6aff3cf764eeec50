//! One pass over bytes of any kind: frames, headers and trailers of packs, headers and sections of CARs.

use std::io::{self, Read};

use carstone_car::{Limits, digest_len};
use carstone_compress as compress;
use carstone_encrypt as encrypt;
use carstone_layer::{FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Kind, LayerId, ReadAt};
use carstone_raw::Container;
use carstone_repair::{BlockSearch, Judged, Stops};

use super::sightings::{Full, Sightings};
use crate::stack::forward::Forward;

/// Goes over `source` from `start` on. What begins first holds what lies inside of it. Gives where to go on, if there is more than can be kept
/// track of.
pub(super) fn survey<R: ReadAt>(
    source: &R,
    start: u64,
    progress: &mut dyn FnMut(u64),
) -> io::Result<(Sightings, Option<u64>)> {
    let forward = Heard { inner: Forward { source, at: start, end: u64::MAX }, progress };
    let search = BlockSearch::new(forward, Limits::default());
    let mut pass = Pass { source, start, search, seen: Sightings::default(), due: None };
    while pass.is_due() || pass.search.pass_to(&STOPS)?.is_found {
        match pass.look() {
            Ok(len) => pass.search.skip(len.max(1))?,
            Err(Stop::Full) => {
                let next = pass.seen.resume_at(pass.at());
                return Ok((pass.seen, Some(next)));
            }
            Err(Stop::Io(error)) => return Err(error),
        }
    }
    Ok((pass.seen, None))
}

/// Why the pass goes no further.
enum Stop {
    Full,
    Io(io::Error),
}

impl From<Full> for Stop {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Pass<'a, R> {
    source: &'a R,
    start: u64,
    search: BlockSearch<Heard<'a, R>>,
    seen: Sightings,
    /// Where a section would begin that follows the last one.
    due: Option<u64>,
}

impl<R: ReadAt> Pass<'_, R> {
    /// Where it stands in the source.
    fn at(&self) -> u64 {
        self.start.saturating_add(self.search.at())
    }

    /// Whether a section may begin here that no hash can prove.
    fn is_due(&self) -> bool {
        self.due == Some(self.at())
    }

    /// Takes what stands here, and gives its length; 0 where nothing does.
    fn look(&mut self) -> Result<u64, Stop> {
        let front = self.search.ahead(FRAME_MAGIC.len())?;
        let (is_frame, is_container) =
            (front.starts_with(&FRAME_MAGIC), front.starts_with(&Container::MAGIC));
        match (is_frame, is_container) {
            (true, _) => self.frame(),
            (_, true) => self.container(),
            _ => self.car(),
        }
    }

    fn frame(&mut self) -> Result<u64, Stop> {
        self.seen.has_room()?;
        let at = self.at();
        let bytes = self.search.ahead(FRAME_HEADER_LEN)?.first_chunk();
        let Some(header) = bytes.and_then(FrameHeader::probe) else { return Ok(0) };
        if !is_plausible(&header) {
            return Ok(0);
        }
        let len = self.frame_len(&header)?;
        if self.is_begin(&header) {
            self.header_before(at, &header)?;
        }
        let end = at.saturating_add(header.frame_len());
        self.seen.frame(&header, at..at.saturating_add(len), end)?;
        Ok(len)
    }

    /// How much of the frame in front is there: all of it if its payload is sound, or something follows where it should end. Else more of it
    /// may be missing, and only its header is sure.
    fn frame_len(&mut self, header: &FrameHeader) -> Result<u64, Stop> {
        let whole = FRAME_HEADER_LEN + header.stored_len as usize;
        let is_checked = self.search.afford(header.stored_len.into(), 0);
        let bytes = self.search.ahead(whole + FRAME_HEADER_LEN)?;
        let Some(payload) = bytes.get(FRAME_HEADER_LEN..whole) else {
            return Ok(FRAME_HEADER_LEN as u64);
        };
        let is_sound = is_checked && header.payload_matches_crc(payload);
        let container = match (is_sound, header.kind) {
            (true, Kind::ANCHOR) => container_in(payload),
            _ => None,
        };
        let rest = bytes.get(whole..).unwrap_or_default();
        let next = rest.first_chunk().and_then(FrameHeader::probe);
        let leads_on = next.is_some_and(|next| next.pack == header.pack)
            || rest.starts_with(&Container::MAGIC);
        if let Some(container) = container.filter(|container| container.pack_id == header.pack) {
            self.seen.pack(header.pack)?.container.get_or_insert(container);
        }
        Ok(match is_sound || leads_on {
            true => whole as u64,
            false => FRAME_HEADER_LEN as u64,
        })
    }

    /// Whether a container header would stand before the frame.
    fn is_begin(&self, header: &FrameHeader) -> bool {
        let kind = match header.layer {
            LayerId::ENCRYPTION => Kind::LAYER_HEADER,
            _ => Kind::DATA,
        };
        header.kind == kind && header.sequence == 0
    }

    /// Puts the container header before the first frame right, if that can be done, and nothing has been seen of one.
    fn header_before(&mut self, at: u64, header: &FrameHeader) -> Result<(), Stop> {
        let pack = self.seen.pack(header.pack)?;
        let Some(place) = at.checked_sub(Container::LEN as u64) else { return Ok(()) };
        if pack.container.is_some() || !pack.frames.is_empty() {
            return Ok(());
        }
        let mut bytes = [0; Container::LEN];
        self.source.read_exact_at(&mut bytes, place)?;
        if let Some((container, _)) = Container::decode_corrected(&bytes)
            && container.pack_id == header.pack
        {
            pack.header(place, container);
        }
        Ok(())
    }

    fn container(&mut self) -> Result<u64, Stop> {
        let at = self.at();
        let bytes = self.search.ahead(Container::TRAILER_LEN)?;
        let trailer = bytes.first_chunk().and_then(Container::decode_trailer);
        let header = bytes.first_chunk().and_then(|bytes| Container::decode(bytes).ok());
        let len = match (trailer, header) {
            (Some((container, stored_len)), _) => {
                self.seen.pack(container.pack_id)?.trailer(at, stored_len, container);
                Container::TRAILER_LEN
            }
            (None, Some(container)) => {
                self.seen.pack(container.pack_id)?.header(at, container);
                Container::LEN
            }
            (None, None) => return Ok(0),
        };
        self.seen.close();
        self.due = None;
        Ok(len as u64)
    }

    fn car(&mut self) -> Result<u64, Stop> {
        let at = self.at();
        if let Some((_, len)) = self.search.header()? {
            let end = at.saturating_add(len);
            self.seen.car(at..end)?;
            self.due = Some(end);
            return Ok(len);
        }
        let is_due = self.is_due();
        self.due = None;
        match self.search.judge(is_due)? {
            Judged::Block(head) => {
                let end = at.saturating_add(head.len() as u64);
                self.seen.section(at..end)?;
                self.due = Some(end);
                Ok(head.len() as u64)
            }
            Judged::Mismatch(head) | Judged::Truncated(head) if is_due => {
                let hash = head.cid.hash();
                let is_known = digest_len(hash.code()) == Some(usize::from(hash.size()));
                if let Some(car) = self.seen.cars.last_mut() {
                    car.goes_on |= is_known;
                }
                Ok(0)
            }
            _ => Ok(0),
        }
    }
}

/// Whether a frame can be the outermost one of a pack.
fn is_plausible(header: &FrameHeader) -> bool {
    let limits = match header.layer {
        LayerId::ENCRYPTION => encrypt::scan_limits(),
        LayerId::COMPRESSION => compress::scan_limits(MAX_BLOCK),
        _ => return false,
    };
    header.stored_len <= limits.of(header.kind)
}

/// The container header that an anchor repeats.
fn container_in(anchor: &[u8]) -> Option<Container> {
    let (len, rest) = anchor.split_first_chunk()?;
    let is_there = u32::from_le_bytes(*len) as usize == Container::LEN;
    rest.first_chunk().filter(|_| is_there).and_then(|bytes| Container::decode(bytes).ok())
}

/// A source read in order, which tells how far.
struct Heard<'a, R> {
    inner: Forward<&'a R>,
    progress: &'a mut dyn FnMut(u64),
}

impl<R: ReadAt> Read for Heard<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        (self.progress)(self.inner.at);
        Ok(n)
    }
}

const STOPS: Stops = Stops::with_headers_and([FRAME_MAGIC, Container::MAGIC]);

/// The most plain bytes in a compression frame of any pack.
const MAX_BLOCK: u32 = 16 << 20;
