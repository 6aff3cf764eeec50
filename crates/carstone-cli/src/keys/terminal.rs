//! What plugins of age say and ask.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};

use carstone::keys::PluginUi;
use carstone::keys::secrecy::SecretString;

use super::passphrase::ask;
use crate::names::escaped;
use crate::output::say;

/// The terminal, whatever standard input and output are. Where there is none, nothing is answered.
pub(super) struct Terminal;

impl PluginUi for Terminal {
    fn message(&self, text: &str) {
        say(&escaped(text.as_bytes()));
    }

    fn confirm(&self, text: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let shown = |text: &str| escaped(text.as_bytes()).into_owned();
        let choice = match no {
            Some(no) => format!("[y: {}, n: {}]", shown(yes), shown(no)),
            None => format!("[y: {}]", shown(yes)),
        };
        let answer = line(&format!("{} {choice} ", shown(text)))?;
        Some(answer.trim().eq_ignore_ascii_case("y"))
    }

    fn ask(&self, question: &str) -> Option<String> {
        line(&format!("{}: ", escaped(question.as_bytes())))
    }

    fn ask_secret(&self, question: &str) -> Option<SecretString> {
        ask(&format!("{}: ", escaped(question.as_bytes()))).ok()
    }
}

/// A line that is typed.
fn line(prompt: &str) -> Option<String> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
    write!(terminal, "{prompt}").ok()?;
    let mut line = String::new();
    BufReader::new(terminal.take(MAX_LINE)).read_line(&mut line).ok()?;
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}

const MAX_LINE: u64 = 4096;
