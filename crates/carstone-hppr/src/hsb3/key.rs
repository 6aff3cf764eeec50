//! Keys that sign.

use std::fmt;

use blake3::Hasher;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::subtle::ConditionallySelectable;
use k256::{ProjectivePoint, Scalar};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{context, scalar};
use crate::b64a;
use crate::error::{Error, ErrorKind, Result};
use crate::text::{DIGEST, SUFFIX, TYPED, VerifyingKey, typed};

/// What makes the signatures of a key: a secret scalar d whose point d·G has an even y-coordinate. Its text is `&.….H3`, of 48 characters. It is wiped from memory when it is
/// dropped.
///
/// ```
/// use carstone_hppr::{PacketHash, PacketKind, SigningKey};
/// let key = SigningKey::generate()?;
/// let hash = PacketHash::of(PacketKind::Plex, b"the bytes of a Plex");
/// let signature = key.sign(hash.digest())?;
/// key.verifying_key().verify(hash.digest(), &signature)?;
/// assert!(key.verifying_key().verify(&[0; 32], &signature).is_err());
/// # Ok::<(), carstone_hppr::Error>(())
/// ```
pub struct SigningKey {
    pub(super) d: Scalar,
    pub(super) key: VerifyingKey,
}

impl SigningKey {
    /// A new one, of random bytes of the system.
    ///
    /// # Errors
    /// [`ErrorKind::NoRandom`].
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; DIGEST]);
        loop {
            fill_random(&mut bytes)?;
            if let Some(key) = Self::of_bytes(&bytes) {
                return Ok(key);
            }
        }
    }

    /// That of a scalar in big-endian order. If its point has an odd y-coordinate, the key is that of the negated scalar.
    ///
    /// # Errors
    /// [`ErrorKind::BadScalar`]: it is 0, or not below the order of the curve.
    pub fn from_scalar(bytes: &[u8; DIGEST]) -> Result<Self> {
        Self::of_bytes(bytes).ok_or_else(|| Error::new(ErrorKind::BadScalar).at(0))
    }

    /// That which is derived from a secret of any length: whoever knows or guesses the secret has the key.
    ///
    /// # Errors
    /// [`ErrorKind::EmptySecret`].
    pub fn from_secret(secret: &[u8]) -> Result<Self> {
        if secret.is_empty() {
            return Err(Error::new(ErrorKind::EmptySecret).at(0));
        }
        let mut hasher = Hasher::new_derive_key(context::ADHOC_KEY);
        hasher.update(secret);
        let mut output = hasher.finalize_xof();
        let key = Self::of_blocks(|block| output.fill(block));
        output.zeroize();
        hasher.zeroize();
        Ok(key)
    }

    /// Reads its text.
    ///
    /// # Errors
    /// It is none, at the byte where it is not; one of something else ([`ErrorKind::BadType`]); or one of a scalar that is none ([`ErrorKind::BadScalar`]).
    pub fn parse(text: &[u8]) -> Result<Self> {
        let (letter, bytes) = typed(text)?;
        let bytes = Zeroizing::new(bytes);
        if letter != LETTER as u8 {
            return Err(Error::new(ErrorKind::BadType).at(0));
        }
        Self::from_scalar(&bytes).map_err(|error| error.behind(2))
    }

    /// Its text, which is as secret as the key.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = self.d.to_bytes();
        let mut text = Zeroizing::new(String::with_capacity(TYPED));
        text.extend([LETTER, '.']);
        b64a::append(&mut text, &bytes);
        text.push_str(SUFFIX);
        bytes.zeroize();
        text
    }

    /// What verifies its signatures.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.key
    }

    /// That of the first block that is a scalar.
    pub(super) fn of_blocks(mut fill: impl FnMut(&mut [u8; DIGEST])) -> Self {
        let mut block = Zeroizing::new([0; DIGEST]);
        loop {
            fill(&mut block);
            if let Some(key) = Self::of_bytes(&block) {
                return key;
            }
        }
    }

    fn of_bytes(bytes: &[u8; DIGEST]) -> Option<Self> {
        let mut d0 = Zeroizing::new(scalar(bytes)?);
        if bool::from(d0.is_zero()) {
            return None;
        }
        let point = ProjectivePoint::mul_by_generator(&d0).to_affine();
        let negated = Zeroizing::new(-*d0);
        d0.conditional_assign(&negated, point.y_is_odd());
        Some(Self { d: *d0, key: VerifyingKey::new(point.x().into()) })
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        self.d.zeroize();
    }
}

impl ZeroizeOnDrop for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("verifying_key", &self.key).finish_non_exhaustive()
    }
}

/// Fills this with random bytes of the system.
pub(super) fn fill_random(bytes: &mut [u8; DIGEST]) -> Result<()> {
    getrandom::fill(bytes).map_err(|_| Error::new(ErrorKind::NoRandom))
}

/// What the texts of these keys begin with.
const LETTER: char = '&';
