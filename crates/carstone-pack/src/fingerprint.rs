//! What a CAR stream holds, whatever its pack id.

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;

use carstone_car::{Limits, cid_of, parse_section};
use carstone_layer::{Hint, LayerWrite, PackId};
use sha2::{Digest, Sha256};

use crate::record::{DAG_CBOR, id_of_record};

/// Passes a CAR stream on to a pipe, and hashes what it would be if the pack id were zero.
///
/// The records of a stream carry its pack id, so their bytes and CIDs, and nothing else, depend on it. This is the SHA-256 of the stream
/// with 16 zero bytes for the id in each record, and with the CIDs that these records have then: of a stream that is written under the id
/// zero it is simply the SHA-256. So an id that is made from it can be given to the same entries when they are written again, and
/// compared while they are.
///
/// ```
/// use carstone_layer::PackId;
/// use carstone_pack::{Fingerprint, Metadata, PackWriter, PlainPipe};
///
/// let fingerprint = |id| {
///     let pipe = Fingerprint::new(PlainPipe::new(std::io::sink()), id);
///     let mut writer = PackWriter::new(pipe, id)?;
///     writer.add_file(b"stone", Metadata::default(), &b"sand, layered"[..])?;
///     std::io::Result::Ok(writer.finish()?.0.finish().1)
/// };
/// let (zero, seven) = (PackId::from_bytes([0; 16]), PackId::from_bytes([7; 16]));
/// assert_eq!(fingerprint(zero)?, fingerprint(seven)?);
/// # std::io::Result::Ok(())
/// ```
pub struct Fingerprint<W> {
    inner: W,
    pack: PackId,
    hasher: Sha256,
    section: Section,
    /// The first bytes of the section, until it is known whether it is a record; of a record all.
    held: Vec<u8>,
}

/// What is known of the current section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Unknown,
    Record,
    Content,
}

impl<W: LayerWrite> Fingerprint<W> {
    /// Starts with the first byte of a CAR stream whose records carry `pack`.
    pub fn new(inner: W, pack: PackId) -> Self {
        // The header of the stream is no section.
        let (hasher, section) = (Sha256::new(), Section::Content);
        Self { inner, pack, hasher, section, held: Vec::new() }
    }

    /// Gives the pipe back, and the digest of all that went by.
    pub fn finish(mut self) -> (W, [u8; 32]) {
        self.end_section();
        (self.inner, self.hasher.finalize().into())
    }

    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.section == Section::Unknown {
            let (head, behind) = bytes.split_at(bytes.len().min(HEAD - self.held.len()));
            self.held.extend_from_slice(head);
            if self.held.len() < HEAD {
                return;
            }
            self.decide();
            rest = behind;
        }
        match self.section {
            Section::Record => self.held.extend_from_slice(rest),
            _ => self.hasher.update(rest),
        }
    }

    /// Says what the section is whose first bytes are held.
    fn decide(&mut self) {
        if record(&self.held, &self.pack).is_some() {
            self.section = Section::Record;
            return;
        }
        self.section = Section::Content;
        self.hasher.update(&self.held);
        self.held.clear();
    }

    fn end_section(&mut self) {
        if self.section == Section::Unknown {
            self.decide();
        }
        if self.section == Section::Record
            && let Some((data, id)) = record(&self.held, &self.pack)
        {
            self.held[id].fill(0);
            let cid = cid_of(DAG_CBOR, &self.held[data..]).to_bytes();
            // As long as the one in its place.
            self.held[data - cid.len()..data].copy_from_slice(&cid);
            self.hasher.update(&self.held);
            self.held.clear();
        }
    }
}

impl<W: LayerWrite> Write for Fingerprint<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.take(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: LayerWrite> LayerWrite for Fingerprint<W> {
    type Sink = W::Sink;

    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        if hint == Hint::Boundary {
            self.end_section();
            self.section = Section::Unknown;
        }
        self.inner.hint(hint)
    }

    fn finish_stack(self: Box<Self>) -> io::Result<W::Sink> {
        Box::new(self.inner).finish_stack()
    }
}

