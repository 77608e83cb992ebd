//! `sort` and `top_k`.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::TensorType;

use crate::body::{Body, numbers};
use crate::invalid;
use crate::movement;
use crate::number::{Num, total_key};
use crate::tensor::{Tensor, map_width};

/// Stable merge sort with a comparator that may fail and need not be a total order.
fn merge_sort(items: &mut Vec<usize>, mut before: impl FnMut(usize, usize) -> Result<bool>) -> Result<()> {
    let n = items.len();
    let mut other = items.clone();
    let mut width = 1;
    while width < n {
        for start in (0..n).step_by(2 * width) {
            let (middle, end) = ((start + width).min(n), (start + 2 * width).min(n));
            let (mut i, mut j) = (start, middle);
            for slot in &mut other[start..end] {
                // The right one goes first only if it is strictly before the left one.
                let right = j < end && (i >= middle || before(items[j], items[i])?);
                let from = if right { &mut j } else { &mut i };
                *slot = items[*from];
                *from += 1;
            }
        }
        std::mem::swap(items, &mut other);
        width *= 2;
    }
    Ok(())
}

/// `sort` along a dimension; always stable.
pub(crate) fn sort(operands: &[&Tensor], dimension: i64, comparator: &mut Body) -> Result<Vec<Tensor>> {
    let Some(first) = operands.first() else {
        return Ok(Vec::new());
    };
    let rank = first.shape().len() as i64;
    if rank == 0 && first.count() == 1 {
        return Ok(operands.iter().map(|&t| t.clone()).collect());
    }
    let dimension = if dimension < 0 { dimension + rank } else { dimension };
    if dimension < 0 || dimension >= rank || operands.iter().any(|t| t.shape() != first.shape()) {
        return Err(invalid(format!(
            "`stablehlo.sort` has no dimension {dimension} in {}",
            first.ty()
        )));
    }
    let mut order: Vec<i64> = (0..rank).filter(|&d| d != dimension).collect();
    order.push(dimension);
    let rows = operands
        .iter()
        .map(|t| movement::transpose(t, &order))
        .collect::<Result<Vec<_>>>()?;
    let keys: Vec<Vec<Num>> = rows.iter().map(numbers).collect();
    let n = first.shape()[dimension as usize] as usize;
    let mut picks = Vec::with_capacity(first.count());
    let mut args = vec![Num::I(0); 2 * operands.len()];
    let row_count = first.count().checked_div(n).unwrap_or(0);
    for row in 0..row_count {
        let mut items: Vec<usize> = (row * n..(row + 1) * n).collect();
        merge_sort(&mut items, |a, b| {
            for (pair, key) in args.chunks_exact_mut(2).zip(&keys) {
                pair.copy_from_slice(&[key[a], key[b]]);
            }
            comparator.test(&args)
        })?;
        picks.extend(items);
    }
    let back: Vec<i64> = (0..rank)
        .map(|d| order.iter().position(|&o| o == d).map_or(d, |i| i as i64))
        .collect();
    rows.iter()
        .map(|t| {
            let buf = map_width!(&*t.buf, v => picks.iter().map(|&i| v[i]).collect());
            movement::transpose(&Tensor::from_buf(t.ty().clone(), buf), &back)
        })
        .collect()
}

/// `top_k` along the last dimension: values and indices of dtype `index`; ties in order of position, NaN above all.
pub(crate) fn top_k(x: &Tensor, k: i64, largest: bool, index: DType) -> Result<[Tensor; 2]> {
    let Some((&n, outer)) = x.shape().split_last() else {
        return Err(invalid("`chlo.top_k` of a scalar"));
    };
    if k < 0 || k > n || x.dtype().is_complex() {
        return Err(invalid(format!("`chlo.top_k` of {k} elements out of {}", x.ty())));
    }
    let (n, k) = (n as usize, k as usize);
    let unsigned = x.dtype() == DType::U64;
    let keys: Vec<i64> = if x.dtype().is_float() {
        x.to_f64s().iter().map(|&v| total_key(v)).collect()
    } else {
        x.to_i64s()
            .iter()
            .map(|&v| if unsigned { v ^ i64::MIN } else { v })
            .collect()
    };
    let mut picks = Vec::new();
    for row in 0..x.count().checked_div(n).unwrap_or(0) {
        let mut items: Vec<usize> = (row * n..(row + 1) * n).collect();
        if largest {
            items.sort_by_key(|&i| (std::cmp::Reverse(keys[i]), i));
        } else {
            items.sort_by_key(|&i| (keys[i], i));
        }
        picks.extend_from_slice(&items[..k]);
    }
    let mut shape = outer.to_vec();
    shape.push(k as i64);
    let values = map_width!(&*x.buf, v => picks.iter().map(|&i| v[i]).collect());
    let indices = picks.iter().map(|&i| (i % n.max(1)) as i64).collect();
    Ok([
        Tensor::from_buf(TensorType::new(x.dtype(), &shape), values),
        Tensor::from_i64s(TensorType::new(index, &shape), indices),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_stable_and_survives_a_contradictory_order() {
        let keys = [2, 1, 2, 1, 0];
        let mut items: Vec<usize> = (0..5).collect();
        assert_eq!(merge_sort(&mut items, |a, b| Ok(keys[a] < keys[b])), Ok(()));
        assert_eq!(items, [4, 1, 3, 0, 2]);
        assert_eq!(merge_sort(&mut items, |_, _| Ok(true)), Ok(()));
        items.sort();
        assert_eq!(items, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn ties_keep_their_order_and_nan_is_largest() {
        let x = Tensor::from_f32(&[5], &[1.0, 3.0, f32::NAN, 3.0, -1.0]);
        let top = x.map(|x| top_k(&x, 3, true, DType::I32));
        let Some(Ok([_, indices])) = top else { panic!("fits") };
        assert_eq!(indices.to_i64s().to_vec(), [2, 1, 3]);
    }
}
