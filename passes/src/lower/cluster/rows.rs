//! Values of one element per row: reductions, chunk by chunk, and what is computed from them.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, OpId, OpKind, ValueId};
use ferrite_ir::tile::Inst;

use super::{RowState, Work};
use crate::lower::block::{part, repeat};
use crate::lower::elementwise::{Arg, Extent, Val};
use crate::lower::fuse::{Class, reducer};
use crate::lower::{Lower, device_dtype};

impl Lower<'_> {
    /// The part of a reduction that one chunk gives.
    pub(super) fn reduce_chunk(
        &mut self,
        work: &mut Work<'_>,
        state: &mut RowState,
        full: &BTreeMap<ValueId, Val>,
        op: OpId,
        r: (i64, i64),
        c: (i64, i64),
    ) -> Result<()> {
        let node = self.func.op(op).clone();
        let result = self.func.result(op);
        let binary = self.reducer_of(op)?;
        let dtype = device_dtype(self.func.tensor(result).dtype);
        let e = Extent { p: r.1, n: c.1 };
        let operand = match self.argument(work, state, full, node.operands[0], Class::Full, r, c)? {
            Arg::Tile(val) if val.row => repeat(&val.view, e.n),
            Arg::Tile(val) => val.view,
            constant => self.column_of(&constant, e, dtype),
        };
        // Sums of narrow floats are kept in fp32 until the last chunk.
        let kept = if dtype.is_float() { DType::F32 } else { dtype };
        let nan = self.nan_matters(op);
        let part_view = self.reduce(binary, kept, &operand, nan, e)?;
        if c.1 == work.columns {
            state.partial.insert(result, part_view);
            return Ok(());
        }
        let chunks = (work.columns + work.chunk - 1) / work.chunk;
        let all = match state.partial.get(&result) {
            Some(all) => all.clone(),
            None => self.sbuf(Extent { p: r.1, n: chunks }, kept, "partial"),
        };
        state.partial.insert(result, all.clone());
        self.inst(Inst::TensorCopy {
            dst: part(&all, 0, r.1, c.0 / work.chunk, 1),
            src: part_view,
        });
        Ok(())
    }

    fn reducer_of(&self, op: OpId) -> Result<BinaryOp> {
        reducer(self.func, op).ok_or_else(|| {
            self.error_at(
                self.op_loc(op),
                ferrite_ir::diag::Code::Unsupported,
                "a `stablehlo.reduce` whose body is not one operation has no device lowering yet",
            )
            .help("write the body as add, multiply, maximum, minimum, and, or, xor")
        })
    }

    /// Combines the parts of a reduction with its initial value.
    pub(super) fn combine_reduction(
        &mut self,
        work: &mut Work<'_>,
        state: &mut RowState,
        op: OpId,
        r: (i64, i64),
        chunks: i64,
    ) -> Result<()> {
        let result = self.func.result(op);
        let binary = self.reducer_of(op)?;
        let dtype = device_dtype(self.func.tensor(result).dtype);
        let parts = state
            .partial
            .get(&result)
            .cloned()
            .ok_or_else(|| Diagnostic::bug("a reduction without parts"))?;
        let mut view = parts;
        if chunks > 1 {
            let kept = view.dtype;
            let all = Extent { p: r.1, n: chunks };
            view = self.reduce(binary, kept, &view.clone(), self.nan_matters(op), all)?;
        }
        let one = Extent { p: r.1, n: 1 };
        let init = self.func.op(op).operands[1];
        let identity = match self.splat_of(init) {
            Some(x) => is_identity(binary, x, self.func.tensor(init).dtype),
            None => false,
        };
        let mut val = Val { view, row: true };
        if !identity {
            let init = match self
                .splat_int_of(init)
                .map(Arg::Integer)
                .or(self.splat_of(init).map(Arg::Number))
            {
                Some(arg) => arg,
                None => {
                    // A run-time scalar: repeated on every partition.
                    let scalar = self.view_of(init)?.broadcast(&[work.rows], &[]);
                    let blocks = self
                        .blocks(&scalar, work.rows)
                        .ok_or_else(|| Diagnostic::bug("a scalar splits"))?;
                    let fetched = self.fetch(&blocks, r, (0, 1), dtype)?;
                    Arg::Tile(Val {
                        view: fetched.view,
                        row: true,
                    })
                }
            };
            let kept = val.view.dtype;
            val = self.binary(binary, kept, &Arg::Tile(val), &init, one)?;
        }
        if val.view.dtype != dtype {
            // The largest and the smallest of narrow values are such values.
            let exact = matches!(binary, BinaryOp::Maximum | BinaryOp::Minimum) && row_dtype(dtype) == val.view.dtype;
            if !exact {
                val = self.column_as(val, dtype, one);
                val = self.column_as(val, row_dtype(dtype), one);
            }
        }
        self.finish_row(work, state, result, val, r);
        Ok(())
    }

    /// An element-wise operation on one value per row.
    pub(super) fn row_op(&mut self, work: &mut Work<'_>, state: &mut RowState, op: OpId, r: (i64, i64)) -> Result<()> {
        let node = self.func.op(op).clone();
        let result = self.func.result(op);
        let none = BTreeMap::new();
        let args = node
            .operands
            .iter()
            .map(|&v| self.argument(work, state, &none, v, Class::Row, r, (0, 1)))
            .collect::<Result<Vec<Arg>>>()?;
        let e = Extent { p: r.1, n: 1 };
        let to = self.func.tensor(result).dtype;
        let from = self.func.tensor(node.operands[0]).dtype;
        let reads_bits = matches!(node.kind, OpKind::BitcastConvert);
        let val = if reads_bits || row_dtype(to) == to && row_dtype(from) == from {
            let narrow = args
                .into_iter()
                .map(|arg| self.as_dtype(arg, from, e))
                .collect::<Vec<_>>();
            self.map_op(op, &narrow, e)?
        } else {
            let wide = args
                .into_iter()
                .map(|arg| self.as_dtype(arg, row_dtype(from), e))
                .collect::<Vec<_>>();
            let val = self.map_op_as(op, &wide, (row_dtype(from), row_dtype(to)), e)?;
            let val = self.column_as(val, to, e);
            self.column_as(val, row_dtype(to), e)
        };
        self.finish_row(work, state, result, val, r);
        Ok(())
    }

    /// A column of floats in another float dtype.
    pub(super) fn as_dtype(&mut self, arg: Arg, dtype: DType, e: Extent) -> Arg {
        match arg {
            Arg::Tile(val) => Arg::Tile(self.column_as(val, dtype, e)),
            other => other,
        }
    }

    fn column_as(&mut self, val: Val, dtype: DType, e: Extent) -> Val {
        if !val.view.dtype.is_float() || !dtype.is_float() || val.view.dtype == dtype {
            return val;
        }
        let dst = self.sbuf(e, dtype, "v");
        self.inst(Inst::TensorCopy {
            dst: dst.clone(),
            src: val.view,
        });
        Val { view: dst, ..val }
    }

    fn finish_row(&mut self, work: &mut Work<'_>, state: &mut RowState, result: ValueId, val: Val, r: (i64, i64)) {
        if let Some(blocks) = work.outputs.get(&result) {
            let dtype = self.storage(blocks.storage).dtype;
            let view = self.plain(&val, Extent { p: r.1, n: 1 }, dtype);
            self.store_result(work, result, r, (0, 1), &view);
        }
        state.row.insert(result, Val { row: true, ..val });
    }
}

/// The dtype that a value per row has on chip: instructions take it as their scalar in fp32 only.
fn row_dtype(dtype: DType) -> DType {
    match dtype {
        DType::BF16 | DType::F16 => DType::F32,
        other => other,
    }
}

/// Whether `x` changes nothing as initial value of a reduction.
fn is_identity(op: BinaryOp, x: f64, dtype: DType) -> bool {
    match op {
        BinaryOp::Add | BinaryOp::Or | BinaryOp::Xor => x == 0.0,
        BinaryOp::Multiply => x == 1.0,
        BinaryOp::And => {
            if dtype == DType::Bool {
                x == 1.0
            } else {
                x == -1.0
            }
        }
        BinaryOp::Maximum if dtype.is_float() => x == f64::NEG_INFINITY,
        BinaryOp::Minimum if dtype.is_float() => x == f64::INFINITY,
        BinaryOp::Maximum => x == ferrite_ir::literal::int_range(dtype).0 as f64,
        BinaryOp::Minimum => x == ferrite_ir::literal::int_range(dtype).1 as f64,
        _ => false,
    }
}
