//! Parity that is made.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Context;
use carstone::car::AtReader;
use carstone::layer::ReadAt;
use carstone::parity::{Options, Share, protect};
use serde_json::{Map, Value, json};

use super::percent;
use crate::keys::is_stdin;
use crate::losses::object;
use crate::names::{self, escaped, human};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;
use crate::target::Target;

/// Parity that was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// The file that it is in; none where it is behind what it protects.
    pub(crate) path: Option<PathBuf>,
    /// Bytes that it protects.
    pub(crate) of: u64,
    /// Bytes that it added.
    pub(crate) bytes: u64,
    /// What it was allowed to add.
    pub(crate) share: Share,
}

/// Writes the parity of a file to a target, which has no name yet then.
///
/// # Errors
/// The file cannot be read or the target not written to.
pub(crate) fn put<R: ReadAt + Sync>(
    source: &R,
    target: &Target,
    options: &Options,
    output: &Output,
) -> anyhow::Result<Made> {
    let file = match target.is_seekable() {
        true => target.file().try_clone().context("cannot open it again")?,
        false => tempfile::tempfile().context("cannot make a temporary file")?,
    };
    let file = Watched(file);
    let total = source.size()?.saturating_mul(2);
    let progress = Progress::new(output, "making parity", Some(total));
    let made = protect(source, &file, options, &|n| progress.add(n));
    progress.finish();
    signals::check()?;
    let layout = made?.layout().clone();
    if !target.is_seekable() {
        let mut made = Watched(AtReader::new(file.0));
        io::copy(&mut made, &mut Watched(target.file())).context("cannot write the parity")?;
    }
    let (of, bytes) = (layout.stream_len(), layout.parity_len());
    Ok(Made { path: None, of, bytes, share: layout.share() })
}

impl Made {
    /// A line for people.
    pub(crate) fn text(&self) -> String {
        let place = match &self.path {
            Some(path) if is_stdin(path) => "on standard output".to_owned(),
            Some(path) => format!("in {}", escaped(path.as_os_str().as_bytes())),
            None => "behind it".to_owned(),
        };
        let (bytes, share) = (human(self.bytes), percent_text(self.share));
        if self.of == 0 {
            return format!("{bytes} of parity {place}, for nothing");
        }
        let more = match self.is_more() {
            true => format!("; as little as {share} is not possible here"),
            false => String::new(),
        };
        format!("{bytes} of parity ({:.2} %) {place}{more}", percent(self.bytes, self.of))
    }

    /// Whether it is more than was asked for, since so little cannot be divided.
    fn is_more(&self) -> bool {
        self.bytes > self.share.of(self.of)
    }

    /// The same for programs.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let mut fields = object(json!({
            "in_pack": self.path.is_none(),
            "bytes": self.bytes,
            "percent": percent(self.bytes, self.of),
            "share": f64::from(self.share.hundredths()) / 100.0,
            "exceeds_share": self.is_more(),
        }));
        if let Some(path) = self.path.as_deref().filter(|path| !is_stdin(path)) {
            names::put(&mut fields, "file", path.as_os_str().as_bytes());
        }
        fields
    }
}

/// A share as it is typed.
pub(crate) fn percent_text(share: Share) -> String {
    format!("{} %", f64::from(share.hundredths()) / 100.0)
}
