//! Reductions over windows.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, OpId};
use ferrite_ir::tile::{ActFunc, AluOp, ApDim, Inst, Scalar, View};

use super::Lower;
use super::elementwise::{Arg, Extent, Val};
use super::view::{StridedView, ViewDim, ViewDims};

impl Lower<'_> {
    /// A reduction over windows of an already padded operand, as a reduction over an overlapping view.
    pub(super) fn reduce_window(
        &mut self,
        op: OpId,
        binary: BinaryOp,
        window: &[i64],
        strides: &[i64],
        dilations: &[i64],
    ) -> Result<()> {
        let node = self.func.op(op).clone();
        let result = self.new_result(op, 0)?;
        if result.elements() == 0 {
            return Ok(());
        }
        let source = self.view_of(node.operands[0])?;
        let dtype = self.storage(source.storage).dtype;
        let out: ViewDims = (0..window.len())
            .map(|d| ViewDim {
                extent: result.dims[d].extent,
                stride: source.dims[d].stride * strides[d],
            })
            .collect();
        let taps: ViewDims = (0..window.len())
            .map(|d| ViewDim {
                extent: window[d],
                stride: source.dims[d].stride * dilations[d],
            })
            .filter(|d| d.extent != 1)
            .collect();
        let count: i64 = taps.iter().map(|d| d.extent).product();
        let total = result.elements();
        let partitions = self.machine.limits.partitions as i64;
        // Leading output dimensions on partitions: enough to fill them, and few enough columns to fit.
        let most = self.machine.sbuf.usable_bytes_per_partition as i64 / 8 / 4;
        let mut rows = 1;
        let mut candidates = vec![1];
        for d in &out {
            rows *= d.extent;
            candidates.push(rows);
        }
        let rows = candidates
            .iter()
            .copied()
            .find(|&r| r >= partitions && total / r * count <= most)
            .or_else(|| candidates.iter().copied().rev().find(|&r| total / r * count <= most))
            .unwrap_or(total);
        let kept = total / rows;
        let whole = StridedView {
            storage: source.storage,
            offset: source.offset,
            dims: out.iter().chain(&taps).copied().collect(),
        };
        let blocks = self
            .blocks(&whole, rows)
            .ok_or_else(|| Diagnostic::bug("rows are a product of leading dimensions"))?;
        let target = self
            .blocks(&result, rows)
            .ok_or_else(|| Diagnostic::bug("rows are a product of leading dimensions"))?;
        for (r0, p) in self.tiles(rows) {
            let fetched = self.fetch(&blocks, (r0, p), (0, kept * count), dtype)?;
            let src = if fetched.row {
                super::block::repeat(&fetched.view, kept * count)
            } else {
                fetched.view
            };
            let view = self.reduce_groups(binary, dtype, &src, Extent { p, n: kept }, count)?;
            let init = self.splat_of(node.operands[1]);
            let view = match init {
                Some(x) => {
                    let start = match self.splat_int_of(node.operands[1]) {
                        Some(x) => Arg::Integer(x),
                        None => Arg::Number(x),
                    };
                    let val = Arg::Tile(Val { view, row: kept == 1 });
                    self.binary(binary, dtype, &val, &start, Extent { p, n: kept })?.view
                }
                None => return self.refuse(op),
            };
            self.store(&target, (r0, p), (0, kept), &view);
        }
        Ok(())
    }

    /// Reduces groups of `count` elements: an access pattern of (groups, members).
    fn reduce_groups(&mut self, binary: BinaryOp, dtype: DType, src: &View, e: Extent, count: i64) -> Result<View> {
        let alu = match binary {
            BinaryOp::Add => AluOp::Add,
            BinaryOp::Multiply => AluOp::Multiply,
            BinaryOp::Maximum => AluOp::Max,
            BinaryOp::Minimum => AluOp::Min,
            BinaryOp::And => AluOp::BitwiseAnd,
            BinaryOp::Or => AluOp::BitwiseOr,
            BinaryOp::Xor => AluOp::BitwiseXor,
            other => {
                let loc = self.loc;
                return Err(self.error_at(
                    loc,
                    Code::Unsupported,
                    format!("windows of `{}` have no lowering yet", other.mnemonic()),
                ));
            }
        };
        let dst = self.sbuf(e, dtype, "window");
        // Trailing dimensions that together have `count` elements.
        let mut members = 1;
        let mut dims = 0u8;
        for d in src.dims.iter().rev() {
            if members == count {
                break;
            }
            members *= i64::from(d.count);
            dims += 1;
        }
        let mut src = src.clone();
        if members != count {
            // A merged dimension holds groups and members: copy it apart is not needed, only cut it.
            let at = src.dims.len() - dims as usize;
            let inner: i64 = src.dims[at + 1..].iter().map(|d| i64::from(d.count)).product();
            let cut = (count / inner) as u32;
            let d = src.dims[at];
            src.dims[at] = ApDim {
                step: d.step * cut as i32,
                count: d.count / cut,
            };
            src.dims.insert(
                at + 1,
                ApDim {
                    step: d.step,
                    count: cut,
                },
            );
        }
        if count > 1 && dtype.is_int() && !alu.is_bitwise() {
            return self.reduce_int_groups(binary, dtype, &src, dims, e);
        }
        if count == 1 {
            self.inst(Inst::TensorCopy { dst: dst.clone(), src });
        } else {
            self.inst(Inst::TensorReduce {
                dst: dst.clone(),
                src: src.clone(),
                op: alu,
                dims,
                negate: false,
            });
            if dtype.is_float() && matches!(binary, BinaryOp::Maximum | BinaryOp::Minimum) {
                return Ok(self.nan_of_groups(dst, &src, e));
            }
        }
        Ok(dst)
    }

    /// Numbers, but NaN where the group they come from holds one: the sum of the signs of its elements is then NaN.
    fn nan_of_groups(&mut self, y: View, src: &View, e: Extent) -> View {
        let p = e.p;
        let members = Extent {
            p,
            n: src.elements() as i64,
        };
        let flat = self.sbuf(members, DType::BF16, "signs");
        self.inst(Inst::Activation {
            dst: flat.clone(),
            src: src.clone(),
            func: ActFunc::Sign,
            scale: Scalar::f32(1.0),
            bias: Scalar::f32(0.0),
            accumulate: None,
        });
        let count = members.n / e.n.max(1);
        let signs = View {
            dims: [
                ApDim {
                    step: count as i32,
                    count: e.n as u32,
                },
                ApDim {
                    step: 1,
                    count: count as u32,
                },
            ]
            .into_iter()
            .collect(),
            ..flat
        };
        let sum = self.sbuf(e, DType::F32, "sum");
        self.inst(Inst::TensorReduce {
            dst: sum.clone(),
            src: signs,
            op: AluOp::Add,
            dims: 1,
            negate: false,
        });
        self.nan_by_signs(y, sum, e)
    }

    /// As [`Lower::reduce_groups`] for integers, exact: member by member.
    fn reduce_int_groups(&mut self, binary: BinaryOp, dtype: DType, src: &View, dims: u8, e: Extent) -> Result<View> {
        let (groups, members) = src.dims.split_at(src.dims.len() - dims as usize);
        let row = e.n == 1;
        let count: u32 = members.iter().map(|d| d.count).product();
        let mut total: Option<View> = None;
        for k in 0..count {
            let (mut rest, mut at) = (k, 0i64);
            for d in members.iter().rev() {
                at += i64::from(rest % d.count) * i64::from(d.step);
                rest /= d.count;
            }
            let member = View {
                offset: (i64::from(src.offset) + at * src.dtype.bytes() as i64) as u32,
                dims: groups.iter().copied().collect(),
                ..src.clone()
            };
            total = Some(match total {
                None => member,
                Some(sum) => {
                    let (a, b) = (Arg::Tile(Val { view: sum, row }), Arg::Tile(Val { view: member, row }));
                    self.binary(binary, dtype, &a, &b, e)?.view
                }
            });
        }
        total.ok_or_else(|| Diagnostic::bug("a window has an element"))
    }
}
