//! What the documents say must be refused, independent of what Ferrite could do: integer operations that were not
//! permitted to lose width, 8-bit floats that a target does not have, programs too large.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, Func, Module, Op, OpId, OpKind, Type, ValueId};
use ferrite_ir::isa;
use ferrite_ir::literal::Literal;
use ferrite_ir::machine::{Generation, MachineModel};

use crate::options::CompileOptions;

/// Checks a module as it was imported. Errors: all that are found, each at its operation.
pub fn check(module: &Module, options: &CompileOptions, machine: &MachineModel) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    for func in &module.funcs {
        func.walk(func.body(), &mut |func, id| {
            let found =
                integer_downcast(func, id, options, machine).or_else(|| element_types(func, func.op(id), machine));
            errors.extend(found.map(|e| e.at(module.locs.get(func.op(id).loc))));
        });
    }
    errors.extend(io_size(module, machine));
    errors.extend(logical_core(options, machine));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Checks the number of instructions.
pub fn check_size(program: &isa::Program, options: &CompileOptions) -> Result<()> {
    let count = program.instruction_count();
    if count <= options.max_instructions {
        return Ok(());
    }
    let text = format!(
        "the program has {count} instructions; the limit is {}",
        options.max_instructions
    );
    Err(Diagnostic::error(Code::Ncc("EBVF030"), text)
        .help("divide the model over more cores, or raise `--internal-max-instruction-limit`"))
}

/// Takes F8E4M3FN tensors as F8E4M3: same bytes, other meaning of the largest exponent.
pub fn reinterpret_e4m3fn(module: &mut Module) {
    for func in &mut module.funcs {
        for index in 0..func.value_count() {
            let id = ValueId(index as u32);
            if let Type::Tensor(ty) = func.ty(id)
                && ty.dtype == DType::F8E4M3FN
            {
                let ty = ty.with_dtype(DType::F8E4M3);
                func.set_type(id, ty.into());
            }
        }
        for index in 0..func.op_count() {
            let op = func.op_mut(OpId(index as u32));
            if let OpKind::Constant(literal) = &mut op.kind
                && literal.ty().dtype == DType::F8E4M3FN
            {
                let ty = literal.ty().with_dtype(DType::F8E4M3);
                if let Some(same_bytes) = Literal::new(ty, literal.raw().clone()) {
                    *literal = same_bytes;
                }
            }
        }
    }
}

fn dtype_of(func: &Func, value: Option<&ValueId>) -> Option<DType> {
    value.and_then(|&v| func.ty(v).tensor()).map(|t| t.dtype)
}

fn integer_downcast(func: &Func, id: OpId, options: &CompileOptions, machine: &MachineModel) -> Option<Diagnostic> {
    let op = func.op(id);
    let dtype = dtype_of(func, op.operands.first())?;
    let wide = matches!(dtype, DType::I64 | DType::U64);
    let word = matches!(dtype, DType::I32 | DType::U32);
    let allowed = options.integer_downcast;
    let (code, name) = match &op.kind {
        // 32-bit dots are refused on trn2 and later; the first generation computes them with a warning.
        OpKind::DotGeneral(_) | OpKind::Dot(_)
            if !allowed.dot && (wide || word && machine.generation != Generation::V2) =>
        {
            ("EVRF035", "dot")
        }
        OpKind::Scatter(_) if !allowed.scatter && (wide || word) && combines(func, op) => ("EVRF060", "scatter"),
        OpKind::AllReduce(_) if !allowed.all_reduce && (wide || word) => ("EVRF061", "all_reduce"),
        OpKind::ReduceScatter(_) if !allowed.reduce_scatter && (wide || word) => ("EVRF063", "reduce_scatter"),
        OpKind::Binary(BinaryOp::Power) if !allowed.pow && wide => ("EVRF062", "pow"),
        _ => return None,
    };
    let text = format!("`{name}` of {dtype} needs a wider type than the machine computes it in");
    Some(Diagnostic::error(Code::Ncc(code), text).help(format!(
        "permit it with `--implicit-integer-downcast {name}`, or use a floating-point type"
    )))
}

/// Whether a scatter's body computes with the old value, rather than replacing it.
fn combines(func: &Func, op: &Op) -> bool {
    op.regions
        .first()
        .is_some_and(|&body| !func.region(body).ops.is_empty())
}

/// Element types that a target does not compute with.
fn element_types(func: &Func, op: &Op, machine: &MachineModel) -> Option<Diagnostic> {
    let values = op.operands.iter().chain(&op.results);
    let mut dtypes = values.filter_map(|v| dtype_of(func, Some(v)));
    dtypes.find_map(|dtype| element_type(dtype, machine))
}

fn element_type(dtype: DType, machine: &MachineModel) -> Option<Diagnostic> {
    let name = &machine.name;
    match dtype {
        DType::F8E4M3FN if !machine.pe.fp8_e4m3fn => Some(
            Diagnostic::error(Code::Ncc("EVRF051"), format!("{name} does not compute with {dtype}")).help(
                "use f8E4M3 in the model, or reinterpret the bytes with \
                 `--internal-hlo2tensorizer-options=--experimental-unsafe-fp8e4m3fn-as-fp8e4m3`",
            ),
        ),
        DType::F8E4M3FNUZ | DType::F8E4M3B11FNUZ | DType::F8E5M2FNUZ => {
            let text = format!("no NeuronCore computes with {dtype}");
            Some(Diagnostic::error(Code::Ncc("EVRF005"), text).help("use f8E4M3 or f8E5M2"))
        }
        DType::F8E3M4 if !machine.pe.fp8_e3m4 => Some(narrow_float(dtype, name)),
        // A power of two: the scale of a block, not a number to compute with.
        DType::F8E8M0FNU => Some(narrow_float(dtype, name)),
        DType::F4E2M1FN | DType::F6E2M3FN | DType::F6E3M2FN => {
            let text = format!("there is no code generation for {dtype}");
            Some(
                Diagnostic::error(Code::Ncc("ESPP004"), text)
                    .help("convert it to f8E4M3 or bf16 before the compilation"),
            )
        }
        _ => None,
    }
}

