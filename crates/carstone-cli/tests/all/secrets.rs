//! Secrets stand in no message and no JSON, wherever somebody put them by mistake.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Place, Run, command, run_args};

const PLUGIN_IDENTITY: &str = "AGE-PLUGIN-OPEN-10QESAEJY";

fn place() -> Place {
    let place = Place::new();
    place.write("tree/file", b"content");
    place
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// The secrets of all kinds of keys.
fn secrets(place: &Place) -> Vec<String> {
    place.key("key");
    run!("keygen", "--pq", "-o", place.path("pq")).exits(0);
    run!("hppr", "keygen", "-o", place.path("hppr")).exits(0);
    let read = |name: &str| fs::read_to_string(place.path(name)).expect("a key file");
    let last = |text: String| text.lines().last().expect("a line").to_owned();
    let mut secrets: Vec<String> = ["key", "pq", "hppr"].map(|name| last(read(name))).into();
    secrets.push(PLUGIN_IDENTITY.to_owned());
    let ssh = concat!(env!("CARGO_MANIFEST_DIR"), "/../carstone-keys/tests/keys/ed25519");
    secrets.push(fs::read_to_string(ssh).expect("a key file"));
    secrets
}

/// Fails if the last part of the secret is shown, in whatever case.
#[track_caller]
fn hides(run: &Run, secret: &str) {
    let shown = format!("{}{}", run.stderr, String::from_utf8_lossy(&run.stdout)).to_lowercase();
    let lines = secret.lines().filter(|line| !line.starts_with("-----"));
    let lines: Vec<&str> = lines.collect();
    for line in lines {
        let tail = &line[line.len().saturating_sub(6)..].to_lowercase();
        assert!(!shown.contains(tail), "{tail} is in {shown}");
    }
}

#[test]
fn a_secret_in_place_of_a_file_is_not_shown() {
    let place = place();
    let tree = place.path("tree").into_os_string().into_string().expect("text");
    let pack = place.path("x.cstone").into_os_string().into_string().expect("text");
    let to = place.path("y").into_os_string().into_string().expect("text");
    let public = place.key("mine");
    run!("create", "-q", "-o", &pack, "-r", &public, &tree).exits(0);
    let says = "looks like a secret key";
    for secret in secrets(&place) {
        let secret = secret.as_str();
        for (args, is_told) in [
            (&["verify", "-i", secret, &pack][..], true),
            (&["list", "-i", secret, &pack], true),
            (&["cat", "--passphrase-file", secret, &pack, "file"], true),
            (&["create", "-o", &to, "-R", secret, &tree], true),
            (&["create", "-o", &to, "--passphrase-file", secret, &tree], true),
            (&["rekey", "-i", secret, &pack, "-o", &to, "-r", &public], true),
            (&["verify", &pack, "--signer", secret], true),
            (&["verify", &pack, "--signer", &tree, "--signature", secret], true),
            (&["sign", &pack, "-k", secret], true),
            (&["hppr", "id", "-k", secret], false),
            (&["list", secret], false),
            (&["extract", "-C", secret, secret], false),
            (&["create", "-o", &to, secret], false),
            (&["create", "-o", &to, "--chunker", secret, &tree], false),
            (&["rekey", &pack, "-o", &to, "-r", secret], false),
            // The parser of arguments has words of its own.
            (&[secret], false),
            (&["list", &pack, "--no-such", secret], false),
        ] {
            // What begins with a dash is taken for an option.
            let is_told = is_told && !secret.starts_with('-');
            for json in [false, true] {
                let mut args = words(args);
                if json {
                    args.insert(0, "--json".into());
                }
                let run = run_args(&args, None);
                assert_ne!(run.code, 0, "{args:?}");
                hides(&run, secret);
                if is_told {
                    let run = run.says(says);
                    assert!(!json || run.text().contains(says), "{}", run.text());
                }
            }
        }
        for args in [&["list", &pack][..], &["--json", "list", &pack], &["verify", &pack]] {
            let run: Run = command(args)
                .env("CARSTONE_IDENTITY", secret)
                .stdin(std::process::Stdio::null())
                .output()
                .expect("it runs")
                .into();
            hides(&run, secret);
            run.says(says);
        }
    }
    // A file that is called so is a file.
    let odd = place.write("AGE-SECRET-KEY-1ODD", &fs::read(place.path("mine")).expect("read"));
    run!("list", "-i", odd, &pack).exits(0);
}

#[test]
fn a_secret_behind_the_name_of_a_kind_is_not_shown() {
    let place = place();
    place.key("key");
    let text = fs::read_to_string(place.path("key")).expect("read");
    let secret = text.lines().last().expect("a line");
    for text in [format!("ssh-ed25519 {secret}"), format!("age1 {secret}")] {
        let run = run!("create", "-o", place.path("x"), "-r", text, place.path("tree")).exits(2);
        hides(&run, secret);
    }
    // Also one of which nobody can tell that it is one.
    let run = run!("create", "-o", place.path("x"), "-r", "ssh-rsa hunter2", place.path("tree"));
    assert!(!run.exits(2).says("recipient number 1, ssh-rsa").stderr.contains("hunter2"));
}

#[test]
fn a_passphrase_command_is_not_shown() {
    let place = place();
    for shell in ["echo inline-secret; exit 1", ": inline-secret", "inline-secret-is-no-command"] {
        for json in [&["-q"][..], &["--json"]] {
            let mut args = words(json);
            args.extend(words(&["create", "-o", "/nowhere/x", "--passphrase-command", shell]));
            args.push(place.path("tree").into());
            let run = run_args(&args, None).exits(2).says("the passphrase command");
            let told = run.stderr.lines().filter(|line| line.starts_with("carstone: "));
            assert!(told.clone().count() == 1 && !run.text().contains("inline-secret"));
            assert!(told.clone().all(|line| !line.contains("inline-secret")), "{}", run.stderr);
        }
    }
}

#[test]
fn plugins_that_would_print_keys_are_not_run() {
    let place = place();
    let run: Run = command(words(&["create", "-o", "/nowhere/x", "-r", "age1open10qwath46"]))
        .arg(place.path("tree"))
        .env("AGEDEBUG", "plugin")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs")
        .into();
    run.exits(2).one_line().says("AGEDEBUG=plugin");
}

#[test]
fn key_files_are_for_their_owner_whatever_the_umask() {
    let place = Place::new();
    for (number, command) in ["keygen", "keygen --pq", "hppr keygen"].into_iter().enumerate() {
        let to = place.path(&format!("key{number}"));
        let script = format!("umask 0; exec \"$0\" {command} -o \"$1\"");
        let status = std::process::Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_carstone")])
            .arg(&to)
            .stderr(std::process::Stdio::null())
            .status();
        assert!(status.expect("it runs").success());
        let mode = fs::metadata(&to).expect("made").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{command}");
    }
}

#[test]
fn a_key_that_goes_to_an_open_file_is_warned_of() {
    let place = Place::new();
    let says = "others than its owner can read";
    for (mode, is_told) in [(0o644, true), (0o640, true), (0o600, false)] {
        for arguments in [&["keygen"][..], &["keygen", "-o", "-"]] {
            let path = place.write("key", b"");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
            let file = fs::File::options().write(true).open(&path).expect("open");
            let run: Run = command(arguments).stdout(file).output().expect("it runs").into();
            assert_eq!(run.exits(0).stderr.contains(says), is_told, "{mode:o}");
            assert!(fs::read_to_string(&path).expect("read").contains("AGE-SECRET-KEY-1"));
        }
    }
    assert!(!Path::new("-").exists());
    assert_eq!(place.names(), ["key"]);
    run!("keygen", "--json", "-o", "-").exits(2).says("the public key alone is printed");
}
