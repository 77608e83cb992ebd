//! What HLO text writes shorter than the messages hold it.

use super::super::message::*;
use super::{MAX_DEPTH, Reader};

impl Reader<'_> {
    /// `add-start`, `add-update` and `add-done` are short for asynchronous instructions around a computation of one `add`.
    pub(super) fn asynchronous(&mut self, p: &mut HloInstructionProto) -> Result<(), String> {
        let own = matches!(
            &*p.opcode,
            "all-gather-start" | "all-reduce-start" | "collective-permute-start" | "copy-start" | "async-start"
        );
        let ends = matches!(
            &*p.opcode,
            "all-gather-done" | "all-reduce-done" | "collective-permute-done" | "copy-done" | "send-done" | "recv-done"
        );
        if p.opcode.ends_with("-update") && p.opcode != "async-update" {
            p.opcode = "async-update".to_string();
        } else if p.opcode.ends_with("-done") && !ends {
            p.opcode = "async-done".to_string();
        } else if let (Some(opcode), false) = (p.opcode.strip_suffix("-start"), own) {
            let shape = p.shape.clone().unwrap_or_default();
            let [inputs, result, ..] = &shape.tuple_shapes[..] else {
                return Err(format!("`{}` needs a shape `((operands), result, ...)`", p.opcode));
            };
            let opcode = opcode.to_string();
            let mut inner = HloComputationProto {
                name: format!("{}.wrapped", p.name),
                id: self.id(),
                ..Default::default()
            };
            let mut operands = Vec::new();
            for (n, input) in inputs.tuple_shapes.iter().enumerate() {
                let id = self.id();
                operands.push(id);
                inner.instructions.push(HloInstructionProto {
                    name: format!("{}.p{n}", p.name),
                    opcode: "parameter".to_string(),
                    shape: Some(input.clone()),
                    parameter_number: n as i64,
                    id,
                    ..Default::default()
                });
            }
            let id = self.id();
            let (name, outer, given) = (p.name.clone(), p.id, std::mem::take(&mut p.operand_ids));
            let result = result.clone();
            let root = HloInstructionProto {
                opcode,
                shape: Some(result),
                id,
                operand_ids: operands,
                ..std::mem::take(p)
            };
            inner.instructions.push(root);
            inner.root_id = id;
            *p = HloInstructionProto {
                name,
                opcode: "async-start".to_string(),
                shape: Some(shape),
                id: outer,
                operand_ids: given,
                called_computation_ids: vec![inner.id],
                ..Default::default()
            };
            self.wrapped.push(inner);
        }
        Ok(())
    }
}

/// The value of a constant; of a tuple `(a, (b, c))` those of its parts.
pub(super) fn constant(shape: &ShapeProto, text: &str, depth: usize) -> Result<LiteralProto, String> {
    let mut proto = LiteralProto {
        shape: Some(shape.clone()),
        ..Default::default()
    };
    if shape.element_type != TUPLE {
        let text = if text.trim().is_empty() { "{}" } else { text };
        proto.text = text.to_string();
        return Ok(proto);
    }
    if depth > MAX_DEPTH {
        return Err(format!("tuples nest deeper than {MAX_DEPTH} levels"));
    }
    let inner = text.trim();
    let inner = inner
        .strip_prefix('(')
        .and_then(|t| t.strip_suffix(')'))
        .unwrap_or(inner);
    let mut parts = Vec::new();
    let (mut depth_of, mut start) = (0usize, 0);
    for (at, b) in inner.bytes().enumerate() {
        match b {
            b'(' | b'{' => depth_of += 1,
            b')' | b'}' => depth_of = depth_of.saturating_sub(1),
            b',' if depth_of == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        parts.push(&inner[start..]);
    }
    if parts.len() != shape.tuple_shapes.len() {
        let (found, wanted) = (parts.len(), shape.tuple_shapes.len());
        return Err(format!("a tuple of {wanted} elements is given {found} values"));
    }
    for (shape, part) in shape.tuple_shapes.iter().zip(parts) {
        proto.tuple_literals.push(constant(shape, part, depth + 1)?);
    }
    Ok(proto)
}
