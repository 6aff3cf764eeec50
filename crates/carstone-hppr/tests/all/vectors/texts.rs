//! B64A, typed texts, times, keys, signatures and addresses.

use std::time::Duration;

use carstone_hppr::{
    Coordinate, Error, ListPath, Listing, PacketHash, PacketKind, Selector, Signature, SigningKey,
    Tai, Urc, VerifyingKey, b64a,
};
use toml::Value;

use super::faults::Wrong;
use super::{array, bytes, each, maybe, number, text};

#[test]
fn b64a_is_the_same() {
    each("b64a", |case| {
        let (data, text) = (bytes(case, "bytes"), text(case, "text"));
        assert_eq!(b64a::encode(&data), text);
        assert_eq!(b64a::decode(text.as_bytes()).as_deref(), Ok(&data[..]), "{text}");
    });
}

#[test]
fn b64a_refuses_the_same_for_the_same() {
    let mut wrong = Wrong::default();
    each("b64a_refused", |case| {
        let (name, expect) = (text(case, "text"), text(case, "expect"));
        let error = b64a::decode(name.as_bytes()).expect_err(name);
        wrong.compare(name, expect, &error);
    });
    wrong.end();
}

/// The payload of a typed text that is one of these kinds; `None` if it is a hash of another.
fn payload(text: &str, kinds: &str) -> Result<Option<Vec<u8>>, Error> {
    let text = text.as_bytes();
    match kinds {
        "V" => VerifyingKey::parse(text).map(|key| Some(key.as_bytes().to_vec())),
        "&" => {
            let text = SigningKey::parse(text)?.to_text();
            let symbols = text[2..].strip_suffix(".H3").expect("a typed text");
            b64a::decode(symbols.as_bytes()).map(Some)
        }
        _ => PacketHash::parse(text)
            .map(|hash| kinds.contains(hash.kind().letter()).then(|| hash.digest().to_vec())),
    }
}

#[test]
fn typed_texts_are_the_same() {
    let mut wrong = Wrong::default();
    each("typed", |case| {
        let (name, kinds) = (text(case, "text"), text(case, "kinds"));
        let case_name = format!("{name} as one of {kinds}");
        match (payload(name, kinds), text(case, "expect")) {
            (Ok(Some(found)), "ok") => assert_eq!(found, bytes(case, "payload"), "{case_name}"),
            (Ok(None), expect) => assert_eq!(expect, "type", "{case_name}"),
            (Err(error), expect) => wrong.compare(&case_name, expect, &error),
            (Ok(Some(_)), expect) => panic!("{case_name} is taken, and not {expect}"),
        }
    });
    wrong.end();
}

#[test]
fn times_come_from_unix_the_same() {
    each("unix_to_tai", |case| {
        let nanos = u32::try_from(number(case, "nanoseconds")).expect("below a second");
        let tai = Tai::from_unix(Duration::new(number(case, "unix"), nanos)).expect("in range");
        assert_eq!(tai.to_string(), text(case, "tai"));
    });
}

#[test]
fn times_go_to_unix_the_same() {
    each("tai_to_unix", |case| {
        let tai: Tai = text(case, "tai").parse().expect("a time");
        assert_eq!(tai.to_unix().as_secs(), number(case, "unix"), "{tai}");
        assert_eq!(tai.to_unix().subsec_nanos(), tai.nanos());
    });
}

#[test]
fn keys_are_the_same() {
    let mut wrong = Wrong::default();
    each("key", |case| {
        let parsed = SigningKey::parse(text(case, "text").as_bytes());
        let made = match case.get("secret") {
            Some(_) => SigningKey::from_secret(&bytes(case, "secret")),
            None => SigningKey::from_scalar(&array(case, "d0")),
        };
        if let Some(expect) = maybe(case, "expect") {
            for refused in [parsed, made] {
                wrong.compare(text(case, "text"), expect, &refused.expect_err("no key"));
            }
            return;
        }
        let normal = format!("&.{}.H3", b64a::encode(&bytes(case, "d")));
        for key in [parsed.expect("a key"), made.expect("a key")] {
            assert_eq!(key.verifying_key().to_string(), text(case, "vkey"));
            assert_eq!(*key.to_text(), normal);
        }
    });
    wrong.end();
}

#[test]
fn signatures_are_the_same() {
    each("signature", |case| {
        let key = SigningKey::from_scalar(&array(case, "d")).expect("a key");
        let (message, aux) = (array(case, "message"), array(case, "aux"));
        let signature = key.sign_with(&message, &aux).expect("a signature");
        assert_eq!(signature.as_bytes(), &array::<64>(case, "signature"));
        let public = VerifyingKey::parse(text(case, "vkey").as_bytes()).expect("a key");
        assert_eq!(key.verifying_key(), public);
        assert_eq!(public.verify(&message, &signature), Ok(()));
    });
}

