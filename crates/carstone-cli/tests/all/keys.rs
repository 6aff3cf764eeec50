//! All kinds of keys, where they come from, and that secrets are shown nowhere.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Place, Run, command};

/// Runs the command with the environment variable `name`.
fn with_env(name: &str, value: impl Into<OsString>, args: &[OsString]) -> Run {
    let mut command = command(args);
    command.env(name, value.into()).stdin(std::process::Stdio::null());
    command.output().expect("it runs").into()
}

macro_rules! run_env {
    ($name:expr, $value:expr; $($arg:expr),* $(,)?) => {
        with_env($name, $value, &[$(OsString::from($arg)),*])
    };
}

/// Keys that were made for tests.
fn shared(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../carstone-keys/tests")).join(name)
}

fn place() -> Place {
    let place = Place::new();
    place.write("tree/file", b"content");
    place
}

/// Packs the tree for this recipient.
fn pack(place: &Place, name: &str, recipient: &str) -> PathBuf {
    let path = place.path(name);
    run!("create", "-q", "-o", &path, "-r", recipient, place.path("tree")).exits(0);
    path
}

fn secret_of(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a key file");
    text.lines().last().expect("a line").to_owned()
}

#[test]
fn post_quantum_keys_are_made_and_used() {
    let place = place();
    let key = place.path("key");
    let run = run!("keygen", "--pq", "-o", &key).exits(0);
    let public = run.stderr.trim().strip_prefix("Public key: ").expect("it says so").to_owned();
    assert!(public.starts_with("age1pq1") && public.len() == 1959, "{public}");
    let mode = fs::metadata(&key).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&key).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("# created: 20"), "{}", lines[0]);
    assert_eq!(lines[1], format!("# public key: {public}"));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-PQ-1") && lines.len() == 3);

    let made = pack(&place, "x.cstone", &public);
    assert_eq!(run!("cat", "-i", &key, &made, "file").exits(0).stdout, b"content");
    let info = run!("info", &made).exits(0).text();
    assert!(info.contains("1: mlkem768x25519"), "{info}");
    assert!(!info.contains("age1"), "{info}");
    assert_eq!(run!("info", "--json", &made).exits(0).json()[0]["recipients"][0], "mlkem768x25519");
    place.key("other");
    run!("cat", "-i", place.path("other"), &made, "file")
        .exits(2)
        .one_line()
        .says("mlkem768x25519");
}

#[test]
fn post_quantum_recipients_are_not_mixed_with_others() {
    let place = place();
    let other = place.key("other");
    let run = run!("keygen", "--pq", "-o", place.path("key")).exits(0);
    let public = run.stderr.trim().strip_prefix("Public key: ").expect("it says so").to_owned();
    let to = place.path("x.cstone");
    let run = run!("create", "-o", &to, "-r", public, "-r", other, place.path("tree")).exits(2);
    run.one_line().says("post-quantum recipients cannot be combined with others");
    assert!(!to.exists());
}

#[test]
fn ssh_keys_encrypt_and_decrypt() {
    let place = place();
    for (name, kind) in [("ed25519", "ssh-ed25519"), ("rsa", "ssh-rsa")] {
        let public = fs::read_to_string(shared(&format!("keys/{name}.pub"))).expect("a key");
        let made = pack(&place, name, public.trim());
        let key = shared(&format!("keys/{name}"));
        assert_eq!(run!("cat", "-i", key, &made, "file").exits(0).stdout, b"content");
        let info = run!("info", &made).exits(0).text();
        assert!(info.contains(&format!("1: {kind}")), "{info}");
        assert!(!info.contains("AAAA"), "{info}");
    }
}

#[test]
fn passphrase_of_an_ssh_key_comes_as_other_passphrases_do() {
    let place = place();
    let made = place.path("x.cstone");
    let public = shared("keys/ed25519_locked.pub");
    run!("create", "-q", "-o", &made, "-R", public, place.path("tree")).exits(0);
    let key = shared("keys/ed25519_locked");
    let right = place.write("right", b"passphrase\n");
    let wrong = place.write("wrong", b"something else\n");
    let cat =
        |passphrase: &Path| run!("cat", "-i", &key, "--passphrase-file", passphrase, &made, "file");
    assert_eq!(cat(&right).exits(0).stdout, b"content");
    cat(&wrong).exits(2).one_line().says("wrong passphrase");
    let command = "echo passphrase";
    let run = run!("cat", "-i", &key, "--passphrase-command", command, &made, "file").exits(0);
    assert_eq!(run.stdout, b"content");
}

