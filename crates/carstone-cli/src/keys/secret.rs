//! Secret keys in texts that are shown: somebody gave the key itself where the name of its file was asked for.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;

use anyhow::bail;

/// Fails where a secret key was given in place of a file. A file that is really called so is one.
pub(crate) fn names_a_file(path: &Path) -> anyhow::Result<()> {
    if is_secret(path.as_os_str()) && !path.exists() {
        bail!(
            "what was given in place of a file looks like a secret key; arguments and variables can be seen by others: \
             put it into a file that only you can read, or send it to standard input (-)"
        );
    }
    Ok(())
}

/// Whether a secret key, or the start of one, stands in the text.
pub(crate) fn is_secret(text: &OsStr) -> bool {
    matches!(masked(&text.to_string_lossy()), Cow::Owned(_))
}

/// The text without the secret keys in it, whole or cut off: native keys of age, those of plugins, private keys of OpenSSH, and those of HPPR.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    let mut out = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(rest) = lower.get(at..) {
        let Some(found) = STARTS.iter().filter_map(|start| Some((rest.find(start)?, *start))).min()
        else {
            break;
        };
        let (start, prefix) = (at + found.0, found.1);
        let body = start + prefix.len();
        let len = secret_len(prefix, lower.get(body..).unwrap_or_default());
        at = body + len;
        if len > 0 {
            out.push_str(text.get(done..body).unwrap_or_default());
            out.push('…');
            done = at;
        }
    }
    match done {
        0 => Cow::Borrowed(text),
        _ => {
            out.push_str(text.get(done..).unwrap_or_default());
            Cow::Owned(out)
        }
    }
}

/// How many bytes behind a start are secret; 0 where it is the start of something else. `behind` is in lower case.
fn secret_len(start: &str, behind: &str) -> usize {
    let word = |more: &str| {
        let is_in = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        behind.find(|c| !is_in(c)).unwrap_or(behind.len())
    };
    match start {
        PLUGIN => {
            // A program of the same name has no data behind its name.
            let len = word("+-._");
            let key = behind.get(..len).unwrap_or_default();
            let data = key.rfind("-1").map_or("", |at| key.get(at + 2..).unwrap_or_default());
            if data.len() >= PLUGIN_DATA && !data.contains(['.', '_', '+']) { len } else { 0 }
        }
        PEM => match behind.lines().next() {
            Some(title) if title.contains("private key") => behind.len(),
            _ => 0,
        },
        HPPR => {
            let len = word("-_.~+/=");
            if len >= HPPR_DATA { len } else { 0 }
        }
        _ => word("-"),
    }
}

const STARTS: [&str; 4] = [NATIVE, PLUGIN, PEM, HPPR];
const NATIVE: &str = "age-secret-key-";
const PLUGIN: &str = "age-plugin-";
const PEM: &str = "-----begin ";
const HPPR: &str = "&.";
/// The checksum that every key has.
const PLUGIN_DATA: usize = 6;
const HPPR_DATA: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(masked(text), expected);
        assert_eq!(is_secret(OsStr::new(text)), text != expected);
    }

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        check("AGE-SECRET-KEY-1QQQQ: cannot open", "AGE-SECRET-KEY-…: cannot open");
        check("a age-secret-key-pq-1qqqq b", "a age-secret-key-… b");
        check("/x/AGE-SECRET-KEY-1QQ/AGE-SECRET-KEY-1PP", "/x/AGE-SECRET-KEY-…/AGE-SECRET-KEY-…");
        check("'AGE-PLUGIN-YUBI-KEY-1QQQQQQ'", "'AGE-PLUGIN-…'");
        check("ö AGE-SECRET-KEY-1é", "ö AGE-SECRET-KEY-…é");
        check("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "-----BEGIN …");
        check("-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Bl: x", "-----BEGIN …");
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "",
            "müde",
            "age-plugin-open is not installed",
            "the plugin age-plugin-x-1.2 is not installed",
            "AGE-SECRET-KEY-",
            "age1qqqq",
            "-----BEGIN AGE ENCRYPTED FILE-----",
        ] {
            check(text, text);
        }
    }
}
