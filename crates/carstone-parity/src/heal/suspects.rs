//! Cells that are only assumed to be right, and are not.

use carstone_layer::ReadAt;
use reed_solomon_simd::ReedSolomonEncoder;

use super::Heal;
use crate::find::State;
use crate::locate::{Code, locate};
use crate::protect::code;
use crate::survey::Zone;
use crate::{Error, WriteAt};

impl<S, P, W> Heal<'_, S, P, W>
where
    S: ReadAt + Sync + ?Sized,
    P: ReadAt + Sync,
    W: WriteAt + ReadAt + Sync + ?Sized,
{
    /// Finds out which of the assumed cells of a zone are wrong, where it lost fewer than it has recovery cells and has too few to restore all of them: those
    /// count as lost from then on. Says what the zone lacks.
    ///
    /// Where that cannot be told the stream is not whole, so that less `effort` is made for zones behind.
    pub(super) fn suspect(
        &self,
        number: u32,
        zone: Zone,
        effort: &mut usize,
        threads: usize,
    ) -> Result<Zone, Error> {
        let lacks = zone.lost.saturating_add(zone.assumed);
        if zone.assumed == 0 || zone.lost >= zone.left || lacks <= zone.left {
            return Ok(zone);
        }
        let layout = self.parity.descriptor().layout();
        let (cell_len, all) = (layout.cell_len() as usize, layout.recovery() as usize);
        let cells: Vec<u64> = layout.cells_of_zone(number).collect();
        let mut syndromes = self.recovery(number, zone.left, threads)?;
        let mut encoder = ReedSolomonEncoder::new(cells.len(), all, cell_len).map_err(code)?;
        let mut bytes = vec![0; cell_len];
        let (mut lost, mut assumed) = (Vec::new(), Vec::new());
        for (shard, cell) in cells.iter().enumerate() {
            if !self.read(*cell, &mut bytes)? {
                bytes.fill(0);
                lost.push(shard);
            } else if matches!(self.survey.found.state(*cell), State::Assumed(_)) {
                assumed.push(shard);
            }
            encoder.add_original_shard(&bytes).map_err(code)?;
        }
        let made = encoder.encode().map_err(code)?;
        for (number, syndrome) in &mut syndromes {
            let made = made.recovery(*number).unwrap_or_default();
            syndrome.iter_mut().zip(made).for_each(|(byte, made)| *byte ^= made);
        }
        drop(made);
        // It is as large as the zone.
        drop(encoder);
        let code = Code { originals: cells.len(), recoveries: all };
        let Some(wrong) = locate(code, &syndromes, &lost, &assumed, *effort, threads)? else {
            *effort = LITTLE;
            return Ok(zone);
        };
        self.outcomes.lose(wrong.iter().filter_map(|shard| cells.get(*shard)).copied());
        let wrong = u32::try_from(wrong.len()).unwrap_or(0);
        Ok(Zone { lost: zone.lost + wrong, assumed: zone.assumed - wrong, ..zone })
    }
}

/// What is computed for a zone at most: a second or three where a zone has 1,400 recovery cells, and some ten where it has ten times as many.
pub(super) const MUCH: usize = 4_000_000_000;

/// The same in a tenth of the time: at 1,400 recovery cells, 98 % of what could be told still is.
const LITTLE: usize = 100_000_000;
