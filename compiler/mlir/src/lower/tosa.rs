//! TOSA, operation by operation. Its operations are StableHLO's with implicit broadcasting of dimensions of size 1, and
//! with shapes, scales and zero points as constant operands.

use ferrite_ir::text::{Attr, Operation};

use super::emit::{Ty, Value, dims, structure};
use super::scalar::named;
use super::{Lowered, Lowering, integer, integers, refuse, types};

const UNARY: &[(&str, &str)] = &[
    ("tosa.abs", "stablehlo.abs"),
    ("tosa.bitwise_not", "stablehlo.not"),
    ("tosa.ceil", "stablehlo.ceil"),
    ("tosa.clz", "stablehlo.count_leading_zeros"),
    ("tosa.cos", "stablehlo.cosine"),
    ("tosa.erf", "chlo.erf"),
    ("tosa.exp", "stablehlo.exponential"),
    ("tosa.floor", "stablehlo.floor"),
    ("tosa.log", "stablehlo.log"),
    ("tosa.logical_not", "stablehlo.not"),
    ("tosa.rsqrt", "stablehlo.rsqrt"),
    ("tosa.sigmoid", "stablehlo.logistic"),
    ("tosa.sin", "stablehlo.sine"),
    ("tosa.tanh", "stablehlo.tanh"),
];

const BINARY: &[(&str, &str)] = &[
    ("tosa.add", "stablehlo.add"),
    ("tosa.arithmetic_right_shift", "stablehlo.shift_right_arithmetic"),
    ("tosa.bitwise_and", "stablehlo.and"),
    ("tosa.bitwise_or", "stablehlo.or"),
    ("tosa.bitwise_xor", "stablehlo.xor"),
    ("tosa.intdiv", "stablehlo.divide"),
    ("tosa.logical_and", "stablehlo.and"),
    ("tosa.logical_left_shift", "stablehlo.shift_left"),
    ("tosa.logical_or", "stablehlo.or"),
    ("tosa.logical_right_shift", "stablehlo.shift_right_logical"),
    ("tosa.logical_xor", "stablehlo.xor"),
    ("tosa.maximum", "stablehlo.maximum"),
    ("tosa.minimum", "stablehlo.minimum"),
    ("tosa.pow", "stablehlo.power"),
    ("tosa.sub", "stablehlo.subtract"),
];

const COMPARISONS: &[(&str, &str)] = &[
    ("tosa.equal", "EQ"),
    ("tosa.greater", "GT"),
    ("tosa.greater_equal", "GE"),
];

/// Reductions: StableHLO's operation, and where it starts.
const REDUCTIONS: &[(&str, &str)] = &[
    ("tosa.reduce_all", "stablehlo.and"),
    ("tosa.reduce_any", "stablehlo.or"),
    ("tosa.reduce_max", "stablehlo.maximum"),
    ("tosa.reduce_min", "stablehlo.minimum"),
    ("tosa.reduce_product", "stablehlo.multiply"),
    ("tosa.reduce_sum", "stablehlo.add"),
];

