//! `tensor`: shapes, slices, padding, elements.

use ferrite_ir::text::{self, Operation};

use super::emit::{Ty, Value, dims};
use super::{Lowered, Lowering, integer, integers, refuse, types};

/// Offsets, sizes or strides: numbers, and operands for those that are not known when compiling.
struct Mixed {
    fixed: Vec<i64>,
    /// The value of every dimension; of known numbers none.
    values: Vec<Option<Value>>,
}

impl<'d> Lowering<'d> {
    pub(super) fn tensor_op(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        let operands = self.operands(op)?;
        let results = types(op)?;
        let result = results.first().cloned();
        let value = match (&*op.name, &operands[..], result) {
            // What is in it is never read.
            ("tensor.empty", _, Some(ty)) => self.out.splat(0.0, ty),
            ("tensor.splat", [x], Some(ty)) => self.out.broadcast(x, &[], &ty.sizes),
            ("tensor.cast", [x], Some(ty)) if x.ty == ty => x.clone(),
            ("tensor.expand_shape" | "tensor.collapse_shape", [x, ..], Some(ty))
            | ("tensor.reshape", [x, _], Some(ty)) => self.out.reshape(x, &ty.sizes),
            ("tensor.bitcast", [x], Some(ty)) => self.out.bitcast(x, &ty.element),
            ("tensor.from_elements", all, Some(ty)) => self.tensor_of(all, &ty),
            ("tensor.dim", [x, _], Some(ty)) => {
                let dimension = self.known_integer(&op.operands[1]);
                let size = dimension.and_then(|d| x.ty.sizes.get(d as usize)).copied();
                let size = size.ok_or_else(|| refuse("`tensor.dim` of a dimension that is not known"))?;
                self.out.splat(size as f64, ty)
            }
            ("tensor.rank", [x], Some(ty)) => self.out.splat(x.ty.rank() as f64, ty),
            ("tensor.extract", all, Some(_)) => self.gather_elements(all, &[])?,
            ("tensor.insert", [x, to, indices @ ..], Some(ty)) => {
                let update = self.out.reshape(x, &vec![1; ty.rank()]);
                let operands: Vec<Value> = [to.clone(), update]
                    .into_iter()
                    .chain(indices.iter().cloned())
                    .collect();
                self.out.op("stablehlo.dynamic_update_slice", &operands, Vec::new(), ty)
            }
            ("tensor.concat", all, Some(_)) => {
                let dimension = integer(op.attr("dim")).unwrap_or(0);
                self.out.concatenate(all, dimension as usize)
            }
            ("tensor.extract_slice", [x, ..], Some(ty)) => self.extract_slice(op, x, &ty)?,
            ("tensor.insert_slice", [x, to, ..], Some(_)) => self.insert_slice(op, x, to)?,
            ("tensor.pad", [x, ..], Some(ty)) => self.tensor_pad(op, x, &ty)?,
            ("tensor.generate", _, Some(ty)) => self.generate(op, &ty)?,
            ("bufferization.materialize_in_destination", [x, _], Some(_)) => x.clone(),
            _ => return Err(self.unknown(op)),
        };
        Ok(vec![value])
    }

    fn tensor_of(&mut self, all: &[Value], ty: &Ty) -> Value {
        let rows: Vec<Value> = all.iter().map(|value| self.out.reshape(value, &[1])).collect();
        let row = match &rows[..] {
            [one] => one.clone(),
            _ => self.out.concatenate(&rows, 0),
        };
        self.out.reshape(&row, &ty.sizes)
    }

    /// Number `group` of the groups of operands behind the first `before`, with what is fixed of it.
    fn mixed(&self, op: &Operation, name: &str, group: usize) -> Lowered<Mixed> {
        let fixed = integers(op.attr(name)).ok_or_else(|| refuse(format!("`{}` without `{name}`", op.name)))?;
        let counts = integers(op.attr("operandSegmentSizes"))
            .ok_or_else(|| refuse(format!("`{}` without `operandSegmentSizes`", op.name)))?;
        let first: i64 = counts.iter().take(group).sum();
        let mut next = first as usize;
        let mut mixed = Mixed {
            values: vec![None; fixed.len()],
            fixed,
        };
        for (size, value) in mixed.fixed.iter_mut().zip(&mut mixed.values) {
            if *size != text::DYNAMIC {
                continue;
            }
            let operand = op
                .operands
                .get(next)
                .ok_or_else(|| refuse(format!("`{}` with too few operands", op.name)))?;
            match self.known_integer(operand) {
                Some(known) => *size = known,
                None => *value = Some(self.value(operand)?),
            }
            next += 1;
        }
        Ok(mixed)
    }

    /// Numbers that must be known.
    fn fixed(&self, op: &Operation, name: &str, group: usize) -> Lowered<Vec<i64>> {
        let mixed = self.mixed(op, name, group)?;
        if mixed.values.iter().any(Option::is_some) {
            return Err(refuse(format!("`{}` with `{name}` that are computed", op.name))
                .help("export the model with static shapes, or run `canonicalize` first: `--passes canonicalize`"));
        }
        Ok(mixed.fixed)
    }

    /// Offsets as scalars of one type.
    fn offsets(&mut self, offsets: &Mixed) -> Vec<Value> {
        let pairs = offsets.fixed.iter().zip(&offsets.values);
        let all: Vec<(i64, Option<Value>)> = pairs.map(|(n, value)| (*n, value.clone())).collect();
        all.into_iter()
            .map(|(number, value)| match value {
                Some(value) => self.out.convert(&value, "i64"),
                None => self.out.splat(number as f64, Ty::scalar("i64")),
            })
            .collect()
    }

