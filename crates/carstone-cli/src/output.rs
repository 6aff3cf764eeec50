//! What a command says: results on standard output, everything else on standard error; as text or as JSON Lines.
//!
//! With `--json` each line is an object with a `type`: `entry`, `restored`, `skipped`, `info`, `finding`, `gap`, `damaged_entry`,
//! `signature`, `difference`, `problem`, `note`, `correction`, `rebuilt`, `carved`, `parity`, `over_budget`, `protected`, `file`, `summary`, and last, where it could not be done, `error`. They go to standard output,
//! unless that carries content; then to standard error.

use std::fmt;
use std::io::{self, IsTerminal, StdoutLock, Write};

use serde_json::{Map, Value};

use crate::keys::masked;
use crate::names;

/// Where results and diagnostics go.
pub(crate) struct Output {
    stdout: io::BufWriter<StdoutLock<'static>>,
    json: bool,
    quiet: bool,
    terminal: bool,
    /// Standard output carries content, so that lines of JSON go to standard error.
    content: bool,
    problems: u64,
}

impl Output {
    /// As the options `--json` and `--quiet` ask for.
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let stdout = io::stdout().lock();
        let terminal = stdout.is_terminal();
        Self {
            stdout: io::BufWriter::with_capacity(64 << 10, stdout),
            json,
            quiet,
            terminal,
            content: false,
            problems: 0,
        }
    }

    /// Whether lines of JSON are asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a progress bar may show.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// How many problems have been told.
    pub(crate) fn problems(&self) -> u64 {
        self.problems
    }

    /// A line of results.
    pub(crate) fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.bytes(line)?;
        self.bytes(b"\n")
    }

    /// A line of results; on standard error where standard output carries content.
    pub(crate) fn told(&mut self, line: &str) -> anyhow::Result<()> {
        match self.content {
            true => {
                say(line);
                Ok(())
            }
            false => self.line(line.as_bytes()),
        }
    }

    /// Bytes of results.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stdout.write_all(bytes).map_err(stdout_error)
    }

    /// A name as it is shown: escaped on a terminal, else its bytes.
    pub(crate) fn name(&mut self, name: &[u8]) -> anyhow::Result<()> {
        match self.terminal {
            true => self.bytes(names::escaped(name).as_bytes()),
            false => self.bytes(name),
        }
    }

    /// A JSON line of the type `kind`.
    pub(crate) fn object(&mut self, kind: &str, fields: Map<String, Value>) -> anyhow::Result<()> {
        // The type comes first, where eyes and simple tools look for it.
        let body = Value::Object(fields).to_string();
        let rest = body.strip_prefix('{').unwrap_or_default();
        let comma = if rest == "}" { "" } else { "," };
        let line = format!("{{\"type\":{}{comma}{rest}", Value::from(kind));
        if self.content {
            say(&line);
            return Ok(());
        }
        self.line(line.as_bytes())
    }

    /// Standard output for content.
    ///
    /// # Errors
    /// It is a terminal, which binary data could damage.
    pub(crate) fn content(&mut self, allowed_on_terminal: bool) -> anyhow::Result<Content<'_>> {
        if self.terminal && !allowed_on_terminal {
            anyhow::bail!("standard output is a terminal: give `-o FILE`, or send it to a pipe");
        }
        self.content = true;
        Ok(Content(&mut self.stdout))
    }

    /// Lines of JSON go to standard error from now on, since standard output carries content.
    pub(crate) fn gives_stdout_away(&mut self) -> anyhow::Result<()> {
        self.content(false).map(drop)
    }

    /// A line for people that is no problem. Not with `--quiet` or `--json`.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet && !self.json {
            let _ = self.stdout.flush();
            say(&masked(text));
        }
    }

    /// Something that the user should know before the result is believed. It is no problem of what is read; programs are told too.
    pub(crate) fn warn(&mut self, what: &str) -> anyhow::Result<()> {
        if self.json {
            let fields = Map::from_iter([("message".to_owned(), masked(what).into())]);
            self.object("note", fields)?;
        }
        self.complain(what);
        Ok(())
    }

    /// Something with one file, named `path`, that does not stop the rest.
    pub(crate) fn problem(&mut self, path: &[u8], what: &dyn fmt::Display) -> anyhow::Result<()> {
        self.problem_with(path, what, Map::new())
    }

    /// The same, with more that programs are told.
    pub(crate) fn problem_with(
        &mut self,
        path: &[u8],
        what: &dyn fmt::Display,
        mut fields: Map<String, Value>,
    ) -> anyhow::Result<()> {
        self.problems += 1;
        if self.json {
            names::put(&mut fields, "path", path);
            fields.insert("message".to_owned(), masked(&what.to_string()).into());
            self.object("problem", fields)?;
        }
        self.complain(&format!("{}: {what}", names::shown(path)));
        Ok(())
    }

    /// What ended the run, as a line for programs and one for people.
    pub(crate) fn error(&mut self, what: &str) {
        self.error_object(what);
        self.complain(what);
    }

    /// The line for programs alone. Nobody can be told where it fails.
    pub(crate) fn error_object(&mut self, what: &str) {
        if self.json {
            let fields = Map::from_iter([("message".to_owned(), masked(what).into())]);
            let _ = self.object("error", fields).and_then(|()| self.flush());
        }
    }

    /// One line on standard error. Secret keys are left out of it: they may have been given in place of a file.
    pub(crate) fn complain(&mut self, what: &str) {
        // What was printed before came before.
        let _ = self.stdout.flush();
        warning(what);
    }

    /// Sends out what is buffered.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        self.stdout.flush().map_err(stdout_error)
    }
}

/// One line on standard error. `eprintln!` would panic where nobody reads it any more, or its disk is full; the work
/// goes on then, and the exit status tells how it ended.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The same under the name of the command, and without secret keys.
pub(crate) fn warning(what: &str) {
    say(&format!("carstone: {}", masked(what).replace('\n', "\\n")));
}

/// Standard output as a sink of bytes.
pub(crate) struct Content<'a>(&'a mut io::BufWriter<StdoutLock<'static>>);

impl Write for Content<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whoever read our standard output has closed it.
#[derive(Debug)]
struct ClosedStdout;

impl fmt::Display for ClosedStdout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed")
    }
}

impl std::error::Error for ClosedStdout {}

/// Tells a closed pipe from other failures to write.
pub(crate) fn stdout_error(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ClosedStdout.into(),
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    }
}

/// Whether a run ended because nobody reads its output any more.
pub(crate) fn is_closed_stdout(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ClosedStdout>().is_some()
}
