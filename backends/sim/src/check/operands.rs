//! Judges each instruction and transfer on its own against the documented limits (`neuroncore.md` sections 2.2 and 3).

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{
    self, Ap, DMA_DIMS, DmaAccess, DmaOp, DmaSpace, Engine, Indirect, Instr, Op, Program, RegOrImm, Space, VarKind,
};
use ferrite_ir::machine::MachineModel;

use super::region;
use crate::elem::is_engine_dtype;
use crate::memory::HbmLayout;

/// A rule that an instruction breaks: lower case, no full stop.
pub type Finding = String;

/// Result of one rule.
pub type Rule = Result<(), Finding>;

/// Fails with a message unless the condition holds.
macro_rules! must {
    ($cond:expr, $($text:tt)+) => {
        if !$cond {
            return Err(format!($($text)+));
        }
    };
}
pub(super) use must;

/// Findings are cut off here: after so many, more say nothing new.
pub const FINDINGS_MAX: usize = 64;

/// Bytes one element of a transfer may move (our assumption: a ring holds no more descriptors).
const ELEMENT_BYTES_MAX: u128 = 1 << 32;

/// Every finding of a program, in stream order (at most 64).
pub fn check(program: &Program, model: &MachineModel) -> Vec<Diagnostic> {
    let mut findings = match check_parts(program, model) {
        Ok(findings) => findings,
        Err(findings) => return findings,
    };
    for engine in Engine::ALL {
        for (index, instr) in program.stream(engine).iter().enumerate() {
            if findings.len() >= FINDINGS_MAX {
                return findings;
            }
            findings.extend(check_instruction(engine, index, instr, program, model));
        }
    }
    findings
}

/// The finding of an instruction whose transfers and variables are there ([`check_reference`]).
pub fn check_instruction(
    engine: Engine,
    index: usize,
    instr: &Instr,
    program: &Program,
    model: &MachineModel,
) -> Option<Diagnostic> {
    let text = instruction(engine, instr, program, model).err()?;
    let name = crate::name::of(&instr.op);
    let message = format!("{engine} instruction {index} (`{name}`): {text}");
    Some(Diagnostic::error(Code::Illegal, message).at(program.locs.get(instr.loc)))
}

/// What an instruction names that is not there, of a stream of `count`: [`isa::verify`]'s rules, for instructions that come one by one.
///
/// # Errors
/// The rule that is broken.
pub fn check_reference(
    engine: Engine,
    index: usize,
    count: u64,
    instr: &Instr,
    program: &Program,
) -> Result<(), Diagnostic> {
    let (vars, queues) = (program.vars.len(), program.queues.len());
    let missing = match &instr.op {
        Op::DmaTrigger { transfer, .. } if *transfer as usize >= program.transfers.len() => {
            format!("starts transfer {transfer}")
        }
        Op::Branch { target, .. } if u64::from(*target) > count => format!("branches to {target}"),
        Op::DmaIndirect(i) if i.var.0 as usize >= vars => format!("names variable {}", i.var.0),
        Op::DmaIndirect(i) if i.others.iter().any(|v| v.0 as usize >= vars) => "picks a variable".to_string(),
        Op::DmaIndirect(i) if i.counter.is_none() && !i.others.is_empty() => "picks variables by a counter".to_string(),
        Op::DmaIndirect(i) if usize::from(i.queue) >= queues => format!("names queue {}", i.queue),
        Op::Collective(c) if c.src.0.max(c.dst.0) as usize >= vars => {
            format!("names variable {}", c.src.0.max(c.dst.0))
        }
        Op::Collective(c) if usize::from(c.queue) >= queues => format!("names queue {}", c.queue),
        _ => return Ok(()),
    };
    let text = format!("{engine} instruction {index} {missing}, which does not exist");
    Err(Diagnostic::error(Code::BadNeff, text))
}

