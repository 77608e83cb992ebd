//! Collectives and `sdy.manual_computation`.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Collective, Dims, ManualComputation, RegionId, TensorType};

use crate::body::{Body, Simple, from_numbers, numbers, simple};
use crate::devices::{Device, World};
use crate::eval::{Frame, Value};
use crate::movement::{self, Access};
use crate::number::Num;
use crate::reduce::reduce_simple;
use crate::tensor::{Tensor, row_major, usizes};
use crate::{invalid, unsupported};

/// How the ids in `replica_groups` are to be read.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Grouping {
    /// Replica ids, within the own partition.
    CrossReplica,
    /// Partition ids, within the own replica.
    CrossPartition,
    /// Replica ids, over all partitions.
    CrossReplicaAndPartition,
    /// Positions among all devices.
    Flattened,
}

impl Grouping {
    /// The rule of `all_reduce` and its like.
    pub(crate) fn of_reduction(c: &Collective) -> Grouping {
        match (c.channel_id > 0, c.use_global_device_ids) {
            (false, _) => Grouping::CrossReplica,
            (true, false) => Grouping::CrossReplicaAndPartition,
            (true, true) => Grouping::Flattened,
        }
    }

    /// The rule of `all_to_all`, `collective_permute` and `collective_broadcast`.
    pub(crate) fn of_exchange(channel_id: i64) -> Grouping {
        if channel_id > 0 {
            Grouping::CrossPartition
        } else {
            Grouping::CrossReplica
        }
    }

    /// Device position of an id seen from a device.
    fn position(self, id: usize, device: &Device) -> usize {
        let partitions = device.world.partitions;
        match self {
            Grouping::CrossReplica => id * partitions + device.partition,
            Grouping::CrossPartition => device.replica * partitions + id,
            Grouping::CrossReplicaAndPartition | Grouping::Flattened => id,
        }
    }

    /// How many ids there are.
    fn ids(self, device: &Device) -> usize {
        match self {
            Grouping::CrossReplica | Grouping::CrossReplicaAndPartition => device.world.replicas,
            Grouping::CrossPartition => device.world.partitions,
            Grouping::Flattened => device.world.replicas * device.world.partitions,
        }
    }
}

/// The group of a device, as device positions; nothing if no group names it.
fn group_of(groups: &[Dims], grouping: Grouping, device: &Device) -> Result<Option<Vec<usize>>> {
    let ids = grouping.ids(device);
    let rows: Vec<Vec<usize>> = if groups.iter().all(|g| g.is_empty()) {
        vec![(0..ids).collect()]
    } else {
        let mut rows = Vec::new();
        for group in groups {
            let row = group
                .iter()
                .filter(|&&id| id >= 0)
                .map(|&id| id as usize)
                .collect::<Vec<_>>();
            if let Some(id) = row.iter().find(|&&id| id >= ids) {
                let text = format!("a replica group names device {id}; the program runs on {ids}");
                return Err(unsupported(text).help("run it on as many devices as it was partitioned for"));
            }
            rows.push(row);
        }
        rows
    };
    for row in rows {
        let members: Vec<usize> = if grouping == Grouping::CrossReplicaAndPartition {
            let partitions = device.world.partitions;
            row.iter()
                .flat_map(|&r| (0..partitions).map(move |p| r * partitions + p))
                .collect()
        } else {
            row.iter().map(|&id| grouping.position(id, device)).collect()
        };
        if members.contains(&device.id()) {
            return Ok(Some(members));
        }
    }
    Ok(None)
}

/// The operands of all members of a device's group and the device's place in it.
fn exchange(groups: &[Dims], grouping: Grouping, device: &Device, x: Vec<Tensor>) -> Result<(Vec<Vec<Tensor>>, usize)> {
    let group = group_of(groups, grouping, device)?
        .ok_or_else(|| invalid("a device takes part in a collective that has no group with it"))?;
    let place = group.iter().position(|&d| d == device.id()).unwrap_or(0);
    Ok((device.meet(&group, x)?, place))
}

