//! Lists of signers.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carstone_keys::MAX_LEN;
use carstone_keys::sign::{Error, ErrorKind, Signer, Signers};

use crate::sign::{public, theirs};

fn list(text: &str) -> Signers {
    Signers::parse(text.as_bytes(), "list").expect("a list")
}

/// A line with the key of ed25519.
fn line(before: &str) -> String {
    format!("{before} {}", public("ed25519"))
}

fn find(text: &str, who: Option<&str>) -> Result<Signer, Error> {
    list(text).find(&theirs("ed25519"), who, SystemTime::now())
}

#[track_caller]
fn accepts(text: &str, who: Option<&str>) {
    find(text, who).expect("it counts");
}

#[track_caller]
fn refuses(text: &str, who: Option<&str>, kind: &ErrorKind) {
    let error = find(text, who).expect_err("it does not count");
    assert_eq!(error.kind(), kind);
    assert!(error.is_verdict());
}

/// Line 3 of a list is bad.
#[track_caller]
fn bad(third: &str) -> Error {
    let text = format!("# a comment\n{}\n{third}\n", line("a"));
    let error = Signers::parse(text.as_bytes(), "list").expect_err("a bad line");
    assert_eq!((error.line(), error.path()), (Some(3), Some(Path::new("list"))), "{error}");
    assert!(!error.is_verdict() && error.to_string().starts_with("list, line 3: "), "{error}");
    error
}

#[test]
fn comments_blank_lines_and_comments_behind_keys_do_not_count() {
    let text = format!("# x\r\n\r\n   \n\t {} a comment\r\n#", line("alice"));
    let signer = find(&text, None).expect("listed");
    assert_eq!((signer.principals(), signer.line()), ("alice", 4));
    assert_eq!(list(&text).len(), 1);
}

#[test]
fn a_key_that_is_not_listed_does_not_count() {
    let text = format!("alice {}\nbob {}", public("rsa"), public("ed25519_locked"));
    let fingerprint = theirs("ed25519").fingerprint();
    refuses(&text, None, &ErrorKind::NotListed { fingerprint });
}

#[test]
fn every_type_of_key_is_found() {
    for name in ["ed25519", "rsa", "ecdsa"] {
        let text = format!("a {}\nb {}\nc {}", public("rsa"), public("ecdsa"), public("ed25519"));
        list(&text).find(&theirs(name), None, SystemTime::now()).expect("listed");
    }
}

#[test]
fn principals_are_patterns() {
    accepts(&line("alice@example.org,*@example.net"), Some("bob@example.net"));
    accepts(&line("\"Alice Stone\""), Some("Alice Stone"));
    accepts(&line("a?ice"), Some("alice"));
    let eve = ErrorKind::OtherPrincipal("eve".to_owned());
    refuses(&line("alice"), Some("eve"), &eve);
    refuses(&line("*,!eve"), Some("eve"), &eve);
    // Another line of the same key may allow it.
    accepts(&format!("{}\n{}", line("alice"), line("eve")), Some("eve"));
    accepts(&line("*,!eve"), None);
}

#[test]
fn namespaces_are_patterns() {
    accepts(&line("a namespaces=\"carstone\""), None);
    accepts(&line("a namespaces=\"git,car*\""), None);
    accepts(&line("a NameSpaces=\"carstone\""), None);
    for namespaces in ["git", "", "*,!carstone", "carston", "CARSTONE"] {
        let text = line(&format!("a namespaces=\"{namespaces}\""));
        refuses(&text, None, &ErrorKind::OtherNamespace);
    }
}

#[test]
fn validity_has_both_ends() {
    let text = line("a valid-after=\"20260101Z\",valid-before=\"20260201000000Z\"");
    let at = |seconds| {
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        list(&text).find(&theirs("ed25519"), None, time).map_err(|error| error.kind().clone())
    };
    let (first, last) = (1_767_225_600, 1_769_904_000);
    assert_eq!(at(first - 1), Err(ErrorKind::NotYetValid));
    assert!(at(first).is_ok() && at(last).is_ok());
    assert_eq!(at(last + 1), Err(ErrorKind::Expired));
    refuses(&line("a valid-before=\"20200101\""), None, &ErrorKind::Expired);
    refuses(&line("a valid-after=\"29990101\""), None, &ErrorKind::NotYetValid);
}

