//! What looks like a pack, and frames that may be its parity: what would tell is damaged.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use carstone::layer::{ReadAt, read_full};
use carstone::parity::Survey;
use carstone::raw::{Appendix, Container, Edges};
use carstone::stack::Format;

use super::Job;
use super::found::{Found, Verdict, healed_text};
use super::healing::{self, Outcome};
use crate::input::options;
use crate::parity::{
    Held, Spot, State, Whose, has_end_of_pack, healable, is_intact_pack, threads, used_text,
};
use crate::signals;
use crate::source::{Source, Watched};

impl Job<'_> {
    /// What frames say of a file that are found in it; `None` where they are not parity of the pack which that file is. They may as well be content of it, or the
    /// file may be an image with the pack in it, which must not be replaced by a part of itself.
    pub(super) fn by_guess(
        &mut self,
        path: &Path,
        file: &File,
        spot: Spot,
    ) -> anyhow::Result<Option<Found>> {
        let threads = threads(self.args.threads);
        let Ok(held) = spot.open(file, threads)? else { return Ok(None) };
        let state = held.examine(threads, self.output, true)?;
        let fields = held.fields(&state, false);
        let found = match state {
            State::Foreign(_) => None,
            State::Sound => self.cut_off(path, file, &held)?,
            State::Damaged(survey) => self.guessed(path, file, &held, survey)?,
        };
        Ok(found.map(|found| Found { parity: Some(fields), ..found }))
    }

    /// A pack as it was, with something wrong behind it.
    fn cut_off(&mut self, path: &Path, file: &File, held: &Held) -> anyhow::Result<Option<Found>> {
        if held.whose(file, file, &options(self.args.threads))? != Whose::Own {
            return Ok(None);
        }
        let mut lines = vec!["what stands behind the pack is damaged".to_owned()];
        lines.extend(held.own_damage());
        if let Some(line) = left_out(file, held)? {
            lines.push(line);
            return Ok(Some(Found::new(Verdict::Damaged, lines)));
        }
        self.renewed(path, file, held, lines).map(Some)
    }

    fn guessed(
        &mut self,
        path: &Path,
        file: &File,
        held: &Held,
        mut survey: Survey,
    ) -> anyhow::Result<Option<Found>> {
        let counts = survey.counts();
        let is_at_front = counts.moved == 0 && counts.in_place > 0;
        if !survey.can_heal() || !(is_at_front || has_header(file)?) {
            return Ok(None);
        }
        let healable = healable(held, &survey);
        let (used, can) = (used_text(healable, &survey), healable.text());
        let mut lines = held.damage(&survey);
        lines.extend(held.own_damage());
        let left_out = left_out(file, held)?;
        if !self.heals || left_out.is_some() {
            // Only what comes out tells whose it is.
            let out = Watched(tempfile::tempfile().context("cannot make a temporary file")?);
            let healed = held.heal(&mut survey, &out, threads(self.args.threads), self.output)?;
            let whose = held.whose(file, &out.0, &options(self.args.threads))?;
            if !healed.whole || whose != Whose::Own {
                return Ok(None);
            }
            lines
                .push(left_out.unwrap_or_else(|| format!("it can be healed, with --heal: {used}")));
            lines.extend(self.elsewhere(path));
            return Ok(Some(Found::new(Verdict::Damaged, lines)));
        }
        match healing::stream(path, file, held, &mut survey, self.args, self.output) {
            Ok(Outcome::Healed(kept)) => {
                lines.push(healed_text(path, kept.as_deref()));
                Ok(Some(Found::healed(kept, lines)))
            }
            Ok(Outcome::NotWhole | Outcome::Other(_)) => Ok(None),
            Err(error) => {
                signals::check()?;
                lines.push(format!("it {can} be healed, and is not: {error:#}; {used}"));
                Ok(Some(Found::new(Verdict::Damaged, lines)))
            }
        }
    }

    /// Whether all frames of a pack, header and trailer are sound; `None` where it is no pack.
    pub(super) fn is_sound_pack(&self, path: &Path, file: &File) -> anyhow::Result<Option<bool>> {
        let again = file.try_clone().context("cannot open it again")?;
        let name = path.display().to_string();
        let format = Source::sound_file(again, &name).ok().map(|source| source.format);
        match format {
            Some(Format::Pack) => {}
            Some(Format::Unknown) | None if ends_as_pack(file, format.is_some())? => {
                return Ok(Some(false));
            }
            _ => return Ok(None),
        }
        let is_sound = is_intact_pack(file, &options(self.args.threads), self.output);
        signals::check()?;
        Ok(Some(is_sound))
    }
}

/// Whether a file begins with the header of a pack.
fn has_header(file: &File) -> anyhow::Result<bool> {
    let edges = Edges::find(&Watched(file), 0..file.size()?);
    Ok(edges.is_ok_and(|edges| edges.header().is_some()))
}

/// Whether a file without a header ends as packs do, and is not something else in which one stands that has its own. `has_frames`: there are some near its front.
fn ends_as_pack(file: &File, has_frames: bool) -> anyhow::Result<bool> {
    if !has_end_of_pack(file)? {
        return Ok(false);
    }
    let Ok(edges) = Edges::find(&Watched(file), 0..file.size()?) else { return Ok(has_frames) };
    let Some(trailer) = edges.trailer() else { return Ok(has_frames) };
    let Some(start) = trailer.range.end.checked_sub(trailer.stored_len) else { return Ok(true) };
    // One further in front may be content.
    let (_, is_last) = edges.behind(&Watched(file))?;
    let mut header = [0; Container::LEN];
    read_full(file, &mut header, start)?;
    Ok(start == 0 || !is_last || Container::decode(&header).is_err())
}

/// What is said where a file is longer than pack and parity together: nobody knows what the rest is.
fn left_out(file: &File, held: &Held) -> anyhow::Result<Option<String>> {
    let parity = held.parity.descriptor().layout().parity_len();
    let end = held.len().saturating_add(parity).saturating_add(2 * Appendix::EDGE_LEN);
    let rest = file.size()?.saturating_sub(end);
    Ok((rest > 0).then(|| {
        format!(
            "it is not healed in place: {rest} bytes are more than the pack and its parity; `carstone repair` leaves them out"
        )
    }))
}
