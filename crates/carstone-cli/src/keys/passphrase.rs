//! Passphrases: from a file, a command or the terminal.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, bail};
use carstone::keys::secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::is_stdin;
use super::secret::names_a_file;
use crate::cli::PassphraseArgs;

/// A passphrase from a file, standard input or a command.
pub(super) fn given(args: &PassphraseArgs) -> anyhow::Result<Option<SecretString>> {
    if let Some(path) = &args.passphrase_file {
        names_a_file(path)?;
        let opened = match is_stdin(path) {
            // Not by way of the buffer that standard input has, and which nobody wipes.
            true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
            false => File::open(path),
        };
        let file = opened.with_context(|| format!("{}: cannot open", path.display()))?;
        return first_line(file).with_context(|| path.display().to_string()).map(Some);
    }
    args.passphrase_command.as_deref().map(printed).transpose()
}

/// The first line that a command prints. Messages do not repeat the command, since the secret may stand in it.
fn printed(command: &OsStr) -> anyhow::Result<SecretString> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = shell.spawn().context(COMMAND)?;
    let mut stdout = child.stdout.take().context("the command has no output")?;
    let passphrase = first_line(&mut stdout).context(COMMAND);
    // What comes behind it is read, so that the command is not killed by what it still has to say; but not without end.
    let had_enough = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&had_enough);
    // Who has nobody to read it has a pipe that is closed. What the command leaves running may hold the other end for long.
    let _ = thread::Builder::new().spawn(move || drop_rest(stdout, &tell));
    let status = child.wait().context(COMMAND)?;
    let is_closed = status.signal() == Some(SIGPIPE) || status.code() == Some(128 + SIGPIPE);
    if !(status.success() || is_closed && had_enough.load(Ordering::SeqCst)) {
        bail!("{COMMAND}: {status}");
    }
    passphrase
}

/// Reads what is not wanted, and gives up after some mebibytes.
fn drop_rest(mut stdout: impl Read, had_enough: &AtomicBool) {
    // Lines may be like the first one.
    let mut room = Zeroizing::new(vec![0; MAX_PASSPHRASE]);
    let mut left = MAX_REST;
    while left > 0 {
        let read = stdout.read(&mut room);
        room.iter_mut().for_each(|byte| *byte = 0);
        match read {
            Ok(0) => return,
            Ok(n) => left = left.saturating_sub(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
    had_enough.store(true, Ordering::SeqCst);
}

/// Asks for a new passphrase, twice.
pub(super) fn new(what: &str) -> anyhow::Result<SecretString> {
    let first = ask(&format!("{what}: ")).context("cannot ask for a passphrase")?;
    if first.expose_secret().is_empty() {
        bail!("the passphrase is empty");
    }
    let second = ask(&format!("{what} again: ")).context("cannot ask for a passphrase")?;
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
    let mut room = Zeroizing::new(vec![0; MAX_PASSPHRASE + LINE_END]);
    let mut len = 0;
    let line = loop {
        if let Some(end) = room[..len].iter().position(|&byte| byte == b'\n') {
            break &room[..end];
        }
        match source.read(&mut room[len..]) {
            // The end, or a line that is too long.
            Ok(0) => break &room[..len],
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read"),
        }
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > MAX_PASSPHRASE {
        bail!("its first line is longer than {MAX_PASSPHRASE} bytes");
    }
    let Ok(passphrase) = std::str::from_utf8(line) else {
        bail!("its first line is not UTF-8");
    };
    if passphrase.is_empty() {
        bail!("there is no passphrase on its first line");
    }
    Ok(passphrase.into())
}

const COMMAND: &str = "the passphrase command";
const MAX_PASSPHRASE: usize = 64 << 10;
const LINE_END: usize = 2;
/// Bytes behind the first line that a command may print before it is left alone.
const MAX_REST: usize = 4 << 20;
/// Of a process that writes to a pipe that nobody reads.
const SIGPIPE: i32 = 13;

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
        for end in ["", "\n", "\r\n", "\nmore"] {
            check(format!("{long}{end}").as_bytes(), &long);
        }
    }

    #[test]
    fn too_long_a_line_is_refused_and_not_cut() {
        for more in ["x", "x\n", "xx\n", "xxxx"] {
            let line = format!("{}{more}", "x".repeat(MAX_PASSPHRASE));
            for error in
                [first_line(line.as_bytes()).err(), first_line(Slow(line.as_bytes())).err()]
            {
                let error = error.expect("refused").to_string();
                assert_eq!(error, "its first line is longer than 65536 bytes");
            }
        }
    }

    #[test]
    fn nothing_and_no_text_are_refused() {
        for input in [&b""[..], b"\n", b"\r\n", b"\nright", b"\xff\n"] {
            assert!(first_line(input).is_err(), "{input:?}");
        }
    }
}
