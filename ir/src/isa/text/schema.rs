//! The definition of the `isa` dialect.

use crate::dtype::DType;
use crate::isa::*;
use crate::text::schema::{Attributes, Dialect, OpDef, Shape};

use super::field::{Field, OperandField};
use super::ops;

fn integers() -> Shape {
    <Vec<i64>>::shape()
}

/// Parameters of the attribute that says where an operand is: its place first.
pub(crate) fn access(place: &'static str, shape: Shape) -> Attributes {
    vec![
        (place, shape),
        ("offset", u64::shape()),
        ("dtype", DType::shape()),
        ("steps", integers()),
        ("counts", integers()),
    ]
}

/// The attributes `step` and `reversed_step`.
pub(crate) fn steps<A: OperandField>() -> Attributes {
    let scalar = Shape::Any(vec![Shape::Integer, Shape::Float, A::shape()]);
    vec![("op", AluOp::shape()), ("scalar", scalar)]
}

/// Attributes of `isa.input` and `isa.output`.
pub(crate) fn io_tensor() -> Attributes {
    vec![
        ("sym_name", Shape::Text),
        ("dtype", DType::shape()),
        ("shape", integers()),
        ("alias", <Option<u32>>::shape()),
        ("must_alias", bool::shape()),
    ]
}

/// The `isa` dialect: instructions, and the operations that hold a program together.
pub fn dialect() -> Dialect {
    let optional = |shape| Shape::Optional(Box::new(shape));
    let place = Shape::Any(vec![Shape::Symbol, Shape::Words(vec!["sbuf"])]);
    let memory = || Shape::Dialect("isa.access");
    let structure = [
        OpDef {
            region: true,
            ..OpDef::new("program", vec![("target", Shape::Text), ("model_flops", u64::shape())])
        },
        OpDef::new(
            "var",
            vec![
                ("sym_name", Shape::Text),
                ("kind", Shape::Words(vec!["input", "output", "const", "scratch"])),
                ("index", optional(Shape::Integer)),
                ("offset", optional(Shape::Integer)),
                ("bytes", u64::shape()),
                ("data", optional(Shape::Resource)),
            ],
        ),
        OpDef::new("input", io_tensor()),
        OpDef::new("output", io_tensor()),
        OpDef::new(
            "queue",
            vec![
                ("sym_name", Shape::Text),
                ("owner", Engine::shape()),
                ("dge", <Option<DgeMode>>::shape()),
            ],
        ),
        OpDef::new(
            "transfer",
            vec![
                ("queue", u16::shape()),
                ("semaphore", u16::shape()),
                ("elements", Shape::List(Box::new(Shape::Dialect("isa.dma")))),
            ],
        ),
        OpDef {
            region: true,
            ..OpDef::new("stream", vec![("engine", Engine::shape())])
        },
    ];
    let ap = vec![
        ("space", Space::shape()),
        ("partition", u16::shape()),
        ("partitions", u16::shape()),
    ];
    let access_of = access("place", place);
    Dialect {
        name: "isa",
        types: Vec::new(),
        attributes: vec![
            ("ap", ap.into_iter().chain(access_of[1..].iter().cloned()).collect()),
            ("access", access_of),
            (
                "dma",
                vec![("op", DmaOp::shape()), ("source", memory()), ("destination", memory())],
            ),
            ("step", steps::<Ap>()),
            ("reversed_step", steps::<Ap>()),
            ("reg", vec![("number", u8::shape())]),
            ("wait", vec![("semaphore", u16::shape()), ("value", u32::shape())]),
            (
                "update",
                vec![
                    ("semaphore", u16::shape()),
                    ("kind", Shape::Words(vec!["add", "subtract", "write"])),
                    ("value", u32::shape()),
                    ("at", UpdateAt::shape()),
                ],
            ),
        ],
        ops: structure.into_iter().chain(ops::definitions()).collect(),
    }
}
