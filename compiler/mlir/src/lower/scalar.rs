//! `arith` and `math`: element by element, on scalars, on tensors, and in the bodies of `linalg.generic` on all elements
//! of the iteration space at once.

use ferrite_ir::text::{Attr, Operation};

use super::emit::{Ty, Value};
use super::{Lowered, Lowering, element_of, refuse};

/// Operations that StableHLO has under another name.
const SAME: &[(&str, &str)] = &[
    ("arith.addf", "stablehlo.add"),
    ("arith.addi", "stablehlo.add"),
    ("arith.subf", "stablehlo.subtract"),
    ("arith.subi", "stablehlo.subtract"),
    ("arith.mulf", "stablehlo.multiply"),
    ("arith.muli", "stablehlo.multiply"),
    ("arith.divf", "stablehlo.divide"),
    ("arith.divsi", "stablehlo.divide"),
    ("arith.remf", "stablehlo.remainder"),
    ("arith.remsi", "stablehlo.remainder"),
    ("arith.maximumf", "stablehlo.maximum"),
    ("arith.minimumf", "stablehlo.minimum"),
    ("arith.maxsi", "stablehlo.maximum"),
    ("arith.minsi", "stablehlo.minimum"),
    ("arith.andi", "stablehlo.and"),
    ("arith.ori", "stablehlo.or"),
    ("arith.xori", "stablehlo.xor"),
    ("arith.shli", "stablehlo.shift_left"),
    ("arith.shrsi", "stablehlo.shift_right_arithmetic"),
    ("arith.shrui", "stablehlo.shift_right_logical"),
    ("arith.negf", "stablehlo.negate"),
    ("math.absf", "stablehlo.abs"),
    ("math.absi", "stablehlo.abs"),
    ("math.acos", "chlo.acos"),
    ("math.acosh", "chlo.acosh"),
    ("math.asin", "chlo.asin"),
    ("math.asinh", "chlo.asinh"),
    ("math.atan", "chlo.atan"),
    ("math.atan2", "stablehlo.atan2"),
    ("math.atanh", "chlo.atanh"),
    ("math.cbrt", "stablehlo.cbrt"),
    ("math.ceil", "stablehlo.ceil"),
    ("math.cos", "stablehlo.cosine"),
    ("math.cosh", "chlo.cosh"),
    ("math.ctlz", "stablehlo.count_leading_zeros"),
    ("math.ctpop", "stablehlo.popcnt"),
    ("math.erf", "chlo.erf"),
    ("math.erfc", "chlo.erfc"),
    ("math.exp", "stablehlo.exponential"),
    ("math.expm1", "stablehlo.exponential_minus_one"),
    ("math.floor", "stablehlo.floor"),
    ("math.ipowi", "stablehlo.power"),
    ("math.log", "stablehlo.log"),
    ("math.log1p", "stablehlo.log_plus_one"),
    ("math.powf", "stablehlo.power"),
    ("math.round", "stablehlo.round_nearest_afz"),
    ("math.roundeven", "stablehlo.round_nearest_even"),
    ("math.rsqrt", "stablehlo.rsqrt"),
    ("math.sin", "stablehlo.sine"),
    ("math.sinh", "chlo.sinh"),
    ("math.sqrt", "stablehlo.sqrt"),
    ("math.tan", "stablehlo.tan"),
    ("math.tanh", "stablehlo.tanh"),
];

/// Operations on integers without a sign: the same in unsigned types of StableHLO.
const UNSIGNED: &[(&str, &str)] = &[
    ("arith.divui", "stablehlo.divide"),
    ("arith.remui", "stablehlo.remainder"),
    ("arith.maxui", "stablehlo.maximum"),
    ("arith.minui", "stablehlo.minimum"),
];

pub(super) fn named(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
}

