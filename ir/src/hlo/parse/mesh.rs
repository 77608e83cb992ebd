//! Replica groups given by axes of a mesh.
//!
//! `#stablehlo.replica_group_mesh_axes<mesh = ..., axes = [...]>` groups the devices that differ along the axes only. An
//! axis may be a part of one: `(2)3` is the part of size 3 that comes after a part of size 2.

use super::super::types::Dims;

/// No mesh has more devices.
const MAX_DEVICES: usize = 1 << 20;

/// The groups that the body of the attribute says; `None` if it is not well formed.
pub(super) fn groups(body: &str) -> Option<Vec<Dims>> {
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let (mesh, chosen) = body.rsplit_once("axes=[")?;
    let mut axes: Vec<(String, usize)> = Vec::new();
    for part in mesh.split("mesh_axis<").skip(1) {
        let (fields, _) = part.split_once('>')?;
        axes.push((field(fields, "name=")?, field(fields, "size=")?.parse().ok()?));
    }
    let count = product(axes.iter().map(|axis| axis.1))?;
    let ids: Vec<i64> = match mesh.split_once("device_ids=") {
        None => (0..count as i64).collect(),
        Some((_, rest)) => {
            let list = rest.split_once("dense<")?.1.split_once('>')?.0;
            let list = list.split(['[', ']', ',']).filter(|word| !word.is_empty());
            list.map(|word| word.parse().ok()).collect::<Option<_>>()?
        }
    };
    if ids.len() != count {
        return None;
    }
    // Each axis becomes three: what is before a chosen part of it, that part, and what is after.
    let mut parts: Vec<(usize, usize, usize)> = axes.iter().map(|&(_, size)| (size, 1, 1)).collect();
    let mut order: Vec<usize> = Vec::new();
    for part in chosen.split("axis_ref<").skip(1) {
        let (fields, _) = part.split_once('>')?;
        let axis = axes
            .iter()
            .position(|axis| Some(&axis.0) == field(fields, "name=").as_ref())?;
        if order.contains(&axis) {
            return None;
        }
        order.push(axis);
        let size = axes[axis].1;
        parts[axis] = match fields.split_once("sub_axis_info=(") {
            None => (1, size, 1),
            Some((_, info)) => {
                let (before, width) = info.split_once(')')?;
                let (before, width): (usize, usize) = (before.parse().ok()?, width.parse().ok()?);
                let taken = before
                    .checked_mul(width)
                    .filter(|&taken| taken > 0 && size.is_multiple_of(taken))?;
                (before, width, size / taken)
            }
        };
    }
    let inside = product(order.iter().map(|&axis| parts[axis].1))?;
    let mut groups = vec![Dims::new(); count / inside];
    for group in &mut groups {
        group.resize(inside, 0);
    }
    for (n, &id) in ids.iter().enumerate() {
        // Places along each axis, the last one fastest.
        let mut rest = n;
        let mut places = vec![0usize; axes.len()];
        for axis in (0..axes.len()).rev() {
            places[axis] = rest % axes[axis].1;
            rest /= axes[axis].1;
        }
        let outside = places
            .iter()
            .zip(&parts)
            .fold(0, |sum, (place, (before, width, after))| {
                let (high, low) = (place / (width * after), place % after);
                (sum * before + high) * after + low
            });
        let within = order.iter().fold(0, |sum, &axis| {
            let (_, width, after) = parts[axis];
            sum * width + places[axis] / after % width
        });
        *groups.get_mut(outside)?.get_mut(within)? = id;
    }
    Some(groups)
}

/// The number of devices along axes of these sizes.
fn product(mut sizes: impl Iterator<Item = usize>) -> Option<usize> {
    let count = sizes.try_fold(1usize, usize::checked_mul);
    count.filter(|&count| count > 0 && count <= MAX_DEVICES)
}

/// The value of a field: up to a comma, without its quotes.
fn field(fields: &str, key: &str) -> Option<String> {
    let (_, value) = fields.split_once(key)?;
    Some(value.split(',').next()?.trim_matches('"').to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESH: &str = "mesh = #stablehlo.mesh<axes = [#stablehlo.mesh_axis<name = \"x\", size = 2>, #stablehlo.mesh_axis<name = \"y\", size = 4>]>";

    fn rows(axes: &str) -> Option<Vec<Vec<i64>>> {
        let groups = groups(&format!("{MESH}, axes = [{axes}]"))?;
        Some(groups.iter().map(|group| group.to_vec()).collect())
    }

    #[test]
    fn axes_and_parts_of_axes_make_groups() {
        let y = "#stablehlo.axis_ref<name = \"y\">";
        assert_eq!(rows(y).unwrap(), [[0, 1, 2, 3], [4, 5, 6, 7]]);
        let x = "#stablehlo.axis_ref<name = \"x\">";
        assert_eq!(rows(x).unwrap(), [[0, 4], [1, 5], [2, 6], [3, 7]]);
        assert_eq!(rows(&format!("{y}, {x}")).unwrap(), [[0, 4, 1, 5, 2, 6, 3, 7]]);
        let first = "#stablehlo.axis_ref<name = \"y\", sub_axis_info = (1)2>";
        assert_eq!(rows(first).unwrap(), [[0, 2], [1, 3], [4, 6], [5, 7]]);
        let second = "#stablehlo.axis_ref<name = \"y\", sub_axis_info = (2)2>";
        assert_eq!(rows(second).unwrap(), [[0, 1], [2, 3], [4, 5], [6, 7]]);
        assert_eq!(rows("#stablehlo.axis_ref<name = \"z\">"), None);
        assert_eq!(rows("#stablehlo.axis_ref<name = \"y\", sub_axis_info = (3)2>"), None);
    }
}
