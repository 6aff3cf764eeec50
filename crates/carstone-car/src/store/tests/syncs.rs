//! When it is synced, and many threads at once.

use std::sync::Arc;

use super::model::{Image, Model, Op};
use super::rig::*;
use crate::store::{StoreOptions, SyncPolicy};

#[test]
fn each_policy_syncs_when_it_says() {
    let check = |sync: SyncPolicy, after_puts: [usize; 4], at_end: usize| {
        let model = Model::new(Image { car: Some(Vec::new()), journal: None });
        let options = StoreOptions::default().file(file_options()).sync(sync);
        let syncs = || model.log().iter().filter(|op| matches!(op, Op::Sync)).count();
        let store = open(&model, options).expect("a store");
        let begun = syncs();
        let found = [1, 2, 3, 4].map(|n| {
            let block = raw(&[n; 400]);
            store.put(&block.cid, &block.data).expect("put");
            syncs() - begun
        });
        assert_eq!(found, after_puts, "{sync:?}");
        let before = syncs();
        store.finalize().expect("finalize");
        assert_eq!(syncs() - before, at_end, "{sync:?}");
    };
    check(SyncPolicy::Never, [0, 0, 0, 0], 0);
    check(SyncPolicy::AtFinalize, [0, 0, 0, 0], 2);
    check(SyncPolicy::EachPut, [1, 2, 3, 4], 2);
    check(SyncPolicy::EveryBytes(800), [0, 1, 1, 2], 2);
}

#[test]
fn a_block_that_somebody_left_unsynced_is_synced_when_it_is_put_again() {
    let run = Run::new(None, &blocks(1, 1), End::Drop, SyncPolicy::Never);
    let model = Model::new(run.before.after(&run.log, None, 0));
    let store = open(&model, run.options.sync(SyncPolicy::EachPut)).expect("a store");
    assert!(!store.put(&run.put[0].cid, &run.put[0].data).expect("put"));
    let log = model.log();
    assert!(matches!(log[..], [Op::Sync, Op::SyncFolder]), "{log:?}");
}

#[test]
fn many_threads_share_a_store() {
    let model = Model::new(Image { car: Some(Vec::new()), journal: None });
    let options = StoreOptions::default().file(file_options());
    let store = Arc::new(open(&model, options).expect("a store"));
    let all: Vec<_> = (0..200u32).map(|n| raw(&n.to_le_bytes())).collect();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let (store, all) = (&store, &all);
            scope.spawn(move || {
                // Each block is put by two threads.
                for block in all.iter().skip(part / 2).step_by(2) {
                    store.put(&block.cid, &block.data).expect("put");
                    let found = store.get(&block.cid).expect("read");
                    assert_eq!(found.as_ref(), Some(&block.data));
                    for cid in store.cids().expect("header").take(3) {
                        assert!(store.has(&cid.expect("sound")).expect("read"));
                    }
                }
            });
        }
    });
    assert_eq!(store.len(), 200);
    Arc::into_inner(store).expect("the only one").finalize().expect("finalize");
    assert_whole(&model.image().car.expect("a file"), &all);
}