const PLUGIN_RECIPIENT: &str = "age1open10qwath46";
const PLUGIN_IDENTITY: &str = "AGE-PLUGIN-OPEN-10QESAEJY";

#[test]
fn plugins_are_run_for_keys_of_the_user_only() {
    let place = place();
    let made = place.path("x.cstone");
    let create = ["create", "-q", "-o"].map(OsString::from).into_iter();
    let create = create.chain([made.clone().into(), "-r".into(), PLUGIN_RECIPIENT.into()]);
    let create: Vec<OsString> = create.chain([place.path("tree").into()]).collect();
    run_env!("PATH", "/nowhere"; "create", "-o", &made, "-r", PLUGIN_RECIPIENT, place.path("tree"))
        .exits(2)
        .says("age-plugin-open is not installed");
    let log = place.path("log");
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = [shared("plugin")].into_iter().chain(std::env::split_paths(&paths));
    let paths = std::env::join_paths(paths).expect("a list");
    let run = |args: &[OsString]| -> Run {
        let mut command = command(args);
        command.env("PATH", &paths).env("AGE_PLUGIN_OPEN_LOG", &log);
        command.stdin(std::process::Stdio::null()).output().expect("it runs").into()
    };
    let runs = || fs::read_to_string(&log).map_or(0, |text| text.lines().count());
    run(&create).exits(0);
    assert_eq!(runs(), 1);
    let cat = |key: &Path| {
        run(&["cat".into(), "-i".into(), key.into(), made.clone().into(), "file".into()])
    };
    place.key("native");
    cat(&place.path("native")).exits(2);
    run(&["info".into(), made.clone().into()]).exits(0);
    assert_eq!(runs(), 1, "no key of a plugin was given");
    let key = place.write("plugin-key", PLUGIN_IDENTITY.as_bytes());
    assert_eq!(cat(&key).exits(0).stdout, b"content");
    assert!(runs() > 1);
}

#[test]
fn key_file_of_the_environment_is_used_where_none_is_given() {
    let place = place();
    let public = place.key("key");
    let made = pack(&place, "x.cstone", &public);
    let key = place.path("key");
    run!("list", &made).exits(2).one_line().says("no key was given");
    assert_eq!(run_env!("CARSTONE_IDENTITY", &key; "list", &made).exits(0).lines(), [".", "file"]);
    assert_eq!(
        run_env!("CARSTONE_IDENTITY", &key; "cat", &made, "file").exits(0).stdout,
        b"content"
    );
    let info = run_env!("CARSTONE_IDENTITY", &key; "info", &made).exits(0);
    assert_eq!(info.stdout, run!("info", "-i", &key, &made).exits(0).stdout);
    let verify = run_env!("CARSTONE_IDENTITY", &key; "verify", &made).exits(0);
    assert_eq!(verify.stdout, run!("verify", "-i", &key, &made).exits(0).stdout);
    // An option comes before it.
    place.key("other");
    run_env!("CARSTONE_IDENTITY", &key; "list", "-i", place.path("other"), &made)
        .exits(2)
        .says("the identity does not open");
    run_env!("CARSTONE_IDENTITY", ""; "list", &made).exits(2).says("no key was given");
}

