//! Gives sizes to the dimensions that a traced model left open.
//!
//! ```text
//! Before, with 0.0 = 4                                After
//!   func @f(%0: ?x8) -> ?x8                             func @f(%0: 4x8) -> 4x8
//!   %1 = get_dimension_size %0, dim = 0                 %4 = broadcast_in_dim %3 : 4x8
//!   %2 = concatenate %1, 8
//!   %4 = dynamic_broadcast_in_dim %3, %2 : ?x8
//! ```
//!
//! Parameters get their sizes; from there on, in rounds: types of results follow from those of operands, computations of
//! sizes become constants, dynamic forms of operations whose sizes are constants become static ones. A size that a model
//! compares with another one for equality (`shape_assertion`) is that one.
//!
//! Needs: verified `hlo`. Leaves: verified `hlo` after `inline`; dynamic where the sizes given do not say enough.

use std::collections::BTreeMap;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{
    ComparisonDirection, DYNAMIC, Dims, Func, Gather, Module, OpId, OpKind, Pad, RegionId, Slice, TensorType, Type,
    ValueId, infer,
};
use ferrite_ir::machine::MachineModel;

use super::{Canonicalize, FoldConstants, Inline};
use crate::options::CompileOptions;
use crate::pass::{HloPass, PassContext};

/// Rounds of propagation: our choice, more than sizes of real models depend on one another.
const MAX_ROUNDS: usize = 32;

/// A size for an open dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimBinding {
    /// Which one.
    pub dimension: OpenDimension,
    /// Its size.
    pub size: i64,
}

/// An open dimension of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenDimension {
    /// Dimension `1` of parameter `0` of the entry function.
    Of(usize, usize),
    /// The dimension variable that the exported model has under this name.
    Named(String),
}

impl DimBinding {
    /// `0.1=16` or `arg0.1=16` (parameter 0, dimension 1), or `b=16` (a name).
    ///
    /// # Errors
    /// If the text is none of these.
    pub fn parse(text: &str) -> Result<DimBinding> {
        let wrong = || {
            Diagnostic::error(Code::Usage, format!("`{text}` is no value of `--dim-binding`")).help(
                "give parameter, dimension and size as in `0.1=16`, or a name of the model and its size as in `b=16`",
            )
        };
        let (which, size) = text.split_once('=').ok_or_else(wrong)?;
        let which = which.trim();
        let size: i64 = size.trim().parse().map_err(|_| wrong())?;
        if size < 0 || which.is_empty() {
            return Err(wrong());
        }
        let place = which.strip_prefix("arg").unwrap_or(which).split_once('.');
        let dimension = match place.map(|(p, d)| (p.parse(), d.parse())) {
            Some((Ok(parameter), Ok(dimension))) => OpenDimension::Of(parameter, dimension),
            Some(_) => return Err(wrong()),
            None => OpenDimension::Named(which.to_string()),
        };
        Ok(DimBinding { dimension, size })
    }
}

/// Binds open dimensions of the entry function's parameters, and lets everything else follow.
///
/// # Errors
/// A binding that names no open dimension, or gives a second size; what the model asserts of its sizes and does not hold.
pub fn bind(module: &mut Module, bindings: &[DimBinding], machine: &MachineModel) -> Result<()> {
    let Some(entry) = module.entry() else {
        return Ok(());
    };
    let names = named(module);
    let options = CompileOptions::default();
    let mut cx = PassContext::new(machine, &options);
    Inline.run(module, &mut cx)?;
    let entry = module.entry().unwrap_or(entry);
    let same = equal_sizes(module.func(entry));
    let func = module.func_mut(entry);
    for binding in bindings {
        let (parameter, dimension) = match &binding.dimension {
            OpenDimension::Of(parameter, dimension) => (*parameter, *dimension),
            OpenDimension::Named(name) => *names.get(name).ok_or_else(|| unknown(name, &names))?,
        };
        bind_one(func, parameter, dimension, binding.size)?;
    }
    // Sizes that the model says are the same.
    for _ in 0..=same.len() {
        for &(a, b) in &same {
            for (known, open) in [(a, b), (b, a)] {
                if let (Some(size), Some(DYNAMIC)) = (size_of(func, known), size_of(func, open))
                    && size != DYNAMIC
                {
                    bind_one(func, open.0, open.1, size)?;
                }
            }
        }
    }
    for _ in 0..MAX_ROUNDS {
        let body = module.func(entry).body();
        refine(module.func_mut(entry), body);
        Canonicalize.run(module, &mut cx)?;
        FoldConstants.run(module, &mut cx)?;
        if is_static(module.func(entry)) {
            // Once more: what is static now may have been waited for.
            Canonicalize.run(module, &mut cx)?;
            break;
        }
    }
    Ok(())
}

