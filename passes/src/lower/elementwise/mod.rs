//! Operations on tiles as engine instructions.
//!
//! Vector and Scalar compute in fp32; 32-bit integers are exact on GpSimd (add, subtract, multiply) or in bit operations,
//! and everything else about them is built from those. Floats are in `float`, integers in `integer`, what lies between
//! them in `convert`, `compare` and `reduce`.

mod compare;
mod convert;
mod float;
mod integer;
mod reduce;

use ferrite_ir::diag::{Code, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, UnaryOp};
use ferrite_ir::tile::{ActFunc, AluOp, Inst, Scalar, ScalarStep, Space, View};

use super::Lower;
use super::block::{line, repeat};
pub(super) use convert::stores_saturated;
pub(super) use float::Hint;

/// An operand of an operation on tiles.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    /// The same real number everywhere.
    Number(f64),
    /// The same integer everywhere.
    Integer(i64),
    /// A tile.
    Tile(Val),
}

/// A value on chip.
#[derive(Clone, Debug)]
pub(super) struct Val {
    pub view: View,
    /// One value per partition, standing for every column.
    pub row: bool,
}

/// Shape of what is computed: partitions and elements per partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub p: i64,
    pub n: i64,
}

fn is_wide_int(dtype: DType) -> bool {
    matches!(dtype, DType::I32 | DType::U32)
}

