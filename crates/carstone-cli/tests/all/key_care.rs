//! Keys that do not fit, are asked for, or come from elsewhere: nobody is asked twice, and nothing is silently done without them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::{Place, Run, command, noise, run_args};

fn place() -> Place {
    let place = Place::new();
    place.write("tree/file", b"content");
    place.write("tree/noise", &noise(400_000, 3));
    place
}

/// Packs the tree for this recipient.
fn pack(place: &Place, name: &str, recipient: &str) -> PathBuf {
    let path = place.path(name);
    run!("create", "-q", "--compress", "none", "-o", &path, "-r", recipient, place.path("tree"))
        .exits(0);
    path
}

/// Overwrites bytes in the middle.
fn damaged(place: &Place, name: &str, pack: &Path) -> PathBuf {
    let mut bytes = fs::read(pack).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3000].fill(0);
    place.write(name, &bytes)
}

fn with_identity(value: &OsStr, args: &[OsString]) -> Run {
    let mut command = command(args);
    command.env("CARSTONE_IDENTITY", value).stdin(Stdio::null());
    command.output().expect("it runs").into()
}

macro_rules! with_identity {
    ($value:expr; $($arg:expr),* $(,)?) => {
        with_identity($value.as_ref(), &[$(OsString::from($arg)),*])
    };
}

