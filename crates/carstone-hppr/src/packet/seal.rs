//! Whether a signature is one of a key.

use crate::error::Result;
use crate::text::{DIGEST, Signature, VerifyingKey};

/// Whether the owner of the key has signed this digest of a Plex.
pub(crate) fn verify_seal(
    key: &VerifyingKey,
    digest: &[u8; DIGEST],
    signature: &Signature,
) -> Result<()> {
    key.verify(digest, signature)
}