impl<'d> Lowering<'d> {
    pub(super) fn tosa(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        let name = &*op.name;
        if matches!(name, "tosa.const_shape" | "tosa.cond_if" | "tosa.while_loop") {
            return self.tosa_structure(op);
        }
        // Shapes are no values: an operand that is one has none.
        let operands: Vec<Value> = op
            .operands
            .iter()
            .filter(|operand| !self.known.contains_key(&(operand.name.to_string(), operand.number)))
            .map(|operand| self.value(operand))
            .collect::<Lowered<_>>()?;
        let results = types(op)?;
        let Some(ty) = results.first().cloned() else {
            return Err(self.unknown(op));
        };
        if let (Some(unary), [x]) = (named(UNARY, name), &operands[..]) {
            return Ok(vec![self.out.unary(unary, x)]);
        }
        if let (Some(binary), [x, y]) = (named(BINARY, name), &operands[..]) {
            let (x, y) = self.alike(x, y);
            return Ok(vec![self.out.binary(binary, &x, &y)]);
        }
        if let (Some(direction), [x, y]) = (named(COMPARISONS, name), &operands[..]) {
            let (x, y) = self.alike(x, y);
            return Ok(vec![self.out.compare(direction, &x, &y)]);
        }
        if let (Some(combine), [x]) = (named(REDUCTIONS, name), &operands[..]) {
            let dimension = integer(op.attr("axis")).unwrap_or(0);
            let start =
                reduction_start(combine, &ty).ok_or_else(|| refuse(format!("`{name}` of {} elements", ty.element)))?;
            let reduced = self.reduce_along(combine, start, x, dimension);
            return Ok(vec![self.out.reshape(&reduced, &ty.sizes)]);
        }
        let value = match (name, &operands[..]) {
            ("tosa.const", _) => match op.attr("values").or(op.attr("value")) {
                Some(attr) => self.elements(attr, ty)?,
                None => return Err(refuse("`tosa.const` without values")),
            },
            ("tosa.identity", [x]) => x.clone(),
            ("tosa.cast", [x]) => self.tosa_cast(x, &ty),
            ("tosa.mul", [x, y, rest @ ..]) => {
                if rest.iter().any(|shift| shift.splat != Some(0.0)) {
                    return Err(self.unknown(op));
                }
                let (x, y) = self.alike(x, y);
                let (x, y) = (self.out.convert(&x, &ty.element), self.out.convert(&y, &ty.element));
                self.out.binary("stablehlo.multiply", &x, &y)
            }
            ("tosa.negate", [x, points @ ..]) => {
                if points.iter().any(|point| point.splat != Some(0.0)) {
                    return Err(self.unknown(op));
                }
                self.out.unary("stablehlo.negate", x)
            }
            ("tosa.reciprocal", [x]) => {
                let one = self.out.splat(1.0, x.ty.clone());
                self.out.binary("stablehlo.divide", &one, x)
            }
            ("tosa.clamp", [x]) => {
                let bound = |name: &str| match op.attr(name) {
                    Some(Attr::Float {
                        value: ferrite_ir::text::Scalar::Float(value),
                        ..
                    }) => Some(*value),
                    Some(Attr::Float {
                        value: ferrite_ir::text::Scalar::Bits(bits),
                        ..
                    }) => super::emit::float_bits(*bits, &x.ty.element),
                    other => integer(other).map(|value| value as f64),
                };
                let (Some(low), Some(high)) = (bound("min_val"), bound("max_val")) else {
                    return Err(refuse("`tosa.clamp` without bounds"));
                };
                let scalar = Ty::scalar(&x.ty.element);
                let bounds = [self.out.splat(low, scalar.clone()), self.out.splat(high, scalar)];
                let operands = [bounds[0].clone(), x.clone(), bounds[1].clone()];
                self.out.op("stablehlo.clamp", &operands, Vec::new(), ty)
            }
            ("tosa.select", [pred, x, y]) => {
                let spread = |this: &mut Self, value: &Value| this.tosa_broadcast(value, &ty.sizes);
                let (pred, x, y) = (spread(self, pred), spread(self, x), spread(self, y));
                self.out.select(&pred, &x, &y)
            }
            ("tosa.reshape", [x]) => self.out.reshape(x, &ty.sizes),
            ("tosa.transpose", [x]) => match integers(op.attr("perms")) {
                Some(permutation) => self.out.transpose(x, &permutation),
                None => return Err(refuse("`tosa.transpose` without `perms`")),
            },
            ("tosa.concat", all) => {
                let dimension = integer(op.attr("axis")).unwrap_or(0);
                self.out.concatenate(all, dimension as usize)
            }
            ("tosa.slice", [x]) => {
                let (start, size) = (self.shape_operand(op, 1)?, self.shape_operand(op, 2)?);
                let limit: Vec<i64> = start.iter().zip(&size).map(|(a, b)| a + b).collect();
                self.out.slice(x, &start, &limit, &vec![1; start.len()])
            }
            ("tosa.pad", [x, with]) => {
                let padding = self.shape_operand(op, 1)?;
                let low: Vec<i64> = padding.iter().step_by(2).copied().collect();
                let high: Vec<i64> = padding.iter().skip(1).step_by(2).copied().collect();
                let with = self.out.reshape(with, &[]);
                self.out.pad(x, &with, &low, &high)
            }
            ("tosa.tile", [x]) => self.tosa_tile(x, &ty),
            ("tosa.reverse", [x]) => {
                let dimension = integer(op.attr("axis")).unwrap_or(0);
                let attributes = vec![("dimensions", dims(&[dimension]))];
                self.out
                    .op("stablehlo.reverse", std::slice::from_ref(x), attributes, ty)
            }
            ("tosa.gather", [values, indices]) => self.tosa_gather(values, indices, &ty),
            ("tosa.matmul", [x, y, points @ ..]) => {
                if points.iter().any(|point| point.splat != Some(0.0)) {
                    return Err(self.unknown(op));
                }
                let numbers = "lhs_batching_dimensions = [0], rhs_batching_dimensions = [0], \
                     lhs_contracting_dimensions = [2], rhs_contracting_dimensions = [1]";
                let attributes = vec![("dot_dimension_numbers", structure("dot", numbers.to_string()))];
                self.out
                    .op("stablehlo.dot_general", &[x.clone(), y.clone()], attributes, ty)
            }
            ("tosa.argmax", [x]) => self.tosa_argmax(x, integer(op.attr("axis")).unwrap_or(0), &ty)?,
            _ => return self.tosa_windows(op, &operands, &ty).map(|value| vec![value]),
        };
        Ok(vec![value])
    }

