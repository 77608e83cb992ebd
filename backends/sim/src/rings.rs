//! The DMA engines of a core: rings served in turn, HBM bandwidth shared.
//!
//! Every engine has one ring per queue, served in order. An engine gives its rings a packet each in turn; packets are short (4 KiB), so
//! turns are modelled as rates: each ring with work has the share of the engine that the length of its packets gives it. Loads (whatever
//! reads HBM) and stores are two such groups beside each other, slowed alike where their sum exceeds what the engine can move. All engines share
//! the bandwidth of HBM: what would exceed it slows every transfer that touches HBM alike. A transfer whose bytes meet on a few of the memory's ways
//! has no more than these give, shared with the others that meet there. Rates change only when a transfer
//! enters or leaves an engine, so time is spent per transfer, not per packet.
//!
//! Times are picoseconds; rates inside are f64, completion times whole.

use std::collections::VecDeque;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::series::Series;

/// What a transfer needs of the engines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Work by engine, picoseconds at full rate.
    pub engine_ps: Vec<u64>,
    /// Bytes read and written in HBM.
    pub hbm_bytes: u64,
    /// Length of a packet, picoseconds at full rate: its turn.
    pub packet_ps: u64,
    /// Whether it is a store: nothing is read from HBM.
    pub store: bool,
    /// The part of its HBM bytes that goes to each way of the memory, if it is not spread evenly (see [`crate::interleave`]).
    pub ways: Option<Arc<[f64]>>,
}

/// Engines that have finished a transfer at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Number that [`Rings::submit`] was given.
    pub token: u32,
    /// How many engines.
    pub engines: u32,
    /// When the first engine began, if these were the last engines.
    pub begun: Option<u64>,
}

#[derive(Clone, Debug)]
struct Flight {
    token: u32,
    engine_ps: Vec<u64>,
    /// Bytes of HBM per picosecond of work.
    hbm_rate: f64,
    packet_ps: f64,
    store: bool,
    ways: Option<Arc<[f64]>>,
    left: u32,
    begun: u64,
}

/// The transfer at the head of a ring.
#[derive(Clone, Debug)]
struct Active {
    queue: u16,
    flight: u32,
    /// What is left of the pause before it, picoseconds of the engine's time. HBM does not slow it.
    pause: f64,
    /// The part of the engine's time that the ring has.
    turn: f64,
    /// Work left, picoseconds at full rate.
    left: f64,
    /// Work done per picosecond.
    rate: f64,
}

#[derive(Clone, Debug, Default)]
struct Engine {
    active: SmallVec<[Active; 4]>,
    /// Transfers behind the heads, by queue.
    behind: Vec<VecDeque<u32>>,
    waiting: u32,
}

/// The DMA engines of one core.
#[derive(Clone, Debug)]
pub struct Rings {
    engines: Vec<Engine>,
    flights: Vec<Flight>,
    free: Vec<u32>,
    now: u64,
    switch_ps: f64,
    /// Rate of loads and stores that run beside each other on an engine, over their rates alone.
    both: f64,
    /// Bytes per picosecond that HBM gives.
    cap: f64,
    /// Bytes per picosecond that one way of HBM gives.
    way: f64,
    /// Heads of rings whose bytes meet on a few ways.
    uneven: u32,
    /// Bytes per picosecond that something else takes of it.
    foreign: f64,
    /// Bytes per picosecond that all transfers together want, and get.
    demand: f64,
    moved: f64,
    active: u32,
    stale: bool,
    /// Bytes of HBM over time, if they are recorded.
    pub traffic: Option<Series>,
}

impl Rings {
    /// `engines` idle engines with `queues` rings each; `switch_ps` passes between two transfers of a ring, `cap` is in bytes per
    /// picosecond (`way` for one of its ways), `both` is the rate of loads and stores beside each other over their rates alone.
    pub fn new(engines: usize, queues: usize, switch_ps: u64, both: f64, cap: f64, way: f64) -> Rings {
        let engine = Engine {
            behind: vec![VecDeque::new(); queues],
            ..Engine::default()
        };
        Rings {
            engines: vec![engine; engines],
            flights: Vec::new(),
            free: Vec::new(),
            now: 0,
            switch_ps: switch_ps as f64,
            both,
            cap,
            way,
            uneven: 0,
            foreign: 0.0,
            demand: 0.0,
            moved: 0.0,
            active: 0,
            stale: false,
            traffic: None,
        }
    }

