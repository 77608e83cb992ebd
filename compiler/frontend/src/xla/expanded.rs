//! Instructions without an operation of their own, said with others.

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    AllToAll, Attr, BinaryOp, Builder, ComparisonDirection, CustomCall, OpKind, ScanLoop, TensorType, Type, UnaryOp,
    ValueId, Violation,
};
use ferrite_ir::literal::Literal;

use super::kinds;
use super::lower::{Leaves, Lowering, Site};
use super::message::*;

type Lowered<T> = Result<T, Diagnostic>;

/// The state that code which XLA generates through LLVM begins with.
pub(super) const FIRST_STATE: u128 = 0x701_2395;

impl<'p> Lowering<'p, '_> {
    /// The values of an instruction that other operations express; `None` for another.
    pub(super) fn expanded(
        &mut self,
        site: &mut Site,
        p: &'p HloInstructionProto,
        operands: &[ValueId],
        types: &[Type],
    ) -> Lowered<Option<Leaves>> {
        let values = match &*p.opcode {
            "rng-get-and-update-state" => self.random_state(site, p, types)?,
            "stochastic-convert" => {
                let built = stochastic_convert(site, operands, types);
                built.map_err(|violation| self.error(p, violation))?
            }
            "dynamic-reshape" => {
                let built = dynamic_reshape(site, operands, types);
                built.map_err(|violation| self.error(p, violation))?
            }
            // Without a dimension each operand goes to one member of the group.
            "all-to-all" if p.dimensions.is_empty() && operands.len() > 1 => {
                let collective = kinds::collective(p).map_err(|message| self.error(p, message))?;
                let built = all_to_all(site, collective, operands);
                built.map_err(|violation| self.error(p, violation))?
            }
            "ragged-all-to-all" => {
                let collective = kinds::collective(p).map_err(|message| self.error(p, message))?;
                let groups = collective.replica_groups.iter();
                let groups = groups.map(|group| Attr::Array(group.iter().map(|&id| Attr::Int(id, 64)).collect()));
                let config = [
                    ("channel_id".to_string(), Attr::Int(collective.channel_id, 64)),
                    ("replica_groups".to_string(), Attr::Array(groups.collect())),
                ];
                // As StableHLO carries it.
                let call = CustomCall {
                    target: "ragged_all_to_all".to_string(),
                    has_side_effect: false,
                    backend_config: Attr::Dict(config.into()),
                    api_version: 4,
                    called_computations: Vec::new(),
                    operand_layouts: None,
                    result_layouts: None,
                    output_operand_aliases: Vec::new(),
                };
                site.add(OpKind::CustomCall(Box::new(call)), operands, types.to_vec())
            }
            "scan" => self.scan(site, p, operands, types)?,
            _ => return Ok(None),
        };
        Ok(Some(values))
    }

    /// The state before the update. A program has no memory of its own: it begins with the same state each time, and a
    /// loop sees one state.
    fn random_state(&mut self, site: &mut Site, p: &HloInstructionProto, types: &[Type]) -> Lowered<Leaves> {
        let [Type::Tensor(ty)] = types else {
            return Err(self.error(p, "it needs one result"));
        };
        let literal = Literal::new(ty.clone(), self.random.to_le_bytes().to_vec());
        let literal = literal.filter(|_| ty.dtype == DType::U64 && ty.rank() == 1);
        let literal = literal.ok_or_else(|| self.error(p, "its result must be u64[2]"))?;
        self.random = self.random.wrapping_add(p.delta as u128);
        Ok(site.add(OpKind::Constant(literal), &[], types.to_vec()))
    }

    fn scan(
        &mut self,
        site: &mut Site,
        p: &'p HloInstructionProto,
        operands: &[ValueId],
        types: &[Type],
    ) -> Lowered<Leaves> {
        // The numbers of its fields in the binary form are not public.
        let Some(options) = p.scan_options.clone() else {
            let text = "`scan` is read from HLO text only";
            let help = "write the module as text, or the scan as a `while`";
            return Err(Diagnostic::error(Code::Unsupported, text).help(help));
        };
        let results: Option<Vec<TensorType>> = types.iter().map(|ty| ty.tensor().cloned()).collect();
        let results = results.ok_or_else(|| self.error(p, "its results must be arrays"))?;
        let carries = usize::try_from(options.num_carries).unwrap_or(usize::MAX);
        let counts = (
            operands.len().saturating_sub(carries),
            results.len().saturating_sub(carries),
        );
        let &[dimension] = &p.dimensions[..] else {
            return Err(self.error(p, "it needs one dimension"));
        };
        let shape = ScanLoop::new(site.func, operands, results, counts, dimension, options.is_reverse)
            .map_err(|message| self.error(p, message))?;
        let inner = self.called(p, 0)?;
        let values = shape.build(site.func, site.region, site.loc, operands, |func, region, values| {
            let arguments: Vec<Leaves> = values.iter().map(|&v| Leaves::from_slice(&[v])).collect();
            self.computation(func, region, inner, &arguments)
                .map(|values| values.to_vec())
        })?;
        Ok(values.into_iter().collect())
    }
}