impl<W> fmt::Debug for Fingerprint<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fingerprint").field("pack", &self.pack).finish_non_exhaustive()
    }
}

/// Where the data of a record of this pack starts in its section, and where its pack id stands.
fn record(section: &[u8], pack: &PackId) -> Option<(usize, Range<usize>)> {
    let head = parse_section(section, &Limits::default()).ok()?;
    if head.cid.to_bytes().len() != CID {
        return None; // The CID of no record, which the one that takes its place must be as long as.
    }
    let id = id_of_record(&head.cid, section.get(head.head_len..)?)?;
    let id = id.start + head.head_len..id.end + head.head_len;
    (section[id.clone()] == *pack.as_bytes()).then_some((head.head_len, id))
}

/// Length of a CIDv1 with a SHA-256, which records have.
const CID: usize = 36;

/// A record shows its pack id within so many bytes: a length of at most 4, a CID of 36, a map head of at most 2, a key of 2, the head
/// and the 16 bytes of the id.
const HEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, PackWriter, PlainPipe};

    fn written(id: PackId, note: &[u8]) -> (Vec<u8>, [u8; 32]) {
        let pipe = Fingerprint::new(PlainPipe::new(Vec::new()), id);
        let mut writer = PackWriter::new(pipe, id).expect("memory takes every byte");
        let mut add = |path: &[u8], content: &[u8]| {
            writer.add_file(path, Metadata::default(), content).expect("memory");
        };
        // Content that looks like a record of a pack with the id zero stays what it is.
        add(b"like a record", b"\xa3\x61#\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        add(b"empty", b"");
        add(b"large", &[3; 5 << 20]);
        add(b"note", note);
        writer.add_symlink(b"link", b"note", Metadata::default()).expect("memory");
        let (pipe, digest) = writer.finish().expect("memory takes every byte").0.finish();
        (pipe.into_inner(), digest)
    }

    #[test]
    fn it_depends_on_everything_but_the_pack_id() {
        let zero = PackId::from_bytes([0; 16]);
        let (stream, digest) = written(zero, b"note");
        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(&stream)));
        let (other, same) = written(PackId::from_bytes([7; 16]), b"note");
        assert_eq!((other.len(), same), (stream.len(), digest));
        assert_ne!(other, stream);
        assert_ne!(written(zero, b"nota").1, digest);
    }

    #[test]
    fn what_only_looks_like_a_record_is_content() {
        let id = PackId::from_bytes([7; 16]);
        let mut section = b"\x18\x01\x71\x00\x00\xa3\x61#\x50".to_vec();
        section.extend([7; 16]);
        let mut print = Fingerprint::new(PlainPipe::new(Vec::new()), id);
        print.boundary().expect("memory");
        print.write_all(&section).expect("memory");
        assert_eq!(print.finish().1, <[u8; 32]>::from(Sha256::digest(&section)));
    }

    #[test]
    fn it_does_not_depend_on_how_the_stream_is_cut() {
        let id = PackId::from_bytes([7; 16]);
        let (stream, digest) = written(id, b"note");
        for piece in [1, 7, 61, 64, 1 << 20] {
            let mut print = Fingerprint::new(PlainPipe::new(Vec::new()), id);
            let mut at = 18; // The header.
            print.write_all(&stream[..at]).expect("memory");
            while at < stream.len() {
                let head = parse_section(&stream[at..], &Limits::default()).expect("sound");
                let section = &stream[at..at + head.len()];
                print.boundary().expect("memory");
                section.chunks(piece).for_each(|part| print.write_all(part).expect("memory"));
                at += section.len();
            }
            let (pipe, found) = print.finish();
            assert_eq!((pipe.into_inner() == stream, found), (true, digest), "{piece}");
        }
    }
}
