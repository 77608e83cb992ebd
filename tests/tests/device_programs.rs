//! Programs of `tests/device`: operations in their general forms, as texts. The simulated device against the reference
//! interpreter, on inputs drawn for the types of the parameters.

use ferrite_driver::compare::{Tolerance, compare};
use ferrite_driver::options::CompileOptions;
use ferrite_frontend::Frontend;
use ferrite_interp::{Tensor, interpret};
use ferrite_ir::dtype::{DType, DTypeClass};
use ferrite_ir::hlo::{Module, TensorType};
use ferrite_ir::literal::{write_f64, write_i64};
use ferrite_tests::conformance::programs;

use super::corpus_interp::repository;
use super::device::on_device;

/// A generator of element values (splitmix64).
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Between -2 and 2.
    fn real(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 51) as f64 - 2.0
    }

    fn element(&mut self, dtype: DType, out: &mut [u8]) {
        match dtype.class() {
            DTypeClass::Bool => out[0] = (self.next() & 1) as u8,
            // Small ones, which are often places inside of something, and sometimes outside.
            DTypeClass::Unsigned => write_i64(dtype, (self.next() % 7) as i64, out),
            DTypeClass::Signed => write_i64(dtype, (self.next() % 11) as i64 - 4, out),
            // Every pattern of bits.
            DTypeClass::Float if dtype.bits() == 8 => out[0] = self.next() as u8,
            DTypeClass::Float => write_f64(dtype, self.real(), out),
            DTypeClass::Complex => {
                let (re, im) = out.split_at_mut(dtype.bytes() / 2);
                write_f64(dtype.real(), self.real(), re);
                write_f64(dtype.real(), self.real(), im);
            }
        }
    }

    fn tensor(&mut self, ty: &TensorType) -> Tensor {
        let size = ty.dtype.bytes();
        let mut bytes = vec![0; size * ty.element_count()];
        for out in bytes.chunks_exact_mut(size) {
            self.element(ty.dtype, out);
        }
        Tensor::new(ty.clone(), &bytes).expect("as many bytes as the type has")
    }
}

/// Roundings of sums and functions in fp32 (or in the type, if it has fewer digits), of the element or the largest one.
fn allowed(want: &Tensor) -> Tolerance {
    let rtol = match want.dtype() {
        DType::BF16 => 2f64.powi(-7),
        DType::F16 => 2f64.powi(-10),
        dtype if dtype.is_float() || dtype.is_complex() => 2e-5,
        _ => return Tolerance::default(),
    };
    let sizes = want.to_parts().into_iter().map(|(re, im)| re.hypot(im));
    let largest = sizes.filter(|v| v.is_finite()).fold(0.0, f64::max);
    Tolerance::new(rtol * largest, rtol)
}

fn problem(text: &str, seed: u64) -> Option<String> {
    let module: Module = match Frontend::read(text.as_bytes(), "program") {
        Ok(module) => module,
        Err(errors) => return Some(format!("not read: {}", errors[0])),
    };
    let entry = module.func(module.entry()?);
    let mut bits = Bits(seed);
    let inputs: Vec<Tensor> = entry.args().iter().map(|&v| bits.tensor(entry.tensor(v))).collect();
    let want = match interpret(&module, &inputs) {
        Ok(want) => want,
        Err(error) => return Some(format!("not interpreted: {error}")),
    };
    let got = match on_device(&module, &CompileOptions::default(), &inputs) {
        Ok(got) => got,
        Err(errors) => return Some(format!("refused: {}", errors[0])),
    };
    let wrong: Vec<String> = want
        .iter()
        .zip(&got)
        .enumerate()
        .filter_map(|(i, (want, got))| {
            let found = compare(got, want, allowed(want));
            (!found.ok).then(|| {
                format!(
                    "output {i}, {}: {} of {} elements, by up to {:e}",
                    want.ty(),
                    found.mismatches,
                    found.count,
                    found.max_abs_err
                )
            })
        })
        .collect();
    (want.len() != got.len() || !wrong.is_empty()).then(|| wrong.join("; "))
}

#[test]
fn programs_agree_with_the_interpreter() {
    let folder = repository().join("tests/device");
    let only = std::env::var("FERRITE_PROGRAM").ok();
    let (mut failures, mut count) = (Vec::new(), 0);
    for name in ["operations.mlir", "structured.mlir", "found.mlir"] {
        let path = folder.join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for (number, program) in programs(&text).enumerate() {
            let title = format!("{name}, program {number}");
            if only.as_ref().is_some_and(|text| !title.contains(text.as_str())) {
                continue;
            }
            count += 1;
            failures.extend(problem(program, number as u64).map(|why| format!("{title}: {why}")));
        }
    }
    assert!(count > 0, "{} holds no programs", folder.display());
    assert!(
        failures.is_empty(),
        "{} of {count} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
