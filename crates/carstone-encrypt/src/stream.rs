//! One open stream: its keys, the places of its frames, and the check of each frame.

use carstone_layer::{
    Correction, Corrections, FRAME_HEADER_LEN, FrameHeader, Kind, LayerId, PackId, ReadAt,
    correct_frame, correct_payload, read_full,
};

use crate::aead::Aead;
use crate::format::{AES_256_GCM, FRAME_LEN, OVERHEAD, STORED_FRAME, scan_limits};
use crate::layout::Layout;
use crate::{Error, ErrorKind, LayerHeader};

/// What is known of a stream once it is open. Shared by all readers and threads.
pub(crate) struct Stream {
    pub header: LayerHeader,
    pub frames: Frames,
    pub aead: Aead,
    /// Where corrections are told; without it nothing is put right.
    pub corrections: Option<Corrections>,
}

/// Which frames a stream has, and where: known without a key.
#[derive(Clone, Copy)]
pub(crate) struct Frames {
    pub pack: PackId,
    pub layout: Layout,
}

/// Neighbouring frames as they are stored, or, once opened, with plain bytes in the place of the encrypted ones.
pub(crate) struct Chunk {
    /// The first frame.
    pub first: u64,
    /// The buffer. Only [`Chunk::plain`] looks into it.
    pub bytes: Vec<u8>,
    frames: u64,
}

impl Stream {
    /// Decrypts a chunk in place. Where a frame fails, the chunk ends before it; where it is the first, that is the error.
    pub(crate) fn open(&self, mut chunk: Chunk) -> Result<Chunk, Error> {
        let mut good = 0;
        for stored in chunk.bytes.chunks_mut(STORED_FRAME) {
            match self.open_frame(chunk.first + good, stored) {
                Ok(()) => good += 1,
                Err(error) if good == 0 => return Err(error),
                Err(_) => break,
            }
        }
        // Whatever a failed decryption may have left goes out of reach with the rest.
        chunk.bytes.truncate(good as usize * STORED_FRAME);
        chunk.frames = good;
        Ok(chunk)
    }

    fn open_frame(&self, frame: u64, stored: &mut [u8]) -> Result<(), Error> {
        let at = self.frames.layout.position(frame);
        let Some((head, payload)) = stored.split_first_chunk_mut::<FRAME_HEADER_LEN>() else {
            return Err(Error::new(ErrorKind::Truncated, at));
        };
        let header = FrameHeader::decode(head)
            .map_err(|source| Error::new(ErrorKind::BadFrame { frame, source }, at))?;
        self.frames.check_header(frame, &header)?;
        self.aead.open(&header, payload).map_err(|_| Error::new(ErrorKind::BadTag { frame }, at))
    }
}

impl Stream {
    /// Reads the frame again whose fault this is, and opens it after one small fault in it has been put right; else gives the fault back.
    pub(crate) fn mend<R: ReadAt + ?Sized>(
        &self,
        source: &R,
        fault: Error,
    ) -> Result<Chunk, Error> {
        let Some(corrections) = &self.corrections else { return Err(fault) };
        let (ErrorKind::BadTag { frame } | ErrorKind::BadFrame { frame, .. }) = *fault.kind()
        else {
            return Err(fault);
        };
        let mut chunk = self.frames.read(source, frame, 1, Vec::new())?;
        let made = correct(&mut chunk.bytes, self.frames.pack);
        if made.is_empty() {
            return Err(fault);
        }
        let chunk = self.open(chunk)?;
        let at = self.frames.layout.position(frame);
        for mut correction in made {
            correction.at = correction.at.saturating_add(at);
            corrections.note(correction);
        }
        Ok(chunk)
    }
}

/// Puts a stored frame right, where its digest confirms it. Offsets count from its header.
fn correct(stored: &mut [u8], pack: PackId) -> Vec<Correction> {
    let Some((head, payload)) = stored.split_first_chunk_mut::<FRAME_HEADER_LEN>() else {
        return Vec::new();
    };
    if let Ok(header) = FrameHeader::decode(head) {
        let made = correct_payload(&header, payload);
        let made = made.map(|mut made| {
            made.at += FRAME_HEADER_LEN as u64;
            made
        });
        return made.into_iter().collect();
    }
    let made = correct_frame(stored, LayerId::ENCRYPTION, Some(pack), scan_limits());
    made.map_or_else(Vec::new, |(_, made)| made)
}

