//! Checks a plain CAR: its blocks, the files of its DAG, and the index of a CARv2.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use anyhow::Context;
use carstone::car::{CarScan, Cid, ReaderOptions, ScanOptions, digest_len, hash_code};

use super::{Findings, Totals};
use crate::dag::{self, Read};
use crate::input::{PlainCar, Searched, chain, without_roots};
use crate::names::{self, counted};
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;

/// Checks every block, every file, and every entry of the index.
pub(super) fn check(
    mut file: File,
    reading: ReaderOptions,
    findings: &mut Findings<'_>,
) -> anyhow::Result<Totals> {
    file.seek(SeekFrom::Start(0)).context("cannot go back to byte 0")?;
    let again = file.try_clone().context("cannot open it again")?;
    let car = PlainCar::open(again, reading)?;
    car.note_roots(findings.name, findings.output);
    let blocks = match car.headless() {
        None => blocks(file, &car, reading, findings)?,
        Some(error) => {
            findings.add("car", None, error.file_offset(), &without_roots(error))?;
            let searched = car.search()?;
            past_damage(&car, &searched, findings)?
        }
    };
    let indexed = match blocks.whole {
        true => {
            let compared = car.compare_index()?;
            for (at, what) in &compared.faults {
                findings.add("index", None, *at, what)?;
            }
            compared.entries
        }
        // Nobody can say of what is damaged whether the index is right.
        false => {
            if let Some((at, what)) = car.front_fault() {
                findings.add("car", None, at, &what)?;
            }
            None
        }
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
    let unverified = match blocks.unverified {
        0 => String::new(),
        count => format!(", {count} of them unverified"),
    };
    let text =
        format!("intact: {entries} entries{other}, {} blocks{unverified} of {what}", blocks.count);
    let mut totals = Totals::new(&text, false);
    totals.fields.insert("entries".to_owned(), entries.into());
    if foreign > 0 {
        totals.fields.insert("foreign".to_owned(), foreign.into());
    }
    totals.fields.insert("blocks".to_owned(), blocks.count.into());
    if blocks.unverified > 0 {
        totals.fields.insert("unverified".to_owned(), blocks.unverified.into());
    }
    if let Some(indexed) = indexed {
        totals.fields.insert("indexed".to_owned(), indexed.into());
    }
    Ok(totals)
}

/// What the payload holds.
struct Blocks {
    count: u64,
    /// Those of hash functions that are not known, which was accepted.
    unverified: u64,
    /// Whether nothing is wrong with it.
    whole: bool,
}

fn blocks(
    file: File,
    car: &PlainCar,
    reading: ReaderOptions,
    findings: &mut Findings<'_>,
) -> anyhow::Result<Blocks> {
    let total = file.metadata().ok().map(|metadata| metadata.len());
    let progress = Progress::new(findings.output, "checking blocks", total);
    let opened = CarScan::open_at(Watched(file), reading, ScanOptions::default());
    let Ok(mut scan) = opened else {
        progress.finish();
        return past_damage(car, &*car.search()?, findings);
    };
    let (mut count, mut unverified) = (0, 0);
    loop {
        match scan.next_block() {
            Ok(Some((section, _))) => {
                count += 1;
                unverified += u64::from(is_unverifiable(&section.cid));
                progress.at(section.end());
            }
            Ok(None) => return Ok(Blocks { count, unverified, whole: true }),
            Err(error) => {
                signals::check()?;
                progress.finish();
                let searched = car.search()?;
                if searched.gaps.is_empty() {
                    findings.add("car", None, error.file_offset(), &chain(&error))?;
                    return Ok(Blocks { count, unverified, whole: false });
                }
                return past_damage(car, &searched, findings);
            }
        }
    }
}

/// Whether nobody can say of a block with this CID that it is right.
fn is_unverifiable(cid: &Cid) -> bool {
    let (code, size) = (cid.hash().code(), usize::from(cid.hash().size()));
    !matches!(code, hash_code::IDENTITY | hash_code::SHA1) && digest_len(code) != Some(size)
}

/// Tells all damage, and counts the good blocks.
fn past_damage(
    car: &PlainCar,
    searched: &Searched,
    findings: &mut Findings<'_>,
) -> anyhow::Result<Blocks> {
    for gap in searched.told(car.payload_start()) {
        findings.add_with("car", None, gap.fields(), &gap.what)?;
    }
    Ok(Blocks { count: searched.blocks, unverified: 0, whole: false })
}

/// What the DAG holds.
struct Files {
    entries: u64,
    /// What is sound and no UnixFS: nobody can say of it whether all is there.
    foreign: u64,
}

fn files(car: &PlainCar, findings: &mut Findings<'_>) -> anyhow::Result<Files> {
    let (mut entries, mut foreign) = (0, 0);
    dag::read_all(car, &mut |read| {
        match read {
            Read::Whole => entries += 1,
            Read::Foreign => foreign += 1,
            Read::Lost(lost) => {
                entries += 1;
                let line = format!("{}: {}", names::shown(&lost.path), lost.text());
                findings.add_with("dag", Some(&lost.path), lost.fields(), &line)?;
            }
        }
        Ok(())
    })?;
    Ok(Files { entries, foreign })
}
