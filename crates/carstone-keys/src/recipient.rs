//! A public key that a content key is sealed to.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;

use crate::error::{Error, ErrorKind};
use crate::header::RecipientKind;
use crate::hybrid::HybridRecipient;

/// A public key that a content key can be sealed to.
///
/// | text | who opens it |
/// |---|---|
/// | `age1…` | the native secret key |
/// | `age1pq1…` | the native secret key of the hybrid post-quantum kind |
/// | `age1tag1…`, `age1tagpq1…` | a hardware key, by way of the `age` program and its plugin |
/// | `age1NAME1…` (feature `plugin`) | a secret key that the program `age-plugin-NAME` keeps |
/// | `ssh-ed25519 …`, `ssh-rsa …` (feature `ssh`) | the private key of OpenSSH |
///
/// `Display` writes the same text, without the comment of an SSH key.
#[derive(Clone)]
pub struct Recipient(Kind);

impl Recipient {
    /// Reads a recipient as in the table above.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadRecipient`]; it says what the text is instead, where that can be told, and does not
    /// repeat it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        #[cfg(feature = "ssh")]
        if text.starts_with("ssh-") {
            return crate::ssh::parse_public(text)
                .map(|key| Self(Kind::Ssh(key)))
                .map_err(|why| Error::new(ErrorKind::BadRecipient(why)));
        }
        let kind = if text.starts_with("age1pq1") {
            HybridRecipient::parse(text).map(|key| Kind::Hybrid(Box::new(key)))
        } else if text.starts_with("age1tagpq1") {
            text.parse().ok().map(|key| Kind::TagPq(Box::new(key)))
        } else if text.starts_with("age1tag1") {
            text.parse().ok().map(|key| Kind::Tag(Box::new(key)))
        } else {
            text.parse().ok().map(Kind::X25519).or_else(|| Self::plugin(text))
        };
        kind.map(Self).ok_or_else(|| Error::new(ErrorKind::BadRecipient(why_not(text))))
    }

    /// The kind of stanza that sealing to it makes. What a plugin makes is not known before: of its recipients it is
    /// [`RecipientKind::Unknown`] with the name of the plugin.
    #[must_use]
    pub fn kind(&self) -> RecipientKind {
        match &self.0 {
            Kind::X25519(_) => RecipientKind::X25519,
            Kind::Hybrid(_) => RecipientKind::MlKem768X25519,
            Kind::Tag(_) => RecipientKind::P256Tag,
            Kind::TagPq(_) => RecipientKind::MlKem768P256Tag,
            #[cfg(feature = "plugin")]
            Kind::Plugin(key) => RecipientKind::Unknown(key.plugin().to_owned()),
            #[cfg(feature = "ssh")]
            Kind::Ssh(age::ssh::Recipient::SshRsa(..)) => RecipientKind::SshRsa,
            #[cfg(feature = "ssh")]
            Kind::Ssh(age::ssh::Recipient::SshEd25519(..)) => RecipientKind::SshEd25519,
        }
    }

    pub(crate) fn from_x25519(key: age::x25519::Recipient) -> Self {
        Self(Kind::X25519(key))
    }

    pub(crate) fn from_hybrid(key: HybridRecipient) -> Self {
        Self(Kind::Hybrid(Box::new(key)))
    }

    /// Where it is a plugin's: nothing that this library seals to itself.
    #[cfg(feature = "plugin")]
    pub(crate) fn as_plugin(&self) -> Option<&age::plugin::Recipient> {
        match &self.0 {
            Kind::Plugin(key) => Some(key),
            _ => None,
        }
    }

    #[cfg(feature = "plugin")]
    fn plugin(text: &str) -> Option<Kind> {
        text.parse().ok().map(Kind::Plugin)
    }

    #[cfg(not(feature = "plugin"))]
    fn plugin(_text: &str) -> Option<Kind> {
        None
    }

    /// What the age library seals to; `None` where it is a plugin's.
    pub(crate) fn as_age(&self) -> Option<&dyn age::Recipient> {
        Some(match &self.0 {
            Kind::X25519(key) => key,
            Kind::Hybrid(key) => &**key,
            Kind::Tag(key) => &**key,
            Kind::TagPq(key) => &**key,
            #[cfg(feature = "ssh")]
            Kind::Ssh(key) => key,
            #[cfg(feature = "plugin")]
            Kind::Plugin(_) => return None,
        })
    }
}

