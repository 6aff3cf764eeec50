//! Signing.

use k256::elliptic_curve::point::AffineCoordinates;
use k256::elliptic_curve::subtle::ConditionallySelectable;
use k256::{ProjectivePoint, Scalar};
use zeroize::{Zeroize, Zeroizing};

use super::key::{SigningKey, fill_random};
use super::{challenge, context, reduced, tagged};
use crate::error::{Error, ErrorKind, Result};
use crate::text::{DIGEST, Signature};

impl SigningKey {
    /// Signs a digest: that of the hash of a Plex. No two signatures are the same.
    ///
    /// # Errors
    /// [`ErrorKind::NoRandom`], and as [`sign_with`](Self::sign_with).
    pub fn sign(&self, digest: &[u8; DIGEST]) -> Result<Signature> {
        let mut aux = Zeroizing::new([0; DIGEST]);
        fill_random(&mut aux)?;
        self.sign_with(digest, &aux)
    }

    /// Signs a digest with these random bytes, which are to be other ones for each signature.
    ///
    /// # Errors
    /// [`ErrorKind::ZeroRandom`], [`ErrorKind::ZeroNonce`]; [`ErrorKind::FaultySignature`], since each signature is verified before it is given out: one that is wrong may tell
    /// the secret.
    pub fn sign_with(&self, digest: &[u8; DIGEST], aux: &[u8; DIGEST]) -> Result<Signature> {
        if *aux == [0; DIGEST] {
            return Err(Error::new(ErrorKind::ZeroRandom).at(0));
        }
        let nonce = self.nonce(digest, aux);
        let signature = self.finish(digest, &nonce)?;
        let verified = self.key.verify(digest, &signature);
        verified.map_err(|_| Error::new(ErrorKind::FaultySignature))?;
        Ok(signature)
    }

    /// The scalar k0, before its sign is known.
    pub(super) fn nonce(&self, digest: &[u8; DIGEST], aux: &[u8; DIGEST]) -> Zeroizing<Scalar> {
        let mut mask = tagged(context::AUX, &[aux]);
        let mut d = self.d.to_bytes();
        for (mask, byte) in mask.iter_mut().zip(&d) {
            *mask ^= byte;
        }
        d.zeroize();
        let nonce = tagged(context::NONCE, &[&*mask, self.key.as_bytes(), digest]);
        Zeroizing::new(reduced(&nonce))
    }

    /// The signature with this nonce, unverified.
    pub(super) fn finish(&self, digest: &[u8; DIGEST], nonce: &Scalar) -> Result<Signature> {
        if bool::from(nonce.is_zero()) {
            return Err(Error::new(ErrorKind::ZeroNonce));
        }
        let point = ProjectivePoint::mul_by_generator(nonce).to_affine();
        let negated = Zeroizing::new(-*nonce);
        let nonce = Scalar::conditional_select(nonce, &negated, point.y_is_odd());
        let nonce = Zeroizing::new(nonce);
        let x = point.x();
        let e = challenge(&x, self.key.as_bytes(), digest);
        let s = *nonce + e * self.d;
        let mut bytes = [0; 2 * DIGEST];
        bytes[..DIGEST].copy_from_slice(&x);
        bytes[DIGEST..].copy_from_slice(&s.to_bytes());
        Ok(Signature::new(bytes))
    }
}