    /// Shapes and control flow.
    fn tosa_structure(&mut self, op: &Operation<'d>) -> Lowered<Vec<Value>> {
        if &*op.name == "tosa.const_shape" {
            let values = integers(op.attr("values").or(op.attr("value")));
            let values = values.ok_or_else(|| refuse("`tosa.const_shape` without values"))?;
            for group in &op.results {
                self.known.insert((group.name.to_string(), 0), values.clone());
            }
            return Ok(Vec::new());
        }
        let operands = self.operands(op)?;
        let results = types(op)?;
        if &*op.name == "tosa.cond_if" {
            let mut regions = Vec::new();
            for region in &op.regions {
                let [block] = &region.blocks[..] else {
                    return Err(self.unknown(op));
                };
                for (argument, value) in block.arguments.iter().zip(&operands[1..]) {
                    self.bind(&argument.name, 0, value.clone());
                }
                self.out.open();
                let values = self.body(block)?;
                regions.push(self.out.close(&[], "stablehlo.return", &values));
            }
            self.out.location = op.location;
            let pred = self.out.reshape(&operands[0], &[]);
            return Ok(self.out.many("stablehlo.if", &[pred], Vec::new(), regions, &results));
        }
        let mut regions = Vec::new();
        for region in &op.regions {
            let [block] = &region.blocks[..] else {
                return Err(self.unknown(op));
            };
            let arguments = self.arguments(block)?;
            self.out.open();
            let mut values = self.body(block)?;
            if regions.is_empty() {
                values = values.iter().map(|value| self.out.reshape(value, &[])).collect();
            }
            regions.push(self.out.close(&arguments, "stablehlo.return", &values));
        }
        self.out.location = op.location;
        Ok(self
            .out
            .many("stablehlo.while", &operands, Vec::new(), regions, &results))
    }

    /// The numbers that an operand of type `!tosa.shape` is.
    pub(super) fn shape_operand(&self, op: &Operation, number: usize) -> Lowered<Vec<i64>> {
        let operand = op.operands.get(number);
        let known = operand.and_then(|operand| self.known.get(&(operand.name.to_string(), operand.number)));
        known
            .cloned()
            .ok_or_else(|| refuse(format!("operand {number} of `{}` is no constant shape", op.name)))
    }

    /// Both operands with the sizes of their broadcast.
    fn alike(&mut self, x: &Value, y: &Value) -> (Value, Value) {
        if x.ty.rank() != y.ty.rank() {
            return (x.clone(), y.clone());
        }
        let sizes: Vec<i64> =
            x.ty.sizes
                .iter()
                .zip(&y.ty.sizes)
                .map(|(&a, &b)| if a == 1 { b } else { a })
                .collect();
        (self.tosa_broadcast(x, &sizes), self.tosa_broadcast(y, &sizes))
    }

    /// Repeats dimensions of size 1.
    fn tosa_broadcast(&mut self, value: &Value, sizes: &[i64]) -> Value {
        if value.ty.rank() != sizes.len() || value.ty.sizes == sizes {
            return self.out.spread(value, sizes);
        }
        let dimensions: Vec<i64> = (0..sizes.len() as i64).collect();
        self.out.broadcast(value, &dimensions, sizes)
    }

    /// TOSA rounds to the nearest even integer and saturates.
    fn tosa_cast(&mut self, x: &Value, ty: &Ty) -> Value {
        if x.ty.is_float() && !ty.is_float() && !ty.is_bool() {
            let rounded = self.out.unary("stablehlo.round_nearest_even", x);
            return self.out.convert(&rounded, &ty.element);
        }
        self.out.convert(x, &ty.element)
    }

