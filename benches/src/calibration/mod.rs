//! The simulator against public measurements.
//!
//! Every point is a kernel written as it was published (order of loops, blocks, engines where a profile tells), assembled without the optimiser,
//! and simulated. Sources and figures: `neuroncore.md`, sections 5 and 7. `cargo run -p ferrite-benches --bin calibrate` prints and writes the
//! table of `docs/src/calibration.md`.

pub mod build;
mod linear;
mod matmul;
mod mixed;
mod singles;
mod softmax;
mod vector;

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::isa::Engine;
use ferrite_ir::machine::MachineModel;
use ferrite_ir::machine::cost::DgeMode;
use ferrite_sim::{Options, Simulator, Stats, Timeline};

use build::Kernel;
pub use matmul::gemm;

/// What kind of point it is: decides the tolerance (`neuroncore.md` section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A single instruction.
    Single,
    /// DMA.
    Dma,
    /// Bound by TensorE.
    Matmul,
    /// Bound by VectorE.
    Vector,
    /// Several engines.
    Mixed,
}

impl Class {
    /// Accepted error, percent.
    pub fn tolerance(self) -> f64 {
        match self {
            Class::Single => 5.0,
            Class::Dma | Class::Matmul => 10.0,
            Class::Vector => 15.0,
            Class::Mixed => 20.0,
        }
    }

    /// Heading of its part of the table.
    pub fn title(self) -> &'static str {
        match self {
            Class::Single => "Single instructions",
            Class::Dma => "DMA",
            Class::Matmul => "Matrix products",
            Class::Vector => "Kernels bound by VectorE",
            Class::Mixed => "Mixed kernels",
        }
    }
}

type Build = Box<dyn Fn() -> Kernel>;
type Measure = Box<dyn Fn(&Stats) -> f64>;

/// A published measurement and the program that it measures.
pub struct Point {
    /// Number in the reference.
    pub id: String,
    /// Target.
    pub target: &'static str,
    /// Kind.
    pub class: Class,
    /// What is measured.
    pub what: String,
    /// Published time, ns.
    pub published_ns: f64,
    /// Why the simulated time is not the published one.
    pub because: &'static str,
    tolerance: f64,
    dge: DgeMode,
    build: Build,
    measure: Option<Measure>,
}

/// A point simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Simulated time, ns.
    pub simulated_ns: f64,
    /// Instructions that ran.
    pub instructions: u64,
    /// Share of the time in which each engine worked, by [`Engine::index`].
    pub busy: [f64; 5],
}

impl Point {
    /// A point whose figure is the whole program's time.
    pub fn new(
        id: &str,
        target: &'static str,
        class: Class,
        what: &str,
        published_ns: f64,
        build: impl Fn() -> Kernel + 'static,
    ) -> Point {
        Point {
            id: id.into(),
            target,
            class,
            what: what.into(),
            published_ns,
            because: "",
            tolerance: class.tolerance(),
            dge: DgeMode::Static,
            build: Box::new(build),
            measure: None,
        }
    }

    /// Measures something else than the whole.
    fn measure(mut self, measure: impl Fn(&Stats) -> f64 + 'static) -> Point {
        self.measure = Some(Box::new(measure));
        self
    }

    fn because(mut self, because: &'static str) -> Point {
        self.because = because;
        self
    }

    fn within(mut self, percent: f64) -> Point {
        self.tolerance = percent;
        self
    }

    fn generated(mut self, dge: DgeMode) -> Point {
        self.dge = dge;
        self
    }

    /// Accepted error, percent.
    pub fn tolerance(&self) -> f64 {
        self.tolerance
    }

    /// The program as text of the `tile` dialect.
    pub fn text(&self) -> String {
        ferrite_ir::tile::text::print(&(self.build)().finish(), Default::default())
    }

    /// Simulates it.
    ///
    /// # Errors
    /// A kernel that does not assemble or run: a defect of ours.
    pub fn run(&self) -> Result<Outcome, Diagnostic> {
        let machine = MachineModel::target(self.target)?;
        let mut program = (self.build)().assemble(&machine)?;
        program.queues.iter_mut().for_each(|q| q.dge = self.dge);
        let first = |mut all: Vec<Diagnostic>| all.remove(0);
        let simulator = Simulator::new(&program, machine).map_err(first)?;
        let options = Options {
            // The small ones are checked for races too.
            check: self.measure.is_some(),
            timeline: self.measure.is_some(),
            ..Options::default()
        };
        let stats = simulator.profile(&options)?.stats;
        let simulated_ns = match &self.measure {
            Some(measure) => measure(&stats),
            None => stats.latency_ps as f64 / 1e3,
        };
        let whole = stats.latency_ps.max(1) as f64;
        Ok(Outcome {
            simulated_ns,
            instructions: stats.instructions(),
            busy: Engine::ALL.map(|e| stats.engine(e).busy_ps as f64 / whole),
        })
    }
}

/// Every point, in the order of the table.
pub fn points() -> Vec<Point> {
    let mut all = singles::points();
    all.extend(matmul::points());
    all.extend(vector::points());
    all.extend(mixed::points());
    all.extend(linear::points());
    all.extend(softmax::points());
    all.sort_by_key(|p| p.class);
    all
}

fn spans<'a>(timeline: &'a Timeline, name: &'a str) -> impl Iterator<Item = (f64, f64)> + 'a {
    let named = move |s: &&ferrite_sim::Span| timeline.names.get(s.name as usize).is_some_and(|n| n == name);
    timeline
        .spans
        .iter()
        .filter(named)
        .map(|s| (s.start_ps as f64 / 1e3, s.end_ps as f64 / 1e3))
}

/// Start and end of the `n`-th interval of a name, ns; zeros if there is none.
fn nth(stats: &Stats, name: &str, n: usize) -> (f64, f64) {
    let found = stats.timeline.as_ref().and_then(|t| spans(t, name).nth(n));
    found.unwrap_or_default()
}

fn nth_span(stats: &Stats, name: &str, n: usize) -> f64 {
    let (start, end) = nth(stats, name, n);
    end - start
}

fn nth_start(stats: &Stats, name: &str, n: usize) -> f64 {
    nth(stats, name, n).0
}

/// Mean time between the starts of a name, the first one left out.
fn mean_interval(stats: &Stats, name: &str) -> f64 {
    let starts: Vec<f64> = match &stats.timeline {
        Some(t) => spans(t, name).map(|s| s.0).collect(),
        None => Vec::new(),
    };
    match starts.as_slice() {
        [_, second, .., last] => (last - second) / (starts.len() - 2) as f64,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let mut ids: Vec<String> = points().into_iter().map(|p| p.id).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn small_points_meet_their_tolerance_or_say_why() {
        for point in points().iter().filter(|p| p.measure.is_some()) {
            let outcome = point.run().unwrap_or_else(|e| panic!("{}: {e}", point.id));
            let error = 100.0 * (outcome.simulated_ns / point.published_ns - 1.0);
            assert!(
                error.abs() <= point.tolerance() || !point.because.is_empty(),
                "{}: {:.1} ns, published {:.1} ({error:+.1} %)",
                point.id,
                outcome.simulated_ns,
                point.published_ns
            );
        }
    }
}
