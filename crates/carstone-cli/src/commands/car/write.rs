//! CARs that are written, to a file or to standard output.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use anyhow::Context;
use carstone::car::{CarFileWriter, CarWriter, Cid, FileOptions, WriterOptions};

use super::files::name;
use crate::cli::OutArgs;
use crate::output::Output;
use crate::signals;
use crate::target::Target;

/// A CAR that is being written.
pub(crate) struct Writing {
    target: Target,
    name: String,
    writer: Writer,
}

enum Writer {
    /// Of either version, in the file, or in a temporary one where that cannot seek.
    File(Box<CarFileWriter<BufWriter<File>>>),
    /// A CARv1, as a stream.
    Stream(Box<CarWriter<BufWriter<File>>>),
}

impl Writing {
    /// Starts it.
    ///
    /// # Errors
    /// As with [`Target::create`].
    pub(crate) fn create(
        out: &OutArgs,
        roots: &[Cid],
        options: FileOptions,
        output: &mut Output,
    ) -> anyhow::Result<Self> {
        let name = match name(&out.output) {
            name if name == "standard input" => "standard output".to_owned(),
            name => name,
        };
        let target = Target::create(&out.output, out.force, output)?;
        let writer = start(&target, roots, options).with_context(|| name.clone())?;
        Ok(Self { target, name, writer })
    }

    /// Puts a block that has been verified, unless the options leave it out.
    pub(crate) fn put(&mut self, cid: &Cid, data: &[u8]) -> carstone::car::Result<bool> {
        let put = match &mut self.writer {
            Writer::File(writer) => writer.danger_put_unverified(cid, data),
            Writer::Stream(writer) => writer.danger_put_unverified(cid, data),
        };
        put.map(|section| section.is_some())
    }

    /// Ends it, and gives it its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let Self { target, name, writer } = self;
        let ended = || -> anyhow::Result<()> {
            match writer {
                Writer::Stream(writer) => drop(writer.finish()?),
                Writer::File(writer) => {
                    let file = writer.finish()?.into_inner().map_err(|error| error.into_error())?;
                    if !target.is_seekable() {
                        copy(file, target.file())?;
                    }
                }
            }
            signals::check()?;
            target.finish()
        };
        ended().with_context(|| name)
    }
}

fn start(target: &Target, roots: &[Cid], options: FileOptions) -> anyhow::Result<Writer> {
    let buffered = |file| BufWriter::with_capacity(256 << 10, file);
    if target.is_seekable() {
        let sink = buffered(target.file().try_clone()?);
        return Ok(Writer::File(Box::new(CarFileWriter::with_options(sink, roots, options)?)));
    }
    if options.version() == 2 {
        let sink = buffered(tempfile::tempfile().context("cannot make a temporary file")?);
        return Ok(Writer::File(Box::new(CarFileWriter::with_options(sink, roots, options)?)));
    }
    let sink = buffered(target.file().try_clone()?);
    let stream = WriterOptions::default().dedupe(options.dedupe);
    Ok(Writer::Stream(Box::new(CarWriter::with_options(sink, roots, stream)?)))
}

fn copy(mut from: File, mut to: &File) -> io::Result<()> {
    from.seek(SeekFrom::Start(0))?;
    io::copy(&mut from, &mut to)?;
    to.flush()
}
