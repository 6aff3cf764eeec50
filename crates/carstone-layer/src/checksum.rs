//! The three checks of the format: CRC-32C, CRC-64/NVME and a BLAKE3 prefix.

use crc_fast::{CrcAlgorithm, checksum};

/// The first 16 bytes of a BLAKE3 hash.
pub type Digest16 = [u8; 16];

/// CRC-32C (Castagnoli) over the concatenation of `parts`.
pub fn crc32c(parts: &[&[u8]]) -> u32 {
    u32::try_from(crc(CrcAlgorithm::Crc32Iscsi, parts)).expect("a 32-bit CRC fits in 32 bits")
}

/// CRC-64/NVME over the concatenation of `parts`.
pub fn crc64(parts: &[&[u8]]) -> u64 {
    crc(CrcAlgorithm::Crc64Nvme, parts)
}

/// The first 16 bytes of BLAKE3 over the concatenation of `parts`.
pub fn digest16(parts: &[&[u8]]) -> Digest16 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut digest = Digest16::default();
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}

fn crc(algorithm: CrcAlgorithm, parts: &[&[u8]]) -> u64 {
    if let [part] = parts {
        return checksum(algorithm, part);
    }
    let mut digest = crc_fast::Digest::new(algorithm);
    for part in parts {
        digest.update(part);
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(crc32c(&[b"123456789"]), 0xE306_9283);
        assert_eq!(crc64(&[b"123456789"]), 0xAE8B_1486_0A79_9888);
    }

    #[test]
    fn parts_count_as_their_concatenation() {
        assert_eq!(crc32c(&[b"1234", b"", b"56789"]), 0xE306_9283);
        assert_eq!(crc64(&[b"12345678", b"9"]), 0xAE8B_1486_0A79_9888);
        assert_eq!(digest16(&[b"ab", b"c"]), digest16(&[b"abc"]));
    }
}
