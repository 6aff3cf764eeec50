//! `sign`, and `verify --signer`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Place, Run};

/// Keys of OpenSSH that were made for tests.
fn key(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../carstone-keys/tests/keys")).join(name)
}

fn public(name: &str) -> String {
    fs::read_to_string(key(&format!("{name}.pub"))).expect("a public key")
}

/// A pack that is signed with ed25519, and a list with its signer.
fn signed() -> (Place, PathBuf, PathBuf) {
    let place = Place::new();
    let pack = place.pack("x.cstone");
    run!("sign", &pack, "-k", key("ed25519")).exits(0);
    let list =
        place.write("signers", format!("alice@example.org {}", public("ed25519")).as_bytes());
    (place, pack, list)
}

fn verify(pack: &Path, list: &Path) -> Run {
    run!("verify", pack, "--signer", list)
}

/// The program of OpenSSH, where there is one.
fn ssh_keygen(args: &[&str], input: &Path) -> Option<std::process::Output> {
    let mut command = Command::new("ssh-keygen");
    let file = fs::File::open(input).expect("it is there");
    match command.args(args).stdin(file).output() {
        Ok(output) => Some(output),
        Err(_) => {
            eprintln!("ssh-keygen is not installed: not tested");
            None
        }
    }
}

#[test]
fn what_is_signed_says_by_whom() {
    let (place, pack, list) = signed();
    assert!(place.names().contains(&"x.cstone.sig".to_owned()));
    let run = verify(&pack, &list).exits(0);
    let lines = run.lines();
    let name = pack.display();
    let print = "SHA256:miUBVSoouV/3UE+BAWShpZmGo1FwvmlLm9SLrIko5lI";
    assert_eq!(lines[0], format!("{name}: signed by alice@example.org with ssh-ed25519 {print}"));
    assert!(lines[1].starts_with(&format!("{name}: intact: ")), "{lines:?}");
    let run =
        run!("verify", "--json", &pack, "--signer", &list, "--principal", "alice@example.org");
    let lines = run.exits(0).json();
    assert_eq!(lines[0]["type"], "signature");
    assert_eq!(lines[0]["holds"], true);
    assert_eq!(lines[0]["principals"], "alice@example.org");
    assert_eq!(lines[0]["fingerprint"], print);
    assert_eq!(lines[0]["line"], 1);
    let len = fs::metadata(&pack).expect("there").len();
    assert_eq!(
        (lines[0]["covered"].as_u64(), lines[0]["uncovered"].as_u64()),
        (Some(len), Some(0))
    );
    let last = lines.last().expect("a summary");
    assert_eq!(
        (&last["type"], &last["signed"], &last["sound"]),
        (&"summary".into(), &true.into(), &true.into())
    );
    // Nothing is said of signatures where none is asked for.
    let plain = run!("verify", "--json", &pack).exits(0).json();
    assert!(plain.iter().all(|line| line["type"] != "signature" && line.get("signed").is_none()));
}

#[test]
fn every_type_of_key_signs() {
    let (place, pack, _) = signed();
    for (name, kind) in [("rsa", "ssh-rsa"), ("ecdsa", "ecdsa-sha2-nistp256")] {
        let list = place.write("list", format!("me {}", public(name)).as_bytes());
        let said = run!("sign", "--force", &pack, "-k", key(name)).exits(0).stderr;
        assert!(said.contains(&format!("signed with {kind} SHA256:")), "{said}");
        let run = verify(&pack, &list).exits(0);
        assert!(run.text().contains(&format!("signed by me with {kind} ")), "{}", run.text());
    }
}

#[test]
fn a_signature_is_never_replaced_unless_asked_for() {
    let (place, pack, _) = signed();
    let before = fs::read(place.path("x.cstone.sig")).expect("there");
    run!("sign", &pack, "-k", key("rsa")).exits(2).one_line().says("--force replaces it");
    assert_eq!(fs::read(place.path("x.cstone.sig")).expect("there"), before);
    run!("sign", &pack, "-k", key("rsa"), "--force").exits(0);
    assert_ne!(fs::read(place.path("x.cstone.sig")).expect("there"), before);
    // The pack itself is not the place for it.
    let stored = fs::read(&pack).expect("there");
    let run = run!("sign", &pack, "-k", key("rsa"), "--force", "-o", &pack);
    run.exits(2).one_line().says("is the pack itself");
    assert_eq!(fs::read(&pack).expect("there"), stored);
}

