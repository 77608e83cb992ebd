//! Writing StableHLO as a tree: values with types, operations one after another, regions within.
//!
//! Everything is a tensor: a scalar of the source has rank 0, and `index` is `i64`.

use std::collections::HashSet;

use ferrite_ir::text::{
    Attr, Block, BlockArgument, Dense, DenseData, LocId, NamedAttr, Operation, Region, ResultGroup, Scalar, Type,
    ValueUse,
};
use smallvec::SmallVec;

/// The type of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ty {
    pub(super) sizes: Vec<i64>,
    /// Name of the element type (`f32`, `i64`, `ui8`, `complex<f32>`).
    pub(super) element: String,
}

impl Ty {
    pub(super) fn new(sizes: &[i64], element: &str) -> Ty {
        Ty {
            sizes: sizes.to_vec(),
            element: element.to_string(),
        }
    }

    pub(super) fn scalar(element: &str) -> Ty {
        Ty::new(&[], element)
    }

    pub(super) fn rank(&self) -> usize {
        self.sizes.len()
    }

    pub(super) fn with_element(&self, element: &str) -> Ty {
        Ty::new(&self.sizes, element)
    }

    pub(super) fn is_float(&self) -> bool {
        self.element.starts_with('f') || self.element.starts_with("bf")
    }

    pub(super) fn is_bool(&self) -> bool {
        self.element == "i1"
    }

    /// Bits of an element, 0 if it is no number with a width.
    pub(super) fn bits(&self) -> u32 {
        let digits = self.element.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }

    pub(super) fn tree(&self) -> Type<'static> {
        let element = match self.element.strip_prefix("complex<") {
            Some(inner) => Type::Complex(Box::new(Type::Scalar(inner.trim_end_matches('>').to_string().into()))),
            None => Type::Scalar(self.element.clone().into()),
        };
        Type::tensor(self.sizes.iter().copied().collect(), element)
    }
}

/// A value of the new program.
#[derive(Clone, Debug)]
pub(super) struct Value {
    name: String,
    number: u32,
    pub(super) ty: Ty,
    /// The value of all elements, where it is known.
    pub(super) splat: Option<f64>,
}

impl Value {
    fn of(name: String, ty: Ty) -> Value {
        Value {
            name,
            number: 0,
            ty,
            splat: None,
        }
    }

    fn as_use(&self) -> ValueUse<'static> {
        ValueUse {
            name: self.name.clone().into(),
            number: self.number,
            offset: 0,
        }
    }
}

/// Attributes of an operation to be written.
pub(super) type Attributes = Vec<(&'static str, Attr<'static>)>;

/// Grows a program.
#[derive(Default)]
pub(super) struct Emitter {
    /// Operations of the blocks that are open, outermost first.
    open: Vec<Vec<Operation<'static>>>,
    next: usize,
    /// Location given to what is written.
    pub(super) location: LocId,
}

