//! Addresses, and texts in B64A.

use carstone_hppr::{
    Coordinate, Header, ListPath, MAX_LINE, Name, PacketHash, Signature, SigningKey, Tai, Urc,
    VerifyingKey, b64a as texts,
};

use crate::vectors::{self, HPPR};

/// An address that is read is printed to what is read as the same; so are paths that list, which are addresses with a slash behind, coordinates, names and headers.
pub(crate) fn urc(data: &[u8]) {
    let urc = Urc::parse(data);
    if let Ok(urc) = &urc {
        let text = urc.to_string();
        assert_eq!(Urc::parse(text.as_bytes()).as_ref(), Ok(urc));
        assert_eq!(text.parse().as_ref(), Ok(urc));
        // No more than this is passed over.
        let rest = data.strip_prefix(text.as_bytes()).expect("it begins so");
        assert!([&b""[..], b"/", b"/|", b"/|/"].contains(&rest), "{text}");
        match urc {
            Urc::Hash(hash) => assert_eq!(text, format!("////{hash}")),
            Urc::Coordinate { coordinate, selector } => {
                is_coordinate(coordinate);
                assert!(
                    selector.kind().is_none_or(|kind| {
                        selector.hash().is_none_or(|hash| hash.kind() == kind)
                    })
                );
                // One slash more is passed over.
                assert_eq!(Urc::parse(format!("{text}/").as_bytes()).as_ref(), Ok(urc));
                assert!(ListPath::parse(text.as_bytes()).is_err(), "{text} ends with no slash");
            }
        }
    }
    if let Ok(list) = ListPath::parse(data) {
        let text = list.to_string();
        assert!(text.as_bytes() == data, "{text}");
        assert_eq!(text.parse(), Ok(list.clone()));
        if let ListPath::At(coordinate, _) = list {
            is_coordinate(&coordinate);
            let Ok(Urc::Coordinate { coordinate: other, .. }) = urc else {
                panic!("{text} is no address")
            };
            assert_eq!(other, coordinate);
        }
    }
    if let Ok(header) = Header::parse(data) {
        assert!(header.line().as_bytes() == data && data.len() <= MAX_LINE);
        assert_eq!(Header::new(header.name(), header.value()), Ok(header));
    }
    if let Ok(name) =
        std::str::from_utf8(data).map_err(drop).and_then(|text| Name::new(text).map_err(drop))
    {
        assert_eq!(name.as_str().as_bytes(), data);
        let parts = (name.as_str(), name.as_str(), name.as_str());
        is_coordinate(&Coordinate::new(parts.0, parts.1, parts.2).expect("a name is a segment"));
    }
}

/// No segment leads anywhere else, and the text is an address.
fn is_coordinate(coordinate: &Coordinate) {
    let text = coordinate.to_string();
    let Ok(Urc::Coordinate { coordinate: read, .. }) = text.parse() else {
        panic!("{text} is no address")
    };
    assert_eq!(&read, coordinate);
    let names = [coordinate.group(), coordinate.app()].into_iter().chain(coordinate.segments());
    for name in names {
        assert!(!name.is_empty() && name.len() <= 255 && !["|", ".", ".."].contains(&name));
        assert!(!name.contains(['/', '\0', '\n']));
    }
}

/// What is decoded is encoded to the same text; texts sort as their bytes; typed texts, times and secrets are printed as they are read.
pub(crate) fn b64a(data: &[u8]) {
    if let Ok(bytes) = texts::decode(data) {
        assert_eq!(texts::encode(&bytes).as_bytes(), data);
    }
    assert_eq!(texts::decode(texts::encode(data).as_bytes()).as_deref(), Ok(data));
    let array = texts::decode_array::<32>(data);
    assert_eq!(array.ok().map(Vec::from), texts::decode(data).ok().filter(|all| all.len() == 32));
    for at in 0..data.len().min(64) {
        let (one, other) = data.split_at(at);
        let (one_text, other_text) = (texts::encode(one), texts::encode(other));
        assert_eq!(one_text.cmp(&other_text), one.cmp(other));
        assert!(one_text < texts::encode(data));
    }
    if let Ok(hash) = PacketHash::parse(data) {
        assert_eq!(hash.to_string().as_bytes(), data);
        let next = PacketHash::new(hash.kind(), [0x7f; 32]);
        assert_eq!(hash.cmp(&next), hash.to_string().cmp(&next.to_string()));
    }
    if let Ok(key) = VerifyingKey::parse(data) {
        assert_eq!(key.to_string().as_bytes(), data);
        let _ = key.verify(&[7; 32], &Signature::new([7; 64]));
    }
    if let Ok(signature) = Signature::parse(data) {
        assert_eq!(signature.to_string().as_bytes(), data);
    }
    if let Ok(key) = SigningKey::parse(data) {
        let text = key.to_text();
        let again = SigningKey::parse(text.as_bytes()).expect("just printed");
        assert_eq!(again.verifying_key(), key.verifying_key());
        assert_eq!(again.to_text(), text);
        let signature = key.sign_with(&[7; 32], &[1; 32]).expect("a signature");
        assert_eq!(key.verifying_key().verify(&[7; 32], &signature), Ok(()));
    }
    if let Ok(tai) = Tai::parse(data) {
        assert_eq!(tai.to_string().as_bytes(), data);
        assert_eq!(Tai::new(tai.seconds(), tai.nanos()), Some(tai));
        if let Some(next) = Tai::new(tai.seconds() + 1, 0) {
            assert!(next > tai && next.to_string() > tai.to_string());
            assert!(next.to_unix().as_secs() <= tai.to_unix().as_secs() + 1);
        }
        // Before that, Unix time is none.
        if tai.seconds() >= 10 {
            let back = Tai::from_unix(tai.to_unix()).expect("it fits");
            // A leap second is the one behind it.
            assert!(back.nanos() == tai.nanos() && back.seconds() - tai.seconds() <= 1);
        }
    }
}

/// Texts of the vectors: addresses, typed ones, times, and others.
pub(crate) fn text_seeds() -> Vec<Vec<u8>> {
    ["text", "tai", "canonical", "by"].iter().flat_map(|key| vectors::texts(HPPR, key)).collect()
}
