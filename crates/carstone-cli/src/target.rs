//! Where `create` writes: a file that gets its name at the end, or standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use carstone::pack::fs::FileId;

use crate::keys::is_stdin;
use crate::output::Output;
use crate::sink::OutFile;

/// Where the pack goes.
pub(crate) enum Target {
    /// A file under its name.
    File(OutFile),
    /// Standard output.
    Stdout(File),
}

impl Target {
    /// Opens it.
    ///
    /// # Errors
    /// It exists and `force` is not set, it cannot be written to, or it is a terminal.
    pub(crate) fn create(path: &Path, force: bool, output: &mut Output) -> anyhow::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        let stdout = stdout.map(File::from).context("cannot open standard output");
        if is_stdin(path) {
            output.gives_stdout_away()?;
            return Ok(Self::Stdout(stdout?));
        }
        let file = OutFile::create(path, force)?;
        let is_stdout = |stdout: &File| FileId::of(stdout).ok() == FileId::of(file.file()).ok();
        // Another name of it, such as /dev/stdout.
        if !file.is_temporary() && stdout.is_ok_and(|stdout| is_stdout(&stdout)) {
            output.gives_stdout_away()?;
        }
        Ok(Self::File(file))
    }

    /// The file, to write to.
    pub(crate) fn file(&self) -> &File {
        match self {
            Self::File(file) => file.file(),
            Self::Stdout(file) => file,
        }
    }

    /// Whether what was written can be written to again.
    pub(crate) fn is_seekable(&self) -> bool {
        matches!(self, Self::File(file) if file.is_temporary())
    }

    /// What must not be packed.
    pub(crate) fn identities(&self) -> Vec<FileId> {
        match self {
            Self::File(file) => file.identities(),
            Self::Stdout(file) => FileId::of(file).into_iter().collect(),
        }
    }

    /// Gives it its name, when all is written.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => file.finish(),
            Self::Stdout(_) => Ok(()),
        }
    }
}

/// What a target is called in messages.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard output".to_owned() } else { path.display().to_string() }
}

/// Counts what goes through.
pub(crate) struct Counted<'a> {
    /// Where it goes.
    pub inner: &'a File,
    /// Bytes so far.
    pub count: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = (&mut &*self.inner).write(buf)?;
        self.count += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
