//! Running sums, products, maxima and minima: windows that reach from the first (or last) element to each element.
//!
//! The dimension lies in the free direction. Floats go through VectorE's scan; 32-bit integers by doubling steps of
//! exact operations.

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, OpId, OpKind, ReduceWindow};
use ferrite_ir::tile::{ActFunc, AluOp, Inst, Scalar, ScalarStep, View};

use super::Lower;
use super::block::part;
use super::elementwise::{Arg, Extent, Val};
use super::view::StridedView;

/// The dimension that a window runs along, and whether it starts at the end; `None` if it is no running reduction.
pub(super) fn cumulative(window: &ReduceWindow, shape: &[i64]) -> Option<(usize, bool)> {
    let ones = |dims: &[i64]| dims.iter().all(|&d| d == 1);
    if !(ones(&window.window_strides) && ones(&window.base_dilations) && ones(&window.window_dilations)) {
        return None;
    }
    let mut found = None;
    for (d, &size) in window.window_dimensions.iter().enumerate() {
        match (size, window.padding[d]) {
            (1, (0, 0)) => {}
            (n, padding) if n == shape[d] && n > 1 && found.is_none() => {
                found = match padding {
                    p if p == (n - 1, 0) => Some((d, false)),
                    p if p == (0, n - 1) => Some((d, true)),
                    _ => return None,
                };
            }
            _ => return None,
        }
    }
    found
}