/// Rounds to an integer up or down, up as often as the fraction says: where the random number is below it.
fn stochastic_convert(site: &mut Site, operands: &[ValueId], types: &[Type]) -> Result<Leaves, Violation> {
    let wrong = |text: &str| Violation::new("stochastic-convert", text);
    let (&[x, random], [Type::Tensor(to)]) = (operands, types) else {
        return Err(wrong("it takes a value and random bits, and gives one array"));
    };
    let mut b = Builder::new(site.func, site.region, site.loc);
    let (from, bits) = (b.tensor(x)?.dtype, b.tensor(random)?.dtype);
    if !from.is_float() || !bits.is_int() || !to.dtype.is_int() {
        return Err(wrong("it converts floats to integers, with unsigned random bits"));
    }
    // Of 16-bit floats the fraction times 2^16 has no place in their own type.
    let wide = if from == DType::F64 { DType::F64 } else { DType::F32 };
    let x = b.convert(x, wide)?;
    let size = b.unary(UnaryOp::Abs, x)?;
    let whole = b.unary(UnaryOp::Floor, size)?;
    let fraction = b.sub(size, whole)?;
    let steps = b.like_f(fraction, (bits.bits() as f64).exp2())?;
    let scaled = b.mul(fraction, steps)?;
    let threshold = b.convert(scaled, bits)?;
    let up = b.compare(ComparisonDirection::Lt, random, threshold)?;
    let one = b.like_f(whole, 1.0)?;
    let next = b.binary(BinaryOp::Add, whole, one)?;
    let rounded = b.select(up, next, whole)?;
    let zero = b.like_f(x, 0.0)?;
    let negative = b.compare(ComparisonDirection::Lt, x, zero)?;
    let opposite = b.unary(UnaryOp::Negate, rounded)?;
    let signed = b.select(negative, opposite, rounded)?;
    // Infinities and NaN convert as they do without rounding: to the ends of the range and to 0.
    let finite = b.unary(UnaryOp::IsFinite, x)?;
    let signed = b.select(finite, signed, x)?;
    Ok([b.convert(signed, to.dtype)?].into_iter().collect())
}

/// `dynamic-reshape` takes its sizes as scalars, StableHLO's in one array.
fn dynamic_reshape(site: &mut Site, operands: &[ValueId], types: &[Type]) -> Result<Leaves, Violation> {
    let (Some((&x, sizes)), [Type::Tensor(_)]) = (operands.split_first(), types) else {
        return Err(Violation::new(
            "dynamic-reshape",
            "it takes an array and its sizes, and gives one array",
        ));
    };
    let mut b = Builder::new(site.func, site.region, site.loc);
    let sizes: Vec<ValueId> = sizes.iter().map(|&v| b.reshape(v, &[1])).collect::<Result<_, _>>()?;
    let shape = b.concatenate(&sizes, 0)?;
    let values = b.op(OpKind::DynamicReshape, &[x, shape], Some(types))?;
    Ok(values.into_iter().collect())
}

/// Operands side by side, exchanged, and taken apart.
fn all_to_all(
    site: &mut Site,
    collective: ferrite_ir::hlo::Collective,
    operands: &[ValueId],
) -> Result<Leaves, Violation> {
    let mut b = Builder::new(site.func, site.region, site.loc);
    let shape = b.tensor(operands[0])?.shape.clone();
    let mut row = vec![1];
    row.extend(shape.iter().copied());
    let rows: Vec<ValueId> = operands.iter().map(|&v| b.reshape(v, &row)).collect::<Result<_, _>>()?;
    let all = b.concatenate(&rows, 0)?;
    let exchange = OpKind::AllToAll(AllToAll {
        collective,
        split_dimension: 0,
        concat_dimension: 0,
        split_count: operands.len() as i64,
    });
    let all = b.op1(exchange, &[all])?;
    let part = |b: &mut Builder<'_>, i: usize| {
        let row = b.slice_dim(all, 0, i as i64, 1)?;
        b.reshape(row, &shape)
    };
    (0..operands.len()).map(|i| part(&mut b, i)).collect()
}