    fn tosa_tile(&mut self, x: &Value, ty: &Ty) -> Value {
        // [a, b] to [1, a, 1, b], repeated, and back.
        let mut apart = Vec::new();
        let mut repeated = Vec::new();
        for (&size, &to) in x.ty.sizes.iter().zip(&ty.sizes) {
            apart.extend([1, size]);
            repeated.extend([to / size.max(1), size]);
        }
        let x = self.out.reshape(x, &apart);
        let dimensions: Vec<i64> = (0..apart.len() as i64).collect();
        let x = self.out.broadcast(&x, &dimensions, &repeated);
        self.out.reshape(&x, &ty.sizes)
    }

    /// `[n, k, c]` rows by `[n, w]` numbers.
    fn tosa_gather(&mut self, values: &Value, indices: &Value, ty: &Ty) -> Value {
        let shape = [indices.ty.sizes[0], indices.ty.sizes[1], 1];
        let starts = self.out.reshape(indices, &shape);
        let numbers = structure(
            "gather",
            "offset_dims = [2], collapsed_slice_dims = [1], operand_batching_dims = [0], \
             start_indices_batching_dims = [0], start_index_map = [1], index_vector_dim = 2"
                .to_string(),
        );
        let attributes = vec![
            ("dimension_numbers", numbers),
            ("slice_sizes", dims(&[1, 1, ty.sizes[2]])),
            ("indices_are_sorted", Attr::Bool(false)),
        ];
        self.out
            .op("stablehlo.gather", &[values.clone(), starts], attributes, ty.clone())
    }

    /// Reduces one dimension by an operation of two scalars.
    pub(super) fn reduce_along(&mut self, combine: &'static str, start: f64, x: &Value, dimension: i64) -> Value {
        let scalar = Ty::scalar(&x.ty.element);
        let start = self.out.splat(start, scalar.clone());
        let arguments = [self.out.argument(scalar.clone()), self.out.argument(scalar)];
        self.out.open();
        let combined = self.out.binary(combine, &arguments[0], &arguments[1]);
        let region = self.out.close(&arguments, "stablehlo.return", &[combined]);
        let mut sizes = x.ty.sizes.clone();
        sizes.remove(dimension as usize);
        let ty = Ty::new(&sizes, &x.ty.element);
        let attributes = vec![("dimensions", dims(&[dimension]))];
        let operands = [x.clone(), start];
        let mut results = self
            .out
            .many("stablehlo.reduce", &operands, attributes, vec![region], &[ty]);
        results.remove(0)
    }

    /// The number of the first greatest element: the least number of those that equal the greatest.
    fn tosa_argmax(&mut self, x: &Value, dimension: i64, ty: &Ty) -> Lowered<Value> {
        let start = reduction_start("stablehlo.maximum", &x.ty)
            .ok_or_else(|| refuse(format!("`tosa.argmax` of {} elements", x.ty.element)))?;
        let greatest = self.reduce_along("stablehlo.maximum", start, x, dimension);
        let kept: Vec<i64> = (0..x.ty.rank() as i64).filter(|&d| d != dimension).collect();
        let greatest = self.out.broadcast(&greatest, &kept, &x.ty.sizes);
        let is_it = self.out.compare("EQ", x, &greatest);
        let numbers = self.out.iota(dimension as usize, x.ty.with_element(&ty.element));
        let last = self
            .out
            .splat((x.ty.sizes[dimension as usize] - 1) as f64, numbers.ty.clone());
        let candidates = self.out.select(&is_it, &numbers, &last);
        let last = (x.ty.sizes[dimension as usize] - 1) as f64;
        Ok(self.reduce_along("stablehlo.minimum", last, &candidates, dimension))
    }
}

/// Where a reduction starts.
pub(super) fn reduction_start(combine: &str, ty: &Ty) -> Option<f64> {
    let bits = ty.bits();
    Some(match combine {
        "stablehlo.add" | "stablehlo.or" => 0.0,
        "stablehlo.multiply" | "stablehlo.and" => 1.0,
        "stablehlo.maximum" if ty.is_float() => f64::NEG_INFINITY,
        "stablehlo.minimum" if ty.is_float() => f64::INFINITY,
        "stablehlo.maximum" if bits <= 32 => -(2f64.powi(bits as i32 - 1)),
        "stablehlo.minimum" if bits <= 32 => 2f64.powi(bits as i32 - 1) - 1.0,
        _ => return None,
    })
}
