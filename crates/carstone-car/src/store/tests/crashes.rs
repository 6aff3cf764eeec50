//! Crashes at every step of a run, with and without what the system had not put on disk yet.

use super::model::{Model, Op, Random};
use super::rig::*;
use crate::store::{CarStore, SyncPolicy};

#[test]
fn whatever_ends_the_process_a_new_file_keeps_what_was_acknowledged() {
    for end in ENDS {
        for sync in POLICIES {
            Run::new(None, &blocks(1, 10), end, sync).kill_everywhere();
        }
    }
}

#[test]
fn whatever_ends_the_process_a_finished_file_is_whole_or_made_whole() {
    for end in ENDS {
        for sync in POLICIES {
            Run::new(Some(&blocks(50, 6)), &blocks(1, 6), end, sync).kill_everywhere();
            Run::new(Some(&[]), &blocks(1, 2), end, sync).kill_everywhere();
        }
    }
}

#[test]
fn a_power_cut_takes_nothing_that_was_synced() {
    for end in ENDS {
        for sync in POLICIES {
            Run::new(None, &blocks(1, 10), end, sync).cut_power_everywhere(1, 12);
        }
    }
}

#[test]
fn a_power_cut_does_not_damage_a_finished_file() {
    for end in ENDS {
        for sync in POLICIES {
            Run::new(Some(&blocks(50, 6)), &blocks(1, 6), end, sync).cut_power_everywhere(2, 12);
        }
    }
}

#[test]
fn where_each_put_is_synced_a_power_cut_needs_no_option_to_open() {
    let run = Run::new(None, &blocks(1, 9), End::Drop, SyncPolicy::EachPut);
    let opened = run.log.iter().position(|op| matches!(op, Op::Sync)).expect("synced");
    for ops in opened + 1..=run.log.len() {
        // A block that holds a CAR and whose head alone is lost looks like damage.
        let inside = run.acknowledged(&run.log[..ops]).len();
        if inside % 5 == 2 {
            continue;
        }
        for n in 0..20 {
            let mut random = Random::new((ops as u64) << 8 ^ n);
            let image = run.before.after_power_cut(&run.log[..ops], &mut random);
            run.check(&image, ops, &run.acknowledged(&run.log[..ops]), false);
        }
    }
}

#[test]
fn going_back_can_be_stopped_and_begun_again() {
    let run = Run::new(Some(&blocks(50, 6)), &blocks(1, 6), End::Drop, SyncPolicy::EachPut);
    let (file, _) = run.finished.as_ref().expect("a finished file");
    let left = run.before.after(&run.log, None, 0);
    assert!(left.journal.is_some());
    for way in 0..2 {
        let model = Model::new(left.clone());
        match way {
            0 => open(&model, run.options).expect("it opens").discard().expect("discard"),
            _ => assert!(CarStore::restore_on(&model).expect("restore")),
        }
        assert_eq!(model.image().car.as_ref(), Some(file));
        let log = model.log();
        for ops in 0..=log.len() {
            for n in 0..20 {
                let mut random = Random::new((ops as u64) << 8 ^ n);
                let model = Model::new(left.after_power_cut(&log[..ops], &mut random));
                CarStore::restore_on(&model).expect("restore");
                assert!(
                    model.image().car.as_ref() == Some(file) && model.image().journal.is_none()
                );
                // Whoever opens it goes on with what is left of the blocks, or finds the finished file.
                let model = Model::new(left.after_power_cut(&log[..ops], &mut random));
                open(&model, run.options).expect("it opens").discard().expect("discard");
                assert!(
                    model.image().car.as_ref() == Some(file) && model.image().journal.is_none()
                );
            }
        }
    }
}