/// Operand `i` of every member.
fn column(all: &[Vec<Tensor>], i: usize) -> Result<Vec<&Tensor>> {
    let tensors: Option<Vec<&Tensor>> = all.iter().map(|t| t.get(i)).collect();
    tensors.ok_or_else(|| invalid("devices disagree on the operands of a collective"))
}

/// `all_gather`.
pub(crate) fn all_gather(c: &Collective, dim: i64, device: &Device, x: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let count = x.len();
    let (all, _) = exchange(&c.replica_groups, Grouping::of_reduction(c), device, x)?;
    (0..count)
        .map(|i| movement::concatenate(&column(&all, i)?, dim))
        .collect()
}

/// `all_reduce` with a region, or with addition if there is none.
pub(crate) fn all_reduce(
    frame: &mut Frame,
    c: &Collective,
    region: Option<RegionId>,
    x: Vec<Tensor>,
) -> Result<(Vec<Tensor>, usize, usize)> {
    let device = frame.device.clone();
    let count = x.len();
    let (all, place) = exchange(&c.replica_groups, Grouping::of_reduction(c), &device, x)?;
    let fold = match region {
        Some(region) => simple(frame.func, region),
        None => Some(Simple::Fold(ferrite_ir::hlo::BinaryOp::Add)),
    };
    let mut out = Vec::new();
    for i in 0..count {
        let parts = column(&all, i)?;
        let Some(first) = parts.first() else { continue };
        if let Some(Simple::Fold(op)) = fold {
            let mut shape = vec![1];
            shape.extend(first.shape());
            let rows = parts
                .iter()
                .map(|t| movement::reshape(t, &shape))
                .collect::<Result<Vec<_>>>()?;
            let stacked = movement::concatenate(&rows.iter().collect::<Vec<_>>(), 0)?;
            out.push(reduce_simple(op, &stacked, None, &[0], first.dtype())?);
            continue;
        }
        let Some(region) = region else { continue };
        let mut body = Body::new(frame, region);
        let mut acc = numbers(first);
        for part in &parts[1..] {
            for (a, b) in acc.iter_mut().zip(numbers(part)) {
                let mut result = [Num::I(0)];
                body.call(&[*a, b], &mut result)?;
                *a = result[0];
            }
        }
        out.push(from_numbers(first.ty().clone(), &acc));
    }
    Ok((out, place, all.len()))
}

/// `ragged_all_to_all`: every device sends rows of its operand to the others, which find them in their output where the
/// sender says. Operands are the rows, the output before, and for each receiver (several times for several messages)
/// where the rows begin, how many they are, where they go, and how many are received.
pub(crate) fn ragged_all_to_all(groups: &[Dims], channel_id: i64, device: &Device, x: Vec<Tensor>) -> Result<Tensor> {
    let wrong = || invalid("`ragged_all_to_all` takes rows, an output and four arrays of places and sizes");
    let [_, output, ..] = &x[..] else { return Err(wrong()) };
    let mut output = output.clone();
    let (all, place) = exchange(groups, Grouping::of_exchange(channel_id), device, x)?;
    for sender in &all {
        let [rows, _, from, sizes, to, _] = &sender[..] else {
            return Err(wrong());
        };
        let messages = from.count() / all.len().max(1);
        let one = |t: &Tensor, i: usize| (i < t.count()).then(|| t.get_i64(i)).ok_or_else(wrong);
        for m in 0..messages {
            let at = place * messages + m;
            let (from, size, to) = (one(from, at)?, one(sizes, at)?, one(to, at)?);
            let fits = |t: &Tensor, start: i64| {
                start >= 0 && size >= 0 && t.shape().first().is_some_and(|&n| start.saturating_add(size) <= n)
            };
            if !fits(rows, from) || !fits(&output, to) {
                return Err(invalid(format!(
                    "`ragged_all_to_all` moves {size} rows from {from} to {to}, which are not there"
                )));
            }
            let width = rows.bytes().len() / rows.shape()[0].max(1) as usize;
            let mut bytes = output.bytes().to_vec();
            let (from, size, to) = (from as usize * width, size as usize * width, to as usize * width);
            bytes[to..to + size].copy_from_slice(&rows.bytes()[from..from + size]);
            output = Tensor::new(output.ty().clone(), &bytes).ok_or_else(wrong)?;
        }
    }
    Ok(output)
}

