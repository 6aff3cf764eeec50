//! Typed texts: hashes of packets, keys and signatures, as headers, paths and addresses have them.

use std::fmt;
use std::str::FromStr;

use crate::b64a;
use crate::error::{Error, ErrorKind, Result};

/// The kinds of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the grammar has three")]
pub enum PacketKind {
    /// Data.
    Blob,
    /// A Blob at a coordinate.
    Plex,
    /// A Plex that somebody has signed.
    Seal,
}

impl PacketKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Blob, Self::Plex, Self::Seal];

    /// The letter that its hashes begin with.
    pub fn letter(self) -> char {
        match self {
            Self::Blob => 'B',
            Self::Plex => 'P',
            Self::Seal => 'S',
        }
    }

    /// The kind of this letter.
    pub fn of_letter(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.letter() as u8 == letter)
    }
}

impl fmt::Display for PacketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blob => "Blob",
            Self::Plex => "Plex",
            Self::Seal => "Seal",
        })
    }
}

/// The hash of a packet: BLAKE3-256 of all its bytes behind its markline, and of which kind it is. Its text is `B.….H3`, `P.….H3` or `S.….H3`, of 48 characters; texts, and these
/// values, sort by kind and then by digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketHash {
    kind: PacketKind,
    digest: [u8; DIGEST],
}

impl PacketHash {
    /// That of a packet with this digest.
    pub fn new(kind: PacketKind, digest: [u8; DIGEST]) -> Self {
        Self { kind, digest }
    }

    /// That of a packet with this canonical payload: all its bytes behind its markline.
    pub fn of(kind: PacketKind, payload: &[u8]) -> Self {
        Self::new(kind, *blake3::hash(payload).as_bytes())
    }

    /// The kind of the packet.
    pub fn kind(&self) -> PacketKind {
        self.kind
    }

    /// The digest.
    pub fn digest(&self) -> &[u8; DIGEST] {
        &self.digest
    }

    /// Reads its text.
    ///
    /// # Errors
    /// It is none, at the byte where it is not; or one of a key ([`ErrorKind::BadType`]).
    pub fn parse(text: &[u8]) -> Result<Self> {
        let (letter, digest) = typed(text)?;
        let kind = PacketKind::of_letter(letter);
        let kind = kind.ok_or_else(|| Error::new(ErrorKind::BadType).at(0))?;
        Ok(Self { kind, digest })
    }
}

/// What verifies the signatures of a key (HPPR 009): the x-coordinate of a point of secp256k1 with an even y-coordinate. Its text is `V.….H3`. That there is such a point is not
/// known before something is verified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; DIGEST]);

impl VerifyingKey {
    /// One with this x-coordinate, in big-endian order.
    pub fn new(x: [u8; DIGEST]) -> Self {
        Self(x)
    }

    /// The x-coordinate, in big-endian order.
    pub fn as_bytes(&self) -> &[u8; DIGEST] {
        &self.0
    }

    /// Reads its text.
    ///
    /// # Errors
    /// It is none, at the byte where it is not; or one of something else ([`ErrorKind::BadType`]).
    pub fn parse(text: &[u8]) -> Result<Self> {
        match typed(text)? {
            (b'V', x) => Ok(Self(x)),
            _ => Err(Error::new(ErrorKind::BadType).at(0)),
        }
    }
}

/// A signature, of 64 bytes. Its text has 86 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 64]);

impl Signature {
    /// One of these bytes: x-coordinate of the nonce's point, and the scalar.
    pub fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Reads its text.
    ///
    /// # Errors
    /// It is none, at the byte where it is not.
    pub fn parse(text: &[u8]) -> Result<Self> {
        b64a::decode_array(text).map(Self)
    }
}

/// Letter and bytes of `T.….H3`.
pub(crate) fn typed(text: &[u8]) -> Result<(u8, [u8; DIGEST])> {
    if text.len() != TYPED {
        return Err(Error::new(ErrorKind::BadLength).at(text.len() as u64));
    }
    if text[1] != b'.' {
        return Err(Error::new(ErrorKind::BadText).at(1));
    }
    if !text.ends_with(SUFFIX.as_bytes()) {
        return Err(Error::new(ErrorKind::BadText).at((TYPED - SUFFIX.len()) as u64));
    }
    let bytes = b64a::decode_array(&text[2..TYPED - SUFFIX.len()]);
    Ok((text[0], bytes.map_err(|error| error.behind(2))?))
}

/// Bytes of digests and keys.
pub const DIGEST: usize = 32;
/// Characters of a typed text.
pub const TYPED: usize = 48;
/// What typed texts end with.
pub const SUFFIX: &str = ".H3";

macro_rules! text {
    ($type:ident, |$value:ident, $f:ident| $display:expr) => {
        impl fmt::Display for $type {
            fn fmt(&self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $value = self;
                $display
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::parse(text.as_bytes())
            }
        }
    };
}

text!(PacketHash, |hash, f| {
    write!(f, "{}.{}{SUFFIX}", hash.kind.letter(), b64a::encode(&hash.digest))
});
text!(VerifyingKey, |key, f| write!(f, "V.{}{SUFFIX}", b64a::encode(&key.0)));
text!(Signature, |signature, f| f.write_str(&b64a::encode(&signature.0)));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let hash = PacketHash::of(PacketKind::Blob, b"Data-Length: 0\n\n");
        assert_eq!(hash.to_string(), "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3");
        assert_eq!(hash.to_string().parse::<PacketHash>().expect("a hash"), hash);
        let key = "V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3";
        assert_eq!(VerifyingKey::parse(key.as_bytes()).expect("a key").to_string(), key);
        let signature = Signature::new([7; 64]);
        assert_eq!(signature.to_string().len(), 86);
        assert_eq!(signature.to_string().parse::<Signature>().expect("one"), signature);
    }

    #[test]
    fn what_is_no_text_is_refused_at_its_place() {
        let hash = "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3";
        for (text, kind, at) in [
            (hash.replace("B.", "V."), ErrorKind::BadType, 0),
            (hash.replace("B.", "0."), ErrorKind::BadType, 0),
            (hash.replace("B.", "B-"), ErrorKind::BadText, 1),
            (hash.replace("svy", "s+y"), ErrorKind::BadSymbol, 3),
            (hash.replace("lpO.", "lpP."), ErrorKind::BadTail, 44),
            (hash.replace(".H3", ".H4"), ErrorKind::BadText, 45),
            (hash.replace("svy", "sy"), ErrorKind::BadLength, 47),
            ("0.H3".to_owned(), ErrorKind::BadLength, 4),
        ] {
            let error = PacketHash::parse(text.as_bytes()).expect_err(&text);
            assert_eq!((error.kind(), error.offset()), (&kind, Some(at)), "{text}");
        }
        assert!(VerifyingKey::parse(hash.as_bytes()).is_err());
    }
}
