//! What a term costs on the machine: an estimate of its own time, from the machine model alone.
//!
//! Views are free where lowering makes them access patterns, so they have the least price there is: of two programs that
//! differ in views only, the one with fewer wins. A transpose may have to be made on the PE array by who reads it, and has a
//! price per element for that. Element-wise work counts what streams through each partition; data movement that copies counts
//! bytes read and written; a contraction counts its multiplications. Calls and leaves are the same in every choice.

use ferrite_ir::hlo::{BinaryOp, DotDims, OpKind, TensorType, UnaryOp};
use ferrite_ir::machine::cost::{Alu, Stream, Work};
use ferrite_ir::machine::{Engine, MachineModel, Space};

use super::language::Kind;

/// The least price: what is free still counts, so that less of it is better.
const FREE: u64 = 1;

/// Picoseconds of a term with this type and operands.
pub(super) fn price(machine: &MachineModel, kind: &Kind, ty: &TensorType, operands: &[&TensorType]) -> u64 {
    use OpKind::*;
    let op = match kind {
        Kind::Leaf(_) => return FREE,
        Kind::Reduce { .. } => {
            let input = operands.first().copied().unwrap_or(ty);
            return streamed(machine, &Work::TensorReduce(Alu::Add), input, &[input]);
        }
        Kind::Op(op) => op,
    };
    match op {
        // In every choice alike.
        Constant(_) | Iota(_) => FREE,
        Reshape | BroadcastInDim(_) | Slice(_) | Reverse(_) => FREE,
        Transpose(_) => transposed(machine, ty),
        Unary(UnaryOp::Negate | UnaryOp::Abs | UnaryOp::Not) | Convert | BitcastConvert | ReducePrecision(_) => {
            streamed(machine, &Work::TensorScalar(Alu::Multiply, None), ty, operands)
        }
        Unary(_) | CustomCall(_) => streamed(machine, &Work::Activation { reduce: false }, ty, operands),
        // A division is a reciprocal and a product.
        Binary(BinaryOp::Divide) => {
            let streams = &operands[..operands.len().min(1)];
            let product = streamed(machine, &Work::TensorTensor(Alu::Multiply), ty, operands);
            product + streamed(machine, &Work::Reciprocal, ty, streams)
        }
        Binary(_) | Compare(_) | Select | Clamp | Complex => {
            streamed(machine, &Work::TensorTensor(Alu::Add), ty, operands)
        }
        DotGeneral(dot) => contracted(machine, &dot.dims, ty, operands),
        _ => moved(machine, ty, operands),
    }
}

/// Element-wise work: elements over partitions, at the pace of the engine that does it best.
fn streamed(machine: &MachineModel, work: &Work, ty: &TensorType, operands: &[&TensorType]) -> u64 {
    let partitions = machine.sbuf.partitions.max(1) as usize;
    let n = ty.element_count().div_ceil(partitions).max(1) as u64;
    let stream = |t: &TensorType| Stream::contiguous(Space::Sbuf, t.dtype);
    let inputs: Vec<Stream> = operands.iter().take(2).map(|t| stream(t)).collect();
    let engines = machine.engines(work).iter();
    let costs = engines.filter_map(|&engine| {
        let cycles = machine.cost(engine, work, n, &inputs, stream(ty))?;
        Some(machine.ps(engine, cycles.occupancy))
    });
    costs.min().unwrap_or_else(|| machine.ps(Engine::Vector, n)).max(FREE)
}

/// The elements pass the PE array once, a column of the moving operand for each row of them.
fn transposed(machine: &MachineModel, ty: &TensorType) -> u64 {
    let side = (machine.pe.rows * machine.pe.columns).max(1);
    let columns = (ty.element_count() as u64 * machine.pe.columns).div_ceil(side);
    machine.ps(Engine::Tensor, columns).max(FREE)
}

/// What is read and written, at the rate that memory sustains, and the start of a transfer.
fn moved(machine: &MachineModel, ty: &TensorType, operands: &[&TensorType]) -> u64 {
    let bytes: usize = operands.iter().map(|t| t.byte_size()).sum::<usize>() + ty.byte_size();
    let seconds = bytes as f64 / machine.dma_bytes_per_s() + machine.dma.start_ns * 1e-9;
    (seconds * 1e12) as u64
}

/// Multiplications at the peak of the wider operand's type, with the PE array as full as the operands make it.
fn contracted(machine: &MachineModel, dims: &DotDims, ty: &TensorType, operands: &[&TensorType]) -> u64 {
    let [lhs, rhs] = operands else { return FREE };
    let extent = |t: &TensorType, d: &i64| t.shape.get(*d as usize).copied().unwrap_or(1).max(1);
    let k: i64 = dims.lhs_contracting.iter().map(|d| extent(lhs, d)).product();
    let rows = machine.pe.rows.max(1) as i64;
    // Rows of the array that a short sum leaves idle cost as much as busy ones.
    let k = (k + rows - 1) / rows * rows;
    let dtype = if lhs.dtype.bits() >= rhs.dtype.bits() {
        lhs.dtype
    } else {
        rhs.dtype
    };
    let operations = 2.0 * ty.element_count() as f64 * k as f64;
    let columns = machine.ps(Engine::Tensor, machine.pe.issue_interval_cycles);
    (operations / machine.peak_flops(dtype) * 1e12) as u64 + columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_ir::diag::Result;
    use ferrite_ir::dtype::DType;
    use ferrite_ir::hlo::Concatenate;

    #[test]
    fn views_are_free_and_copies_are_not() -> Result<()> {
        let machine = MachineModel::target("inf2")?;
        let ty = TensorType::new(DType::F32, &[256, 1024]);
        let cost = |op: OpKind| price(&machine, &Kind::Op(op), &ty, &[&ty]);
        assert_eq!(cost(OpKind::Reshape), FREE);
        let add = cost(OpKind::Binary(BinaryOp::Add));
        let copy = cost(OpKind::Concatenate(Concatenate { dimension: 0 }));
        assert!(FREE < add && add < copy, "{add} {copy}");
        Ok(())
    }

    #[test]
    fn work_grows_with_elements_and_with_their_size() -> Result<()> {
        let machine = MachineModel::target("trn2")?;
        let cost = |dtype, n| {
            let ty = TensorType::new(dtype, &[128, n]);
            price(&machine, &Kind::Op(OpKind::Binary(BinaryOp::Add)), &ty, &[&ty, &ty])
        };
        assert!(cost(DType::F32, 4096) > 3 * cost(DType::F32, 1024));
        assert!(cost(DType::BF16, 4096) <= cost(DType::F32, 4096));
        Ok(())
    }
}
