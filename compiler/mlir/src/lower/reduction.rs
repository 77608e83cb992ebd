//! Reductions of `linalg.generic`: sums, extrema, argmax, poolings.
//!
//! What does not depend on the accumulators is computed over the iteration space; the rest of the body is the reducer.
//! An accumulator that starts at the reducer's neutral element starts there; another is combined with the result.

use ferrite_ir::text::{Operation, Region};

use super::emit::{Ty, Value, dims, pairs};
use super::generic::Generic;
use super::{Lowered, Lowering, refuse};

/// The part of a body that depends on the accumulators.
pub(super) struct Reducer<'o, 'd> {
    /// Its operations.
    ops: Vec<&'o Operation<'d>>,
    /// What it reads besides accumulators and constants, one for each accumulator.
    pub(super) leaves: Vec<String>,
    /// Names of the accumulators.
    accumulators: Vec<String>,
    /// Names of their new values.
    yielded: Vec<String>,
}

impl Reducer<'_, '_> {
    /// The one operation that it consists of.
    pub(super) fn single(&self) -> Option<&str> {
        match self.ops[..] {
            [op] if self.accumulators.len() == 1 => Some(&op.name),
            _ => None,
        }
    }
}

/// The number that changes nothing.
pub(super) fn neutral(name: &str, ty: &Ty) -> Option<f64> {
    let bits = ty.bits();
    Some(match name {
        "arith.addf" | "arith.addi" | "arith.ori" | "arith.xori" | "arith.maxui" => 0.0,
        "arith.mulf" | "arith.muli" => 1.0,
        "arith.maximumf" | "arith.maxnumf" => f64::NEG_INFINITY,
        "arith.minimumf" | "arith.minnumf" => f64::INFINITY,
        "arith.maxsi" if bits <= 32 => -(2f64.powi(bits as i32 - 1)),
        "arith.minsi" if bits <= 32 => 2f64.powi(bits as i32 - 1) - 1.0,
        // f64 holds -2^63, but not 2^63 - 1; the next lower number is no value of a 64-bit index either.
        "arith.maxsi" => -(2f64.powi(63)),
        "arith.minsi" => 2f64.powi(63) - 1024.0,
        "arith.andi" | "arith.minui" => {
            if ty.is_bool() {
                1.0
            } else {
                -1.0
            }
        }
        _ => return None,
    })
}

impl<'d> Lowering<'d> {
    pub(super) fn reduction(&mut self, generic: &Generic<'_, 'd>) -> Lowered<Vec<Value>> {
        self.bind_inputs(generic)?;
        let reducer = self.reducer(generic)?;
        let mut inputs = Vec::new();
        for leaf in &reducer.leaves {
            let value = self.values.get(&(leaf.clone(), 0)).cloned();
            let value = value.ok_or_else(super::Refusal::silent)?;
            inputs.push(self.out.spread(&value, &generic.extents));
        }
        let starts = self.starts(generic, &reducer)?;
        let region = self.region_of(&reducer, &inputs, &generic.outs)?;
        let dimensions: Vec<i64> = (0..generic.reduces.len() as i64)
            .filter(|&d| generic.reduces[d as usize])
            .collect();
        let kept: Vec<usize> = (0..generic.reduces.len()).filter(|&d| !generic.reduces[d]).collect();
        let sizes: Vec<i64> = kept.iter().map(|&d| generic.extents[d]).collect();
        let types: Vec<Ty> = generic
            .outs
            .iter()
            .map(|out| Ty::new(&sizes, &out.ty.element))
            .collect();
        let operands: Vec<Value> = inputs.iter().chain(&starts).cloned().collect();
        let attributes = vec![("dimensions", dims(&dimensions))];
        let reduced = self
            .out
            .many("stablehlo.reduce", &operands, attributes, vec![region], &types);
        let mut results = Vec::new();
        for (number, value) in reduced.into_iter().enumerate() {
            let loops = generic.out_loops(number)?;
            let position = |d: &usize| kept.iter().position(|k| k == d).unwrap_or(0) as i64;
            let permutation: Vec<i64> = loops.iter().map(position).collect();
            let value = self.out.transpose(&value, &permutation);
            results.push(self.out.reshape(&value, &generic.outs[number].ty.sizes));
        }
        self.with_outs(generic, &reducer, results)
    }

