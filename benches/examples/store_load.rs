//! Many gets and puts of a store at the same time: `store_load URL AT_ONCE SECONDS`, with the usual variables of AWS.
//!
//! Each of AT_ONCE tasks puts a small blob, or gets one that has been put and compares it, again and again. What fails is told. Counts, and the most memory,
//! as JSON.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

use std::error::Error;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use carstone::car::Cid;
use carstone_benches::noise;
use carstone_store::{Blob, PackWriterOptions, Store, StoreUrl};

/// The most bytes of a blob.
const LARGEST: u64 = 200_000;

/// What all tasks share.
struct Load {
    store: Store,
    /// What has been put, and the seed that it is made of.
    known: Mutex<Vec<(Cid, u64)>>,
    puts: AtomicU64,
    gets: AtomicU64,
    failed: Mutex<Vec<String>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, at_once, seconds] = &arguments[..] else {
        return Err("store_load URL AT_ONCE SECONDS".into());
    };
    let (at_once, seconds) = (at_once.parse()?, Duration::from_secs(seconds.parse()?));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(url, at_once, seconds))
}

async fn run(url: &str, at_once: u64, seconds: Duration) -> Result<(), Box<dyn Error>> {
    let url = StoreUrl::new(url).endpoint(std::env::var("AWS_ENDPOINT_URL").ok());
    let load = Arc::new(Load {
        store: Store::create_at(&url).await?,
        known: Mutex::default(),
        puts: AtomicU64::new(0),
        gets: AtomicU64::new(0),
        failed: Mutex::default(),
    });
    let end = Instant::now() + seconds;
    let tasks: Vec<_> = (0..at_once)
        .map(|task| {
            let load = Arc::clone(&load);
            tokio::spawn(async move {
                let mut step = 0;
                while Instant::now() < end {
                    if let Err(error) = load.step(task, step).await {
                        lock(&load.failed).push(error.to_string());
                    }
                    step += 1;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    // Whatever was said to be kept is there for one who comes anew.
    let fresh = Store::open_at(&url).await?;
    let known = lock(&load.known).clone();
    let mut lost = 0;
    for (cid, seed) in &known {
        let found = fresh.block(cid).await?;
        lost += u64::from(found.is_none_or(|block| block != blob(*seed)));
    }
    let failed = lock(&load.failed);
    for message in failed.iter().take(10) {
        eprintln!("{message}");
    }
    let (puts, gets) = (load.puts.load(Ordering::Relaxed), load.gets.load(Ordering::Relaxed));
    println!(
        "{{\"at_once\": {at_once}, \"puts\": {puts}, \"gets\": {gets}, \"failed\": {}, \"lost\": {lost}, \"memory_mib\": {}}}",
        failed.len(),
        memory()
    );
    Ok(())
}

impl Load {
    async fn step(&self, task: u64, step: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        let seed = task << 32 | step;
        let known = {
            let known = lock(&self.known);
            // One in four is a put.
            let place = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize;
            (!step.is_multiple_of(4) && !known.is_empty()).then(|| known[place % known.len()])
        };
        match known {
            Some((cid, seed)) => {
                let block = self.store.block(&cid).await?;
                if block.is_none_or(|block| block != blob(seed)) {
                    return Err(format!("{cid} is not what was put").into());
                }
                self.gets.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                let options = PackWriterOptions::default();
                let written = self.store.put(Blob::bytes(blob(seed)), options).await?;
                lock(&self.known).push((written.root, seed));
                self.puts.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

fn blob(seed: u64) -> Vec<u8> {
    noise(seed, (seed.wrapping_mul(0x2545_f491_4f6c_dd1d) % LARGEST) as usize)
}

/// The most memory that this process has had, in MiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
