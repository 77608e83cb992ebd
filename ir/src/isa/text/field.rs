//! Attribute values of instructions: each type of a field to MLIR text and back.
//!
//! Compound values are attributes of our dialect with a list of builtin attributes as parameters
//! (`#isa.ap<"sbuf", 0, 128, 64, f32, [512, 1], [2, 512]>`), the form that dialects defined in IRDL read and write.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::dtype::DType;
use crate::isa::*;
use crate::text::schema::Shape;
use crate::text::{self, Attr, Type, print_attribute};

/// What a field cannot be; the caller adds where.
pub(crate) type Read<T> = Result<T, String>;

/// A value that an attribute can hold.
pub(crate) trait Field: Sized {
    /// The attribute, or nothing for a value that is left out.
    fn put(&self) -> Option<Attr<'static>>;
    /// The value; `None` stands for an attribute that is not there.
    fn get(attr: Option<&Attr>) -> Read<Self>;
    /// What the attribute may be.
    fn shape() -> Shape;
}

/// Where instructions read and write: the operand type of a level.
pub(crate) trait OperandField: Field {
    /// Name of the level's attribute of a [`ScalarStep`].
    const STEP: &'static str;
    /// The same with the scalar on the left.
    const REVERSED_STEP: &'static str;
}

impl OperandField for Ap {
    const STEP: &'static str = "isa.step";
    const REVERSED_STEP: &'static str = "isa.reversed_step";
}

pub(crate) fn string(text: &str) -> Attr<'static> {
    Attr::String(Cow::Owned(text.to_string()))
}

pub(crate) fn integer(value: impl Into<i128>) -> Attr<'static> {
    Attr::Integer {
        value: value.into(),
        ty: None,
    }
}

/// `#isa.name<parameters>`.
pub(crate) fn compound(name: &'static str, parameters: Vec<Attr>) -> Attr<'static> {
    let body: Vec<String> = parameters.iter().map(print_attribute).collect();
    Attr::Dialect {
        name: Cow::Borrowed(name),
        body: Some(Cow::Owned(body.join(", "))),
    }
}

/// Reads the parameters of `#isa.name<...>`.
pub(crate) fn parameters<T>(attr: &Attr, name: &str, read: impl FnOnce(&[Attr]) -> Read<T>) -> Read<T> {
    match attr {
        Attr::Dialect { name: found, body } if found == name => {
            let list = format!("[{}]", body.as_deref().unwrap_or(""));
            match text::parse_attribute(&list).map_err(|e| e.message)? {
                Attr::Array(all) => read(&all),
                _ => Err("not a list of parameters".to_string()),
            }
        }
        _ => Err(format!("expected `#{name}<...>`")),
    }
}

fn f32_type() -> Type<'static> {
    Type::Scalar(Cow::Borrowed("f32"))
}

pub(crate) fn present<'r, 'a>(attr: Option<&'r Attr<'a>>) -> Read<&'r Attr<'a>> {
    attr.ok_or_else(|| "is missing".to_string())
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Field for $ty {
            fn put(&self) -> Option<Attr<'static>> {
                Some(integer(*self))
            }
            fn get(attr: Option<&Attr>) -> Read<Self> {
                match present(attr)? {
                    Attr::Integer { value, .. } => <$ty>::try_from(*value)
                        .map_err(|_| format!("{value} is out of range, {} to {}", <$ty>::MIN, <$ty>::MAX)),
                    _ => Err("expected an integer".to_string()),
                }
            }
            fn shape() -> Shape {
                Shape::Integer
            }
        }
    )*};
}
integers!(u8 u16 u32 u64 i32 i64);

/// Left out if false.
impl Field for bool {
    fn put(&self) -> Option<Attr<'static>> {
        self.then_some(Attr::Unit)
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        match attr {
            None => Ok(false),
            Some(Attr::Unit) => Ok(true),
            Some(Attr::Bool(value)) => Ok(*value),
            Some(_) => Err("expected a flag".to_string()),
        }
    }
    fn shape() -> Shape {
        Shape::Flag
    }
}

impl Field for String {
    fn put(&self) -> Option<Attr<'static>> {
        Some(string(self))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        match present(attr)? {
            Attr::String(text) => Ok(text.to_string()),
            _ => Err("expected a string".to_string()),
        }
    }
    fn shape() -> Shape {
        Shape::Text
    }
}

