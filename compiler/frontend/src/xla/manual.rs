//! Shardy's manual computations, which XLA carries as a call between two custom calls.
//!
//! `xla.sdy.GlobalToLocalShape` hands the parts of arrays to a computation whose name begins with
//! `xla.sdy.manual_computation_body`, and `xla.sdy.LocalToGlobalShape` joins the parts of its results; shardings and axes
//! are frontend attributes. Meshes are one of the module's.

use std::collections::BTreeMap;

use ferrite_ir::diag::Diagnostic;
use ferrite_ir::hlo::print::attribute_text;
use ferrite_ir::hlo::{Attr, ManualComputation, OpKind, ShardingConstraint, parse};

use super::lower::{Leaves, Lowering, Site};
use super::message::*;

type Lowered<T> = Result<T, Diagnostic>;

/// What takes arrays apart.
pub(super) const TO_LOCAL: &str = "xla.sdy.GlobalToLocalShape";
/// What joins parts to arrays.
pub(super) const TO_GLOBAL: &str = "xla.sdy.LocalToGlobalShape";
/// How the names of bodies begin.
pub(super) const BODY: &str = "xla.sdy.manual_computation_body";
/// The module's attribute with the meshes.
pub(super) const MESHES: &str = "xla.sdy.meshes";
/// What constrains the sharding of an array.
pub(super) const SHARDING: &str = "Sharding";
const ONE: &str = "xla.sdy.sharding";
const IN: &str = "xla.sdy.in_shardings";
const OUT: &str = "xla.sdy.out_shardings";
const AXES: &str = "xla.sdy.manual_axes";

/// The attributes of the custom call before the body.
pub(super) fn attributes_before(kind: &ManualComputation) -> FrontendAttributes {
    attributes(IN, &kind.in_shardings, kind)
}

/// The attributes of the custom call after the body.
pub(super) fn attributes_after(kind: &ManualComputation) -> FrontendAttributes {
    attributes(OUT, &kind.out_shardings, kind)
}

/// The attributes of a custom call that constrains a sharding.
pub(super) fn attributes_of(kind: &ShardingConstraint) -> FrontendAttributes {
    let text = format!("#sdy.sharding_per_value<[{}]>", kind.sharding);
    FrontendAttributes {
        map: [(ONE.to_string(), text)].into(),
    }
}

fn attributes(key: &str, shardings: &str, kind: &ManualComputation) -> FrontendAttributes {
    let mut map = BTreeMap::new();
    map.insert(key.to_string(), format!("#sdy.sharding_per_value<{shardings}>"));
    map.insert(AXES.to_string(), format!("#sdy<manual_axes{}>", kind.manual_axes));
    FrontendAttributes { map }
}

/// The meshes among a module's symbols, `sdy.mesh @mesh = <["x"=2]>`, as XLA keeps them: `{mesh = #sdy.mesh<["x"=2]>}`.
pub(super) fn meshes_of(symbols: &[String]) -> Option<String> {
    let mesh = |symbol: &String| {
        let (name, body) = symbol.trim().strip_prefix("sdy.mesh @")?.split_once('=')?;
        Some(format!("{} = #sdy.mesh{}", name.trim(), body.trim()))
    };
    let meshes: Vec<String> = symbols.iter().filter_map(mesh).collect();
    (!meshes.is_empty()).then(|| format!("{{{}}}", meshes.join(", ")))
}

/// The symbols for the meshes that XLA keeps in an attribute.
pub(super) fn symbols_of(meshes: &str) -> Vec<String> {
    let Some(Attr::Dict(items)) = parse::attribute(meshes) else {
        return Vec::new();
    };
    let symbol = |(name, mesh): (&String, &Attr)| {
        let text = match mesh {
            Attr::String(text) => text.clone(),
            other => attribute_text(other),
        };
        let body = text.strip_prefix("#sdy.mesh")?.to_string();
        Some(format!("sdy.mesh @{name} = {body}"))
    };
    items.iter().filter_map(symbol).collect()
}

/// The attribute of this name without what says of which kind it is.
fn written(p: &HloInstructionProto, key: &str) -> Option<String> {
    let text = p.frontend_attributes.as_ref()?.map.get(key)?;
    // What is in an attribute of XLA's is any text: it must be one of MLIR's.
    parse::attribute(text)?;
    let inner = match key {
        AXES => text.strip_prefix("#sdy<manual_axes")?,
        _ => text.strip_prefix("#sdy.sharding_per_value<")?,
    };
    inner.strip_suffix('>').map(str::to_string)
}

impl<'p> Lowering<'p, '_> {
    /// The values of an instruction that is a part of a manual computation; `None` for another.
    pub(super) fn manual(
        &mut self,
        site: &mut Site,
        p: &'p HloInstructionProto,
        operands: &[(Leaves, &HloInstructionProto)],
    ) -> Lowered<Option<Leaves>> {
        let all = || -> Leaves { operands.iter().flat_map(|(values, _)| values.iter().copied()).collect() };
        match (&*p.opcode, &*p.custom_call_target) {
            // The operation itself takes the whole arrays.
            ("custom-call", TO_LOCAL) => Ok(Some(all())),
            ("custom-call", TO_GLOBAL) => self.joined(site, p, all()).map(Some),
            ("custom-call", SHARDING) => {
                let text = written(p, ONE);
                let one = text
                    .as_deref()
                    .and_then(|text| text.strip_prefix('[')?.strip_suffix(']'));
                let Some(sharding) = one else { return Ok(None) };
                let kind = OpKind::ShardingConstraint(ShardingConstraint {
                    sharding: sharding.to_string(),
                });
                let types = self.types_of(p, p.shape.as_ref())?;
                Ok(Some(site.add(kind, &all(), types)))
            }
            ("call", _) => {
                let inner = self.called(p, 0)?;
                if !self.computation_name(inner).starts_with(BODY) {
                    return Ok(None);
                }
                let first = operands.first().map(|(_, operand)| *operand);
                let kind = ManualComputation {
                    in_shardings: first.and_then(|of| written(of, IN)).unwrap_or_else(|| "[]".to_string()),
                    // What comes after says them.
                    out_shardings: String::new(),
                    manual_axes: String::new(),
                };
                let types = self.types_of(p, p.shape.as_ref())?;
                let region = site.func.add_region();
                self.region(site.func, region, inner)?;
                let kind = OpKind::ManualComputation(kind);
                let op = site.func.append(site.region, kind, &all(), types, &[region], site.loc);
                Ok(Some(site.func.op(op).results.iter().copied().collect()))
            }
            _ => Ok(None),
        }
    }

    /// The results of a manual computation, now with the types of whole arrays.
    fn joined(&mut self, site: &mut Site, p: &HloInstructionProto, values: Leaves) -> Lowered<Leaves> {
        let types = self.types_of(p, p.shape.as_ref())?;
        let op = values.first().and_then(|&value| site.func.def(value));
        let op = op.filter(|&op| site.func.op(op).results[..] == values[..] && types.len() == values.len());
        let shardings = written(p, OUT).zip(written(p, AXES));
        let (Some(op), Some((out_shardings, manual_axes))) = (op, shardings) else {
            return Err(self.error(p, "it does not follow a manual computation"));
        };
        let OpKind::ManualComputation(kind) = &mut site.func.op_mut(op).kind else {
            return Err(self.error(p, "it does not follow a manual computation"));
        };
        (kind.out_shardings, kind.manual_axes) = (out_shardings, manual_axes);
        for (&value, ty) in values.iter().zip(types) {
            site.func.set_type(value, ty);
        }
        Ok(values)
    }
}