impl Lowering<'_> {
    /// An operation element by element; nothing if it is another one.
    pub(super) fn elementwise(&mut self, op: &Operation, operands: &[Value]) -> Lowered<Option<Value>> {
        let name = &*op.name;
        if !name.starts_with("arith.") && !name.starts_with("math.") {
            return Ok(None);
        }
        let to = element_of(op.result_types.first())?;
        if name == "arith.constant" {
            return self.constant(op).map(Some);
        }
        if let Some(same) = named(SAME, name) {
            return Ok(Some(match operands {
                [x] => self.out.unary(same, x),
                [x, y] => self.out.binary(same, x, y),
                _ => return Err(refuse(format!("`{name}` with {} operands", operands.len()))),
            }));
        }
        if let (Some(unsigned), [x, y]) = (named(UNSIGNED, name), operands) {
            if x.ty.is_bool() {
                return Ok(Some(self.out.binary(unsigned, x, y)));
            }
            let unsigned_element = format!("u{}", x.ty.element);
            let (a, b) = (
                self.out.bitcast(x, &unsigned_element),
                self.out.bitcast(y, &unsigned_element),
            );
            let result = self.out.binary(unsigned, &a, &b);
            return Ok(Some(self.out.bitcast(&result, &x.ty.element)));
        }
        Ok(Some(match (name, operands) {
            ("arith.select", [pred, x, y]) => self.out.select(pred, x, y),
            ("arith.cmpf", [x, y]) => self.compare_floats(op, x, y)?,
            ("arith.cmpi", [x, y]) => self.compare_integers(op, x, y)?,
            // Casts. Integers without a sign are signed in StableHLO; `i1` is 0 and 1 there.
            ("arith.extf" | "arith.truncf" | "arith.fptosi" | "arith.extui" | "arith.sitofp" | "arith.extsi", [x])
                if !x.ty.is_bool() && name != "arith.extui" || x.ty.is_float() =>
            {
                self.out.convert(x, &to)
            }
            ("arith.index_cast" | "arith.trunci", [x]) if to != "i1" && !x.ty.is_bool() => self.out.convert(x, &to),
            ("arith.index_castui" | "arith.extui" | "arith.uitofp", [x]) => self.unsigned_as(x, &to),
            ("arith.extsi" | "arith.sitofp" | "arith.index_cast", [x]) => {
                let zero_or_one = self.out.convert(x, &to);
                self.out.unary("stablehlo.negate", &zero_or_one)
            }
            ("arith.trunci", [x]) => {
                let one = self.out.splat(1.0, x.ty.clone());
                let bit = self.out.binary("stablehlo.and", x, &one);
                self.out.compare("EQ", &bit, &one)
            }
            ("arith.fptoui", [x]) => {
                let unsigned = self.out.convert(x, &format!("u{to}"));
                self.out.bitcast(&unsigned, &to)
            }
            ("arith.bitcast", [x]) => self.out.bitcast(x, &to),
            ("arith.maxnumf", [x, y]) => self.ignoring_nan("stablehlo.maximum", x, y),
            ("arith.minnumf", [x, y]) => self.ignoring_nan("stablehlo.minimum", x, y),
            ("arith.floordivsi", [x, y]) => self.rounded_division(x, y, true),
            ("arith.ceildivsi", [x, y]) => self.rounded_division(x, y, false),
            ("math.exp2", [x]) => self.scaled("stablehlo.exponential", std::f64::consts::LN_2, x),
            ("math.log2", [x]) => {
                let log = self.out.unary("stablehlo.log", x);
                let factor = self.out.splat(std::f64::consts::LOG2_E, x.ty.clone());
                self.out.binary("stablehlo.multiply", &log, &factor)
            }
            ("math.log10", [x]) => {
                let log = self.out.unary("stablehlo.log", x);
                let factor = self.out.splat(std::f64::consts::LOG10_E, x.ty.clone());
                self.out.binary("stablehlo.multiply", &log, &factor)
            }
            ("math.fma", [x, y, z]) => {
                let product = self.out.binary("stablehlo.multiply", x, y);
                self.out.binary("stablehlo.add", &product, z)
            }
            ("math.fpowi", [x, y]) => {
                let power = self.out.convert(y, &x.ty.element);
                self.out.binary("stablehlo.power", x, &power)
            }
            ("math.trunc", [x]) => {
                let (up, down) = (
                    self.out.unary("stablehlo.ceil", x),
                    self.out.unary("stablehlo.floor", x),
                );
                let zero = self.out.splat(0.0, x.ty.clone());
                let negative = self.out.compare("LT", x, &zero);
                self.out.select(&negative, &up, &down)
            }
            ("math.copysign", [x, y]) => {
                let integer = format!("i{}", x.ty.bits());
                let bits = self.out.bitcast(y, &integer);
                let zero = self.out.splat(0.0, bits.ty.clone());
                let negative = self.out.compare("LT", &bits, &zero);
                let magnitude = self.out.unary("stablehlo.abs", x);
                let negated = self.out.unary("stablehlo.negate", &magnitude);
                self.out.select(&negative, &negated, &magnitude)
            }
            ("math.isnan", [x]) => self.out.compare("NE", x, x),
            ("math.isfinite", [x]) => {
                let ty = x.ty.with_element("i1");
                self.out
                    .op("stablehlo.is_finite", std::slice::from_ref(x), Vec::new(), ty)
            }
            ("math.isinf", [x]) => {
                let magnitude = self.out.unary("stablehlo.abs", x);
                let infinity = self.out.splat(f64::INFINITY, x.ty.clone());
                self.out.compare("EQ", &magnitude, &infinity)
            }
            _ => return Err(refuse(format!("`{name}` has no counterpart here"))),
        }))
    }

    /// `arith.constant`, of a scalar or a tensor.
    fn constant(&mut self, op: &Operation) -> Lowered<Value> {
        let ty = super::ty(op.result_types.first())?;
        let value = op.attr("value").ok_or_else(|| refuse("a constant without a value"))?;
        match value {
            Attr::Bool(value) => Ok(self.out.splat(f64::from(u8::from(*value)), ty)),
            Attr::Integer { value, .. } => Ok(self.out.splat(*value as f64, ty)),
            Attr::Float {
                value: ferrite_ir::text::Scalar::Float(value),
                ..
            } => Ok(self.out.splat(*value, ty)),
            Attr::Float {
                value: ferrite_ir::text::Scalar::Bits(bits),
                ..
            } => match super::emit::float_bits(*bits, &ty.element) {
                Some(value) => Ok(self.out.splat(value, ty)),
                None => Err(refuse(format!("a constant of type {}", ty.element))),
            },
            _ => self.elements(value, ty),
        }
    }

    /// Compares in the order that a type of integers without a sign has not by itself.
    fn compare_integers(&mut self, op: &Operation, x: &Value, y: &Value) -> Lowered<Value> {
        let number = match op.attr("predicate") {
            Some(Attr::Integer { value, .. }) => *value,
            _ => return Err(refuse("a comparison without a predicate")),
        };
        let direction = match number {
            0 => "EQ",
            1 => "NE",
            2 | 6 => "LT",
            3 | 7 => "LE",
            4 | 8 => "GT",
            5 | 9 => "GE",
            _ => return Err(refuse(format!("predicate {number} of `arith.cmpi`"))),
        };
        if number < 6 || x.ty.is_bool() {
            if x.ty.is_bool() && (2..6).contains(&number) {
                // A signed bit is 0 or -1.
                return Ok(self.out.compare(direction, y, x));
            }
            return Ok(self.out.compare(direction, x, y));
        }
        let unsigned = format!("u{}", x.ty.element);
        let (a, b) = (self.out.bitcast(x, &unsigned), self.out.bitcast(y, &unsigned));
        Ok(self.out.compare(direction, &a, &b))
    }

    /// Comparisons that say what NaN is. StableHLO's are false for NaN, `NE` true.
    fn compare_floats(&mut self, op: &Operation, x: &Value, y: &Value) -> Lowered<Value> {
        let number = match op.attr("predicate") {
            Some(Attr::Integer { value, .. }) => *value,
            _ => return Err(refuse("a comparison without a predicate")),
        };
        let not = |this: &mut Self, direction: &str| {
            let ordered = this.out.compare(direction, x, y);
            this.out.unary("stablehlo.not", &ordered)
        };
        let nan = |this: &mut Self| {
            let (a, b) = (this.out.compare("NE", x, x), this.out.compare("NE", y, y));
            this.out.binary("stablehlo.or", &a, &b)
        };
        Ok(match number {
            0 | 15 => {
                let sizes = if x.ty.rank() >= y.ty.rank() { &x.ty } else { &y.ty }.sizes.clone();
                self.out.splat(f64::from(u8::from(number == 15)), Ty::new(&sizes, "i1"))
            }
            1 => self.out.compare("EQ", x, y),
            2 => self.out.compare("GT", x, y),
            3 => self.out.compare("GE", x, y),
            4 => self.out.compare("LT", x, y),
            5 => self.out.compare("LE", x, y),
            6 => {
                let (differs, nan) = (self.out.compare("NE", x, y), nan(self));
                let number = self.out.unary("stablehlo.not", &nan);
                self.out.binary("stablehlo.and", &differs, &number)
            }
            7 => {
                let nan = nan(self);
                self.out.unary("stablehlo.not", &nan)
            }
            8 => {
                let (equal, nan) = (self.out.compare("EQ", x, y), nan(self));
                self.out.binary("stablehlo.or", &equal, &nan)
            }
            9 => not(self, "LE"),
            10 => not(self, "LT"),
            11 => not(self, "GE"),
            12 => not(self, "GT"),
            13 => self.out.compare("NE", x, y),
            14 => nan(self),
            _ => return Err(refuse(format!("predicate {number} of `arith.cmpf`"))),
        })
    }

    /// An integer without a sign as a number of another type.
    fn unsigned_as(&mut self, x: &Value, to: &str) -> Value {
        if x.ty.is_bool() {
            return self.out.convert(x, to);
        }
        let unsigned = self.out.bitcast(x, &format!("u{}", x.ty.element));
        self.out.convert(&unsigned, to)
    }

    /// The other operand where one is NaN.
    fn ignoring_nan(&mut self, name: &'static str, x: &Value, y: &Value) -> Value {
        let both = self.out.binary(name, x, y);
        let (no_x, no_y) = (self.out.compare("NE", x, x), self.out.compare("NE", y, y));
        let without_y = self.out.select(&no_y, x, &both);
        self.out.select(&no_x, y, &without_y)
    }

    /// `f(factor * x)`.
    fn scaled(&mut self, name: &'static str, factor: f64, x: &Value) -> Value {
        let factor = self.out.splat(factor, x.ty.clone());
        let product = self.out.binary("stablehlo.multiply", x, &factor);
        self.out.unary(name, &product)
    }

    /// Division that rounds down or up; StableHLO's rounds to zero.
    fn rounded_division(&mut self, x: &Value, y: &Value, down: bool) -> Value {
        let quotient = self.out.binary("stablehlo.divide", x, y);
        let rest = self.out.binary("stablehlo.remainder", x, y);
        let zero = self.out.splat(0.0, Ty::scalar(&x.ty.element));
        let inexact = self.out.compare("NE", &rest, &zero);
        let (rest_negative, divisor_negative) =
            (self.out.compare("LT", &rest, &zero), self.out.compare("LT", y, &zero));
        let other_side = self
            .out
            .compare(if down { "NE" } else { "EQ" }, &rest_negative, &divisor_negative);
        let correct = self.out.binary("stablehlo.and", &inexact, &other_side);
        let one = self.out.splat(1.0, Ty::scalar(&x.ty.element));
        let name = if down { "stablehlo.subtract" } else { "stablehlo.add" };
        let corrected = self.out.binary(name, &quotient, &one);
        self.out.select(&correct, &corrected, &quotient)
    }
}