/// Types with a fixed list of names.
macro_rules! names {
    ($($ty:ty, $what:literal, $all:expr, $name:expr;)*) => {$(
        impl Field for $ty {
            fn put(&self) -> Option<Attr<'static>> {
                let name: fn($ty) -> &'static str = $name;
                Some(Attr::String(Cow::Borrowed(name(*self))))
            }
            fn get(attr: Option<&Attr>) -> Read<Self> {
                let name: fn($ty) -> &'static str = $name;
                match present(attr)? {
                    Attr::String(text) => $all
                        .into_iter()
                        .find(|&value| name(value) == text)
                        .ok_or_else(|| format!(concat!("`{}` is no ", $what), text)),
                    _ => Err(concat!("expected the name of ", $what).to_string()),
                }
            }
            fn shape() -> Shape {
                let name: fn($ty) -> &'static str = $name;
                Shape::Words($all.into_iter().map(name).collect())
            }
        }
    )*};
}
names! {
    AluOp, "ALU operation", AluOp::ALL, AluOp::name;
    ActFunc, "activation function", ActFunc::ALL, ActFunc::name;
    Engine, "engine", Engine::ALL, Engine::name;
    DgeMode, "descriptor generator", DgeMode::ALL, DgeMode::name;
    Space, "memory", [Space::Hbm, Space::Sbuf, Space::Psum], Space::name;
    RegOp, "register operation", [RegOp::Add, RegOp::Subtract, RegOp::Multiply, RegOp::Max, RegOp::Min], |op| match op {
        RegOp::Add => "add",
        RegOp::Subtract => "subtract",
        RegOp::Multiply => "multiply",
        RegOp::Max => "max",
        RegOp::Min => "min",
    };
    BranchCond, "condition", {
        use BranchCond::*;
        [Always, Lt, Le, Eq, Ne, Ge, Gt]
    }, |cond| match cond {
        BranchCond::Always => "always",
        BranchCond::Lt => "lt",
        BranchCond::Le => "le",
        BranchCond::Eq => "eq",
        BranchCond::Ne => "ne",
        BranchCond::Ge => "ge",
        BranchCond::Gt => "gt",
    };
    IndirectKind, "direction", [IndirectKind::Gather, IndirectKind::Scatter, IndirectKind::ScatterAdd], |kind| match kind {
        IndirectKind::Gather => "gather",
        IndirectKind::Scatter => "scatter",
        IndirectKind::ScatterAdd => "scatter_add",
    };
    CollectiveKind, "collective", {
        use CollectiveKind::*;
        [AllGather, AllReduce, ReduceScatter, AllToAll, Permute]
    }, |kind| match kind {
        CollectiveKind::AllGather => "all_gather",
        CollectiveKind::AllReduce => "all_reduce",
        CollectiveKind::ReduceScatter => "reduce_scatter",
        CollectiveKind::AllToAll => "all_to_all",
        CollectiveKind::Permute => "collective_permute",
    };
    OutOfBounds, "mode", [OutOfBounds::Error, OutOfBounds::Skip], |mode| match mode {
        OutOfBounds::Error => "error",
        OutOfBounds::Skip => "skip",
    };
    UpdateAt, "moment", [UpdateAt::Read, UpdateAt::Complete], |at| match at {
        UpdateAt::Read => "read",
        UpdateAt::Complete => "complete",
    };
    DmaOp, "DMA operation", [DmaOp::Copy, DmaOp::Cast, DmaOp::Add], |op| match op {
        DmaOp::Copy => "copy",
        DmaOp::Cast => "cast",
        DmaOp::Add => "add",
    };
}

impl Field for DType {
    fn put(&self) -> Option<Attr<'static>> {
        let scalar = |dtype: DType| Type::Scalar(Cow::Borrowed(dtype.mlir()));
        Some(Attr::Type(if self.is_complex() {
            Type::Complex(Box::new(scalar(self.real())))
        } else {
            scalar(*self)
        }))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        let name = match present(attr)? {
            Attr::Type(Type::Complex(element)) => element.scalar_name().map(|name| format!("complex<{name}>")),
            Attr::Type(ty) => ty.scalar_name().map(str::to_string),
            _ => None,
        };
        name.and_then(|name| DType::from_mlir(&name))
            .ok_or_else(|| "expected an element type".to_string())
    }
    fn shape() -> Shape {
        Shape::DType
    }
}

