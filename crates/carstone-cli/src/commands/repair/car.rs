//! A clean CAR of the good blocks of a damaged one.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::Context;
use carstone::car::{AtReader, CarFileWriter, CarWriter, Cid, FileOptions, ReaderOptions, Section};
use carstone::repair::CarItem;
use serde_json::json;

use super::target_name;
use crate::cli::RepairArgs;
use crate::dag::{self, Lost, Read};
use crate::exit::Exit;
use crate::input::{PlainCar, Searched, without_roots};
use crate::losses::object;
use crate::names::{self, counted, escaped, human};
use crate::output::Output;
use crate::progress::Progress;
use crate::source::Watched;
use crate::target::Target;

/// What is repaired, and how.
pub(super) struct Job<'a> {
    pub(super) name: &'a str,
    pub(super) args: &'a RepairArgs,
}

/// What is known of the CAR.
struct Survey {
    searched: Searched,
    /// What else is wrong: with its headers, or its index.
    faults: Vec<(Option<u64>, String)>,
    /// Entries that are not whole.
    lost: Vec<Lost>,
}

/// What came of it.
struct Done<'a> {
    car: &'a PlainCar,
    survey: &'a Survey,
    /// Of the new CAR, if one was made that is no copy.
    version: Option<u8>,
}

impl Survey {
    /// Whether nothing could be better in another CAR of the same blocks.
    fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.searched.gaps.is_empty()
    }
}

impl Job<'_> {
    /// Writes a CAR of the same version, with the same roots. One that is sound is copied.
    pub(super) fn run(
        &self,
        file: File,
        target: Option<Target>,
        output: &mut Output,
    ) -> anyhow::Result<Exit> {
        let again = file.try_clone().context("cannot open it again")?;
        let car = PlainCar::open(again, ReaderOptions::default())?;
        car.note_roots(self.name, output);
        let survey = survey(&car)?;
        let version = target.map(|target| self.write(&car, &survey, file, target, output));
        let version = version.transpose()?.flatten();
        let done = Done { car: &car, survey: &survey, version };
        match output.is_json() {
            true => self.tell_programs(&done, output)?,
            false => self.tell_people(&done, output)?,
        }
        Ok(Exit::found(!survey.is_sound() || !survey.lost.is_empty()))
    }

    /// Gives the version of the new CAR; `None` for a copy.
    fn write(
        &self,
        car: &PlainCar,
        survey: &Survey,
        file: File,
        target: Target,
        output: &Output,
    ) -> anyhow::Result<Option<u8>> {
        let progress = Progress::new(output, "writing", file.metadata().ok().map(|m| m.len()));
        let to = || format!("{}: cannot write", target_name(self.args.output.as_deref()));
        let version = car.version().unwrap_or(1);
        let version = if target.is_seekable() { version } else { 1 };
        if survey.is_sound() {
            std::io::copy(&mut Watched(AtReader::new(file)), &mut target.file())
                .with_context(to)?;
        } else {
            let out = BufWriter::with_capacity(1 << 20, target.file());
            let mut sink = Sink::new(out, version, car).with_context(to)?;
            let mut salvage = car.salvage(&survey.searched);
            while let Some(item) = salvage.next()? {
                progress.at(salvage.position());
                if let CarItem::Block { section, data, .. } = item {
                    sink.write(&section, &data).with_context(to)?;
                }
            }
            sink.finish().with_context(to)?;
        }
        progress.finish();
        target.finish()?;
        Ok((!survey.is_sound()).then_some(version))
    }

    fn tell_people(&self, done: &Done<'_>, output: &mut Output) -> anyhow::Result<()> {
        let &Done { car, survey, version } = done;
        let name = escaped(self.name.as_bytes());
        for (_, what) in &survey.faults {
            output.told(&format!("{name}: {what}"))?;
        }
        for gap in survey.searched.told(car.payload_start()) {
            output.told(&format!("{name}: {}", gap.what))?;
        }
        for lost in &survey.lost {
            output.told(&format!("{}: {}", names::shown(&lost.path), lost.text()))?;
        }
        if survey.is_sound() {
            return output.told(&match survey.lost.len() {
                0 => format!("{name}: nothing is wrong with it"),
                _ => format!("{name}: all of its sections are sound, and blocks are missing"),
            });
        }
        let (blocks, left_out) = (survey.searched.blocks, survey.searched.passed_over);
        let (blocks, left_out) = (counted(blocks, "block"), human(left_out));
        output.told(&match version {
            Some(version) => {
                let to = target_name(self.args.output.as_deref());
                format!("{to}: a new CARv{version} of {blocks}; {left_out} are left out")
            }
            None => format!("{name}: {blocks} would be kept, and {left_out} left out"),
        })
    }

    fn tell_programs(&self, done: &Done<'_>, output: &mut Output) -> anyhow::Result<()> {
        let &Done { car, survey, version } = done;
        for (offset, what) in &survey.faults {
            let fields = json!({ "layer": "car", "offset": offset, "message": what });
            output.object("finding", object(fields))?;
        }
        for gap in survey.searched.told(car.payload_start()) {
            let mut fields = gap.fields();
            fields.insert("layer".to_owned(), "car".into());
            fields.insert("message".to_owned(), gap.what.into());
            output.object("gap", fields)?;
        }
        for lost in &survey.lost {
            let mut fields = lost.fields();
            names::put(&mut fields, "path", &lost.path);
            fields.insert("message".to_owned(), lost.text().into());
            output.object("damaged_entry", fields)?;
        }
        let fields = json!({
            "original": survey.is_sound() && survey.lost.is_empty(),
            "unchanged": survey.is_sound(),
            "rebuilt": version.is_some(),
            "dry_run": self.args.dry_run,
            "car_version": version,
            "blocks": survey.searched.blocks,
            "left_out": survey.searched.passed_over,
            "damaged_entries": survey.lost.len(),
        });
        output.object("summary", object(fields))
    }
}

