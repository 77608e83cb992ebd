//! Convolutions and pooling with features first: the simulator, with all its checks, computes what the interpreter does.

use ferrite_driver::compile;
use ferrite_driver::options::CompileOptions;
use ferrite_driver::run::{self, RunOptions};
use ferrite_interp::{Tensor, interpret};
use ferrite_ir::hlo::TensorType;
use ferrite_ir::hlo::parse::parse;

/// A tensor of small whole numbers, whose products and sums are exact.
fn numbers(ty: TensorType, first: i64) -> Tensor {
    let mut bytes = vec![0; ty.byte_size()];
    for (i, element) in bytes.chunks_exact_mut(ty.dtype.bytes()).enumerate() {
        let value = (first + i as i64 * 7) % 5 - 2;
        ferrite_ir::literal::write_f64(ty.dtype, value as f64, element);
    }
    Tensor::new(ty, &bytes).expect("as many bytes as the type has")
}

fn agrees(text: &str) {
    let module = parse(text).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    let compiled =
        compile::compile(module.clone(), &CompileOptions::default()).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    let func = module.entry().map(|id| module.func(id)).expect("there is an entry");
    let inputs: Vec<Tensor> = (0..)
        .zip(func.args())
        .map(|(i, &v)| numbers(func.tensor(v).clone(), 3 * i))
        .collect();
    let want = interpret(&module, &inputs).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let done = run::run(&compiled.neff, &inputs, &RunOptions::default()).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    for (i, (want, got)) in want.iter().zip(&done.outputs).enumerate() {
        for k in 0..want.count() {
            let (w, g) = (want.get_f64(k), got.get_f64(k));
            assert!(w == g, "output {i}, element {k}: {g} for {w}\n{text}");
        }
    }
}

/// A convolution of an image `[n, y, x, f]` by a kernel `[ky, kx, i, o]`.
fn convolution(name: &str, x: &str, w: &str, window: &str, types: [&str; 3]) -> String {
    let [a, b, r] = types.map(|t| format!("tensor<{t}xf32>"));
    format!(
        "%{name} = stablehlo.convolution(%{x}, %{w}) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], \
         window = {{{window}}} {{batch_group_count = 1 : i64, feature_group_count = 1 : i64}} : ({a}, {b}) -> {r}\n"
    )
}

#[test]
fn padding_and_strides_leave_out_what_lies_outside() {
    for (window, out) in [
        ("pad = [[1, 1], [1, 1]]", "2x7x9x5"),
        ("stride = [2, 2], pad = [[1, 1], [1, 1]]", "2x4x5x5"),
        ("stride = [2, 1], pad = [[0, 1], [2, 2]]", "2x3x11x5"),
        ("pad = [[3, 0], [0, 4]]", "2x8x11x5"),
        ("pad = [[2, 2], [2, 2]], rhs_dilate = [2, 2]", "2x7x9x5"),
    ] {
        let body = convolution("r", "x", "w", window, ["2x7x9x40", "3x3x40x5", out]);
        agrees(&format!(
            "func.func @main(%x: tensor<2x7x9x40xf32>, %w: tensor<3x3x40x5xf32>) -> tensor<{out}xf32> {{\n{body}\
             return %r : tensor<{out}xf32>\n}}"
        ));
    }
}

#[test]
fn a_batch_that_does_not_fit_goes_through_a_run_a_few_images_at_a_time() {
    // 16 images of 56 x 56: 200 KiB of each partition in f32.
    let size = "16x56x56x4";
    let pad = "pad = [[1, 1], [1, 1]]";
    let mut body = convolution("0", "x", "w", pad, [size, "3x3x4x4", size]);
    body += &format!(
        "%zero = stablehlo.constant dense<0.0> : tensor<f32>\n\
         %low = stablehlo.constant dense<0xFF800000> : tensor<f32>\n\
         %zeros = stablehlo.constant dense<0.0> : tensor<{size}xf32>\n\
         %1 = stablehlo.maximum %0, %zeros : tensor<{size}xf32>\n"
    );
    body += &convolution("2", "1", "v", "", [size, "1x1x4x4", size]);
    body += &format!(
        "%3 = stablehlo.add %2, %1 : tensor<{size}xf32>\n\
         %4 = \"stablehlo.reduce_window\"(%3, %low) <{{window_dimensions = array<i64: 1, 3, 3, 1>, window_strides = \
         array<i64: 1, 2, 2, 1>, padding = dense<[[0, 0], [1, 1], [1, 1], [0, 0]]> : tensor<4x2xi64>}}> ({{\n\
         ^bb0(%a: tensor<f32>, %b: tensor<f32>):\n%m = stablehlo.maximum %a, %b : tensor<f32>\n\
         stablehlo.return %m : tensor<f32>\n}}) : (tensor<{size}xf32>, tensor<f32>) -> tensor<16x28x28x4xf32>\n"
    );
    body += &convolution(
        "5",
        "4",
        "u",
        "stride = [2, 2]",
        ["16x28x28x4", "1x1x4x6", "16x14x14x6"],
    );
    agrees(&format!(
        "func.func @main(%x: tensor<{size}xf32>, %w: tensor<3x3x4x4xf32>, %v: tensor<1x1x4x4xf32>, %u: tensor<1x1x4x6xf32>) \
         -> tensor<16x14x14x6xf32> {{\n{body}return %5 : tensor<16x14x14x6xf32>\n}}"
    ));
}

#[test]
fn the_weights_of_a_run_are_read_once() {
    // Blocks of a residual network; the images of one do not fit beside the weights of all.
    let (wide, narrow) = ("16x14x14x512", "16x14x14x128");
    let (mut arguments, mut body, mut previous) = (String::new(), String::new(), "x".to_string());
    for i in 0..6 {
        arguments += &format!(
            ", %a{i}: tensor<1x1x512x128xf32>, %b{i}: tensor<3x3x128x128xf32>, %c{i}: tensor<1x1x128x512xf32>"
        );
        let pad = "pad = [[1, 1], [1, 1]]";
        body += &convolution(
            &format!("p{i}"),
            &previous,
            &format!("a{i}"),
            "",
            [wide, "1x1x512x128", narrow],
        );
        body += &convolution(
            &format!("q{i}"),
            &format!("p{i}"),
            &format!("b{i}"),
            pad,
            [narrow, "3x3x128x128", narrow],
        );
        body += &convolution(
            &format!("r{i}"),
            &format!("q{i}"),
            &format!("c{i}"),
            "",
            [narrow, "1x1x128x512", wide],
        );
        body += &format!("%s{i} = stablehlo.add %r{i}, %{previous} : tensor<{wide}xf32>\n");
        previous = format!("s{i}");
    }
    let text = format!(
        "func.func @main(%x: tensor<{wide}xf32>{arguments}) -> tensor<{wide}xf32> {{\n{body}\
         return %{previous} : tensor<{wide}xf32>\n}}"
    );
    let module = parse(&text).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    let options = CompileOptions {
        target: "inf2".into(),
        ..CompileOptions::default()
    };
    let compiled = compile::compile(module, &options).unwrap_or_else(|e| panic!("{}", e[0]));
    let profile = run::profile(&compiled.neff, &RunOptions::default()).unwrap_or_else(|e| panic!("{}", e[0]));
    let weights = 6 * (2 * 512 * 128 + 9 * 128 * 128) * 4;
    let images = 16 * 14 * 14 * 512 * 4;
    // The images come in, and once more where two runs meet.
    let read: u64 = profile.cores.iter().map(|c| c.hbm_read_bytes).sum();
    assert!(read < weights + 4 * images, "{read}");
}