impl Field for VarId {
    fn put(&self) -> Option<Attr<'static>> {
        self.0.put()
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        u32::get(attr).map(VarId)
    }
    fn shape() -> Shape {
        Shape::Integer
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self) -> Option<Attr<'static>> {
        self.as_ref().and_then(T::put)
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        attr.map(|attr| T::get(Some(attr))).transpose()
    }
    fn shape() -> Shape {
        Shape::Optional(Box::new(T::shape()))
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self) -> Option<Attr<'static>> {
        Some(Attr::Array(self.iter().filter_map(T::put).collect()))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        match present(attr)? {
            Attr::Array(all) => all.iter().map(|item| T::get(Some(item))).collect(),
            _ => Err("expected a list".to_string()),
        }
    }
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

impl Field for Steps {
    fn put(&self) -> Option<Attr<'static>> {
        self.to_vec().put()
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        Vec::get(attr).map(SmallVec::from_vec)
    }
    fn shape() -> Shape {
        Shape::List(Box::new(Shape::Integer))
    }
}

/// `#isa.ap<space, first partition, partitions, byte offset, dtype, [steps], [counts]>`.
impl Field for Ap {
    fn put(&self) -> Option<Attr<'static>> {
        let steps: Vec<i32> = self.dims.iter().map(|d| d.step).collect();
        let counts: Vec<u32> = self.dims.iter().map(|d| d.count).collect();
        let fields = [
            self.space.put(),
            self.partition.put(),
            self.partitions.put(),
            self.offset.put(),
            self.dtype.put(),
            steps.put(),
            counts.put(),
        ];
        Some(compound("isa.ap", fields.into_iter().flatten().collect()))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        parameters(present(attr)?, "isa.ap", |all| {
            let [space, partition, partitions, offset, dtype, steps, counts] = all else {
                return Err(format!("{} parameters of `#isa.ap`, expected 7", all.len()));
            };
            let (steps, counts) = (Vec::<i32>::get(Some(steps))?, Vec::<u32>::get(Some(counts))?);
            if steps.len() != counts.len() {
                return Err(format!("{} steps and {} counts", steps.len(), counts.len()));
            }
            Ok(Ap {
                space: Space::get(Some(space))?,
                partition: u16::get(Some(partition))?,
                partitions: u16::get(Some(partitions))?,
                offset: u32::get(Some(offset))?,
                dtype: DType::get(Some(dtype))?,
                dims: steps
                    .into_iter()
                    .zip(counts)
                    .map(|(step, count)| ApDim { step, count })
                    .collect(),
            })
        })
    }
    fn shape() -> Shape {
        Shape::Dialect("isa.ap")
    }
}

/// An fp32 constant; its bits where decimal digits do not say it.
fn float(bits: u32) -> Attr<'static> {
    let value = f32::from_bits(bits);
    let value = if value.is_finite() {
        text::Scalar::Float(value.into())
    } else {
        text::Scalar::Bits(bits.into())
    };
    Attr::Float {
        value,
        ty: Some(Box::new(f32_type())),
    }
}

/// Bits of an fp32 constant, or an integer that is meant as bits.
fn bits(attr: &Attr) -> Read<u32> {
    match attr {
        Attr::Float {
            value: text::Scalar::Float(value),
            ..
        } => Ok((*value as f32).to_bits()),
        Attr::Float {
            value: text::Scalar::Bits(bits),
            ..
        } => u32::try_from(*bits).map_err(|_| format!("{bits:#x} has more than 32 bits")),
        Attr::Integer { value, .. } => u32::try_from(*value).map_err(|_| format!("{value} is no pattern of 32 bits")),
        _ => Err("expected a number".to_string()),
    }
}

impl<A: OperandField> Field for Scalar<A> {
    fn put(&self) -> Option<Attr<'static>> {
        match self {
            Scalar::Imm(bits) => Some(float(*bits)),
            Scalar::PerPartition(operand) => operand.put(),
        }
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        match present(attr)? {
            operand @ Attr::Dialect { .. } => A::get(Some(operand)).map(Scalar::PerPartition),
            number => bits(number).map(Scalar::Imm),
        }
    }
    fn shape() -> Shape {
        Shape::Any(vec![Shape::Float, A::shape()])
    }
}

