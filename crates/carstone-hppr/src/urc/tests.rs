//! All rows of the tables, faults at their places, and laws.

use proptest::prelude::*;

use super::*;
use crate::error::Result;

const T: &str = "1640995200:000000000";
const V: &str = "V.XByqOYOgkMa025T8xwufzaAjCN5L61wECRPZKSo~eB0.H3";
const P: &str = "P.VoNhMPxyBAekvVD2IqKjAhrkK1EtlB~BbCcL0Tnw4wp.H3";
const S: &str = "S.7NTEdlrOkMFBlBzHlFGSdDwsLVTyynKdbKdlR07OtVK.H3";
const B: &str = "B.svyLzSM7ffc91i~XDbkMnuOsdjsw_6GrXpTSckqHlpO.H3";

fn parts() -> (Tai, VerifyingKey, PacketHash, PacketHash) {
    let hash = |text: &str| PacketHash::parse(text.as_bytes()).expect(text);
    let key = VerifyingKey::parse(V.as_bytes()).expect(V);
    (T.parse().expect(T), key, hash(P), hash(S))
}

fn selectors() -> [(String, Selector); 8] {
    let (tai, key, plex, seal) = parts();
    [
        (String::new(), Selector::Tip),
        ("/|/plex".to_owned(), Selector::PlexTip),
        (format!("/|/plex/{T}"), Selector::PlexTipAt(tai)),
        (format!("/|/plex/{T}/{P}"), Selector::Plex(tai, plex)),
        ("/|/seal".to_owned(), Selector::SealTip),
        (format!("/|/seal/{V}"), Selector::SealTipOf(key)),
        (format!("/|/seal/{V}/{T}"), Selector::SealTipAt(key, tai)),
        (format!("/|/seal/{V}/{T}/{S}"), Selector::Seal(key, tai, seal)),
    ]
}

fn listings() -> [(String, Listing); 7] {
    let (tai, key, ..) = parts();
    [
        ("/".to_owned(), Listing::Children),
        ("/|/".to_owned(), Listing::Types),
        ("/|/plex/".to_owned(), Listing::PlexTimes),
        (format!("/|/plex/{T}/"), Listing::PlexHashes(tai)),
        ("/|/seal/".to_owned(), Listing::SealKeys),
        (format!("/|/seal/{V}/"), Listing::SealTimes(key)),
        (format!("/|/seal/{V}/{T}/"), Listing::SealHashes(key, tai)),
    ]
}

#[track_caller]
fn refused(text: &str, kind: ErrorKind, at: usize) {
    let error = Urc::parse(text.as_bytes()).expect_err(text);
    assert_eq!(error, Error::new(kind).at(at as u64), "{text}");
}

#[track_caller]
fn no_list(text: &str, kind: ErrorKind, at: usize) {
    let error = ListPath::parse(text.as_bytes()).expect_err(text);
    assert_eq!(error, Error::new(kind).at(at as u64), "{text}");
}

#[test]
fn every_selector() {
    for location in ["loc", "café/日本#1/x"] {
        let coordinate = Coordinate::new("g", "a", location).expect(location);
        for (text, selector) in selectors() {
            let urc = Urc::Coordinate { coordinate: coordinate.clone(), selector };
            let text = format!("//g/a/{location}{text}");
            assert_eq!(urc.to_string(), text);
            assert_eq!(text.parse(), Ok(urc.clone()));
            // One slash more is passed over.
            assert_eq!(format!("{text}/").parse(), Ok(urc));
        }
        for end in ["/|", "/|/"] {
            let urc = Urc::Coordinate { coordinate: coordinate.clone(), selector: Selector::Tip };
            assert_eq!(format!("//g/a/{location}{end}").parse(), Ok(urc));
        }
    }
}

#[test]
fn every_list() {
    let name = |name: &str| Name::new(name).expect(name);
    for (text, list) in [
        ("//", ListPath::Groups),
        ("//g/", ListPath::Apps(name("g"))),
        ("//g/a/", ListPath::Segments(name("g"), name("a"))),
    ] {
        assert_eq!(list.to_string(), text);
        assert_eq!(text.parse(), Ok(list));
    }
    for location in ["loc", "café/日本#1/x"] {
        let coordinate = Coordinate::new("g", "a", location).expect(location);
        for (text, listing) in listings() {
            let list = ListPath::At(coordinate.clone(), listing);
            let text = format!("//g/a/{location}{text}");
            assert_eq!(list.to_string(), text);
            assert_eq!(text.parse(), Ok(list));
        }
    }
}

#[test]
fn hashes_come_before_coordinates() {
    for hash in [B, P, S] {
        let text = format!("////{hash}");
        let urc: Urc = text.parse().expect(hash);
        assert_eq!(urc, Urc::Hash(hash.parse().expect(hash)));
        assert_eq!(urc.to_string(), text);
    }
    refused(&format!("////{V}"), ErrorKind::BadType, 4);
    refused(&format!("////{B}/"), ErrorKind::BadLength, 4 + 49);
    refused("////0.H3", ErrorKind::BadLength, 4 + 4);
    refused("////", ErrorKind::BadLength, 4);
}

