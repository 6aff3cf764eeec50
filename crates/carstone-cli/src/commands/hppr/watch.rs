//! `carstone hppr watch`: tells of new tips as they come.

use std::collections::HashMap;
use std::time::Duration;

use carstone_hppr::{Change, Coordinate, Repository, Version, WATCH_QUEUE, WatchOptions};

use super::read::tell_tip;
use crate::cli::HpprWatchArgs;
use crate::exit::Exit;
use crate::output::Output;
use crate::signals;

/// Prints each new tip below a path, until a signal comes.
pub(super) fn watch(
    repository: &Repository,
    args: &HpprWatchArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let mut watch = repository.watch(&args.path, &WatchOptions::default())?;
    output.note(&format!("watching {}", args.path));
    let mut tips = Tips::default();
    while !signals::stopped() {
        let found = match watch.next(PATIENCE)? {
            None => continue,
            Some(Change::Attached(coordinate, version)) => {
                tips.attached(repository, coordinate, version)?
            }
            Some(Change::Detached(coordinate, version)) => {
                tips.detached(repository, coordinate, version)?
            }
            // There was more than could be kept, so that each tip may be a new one.
            Some(_) => {
                tips = Tips::default();
                for tip in repository.tips(&args.path) {
                    signals::check()?;
                    let (coordinate, version) = tip?;
                    tips.note(&coordinate, version);
                    tell_tip(&coordinate, &version, output)?;
                }
                None
            }
        };
        if let Some((coordinate, version)) = found {
            tell_tip(&coordinate, &version, output)?;
        }
        // Whoever waits for a line waits for it now.
        output.flush()?;
    }
    Ok(Exit::Intact)
}

/// The tips that have been told, as far as is known.
#[derive(Default)]
struct Tips(HashMap<Coordinate, Version>);

impl Tips {
    /// The new tip, if a packet that has come is one. The link to it may still be on its way.
    fn attached(
        &mut self,
        repository: &Repository,
        coordinate: Coordinate,
        version: Version,
    ) -> carstone_hppr::Result<Option<(Coordinate, Version)>> {
        let latest = repository.latest(&coordinate)?;
        if latest.is_some_and(|latest| latest > version)
            || self.0.get(&coordinate).is_some_and(|told| *told >= version)
        {
            return Ok(None);
        }
        self.note(&coordinate, version);
        Ok(Some((coordinate, version)))
    }

    /// The one that is the tip again, if the tip has gone and there is another.
    fn detached(
        &mut self,
        repository: &Repository,
        coordinate: Coordinate,
        version: Version,
    ) -> carstone_hppr::Result<Option<(Coordinate, Version)>> {
        let was_told = self.0.remove(&coordinate);
        let Some(latest) = repository.latest(&coordinate)? else { return Ok(None) };
        self.note(&coordinate, latest);
        let is_new = latest < version && was_told.is_none_or(|told| told != latest);
        Ok(is_new.then_some((coordinate, latest)))
    }

    /// Remembers a tip. Of one that is forgotten a line may be printed once more.
    fn note(&mut self, coordinate: &Coordinate, version: Version) {
        if self.0.len() >= WATCH_QUEUE {
            self.0.clear();
        }
        self.0.insert(coordinate.clone(), version);
    }
}

/// How long nothing has to happen until it is looked whether a signal came.
const PATIENCE: Duration = Duration::from_millis(200);
