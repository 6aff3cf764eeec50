//! Checks a plain CAR: its blocks, the files of its DAG, and the index of a CARv2.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use anyhow::Context;
use carstone::car::{CarReader, ErrorKind};
use carstone::unixfs::FileReader;

use super::{Findings, Totals};
use crate::dag;
use crate::input::{PlainCar, Searched, chain, io_chain, without_roots};
use crate::names::{self, counted};
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;

/// Checks every block, every file, and every entry of the index.
pub(super) fn check(mut file: File, findings: &mut Findings<'_>) -> anyhow::Result<Totals> {
    file.seek(SeekFrom::Start(0)).context("cannot go back to byte 0")?;
    let again = file.try_clone().context("cannot open it again")?;
    let car = PlainCar::open(again)?;
    car.note_roots(findings.name, findings.output);
    let blocks = match car.headless() {
        None => blocks(file, &car, findings)?,
        Some(error) => {
            findings.add("car", None, error.file_offset(), &without_roots(error))?;
            let searched = car.search()?;
            past_damage(&car, &searched, findings)?
        }
    };
    let indexed = match blocks.whole {
        true => index(&car, findings)?,
        // Nobody can say of what is cut whether the index is right.
        false => None,
    };
    let Files { entries, foreign } = files(&car, findings)?;
    let what = match indexed {
        Some(entries) => format!("a plain CARv2, {entries} entries of its index"),
        None if car.v2().is_some() => "a plain CARv2 without index".to_owned(),
        None => "a plain CAR".to_owned(),
    };
    let other = match foreign {
        0 => String::new(),
        _ => format!(
            " and {} that {} no UnixFS",
            counted(foreign, "DAG"),
            if foreign == 1 { "is" } else { "are" }
        ),
    };
    let text = format!("intact: {entries} entries{other}, {} blocks of {what}", blocks.count);
    let mut totals = Totals::new(&text, false);
    totals.fields.insert("entries".to_owned(), entries.into());
    if foreign > 0 {
        totals.fields.insert("foreign".to_owned(), foreign.into());
    }
    totals.fields.insert("blocks".to_owned(), blocks.count.into());
    if let Some(indexed) = indexed {
        totals.fields.insert("indexed".to_owned(), indexed.into());
    }
    Ok(totals)
}

/// What the payload holds.
struct Blocks {
    count: u64,
    /// Whether it could be read to its end.
    whole: bool,
}

fn blocks(file: File, car: &PlainCar, findings: &mut Findings<'_>) -> anyhow::Result<Blocks> {
    let total = file.metadata().ok().map(|metadata| metadata.len());
    let progress = Progress::new(findings.output, "checking blocks", total);
    let mut reader = CarReader::open(BufReader::with_capacity(1 << 20, Watched(file)))?;
    let (mut count, mut data, mut bad) = (0_u64, Vec::new(), Vec::new());
    loop {
        progress.at(reader.position());
        match reader.read_block(&mut data) {
            Ok(Some(_)) => count += 1,
            Ok(None) => break,
            Err(error) => {
                signals::check()?;
                let is_block = error.is_block_error();
                // Whether these are blocks at all is known only when the walk has not strayed.
                bad.push(error);
                if is_block && bad.len() < MAX_KEPT {
                    continue;
                }
                let searched = if is_block { None } else { Some(car.search()?) };
                if let Some(searched) = searched.filter(|searched| searched.goes_past_damage()) {
                    progress.finish();
                    return past_damage(car, &searched, findings);
                }
                tell(&mut bad, findings)?;
                if !is_block {
                    progress.finish();
                    return Ok(Blocks { count, whole: false });
                }
            }
        }
    }
    progress.finish();
    tell(&mut bad, findings)?;
    Ok(Blocks { count, whole: true })
}

fn tell(bad: &mut Vec<carstone::car::Error>, findings: &mut Findings<'_>) -> anyhow::Result<()> {
    let mut told = bad.drain(..);
    told.try_for_each(|error| findings.add("car", None, error.file_offset(), &chain(&error)))
}

/// Tells all damage, and counts the good blocks.
fn past_damage(
    car: &PlainCar,
    searched: &Searched,
    findings: &mut Findings<'_>,
) -> anyhow::Result<Blocks> {
    let base = car.payload_start();
    for (at, what) in searched.told(base) {
        findings.add("car", None, Some(at), &what)?;
    }
    Ok(Blocks { count: searched.blocks, whole: false })
}

/// Whether every section is where the index says, and in the index. Gives the number of its entries, if there is one.
fn index(car: &PlainCar, findings: &mut Findings<'_>) -> anyhow::Result<Option<u64>> {
    for fault in car.faults() {
        findings.add("index", None, fault.file_offset(), &chain(fault))?;
    }
    let start = car.v2().map_or(0, |v2| v2.data_offset);
    let place = |offset: Option<u64>| offset.map(|offset| offset.saturating_add(start));
    let report = match car.check_index() {
        Ok(Some(report)) => report,
        Ok(None) => return Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error.into()),
        Err(error) => {
            findings.add("index", None, error.file_offset(), &chain(&error))?;
            return Ok(None);
        }
    };
    let at =
        |place: Option<u64>| place.map_or_else(String::new, |at| format!(", first at byte {at}"));
    for (count, first, what) in [
        (report.missing, place(report.first_missing), "sections are not in the index"),
        (
            report.wrong,
            place(report.first_wrong),
            "entries of the index lead to no section of theirs",
        ),
    ] {
        if count > 0 {
            findings.add("index", None, first, &format!("{count} {what}{}", at(first)))?;
        }
    }
    Ok(Some(report.entries))
}

/// Reads all files. Gives the number of entries.
/// What the DAG holds.
struct Files {
    entries: u64,
    /// What is sound and no UnixFS: nobody can say of it whether all is there.
    foreign: u64,
}

fn files(car: &PlainCar, findings: &mut Findings<'_>) -> anyhow::Result<Files> {
    let (mut files, mut buffer) = (Files { entries: 0, foreign: 0 }, vec![0; 256 << 10]);
    dag::visit(car, false, &mut |found| {
        signals::check()?;
        let (path, what) = match found {
            Err(problem) if problem.is_foreign => {
                files.foreign += 1;
                return Ok(());
            }
            Err(problem) => {
                files.entries += 1;
                (problem.path, problem.why)
            }
            Ok((row, cid)) => {
                files.entries += 1;
                if row.kind != carstone::pack::EntryKind::File {
                    return Ok(());
                }
                let read = FileReader::open(car, &cid).map_err(std::io::Error::from);
                let read = read.and_then(|mut reader| {
                    while reader.read(&mut buffer)? > 0 {}
                    Ok(())
                });
                match read {
                    Ok(()) => return Ok(()),
                    Err(error) => (row.path, io_chain(&error)),
                }
            }
        };
        let line = format!("{}: {what}", names::shown(&path));
        findings.add("dag", Some(&path), None, &line)
    })?;
    Ok(files)
}

/// Bad blocks that are not told at once.
const MAX_KEPT: usize = 10_000;