impl Emitter {
    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("v{}", self.next)
    }

    /// A block argument.
    pub(super) fn argument(&mut self, ty: Ty) -> Value {
        Value::of(self.fresh(), ty)
    }

    pub(super) fn open(&mut self) {
        self.open.push(Vec::new());
    }

    /// Ends the block that was opened last: `end` with these operands is its terminator.
    pub(super) fn close(&mut self, arguments: &[Value], end: &'static str, results: &[Value]) -> Region<'static> {
        self.push(end, results, Vec::new(), Vec::new());
        Region {
            blocks: vec![Block {
                label: None,
                arguments: arguments.iter().map(|value| self.block_argument(value)).collect(),
                operations: self.open.pop().unwrap_or_default(),
            }],
        }
    }

    fn block_argument(&self, value: &Value) -> BlockArgument<'static> {
        BlockArgument {
            name: value.name.clone().into(),
            ty: value.ty.tree(),
            location: self.location,
        }
    }

    /// Writes an operation without results, or one whose results are added by the caller.
    fn push(
        &mut self,
        name: &'static str,
        operands: &[Value],
        attributes: Attributes,
        regions: Vec<Region<'static>>,
    ) -> Option<&mut Operation<'static>> {
        let mut operation = Operation::new(name);
        operation.location = self.location;
        operation.operands = operands.iter().map(Value::as_use).collect();
        operation.operand_types = operands.iter().map(|value| value.ty.tree()).collect();
        operation.properties = attributes
            .into_iter()
            .map(|(name, value)| NamedAttr {
                name: name.into(),
                value,
            })
            .collect();
        operation.regions = regions;
        let block = self.open.last_mut()?;
        block.push(operation);
        block.last_mut()
    }

    /// An operation of any number of results.
    pub(super) fn many(
        &mut self,
        name: &'static str,
        operands: &[Value],
        attributes: Attributes,
        regions: Vec<Region<'static>>,
        results: &[Ty],
    ) -> Vec<Value> {
        let group = self.fresh();
        let types = results.iter().map(Ty::tree).collect();
        if let Some(operation) = self.push(name, operands, attributes, regions) {
            if !results.is_empty() {
                operation.results.push(ResultGroup {
                    name: group.clone().into(),
                    count: results.len() as u32,
                });
            }
            operation.result_types = types;
        }
        let value = |(number, ty): (usize, &Ty)| Value {
            number: number as u32,
            ..Value::of(group.clone(), ty.clone())
        };
        results.iter().enumerate().map(value).collect()
    }

    /// An operation of one result without regions.
    pub(super) fn op(&mut self, name: &'static str, operands: &[Value], attributes: Attributes, ty: Ty) -> Value {
        let mut results = self.many(name, operands, attributes, Vec::new(), std::slice::from_ref(&ty));
        results.pop().unwrap_or_else(|| Value::of(String::new(), ty))
    }

    /// A constant whose value stands in an attribute of the source.
    pub(super) fn constant(&mut self, value: Attr<'static>, ty: Ty) -> Value {
        let splat = splat_of(&value);
        let result = self.op("stablehlo.constant", &[], vec![("value", value)], ty);
        Value { splat, ..result }
    }

    /// A tensor of one number: integers that f64 holds, and floats.
    pub(super) fn splat(&mut self, value: f64, ty: Ty) -> Value {
        let element = if ty.is_bool() {
            Scalar::Bool(value != 0.0)
        } else if !ty.is_float() {
            Scalar::Int(value as i128)
        } else if value.is_finite() {
            Scalar::Float(value)
        } else {
            special(value, &ty.element)
        };
        let dense = Dense {
            data: DenseData::Elements {
                shape: SmallVec::new(),
                values: vec![element],
                complex: false,
            },
            ty: ty.tree(),
        };
        let constant = self.constant(Attr::Dense(Box::new(dense)), ty);
        Value {
            splat: Some(value),
            ..constant
        }
    }

    /// The same elements in another shape.
    pub(super) fn reshape(&mut self, value: &Value, sizes: &[i64]) -> Value {
        if value.ty.sizes == sizes {
            return value.clone();
        }
        let ty = Ty::new(sizes, &value.ty.element);
        let reshaped = self.op("stablehlo.reshape", std::slice::from_ref(value), Vec::new(), ty);
        Value {
            splat: value.splat,
            ..reshaped
        }
    }

    /// Dimension `d` of `value` becomes dimension `dimensions[d]` of the result.
    pub(super) fn broadcast(&mut self, value: &Value, dimensions: &[i64], sizes: &[i64]) -> Value {
        if value.ty.sizes == sizes && dimensions.iter().copied().eq(0..sizes.len() as i64) {
            return value.clone();
        }
        let ty = Ty::new(sizes, &value.ty.element);
        let attributes = vec![("broadcast_dimensions", dims(dimensions))];
        let broadcast = self.op(
            "stablehlo.broadcast_in_dim",
            std::slice::from_ref(value),
            attributes,
            ty,
        );
        Value {
            splat: value.splat,
            ..broadcast
        }
    }

    /// A scalar on every element; a tensor of that shape as it is.
    pub(super) fn spread(&mut self, value: &Value, sizes: &[i64]) -> Value {
        if value.ty.rank() == 0 {
            self.broadcast(value, &[], sizes)
        } else {
            value.clone()
        }
    }

    pub(super) fn transpose(&mut self, value: &Value, permutation: &[i64]) -> Value {
        if permutation.iter().copied().eq(0..permutation.len() as i64) {
            return value.clone();
        }
        let sizes: Vec<i64> = permutation.iter().map(|&d| value.ty.sizes[d as usize]).collect();
        let ty = Ty::new(&sizes, &value.ty.element);
        self.op(
            "stablehlo.transpose",
            std::slice::from_ref(value),
            vec![("permutation", dims(permutation))],
            ty,
        )
    }

    pub(super) fn slice(&mut self, value: &Value, start: &[i64], limit: &[i64], strides: &[i64]) -> Value {
        let sizes: Vec<i64> = (0..start.len())
            .map(|d| (limit[d] - start[d] + strides[d] - 1) / strides[d].max(1))
            .collect();
        let ty = Ty::new(&sizes, &value.ty.element);
        let attributes = vec![
            ("start_indices", dims(start)),
            ("limit_indices", dims(limit)),
            ("strides", dims(strides)),
        ];
        self.op("stablehlo.slice", std::slice::from_ref(value), attributes, ty)
    }

    pub(super) fn pad(&mut self, value: &Value, with: &Value, low: &[i64], high: &[i64]) -> Value {
        let sizes: Vec<i64> = (0..low.len()).map(|d| value.ty.sizes[d] + low[d] + high[d]).collect();
        let ty = Ty::new(&sizes, &value.ty.element);
        let attributes = vec![
            ("edge_padding_low", dims(low)),
            ("edge_padding_high", dims(high)),
            ("interior_padding", dims(&vec![0; low.len()])),
        ];
        self.op("stablehlo.pad", &[value.clone(), with.clone()], attributes, ty)
    }

    pub(super) fn concatenate(&mut self, values: &[Value], dimension: usize) -> Value {
        let mut ty = values.first().map_or(Ty::scalar("f32"), |first| first.ty.clone());
        ty.sizes[dimension] = values.iter().map(|value| value.ty.sizes[dimension]).sum();
        self.op(
            "stablehlo.concatenate",
            values,
            vec![("dimension", int(dimension as i64))],
            ty,
        )
    }

    /// Values counting up along a dimension.
    pub(super) fn iota(&mut self, dimension: usize, ty: Ty) -> Value {
        self.op(
            "stablehlo.iota",
            &[],
            vec![("iota_dimension", int(dimension as i64))],
            ty,
        )
    }

    pub(super) fn convert(&mut self, value: &Value, element: &str) -> Value {
        if value.ty.element == element {
            return value.clone();
        }
        let ty = value.ty.with_element(element);
        let converted = self.op("stablehlo.convert", std::slice::from_ref(value), Vec::new(), ty);
        Value {
            splat: value.splat,
            ..converted
        }
    }

    /// The same bits as another element type.
    pub(super) fn bitcast(&mut self, value: &Value, element: &str) -> Value {
        if value.ty.element == element {
            return value.clone();
        }
        let ty = value.ty.with_element(element);
        self.op("stablehlo.bitcast_convert", std::slice::from_ref(value), Vec::new(), ty)
    }

    pub(super) fn unary(&mut self, name: &'static str, value: &Value) -> Value {
        self.op(name, std::slice::from_ref(value), Vec::new(), value.ty.clone())
    }

    pub(super) fn binary(&mut self, name: &'static str, x: &Value, y: &Value) -> Value {
        let ty = if x.ty.rank() >= y.ty.rank() { &x.ty } else { &y.ty }.clone();
        let operands = [self.spread(x, &ty.sizes), self.spread(y, &ty.sizes)];
        self.op(name, &operands, Vec::new(), ty)
    }

    pub(super) fn compare(&mut self, direction: &str, x: &Value, y: &Value) -> Value {
        let sizes = if x.ty.rank() >= y.ty.rank() { &x.ty } else { &y.ty }.sizes.clone();
        let operands = [self.spread(x, &sizes), self.spread(y, &sizes)];
        let attributes = vec![("comparison_direction", word("comparison_direction", direction))];
        self.op("stablehlo.compare", &operands, attributes, Ty::new(&sizes, "i1"))
    }

    pub(super) fn select(&mut self, pred: &Value, on_true: &Value, on_false: &Value) -> Value {
        let all = [pred, on_true, on_false];
        let sizes = all
            .iter()
            .map(|v| &v.ty.sizes)
            .max_by_key(|s| s.len())
            .cloned()
            .unwrap_or_default();
        let operands = all.map(|value| self.spread(value, &sizes));
        let ty = operands[1].ty.clone();
        self.op("stablehlo.select", &operands, Vec::new(), ty)
    }
}