impl Lower<'_> {
    pub(super) fn sbuf(&mut self, e: Extent, dtype: DType, name: &'static str) -> View {
        self.new_tile(Space::Sbuf, e.p, e.n, dtype, name)
    }

    /// A tile for the result of an operation of the program: the place it is wanted at, if it fits there.
    fn value_tile(&mut self, e: Extent, dtype: DType) -> View {
        match self.wanted.take() {
            Some(view) if view.dtype == dtype && i64::from(view.partitions) == e.p && view.elements() as i64 == e.n => {
                view
            }
            _ => self.sbuf(e, dtype, "value"),
        }
    }

    fn unsupported<T>(&self, what: String) -> Result<T> {
        Err(self
            .error_at(self.loc, Code::Unsupported, what)
            .help("this operation has no device lowering yet; compute it on the host or in another dtype"))
    }

    /// `[128, 1]` with one number, kept for the whole program.
    fn constant_column(&mut self, dtype: DType, bits: u32) -> View {
        let p = self.machine.limits.partitions as i64;
        if let Some(view) = self.cache.columns.get(&(dtype, bits)) {
            return view.clone();
        }
        let view = self.new_tile(Space::Sbuf, p, 1, dtype, "constant");
        self.inst(Inst::Memset {
            dst: view.clone(),
            bits,
        });
        self.cache.columns.insert((dtype, bits), view.clone());
        view
    }

    /// Raw bits of a number in a dtype of at most 32 bits.
    pub(super) fn bits_of(arg: &Arg, dtype: DType) -> u32 {
        let mut bytes = [0u8; 16];
        match arg {
            Arg::Number(x) => ferrite_ir::literal::write_f64(dtype, *x, &mut bytes),
            Arg::Integer(x) => ferrite_ir::literal::write_i64(dtype, *x, &mut bytes),
            Arg::Tile(_) => {}
        }
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// The operand as an access pattern over `e`, constants from a column of constants.
    pub(super) fn tensor(&mut self, arg: &Arg, e: Extent, dtype: DType) -> View {
        match arg {
            Arg::Tile(v) if v.row => repeat(&v.view, e.n),
            Arg::Tile(v) => v.view.clone(),
            other => {
                let column = self.constant_column(dtype, Self::bits_of(other, dtype));
                repeat(
                    &View {
                        partitions: e.p as u16,
                        ..column
                    },
                    e.n,
                )
            }
        }
    }

    /// The operand in SBUF with exactly this dtype.
    fn tensor_as(&mut self, arg: &Arg, e: Extent, dtype: DType) -> View {
        let mut view = self.tensor(arg, e, dtype);
        if is_wide_int(view.dtype) && is_wide_int(dtype) {
            view.dtype = dtype; // the same bits
        }
        if view.dtype == dtype && self.program.tile(view.tile).space == Space::Sbuf {
            return view;
        }
        let dst = self.sbuf(e, dtype, "cast");
        self.inst(Inst::TensorCopy {
            dst: dst.clone(),
            src: view,
        });
        dst
    }

    fn number(arg: &Arg) -> Option<f64> {
        match arg {
            Arg::Number(x) => Some(*x),
            Arg::Integer(x) => Some(*x as f64),
            Arg::Tile(_) => None,
        }
    }

    /// A scalar operand of Vector's instructions, if the argument can be one.
    fn scalar(&self, arg: &Arg) -> Option<Scalar<View>> {
        match arg {
            Arg::Tile(v) if v.row && v.view.dtype == DType::F32 => Some(Scalar::PerPartition(View {
                dims: line(1),
                ..v.view.clone()
            })),
            Arg::Tile(_) => None,
            other => Self::number(other).map(|x| Scalar::f32(x as f32)),
        }
    }

    fn in_psum(&self, view: &View) -> bool {
        self.program.tile(view.tile).space == Space::Psum
    }

    /// `dst = a op b` in fp32, in the cheapest form.
    pub(super) fn alu(&mut self, dst: &View, a: &Arg, b: &Arg, op: AluOp, e: Extent) {
        let full = |arg: &Arg| matches!(arg, Arg::Tile(v) if !v.row || e.n == 1);
        let (sa, sb) = (self.scalar(a), self.scalar(b));
        if let (true, Some(scalar)) = (full(a), sb) {
            let src = self.tensor(a, e, dst.dtype);
            let first = ScalarStep {
                op,
                scalar,
                reverse: false,
            };
            self.inst(Inst::TensorScalar {
                dst: dst.clone(),
                src,
                first,
                second: None,
            });
        } else if let (true, Some(scalar)) = (full(b), sa) {
            let src = self.tensor(b, e, dst.dtype);
            let first = ScalarStep {
                op,
                scalar,
                reverse: true,
            };
            self.inst(Inst::TensorScalar {
                dst: dst.clone(),
                src,
                first,
                second: None,
            });
        } else {
            let a = self.tensor(a, e, DType::F32);
            let mut b = self.tensor(b, e, DType::F32);
            if op == AluOp::Multiply && a == b && self.in_psum(&a) {
                // No instruction reads two operands from PSUM; a square has but one.
                self.inst(Inst::Activation {
                    dst: dst.clone(),
                    src: a,
                    func: ActFunc::Square,
                    scale: Scalar::f32(1.0),
                    bias: Scalar::f32(0.0),
                    accumulate: None,
                });
                return;
            }
            if self.in_psum(&a) && self.in_psum(&b) {
                let copy = self.sbuf(e, DType::F32, "copy");
                self.inst(Inst::TensorCopy {
                    dst: copy.clone(),
                    src: b,
                });
                b = copy;
            }
            self.inst(Inst::TensorTensor {
                dst: dst.clone(),
                a,
                b,
                op,
            });
        }
    }

    fn alu_f32(&mut self, a: &Arg, b: &Arg, op: AluOp, e: Extent) -> Arg {
        let dst = self.sbuf(e, DType::F32, "t");
        self.alu(&dst, a, b, op, e);
        Self::tile(dst, e)
    }

    pub(super) fn tile(view: View, e: Extent) -> Arg {
        Arg::Tile(Val { view, row: e.n == 1 })
    }

    /// `(src first) second` with immediates.
    fn two_step(&mut self, dtype: DType, src: &Arg, first: (AluOp, f32), second: (AluOp, f32), e: Extent) -> Arg {
        let dst = self.sbuf(e, dtype, "t");
        let src = self.tensor(src, e, DType::F32);
        self.inst(Inst::TensorScalar {
            dst: dst.clone(),
            src,
            first: ScalarStep::imm(first.0, first.1),
            second: Some(ScalarStep::imm(second.0, second.1)),
        });
        Self::tile(dst, e)
    }

    /// `func(scale * src + bias)` on ScalarE.
    pub(super) fn activate(&mut self, dst: &View, src: &Arg, func: ActFunc, scale: f32, bias: f32, e: Extent) {
        let src = self.tensor(src, e, DType::F32);
        let bias = if bias == 0.0 {
            Scalar::f32(0.0)
        } else {
            let column = self.constant_column(DType::F32, bias.to_bits());
            Scalar::PerPartition(View {
                partitions: e.p as u16,
                ..column
            })
        };
        self.inst(Inst::Activation {
            dst: dst.clone(),
            src,
            func,
            scale: Scalar::f32(scale),
            bias,
            accumulate: None,
        });
    }

    /// A binary operation on values of one dtype.
    pub(super) fn binary(&mut self, op: BinaryOp, dtype: DType, a: &Arg, b: &Arg, e: Extent) -> Result<Val> {
        let dst = self.value_tile(e, dtype);
        if dtype.is_float() {
            self.float_binary(op, &dst, a, b, e)?;
        } else {
            self.int_binary(op, &dst, a, b, e)?;
        }
        Ok(Val {
            view: dst,
            row: e.n == 1,
        })
    }

    /// A unary operation on values of one dtype.
    pub(super) fn unary(&mut self, op: UnaryOp, dtype: DType, x: &Arg, hint: Hint, e: Extent) -> Result<Val> {
        let boolean = matches!(op, UnaryOp::IsFinite);
        let dst = self.value_tile(e, if boolean { DType::U8 } else { dtype });
        if dtype.is_float() {
            self.float_unary(op, dtype, &dst, x, hint, e)?;
        } else {
            self.int_unary(op, &dst, x, e)?;
        }
        Ok(Val {
            view: dst,
            row: e.n == 1,
        })
    }

    /// An activation function that came as a custom call.
    pub(super) fn activation_call(&mut self, target: &str, dtype: DType, x: &Arg, e: Extent) -> Result<Val> {
        let func = match target {
            "AwsNeuronGelu" => ActFunc::Gelu,
            "AwsNeuronGeluApprxTanh" => ActFunc::GeluApprxTanh,
            "AwsNeuronSilu" => ActFunc::Silu,
            crate::hlo::GELU_DERIVATIVE => ActFunc::GeluDx,
            other => return self.unsupported(format!("the custom call `{other}` has no device lowering")),
        };
        let dst = self.value_tile(e, dtype);
        self.activate(&dst, x, func, 1.0, 0.0, e);
        Ok(Val {
            view: dst,
            row: e.n == 1,
        })
    }

    /// `dst = predicate ? yes : no`.
    fn select_into(&mut self, dst: &View, predicate: &Arg, yes: &Arg, no: &Arg, e: Extent) {
        let dtype = dst.dtype;
        // Bytes are moved as they are: infinities of types that engines store with saturation too.
        let raw = |view: View| match stores_saturated(view.dtype) {
            Some(_) if view.dtype == dtype => View {
                dtype: DType::U8,
                ..view
            },
            _ => view,
        };
        let dst = raw(dst.clone());
        match no {
            Arg::Tile(_) => {
                let src = raw(self.tensor(no, e, dtype));
                self.inst(Inst::TensorCopy { dst: dst.clone(), src });
            }
            constant => {
                let bits = Self::bits_of(constant, dtype);
                self.inst(Inst::Memset { dst: dst.clone(), bits });
            }
        }
        let src = raw(self.tensor_as(yes, e, dtype));
        let pred = self.tensor(predicate, e, DType::U8);
        self.inst(Inst::CopyPredicated { dst, src, pred });
    }

    /// `predicate ? yes : no`.
    pub(super) fn select(&mut self, dtype: DType, predicate: &Arg, yes: &Arg, no: &Arg, e: Extent) -> Val {
        let dst = self.value_tile(e, dtype);
        self.select_into(&dst, predicate, yes, no, e);
        Val {
            view: dst,
            row: e.n == 1,
        }
    }
}
