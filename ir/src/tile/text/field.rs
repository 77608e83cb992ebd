//! Attribute values of tile operations, and the table of operations that `isa` does not have in this form.
//!
//! A [`TileId`] or [`BufferId`] in an attribute is the number of an operand; [`renumber`] goes from and to the program's.

use crate::dtype::DType;
use crate::isa::text::field::{Field, OperandField, Read, compound, parameters, present};
use crate::isa::text::ops::{Attrs, Fields, get_inst, inst_attributes, put_inst, table};
use crate::text::Attr;
use crate::text::schema::{Attributes, Shape};
use crate::tile::*;

/// Steps and counts of dimensions, as two lists of equal length; no count is 0.
fn pairs<S: Field, C: Field + Default + PartialEq>(steps: &Attr, counts: &Attr) -> Read<impl Iterator<Item = (S, C)>> {
    let (steps, counts) = (Vec::<S>::get(Some(steps))?, Vec::<C>::get(Some(counts))?);
    if steps.len() != counts.len() {
        return Err(format!("{} steps and {} counts", steps.len(), counts.len()));
    }
    if counts.contains(&C::default()) {
        return Err("a count is 0".to_string());
    }
    Ok(steps.into_iter().zip(counts))
}

/// `#tile.view<operand, first partition, partitions, byte offset, dtype, [steps], [counts]>`, steps in elements.
impl Field for View {
    fn put(&self) -> Option<Attr<'static>> {
        let steps: Vec<i32> = self.dims.iter().map(|d| d.step).collect();
        let counts: Vec<u32> = self.dims.iter().map(|d| d.count).collect();
        let fields = [
            self.tile.0.put(),
            self.partition.put(),
            self.partitions.put(),
            self.offset.put(),
            self.dtype.put(),
            steps.put(),
            counts.put(),
        ];
        Some(compound("tile.view", fields.into_iter().flatten().collect()))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        parameters(present(attr)?, "tile.view", |all| {
            let [tile, partition, partitions, offset, dtype, steps, counts] = all else {
                return Err(format!("{} parameters of `#tile.view`, expected 7", all.len()));
            };
            Ok(View {
                tile: TileId(u32::get(Some(tile))?),
                partition: u16::get(Some(partition))?,
                partitions: u16::get(Some(partitions))?,
                offset: u32::get(Some(offset))?,
                dtype: DType::get(Some(dtype))?,
                dims: pairs(steps, counts)?
                    .map(|(step, count)| ApDim { step, count })
                    .collect(),
            })
        })
    }
    fn shape() -> Shape {
        Shape::Dialect("tile.view")
    }
}

impl OperandField for View {
    const STEP: &'static str = "tile.step";
    const REVERSED_STEP: &'static str = "tile.reversed_step";
}

/// `#tile.access<operand, byte offset, dtype, [steps], [counts]>`, steps in bytes.
impl Field for HbmAccess {
    fn put(&self) -> Option<Attr<'static>> {
        let steps: Vec<i64> = self.dims.iter().map(|d| d.step).collect();
        let counts: Vec<u64> = self.dims.iter().map(|d| d.count).collect();
        let fields = [
            self.buffer.put(),
            self.offset.put(),
            self.dtype.put(),
            steps.put(),
            counts.put(),
        ];
        Some(compound("tile.access", fields.into_iter().flatten().collect()))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        parameters(present(attr)?, "tile.access", |all| {
            let [buffer, offset, dtype, steps, counts] = all else {
                return Err(format!("{} parameters of `#tile.access`, expected 5", all.len()));
            };
            Ok(HbmAccess {
                buffer: BufferId::get(Some(buffer))?,
                offset: u64::get(Some(offset))?,
                dtype: DType::get(Some(dtype))?,
                dims: pairs(steps, counts)?
                    .map(|(step, count)| MemDim { step, count })
                    .collect(),
            })
        })
    }
    fn shape() -> Shape {
        Shape::Dialect("tile.access")
    }
}

impl Field for BufferId {
    fn put(&self) -> Option<Attr<'static>> {
        self.0.put()
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        u32::get(attr).map(BufferId)
    }
    fn shape() -> Shape {
        Shape::Integer
    }
}

impl Field for Mem {
    fn put(&self) -> Option<Attr<'static>> {
        match self {
            Mem::Hbm(access) => access.put(),
            Mem::Tile(view) => view.put(),
        }
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        match present(attr)? {
            Attr::Dialect { name, .. } if name == "tile.access" => HbmAccess::get(attr).map(Mem::Hbm),
            Attr::Dialect { name, .. } if name == "tile.view" => View::get(attr).map(Mem::Tile),
            _ => Err("expected `#tile.view<...>` or `#tile.access<...>`".to_string()),
        }
    }
    fn shape() -> Shape {
        Shape::Any(vec![HbmAccess::shape(), View::shape()])
    }
}

/// `#tile.dma<op, source, destination>`.
impl Field for DmaPiece {
    fn put(&self) -> Option<Attr<'static>> {
        let fields = [self.op.put(), self.src.put(), self.dst.put()];
        Some(compound("tile.dma", fields.into_iter().flatten().collect()))
    }
    fn get(attr: Option<&Attr>) -> Read<Self> {
        parameters(present(attr)?, "tile.dma", |all| match all {
            [op, src, dst] => Ok(DmaPiece {
                op: DmaOp::get(Some(op))?,
                src: Mem::get(Some(src))?,
                dst: Mem::get(Some(dst))?,
            }),
            _ => Err("expected `#tile.dma<op, source, destination>`".to_string()),
        })
    }
    fn shape() -> Shape {
        Shape::Dialect("tile.dma")
    }
}