#[test]
fn a_signature_goes_to_standard_output_and_a_pack_comes_from_standard_input() {
    let (place, pack, list) = signed();
    let stored = fs::read(&pack).expect("there");
    let run = pipe!(&stored, "sign", "-", "-k", key("ed25519"), "-o", "-").exits(0);
    assert_eq!(run.stdout, fs::read(place.path("x.cstone.sig")).expect("there"));
    assert!(run.stderr.contains("signed with"), "{}", run.stderr);
    pipe!(&stored, "sign", "-", "-k", key("ed25519")).exits(2).one_line().says("give -o");
    pipe!(&stored, "verify", "-", "--signer", &list).exits(2).one_line().says("--signature");
    let signature = place.path("x.cstone.sig");
    pipe!(&stored, "verify", "-", "--signer", &list, "--signature", &signature).exits(0);
    pipe!(&stored, "sign", "-", "-k", "-", "-o", "-").exits(2).one_line().says("once only");
    pipe!(&stored, "verify", "-", "--signer", "-", "--signature", "-").exits(2).says("once only");
    // The key, the list and the signature may come that way, too.
    let bytes = fs::read(key("ed25519")).expect("there");
    assert_eq!(pipe!(&bytes, "sign", &pack, "-k", "-", "-o", "-").exits(0).stdout, run.stdout);
    let bytes = fs::read(&list).expect("there");
    pipe!(&bytes, "verify", &pack, "--signer", "-").exits(0);
    pipe!(&run.stdout, "verify", &pack, "--signer", &list, "--signature", "-").exits(0);
}

#[test]
fn lines_of_json_stay_off_the_signature() {
    let (place, pack, _) = signed();
    let run = run!("sign", "--json", &pack, "-k", key("ed25519"), "-o", "-").exits(0);
    assert_eq!(run.stdout, fs::read(place.path("x.cstone.sig")).expect("there"));
    let line: serde_json::Value = serde_json::from_str(&run.stderr).expect("one line");
    assert_eq!(line["type"], "signature");
    let note = String::from_utf8(run.stdout).expect("text");
    let note = note.lines().last().expect("a line behind").to_owned();
    assert_eq!(
        note,
        format!(
            "# carstone pack {} sha512 {}",
            line["pack_id"].as_str().expect("hex"),
            line["sha512"].as_str().expect("hex")
        )
    );
}

#[test]
fn locked_keys_take_passphrases_as_packs_do() {
    let (place, pack, _) = signed();
    let list = place.write("list", format!("me {}", public("ed25519_locked")).as_bytes());
    let right = place.write("right", b"passphrase\n");
    let wrong = place.write("wrong", b"wrong\n");
    let locked = key("ed25519_locked");
    run!("sign", "--force", &pack, "-k", &locked, "--passphrase-file", &right).exits(0);
    verify(&pack, &list).exits(0);
    let command = format!("cat '{}'", right.display());
    run!("sign", "--force", &pack, "-k", &locked, "--passphrase-command", command).exits(0);
    let before = fs::read(place.path("x.cstone.sig")).expect("there");
    let run = run!("sign", "--force", &pack, "-k", &locked, "--passphrase-file", &wrong);
    run.exits(2).one_line().says("wrong passphrase");
    let run = run!("sign", "--force", &pack, "-k", &locked, "--passphrase-file", "/nowhere");
    run.exits(2).one_line().says("/nowhere");
    assert_eq!(fs::read(place.path("x.cstone.sig")).expect("there"), before);
    // A key that is not locked needs none.
    run!("sign", "--force", &pack, "-k", key("rsa"), "--passphrase-command", "exit 7").exits(0);
}

#[test]
fn a_changed_pack_does_not_hold() {
    let (_place, pack, list) = signed();
    let mut stored = fs::read(&pack).expect("there");
    let middle = stored.len() / 2;
    stored[middle] ^= 1;
    fs::write(&pack, &stored).expect("written");
    let run = verify(&pack, &list).exits(1);
    assert!(run.lines()[0].ends_with("by its own words of this pack before it was changed"));
    // With its header or trailer damaged nobody can say what was signed.
    stored[middle] ^= 1;
    for at in [40, stored.len() - 100] {
        stored[at] ^= 1;
        fs::write(&pack, &stored).expect("written");
        let run = verify(&pack, &list).exits(1);
        assert!(run.lines()[0].contains("nobody can say which bytes are signed"), "{}", run.text());
        stored[at] ^= 1;
    }
    fs::write(&pack, &stored).expect("written");
    verify(&pack, &list).exits(0);
}

