//! Writes the seeds of a target to a folder: `seeds <target> <folder>`. Without arguments, lists the targets.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

use carstone_fuzz::{TARGETS, Target};

#[expect(clippy::print_stdout, reason = "the list is the result")]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, folder] = &arguments[..] else {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    };
    let Some(target) = Target::named(name) else {
        eprintln!("there is no target {name}");
        return ExitCode::from(2);
    };
    for (n, seed) in (target.seeds)().into_iter().enumerate() {
        if let Err(error) = fs::write(Path::new(folder).join(format!("seed-{n:03}")), seed) {
            eprintln!("cannot write to {folder}: {error}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
