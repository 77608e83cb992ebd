//! Types of values.

use std::fmt;

use smallvec::SmallVec;

use crate::dtype::DType;

/// Dimensions, strides, permutations: short lists of integers.
pub type Dims = SmallVec<[i64; 6]>;

/// A dimension whose size is not known (`?` in text).
pub const DYNAMIC: i64 = i64::MIN;

/// Element type and shape of a tensor.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type; the storage type if the tensor is quantized.
    pub dtype: DType,
    /// Sizes, outermost first; [`DYNAMIC`] where unknown.
    pub shape: Dims,
    /// What only few tensors have: quantization, bounds.
    pub extra: Option<Box<TypeExtra>>,
}

/// Rare parts of a tensor type. Parsed and kept; refused by what does not support them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TypeExtra {
    /// `!quant.uniform<...>` parameters.
    pub quantization: Option<Quantization>,
    /// `#stablehlo.bounds<...>`: upper bounds of dynamic dimensions ([`DYNAMIC`] where none).
    pub bounds: Option<Dims>,
}

/// Parameters of `!quant.uniform`. Floats are kept as bits so that types can be hashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quantization {
    /// The type a dequantized element has.
    pub expressed: DType,
    /// Smallest storage value.
    pub storage_min: i64,
    /// Largest storage value.
    pub storage_max: i64,
    /// The quantized dimension if scales are per axis.
    pub axis: Option<i64>,
    /// Dimensions that are cut into blocks with scales of their own, and the sizes of the blocks; a dimension that is not
    /// among them is one block. Not together with `axis`.
    pub blocks: Vec<(i64, i64)>,
    /// Bits of the `f64` scales: one, one per index along `axis`, or one per block, in row-major order.
    pub scales: Vec<u64>,
    /// Zero points, as many as scales.
    pub zero_points: Vec<i64>,
}

impl Quantization {
    /// Number of blocks along each dimension of a tensor of this shape; `None` if blocks do not fit it.
    pub fn block_counts(&self, shape: &[i64]) -> Option<Vec<usize>> {
        let mut counts = vec![1usize; shape.len()];
        for &(dim, size) in &self.blocks {
            let dim = usize::try_from(dim).ok().filter(|&dim| dim < shape.len())?;
            if size <= 0 || shape[dim] < 0 || shape[dim] % size != 0 {
                return None;
            }
            counts[dim] = usize::try_from(shape[dim] / size).ok()?.max(1);
        }
        Some(counts)
    }
}

impl Clone for TensorType {
    /// Copies the sizes as one block of memory: what is derived copies them one by one, and types are copied by the million.
    fn clone(&self) -> Self {
        TensorType {
            dtype: self.dtype,
            shape: Dims::from_slice(&self.shape),
            extra: self.extra.clone(),
        }
    }
}

impl TensorType {
    /// A plain tensor type.
    pub fn new(dtype: DType, shape: &[i64]) -> TensorType {
        TensorType {
            dtype,
            shape: shape.into(),
            extra: None,
        }
    }

    /// A rank-0 tensor type.
    pub fn scalar(dtype: DType) -> TensorType {
        TensorType::new(dtype, &[])
    }

    /// Its quantization, if it is quantized.
    pub fn quantization(&self) -> Option<&Quantization> {
        self.extra.as_ref()?.quantization.as_ref()
    }

    /// The same without quantization: the storage values as plain integers.
    pub fn storage(&self) -> TensorType {
        let bounds = self.extra.as_ref().and_then(|extra| extra.bounds.clone());
        TensorType {
            extra: bounds.map(|bounds| {
                Box::new(TypeExtra {
                    quantization: None,
                    bounds: Some(bounds),
                })
            }),
            ..self.clone()
        }
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Whether every dimension is known.
    pub fn is_static(&self) -> bool {
        self.shape.iter().all(|&d| d != DYNAMIC)
    }

    /// Number of elements; dynamic dimensions count as 0.
    pub fn element_count(&self) -> usize {
        self.shape
            .iter()
            .fold(1usize, |n, &d| n.saturating_mul(d.max(0) as usize))
    }

    /// Bytes of all elements.
    pub fn byte_size(&self) -> usize {
        self.element_count().saturating_mul(self.dtype.bytes())
    }

    /// The same shape with another dtype.
    pub fn with_dtype(&self, dtype: DType) -> TensorType {
        TensorType {
            dtype,
            shape: self.shape.clone(),
            extra: None,
        }
    }

    /// The same dtype with another shape.
    pub fn with_shape(&self, shape: impl IntoIterator<Item = i64>) -> TensorType {
        TensorType {
            dtype: self.dtype,
            shape: shape.into_iter().collect(),
            extra: None,
        }
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Dims {
        let mut strides: Dims = self.shape.iter().map(|_| 1).collect();
        for d in (1..self.shape.len()).rev() {
            strides[d - 1] = strides[d] * self.shape[d].max(0);
        }
        strides
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensor<")?;
        for &d in &self.shape {
            if d == DYNAMIC {
                f.write_str("?x")?
            } else {
                write!(f, "{d}x")?
            }
        }
        let extra = self.extra.as_deref();
        match extra.and_then(|e| e.quantization.as_ref()) {
            Some(q) => {
                let shape = &self.shape;
                let storage = self.dtype;
                write!(f, "{}", QuantDisplay { storage, q, shape })?
            }
            None => write!(f, "{}", self.dtype)?,
        }
        if let Some(bounds) = extra.and_then(|e| e.bounds.as_ref()) {
            f.write_str(", #stablehlo.bounds<")?;
            for (i, &b) in bounds.iter().enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                if b == DYNAMIC {
                    write!(f, "{comma}?")?
                } else {
                    write!(f, "{comma}{b}")?
                }
            }
            f.write_str(">")?;
        }
        f.write_str(">")
    }
}

struct QuantDisplay<'a> {
    storage: DType,
    q: &'a Quantization,
    /// The shape of the tensor.
    shape: &'a [i64],
}

