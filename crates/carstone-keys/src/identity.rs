//! A native secret key, and the file that keeps it.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};

use crate::content_key::fill_random;
use crate::error::{Error, ErrorKind};
use crate::hybrid::HybridIdentity;
use crate::identities::AgeIdentity;
use crate::recipient::Recipient;
use crate::time::rfc3339;

/// A native age secret key: `AGE-SECRET-KEY-1…` (X25519), or `AGE-SECRET-KEY-PQ-1…` (hybrid post-quantum).
///
/// ```
/// use carstone_keys::{Identity, secrecy::ExposeSecret};
///
/// let identity = Identity::generate()?;
/// let text = identity.keygen_text(); // What a key file holds; readable by age, too.
/// let again = Identity::parse(text.expose_secret().lines().last().unwrap_or_default())?;
/// assert_eq!(again.to_public(), identity.to_public());
/// # Ok::<(), carstone_keys::Error>(())
/// ```
#[derive(Clone)]
pub struct Identity(Kind);

impl Identity {
    /// Draws a new secret key of X25519.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Randomness`] if the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, Error> {
        fill_random(&mut [0; 32])?;
        Ok(Self(Kind::X25519(age::x25519::Identity::generate())))
    }

    /// Draws a new secret key of the hybrid post-quantum kind, `AGE-SECRET-KEY-PQ-1…`.
    ///
    /// # Errors
    ///
    /// As for [`generate`](Self::generate).
    pub fn generate_post_quantum() -> Result<Self, Error> {
        Ok(Self(Kind::Hybrid(HybridIdentity::generate()?)))
    }

    /// Reads `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadIdentity`]; it says what the text is instead, where that can be told, and does not
    /// repeat it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let kind = match text.parse() {
            Ok(key) => Some(Kind::X25519(key)),
            Err(_) => HybridIdentity::parse(text).map(Kind::Hybrid),
        };
        kind.map(Self).ok_or_else(|| Error::new(ErrorKind::BadIdentity(why_not(text))))
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn to_public(&self) -> Recipient {
        match &self.0 {
            Kind::X25519(key) => Recipient::from_x25519(key.to_public()),
            Kind::Hybrid(key) => Recipient::from_hybrid(key.to_public()),
        }
    }

    /// The secret key as text, as [`parse`](Self::parse) reads it.
    #[must_use]
    pub fn to_secret_text(&self) -> SecretString {
        match &self.0 {
            Kind::X25519(key) => key.to_string(),
            Kind::Hybrid(key) => key.to_text(),
        }
    }

    /// The content of a key file, just as `age-keygen` writes it: the time of creation (now), the public key,
    /// and the secret key, a line each.
    #[must_use]
    pub fn keygen_text(&self) -> SecretString {
        self.keygen_text_at(SystemTime::now())
    }

    /// The same with a given time of creation.
    #[must_use]
    pub fn keygen_text_at(&self, created: SystemTime) -> SecretString {
        let secret = self.to_secret_text();
        format!(
            "# created: {}\n# public key: {}\n{}\n",
            rfc3339(created),
            self.to_public(),
            secret.expose_secret()
        )
        .into()
    }

    pub(crate) fn into_age(self) -> AgeIdentity {
        match self.0 {
            Kind::X25519(key) => Box::new(key),
            Kind::Hybrid(key) => Box::new(key),
        }
    }
}

impl FromStr for Identity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Shows the public key only.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.to_public())
    }
}

#[derive(Clone)]
enum Kind {
    X25519(age::x25519::Identity),
    Hybrid(HybridIdentity),
}

fn why_not(text: &str) -> &'static str {
    let starts = |prefix: &str| {
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if starts("age-plugin-") {
        match cfg!(feature = "plugin") {
            true => "the key of the plugin is mistyped or cut short",
            false => "keys of plugins are not supported in this build",
        }
    } else if starts("age-secret-key-") {
        "the secret key is mistyped or cut short"
    } else if starts("age1") || starts("ssh-") {
        "it is a public key, and opening takes a secret key"
    } else {
        "it does not look like an age secret key"
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn keygen_text_has_the_three_lines() {
        let identity = Identity::generate().expect("randomness");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let text = identity.keygen_text_at(time);
        let text = text.expose_secret();
        assert!(text.ends_with('\n'));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "# created: 2026-01-02T03:04:05Z");
        assert_eq!(lines[1], format!("# public key: {}", identity.to_public()));
        assert!(lines[2].starts_with("AGE-SECRET-KEY-1"));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn debug_hides_the_secret() {
        let identity = Identity::generate().expect("randomness");
        let shown = format!("{identity:?}");
        assert_eq!(shown, format!("Identity({})", identity.to_public()));
    }

    #[test]
    fn refusals_say_what_the_text_is_instead() {
        for (text, part) in [
            ("", "does not look like"),
            ("AGE-SECRET-KEY-1AAAA", "mistyped"),
            ("AGE-SECRET-KEY-PQ-1AAAA", "mistyped"),
            ("AGE-PLUGIN-YUBIKEY-1AAAA", "plugin"),
            ("age1qqqq", "public key"),
            ("ssh-ed25519 AAAA", "public key"),
            ("né", "does not look like"),
        ] {
            let error = Identity::parse(text).expect_err(text);
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}