/// The findings of all but the instructions.
///
/// # Errors
/// Findings after which no instruction can be judged.
pub fn check_parts(program: &Program, model: &MachineModel) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    let mut findings = Vec::new();
    if let Err(e) = isa::verify(program) {
        findings.push(e);
        return Err(findings); // indices cannot be trusted
    }
    if let Err(e) = check_io(program) {
        findings.push(Diagnostic::error(Code::BadNeff, e));
    }
    let layout = HbmLayout::new(program);
    let bytes = layout.block_bytes.iter().fold(0u64, |sum, &b| sum.saturating_add(b));
    if bytes > model.hbm.bytes_per_chip {
        let most = model.hbm.bytes_per_chip;
        let text = format!("the variables of the program take {bytes} bytes; the HBM of a chip has {most}");
        findings.push(Diagnostic::error(Code::Illegal, text));
        return Err(findings);
    }
    for (number, transfer) in program.transfers.iter().enumerate() {
        let rules = || -> Rule {
            semaphore(transfer.semaphore, model)?;
            for element in &transfer.elements {
                dma_side(&element.src, "source", program, &layout, model, false)?;
                dma_side(&element.dst, "destination", program, &layout, model, true)?;
                if element.op != DmaOp::Copy && element.src.dtype != element.dst.dtype || element.op == DmaOp::Add {
                    for side in [&element.src, &element.dst] {
                        must!(is_engine_dtype(side.dtype), "a DMA does not convert {}", side.dtype);
                    }
                }
            }
            super::transfers::no_byte_twice(&transfer.elements, &layout, model)
        };
        if let Err(text) = rules() {
            let at = program.locs.get(transfer.loc);
            findings.push(Diagnostic::error(Code::Illegal, format!("transfer {number}: {text}")).at(at));
        }
        if findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    Ok(findings)
}

/// Sizes of the caller's tensors against those of their variables.
fn check_io(program: &Program) -> Rule {
    for (i, var) in program.vars.iter().enumerate() {
        let (list, index, what) = match var.kind {
            VarKind::Input { index } => (&program.inputs, index, "input"),
            VarKind::Output { index } => (&program.outputs, index, "output"),
            VarKind::Const => {
                let len = var.data.as_ref().map_or(0, |d| d.len() as u64);
                must!(
                    len == var.bytes,
                    "constant `{}` has {len} bytes of data for {}",
                    var.name,
                    var.bytes
                );
                continue;
            }
            VarKind::Scratch { .. } => continue,
        };
        let Some(tensor) = list.get(index as usize) else {
            return Err(format!(
                "variable {i} (`{}`) names {what} {index}, which does not exist",
                var.name
            ));
        };
        let bytes =
            tensor_bytes(tensor).ok_or_else(|| format!("{what} `{}` has a shape without a size", tensor.name))?;
        must!(
            var.bytes >= bytes,
            "{what} `{}` has {bytes} bytes, its variable {}",
            tensor.name,
            var.bytes
        );
    }
    for output in &program.outputs {
        if let Some(input) = output.alias {
            must!(
                (input as usize) < program.inputs.len(),
                "output `{}` is an alias of input {input}",
                output.name
            );
        }
    }
    Ok(())
}

/// Bytes of a tensor that the caller binds; `None` for negative or excessive shapes.
pub fn tensor_bytes(tensor: &isa::IoTensor) -> Option<u64> {
    tensor.shape.iter().try_fold(tensor.dtype.bytes() as u64, |n, &d| {
        n.checked_mul(u64::try_from(d).ok()?)
    })
}

fn semaphore(number: u16, model: &MachineModel) -> Rule {
    must!(
        u64::from(number) < model.sync.semaphores,
        "there is no semaphore {number}: a core has {}",
        model.sync.semaphores
    );
    Ok(())
}