/// Removes operations whose results nobody uses: constants of the source that became attributes, tensors that are only
/// written over. Calls and operations with regions stay. In a walk backwards all uses are seen before the definition.
pub(super) fn prune(region: &mut Region, used: &mut HashSet<String>) {
    for block in region.blocks.iter_mut().rev() {
        let mut kept: Vec<Operation> = Vec::with_capacity(block.operations.len());
        for mut operation in std::mem::take(&mut block.operations).into_iter().rev() {
            let stays = operation.results.is_empty()
                || operation.name == "func.call"
                || !operation.regions.is_empty()
                || operation.results.iter().any(|group| used.contains(&*group.name));
            if stays {
                used.extend(operation.operands.iter().map(|operand| operand.name.to_string()));
                for inner in &mut operation.regions {
                    prune(inner, used);
                }
                kept.push(operation);
            }
        }
        kept.reverse();
        block.operations = kept;
    }
}

/// `array<i64: ...>`.
pub(super) fn dims(values: &[i64]) -> Attr<'static> {
    Attr::DenseArray {
        element: "i64".into(),
        values: values.iter().map(|&v| Scalar::Int(v.into())).collect(),
    }
}

/// `value : i64`.
pub(super) fn int(value: i64) -> Attr<'static> {
    Attr::Integer {
        value: value.into(),
        ty: Some(Box::new(Type::Scalar("i64".into()))),
    }
}

