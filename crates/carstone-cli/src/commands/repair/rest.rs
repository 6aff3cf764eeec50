//! What is better: what parity could restore of a damaged file, or the file as it is.

use std::fs::File;

use anyhow::Context;
use carstone::car::ReaderOptions;
use carstone::stack;

use super::Job;
use crate::input::{PlainCar, options};
use crate::output::Output;
use crate::progress::Progress;
use crate::signals;
use crate::source::{Source, Watched};

impl Job<'_> {
    /// Whether nothing is missing in the file as it is, or less than in what its parity could restore: parity of an older state takes away more than it gives.
    pub(super) fn is_better_as_it_is(
        &self,
        file: &File,
        rest: &File,
        output: &Output,
    ) -> anyhow::Result<bool> {
        let (as_it_is, restored) = (self.missing(file, output)?, self.missing(rest, output)?);
        Ok(as_it_is == 0 || as_it_is < restored)
    }

    /// How much is missing, on a scale of its own for packs and one for plain CARs. Of what is neither, all is.
    fn missing(&self, file: &File, output: &Output) -> anyhow::Result<u64> {
        let again = || file.try_clone().context("cannot open it again");
        let source = match Source::damaged_file(again()?, self.name) {
            Ok(source) => source,
            Err(_) => return signals::check().map(|()| u64::MAX).map_err(Into::into),
        };
        if source.is_car()? {
            let blocks = PlainCar::open(again()?, ReaderOptions::default())
                .and_then(|car| Ok(car.search()?.blocks));
            signals::check()?;
            return Ok(u64::MAX - blocks.unwrap_or_default());
        }
        let progress = Progress::new(output, "checking frames", None);
        let hear = &mut |at| progress.at(at);
        let healed = stack::heal(Watched(again()?), &options(self.args.threads), hear);
        progress.finish();
        signals::check()?;
        let Ok(healed) = healed else { return Ok(u64::MAX) };
        // Nobody knows how much the end is.
        let gaps = healed.report().lost.iter().map(|gap| gap.len.unwrap_or(u64::MAX / 2));
        Ok(gaps.fold(u64::from(!healed.report().is_original()), u64::saturating_add))
    }
}