/// As after `rekey`, which keeps the pack id: here another copy of the same files under the same id, with a frame of its own left out.
#[test]
fn a_signature_from_before_a_change_is_stale() {
    let (place, pack, list) = signed();
    let mut stored = fs::read(&pack).expect("there");
    let at = stored.len() - 3000;
    stored[at..at + 8].fill(0);
    let damaged = place.write("damaged", &stored);
    let mended = place.path("mended.cstone");
    run!("repair", "--holes", &damaged, "-o", &mended);
    assert_ne!(fs::read(&mended).expect("there"), fs::read(&pack).expect("there"));
    let signature = place.path("x.cstone.sig");
    let run = run!("verify", &mended, "--signer", &list, "--signature", &signature).exits(1);
    assert!(run.lines()[0].contains("the signature is stale"), "{}", run.text());
    let run = run!("verify", "--json", &mended, "--signer", &list, "--signature", &signature);
    let first = &run.exits(1).json()[0];
    assert_eq!((&first["type"], &first["holds"]), (&"signature".into(), &false.into()));
    assert!(first["message"].as_str().is_some_and(|text| text.contains("stale")), "{first}");
}

#[test]
fn a_signature_of_another_pack_does_not_hold() {
    let (place, pack, list) = signed();
    let other = place.pack("other.cstone");
    let signature = place.path("x.cstone.sig");
    let run = run!("verify", &other, "--signer", &list, "--signature", &signature).exits(1);
    let id = &run!("info", "--json", &pack).exits(0).json()[0]["pack_id"];
    let id = id.as_str().expect("hex");
    assert!(run.lines()[0].ends_with(&format!("is of another pack, {id}")), "{}", run.text());
    assert!(run.lines()[1].contains("intact"), "the pack is sound: {}", run.text());
}

#[test]
fn keys_that_do_not_count_are_refused() {
    let (place, pack, _) = signed();
    let own = public("ed25519");
    let check = |list: String, says: &str| {
        let list = place.write("list", list.as_bytes());
        let run = verify(&pack, &list).exits(1);
        assert!(run.lines()[0].contains(says), "{says}: {}", run.text());
    };
    check(format!("bob {}", public("rsa")), "a key that is not listed, SHA256:");
    check(format!("a valid-before=\"20200101\" {own}"), "not valid any more");
    check(format!("a valid-after=\"29990101Z\" {own}"), "not valid yet");
    check(format!("a namespaces=\"git\" {own}"), "listed for other uses");
    check(format!("a cert-authority {own}"), "certificates only");
    let list = place.write("list", format!("alice,*@example.org {own}").as_bytes());
    let who = |name: &str| run!("verify", &pack, "--signer", &list, "--principal", name);
    who("alice").exits(0);
    who("bob@example.org").exits(0);
    assert!(who("eve").exits(1).lines()[0].contains("not listed for \"eve\""));
}

#[test]
fn files_that_cannot_be_used_are_errors() {
    let (place, pack, list) = signed();
    let bad = |content: &[u8], says: &str| {
        let file = place.write("bad", content);
        let run = run!("verify", &pack, "--signer", &list, "--signature", &file).exits(2);
        run.one_line().says("bad").says(says);
    };
    bad(b"", "empty");
    bad(b"text", "not a signature");
    bad(b"-----BEGIN SSH SIGNATURE-----\nU1NI", "cut off");
    bad(&vec![b'-'; 1 << 20], "longer than");
    let bad = |content: &[u8], says: &str| {
        let file = place.write("bad", content);
        verify(&pack, &file).exits(2).one_line().says("bad").says(says);
    };
    bad(b"", "names no signer");
    bad(b"\n\nalice no-such ssh-rsa AAAA", "line 3: the option \"no-such\" is not known");
    verify(&pack, Path::new("/nowhere")).exits(2).one_line().says("/nowhere: cannot open");
    fs::remove_file(place.path("x.cstone.sig")).expect("removed");
    verify(&pack, &list).exits(2).one_line().says("x.cstone.sig: cannot open");
    run!("verify", &pack, "--signature", "x").exits(2).says("--signer");
    run!("verify", &pack, "--principal", "x").exits(2).says("--signer");
}

#[test]
fn what_is_no_key_or_no_pack_is_refused() {
    let (place, pack, list) = signed();
    let sign =
        |pack: &Path, with: &Path| run!("sign", "--force", pack, "-k", with).exits(2).one_line();
    let before = fs::read(place.path("x.cstone.sig")).expect("there");
    sign(&pack, &key("ed25519.pub")).says("it is a public key");
    sign(&pack, Path::new("/nowhere")).says("/nowhere: cannot read");
    place.key("age.txt");
    sign(&pack, &place.path("age.txt")).says("identity of age");
    assert_eq!(fs::read(place.path("x.cstone.sig")).expect("there"), before);
    let text = place.write("text", b"text");
    sign(&text, &key("ed25519")).says("not a pack");
    let car = place.path("x.car");
    run!("create", "-o", &car, place.path("tree")).exits(0);
    sign(&car, &key("ed25519")).says("is a plain CAR");
    let signature = place.path("x.cstone.sig");
    let run = run!("verify", &car, "--signer", &list, "--signature", &signature).exits(2);
    run.one_line().says("is a plain CAR");
    let stored = fs::read(&pack).expect("there");
    let cut = place.write("cut.cstone", &stored[..stored.len() - 1]);
    sign(&cut, &key("ed25519")).says("cut.cstone");
    assert!(!place.names().contains(&"cut.cstone.sig".to_owned()));
}

