//! The pool keeps order, budget and its threads, whatever its work does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use carstone_layer::{Error, ErrorKind, Ordered, Pool, default_threads};

fn lost<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(error) if matches!(error.kind(), ErrorKind::WorkerLost))
}

#[track_caller]
fn check_order(threads: usize) {
    // Later jobs are quicker, so that results are ready in another order than they are due.
    let pool = Pool::new(threads, |i: u64| {
        thread::sleep(Duration::from_micros((20 - i) * 100));
        i * i
    });
    let mut ordered = Ordered::new(pool, usize::MAX);
    (0..20).for_each(|i| match i % 3 {
        0 => ordered.push_done(i * i, 1),
        _ => ordered.push(i, 1),
    });
    assert_eq!(ordered.len(), 20);
    let results: Vec<u64> =
        std::iter::from_fn(|| ordered.pop()).map(|r| r.expect("no panic")).collect();
    assert_eq!(results, (0..20).map(|i| i * i).collect::<Vec<_>>());
    assert!(ordered.is_empty());
}

#[test]
fn results_come_in_the_order_of_submission() {
    (0..5).for_each(check_order);
}

#[test]
fn one_thread_is_the_callers() {
    for threads in [0, 1] {
        let pool = Pool::new(threads, |()| thread::current().id());
        assert_eq!(pool.threads(), 1);
        let ticket = pool.submit(());
        assert!(ticket.is_ready());
        assert_eq!(ticket.wait().expect("no panic"), thread::current().id());
    }
    let pool = Pool::new(2, |()| thread::current().id());
    assert_eq!(pool.threads(), 2);
    assert_ne!(pool.submit(()).wait().expect("no panic"), thread::current().id());
}

#[test]
fn a_panic_loses_its_own_result_only() {
    for threads in [1, 2] {
        let pool = Pool::new(threads, |i: u32| {
            // Not `panic!`: the hook would print a message for each.
            if i.is_multiple_of(2) {
                std::panic::resume_unwind(Box::new(()));
            }
            i
        });
        let tickets: Vec<_> = (0..20).map(|i| pool.submit(i)).collect();
        for (i, ticket) in (0..20).zip(tickets) {
            let result = ticket.wait();
            assert!(if i % 2 == 0 { lost(result) } else { result.expect("odd jobs go well") == i });
        }
    }
}

#[test]
fn budget_bounds_what_is_in_flight_but_never_stops_a_lone_job() {
    let mut ordered = Ordered::new(Pool::new(2, |i: u8| i), 10);
    assert!(ordered.has_room(1000));
    ordered.push(0, 6);
    assert!(ordered.has_room(4));
    assert!(!ordered.has_room(5));
    assert!(!ordered.has_room(usize::MAX));
    ordered.push_done(1, 1000);
    assert!(!ordered.has_room(0));
    assert_eq!(ordered.pop().expect("two jobs").expect("no panic"), 0);
    assert!(!ordered.has_room(0));
    assert_eq!(ordered.pop().expect("one job").expect("no panic"), 1);
    assert!(ordered.has_room(1000));
    assert!(ordered.pop().is_none());

    let mut alone = Ordered::new(Pool::new(1, |i: u8| i), 10);
    alone.push(0, 1);
    assert!(!alone.has_room(1), "the caller's thread cannot work ahead");
}

#[test]
fn pop_ready_does_not_wait() {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let pool = Pool::new(2, move |i: u8| {
        if i == 0 {
            gate.lock().expect("one job locks").recv().expect("the gate is opened");
        }
        i
    });
    let mut ordered = Ordered::new(pool, 100);
    ordered.push(0, 1);
    ordered.push(1, 1);
    assert!(ordered.pop_ready().is_none());
    open.send(()).expect("the worker listens");
    assert_eq!(ordered.pop().expect("two jobs").expect("no panic"), 0);
    while ordered.is_empty() || ordered.pop_ready().is_none() {
        thread::yield_now();
    }
    assert!(ordered.is_empty());
}

#[test]
fn forgotten_jobs_are_not_begun_and_the_pool_goes_on() {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let pool = Pool::new(2, move |wait: u64| {
        count.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(wait));
        wait
    });
    let mut ordered = Ordered::new(pool, 1);
    (0..1000).for_each(|_| ordered.push(20, 1));
    ordered.clear();
    assert!(ordered.is_empty() && ordered.has_room(1));
    ordered.push(0, 1);
    assert_eq!(ordered.pop().expect("one job").expect("no panic"), 0);
    (0..1000).for_each(|_| ordered.push(20, 1));
    drop(ordered);
    assert!(begun.load(Ordering::SeqCst) < 100);
}

#[test]
fn threads_end_with_the_pool() {
    let token = Arc::new(());
    let held = Arc::clone(&token);
    let pool = Pool::new(4, move |()| Arc::strong_count(&held));
    let ticket = pool.submit(());
    drop(pool);
    assert_eq!(Arc::strong_count(&token), 1);
    assert_eq!(ticket.wait().expect("a ticket outlives its pool"), 2);
}

#[test]
fn there_is_at_least_one_thread_by_default() {
    assert!(default_threads() >= 1);
}

const fn assert_send<T: Send>() {}
const _: () = assert_send::<Pool<Vec<u8>, Vec<u8>>>();
const _: () = assert_send::<Ordered<Vec<u8>, Vec<u8>>>();
