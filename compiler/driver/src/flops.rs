//! Floating-point operations of a model: two for each multiply-add of its dots and convolutions.
//!
//! Counted on the module as it was imported, so that the figure is the model's and not the compiler's: a utilisation
//! that rises because useless work was counted would be no utilisation. Convolutions count their full window. A loop
//! counts once: its trip count is not known here.

use ferrite_ir::hlo::{Func, FuncId, Module, Op, OpKind, TensorType};

/// Operations of the entry function with everything it calls; 0 if there is none.
pub fn model_flops(module: &Module) -> u64 {
    let mut counted = vec![State::Unknown; module.funcs.len()];
    module.entry().map_or(0, |id| count(module, id, &mut counted))
}

#[derive(Clone, Copy)]
enum State {
    Unknown,
    /// Being counted: reached again only by recursion, which adds nothing.
    Open,
    Known(u64),
}

fn count(module: &Module, id: FuncId, counted: &mut Vec<State>) -> u64 {
    match counted.get(id.0 as usize) {
        Some(State::Unknown) => {}
        Some(State::Known(flops)) => return *flops,
        Some(State::Open) | None => return 0,
    }
    counted[id.0 as usize] = State::Open;
    let func = module.func(id);
    let (mut flops, mut callees) = (0u64, Vec::new());
    func.walk(func.body(), &mut |func, op| {
        let op = func.op(op);
        match &op.kind {
            OpKind::Call(call) => callees.extend(module.find(&call.callee)),
            OpKind::Composite(composite) => callees.extend(module.find(&composite.decomposition)),
            _ => flops = flops.saturating_add(own(func, op)),
        }
    });
    for callee in callees {
        flops = flops.saturating_add(count(module, callee, counted));
    }
    counted[id.0 as usize] = State::Known(flops);
    flops
}

/// Operations of one contraction.
fn own(func: &Func, op: &Op) -> u64 {
    let tensor = |value: Option<&_>| value.and_then(|&v| func.ty(v).tensor());
    let (lhs, rhs, out) = (
        tensor(op.operands.first()),
        tensor(op.operands.get(1)),
        tensor(op.results.first()),
    );
    let (Some(lhs), Some(rhs), Some(out)) = (lhs, rhs, out) else {
        return 0;
    };
    let size = |ty: &TensorType, dim: i64| {
        usize::try_from(dim)
            .ok()
            .and_then(|d| ty.shape.get(d))
            .map_or(1, |&n| n)
    };
    let depth = match &op.kind {
        OpKind::DotGeneral(dot) => dot.dims.lhs_contracting.iter().map(|&d| size(lhs, d)).product(),
        OpKind::Dot(_) => lhs.shape.last().copied().unwrap_or(1),
        OpKind::Convolution(conv) => {
            let window: i64 = conv.dims.kernel_spatial.iter().map(|&d| size(rhs, d)).product();
            window.saturating_mul(size(rhs, conv.dims.kernel_input_feature))
        }
        _ => return 0,
    };
    let multiply_adds = (out.element_count() as u64).saturating_mul(u64::try_from(depth).unwrap_or(0));
    multiply_adds.saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flops(text: &str) -> u64 {
        model_flops(&ferrite_ir::hlo::parse::parse(text).unwrap())
    }

    #[test]
    fn a_function_called_twice_counts_twice() {
        let text = "module {
          func.func public @main(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
            %0 = call @f(%x) : (tensor<4x4xf32>) -> tensor<4x4xf32>
            %1 = call @f(%0) : (tensor<4x4xf32>) -> tensor<4x4xf32>
            return %1 : tensor<4x4xf32>
          }
          func.func private @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
            %0 = stablehlo.dot_general %x, %x, contracting_dims = [1] x [0] : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
            return %0 : tensor<4x4xf32>
          }
        }";
        assert_eq!(flops(text), 2 * 2 * 4 * 4 * 4);
    }

    #[test]
    fn a_convolution_counts_its_window() {
        let text = "module {
          func.func public @main(%x: tensor<1x8x8x3xf32>, %w: tensor<2x2x3x5xf32>) -> tensor<1x4x4x5xf32> {
            %0 = stablehlo.convolution(%x, %w) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [2, 2]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<1x8x8x3xf32>, tensor<2x2x3x5xf32>) -> tensor<1x4x4x5xf32>
            return %0 : tensor<1x4x4x5xf32>
          }
        }";
        assert_eq!(flops(text), 2 * (4 * 4 * 5) * (2 * 2 * 3));
    }
}