#[test]
fn what_does_not_begin_with_two_slashes() {
    refused("", ErrorKind::NoAddress, 0);
    refused("/", ErrorKind::NoAddress, 1);
    refused("/g/a/l", ErrorKind::NoAddress, 1);
    refused("g/a/l", ErrorKind::NoAddress, 0);
    no_list("/", ErrorKind::NoAddress, 1);
}

#[test]
fn what_ends_before_its_location() {
    for text in ["//g", "//g/", "//g/a", "//"] {
        let parts = text.matches('/').count();
        assert!(parts <= 3);
        refused(text, ErrorKind::MissingPart, text.len());
    }
    refused("//g/a/", ErrorKind::EmptyValue, 6);
    refused("//g/a/|/plex", ErrorKind::EmptyValue, 6);
    refused("//g//l", ErrorKind::EmptyValue, 4);
    refused("///a/l", ErrorKind::EmptyValue, 2);
}

#[test]
fn views_are_for_clients() {
    refused("//g/a/l{view}", ErrorKind::ViewSuffix, 7);
    refused("//g/a/l/|/plex{a}{b}", ErrorKind::ViewSuffix, 17);
    refused(&format!("////{B}{{v}}"), ErrorKind::ViewSuffix, 52);
    refused("//g/a/l{view", ErrorKind::ForbiddenCharacter, 7);
    no_list("//g/a/l/{x}", ErrorKind::ViewSuffix, 8);
}

#[test]
fn coordinates_keep_their_rules() {
    refused("//g/a/l//m", ErrorKind::EmptySegment, 8);
    refused("//g/a/l//", ErrorKind::EmptySegment, 8);
    refused("//g/a/l/../m", ErrorKind::DotName, 8);
    refused("//g#/a/l", ErrorKind::ForbiddenCharacter, 3);
    refused("//g/a/l|m", ErrorKind::ForbiddenCharacter, 7);
    refused("//g/a/e\u{301}", ErrorKind::NotNfc, 6);
    refused("//g/a/l\n", ErrorKind::ControlByte, 7);
    let error = Urc::parse(b"//g/a/\xff").expect_err("it is no text");
    assert_eq!(error, Error::new(ErrorKind::NotUtf8).at(6));
}

#[test]
fn selectors_that_are_none() {
    refused("//g/a/l/|//", ErrorKind::BadSelector, 10);
    refused("//g/a/l/|/blob", ErrorKind::BadSelector, 10);
    refused("//g/a/l/|/Plex", ErrorKind::BadSelector, 10);
    refused("//g/a/l/|/plex/x", ErrorKind::BadTime, 15);
    refused("//g/a/l/|/plex//", ErrorKind::BadTime, 15);
    refused("//g/a/l/|/plex/tip", ErrorKind::BadTime, 15);
    refused(&format!("//g/a/l/|/plex/{T}/{S}"), ErrorKind::BadType, 36);
    refused(&format!("//g/a/l/|/plex/{T}/{P}/x"), ErrorKind::BadSelector, 85);
    refused(&format!("//g/a/l/|/seal/{T}"), ErrorKind::BadLength, 15 + 20);
    refused(&format!("//g/a/l/|/seal/{P}"), ErrorKind::BadType, 15);
    refused(&format!("//g/a/l/|/seal/{V}/{T}/{P}"), ErrorKind::BadType, 85);
    refused(&format!("//g/a/l/|/seal/{V}/{T}/{S}/|"), ErrorKind::BadSelector, 134);
}

#[test]
fn lists_that_are_none() {
    no_list("//g", ErrorKind::NoList, 3);
    no_list("//g/a/l", ErrorKind::NoList, 7);
    no_list("//g/a/l/|", ErrorKind::NoList, 9);
    no_list("///", ErrorKind::EmptyValue, 2);
    no_list("//g//", ErrorKind::EmptyValue, 4);
    no_list("//g/a//", ErrorKind::EmptyValue, 6);
    no_list("//g/a/l//", ErrorKind::EmptySegment, 8);
    no_list("//g#/", ErrorKind::ForbiddenCharacter, 3);
    no_list("//g/a/l/|//", ErrorKind::BadSelector, 10);
    no_list(&format!("//g/a/l/|/plex/{T}/{P}/"), ErrorKind::BadSelector, 36);
    no_list(&format!("//g/a/l/|/seal/{V}/{T}/{S}/"), ErrorKind::BadSelector, 85);
}

#[test]
fn no_selector_is_longer_than_the_longest() {
    let longest = selectors().iter().map(|(text, _)| text.len()).max();
    assert_eq!(longest, Some(MAX_SELECTOR));
}

proptest! {
    #[test]
    fn addresses_that_are_taken_come_back(
        text in prop_oneof!["//?[ga/|]{0,9}(/\\|/(plex|seal))?/?", "//[ga]/[ab]/.{0,9}", any::<String>()],
    ) {
        if let Ok(urc) = text.parse::<Urc>() {
            let printed = urc.to_string();
            prop_assert!(text.starts_with(&printed), "{} {}", text, printed);
            prop_assert_eq!(printed.parse(), Ok(urc));
        }
        let list: Result<ListPath> = text.parse();
        if let Ok(list) = list {
            prop_assert_eq!(list.to_string(), text);
        }
    }
}
