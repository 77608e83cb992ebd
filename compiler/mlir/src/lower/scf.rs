//! `scf`: loops and branches with values.

use ferrite_ir::text::{Block, Operation};

use super::emit::Value;
use super::{Lowered, Lowering, refuse, types};

impl<'d> Lowering<'d> {
    pub(super) fn scf(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        match &*op.name {
            "scf.if" => self.branch(op),
            "scf.for" => self.count(op),
            "scf.while" => self.repeat(op),
            _ => Err(self.unknown(op)),
        }
    }

    fn block<'o>(op: &'o Operation<'d>, region: usize) -> Lowered<&'o Block<'d>> {
        let blocks = op.regions.get(region).map(|region| &region.blocks[..]);
        match blocks {
            Some([block]) => Ok(block),
            _ => Err(refuse(format!("`{}` without a region of one block", op.name))),
        }
    }

    fn branch(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        let operands = self.operands(op)?;
        let results = types(op)?;
        let mut regions = Vec::new();
        for region in 0..2 {
            self.out.open();
            // Without results the second region may be empty.
            let values = match op.regions.get(region).and_then(|r| r.blocks.first()) {
                Some(block) => self.body(block)?,
                None => Vec::new(),
            };
            regions.push(self.out.close(&[], "stablehlo.return", &values));
        }
        self.out.location = op.location;
        Ok(self.out.many("stablehlo.if", &operands, Vec::new(), regions, &results))
    }

    /// `scf.for`: the state of the loop is its index and what it carries.
    fn count(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        let operands = self.operands(op)?;
        let [start, end, step, carried @ ..] = &operands[..] else {
            return Err(refuse("`scf.for` without bounds"));
        };
        let block = Self::block(op, 0)?;
        let state: Vec<Value> = std::iter::once(start.clone()).chain(carried.iter().cloned()).collect();
        let types: Vec<_> = state.iter().map(|value| value.ty.clone()).collect();

        let arguments: Vec<Value> = types.iter().map(|ty| self.out.argument(ty.clone())).collect();
        self.out.open();
        let goes_on = self.out.compare("LT", &arguments[0], end);
        let condition = self.out.close(&arguments, "stablehlo.return", &[goes_on]);

        let arguments = self.arguments(block)?;
        self.out.open();
        let mut values = self.body(block)?;
        let next = self.out.binary("stablehlo.add", &arguments[0], step);
        values.insert(0, next);
        let body = self.out.close(&arguments, "stablehlo.return", &values);

        self.out.location = op.location;
        let mut results = self
            .out
            .many("stablehlo.while", &state, Vec::new(), vec![condition, body], &types);
        results.remove(0);
        Ok(results)
    }

    /// `scf.while`: its first region runs before each decision, and once more when the loop has ended, for what it hands on.
    fn repeat(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        let state = self.operands(op)?;
        let types: Vec<_> = state.iter().map(|value| value.ty.clone()).collect();
        let (before, after) = (Self::block(op, 0)?, Self::block(op, 1)?);

        let arguments = self.arguments(before)?;
        self.out.open();
        let decided = self.body(before)?;
        let condition = self
            .out
            .close(&arguments, "stablehlo.return", &decided[..1.min(decided.len())]);

        let arguments = self.arguments(before)?;
        self.out.open();
        let decided = self.body(before)?;
        for (argument, value) in after.arguments.iter().zip(decided.iter().skip(1)) {
            self.bind(&argument.name, 0, value.clone());
        }
        let values = self.body(after)?;
        let body = self.out.close(&arguments, "stablehlo.return", &values);

        self.out.location = op.location;
        let ended = self
            .out
            .many("stablehlo.while", &state, Vec::new(), vec![condition, body], &types);
        for (argument, value) in before.arguments.iter().zip(ended) {
            self.bind(&argument.name, 0, value);
        }
        let decided = self.body(before)?;
        Ok(decided.into_iter().skip(1).collect())
    }
}
