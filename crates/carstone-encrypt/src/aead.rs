//! AES-256-GCM from two libraries that give the same bytes, and the nonce.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use carstone_layer::FrameHeader;

use crate::format::TAG_LEN;

/// Which library encrypts. All give the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// The fastest that is compiled in.
    #[default]
    Auto,
    /// `aes-gcm`, always there.
    AesGcm,
    /// `aws-lc-rs`.
    #[cfg(feature = "aws-lc")]
    AwsLc,
}

/// One payload key, ready to seal and open frames on any thread.
pub(crate) enum Aead {
    // The key schedule is about a kilobyte, the other variant a pointer.
    AesGcm(Box<Aes256Gcm>),
    #[cfg(feature = "aws-lc")]
    AwsLc(aws_lc_rs::aead::LessSafeKey),
}

/// The tag does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadTag;

impl Aead {
    pub(crate) fn new(key: &[u8; 32], backend: Backend) -> Self {
        match backend {
            Backend::AesGcm => Self::aes_gcm(key),
            #[cfg(feature = "aws-lc")]
            Backend::Auto | Backend::AwsLc => Self::aws_lc(key),
            #[cfg(not(feature = "aws-lc"))]
            Backend::Auto => Self::aes_gcm(key),
        }
    }

    fn aes_gcm(key: &[u8; 32]) -> Self {
        Self::AesGcm(Box::new(Aes256Gcm::new(key.into())))
    }

    #[cfg(feature = "aws-lc")]
    fn aws_lc(key: &[u8; 32]) -> Self {
        use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
        let key = UnboundKey::new(&AES_256_GCM, key).expect("AES-256-GCM keys have 32 bytes");
        Self::AwsLc(LessSafeKey::new(key))
    }

    /// Encrypts all of `payload` but the last 16 bytes, which become the tag.
    ///
    /// The caller makes sure that no two frames under one key have the same sequence and last flag.
    pub(crate) fn seal(&self, header: &FrameHeader, payload: &mut [u8]) {
        self.seal_under(nonce(header), &header.covered(), payload);
    }

    /// Decrypts all of `payload` but the last 16 bytes, the tag. After an error the bytes are worthless, and the caller
    /// drops them.
    pub(crate) fn open(&self, header: &FrameHeader, payload: &mut [u8]) -> Result<(), BadTag> {
        self.open_under(nonce(header), &header.covered(), payload)
    }

    fn seal_under(&self, nonce: [u8; NONCE_LEN], aad: &[u8], payload: &mut [u8]) {
        let (text, tag) = payload
            .split_last_chunk_mut::<TAG_LEN>()
            .expect("payloads are laid out with room for the tag");
        match self {
            Self::AesGcm(key) => {
                let sealed = key
                    .encrypt_inout_detached(&Nonce::from(nonce), aad, text.into())
                    .expect("a frame is under the limits of GCM");
                tag.copy_from_slice(&sealed);
            }
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let sealed = key
                    .seal_in_place_separate_tag(nonce, Aad::from(aad), text)
                    .expect("a frame is under the limits of GCM");
                tag.copy_from_slice(sealed.as_ref());
            }
        }
    }

    fn open_under(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        payload: &mut [u8],
    ) -> Result<(), BadTag> {
        match self {
            Self::AesGcm(key) => {
                let (text, tag) = payload.split_last_chunk_mut::<TAG_LEN>().ok_or(BadTag)?;
                let tag = Tag::from(*tag);
                key.decrypt_inout_detached(&Nonce::from(nonce), aad, text.into(), &tag)
                    .map_err(|_| BadTag)
            }
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, Aad::from(aad), payload).map(drop).map_err(|_| BadTag)
            }
        }
    }
}

/// Unique under one key: the sequence is, within a kind.
fn nonce(header: &FrameHeader) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&header.sequence.to_le_bytes());
    nonce[10] = header.kind.0;
    nonce[11] = u8::from(header.last);
    nonce
}

const NONCE_LEN: usize = 12;

#[cfg(test)]
mod vector_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use carstone_layer::{LayerId, PackId};

    fn header(sequence: u64, last: bool, plain: u32) -> FrameHeader {
        let pack = PackId::from_bytes([3; 16]);
        let mut header = FrameHeader::data(LayerId::ENCRYPTION, pack, sequence, 0)
            .with_lengths(plain, plain + TAG_LEN as u32);
        header.last = last;
        header
    }

    fn backends() -> Vec<Backend> {
        vec![
            Backend::Auto,
            Backend::AesGcm,
            #[cfg(feature = "aws-lc")]
            Backend::AwsLc,
        ]
    }

    #[test]
    fn the_nonce_is_laid_out_as_the_format_says() {
        assert_eq!(nonce(&header(0x0102, true, 0)), [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(nonce(&header(0x0102, false, 0)), [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn all_backends_give_the_same_bytes_and_open_each_others() {
        for len in [0, 1, 15, 16, 17, 131_072] {
            let header = header(5, false, len);
            let plain: Vec<u8> = (0..len).map(|i| i as u8).chain([0; TAG_LEN]).collect();
            let mut expected = plain.clone();
            Aead::new(&[8; 32], Backend::AesGcm).seal(&header, &mut expected);
            for backend in backends() {
                let aead = Aead::new(&[8; 32], backend);
                let mut payload = plain.clone();
                aead.seal(&header, &mut payload);
                assert_eq!(payload, expected, "{backend:?}");
                assert_eq!(aead.open(&header, &mut payload), Ok(()));
                assert_eq!(payload[..len as usize], plain[..len as usize]);
            }
        }
    }

    #[test]
    fn no_backend_opens_what_was_changed() {
        for backend in backends() {
            let aead = Aead::new(&[8; 32], backend);
            let good = header(5, false, 40);
            let mut sealed = vec![1; 56];
            aead.seal(&good, &mut sealed);
            for bit in 0..sealed.len() * 8 {
                let mut payload = sealed.clone();
                payload[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(aead.open(&good, &mut payload), Err(BadTag), "{backend:?} bit {bit}");
            }
            for wrong in [header(6, false, 40), header(5, true, 40)] {
                assert_eq!(aead.open(&wrong, &mut sealed.clone()), Err(BadTag));
            }
            assert_eq!(aead.open(&good, &mut [0; 15]), Err(BadTag), "{backend:?} no tag");
            assert_eq!(aead.open(&good, &mut sealed), Ok(()));
        }
    }
}
