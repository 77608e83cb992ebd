//! The gradient of pooling: a selection per window, then shifted sums.
//!
//! Before                                              After
//!   select_and_scatter(%x, %source, %init)              for each place of the window: its elements, by strided slices
//!        select body, scatter body                      the place selected, window by window
//!                                                       for each place: pad of %source where it is selected
//!                                                       the sum of these, without the padding of the windows
//!
//! The selected element of a window is found in row-major order, as the specification says: the element in hand stays if
//! the select body says so. Elements of the padding take no part. Scatter bodies that are one operation with a neutral
//! element are summed up directly, others where a window selects the element.
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo` without `select_and_scatter`.

use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    BinaryOp, Builder, ComparisonDirection, Dims, OpId, OpKind, RegionId, SelectAndScatter, TensorType, UnaryOp,
    ValueId, neutral,
};
use ferrite_ir::literal::Literal;

use super::body::{apply_body, single_reducer};
use super::data::pad_or_slice;
use super::rewrite::{Rewrite, Step, operands, refuse, result_type};

/// Elements of a window (our choice: bounds code size).
const MAX_WINDOW: i64 = 256;

/// The rule of `legalize-select-and-scatter`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let OpKind::SelectAndScatter(s) = b.func.op(op).kind.clone() else {
        return Ok(None);
    };
    let o = operands(b, op);
    let result = result_type(b, op);
    let regions = b.func.op(op).regions.to_vec();
    let size: i64 = s.window_dimensions.iter().product();
    if size > MAX_WINDOW {
        return Err(refuse(
            format!("`stablehlo.select_and_scatter` with windows of {size} elements; up to {MAX_WINDOW} are done"),
            "pool in several steps",
        ));
    }
    let init = b.convert(o[2], result.dtype)?;
    let base = b.broadcast_in_dim(init, &result.shape, &[])?;
    if b.tensor(o[1])?.element_count() == 0 || result.element_count() == 0 {
        return Ok(Some(vec![base]));
    }
    let pool = Pool {
        shape: b.tensor(o[0])?.shape.clone(),
        out: b.tensor(o[1])?.shape.clone(),
        places: places(&s.window_dimensions),
        s: &s,
    };
    let selected = pool.select(b, o[0], regions[0])?;
    let source = b.convert(o[1], result.dtype)?;
    Ok(Some(vec![pool.scatter(b, &selected, source, base, regions[1])?]))
}

/// All places of a window, row-major.
fn places(window: &[i64]) -> Vec<Dims> {
    let mut all = vec![Dims::new()];
    for &size in window {
        all = all
            .into_iter()
            .flat_map(|p| {
                (0..size).map(move |i| {
                    let mut p = p.clone();
                    p.push(i);
                    p
                })
            })
            .collect();
    }
    all
}

struct Pool<'a> {
    shape: Dims,
    out: Dims,
    places: Vec<Dims>,
    s: &'a SelectAndScatter,
}

impl Pool<'_> {
    /// For each place of the window, which windows select it.
    fn select(&self, b: &mut Builder<'_>, x: ValueId, body: RegionId) -> Step<Vec<ValueId>> {
        let rank = self.shape.len();
        let dtype = b.tensor(x)?.dtype;
        let zero = b.constant_i(TensorType::scalar(dtype), 0);
        let low: Dims = self.s.padding.iter().map(|p| p.0).collect();
        let high: Dims = self.s.padding.iter().map(|p| p.1).collect();
        let none: Dims = low.iter().map(|_| 0).collect();
        let padded = pad_or_slice(b, x, zero, &low, &high, &none)?;
        let index = TensorType::new(DType::I32, &self.out);
        let mut best: Option<(ValueId, ValueId, Option<ValueId>)> = None;
        for (number, place) in self.places.iter().enumerate() {
            let limit: Dims = (0..rank)
                .map(|d| place[d] + (self.out[d] - 1) * self.s.window_strides[d] + 1)
                .collect();
            let value = b.slice(padded, place, &limit, &self.s.window_strides)?;
            let inside = self.inside(b, place)?;
            let here = b.constant_i(index.clone(), number as i64);
            let Some((held, at, real)) = best else {
                best = Some((value, here, inside));
                continue;
            };
            let keep = apply_body(b, body, &[held, value], &self.out)?[0];
            // Keep if told so and real, or if the other is padding.
            let mut keep = keep;
            if let Some(real) = real {
                keep = b.binary(BinaryOp::And, keep, real)?;
            }
            if let Some(inside) = inside {
                let outside = b.unary(UnaryOp::Not, inside)?;
                keep = b.binary(BinaryOp::Or, keep, outside)?;
            }
            let held = b.select(keep, held, value)?;
            let at = b.select(keep, at, here)?;
            let real = match (real, inside) {
                (Some(real), Some(inside)) => Some(b.binary(BinaryOp::Or, real, inside)?),
                _ => None,
            };
            best = Some((held, at, real));
        }
        let Some((_, at, real)) = best else {
            return Ok(Vec::new());
        };
        let mut selected = Vec::with_capacity(self.places.len());
        for number in 0..self.places.len() {
            let here = b.constant_i(index.clone(), number as i64);
            let mut is = b.compare(ComparisonDirection::Eq, at, here)?;
            if let Some(real) = real {
                is = b.binary(BinaryOp::And, is, real)?;
            }
            selected.push(is);
        }
        Ok(selected)
    }

    /// Which windows have a real element at a place; nothing if all have.
    fn inside(&self, b: &mut Builder<'_>, place: &[i64]) -> Step<Option<ValueId>> {
        let mut mask: Option<ValueId> = None;
        for (d, &offset) in place.iter().enumerate() {
            let real: Vec<u8> = (0..self.out[d])
                .map(|o| {
                    let at = o * self.s.window_strides[d] + offset - self.s.padding[d].0;
                    u8::from((0..self.shape[d]).contains(&at))
                })
                .collect();
            if real.iter().all(|&r| r == 1) {
                continue;
            }
            let line = Literal::new(TensorType::new(DType::Bool, &[self.out[d]]), real)
                .ok_or_else(|| ferrite_ir::hlo::Violation::new("constant", "wrong number of values"))?;
            let line = b.constant(line);
            let line = b.broadcast_in_dim(line, &self.out, &[d as i64])?;
            mask = Some(match mask {
                None => line,
                Some(m) => b.binary(BinaryOp::And, m, line)?,
            });
        }
        Ok(mask)
    }

    fn scatter(
        &self,
        b: &mut Builder<'_>,
        selected: &[ValueId],
        source: ValueId,
        base: ValueId,
        body: RegionId,
    ) -> Step {
        let ty = b.tensor(source)?.clone();
        let nothing = single_reducer(b.func, body).and_then(|op| Some((op, neutral(op, &ty)?)));
        let zero = b.constant_i(TensorType::scalar(DType::Bool), 0);
        let blank = match &nothing {
            Some((_, literal)) => literal.clone(),
            None => Literal::splat_i64(ty.clone(), 0),
        };
        let scalar = Literal::splat(TensorType::scalar(ty.dtype), blank.element(0))
            .ok_or_else(|| ferrite_ir::hlo::Violation::new("constant", "wrong element size"))?;
        let scalar = b.constant(scalar);
        let blank = b.constant(blank);
        let mut sum = base;
        for (place, &is) in self.places.iter().zip(selected) {
            let value = b.select(is, source, blank)?;
            let value = self.spread(b, value, scalar, place)?;
            if let Some((op, _)) = nothing {
                sum = b.binary(op, sum, value)?;
                continue;
            }
            let hit = self.spread(b, is, zero, place)?;
            let combined = apply_body(b, body, &[sum, value], &self.shape)?[0];
            let dtype = b.tensor(sum)?.dtype;
            let combined = b.convert(combined, dtype)?;
            sum = b.select(hit, combined, sum)?;
        }
        Ok(sum)
    }

    /// Puts window results where the elements at `place` stand in the operand.
    fn spread(&self, b: &mut Builder<'_>, x: ValueId, blank: ValueId, place: &[i64]) -> Step {
        let rank = self.shape.len();
        let low: Dims = (0..rank).map(|d| place[d] - self.s.padding[d].0).collect();
        let interior: Dims = self.s.window_strides.iter().map(|s| s - 1).collect();
        let high: Dims = (0..rank)
            .map(|d| self.shape[d] - low[d] - ((self.out[d] - 1) * self.s.window_strides[d] + 1))
            .collect();
        pad_or_slice(b, x, blank, &low, &high, &interior)
    }
}
