//! The header of an age file, as far as it can be read without a key.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// For whom a stanza of an envelope was made, as its tag says. Nothing vouches for it before the envelope is
/// opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecipientKind {
    /// A native age key, `age1…`.
    X25519,
    /// A passphrase.
    Scrypt,
    /// An Ed25519 key of OpenSSH.
    SshEd25519,
    /// An RSA key of OpenSSH.
    SshRsa,
    /// A hybrid post-quantum key, `age1pq1…`.
    MlKem768X25519,
    /// A hardware key, `age1tag1…`.
    P256Tag,
    /// A hybrid post-quantum hardware key, `age1tagpq1…`.
    MlKem768P256Tag,
    /// A tag that this version does not know.
    Unknown(String),
}

impl RecipientKind {
    /// The tag in the stanza.
    #[must_use]
    pub fn tag(&self) -> &str {
        match self {
            Self::X25519 => "X25519",
            Self::Scrypt => "scrypt",
            Self::SshEd25519 => "ssh-ed25519",
            Self::SshRsa => "ssh-rsa",
            Self::MlKem768X25519 => "mlkem768x25519",
            Self::P256Tag => "p256tag",
            Self::MlKem768P256Tag => "mlkem768p256tag",
            Self::Unknown(tag) => tag,
        }
    }

    fn of_tag(tag: &str) -> Self {
        match tag {
            "X25519" => Self::X25519,
            "scrypt" => Self::Scrypt,
            "ssh-ed25519" => Self::SshEd25519,
            "ssh-rsa" => Self::SshRsa,
            "mlkem768x25519" => Self::MlKem768X25519,
            "p256tag" => Self::P256Tag,
            "mlkem768p256tag" => Self::MlKem768P256Tag,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl fmt::Display for RecipientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

/// The stanzas of an age file and where its header ends.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// Length in bytes, through the line feed after the MAC.
    pub(crate) len: usize,
    /// Kinds in the order of the stanzas; those that only keep readers tolerant are left out.
    pub(crate) kinds: Vec<RecipientKind>,
    /// What a passphrase stanza says about its cost.
    pub(crate) work_factor: Option<u32>,
    /// What the stanzas for SSH keys say about the public keys: four bytes in base64 each, if they are well formed.
    pub(crate) ssh_tags: Vec<String>,
}

impl Header {
    /// Reads the header of an age file (<https://c2sp.org/age>, *Header*).
    ///
    /// The grammar is checked here, in one pass and before anything else looks at the bytes. Base64 values
    /// are checked for their alphabet only.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut lines = Lines { bytes, at: 0 };
        if lines.next()? != VERSION_LINE {
            return Err(refuse("the first line is not that of age v1").at(0));
        }
        let mut header =
            Self { len: 0, kinds: Vec::new(), work_factor: None, ssh_tags: Vec::new() };
        let mut stanzas = 0_usize;
        loop {
            let start = lines.at;
            let line = lines.next()?;
            if let Some(args) = line.strip_prefix(b"-> ") {
                header.stanza(args).map_err(|error| error.at(start))?;
                lines.body()?;
                stanzas = stanzas.saturating_add(1);
            } else if let Some(mac) = line.strip_prefix(b"--- ") {
                if stanzas == 0 {
                    return Err(refuse("no recipient stanza").at(start));
                }
                if mac.len() != MAC_LEN || !mac.iter().all(is_base64) {
                    return Err(refuse("malformed MAC").at(start));
                }
                header.len = lines.at;
                return Ok(header);
            } else {
                return Err(refuse("neither a recipient stanza nor a MAC").at(start));
            }
        }
    }

    /// Whether the file was sealed to a passphrase.
    pub(crate) fn is_scrypt(&self) -> bool {
        self.kinds.contains(&RecipientKind::Scrypt)
    }

    fn stanza(&mut self, args: &[u8]) -> Result<(), Error> {
        let args = std::str::from_utf8(args).map_err(|_| refuse("stanza is not ASCII"))?;
        let is_arg = |arg: &str| !arg.is_empty() && arg.bytes().all(|b| b.is_ascii_graphic());
        if !args.split(' ').all(is_arg) {
            return Err(refuse("malformed stanza"));
        }
        let mut args = args.split(' ');
        let tag = args.next().unwrap_or_default();
        if tag.ends_with(GREASE_SUFFIX) {
            return Ok(());
        }
        let kind = RecipientKind::of_tag(tag);
        match kind {
            RecipientKind::Scrypt => {
                self.work_factor = args.nth(1).and_then(|factor| factor.parse().ok());
            }
            RecipientKind::SshEd25519 | RecipientKind::SshRsa => {
                self.ssh_tags.extend(args.next().map(str::to_owned));
            }
            _ => {}
        }
        self.kinds.push(kind);
        Ok(())
    }
}

struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line without its line feed.
    fn next(&mut self) -> Result<&'a [u8], Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.iter().position(|&b| b == b'\n') {
            Some(end) => {
                let (line, after) = rest.split_at(end);
                self.at = self.bytes.len() - after.len() + 1;
                Ok(line)
            }
            None => Err(refuse("the header ends in the middle").at(self.bytes.len())),
        }
    }

    /// The body of a stanza: full lines of base64, then one that is shorter and may be empty.
    fn body(&mut self) -> Result<(), Error> {
        loop {
            let start = self.at;
            let line = self.next()?;
            if line.len() > BODY_COLUMNS || !line.iter().all(is_base64) {
                return Err(refuse("malformed stanza body").at(start));
            }
            if line.len() < BODY_COLUMNS {
                return Ok(());
            }
        }
    }
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn refuse(why: &'static str) -> Error {
    Error::new(ErrorKind::NotAnEnvelope(why))
}

