//! The most that there may be of everything.

/// Bytes of data in a packet.
pub const MAX_DATA: usize = 32 << 20;
/// Bytes of a header line, without its line feed.
pub const MAX_LINE: usize = 1024;
/// Bytes of a group or an application.
pub const MAX_NAME: usize = 56;
/// Bytes of a location: what its header line has room for.
pub const MAX_LOCATION: usize = MAX_LINE - "Location: ".len();
/// Bytes of a segment of a location, which becomes the name of a directory.
pub const MAX_SEGMENT: usize = 255;
/// Extra headers of a Plex that is read.
pub const MAX_EXTRAS_READ: usize = 1024;
/// Extra headers of a Plex that is made.
pub const MAX_EXTRAS_WRITTEN: usize = 256;
/// Bytes of a whole packet. The limits above leave room for none that is larger.
pub const MAX_PACKET: usize = 34 << 20;

/// Bytes of a markline, without its line feed.
pub(crate) const MARKLINE: usize = crate::packet::MARK.len() + crate::TYPED;
/// No packet has more bytes ahead of its data: three marklines, the two headers of a Seal and four of a Plex, its extra headers, the length and a blank line.
pub(crate) const MAX_HEAD: usize =
    3 * (MARKLINE + 1) + (2 + 4 + MAX_EXTRAS_READ + 1) * (MAX_LINE + 1) + 1;

const _: () = assert!(MAX_HEAD + MAX_DATA <= MAX_PACKET, "a packet of parts that fit is too large");
