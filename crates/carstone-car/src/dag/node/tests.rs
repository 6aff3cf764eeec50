//! Nodes of each codec, sound and malformed.

use super::*;
use crate::codec::{DAG_CBOR, DAG_JSON, DAG_PB, RAW};
use crate::{cid_of, hash_code, multihash_of};

/// A CID of few bytes.
fn inline(data: &[u8]) -> Cid {
    Cid::new_v1(RAW, multihash_of(hash_code::IDENTITY, data).expect("short"))
}

/// The links of a node, or what is wrong with it.
fn found(codec: u64, data: &[u8]) -> String {
    found_within(codec, data, &NodeLimits::default())
}

fn found_within(codec: u64, data: &[u8], limits: &NodeLimits) -> String {
    match links(&Cid::new_v1(codec, *inline(b"").hash()), data, limits) {
        Ok(links) => {
            let links = links.iter().map(|cid| String::from_utf8_lossy(cid.hash().digest()));
            links.collect::<Vec<_>>().join(" ")
        }
        Err(error) => {
            let text = error.to_string();
            text.split(" of ba").next().unwrap_or_default().to_owned()
        }
    }
}

#[track_caller]
fn check(codec: u64, data: &[u8], expected: &str) {
    assert_eq!(found(codec, data), expected, "{data:02x?}");
    // A node that is cut short is never mistaken for a whole one, but for what has no end of its own.
    for len in 0..data.len() {
        found(codec, &data[..len]);
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or_default(), 16);
    digits.chunks(2).map(|digits| pair(digits).expect("two digits")).collect()
}

#[track_caller]
fn cbor(hex: &str, expected: &str) {
    check(DAG_CBOR, &bytes(hex), expected);
}

#[track_caller]
fn pb(hex: &str, expected: &str) {
    check(DAG_PB, &bytes(hex), expected);
}

#[track_caller]
fn json(text: &str, expected: &str) {
    check(DAG_JSON, text.as_bytes(), expected);
}

/// Tag 42 with the identity CID of `a`.
const LINK_A: &str = "d82a46 00 0155000161";

#[test]
fn cbor_links_are_found_wherever_they_stand() {
    cbor(LINK_A, "a");
    cbor(&format!("82 {LINK_A} a1 6178 81 d82a46 00 0155000162"), "a b");
    cbor("a0", "");
    cbor("80", "");
    cbor("f6", "");
    cbor("1bffffffffffffffff", "");
    cbor("3bffffffffffffffff", "");
    cbor("83 f4 f5 fb3ff8000000000000", "");
    cbor("82 f93800 fa3f000000", ""); // Floats of other widths are in blocks of others.
    cbor("61ff", ""); // So is text that is not UTF-8.
    cbor("a2 6162 01 6161 02", ""); // And keys that are not sorted.
}

#[test]
fn cbor_that_is_not_strict_is_refused() {
    cbor("", "invalid dag-cbor: the block ends inside of a value at byte 0");
    cbor("0000", "invalid dag-cbor: bytes follow the value at byte 1");
    cbor("1817", "invalid dag-cbor: a number or length is not in its shortest form at byte 0");
    cbor("1900ff", "invalid dag-cbor: a number or length is not in its shortest form at byte 0");
    cbor("5800", "invalid dag-cbor: a number or length is not in its shortest form at byte 0");
    cbor("9fff", "invalid dag-cbor: there is an indefinite length at byte 0");
    cbor("bfff", "invalid dag-cbor: there is an indefinite length at byte 0");
    cbor("5f4100ff", "invalid dag-cbor: there is an indefinite length at byte 0");
    cbor("7fff", "invalid dag-cbor: there is an indefinite length at byte 0");
    cbor("1c", "invalid dag-cbor: there is an unassigned length at byte 0");
    cbor("81ff", "invalid dag-cbor: there is a break without an indefinite length at byte 1");
    cbor("f7", "invalid dag-cbor: a simple value is not false, true or null at byte 0");
    cbor("e0", "invalid dag-cbor: a simple value is not false, true or null at byte 0");
    cbor("f814", "invalid dag-cbor: a simple value is not false, true or null at byte 0");
    for float in ["f97e00", "f97c00", "fa7f800000", "faff800000", "fb7ff8000000000000"] {
        cbor(float, "invalid dag-cbor: a float is not a finite number at byte 0");
    }
    cbor("a1 01 02", "invalid dag-cbor: a key is not text at byte 1");
    cbor("a3 636261720363666f6f0163666f6f02", "invalid dag-cbor: a map has a key twice at byte 16");
    cbor("a3 6162 01 6161 02 6162 03", "invalid dag-cbor: a map has a key twice at byte 10");
}

