//! The 40 bytes behind the pragma of a CARv2.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// The first 11 bytes of every CARv2: a header of version 2 without roots. The counterpart of `Pragma` in go-car.
pub const V2_PRAGMA: [u8; 11] = *b"\x0a\xa1\x67version\x02";

/// The header of a CARv2: where the payload lies, and where the index. The counterpart of `Header` in go-car.
///
/// ```
/// use carstone_car::V2Header;
/// let header = V2Header { data_offset: 51, data_size: 141, index_offset: Some(192), ..V2Header::default() };
/// assert_eq!(V2Header::decode(&header.encode(), Some(302))?, header);
/// assert!(V2Header::decode(&header.encode(), Some(191)).is_err());
/// # Ok::<(), carstone_car::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct V2Header {
    /// What is said of the file as a whole.
    pub characteristics: Characteristics,
    /// Offset in the file at which the payload starts.
    pub data_offset: u64,
    /// Length of the payload in bytes.
    pub data_size: u64,
    /// Offset in the file at which the index starts, which goes on to the end of the file. `None` if there is no index.
    pub index_offset: Option<u64>,
}

/// The 128 bits of a CARv2 header in which a writer may say something of the whole file. The counterpart of `Characteristics` in go-car.
///
/// One of them is defined. Others are accepted and can be seen here, since no program refuses them and none of them can change where
/// things lie; they are written as they are given.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Characteristics(pub [u8; 16]);

impl V2Header {
    /// The bytes of the header, without the pragma.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..16].copy_from_slice(&self.characteristics.0);
        let fields = [self.data_offset, self.data_size, self.index_offset.unwrap_or(0)];
        for (place, field) in out[16..].chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        out
    }

    /// Decodes the bytes of a header, and checks that payload and index lie one behind the other, and inside of the file where its
    /// length is known.
    ///
    /// A header that states no data gives [`ErrorKind::Unfinished`]: writers leave it like that until the end.
    pub fn decode(bytes: &[u8; Self::LEN], file_len: Option<u64>) -> Result<Self> {
        let field = |at: usize| {
            let bytes = bytes[at..at + 8].iter().rev();
            bytes.fold(0, |value, &byte| (value << 8) | u64::from(byte))
        };
        let mut characteristics = Characteristics::default();
        characteristics.0.copy_from_slice(&bytes[..16]);
        let header = V2Header {
            characteristics,
            data_offset: field(16),
            data_size: field(24),
            index_offset: Some(field(32)).filter(|&offset| offset != 0),
        };
        header.check(file_len).map_err(|kind| Error::at(kind, V2_PRAGMA.len() as u64))?;
        Ok(header)
    }

    /// Offset in the file of the byte behind the payload.
    pub fn data_end(&self) -> u64 {
        self.data_offset.saturating_add(self.data_size)
    }

    pub(super) fn check(&self, file_len: Option<u64>) -> Result<(), ErrorKind> {
        let bad = |what| Err(ErrorKind::BadV2Header(what));
        if self.data_size == 0 {
            return Err(ErrorKind::Unfinished);
        }
        if self.data_offset < Self::DATA_OFFSET {
            return bad("its data starts inside of the header");
        }
        let file_len = file_len.unwrap_or(u64::MAX);
        match self.data_offset.checked_add(self.data_size) {
            Some(end) if end <= file_len => {}
            _ => return bad("its data goes past the end of the file"),
        }
        match self.index_offset {
            Some(offset) if offset < self.data_end() => bad("its index starts before its data end"),
            Some(offset) if offset >= file_len => {
                bad("its index starts behind the end of the file")
            }
            _ => Ok(()),
        }
    }

    /// Bytes of the header, without the pragma.
    pub const LEN: usize = 40;

    /// Offset of a payload without padding before it, the smallest there is.
    pub const DATA_OFFSET: u64 = (V2_PRAGMA.len() + Self::LEN) as u64;
}

impl Characteristics {
    /// Says that the index has every section, those of identity CIDs too.
    pub const FULLY_INDEXED: Self = {
        let mut bits = [0; 16];
        bits[0] = 0x80;
        Characteristics(bits)
    };

    /// Whether the index is said to have every section, those of identity CIDs too. The counterpart of `IsFullyIndexed` in go-car.
    pub fn is_fully_indexed(&self) -> bool {
        self.0[0] & 0x80 != 0
    }

    /// Whether bits are set that have no meaning yet.
    pub fn has_unknown(&self) -> bool {
        self.0[0] & 0x7f != 0 || self.0[1..].iter().any(|&byte| byte != 0)
    }
}

impl fmt::Debug for Characteristics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Characteristics({:#034x})", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: [u64; 3], file_len: Option<u64>, expected: Option<&str>) {
        let [data_offset, data_size, index_offset] = fields;
        let index_offset = Some(index_offset).filter(|&offset| offset != 0);
        let characteristics = Characteristics::default();
        let header = V2Header { characteristics, data_offset, data_size, index_offset };
        let result = V2Header::decode(&header.encode(), file_len);
        let error = result.as_ref().err().map(ToString::to_string);
        assert_eq!(error, expected.map(|text| format!("{text} at byte 11")));
        if let Ok(found) = result {
            assert_eq!(found, header);
        }
    }

    #[test]
    fn places_are_compared_with_each_other_and_with_the_length() {
        let past = Some("invalid CARv2 header: its data goes past the end of the file");
        let early = Some("invalid CARv2 header: its index starts before its data end");
        let behind = Some("invalid CARv2 header: its index starts behind the end of the file");
        check([51, 141, 192], Some(302), None);
        check([51, 141, 192], None, None);
        check([51, 141, 0], Some(192), None);
        check([51, 141, 0], Some(191), past);
        check([51, 141, 192], Some(193), None);
        check([51, 141, 192], Some(192), behind);
        check([51, 141, 191], Some(302), early);
        check([51, 141, 1], Some(302), early);
        check([60, 141, 210], Some(302), None);
        check(
            [50, 141, 0],
            None,
            Some("invalid CARv2 header: its data starts inside of the header"),
        );
        check([51, u64::MAX - 51, 0], None, None);
        check([51, u64::MAX - 50, 0], None, past);
        check([u64::MAX, u64::MAX, u64::MAX], None, past);
        check([0, 0, 0], Some(500), Some("unfinished CARv2: its header states no data"));
        check([51, 0, 0], None, Some("unfinished CARv2: its header states no data"));
    }

    #[test]
    fn one_characteristic_is_known_and_the_others_are_kept() {
        let mut header = V2Header { data_offset: 51, data_size: 1, ..V2Header::default() };
        header.characteristics = Characteristics::FULLY_INDEXED;
        assert_eq!(header.encode()[0], 0x80);
        assert!(header.characteristics.is_fully_indexed() && !header.characteristics.has_unknown());
        for (at, bit) in [(0, 0x40), (0, 1), (7, 8), (15, 1)] {
            let mut characteristics = Characteristics::default();
            characteristics.0[at] = bit;
            header.characteristics = characteristics;
            assert!(characteristics.has_unknown() && !characteristics.is_fully_indexed());
            assert_eq!(V2Header::decode(&header.encode(), None).expect("sound"), header);
        }
    }
}