/// The reader of an encrypted pack needs no key to see who made it.
#[test]
fn encrypted_packs_are_signed_as_they_are_stored() {
    let place = Place::new();
    place.write("tree/file", b"content");
    let (public_key, pack) = (place.key("key"), place.path("x.cstone"));
    run!("create", "-o", &pack, "-r", public_key, place.path("tree")).exits(0);
    run!("sign", &pack, "-k", key("ed25519")).exits(0);
    let list = place.write("signers", format!("alice {}", public("ed25519")).as_bytes());
    let run = verify(&pack, &list).exits(0);
    assert!(run.lines()[0].contains("signed by alice"), "{}", run.text());
    let run = run!("verify", &pack, "--signer", &list, "-i", place.path("key")).exits(0);
    assert!(run.text().contains("intact"), "{}", run.text());
}

#[test]
fn a_pack_can_be_compared_with_a_directory_and_signed() {
    let (place, pack, list) = signed();
    let tree = place.path("tree");
    run!("verify", &pack, "--signer", &list, "--against", &tree).exits(0);
    let other = place.write("list", format!("bob {}", public("rsa")).as_bytes());
    run!("verify", &pack, "--signer", &other, "--against", &tree).exits(1);
    place.write("tree/more", b"more");
    run!("verify", &pack, "--signer", &list, "--against", &tree).exits(1);
}

/// An appendix of no known kind.
fn appendix() -> Vec<u8> {
    let mut body = [0; 48];
    body[8..16].copy_from_slice(&160_u64.to_le_bytes());
    let sum = carstone::layer::crc64(&[&body]).to_le_bytes();
    let header = [&b"\x89CSTa\r\n\x1a"[..], &body, &sum].concat();
    let footer = [&body[..], &sum, b"\x1a\n\raTSC\x89"].concat();
    [&header[..], &[5; 32], &footer].concat()
}

#[test]
fn appendices_are_not_covered_and_that_is_said() {
    let (place, pack, list) = signed();
    let mut stored = fs::read(&pack).expect("there");
    let len = stored.len();
    stored.extend(appendix());
    fs::write(&pack, &stored).expect("written");
    let run = verify(&pack, &list).exits(0);
    let said = format!("{len} bytes are signed; the last 160 bytes, behind the trailer, are not");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    let first = &run!("verify", "--json", &pack, "--signer", &list).exits(0).json()[0];
    assert_eq!(
        (first["covered"].as_u64(), first["uncovered"].as_u64()),
        (Some(len as u64), Some(160))
    );
    let run = run!("sign", &pack, "-k", key("ed25519"), "-o", "-").exits(0);
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert_eq!(run.stdout, fs::read(place.path("x.cstone.sig")).expect("there"), "the same");
}

#[test]
fn ssh_keygen_and_carstone_read_each_other() {
    let (place, pack, list) = signed();
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let (list_name, signature) = (text(&list), text(&place.path("x.cstone.sig")));
    let verifying = [
        "-Y",
        "verify",
        "-n",
        "carstone",
        "-f",
        &list_name,
        "-I",
        "alice@example.org",
        "-s",
        &signature,
    ];
    let Some(output) = ssh_keygen(&verifying, &pack) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Keys that others can read are refused there.
    let own = place.write("own", &fs::read(key("ed25519")).expect("there"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&own, mode).expect("set");
    let theirs = ssh_keygen(&["-Y", "sign", "-n", "carstone", "-f", &text(&own), "-"], &pack);
    let theirs = theirs.expect("it is there").stdout;
    let theirs = place.write("theirs.sig", &theirs);
    run!("verify", &pack, "--signer", &list, "--signature", &theirs).exits(0);
    let mut stored = fs::read(&pack).expect("there");
    stored[5000] ^= 1;
    fs::write(&pack, stored).expect("written");
    let output = ssh_keygen(&verifying, &pack).expect("it is there");
    assert!(!output.status.success());
    let run = run!("verify", &pack, "--signer", &list, "--signature", &theirs).exits(1);
    assert!(run.lines()[0].contains("the signature does not hold"), "{}", run.text());
}