/// `collective_reduce`: the first of a group gets what `all_reduce` gives, the others zeros.
pub(crate) fn collective_reduce(
    frame: &mut Frame,
    c: &Collective,
    region: RegionId,
    x: Vec<Tensor>,
) -> Result<Vec<Tensor>> {
    let (out, place, _) = all_reduce(frame, c, Some(region), x)?;
    Ok(if place == 0 {
        out
    } else {
        out.iter().map(|t| Tensor::zeros(t.ty().clone())).collect()
    })
}

/// Part `index` of `count` equal parts along a dimension.
fn part(x: &Tensor, dim: i64, index: usize, count: usize) -> Result<Tensor> {
    let d = dim as usize;
    let size = x
        .shape()
        .get(d)
        .copied()
        .filter(|n| dim >= 0 && count > 0 && n % count as i64 == 0);
    let Some(size) = size.map(|n| n / count as i64) else {
        return Err(invalid(format!(
            "{} cannot be split into {count} parts along dimension {dim}",
            x.ty()
        )));
    };
    let mut low = vec![0; x.shape().len()];
    let mut limit = x.shape().to_vec();
    (low[d], limit[d]) = (index as i64 * size, (index as i64 + 1) * size);
    movement::slice(x, &low, &limit, &vec![1; low.len()])
}

/// `reduce_scatter`: this device's part of an `all_reduce`.
pub(crate) fn reduce_scatter(
    frame: &mut Frame,
    c: &Collective,
    dim: i64,
    region: Option<RegionId>,
    x: Vec<Tensor>,
) -> Result<Vec<Tensor>> {
    let (sums, place, count) = all_reduce(frame, c, region, x)?;
    sums.iter().map(|t| part(t, dim, place, count)).collect()
}

/// `all_to_all`.
pub(crate) fn all_to_all(attrs: &ferrite_ir::hlo::AllToAll, device: &Device, x: Vec<Tensor>) -> Result<Vec<Tensor>> {
    let c = &attrs.collective;
    let count = x.len();
    let (all, place) = exchange(&c.replica_groups, Grouping::of_exchange(c.channel_id), device, x)?;
    (0..count)
        .map(|i| {
            let parts = column(&all, i)?;
            let parts = parts.iter().map(|t| part(t, attrs.split_dimension, place, parts.len()));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            movement::concatenate(&parts.iter().collect::<Vec<_>>(), attrs.concat_dimension)
        })
        .collect()
}

/// `collective_permute`: zeros where nobody sends.
pub(crate) fn collective_permute(
    pairs: &[(i64, i64)],
    channel: i64,
    device: &Device,
    x: Vec<Tensor>,
) -> Result<Vec<Tensor>> {
    let grouping = Grouping::of_exchange(channel);
    let zeros: Vec<Tensor> = x.iter().map(|t| Tensor::zeros(t.ty().clone())).collect();
    let ids = grouping.ids(device);
    if pairs
        .iter()
        .any(|&(s, t)| s < 0 || t < 0 || s as usize >= ids || t as usize >= ids)
    {
        return Err(unsupported(format!(
            "`stablehlo.collective_permute` names more devices than the {ids} there are"
        )));
    }
    let group: Vec<usize> = (0..ids).map(|id| grouping.position(id, device)).collect();
    let all = device.meet(&group, x)?;
    let source = pairs
        .iter()
        .find(|&&(_, t)| grouping.position(t as usize, device) == device.id());
    Ok(match source {
        Some(&(s, _)) => all.into_iter().nth(s as usize).unwrap_or(zeros),
        None => zeros,
    })
}

/// `collective_broadcast`: what the first of the group holds; zeros outside all groups.
pub(crate) fn collective_broadcast(c: &Collective, device: &Device, x: Vec<Tensor>) -> Result<Vec<Tensor>> {
    match group_of(&c.replica_groups, Grouping::of_exchange(c.channel_id), device)? {
        Some(group) => Ok(device.meet(&group, x)?.into_iter().next().unwrap_or_default()),
        None => Ok(x.iter().map(|t| Tensor::zeros(t.ty().clone())).collect()),
    }
}

