//! Tests of the header's strictness: every way to write it that is not the canonical one.

use super::*;
use crate::hash::cid_of;

fn decode(body: &[u8]) -> Result<Header> {
    Header::decode(body, &Limits::default())
}

#[track_caller]
fn refused(body: &[u8], expected: &str) {
    let error = decode(body).expect_err("an invalid header was accepted");
    assert_eq!(error.to_string(), format!("{expected} at byte 0"));
}

#[track_caller]
fn bad(body: &[u8], expected: &str) {
    refused(body, &format!("invalid CAR header: {expected}"));
}

fn link(cid: &[u8]) -> Vec<u8> {
    let mut out = vec![0xd8, 42];
    push_head(&mut out, BYTES, cid.len() as u64 + 1);
    out.push(0);
    out.extend_from_slice(cid);
    out
}

#[test]
fn any_number_of_roots_survives_a_round_trip() {
    for count in [0, 1, 2, 3, 23, 24, 255, 256, 65_535, 65_536] {
        let roots: Vec<Cid> = (0..count as u32).map(|n| cid_of(0x55, &n.to_le_bytes())).collect();
        let header = Header { roots };
        let bytes = header.encode();
        assert_eq!(bytes.len(), header.encoded_len(), "{count} roots");
        let varint::Varint::Value(len, at) = varint::decode(&bytes) else { panic!("no length") };
        assert_eq!(len as usize, bytes.len() - at);
        assert_eq!(decode(&bytes[at..]).expect("own header"), header);
    }
}

#[test]
fn lengths_are_those_of_the_specification() {
    let root = cid_of(0x55, b"x");
    for (count, len) in [(0, 18), (1, 59), (2, 100), (3, 142)] {
        let header = Header { roots: vec![root; count] };
        assert_eq!(header.encoded_len(), len);
    }
}

#[test]
fn keys_may_stand_in_either_order() {
    let swapped = b"\xa2\x67version\x01\x65roots\x80";
    assert_eq!(decode(swapped).expect("swapped"), Header::default());
}

#[test]
fn other_versions_are_named() {
    refused(b"\xa1\x67version\x02", "CARv2, where CARv1 is expected");
    refused(b"\xa1\x67version\x03", "CAR version 3 is not supported");
    refused(b"\xa2\x65roots\x80\x67version\x00", "CAR version 0 is not supported");
}

#[test]
fn other_shapes_are_refused() {
    bad(b"", "its map is cut short");
    bad(b"\x80", "it is not a map");
    bad(b"\xa0", "it has no version");
    bad(b"\xa1\x67version\x01", "it has no roots");
    bad(b"\xa1\x65roots\x80", "it has no version");
    bad(b"\xa2\x65roots\x80\x67version\x61\x31", "its version is not a positive integer");
    bad(b"\xa2\x65roots\x80\x67version\x20", "its version is not a positive integer");
    bad(b"\xa2\x65roots\xf6\x67version\x01", "its roots are not an array");
    bad(
        b"\xa3\x65roots\x80\x65extra\x00\x67version\x01",
        "it has a key that is neither roots nor version",
    );
    bad(b"\xa3\x65roots\x80\x65roots\x80\x67version\x01", "it has a key twice");
    bad(b"\xa2\x67version\x01\x67version\x01", "it has a key twice");
    bad(b"\xa1\x45roots\x80", "a key is not a string");
    bad(b"\xa2\x65roots\x80\x67version\x01\x00", "there are bytes behind its map");
}

#[test]
fn padded_and_indefinite_forms_are_refused() {
    let long = "an integer or length is not in its shortest form";
    bad(b"\xb8\x02\x65roots\x80\x67version\x01", long);
    bad(b"\xa2\x78\x05roots\x80\x67version\x01", long);
    bad(b"\xa2\x65roots\x80\x67version\x18\x01", long);
    bad(b"\xa2\x65roots\x99\x00\x00\x67version\x01", long);
    let endless = "it has an item of indefinite length";
    bad(b"\xbf\x65roots\x80\x67version\x01\xff", endless);
    bad(b"\xa2\x65roots\x9f\xff\x67version\x01", endless);
    bad(b"\xa2\x7f\x65roots\xff\x80\x67version\x01", endless);
}

#[test]
fn roots_must_be_links_to_whole_cids() {
    let with = |root: &[u8]| [b"\xa2\x65roots\x81", root, b"\x67version\x01"].concat();
    assert!(decode(&with(&link(&[1, 0x55, 0, 0]))).is_ok());
    bad(&with(&[1]), "a root is not a link");
    bad(&with(&[0xd8, 43, 0x40]), "a root is not a link");
    bad(&with(&[0xd8, 42, 0x60]), "a root is not a link");
    bad(&with(&[0xd8, 42, 0x40]), "a root does not start with the byte zero");
    bad(&with(&[0xd8, 42, 0x44, 1, 0x55, 0, 0]), "a root does not start with the byte zero");
    bad(&with(&link(&[1, 0x55, 0, 0, 9])), "a root has bytes behind its CID");
    bad(&with(&link(&[1, 0x55, 0, 2, 9])), "the CID of a root is cut short");
    refused(&with(&link(&[3, 0x55, 0, 0])), "invalid CID: its version is not 0 or 1");
}

#[test]
fn a_huge_count_of_roots_allocates_nothing() {
    bad(b"\xa2\x65roots\x9a\x00\x0f\xff\xff", "its map is cut short");
    refused(
        b"\xa2\x65roots\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        "18446744073709551615 roots or more, over the limit of 1048576",
    );
}

#[test]
fn every_cut_of_a_header_is_refused() {
    let header = Header { roots: vec![cid_of(0x55, b"x"); 2] };
    let bytes = header.encode();
    for len in 0..bytes.len() - 1 {
        assert!(decode(&bytes[1..][..len]).is_err(), "{len} bytes");
    }
}