#[test]
fn forged_signatures_are_refused_for_what_they_are() {
    let mut wrong = Wrong::default();
    each("forged", |case| {
        let public = VerifyingKey::new(array(case, "public"));
        let signature = Signature::new(array(case, "signature"));
        let error = public.verify(&array(case, "message"), &signature);
        let name = text(case, "name");
        wrong.compare(name, text(case, "expect"), &error.expect_err(name));
    });
    wrong.end();
}

/// What an address gets, and its parts.
fn get(urc: &Urc) -> (&'static str, Vec<String>) {
    let (coordinate, selector) = match urc {
        Urc::Hash(hash) => return ("hash", vec![hash.to_string()]),
        Urc::Coordinate { coordinate, selector } => (coordinate, selector),
    };
    let kind = match selector {
        Selector::Tip => "tip",
        Selector::PlexTip => "plex",
        Selector::PlexTipAt(_) => "plex-at",
        Selector::Plex(..) => "plex-version",
        Selector::SealTip => "seal",
        Selector::SealTipOf(_) => "signer",
        Selector::SealTipAt(..) => "signer-at",
        Selector::Seal(..) => "seal-version",
    };
    let word = selector.kind().map(|kind| match kind {
        PacketKind::Seal => "seal".to_owned(),
        _ => "plex".to_owned(),
    });
    let more = [
        word,
        selector.key().map(|key| key.to_string()),
        selector.tai().map(|tai| tai.to_string()),
        selector.hash().map(|hash| hash.to_string()),
    ];
    (kind, at(coordinate, more.into_iter().flatten().collect()))
}

/// What a path lists, and its parts.
fn list(path: &ListPath) -> (&'static str, Vec<String>) {
    let (coordinate, listing) = match path {
        ListPath::Groups => return ("groups", vec![]),
        ListPath::Apps(group) => return ("apps", vec![group.to_string()]),
        ListPath::Segments(group, app) => {
            return ("locations", vec![group.to_string(), app.to_string()]);
        }
        ListPath::At(coordinate, listing) => (coordinate, listing),
    };
    let (kind, more) = match listing {
        Listing::Children => ("children", vec![]),
        Listing::Types => ("selectors", vec![]),
        Listing::PlexTimes => ("plex-tais", vec!["plex".to_owned()]),
        Listing::PlexHashes(tai) => ("plex-hashes", vec!["plex".to_owned(), tai.to_string()]),
        Listing::SealKeys => ("signers", vec!["seal".to_owned()]),
        Listing::SealTimes(key) => ("signer-tais", vec!["seal".to_owned(), key.to_string()]),
        Listing::SealHashes(key, tai) => {
            ("seal-hashes", vec!["seal".to_owned(), key.to_string(), tai.to_string()])
        }
    };
    (kind, at(coordinate, more))
}

fn at(coordinate: &Coordinate, more: Vec<String>) -> Vec<String> {
    let names = [coordinate.group(), coordinate.app(), coordinate.location()];
    names.into_iter().map(str::to_owned).chain(more).collect()
}

#[test]
fn addresses_are_the_same() {
    let mut wrong = Wrong::default();
    each("address", |case| {
        let address = text(case, "text");
        let parts: Option<Vec<&str>> = case.get("parts").map(|parts| {
            let parts = parts.as_array().expect("a list").iter();
            parts.map(|part| Value::as_str(part).expect("a text")).collect()
        });
        let same = |(kind, found): (&str, Vec<String>), expected: &str| {
            assert_eq!(kind, expected, "{address}");
            assert!(parts.as_ref().is_some_and(|parts| *parts == found), "{address}: {found:?}");
        };
        match (Urc::parse(address.as_bytes()), text(case, "get")) {
            (Err(error), "refused") => wrong.compare(address, text(case, "get_fault"), &error),
            (Ok(urc), expected) => {
                same(get(&urc), expected);
                assert_eq!(Some(&*urc.to_string()), maybe(case, "canonical"), "{address}");
            }
            (Err(error), expected) => panic!("{address}: {error}, not {expected}"),
        }
        match (ListPath::parse(address.as_bytes()), text(case, "list")) {
            (Err(error), "refused") => wrong.compare(address, text(case, "list_fault"), &error),
            (Ok(path), expected) => {
                same(list(&path), expected);
                assert_eq!(path.to_string(), address);
            }
            (Err(error), expected) => panic!("{address}: {error}, not {expected} as a list"),
        }
    });
    wrong.end();
}
