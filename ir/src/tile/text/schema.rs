//! The definition of the `tile` dialect.

use crate::isa::text::field::Field;
use crate::isa::text::io_tensor_shapes;
use crate::isa::text::schema::{access, steps};
use crate::text::schema::{Attributes, Dialect, OpDef, Shape};
use crate::tile::*;

use super::field;

/// The `tile` dialect: operations on tiles and buffers, and those that hold a program together.
pub fn dialect() -> Dialect {
    let optional = |shape| Shape::Optional(Box::new(shape));
    let structure = [
        OpDef {
            region: true,
            ..OpDef::new("program", vec![("model_flops", u64::shape())])
        },
        OpDef {
            result: Some("memory"),
            ..OpDef::new(
                "buffer",
                vec![
                    ("name", Shape::Text),
                    ("kind", Shape::Words(vec!["input", "output", "const", "scratch"])),
                    ("index", optional(Shape::Integer)),
                    ("bytes", u64::shape()),
                    ("members", optional(Shape::List(Box::new(Shape::Integer)))),
                    ("data", optional(Shape::Resource)),
                ],
            )
        },
        OpDef {
            result: Some("memory"),
            ..OpDef::new(
                "tile",
                vec![
                    ("name", Shape::Text),
                    ("space", Shape::Words(vec![Space::Sbuf.name(), Space::Psum.name()])),
                    ("partitions", u16::shape()),
                    ("bytes", u32::shape()),
                ],
            )
        },
        OpDef::new("input", io_tensor_shapes()),
        OpDef::new("output", io_tensor_shapes()),
    ];
    let with_engine = |mut attributes: Attributes| {
        attributes.push(("engine", <Option<Engine>>::shape()));
        attributes
    };
    let on_tiles = field::attributes().into_iter().map(|(name, attributes)| OpDef {
        operands: Some("memory"),
        ..OpDef::new(name, with_engine(attributes))
    });
    let control = field::control_attributes()
        .into_iter()
        .map(|(name, attributes)| OpDef::new(name, with_engine(attributes)));
    let hbm = access("operand", Shape::Integer);
    let mut view = hbm.clone();
    view.splice(1..1, [("partition", u16::shape()), ("partitions", u16::shape())]);
    Dialect {
        name: "tile",
        types: vec!["memory"],
        attributes: vec![
            ("view", view),
            ("access", hbm),
            (
                "dma",
                vec![
                    ("op", DmaOp::shape()),
                    ("source", Mem::shape()),
                    ("destination", Mem::shape()),
                ],
            ),
            ("step", steps::<View>()),
            ("reversed_step", steps::<View>()),
        ],
        ops: structure.into_iter().chain(on_tiles).chain(control).collect(),
    }
}