    fn extract_slice(&mut self, op: &Operation, x: &Value, ty: &Ty) -> Lowered<Value> {
        let offsets = self.mixed(op, "static_offsets", 1)?;
        let sizes = self.fixed(op, "static_sizes", 2)?;
        let strides = self.fixed(op, "static_strides", 3)?;
        let slice = if offsets.values.iter().all(Option::is_none) {
            let limit: Vec<i64> = (0..sizes.len())
                .map(|d| offsets.fixed[d] + (sizes[d] - 1) * strides[d] + 1)
                .collect();
            self.out.slice(x, &offsets.fixed, &limit, &strides)
        } else if strides.iter().all(|&s| s == 1) {
            let operands: Vec<Value> = std::iter::once(x.clone()).chain(self.offsets(&offsets)).collect();
            let attributes = vec![("slice_sizes", dims(&sizes))];
            let ty = Ty::new(&sizes, &x.ty.element);
            self.out.op("stablehlo.dynamic_slice", &operands, attributes, ty)
        } else {
            return Err(refuse("a slice with strides whose offsets are computed")
                .help("slice without strides first, then with strides at offset 0"));
        };
        // Dimensions of size 1 may be dropped.
        Ok(self.out.reshape(&slice, &ty.sizes))
    }

    fn insert_slice(&mut self, op: &Operation, x: &Value, to: &Value) -> Lowered<Value> {
        let offsets = self.mixed(op, "static_offsets", 2)?;
        let sizes = self.fixed(op, "static_sizes", 3)?;
        let strides = self.fixed(op, "static_strides", 4)?;
        let update = self.out.reshape(x, &sizes);
        if strides.iter().any(|&s| s != 1) {
            return self.insert_strided(&update, to, &offsets, &strides);
        }
        let operands: Vec<Value> = [to.clone(), update].into_iter().chain(self.offsets(&offsets)).collect();
        let ty = to.ty.clone();
        Ok(self.out.op("stablehlo.dynamic_update_slice", &operands, Vec::new(), ty))
    }

    /// Puts elements apart by padding between them, and takes them where a padded mask says so.
    fn insert_strided(&mut self, update: &Value, to: &Value, offsets: &Mixed, strides: &[i64]) -> Lowered<Value> {
        if offsets.values.iter().any(Option::is_some) {
            return Err(refuse("`tensor.insert_slice` with strides whose offsets are computed")
                .help("insert into a tensor of zeros at offset 0 first"));
        }
        let low = &offsets.fixed;
        let interior: Vec<i64> = strides.iter().map(|s| s - 1).collect();
        let high: Vec<i64> = (0..low.len())
            .map(|d| to.ty.sizes[d] - low[d] - ((update.ty.sizes[d] - 1) * strides[d] + 1))
            .collect();
        let apart = |this: &mut Self, value: &Value, with: &Value| {
            let attributes = vec![
                ("edge_padding_low", dims(low)),
                ("edge_padding_high", dims(&high)),
                ("interior_padding", dims(&interior)),
            ];
            let ty = Ty::new(&to.ty.sizes, &value.ty.element);
            this.out
                .op("stablehlo.pad", &[value.clone(), with.clone()], attributes, ty)
        };
        let zero = self.out.splat(0.0, Ty::scalar(&update.ty.element));
        let values = apart(self, update, &zero);
        let (yes, no) = (
            self.out.splat(1.0, update.ty.with_element("i1")),
            self.out.splat(0.0, Ty::scalar("i1")),
        );
        let mask = apart(self, &yes, &no);
        Ok(self.out.select(&mask, &values, to))
    }

    fn tensor_pad(&mut self, op: &Operation<'d>, x: &Value, ty: &Ty) -> Lowered<Value> {
        let low = self.fixed(op, "static_low", 1)?;
        let high = self.fixed(op, "static_high", 2)?;
        let Some(block) = op.regions.first().and_then(|region| region.blocks.first()) else {
            return Err(refuse("`tensor.pad` without a region"));
        };
        // The region may use the indices: then it is a tensor of its own, on which the operand lies.
        self.bind_indices(block, &ty.sizes);
        let yielded = self.lifted_body(block, &ty.sizes)?;
        let [with] = &yielded[..] else {
            return Err(refuse("`tensor.pad` that yields no value"));
        };
        if with.ty.rank() == 0 {
            return Ok(self.out.pad(x, with, &low, &high));
        }
        let starts = Mixed {
            values: vec![None; low.len()],
            fixed: low,
        };
        let operands: Vec<Value> = [with.clone(), x.clone()]
            .into_iter()
            .chain(self.offsets(&starts))
            .collect();
        Ok(self
            .out
            .op("stablehlo.dynamic_update_slice", &operands, Vec::new(), ty.clone()))
    }

    /// Arguments of a body that are the indices of an element.
    fn bind_indices(&mut self, block: &text::Block, sizes: &[i64]) {
        for (d, argument) in block.arguments.iter().enumerate() {
            if super::generic::is_used(block, &argument.name) {
                let index = self.out.iota(d, Ty::new(sizes, "i64"));
                self.bind(&argument.name, 0, index);
            }
        }
    }

    fn generate(&mut self, op: &Operation<'d>, ty: &Ty) -> Lowered<Value> {
        let Some(block) = op.regions.first().and_then(|region| region.blocks.first()) else {
            return Err(refuse("`tensor.generate` without a region"));
        };
        self.bind_indices(block, &ty.sizes);
        let yielded = self.lifted_body(block, &ty.sizes)?;
        match &yielded[..] {
            [value] => Ok(self.out.spread(value, &ty.sizes)),
            _ => Err(refuse("`tensor.generate` that yields no value")),
        }
    }
}
