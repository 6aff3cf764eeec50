//! Plugins of age. `tests/plugin/age-plugin-open` is one.
//!
//! Plugins are looked for in `PATH`, so each test runs once more in a process that has them there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::{env, fs};

use age::plugin;
use bech32::{Bech32, Hrp};
use carstone_keys::secrecy::{ExposeSecret, SecretString};
use carstone_keys::{
    ContentKey, Envelope, ErrorKind, Identities, Identity, PluginUi, Recipient, RecipientKind,
    Recipients,
};
use tempfile::TempDir;

/// Runs `body` with the plugin in `PATH`, and gives it the file of the plugin's log.
#[track_caller]
fn with_plugin(test: &str, body: impl FnOnce(&Path)) {
    if let Some(log) = env::var_os("AGE_PLUGIN_OPEN_LOG") {
        return body(Path::new(&log));
    }
    let log = TempDir::new().expect("a folder");
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugin")).to_owned();
    let paths = env::var_os("PATH").unwrap_or_default();
    let paths: Vec<PathBuf> = [folder].into_iter().chain(env::split_paths(&paths)).collect();
    let output = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", &format!("plugin::{test}"), "--nocapture"])
        .env("PATH", env::join_paths(paths).expect("a list"))
        .env("AGE_PLUGIN_OPEN_LOG", log.path().join("log"))
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("1 passed"), "{said}");
}

fn runs(log: &Path) -> usize {
    fs::read_to_string(log).map_or(0, |text| text.lines().count())
}

fn recipient(data: &str) -> String {
    let hrp = Hrp::parse("age1open").expect("a prefix");
    bech32::encode::<Bech32>(hrp, data.as_bytes()).expect("short")
}

fn secret(name: &str, data: &str) -> String {
    let hrp = Hrp::parse(&format!("AGE-PLUGIN-{name}-")).expect("a prefix");
    bech32::encode_upper::<Bech32>(hrp, data.as_bytes()).expect("short")
}

fn with(text: &str) -> Identities {
    let mut identities = Identities::new();
    identities.add_reader(text.as_bytes(), "keys").expect("a key file");
    identities
}

fn sealed(recipients: &[Recipient]) -> (Envelope, ContentKey) {
    let key = ContentKey::generate().expect("randomness");
    let recipients: Recipients = recipients.iter().cloned().collect();
    (recipients.seal(&key).expect("sealed"), key)
}

fn for_plugin() -> Recipient {
    Recipient::parse(&recipient("x")).expect("a recipient")
}

#[derive(Default)]
struct Script {
    answer: Option<&'static str>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl PluginUi for Script {
    fn message(&self, text: &str) {
        self.heard.lock().expect("no panic").push(text.to_owned());
    }

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn ask(&self, _: &str) -> Option<String> {
        None
    }

    fn ask_secret(&self, question: &str) -> Option<SecretString> {
        self.message(question);
        self.answer.map(SecretString::from)
    }
}

#[test]
fn plugin_seals_and_opens() {
    with_plugin("plugin_seals_and_opens", |log| {
        let native = Identity::generate().expect("randomness");
        let recipient = for_plugin();
        assert_eq!(recipient.kind(), RecipientKind::Unknown("open".into()));
        assert_eq!(recipient, Recipient::parse(&recipient.to_string()).expect("its own text"));
        let (envelope, key) = sealed(&[recipient, native.to_public()]);
        let kinds = envelope.recipients();
        assert!(kinds.contains(&RecipientKind::Unknown("open-stanza".into())), "{kinds:?}");
        assert!(kinds.contains(&RecipientKind::X25519), "{kinds:?}");
        assert_eq!(runs(log), 1);
        assert_eq!(with(&secret("OPEN", "x")).open(&envelope).expect("opens"), key);
        assert_eq!(runs(log), 2);
        // The native key comes first, wherever it stands.
        let both =
            format!("{}\n{}\n", secret("OPEN", "x"), native.to_secret_text().expose_secret());
        assert_eq!(with(&both).open(&envelope).expect("opens"), key);
        assert_eq!(runs(log), 2);
    });
}

#[test]
fn plugin_for_which_nothing_stands_there_opens_nothing() {
    with_plugin("plugin_for_which_nothing_stands_there_opens_nothing", |_| {
        let native = Identity::generate().expect("randomness").to_public();
        let error = with(&secret("OPEN", "x")).open(&sealed(&[native]).0).expect_err("nothing");
        assert!(matches!(error.kind(), ErrorKind::NoMatchingKey { tried: 1, .. }), "{error}");
    });
}

