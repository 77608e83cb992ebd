//! One operation of a cluster on one chunk: its operands and what it computes.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, OpId, OpKind, ValueId};
use ferrite_ir::tile::{Inst, View};

use super::{RowState, Work};
use crate::lower::block::part;
use crate::lower::contraction::Contraction;
use crate::lower::elementwise::{Arg, Extent, Val};
use crate::lower::fuse::{Access, Class, access};
use crate::lower::{Lower, device_dtype};

/// Bytes of a row that come alone as well as with their neighbours (our choice: a descriptor's fixed time is lost in them).
const CHUNK_BYTES: usize = 512;

impl Lower<'_> {
    /// PSUM banks that each of some contractions may fill side by side: half of them are for others.
    pub(super) fn banks_for(&self, contractions: usize) -> usize {
        (self.machine.psum.banks as usize / 2 / contractions.max(1)).max(1)
    }

    /// A contraction's rows and columns as one operand: a PSUM tile if it fits a bank, else collected in SBUF.
    pub(super) fn contraction_rows(
        &mut self,
        x: &Contraction,
        r: (i64, i64),
        c: (i64, i64),
        dtype: DType,
    ) -> Result<Val> {
        let b = r.0 / x.m.max(1);
        let m = (r.0 - b * x.m, r.1);
        let bank = self.bank_columns();
        if c.1 <= bank && dtype.is_float() {
            let view = self.contract(x, b, m, c, self.abreast)?;
            return Ok(Val { view, row: c.1 == 1 });
        }
        let pieces = (c.1 + bank - 1) / bank;
        let width = (c.1 + pieces - 1) / pieces;
        let dst = self.sbuf(Extent { p: r.1, n: c.1 }, dtype, "dot");
        for at in (0..c.1).step_by(width as usize) {
            let n = width.min(c.1 - at);
            let src = self.contract(x, b, m, (c.0 + at, n), self.banks_for(1))?;
            self.inst(Inst::TensorCopy {
                dst: part(&dst, 0, r.1, at, n),
                src,
            });
        }
        Ok(Val {
            view: dst,
            row: c.1 == 1,
        })
    }

    /// An operand of a member.
    #[allow(clippy::too_many_arguments)] // one request, spelled out
    pub(super) fn argument(
        &mut self,
        work: &Work<'_>,
        state: &RowState,
        full: &BTreeMap<ValueId, Val>,
        v: ValueId,
        class: Class,
        r: (i64, i64),
        c: (i64, i64),
    ) -> Result<Arg> {
        if let Some(x) = self.splat_int_of(v) {
            return Ok(Arg::Integer(x));
        }
        if let Some(x) = self.splat_of(v) {
            return Ok(Arg::Number(x));
        }
        let missing =
            |base: ValueId| Diagnostic::bug(format!("value {} of a cluster was not computed in time", base.0));
        match access(self.graph, &self.plan, work.index, v) {
            Some(Access::Same(base)) => {
                let from = match class {
                    Class::Full => full.get(&base),
                    Class::Row => state.row.get(&base),
                };
                from.cloned().map(Arg::Tile).ok_or_else(|| missing(base))
            }
            Some(Access::RowToFull(base)) => {
                let val = state.row.get(&base).ok_or_else(|| missing(base))?;
                Ok(Arg::Tile(Val {
                    row: true,
                    ..val.clone()
                }))
            }
            Some(Access::Outside) => {
                let blocks = work.outside.get(&(v, class)).ok_or_else(|| missing(v))?;
                let stored = self.storage(blocks.storage).dtype;
                let dtype = match device_dtype(self.func.tensor(v).dtype) {
                    // As it lies in memory: engines widen what they read.
                    DType::F32 if class == Class::Full && matches!(stored, DType::BF16 | DType::F16) => stored,
                    dtype => dtype,
                };
                let columns = if class == Class::Row { (0, 1) } else { c };
                // A row that repeats is read for every tile of rows.
                let varies = blocks.rows.iter().any(|d| d.stride != 0 && d.extent > 1);
                // In panels a row would come again for each of them: its chunks come one by one.
                let mut chunk_alone = class == Class::Full && !work.once;
                // Beside the operands of a contraction it would have to go before its last chunk is wanted.
                if class == Class::Full && varies && !work.contractions.is_empty() && work.chunk < work.columns {
                    chunk_alone |= c.1 as usize * dtype.bytes() >= CHUNK_BYTES;
                }
                let read_later = self.last_use[self.graph.trace(v).0.index()] > self.step;
                let passes = varies && !read_later && (work.once || chunk_alone);
                let before = self.cache.mark_passing(passes);
                let fetched = if class == Class::Full && !work.convolutions.is_empty() {
                    self.fetch_in_span(blocks, r, work.span, columns, dtype)
                } else if chunk_alone {
                    self.fetch_exact(blocks, r, columns, dtype)
                } else {
                    self.fetch(blocks, r, columns, dtype)
                };
                self.cache.mark_passing(before);
                let fetched = fetched?;
                Ok(Arg::Tile(Val {
                    view: fetched.view,
                    row: fetched.row,
                }))
            }
            None => Err(missing(v)),
        }
    }

    /// A constant as a repeated column.
    pub(super) fn column_of(&mut self, constant: &Arg, e: Extent, dtype: DType) -> View {
        let dst = self.sbuf(e, dtype, "constant");
        let bits = Self::bits_of(constant, dtype);
        self.inst(Inst::Memset { dst: dst.clone(), bits });
        dst
    }

    /// An element-wise operation.
    pub(super) fn map_op(&mut self, op: OpId, args: &[Arg], e: Extent) -> Result<Val> {
        let result = self.func.tensor(self.func.result(op)).dtype;
        let operand = self.func.tensor(self.func.op(op).operands[0]).dtype;
        self.map_op_as(op, args, (operand, result), e)
    }

    /// An element-wise operation whose operands and result have these dtypes on chip.
    pub(super) fn map_op_as(
        &mut self,
        op: OpId,
        args: &[Arg],
        (operand, result): (DType, DType),
        e: Extent,
    ) -> Result<Val> {
        let node = self.func.op(op).clone();
        let (to, from) = (self.supported(result, node.loc)?, self.supported(operand, node.loc)?);
        match node.kind {
            OpKind::Unary(unary) => {
                if operand == DType::Bool {
                    // `not` on truth values, which are 0 or 1.
                    return self.binary(BinaryOp::Xor, to, &args[0], &Arg::Integer(1), e);
                }
                self.unary(unary, from, &args[0], self.hint(op), e)
            }
            OpKind::Binary(binary) => {
                let binary = match (operand, binary) {
                    // On truth values these are or and and.
                    (DType::Bool, BinaryOp::Add | BinaryOp::Maximum) => BinaryOp::Or,
                    (DType::Bool, BinaryOp::Multiply | BinaryOp::Minimum) => BinaryOp::And,
                    (_, other) => other,
                };
                let hint = self.hint(op);
                if hint.nearest_quotient && to.is_float() {
                    let dst = self.sbuf(e, to, "quotient");
                    self.divide(&dst, &args[0], &args[1], true, e);
                    return Ok(Val {
                        view: dst,
                        row: e.n == 1,
                    });
                }
                self.binary(binary, to, &args[0], &args[1], e)
            }
            OpKind::Compare(c) => self.compare(c.direction, c.compare_type, from, &args[0], &args[1], e),
            OpKind::Select => Ok(self.select(to, &args[0], &args[1], &args[2], e)),
            OpKind::Convert => self.convert(operand, result, &args[0], e),
            OpKind::CustomCall(call) => self.activation_call(&call.target, to, &args[0], e),
            OpKind::BitcastConvert if from.bytes() == to.bytes() => match &args[0] {
                Arg::Tile(val) => Ok(Val {
                    view: View {
                        dtype: to,
                        ..val.view.clone()
                    },
                    row: val.row,
                }),
                constant => {
                    let tile = self.column_of(constant, e, from);
                    Ok(Val {
                        view: View { dtype: to, ..tile },
                        row: e.n == 1,
                    })
                }
            },
            other => Err(self.error_at(
                node.loc,
                ferrite_ir::diag::Code::Unsupported,
                format!("`{}` between these dtypes has no device lowering yet", other.mnemonic()),
            )),
        }
    }
}
