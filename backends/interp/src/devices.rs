//! Several devices: one thread each, meeting at collectives.
//!
//! A device is a replica and a partition of a [`World`]. Every collective makes its group meet at a [`World::meet`]:
//! each member leaves its operands and gets those of all. A meeting that can never be complete is an error, not a wait
//! without end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::hlo::FuncId;

use crate::tensor::Tensor;
use crate::{Value, unsupported};

/// Stack of a device's thread, in bytes: regions and calls nest deeply.
const STACK: usize = 64 << 20;

/// Largest number of devices: each is a thread.
const MAX_DEVICES: usize = 1024;

/// All devices of a run.
pub(crate) struct World {
    pub replicas: usize,
    pub partitions: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Functions that say what `infeed` reads next; absent where there is no host.
    infeed: Option<Mutex<VecDeque<FuncId>>>,
}

/// Where a message of `send` goes: its channel, and the device it is for where the program says it.
type Address = (i64, Option<usize>);

/// A group and the how-manieth meeting of it.
type Key = (Vec<usize>, u64);

#[derive(Default)]
struct State {
    meetings: BTreeMap<Key, Meeting>,
    /// Messages sent and not received yet.
    messages: BTreeMap<Address, VecDeque<Vec<Value>>>,
    /// Devices that wait for a message that has not been sent yet.
    expected: BTreeMap<Address, usize>,
    /// Devices that wait or have finished.
    idle: usize,
    failed: bool,
}

struct Meeting {
    left: Vec<Option<Vec<Tensor>>>,
    arrived: usize,
    gone: usize,
}

/// One device of a world.
pub(crate) struct Device {
    pub world: Arc<World>,
    pub replica: usize,
    pub partition: usize,
    /// Meetings of each group this device has been to.
    counts: Mutex<BTreeMap<Vec<usize>, u64>>,
}

impl Device {
    /// Position among all devices: replicas first.
    pub(crate) fn id(&self) -> usize {
        self.replica * self.world.partitions + self.partition
    }

    /// The only device of its world.
    pub(crate) fn alone() -> Device {
        World::devices(1, 1, None).remove(0)
    }

    /// Whether programs of this world have a host to talk to.
    pub(crate) fn has_host(&self) -> bool {
        self.world.infeed.is_some()
    }

    /// The function that says what `infeed` reads now. `None` if there is no host, or it has no more to say.
    pub(crate) fn next_infeed(&self) -> Option<FuncId> {
        lock(self.world.infeed.as_ref()?).pop_front()
    }

