//! Output files: complete under their name, or not at all.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use carstone::pack::fs::FileId;
use tempfile::NamedTempFile;

use crate::signals;

/// A file that is being written beside its final name.
pub(crate) struct OutFile {
    target: PathBuf,
    place: Place,
    force: bool,
}

enum Place {
    /// Goes under the final name at the end.
    Temporary(NamedTempFile),
    /// A device or a fifo, which is written to as it is.
    Direct(File),
}

impl OutFile {
    /// Starts a file that will be `target`.
    ///
    /// # Errors
    /// It exists and `force` is not set, or its directory cannot be written to.
    pub(crate) fn create(target: &Path, force: bool) -> anyhow::Result<Self> {
        let name = || target.display().to_string();
        if check(target, force)? == Kind::Direct {
            let file = File::options().write(true).open(target);
            let place = Place::Direct(file.with_context(name)?);
            return Ok(Self { target: target.to_owned(), place, force });
        }
        let resolved = resolved(target);
        let directory = parent(&resolved);
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(resolved.file_name().with_context(|| format!("{}: has no name", name()))?);
        // The whole name is kept within 255 bytes.
        if prefix.len() > 200 {
            prefix = ".carstone".into();
        }
        // What was not for everybody does not become so by being replaced.
        let mode = match fs::metadata(&resolved) {
            Ok(replaced) => replaced.permissions().mode() & 0o666,
            Err(_) => 0o666,
        };
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(PART)
            .rand_bytes(RANDOM)
            .permissions(fs::Permissions::from_mode(mode))
            .tempfile_in(directory)
            .with_context(|| format!("{}: cannot create a file beside it", name()))?;
        signals::unfinished(file.path());
        Ok(Self { target: resolved, place: Place::Temporary(file), force })
    }

    /// Which files must not be packed: this one, and the one it will replace.
    pub(crate) fn identities(&self) -> Vec<FileId> {
        let replaced = fs::metadata(&self.target).ok().map(|metadata| FileId::from(&metadata));
        FileId::of(self.file()).ok().into_iter().chain(replaced).collect()
    }

    /// Whether it is a file of its own, which can seek, and not a device.
    pub(crate) fn is_temporary(&self) -> bool {
        matches!(self.place, Place::Temporary(_))
    }

    /// The file, to write to.
    pub(crate) fn file(&self) -> &File {
        match &self.place {
            Place::Temporary(file) => file.as_file(),
            Place::Direct(file) => file,
        }
    }

    /// Makes it durable and gives it its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let name = self.target.display().to_string();
        let file = match self.place {
            Place::Temporary(file) => file,
            Place::Direct(mut file) => return file.flush().with_context(|| name),
        };
        let path = file.path().to_owned();
        let result = (|| {
            file.as_file().sync_all().context("cannot write it to disk")?;
            let kept = match self.force {
                true => file.persist(&self.target),
                false => file.persist_noclobber(&self.target),
            };
            kept.map_err(|error| error.error).context("cannot give the file its name")?;
            // The name itself is durable only when the directory is.
            File::open(parent(&self.target)).and_then(|directory| directory.sync_all()).ok();
            anyhow::Ok(())
        })();
        signals::finished(&path);
        result.with_context(|| name)
    }
}

/// What a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file to be made or replaced.
    File,
    /// A device or a fifo.
    Direct,
}

/// Whether a file may become `target`, as far as can be told without making one.
///
/// # Errors
/// It exists and `force` is not set, it is a directory, or there is none for it.
pub(crate) fn check(target: &Path, force: bool) -> anyhow::Result<Kind> {
    let name = target.display();
    if target.as_os_str().as_bytes().ends_with(b"/") {
        bail!("{name}: names a directory, not a file");
    }
    // Behind links like /dev/stdout stands a pipe without a path: what they lead to decides, and is never replaced.
    match fs::metadata(target) {
        Ok(metadata) if metadata.is_dir() => bail!("{name}: is a directory"),
        Ok(metadata) if !metadata.is_file() => return Ok(Kind::Direct),
        _ => {}
    }
    if !force && target.symlink_metadata().is_ok() {
        bail!("{name}: exists already; --force replaces it");
    }
    let resolved = resolved(target);
    // With the dot a file in the place of the directory is told too.
    fs::metadata(parent(&resolved).join("."))
        .with_context(|| format!("{name}: cannot create a file beside it"))?;
    Ok(Kind::File)
}

/// Whether a file is called like one that was being written when a command was killed.
pub(crate) fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().map_or(&[][..], |name| name.as_bytes());
    let inner = name.strip_prefix(b".").and_then(|name| name.strip_suffix(PART.as_bytes()));
    // The random letters are preceded by the name that it would have got.
    let random = inner.and_then(|inner| inner.len().checked_sub(RANDOM).map(|at| &inner[at..]));
    random.is_some_and(|random| random.iter().all(u8::is_ascii_alphanumeric))
}

/// With a symlink the file it points to is replaced, not the link.
fn resolved(target: &Path) -> PathBuf {
    fs::canonicalize(target).unwrap_or_else(|_| target.to_owned())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// What files end in that are being written, and how many random letters stand before that.
const PART: &str = ".part";
const RANDOM: usize = 6;