/// What a command shows on a terminal where this is typed.
#[cfg(target_os = "linux")] // The program `script` takes other arguments elsewhere.
fn typed(shell: &str, text: &str) -> String {
    // Who asks once more would wait for ever.
    let mut child = std::process::Command::new("timeout")
        .args(["60", "script", "-qec", shell, "/dev/null"])
        .env_remove("CARSTONE_IDENTITY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("coreutils has it");
    let mut stdin = child.stdin.take().expect("asked for");
    let text = text.to_owned();
    let typing =
        std::thread::spawn(move || std::io::Write::write_all(&mut stdin, text.as_bytes()).is_ok());
    let output = child.wait_with_output().expect("it ends");
    assert!(typing.join().expect("no panic"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(target_os = "linux")]
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}

#[cfg(target_os = "linux")]
#[test]
fn a_passphrase_is_asked_for_once() {
    let place = place();
    let (pack, words) = (place.path("x.cstone"), place.write("words", b"open sesame\n"));
    run!("create", "-q", "-o", &pack, "--passphrase-file", words, place.path("tree")).exits(0);
    let hurt = damaged(&place, "hurt.cstone", &pack);
    let out = place.path("out");
    for (pack, works) in [(&pack, "verify -p"), (&hurt, "verify -p"), (&hurt, "cat -p")] {
        let command = format!("'{}' {works} {}", env!("CARGO_BIN_EXE_carstone"), quoted(pack));
        let command = if works.starts_with("cat") { format!("{command} file") } else { command };
        let shown = typed(&command, "open sesame\n");
        assert_eq!(shown.matches("Passphrase of the pack: ").count(), 1, "{works}: {shown}");
        let expected = match works {
            "cat -p" => "content",
            _ if pack == &hurt => "damaged: ",
            _ => "intact: ",
        };
        assert!(shown.contains(expected), "{works}: {shown}");
    }
    let command = format!("'{}' extract -p -C", env!("CARGO_BIN_EXE_carstone"));
    let shown = typed(&format!("{command} {} {}", quoted(&out), quoted(&hurt)), "open sesame\n");
    assert_eq!(shown.matches("Passphrase of the pack: ").count(), 1, "{shown}");
    assert_eq!(fs::read(out.join("file")).expect("restored"), b"content");
}

#[cfg(target_os = "linux")]
#[test]
fn rekey_asks_for_the_old_passphrase_before_the_new_one() {
    let place = place();
    let (pack, to) = (place.path("x.cstone"), place.path("y.cstone"));
    let words = place.write("words", b"old words\n");
    run!("create", "-q", "-o", &pack, "--passphrase-file", words, place.path("tree")).exits(0);
    let command = format!(
        "'{}' rekey -p --old-passphrase {} -o {}",
        env!("CARGO_BIN_EXE_carstone"),
        quoted(&pack),
        quoted(&to)
    );
    let shown = typed(&command, "old words\nnew words\nnew words\n");
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text}: {shown}"));
    assert!(at("Passphrase of the old pack: ") < at("New passphrase: "), "{shown}");
    assert!(at("New passphrase: ") < at("New passphrase again: "), "{shown}");
    let words = place.write("words", b"new words\n");
    run!("list", "--passphrase-file", words, &to).exits(0);
}

#[test]
fn a_plugin_is_asked_once() {
    const RECIPIENT: &str = "age1open10qwath46";
    const IDENTITY: &str = "AGE-PLUGIN-OPEN-10QESAEJY";
    let place = place();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../carstone-keys/tests/plugin");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = [PathBuf::from(folder)].into_iter().chain(std::env::split_paths(&paths));
    let paths = std::env::join_paths(paths).expect("a list");
    let log = place.path("log");
    let run = |args: &[OsString]| -> Run {
        let mut command = command(args);
        command.env("PATH", &paths).env("AGE_PLUGIN_OPEN_LOG", &log).stdin(Stdio::null());
        command.output().expect("it runs").into()
    };
    let pack = place.path("x.cstone");
    let create = ["create", "-q", "-o"].map(OsString::from);
    let rest = [pack.clone().into(), "-r".into(), RECIPIENT.into(), place.path("tree").into()];
    run(&[&create[..], &rest].concat()).exits(0);
    let key = place.write("key", IDENTITY.as_bytes());
    let hurt = damaged(&place, "hurt.cstone", &pack);
    for (pack, code) in [(pack, 0), (hurt, 1)] {
        let _ = fs::remove_file(&log);
        run(&["verify".into(), "-i".into(), key.clone().into(), pack.into()]).exits(code);
        let runs = fs::read_to_string(&log).expect("it ran").lines().count();
        assert_eq!(runs, 1);
    }
}

#[test]
fn what_a_passphrase_command_prints_behind_the_first_line_does_no_harm() {
    let place = place();
    let (pack, words) = (place.path("x.cstone"), place.write("words", b"pass\n"));
    run!("create", "-q", "-o", &pack, "--passphrase-file", words, place.path("tree")).exits(0);
    for shell in [
        "echo pass; sleep 0.3; echo meta; echo more",
        "yes pass",
        "yes pass; exit $?",
        "echo pass; head -c 200000 /dev/zero",
        // What it leaves running holds its output.
        "echo pass; sleep 100 2> /dev/null & exit 0",
    ] {
        let begun = std::time::Instant::now();
        run!("list", "--passphrase-command", shell, &pack).exits(0);
        assert!(begun.elapsed().as_secs() < 60, "{shell}");
    }
    for shell in ["echo pass; exit 3", "echo pass; kill -PIPE $$", "echo wrong"] {
        run!("list", "--passphrase-command", shell, &pack).exits(2).one_line();
    }
}

#[test]
fn a_passphrase_comes_through_standard_input_too() {
    let place = place();
    let (pack, to) = (place.path("x.cstone"), place.path("y.cstone"));
    let tree = place.path("tree");
    pipe!(b"pass\nmore\n", "create", "-q", "-o", &pack, "--passphrase-file", "-", &tree).exits(0);
    pipe!(b"pass", "list", "--passphrase-file", "-", &pack).exits(0);
    pipe!(b"wrong", "list", "--passphrase-file", "-", &pack).exits(2).says("wrong passphrase");
    let both = "standard input (-) can be given once only";
    pipe!(b"pass", "list", "--passphrase-file", "-", "-").exits(2).one_line().says(both);
    pipe!(b"pass", "verify", "--passphrase-file", "-", "-").exits(2).one_line().says(both);
    pipe!(b"pass", "create", "-o", &to, "--passphrase-file", "-", "-T", "-").exits(2).says(both);
    pipe!(
        b"pass",
        "rekey",
        &pack,
        "-o",
        &to,
        "--passphrase-file",
        "-",
        "--old-passphrase-file",
        "-"
    )
    .exits(2)
    .one_line()
    .says(both);
    let long = [&[b'x'; 65537][..], b"\n"].concat();
    pipe!(&long, "create", "-o", &to, "--passphrase-file", "-", &tree)
        .exits(2)
        .one_line()
        .says("longer than 65536 bytes");
    assert!(!to.exists());
}

#[test]
fn a_variable_that_is_of_no_use_is_told() {
    let place = place();
    let public = place.key("theirs");
    let mine = place.key("mine");
    let made = pack(&place, "x.cstone", &public);
    let hurt = damaged(&place, "hurt.cstone", &made);
    let to = place.path("y.cstone");
    let public_key = place.write("public", mine.as_bytes());
    for (file, why) in [
        (place.path("missing"), "cannot read the key file: No such file"),
        (place.path("tree"), "cannot read the key file: "),
        (public_key, "it is a public key"),
        (place.path("mine"), "the identity does not open"),
    ] {
        let says = "CARSTONE_IDENTITY does not open";
        with_identity!(file; "verify", &made).exits(0).one_line().says(says).says(why);
        with_identity!(file; "verify", &hurt).exits(1).says(says).says(why);
        with_identity!(file; "-q", "repair", "-n", &made).exits(0).one_line().says(says).says(why);
        // It is said, and then holes are written.
        let run = with_identity!(file; "repair", "--force", &hurt, "-o", &to).exits(1);
        run.says(says).says(why);
        for json in [
            with_identity!(file; "--json", "verify", &made),
            with_identity!(file; "--json", "repair", "--force", &hurt, "-o", &to),
        ] {
            let told = json.json().into_iter().find(|line| line["type"] == "note").expect("a note");
            let message = told["message"].as_str().expect("a text");
            assert!(message.contains(says) && message.contains(why), "{message}");
        }
        let run = with_identity!(file; "list", &made).exits(2).one_line().says("CARSTONE_IDENTITY");
        assert!(!run.stderr.contains("byte 0"), "{}", run.stderr);
        let run = with_identity!(file; "rekey", &made, "-o", &to, "--force", "-r", &mine).exits(2);
        run.one_line().says("CARSTONE_IDENTITY");
    }
    // One that opens the pack is not spoken of.
    let run = with_identity!(place.path("theirs"); "verify", &made).exits(0);
    assert_eq!(run.stderr, "");
    let run = with_identity!(place.path("theirs"); "repair", "-n", &made).exits(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_key_that_repair_did_not_need_and_does_not_fit_is_told() {
    let place = place();
    let public = place.key("key");
    place.key("other");
    let made = pack(&place, "x.cstone", &public);
    let repair = |key: &str| run!("repair", "-n", "-i", place.path(key), &made).exits(0);
    repair("other").one_line().says("the identity does not open the key envelope");
    assert_eq!(repair("key").stderr, "");
    let hurt = damaged(&place, "hurt.cstone", &made);
    run!("repair", "-n", "-i", place.path("other"), hurt).exits(2).one_line();
}

#[test]
fn what_is_public_is_told_with_a_wrong_key_too() {
    let place = place();
    let made = pack(&place, "x.cstone", &place.key("key"));
    place.key("other");
    let public = run!("info", &made).exits(0);
    let run = run!("info", "-i", place.path("other"), &made).exits(2).one_line();
    assert_eq!(run.stdout, public.stdout);
    let run = run!("info", "--json", "-i", place.path("other"), &made).exits(2);
    let [facts, error] = &run.json()[..] else { panic!("two lines") };
    assert_eq!((&facts["type"], &error["type"]), (&"info".into(), &"error".into()));
}

#[test]
fn a_file_that_is_replaced_is_not_for_more_people_than_before() {
    let place = place();
    let public = place.key("key");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    };
    let made = pack(&place, "x.cstone", &public);
    let usual = mode(&made);
    for (before, after) in [(0o600, 0o600), (0o640, 0o640 & usual), (0o777, usual)] {
        set(&made, before);
        run!("rekey", "-q", "-i", place.path("key"), &made, "-o", &made, "--force", "-r", &public)
            .exits(0);
        assert_eq!(mode(&made), after, "{before:o}");
    }
    let plain = place.path("plain.cstone");
    run!("create", "-q", "-o", &plain, place.path("tree")).exits(0);
    set(&plain, 0o600);
    run!("create", "-q", "--force", "-o", &plain, place.path("tree")).exits(0);
    assert_eq!(mode(&plain), 0o600);
}

#[test]
fn keys_of_other_kinds_in_a_list_of_recipients_are_warned_of() {
    let place = place();
    let shared = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../carstone-keys/tests/keys"));
    let read = |name: &str| fs::read_to_string(shared.join(name)).expect("a key");
    let list = place.write("list", (read("ecdsa.pub") + &read("ed25519.pub")).as_bytes());
    let to = place.path("x.cstone");
    let args = ["create", "-q", "-o"].map(OsString::from);
    let rest = [to.clone().into(), "-R".into(), list.clone().into(), place.path("tree").into()];
    let run = run_args(&[&args[..], &rest].concat(), None).exits(0).one_line();
    run.says("list, line 1: ").says("passed over");
    run!("list", "-i", shared.join("ed25519"), &to).exits(0);
    place.write("list", read("ecdsa.pub").as_bytes());
    run_args(&[&args[..], &rest].concat(), None).exits(2).one_line();
}
