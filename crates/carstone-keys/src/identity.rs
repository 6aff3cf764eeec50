//! A native secret key, and the file that keeps it.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use secrecy::{ExposeSecret, SecretString};

use crate::content_key::fill_random;
use crate::error::{Error, ErrorKind};
use crate::recipient::Recipient;
use crate::time::rfc3339;

/// A native age secret key, `AGE-SECRET-KEY-1…`.
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
pub struct Identity(age::x25519::Identity);

impl Identity {
    /// Draws a new secret key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Randomness`] if the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, Error> {
        fill_random(&mut [0; 32])?;
        Ok(Self(age::x25519::Identity::generate()))
    }

    /// Reads `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadIdentity`]; it says what the text is instead, where that can be told, and does not
    /// repeat it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        text.parse::<age::x25519::Identity>()
            .map(Self)
            .map_err(|_| Error::new(ErrorKind::BadIdentity(why_not(text))))
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn to_public(&self) -> Recipient {
        Recipient::from_x25519(self.0.to_public())
    }

    /// The secret key as text, `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn to_secret_text(&self) -> SecretString {
        self.0.to_string()
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

    pub(crate) fn into_age(self) -> age::x25519::Identity {
        self.0
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

fn why_not(text: &str) -> &'static str {
    let starts = |prefix: &str| {
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if starts("age-secret-key-pq-") {
        "post-quantum secret keys are not supported"
    } else if starts("age-plugin-") {
        "keys of plugins are not supported"
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
            ("AGE-SECRET-KEY-PQ-1AAAA", "post-quantum"),
            ("AGE-PLUGIN-YUBIKEY-1AAAA", "plugins"),
            ("age1qqqq", "public key"),
            ("ssh-ed25519 AAAA", "public key"),
            ("né", "does not look like"),
        ] {
            let error = Identity::parse(text).expect_err(text);
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }
}
