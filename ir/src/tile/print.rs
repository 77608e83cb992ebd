//! From [`Program`] to MLIR text: generic operations of a dialect `tile`.
//!
//! Tiles and buffers are results of `tile.tile` and `tile.buffer`. An operation has NKI's name; its operands are the
//! tiles and buffers it touches, and `views` says, operand by operand, which part of each and in which role. Constants
//! are printed with their size, not their bytes.

use super::{BufferKind, Inst, Op, OpKind, Program, Role, Scalar, ScalarStep, Touched, View};
use crate::text::{
    self, Attr, Block, Document, NamedAttr, Operation, PrintOptions, Region, ResultGroup, Type, ValueUse,
};

/// Prints a program.
pub fn print(program: &Program) -> String {
    let options = PrintOptions {
        generic: true,
        ..PrintOptions::default()
    };
    text::print(&document(program), options)
}

/// The tree of a program.
pub fn document(program: &Program) -> Document<'_> {
    let mut block = Block::default();
    for (index, buffer) in program.buffers.iter().enumerate() {
        let mut op = definition("tile.buffer", format!("b{index}"), "tile.buffer");
        let kind = match &buffer.kind {
            BufferKind::Input(_) => "input",
            BufferKind::Output(_) => "output",
            BufferKind::Const(_) => "const",
            BufferKind::Scratch => "scratch",
        };
        op.set("kind", string(kind));
        if let BufferKind::Input(n) | BufferKind::Output(n) = buffer.kind {
            op.set("number", integer(i128::from(n)));
        }
        op.set("bytes", integer(i128::from(buffer.bytes)));
        op.set("name", Attr::String(buffer.name.as_str().into()));
        block.operations.push(op);
    }
    for (index, tile) in program.tiles.iter().enumerate() {
        let mut op = definition("tile.tile", format!("t{index}"), "tile.tile");
        op.set("space", string(tile.space.name()));
        op.set("partitions", integer(i128::from(tile.partitions)));
        op.set("bytes", integer(i128::from(tile.bytes)));
        op.set("name", string(tile.name));
        block.operations.push(op);
    }
    block.operations.extend(program.ops.iter().map(operation));
    let mut top = Operation::new("builtin.module");
    top.regions.push(Region { blocks: vec![block] });
    Document::of(top)
}

fn definition<'a>(name: &'static str, result: String, ty: &'static str) -> Operation<'a> {
    let mut op = Operation::new(name);
    op.results.push(ResultGroup {
        name: result.into(),
        count: 1,
    });
    op.result_types.push(dialect(ty));
    op
}

fn dialect(name: &'static str) -> Type<'static> {
    Type::Dialect {
        name: name.into(),
        body: None,
    }
}

fn string(text: &str) -> Attr<'_> {
    Attr::String(text.into())
}

fn integer<'a>(value: i128) -> Attr<'a> {
    Attr::Integer { value, ty: None }
}

fn float<'a>(bits: u32) -> Attr<'a> {
    Attr::Integer {
        value: i128::from(bits),
        ty: Some(Box::new(Type::Scalar("i32".into()))),
    }
}

fn named<'a>(name: &'static str, value: Attr<'a>) -> NamedAttr<'a> {
    NamedAttr {
        name: name.into(),
        value,
    }
}

fn integers<'a>(values: impl Iterator<Item = i128>) -> Attr<'a> {
    Attr::DenseArray {
        element: "i64".into(),
        values: values.map(text::Scalar::Int).collect(),
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Read => "read",
        Role::Write => "write",
        Role::ReadWrite => "read_write",
        Role::ReadScalar => "read_scalar",
        Role::WriteScalar => "write_scalar",
    }
}

/// `{dims, dtype, offset, partitions}` of a view; dims are step and count in turn.
fn view_attr<'a>(role: Role, view: &View) -> Attr<'a> {
    let dims = view.dims.iter().flat_map(|d| [i128::from(d.step), i128::from(d.count)]);
    let partitions = [i128::from(view.partition), i128::from(view.partitions)];
    Attr::Dict(vec![
        named("dims", integers(dims)),
        named("dtype", Attr::Type(Type::Scalar(view.dtype.mlir().into()))),
        named("offset", integer(i128::from(view.offset))),
        named("partitions", integers(partitions.into_iter())),
        named("role", string(role_name(role))),
    ])
}

fn operation<'a>(op: &Op) -> Operation<'a> {
    let mut out = Operation::new(format!("tile.{}", op.name()));
    let mut views = Vec::new();
    op.for_each(|role, touched| {
        let (name, ty, attr) = match touched {
            Touched::Tile(view) => (format!("t{}", view.tile.0), "tile.tile", view_attr(role, view)),
            Touched::Hbm(h) => {
                let dims = h.dims.iter().flat_map(|d| [i128::from(d.step), i128::from(d.count)]);
                let attr = Attr::Dict(vec![
                    named("dims", integers(dims)),
                    named("dtype", Attr::Type(Type::Scalar(h.dtype.mlir().into()))),
                    named("offset", integer(i128::from(h.offset))),
                    named("role", string(role_name(role))),
                ]);
                (format!("b{}", h.buffer.0), "tile.buffer", attr)
            }
            Touched::Buffer(b) => {
                let attr = Attr::Dict(vec![named("role", string(role_name(role)))]);
                (format!("b{}", b.0), "tile.buffer", attr)
            }
        };
        out.operands.push(ValueUse {
            name: name.into(),
            number: 0,
            offset: 0,
        });
        out.operand_types.push(dialect(ty));
        views.push(attr);
    });
    out.set("views", Attr::Array(views));
    if let Some(engine) = op.engine {
        out.set("engine", string(engine.name()));
    }
    match &op.kind {
        OpKind::Matmul {
            accumulate, transpose, ..
        } => {
            out.set("accumulate", Attr::Bool(*accumulate));
            out.set("transpose", Attr::Bool(*transpose));
        }
        OpKind::Compute(inst) => inst_attrs(inst, &mut out),
        OpKind::Dma(pieces) => {
            let ops = pieces.iter().map(|p| match p.op {
                super::DmaOp::Copy => string("copy"),
                super::DmaOp::Cast => string("cast"),
                super::DmaOp::Add => string("add"),
            });
            out.set("pieces", Attr::Array(ops.collect()));
        }
        OpKind::Indirect(i) => {
            let kind = match i.kind {
                super::IndirectKind::Gather => "gather",
                super::IndirectKind::Scatter => "scatter",
                super::IndirectKind::ScatterAdd => "scatter_add",
            };
            out.set("kind", string(kind));
            out.set("offset", integer(i128::from(i.offset)));
            out.set("row_step", integer(i128::from(i.row_step)));
            out.set("row_bytes", integer(i128::from(i.row_bytes)));
            out.set("rows", integer(i128::from(i.rows)));
            let skip = i.out_of_bounds == super::OutOfBounds::Skip;
            out.set("skip_out_of_bounds", Attr::Bool(skip));
        }
    }
    out
}

