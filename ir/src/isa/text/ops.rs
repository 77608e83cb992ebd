//! The table of instructions: name in text, and fields in the order in which they are printed.

use std::borrow::Cow;

use crate::isa::*;
use crate::text::schema::{Attributes, OpDef, Shape};
use crate::text::{Attr, NamedAttr, Operation};

use super::field::{Field, OperandField, Read};

/// Reads the attributes of an operation, and knows afterwards which it did not ask for.
pub(crate) struct Fields<'o, 'a> {
    operation: &'o Operation<'a>,
    asked: Vec<&'static str>,
}

impl<'o, 'a> Fields<'o, 'a> {
    pub(crate) fn new(operation: &'o Operation<'a>) -> Self {
        Fields {
            operation,
            asked: Vec::new(),
        }
    }

    pub(crate) fn attr(&mut self, name: &'static str) -> Option<&'o Attr<'a>> {
        self.asked.push(name);
        self.operation.attr(name)
    }

    pub(crate) fn get<T: Field>(&mut self, name: &'static str) -> Read<T> {
        T::get(self.attr(name)).map_err(|what| format!("`{name}`: {what}"))
    }

    /// Refuses what nobody asked for: an attribute that is silently dropped would be a mistake that nobody sees.
    pub(crate) fn end(self) -> Read<()> {
        let Operation {
            properties, attributes, ..
        } = self.operation;
        match properties
            .iter()
            .chain(attributes)
            .find(|a| !self.asked.contains(&&*a.name))
        {
            Some(unknown) => Err(format!("`{}` has no attribute `{}`", self.operation.name, unknown.name)),
            None => Ok(()),
        }
    }
}

/// The attributes of an operation, to be printed.
#[derive(Default)]
pub(crate) struct Attrs(pub(crate) Vec<NamedAttr<'static>>);

impl Attrs {
    pub(crate) fn put(&mut self, name: &'static str, value: &impl Field) {
        self.put_attr(name, value.put());
    }

    pub(crate) fn put_attr(&mut self, name: &'static str, value: Option<Attr<'static>>) {
        self.0.extend(value.map(|value| NamedAttr {
            name: name.into(),
            value,
        }));
    }
}

/// Both directions of a list of `"name" => Variant { fields }`.
macro_rules! table {
    ($vis:vis [$($generics:tt)*] $ty:ty, $put:ident, $get:ident, $list:ident, $($name:literal => $($path:ident)::+ { $($field:ident),* })* $(else $other:pat)?) => {
        $vis fn $put<$($generics)*>(value: &$ty, attrs: &mut Attrs) -> &'static str {
            match value {
                $($($path)::+ { $($field),* } => {
                    $(attrs.put(stringify!($field), $field);)*
                    $name
                })*
                $($other => unreachable!("instructions with operands have tables of their own"),)?
            }
        }

        $vis fn $get<$($generics)*>(name: &str, fields: &mut Fields) -> Read<Option<$ty>> {
            Ok(Some(match name {
                $($name => $($path)::+ { $($field: fields.get(stringify!($field))?),* },)*
                _ => return Ok(None),
            }))
        }

        $vis fn $list<$($generics)*>() -> Vec<(&'static str, $crate::text::schema::Attributes)> {
            vec![$(($name, table!(@attributes $ty; ($($path)::+) $($field)*))),*]
        }
    };
    (@attributes $ty:ty; $path:tt $($field:ident)*) => {
        vec![$((stringify!($field), table!(@shape $ty; $path $field))),*]
    };
    (@shape $ty:ty; ($($path:ident)::+) $field:ident) => {
        $crate::isa::text::ops::shape_of(|value: &$ty| match value {
            $($path)::+ { $field, .. } => Some($field),
            #[allow(unreachable_patterns)] // the one variant of a struct
            _ => None,
        })
    };
}

/// The shape of the attribute of a field, known by how it is reached.
pub(crate) fn shape_of<V, F: Field>(_: impl for<'v> Fn(&'v V) -> Option<&'v F>) -> Shape {
    F::shape()
}

pub(crate) use table;

