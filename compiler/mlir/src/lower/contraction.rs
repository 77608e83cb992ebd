//! Contractions and convolutions among `linalg.generic`: sums of products of two operands.

use ferrite_ir::text::Operation;

use super::emit::{Ty, Value, dims, int, pairs, structure};
use super::generic::Generic;
use super::{Lowered, Lowering};

/// A sum of products, of the operands with these numbers.
struct Product {
    lhs: usize,
    rhs: usize,
}

/// A loop as the operands use it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Batch,
    Contracting,
    Left,
    Right,
}

impl<'d> Lowering<'d> {
    /// A contraction or convolution; nothing if this is something else.
    pub(super) fn contraction(&mut self, generic: &Generic<'_, 'd>) -> Lowered<Option<Value>> {
        let Some(product) = product(generic) else {
            return Ok(None);
        };
        let simple = [product.lhs, product.rhs]
            .iter()
            .all(|&input| generic.maps[input].iter().all(|e| e.dimension().is_some()));
        let result = if simple {
            self.dot(generic, &product)
        } else {
            self.convolution(generic, &product)
        };
        let Some(result) = result else { return Ok(None) };
        let out = &generic.outs[0];
        let result = self.out.reshape(&result, &out.ty.sizes);
        if out.splat == Some(0.0) {
            return Ok(Some(result));
        }
        Ok(Some(self.out.binary("stablehlo.add", out, &result)))
    }

    fn dot(&mut self, generic: &Generic, product: &Product) -> Option<Value> {
        let loops_of =
            |input: usize| -> Vec<usize> { generic.maps[input].iter().filter_map(|e| e.dimension()).collect() };
        let (left, right) = (loops_of(product.lhs), loops_of(product.rhs));
        let out = generic.out_loops(0).ok()?;
        let mut roles = Vec::new();
        for d in 0..generic.reduces.len() {
            let count = |loops: &[usize]| loops.iter().filter(|&&l| l == d).count();
            roles.push(match (count(&left), count(&right), generic.reduces[d]) {
                (1, 1, false) => Role::Batch,
                (1, 1, true) => Role::Contracting,
                (1, 0, false) => Role::Left,
                (0, 1, false) => Role::Right,
                _ => return None,
            });
        }
        let positions = |loops: &[usize], role: Role| -> Vec<(usize, usize)> {
            // Batching and contracting dimensions pair up in the order of the loops.
            let mut all: Vec<(usize, usize)> = loops.iter().copied().enumerate().map(|(at, d)| (d, at)).collect();
            all.retain(|(d, _)| roles[*d] == role);
            if matches!(role, Role::Batch | Role::Contracting) {
                all.sort_unstable();
            }
            all
        };
        let list = |pairs: &[(usize, usize)]| {
            let items: Vec<String> = pairs.iter().map(|(_, at)| at.to_string()).collect();
            format!("[{}]", items.join(", "))
        };
        let batch = positions(&left, Role::Batch);
        let body = format!(
            "lhs_batching_dimensions = {}, rhs_batching_dimensions = {}, lhs_contracting_dimensions = {}, rhs_contracting_dimensions = {}",
            list(&batch),
            list(&positions(&right, Role::Batch)),
            list(&positions(&left, Role::Contracting)),
            list(&positions(&right, Role::Contracting)),
        );
        let order: Vec<usize> = batch
            .iter()
            .chain(&positions(&left, Role::Left))
            .chain(&positions(&right, Role::Right))
            .map(|(d, _)| *d)
            .collect();
        let sizes: Vec<i64> = order.iter().map(|&d| generic.extents[d]).collect();
        let ty = Ty::new(&sizes, &generic.outs[0].ty.element);
        let operands = [generic.inputs[product.lhs].clone(), generic.inputs[product.rhs].clone()];
        let attributes = vec![("dot_dimension_numbers", structure("dot", body))];
        let result = self.out.op("stablehlo.dot_general", &operands, attributes, ty);
        let permutation: Vec<i64> = out
            .iter()
            .map(|d| order.iter().position(|o| o == d).unwrap_or(0) as i64)
            .collect();
        Some(self.out.transpose(&result, &permutation))
    }

