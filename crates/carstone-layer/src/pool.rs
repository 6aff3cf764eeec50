//! Work on other threads, with results in the order of submission and memory under a byte budget.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::{fmt, num};

use crate::{Error, ErrorKind};

/// A fixed number of threads that all do the same work. They start with the first job.
///
/// Dropping the pool waits for its threads; jobs that nobody waits for any more are not begun.
pub struct Pool<J, T> {
    threads: usize,
    workers: OnceLock<Workers<J, T>>,
    work: Arc<Work<J, T>>,
}

impl<J: Send + 'static, T: Send + 'static> Pool<J, T> {
    /// A pool of `threads` threads that do `work`. With one thread or none, [`submit`](Self::submit) does the work itself.
    ///
    /// No more than 256 threads are started, and where the system gives fewer, the pool has fewer.
    pub fn new(threads: usize, work: impl Fn(J) -> T + Send + Sync + 'static) -> Self {
        let threads = threads.clamp(1, MAX_THREADS);
        Self { threads, workers: OnceLock::new(), work: Arc::new(work) }
    }

    /// Hands one job in. Its result is fetched with the ticket, and the job may be left out if the ticket is dropped.
    pub fn submit(&self, job: J) -> Ticket<T> {
        let slot = Arc::new(Slot::new(State::Open));
        let job = Job { job, result: Promise(Arc::clone(&slot)) };
        match &self.workers.get_or_init(|| Workers::start(self.threads, &self.work)).jobs {
            // A failed send drops the job, and its promise then marks the result as lost.
            Some(jobs) => drop(jobs.send(job)),
            None => job.run(&*self.work),
        }
        Ticket(slot)
    }
}

impl<J, T> Pool<J, T> {
    /// How many threads work, the caller's included where it does the work; at least 1. Before the first job, how many are to.
    pub fn threads(&self) -> usize {
        self.workers.get().map_or(self.threads, |workers| workers.threads.len().max(1))
    }
}

impl<J, T> fmt::Debug for Pool<J, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

/// The right to one result of a [`Pool`].
#[must_use = "the result is lost without its ticket"]
pub struct Ticket<T>(Arc<Slot<T>>);

impl<T> Ticket<T> {
    /// Waits for the result.
    ///
    /// # Errors
    /// [`ErrorKind::WorkerLost`] when the work panicked.
    pub fn wait(self) -> Result<T, Error> {
        let mut state = self.0.lock();
        loop {
            match std::mem::replace(&mut *state, State::Lost) {
                State::Done(result) => return Ok(result),
                State::Lost => return Err(Error::new(ErrorKind::WorkerLost, 0)),
                State::Open => *state = State::Open,
            }
            state = self.0.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether [`wait`](Self::wait) would return at once.
    pub fn is_ready(&self) -> bool {
        !matches!(*self.0.lock(), State::Open)
    }
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("ready", &self.is_ready()).finish()
    }
}

/// A [`Pool`] whose results come out in the order of submission, under a budget of bytes in flight.
#[derive(Debug)]
pub struct Ordered<J, T> {
    // Stands before the pool: dropped first, so that the pool does not begin what nobody waits for.
    queue: VecDeque<(Ticket<T>, usize)>,
    pool: Pool<J, T>,
    budget: usize,
    spent: usize,
}

impl<J: Send + 'static, T: Send + 'static> Ordered<J, T> {
    /// A queue in front of `pool` that is full at `budget` bytes.
    pub fn new(pool: Pool<J, T>, budget: usize) -> Self {
        Self { queue: VecDeque::new(), pool, budget, spent: 0 }
    }

    /// Whether a job that keeps `cost` bytes in memory should be pushed now.
    ///
    /// An empty queue always has room. A queue with something in it has none where the caller's thread does the work, since
    /// working ahead gains nothing there.
    pub fn has_room(&self, cost: usize) -> bool {
        let fits = self.spent.checked_add(cost).is_some_and(|sum| sum <= self.budget);
        self.queue.is_empty() || (self.pool.threads() > 1 && fits)
    }