/// Reads all of it.
fn survey(car: &PlainCar) -> anyhow::Result<Survey> {
    let searched = car.search()?.into_owned();
    let mut faults = match searched.gaps.is_empty() {
        true => car.compare_index()?.faults,
        // Nobody can say of what is damaged whether the index is right.
        false => car.front_fault().into_iter().collect(),
    };
    if let Some(error) = car.headless() {
        faults.push((error.file_offset(), without_roots(error)));
    }
    let mut lost = Vec::new();
    dag::read_all(car, &mut |read| {
        if let Read::Lost(entry) = read {
            lost.push(entry);
        }
        Ok(())
    })?;
    Ok(Survey { searched, faults, lost })
}

/// A new CAR.
enum Sink<'a> {
    V1(Box<CarWriter<BufWriter<&'a File>>>),
    V2(Box<CarFileWriter<BufWriter<&'a File>>>),
}

impl<'a> Sink<'a> {
    fn new(out: BufWriter<&'a File>, version: u8, car: &PlainCar) -> anyhow::Result<Self> {
        let roots: &[Cid] = match car.headless() {
            None => car.stored_roots(),
            Some(_) => car.roots(),
        };
        Ok(match version {
            2 => {
                let writer = CarFileWriter::with_options(out, roots, FileOptions::v2())?;
                Self::V2(Box::new(writer))
            }
            _ => Self::V1(Box::new(CarWriter::new(out, roots)?)),
        })
    }

    /// The block has just been compared with its CID.
    fn write(&mut self, section: &Section, data: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::V1(writer) => writer.danger_write_unverified(&section.cid, data)?,
            Self::V2(writer) => writer.danger_write_unverified(&section.cid, data)?,
        };
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        let mut out = match self {
            Self::V1(writer) => writer.finish()?,
            Self::V2(writer) => writer.finish()?,
        };
        Ok(out.flush()?)
    }
}
