//! Keys of passwords, with Argon2id.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use memchr::memchr;
use zeroize::{Zeroize, Zeroizing};

use super::{context, tagged};
use crate::b64a;
use crate::coordinate::check_segment;
use crate::error::{Error, ErrorKind, Result};
use crate::header::check_text;
use crate::hsb3::SigningKey;
use crate::text::{DIGEST, SUFFIX, TYPED, VerifyingKey};

/// What Argon2id is to spend on a password. Another key comes of the same password with other parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PasswordParameters {
    /// Memory, in KiB: 8 for each lane at least. Default: 12,288. At most [`MOST_MEMORY_KIB`].
    pub memory_kib: u32,
    /// Passes over it. Default: 3.
    pub passes: u32,
    /// Lanes, which are gone through one after the other. Default: 1.
    pub lanes: u32,
}

impl PasswordParameters {
    /// The same with so much memory, in KiB.
    #[must_use]
    pub fn memory_kib(mut self, memory_kib: u32) -> Self {
        self.memory_kib = memory_kib;
        self
    }

    /// The same with so many passes.
    #[must_use]
    pub fn passes(mut self, passes: u32) -> Self {
        self.passes = passes;
        self
    }

    /// The same with so many lanes.
    #[must_use]
    pub fn lanes(mut self, lanes: u32) -> Self {
        self.lanes = lanes;
        self
    }
}

impl Default for PasswordParameters {
    fn default() -> Self {
        Self { memory_kib: 12_288, passes: 3, lanes: 1 }
    }
}

impl SigningKey {
    /// That of a password in a ring of a repository, which is named by its key.
    ///
    /// ```
    /// use carstone_hppr::{PasswordParameters, SigningKey};
    /// let repository = SigningKey::from_secret(b"some repository")?.verifying_key();
    /// let parameters = PasswordParameters::default();
    /// let key = SigningKey::from_password("correct horse", "home", &repository, &parameters)?;
    /// let other = SigningKey::from_password("correct horse", "work", &repository, &parameters)?;
    /// assert_ne!(key.verifying_key(), other.verifying_key());
    /// # Ok::<(), carstone_hppr::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`password_token`].
    pub fn from_password(
        password: &str,
        ring: &str,
        repository: &VerifyingKey,
        parameters: &PasswordParameters,
    ) -> Result<Self> {
        let token = password_token(password, ring, repository, parameters)?;
        let place = place(ring, repository);
        let mut secret = Zeroizing::new(String::with_capacity(token.len() + 1 + place.len()));
        secret.push_str(&token);
        secret.push('/');
        secret.push_str(&place);
        Self::from_secret(secret.as_bytes())
    }
}

/// What comes of a password in a ring of a repository, before a key is made of it: a text `V.….H3` of 48 characters, which is as secret as the key, although it has the form of
/// one that is public.
///
/// # Errors
/// [`ErrorKind::BadRing`], at the byte with which the name of the ring is no segment of a path; [`ErrorKind::NotNfc`], at that with which it is not in normalization form C; [`ErrorKind::BadPasswordParameters`]; [`ErrorKind::PasswordFailed`].
pub fn password_token(
    password: &str,
    ring: &str,
    repository: &VerifyingKey,
    parameters: &PasswordParameters,
) -> Result<Zeroizing<String>> {
    check_ring(ring)?;
    let argon2 = argon2(parameters)?;
    let salt = tagged(context::PHC_SALT, &[place(ring, repository).as_bytes()]);
    let mut token = Zeroizing::new([0; DIGEST]);
    let mut memory = memory(argon2.params().block_count())?;
    let hashed = argon2.hash_password_into_with_memory(
        password.as_bytes(),
        &salt[..SALT],
        &mut *token,
        memory.as_mut_slice(),
    );
    memory.iter_mut().for_each(Block::zeroize);
    hashed.map_err(|_| Error::new(ErrorKind::PasswordFailed))?;
    let mut text = Zeroizing::new(String::with_capacity(TYPED));
    text.push_str("V.");
    b64a::append(&mut text, &*token);
    text.push_str(SUFFIX);
    Ok(text)
}

fn argon2(parameters: &PasswordParameters) -> Result<Argon2<'static>> {
    let bad = || Error::new(ErrorKind::BadPasswordParameters);
    let PasswordParameters { memory_kib, passes, lanes } = *parameters;
    if memory_kib > MOST_MEMORY_KIB {
        return Err(bad());
    }
    let params = Params::new(memory_kib, passes, lanes, Some(DIGEST)).map_err(|_| bad())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// So many blocks, or an error instead of an end of the process.
fn memory(blocks: usize) -> Result<Vec<Block>> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(blocks).map_err(|_| Error::new(ErrorKind::PasswordFailed))?;
    memory.resize(blocks, Block::default());
    Ok(memory)
}

/// A ring is to be a segment of a Location: a slash, an empty name or another form of the same letters would let two rings be one, or one be two.
fn check_ring(ring: &str) -> Result<()> {
    let checked = check_text(ring).and_then(|()| match memchr(b'/', ring.as_bytes()) {
        Some(at) => Err(Error::new(ErrorKind::ForbiddenCharacter).at(at as u64)),
        None => check_segment(ring),
    });
    checked.map_err(|error| match error.kind() {
        ErrorKind::NotNfc => error,
        _ => Error::new(ErrorKind::BadRing).at(error.offset().unwrap_or(0)),
    })
}

