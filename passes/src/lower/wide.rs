//! Conversions between 64 bits, which only memory has, and 32 bits, which the engines compute with.
//!
//! Narrowing an integer is a view of its low words and needs no code (see [`super::fuse::takes_low_words`]). Widening
//! writes the low words and the signs; an `f64` becomes an `f32` by its bits.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, OpId, TensorType, ValueId};
use ferrite_ir::tile::{ActFunc, AluOp, Inst, View};

use super::block::Blocks;
use super::elementwise::{Arg, Extent};
use super::view::{StorageId, StridedView};
use super::{Lower, Storage, device_dtype};

impl Lower<'_> {
    /// Lowers a convert of which one side has 64 bits.
    pub(super) fn change_width(&mut self, op: OpId) -> Result<()> {
        let node = self.func.op(op).clone();
        let result = self.func.result(op);
        let to = self.func.tensor(result).clone();
        let from = self.func.tensor(node.operands[0]).dtype;
        let source = self.view_of(node.operands[0])?;
        let elements = to.element_count() as i64;
        let word = match to.dtype {
            DType::I64 => DType::I32,
            DType::U64 => DType::U32,
            DType::F64 => DType::F32,
            narrow => narrow,
        };
        match (from, to.dtype) {
            (DType::F64, narrow) if narrow.bits() < 64 || narrow == DType::Bool => {
                let storage = self.scratch("narrow", device_dtype(narrow), elements);
                let target = StridedView::contiguous(storage, &to.shape);
                self.views[result.index()] = Some(target.clone());
                let (low, high) = (self.words(&source, DType::U32, 0), self.words(&source, DType::U32, 1));
                self.for_blocks(&[low, high], &target, |this, tiles, e| {
                    let float = this.narrow_float(&tiles[0], &tiles[1], e)?;
                    this.converted(DType::F32, narrow, float, e)
                })
            }
            (DType::F64, DType::F64) => {
                self.views[result.index()] = Some(source);
                Ok(())
            }
            (DType::F64, _) => {
                // Through 32 bits, as all arithmetic on 64-bit integers.
                let (low, high) = (self.words(&source, DType::U32, 0), self.words(&source, DType::U32, 1));
                self.widen(result, &to, &[low, high], |this, tiles, e| {
                    let float = this.narrow_float(&tiles[0], &tiles[1], e)?;
                    this.converted(DType::F32, word, float, e)
                })
            }
            (DType::I64 | DType::U64, DType::F64 | DType::I64 | DType::U64) => {
                let narrow = if from == DType::I64 { DType::I32 } else { DType::U32 };
                let low = self.words(&source, narrow, 0);
                self.widen(result, &to, &[low], |this, tiles, e| {
                    this.converted(narrow, word, tiles[0].clone(), e)
                })
            }
            (DType::I64 | DType::U64, narrow) if !narrow.is_complex() => {
                let wide = if from == DType::I64 { DType::I32 } else { DType::U32 };
                let storage = self.scratch("narrow", device_dtype(narrow), elements);
                let target = StridedView::contiguous(storage, &to.shape);
                self.views[result.index()] = Some(target.clone());
                let low = self.words(&source, wide, 0);
                self.for_blocks(&[low], &target, |this, tiles, e| {
                    this.converted(wide, narrow, tiles[0].clone(), e)
                })
            }
            (from, DType::I64 | DType::U64 | DType::F64) if !from.is_complex() => {
                self.widen(result, &to, std::slice::from_ref(&source), |this, tiles, e| {
                    let tile = View {
                        dtype: device_dtype(from),
                        ..tiles[0].clone()
                    };
                    this.converted(from, word, tile, e)
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

    /// Reads the bytes of a copy as elements of another width: memory has no dtype.
    pub(super) fn bitcast(&mut self, op: OpId) -> Result<()> {
        let node = self.func.op(op).clone();
        let result = self.func.result(op);
        let ty = self.func.tensor(result).clone();
        let from = self.func.tensor(node.operands[0]).dtype;
        if device_dtype(from).bits() != from.bits() || device_dtype(ty.dtype).bits() != ty.dtype.bits() {
            return Err(self
                .error_at(
                    node.loc,
                    Code::Unsupported,
                    format!("a bitcast from `{from}` to `{}` does not run on the device", ty.dtype),
                )
                .help("elements of fewer than 8 bits take a byte each here: shift and mask them instead"));
        }
        let source = self.view_of(node.operands[0])?;
        let copy = self.contiguous_copy(&source)?;
        let buffer = self.storage(copy.storage).buffer;
        self.storages.push(Storage {
            buffer,
            dtype: ty.dtype,
        });
        let storage = StorageId(self.storages.len() as u32 - 1);
        self.views[result.index()] = Some(StridedView::contiguous(storage, &ty.shape));
        Ok(())
    }

    /// A tile in another dtype.
    fn converted(&mut self, from: DType, to: DType, x: View, e: Extent) -> Result<View> {
        if from == to {
            return Ok(x);
        }
        let dst = self.sbuf(e, device_dtype(to), "converted");
        self.convert_into(&dst, from, to, &Self::tile(x, e), e);
        Ok(dst)
    }

    /// Stores both words of 64-bit values whose 32-bit forms `f` computes from tiles of some views.
    fn widen(
        &mut self,
        result: ValueId,
        to: &TensorType,
        sources: &[StridedView],
        f: impl Fn(&mut Self, &[View], Extent) -> Result<View>,
    ) -> Result<()> {
        let storage = self.scratch("widen", to.dtype, to.element_count() as i64);
        let target = StridedView::contiguous(storage, &to.shape);
        self.views[result.index()] = Some(target.clone());
        let float = to.dtype == DType::F64;
        let (low, high) = match to.dtype {
            DType::I64 => (DType::I32, DType::I32),
            _ => (DType::U32, DType::U32),
        };
        let (low_words, high_words) = (self.words(&target, low, 0), self.words(&target, high, 1));
        self.for_blocks(sources, &low_words, |this, tiles, e| {
            let narrow = f(this, tiles, e)?;
            if float {
                Ok(this.widen_float(&narrow, e)?.0)
            } else {
                Ok(narrow)
            }
        })?;
        self.for_blocks(sources, &high_words, |this, tiles, e| {
            if high == DType::U32 && !float {
                let zero = this.sbuf(e, high, "high");
                this.inst(Inst::Memset {
                    dst: zero.clone(),
                    bits: 0,
                });
                return Ok(zero);
            }
            let narrow = f(this, tiles, e)?;
            if float {
                return Ok(this.widen_float(&narrow, e)?.1);
            }
            match this.sign_mask(&Self::tile(narrow, e), e) {
                Arg::Tile(val) => Ok(val.view),
                _ => Err(Diagnostic::bug("a sign mask is a tile")),
            }
        })
    }

    /// Low and high word of the `f64` that equals an `f32`.
    fn widen_float(&mut self, x: &View, e: Extent) -> Result<(View, View)> {
        const SHIFT: i64 = 64;
        let word = DType::I32;
        let x = Self::tile(x.clone(), e);
        // Denormal numbers are scaled into the normal ones first; the exponent is then that much too large.
        let magnitude = self.sbuf(e, DType::F32, "abs");
        self.activate(&magnitude, &x, ActFunc::Abs, 1.0, 0.0, e);
        let magnitude = Self::tile(magnitude, e);
        let test = |this: &mut Self, op: AluOp, bound: f64| {
            let mask = this.sbuf(e, DType::U8, "mask");
            this.alu(&mask, &magnitude, &Arg::Number(bound), op, e);
            Self::tile(mask, e)
        };
        let tiny = test(self, AluOp::IsLt, f64::from(f32::MIN_POSITIVE));
        let zero = test(self, AluOp::IsEqual, 0.0);
        let finite = test(self, AluOp::IsLt, f64::INFINITY);
        let scaled = self.sbuf(e, DType::F32, "scaled");
        self.alu(&scaled, &x, &Arg::Number((SHIFT as f64).exp2()), AluOp::Multiply, e);
        let normal = self.select(DType::F32, &tiny, &Self::tile(scaled, e), &x, e).view;
        let bits = Self::tile(View { dtype: word, ..normal }, e);
        let step = |this: &mut Self, op: BinaryOp, a: &Arg, b: &Arg| -> Result<Arg> {
            Ok(Arg::Tile(this.binary(op, word, a, b, e)?))
        };
        let low = step(self, BinaryOp::ShiftLeft, &bits, &Arg::Integer(29))?;
        let sign = step(self, BinaryOp::And, &bits, &Arg::Integer(i64::from(i32::MIN)))?;
        let rest = step(self, BinaryOp::And, &bits, &Arg::Integer(0x7fff_ffff))?;
        let upper = step(self, BinaryOp::ShiftRightLogical, &rest, &Arg::Integer(3))?;
        let bias = 1023 - 127;
        let of_normal = step(self, BinaryOp::Add, &upper, &Arg::Integer(bias << 20))?;
        let of_tiny = step(self, BinaryOp::Add, &upper, &Arg::Integer((bias - SHIFT) << 20))?;
        let of_special = step(self, BinaryOp::Or, &upper, &Arg::Integer(0x7ff0_0000))?;
        let high = Arg::Tile(self.select(word, &tiny, &of_tiny, &of_normal, e));
        let high = Arg::Tile(self.select(word, &finite, &high, &of_special, e));
        let high = Arg::Tile(self.select(word, &zero, &Arg::Integer(0), &high, e));
        let high = step(self, BinaryOp::Or, &high, &sign)?;
        match (low, high) {
            (Arg::Tile(low), Arg::Tile(high)) => {
                let unsigned = |view: View| View {
                    dtype: DType::U32,
                    ..view
                };
                Ok((unsigned(low.view), unsigned(high.view)))
            }
            _ => Err(Diagnostic::bug("the words of a number are tiles")),
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
            let e = Extent { p: rows, n };
            let mut result = f(self, &tiles, e)?;
            if result.dims != super::block::line(n) {
                // A loaded block that is passed on as it is may lie in another order than it is read in.
                let plain = self.sbuf(e, result.dtype, "plain");
                self.inst(Inst::TensorCopy {
                    dst: plain.clone(),
                    src: result,
                });
                result = plain;
            }
            self.store(&output, (0, rows), (c0, n), &result);
        }
        Ok(())
    }

    /// The `f32` nearest to an `f64` given by its words, ties to even: denormal numbers (by way of a number `2^64` times as
    /// large), infinities and NaN included.
    fn narrow_float(&mut self, low: &View, high: &View, e: Extent) -> Result<View> {
        const SHIFT: i64 = 64;
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
        let exponent = step(self, BinaryOp::ShiftRightLogical, &magnitude, &Arg::Integer(20))?;
        let test = |this: &mut Self, x: &Arg, op: AluOp, bound: f64| {
            let mask = this.sbuf(e, DType::U8, "mask");
            this.alu(&mask, x, &Arg::Number(bound), op, e);
            Self::tile(mask, e)
        };
        // Half of the last place, and whether more follows it or the last place is odd.
        let half = step(self, BinaryOp::ShiftRightLogical, &low, &Arg::Integer(28))?;
        let half = step(self, BinaryOp::And, &half, &Arg::Integer(1))?;
        let below = step(self, BinaryOp::And, &low, &Arg::Integer(0x0fff_ffff))?;
        let odd = step(self, BinaryOp::And, &lower, &Arg::Integer(1))?;
        let more = step(self, BinaryOp::Or, &below, &odd)?;
        let more = test(self, &more, AluOp::NotEqual, 0.0);
        let up = Arg::Tile(self.select(word, &more, &half, &Arg::Integer(0), e));
        // The exponent's upper bits fall out on the left; rebiasing happens modulo 2^32.
        let bits = step(self, BinaryOp::Or, &upper, &lower)?;
        let bits = step(self, BinaryOp::Subtract, &bits, &Arg::Integer((1023 - 127) << 23))?;
        let scaled = step(self, BinaryOp::Add, &bits, &Arg::Integer(SHIFT << 23))?;
        let bits = step(self, BinaryOp::Add, &bits, &up)?;
        let scaled = match scaled {
            Arg::Tile(val) => View {
                dtype: DType::F32,
                ..val.view
            },
            _ => return Err(Diagnostic::bug("scaled bits are a tile")),
        };
        let denormal = self.sbuf(e, DType::F32, "denormal");
        self.alu(
            &denormal,
            &Self::tile(scaled, e),
            &Arg::Number((-SHIFT as f64).exp2()),
            AluOp::Multiply,
            e,
        );
        let denormal = int(&denormal);
        let least = 1023 - 127;
        let small = test(self, &exponent, AluOp::IsLe, f64::from(least));
        let zero = test(self, &exponent, AluOp::IsLe, f64::from(least - 60));
        let large = test(self, &exponent, AluOp::IsGe, 1023.0 + 128.0);
        let bits = Arg::Tile(self.select(word, &small, &denormal, &bits, e));
        let bits = Arg::Tile(self.select(word, &zero, &Arg::Integer(0), &bits, e));
        let infinity = i64::from(f32::INFINITY.to_bits());
        let bits = Arg::Tile(self.select(word, &large, &Arg::Integer(infinity), &bits, e));
        // NaN: the largest exponent and some bit of the mantissa.
        let mantissa = step(self, BinaryOp::And, &high, &Arg::Integer(0x000f_ffff))?;
        let mantissa = step(self, BinaryOp::Or, &mantissa, &low)?;
        let some = test(self, &mantissa, AluOp::NotEqual, 0.0);
        let quiet = Arg::Tile(self.select(word, &some, &Arg::Integer(0x7fc0_0000), &Arg::Integer(infinity), e));
        let top = test(self, &exponent, AluOp::IsEqual, 2047.0);
        let bits = Arg::Tile(self.select(word, &top, &quiet, &bits, e));
        match step(self, BinaryOp::Or, &bits, &sign)? {
            Arg::Tile(val) => Ok(View {
                dtype: DType::F32,
                ..val.view
            }),
            _ => Err(Diagnostic::bug("narrowed bits are a tile")),
        }
    }
}