fn instruction(engine: Engine, instr: &Instr, program: &Program, model: &MachineModel) -> Rule {
    if let Some(wait) = instr.wait {
        semaphore(wait.semaphore, model)?;
        let max = (1u64 << model.sync.semaphore_bits) - 1;
        must!(
            u64::from(wait.value) <= max,
            "waits for {}, above the counter's {max}",
            wait.value
        );
    }
    if let Some(update) = instr.update {
        semaphore(update.semaphore, model)?;
    }
    let only = |wanted: Engine| {
        if engine == wanted {
            Ok(())
        } else {
            Err(format!("runs on the {wanted} engine only"))
        }
    };
    match &instr.op {
        Op::Compute(inst) => super::compute::inst(engine, inst, model),
        Op::ActTableLoad { set } => {
            only(Engine::Scalar)?;
            let sets = model.scalar.table_sets.sets.len();
            must!(
                (*set as usize) < sets,
                "there is no table set {set}: the model has {sets}"
            );
            Ok(())
        }
        Op::LoadStationary { src } => {
            only(Engine::Tensor)?;
            operand(engine, src, "stationary operand", model, false)?;
            let (k, m) = (u64::from(src.partitions), src.elements() as u64);
            must!(
                k <= model.pe.rows,
                "contracts {k} rows; the array has {}",
                model.pe.rows
            );
            must!(
                m <= model.pe.stationary_free_max,
                "{m} stationary columns; the array has {}",
                model.pe.stationary_free_max
            );
            must!(
                model.matmul_dtype_ok(src.dtype),
                "TensorE does not multiply {}",
                src.dtype
            );
            Ok(())
        }
        Op::MultiplyMoving {
            dst,
            moving,
            accumulate,
            transpose,
        } => {
            only(Engine::Tensor)?;
            multiply(dst, moving, *accumulate, *transpose, model)
        }
        Op::DmaTrigger { transfer, counter } => {
            let Some(t) = program.transfers.get(*transfer as usize) else {
                return Ok(());
            };
            if let Some(counter) = counter {
                registers(&[RegOrImm::Reg(*counter)], model)?;
            }
            queue(engine, t.queue, program)
        }
        Op::DmaIndirect(i) => {
            only(Engine::GpSimd)?;
            queue(engine, i.queue, program)?;
            indirect(i, program, model)
        }
        Op::Collective(c) => {
            queue(engine, c.queue, program)?;
            super::collective::collective(c, program, model)
        }
        Op::Semaphore | Op::Nop => Ok(()),
        Op::RangeClear { first, count } => {
            let end = u64::from(*first) + u64::from(*count);
            must!(
                end <= model.sync.semaphores,
                "clears semaphores up to {end}; a core has {}",
                model.sync.semaphores
            );
            Ok(())
        }
        Op::RegMove { dst, value } => registers(&[RegOrImm::Reg(*dst), *value], model),
        Op::RegAlu { dst, a, b, .. } => registers(&[RegOrImm::Reg(*dst), *a, *b], model),
        Op::Branch { a, b, .. } => registers(&[*a, *b], model),
        Op::RegLoad { dst, src } => {
            registers(&[RegOrImm::Reg(*dst)], model)?;
            // Every sequencer reads SBUF (our assumption).
            pattern(src, "operand", model)?;
            must!(src.space == Space::Sbuf, "loads a register from {}", src.space);
            must!(
                src.partitions == 1 && src.elements() == 1,
                "loads more than one element"
            );
            must!(
                matches!(src.dtype, DType::I32 | DType::U32),
                "loads {} into a register of 32 bits",
                src.dtype
            );
            Ok(())
        }
    }
}

fn registers(used: &[RegOrImm], model: &MachineModel) -> Rule {
    for r in used {
        if let RegOrImm::Reg(r) = r {
            let have = model.sync.registers_per_sequencer;
            must!(
                u64::from(r.0) < have,
                "there is no register {}: a sequencer has {have}",
                r.0
            );
        }
    }
    Ok(())
}

fn queue(engine: Engine, number: u16, program: &Program) -> Rule {
    let Some(queue) = program.queues.get(number as usize) else {
        return Ok(());
    };
    must!(
        queue.owner == engine,
        "starts a transfer of queue `{}`, which belongs to the {} engine",
        queue.name,
        queue.owner
    );
    Ok(())
}

