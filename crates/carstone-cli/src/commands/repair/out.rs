//! Where a stream is put together before it is known to be whole.

use std::fs::File;
use std::io;

use anyhow::{Context, anyhow};
use carstone::car::AtReader;
use carstone::layer::{ReadAt, read_full};
use carstone::parity::WriteAt;

use super::target_name;
use crate::cli::RepairArgs;
use crate::output::Output;
use crate::progress::Progress;
use crate::source::Watched;
use crate::target::Target;

/// Where a stream is put together: it must be written and read at any place.
pub(super) struct Out(pub(super) Watched<File>);

impl Out {
    /// In the target, or before it.
    pub(super) fn new(target: &Target) -> anyhow::Result<Self> {
        if !target.is_seekable() {
            return Self::temporary();
        }
        let file = target.file().try_clone().context("cannot open it again")?;
        // Something else may have been tried before.
        file.set_len(0).context("cannot write")?;
        Ok(Self(Watched(file)))
    }

    pub(super) fn temporary() -> anyhow::Result<Self> {
        let file = tempfile::tempfile().context("cannot make a temporary file")?;
        Ok(Self(Watched(file)))
    }

    /// Takes a stream as it is.
    pub(super) fn take<R: ReadAt>(&self, stream: &R, output: &Output) -> anyhow::Result<()> {
        let progress = Progress::new(output, "writing", stream.size().ok());
        let (mut at, mut buf) = (0, vec![0; COPY]);
        loop {
            let read = read_full(stream, &mut buf, at)
                .with_context(|| format!("cannot read at byte {at}"))?;
            if read == 0 {
                break;
            }
            self.0.write_all_at(&buf[..read], at).context("cannot write")?;
            at += read as u64;
            progress.at(at);
        }
        progress.finish();
        Ok(())
    }

    /// Hands on what the target does not have yet.
    pub(super) fn finish(&self, target: &Target, args: &RepairArgs) -> anyhow::Result<()> {
        if !target.is_seekable() {
            let again = self.0.0.try_clone().context("cannot open it again")?;
            let to = target_name(args.output.as_deref());
            io::copy(&mut Watched(AtReader::new(again)), &mut Watched(target.file()))
                .map_err(|error| anyhow!("{to}: cannot write: {error}"))?;
        }
        Ok(())
    }
}

const COPY: usize = 1 << 20;