#[test]
fn an_authority_signs_certificates_only() {
    refuses(&line("* cert-authority"), None, &ErrorKind::Authority);
    refuses(&line("* cert-authority,namespaces=\"carstone\""), None, &ErrorKind::Authority);
    // The key may be listed in its own right, too.
    accepts(&format!("{}\n{}", line("* cert-authority"), line("a")), None);
}

#[test]
fn unknown_options_and_marks_make_the_list_bad() {
    for (text, name) in [
        (line("a revoked"), "revoked"),
        (line("@revoked a"), "a"),
        (line("a namespaces=\"carstone\",touch-required"), "touch-required"),
        (line("a no-such=\"x\""), "no-such"),
        (line("a cert-authority,"), ""),
        (line("a b c"), "b"),
    ] {
        assert_eq!(*bad(&text).kind(), ErrorKind::UnknownOption(name.to_owned()), "{text}");
    }
}

#[test]
fn options_that_are_not_well_formed_make_the_list_bad() {
    for options in [
        "namespaces",
        "namespaces=carstone",
        "namespaces=\"carstone",
        "namespaces=\"a\"b",
        "namespaces=\"a\",namespaces=\"b\"",
        "cert-authority,cert-authority",
        "cert-authority=\"yes\"",
        "valid-after=\"20260101Z\",valid-before=\"20250101Z\"",
        "valid-after=\"20260101Z\",valid-after=\"20260101Z\"",
    ] {
        assert!(matches!(bad(&line(&format!("a {options}"))).kind(), ErrorKind::BadOption(_)));
    }
    for time in ["", "2026", "20261301Z", "yesterday", "99999999999999999999"] {
        let error = bad(&line(&format!("a valid-before=\"{time}\"")));
        assert_eq!(*error.kind(), ErrorKind::BadTime(time.to_owned()));
    }
}

#[test]
fn quotes_inside_of_options_are_escaped() {
    accepts(&line(r#"a namespaces="x\"y z,carstone""#), None);
    accepts(&line(r#"a namespaces="\\,carstone""#), None);
    // As in OpenSSH the last backslash takes the quote with it, so that the value goes on.
    let error = bad(&line(r#"a namespaces="carstone\\""#));
    assert!(matches!(error.kind(), ErrorKind::BadOption(_)), "{error}");
}

#[test]
fn keys_that_are_not_well_formed_make_the_list_bad() {
    let (kind, base64) = public("ed25519")
        .split_once(' ')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("two words");
    for text in [
        "alice".to_owned(),
        format!("alice {kind}"),
        format!("alice {kind} {}", &base64[1..]),
        format!("alice {kind} {base64}="),
        format!("alice ssh-rsa {base64}"),
        format!("alice {kind} AAAA"),
        format!("alice cert-authority ssh-ed448 {base64}"),
    ] {
        assert!(matches!(bad(&text).kind(), ErrorKind::BadListedKey(_)), "{text}");
    }
}

#[test]
fn principals_that_are_not_well_formed_make_the_list_bad() {
    for text in [line("\"alice"), line("\"\"")] {
        assert_eq!(*bad(&text).kind(), ErrorKind::BadPrincipals, "{text}");
    }
    let text = [b"\xff ", public("ed25519").as_bytes()].concat();
    let error = Signers::parse(&text, "list").expect_err("not text");
    assert_eq!((error.kind(), error.line()), (&ErrorKind::NotText, Some(1)));
}

/// Keys that sign in ways that are not known here may be listed, for others.
#[test]
fn keys_of_other_types_may_be_listed() {
    let blob = |kind: &str| {
        let len = u32::try_from(kind.len()).expect("short").to_be_bytes();
        data_encoding::BASE64.encode(&[&len, kind.as_bytes(), b"anything"].concat())
    };
    let mut text = line("alice");
    for kind in ["ssh-dss", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com"] {
        text = format!("x {kind} {}\n{text}", blob(kind));
    }
    assert_eq!(find(&text, None).expect("listed").line(), 4);
}

#[test]
fn a_list_without_keys_or_too_large_is_refused() {
    for text in ["", "\n", "# only a comment"] {
        let error = Signers::parse(text.as_bytes(), "list").expect_err("nobody");
        assert_eq!(*error.kind(), ErrorKind::NoSigners);
    }
    let error = Signers::read(std::io::repeat(b'#'), "list").expect_err("endless");
    assert_eq!(*error.kind(), ErrorKind::TooLarge { limit: MAX_LEN });
    let error = Signers::read_file("/nowhere/at all").expect_err("not there");
    assert_eq!(*error.kind(), ErrorKind::Read);
    assert!(std::error::Error::source(&error).is_some());
}