/// What needs no key gives the same with a key file in the environment that is of no use.
#[test]
fn key_file_of_the_environment_changes_nothing_for_packs_of_others() {
    let place = place();
    let public = place.key("theirs");
    let made = pack(&place, "x.cstone", &public);
    place.write("passphrase", b"keystone\n");
    let phrase = place.path("phrase.cstone");
    let passphrase = ["create", "-q", "-o"].map(OsString::from).into_iter();
    let passphrase = passphrase.chain([phrase.clone().into(), "--passphrase-file".into()]);
    let passphrase = passphrase.chain([place.path("passphrase").into(), place.path("tree").into()]);
    crate::support::run_args(&passphrase.collect::<Vec<_>>(), None).exits(0);
    let mut damaged = fs::read(&made).expect("read");
    let middle = damaged.len() / 2;
    damaged[middle..middle + 40].fill(0);
    place.write("damaged.cstone", &damaged);
    run!("create", "-q", "-o", place.path("plain.cstone"), place.path("tree")).exits(0);

    place.key("mine");
    place.write("plugin", PLUGIN_IDENTITY.as_bytes());
    place.write("junk", b"no key\n");
    for file in ["mine", "plugin", "junk", "missing"] {
        for pack in ["x.cstone", "phrase.cstone", "damaged.cstone", "plain.cstone"] {
            for args in [&["info"][..], &["info", "--json"], &["verify"], &["repair", "-n"]] {
                let args = args.iter().map(OsString::from).chain([place.path(pack).into()]);
                let args: Vec<OsString> = args.collect();
                let without = crate::support::run_args(&args, None);
                let with = with_env("CARSTONE_IDENTITY", place.path(file), &args);
                assert_eq!(with.code, without.code, "{file} {args:?} {}", with.stderr);
                assert_eq!(with.stdout, without.stdout, "{file} {args:?}");
                // That it was of no use is said where the result is another one with a key.
                let said = with.stderr.split_inclusive('\n');
                let (told, rest): (Vec<&str>, Vec<&str>) = said.partition(|line| {
                    line.starts_with("carstone: CARSTONE_IDENTITY does not open")
                });
                assert_eq!(rest.concat(), without.stderr, "{file} {args:?}");
                let is_told = args[0] != "info" && pack != "plain.cstone";
                assert_eq!(told.len(), usize::from(is_told), "{file} {args:?}: {}", with.stderr);
            }
        }
        let plain = place.path("plain.cstone");
        run_env!("CARSTONE_IDENTITY", place.path(file); "list", plain).exits(0);
    }
    run_env!("CARSTONE_IDENTITY", place.path("mine"); "list", &made)
        .exits(2)
        .one_line()
        .says("CARSTONE_IDENTITY does not open it");
    run_env!("CARSTONE_IDENTITY", place.path("missing"); "list", &made)
        .exits(2)
        .one_line()
        .says("CARSTONE_IDENTITY: ");
    run_env!("CARSTONE_IDENTITY", place.path("mine"); "list", &phrase)
        .exits(2)
        .one_line()
        .says("use -i FILE or -p");
}

#[test]
fn secret_that_is_given_as_a_recipient_is_not_shown() {
    let place = place();
    place.key("key");
    run!("keygen", "--pq", "-o", place.path("pq")).exits(0);
    let secrets = ["key", "pq"].map(|name| secret_of(&place.path(name)));
    for secret in secrets.iter().chain([&PLUGIN_IDENTITY.to_owned()]) {
        for text in
            [secret.clone(), secret.to_lowercase(), format!(" {secret}"), secret[..24].into()]
        {
            for json in [&[][..], &["--json"]] {
                let args = json.iter().chain(&["create", "-o"]).map(OsString::from);
                let args = args.chain([place.path("x").into(), "-r".into(), text.clone().into()]);
                let args: Vec<OsString> = args.chain([place.path("tree").into()]).collect();
                let run = crate::support::run_args(&args, None).exits(2);
                let shown = format!("{}{}", run.stderr, run.text()).to_lowercase();
                let secret = secret[18..].to_lowercase();
                assert!(!shown.contains(&secret[..6.min(secret.len())]), "{shown}");
                assert!(shown.contains("recipient number 1"), "{shown}");
            }
        }
    }
    let run = run!("create", "-o", place.path("x"), "-r", "age1qqqq", place.path("tree")).exits(2);
    run.one_line().says("recipient \"age1qqqq\": not a usable recipient");
}

#[test]
fn json_never_holds_a_new_secret() {
    let place = Place::new();
    let says = "the public key alone is printed";
    for args in
        [&["keygen", "--json"][..], &["keygen", "--json", "--pq"], &["hppr", "keygen", "--json"]]
    {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let run = crate::support::run_args(&args, None).exits(2).says(says);
        assert!(!run.text().contains("SECRET"), "{}", run.text());
    }
    let run = run!("keygen", "--json", "-o", place.path("key")).exits(0);
    let public = run.json()[0]["public_key"].as_str().expect("text").to_owned();
    assert!(public.starts_with("age1"));
    let secret = secret_of(&place.path("key"));
    assert!(!format!("{}{}", run.text(), run.stderr).contains(&secret[16..30]));
    let run = run!("hppr", "keygen", "--json", "-o", place.path("signing")).exits(0);
    let secret = secret_of(&place.path("signing"));
    assert!(!format!("{}{}", run.text(), run.stderr).contains(&secret[8..30]));
}