// The names are [`Inst::name`]'s, without a dialect: both lower levels have these instructions.
table! { pub(crate) [A: OperandField] Inst<A>, put_inst, get_inst, inst_attributes,
    "activation" => Inst::Activation { dst, src, func, scale, bias, accumulate }
    "tensor_tensor" => Inst::TensorTensor { dst, a, b, op }
    "tensor_scalar" => Inst::TensorScalar { dst, src, first, second }
    "scalar_tensor_tensor" => Inst::ScalarTensorTensor { dst, src, first, b, op1, reverse1 }
    "tensor_tensor_scan" => Inst::TensorTensorScan { dst, a, b, initial, op0, op1 }
    "tensor_reduce" => Inst::TensorReduce { dst, src, op, dims, negate }
    "bn_stats" => Inst::BnStats { dst, src }
    "bn_aggr" => Inst::BnAggr { dst, src }
    "tensor_copy" => Inst::TensorCopy { dst, src }
    "memset" => Inst::Memset { dst, bits }
    "tensor_copy_predicated" => Inst::CopyPredicated { dst, src, pred }
    "reciprocal" => Inst::Reciprocal { dst, src }
    "transpose" => Inst::Transpose32 { dst, src }
    "nc_stream_shuffle" => Inst::StreamShuffle { dst, src, mask }
    "max8" => Inst::Max8 { dst, src }
    "nc_find_index8" => Inst::FindIndex8 { dst, src, values }
    "nc_match_replace8" => Inst::MatchReplace8 { dst, src, values, replacement }
    "iota" => Inst::Iota { dst, base, channel_multiplier, steps }
    "affine_select" => Inst::AffineSelect { dst, src, base, channel_multiplier, steps, compare, fill }
    "nc_n_gather" => Inst::NGather { dst, src, index }
    "partition_reduce" => Inst::PartitionReduce { dst, src, op }
}

table! { [] Op, put_control, get_control, control_attributes,
    "isa.act_table_load" => Op::ActTableLoad { set }
    "isa.load_stationary" => Op::LoadStationary { src }
    "isa.multiply_moving" => Op::MultiplyMoving { dst, moving, accumulate, transpose }
    "isa.dma_trigger" => Op::DmaTrigger { transfer, counter }
    "isa.event_semaphore" => Op::Semaphore {}
    "isa.event_semaphore_range_clear" => Op::RangeClear { first, count }
    "isa.register_move" => Op::RegMove { dst, value }
    "isa.register_alu" => Op::RegAlu { dst, op, a, b }
    "isa.register_load" => Op::RegLoad { dst, src }
    "isa.compare_branch" => Op::Branch { cond, a, b, target }
    "isa.nop" => Op::Nop {}
    else Op::Compute(_) | Op::DmaIndirect(_) | Op::Collective(_)
}

table! { [] Indirect, put_indirect, get_indirect, indirect_attributes,
    "isa.dma_indirect" => Indirect {
        kind, queue, semaphore, tile, index, var, counter, others, offset, row_step, row_bytes, rows, out_of_bounds
    }
}

table! { [] Collective, put_collective, get_collective, collective_attributes,
    "isa.collective" => Collective {
        kind, op, dtype, channel, queue, semaphore, src, src_offset, dst, dst_offset, bytes, groups
    }
}

/// Every instruction, with the attributes that all have.
pub(super) fn definitions() -> Vec<OpDef> {
    let inst = inst_attributes::<Ap>();
    let rest = [indirect_attributes(), collective_attributes(), control_attributes()];
    let rest = rest.into_iter().flatten();
    let with_order = |mut attributes: Attributes| {
        attributes.push(("wait", <Option<Wait>>::shape()));
        attributes.push(("update", <Option<Update>>::shape()));
        attributes
    };
    inst.into_iter()
        .chain(rest.map(|(name, attributes)| (name.trim_start_matches("isa."), attributes)))
        .map(|(name, attributes)| OpDef::new(name, with_order(attributes)))
        .collect()
}

/// Name and attributes of what an instruction does.
pub(super) fn put(op: &Op, attrs: &mut Attrs) -> Cow<'static, str> {
    match op {
        Op::Compute(inst) => format!("isa.{}", put_inst(inst, attrs)).into(),
        Op::DmaIndirect(indirect) => put_indirect(indirect, attrs).into(),
        Op::Collective(collective) => put_collective(collective, attrs).into(),
        control => put_control(control, attrs).into(),
    }
}

/// The inverse of [`put`].
pub(super) fn get(operation: &Operation, fields: &mut Fields) -> Read<Op> {
    let name = &*operation.name;
    if let Some(instruction) = name.strip_prefix("isa.")
        && let Some(inst) = get_inst(instruction, fields)?
    {
        return Ok(Op::Compute(inst));
    }
    if let Some(indirect) = get_indirect(name, fields)? {
        return Ok(Op::DmaIndirect(Box::new(indirect)));
    }
    if let Some(collective) = get_collective(name, fields)? {
        return Ok(Op::Collective(Box::new(collective)));
    }
    get_control(name, fields)?.ok_or_else(|| format!("`{name}` is no instruction"))
}
