//! What is watched beside the scenarios: the memory of the process, who has the processors, panics, errors in the log.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The most memory that the process had since the beginning of a scenario.
pub(crate) struct Rss {
    before: usize,
    most: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Rss {
    pub(crate) fn watch() -> Self {
        let before = resident();
        let (most, over) = (Arc::new(AtomicUsize::new(before)), Arc::new(AtomicBool::new(false)));
        let (told, ended) = (Arc::clone(&most), Arc::clone(&over));
        // A thread, since the runtime may be busy.
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                told.fetch_max(resident(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self { before, most, over }
    }

    /// In MiB.
    pub(crate) fn grown(&self) -> usize {
        (self.most.load(Ordering::Relaxed).max(resident()).saturating_sub(self.before)) / (1 << 20)
    }
}

impl Drop for Rss {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Bytes of memory that the process has, beside what it has of files: its own code comes in by and by.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = text.split(' ').skip(1).map(|pages| pages.parse::<usize>().unwrap_or_default());
    let (all, of_files) = (pages.next().unwrap_or_default(), pages.next().unwrap_or_default());
    all.saturating_sub(of_files) * 4096
}

/// The processors of the machine, and who has had them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processors {
    count: u32,
    /// Time of all processors together, by everybody.
    busy: Duration,
    /// The same by this process.
    own: Duration,
}

impl Processors {
    /// What there was until now. Linux counts in hundredths of a second, whatever it runs on.
    pub(crate) fn now() -> Self {
        let time = |hundredths: i64| Duration::from_millis(10 * hundredths.unsigned_abs());
        let numbers = |text: &str| text.split(' ').filter_map(|part| part.parse().ok()).collect::<Vec<i64>>();
        let machine = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let mut processors = machine.lines().take_while(|line| line.starts_with("cpu"));
        // User, nice, system, idle, waiting for disks, two kinds of interrupts, and what the host took.
        let all = numbers(processors.next().unwrap_or_default());
        let idle: i64 = all.iter().skip(3).take(2).sum();
        let busy = all.iter().take(8).sum::<i64>() - idle;
        let process = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let own = numbers(process.rsplit(')').next().unwrap_or_default());
        // The eleventh and twelfth number behind the name and the state: in the program, and in the kernel for it.
        let own = own.iter().skip(10).take(2).sum();
        Self { count: processors.count().try_into().unwrap_or(1).max(1), busy: time(busy), own: time(own) }
    }

    /// What it would have taken at least since on a machine of one's own: what others took of the processors is left out, though
    /// what this process had of them is the least.
    pub(crate) fn alone(self, took: Duration) -> Duration {
        let now = Self::now();
        let own = now.own - self.own;
        let others = (now.busy - self.busy).saturating_sub(own);
        took.saturating_sub(others / self.count).max(own / self.count)
    }
}

/// Counts panics that are not on purpose, and what is logged as an error.
pub(crate) struct Troubles;

static TROUBLES: OnceLock<AtomicUsize> = OnceLock::new();

/// What a panic says that is part of a scenario.
pub(crate) const ON_PURPOSE: &str = "on purpose";

impl Troubles {
    pub(crate) fn count() -> usize {
        let counter = TROUBLES.get_or_init(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let is_on_purpose = panic.payload_as_str().is_some_and(|text| text.contains(ON_PURPOSE));
                if !is_on_purpose {
                    Self::note();
                    before(panic);
                }
            }));
            tracing::subscriber::set_global_default(Self).expect("nobody else listens");
            AtomicUsize::new(0)
        });
        counter.load(Ordering::Relaxed)
    }

    fn note() {
        if let Some(counter) = TROUBLES.get() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl tracing::Subscriber for Troubles {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::ERROR)
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        Self::note();
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
