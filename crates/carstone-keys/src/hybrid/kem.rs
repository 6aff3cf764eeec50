//! The KEM MLKEM768-X25519, also known as X-Wing, for HPKE.
//!
//! <https://c2sp.org/age> (*The mlkem768x25519 recipient type*), which names `draft-irtf-cfrg-concrete-hybrid-kems`
//! and `draft-connolly-cfrg-xwing-kem`. The parts are those of libraries; here they are put together:
//! ML-KEM-768 (FIPS 203) and X25519 (RFC 7748), whose secrets SHA3-256 makes one of.

use std::fmt;

use hpke::generic_array::typenum::{Sum, U32, U96, U192, U1024};
use hpke::generic_array::{ArrayLength, GenericArray};
use hpke::kem::SharedSecret;
use hpke::{Deserializable, HpkeError, Serializable};
use ml_kem::kem::{Decapsulate, Encapsulate};
use ml_kem::{B32, EncodedSizeUser, KemCore, MlKem768};
use rand_core::{CryptoRng, RngCore};
use sha3::digest::{ExtendableOutput, Update, XofReader};
use sha3::{Digest, Sha3_256, Shake256};
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey as PublicPoint, StaticSecret};
use zeroize::{Zeroize, Zeroizing};

/// ML-KEM-768 and X25519, each with its share of everything.
pub(super) struct XWing;

/// Encapsulation key of ML-KEM (1184 bytes), public key of X25519 (32 bytes).
pub(super) type PublicKey = Bytes<Sum<U1024, U192>>;
/// Ciphertext of ML-KEM (1088 bytes), ephemeral public key of X25519 (32 bytes).
pub(super) type EncappedKey = Bytes<Sum<U1024, U96>>;

impl hpke::Kem for XWing {
    type PublicKey = PublicKey;
    type PrivateKey = Seed;
    type EncappedKey = EncappedKey;
    type NSecret = U32;

    const KEM_ID: u16 = 0x647a;

    fn sk_to_pk(seed: &Seed) -> PublicKey {
        Expanded::of(seed).public()
    }

    fn derive_keypair(ikm: &[u8]) -> (Seed, PublicKey) {
        // SHAKE256.LabeledDerive(ikm, "DeriveKeyPair", "", 32) of draft-ietf-hpke-pq.
        let mut xof = Shake256::default();
        xof.update(ikm);
        for part in [&b"HPKE-v1KEM\x64\x7a"[..], b"\x00\x0dDeriveKeyPair", b"\x00\x20"] {
            xof.update(part);
        }
        let mut seed = Seed([0; SEED_LEN]);
        xof.finalize_xof().read(&mut seed.0);
        let public = Self::sk_to_pk(&seed);
        (seed, public)
    }

    fn decap(
        seed: &Seed,
        sender: Option<&PublicKey>,
        encapped: &EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        let (sealed, point) = split::<CIPHERTEXT_LEN>(&encapped.0).ok_or(HpkeError::DecapError)?;
        if sender.is_some() {
            return Err(HpkeError::DecapError); // There is no authenticated mode.
        }
        let keys = Expanded::of(seed);
        let first = keys.ml_kem.decapsulate(&sealed.into()).map_err(|()| HpkeError::DecapError)?;
        let first = Zeroizing::new(<[u8; 32]>::from(first));
        let second = keys.x25519.diffie_hellman(&PublicPoint::from(point));
        if !second.was_contributory() {
            return Err(HpkeError::DecapError);
        }
        let own = PublicPoint::from(&keys.x25519);
        Ok(combined(&first, second.as_bytes(), &point, own.as_bytes()))
    }

    fn encap<R: CryptoRng + RngCore>(
        to: &PublicKey,
        sender: Option<(&Seed, &PublicKey)>,
        random: &mut R,
    ) -> Result<(SharedSecret<Self>, EncappedKey), HpkeError> {
        let (key, point) = split::<KEY_LEN>(&to.0).ok_or(HpkeError::EncapError)?;
        if sender.is_some() {
            return Err(HpkeError::EncapError);
        }
        let key = <MlKem768 as KemCore>::EncapsulationKey::from_bytes(&key.into());
        let (sealed, first) = key.encapsulate(random).map_err(|()| HpkeError::EncapError)?;
        let first = Zeroizing::new(<[u8; 32]>::from(first));
        let ephemeral = StaticSecret::random_from_rng(random);
        let second = ephemeral.diffie_hellman(&PublicPoint::from(point));
        if !second.was_contributory() {
            return Err(HpkeError::EncapError);
        }
        let share = PublicPoint::from(&ephemeral);
        let secret = combined(&first, second.as_bytes(), share.as_bytes(), &point);
        Ok((secret, joined(&sealed, share.as_bytes())))
    }
}

