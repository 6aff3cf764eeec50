//! The published test vectors of the age format (C2SP CCTV), run through the opening function.
//!
//! Their payloads are not content keys, so they are opened below the check for one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write as _};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};
use crate::header::Header;
use crate::identities::Identities;
use crate::identity::Identity;
use crate::locked::without_armor;

#[test]
fn published_vectors_come_out_as_expected() {
    let Some(vectors) = all() else { return };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut hybrids = 0;
    for (name, vector) in vectors {
        vector.check(&name);
        let hybrid = vector.identities.iter().any(|text| text.starts_with("AGE-SECRET-KEY-PQ-1"));
        hybrids += usize::from(hybrid);
        *seen.entry(vector.expect).or_default() += 1;
    }
    let all = seen.values().sum::<usize>();
    let refused = all - seen.get("success").copied().unwrap_or_default();
    tell(&format!(
        "vectors of age: {all} run, {refused} of them refused, none skipped: {seen:?}; {hybrids} are post-quantum"
    ));
    assert!(all >= 143, "too few vectors were checked");
    assert!(hybrids >= 19, "post-quantum vectors are missing");
    assert!(seen.len() >= 6, "a class of vectors is missing");
}

/// What the age library alone makes of the vectors, without the checks in front of it. A change here means that a
/// note in the documentation of this crate has to change, too.
#[test]
fn age_library_alone_takes_what_the_vectors_refuse() {
    let Some(vectors) = all() else { return };
    let mut odd = Vec::new();
    for (name, vector) in vectors {
        // Armor is taken off before the library sees anything.
        if vector.armored {
            continue;
        }
        if vector.open_with_age_alone() != (vector.expect == "success") {
            odd.push(name);
        }
    }
    odd.sort();
    tell(&format!("vectors that the age library alone sees otherwise: {odd:?}"));
    assert_eq!(odd, ["stanza_missing_body", "stanza_missing_final_line"]);
}

/// Straight to standard error, so that the numbers are seen when the test passes too.
fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").expect("standard error");
}

/// All vectors with their names, or `None` with a word about it where there are none.
fn all() -> Option<Vec<(String, Vector)>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/age"));
    let Ok(listing) = fs::read_dir(folder) else {
        tell(&format!("skipped: no test vectors at {}", folder.display()));
        return None;
    };
    let vectors = listing.map(|entry| {
        let path = entry.expect("a folder entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, Vector::parse(&fs::read(&path).expect("a readable vector")))
    });
    Some(vectors.collect())
}

#[derive(Default)]
struct Vector {
    expect: String,
    payload_sha256: Option<String>,
    identities: Vec<String>,
    passphrases: Vec<String>,
    armored: bool,
    sealed: Vec<u8>,
}

impl Vector {
    fn parse(file: &[u8]) -> Self {
        let end = file.windows(2).position(|pair| pair == b"\n\n").expect("a blank line");
        let text = std::str::from_utf8(&file[..end]).expect("text above the blank line");
        let mut vector = Self { sealed: file[end + 2..].to_vec(), ..Self::default() };
        for line in text.lines() {
            let (key, value) = line.split_once(": ").expect("a key and a value");
            match key {
                "expect" => vector.expect = value.to_owned(),
                "payload" => vector.payload_sha256 = Some(value.to_owned()),
                "identity" => vector.identities.push(value.to_owned()),
                "passphrase" => vector.passphrases.push(value.to_owned()),
                "armored" => vector.armored = value == "yes",
                "compressed" => {
                    vector.sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&vector.sealed)
                        .expect("a zlib stream");
                }
                "file key" | "comment" => {}
                other => panic!("unknown line {other}"),
            }
        }
        vector
    }

    fn open(&self) -> Result<Vec<u8>, Error> {
        let mut identities = Identities::new();
        for text in &self.identities {
            identities.add(text).expect("the vectors hold valid identities");
        }
        for text in &self.passphrases {
            identities.passphrase(text.as_str().into());
        }
        let bytes =
            if self.armored { without_armor(&self.sealed)? } else { Cow::Borrowed(&*self.sealed) };
        let header = Header::parse(&bytes)?;
        identities.open_bytes(&bytes, &header, LIMIT).map(|plain| plain.to_vec())
    }

    fn open_with_age_alone(&self) -> bool {
        let Ok(decryptor) = age::Decryptor::new(&*self.sealed) else { return false };
        let mut keys: Vec<Box<dyn age::Identity>> = Vec::new();
        for text in &self.identities {
            keys.push(Identity::parse(text).expect("valid identities").into_age());
        }
        for text in &self.passphrases {
            let mut key = age::scrypt::Identity::new(text.as_str().into());
            key.set_max_work_factor(22);
            keys.push(Box::new(key));
        }
        let opened = decryptor.decrypt(keys.iter().map(|key| &**key));
        opened.is_ok_and(|mut reader| reader.read_to_end(&mut Vec::new()).is_ok())
    }

    fn check(&self, name: &str) {
        match self.open() {
            Ok(plain) => {
                assert_eq!(self.expect, "success", "{name}");
                let digest: String =
                    Sha256::digest(&plain).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(Some(digest), self.payload_sha256, "{name}");
            }
            Err(error) => {
                let kind = error.kind();
                let fits = match self.expect.as_str() {
                    "armor failure" => {
                        matches!(kind, ErrorKind::BadIdentity(_) | ErrorKind::NotAnEnvelope(_))
                    }
                    "header failure" => matches!(
                        kind,
                        ErrorKind::NotAnEnvelope(_) | ErrorKind::ExcessiveWork { .. }
                    ),
                    "HMAC failure" => *kind == ErrorKind::Damaged,
                    // Too short a payload is seen before any key is tried.
                    "payload failure" => {
                        matches!(kind, ErrorKind::Damaged | ErrorKind::NotAnEnvelope(_))
                    }
                    "no match" => {
                        matches!(kind, ErrorKind::NoMatchingKey { .. } | ErrorKind::WrongPassphrase)
                    }
                    _ => false,
                };
                assert!(fits, "{name}: {} came out as: {error}", self.expect);
            }
        }
    }
}

/// The longest payload among the vectors is a little over 16 MiB.
const LIMIT: usize = 32 << 20;
