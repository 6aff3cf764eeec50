//! Which kinds of fault are meant by the names that the independent implementation gives to faults.

use carstone_hppr::{Error, ErrorKind, PacketKind};

/// What has been refused for something else than it is to be.
#[derive(Default)]
pub struct Wrong(pub Vec<String>);

impl Wrong {
    /// Compares the kind of an error with the name of the fault that is due.
    pub fn compare(&mut self, case: &str, name: &str, error: &Error) {
        if !is(name, error.kind()) {
            self.0.push(format!("{case}: {error} ({:?}), and not {name}", error.kind()));
        }
    }

    /// Fails if there is anything.
    #[track_caller]
    pub fn end(self) {
        assert!(self.0.is_empty(), "{}\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// Whether a name means this kind. What the other implementation does not tell apart has several.
fn is(name: &str, kind: &ErrorKind) -> bool {
    use ErrorKind::*;
    let of = |expected: PacketKind| *kind == HashMismatch { packet: expected };
    match name {
        "b64a-symbol" => *kind == BadSymbol,
        "b64a-length" => *kind == BadLength,
        "b64a-bits" => *kind == BadTail,
        "hash-text" => matches!(kind, BadText | BadSymbol | BadTail | BadLength),
        "type" => matches!(kind, BadType | WrongPacket { .. }),
        "scalar" => *kind == BadScalar,
        "tai" => *kind == BadTime,
        "markline" => *kind == NoMarkline,
        "header" => matches!(
            kind,
            MissingHeader { .. } | RepeatedHeader | HeaderOutOfOrder { .. } | UnknownHeader
        ),
        "shape" => matches!(kind, NoColon | NoSpace | SecondSpace),
        "name" => matches!(kind, EmptyName | NameHasSpace),
        "value" => *kind == EmptyValue,
        "utf-8" => *kind == NotUtf8,
        "nfc" => *kind == NotNfc,
        "control" => *kind == ControlByte,
        "cr" => *kind == CarriageReturn,
        "long" => *kind == LineTooLong,
        "reserved" => *kind == ReservedName,
        "extras-order" => *kind == ExtrasOutOfOrder,
        "limit" => *kind == TooManyExtras,
        "character" => *kind == ForbiddenCharacter,
        "dots" => *kind == DotName,
        "long-name" => *kind == NameTooLong,
        "no-segment" => *kind == EmptySegment,
        "long-segment" => *kind == SegmentTooLong,
        "data-length" => *kind == BadDataLength,
        "too-large" => *kind == DataTooLong,
        "blank" => *kind == MissingBlankLine,
        "truncated" => *kind == Truncated,
        "trailing" => *kind == TrailingBytes,
        "digest-blob" => of(PacketKind::Blob),
        "digest-plex" => of(PacketKind::Plex),
        "digest-seal" => of(PacketKind::Seal),
        "vkey" => *kind == BadKey,
        "signature" => matches!(kind, BadSignature | BadSignaturePoint | BadSignatureScalar),
        "marker" => matches!(kind, BadAnnouncement | NoLineBeforeClose),
        "announced" => *kind == AnnouncedOther,
        "address" => *kind == NoAddress,
        // One that ends with a slash has an empty one.
        "no-location" => matches!(kind, MissingPart | EmptyValue),
        "view" => *kind == ViewSuffix,
        "selector" => *kind == BadSelector,
        "no-list" => *kind == NoList,
        _ => panic!("no fault is called {name}"),
    }
}

#[test]
fn faults_of_another_kind_are_told() {
    let error = carstone_hppr::b64a::decode(b"00-0").expect_err("a symbol");
    let mut wrong = Wrong::default();
    wrong.compare("a text", "b64a-symbol", &error);
    assert_eq!(wrong.0.len(), 0);
    wrong.compare("a text", "b64a-bits", &error);
    wrong.compare("a text", "markline", &error);
    assert_eq!(wrong.0.len(), 2, "{:?}", wrong.0);
}