impl PublicKey {
    /// Whether it can be sealed to: the numbers of the ML-KEM part are below its modulus (FIPS 203, section 7.2),
    /// and the X25519 part is no point of low order, with which the secret would be known to everybody.
    pub(super) fn is_sound(&self) -> bool {
        let Some((key, point)) = split::<KEY_LEN>(&self.0) else { return false };
        let again = <MlKem768 as KemCore>::EncapsulationKey::from_bytes(&key.into()).as_bytes();
        // Any scalar will do: each is made a multiple of the cofactor.
        let any = StaticSecret::from([1; 32]).diffie_hellman(&PublicPoint::from(point));
        <[u8; KEY_LEN]>::from(again) == key && any.was_contributory()
    }
}

/// The secret key: 32 bytes that all else comes from.
#[derive(Clone)]
pub(super) struct Seed(pub(super) [u8; SEED_LEN]);

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for Seed {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Seed {}

impl Serializable for Seed {
    type OutputSize = U32;

    fn write_exact(&self, buf: &mut [u8]) {
        buf.copy_from_slice(&self.0);
    }
}

impl Deserializable for Seed {
    fn from_bytes(encoded: &[u8]) -> Result<Self, HpkeError> {
        let wrong = HpkeError::IncorrectInputLength(SEED_LEN, encoded.len());
        encoded.try_into().map(Self).map_err(|_| wrong)
    }
}

/// So many bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bytes<N: ArrayLength<u8>>(GenericArray<u8, N>);

impl<N: ArrayLength<u8>> Bytes<N> {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl<N: ArrayLength<u8>> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<N: ArrayLength<u8>> Serializable for Bytes<N> {
    type OutputSize = N;

    fn write_exact(&self, buf: &mut [u8]) {
        buf.copy_from_slice(&self.0);
    }
}

impl<N: ArrayLength<u8>> Deserializable for Bytes<N> {
    fn from_bytes(encoded: &[u8]) -> Result<Self, HpkeError> {
        let wrong = HpkeError::IncorrectInputLength(N::to_usize(), encoded.len());
        GenericArray::from_exact_iter(encoded.iter().copied()).map(Self).ok_or(wrong)
    }
}

/// The secret keys that a seed stands for.
struct Expanded {
    ml_kem: <MlKem768 as KemCore>::DecapsulationKey,
    x25519: StaticSecret,
}

impl Expanded {
    fn of(seed: &Seed) -> Self {
        let mut xof = Shake256::default();
        xof.update(&seed.0);
        let mut xof = xof.finalize_xof();
        let (mut d, mut z) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        xof.read(d.as_mut());
        xof.read(z.as_mut());
        let (mut d, mut z) = (B32::from(*d), B32::from(*z));
        let (ml_kem, _) = MlKem768::generate_deterministic(&d, &z);
        d.as_mut_slice().zeroize();
        z.as_mut_slice().zeroize();
        let mut scalar = Zeroizing::new([0; 32]);
        xof.read(scalar.as_mut());
        Self { ml_kem, x25519: StaticSecret::from(*scalar) }
    }

    fn public(&self) -> PublicKey {
        let point = PublicPoint::from(&self.x25519);
        joined(&self.ml_kem.encapsulation_key().as_bytes(), point.as_bytes())
    }
}

/// SHA3-256(secret of ML-KEM ‖ secret of X25519 ‖ ephemeral public key ‖ recipient's public key ‖ label).
fn combined(
    ml_kem: &[u8; 32],
    x25519: &[u8; 32],
    share: &[u8; 32],
    public: &[u8; 32],
) -> SharedSecret<XWing> {
    let mut hash = Sha3_256::new();
    for part in [&ml_kem[..], x25519, share, public, LABEL] {
        Digest::update(&mut hash, part);
    }
    let mut secret = SharedSecret::default();
    secret.0.copy_from_slice(&hash.finalize());
    secret
}

/// The share of ML-KEM, which has `N` bytes, and that of X25519.
fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; N], [u8; 32])> {
    let (first, second) = bytes.split_first_chunk()?;
    Some((*first, second.try_into().ok()?))
}

/// Of two shares that have as many bytes together as the result.
fn joined<N: ArrayLength<u8>>(first: &[u8], second: &[u8; 32]) -> Bytes<N> {
    let mut bytes = GenericArray::default();
    for (to, from) in bytes.iter_mut().zip(first.iter().chain(second)) {
        *to = *from;
    }
    Bytes(bytes)
}

pub(super) const SEED_LEN: usize = 32;
/// Bytes of a public key of ML-KEM-768.
const KEY_LEN: usize = 1184;
/// Bytes of a ciphertext of ML-KEM-768.
const CIPHERTEXT_LEN: usize = 1088;
const LABEL: &[u8] = br"\.//^\";