/// `partition_id` and `replica_id`.
pub(crate) fn id(value: usize) -> Tensor {
    Tensor::from_i64s(TensorType::scalar(DType::U32), vec![value as i64])
}

/// Axes of a mesh, outermost first.
type Mesh = Vec<(String, usize)>;

/// Reads `sdy.mesh @name = <["x"=2, "y"=4]>` out of the module's symbols.
fn find_mesh(symbols: &[String], name: &str) -> Result<Mesh> {
    let none = || invalid(format!("there is no mesh `@{name}`"));
    let text = symbols
        .iter()
        .find(|s| {
            s.split('@')
                .nth(1)
                .is_some_and(|s| s.split([' ', '=']).next() == Some(name))
        })
        .ok_or_else(none)?;
    if text.contains("device_ids") {
        return Err(unsupported(format!(
            "mesh `@{name}` with devices in an order of its own"
        )));
    }
    let axes = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .ok_or_else(none)?
        .0;
    let mut mesh = Vec::new();
    for axis in axes.split(',').filter(|a| !a.trim().is_empty()) {
        let (name, size) = axis.split_once('=').ok_or_else(none)?;
        let size = size.trim().parse().ok().filter(|&n| n > 0).ok_or_else(none)?;
        mesh.push((name.trim().trim_matches('"').to_string(), size));
    }
    Ok(mesh)
}

/// A sharding: its mesh, and per dimension the axes that split it.
struct Sharding {
    mesh: String,
    dims: Vec<Vec<String>>,
}

/// Reads `[<@mesh, [{"x"}, {}]>, ...]`.
fn shardings(text: &str) -> Result<Vec<Sharding>> {
    let bad = || invalid(format!("`{text}` is no list of shardings"));
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("<@") {
        let (body, next) = after.split_once('>').ok_or_else(bad)?;
        rest = next;
        let (mesh, dims) = body.split_once(',').ok_or_else(bad)?;
        let dims = dims
            .split_once('[')
            .and_then(|(_, d)| d.rsplit_once(']'))
            .ok_or_else(bad)?
            .0;
        // What follows the dimensions (`replicated={...}`) only says what is so anyway.
        let dims = dims.split(']').next().unwrap_or(dims);
        let mut sharding = Sharding {
            mesh: mesh.trim().to_string(),
            dims: Vec::new(),
        };
        for dim in dims.split('{').skip(1) {
            let names = dim.split('}').next().ok_or_else(bad)?;
            if names.contains(":(") {
                return Err(unsupported(format!("parts of mesh axes in `{text}`")));
            }
            let quoted = names.split('"').skip(1).step_by(2);
            sharding.dims.push(quoted.map(str::to_string).collect());
        }
        out.push(sharding);
    }
    Ok(out)
}

/// The part of a tensor of this global shape that a device at these mesh coordinates holds.
fn shard(sharding: &Sharding, manual: &[String], mesh: &Mesh, at: &[usize], global: &[i64]) -> Result<Access> {
    let shape = usizes(global);
    let strides = row_major(&shape);
    let mut access = Access {
        offset: 0,
        shape: shape.clone(),
        strides: strides.clone(),
    };
    if sharding.dims.len() > shape.len() {
        return Err(invalid("a sharding has more dimensions than its tensor"));
    }
    for (d, axes) in sharding.dims.iter().enumerate() {
        let (mut index, mut count) = (0, 1);
        for name in axes.iter().filter(|a| manual.contains(a)) {
            let axis = mesh.iter().position(|(n, _)| n == name);
            let axis = axis.ok_or_else(|| invalid(format!("the mesh has no axis `{name}`")))?;
            index = index * mesh[axis].1 + at[axis];
            count *= mesh[axis].1;
        }
        if !shape[d].is_multiple_of(count) {
            return Err(unsupported(format!(
                "a dimension of {} does not split into {count} equal parts",
                shape[d]
            )));
        }
        let size = shape[d] / count;
        access.shape[d] = size;
        access.offset += (index * size) as isize * strides[d];
    }
    Ok(access)
}

