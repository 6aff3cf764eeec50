//! The content of a pack under a new pack id and a new key.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use carstone_keys::Recipients;
use carstone_layer::ReadAt;
use carstone_repair::{Damage, Report};

use super::Rekey;
use crate::stack::error::{Error, ErrorKind};
use crate::stack::keys::Protection;
use crate::stack::rebuild::{Rebuild, RebuiltPack};
use crate::stack::verify::verify;

/// A pack that has been read to its end and is whole, ready to be packed and encrypted anew.
pub struct Fresh<R>(Rebuild<R>);

impl<R: ReadAt + Send + Sync + 'static> Rekey<R> {
    /// Reads the whole pack, and makes sure that everything is there. `progress` hears how many bytes of content have been seen.
    ///
    /// # Errors
    /// The first fault of the pack, with its place; a temporary file fails.
    pub fn fresh(&self, progress: &mut dyn FnMut(u64)) -> Result<Fresh<R>, Error> {
        let keys = |_: &[u8]| Ok(Some(self.key.clone()));
        let (source, options) = &self.source;
        let rebuild = Rebuild::stored(Arc::clone(source), keys, options, progress)?;
        let report = rebuild.report();
        match report.is_whole() && report.corrections.is_empty() {
            true => Ok(Fresh(rebuild)),
            false => Err(self.fault(report)),
        }
    }

    /// What is wrong with a pack that is not whole: of the lowest layer that knows.
    fn fault(&self, report: &Report) -> Error {
        let keys = |_: &[u8]| Ok(Some(self.key.clone()));
        let (source, options) = &self.source;
        let check = verify(Arc::clone(source), keys, options, &mut |_, _| ());
        let fault = match check {
            Ok(check) => check.layers.into_iter().find_map(|layer| layer.fault),
            Err(error) => Some(error),
        };
        let gap = report.damage.iter().find_map(|damage| match damage {
            Damage::Gap(gap) => Some(Error::new(ErrorKind::Gap(Box::new(gap.clone())))),
            _ => None,
        });
        let entries = report.hit.len() as u64;
        fault.or(gap).unwrap_or_else(|| Error::new(ErrorKind::NotWhole { entries }))
    }
}

impl<R: ReadAt + Send + Sync> Fresh<R> {
    /// What is in it.
    pub fn report(&self) -> &Report {
        self.0.report()
    }

    /// Writes all entries into a new pack with a pack id and a content key of its own, which `recipients` can open, and gives the sink back, flushed. Layers, block size and
    /// codec are those of the old pack; the codec's level is not known, and is its default. `progress` hears how many bytes of content have been seen.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] for recipients that cannot stand together; [`ErrorKind::NotWhole`] where the source changed meanwhile; [`ErrorKind::Write`] for
    /// what the sink gives. What was written is worthless then.
    pub fn write<S: Write + Send>(
        &self,
        sink: S,
        recipients: &Recipients,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(S, RebuiltPack), Error> {
        let protection = Protection::seal(recipients)?;
        let (sink, pack) = self.0.write_under(Some(protection), sink, progress)?;
        match pack.written.left_out.len() as u64 {
            0 => Ok((sink, pack)),
            entries => Err(Error::new(ErrorKind::NotWhole { entries })),
        }
    }
}

impl<R> fmt::Debug for Fresh<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}
