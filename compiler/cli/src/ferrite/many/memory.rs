//! A bound on the memory of several processes.
//!
//! A process is started when what is in use leaves room for what it will probably take; when together they take more
//! than the bound after all, the one that started last is stopped and started again alone.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};

/// What a compilation takes whatever it compiles (measured: under 100 MB for small models), in bytes.
const BASE: u64 = 128 << 20;
/// Bytes taken for each byte of the model (measured on large texts and weights: 5 to 12).
const PER_BYTE: u64 = 12;

/// The bound and who uses how much of it.
pub struct Memory {
    limit: u64,
    state: Mutex<Users>,
    changed: Condvar,
}

#[derive(Default)]
struct Users {
    next: u64,
    /// By order of start: what was set aside, or what is in use where that is more.
    bytes: BTreeMap<u64, u64>,
}

/// A part of the bound, given back when dropped.
pub struct Share<'m> {
    memory: &'m Memory,
    id: u64,
}

/// What a process over the bound is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Go,
    /// End, and start again alone.
    Yield,
    /// It is alone and takes more than the bound.
    TooLarge,
}

impl Memory {
    /// A bound of `limit` bytes.
    pub fn new(limit: u64) -> Memory {
        Memory {
            limit,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The bound.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What a model of this many bytes will probably take.
    pub fn estimate(model_bytes: u64) -> u64 {
        BASE.saturating_add(model_bytes.saturating_mul(PER_BYTE))
    }

    /// Waits until there is room for `bytes`; `alone`: until nobody else is there. One that wants more than the bound
    /// gets all of it.
    pub fn share(&self, bytes: u64, alone: bool) -> Share<'_> {
        let bytes = if alone { self.limit } else { bytes.min(self.limit) };
        let mut users = self.lock();
        while users.total().saturating_add(bytes) > self.limit && !users.bytes.is_empty() {
            users = self
                .changed
                .wait(users)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let id = users.next;
        users.next += 1;
        users.bytes.insert(id, bytes);
        Share { memory: self, id }
    }

    fn lock(&self) -> MutexGuard<'_, Users> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Users {
    fn total(&self) -> u64 {
        self.bytes.values().fold(0, |sum, b| sum.saturating_add(*b))
    }
}

impl Share<'_> {
    /// Notes what the process holds now.
    pub fn uses(&self, bytes: u64) -> Verdict {
        let mut users = self.memory.lock();
        let own = users.bytes.get(&self.id).copied().unwrap_or(0);
        if bytes <= own {
            return Verdict::Go;
        }
        users.bytes.insert(self.id, bytes);
        let youngest = users.bytes.keys().next_back() == Some(&self.id);
        match users.total() > self.memory.limit {
            false => Verdict::Go,
            true if users.bytes.len() == 1 => Verdict::TooLarge,
            true if youngest => Verdict::Yield,
            true => Verdict::Go,
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.memory.lock().bytes.remove(&self.id);
        self.memory.changed.notify_all();
    }
}

/// Bytes that a process holds, where the system tells (Linux).
pub fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_yields_and_a_lone_one_is_too_large() {
        let memory = Memory::new(1000);
        let first = memory.share(400, false);
        let second = memory.share(400, false);
        assert_eq!(first.uses(500), Verdict::Go);
        assert_eq!(second.uses(600), Verdict::Yield);
        drop(first);
        assert_eq!(second.uses(900), Verdict::Go);
        assert_eq!(second.uses(1001), Verdict::TooLarge);
    }

    #[test]
    fn one_waits_for_room() {
        let memory = Memory::new(1000);
        let first = memory.share(5000, false); // gets all
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| memory.share(10, false).id);
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiting.is_finished());
            drop(first);
            assert_eq!(waiting.join().unwrap(), 1);
        });
    }

    #[test]
    fn a_process_has_a_size() {
        if cfg!(target_os = "linux") {
            assert!(resident(std::process::id()).unwrap() > 1 << 20);
        }
    }
}