/// `#stablehlo<kind WORD>`.
pub(super) fn word(kind: &str, word: &str) -> Attr<'static> {
    Attr::Dialect {
        name: "stablehlo".into(),
        body: Some(format!("{kind} {word}").into()),
    }
}

/// `#stablehlo.name<body>`.
pub(super) fn structure(name: &str, body: String) -> Attr<'static> {
    Attr::Dialect {
        name: format!("stablehlo.{name}").into(),
        body: Some(body.into()),
    }
}

/// A pair of integers a row.
pub(super) fn pairs(rows: &[(i64, i64)]) -> Attr<'static> {
    let values = rows
        .iter()
        .flat_map(|&(a, b)| [Scalar::Int(a.into()), Scalar::Int(b.into())]);
    Attr::Dense(Box::new(Dense {
        data: DenseData::Elements {
            shape: SmallVec::from_slice(&[rows.len(), 2]),
            values: values.collect(),
            complex: false,
        },
        ty: Ty::new(&[rows.len() as i64, 2], "i64").tree(),
    }))
}

/// The bits of an infinity or NaN.
fn special(value: f64, element: &str) -> Scalar {
    let (exponent, mantissa) = match element {
        "f64" => (11, 52),
        "bf16" => (8, 7),
        "f16" => (5, 10),
        _ => (8, 23),
    };
    let infinity = ((1u64 << exponent) - 1) << mantissa;
    let sign = u64::from(value.is_sign_negative()) << (exponent + mantissa);
    Scalar::Bits(if value.is_nan() {
        infinity | 1 << (mantissa - 1)
    } else {
        infinity | sign
    })
}

/// The number that all elements of a `dense<...>` are.
fn splat_of(attr: &Attr) -> Option<f64> {
    let Attr::Dense(dense) = attr else { return None };
    match &dense.data {
        DenseData::Elements {
            values, complex: false, ..
        } => match values[..] {
            [Scalar::Bool(value)] => Some(f64::from(u8::from(value))),
            [Scalar::Int(value)] => Some(value as f64),
            [Scalar::Float(value)] => Some(value),
            [Scalar::Bits(bits)] => float_bits(bits, dense.ty.element()?.scalar_name()?),
            _ => None,
        },
        _ => None,
    }
}

/// The number with these bits.
pub(super) fn float_bits(bits: u64, element: &str) -> Option<f64> {
    match element {
        "f64" => Some(f64::from_bits(bits)),
        "f32" => Some(f32::from_bits(bits as u32).into()),
        "bf16" => Some(f32::from_bits((bits as u32) << 16).into()),
        "f16" => match bits {
            0x7c00 => Some(f64::INFINITY),
            0xfc00 => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ if !element.starts_with('f') => Some(bits as f64),
        _ => None,
    }
}