    fn convolution(&mut self, generic: &Generic, product: &Product) -> Option<Value> {
        let sums = |input: usize| generic.maps[input].iter().any(|e| e.used().count() > 1);
        let (image, filter) = match (sums(product.lhs), sums(product.rhs)) {
            (true, false) => (product.lhs, product.rhs),
            (false, true) => (product.rhs, product.lhs),
            _ => return None,
        };
        let out = generic.out_loops(0).ok()?;
        let filter_loops: Option<Vec<usize>> = generic.maps[filter].iter().map(|e| e.dimension()).collect();
        let filter_loops = filter_loops?;
        let mut window = Window::default();
        let (mut batch, mut feature, mut group) = (None, None, None);
        let image_map = &generic.maps[image];
        let mut limit = generic.inputs[image].ty.sizes.clone();
        for (at, expression) in image_map.iter().enumerate() {
            let used: Vec<usize> = expression.used().collect();
            match used[..] {
                [a, b] if expression.constant == 0 && generic.reduces[a] != generic.reduces[b] => {
                    let (slide, within) = if generic.reduces[a] { (b, a) } else { (a, b) };
                    let (stride, dilation) = (expression.factors[slide], expression.factors[within]);
                    if stride < 1 || dilation < 1 {
                        return None;
                    }
                    limit[at] = (generic.extents[slide] - 1) * stride + (generic.extents[within] - 1) * dilation + 1;
                    window.image.push(at);
                    window.filter.push(filter_loops.iter().position(|&l| l == within)?);
                    window.out.push(out.iter().position(|&l| l == slide)?);
                    window.strides.push(stride);
                    window.dilations.push(dilation);
                }
                [d] if expression.dimension().is_some() => {
                    let in_filter = filter_loops.contains(&d);
                    let role = match (in_filter, generic.reduces[d]) {
                        (false, false) => &mut batch,
                        (true, true) => &mut feature,
                        (true, false) => &mut group,
                        (false, true) => return None,
                    };
                    if role.replace((d, at)).is_some() {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        let image_loops: Vec<Option<usize>> = image_map.iter().map(|e| e.dimension()).collect();
        let mut others = filter_loops
            .iter()
            .enumerate()
            .filter(|(at, d)| !window.filter.contains(at) && !image_loops.contains(&Some(**d)));
        let output_feature = others.next().map(|(at, d)| (*d, at));
        if others.next().is_some() {
            return None;
        }
        let mut value = generic.inputs[image].clone();
        if limit != value.ty.sizes {
            let rank = limit.len();
            value = self.out.slice(&value, &vec![0; rank], &limit, &vec![1; rank]);
        }
        // Dimensions in StableHLO's order of a canonical convolution: batch, groups and features, then space.
        let size = |role: Option<(usize, usize)>| role.map_or(1, |(d, _)| generic.extents[d]);
        let (groups, inputs, outputs) = (size(group), size(feature), size(output_feature));
        let at_filter =
            |role: Option<(usize, usize)>| role.and_then(|(d, _)| filter_loops.iter().position(|&l| l == d));
        let present = |all: &[Option<usize>]| -> Vec<i64> { all.iter().flatten().map(|&at| at as i64).collect() };
        let spaces = |all: &[usize]| -> Vec<Option<usize>> { all.iter().map(|&at| Some(at)).collect() };
        let mut order = vec![batch.map(|r| r.1), group.map(|r| r.1), feature.map(|r| r.1)];
        order.extend(spaces(&window.image));
        value = self.out.transpose(&value, &present(&order));
        let space: Vec<i64> = window.image.iter().map(|&at| limit[at]).collect();
        let canonical: Vec<i64> = [size(batch), groups * inputs].into_iter().chain(space).collect();
        value = self.out.reshape(&value, &canonical);
        let mut order = vec![at_filter(group), at_filter(output_feature), at_filter(feature)];
        order.extend(spaces(&window.filter));
        let kernel = self.out.transpose(&generic.inputs[filter], &present(&order));
        let extents: Vec<i64> = window
            .filter
            .iter()
            .map(|&at| generic.extents[filter_loops[at]])
            .collect();
        let canonical: Vec<i64> = [groups * outputs, inputs].into_iter().chain(extents).collect();
        let kernel = self.out.reshape(&kernel, &canonical);
        let out_space: Vec<i64> = window.out.iter().map(|&at| generic.extents[out[at]]).collect();
        let sizes: Vec<i64> = [size(batch), groups * outputs]
            .into_iter()
            .chain(out_space.clone())
            .collect();
        let result = self.canonical_convolution(
            &[value, kernel],
            &window,
            groups,
            Ty::new(&sizes, &generic.outs[0].ty.element),
        );
        // Back: the loops of the result in the order that it has now.
        let spatial = window.out.iter().map(|&at| out[at]);
        let loops: Vec<usize> = [batch, group, output_feature]
            .into_iter()
            .flatten()
            .map(|r| r.0)
            .chain(spatial)
            .collect();
        let sizes: Vec<i64> = loops.iter().map(|&d| generic.extents[d]).collect();
        let result = self.out.reshape(&result, &sizes);
        let permutation: Vec<i64> = out
            .iter()
            .map(|d| loops.iter().position(|l| l == d).unwrap_or(0) as i64)
            .collect();
        Some(self.out.transpose(&result, &permutation))
    }

    /// A convolution of `[batch, feature, space..]` with `[output feature, feature, space..]`.
    pub(super) fn canonical_convolution(&mut self, operands: &[Value], window: &Window, groups: i64, ty: Ty) -> Value {
        let rank = window.strides.len();
        let space: String = (0..rank).map(|d| format!(", {d}")).collect();
        let padding = if window.padding.is_empty() {
            vec![(0, 0); rank]
        } else {
            window.padding.clone()
        };
        let expanded = if window.expanded.is_empty() {
            vec![1; rank]
        } else {
            window.expanded.clone()
        };
        let attributes = vec![
            (
                "dimension_numbers",
                structure("conv", format!("[b, f{space}]x[o, i{space}]->[b, f{space}]")),
            ),
            ("window_strides", dims(&window.strides)),
            ("padding", pairs(&padding)),
            ("lhs_dilation", dims(&expanded)),
            ("rhs_dilation", dims(&window.dilations)),
            ("feature_group_count", int(groups)),
            ("batch_group_count", int(1)),
        ];
        self.out.op("stablehlo.convolution", operands, attributes, ty)
    }
}

/// How a window slides: by spatial dimension.
#[derive(Default)]
pub(super) struct Window {
    image: Vec<usize>,
    filter: Vec<usize>,
    out: Vec<usize>,
    pub(super) strides: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    /// Padding before and after; none if empty.
    pub(super) padding: Vec<(i64, i64)>,
    /// Distance between elements of the operand; 1 if empty.
    pub(super) expanded: Vec<i64>,
}

/// The operands of a body `accumulator + cast(a) * cast(b)`, where the casts are exact.
fn product(generic: &Generic) -> Option<Product> {
    let [_] = &generic.outs[..] else { return None };
    let operations = &generic.block.operations;
    let defining = |name: &str| {
        operations
            .iter()
            .find(|op| op.results.iter().any(|group| group.name == name))
    };
    let accumulator = generic.argument(generic.inputs.len());
    let sum = defining(&operations.last()?.operands.first()?.name)?;
    let product = match (&*sum.name, &sum.operands[..]) {
        ("arith.addf" | "arith.addi", [a, b]) if a.name == accumulator => defining(&b.name)?,
        ("arith.addf" | "arith.addi", [a, b]) if b.name == accumulator => defining(&a.name)?,
        _ => return None,
    };
    let ("arith.mulf" | "arith.muli", [a, b]) = (&*product.name, &product.operands[..]) else {
        return None;
    };
    let input = |name: &str| {
        let widened = |op: &&Operation| matches!(&*op.name, "arith.extf" | "arith.extsi");
        let name = match defining(name).filter(widened) {
            Some(cast) => &*cast.operands.first()?.name,
            None => name,
        };
        (0..generic.inputs.len()).find(|&number| generic.argument(number) == name)
    };
    let (lhs, rhs) = (input(&a.name)?, input(&b.name)?);
    let is_float = |input: usize| generic.inputs[input].ty.is_float();
    let bools = [lhs, rhs].iter().any(|&i| generic.inputs[i].ty.is_bool());
    (lhs != rhs
        && is_float(lhs) == is_float(rhs)
        && generic.inputs[lhs].ty.element == generic.inputs[rhs].ty.element
        && !bools)
        .then_some(Product { lhs, rhs })
}