/// Writes the scale with this number.
type OneScale<'a> = dyn Fn(&mut fmt::Formatter<'_>, usize) -> fmt::Result + 'a;

impl QuantDisplay<'_> {
    /// Scales in as many nested lists as the tensor has dimensions.
    fn scales_of_blocks(&self, f: &mut fmt::Formatter<'_>, one: &OneScale<'_>) -> fmt::Result {
        let counts = self
            .q
            .block_counts(self.shape)
            .unwrap_or_else(|| vec![1; self.shape.len()]);
        let total = self.q.scales.len();
        for i in 0..total {
            // A list begins where all numbers of the dimensions inside are 0, and ends where they are the last.
            let mut size = 1;
            let (mut opens, mut closes) = (0, 0);
            for count in counts.iter().rev() {
                size *= count;
                opens += usize::from(i % size == 0);
                closes += usize::from((i + 1) % size == 0);
            }
            f.write_str(if i == 0 { "" } else { ", " })?;
            f.write_str(&"{".repeat(opens))?;
            one(f, i)?;
            f.write_str(&"}".repeat(closes))?;
        }
        f.write_str(">")
    }
}

impl fmt::Display for QuantDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let storage = self.storage.mlir().replace("ui", "u");
        write!(
            f,
            "!quant.uniform<{storage}<{}:{}>:{}",
            self.q.storage_min, self.q.storage_max, self.q.expressed
        )?;
        let one = |f: &mut fmt::Formatter<'_>, i: usize| -> fmt::Result {
            write!(
                f,
                "{:?}",
                f64::from_bits(self.q.scales.get(i).copied().unwrap_or_default())
            )?;
            match self.q.zero_points.get(i) {
                Some(&z) if z != 0 => write!(f, ":{z}"),
                _ => Ok(()),
            }
        };
        if !self.q.blocks.is_empty() {
            f.write_str(":{")?;
            for (i, (dim, size)) in self.q.blocks.iter().enumerate() {
                write!(f, "{}{dim}:{size}", if i == 0 { "" } else { ", " })?;
            }
            f.write_str("}, ")?;
            return self.scales_of_blocks(f, &one);
        }
        match self.q.axis {
            None => {
                f.write_str(", ")?;
                one(f, 0)?;
            }
            Some(axis) => {
                write!(f, ":{axis}, {{")?;
                for i in 0..self.q.scales.len() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    one(f, i)?;
                }
                f.write_str("}")?;
            }
        }
        f.write_str(">")
    }
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A tensor.
    Tensor(TensorType),
    /// `!stablehlo.token`: orders side effects.
    Token,
    /// `tuple<...>`.
    Tuple(Vec<Type>),
    /// `!stablehlo.future<...>` of asynchronous operations.
    Future(Vec<Type>),
}

impl Type {
    /// The tensor type, if this is a tensor.
    pub fn tensor(&self) -> Option<&TensorType> {
        match self {
            Type::Tensor(t) => Some(t),
            _ => None,
        }
    }
}

impl From<TensorType> for Type {
    fn from(t: TensorType) -> Type {
        Type::Tensor(t)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[Type]| -> fmt::Result {
            for (i, t) in types.iter().enumerate() {
                write!(f, "{}{t}", if i == 0 { "" } else { ", " })?;
            }
            f.write_str(">")
        };
        match self {
            Type::Tensor(t) => write!(f, "{t}"),
            Type::Token => f.write_str("!stablehlo.token"),
            Type::Tuple(types) => {
                f.write_str("tuple<")?;
                list(f, types)
            }
            Type::Future(types) => {
                f.write_str("!stablehlo.future<")?;
                list(f, types)
            }
        }
    }
}
