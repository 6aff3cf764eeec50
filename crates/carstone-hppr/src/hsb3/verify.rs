//! Verifying.

use k256::elliptic_curve::ops::MulByGeneratorVartime;
use k256::elliptic_curve::point::{AffineCoordinates, DecompactPoint};
use k256::{AffinePoint, ProjectivePoint};

use super::{challenge, scalar};
use crate::error::{Error, ErrorKind, Result};
use crate::text::{DIGEST, Signature, VerifyingKey};

impl VerifyingKey {
    /// Verifies that a signature is one of this key under a digest: that of the hash of a Plex.
    ///
    /// # Errors
    /// [`ErrorKind::BadSignaturePoint`], [`ErrorKind::BadSignatureScalar`], [`ErrorKind::BadKey`], [`ErrorKind::BadSignature`], in this order, and none with an offset: where the
    /// key and the signature stand is known to the caller.
    pub fn verify(&self, digest: &[u8; DIGEST], signature: &Signature) -> Result<()> {
        let (r, s) = signature.halves();
        if r >= PRIME {
            return Err(Error::new(ErrorKind::BadSignaturePoint));
        }
        let s = scalar(&s).ok_or_else(|| Error::new(ErrorKind::BadSignatureScalar))?;
        let key = self.point().ok_or_else(|| Error::new(ErrorKind::BadKey))?;
        let e = challenge(&r, self.as_bytes(), digest);
        // Everything here is public, so that time may depend on it.
        let point = ProjectivePoint::mul_by_generator_and_mul_add_vartime(&s, &-e, &key.into());
        let point = point.to_affine();
        // The point at infinity has the coordinates 0 and 0 here, which r may be too.
        let infinity = point == AffinePoint::IDENTITY;
        if infinity || bool::from(point.y_is_odd()) || point.x() != r {
            return Err(Error::new(ErrorKind::BadSignature));
        }
        Ok(())
    }

    /// Whether it is the x-coordinate of a point. There is no signature of one that is not, and half of all 32 bytes are not.
    pub fn is_valid(&self) -> bool {
        self.point().is_some()
    }

    /// The point with this x-coordinate and an even y-coordinate.
    fn point(&self) -> Option<AffinePoint> {
        AffinePoint::decompact(&(*self.as_bytes()).into()).into_option()
    }
}

impl Signature {
    /// The x-coordinate of the nonce's point, and the scalar.
    fn halves(&self) -> ([u8; DIGEST], [u8; DIGEST]) {
        let (mut r, mut s) = ([0; DIGEST], [0; DIGEST]);
        r.copy_from_slice(&self.as_bytes()[..DIGEST]);
        s.copy_from_slice(&self.as_bytes()[DIGEST..]);
        (r, s)
    }
}

/// The prime that coordinates are below, 2^256 - 2^32 - 977, in big-endian order.
pub(super) const PRIME: [u8; DIGEST] = {
    let mut prime = [0xff; DIGEST];
    prime[27] = 0xfe;
    prime[30] = 0xfc;
    prime[31] = 0x2f;
    prime
};
