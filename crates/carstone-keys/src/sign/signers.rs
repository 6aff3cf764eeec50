//! Whose signatures count: `ssh-keygen(1)`, section *ALLOWED SIGNERS*.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;

use super::pattern::matches_list;
use super::wire::Fields;
use super::{Error, ErrorKind, NAMESPACE, Signature, when};
use crate::MAX_LEN;

/// A list of keys, and of what for and how long each counts.
#[derive(Clone, Debug)]
pub struct Signers {
    name: PathBuf,
    lines: Vec<Line>,
}

/// A line that lets a signature count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    principals: String,
    line: u64,
}

impl Signer {
    /// Whose key it is, as the list has it: names or patterns, with commas between.
    #[must_use]
    pub fn principals(&self) -> &str {
        &self.principals
    }

    /// The line of the list, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }
}

/// A line of the list.
#[derive(Clone, Debug)]
struct Line {
    number: u64,
    principals: String,
    options: Options,
    /// In the encoding of RFC 4253.
    key: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Options {
    authority: bool,
    namespaces: Option<String>,
    /// Seconds since 1970; both moments count as within.
    after: Option<i64>,
    before: Option<i64>,
}

impl Signers {
    /// Reads a file of at most [`MAX_LEN`] bytes.
    ///
    /// # Errors
    /// [`Read`](ErrorKind::Read), and as [`parse`](Self::parse).
    pub fn read_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = File::open(path);
        let file =
            file.map_err(|error| Error::with_source(ErrorKind::Read, error).in_file(path))?;
        Self::read(file, path)
    }

    /// The same from any reader, which errors call `name`.
    ///
    /// # Errors
    /// As for [`read_file`](Self::read_file).
    pub fn read(reader: impl Read, name: impl AsRef<Path>) -> Result<Self, Error> {
        let name = name.as_ref();
        let mut bytes = Vec::new();
        let read = reader.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::with_source(ErrorKind::Read, error).in_file(name))?;
        Self::parse(&bytes, name)
    }

    /// The same from text. One bad line makes the list bad: it might be the one that says that a key does not count.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge), [`NoSigners`](ErrorKind::NoSigners), or with the line
    /// [`NotText`](ErrorKind::NotText), [`BadPrincipals`](ErrorKind::BadPrincipals), [`BadListedKey`](ErrorKind::BadListedKey),
    /// [`UnknownOption`](ErrorKind::UnknownOption), [`BadOption`](ErrorKind::BadOption), [`BadTime`](ErrorKind::BadTime).
    pub fn parse(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self, Error> {
        let name = name.as_ref();
        let lines = parse(bytes).map_err(|error| error.in_file(name))?;
        Ok(Self { name: name.to_owned(), lines })
    }

    /// How many keys are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Never: a list without a key is an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The first line that lets a signature by the key of `signature` count at this time, and for this principal if one is asked for. Whether the
    /// key did sign is for [`Signature::verify`] to say.
    ///
    /// # Errors
    /// [`NotListed`](ErrorKind::NotListed); else what keeps the first line with this key from counting:
    /// [`Authority`](ErrorKind::Authority), [`OtherPrincipal`](ErrorKind::OtherPrincipal),
    /// [`OtherNamespace`](ErrorKind::OtherNamespace), [`NotYetValid`](ErrorKind::NotYetValid), [`Expired`](ErrorKind::Expired).
    pub fn find(
        &self,
        signature: &Signature,
        principal: Option<&str>,
        at: SystemTime,
    ) -> Result<Signer, Error> {
        let seconds = seconds(at);
        let mut refused = None;
        for line in self.lines.iter().filter(|line| line.key == signature.key()) {
            match line.refuses(principal, seconds) {
                None => {
                    let principals = line.principals.clone();
                    return Ok(Signer { principals, line: line.number });
                }
                Some(kind) => {
                    let error = || Error::new(kind).in_file(&self.name).on_line(line.number);
                    refused.get_or_insert_with(error);
                }
            }
        }
        Err(refused.unwrap_or_else(|| {
            let fingerprint = signature.fingerprint();
            Error::new(ErrorKind::NotListed { fingerprint }).in_file(signature.name())
        }))
    }
}

