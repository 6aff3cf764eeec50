//! Making packets, and the lines of their heads.

use std::io::Write;

use bytes::Bytes;

use super::{Blob, MARK, Plex, Seal, verify_seal};
use crate::coordinate::Coordinate;
use crate::error::{Error, ErrorKind, Result};
use crate::header::Header;
use crate::limits::{MARKLINE, MAX_DATA, MAX_EXTRAS_WRITTEN};
use crate::packet::lines::is_reserved;
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind, Signature, VerifyingKey};

impl Blob {
    /// That of data.
    ///
    /// # Errors
    /// [`ErrorKind::DataTooLong`], at the byte [`MAX_DATA`].
    pub fn new(data: impl Into<Bytes>) -> Result<Self> {
        let data = data.into();
        if data.len() > MAX_DATA {
            return Err(Error::new(ErrorKind::DataTooLong).at(MAX_DATA as u64));
        }
        let hash = hash(PacketKind::Blob, blob_head(data.len()).as_bytes(), &data);
        Ok(Self { hash, data })
    }

    /// One whose hash is known.
    pub(crate) fn of_parts(hash: PacketHash, data: Bytes) -> Self {
        Self { hash, data }
    }
}

impl Plex {
    /// A Blob at a coordinate. The extra headers are put into their order.
    ///
    /// # Errors
    /// [`ErrorKind::ReservedName`] of an extra header, or [`ErrorKind::TooManyExtras`], more than [`MAX_EXTRAS_WRITTEN`]; neither is at a byte.
    ///
    /// ```
    /// use carstone_hppr::{Blob, Coordinate, Header, Plex, Tai};
    /// let coordinate = Coordinate::new("a-group", "some-app", "our-collection/item")?;
    /// let extras = vec![Header::new("X-Custom", "header value")?];
    /// let plex = Plex::new(coordinate, "1640995200:123000000".parse()?, extras, Blob::new("hello\n")?)?;
    /// assert_eq!(plex.extras()[0].value(), "header value");
    /// # Ok::<(), carstone_hppr::Error>(())
    /// ```
    pub fn new(coordinate: Coordinate, tai: Tai, extras: Vec<Header>, blob: Blob) -> Result<Self> {
        let extras = sorted_extras(extras)?;
        let payload = plex_head(&coordinate, tai, &extras, blob.hash, blob.data.len());
        let hash = hash(PacketKind::Plex, &payload, &blob.data);
        Ok(Self { hash, coordinate, tai, extras, blob })
    }

    /// One whose hash is known.
    pub(crate) fn of_parts(
        hash: PacketHash,
        coordinate: Coordinate,
        tai: Tai,
        extras: Vec<Header>,
        blob: Blob,
    ) -> Self {
        Self { hash, coordinate, tai, extras, blob }
    }
}

impl Seal {
    /// A Plex with the signature of its digest.
    ///
    /// # Errors
    /// The signature is none of this key.
    pub fn new(plex: Plex, key: VerifyingKey, signature: Signature) -> Result<Self> {
        verify_seal(&key, plex.hash.digest(), &signature)?;
        let mut payload = Vec::new();
        seal_lines(key, &signature, &mut payload);
        plex.write_head(&mut payload);
        let hash = hash(PacketKind::Seal, &payload, plex.data());
        Ok(Self { hash, key, signature, plex })
    }

    /// One whose hash and signature are known.
    pub(crate) fn of_parts(
        hash: PacketHash,
        key: VerifyingKey,
        signature: Signature,
        plex: Plex,
    ) -> Self {
        Self { hash, key, signature, plex }
    }
}

fn hash(kind: PacketKind, head: &[u8], data: &[u8]) -> PacketHash {
    let digest = blake3::Hasher::new().update(head).update(data).finalize();
    PacketHash::new(kind, *digest.as_bytes())
}

/// Extra headers in the order that they are written in.
pub(crate) fn sorted_extras(mut extras: Vec<Header>) -> Result<Vec<Header>> {
    if extras.len() > MAX_EXTRAS_WRITTEN {
        return Err(Error::new(ErrorKind::TooManyExtras));
    }
    if extras.iter().any(|extra| is_reserved(extra.name())) {
        return Err(Error::new(ErrorKind::ReservedName));
    }
    extras.sort_unstable(); // Headers that are equal are the same.
    Ok(extras)
}

/// A markline.
pub(crate) fn mark(hash: PacketHash, out: &mut Vec<u8>) {
    out.reserve(MARKLINE + 1);
    out.extend_from_slice(MARK);
    text(out, format_args!("{hash}\n"));
}

/// What is between the markline of a Blob and its data.
pub(crate) fn blob_head(len: usize) -> String {
    format!("Data-Length: {len}\n\n")
}

/// What is between the markline of a Plex and that of its Blob.
pub(crate) fn plex_lines(coordinate: &Coordinate, tai: Tai, extras: &[Header], out: &mut Vec<u8>) {
    let (group, app) = (coordinate.group(), coordinate.app());
    let location = coordinate.location();
    text(out, format_args!("Group: {group}\nApp: {app}\nLocation: {location}\nTAI: {tai}\n"));
    for extra in extras {
        out.extend_from_slice(extra.line().as_bytes());
        out.push(b'\n');
    }
}

/// What is between the markline of a Plex and the data.
pub(crate) fn plex_head(
    coordinate: &Coordinate,
    tai: Tai,
    extras: &[Header],
    blob: PacketHash,
    len: usize,
) -> Vec<u8> {
    let mut head = Vec::new();
    plex_lines(coordinate, tai, extras, &mut head);
    mark(blob, &mut head);
    head.extend_from_slice(blob_head(len).as_bytes());
    head
}

/// What is between the markline of a Seal and that of its Plex.
pub(crate) fn seal_lines(key: VerifyingKey, signature: &Signature, out: &mut Vec<u8>) {
    text(out, format_args!("Seal-By: {key}\nSeal-Sig: {signature}\n"));
}

fn text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes all that is written.
    let _ = out.write_fmt(text);
}