const VERSION_LINE: &[u8] = b"age-encryption.org/v1";
/// Ends the tags of stanzas that stand for nobody and are there so that readers stay tolerant of unknown ones.
const GREASE_SUFFIX: &str = "-grease";
const BODY_COLUMNS: usize = 64;
const MAC_LEN: usize = 43;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stanzas: &str) -> String {
        format!("age-encryption.org/v1\n{stanzas}--- {}\nrest", "A".repeat(43))
    }

    #[track_caller]
    fn check(stanzas: &str, kinds: &[RecipientKind], work_factor: Option<u32>) {
        let text = text(stanzas);
        let header = Header::parse(text.as_bytes()).expect("a header");
        assert_eq!(header.kinds, kinds);
        assert_eq!(header.work_factor, work_factor);
        assert_eq!(&text[header.len..], "rest");
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], why: &str, offset: u64) {
        let error = Header::parse(bytes).expect_err("no header");
        assert_eq!(error.to_string(), {
            format!("byte {offset} of the key envelope: not an age file: {why}")
        });
        assert_eq!(error.offset(), Some(offset));
    }

    #[test]
    fn kinds_come_in_order_and_grease_is_left_out() {
        use RecipientKind::{MlKem768X25519, SshEd25519, SshRsa, Unknown, X25519};
        let full = "A".repeat(64);
        check("-> X25519 abc\nAAAA\n", &[X25519], None);
        check(
            &format!(
                "-> ssh-rsa x\n{full}\n{full}\n\n-> z-grease q\n\n-> ssh-ed25519 a b\nAA\n\
                 -> mlkem768x25519 k\n{full}\nA\n-> new\n\n"
            ),
            &[SshRsa, SshEd25519, MlKem768X25519, Unknown("new".into())],
            None,
        );
    }

    #[test]
    fn work_factor_of_a_passphrase_is_read() {
        check("-> scrypt salt 18\nAA\n", &[RecipientKind::Scrypt], Some(18));
        check("-> scrypt salt\nAA\n", &[RecipientKind::Scrypt], None);
        check("-> scrypt salt 99999999999\nAA\n", &[RecipientKind::Scrypt], None);
    }

    #[test]
    fn tags_of_ssh_keys_are_read() {
        let text = text("-> ssh-ed25519 abcdef x\nAA\n-> X25519 abc\nAA\n-> ssh-rsa ghijkl\nAA\n");
        let header = Header::parse(text.as_bytes()).expect("a header");
        assert_eq!(header.ssh_tags, ["abcdef", "ghijkl"]);
    }

    #[test]
    fn tags_survive_the_way_to_a_kind_and_back() {
        for tag in [
            "X25519",
            "scrypt",
            "ssh-ed25519",
            "ssh-rsa",
            "mlkem768x25519",
            "p256tag",
            "mlkem768p256tag",
            "else",
        ] {
            let kind = RecipientKind::of_tag(tag);
            assert_eq!(kind.tag(), tag);
            let unknown = matches!(kind, RecipientKind::Unknown(_));
            assert_eq!(unknown, tag == "else", "{tag}");
        }
    }

    #[test]
    fn malformed_headers_are_refused_with_their_place() {
        let v2 = b"age-encryption.org/v2\n";
        check_refused(v2, "the first line is not that of age v1", 0);
        check_refused(b"", "the header ends in the middle", 0);
        check_refused(b"age-encryption.org/v1", "the header ends in the middle", 21);
        check_refused(text("").as_bytes(), "no recipient stanza", 22);
        for stanza in ["-> \n\n", "->  a\n\n", "-> a \n\n", "-> a\tb\n\n"] {
            check_refused(text(stanza).as_bytes(), "malformed stanza", 22);
        }
        let junk = "neither a recipient stanza nor a MAC";
        check_refused(text("->a\n\n").as_bytes(), junk, 22);
        check_refused(text("-> a\nAA\nAA\n").as_bytes(), junk, 30);
        check_refused(text("-> a\nA=\n").as_bytes(), "malformed stanza body", 27);
        let long = format!("-> a\n{}\n", "A".repeat(65));
        check_refused(text(&long).as_bytes(), "malformed stanza body", 27);
        // A full last line needs an empty one behind it; here the MAC stands in its place.
        let full = format!("-> a\n{}\n", "A".repeat(64));
        check_refused(text(&full).as_bytes(), "malformed stanza body", 92);
        let short_mac = b"age-encryption.org/v1\n-> a\n\n--- AAAA\n";
        check_refused(short_mac, "malformed MAC", 28);
    }
}