fn place(ring: &str, repository: &VerifyingKey) -> String {
    format!("{ring}/{repository}")
}

/// Memory that Argon2id may be asked to use, in KiB: 4 GiB.
pub const MOST_MEMORY_KIB: u32 = 4 << 20;
/// Bytes of a salt.
const SALT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_SEGMENT;

    fn repository() -> VerifyingKey {
        SigningKey::from_secret(b"init").expect("a key").verifying_key()
    }

    /// Small, so that tests are short.
    fn small() -> PasswordParameters {
        PasswordParameters::default().memory_kib(64).passes(1)
    }

    /// Values of the reference implementation of Argon2.
    #[test]
    fn what_comes_of_a_password_stays() {
        let token = password_token("pass", "ring", &repository(), &Default::default());
        assert_eq!(
            token.expect("a token").as_str(),
            "V.rlhFsd3nYfEw0VLjzCh9QzBsuKwZyRfKNxMG6MPYnu4.H3"
        );
        let key = SigningKey::from_password("pass", "ring", &repository(), &Default::default());
        let key = key.expect("a key").verifying_key().to_string();
        assert_eq!(key, "V.AC0Y_JksOIFjxMuCnO1bGEyOdX0SPgcGznP5raZww20.H3");
        let lanes = PasswordParameters::default().memory_kib(256).passes(2).lanes(4);
        let token = password_token("pässwörd", "ring", &repository(), &lanes);
        assert_eq!(
            token.expect("a token").as_str(),
            "V.U2LQiUIBpeJ_mSX8zZkdgkk5yZMwpYIhWA0naNRo3hG.H3"
        );
    }

    #[test]
    fn the_key_is_that_of_token_ring_and_repository() {
        let token = password_token("pass", "ring", &repository(), &small()).expect("a token");
        assert_eq!(token.len(), TYPED);
        let secret = format!("{}/ring/{}", *token, repository());
        let key = SigningKey::from_password("pass", "ring", &repository(), &small());
        let same = SigningKey::from_secret(secret.as_bytes()).expect("a key");
        assert_eq!(key.expect("a key").to_text(), same.to_text());
    }

    #[test]
    fn all_that_it_is_made_of_makes_another() {
        let other = SigningKey::from_secret(b"abc").expect("a key").verifying_key();
        let token = |password: &str, ring: &str, repository: &VerifyingKey, parameters| {
            password_token(password, ring, repository, &parameters).expect("a token")
        };
        let first = token("pass", "ring", &repository(), small());
        assert_eq!(token("pass", "ring", &repository(), small()), first);
        for another in [
            token("Pass", "ring", &repository(), small()),
            token("pass", "rinG", &repository(), small()),
            token("pass", "ring", &other, small()),
            token("pass", "ring", &repository(), small().memory_kib(72)),
            token("pass", "ring", &repository(), small().passes(2)),
            token("pass", "ring", &repository(), small().lanes(2)),
        ] {
            assert_ne!(another, first);
        }
    }

    #[test]
    fn a_ring_that_is_no_segment_is_refused_at_its_place() {
        let long = "a".repeat(MAX_SEGMENT + 1);
        for (ring, at) in [
            ("", 0),
            (".", 0),
            ("..", 0),
            ("a/b", 1),
            ("ab{", 2),
            ("}", 0),
            ("a|", 1),
            ("é\n", 2),
            ("a\u{7f}", 1),
            (&*long, 255),
        ] {
            let error = password_token("pass", ring, &repository(), &small()).expect_err(ring);
            assert_eq!((error.kind(), error.offset()), (&ErrorKind::BadRing, Some(at)), "{ring}");
        }
        password_token("pass", &long[1..], &repository(), &small()).expect("255 bytes are a name");
        password_token("pass", "é#...", &repository(), &small()).expect("it is a name");
    }

    #[test]
    fn a_ring_that_is_not_in_normalization_form_c_is_refused_at_its_place() {
        let error = password_token("pass", "ring-e\u{301}", &repository(), &small());
        assert_eq!(error.expect_err("two characters"), Error::new(ErrorKind::NotNfc).at(5));
        password_token("pass", "ring-\u{e9}", &repository(), &small()).expect("one character");
        // A password is a text of its own, and not a name.
        password_token("e\u{301}", "ring", &repository(), &small()).expect("a password");
    }

    #[test]
    fn parameters_that_argon2_does_not_take_are_refused() {
        for parameters in [
            small().passes(0),
            small().lanes(0),
            small().memory_kib(7),
            small().lanes(9),
            small().memory_kib(MOST_MEMORY_KIB + 1),
        ] {
            let error = password_token("pass", "ring", &repository(), &parameters);
            let error = error.expect_err("parameters");
            assert_eq!(*error.kind(), ErrorKind::BadPasswordParameters, "{parameters:?}");
        }
    }
}
