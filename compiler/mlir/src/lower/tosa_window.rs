//! TOSA's convolutions and poolings, in the layout `[batch, height, width, channel]`.

use ferrite_ir::text::Operation;

use super::contraction::Window;
use super::emit::{Ty, Value, dims, pairs};
use super::tosa::reduction_start;
use super::{Lowered, Lowering, integers, refuse};

impl<'d> Lowering<'d> {
    pub(super) fn tosa_windows(&mut self, op: &Operation<'d>, operands: &[Value], ty: &Ty) -> Lowered<Value> {
        match (&*op.name, operands) {
            ("tosa.conv2d" | "tosa.depthwise_conv2d" | "tosa.transpose_conv2d", [x, kernel, bias, points @ ..]) => {
                if points.iter().any(|point| point.splat != Some(0.0)) {
                    return Err(self.unknown(op));
                }
                self.tosa_convolution(op, x, kernel, bias, ty)
            }
            ("tosa.max_pool2d", [x]) => {
                let start = reduction_start("stablehlo.maximum", &x.ty)
                    .ok_or_else(|| refuse(format!("`tosa.max_pool2d` of {} elements", x.ty.element)))?;
                self.pool(op, "stablehlo.maximum", start, x, ty)
            }
            ("tosa.avg_pool2d", [x, points @ ..]) => {
                if !x.ty.is_float() || points.iter().any(|point| point.splat != Some(0.0)) {
                    return Err(self.unknown(op));
                }
                let sums = self.pool(op, "stablehlo.add", 0.0, x, ty)?;
                // Padding does not count: windows at the edge divide by fewer.
                let ones = self.out.splat(1.0, x.ty.clone());
                let counts = self.pool(op, "stablehlo.add", 0.0, &ones, ty)?;
                Ok(self.out.binary("stablehlo.divide", &sums, &counts))
            }
            _ => Err(self.unknown(op)),
        }
    }

    /// A list of this length, which the operation must have.
    fn list(op: &Operation, name: &str, length: usize) -> Lowered<Vec<i64>> {
        integers(op.attr(name))
            .filter(|list| list.len() == length)
            .ok_or_else(|| refuse(format!("`{}` without `{name}`", op.name)))
    }

    fn tosa_convolution(&mut self, op: &Operation, x: &Value, kernel: &Value, bias: &Value, ty: &Ty) -> Lowered<Value> {
        let transposed = &*op.name == "tosa.transpose_conv2d";
        let strides = Self::list(op, "stride", 2)?;
        let mut window = Window::default();
        let mut groups = 1;
        // To `[output feature, feature, height, width]`.
        let kernel = match &*op.name {
            "tosa.depthwise_conv2d" => {
                let [height, width, channels, times] = kernel.ty.sizes[..] else {
                    return Err(self.unknown(op));
                };
                groups = channels;
                let kernel = self.out.transpose(kernel, &[2, 3, 0, 1]);
                self.out.reshape(&kernel, &[channels * times, 1, height, width])
            }
            _ => self.out.transpose(kernel, &[0, 3, 1, 2]),
        };
        if transposed {
            // The operand is spread, and the kernel turned around.
            let pad = Self::list(op, "out_pad", 4)?;
            let sizes = &kernel.ty.sizes;
            window.padding = (0..2)
                .map(|d| (sizes[2 + d] - 1 + pad[2 * d], sizes[2 + d] - 1 + pad[2 * d + 1]))
                .collect();
            window.expanded = strides;
            window.strides = vec![1, 1];
            window.dilations = vec![1, 1];
        } else {
            let pad = Self::list(op, "pad", 4)?;
            window.padding = vec![(pad[0], pad[1]), (pad[2], pad[3])];
            window.strides = strides;
            window.dilations = Self::list(op, "dilation", 2)?;
        }
        let kernel = if transposed {
            let attributes = vec![("dimensions", dims(&[2, 3]))];
            let ty = kernel.ty.clone();
            self.out.op("stablehlo.reverse", &[kernel], attributes, ty)
        } else {
            kernel
        };
        let x = self.out.transpose(x, &[0, 3, 1, 2]);
        let sizes = [ty.sizes[0], ty.sizes[3], ty.sizes[1], ty.sizes[2]];
        let result = self.canonical_convolution(&[x, kernel], &window, groups, Ty::new(&sizes, &ty.element));
        let result = self.out.transpose(&result, &[0, 2, 3, 1]);
        if bias.splat == Some(0.0) {
            return Ok(result);
        }
        let dimension = if bias.ty.rank() == 1 && bias.ty.sizes[0] == ty.sizes[3] {
            vec![3]
        } else {
            Vec::new()
        };
        let bias = if dimension.is_empty() {
            self.out.reshape(bias, &[])
        } else {
            bias.clone()
        };
        let bias = self.out.convert(&bias, &ty.element);
        let bias = self.out.broadcast(&bias, &dimension, &ty.sizes);
        Ok(self.out.binary("stablehlo.add", &result, &bias))
    }

    fn pool(&mut self, op: &Operation, combine: &'static str, start: f64, x: &Value, ty: &Ty) -> Lowered<Value> {
        let (kernel, stride) = (Self::list(op, "kernel", 2)?, Self::list(op, "stride", 2)?);
        let pad = Self::list(op, "pad", 4)?;
        let scalar = Ty::scalar(&x.ty.element);
        let start = self.out.splat(start, scalar.clone());
        let arguments = [self.out.argument(scalar.clone()), self.out.argument(scalar)];
        self.out.open();
        let combined = self.out.binary(combine, &arguments[0], &arguments[1]);
        let region = self.out.close(&arguments, "stablehlo.return", &[combined]);
        let attributes = vec![
            ("window_dimensions", dims(&[1, kernel[0], kernel[1], 1])),
            ("window_strides", dims(&[1, stride[0], stride[1], 1])),
            ("base_dilations", dims(&[1; 4])),
            ("window_dilations", dims(&[1; 4])),
            ("padding", pairs(&[(0, 0), (pad[0], pad[1]), (pad[2], pad[3]), (0, 0)])),
        ];
        let operands = [x.clone(), start];
        let mut results = self.out.many(
            "stablehlo.reduce_window",
            &operands,
            attributes,
            vec![region],
            std::slice::from_ref(ty),
        );
        Ok(results.remove(0))
    }
}
