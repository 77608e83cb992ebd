//! What the benchmarks share: where cases lie, and the least time a case can take.

use std::path::{Path, PathBuf};

use ferrite_ir::dtype::DType;
use ferrite_ir::machine::MachineModel;
use serde::Deserialize;

/// The folder of cases: `FERRITE_CORPUS`, else the corpus beside the repository, else the one inside it.
pub fn corpus() -> PathBuf {
    if let Some(folder) = std::env::var_os("FERRITE_CORPUS") {
        return folder.into();
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let beside = repository.join("../shared/corpus");
    if beside.is_dir() {
        beside
    } else {
        repository.join("tests/corpus")
    }
}

/// What `case.json` says that a bound needs.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Floating-point operations of all dots and convolutions.
    pub matmul_flops: f64,
    /// Parameters.
    pub inputs: Vec<Array>,
    /// Results.
    pub outputs: Vec<Array>,
    /// Parameters whose buffers results may take.
    #[serde(default)]
    pub donated_args: Vec<usize>,
}

/// Shape and StableHLO element type of an array.
#[derive(Clone, Debug, Deserialize)]
pub struct Array {
    /// Shape.
    pub shape: Vec<u64>,
    /// Element type.
    pub dtype: String,
}

impl Array {
    /// Bytes of all elements; an unknown type counts nothing.
    pub fn bytes(&self) -> u64 {
        let element = DType::from_mlir(&self.dtype).map_or(0, DType::bytes) as u64;
        self.shape.iter().product::<u64>() * element
    }
}

/// The least time that a case can take on one core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// All contractions at TensorE's peak, microseconds.
    pub flops_us: f64,
    /// Every parameter read and every result written once at the sustained DMA rate, microseconds.
    pub bytes_us: f64,
}

impl Bound {
    /// The bound of a case whose contractions run in `dtype`.
    pub fn of(case: &Case, machine: &MachineModel, dtype: DType) -> Bound {
        let bytes: u64 = case.inputs.iter().chain(&case.outputs).map(Array::bytes).sum();
        Bound {
            flops_us: case.matmul_flops / machine.peak_flops(dtype) * 1e6,
            bytes_us: bytes as f64 / machine.dma_bytes_per_s() * 1e6,
        }
    }

    /// The larger of the two.
    pub fn us(&self) -> f64 {
        self.flops_us.max(self.bytes_us)
    }
}

/// Median and half the spread between the extremes.
pub fn median(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => (0.0, 0.0),
        v => (v[v.len() / 2], (v[v.len() - 1] - v[0]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_the_slower_of_arithmetic_and_memory() {
        let machine = MachineModel::target("inf2").unwrap();
        let mut case = Case {
            matmul_flops: 0.0,
            inputs: vec![Array {
                shape: vec![1024, 1024],
                dtype: "f32".into(),
            }],
            outputs: vec![],
            donated_args: vec![],
        };
        let memory = Bound::of(&case, &machine, DType::BF16);
        assert!((memory.us() - 4_194_304.0 / machine.dma_bytes_per_s() * 1e6).abs() < 1e-9);
        case.matmul_flops = machine.peak_flops(DType::BF16);
        assert!((Bound::of(&case, &machine, DType::BF16).us() - 1e6).abs() < 1e-3);
    }

    #[test]
    fn the_median_of_three_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), (2.0, 1.0));
    }
}
