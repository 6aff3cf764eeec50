//! The tables: what was measured, and how it stands to the targets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::programs::{OPERATIONS, Operation, Program};
use crate::measure::Usage;

/// Everything that was measured.
pub struct Results {
    pub title: String,
    programs: Vec<Program>,
    usages: BTreeMap<(&'static str, &'static str), Vec<Usage>>,
    /// Bytes of the pack or repository, by program.
    pub sizes: BTreeMap<&'static str, u64>,
}

/// What carstone wants to be: at most so large a part of the other program's number.
struct Target {
    ours: Program,
    theirs: Program,
    operation: Operation,
    /// What of theirs it is compared with.
    against: Operation,
    /// Compares the size of the output, not the time.
    size: bool,
    at_most: f64,
}

const BROTLI: Program = Program::Carstone("brotli:5");
const ZSTD: Program = Program::Carstone("zstd:3");

const TARGETS: [Target; 9] = [
    target(BROTLI, Program::Mlar, Operation::Create, false, 0.55),
    target(BROTLI, Program::Mlar, Operation::Create, true, 0.90),
    target(ZSTD, Program::Tar, Operation::Create, false, 1.00),
    target(ZSTD, Program::Tar, Operation::Create, true, 0.93),
    target(BROTLI, Program::Mlar, Operation::Extract, false, 0.60),
    target(BROTLI, Program::Mlar, Operation::List, false, 0.25),
    target(BROTLI, Program::Mlar, Operation::Cat, false, 0.20),
    target(BROTLI, Program::Mlar, Operation::Repair, false, 1.00),
    // At least 0.7 of the speed of a verified read.
    Target {
        against: Operation::Verify,
        ..target(BROTLI, BROTLI, Operation::Repair, false, 1.0 / 0.7)
    },
];

const fn target(
    ours: Program,
    theirs: Program,
    operation: Operation,
    size: bool,
    at_most: f64,
) -> Target {
    Target { ours, theirs, operation, against: operation, size, at_most }
}

impl Results {
    pub fn new(programs: &[Program]) -> Self {
        Self {
            title: String::new(),
            programs: programs.to_vec(),
            usages: BTreeMap::new(),
            sizes: BTreeMap::new(),
        }
    }

    pub fn add(&mut self, program: Program, operation: Operation, usage: Usage) {
        self.usages.entry((program.name(), operation.name())).or_default().push(usage);
    }

    fn median(&self, program: Program, operation: Operation) -> Option<Usage> {
        Usage::median(self.usages.get(&(program.name(), operation.name()))?)
    }

    /// A table for each kind of number: a line for each program, a column for each operation.
    pub fn tables(&self) -> String {
        let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
        let mut text = self.table("wall time, s", |usage| seconds(usage.wall));
        text += &self.table("processor time, s", |usage| seconds(usage.cpu));
        text += &self.table("peak memory, MiB", |usage| {
            format!("{:.1}", usage.memory as f64 / f64::from(1 << 20))
        });
        text += "Of a pipeline the peak memory is that of its largest process.\n\n";
        text += "| size | MB |\n|---|---:|\n";
        for program in &self.programs {
            let size = self.sizes.get(program.name()).copied().unwrap_or_default();
            let _ = writeln!(
                text,
                "| {} | {:.2} |",
                program.name().replace('|', "\\|"),
                size as f64 / 1e6
            );
        }
        text + "\n"
    }

    fn table(&self, title: &str, number: impl Fn(Usage) -> String) -> String {
        let mut text = format!("| {title} |");
        for operation in OPERATIONS {
            let _ = write!(text, " {} |", operation.name());
        }
        text += "\n|---|";
        text += &"---:|".repeat(OPERATIONS.len());
        for &program in &self.programs {
            let _ = write!(text, "\n| {} |", program.name().replace('|', "\\|"));
            for operation in OPERATIONS {
                let median = self.median(program, operation);
                let _ = write!(text, " {} |", median.map_or("–".to_owned(), &number));
            }
        }
        text + "\n\n"
    }

    /// The targets, with what was reached. The ratio of processor times stands beside them: it suffers less from
    /// whatever else the machine does.
    pub fn targets(&self) -> String {
        let mut text =
            "| target | compared with | ratio | at most | | processor time |\n|---|---|---:|---:|---|---:|\n".to_owned();
        for target in TARGETS {
            let what = if target.size { "size" } else { "wall time" };
            let cpu = match target.size {
                true => None,
                false => self.ratio(&target, |usage| usage.cpu),
            };
            let cpu = cpu.map_or("–".to_owned(), |ratio| format!("{ratio:.3}"));
            let (ratio, mark) = match self.ratio(&target, |usage| usage.wall) {
                Some(ratio) => {
                    let mark = if ratio <= target.at_most { "pass" } else { "FAIL" };
                    (format!("{ratio:.3}"), mark)
                }
                None => ("–".to_owned(), "not measured"),
            };
            let against = match target.against == target.operation {
                true => String::new(),
                false => format!(", {}", target.against.name()),
            };
            let _ = writeln!(
                text,
                "| {}, {} {what} | {}{against} | {ratio} | {:.2} | {mark} | {cpu} |",
                target.ours.name(),
                target.operation.name(),
                target.theirs.name().replace('|', "\\|"),
                target.at_most
            );
        }
        text
    }

    /// Our number over theirs; of sizes, whatever `time` is.
    fn ratio(&self, target: &Target, time: impl Fn(Usage) -> Duration) -> Option<f64> {
        let number = |program: Program, operation| -> Option<f64> {
            if target.size {
                return Some(*self.sizes.get(program.name())? as f64);
            }
            Some(time(self.median(program, operation)?).as_secs_f64())
        };
        Some(number(target.ours, target.operation)? / number(target.theirs, target.against)?)
    }

    /// Every single measurement.
    pub fn to_json(&self) -> Value {
        let usages = self.usages.iter().map(|((program, operation), usages)| {
            let runs: Vec<_> = usages.iter().map(|usage| usage.to_json()).collect();
            json!({ "program": program, "operation": operation, "runs": runs })
        });
        json!({
            "title": self.title,
            "measurements": usages.collect::<Vec<_>>(),
            "sizes": self.sizes,
        })
    }
}