table! { [] OpKind, put_other, get_other, other_attributes,
    "nc_matmul" => OpKind::Matmul { dst, stationary, moving, accumulate, transpose }
    "load_test" => OpKind::LoadTest { src }
    else OpKind::Compute(_) | OpKind::Dma(_) | OpKind::Indirect(_) | OpKind::Control(_)
}

table! { [] Indirect, put_indirect, get_indirect, indirect_attributes,
    "dma_indirect" => Indirect { kind, tile, index, buffer, offset, row_step, row_bytes, rows, out_of_bounds }
}

/// Every operation on tiles and buffers, with its own attributes.
pub(super) fn attributes() -> Vec<(&'static str, Attributes)> {
    let mut all = inst_attributes::<View>();
    all.extend(other_attributes());
    all.extend(indirect_attributes());
    all.push(("dma_copy", vec![("pieces", <Vec<DmaPiece>>::shape())]));
    all
}

/// Every operation of control, with its own attributes.
pub(super) fn control_attributes() -> Vec<(&'static str, Attributes)> {
    use Control::*;
    let all = [Loop, RepeatWhile, Repeat(1), Switch(1), NextBranch, EndSwitch];
    let attributes = |control: &Control| match control {
        Repeat(_) => vec![("times", u32::shape())],
        Switch(_) => vec![("branches", u32::shape())],
        Loop | RepeatWhile | NextBranch | EndSwitch => Vec::new(),
    };
    all.iter()
        .map(|control| (control.name(), attributes(control)))
        .collect()
}

/// Name, without the dialect, and attributes of what an operation does.
pub(super) fn put(kind: &OpKind, attrs: &mut Attrs) -> &'static str {
    match kind {
        OpKind::Compute(inst) => put_inst(inst, attrs),
        OpKind::Indirect(indirect) => put_indirect(indirect, attrs),
        OpKind::Dma(pieces) => {
            attrs.put("pieces", pieces);
            "dma_copy"
        }
        OpKind::Control(control) => {
            match control {
                Control::Repeat(times) => attrs.put("times", times),
                Control::Switch(branches) => attrs.put("branches", branches),
                Control::Loop | Control::RepeatWhile | Control::NextBranch | Control::EndSwitch => {}
            }
            control.name()
        }
        other @ (OpKind::Matmul { .. } | OpKind::LoadTest { .. }) => put_other(other, attrs),
    }
}

fn get_control(name: &str, fields: &mut Fields) -> Read<Option<Control>> {
    Ok(Some(match name {
        "loop" => Control::Loop,
        "repeat_while" => Control::RepeatWhile,
        "repeat" => Control::Repeat(fields.get("times")?),
        "switch" => Control::Switch(fields.get("branches")?),
        "next_branch" => Control::NextBranch,
        "end_switch" => Control::EndSwitch,
        _ => return Ok(None),
    }))
}

/// The inverse of [`put`].
pub(super) fn get(name: &str, fields: &mut Fields) -> Read<OpKind> {
    if name == "dma_copy" {
        return fields.get("pieces").map(OpKind::Dma);
    }
    if let Some(control) = get_control(name, fields)? {
        return Ok(OpKind::Control(control));
    }
    if let Some(inst) = get_inst(name, fields)? {
        return Ok(OpKind::Compute(inst));
    }
    if let Some(indirect) = get_indirect(name, fields)? {
        return Ok(OpKind::Indirect(Box::new(indirect)));
    }
    get_other(name, fields)?.ok_or_else(|| format!("`tile.{name}` is no operation"))
}

/// A tile or buffer, by its number in a program or among the operands of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Tile(u32),
    Buffer(u32),
}

/// The same operation with other numbers of tiles and buffers, in the order of the attributes.
pub(super) fn renumber(kind: &OpKind, number: &mut impl FnMut(Object) -> Read<u32>) -> Read<OpKind> {
    fn view(v: &View, number: &mut impl FnMut(Object) -> Read<u32>) -> Read<View> {
        let tile = TileId(number(Object::Tile(v.tile.0))?);
        Ok(View { tile, ..v.clone() })
    }
    fn mem(m: &Mem, number: &mut impl FnMut(Object) -> Read<u32>) -> Read<Mem> {
        Ok(match m {
            Mem::Tile(v) => Mem::Tile(view(v, number)?),
            Mem::Hbm(access) => Mem::Hbm(HbmAccess {
                buffer: BufferId(number(Object::Buffer(access.buffer.0))?),
                ..access.clone()
            }),
        })
    }
    Ok(match kind {
        OpKind::Matmul {
            dst,
            stationary,
            moving,
            accumulate,
            transpose,
        } => OpKind::Matmul {
            dst: view(dst, number)?,
            stationary: view(stationary, number)?,
            moving: view(moving, number)?,
            accumulate: *accumulate,
            transpose: *transpose,
        },
        OpKind::Compute(inst) => OpKind::Compute(inst.try_map(&mut |_, v| view(v, number))?),
        OpKind::LoadTest { src } => OpKind::LoadTest {
            src: view(src, number)?,
        },
        OpKind::Control(control) => OpKind::Control(*control),
        OpKind::Dma(pieces) => {
            let pieces = pieces.iter().map(|piece| {
                Ok(DmaPiece {
                    op: piece.op,
                    src: mem(&piece.src, number)?,
                    dst: mem(&piece.dst, number)?,
                })
            });
            OpKind::Dma(pieces.collect::<Read<_>>()?)
        }
        OpKind::Indirect(indirect) => OpKind::Indirect(Box::new(Indirect {
            tile: view(&indirect.tile, number)?,
            index: view(&indirect.index, number)?,
            buffer: BufferId(number(Object::Buffer(indirect.buffer.0))?),
            ..(**indirect).clone()
        })),
    })
}
