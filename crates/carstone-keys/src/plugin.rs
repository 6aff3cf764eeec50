//! Plugins of age: programs `age-plugin-NAME` that keep keys elsewhere, such as in hardware.
//!
//! The protocol is <https://c2sp.org/age-plugin>; the age library speaks it. A plugin is run only because a
//! recipient or an identity that the user gave names it, never because of what stands in an envelope.

use std::env;
use std::sync::Arc;

use age::plugin::{Identity, IdentityPluginV1, Recipient, RecipientPluginV1, ResolveError};
use age::{DecryptError, EncryptError};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::header::Header;
use crate::payload;

/// What a plugin has to say to the user, and what it asks. The texts are the plugin's.
///
/// Whoever answers `None` lets the plugin go on without, or give up.
pub trait PluginUi: Send + Sync {
    /// Shows a message, such as that a hardware key has to be touched.
    fn message(&self, text: &str);

    /// Lets the user choose `yes` or `no`, which are texts for two buttons.
    fn confirm(&self, text: &str, yes: &str, no: Option<&str>) -> Option<bool>;

    /// Asks for something that is no secret.
    fn ask(&self, question: &str) -> Option<String>;

    /// Asks for a secret, such as the PIN of a hardware key.
    fn ask_secret(&self, question: &str) -> Option<SecretString>;
}

/// Nobody, or who was set.
#[derive(Clone, Default)]
pub(crate) struct Ui(Option<Arc<dyn PluginUi>>);

impl Ui {
    pub(crate) fn new(ui: impl PluginUi + 'static) -> Self {
        Self(Some(Arc::new(ui)))
    }
}

impl age::Callbacks for Ui {
    fn display_message(&self, message: &str) {
        if let Some(ui) = &self.0 {
            ui.message(&plain(message));
        }
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.0.as_ref()?.confirm(&plain(message), yes, no)
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.0.as_ref()?.ask(&plain(description))
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        self.0.as_ref()?.ask_secret(&plain(description))
    }
}

/// The identities of plugins in a key file.
#[derive(Clone, Default)]
pub(crate) struct PluginKeys(Vec<Identity>);

impl PluginKeys {
    /// Takes `AGE-PLUGIN-NAME-1…`; false if the text is anything else.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        let key = text.parse::<Identity>();
        self.0.extend(key.as_ref().ok().cloned());
        key.is_ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    /// Asks one plugin after the other. One that fails keeps none of the others from opening.
    pub(crate) fn open(
        &self,
        bytes: &[u8],
        header: &Header,
        limit: usize,
        ui: &Ui,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut failed = None;
        for name in each_once(self.0.iter().map(Identity::plugin)) {
            let opened = not_printing()
                .and_then(|()| {
                    let plugin = IdentityPluginV1::new(name, &self.0, ui.clone());
                    plugin.map_err(|error| unresolved(&error))
                })
                .and_then(|plugin| payload::open_with(bytes, header, &plugin, limit, from_decrypt));
            match opened {
                Ok(plain) => return Ok(plain),
                Err(error) if matches!(error.kind(), ErrorKind::NoMatchingKey { .. }) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let nothing = ErrorKind::NoMatchingKey { tried: 0, needs: Vec::new() };
        Err(failed.unwrap_or_else(|| Error::new(nothing)))
    }
}

/// One recipient of the age library for each plugin.
pub(crate) fn sealers(
    recipients: &[Recipient],
    ui: &Ui,
) -> Result<Vec<RecipientPluginV1<Ui>>, Error> {
    let sealer = |name| {
        not_printing()?;
        let plugin = RecipientPluginV1::new(name, recipients, &[], ui.clone());
        plugin.map_err(|error| unresolved(&error))
    };
    each_once(recipients.iter().map(Recipient::plugin)).map(sealer).collect()
}

/// What sealing came to where a plugin had to do with it.
pub(crate) fn from_encrypt(error: &EncryptError) -> Option<Error> {
    match error {
        EncryptError::Plugin(errors) => Some(failed(errors)),
        EncryptError::PluginResolve(error) => Some(unresolved(error)),
        EncryptError::Io(error) => Some(failed(std::slice::from_ref(error))),
        _ => None,
    }
}

/// The same for opening. The file was read before, so that an error of reading is of the pipe to the plugin.
fn from_decrypt(error: DecryptError) -> Error {
    match error {
        DecryptError::Plugin(errors) => failed(&errors),
        DecryptError::PluginResolve(error) => unresolved(&error),
        DecryptError::Io(error) => failed(&[error]),
        DecryptError::DecryptionFailed => failed(&["it gave a key of another length"]),
        other => payload::from_decrypt(other),
    }
}

/// Fails where the age library would print what it tells a plugin and hears from it, file keys included. It looks at the same variable.
fn not_printing() -> Result<(), Error> {
    match env::var_os(DEBUG) {
        Some(what) if what == "plugin" => Err(Error::new(ErrorKind::PluginDebug)),
        _ => Ok(()),
    }
}

/// Without the marks of writing direction that the age library sets around names; a terminal that does not know them shows them.
fn plain(text: &str) -> String {
    text.replace(['\u{2068}', '\u{2069}'], "")
}

fn unresolved(error: &ResolveError) -> Error {
    Error::new(ErrorKind::PluginMissing {
        program: match error {
            ResolveError::MissingPlugin { binary_name } => binary_name.clone(),
            ResolveError::InvalidPluginName { name } => format!("age-plugin-{name}"),
            _ => "age-plugin".to_owned(),
        },
    })
}

/// Puts what plugins say on one line of bounded length.
fn failed(errors: &[impl ToString]) -> Error {
    let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let words = all.iter().flat_map(|text| text.split(|c: char| c.is_whitespace() || is_odd(c)));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let message = words.join(" ").chars().take(MESSAGE_CHARS).collect();
    Error::new(ErrorKind::PluginFailed { message })
}

/// Whether a terminal takes the character for a command.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let mut seen: Vec<&str> = Vec::new();
    names.filter(move |name| {
        let new = !seen.contains(name);
        if new {
            seen.push(name);
        }
        new
    })
}

const DEBUG: &str = "AGEDEBUG";
const MESSAGE_CHARS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_plugins_fit_on_a_line() {
        let error = failed(&["one\r\n two\u{1b}[31m", "\u{2068}three\u{2069} "]);
        assert_eq!(error.to_string(), "a plugin failed: one two [31m three");
        let error = failed(&["x".repeat(MESSAGE_CHARS * 2)]);
        assert_eq!(*error.kind(), ErrorKind::PluginFailed { message: "x".repeat(MESSAGE_CHARS) });
    }

    #[test]
    fn marks_around_names_are_left_out() {
        assert_eq!(plain("waiting for \u{2068}open\u{2069}…"), "waiting for open…");
    }

    #[test]
    fn names_come_once_and_in_order() {
        let names = ["b", "a", "b", "c", "a"];
        assert_eq!(each_once(names.into_iter()).collect::<Vec<_>>(), ["b", "a", "c"]);
    }

    #[test]
    fn only_identities_of_plugins_are_taken() {
        let mut keys = PluginKeys::default();
        for text in ["", "AGE-PLUGIN-", "AGE-PLUGIN-OPEN-1QQQQ", "AGE-SECRET-KEY-1QQQQ"] {
            assert!(!keys.take(text), "{text}");
        }
        let hrp = bech32::Hrp::parse("AGE-PLUGIN-OPEN-").expect("a prefix");
        let text = bech32::encode_upper::<bech32::Bech32>(hrp, b"key").expect("short");
        assert!(keys.take(&text));
        assert_eq!(keys.len(), 1);
    }
}
