//! `linalg.generic`: an iteration space, a map from it to each operand, and a body of scalars.
//!
//! Without reductions the body is evaluated on whole tensors: every input is laid out over the iteration space by
//! transposing and broadcasting, and each operation of the body becomes one on tensors. With reductions see
//! [`super::reduction`]; contractions and convolutions are recognized first.

use ferrite_ir::text::{Attr, Block, Operation};

use super::affine::{self, Linear, Map};
use super::emit::{Ty, Value};
use super::{Lowered, Lowering, element_of, integers, refuse, types};

/// What a `linalg.generic` says, read.
pub(super) struct Generic<'o, 'd> {
    pub(super) block: &'o Block<'d>,
    pub(super) inputs: Vec<Value>,
    pub(super) outs: Vec<Value>,
    /// A map of each operand, inputs first.
    pub(super) maps: Vec<Map>,
    /// Whether each loop is a reduction.
    pub(super) reduces: Vec<bool>,
    /// Number of iterations of each loop.
    pub(super) extents: Vec<i64>,
    pub(super) results: Vec<Ty>,
}

impl<'o, 'd> Generic<'o, 'd> {
    /// Name of the argument of the body for an operand.
    pub(super) fn argument(&self, operand: usize) -> &str {
        self.block.arguments.get(operand).map_or("", |argument| &argument.name)
    }

    pub(super) fn out_map(&self, out: usize) -> &Map {
        &self.maps[self.inputs.len() + out]
    }

    /// The loops in the order of the dimensions of a result, if its map has every parallel loop once. Dimensions of size 1
    /// at index 0, which keep the rank of what is reduced, have none.
    pub(super) fn out_loops(&self, out: usize) -> Lowered<Vec<usize>> {
        let of_size_1 = |expression: &&Linear| expression.constant != 0 || expression.used().next().is_some();
        let loops: Option<Vec<usize>> = self
            .out_map(out)
            .iter()
            .filter(of_size_1)
            .map(Linear::dimension)
            .collect();
        let all = |loops: &Vec<usize>| {
            loops.len() == self.reduces.iter().filter(|r| !**r).count() && loops.iter().all(|&d| !self.reduces[d])
        };
        loops
            .filter(all)
            .ok_or_else(|| refuse("a result of `linalg.generic` that is not indexed by every parallel loop once"))
    }
}

impl<'d> Lowering<'d> {
    pub(super) fn generic(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        let generic = self.read_generic(op)?;
        if !generic.reduces.contains(&true) {
            return self.parallel(&generic);
        }
        if let Some(result) = self.contraction(&generic)? {
            return Ok(vec![result]);
        }
        if let Some(result) = self.window_reduction(&generic)? {
            return Ok(vec![result]);
        }
        self.reduction(&generic)
    }

