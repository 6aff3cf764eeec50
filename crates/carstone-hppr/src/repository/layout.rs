//! Where everything lies in a repository (HPPR 022). Paths are relative to it.

use std::path::{Path, PathBuf};

use crate::coordinate::Coordinate;
use crate::tai::Tai;
use crate::text::{PacketHash, PacketKind, SUFFIX, VerifyingKey};

/// What packets are kept in, by their hashes.
pub(crate) const HASH: &str = "hash";
/// Which Plexes have a Blob, and which Seals a Plex.
pub(crate) const REF: &str = "ref";
/// Which packets are at a coordinate.
pub(crate) const INDEX: &str = "index";
/// Blobs that no packet has any more.
pub(crate) const DETACH: &str = "detach";
/// What is being made.
pub(crate) const STAGING: &str = ".tmp";
/// What a writer locks, in [`STAGING`].
pub(crate) const LOCK: &str = "lock";
/// The directory that ends a coordinate.
pub(crate) const MARKER: &str = "|";
/// The directories of versions below a marker.
pub(crate) const PLEX: &str = "plex";
pub(crate) const SEAL: &str = "seal";
/// The link to the latest packet.
pub(crate) const TIP: &str = "tip";
/// The hash of the Blob without data, which many may have, and which is never collected.
pub const EMPTY_BLOB: &str = "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3";
/// What is in files that say all with their names: those of the index, of references and of [`DETACH`].
pub(crate) const ENTRY: &[u8] = b"";
/// Characters of a digest that are a directory.
const FRONT: usize = 2;

/// `hash/T/hh/tail.H3`.
pub(crate) fn hash_file(hash: &PacketHash) -> PathBuf {
    let (front, tail) = split(hash);
    Path::new(HASH).join(hash.kind().letter().to_string()).join(front).join(tail + SUFFIX)
}

/// `ref/T/hh/tail`, in which names of packets are that have this one.
pub(crate) fn ref_directory(hash: &PacketHash) -> PathBuf {
    let (front, tail) = split(hash);
    Path::new(REF).join(hash.kind().letter().to_string()).join(front).join(tail)
}

/// `ref/B/hh/tail/P`.
pub(crate) fn blob_ref(blob: &PacketHash, plex: &PacketHash) -> PathBuf {
    ref_directory(blob).join(plex.to_string())
}

/// `ref/P/hh/tail/S`, in which the name of the key is.
pub(crate) fn plex_ref(plex: &PacketHash, seal: &PacketHash) -> PathBuf {
    ref_directory(plex).join(seal.to_string())
}

/// `index/group/app/location/|`.
pub(crate) fn marker(coordinate: &Coordinate) -> PathBuf {
    location(coordinate).join(MARKER)
}

/// `index/group/app/location`.
pub(crate) fn location(coordinate: &Coordinate) -> PathBuf {
    let path = Path::new(INDEX).join(coordinate.group()).join(coordinate.app());
    coordinate.segments().fold(path, |path, segment| path.join(segment))
}

/// `plex/tai/P`, below a marker.
pub(crate) fn plex_entry(tai: Tai, plex: &PacketHash) -> PathBuf {
    Path::new(PLEX).join(tai.to_string()).join(plex.to_string())
}

/// `seal/key/tai/S`, below a marker.
pub(crate) fn seal_entry(key: &VerifyingKey, tai: Tai, seal: &PacketHash) -> PathBuf {
    Path::new(SEAL).join(key.to_string()).join(tai.to_string()).join(seal.to_string())
}

/// `detach/B`.
pub(crate) fn detach_record(blob: &PacketHash) -> PathBuf {
    Path::new(DETACH).join(blob.to_string())
}

/// The hash of `hh/tail` with or without the suffix, of this kind; `None` if these are no names of one.
pub(crate) fn hash_of(kind: PacketKind, front: &str, tail: &str) -> Option<PacketHash> {
    let tail = tail.strip_suffix(SUFFIX).unwrap_or(tail);
    let is_split = front.len() == FRONT;
    let text = format!("{}.{front}{tail}{SUFFIX}", kind.letter());
    PacketHash::parse(text.as_bytes()).ok().filter(|_| is_split)
}

/// The two names of a digest.
fn split(hash: &PacketHash) -> (String, String) {
    let text = crate::b64a::encode(hash.digest());
    let (front, tail) = text.split_at(FRONT);
    (front.to_owned(), tail.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_specification() {
        let blob = "B.xNC0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3".parse().expect("a hash");
        let plex = "P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3".parse().expect("a hash");
        let path = "hash/B/xN/C0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p.H3";
        assert_eq!(hash_file(&blob), Path::new(path));
        let path = "ref/B/xN/C0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p/P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3";
        assert_eq!(blob_ref(&blob, &plex), Path::new(path));
        let coordinate = Coordinate::new("a-group", "some-app", "our-collection/item");
        let path = marker(&coordinate.expect("a coordinate"));
        assert_eq!(path, Path::new("index/a-group/some-app/our-collection/item/|"));
        let tail = "C0xRbHR_U4Tm7yW1L2UoIeXrsS2B1yLlTbKU4kT5p";
        assert_eq!(hash_of(PacketKind::Blob, "xN", &format!("{tail}.H3")), Some(blob));
        assert_eq!(hash_of(PacketKind::Blob, "xN", tail), Some(blob));
        assert_eq!(hash_of(PacketKind::Blob, "xNC", &tail[1..]), None);
        let empty = PacketHash::of(PacketKind::Blob, b"Data-Length: 0\n\n");
        assert_eq!(empty.to_string(), EMPTY_BLOB);
    }
}
