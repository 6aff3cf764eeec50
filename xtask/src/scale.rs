//! `cargo xtask scale`: how time and memory grow with the number of entries and with the number of bytes.

#![expect(clippy::print_stdout, reason = "the tables are the result of the task")]

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use crate::made;
use crate::measure::Usage;
use crate::rig::{Rig, mib};
use crate::shm;

/// The flags of the task.
#[derive(clap::Args)]
pub struct Arguments {
    /// The most files of about 100 bytes; each power of ten from 1000 is measured
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    max_entries: u64,
    /// The most bytes in large files; each power of ten from 10 MB is measured
    #[arg(long, value_name = "N", default_value_t = 10_000_000_000)]
    max_bytes: u64,
    /// How packs are compressed
    #[arg(long, value_name = "CODEC", default_value = "brotli:5")]
    compress: String,
    /// A folder with room for three times the most bytes [default: /dev/shm, or target/scale for a series that does
    /// not fit there]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

const OPERATIONS: [&str; 4] = ["create", "list", "cat", "extract"];

/// What was measured at one size, in the order of [`OPERATIONS`].
struct Point {
    size: u64,
    usages: [Usage; 4],
    stored: u64,
}

/// Runs the task.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let threads = available_parallelism()?.get();
    println!("carstone with {}, encrypted, {threads} threads.\n", arguments.compress);
    let disk = root.join("target/scale");
    let rig = |needs: u64| -> anyhow::Result<Rig> {
        let base = arguments.folder.as_deref().unwrap_or_else(|| shm::or_else(needs, &disk));
        Rig::new(root, base, &arguments.compress, threads)
    };

    // In memory a file of 100 bytes takes a page and its inode, before and after.
    let entries = rig(arguments.max_entries.saturating_mul(12_000))?;
    let mut points = Vec::new();
    for files in sizes(1000, arguments.max_entries) {
        eprintln!("scale: {files} entries");
        made::small_files(&entries.tree(), files)?;
        points.push(measure(&entries, files, files, &made::small_file(files / 2))?);
        entries.clear()?;
    }
    println!("### Files of about 100 bytes, {}\n\n{}", entries.place(), tables("entries", &points));
    drop(entries);

    let bytes = rig(arguments.max_bytes.saturating_mul(3))?;
    points.clear();
    for size in sizes(10_000_000, arguments.max_bytes) {
        eprintln!("scale: {size} bytes");
        let files = made::large_files(&bytes.tree(), size)?;
        points.push(measure(&bytes, size, files, &made::megabyte_file(files / 2))?);
        bytes.clear()?;
    }
    let title = "Files of about a megabyte, and one with a quarter of all bytes";
    println!("### {title}, {}\n\n{}", bytes.place(), tables("bytes", &points));
    Ok(())
}

/// The powers of ten from the first to the last; the last alone where it is smaller.
fn sizes(first: u64, last: u64) -> impl Iterator<Item = u64> {
    let powers = std::iter::successors(Some(first.min(last)), |size| size.checked_mul(10));
    powers.take_while(move |size| (1..=last).contains(size))
}

fn measure(rig: &Rig, size: u64, names: u64, file: &Path) -> anyhow::Result<Point> {
    let (create, stored) = rig.create()?;
    let list = median(|| rig.list(names))?;
    let cat = median(|| rig.cat(file))?;
    Ok(Point { size, usages: [create, list, cat, rig.extract()?], stored })
}

/// Of three runs, for what is over soon.
fn median(run: impl Fn() -> anyhow::Result<Usage>) -> anyhow::Result<Usage> {
    let runs = [run()?, run()?, run()?];
    Ok(Usage::median(&runs).unwrap_or(runs[0]))
}

/// One kind of number.
type Number = fn(&Usage) -> f64;

/// One table for each kind of number. The last line is the exponent that the three largest sizes fit.
fn tables(unit: &str, points: &[Point]) -> String {
    let kinds: [(&str, usize, Number); 3] = [
        ("wall time, s", 3, |usage| usage.wall.as_secs_f64()),
        ("processor time, s", 3, |usage| usage.cpu.as_secs_f64()),
        ("peak memory, MiB", 1, |usage| mib(usage.memory)),
    ];
    let mut text = String::new();
    for (title, digits, number) in kinds {
        text += &format!("{title}:\n\n| {unit} | {} |\n|---:|", OPERATIONS.join(" | "));
        text += &"---:|".repeat(OPERATIONS.len());
        for point in points {
            text += &format!("\n| {} |", grouped(point.size));
            for usage in &point.usages {
                text += &format!(" {:.digits$} |", number(usage));
            }
        }
        text += "\n| exponent |";
        for operation in 0..OPERATIONS.len() {
            let line =
                points.iter().map(|point| (point.size as f64, number(&point.usages[operation])));
            let slope = exponent(&line.collect::<Vec<_>>());
            text += &slope.map_or(" – |".to_owned(), |slope| format!(" {slope:.2} |"));
        }
        text += "\n\n";
    }
    let sizes = points.iter().map(|point| format!("{:.2}", point.stored as f64 / 1e6));
    text + &format!("Packs, MB: {}.\n", sizes.collect::<Vec<_>>().join(", "))
}

/// The slope of log y over log x by least squares, from the last three points.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let last = &points[points.len().saturating_sub(3)..];
    if last.len() < 2 || last.iter().any(|(x, y)| *x <= 0.0 || *y <= 0.0) {
        return None;
    }
    let logs: Vec<_> = last.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (x_mean, y_mean) = (
        logs.iter().map(|(x, _)| x).sum::<f64>() / count,
        logs.iter().map(|(_, y)| y).sum::<f64>() / count,
    );
    let above: f64 = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let below: f64 = logs.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    (below > 0.0).then(|| above / below)
}

/// With a comma for every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{exponent, grouped, sizes};

    #[test]
    fn the_exponent_is_that_of_the_largest_three() {
        let cubes = [(1.0, 99.0), (10.0, 1e3), (100.0, 1e6), (1000.0, 1e9)];
        assert!((exponent(&cubes).expect("three points") - 3.0).abs() < 1e-9);
        let flat = [(10.0, 0.5), (100.0, 0.5)];
        assert!(exponent(&flat).expect("two points").abs() < 1e-9);
        assert_eq!(exponent(&[(10.0, 1.0)]), None);
        assert_eq!(exponent(&[(10.0, 0.0), (100.0, 1.0)]), None);
    }

    #[test]
    fn sizes_are_powers_of_ten() {
        assert_eq!(sizes(1000, 99_999).collect::<Vec<_>>(), [1000, 10_000]);
        assert_eq!(sizes(1000, 50).collect::<Vec<_>>(), [50]);
        assert_eq!(sizes(1000, 0).count(), 0);
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(100), "100");
    }

    #[test]
    fn an_empty_series_has_no_exponent() {
        assert_eq!(exponent(&[]), None);
    }
}