/// Coordinates of a device in a mesh.
fn coordinates(mesh: &Mesh, mut id: usize) -> Vec<usize> {
    let mut at = vec![0; mesh.len()];
    for (axis, &(_, size)) in mesh.iter().enumerate().rev() {
        at[axis] = id % size;
        id /= size;
    }
    at
}

/// `sdy.manual_computation`: the body runs on every device of the mesh, on its part of each operand.
pub(crate) fn manual_computation(
    frame: &Frame,
    attrs: &ManualComputation,
    region: RegionId,
    results: &[&TensorType],
    x: &[Tensor],
) -> Result<Vec<Value>> {
    if frame.device.world.partitions * frame.device.world.replicas > 1 {
        return Err(unsupported("nested `sdy.manual_computation`").help("inline the outer one"));
    }
    let (inputs, outputs) = (shardings(&attrs.in_shardings)?, shardings(&attrs.out_shardings)?);
    let manual: Vec<String> = attrs
        .manual_axes
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_string)
        .collect();
    if inputs.len() != x.len() || outputs.len() != results.len() {
        return Err(invalid(
            "`sdy.manual_computation` needs one sharding per operand and result",
        ));
    }
    let mesh = match inputs.iter().chain(&outputs).next() {
        Some(sharding) => find_mesh(&frame.interp.module.symbols, &sharding.mesh)?,
        None => Vec::new(),
    };
    let count = mesh.iter().fold(1usize, |n, a| n.saturating_mul(a.1));
    let all = World::run(1, count, None, |device| {
        let at = coordinates(&mesh, device.partition);
        let mut args = Vec::new();
        for (tensor, sharding) in x.iter().zip(&inputs) {
            let access = shard(sharding, &manual, &mesh, &at, tensor.shape())?;
            args.push(Value::Tensor(movement::view(tensor, &access)));
        }
        frame.on(device).region(region, args)
    })?;
    let mut out: Vec<Tensor> = results.iter().map(|&ty| Tensor::zeros(ty.clone())).collect();
    for (id, values) in all.into_iter().enumerate() {
        let at = coordinates(&mesh, id);
        for ((whole, sharding), value) in out.iter_mut().zip(&outputs).zip(values) {
            let access = shard(sharding, &manual, &mesh, &at, whole.shape())?;
            match value {
                Value::Tensor(t) if usizes(t.shape()) == access.shape && t.dtype() == whole.dtype() => {
                    movement::write_into(whole, &access, &t);
                }
                _ => {
                    return Err(invalid(
                        "a result of `sdy.manual_computation` does not fit its sharding",
                    ));
                }
            }
        }
    }
    Ok(out.into_iter().map(Value::Tensor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meshes_and_shardings_are_read() {
        let symbols = vec!["sdy.mesh @mesh = <[\"x\"=2, \"y\"=4]>".to_string()];
        let mesh = find_mesh(&symbols, "mesh");
        assert_eq!(mesh, Ok(vec![("x".to_string(), 2), ("y".to_string(), 4)]));
        let read = shardings("[<@mesh, [{\"x\"}, {}]>, <@mesh, []>, <@mesh, [{\"y\", \"x\"}], replicated={}>]");
        let dims: Result<Vec<Vec<Vec<String>>>> = read.map(|s| s.into_iter().map(|s| s.dims).collect());
        let x = || "x".to_string();
        assert_eq!(
            dims,
            Ok(vec![vec![vec![x()], vec![]], vec![], vec![vec!["y".to_string(), x()]]])
        );
        let Ok(mesh) = mesh else { return };
        let both = Sharding {
            mesh: "mesh".into(),
            dims: vec![vec!["y".into(), x()]],
        };
        let access = shard(&both, &[x(), "y".into()], &mesh, &coordinates(&mesh, 6), &[16]);
        // Device 6 is x = 1, y = 2: part 2 * 2 + 1 of 8.
        assert_eq!(access.map(|a| (a.offset, a.shape)), Ok((10, vec![2])));
    }
}
