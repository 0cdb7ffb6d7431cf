//! What recordings of all bodies together may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that recordings share.
#[derive(Debug)]
pub(crate) struct Memory {
    most: usize,
    used: AtomicUsize,
}

impl Memory {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, used: AtomicUsize::new(0) })
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}

/// What one recording takes of it; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    memory: Option<Arc<Memory>>,
    bytes: usize,
}

impl Reserved {
    pub(crate) fn of(memory: Option<Arc<Memory>>) -> Self {
        Self { memory, bytes: 0 }
    }

    /// Whether there is room for more; takes it.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let room = self.memory.as_ref().is_none_or(|memory| memory.take(bytes));
        if room {
            self.bytes += bytes;
        }
        room
    }

    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(memory) = &self.memory {
            memory.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn shrink_to_nothing(&mut self) {
        self.shrink(self.bytes);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink_to_nothing();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_take_no_more_than_there_is_and_give_it_back() {
        let memory = Memory::new(10);
        let mut one = Reserved::of(Some(Arc::clone(&memory)));
        let mut two = Reserved::of(Some(Arc::clone(&memory)));
        assert!(one.grow(6) && !two.grow(5) && two.grow(4));
        one.shrink(2);
        assert_eq!(memory.used(), 8);
        drop((one, two));
        assert_eq!(memory.used(), 0);
        assert!(Reserved::of(None).grow(usize::MAX));
    }
}