impl Frames {
    /// Reads up to `wanted` frames from `first` on into `bytes`, which is an old buffer or an empty one.
    pub(crate) fn read<R: ReadAt + ?Sized>(
        &self,
        source: &R,
        first: u64,
        wanted: u64,
        mut bytes: Vec<u8>,
    ) -> Result<Chunk, Error> {
        let frames = self.layout.run(first, wanted.max(1));
        let at = self.layout.position(first);
        let last_len = match frames {
            0 => 0,
            frames => self.layout.frame_len(first + frames - 1) + OVERHEAD,
        };
        // Callers want few frames at once, so that this is far below the range of `usize`.
        let len = frames.saturating_sub(1) as usize * STORED_FRAME + last_len;
        if bytes.capacity() < len {
            bytes = vec![0; len]; // The system gives zeroed memory without touching it.
        }
        bytes.resize(len, 0);
        let read = read_full(source, &mut bytes, at).map_err(|error| Error::io(error, at))?;
        if read < bytes.len() {
            return Err(Error::new(ErrorKind::Truncated, at + read as u64));
        }
        Ok(Chunk { first, bytes, frames })
    }

    /// Whether a header is the one that belongs in the place of data frame `frame`.
    pub(crate) fn check_header(&self, frame: u64, header: &FrameHeader) -> Result<(), Error> {
        let at = self.layout.position(frame);
        let plain_len = self.layout.frame_len(frame);
        let kind = if header.pack != self.pack {
            ErrorKind::Foreign
        } else if header.layer == LayerId::ENCRYPTION && header.kind == Kind::HOLE {
            ErrorKind::Hole { frame }
        } else if header.codec != AES_256_GCM && header.kind == Kind::DATA {
            ErrorKind::Unknown { what: "encryption algorithm", value: header.codec.into() }
        } else {
            let last = frame + 1 == self.layout.frames;
            let plain_offset = self.layout.position_in_plain(frame);
            let boundary_fits = header.first_boundary.is_none_or(|at| at < header.plain_len);
            let fields = [
                ("layer", header.layer == LayerId::ENCRYPTION),
                ("kind", header.kind == Kind::DATA),
                ("segment", header.segment == 0),
                ("sequence", header.sequence == frame),
                ("last flag", header.last == last),
                ("plain offset", header.plain_offset == plain_offset),
                ("plain length", header.plain_len as usize == plain_len),
                (
                    "stored length",
                    u64::from(header.stored_len) + FRAME_HEADER_LEN as u64
                        == (plain_len + OVERHEAD) as u64,
                ),
                ("first boundary", boundary_fits),
            ];
            match fields.into_iter().find(|(_, holds)| !holds) {
                Some((field, _)) => ErrorKind::WrongFrame { frame, field },
                None => return Ok(()),
            }
        };
        Err(Error::new(kind, at))
    }
}

impl Chunk {
    /// The frame behind the chunk.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.frames
    }

    pub(crate) fn holds(&self, frame: u64) -> bool {
        (self.first..self.end()).contains(&frame)
    }

    /// The plain bytes of one frame of an opened chunk; empty where the chunk does not hold it.
    pub(crate) fn plain(&self, frame: u64) -> &[u8] {
        if !self.holds(frame) {
            return &[];
        }
        let start = (frame - self.first) as usize * STORED_FRAME + FRAME_HEADER_LEN;
        let end =
            (start + FRAME_LEN).min(self.bytes.len().saturating_sub(OVERHEAD - FRAME_HEADER_LEN));
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Copies plain bytes from plain offset `from` on, as far as the chunk and `buf` reach.
    pub(crate) fn copy(&self, from: u64, buf: &mut [u8]) -> usize {
        let mut copied = 0;
        while copied < buf.len() {
            let at = from + copied as u64;
            let plain = self.plain(at / FRAME_LEN as u64);
            let rest = plain.get((at % FRAME_LEN as u64) as usize..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let n = rest.len().min(buf.len() - copied);
            buf[copied..copied + n].copy_from_slice(&rest[..n]);
            copied += n;
        }
        copied
    }
}