/// The pattern itself: partitions, steps, counts, range.
pub(super) fn pattern(ap: &Ap, what: &str, model: &MachineModel) -> Rule {
    let limits = &model.limits;
    let Some(bytes) = model.partition_bytes(ap.space) else {
        return Err(format!("the {what} is in HBM, which engines do not reach"));
    };
    let (start, count) = (u64::from(ap.partition), u64::from(ap.partitions));
    must!(
        model.partition_range_ok(start, count),
        "the {what} has {count} partitions from {start}: up to {} may start at a multiple of {}, up to {} at 0 or {}, more at 0",
        limits.quadrant_partitions,
        limits.quadrant_partitions,
        limits.partitions / 2,
        limits.partitions / 2
    );
    must!(
        is_engine_dtype(ap.dtype),
        "the {what} is {}, which engines do not compute with",
        ap.dtype
    );
    must!(
        ap.dims.len() as u64 <= limits.free_dims_max,
        "the {what} has {} free dimensions of at most {}",
        ap.dims.len(),
        limits.free_dims_max
    );
    for d in &ap.dims {
        must!(d.count >= 1, "the {what} has an empty dimension");
        must!(
            u64::from(d.count) < 1 << limits.size_bits,
            "the {what} has a dimension of {} elements; counts have {} bits",
            d.count,
            limits.size_bits
        );
        let most = (1i64 << (limits.step_bits - 1)) - 1;
        must!(
            i64::from(d.step).abs() <= most,
            "the {what} has a step of {} elements; steps have {} bits",
            d.step,
            limits.step_bits
        );
        must!(d.step >= 0 || limits.negative_steps, "the {what} has a negative step");
    }
    let elements = ap.elements() as u64;
    let most = model.free_elements_max(ap.space).unwrap_or(u64::MAX);
    must!(
        elements <= most,
        "the {what} has {elements} elements per partition; {} operands have at most {most}",
        ap.space
    );
    let (low, high) = ap.byte_range();
    must!(
        low >= 0 && high <= bytes as i64,
        "the {what} touches bytes {low}..{high} of {} partitions, which have {bytes}",
        ap.space
    );
    let align = if ap.space == Space::Psum {
        model.psum.address_alignment_bytes
    } else {
        model.sbuf.address_alignment_bytes
    };
    must!(
        u64::from(ap.offset).is_multiple_of(align),
        "the {what} starts at byte {}, not a multiple of {align}",
        ap.offset
    );
    Ok(())
}

/// A tensor operand of an engine.
pub(super) fn operand(engine: Engine, ap: &Ap, what: &str, model: &MachineModel, write: bool) -> Rule {
    pattern(ap, what, model)?;
    if write {
        must!(
            engine.writes(ap.space),
            "the {engine} engine does not write {}",
            ap.space
        );
        must!(
            region::of_ap(ap).is_none_or(|(_, twice)| !twice),
            "the {what} writes a byte twice"
        );
    } else {
        must!(engine.reads(ap.space), "the {engine} engine does not read {}", ap.space);
    }
    Ok(())
}

fn multiply(dst: &Ap, moving: &Ap, accumulate: bool, transpose: bool, model: &MachineModel) -> Rule {
    operand(Engine::Tensor, moving, "moving operand", model, false)?;
    operand(Engine::Tensor, dst, "result", model, true)?;
    let n = moving.elements() as u64;
    must!(
        dst.elements() as u64 == n,
        "the result has {} columns, the moving operand {n}",
        dst.elements()
    );
    must!(
        model.matmul_dtype_ok(moving.dtype),
        "TensorE does not multiply {}",
        moving.dtype
    );
    must!(
        n <= model.moving_free_max(dst.dtype),
        "{n} moving columns of at most {}",
        model.moving_free_max(dst.dtype)
    );
    let narrow = dst.dtype.bytes() == 2 && transpose;
    let allowed = dst.dtype == DType::F32 || (dst.dtype == DType::BF16 && model.pe.bf16_result) || narrow;
    must!(allowed, "the result is {}; TensorE writes f32", dst.dtype);
    must!(
        !transpose || model.pe.transpose_mode,
        "{} has no transpose mode",
        model.core
    );
    must!(!(transpose && accumulate), "a transpose does not accumulate");
    let (low, high) = dst.byte_range();
    let bank = model.psum.bytes_per_bank as i64;
    let banks = (high - 1) / bank - low / bank + 1;
    must!(
        banks <= model.pe.result_banks_max as i64,
        "the result covers bytes {low}..{high}: {banks} PSUM banks of at most {}",
        model.pe.result_banks_max
    );
    Ok(())
}