    /// Hands in a job that keeps `cost` bytes in memory until it is popped. Does not look at the budget.
    pub fn push(&mut self, job: J, cost: usize) {
        self.spent = self.spent.saturating_add(cost);
        self.queue.push_back((self.pool.submit(job), cost));
    }

    /// Hands in a result that took no work, and comes out when it is its turn.
    pub fn push_done(&mut self, result: T, cost: usize) {
        self.spent = self.spent.saturating_add(cost);
        let slot = Slot::new(State::Done(result));
        self.queue.push_back((Ticket(Arc::new(slot)), cost));
    }

    /// Waits for the oldest result; `None` when nothing is in the queue.
    ///
    /// # Errors
    /// [`ErrorKind::WorkerLost`] when its work panicked.
    pub fn pop(&mut self) -> Option<Result<T, Error>> {
        let (ticket, cost) = self.queue.pop_front()?;
        self.spent = self.spent.saturating_sub(cost);
        Some(ticket.wait())
    }

    /// The oldest result if it is there already.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    pub fn pop_ready(&mut self) -> Option<Result<T, Error>> {
        self.queue.front().filter(|(ticket, _)| ticket.is_ready())?;
        self.pop()
    }

    /// How many jobs are in the queue.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no job is in the queue.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many threads work; at least 1.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Forgets all jobs. Those that run end in the background; the others are not begun.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.spent = 0;
    }
}

/// How many threads this process can run at once; 1 where the system does not say. It is asked once: that takes some twenty system calls.
pub fn default_threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| thread::available_parallelism().map_or(1, num::NonZero::get))
}

type Work<J, T> = dyn Fn(J) -> T + Send + Sync;

/// The threads of a pool.
struct Workers<J, T> {
    // `None` where the caller's thread does the work, and while they end.
    jobs: Option<mpsc::Sender<Job<J, T>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static, T: Send + 'static> Workers<J, T> {
    fn start(threads: usize, work: &Arc<Work<J, T>>) -> Self {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let wanted = if threads > 1 { threads } else { 0 };
        let threads: Vec<_> = (0..wanted)
            .map_while(|_| {
                let (receiver, work) = (Arc::clone(&receiver), Arc::clone(work));
                let builder = thread::Builder::new().name("carstone".to_owned());
                builder.spawn(move || run(&receiver, &*work)).ok()
            })
            .collect();
        Self { jobs: (!threads.is_empty()).then_some(sender), threads }
    }
}

impl<J, T> Drop for Workers<J, T> {
    fn drop(&mut self) {
        self.jobs = None; // The threads see the end of the channel.
        for thread in self.threads.drain(..) {
            // They catch panics; there is nothing else that `join` could tell.
            let _ = thread.join();
        }
    }
}

/// Where one result is put and fetched.
struct Slot<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

enum State<T> {
    Open,
    Done(T),
    Lost,
}

impl<T> Slot<T> {
    fn new(state: State<T>) -> Self {
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of others runs under the lock, so that a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to fill a slot: dropped without a result, it marks the result as lost.
struct Promise<T>(Arc<Slot<T>>);

impl<T> Promise<T> {
    fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    fn fill(&self, result: T) {
        *self.0.lock() = State::Done(result);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Open) {
            *state = State::Lost;
        }
        drop(state);
        self.0.filled.notify_all();
    }
}

struct Job<J, T> {
    job: J,
    result: Promise<T>,
}

impl<J, T> Job<J, T> {
    fn run(self, work: &Work<J, T>) {
        let Self { job, result } = self;
        // The job is given away whole and `work` is only called again as the caller made it, so that nothing half-changed is
        // seen after a panic.
        if let Ok(value) = catch_unwind(AssertUnwindSafe(|| work(job))) {
            result.fill(value);
        }
    }
}

fn run<J, T>(jobs: &Mutex<mpsc::Receiver<Job<J, T>>>, work: &Work<J, T>) {
    loop {
        // The lock is held while waiting, and free while working.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) if job.result.is_wanted() => job.run(work),
            Ok(_) => {}
            Err(mpsc::RecvError) => return,
        }
    }
}

/// More threads than this only cost memory.
const MAX_THREADS: usize = 256;