#[test]
fn cbor_links_that_are_none_are_refused() {
    cbor("c100", "invalid dag-cbor: a tag is not that of links at byte 0");
    cbor("d82b4100", "invalid dag-cbor: a tag is not that of links at byte 0");
    cbor(
        "d9002a4100",
        "invalid dag-cbor: a number or length is not in its shortest form at byte 0",
    );
    cbor("d82a6161", "invalid dag-cbor: a link is not a byte string at byte 2");
    cbor("d82a40", "invalid dag-cbor: a link does not start with the byte zero at byte 2");
    cbor(
        "d82a450155000161",
        "invalid dag-cbor: a link does not start with the byte zero at byte 2",
    );
    cbor("d82a4100", "invalid dag-cbor: the CID of a link is cut short at byte 4");
    cbor("d82a4700015500016100", "invalid dag-cbor: bytes follow the CID of a link at byte 4");
    cbor("d82a46000255000161", "invalid dag-cbor: a link has no valid CID at byte 4");
    let long = format!("d82a5846 00 01550041 {}", "00".repeat(65));
    cbor(&long, "invalid dag-cbor: a link has a digest of more than 64 bytes at byte 5");
}

#[test]
fn cbor_lengths_are_checked_before_anything_is_kept() {
    cbor(
        "9bffffffffffffffff",
        "invalid dag-cbor: a map or list has more values than there are bytes at byte 0",
    );
    cbor(
        "bb7fffffffffffffff",
        "invalid dag-cbor: a map or list has more values than there are bytes at byte 0",
    );
    cbor("82 00", "invalid dag-cbor: a map or list has more values than there are bytes at byte 0");
    cbor("a1 6161", "invalid dag-cbor: the block ends inside of a value at byte 3");
    cbor("5bffffffffffffffff", "invalid dag-cbor: the block ends inside of a value at byte 0");
}

#[test]
fn nesting_links_and_values_have_budgets() {
    let limits = NodeLimits::default().nesting(3).links(2).values(20);
    let within = |codec, data: &[u8]| found_within(codec, data, &limits);
    assert_eq!(within(DAG_CBOR, &bytes("818180")), "");
    let deep = "more than 3 values inside of each other at byte 3";
    assert_eq!(within(DAG_CBOR, &bytes("81818180")), deep);
    assert_eq!(within(DAG_JSON, b"[[[[]]]]"), deep);
    let links = format!("83{LINK_A}{LINK_A}{LINK_A}");
    assert_eq!(within(DAG_CBOR, &bytes(&links)), "more than 2 links in a block at byte 19");
    let zeros = format!("96{}", "00".repeat(22));
    assert_eq!(within(DAG_CBOR, &bytes(&zeros)), "more than 20 values in a block at byte 20");
    let nested = vec![0x81; 1 << 20];
    let deep = "more than 1024 values inside of each other at byte 1024";
    assert_eq!(found(DAG_CBOR, &nested), deep);
    assert_eq!(found(DAG_JSON, &vec![b'['; 1 << 20]), deep);
}

#[test]
fn pb_links_are_found_on_either_side_of_the_data() {
    pb("", "");
    pb("0a00", "");
    pb("1207 0a050155000161 1209 0a050155000162 1200 0a0161", "a b");
    pb("0a0161 1207 0a050155000161", "a");
    pb("120c 0a050155000161 120161 1805", "a");
    pb("1209 0a050155000161 1805", "a");
    pb("1209 0a050155000161 1200", "a");
}