fn narrow_float(dtype: DType, target: &str) -> Diagnostic {
    let text = format!("{target} does not compute with {dtype}");
    Diagnostic::error(Code::Ncc("ESPP047"), text).help("use f8E4M3, f8E5M2 or bf16")
}

fn logical_core(options: &CompileOptions, machine: &MachineModel) -> Option<Diagnostic> {
    let (n, allowed) = (options.logical_core, &machine.chip.logical_core_allowed);
    (!allowed.contains(&u64::from(n))).then(|| {
        let text = format!(
            "a logical core of {n} physical cores does not exist on {}",
            machine.name
        );
        Diagnostic::error(Code::Ncc("EARG001"), text).help(format!("give one of {allowed:?} with `--lnc`"))
    })
}

fn io_size(module: &Module, machine: &MachineModel) -> Option<Diagnostic> {
    let func = module.func(module.entry()?);
    let bytes = |ty: &Type| ty.tensor().map_or(0, |t| t.byte_size() as u64);
    let inputs: u64 = func.args().iter().map(|&v| bytes(func.ty(v))).sum();
    // Donated inputs are counted once: their outputs lie in the same buffer.
    let donated: Vec<usize> = func.params.iter().filter_map(|p| p.alias.map(|a| a.output)).collect();
    let results = func.result_types();
    let outputs: u64 = outputs_of(&results, &donated).map(|(_, ty)| bytes(ty)).sum();
    let (total, limit) = (inputs.saturating_add(outputs), machine.hbm.bytes_per_core);
    if total <= limit {
        return None;
    }
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    let mut largest: Vec<(u64, String)> = Vec::new();
    largest.extend(
        func.args()
            .iter()
            .enumerate()
            .map(|(i, &v)| (bytes(func.ty(v)), format!("input {i}: {}", func.ty(v)))),
    );
    largest.extend(outputs_of(&results, &donated).map(|(i, ty)| (bytes(ty), format!("output {i}: {ty}"))));
    largest.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let list: Vec<String> = largest
        .iter()
        .take(LARGEST)
        .map(|(size, what)| format!("{what}, {:.2} GiB", gib(*size)))
        .collect();
    Some(
        Diagnostic::error(
            Code::Ncc("EVRF009"),
            format!(
                "inputs and outputs take {:.1} GiB of HBM; a {} NeuronCore has {:.1} GiB",
                gib(total),
                machine.name,
                gib(limit)
            ),
        )
        .label(format!(
            "inputs {:.1}, outputs {:.1}; the largest are {}",
            gib(inputs),
            gib(outputs),
            list.join("; ")
        ))
        .help("use a smaller batch or a smaller dtype, or divide the model over more cores"),
    )
}

/// Tensors that a program too large for memory is told (our choice).
const LARGEST: usize = 5;

/// Outputs with memory of their own.
fn outputs_of<'t>(results: &'t [Type], donated: &'t [usize]) -> impl Iterator<Item = (usize, &'t Type)> {
    results.iter().enumerate().filter(|(i, _)| !donated.contains(i))
}

#[cfg(test)]
mod tests {
    use ferrite_ir::hlo::{Dot, TensorType};
    use ferrite_ir::loc::LocId;

    use super::*;
    use crate::options::IntegerDowncast;

    fn dot(dtype: DType) -> Module {
        let mut func = Func::new("main");
        let ty = TensorType::new(dtype, &[2, 2]);
        let body = func.body();
        let x = func.add_arg(body, ty.clone().into());
        let kind = OpKind::Dot(Dot { precision: Vec::new() });
        let op = func.append(body, kind, &[x, x], vec![ty.into()], &[], LocId::UNKNOWN);
        let result = func.result(op);
        func.region_mut(body).results.push(result);
        Module {
            funcs: vec![func],
            ..Module::default()
        }
    }

    fn codes(module: &Module, options: &CompileOptions, target: &str) -> Vec<Code> {
        let machine = MachineModel::target(target).unwrap();
        let errors = check(module, options, &machine).err().unwrap_or_default();
        errors.into_iter().map(|e| e.code).collect()
    }

    #[test]
    fn integer_dots_need_permission_as_documented() {
        let none = CompileOptions {
            integer_downcast: IntegerDowncast::all(false),
            ..CompileOptions::default()
        };
        assert_eq!(codes(&dot(DType::I32), &none, "trn2"), [Code::Ncc("EVRF035")]);
        assert_eq!(codes(&dot(DType::I32), &none, "trn1"), []);
        assert_eq!(codes(&dot(DType::I64), &none, "trn1"), [Code::Ncc("EVRF035")]);
        assert_eq!(codes(&dot(DType::I64), &CompileOptions::default(), "trn2"), []);
    }

    #[test]
    fn e4m3fn_is_refused_until_it_is_reinterpreted() {
        let mut module = dot(DType::F8E4M3FN);
        let options = CompileOptions::default();
        assert_eq!(codes(&module, &options, "trn2"), [Code::Ncc("EVRF051")]);
        reinterpret_e4m3fn(&mut module);
        assert_eq!(codes(&module, &options, "trn2"), []);
    }
}