type Place = (usize, usize);

fn size_of(func: &Func, (parameter, dimension): Place) -> Option<i64> {
    let ty = func.ty(*func.args().get(parameter)?).tensor()?;
    ty.shape.get(dimension).copied()
}

fn bind_one(func: &mut Func, parameter: usize, dimension: usize, size: i64) -> Result<()> {
    let wrong = |text: String| {
        Diagnostic::error(Code::Usage, text).help("`--dim-binding` gives sizes to open dimensions of parameters")
    };
    let Some(old) = size_of(func, (parameter, dimension)) else {
        return Err(wrong(format!(
            "the model has no dimension {dimension} of a parameter {parameter}"
        )));
    };
    if old != DYNAMIC && old != size {
        return Err(wrong(format!(
            "dimension {dimension} of parameter {parameter} has the size {old}, not {size}"
        )));
    }
    let v = func.args()[parameter];
    if let Type::Tensor(ty) = func.ty(v).clone() {
        let mut shape = ty.shape.clone();
        shape[dimension] = size;
        func.set_type(v, with_shape(&ty, shape).into());
    }
    Ok(())
}

fn with_shape(ty: &TensorType, shape: Dims) -> TensorType {
    TensorType { shape, ..ty.clone() }
}

fn unknown(name: &str, names: &BTreeMap<String, Place>) -> Diagnostic {
    let known: Vec<&str> = names.keys().map(String::as_str).collect();
    let help = if known.is_empty() {
        "the model names none: give parameter and dimension, as in `0.1=16`".to_string()
    } else {
        format!("the model names {}", known.join(", "))
    };
    Diagnostic::error(Code::Usage, format!("the model has no open dimension `{name}`")).help(help)
}

/// Dimension variables of an exported model: a parameter that is called so (`jax.global_constant`) is passed the size of
/// a dimension of the entry function's parameter.
fn named(module: &Module) -> BTreeMap<String, Place> {
    let mut found = BTreeMap::new();
    let Some(entry) = module.entry() else { return found };
    let func = module.func(entry);
    func.walk(func.body(), &mut |func, op| {
        let op = func.op(op);
        let OpKind::Call(call) = &op.kind else { return };
        let Some(callee) = module.funcs.iter().find(|f| f.name == call.callee) else {
            return;
        };
        for (param, &v) in callee.params.iter().zip(&op.operands) {
            let name = param.attrs.get("jax.global_constant").and_then(|a| a.as_str());
            if let (Some(name), Some(place)) = (name, size_read(func, v)) {
                found.insert(name.to_string(), place);
            }
        }
    });
    found
}

/// The parameter's dimension whose size a value is.
fn size_read(func: &Func, v: ValueId) -> Option<Place> {
    let op = func.op(func.def(v)?);
    match &op.kind {
        OpKind::GetDimensionSize(d) => {
            let parameter = func.args().iter().position(|a| *a == op.operands[0])?;
            Some((parameter, usize::try_from(d.dimension).ok()?))
        }
        OpKind::Convert => size_read(func, op.operands[0]),
        _ => None,
    }
}

/// Pairs of sizes that are compared for equality.
fn equal_sizes(func: &Func) -> Vec<(Place, Place)> {
    let mut pairs = Vec::new();
    for &op in &func.region(func.body()).ops {
        let op = func.op(op);
        if let OpKind::Compare(c) = &op.kind
            && c.direction == ComparisonDirection::Eq
            && let (Some(a), Some(b)) = (size_read(func, op.operands[0]), size_read(func, op.operands[1]))
        {
            pairs.push((a, b));
        }
    }
    pairs
}

fn is_static(func: &Func) -> bool {
    let mut all = true;
    func.walk(func.body(), &mut |func, op| {
        let mut results = func.op(op).results.iter();
        all &= results.all(|&r| func.ty(r).tensor().is_none_or(TensorType::is_static));
    });
    all
}