impl FromStr for Recipient {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::X25519(key) => key.fmt(f),
            Kind::Hybrid(key) => key.fmt(f),
            Kind::Tag(key) => key.fmt(f),
            Kind::TagPq(key) => key.fmt(f),
            #[cfg(feature = "ssh")]
            Kind::Ssh(key) => key.fmt(f),
            #[cfg(feature = "plugin")]
            Kind::Plugin(key) => key.fmt(f),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Recipient {}

#[derive(Clone)]
enum Kind {
    X25519(age::x25519::Recipient),
    Hybrid(Box<HybridRecipient>),
    Tag(Box<age::tag::Recipient>),
    TagPq(Box<age::tagpq::Recipient>),
    #[cfg(feature = "ssh")]
    Ssh(age::ssh::Recipient),
    #[cfg(feature = "plugin")]
    Plugin(age::plugin::Recipient),
}

/// Whether it is a public key of OpenSSH of a kind that age never seals to, such as ECDSA or one that a security key keeps: its type is
/// named before its base64 and in it.
pub(crate) fn is_other_ssh_key(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let (Some(kind), Some(blob)) = (words.next(), words.next()) else { return false };
    let is_other = ["ecdsa-sha2-", "sk-ecdsa-sha2-", "sk-ssh-", "ssh-dss"];
    if !is_other.iter().any(|start| kind.starts_with(start)) {
        return false;
    }
    let Ok(blob) = BASE64.decode(blob.as_bytes()) else { return false };
    let named = blob.strip_prefix(&u32::try_from(kind.len()).unwrap_or(0).to_be_bytes());
    named.is_some_and(|named| named.starts_with(kind.as_bytes()))
}

fn why_not(text: &str) -> &'static str {
    let starts = |prefix: &str| {
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if starts("age-secret-key-") || starts("age-plugin-") || starts("-----begin") {
        "it is a secret key, and sealing takes public keys"
    } else if starts("age1pq1") {
        "the post-quantum public key is mistyped, cut short or not safe"
    } else if starts("age1tag") {
        "the hardware key is mistyped or cut short"
    } else if starts("age1") && text.get(4..).is_some_and(|rest| rest.contains('1')) {
        // The part behind the last 1 of such a text never has one, so there is a name before it.
        match cfg!(feature = "plugin") {
            true => "the recipient of a plugin is mistyped or cut short",
            false => "recipients of plugins are not supported in this build",
        }
    } else if starts("age1") {
        "the public key is mistyped or cut short"
    } else if starts("ssh-") || starts("ecdsa-") || starts("sk-") {
        "SSH keys of this kind are not supported in this build"
    } else {
        "it does not look like a public key"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;

    #[test]
    fn text_survives_the_way_in_and_out() {
        let public = Identity::generate().expect("randomness").to_public();
        let text = public.to_string();
        assert!(text.starts_with("age1"));
        let again = Recipient::parse(&text).expect("a recipient");
        assert_eq!(again, public);
        assert_eq!(again.kind(), RecipientKind::X25519);
        assert_eq!(format!("{again:?}"), format!("Recipient({text})"));
    }

    #[test]
    fn refusals_say_what_the_text_is_instead() {
        for (text, part) in [
            ("", "does not look like"),
            ("age1qqqq", "mistyped"),
            ("age1tag1qqqq", "hardware key is mistyped"),
            ("age1tagpq1qqqq", "hardware key is mistyped"),
            ("age1pq1qqqq", "post-quantum public key is mistyped"),
            ("age1yubikey1qqqq", "plugin"),
            ("AGE-SECRET-KEY-1QQQQ", "secret key"),
            ("age-secret-key-1qqqq", "secret key"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "secret key"),
            ("ecdsa-sha2-nistp256 AAAA", "SSH keys"),
            ("age1é", "mistyped"),
        ] {
            let error = Recipient::parse(text).expect_err(text);
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn one_mistyped_letter_is_refused() {
        let text = Identity::generate().expect("randomness").to_public().to_string();
        for at in 4..text.len() {
            let mut other = text.clone();
            let letter = if &text[at..=at] == "q" { "p" } else { "q" };
            other.replace_range(at..=at, letter);
            assert!(Recipient::parse(&other).is_err(), "{other}");
        }
    }
}