/// `#isa.step<op, scalar>`, or `#isa.reversed_step<op, scalar>` with the scalar on the left. The constant of a bitwise
/// operation is an integer.
impl<A: OperandField> Field for ScalarStep<A> {
    fn put(&self) -> Option<Attr<'static>> {
        let scalar = match self.scalar {
            Scalar::Imm(bits) if self.op.is_bitwise() => Some(integer(bits)),
            _ => self.scalar.put(),
        };
        let name = if self.reverse { A::REVERSED_STEP } else { A::STEP };
        Some(compound(name, [self.op.put(), scalar].into_iter().flatten().collect()))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        let reverse = matches!(attr, Some(Attr::Dialect { name, .. }) if name == A::REVERSED_STEP);
        let name = if reverse { A::REVERSED_STEP } else { A::STEP };
        parameters(present(attr)?, name, |all| {
            let [op, scalar] = all else {
                return Err(format!("expected `#{name}<op, scalar>`"));
            };
            Ok(ScalarStep {
                op: AluOp::get(Some(op))?,
                scalar: Scalar::get(Some(scalar))?,
                reverse,
            })
        })
    }
    fn shape() -> Shape {
        Shape::Any(vec![Shape::Dialect(A::STEP), Shape::Dialect(A::REVERSED_STEP)])
    }
}

/// `#isa.reg<number>`.
impl Field for Reg {
    fn put(&self) -> Option<Attr<'static>> {
        Some(compound("isa.reg", vec![integer(self.0)]))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        parameters(present(attr)?, "isa.reg", |all| match all {
            [number] => u8::get(Some(number)).map(Reg),
            _ => Err("expected `#isa.reg<number>`".to_string()),
        })
    }
    fn shape() -> Shape {
        Shape::Dialect("isa.reg")
    }
}

impl Field for RegOrImm {
    fn put(&self) -> Option<Attr<'static>> {
        match self {
            RegOrImm::Reg(reg) => reg.put(),
            RegOrImm::Imm(value) => value.put(),
        }
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        match present(attr)? {
            reg @ Attr::Dialect { .. } => Reg::get(Some(reg)).map(RegOrImm::Reg),
            value => i32::get(Some(value)).map(RegOrImm::Imm),
        }
    }
    fn shape() -> Shape {
        Shape::Any(vec![Reg::shape(), Shape::Integer])
    }
}

/// `#isa.wait<semaphore, value>`: until the semaphore is at least the value.
impl Field for Wait {
    fn put(&self) -> Option<Attr<'static>> {
        Some(compound("isa.wait", vec![integer(self.semaphore), integer(self.value)]))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        parameters(present(attr)?, "isa.wait", |all| match all {
            [semaphore, value] => Ok(Wait {
                semaphore: u16::get(Some(semaphore))?,
                value: u32::get(Some(value))?,
            }),
            _ => Err("expected `#isa.wait<semaphore, value>`".to_string()),
        })
    }
    fn shape() -> Shape {
        Shape::Dialect("isa.wait")
    }
}

/// `#isa.update<semaphore, "add", value, "complete">`.
impl Field for Update {
    fn put(&self) -> Option<Attr<'static>> {
        let (kind, value) = match self.kind {
            UpdateKind::Add(value) => ("add", value),
            UpdateKind::Subtract(value) => ("subtract", value),
            UpdateKind::Write(value) => ("write", value),
        };
        let fields = [
            Some(integer(self.semaphore)),
            Some(string(kind)),
            Some(integer(value)),
            self.at.put(),
        ];
        Some(compound("isa.update", fields.into_iter().flatten().collect()))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        parameters(present(attr)?, "isa.update", |all| {
            let [semaphore, Attr::String(kind), value, at] = all else {
                return Err("expected `#isa.update<semaphore, kind, value, moment>`".to_string());
            };
            let value = u32::get(Some(value))?;
            let kind = match &**kind {
                "add" => UpdateKind::Add(value),
                "subtract" => UpdateKind::Subtract(value),
                "write" => UpdateKind::Write(value),
                other => return Err(format!("`{other}` is no change of a semaphore")),
            };
            Ok(Update {
                semaphore: u16::get(Some(semaphore))?,
                kind,
                at: UpdateAt::get(Some(at))?,
            })
        })
    }
    fn shape() -> Shape {
        Shape::Dialect("isa.update")
    }
}