/// Gives the results of all operations the types that follow from what is known of their operands.
fn refine(func: &mut Func, region: RegionId) {
    for op in func.region(region).ops.clone() {
        let regions = func.op(op).regions.clone();
        if matches!(func.op(op).kind, OpKind::While) {
            let types: Vec<Type> = func.op(op).operands.iter().map(|&v| func.ty(v).clone()).collect();
            for &inner in &regions {
                for (arg, ty) in func.region(inner).args.clone().into_iter().zip(&types) {
                    func.set_type(arg, ty.clone());
                }
            }
        }
        for inner in regions {
            refine(func, inner);
        }
        let open = |&r: &ValueId| func.ty(r).tensor().is_some_and(|t| !t.is_static());
        if func.op(op).results.iter().any(open)
            && let Some(types) = result_types(func, op)
        {
            for (r, ty) in func.op(op).results.clone().into_iter().zip(types) {
                let merged = merge(func.ty(r), &ty);
                func.set_type(r, merged);
            }
        }
    }
}

/// What both types know.
fn merge(old: &Type, new: &Type) -> Type {
    match (old, new) {
        (Type::Tensor(o), Type::Tensor(n)) if o.rank() == n.rank() => {
            let sizes = o.shape.iter().zip(&n.shape);
            let shape = sizes.map(|(&o, &n)| if o == DYNAMIC { n } else { o }).collect();
            with_shape(o, shape).into()
        }
        _ => old.clone(),
    }
}

/// The integers of a constant.
fn numbers(func: &Func, v: Option<&ValueId>) -> Option<Dims> {
    match func.def_kind(*v?)? {
        OpKind::Constant(literal) => Some((0..literal.ty().element_count()).map(|i| literal.get_i64(i)).collect()),
        _ => None,
    }
}

fn result_types(func: &Func, id: OpId) -> Option<Vec<Type>> {
    let op = func.op(id);
    let operand = |i: usize| op.operands.get(i);
    let types: Vec<&Type> = op.operands.iter().map(|&v| func.ty(v)).collect();
    let result = func.ty(*op.results.first()?).tensor()?.clone();
    let shaped = |shape: Dims| Some(vec![Type::from(with_shape(&result, shape))]);
    let static_form = |kind: OpKind, count: usize| infer(&kind, &types[..count.min(types.len())], &[], None).ok();
    match &op.kind {
        OpKind::DynamicIota(_) => shaped(numbers(func, operand(0))?),
        OpKind::DynamicReshape | OpKind::DynamicBroadcastInDim(_) => shaped(numbers(func, operand(1))?),
        OpKind::DynamicPad => {
            let pad = Pad {
                low: numbers(func, operand(2))?,
                high: numbers(func, operand(3))?,
                interior: numbers(func, operand(4))?,
            };
            static_form(OpKind::Pad(pad), 2)
        }
        OpKind::RealDynamicSlice => {
            let slice = Slice {
                start: numbers(func, operand(1))?,
                limit: numbers(func, operand(2))?,
                strides: numbers(func, operand(3))?,
            };
            static_form(OpKind::Slice(slice), 1)
        }
        OpKind::DynamicGather(g) => {
            let gather = Gather {
                slice_sizes: numbers(func, operand(2))?,
                ..g.clone()
            };
            static_form(OpKind::Gather(gather), 2)
        }
        OpKind::Reshape => {
            let from = types.first()?.tensor().filter(|t| t.is_static())?;
            let known: i64 = result.shape.iter().filter(|&&d| d != DYNAMIC).product();
            let open = result.shape.iter().filter(|&&d| d == DYNAMIC).count();
            let count = from.element_count() as i64;
            if open != 1 || known == 0 || count % known != 0 {
                return None;
            }
            let fill = |&d: &i64| if d == DYNAMIC { count / known } else { d };
            shaped(result.shape.iter().map(fill).collect())
        }
        OpKind::Convert | OpKind::BitcastConvert => {
            let from = types.first()?.tensor()?;
            (from.rank() == result.rank() && from.dtype.bits() == result.dtype.bits()
                || matches!(op.kind, OpKind::Convert))
            .then(|| vec![Type::from(with_shape(&result, from.shape.clone()))])
        }
        kind => {
            let yields: Vec<Vec<Type>> = op
                .regions
                .iter()
                .map(|&r| func.region(r).results.iter().map(|&v| func.ty(v).clone()).collect())
                .collect();
            infer(kind, &types, &yields, None).ok()
        }
    }
}
