//! One window of load: a fixed number of requests in flight for a fixed time.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use stats_alloc::Region;
use tokio::task::JoinSet;

use crate::callers::Caller;
use crate::options::Options;
use crate::{ALLOCATOR, BoxError, usage};

/// Every so many-th request carries the header that the policy matches.
const CANARY_EVERY: u64 = 10;

/// Latencies are kept to three digits up to a minute.
const LONGEST: u64 = 60_000_000_000;

/// What one window came to.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) requests: u64,
    /// Of those, with the header.
    pub(crate) canaries: u64,
    /// Of those, not answered as they should.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<BoxError>,
    pub(crate) elapsed: Duration,
    /// From sending a request to the end of its answer, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// CPU time of this process.
    pub(crate) cpu: Duration,
    /// CPU time of the servers' process.
    pub(crate) upstream_cpu: Duration,
    /// CPU time of everything on this machine, where known.
    pub(crate) machine_cpu: Option<Duration>,
    /// By this process, reallocations included.
    pub(crate) allocations: u64,
    pub(crate) allocated_bytes: u64,
}

/// Loads the caller and measures until the last request that was started in time has ended.
pub(crate) async fn run<C: Caller>(caller: &C, options: &Options) -> Result<Window, BoxError> {
    let machine = usage::machine_busy();
    let (cpu, allocator, start) = (usage::process_cpu(), Region::new(ALLOCATOR), Instant::now());
    let end = start + options.duration();
    let mut workers = JoinSet::new();
    for number in 0..options.concurrency {
        workers.spawn(worker(caller.clone(), number.into(), end));
    }
    let tallies = workers.join_all().await;
    let (elapsed, allocated) = (start.elapsed(), allocator.change());
    let cpu = usage::process_cpu().saturating_sub(cpu);
    let mut window = Window {
        requests: 0,
        canaries: 0,
        errors: 0,
        first_error: None,
        elapsed,
        latency: Histogram::new_with_bounds(1, LONGEST, 3)?,
        cpu,
        upstream_cpu: Duration::ZERO,
        machine_cpu: machine.and_then(|before| Some(usage::machine_busy()?.saturating_sub(before))),
        allocations: (allocated.allocations + allocated.reallocations) as u64,
        allocated_bytes: allocated.bytes_allocated as u64,
    };
    for tally in tallies {
        window.add(tally);
    }
    Ok(window)
}

/// Sends a number of requests from each of several workers, without measuring anything.
pub(crate) async fn send<C: Caller>(caller: &C, workers: u32, requests: u64) -> Result<(), BoxError> {
    let mut sending = JoinSet::new();
    let workers = u64::from(workers);
    for number in 0..workers {
        let caller = caller.clone();
        let each = requests / workers + u64::from(number < requests % workers);
        sending.spawn(async move {
            for sent in 0..each {
                caller.call((number + sent).is_multiple_of(CANARY_EVERY)).await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    sending.join_all().await.into_iter().collect()
}

async fn worker<C: Caller>(caller: C, number: u64, end: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut begin = Instant::now();
    while begin < end {
        let canary = (number + tally.latencies.len() as u64).is_multiple_of(CANARY_EVERY);
        let answer = caller.call(canary).await;
        let now = Instant::now();
        tally.record(canary, answer, now - begin);
        begin = now;
    }
    tally
}

/// What one worker saw. Latencies go into the histogram when the window is over.
#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    canaries: u64,
    errors: u64,
    first_error: Option<BoxError>,
}

impl Tally {
    fn record(&mut self, canary: bool, answer: Result<(), BoxError>, latency: Duration) {
        self.latencies.push(latency);
        self.canaries += u64::from(canary);
        if let Err(error) = answer {
            self.errors += 1;
            self.first_error.get_or_insert(error);
        }
    }
}

impl Window {
    fn add(&mut self, tally: Tally) {
        self.requests += tally.latencies.len() as u64;
        self.canaries += tally.canaries;
        self.errors += tally.errors;
        self.first_error = self.first_error.take().or(tally.first_error);
        for latency in tally.latencies {
            self.latency.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST));
        }
    }
}
