//! Shapes that the text leaves out because they follow from the operands.

use std::collections::HashMap;

use ferrite_ir::hlo::Type;
use ferrite_ir::hlo::infer::infer as infer_types;

use super::super::kinds;
use super::super::message::*;
use super::super::shape::{leaf_type, leaves, shape_of, tuple_of};

/// The shape of an instruction.
///
/// # Errors
/// If it does not follow from its operands, or they do not fit.
pub(super) fn infer(
    p: &HloInstructionProto,
    operands: &[&ShapeProto],
    roots: &HashMap<i64, ShapeProto>,
) -> Result<ShapeProto, String> {
    let unknown = || format!("the shape of `{}` does not follow from its operands", p.opcode);
    let root = || {
        let called = p.called_computation_ids.first();
        called.and_then(|id| roots.get(id)).cloned().ok_or_else(unknown)
    };
    match &*p.opcode {
        "tuple" => return Ok(tuple_of(operands.iter().map(|&shape| shape.clone()).collect())),
        "get-tuple-element" => {
            let parts = operands.first().map_or(&[][..], |shape| &shape.tuple_shapes);
            let part = usize::try_from(p.tuple_index).ok().and_then(|n| parts.get(n));
            return part.cloned().ok_or_else(unknown);
        }
        "while" | "copy" | "domain" | "add-dependency" | "opt-barrier" => {
            return operands.first().map(|&shape| shape.clone()).ok_or_else(unknown);
        }
        "call" | "fusion" | "conditional" => return root(),
        _ => {}
    }
    let types = |shapes: &[&ShapeProto]| -> Result<Vec<Type>, String> {
        let mut all = Vec::new();
        shapes.iter().for_each(|shape| leaves(shape, &mut all));
        all.into_iter().map(leaf_type).collect()
    };
    let given = types(operands)?;
    let (kind, _) = kinds::kind(p, &given, &[], Vec::new())?.ok_or_else(unknown)?;
    let mut yields = Vec::new();
    for id in &p.called_computation_ids {
        yields.push(types(&[roots.get(id).ok_or_else(unknown)?])?);
    }
    let given: Vec<&Type> = given.iter().collect();
    let results = infer_types(&kind, &given, &yields, None).map_err(|_| unknown())?;
    let mut shapes = results.iter().map(shape_of).collect::<Result<Vec<_>, _>>()?;
    Ok(match shapes.len() {
        1 => shapes.remove(0),
        _ => tuple_of(shapes),
    })
}