    /// Sends a message.
    pub(crate) fn send(&self, to: Address, message: Vec<Value>) {
        let mut guard = lock(&self.world.state);
        let state = &mut *guard;
        state.messages.entry(to).or_default().push_back(message);
        if let Some(waiting) = state.expected.get_mut(&to).filter(|n| **n > 0) {
            *waiting -= 1;
            state.idle -= 1;
            self.world.changed.notify_all();
        }
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// If it can never come.
    pub(crate) fn receive(&self, from: Address) -> Result<Vec<Value>> {
        let total = self.world.replicas * self.world.partitions;
        let mut state = lock(&self.world.state);
        let mut waits = false;
        loop {
            if let Some(message) = state.messages.get_mut(&from).and_then(VecDeque::pop_front) {
                return Ok(message);
            }
            if !waits {
                waits = true;
                *state.expected.entry(from).or_insert(0) += 1;
                state.idle += 1;
            }
            if state.failed || state.idle >= total {
                state.failed = true;
                self.world.changed.notify_all();
                return Err(unsupported(format!(
                    "no device sends what channel {} is to receive",
                    from.0
                )));
            }
            state = self.world.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Leaves operands with the other members of a group (device positions, this one among them) and takes theirs, in
    /// the order of the group.
    pub(crate) fn meet(&self, group: &[usize], operands: Vec<Tensor>) -> Result<Vec<Vec<Tensor>>> {
        if group.len() == 1 {
            return Ok(vec![operands]);
        }
        let count = {
            let mut counts = lock(&self.counts);
            let count = counts.entry(group.to_vec()).or_insert(0);
            *count += 1;
            *count
        };
        let key = (group.to_vec(), count);
        let total = self.world.replicas * self.world.partitions;
        let lost = || unsupported("another device failed, or will never reach this collective");
        let mut state = lock(&self.world.state);
        if state.failed {
            return Err(lost());
        }
        let meeting = state.meetings.entry(key.clone()).or_insert_with(|| Meeting {
            left: vec![None; group.len()],
            arrived: 0,
            gone: 0,
        });
        let place = group.iter().position(|&d| d == self.id());
        let Some(slot) = place.and_then(|p| meeting.left.get_mut(p)) else {
            return Err(crate::invalid(
                "a device takes part in a collective of a group it is not in",
            ));
        };
        *slot = Some(operands);
        meeting.arrived += 1;
        if meeting.arrived == group.len() {
            // All others of the group wake up.
            state.idle -= group.len() - 1;
            self.world.changed.notify_all();
        } else {
            state.idle += 1;
            loop {
                let complete = state.meetings.get(&key).is_some_and(|m| m.arrived == group.len());
                if complete {
                    break;
                }
                if state.failed || state.idle >= total {
                    state.failed = true;
                    self.world.changed.notify_all();
                    return Err(lost());
                }
                state = self.world.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let Some(meeting) = state.meetings.get_mut(&key) else {
            return Err(lost());
        };
        let all: Vec<Vec<Tensor>> = meeting.left.iter().map(|t| t.clone().unwrap_or_default()).collect();
        meeting.gone += 1;
        if meeting.gone == group.len() {
            state.meetings.remove(&key);
        }
        Ok(all)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panicking device would leave the state as it was: there is nothing half-done in it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The devices of a new world, replica by replica.
    pub(crate) fn devices(replicas: usize, partitions: usize, infeed: Option<VecDeque<FuncId>>) -> Vec<Device> {
        let world = Arc::new(World {
            replicas,
            partitions,
            infeed: infeed.map(Mutex::new),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        (0..replicas * partitions)
            .map(|i| Device {
                world: world.clone(),
                replica: i / partitions,
                partition: i % partitions,
                counts: Mutex::default(),
            })
            .collect()
    }

    /// Runs a function once per device, each in a thread, and gives all results or the first error that is not a
    /// consequence of another. With `infeed` there is a host that says what these functions return.
    pub(crate) fn run(
        replicas: usize,
        partitions: usize,
        infeed: Option<VecDeque<FuncId>>,
        work: impl Fn(Arc<Device>) -> Result<Vec<Value>> + Sync,
    ) -> Result<Vec<Vec<Value>>> {
        let count = replicas.saturating_mul(partitions);
        if count == 0 || count > MAX_DEVICES {
            return Err(unsupported(format!(
                "{count} devices: the interpreter runs 1 to {MAX_DEVICES}"
            )));
        }
        let devices = World::devices(replicas, partitions, infeed);
        let outcomes: Vec<(bool, Result<Vec<Value>>)> = std::thread::scope(|scope| {
            let threads: Vec<_> = devices
                .into_iter()
                .map(|device| {
                    let (device, work) = (Arc::new(device), &work);
                    std::thread::Builder::new()
                        .stack_size(STACK)
                        .spawn_scoped(scope, move || {
                            let result = work(device.clone());
                            let mut state = lock(&device.world.state);
                            state.idle += 1;
                            let first = result.is_err() && !state.failed;
                            state.failed |= result.is_err();
                            device.world.changed.notify_all();
                            (first, result)
                        })
                })
                .collect();
            let lost = || (true, Err(Diagnostic::bug("a device's thread ended without a result")));
            threads
                .into_iter()
                .map(|t| t.ok().and_then(|t| t.join().ok()).unwrap_or_else(lost))
                .collect()
        });
        if let Some((_, Err(first))) = outcomes.iter().find(|(first, _)| *first) {
            return Err(first.clone());
        }
        outcomes.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(v: i32) -> Vec<Tensor> {
        Tensor::from_i32(&[], &[v]).into_iter().collect()
    }

    #[test]
    fn groups_exchange_their_operands() {
        let out = World::run(1, 4, None, |device| {
            let group: &[usize] = if device.id() % 2 == 0 { &[0, 2] } else { &[1, 3] };
            let mut sum = device.id() as i32;
            for _ in 0..3 {
                let all = device.meet(group, number(sum))?;
                sum = all.iter().map(|t| t[0].get_i64(0) as i32).sum();
            }
            Ok(number(sum).into_iter().map(Value::Tensor).collect())
        });
        let sums: Result<Vec<i64>> = out.map(|all| {
            let one = |v: &Vec<Value>| match &v[0] {
                Value::Tensor(t) => t.get_i64(0),
                _ => -1,
            };
            all.iter().map(one).collect()
        });
        assert_eq!(sums, Ok(vec![8, 16, 8, 16]));
    }

    #[test]
    fn a_device_that_never_comes_ends_the_wait() {
        let out = World::run(1, 3, None, |device| {
            if device.id() < 2 {
                device.meet(&[0, 1, 2], Vec::new())?;
            }
            Ok(Vec::new())
        });
        assert!(out.is_err());
    }

    #[test]
    fn messages_reach_the_device_they_are_for() {
        let out = World::run(1, 3, None, |device| {
            let next = (device.id() + 1) % 3;
            device.send(
                (1, Some(next)),
                number(device.id() as i32).into_iter().map(Value::Tensor).collect(),
            );
            device.receive((1, Some(device.id())))
        });
        let got: Vec<Value> = out.into_iter().flatten().flatten().collect();
        let want: Vec<Value> = [2, 0, 1].into_iter().flat_map(number).map(Value::Tensor).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn a_message_that_no_one_sends_ends_the_wait() {
        let out = World::run(1, 2, None, |device| device.receive((device.id() as i64, None)));
        assert!(out.is_err());
    }

    #[test]
    fn the_first_error_is_the_one_reported() {
        let out = World::run(2, 1, None, |device| {
            if device.id() == 1 {
                return Err(unsupported("of its own"));
            }
            device.meet(&[0, 1], Vec::new()).map(|_| Vec::new())
        });
        assert_eq!(out.map_err(|e| e.message), Err("of its own".to_string()));
    }
}
