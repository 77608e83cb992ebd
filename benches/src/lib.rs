//! What the benchmarks share: where cases lie, the least time a case can take, the calibration of the simulator, a program to time it with.
//!
//! *Where to start.* The executables: `record` measures the benchmark cases, `calibrate` compares the simulator with published measurements.

pub mod calibration;
pub mod speed;

use std::path::{Path, PathBuf};

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Func, Module, OpKind, ValueId};
use ferrite_ir::machine::MachineModel;
use serde::{Deserialize, Serialize};

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

/// The folder of this package: where `cargo run` says it is, else where it was when this was built.
fn package() -> PathBuf {
    let told = std::env::var_os("CARGO_MANIFEST_DIR");
    told.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// A page of the book by its file's name, in the working tree that this package is part of.
pub fn book_page(name: &str) -> PathBuf {
    package().join("../docs/src").join(name)
}

/// The commit of the working tree; `unknown` where git does not tell.
pub fn commit() -> String {
    let done = std::process::Command::new("git")
        .arg("-C")
        .arg(package())
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    match done {
        Ok(done) if done.status.success() => String::from_utf8_lossy(&done.stdout).trim().to_string(),
        _ => "unknown".into(),
    }
}

/// Name and number of the processors of this machine.
pub fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map(|l| l.trim_start_matches(['\t', ' ', ':']));
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{count} x {}", name.unwrap_or("unknown processor"))
}

/// Writes a measurement as `benches/results/NAME.md` and `.json`.
///
/// # Errors
/// Files that cannot be written.
pub fn write_result(name: &str, text: &str, values: &impl Serialize) -> Result<(), Diagnostic> {
    let folder = package().join("results");
    let json = serde_json::to_string_pretty(values).map_err(|e| Diagnostic::bug(e.to_string()))? + "\n";
    for (extension, content) in [("md", text), ("json", json.as_str())] {
        let path = folder.join(format!("{name}.{extension}"));
        let failed = |e: std::io::Error| Diagnostic::error(Code::Io, format!("{}: {e}", path.display()));
        std::fs::write(&path, content).map_err(failed)?;
    }
    Ok(())
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
    /// What must be read of every parameter, and every result, moved once at the sustained DMA rate, microseconds.
    pub bytes_us: f64,
}

/// Bytes of a value that must be read: all of it, or what is gathered if it is only ever gathered from. Follows calls,
/// to a depth that no real program reaches.
pub fn bytes_read(module: &Module, func: &Func, value: ValueId, depth: usize) -> u64 {
    let all = func.ty(value).tensor().map_or(0, |t| t.byte_size() as u64);
    let mut gathered = Some(0);
    func.walk(func.body(), &mut |func, op| {
        for (position, _) in func.op(op).operands.iter().enumerate().filter(|&(_, &v)| v == value) {
            let read = match &func.op(op).kind {
                OpKind::Gather(_) if position == 0 => func.ty(func.result(op)).tensor().map(|t| t.byte_size() as u64),
                OpKind::Call(call) if depth > 0 => module.find(&call.callee).map(|id| {
                    let callee = module.func(id);
                    bytes_read(module, callee, callee.args()[position], depth - 1)
                }),
                _ => None,
            };
            gathered = gathered.zip(read).map(|(a, b): (u64, u64)| a.saturating_add(b));
        }
    });
    let returned = func.region(func.body()).results.contains(&value);
    gathered.filter(|_| !returned).map_or(all, |g| g.min(all))
}

/// How much of the work of contractions is done on fp32 operands, 0 to 1; the others have a narrower dtype by themselves.
/// Private functions count once: the share is what matters.
fn fp32_share(module: &Module) -> f64 {
    let (mut fp32, mut all) = (0.0, 0.0);
    for func in &module.funcs {
        func.walk(func.body(), &mut |func, op| {
            let node = func.op(op);
            let shape = |i: usize| func.ty(node.operands[i]).tensor().map(|t| (t.dtype, t.shape.clone()));
            let per_element = match (&node.kind, node.operands.len()) {
                (OpKind::DotGeneral(dot), 2) => shape(0).map(|(dtype, s)| {
                    let summed = dot.dims.lhs_contracting.iter().map(|&d| s[d as usize] as f64);
                    (dtype, summed.product::<f64>())
                }),
                (OpKind::Convolution(conv), 2) => shape(1).map(|(dtype, s)| {
                    let kernel: f64 = s.iter().map(|&d| d as f64).product();
                    (
                        dtype,
                        kernel / s[conv.dims.kernel_output_feature as usize].max(1) as f64,
                    )
                }),
                _ => None,
            };
            let results = node.results.first().and_then(|&r| func.ty(r).tensor());
            if let (Some((dtype, depth)), Some(result)) = (per_element, results) {
                let work = depth * result.element_count() as f64;
                all += work;
                fp32 += if dtype == DType::F32 { work } else { 0.0 };
            }
        });
    }
    if all > 0.0 { fp32 / all } else { 1.0 }
}

impl Bound {
    /// The bound of a case whose fp32 contractions run in `dtype`, the others in bf16; of a table that is only looked up in, the rows count.
    pub fn of(case: &Case, module: &Module, machine: &MachineModel, dtype: DType) -> Bound {
        let read: u64 = match module.entry().map(|id| module.func(id)) {
            Some(func) => func.args().iter().map(|&arg| bytes_read(module, func, arg, 8)).sum(),
            None => case.inputs.iter().map(Array::bytes).sum(),
        };
        let bytes = read + case.outputs.iter().map(Array::bytes).sum::<u64>();
        let share = fp32_share(module);
        let seconds_per_flop = share / machine.peak_flops(dtype) + (1.0 - share) / machine.peak_flops(DType::BF16);
        Bound {
            flops_us: case.matmul_flops * seconds_per_flop * 1e6,
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
    fn of_a_table_that_is_looked_up_the_rows_count() {
        let text = r#"
func.func @main(%t: tensor<1000x8xf32>, %i: tensor<2x1xi32>) -> tensor<2x8xf32> {
  %0 = func.call @take(%t, %i) : (tensor<1000x8xf32>, tensor<2x1xi32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}
func.func private @take(%t: tensor<1000x8xf32>, %i: tensor<2x1xi32>) -> tensor<2x8xf32> {
  %0 = "stablehlo.gather"(%t, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 8>}> : (tensor<1000x8xf32>, tensor<2x1xi32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}"#;
        let module = ferrite_ir::hlo::parse::parse(text).unwrap();
        let main = module.func(module.entry().unwrap());
        assert_eq!(bytes_read(&module, main, main.args()[0], 8), 2 * 8 * 4);
        assert_eq!(bytes_read(&module, main, main.args()[1], 8), 2 * 4);
    }

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
        let module = Module::default();
        let memory = Bound::of(&case, &module, &machine, DType::BF16);
        assert!((memory.us() - 4_194_304.0 / machine.dma_bytes_per_s() * 1e6).abs() < 1e-9);
        case.matmul_flops = machine.peak_flops(DType::BF16);
        assert!((Bound::of(&case, &module, &machine, DType::BF16).us() - 1e6).abs() < 1e-3);
    }

    #[test]
    fn the_median_of_three_is_the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), (2.0, 1.0));
    }
}