fn indirect(i: &Indirect, program: &Program, model: &MachineModel) -> Rule {
    semaphore(i.semaphore, model)?;
    pattern(&i.tile, "tile", model)?;
    pattern(&i.index, "index", model)?;
    must!(
        i.tile.space == Space::Sbuf && i.index.space == Space::Sbuf,
        "an indirect transfer works on SBUF"
    );
    must!(
        i.index.elements() == 1 && i.index.partitions == i.tile.partitions,
        "one index per partition is needed"
    );
    must!(
        matches!(i.index.dtype, DType::I32 | DType::U32),
        "the index is {}, not a 32-bit integer",
        i.index.dtype
    );
    let row = i.tile.elements() as u64 * i.tile.dtype.bytes() as u64;
    must!(
        row == i.row_bytes,
        "a row has {} bytes, the tile {row} per partition",
        i.row_bytes
    );
    if let Some(counter) = i.counter {
        registers(&[RegOrImm::Reg(counter)], model)?;
    }
    let last =
        u128::from(i.rows.saturating_sub(1)) * u128::from(i.row_step) + u128::from(i.row_bytes) + u128::from(i.offset);
    for &id in std::iter::once(&i.var).chain(&i.others) {
        let Some(var) = program.vars.get(id.0 as usize) else {
            return Ok(());
        };
        must!(
            i.rows == 0 || last <= u128::from(var.bytes),
            "row {} ends at byte {last} of `{}`, which has {}",
            i.rows.saturating_sub(1),
            var.name,
            var.bytes
        );
        if i.kind != isa::IndirectKind::Gather {
            writable(id, program)?;
        }
    }
    Ok(())
}

/// Constants are never written; inputs only where an output shares their buffer.
fn writable(var: isa::VarId, program: &Program) -> Rule {
    let Some(var) = program.vars.get(var.0 as usize) else {
        return Ok(());
    };
    match var.kind {
        VarKind::Const => Err(format!("writes constant `{}`", var.name)),
        VarKind::Input { index } if !program.outputs.iter().any(|o| o.alias == Some(index)) => {
            Err(format!("writes input `{}`, which no output shares", var.name))
        }
        _ => Ok(()),
    }
}

fn dma_side(
    access: &DmaAccess,
    what: &str,
    program: &Program,
    layout: &HbmLayout,
    model: &MachineModel,
    write: bool,
) -> Rule {
    must!(
        access.dims.iter().all(|d| d.count >= 1),
        "the {what} has an empty dimension"
    );
    let size = access.dtype.bytes() as i64;
    let mut run = size;
    let mut steps = 0;
    for d in access.dims.iter().rev().filter(|d| d.count > 1) {
        if steps == 0 && d.step == run {
            run = run.saturating_mul(d.count as i64);
        } else {
            steps += 1;
        }
    }
    must!(
        steps <= DMA_DIMS,
        "the {what} has {steps} steps besides its contiguous run; at most {DMA_DIMS}"
    );
    let (mut low, mut high) = (i128::from(access.offset), i128::from(access.offset) + size as i128);
    for d in &access.dims {
        let reach = i128::from(d.step) * i128::from(d.count - 1);
        if reach < 0 { low += reach } else { high += reach }
    }
    let bytes = u128::from(access.elements()) * size as u128;
    must!(
        bytes <= ELEMENT_BYTES_MAX,
        "the {what} has {bytes} bytes; one element moves at most {ELEMENT_BYTES_MAX}"
    );
    match access.space {
        DmaSpace::Hbm(var) => {
            if write {
                writable(var, program)?;
            }
        }
        DmaSpace::Sbuf => {
            let partition = i128::from(model.sbuf.bytes_per_partition);
            let all = partition * i128::from(model.sbuf.partitions);
            must!(
                low >= 0 && high <= all,
                "the {what} touches bytes {low}..{high} of SBUF, which has {all}"
            );
            // Free dimensions stay inside a partition's usable bytes.
            let mut offset = i128::from(access.offset) % partition;
            let mut end = offset + i128::from(size);
            for d in access.dims.iter().filter(|d| d.count > 1) {
                let within = i128::from(d.step) % partition;
                let reach = within * i128::from(d.count - 1);
                if reach < 0 { offset += reach } else { end += reach }
            }
            let usable = model.sbuf.usable_bytes_per_partition;
            must!(
                offset >= 0 && end <= i128::from(usable),
                "the {what} touches bytes {offset}..{end} of SBUF partitions, which have {usable} usable"
            );
        }
    }
    if write {
        must!(
            !region::of_dma(access, layout, model).1,
            "the {what} writes a byte twice"
        );
    }
    Ok(())
}