#[test]
fn pb_that_is_not_strict_is_refused() {
    // The cases that the fixtures of other implementations have.
    for none in [
        "1200",
        "12000a050001020304",
        "12021200",
        "120b1209736f6d65206e616d65",
        "12021800",
        "120318f207",
    ] {
        assert!(
            found(DAG_PB, &bytes(none)).starts_with("invalid dag-pb: a link has no CID at byte ")
        );
    }
    pb("12020a00", "invalid dag-pb: the CID of a link is cut short at byte 4");
    pb(
        "1207 0a050155000161 0a040802 1806 1207 0a050155000161",
        "invalid dag-pb: links stand on both sides of the data at byte 17",
    );
    pb("0a00 0a00", "invalid dag-pb: there are two pieces of data at byte 4");
    pb("1a00", "invalid dag-pb: a node has an unknown field at byte 2");
    pb("0801", "invalid dag-pb: a node has an unknown field at byte 1");
    pb("0d00000000", "invalid dag-pb: a field is of a kind that dag-pb does not have at byte 0");
    pb("1209 0a050155000161 2000", "invalid dag-pb: a link has an unknown field at byte 10");
    let order = "invalid dag-pb: fields of a link are repeated or out of order at byte 11";
    pb("120b 0a050155000161 1800 1200", &order.replace("11", "13"));
    pb("120e 0a050155000161 0a050155000161", order);
    pb("0a05 61", "invalid dag-pb: a field is longer than what it stands in at byte 2");
    pb("0affffffffffffffffffff01", "invalid dag-pb: a varint has more than 64 bits at byte 11");
    pb("0affffffffffffffffff7f", "invalid dag-pb: a varint has more than 64 bits at byte 11");
    pb("1205 0a0161", "invalid dag-pb: a field is longer than what it stands in at byte 2");
}

/// The text of the identity CID of `a`, and of `b`.
const A: &str = "bafkqaalb";
const B: &str = "bafkqaalc";

