//! Between the versions, and indexes: what `carstone car index`, `wrap` and their opposites write.

use std::fs;

use anyhow::ensure;

use super::car_command::{Trial, same_cids};
use super::checks::Checks;
use super::listing::agreed;
use super::tools::run;

const CODECS: [&str; 3] = ["car-multihash-index-sorted", "car-index-sorted", "none"];

/// Runs all checks.
pub fn run_all(trial: &Trial<'_>, checks: &mut Checks) {
    let Trial { mixed, tree, plain, .. } = trial;
    for codec in CODECS {
        for (command, cars) in [("index", [mixed, tree]), ("wrap", [mixed, plain])] {
            checks.check(&format!("@ipld/car reads what {command} writes: {codec}"), || {
                for car in cars {
                    let found = trial.made(2, command, &["-c", codec], &[car])?;
                    let source = trial.listing(car)?;
                    ensure!(found.roots == source.roots, "its roots are {:?}", found.roots);
                    same_cids(&found, source.cids())?;
                }
                Ok(())
            });
        }
        checks.check(&format!("unwrap gives back what was wrapped: {codec}"), || {
            for car in [mixed, plain] {
                trial.made(2, "wrap", &["-c", codec], &[car])?;
                let (wrapped, plain) =
                    (trial.folder.join("made.car"), trial.folder.join("plain.car"));
                let mut unwrap = trial.tools.car("unwrap");
                run(unwrap.args(["-q", "--force", "-o"]).arg(&plain).arg(&wrapped))?;
                ensure!(
                    fs::read(&plain)? == fs::read(car)?,
                    "{} has become another",
                    car.display()
                );
            }
            Ok(())
        });
    }
    for codec in &CODECS[..2] {
        checks.check(
            &format!("indexes are the same alone, attached and detached: {codec}"),
            || {
                for car in [mixed, plain] {
                    let (index, detached) =
                        (trial.folder.join("a.index"), trial.folder.join("b.index"));
                    let mut create = trial.tools.car("index");
                    create.args(["create", "-q", "--force", "-c", codec, "-o"]).arg(&index);
                    run(create.arg(car))?;
                    let bare = trial.made(2, "wrap", &["-c", "none"], &[car])?;
                    let made = trial.folder.join("made.car");
                    run(trial.tools.car("attach-index").arg("-q").arg(&made).arg(&index))?;
                    agreed(trial.tools, &made, 2)?.same_as(&bare)?;
                    let mut detach = trial.tools.car("detach-index");
                    run(detach.args(["-q", "--force", "-o"]).arg(&detached).arg(&made))?;
                    let (one, other) = (fs::read(&index)?, fs::read(&detached)?);
                    ensure!(!one.is_empty() && one == other, "the index has changed");
                    // With it, the same comes out as in one step.
                    let whole = fs::read(&made)?;
                    trial.made(2, "wrap", &["-c", codec], &[car])?;
                    ensure!(fs::read(&made)? == whole, "wrap writes another index");
                }
                Ok(())
            },
        );
    }
}
