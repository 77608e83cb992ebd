//! Conversions between 64 bits, which only memory has, and 32 bits, which the engines compute with.
//!
//! Narrowing an integer is a view of its low words and needs no code (see [`super::fuse::takes_low_words`]). Widening
//! writes the low words and the signs; an `f64` becomes an `f32` by its bits.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, OpId};
use ferrite_ir::tile::{AluOp, Inst, View};

use super::block::Blocks;
use super::elementwise::{Arg, Extent};
use super::view::StridedView;
use super::{Lower, device_dtype};

impl Lower<'_> {
    /// Lowers a convert of which one side has 64 bits.
    pub(super) fn change_width(&mut self, op: OpId) -> Result<()> {
        let node = self.func.op(op).clone();
        let result = self.func.result(op);
        let to = self.func.tensor(result).clone();
        let from = self.func.tensor(node.operands[0]).dtype;
        let source = self.view_of(node.operands[0])?;
        let elements = to.element_count() as i64;
        match (from, to.dtype) {
            (DType::F64, DType::F32) => {
                let storage = self.scratch("narrow", DType::F32, elements);
                let target = StridedView::contiguous(storage, &to.shape);
                self.views[result.index()] = Some(target.clone());
                let (low, high) = (self.words(&source, DType::U32, 0), self.words(&source, DType::U32, 1));
                self.for_blocks(&[low, high], &target, |this, tiles, e| {
                    this.narrow_float(&tiles[0], &tiles[1], e)
                })
            }
            (DType::I32 | DType::U32 | DType::Bool | DType::I8 | DType::U8, DType::I64 | DType::U64) => {
                let word = if matches!(from, DType::I32 | DType::I8) {
                    DType::I32
                } else {
                    DType::U32
                };
                let storage = self.scratch("widen", to.dtype, elements);
                let target = StridedView::contiguous(storage, &to.shape);
                self.views[result.index()] = Some(target.clone());
                let low = self.words(&target, word, 0);
                let high = self.words(&target, word, 1);
                let narrow = device_dtype(from);
                self.for_blocks(std::slice::from_ref(&source), &low, |this, tiles, e| {
                    let copy = this.sbuf(e, word, "low");
                    this.inst(Inst::TensorCopy {
                        dst: copy.clone(),
                        src: View {
                            dtype: narrow,
                            ..tiles[0].clone()
                        },
                    });
                    Ok(copy)
                })?;
                self.for_blocks(std::slice::from_ref(&source), &high, |this, tiles, e| {
                    if word == DType::U32 {
                        let zero = this.sbuf(e, word, "high");
                        this.inst(Inst::Memset {
                            dst: zero.clone(),
                            bits: 0,
                        });
                        return Ok(zero);
                    }
                    let copy = this.sbuf(e, word, "low");
                    this.inst(Inst::TensorCopy {
                        dst: copy.clone(),
                        src: tiles[0].clone(),
                    });
                    match this.sign_mask(&Self::tile(copy, e), e) {
                        Arg::Tile(val) => Ok(val.view),
                        _ => Err(Diagnostic::bug("a sign mask is a tile")),
                    }
                })
            }
            _ => Err(self
                .error_at(
                    node.loc,
                    Code::Unsupported,
                    format!("a convert from `{from}` to `{}` does not run on the device", to.dtype),
                )
                .help("keep values in 32 bits and convert them on the host")),
        }
    }

    /// Runs `f` on tiles of views of one shape and stores what it gives.
    fn for_blocks(
        &mut self,
        sources: &[StridedView],
        target: &StridedView,
        f: impl Fn(&mut Self, &[View], Extent) -> Result<View>,
    ) -> Result<()> {
        let elements = target.elements();
        if elements == 0 {
            return Ok(());
        }
        let most = self.machine.limits.partitions as i64;
        let cut = |v: &StridedView, rows: i64| v.split(rows).is_some();
        let fits = |rows: &i64| elements % rows == 0 && cut(target, *rows) && sources.iter().all(|s| cut(s, *rows));
        let rows = (1..=most).rev().find(fits).unwrap_or(1);
        let columns = elements / rows;
        let blocks = |this: &Self, v: &StridedView| -> Result<Blocks> {
            this.blocks(v, rows)
                .ok_or_else(|| Diagnostic::bug("every view splits at one row"))
        };
        let inputs = sources
            .iter()
            .map(|s| blocks(self, s))
            .collect::<Result<Vec<Blocks>>>()?;
        let output = blocks(self, target)?;
        let chunk = self.wide_columns(DType::F32).min(columns);
        for c0 in (0..columns).step_by(chunk as usize) {
            let n = chunk.min(columns - c0);
            let mut tiles = Vec::new();
            for (b, view) in inputs.iter().zip(sources) {
                let dtype = self.storage(view.storage).dtype;
                let fetched = self.fetch(b, (0, rows), (c0, n), dtype)?;
                tiles.push(if fetched.row {
                    super::block::repeat(&fetched.view, n)
                } else {
                    fetched.view
                });
            }
            let result = f(self, &tiles, Extent { p: rows, n })?;
            self.store(&output, (0, rows), (c0, n), &result);
        }
        Ok(())
    }

    /// The bits of an `f32` from the words of an `f64`: 23 bits of mantissa rounded half up, the exponent rebiased;
    /// too small gives 0, too large infinity.
    fn narrow_float(&mut self, low: &View, high: &View, e: Extent) -> Result<View> {
        let word = DType::I32;
        let int = |view: &View| {
            Self::tile(
                View {
                    dtype: word,
                    ..view.clone()
                },
                e,
            )
        };
        let (low, high) = (int(low), int(high));
        let step = |this: &mut Self, op: BinaryOp, a: &Arg, b: &Arg| -> Result<Arg> {
            Ok(Arg::Tile(this.binary(op, word, a, b, e)?))
        };
        let sign = step(self, BinaryOp::And, &high, &Arg::Integer(i64::from(i32::MIN)))?;
        let magnitude = step(self, BinaryOp::And, &high, &Arg::Integer(0x7fff_ffff))?;
        let upper = step(self, BinaryOp::ShiftLeft, &magnitude, &Arg::Integer(3))?;
        let lower = step(self, BinaryOp::ShiftRightLogical, &low, &Arg::Integer(29))?;
        let half = step(self, BinaryOp::ShiftRightLogical, &low, &Arg::Integer(28))?;
        let half = step(self, BinaryOp::And, &half, &Arg::Integer(1))?;
        let exponent = step(self, BinaryOp::ShiftRightLogical, &magnitude, &Arg::Integer(20))?;
        // The exponent's upper bits fall out on the left; rebiasing happens modulo 2^32.
        let bits = step(self, BinaryOp::Or, &upper, &lower)?;
        let bits = step(self, BinaryOp::Subtract, &bits, &Arg::Integer((1023 - 127) << 23))?;
        let bits = step(self, BinaryOp::Add, &bits, &half)?;
        let test = |this: &mut Self, op: AluOp, bound: f64| {
            let mask = this.sbuf(e, DType::U8, "mask");
            this.alu(&mask, &exponent, &Arg::Number(bound), op, e);
            Self::tile(mask, e)
        };
        let small = test(self, AluOp::IsLe, 1023.0 - 127.0);
        let large = test(self, AluOp::IsGe, 1023.0 + 128.0);
        let bits = Arg::Tile(self.select(word, &small, &Arg::Integer(0), &bits, e));
        let infinity = i64::from(f32::INFINITY.to_bits());
        let bits = Arg::Tile(self.select(word, &large, &Arg::Integer(infinity), &bits, e));
        match step(self, BinaryOp::Or, &bits, &sign)? {
            Arg::Tile(val) => Ok(View {
                dtype: DType::F32,
                ..val.view
            }),
            _ => Err(Diagnostic::bug("narrowed bits are a tile")),
        }
    }
}
