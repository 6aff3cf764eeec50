//! A progress bar on a terminal's standard error.

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressBarIter, ProgressStyle};

use crate::output::Output;

/// A bar, or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Counts bytes up to `total`, if that is known.
    pub(crate) fn new(output: &Output, what: &'static str, total: Option<u64>) -> Self {
        if !output.shows_progress() {
            return Self::hidden();
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), WITH_TOTAL),
            None => (ProgressBar::new_spinner(), "{prefix} {spinner} {bytes} {bytes_per_sec}"),
        };
        let style = ProgressStyle::with_template(template);
        let bar = bar.with_prefix(what);
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Nothing that anybody sees.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// It is known now how many bytes there will be.
    pub(crate) fn total(&self, bytes: u64) {
        self.0.set_length(bytes);
        if !self.0.is_hidden()
            && let Ok(style) = ProgressStyle::with_template(WITH_TOTAL)
        {
            self.0.set_style(style.progress_chars("=> "));
        }
    }

    /// So many bytes done.
    pub(crate) fn at(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// So many bytes more.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Bytes done so far.
    #[cfg(test)]
    pub(crate) fn done(&self) -> u64 {
        self.0.position()
    }

    /// Counts what is read.
    pub(crate) fn reading<R: io::Read>(&self, inner: R) -> ProgressBarIter<R> {
        self.0.wrap_read(inner)
    }

    /// Counts what is written.
    pub(crate) fn writing<W: io::Write>(&self, inner: W) -> ProgressBarIter<W> {
        self.0.wrap_write(inner)
    }

    /// Runs `print` without the bar in its way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

const WITH_TOTAL: &str = "{prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