    fn read_generic<'o>(&mut self, op: &'o Operation<'d>) -> Lowered<Generic<'o, 'd>> {
        let operands = self.operands(op)?;
        let [region] = &op.regions[..] else {
            return Err(refuse("`linalg.generic` without a body"));
        };
        let [block] = &region.blocks[..] else {
            return Err(refuse("a body of `linalg.generic` with branches"));
        };
        let Some(Attr::Array(maps)) = op.attr("indexing_maps") else {
            return Err(refuse("`linalg.generic` without `indexing_maps`"));
        };
        let map = |attr: &Attr| match attr {
            Attr::Raw(text) => affine::parse(text),
            _ => None,
        };
        let maps: Option<Vec<Map>> = maps.iter().map(map).collect();
        let maps = maps.ok_or_else(|| refuse("an indexing map that is no sum of loops and constants"))?;
        let Some(Attr::Array(iterators)) = op.attr("iterator_types") else {
            return Err(refuse("`linalg.generic` without `iterator_types`"));
        };
        let reduces: Vec<bool> = iterators
            .iter()
            .map(|attr| matches!(attr, Attr::Dialect { body: Some(body), .. } if body.contains("reduction")))
            .collect();
        let counts = integers(op.attr("operandSegmentSizes")).unwrap_or_default();
        let [ins, outs] = counts[..] else {
            return Err(refuse("`linalg.generic` without `operandSegmentSizes`"));
        };
        if maps.len() != operands.len() || ins + outs != operands.len() as i64 {
            return Err(refuse("`linalg.generic` with another number of maps than operands"));
        }
        let results = types(op)?;
        let mut extents = vec![0; reduces.len()];
        for (map, operand) in maps.iter().zip(&operands) {
            for (expression, &size) in map.iter().zip(&operand.ty.sizes) {
                if let Some(d) = expression.dimension() {
                    extents[d] = size;
                }
            }
        }
        if extents.contains(&0) && !operands.iter().any(|operand| operand.ty.sizes.contains(&0)) {
            return Err(refuse(
                "`linalg.generic` with a loop that no operand is indexed by alone",
            ));
        }
        let mut inputs = operands;
        let outs = inputs.split_off(ins as usize);
        Ok(Generic {
            block,
            inputs,
            outs,
            maps,
            reduces,
            extents,
            results,
        })
    }

    /// An operand over the whole iteration space.
    pub(super) fn over_space(&mut self, value: &Value, map: &Map, extents: &[i64]) -> Lowered<Value> {
        if value.ty.rank() == 0 {
            return Ok(value.clone());
        }
        // Dimensions at a constant index go; so do those read backwards or in steps, which are slices first.
        let rank = value.ty.rank();
        let (mut start, mut limit, mut strides) = (vec![0; rank], value.ty.sizes.clone(), vec![1; rank]);
        let mut backwards = Vec::new();
        let mut loops = Vec::with_capacity(rank);
        for (d, expression) in map.iter().enumerate() {
            let used: Vec<usize> = expression.used().collect();
            match used[..] {
                [] => (start[d], limit[d]) = (expression.constant, expression.constant + 1),
                [one] => {
                    let factor = expression.factors[one];
                    let last = expression.constant + (extents[one] - 1) * factor;
                    start[d] = last.min(expression.constant);
                    limit[d] = last.max(expression.constant) + 1;
                    strides[d] = factor.abs();
                    if factor < 0 {
                        backwards.push(d as i64);
                    }
                    loops.push(one);
                }
                _ => {
                    return Err(
                        refuse("an operand of `linalg.generic` that is indexed by a sum of loops")
                            .help("convolutions and poolings are known by sums with a reduction loop; this is neither"),
                    );
                }
            }
        }
        let mut value = value.clone();
        if start.iter().any(|&s| s != 0) || strides.iter().any(|&s| s != 1) || limit != value.ty.sizes {
            value = self.out.slice(&value, &start, &limit, &strides);
        }
        if !backwards.is_empty() {
            let ty = value.ty.clone();
            let attributes = vec![("dimensions", super::emit::dims(&backwards))];
            value = self.out.op("stablehlo.reverse", &[value], attributes, ty);
        }
        let kept: Vec<i64> = loops.iter().map(|&d| extents[d]).collect();
        value = self.out.reshape(&value, &kept);
        // A loop used twice reads a diagonal.
        let mut sorted = loops.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != loops.len() {
            return Err(
                refuse("an operand of `linalg.generic` that is indexed by one loop twice")
                    .help("take the diagonal with `tensor.extract` and `linalg.index`"),
            );
        }
        let dimensions: Vec<i64> = loops.iter().map(|&d| d as i64).collect();
        // StableHLO broadcasts in order, so the dimensions are sorted first.
        let mut order: Vec<i64> = (0..loops.len() as i64).collect();
        order.sort_by_key(|&d| dimensions[d as usize]);
        let value = self.out.transpose(&value, &order);
        let dimensions: Vec<i64> = sorted.iter().map(|&d| d as i64).collect();
        Ok(self.out.broadcast(&value, &dimensions, extents))
    }

    /// Binds the arguments of the body to operands over the iteration space.
    pub(super) fn bind_inputs(&mut self, generic: &Generic) -> Lowered<()> {
        for (number, input) in generic.inputs.iter().enumerate() {
            if is_used(generic.block, generic.argument(number)) {
                let value = self.over_space(input, &generic.maps[number], &generic.extents)?;
                self.bind(generic.argument(number), 0, value);
            }
        }
        Ok(())
    }

    fn parallel(&mut self, generic: &Generic<'_, 'd>) -> Lowered<Vec<Value>> {
        self.bind_inputs(generic)?;
        for (number, out) in generic.outs.iter().enumerate() {
            let argument = generic.argument(generic.inputs.len() + number);
            if is_used(generic.block, argument) {
                let value = self.over_space(out, generic.out_map(number), &generic.extents)?;
                self.bind(argument, 0, value);
            }
        }
        let yielded = self.lifted_body(generic.block, &generic.extents)?;
        let mut results = Vec::new();
        for (number, (value, ty)) in yielded.iter().zip(&generic.results).enumerate() {
            let loops = generic.out_loops(number)?;
            let value = self.out.spread(value, &generic.extents);
            let permutation: Vec<i64> = loops.iter().map(|&d| d as i64).collect();
            let value = self.out.transpose(&value, &permutation);
            results.push(self.out.reshape(&value, &ty.sizes));
        }
        Ok(results)
    }

    /// Evaluates the body on tensors over the iteration space; what it yields.
    pub(super) fn lifted_body(&mut self, block: &Block<'d>, extents: &[i64]) -> Lowered<Vec<Value>> {
        let Some((end, operations)) = block.operations.split_last() else {
            return Err(refuse("an empty body"));
        };
        // Assertions about indices: StableHLO clamps those that are out of range.
        for op in operations.iter().filter(|op| op.name != "cf.assert") {
            let results = self.lifted(op, extents)?;
            self.bind_results(op, vec![results]);
        }
        self.operands(end)
    }

    /// One operation of a body.
    pub(super) fn lifted(&mut self, op: &Operation<'d>, extents: &[i64]) -> Lowered<Value> {
        if &*op.name == "linalg.index" {
            let dimension = super::integer(op.attr("dim")).unwrap_or(0);
            return Ok(self.out.iota(dimension as usize, Ty::new(extents, "i64")));
        }
        let operands = self.operands(op)?;
        if &*op.name == "tensor.extract" {
            return self.gather_elements(&operands, extents);
        }
        match self.elementwise(op, &operands)? {
            Some(value) => Ok(value),
            None => {
                element_of(op.result_types.first())?;
                Err(refuse(format!(
                    "`{}` in the body of a linalg operation cannot be lowered",
                    op.name
                )))
            }
        }
    }

    /// `tensor.extract` on all indices at once: a gather of single elements.
    pub(super) fn gather_elements(&mut self, operands: &[Value], extents: &[i64]) -> Lowered<Value> {
        let Some((table, indices)) = operands.split_first() else {
            return Err(refuse("`tensor.extract` without a tensor"));
        };
        if indices.is_empty() {
            return Ok(self.out.reshape(table, &[]));
        }
        let mut columns_shape = extents.to_vec();
        columns_shape.push(1);
        let columns: Vec<Value> = indices
            .iter()
            .map(|index| {
                let spread = self.out.spread(index, extents);
                self.out.reshape(&spread, &columns_shape)
            })
            .collect();
        let starts = self.out.concatenate(&columns, extents.len());
        let rank = table.ty.rank();
        let all: Vec<String> = (0..rank).map(|d| d.to_string()).collect();
        let all = all.join(", ");
        let numbers = super::emit::structure(
            "gather",
            format!(
                "collapsed_slice_dims = [{all}], start_index_map = [{all}], index_vector_dim = {}",
                extents.len()
            ),
        );
        let attributes = vec![
            ("dimension_numbers", numbers),
            ("slice_sizes", super::emit::dims(&vec![1; rank])),
            ("indices_are_sorted", Attr::Bool(false)),
        ];
        let ty = Ty::new(extents, &table.ty.element);
        Ok(self
            .out
            .op("stablehlo.gather", &[table.clone(), starts], attributes, ty))
    }
}

/// Whether a body uses a value.
pub(super) fn is_used(block: &Block, name: &str) -> bool {
    block
        .operations
        .iter()
        .any(|op| op.operands.iter().any(|operand| operand.name == name))
}