#[test]
fn envelope_names_no_plugin() {
    with_plugin("envelope_names_no_plugin", |log| {
        let (envelope, _) = sealed(&[for_plugin()]);
        assert_eq!(runs(log), 1);
        // A stanza that has the plugin's very name as its type.
        let stored = envelope.as_bytes();
        let named = String::from_utf8_lossy(stored).contains("-> open-stanza ");
        assert!(named);
        let text = stored.to_vec();
        let at = text.windows(12).position(|part| part == b"-> open-stan").expect("a stanza");
        let renamed = [&text[..at], b"-> open x\n", &text[at + "-> open-stanza x\n".len()..]];
        for bytes in [stored.to_vec(), renamed.concat()] {
            let envelope = Envelope::from_bytes(&bytes).expect("an envelope");
            let mut identities = Identities::new();
            identities.add_identity(Identity::generate().expect("randomness"));
            let error = identities.open(&envelope).expect_err("a stranger");
            assert!(matches!(error.kind(), ErrorKind::NoMatchingKey { .. }), "{error}");
        }
        assert_eq!(runs(log), 1);
    });
}

#[test]
fn questions_of_a_plugin_are_passed_on() {
    with_plugin("questions_of_a_plugin_are_passed_on", |_| {
        let (envelope, key) = sealed(&[for_plugin()]);
        let mut identities = with(&secret("OPEN", "pin"));
        let refused = |identities: &Identities| {
            let error = identities.open(&envelope).expect_err("refused");
            let ErrorKind::PluginFailed { message } = error.kind() else { panic!("{error}") };
            assert!(message.contains("wrong PIN"), "{message}");
        };
        refused(&identities);
        identities.plugin_ui(Script { answer: Some("shut"), ..Script::default() });
        refused(&identities);
        let script = Script { answer: Some("open"), ..Script::default() };
        let heard = Arc::clone(&script.heard);
        identities.plugin_ui(script);
        assert_eq!(identities.open(&envelope).expect("opens"), key);
        assert_eq!(*heard.lock().expect("no panic"), ["a question follows", "PIN, please"]);
    });
}

#[test]
fn refusal_to_seal_is_an_error() {
    with_plugin("refusal_to_seal_is_an_error", |_| {
        let refused = Recipient::parse(&recipient("sorry")).expect("a recipient");
        let recipients: Recipients = [refused].into_iter().collect();
        let error = recipients.seal(&ContentKey::from_bytes([1; 32])).expect_err("refused");
        let ErrorKind::PluginFailed { message } = error.kind() else { panic!("{error}") };
        assert!(message.contains("no room"), "{message}");
    });
}

#[test]
fn missing_plugin_is_named_and_keeps_no_other_key_from_opening() {
    with_plugin("missing_plugin_is_named_and_keeps_no_other_key_from_opening", |_| {
        let missing = secret("GONE", "x");
        let expected = ErrorKind::PluginMissing { program: "age-plugin-gone".into() };
        let (envelope, key) = sealed(&[for_plugin()]);
        assert_eq!(with(&missing).open(&envelope).expect_err("missing").kind(), &expected);
        let both = format!("{missing}\n{}", secret("OPEN", "x"));
        assert_eq!(with(&both).open(&envelope).expect("opens"), key);

        let hrp = Hrp::parse("age1gone").expect("a prefix");
        let text = bech32::encode::<Bech32>(hrp, b"x").expect("short");
        let recipients: Recipients =
            [Recipient::parse(&text).expect("a recipient")].into_iter().collect();
        let error = recipients.seal(&key).expect_err("missing");
        assert_eq!(error.kind(), &expected);
        assert_eq!(error.to_string(), "the plugin age-plugin-gone is not installed");
    });
}

#[test]
fn native_recipients_never_become_plugins() {
    for name in ["pq", "tag", "tagpq"] {
        let hrp = Hrp::parse(&format!("age1{name}")).expect("a prefix");
        let text = bech32::encode::<Bech32>(hrp, b"not a key").expect("short");
        assert!(text.parse::<plugin::Recipient>().is_ok(), "{text}");
        assert!(Recipient::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn no_plugin_is_run_where_keys_would_be_printed() {
    // The variable is of the whole process, so this one goes without it and starts another one with it.
    let test = "no_plugin_is_run_where_keys_would_be_printed";
    if env::var_os("AGEDEBUG").is_none() {
        let program = env::current_exe().expect("this program");
        let arguments = ["--exact", &format!("plugin::{test}"), "--nocapture"];
        let run = Command::new(program).args(arguments).env("AGEDEBUG", "plugin").output();
        let run = run.expect("started");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    with_plugin(test, |log| {
        let native = Identity::generate().expect("randomness");
        let recipients: Recipients = [for_plugin()].into_iter().collect();
        let error = recipients.seal(&ContentKey::from_bytes([1; 32])).expect_err("refused");
        assert_eq!(*error.kind(), ErrorKind::PluginDebug);
        let (envelope, _) = sealed(&[native.to_public()]);
        let error = with(&secret("OPEN", "x")).open(&envelope).expect_err("refused");
        assert_eq!(*error.kind(), ErrorKind::PluginDebug);
        assert!(error.to_string().contains("AGEDEBUG=plugin"), "{error}");
        assert_eq!(runs(log), 0);
    });
}