impl Line {
    /// What keeps a signature by this key from counting.
    fn refuses(&self, principal: Option<&str>, at: i64) -> Option<ErrorKind> {
        let Options { authority, namespaces, after, before } = &self.options;
        if *authority {
            return Some(ErrorKind::Authority);
        }
        if let Some(principal) = principal
            && !matches_list(principal, &self.principals)
        {
            return Some(ErrorKind::OtherPrincipal(principal.to_owned()));
        }
        if namespaces.as_ref().is_some_and(|list| !matches_list(NAMESPACE, list)) {
            return Some(ErrorKind::OtherNamespace);
        }
        if after.is_some_and(|after| at < after) {
            return Some(ErrorKind::NotYetValid);
        }
        before.is_some_and(|before| at > before).then_some(ErrorKind::Expired)
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Line>, Error> {
    if bytes.len() > MAX_LEN {
        return Err(Error::new(ErrorKind::TooLarge { limit: MAX_LEN }));
    }
    let mut lines = Vec::new();
    for (number, line) in (1_u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        lines.push(one(number, line).map_err(|error| error.on_line(number))?);
    }
    match lines.is_empty() {
        true => Err(Error::new(ErrorKind::NoSigners)),
        false => Ok(lines),
    }
}

/// `principals [options] type base64 [comment]`
fn one(number: u64, line: &[u8]) -> Result<Line, Error> {
    let line = std::str::from_utf8(line).map_err(|_| Error::new(ErrorKind::NotText))?;
    let bad = || Error::new(ErrorKind::BadPrincipals);
    let (principals, rest) = match line.strip_prefix('"') {
        Some(line) => line.split_once('"').ok_or_else(bad)?,
        None => line.split_once(BLANK).unwrap_or((line, "")),
    };
    if principals.is_empty() {
        return Err(bad());
    }
    let mut rest = rest.trim_start_matches(BLANK);
    let mut options = Options::default();
    if !rest.is_empty() && !KEY_TYPES.contains(&first_word(rest).0) {
        let end = end_of_options(rest);
        let (text, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        options = Options::parse(text)?;
        rest = behind.trim_start_matches(BLANK);
    }
    let key = key(rest)?;
    Ok(Line { number, principals: principals.to_owned(), options, key })
}

/// `type base64`, both of the same type.
fn key(text: &str) -> Result<Vec<u8>, Error> {
    let bad = |why| Error::new(ErrorKind::BadListedKey(why));
    let (kind, rest) = first_word(text);
    if kind.is_empty() {
        return Err(bad("there is none"));
    }
    if !KEY_TYPES.contains(&kind) {
        return Err(bad("keys of its type are not known"));
    }
    let key = BASE64.decode(first_word(rest).0.as_bytes()).map_err(|_| bad("it is not base64"))?;
    match Fields::new(&key).string() {
        Ok(inside) if inside == kind.as_bytes() => Ok(key),
        _ => Err(bad("it is of another type than it says")),
    }
}

impl Options {
    /// `name[="value"]`, with commas between. Inside quotes `\"` is a quote.
    fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why| Error::new(ErrorKind::BadOption(why));
        let mut options = Self::default();
        let mut rest = text;
        loop {
            let end = rest.find(['=', ',']).unwrap_or(rest.len());
            let (name, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let (value, behind) = match behind.strip_prefix('=') {
                Some(behind) => {
                    let (value, behind) = quoted(behind)?;
                    (Some(value), behind)
                }
                None => (None, behind),
            };
            options.set(name, value)?;
            match behind.strip_prefix(',') {
                Some(next) => rest = next,
                None if behind.is_empty() => break,
                None => return Err(bad("something follows a closing quote")),
            }
        }
        match (options.after, options.before) {
            (Some(after), Some(before)) if after >= before => {
                Err(bad("valid-before is not behind valid-after"))
            }
            _ => Ok(options),
        }
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), Error> {
        let bad = |why| Error::new(ErrorKind::BadOption(why));
        let known = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        let is_again = match (known, value) {
            (Some(AUTHORITY), None) => std::mem::replace(&mut self.authority, true),
            (Some(AUTHORITY), Some(_)) => return Err(bad("cert-authority takes no value")),
            (Some(_), None) => return Err(bad("it needs a value")),
            (Some(NAMESPACES), Some(list)) => self.namespaces.replace(list).is_some(),
            // Of two moments that a clock shows alike, the one that allows less.
            (Some(AFTER), Some(time)) => self.after.replace(when::parse(&time, true)?).is_some(),
            (Some(BEFORE), Some(time)) => self.before.replace(when::parse(&time, false)?).is_some(),
            _ => return Err(Error::new(ErrorKind::UnknownOption(name.to_owned()))),
        };
        match is_again {
            true => Err(bad("it is given twice")),
            false => Ok(()),
        }
    }
}

/// The value in quotes at the front, and what follows it.
fn quoted(text: &str) -> Result<(String, &str), Error> {
    let bad = |why| Error::new(ErrorKind::BadOption(why));
    let inside = text.strip_prefix('"').ok_or_else(|| bad("a value stands in quotes"))?;
    let (mut value, mut rest) = (String::new(), inside);
    loop {
        let end = rest.find(['"', '\\']).ok_or_else(|| bad("a quote is not closed"))?;
        let (front, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        value.push_str(front);
        if let Some(behind) = behind.strip_prefix('"') {
            return Ok((value, behind));
        }
        // A backslash before anything else is itself.
        let (kept, behind) = match behind.strip_prefix("\\\"") {
            Some(behind) => ('"', behind),
            None => ('\\', behind.strip_prefix('\\').unwrap_or_default()),
        };
        value.push(kept);
        rest = behind;
    }
}

/// Where the first blank outside of quotes stands. A backslash before a quote takes its meaning, whatever stands before the backslash.
fn end_of_options(text: &str) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            ' ' | '\t' if !is_quoted => return at,
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = c == '\\';
    }
    text.len()
}

/// The first word, and what follows the blanks behind it.
fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(BLANK).unwrap_or((text, ""));
    (word, rest.trim_start_matches(BLANK))
}

/// Seconds since 1970, rounded down.
fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let whole = before.duration().as_secs().saturating_add(1);
            i64::try_from(whole).map_or(i64::MIN, |whole| -whole)
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];
const AUTHORITY: &str = "cert-authority";
const NAMESPACES: &str = "namespaces";
const AFTER: &str = "valid-after";
const BEFORE: &str = "valid-before";
const NAMES: [&str; 4] = [AUTHORITY, NAMESPACES, AFTER, BEFORE];

/// Types that may be listed. Those that [`Signature`] does not know never match one.
const KEY_TYPES: [&str; 15] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
];
