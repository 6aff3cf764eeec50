//! Passphrases: from a file, a command or the terminal.

use std::io::{self, Read};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use carstone::keys::secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::cli::PassphraseArgs;

/// A passphrase from a file or a command.
pub(super) fn given(args: &PassphraseArgs) -> anyhow::Result<Option<SecretString>> {
    if let Some(path) = &args.passphrase_file {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("{}: cannot open", path.display()))?;
        return first_line(file).with_context(|| path.display().to_string()).map(Some);
    }
    let Some(command) = &args.passphrase_command else { return Ok(None) };
    let name = || format!("passphrase command {command:?}");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = shell.spawn().with_context(name)?;
    let stdout = child.stdout.take().context("the command has no output")?;
    let passphrase = first_line(stdout).with_context(name);
    let status = child.wait().with_context(name)?;
    if !status.success() {
        bail!("{}: {status}", name());
    }
    passphrase.map(Some)
}

/// Asks for a new passphrase, twice.
pub(super) fn new() -> anyhow::Result<SecretString> {
    let first = ask("Passphrase: ").context("cannot ask for a passphrase")?;
    if first.expose_secret().is_empty() {
        bail!("the passphrase is empty");
    }
    let second = ask("Passphrase again: ").context("cannot ask for a passphrase")?;
    let [one, two] = [&first, &second].map(|text| text.expose_secret().as_bytes());
    if !bool::from(one.ct_eq(two)) {
        bail!("the passphrases differ");
    }
    Ok(first)
}

/// Asks on the terminal, without showing what is typed.
pub(super) fn ask(prompt: &str) -> io::Result<SecretString> {
    // What a string of just the right length is made of would otherwise stay behind.
    let typed = Zeroizing::new(rpassword::prompt_password(prompt)?);
    Ok(SecretString::from(typed.as_str()))
}

/// The first line, without its end. The room for it never moves, and is wiped.
fn first_line(mut source: impl Read) -> anyhow::Result<SecretString> {
    let mut room = Zeroizing::new(vec![0; MAX_PASSPHRASE]);
    let mut len = 0;
    let line = loop {
        if let Some(end) = room[..len].iter().position(|&byte| byte == b'\n') {
            break &room[..end];
        }
        match source.read(&mut room[len..]) {
            // The end, or a line that goes on behind all that is taken.
            Ok(0) => break &room[..len],
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read"),
        }
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Ok(passphrase) = std::str::from_utf8(line) else {
        bail!("its first line is not UTF-8");
    };
    if passphrase.is_empty() {
        bail!("there is no passphrase on its first line");
    }
    Ok(passphrase.into())
}

const MAX_PASSPHRASE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let len = buf.len().min(1);
            self.0.read(&mut buf[..len])
        }
    }

    #[track_caller]
    fn check(input: &[u8], expected: &str) {
        let whole = first_line(input).expect("a passphrase");
        let slow = first_line(Slow(input)).expect("a passphrase");
        assert_eq!([whole.expose_secret(), slow.expose_secret()], [expected; 2]);
    }

    #[test]
    fn first_line_is_taken_without_its_end() {
        check(b"right", "right");
        check(b"right\n", "right");
        check(b"right\r\nwrong\n", "right");
        check(b" right \nwrong", " right ");
        check("größe\n".as_bytes(), "größe");
        let long = "x".repeat(MAX_PASSPHRASE);
        check(format!("{long}x\n").as_bytes(), &long);
    }

    #[test]
    fn nothing_and_no_text_are_refused() {
        for input in [&b""[..], b"\n", b"\r\n", b"\nright", b"\xff\n"] {
            assert!(first_line(input).is_err(), "{input:?}");
        }
    }
}