/// A scalar: the bits of an immediate, or that it is an operand.
fn scalar<'a>(s: &Scalar<View>) -> Attr<'a> {
    match s {
        Scalar::Imm(bits) => float(*bits),
        Scalar::PerPartition(_) => string("operand"),
    }
}

fn step<'a>(s: &ScalarStep<View>) -> Attr<'a> {
    Attr::Dict(vec![
        named("op", string(s.op.name())),
        named("reverse", Attr::Bool(s.reverse)),
        named("scalar", scalar(&s.scalar)),
    ])
}

fn inst_attrs(inst: &Inst<View>, out: &mut Operation<'_>) {
    match inst {
        Inst::Activation {
            func,
            scale,
            bias,
            accumulate,
            ..
        } => {
            out.set("func", string(func.name()));
            out.set("scale", scalar(scale));
            out.set("bias", scalar(bias));
            out.set("accumulate", Attr::Bool(accumulate.is_some()));
        }
        Inst::TensorTensor { op, .. } | Inst::PartitionReduce { op, .. } => out.set("op", string(op.name())),
        Inst::TensorScalar { first, second, .. } => {
            out.set("first", step(first));
            if let Some(second) = second {
                out.set("second", step(second));
            }
        }
        Inst::ScalarTensorTensor {
            first, op1, reverse1, ..
        } => {
            out.set("first", step(first));
            out.set("op1", string(op1.name()));
            out.set("reverse1", Attr::Bool(*reverse1));
        }
        Inst::TensorTensorScan { initial, op0, op1, .. } => {
            out.set("initial", scalar(initial));
            out.set("op0", string(op0.name()));
            out.set("op1", string(op1.name()));
        }
        Inst::TensorReduce { op, dims, negate, .. } => {
            out.set("op", string(op.name()));
            out.set("dims", integer(i128::from(*dims)));
            out.set("negate", Attr::Bool(*negate));
        }
        Inst::Memset { bits, .. } => out.set("bits", float(*bits)),
        Inst::StreamShuffle { mask, .. } => out.set("mask", integers(mask.iter().map(|&m| i128::from(m)))),
        Inst::MatchReplace8 { replacement, .. } => out.set("replacement", float(*replacement)),
        Inst::Iota {
            base,
            channel_multiplier,
            steps,
            ..
        } => {
            out.set("base", integer(i128::from(*base)));
            out.set("channel_multiplier", integer(i128::from(*channel_multiplier)));
            out.set("steps", integers(steps.iter().map(|&s| i128::from(s))));
        }
        Inst::AffineSelect {
            base,
            channel_multiplier,
            steps,
            compare,
            fill,
            ..
        } => {
            out.set("base", integer(i128::from(*base)));
            out.set("channel_multiplier", integer(i128::from(*channel_multiplier)));
            out.set("steps", integers(steps.iter().map(|&s| i128::from(s))));
            out.set("compare", string(compare.name()));
            out.set("fill", float(*fill));
        }
        Inst::BnStats { .. }
        | Inst::BnAggr { .. }
        | Inst::TensorCopy { .. }
        | Inst::CopyPredicated { .. }
        | Inst::Reciprocal { .. }
        | Inst::Transpose32 { .. }
        | Inst::Max8 { .. }
        | Inst::FindIndex8 { .. }
        | Inst::NGather { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AluOp, Space};
    use super::*;
    use crate::dtype::DType;
    use crate::isa::ApDim;
    use crate::loc::LocId;

    #[test]
    fn a_dump_is_mlir_that_reads_back() {
        let mut program = Program::default();
        let x = program.add_tile(Space::Sbuf, 128, 64, "x");
        let view = View {
            tile: x,
            partition: 0,
            partitions: 128,
            offset: 0,
            dtype: DType::BF16,
            dims: [ApDim { step: 2, count: 16 }].into_iter().collect(),
        };
        let memset = Inst::Memset {
            dst: view.clone(),
            bits: 7,
        };
        program.push(OpKind::Compute(memset), LocId::UNKNOWN);
        let add = Inst::TensorScalar {
            dst: view.clone(),
            src: view,
            first: ScalarStep::imm(AluOp::Add, 1.5),
            second: None,
        };
        program.push(OpKind::Compute(add), LocId::UNKNOWN);
        let text = print(&program);
        assert!(text.contains("\"tile.tensor_scalar\"(%t0, %t0)"), "{text}");
        let read = text::parse(&text).unwrap();
        assert_eq!(read.operations, document(&program).operations, "{text}");
    }
}