#[test]
fn json_links_and_bytes_are_told_from_maps() {
    json(&format!(r#"{{"/":"{A}"}}"#), "a");
    json(&format!(r#" {{ "/" : "{A}" }} "#), "a");
    json(&format!(r#"[{{"/":"{A}"}},{{"x":[{{"\/":"{B}"}}]}}]"#), "a b");
    json(r#"{"/":{"bytes":"aGk"}}"#, "");
    json(&format!(r#"{{"/":{{"/":"{A}"}}}}"#), "a");
    json(&format!(r#"{{"/":{{"byte":{{"/":"{A}"}}}},"x":1}}"#), "a");
    json(&format!(r#"{{"a":1,"/":"{A}"}}"#), "");
    json(r#"{"/":1}"#, "");
    json(r#"{"/":{"bytes":1}}"#, "");
    json(r#"[0,-1,1.5,1e9,-0.5E-3,true,false,null,"\u00e9\ud83d\ude00\n",[],{}]"#, "");
    let v0 = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    let node = format!(r#"{{"/":"{v0}"}}"#);
    let cid = cid_of(DAG_JSON, node.as_bytes());
    let found = links(&cid, node.as_bytes(), &NodeLimits::default()).expect("a link");
    assert_eq!(found[0].to_string(), v0);
}

#[test]
fn json_that_is_not_strict_is_refused() {
    json("", "invalid dag-json: the text ends where a value should be at byte 0");
    json("[1", "invalid dag-json: a map or list does not go on with a comma at byte 2");
    json("[1 2]", "invalid dag-json: a map or list does not go on with a comma at byte 3");
    json("[1,]", "invalid dag-json: this is no value at byte 3");
    json("[,1]", "invalid dag-json: this is no value at byte 1");
    json("1 1", "invalid dag-json: text follows the value at byte 2");
    json("{1:2}", "invalid dag-json: a key is not a string at byte 1");
    json(r#"{"a" 1}"#, "invalid dag-json: there is no colon behind a key at byte 5");
    json(r#"{"a":1,}"#, "invalid dag-json: a key is not a string at byte 7");
    json(r#"{"foo":1,"foo":2,"bar":3}"#, "invalid dag-json: a map has a key twice at byte 24");
    json("[1}", "invalid dag-json: a map or list does not go on with a comma at byte 2");
    for number in ["01", "-", "1.", ".5", "1e", "+1", "0x1", "NaN", "-Infinity", "tru"] {
        assert!(found(DAG_JSON, number.as_bytes()).starts_with("invalid dag-json"), "{number}");
    }
    json("\"a", "invalid dag-json: the text ends inside of a string at byte 1");
    json("\"\n\"", "invalid dag-json: a string has a control character at byte 1");
    json(r#""\x""#, "invalid dag-json: a string has an unknown escape at byte 2");
    json(r#""\u12g4""#, "invalid dag-json: a string has an unknown escape at byte 2");
    json(r#""\ud800""#, "invalid dag-json: a string has half of a character at byte 2");
    json(r#""\ud800\u0041""#, "invalid dag-json: a string has half of a character at byte 2");
    json(r#""\udc00""#, "invalid dag-json: a string has half of a character at byte 2");
    check(DAG_JSON, b"\"a\xff\"", "invalid dag-json: the text is not UTF-8 at byte 2");
}

#[test]
fn json_links_that_are_none_are_refused() {
    let no_cid = "invalid dag-json: a link is not the text of a CID at byte 6";
    for text in ["", "x", "bafkqaal", "/ipfs/bafkqaalb", "QmbFMke1", "ciqaaaa", "b"] {
        let found = found(DAG_JSON, format!(r#"{{"/":"{text}"}}"#).as_bytes());
        assert!(found.starts_with("invalid dag-json: "), "{text}: {found}");
    }
    json(r#"{"/":"/ipfs/bafkqaalb"}"#, no_cid);
    // The bytes of a CIDv0 in base 32.
    let hash = cid_of(RAW, b"x").hash().to_bytes();
    let text = cid::multibase::encode(cid::multibase::Base::Base32Lower, &hash);
    json(&format!(r#"{{"/":"{text}"}}"#), no_cid);
    let more = "invalid dag-json: a map of a link or of bytes has something else in it at byte ";
    json(&format!(r#"{{"/":"{A}","x":1}}"#), &format!("{more}16"));
    json(r#"{"/":{"bytes":"aGk","x":1}}"#, &format!("{more}19"));
    json(r#"{"/":{"bytes":"aGk"},"x":1}"#, &format!("{more}20"));
    json(r#"{"/":{"bytes":"aGk="}}"#, "invalid dag-json: bytes are not in base64 at byte 15");
    json(r#"{"/":{"bytes":"aGkaG"}}"#, "invalid dag-json: bytes are not in base64 at byte 15");
    let long = "1".repeat(5000);
    json(
        &format!(r#"{{"/":"z{long}"}}"#),
        "invalid dag-json: the CID of a link is too long at byte 6",
    );
}

#[test]
fn raw_and_plain_blocks_have_no_links_and_others_are_not_guessed_at() {
    let link = bytes(LINK_A);
    for codec in [RAW, CBOR, JSON] {
        assert_eq!((found(codec, &link), can_have_links(codec)), (String::new(), Some(false)));
        assert_eq!(found(codec, b"\xff\xff"), "");
    }
    assert_eq!(found(0x72, &link), "the links of codec 0x72 are not known");
    assert_eq!(can_have_links(0x72), None);
}

#[test]
fn nodes_are_seen_as_the_data_model_has_them() {
    let steps = |codec, data: &[u8]| {
        let mut steps = Vec::new();
        scan(codec, data, &NodeLimits::default(), &mut |event, _| {
            steps.push(match event {
                Event::Key(key) => String::from_utf8_lossy(&key).into_owned(),
                Event::Link(_) => "link".into(),
                Event::Text(text) => format!("'{}'", String::from_utf8_lossy(&text)),
                event => format!("{event:?}"),
            });
            Ok(())
        })
        .expect("sound");
        steps.join(" ")
    };
    let node = bytes("120c 0a050155000161 120162 1805 0a0161");
    let expected = "Map Links List Map Hash link Name 'b' Tsize Int(5) End End Data Other End";
    assert_eq!(steps(DAG_PB, &node), expected);
    assert_eq!(steps(DAG_PB, &bytes("0a0161")), "Map Data Other Links List End End");
    assert_eq!(steps(DAG_PB, b""), "Map Links List End End");
    assert_eq!(steps(DAG_CBOR, &bytes("a1 6161 82 20 6162")), "Map a List Int(-1) 'b' End End");
    assert_eq!(steps(DAG_JSON, br#"{"a":[-1,"b",1.5]}"#), "Map a List Int(-1) 'b' Other End End");
}