    /// Bytes per picosecond that the transfers under way would take from an HBM that is not shared.
    pub fn demand(&self) -> f64 {
        self.demand
    }

    /// Changes what HBM gives from `now` on; whether that is a change.
    pub fn set_cap(&mut self, now: u64, cap: f64, out: &mut Vec<Finished>) -> bool {
        let changed = cap != self.cap;
        if changed {
            self.advance(now, out);
            self.cap = cap;
            self.stale = true;
        }
        changed
    }

    /// Something else takes `rate` bytes per picosecond more of HBM from `now` on, or less if it is negative.
    pub fn add_traffic(&mut self, now: u64, rate: f64, out: &mut Vec<Finished>) {
        self.advance(now, out);
        self.foreign = (self.foreign + rate).max(0.0);
        self.stale = true;
    }

    /// A transfer reaches the engines at `now`, which is not before any earlier call's. `token` comes back in [`Finished`].
    pub fn submit(&mut self, now: u64, queue: u16, load: &Load, token: u32, out: &mut Vec<Finished>) {
        self.advance(now, out);
        let work: u64 = load.engine_ps.iter().sum();
        let flight = Flight {
            token,
            engine_ps: load.engine_ps.clone(),
            hbm_rate: load.hbm_bytes as f64 / work.max(1) as f64,
            packet_ps: load.packet_ps.max(1) as f64,
            store: load.store,
            ways: load.ways.clone(),
            left: self.engines.len() as u32,
            begun: u64::MAX,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.flights[id as usize] = flight;
                id
            }
            None => {
                self.flights.push(flight);
                self.flights.len() as u32 - 1
            }
        };
        for e in 0..self.engines.len() {
            if self.engines[e].active.iter().any(|a| a.queue == queue) {
                let engine = &mut self.engines[e];
                if let Some(ring) = engine.behind.get_mut(queue as usize) {
                    ring.push_back(id);
                    engine.waiting += 1;
                }
            } else {
                self.begin(e, queue, id, 0.0);
            }
        }
        self.stale = true;
    }

    fn begin(&mut self, engine: usize, queue: u16, id: u32, switch: f64) {
        let flight = &mut self.flights[id as usize];
        flight.begun = flight.begun.min(self.now);
        let left = flight.engine_ps.get(engine).copied().unwrap_or(0) as f64;
        self.engines[engine].active.push(Active {
            queue,
            flight: id,
            pause: switch,
            turn: 0.0, // until the rates are worked out
            left,
            rate: 0.0,
        });
        self.active += 1;
        self.uneven += u32::from(self.flights[id as usize].ways.is_some());
    }

    /// Lets time pass until `now`; what finishes is added to `out`.
    pub fn advance(&mut self, now: u64, out: &mut Vec<Finished>) {
        if now <= self.now {
            return;
        }
        self.settle();
        let passed = (now - self.now) as f64;
        if let Some(traffic) = &mut self.traffic {
            traffic.add(self.now, now, self.moved);
        }
        self.now = now;
        if self.active == 0 {
            return;
        }
        for e in 0..self.engines.len() {
            let mut i = 0;
            while i < self.engines[e].active.len() {
                let a = &mut self.engines[e].active[i];
                let paused = (a.pause / a.turn).min(passed);
                a.pause = (a.pause - paused * a.turn).max(0.0);
                a.left -= a.rate * (passed - paused);
                if a.left >= 0.5 {
                    i += 1;
                    continue;
                }
                let (queue, id) = (a.queue, a.flight);
                self.engines[e].active.remove(i);
                self.active -= 1;
                self.uneven -= u32::from(self.flights[id as usize].ways.is_some());
                self.stale = true;
                self.finish(id, out);
                let next = if self.engines[e].waiting > 0 {
                    self.engines[e]
                        .behind
                        .get_mut(queue as usize)
                        .and_then(VecDeque::pop_front)
                } else {
                    None
                };
                if let Some(next) = next {
                    self.engines[e].waiting -= 1;
                    self.begin(e, queue, next, self.switch_ps);
                }
            }
        }
    }

    fn finish(&mut self, id: u32, out: &mut Vec<Finished>) {
        let flight = &mut self.flights[id as usize];
        flight.left -= 1;
        let begun = (flight.left == 0).then_some(flight.begun);
        let token = flight.token;
        match out.iter_mut().find(|f| f.token == token) {
            Some(same) => {
                same.engines += 1;
                same.begun = begun;
            }
            None => out.push(Finished {
                token,
                engines: 1,
                begun,
            }),
        }
        if begun.is_some() {
            self.free.push(id);
        }
    }

    /// Works out the rates after a change.
    fn settle(&mut self) {
        if !self.stale {
            return;
        }
        self.stale = false;
        let mut demand = 0.0;
        for engine in &mut self.engines {
            if let [only] = engine.active.as_mut_slice() {
                (only.turn, only.rate) = (1.0, 1.0);
                demand += self.flights[only.flight as usize].hbm_rate;
                continue;
            }
            let mut turns = [0.0; 2];
            for a in &engine.active {
                let flight = &self.flights[a.flight as usize];
                turns[usize::from(flight.store)] += flight.packet_ps;
            }
            let share = if turns[0] > 0.0 && turns[1] > 0.0 {
                self.both
            } else {
                1.0
            };
            for a in &mut engine.active {
                let flight = &self.flights[a.flight as usize];
                a.turn = share * flight.packet_ps / turns[usize::from(flight.store)];
                a.rate = a.turn;
                demand += a.rate * flight.hbm_rate;
            }
        }
        if self.uneven > 0 {
            demand -= self.meet();
        }
        self.demand = demand + self.foreign;
        // Something is always left for the transfers.
        let left = (self.cap - self.foreign).max(self.cap / 16.0);
        self.moved = demand.min(left) + self.foreign;
        if demand > left {
            let slow = left / demand;
            for a in self.engines.iter_mut().flat_map(|e| &mut e.active) {
                if self.flights[a.flight as usize].hbm_rate > 0.0 {
                    a.rate *= slow;
                }
            }
        }
    }

    /// Slows transfers that want more of a way than it gives; bytes per picosecond that they all want less.
    fn meet(&mut self) -> f64 {
        let mut even = 0.0;
        let mut wanted: SmallVec<[f64; 8]> = SmallVec::new();
        for a in self.engines.iter().flat_map(|e| &e.active) {
            let flight = &self.flights[a.flight as usize];
            let rate = a.rate * flight.hbm_rate;
            let Some(ways) = &flight.ways else {
                even += rate;
                continue;
            };
            wanted.resize(ways.len(), 0.0);
            wanted
                .iter_mut()
                .zip(ways.iter())
                .for_each(|(all, share)| *all += rate * share);
        }
        // What is spread evenly takes a little of every way first; something is always left.
        let left = (self.way - even / wanted.len().max(1) as f64).max(self.way / 16.0);
        let mut less = 0.0;
        for a in self.engines.iter_mut().flat_map(|e| &mut e.active) {
            let flight = &self.flights[a.flight as usize];
            let Some(ways) = &flight.ways else { continue };
            let used = ways.iter().zip(&wanted).filter(|(share, _)| **share > 0.0);
            let slow = used.fold(1.0, |slow: f64, (_, all)| slow.min(left / all));
            less += a.rate * flight.hbm_rate * (1.0 - slow);
            a.rate *= slow;
        }
        less
    }

    /// When the next transfer leaves an engine, if nothing else happens.
    pub fn next(&mut self) -> Option<u64> {
        self.settle();
        let mut soonest = f64::INFINITY;
        for a in self.engines.iter().flat_map(|e| &e.active) {
            if a.rate > 0.0 {
                soonest = soonest.min(a.pause / a.turn + a.left / a.rate);
            }
        }
        soonest.is_finite().then(|| self.now + (soonest.ceil() as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(ps: &[u64], hbm_bytes: u64) -> Load {
        Load {
            engine_ps: ps.to_vec(),
            hbm_bytes,
            packet_ps: 100,
            store: false,
            ways: None,
        }
    }

    /// Runs to the end; completion time by token.
    fn ends(mut rings: Rings, submitted: &[(u64, u16, Load)]) -> Vec<u64> {
        let mut ends = vec![0; submitted.len()];
        let mut out = Vec::new();
        let mut rest = submitted.iter().enumerate().peekable();
        loop {
            let (due, arrival) = (rings.next(), rest.peek().map(|x| x.1.0));
            let now = match (due, arrival) {
                (Some(d), Some(a)) => d.min(a),
                (Some(t), None) | (None, Some(t)) => t,
                (None, None) => return ends,
            };
            rings.advance(now, &mut out);
            if let Some((token, (at, queue, load))) = rest.next_if(|x| x.1.0 <= now) {
                rings.submit(*at, *queue, load, token as u32, &mut out);
            }
            out.drain(..)
                .filter(|f| f.begun.is_some())
                .for_each(|f| ends[f.token as usize] = now);
        }
    }

    #[test]
    fn a_ring_is_served_in_order_with_a_pause_between() {
        let rings = Rings::new(2, 1, 10, 0.8, 1e9, 1e9);
        let l = load(&[100, 50], 0);
        assert_eq!(ends(rings, &[(0, 0, l.clone()), (0, 0, l)]), [100, 210]);
    }

    #[test]
    fn a_slow_memory_does_not_slow_the_pause() {
        let rings = Rings::new(1, 1, 10, 0.8, 0.5, 1.0);
        let l = load(&[100], 100);
        assert_eq!(ends(rings, &[(0, 0, l.clone()), (0, 0, l)]), [200, 410]);
    }

    #[test]
    fn rings_take_turns() {
        let rings = Rings::new(1, 2, 0, 0.8, 1e9, 1e9);
        // Both at half rate until the short one is through.
        assert_eq!(
            ends(rings, &[(0, 0, load(&[1000], 0)), (0, 1, load(&[100], 0))]),
            [1100, 200]
        );
    }

    #[test]
    fn hbm_is_shared() {
        // Two engines want 1 byte per picosecond each of 1 in all; what stays on chip is not slowed.
        let rings = Rings::new(2, 2, 0, 0.8, 1.0, 1.0);
        let both = [(0, 0, load(&[1000, 1000], 2000))];
        assert_eq!(ends(rings.clone(), &both), [2000]);
        let mixed = [(0, 0, load(&[1000, 0], 2000)), (0, 1, load(&[0, 500], 0))];
        // The empty shares cost a picosecond.
        assert_eq!(ends(rings, &mixed), [2001, 501]);
    }

    #[test]
    fn loads_and_stores_run_beside_each_other() {
        let rings = Rings::new(1, 2, 0, 0.8, 1e9, 1e9);
        let store = Load {
            store: true,
            ..load(&[400], 0)
        };
        // 400 of each at 0.8, then the rest of the load alone.
        assert_eq!(ends(rings, &[(0, 0, load(&[1000], 0)), (0, 1, store)]), [1100, 500]);
    }

    #[test]
    fn transfers_that_meet_on_a_way_share_it() {
        // A way gives 0.25 bytes per picosecond; each wants 1.
        let rings = Rings::new(1, 2, 0, 0.8, 1e9, 0.25);
        let on = |ways: &[f64]| Load {
            ways: Some(ways.into()),
            ..load(&[1000], 1000)
        };
        assert_eq!(ends(rings.clone(), &[(0, 0, on(&[0.0, 1.0]))]), [4000]);
        assert_eq!(ends(rings.clone(), &[(0, 0, on(&[0.5, 0.5]))]), [2000]);
        // Two in turn on one engine, at half its rate each: apart, then on one way.
        let apart = [(0, 0, on(&[0.0, 1.0])), (0, 1, on(&[1.0, 0.0]))];
        assert_eq!(ends(rings.clone(), &apart), [4000, 4000]);
        let meeting = [(0, 0, on(&[0.0, 1.0])), (0, 1, on(&[0.0, 1.0]))];
        assert_eq!(ends(rings, &meeting), [8000, 8000]);
    }

    #[test]
    fn engines_work_apart() {
        let rings = Rings::new(2, 1, 0, 0.8, 1e9, 1e9);
        // The second transfer's work is on the engine that the first leaves idle.
        assert_eq!(
            ends(rings, &[(0, 0, load(&[1000, 1], 0)), (0, 0, load(&[1, 400], 0))]),
            [1000, 1001]
        );
    }
}
