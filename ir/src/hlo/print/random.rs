//! Random modules through every text form.

use proptest::prelude::*;

use super::{PrintOptions, print, print_with};
use crate::dtype::DType;
use crate::hlo::parse::parse;
use crate::hlo::verify::verify;
use crate::hlo::*;
use crate::literal::Literal;

/// Draws numbers from a list until it is used up; then all are zero.
struct Draw(std::vec::IntoIter<u32>);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0.next().unwrap_or(0) as usize % n.max(1)
    }
}

const DTYPES: [DType; 12] = [
    DType::F32,
    DType::I32,
    DType::Bool,
    DType::BF16,
    DType::U8,
    DType::I64,
    DType::F64,
    DType::C64,
    DType::F8E4M3FN,
    DType::F8E8M0FNU,
    DType::I4,
    DType::F4E2M1FN,
];

fn constant(b: &mut Builder<'_>, draw: &mut Draw) -> ValueId {
    let dtype = DTYPES[draw.below(DTYPES.len())];
    let shape: Vec<i64> = (0..draw.below(4)).map(|_| draw.below(4) as i64).collect();
    let ty = TensorType::new(dtype, &shape);
    let mut bytes = vec![0u8; ty.byte_size()];
    let part = dtype.real();
    for element in bytes.chunks_exact_mut(part.bytes()) {
        if part.is_float() {
            let values = [0.0, -0.0, 1.5, -3.25, 1e30, f64::NAN, f64::INFINITY, 0.1];
            crate::literal::write_f64(part, values[draw.below(values.len())], element);
        } else {
            crate::literal::write_i64(part, draw.below(1 << 20) as i64 - (1 << 19), element);
        }
    }
    match Literal::new(ty, bytes) {
        Some(literal) => b.constant(literal),
        None => unreachable!("as many bytes as the type has"),
    }
}

/// Adds one operation; nothing if the types drawn do not allow it.
fn grow(b: &mut Builder<'_>, values: &[ValueId], draw: &mut Draw, depth: usize) -> Option<ValueId> {
    let x = values[draw.below(values.len())];
    let y = values[draw.below(values.len())];
    let ty = b.tensor(x).ok()?.clone();
    let rank = ty.rank() as i64;
    let built = match draw.below(14) {
        0 => return Some(constant(b, draw)),
        1 => b.unary(UnaryOp::ALL[draw.below(UnaryOp::ALL.len())], x),
        2 => b.binary(BinaryOp::ALL[draw.below(BinaryOp::ALL.len())], x, x),
        3 => b.binary(BinaryOp::ALL[draw.below(BinaryOp::ALL.len())], x, y),
        4 => b.compare(ComparisonDirection::ALL[draw.below(6)], x, x),
        5 => b.convert(x, DTYPES[draw.below(DTYPES.len())]),
        6 => b.transpose(x, &(0..rank).rev().collect::<Vec<_>>()),
        7 => b.reshape(x, &[ty.element_count() as i64]),
        8 => b.slice(x, &vec![0; rank as usize], &ty.shape, &vec![2; rank as usize]),
        9 => b.concatenate(&[x, x], draw.below(rank as usize) as i64),
        10 => b.reduce(BinaryOp::Maximum, x, &[draw.below(rank as usize) as i64]),
        11 => b.broadcast_in_dim(x, &[&[3], &ty.shape[..]].concat(), &(1..=rank).collect::<Vec<_>>()),
        12 => {
            let zero = b.constant(Literal::new(TensorType::scalar(ty.dtype), vec![0; ty.dtype.bytes()])?);
            let (low, high) = (vec![1; rank as usize], vec![-1; rank as usize]);
            b.pad(x, zero, &low, &high, &vec![draw.below(2) as i64; rank as usize])
        }
        _ if depth > 2 => return None,
        _ => {
            let p = b.constant_i(TensorType::scalar(DType::Bool), draw.below(2) as i64);
            let mut branch = |b: &mut Builder<'_>, count: usize| {
                b.add_region(&[], |b, _| {
                    let mut inner = values.to_vec();
                    for _ in 0..count {
                        inner.extend(grow(b, &inner, draw, depth + 1));
                    }
                    Ok(vec![x])
                })
            };
            let regions = [branch(b, 3).ok()?, branch(b, 1).ok()?];
            b.op_with_regions(OpKind::If, &[p], &regions, Some(&[ty.into()]))
                .map(|results| results[0])
        }
    };
    built.ok()
}

fn module(numbers: Vec<u32>) -> Module {
    let mut draw = Draw(numbers.into_iter());
    let mut func = Func::new("main");
    let body = func.body();
    let mut values = vec![
        func.add_arg(body, TensorType::new(DType::F32, &[2, 3]).into()),
        func.add_arg(body, TensorType::new(DType::I32, &[4]).into()),
    ];
    let mut b = Builder::body(&mut func);
    for _ in 0..24 {
        values.extend(grow(&mut b, &values, &mut draw, 0));
    }
    let results: Vec<ValueId> = values.iter().rev().take(3).copied().collect();
    b.finish(&results);
    // What was begun and did not fit is in no region.
    func.compact();
    Module {
        funcs: vec![func],
        ..Module::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_modules_read_back_equal(numbers in proptest::collection::vec(any::<u32>(), 0..160)) {
        let module = module(numbers);
        prop_assert!(verify(&module).is_ok(), "{:?}", verify(&module));
        let custom = print(&module);
        for generic in [false, true] {
            for locations in [false, true] {
                let text = print_with(&module, PrintOptions { generic, locations });
                let back = parse(&text);
                prop_assert!(back.is_ok(), "{:?}\n{text}", back.err());
                let again = back.map(|m| print(&m)).unwrap_or_default();
                prop_assert_eq!(&again, &custom);
            }
        }
    }
}
