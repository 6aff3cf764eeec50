//! CIDs as bytes: strict decoding from a slice, encoding without allocation.

use cid::{Cid, Version};
use multihash::Multihash;

use crate::error::{ErrorKind, Part};
use crate::options::Limits;
use crate::varint::{self, Varint};

/// What the bytes of a slice start with.
pub(crate) enum Parsed {
    /// A CID, and how many bytes it takes.
    Cid(Cid, usize),
    /// The CID goes on behind the slice: this many bytes are surely needed.
    NeedMore(usize),
    /// This is no CID.
    Bad(ErrorKind),
}

/// Decodes the CID at the start of `bytes`.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Parsed {
    // CIDv0 has no version byte: it is recognised before a version is looked for.
    match bytes {
        [0x12, 0x20, rest @ ..] => {
            if limits.cid < V0_LEN {
                return too_large(Part::Cid, V0_LEN as u64, limits.cid);
            }
            let Some(digest) = rest.get(..32) else {
                return Parsed::NeedMore(V0_LEN);
            };
            return match Multihash::wrap(SHA2_256, digest).map(Cid::new_v0) {
                Ok(Ok(cid)) => Parsed::Cid(cid, V0_LEN),
                _ => Parsed::Bad(ErrorKind::BadCid("not a CIDv0")),
            };
        }
        [0x12] => return Parsed::NeedMore(2),
        _ => {}
    }
    let mut at = 0;
    let mut fields = [0u64; 4];
    for (index, field) in fields.iter_mut().enumerate() {
        match varint::decode(bytes.get(at..).unwrap_or_default()) {
            Varint::Value(value, len) => {
                *field = value;
                at += len;
            }
            Varint::Incomplete => return Parsed::NeedMore(bytes.len() + 1),
            Varint::Malformed => return Parsed::Bad(ErrorKind::BadVarint(Part::Cid)),
        }
        if index == 0 && *field != 1 {
            return Parsed::Bad(ErrorKind::BadCid("its version is not 0 or 1"));
        }
    }
    let [_, codec, code, digest_len] = fields;
    let len = digest_len.saturating_add(at as u64);
    if len > limits.cid as u64 {
        return too_large(Part::Cid, len, limits.cid);
    }
    if digest_len > MAX_DIGEST as u64 {
        return too_large(Part::Digest, digest_len, MAX_DIGEST);
    }
    let len = at + digest_len as usize;
    let Some(digest) = bytes.get(at..len) else {
        return Parsed::NeedMore(len);
    };
    match Multihash::wrap(code, digest) {
        Ok(hash) => Parsed::Cid(Cid::new_v1(codec, hash), len),
        Err(_) => too_large(Part::Digest, digest_len, MAX_DIGEST),
    }
}

/// Writes the bytes of a CID to the start of `out` and returns their number.
pub(crate) fn encode(cid: &Cid, out: &mut [u8; MAX_CID]) -> usize {
    let hash = cid.hash();
    let prefix = [1, cid.codec(), hash.code(), u64::from(hash.size())];
    let prefix = match cid.version() {
        Version::V0 => &prefix[2..],
        Version::V1 => &prefix[..],
    };
    let mut at = 0;
    for &value in prefix {
        let mut buf = [0; 10];
        let len = varint::encode(value, &mut buf);
        out[at..at + len].copy_from_slice(&buf[..len]);
        at += len;
    }
    let digest = hash.digest();
    out[at..at + digest.len()].copy_from_slice(digest);
    at + digest.len()
}

/// The number of bytes that [`encode`] writes.
pub(crate) fn encoded_len(cid: &Cid) -> usize {
    let hash = cid.hash();
    let digest = usize::from(hash.size());
    let hash = varint::encoded_len(hash.code()) + varint::encoded_len(digest as u64) + digest;
    match cid.version() {
        Version::V0 => hash,
        Version::V1 => 1 + varint::encoded_len(cid.codec()) + hash,
    }
}

fn too_large(part: Part, size: u64, limit: usize) -> Parsed {
    Parsed::Bad(ErrorKind::TooLarge { part, size, limit: limit as u64 })
}

const SHA2_256: u64 = 0x12;

/// Bytes of every CIDv0.
const V0_LEN: usize = 34;

/// Bytes of the longest digest that [`Cid`] holds.
pub(crate) const MAX_DIGEST: usize = 64;

/// Bytes of the longest CID there can be: version, two codes, a length of one byte, digest.
pub(crate) const MAX_CID: usize = 1 + 10 + 10 + 1 + MAX_DIGEST;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &str) {
        let result = match parse(bytes, &Limits::default()) {
            Parsed::Cid(cid, len) => {
                let mut out = [0; MAX_CID];
                assert_eq!(encode(&cid, &mut out), len);
                assert_eq!(&out[..len], &bytes[..len]);
                assert_eq!(encoded_len(&cid), len);
                assert_eq!(cid.to_bytes(), &bytes[..len]);
                format!("cid {len}")
            }
            Parsed::NeedMore(len) => format!("more {len}"),
            Parsed::Bad(kind) => format!("{kind:?}"),
        };
        assert_eq!(result, expected);
    }

    #[test]
    fn both_versions_are_read() {
        check(&[&[0x12, 0x20][..], &[7; 40]].concat(), "cid 34");
        check(&[&[1, 0x55, 0x12, 0x20][..], &[7; 40]].concat(), "cid 36");
        check(&[1, 0x55, 0, 0], "cid 4");
        check(&[1, 0x55, 0, 2, 8, 9, 10], "cid 6");
        check(&[&[1, 0x71, 0xa0, 0xe4, 2, 64][..], &[7; 64]].concat(), "cid 70");
    }

    #[test]
    fn a_cut_cid_says_how_much_is_missing() {
        check(&[], "more 1");
        check(&[0x12], "more 2");
        check(&[0x12, 0x20], "more 34");
        check(&[1], "more 2");
        check(&[1, 0x55, 0x12], "more 4");
        check(&[1, 0x55, 0x12, 0x20], "more 36");
        check(&[1, 0x80], "more 3");
    }

    #[test]
    fn other_versions_are_refused() {
        let bad = "BadCid(\"its version is not 0 or 1\")";
        check(&[0, 0x55, 0x12, 0x20], bad);
        check(&[2, 0x55], bad);
        check(&[0x12, 0x21], bad); // Not the start of a CIDv0, and 0x12 is no version.
    }

    #[test]
    fn padded_codes_and_long_digests_are_refused() {
        check(&[0x81, 0, 0x55], "BadVarint(Cid)");
        check(&[1, 0xd5, 0, 0x12, 0x20], "BadVarint(Cid)");
        check(&[1, 0x55, 0, 65], "TooLarge { part: Digest, size: 65, limit: 64 }");
        check(
            &[1, 0x55, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            "TooLarge { part: Cid, size: 9223372036854775819, limit: 2048 }",
        );
    }
}
