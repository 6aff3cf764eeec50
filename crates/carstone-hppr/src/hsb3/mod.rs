//! Signatures of HPPR (009): those of BIP-340 on secp256k1, with BLAKE3 in place of SHA-256.

mod key;
#[cfg(feature = "password")]
mod password;
mod sign;
mod verify;

pub use key::SigningKey;
#[cfg(feature = "password")]
pub use password::{MOST_MEMORY_KIB, PasswordParameters, password_token};

use blake3::Hasher;
use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::ops::Reduce;
use k256::{FieldBytes, Scalar};
use zeroize::{Zeroize, Zeroizing};

use crate::text::DIGEST;

/// What a hash is made for, as the key derivation of BLAKE3 has it.
mod context {
    pub(super) const AUX: &str = "hppr-\u{1f5a7}/aux";
    pub(super) const NONCE: &str = "hppr-\u{1f5a7}/nonce";
    pub(super) const CHALLENGE: &str = "hppr-\u{1f5a7}/challenge";
    pub(super) const ADHOC_KEY: &str = "hppr-\u{1f5a7}/adhoc-key";
    #[cfg(feature = "password")]
    pub(super) const PHC_SALT: &str = "hppr-\u{1f5a7}/phc-salt";
}

/// The first bytes of BLAKE3 in its mode of key derivation, of parts one behind the other.
fn tagged(context: &str, parts: &[&[u8]]) -> Zeroizing<[u8; DIGEST]> {
    let mut hasher = Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    let mut digest = Zeroizing::new([0; DIGEST]);
    let mut output = hasher.finalize_xof();
    output.fill(&mut *digest);
    output.zeroize();
    hasher.zeroize();
    digest
}

/// The scalar e, that binds a signature to its key and to what is signed.
fn challenge(point: &[u8], key: &[u8; DIGEST], digest: &[u8; DIGEST]) -> Scalar {
    reduced(&tagged(context::CHALLENGE, &[point, key, digest]))
}

/// The scalar of big-endian bytes, modulo the order of the curve.
fn reduced(bytes: &[u8; DIGEST]) -> Scalar {
    Scalar::reduce(&FieldBytes::from(*bytes))
}

/// The scalar of big-endian bytes, if they are below the order of the curve.
fn scalar(bytes: &[u8; DIGEST]) -> Option<Scalar> {
    Scalar::from_repr((*bytes).into()).into_option()
}

#[cfg(test)]
mod tests;