    /// Divides the body into what can be computed over the space, which is, and the reducer.
    pub(super) fn reducer<'o>(&mut self, generic: &Generic<'o, 'd>) -> Lowered<Reducer<'o, 'd>> {
        let accumulators: Vec<String> = (0..generic.outs.len())
            .map(|out| generic.argument(generic.inputs.len() + out).to_string())
            .collect();
        let Some((end, operations)) = generic.block.operations.split_last() else {
            return Err(refuse("an empty body"));
        };
        let mut dependent: Vec<String> = accumulators.clone();
        let mut ops = Vec::new();
        let mut leaves: Vec<String> = Vec::new();
        let mut constants: Vec<String> = Vec::new();
        for op in operations {
            if op
                .operands
                .iter()
                .any(|operand| dependent.iter().any(|name| *name == operand.name))
            {
                dependent.extend(op.results.iter().map(|group| group.name.to_string()));
                ops.push(op);
            } else {
                let value = self.lifted(op, &generic.extents)?;
                self.bind_results(op, vec![value]);
            }
        }
        for name in ops
            .iter()
            .flat_map(|op| &op.operands)
            .map(|operand| operand.name.to_string())
        {
            if dependent.contains(&name) || leaves.contains(&name) {
                continue;
            }
            match self.values.get(&(name.clone(), 0)) {
                Some(value) if value.ty.rank() == 0 => constants.push(name),
                _ => leaves.push(name),
            }
        }
        if leaves.is_empty() {
            leaves.extend(constants.first().cloned());
        }
        if leaves.len() != accumulators.len() || end.operands.iter().any(|o| !dependent.iter().any(|n| *n == o.name)) {
            return Err(refuse(format!(
                "a reduction with {} accumulators over {} values",
                accumulators.len(),
                leaves.len()
            ))
            .help("write a reduction of one value for each result"));
        }
        let leaves = self.paired(generic, leaves)?;
        Ok(Reducer {
            ops,
            leaves,
            accumulators,
            yielded: end.operands.iter().map(|operand| operand.name.to_string()).collect(),
        })
    }

    /// The leaves in the order of the accumulators, by their types.
    fn paired(&self, generic: &Generic, mut leaves: Vec<String>) -> Lowered<Vec<String>> {
        let element = |this: &Self, name: &String| this.values.get(&(name.clone(), 0)).map(|v| v.ty.element.clone());
        let mut paired = Vec::new();
        for out in &generic.outs {
            let found = leaves
                .iter()
                .position(|leaf| element(self, leaf).as_ref() == Some(&out.ty.element));
            let Some(found) = found else {
                return Err(refuse("a reduction into another type than that of what is reduced")
                    .help("convert in the body before the accumulator takes part"));
            };
            paired.push(leaves.remove(found));
        }
        Ok(paired)
    }

    /// The reducer as a region: accumulators first, then what is reduced.
    pub(super) fn region_of(
        &mut self,
        reducer: &Reducer<'_, 'd>,
        inputs: &[Value],
        outs: &[Value],
    ) -> Lowered<Region<'static>> {
        let scalars = |this: &mut Self, values: &[Value]| -> Vec<Value> {
            values
                .iter()
                .map(|v| this.out.argument(Ty::scalar(&v.ty.element)))
                .collect()
        };
        let accumulators = scalars(self, outs);
        let values = scalars(self, inputs);
        let outer = self.values.clone();
        for (name, value) in reducer.accumulators.iter().zip(&accumulators) {
            self.bind(name, 0, value.clone());
        }
        for (name, value) in reducer.leaves.iter().zip(&values) {
            self.bind(name, 0, value.clone());
        }
        self.out.open();
        let results = self.reduced_once(reducer)?;
        let arguments: Vec<Value> = accumulators.into_iter().chain(values).collect();
        let region = self.out.close(&arguments, "stablehlo.return", &results);
        self.values = outer;
        Ok(region)
    }

    /// One step of the reducer on what its names are bound to: the new accumulators.
    fn reduced_once(&mut self, reducer: &Reducer<'_, 'd>) -> Lowered<Vec<Value>> {
        for op in &reducer.ops {
            let value = self.lifted(op, &[])?;
            self.bind_results(op, vec![value]);
        }
        reducer
            .yielded
            .iter()
            .map(|name| {
                let value = self.values.get(&(name.clone(), 0)).cloned();
                value.ok_or_else(super::Refusal::silent)
            })
            .collect()
    }

    /// Where the accumulators start.
    pub(super) fn starts(&mut self, generic: &Generic, reducer: &Reducer) -> Lowered<Vec<Value>> {
        let single = reducer.single().map(str::to_string);
        let mut starts = Vec::new();
        for out in &generic.outs {
            let scalar = Ty::scalar(&out.ty.element);
            let neutral = single.as_deref().and_then(|name| neutral(name, &scalar));
            let start = neutral.or(out.splat).ok_or_else(|| {
                refuse("a reduction that starts at values of which nothing is known")
                    .help("start it at a constant (`linalg.fill`) and combine the values afterwards")
            })?;
            starts.push(self.out.splat(start, scalar));
        }
        Ok(starts)
    }

    /// Results combined with what the accumulators held before, where that changes anything.
    pub(super) fn with_outs(
        &mut self,
        generic: &Generic,
        reducer: &Reducer<'_, 'd>,
        results: Vec<Value>,
    ) -> Lowered<Vec<Value>> {
        let Some(name) = reducer.single() else {
            return Ok(results);
        };
        let out = &generic.outs[0];
        let start = neutral(name, &out.ty);
        // One that has no neutral element started where the accumulator did.
        if start.is_none() || out.splat == start {
            return Ok(results);
        }
        let outer = self.values.clone();
        self.bind(&reducer.accumulators[0].clone(), 0, out.clone());
        self.bind(&reducer.leaves[0].clone(), 0, results[0].clone());
        let combined = self.reduced_once(reducer)?;
        self.values = outer;
        Ok(combined)
    }

    /// A reduction over windows that slide over an operand; nothing if this is something else.
    pub(super) fn window_reduction(&mut self, generic: &Generic<'_, 'd>) -> Lowered<Option<Value>> {
        let used: Vec<usize> = (0..generic.inputs.len())
            .filter(|&input| super::generic::is_used(generic.block, generic.argument(input)))
            .collect();
        let ([input], [out]) = (&used[..], &generic.outs[..]) else {
            return Ok(None);
        };
        let map = &generic.maps[*input];
        if map.iter().all(|expression| expression.used().count() <= 1) {
            return Ok(None);
        }
        let mut image = generic.inputs[*input].clone();
        let rank = image.ty.rank();
        let (mut window, mut strides, mut dilations) = (vec![1; rank], vec![1; rank], vec![1; rank]);
        let mut limit = image.ty.sizes.clone();
        let mut loops = Vec::new();
        for (d, expression) in map.iter().enumerate() {
            let all: Vec<usize> = expression.used().collect();
            let (slides, within): (Vec<usize>, Vec<usize>) = all.into_iter().partition(|&l| !generic.reduces[l]);
            let ([slide], true, 0) = (&slides[..], within.len() <= 1, expression.constant) else {
                return Ok(None);
            };
            loops.push(*slide);
            strides[d] = expression.factors[*slide];
            if let [inner] = within[..] {
                window[d] = generic.extents[inner];
                dilations[d] = expression.factors[inner];
            }
            if strides[d] < 1 || dilations[d] < 1 {
                return Ok(None);
            }
            limit[d] = (generic.extents[*slide] - 1) * strides[d] + (window[d] - 1) * dilations[d] + 1;
        }
        let covered = (0..generic.reduces.len())
            .filter(|&l| generic.reduces[l])
            .all(|l| map.iter().filter(|e| e.factors[l] != 0).count() == 1);
        if !covered {
            return Ok(None);
        }
        if limit != image.ty.sizes {
            image = self.out.slice(&image, &vec![0; rank], &limit, &vec![1; rank]);
        }
        // The body sees the operand as it is, not over the space.
        let sized = Generic {
            block: generic.block,
            inputs: generic.inputs.clone(),
            outs: generic.outs.clone(),
            maps: generic.maps.clone(),
            reduces: generic.reduces.clone(),
            extents: image.ty.sizes.clone(),
            results: generic.results.clone(),
        };
        self.bind(generic.argument(*input), 0, image);
        let reducer = self.reducer(&sized)?;
        let leaf = self.values.get(&(reducer.leaves[0].clone(), 0)).cloned();
        let leaf = leaf.ok_or_else(super::Refusal::silent)?;
        let leaf = self.out.spread(&leaf, &sized.extents);
        let starts = self.starts(&sized, &reducer)?;
        let region = self.region_of(&reducer, std::slice::from_ref(&leaf), &generic.outs)?;
        let sizes: Vec<i64> = loops.iter().map(|&l| generic.extents[l]).collect();
        let attributes = vec![
            ("window_dimensions", dims(&window)),
            ("window_strides", dims(&strides)),
            ("base_dilations", dims(&vec![1; rank])),
            ("window_dilations", dims(&dilations)),
            ("padding", pairs(&vec![(0, 0); rank])),
        ];
        let ty = Ty::new(&sizes, &out.ty.element);
        let operands = [leaf, starts[0].clone()];
        let reduced = self
            .out
            .many("stablehlo.reduce_window", &operands, attributes, vec![region], &[ty]);
        let wanted = generic.out_loops(0)?;
        let position = |d: &usize| loops.iter().position(|l| l == d).unwrap_or(0) as i64;
        let permutation: Vec<i64> = wanted.iter().map(position).collect();
        let value = self.out.transpose(&reduced[0], &permutation);
        let value = self.out.reshape(&value, &out.ty.sizes);
        Ok(self.with_outs(generic, &reducer, vec![value])?.pop())
    }
}