impl Lower<'_> {
    /// Lowers a running reduction.
    pub(super) fn cumulate(&mut self, op: OpId, binary: BinaryOp) -> Result<()> {
        let node = self.func.op(op).clone();
        let OpKind::ReduceWindow(window) = &node.kind else {
            return Err(Diagnostic::bug("no window"));
        };
        let shape = self.func.tensor(node.operands[0]).shape.clone();
        let Some((dimension, backwards)) = cumulative(window, &shape) else {
            return Err(Diagnostic::bug("no running reduction"));
        };
        let result = self.new_result(op, 0)?;
        if result.elements() == 0 {
            return Ok(());
        }
        let rank = shape.len() as i64;
        let order: Vec<i64> = (0..rank)
            .filter(|&d| d != dimension as i64)
            .chain([dimension as i64])
            .collect();
        let arrange = |view: &StridedView| {
            let view = if backwards {
                view.reverse(&[dimension as i64])
            } else {
                view.clone()
            };
            view.transpose(&order)
        };
        let n = shape[dimension];
        let rows = result.elements() / n;
        let source = arrange(&self.view_of(node.operands[0])?);
        let target = arrange(&result);
        let bug = || Diagnostic::bug("rows are the leading dimensions");
        let input = self.blocks(&source, rows).ok_or_else(bug)?;
        let output = self.blocks(&target, rows).ok_or_else(bug)?;
        let dtype = self.storage(source.storage).dtype;
        let chunk = self.wide_columns(DType::F32).min(n);
        for (r0, p) in self.tiles(rows) {
            // The last column of the chunk before, once per row.
            let mut carried: Option<Arg> = None;
            for c0 in (0..n).step_by(chunk as usize) {
                let e = Extent {
                    p,
                    n: chunk.min(n - c0),
                };
                let fetched = self.fetch(&input, (r0, p), (c0, e.n), dtype)?;
                let x = if fetched.row {
                    super::block::repeat(&fetched.view, e.n)
                } else {
                    fetched.view
                };
                let start = match carried.take() {
                    Some(carried) => carried,
                    None => match self.splat_of(node.operands[1]) {
                        Some(value) if dtype.is_float() => Arg::Number(value),
                        Some(value) => Arg::Integer(value as i64),
                        None => return self.refuse(op),
                    },
                };
                let scanned = if dtype.is_float() {
                    match self.scan(binary, &x, dtype, e) {
                        Some(view) => view,
                        None => return self.refuse(op),
                    }
                } else {
                    self.double(binary, &x, dtype, e)?
                };
                let scanned = Arg::Tile(Val {
                    view: scanned,
                    row: e.n == 1,
                });
                let view = self.binary(binary, dtype, &scanned, &start, e)?.view;
                let last = part(&view, 0, p, e.n - 1, 1);
                carried = Some(Arg::Tile(Val { view: last, row: true }));
                self.store(&output, (r0, p), (c0, e.n), &view);
            }
        }
        Ok(())
    }

    /// `r[i] = (a[i] op0 r[i - 1]) op1 b[i]` in the form of the reducer; `None` for one that has none.
    fn scan(&mut self, binary: BinaryOp, x: &View, dtype: DType, e: Extent) -> Option<View> {
        let constant = |this: &mut Self, value: f32| this.tensor(&Arg::Number(f64::from(value)), e, DType::F32);
        let (a, b, op0, op1, initial) = match binary {
            BinaryOp::Add => (constant(self, 1.0), x.clone(), AluOp::Multiply, AluOp::Add, 0.0),
            BinaryOp::Multiply => (x.clone(), constant(self, 0.0), AluOp::Multiply, AluOp::Add, 1.0),
            BinaryOp::Maximum => (x.clone(), x.clone(), AluOp::Max, AluOp::Max, f32::NEG_INFINITY),
            BinaryOp::Minimum => (x.clone(), x.clone(), AluOp::Min, AluOp::Min, f32::INFINITY),
            _ => return None,
        };
        let dst = self.sbuf(e, dtype, "scan");
        self.inst(Inst::TensorTensorScan {
            dst: dst.clone(),
            a,
            b,
            initial: Scalar::f32(initial),
            op0,
            op1,
        });
        if dtype.is_float() && matches!(binary, BinaryOp::Maximum | BinaryOp::Minimum) {
            return Some(self.nan_from(&dst, x, e));
        }
        Some(dst)
    }

    /// Running extrema, but NaN from the first NaN on: the running sum of the signs is then NaN, else finite.
    fn nan_from(&mut self, y: &View, x: &View, e: Extent) -> View {
        let signs = self.sbuf(e, DType::F32, "signs");
        self.activate(&signs, &Self::tile(x.clone(), e), ActFunc::Sign, 1.0, 0.0, e);
        let sums = self.sbuf(e, DType::F32, "sums");
        let ones = self.tensor(&Arg::Number(1.0), e, DType::F32);
        self.inst(Inst::TensorTensorScan {
            dst: sums.clone(),
            a: ones,
            b: signs,
            initial: Scalar::f32(0.0),
            op0: AluOp::Multiply,
            op1: AluOp::Add,
        });
        let dst = self.sbuf(e, y.dtype, "scan");
        self.inst(Inst::ScalarTensorTensor {
            dst: dst.clone(),
            src: sums,
            first: ScalarStep::imm(AluOp::Multiply, 0.0),
            b: y.clone(),
            op1: AluOp::Add,
            reverse1: false,
        });
        dst
    }

    /// Doubling: after step `s`, element `i` covers `2 s` elements up to itself.
    fn double(&mut self, binary: BinaryOp, x: &View, dtype: DType, e: Extent) -> Result<View> {
        let mut at = self.sbuf(e, dtype, "scan");
        self.inst(Inst::TensorCopy {
            dst: at.clone(),
            src: x.clone(),
        });
        let mut s = 1;
        while s < e.n {
            let next = self.sbuf(e, dtype, "scan");
            self.inst(Inst::TensorCopy {
                dst: part(&next, 0, e.p, 0, s),
                src: part(&at, 0, e.p, 0, s),
            });
            let size = Extent { p: e.p, n: e.n - s };
            let piece = |from: i64| {
                Arg::Tile(Val {
                    view: part(&at, 0, e.p, from, size.n),
                    row: size.n == 1,
                })
            };
            let sum = self.binary(binary, dtype, &piece(s), &piece(0), size)?;
            self.inst(Inst::TensorCopy {
                dst: part(&next, 0, e.p, s, size.n),
                src: sum.view,
            });
            at = next;
            s *= 2;
        }
        Ok(at)
    }
}
