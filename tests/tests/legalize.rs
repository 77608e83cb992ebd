//! Legalization passes: the reference interpreter computes the same before and after, and what is left is canonical.

use ferrite_interp::{Tensor, interpret};
use ferrite_ir::dtype::DTypeClass;
use ferrite_ir::hlo::parse::parse;
use ferrite_ir::hlo::verify::verify;
use ferrite_ir::hlo::{Module, OpKind};
use ferrite_ir::literal::write_f64;
use ferrite_ir::machine::MachineModel;
use ferrite_passes::options::CompileOptions;
use ferrite_passes::pass::{PassContext, Run};
use ferrite_passes::registry;

/// All legalizations, in an order that pipelines use.
const ALL: [&str; 16] = [
    "legalize-control-flow",
    "legalize-random",
    "legalize-complex",
    "expand-ops",
    "legalize-small-types",
    "legalize-integer-contraction",
    "legalize-linear-algebra",
    "legalize-sort",
    "legalize-select-and-scatter",
    "legalize-convolution",
    "legalize-window",
    "legalize-gather",
    "legalize-scatter",
    "legalize-reduce",
    "legalize-data",
    "remove-dead-ops",
];

fn module(text: &str) -> Module {
    parse(text).unwrap_or_else(|e| panic!("{}\n{text}", e[0]))
}

fn run(module: &mut Module, passes: &[&str]) -> ferrite_ir::diag::Result<()> {
    let machine = MachineModel::target("trn2")?;
    let options = CompileOptions::default();
    let mut cx = PassContext::new(&machine, &options);
    for name in passes {
        let pass = registry::find(name).unwrap_or_else(|| panic!("there is no pass {name}"));
        let Run::Hlo(f) = &pass.run else {
            panic!("{name} is no pass of the hlo level")
        };
        f(module, &mut cx)?;
        if let Err(errors) = verify(module) {
            panic!("after {name}: {}", errors[0]);
        }
    }
    Ok(())
}

/// Numbers that depend on the seed only: floats in [-1, 1), integers in [-4, 10), so that indices miss at both ends.
fn inputs(module: &Module, seed: u64) -> Vec<Tensor> {
    let func = module.entry().map(|id| module.func(id)).expect("there is an entry");
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let args = func.args().iter();
    args.map(|&v| {
        let ty = func.tensor(v).clone();
        let size = ty.dtype.bytes();
        let mut bytes = vec![0; ty.element_count() * size];
        for element in bytes.chunks_exact_mut(size) {
            let u = next();
            let value = match ty.dtype.class() {
                DTypeClass::Bool => f64::from(u8::from(u < 0.5)),
                DTypeClass::Unsigned => (u * 10.0).floor(),
                DTypeClass::Signed => (u * 14.0).floor() - 4.0,
                DTypeClass::Float | DTypeClass::Complex => u * 2.0 - 1.0,
            };
            write_f64(ty.dtype, value, element);
        }
        Tensor::new(ty, &bytes).expect("as many bytes as the type has")
    })
    .collect()
}

fn assert_same(text: &str, want: &[Tensor], got: &[Tensor]) {
    for (i, (want, got)) in want.iter().zip(got).enumerate() {
        assert_eq!(want.ty(), got.ty(), "{text}");
        for k in 0..want.count() {
            let (w, g) = (want.get_f64(k), got.get_f64(k));
            let same = w == g || (w.is_nan() && g.is_nan());
            let close = want.dtype().is_float() && (w - g).abs() <= 1e-5 + 1e-5 * w.abs();
            assert!(same || close, "output {i}, element {k}: {w} became {g}\n{text}");
        }
    }
}

/// Legalizes a function body and compares what it computes. Returns the mnemonics that are left.
fn legalized(text: &str) -> Vec<&'static str> {
    let before = module(text);
    let mut after = before.clone();
    run(&mut after, &ALL).unwrap_or_else(|e| panic!("{e}\n{text}"));
    for seed in 1..4 {
        let inputs = inputs(&before, seed);
        let want = interpret(&before, &inputs).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let got = interpret(&after, &inputs).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_same(text, &want, &got);
    }
    let func = &after.funcs[0];
    let ops = func.region(func.body()).ops.iter();
    ops.map(|&op| {
        check_form(&func.op(op).kind);
        let name = func.op(op).kind.mnemonic();
        name.split_once('.').map_or(name, |(_, n)| n)
    })
    .collect()
}

/// What is left is what lowering accepts.
fn check_form(kind: &OpKind) {
    match kind {
        OpKind::Gather(g) => {
            assert_eq!((&g.offset_dims[..], g.index_vector_dim), (&[1][..], 1));
            assert!(g.collapsed_slice_dims.is_empty() && g.operand_batching_dims.is_empty());
        }
        OpKind::Scatter(s) => {
            assert_eq!((&s.update_window_dims[..], s.index_vector_dim), (&[1][..], 1));
            assert!(s.inserted_window_dims.is_empty() && s.input_batching_dims.is_empty());
        }
        OpKind::Convolution(c) => {
            assert!(c.padding.iter().all(|&p| p == (0, 0)) && c.lhs_dilation.iter().all(|&d| d == 1));
            assert!(c.batch_group_count == 1 && !c.window_reversal.contains(&true));
        }
        OpKind::ReduceWindow(w) => {
            // A window as long as its dimension, padded on one side, is scanned.
            let runs = |(&n, &(low, high)): (&i64, &(i64, i64))| n > 1 && low + high == n - 1 && low * high == 0;
            let running = w.window_dimensions.iter().zip(&w.padding).any(runs);
            // Windows of images keep their padding, if the first two dimensions have no window.
            let image = w.window_dimensions.starts_with(&[1, 1]) && w.padding.iter().all(|p| p.0 >= 0 && p.1 >= 0);
            let padded = w.padding.iter().any(|&p| p != (0, 0));
            assert!(running || (!padded || image) && w.base_dilations.iter().all(|&d| d == 1));
        }
        OpKind::Pad(p) => assert!(p.low.iter().chain(&p.high).all(|&v| v >= 0)),
        OpKind::DynamicSlice(_)
        | OpKind::DynamicUpdateSlice
        | OpKind::Sort(_)
        | OpKind::TopK(_)
        | OpKind::SelectAndScatter(_)
        | OpKind::Map(_)
        | OpKind::Fft(_)
        | OpKind::Clamp => panic!("`{}` is left", kind.mnemonic()),
        _ => {}
    }
}

fn count(ops: &[&str], name: &str) -> usize {
    ops.iter().filter(|&&o| o == name).count()
}

/// A function of the given header and body.
fn func(signature: &str, body: &str) -> String {
    format!("func.func @main{signature} {{\n{body}\n}}\n")
}

fn convolution(lhs: &str, rhs: &str, result: &str, dims: &str, window: &str, groups: (i64, i64)) -> String {
    let (feature, batch) = groups;
    func(
        &format!("(%x: tensor<{lhs}>, %w: tensor<{rhs}>) -> tensor<{result}>"),
        &format!(
            "%0 = stablehlo.convolution(%x, %w) dim_numbers = {dims}, window = {{{window}}} \
             {{batch_group_count = {batch} : i64, feature_group_count = {feature} : i64}} \
             : (tensor<{lhs}>, tensor<{rhs}>) -> tensor<{result}>\nreturn %0 : tensor<{result}>"
        ),
    )
}

#[test]
fn convolution_padding_dilation_and_reversal_become_explicit() {
    let window = "stride = [2, 1], pad = [[1, -1], [0, 2]], lhs_dilate = [2, 1], rhs_dilate = [1, 2], \
                  reverse = [true, false]";
    let dims = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]";
    let text = convolution("2x5x6x4xf32", "3x2x2x6xf32", "2x4x6x6xf32", dims, window, (2, 1));
    let ops = legalized(&text);
    assert_eq!((count(&ops, "convolution"), count(&ops, "reverse")), (1, 1));
}

#[test]
fn batch_groups_become_feature_groups() {
    let window = "stride = [1], pad = [[0, 0]], lhs_dilate = [1], rhs_dilate = [1], reverse = [false]";
    let text = convolution(
        "6x7x2xf32",
        "3x2x4xf32",
        "3x5x4xf32",
        "[b, 0, f]x[0, i, o]->[b, 0, f]",
        window,
        (1, 2),
    );
    assert_eq!(count(&legalized(&text), "convolution"), 1);
}

#[test]
fn convolutions_without_overlap_are_contractions() {
    let plain = "lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]";
    let nhwc = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]";
    let nchw = "[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]";
    let cases = [
        // patches with a rest that no window covers
        convolution(
            "2x9x8x3xf32",
            "4x4x3x5xf32",
            "2x2x2x5xf32",
            nhwc,
            &format!("stride = [4, 4], {plain}"),
            (1, 1),
        ),
        // pointwise with a stride and groups
        convolution(
            "2x4x5x5xf32",
            "6x2x1x1xf32",
            "2x6x3x3xf32",
            nchw,
            &format!("stride = [2, 2], {plain}"),
            (2, 1),
        ),
        // one window for the whole image
        convolution(
            "2x3x4x4xf32",
            "5x3x4x4xf32",
            "2x5x1x1xf32",
            nchw,
            &format!("stride = [1, 1], {plain}"),
            (1, 1),
        ),
        // the weight gradient of patches
        convolution(
            "3x8x8x2xf32",
            "3x2x2x5xf32",
            "4x4x2x5xf32",
            "[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]",
            "stride = [1, 1], rhs_dilate = [4, 4]",
            (1, 1),
        ),
    ];
    for text in cases {
        let ops = legalized(&text);
        assert_eq!(
            (count(&ops, "convolution"), count(&ops, "dot_general")),
            (0, 1),
            "{text}"
        );
    }
}

#[test]
fn rows_are_gathered_at_clamped_offsets() {
    let text = func(
        "(%x: tensor<6x4xf32>, %i: tensor<3x2x1xi32>) -> tensor<3x2x4xf32>",
        "%0 = \"stablehlo.gather\"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], \
         collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, indices_are_sorted = false, \
         slice_sizes = array<i64: 1, 4>}> : (tensor<6x4xf32>, tensor<3x2x1xi32>) -> tensor<3x2x4xf32>\n\
         return %0 : tensor<3x2x4xf32>",
    );
    assert_eq!(count(&legalized(&text), "gather"), 1);
}

#[test]
fn gathers_with_batching_and_unsigned_indices() {
    let text = func(
        "(%x: tensor<5x3x7xf32>, %i: tensor<3x2x2xui32>) -> tensor<3x2x2x4xf32>",
        "%0 = \"stablehlo.gather\"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [2, 3], \
         operand_batching_dims = [1], start_indices_batching_dims = [0], start_index_map = [2, 0], \
         index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 2, 1, 4>}> \
         : (tensor<5x3x7xf32>, tensor<3x2x2xui32>) -> tensor<3x2x2x4xf32>\nreturn %0 : tensor<3x2x2x4xf32>",
    );
    assert_eq!(count(&legalized(&text), "gather"), 1);
}

#[test]
fn slices_at_constant_places_move_nothing_dynamically() {
    let text = func(
        "(%x: tensor<6x4xf32>) -> tensor<2x3xf32>",
        "%c = stablehlo.constant dense<9> : tensor<i32>\n%d = stablehlo.constant dense<-3> : tensor<i32>\n\
         %0 = stablehlo.dynamic_slice %x, %c, %d, sizes = [2, 3] \
         : (tensor<6x4xf32>, tensor<i32>, tensor<i32>) -> tensor<2x3xf32>\nreturn %0 : tensor<2x3xf32>",
    );
    assert_eq!(legalized(&text), ["slice"]);
}

#[test]
fn every_second_column_is_a_slice() {
    let text = func(
        "(%x: tensor<3x8x2xf32>) -> tensor<3x2x4xf32>",
        "%i = stablehlo.constant dense<[[1], [3], [5], [7]]> : tensor<4x1xi32>\n\
         %0 = \"stablehlo.gather\"(%x, %i) <{dimension_numbers = #stablehlo.gather<offset_dims = [0, 1], \
         collapsed_slice_dims = [1], start_index_map = [1], index_vector_dim = 1>, indices_are_sorted = true, \
         slice_sizes = array<i64: 3, 1, 2>}> : (tensor<3x8x2xf32>, tensor<4x1xi32>) -> tensor<3x2x4xf32>\n\
         return %0 : tensor<3x2x4xf32>",
    );
    let ops = legalized(&text);
    assert_eq!((count(&ops, "gather"), count(&ops, "slice")), (0, 1));
}

#[test]
fn updates_of_slices_are_unique_rows() {
    let text = func(
        "(%x: tensor<2x6x4xf32>, %u: tensor<2x3x4xf32>, %i: tensor<i32>) -> tensor<2x6x4xf32>",
        "%c = stablehlo.constant dense<0> : tensor<i32>\n\
         %0 = stablehlo.dynamic_update_slice %x, %u, %c, %i, %c \
         : (tensor<2x6x4xf32>, tensor<2x3x4xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<2x6x4xf32>\n\
         return %0 : tensor<2x6x4xf32>",
    );
    assert_eq!(count(&legalized(&text), "scatter"), 1);
}

/// A scatter of `rows` windows with one combiner. Indices miss the tensor at both ends and repeat.
fn scatter(rows: i64, dtype: &str, body: &str) -> String {
    let t = format!("tensor<{dtype}>");
    func(
        &format!(
            "(%x: tensor<7x3x{dtype}>, %i: tensor<{rows}x1xi32>, %u: tensor<{rows}x3x{dtype}>) -> tensor<7x3x{dtype}>"
        ),
        &format!(
            "%0 = \"stablehlo.scatter\"(%x, %i, %u) <{{indices_are_sorted = false, scatter_dimension_numbers = \
             #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], \
             index_vector_dim = 1>, unique_indices = false}}> ({{\n^bb0(%a: {t}, %b: {t}):\n{body}\n}}) \
             : (tensor<7x3x{dtype}>, tensor<{rows}x1xi32>, tensor<{rows}x3x{dtype}>) -> tensor<7x3x{dtype}>\n\
             return %0 : tensor<7x3x{dtype}>"
        ),
    )
}

fn combine(op: &str, dtype: &str) -> String {
    format!("%r = stablehlo.{op} %a, %b : tensor<{dtype}>\nstablehlo.return %r : tensor<{dtype}>")
}

#[test]
fn rows_that_repeat_are_combined_before_they_are_written() {
    for rows in [1, 5, 40, 700] {
        for (op, dtype) in [("add", "f32"), ("add", "i32"), ("maximum", "f32"), ("multiply", "i32")] {
            legalized(&scatter(rows, dtype, &combine(op, dtype)));
        }
    }
}

#[test]
fn the_last_of_equal_rows_is_the_one_that_stays() {
    for rows in [4, 30, 600] {
        legalized(&scatter(rows, "f32", "stablehlo.return %b : tensor<f32>"));
    }
}

#[test]
fn other_combiners_take_few_rows_one_by_one() {
    let body = "%h = stablehlo.add %a, %a : tensor<f32>\n%r = stablehlo.subtract %h, %b : tensor<f32>\n\
                stablehlo.return %r : tensor<f32>";
    legalized(&scatter(5, "f32", body));
    let mut many = module(&scatter(65, "f32", body));
    let error = run(&mut many, &ALL).expect_err("65 rows are too many");
    assert!(error.message.contains("65 rows") && error.location.line > 0, "{error}");
}

fn window(op: &str, dims: &str, strides: &str, base: &str, dilations: &str, padding: &str, result: &str) -> String {
    func(
        &format!("(%x: tensor<2x7x6xf32>, %i: tensor<f32>) -> tensor<{result}xf32>"),
        &format!(
            "%0 = \"stablehlo.reduce_window\"(%x, %i) <{{window_dimensions = array<i64: {dims}>, window_strides = \
             array<i64: {strides}>, base_dilations = array<i64: {base}>, window_dilations = array<i64: {dilations}>, \
             padding = dense<{padding}> : tensor<3x2xi64>}}> ({{\n^bb0(%a: tensor<f32>, %b: tensor<f32>):\n{op}\n}}) \
             : (tensor<2x7x6xf32>, tensor<f32>) -> tensor<{result}xf32>\nreturn %0 : tensor<{result}xf32>"
        ),
    )
}

#[test]
fn windows_are_padded_with_the_initial_value() {
    let text = window(
        &combine("maximum", "f32"),
        "1, 3, 2",
        "1, 2, 1",
        "1, 1, 2",
        "1, 1, 3",
        "[[0, 0], [1, 1], [-1, 2]]",
        "2x4x9",
    );
    let ops = legalized(&text);
    assert_eq!((count(&ops, "reduce_window"), count(&ops, "pad")), (1, 1));
}

#[test]
fn windows_of_any_associative_body_are_steps() {
    // max(a, b) written as a selection: nothing that the pass knows by name.
    let body = "%c = stablehlo.compare GT, %a, %b : (tensor<f32>, tensor<f32>) -> tensor<i1>\n\
                %r = stablehlo.select %c, %a, %b : tensor<i1>, tensor<f32>\nstablehlo.return %r : tensor<f32>";
    let text = window(
        body,
        "1, 5, 3",
        "1, 1, 2",
        "1, 1, 1",
        "1, 1, 1",
        "[[0, 0], [2, 1], [0, 1]]",
        "2x6x3",
    );
    assert_eq!(count(&legalized(&text), "reduce_window"), 0);
}

#[test]
fn cumulative_sums_run_both_ways() {
    for (padding, body) in [
        ("[[0, 0], [6, 0], [0, 0]]", "add"),
        ("[[0, 0], [0, 6], [0, 0]]", "multiply"),
    ] {
        let text = window(
            &combine(body, "f32"),
            "1, 7, 1",
            "1, 1, 1",
            "1, 1, 1",
            "1, 1, 1",
            padding,
            "2x7x6",
        );
        // It stays whole: VectorE scans it.
        assert_eq!(count(&legalized(&text), "reduce_window"), 1);
    }
}

#[test]
fn the_first_nan_is_the_largest() {
    let text = func(
        "(%x: tensor<3x5xf32>) -> (tensor<3xf32>, tensor<3xi32>)",
        "%n = stablehlo.log %x : tensor<3x5xf32>\n%i = stablehlo.iota dim = 1 : tensor<3x5xi32>\n\
         %f = stablehlo.constant dense<0xFF800000> : tensor<f32>\n%z = stablehlo.constant dense<0> : tensor<i32>\n\
         %0:2 = stablehlo.reduce(%n init: %f), (%i init: %z) across dimensions = [1] \
         : (tensor<3x5xf32>, tensor<3x5xi32>, tensor<f32>, tensor<i32>) -> (tensor<3xf32>, tensor<3xi32>)\n\
         reducer(%a: tensor<f32>, %b: tensor<f32>) (%j: tensor<i32>, %k: tensor<i32>) {\n\
         %2 = stablehlo.compare GT, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>\n\
         %3 = stablehlo.compare NE, %a, %a, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>\n\
         %4 = stablehlo.or %2, %3 : tensor<i1>\n\
         %5 = stablehlo.compare EQ, %a, %b, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>\n\
         %6 = stablehlo.compare LT, %j, %k, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>\n\
         %7 = stablehlo.and %5, %6 : tensor<i1>\n%8 = stablehlo.or %4, %7 : tensor<i1>\n\
         %9 = stablehlo.select %4, %a, %b : tensor<i1>, tensor<f32>\n\
         %10 = stablehlo.select %8, %j, %k : tensor<i1>, tensor<i32>\n\
         stablehlo.return %9, %10 : tensor<f32>, tensor<i32>\n}\nreturn %0#0, %0#1 : tensor<3xf32>, tensor<3xi32>",
    );
    assert_eq!(count(&legalized(&text), "reduce"), 2);
}

#[test]
fn sorts_are_stable_for_any_length() {
    for n in [1, 2, 7, 16, 37] {
        let t = format!("tensor<2x{n}xi32>");
        let text = func(
            &format!("(%x: {t}, %y: {t}) -> ({t}, {t})"),
            &format!(
                "%0:2 = \"stablehlo.sort\"(%x, %y) <{{dimension = 1 : i64, is_stable = true}}> ({{\n\
                 ^bb0(%a: tensor<i32>, %b: tensor<i32>, %c: tensor<i32>, %d: tensor<i32>):\n\
                 %1 = stablehlo.compare LT, %a, %b, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>\n\
                 stablehlo.return %1 : tensor<i1>\n}}) : ({t}, {t}) -> ({t}, {t})\nreturn %0#0, %0#1 : {t}, {t}"
            ),
        );
        legalized(&text);
    }
}

#[test]
fn few_largest_by_rounds_and_many_by_sorting_agree() {
    for k in [1, 3, 20] {
        let text = func(
            &format!("(%x: tensor<3x20xf32>) -> (tensor<3x{k}xf32>, tensor<3x{k}xi32>)"),
            &format!(
                "%v, %i = chlo.top_k(%x, k = {k}) : tensor<3x20xf32> -> (tensor<3x{k}xf32>, tensor<3x{k}xi32>)\n\
                 return %v, %i : tensor<3x{k}xf32>, tensor<3x{k}xi32>"
            ),
        );
        legalized(&text);
    }
}

#[test]
fn transforms_of_lengths_with_and_without_factors() {
    for n in [7, 12, 260] {
        let half = n / 2 + 1;
        let text = func(
            &format!("(%x: tensor<2x{n}xf32>) -> (tensor<2x{half}xf32>, tensor<2x{n}xf32>)"),
            &format!(
                "%f = stablehlo.fft %x, type = RFFT, length = [{n}] : (tensor<2x{n}xf32>) -> tensor<2x{half}xcomplex<f32>>\n\
                 %m = stablehlo.abs %f : (tensor<2x{half}xcomplex<f32>>) -> tensor<2x{half}xf32>\n\
                 %b = stablehlo.fft %f, type = IRFFT, length = [{n}] : (tensor<2x{half}xcomplex<f32>>) -> tensor<2x{n}xf32>\n\
                 return %m, %b : tensor<2x{half}xf32>, tensor<2x{n}xf32>"
            ),
        );
        assert_eq!(count(&legalized(&text), "complex"), 0);
    }
}

#[test]
fn small_branches_are_selected_and_loops_stay() {
    let text = func(
        "(%p: tensor<i1>, %x: tensor<3xf32>) -> tensor<3xf32>",
        "%0 = \"stablehlo.if\"(%p) ({\n%1 = stablehlo.negate %x : tensor<3xf32>\nstablehlo.return %1 : tensor<3xf32>\n\
         }, {\nstablehlo.return %x : tensor<3xf32>\n}) : (tensor<i1>) -> tensor<3xf32>\nreturn %0 : tensor<3xf32>",
    );
    assert_eq!(count(&legalized(&text), "select"), 1);
    let text = func(
        "(%x: tensor<i32>) -> tensor<i32>",
        "%c = stablehlo.constant dense<9> : tensor<i32>\n\
         %0 = stablehlo.while(%a = %x) : tensor<i32>\ncond {\n\
         %1 = stablehlo.compare LT, %a, %c : (tensor<i32>, tensor<i32>) -> tensor<i1>\nstablehlo.return %1 : tensor<i1>\n\
         } do {\n%1 = stablehlo.add %a, %c : tensor<i32>\nstablehlo.return %1 : tensor<i32>\n}\nreturn %0 : tensor<i32>",
    );
    assert_eq!(count(&legalized(&text), "while"), 1);
    let branch =
        |op| format!("{{\n%1 = stablehlo.{op} %x : tensor<512x512xf32>\nstablehlo.return %1 : tensor<512x512xf32>\n}}");
    let text = func(
        "(%p: tensor<i1>, %x: tensor<512x512xf32>) -> tensor<512x512xf32>",
        &format!(
            "%0 = \"stablehlo.if\"(%p) ({}, {}) : (tensor<i1>) -> tensor<512x512xf32>\nreturn %0 : tensor<512x512xf32>",
            branch("negate"),
            branch("abs")
        ),
    );
    assert_eq!(count(&legalized(&text), "if"), 1);
}

#[test]
fn what_is_canonical_stays() {
    let text = scatter(40, "f32", &combine("add", "f32"));
    let mut once = module(&text);
    run(&mut once, &ALL).unwrap_or_else(|e| panic!("{e}"));
    let machine = MachineModel::target("trn2").expect("a target of ours");
    let options = CompileOptions::default();
    for name in ALL.iter().filter(|n| n.starts_with("legalize")) {
        let pass = registry::find(name).expect("listed");
        let Run::Hlo(f) = &pass.run else { panic!("hlo") };
        let changed = f(&mut once, &mut PassContext::new(&machine, &options)).unwrap_or_else(|e| panic!("{e}"));
        assert!(!changed.is_yes(), "{name} changes its own result");
    }
}

#[test]
fn small_integers_wrap() {
    let text = "func.func @main(%x: tensor<5xi4>, %y: tensor<5xi4>) -> (tensor<5xi4>, tensor<5xi4>, tensor<i4>) {
        %0 = stablehlo.multiply %x, %y : tensor<5xi4>
        %1 = stablehlo.shift_right_logical %x, %y : tensor<5xi4>
        %c = stablehlo.constant dense<3> : tensor<i4>
        %2 = stablehlo.reduce(%x init: %c) applies stablehlo.add across dimensions = [0] : (tensor<5xi4>, tensor<i4>) -> tensor<i4>
        return %0, %1, %2 : tensor<5xi4>, tensor<5xi4>, tensor<i4>
    }";
    assert!(legalized(text).contains(&"convert"));
}

#[test]
fn a_reduction_over_nothing_is_its_initial_value_whatever_follows() {
    let text = "func.func @main(%x: tensor<0x8x4xui4>) -> tensor<8xui4> {
        %c = stablehlo.constant dense<9> : tensor<ui4>
        %0 = stablehlo.reduce(%x init: %c) applies stablehlo.or across dimensions = [0, 2] : (tensor<0x8x4xui4>, tensor<ui4>) -> tensor<8xui4>
        return %0 : tensor<8xui4>
    }";
    assert!(!legalized(text).contains(&"reduce"));
}

#[test]
fn integer_contractions_are_sums_of_exact_products() {
    let dot = "func.func @main(%x: tensor<3x70xi32>, %y: tensor<70x2xi32>) -> tensor<3x2xi32> {
        %0 = stablehlo.dot_general %x, %y, contracting_dims = [1] x [0] : (tensor<3x70xi32>, tensor<70x2xi32>) -> tensor<3x2xi32>
        return %0 : tensor<3x2xi32>
    }";
    assert!(legalized(dot).contains(&"dot_general"));
    let nothing = "func.func @main(%x: tensor<3x0xf32>, %y: tensor<0x2xf32>) -> tensor<3x2xf32> {
        %0 = stablehlo.dot_general %x, %y, contracting_dims = [1] x [0] : (tensor<3x0xf32>, tensor<0x2xf32>) -> tensor<3x2xf32>
        return %0 : tensor<3x2xf32>
    }";
    assert!(!legalized(nothing).contains(&"dot_general"));
}

#[test]
fn the_initial_value_of_a_window_counts_once() {
    let text = "func.func @main(%x: tensor<6xi32>, %c: tensor<i32>) -> tensor<8xi32> {
        %0 = \"stablehlo.reduce_window\"(%x, %c) <{padding = dense<[[2, 2]]> : tensor<1x2xi64>, window_dimensions = array<i64: 3>}> ({
        ^bb0(%a: tensor<i32>, %b: tensor<i32>):
          %1 = stablehlo.add %a, %b : tensor<i32>
          stablehlo.return %1 : tensor<i32>
        }) : (tensor<6xi32>, tensor<i32>) -> tensor<8xi32>
        return %0 : tensor<8xi32>
    }";
    assert!(legalized(text).contains(&"add"));
}

#[test]
fn seeds_of_64_bits_and_states_of_two_words_keep_their_bits() {
    let text = "func.func @main(%s: tensor<i64>) -> tensor<7xui32> {
        %c = stablehlo.constant dense<6364136223846793005> : tensor<i64>
        %k = stablehlo.constant dense<5> : tensor<1xui64>
        %0 = stablehlo.multiply %s, %c : tensor<i64>
        %1 = stablehlo.add %0, %c : tensor<i64>
        %2 = stablehlo.convert %1 : (tensor<i64>) -> tensor<ui64>
        %3 = stablehlo.reshape %2 : (tensor<ui64>) -> tensor<1xui64>
        %4 = stablehlo.concatenate %3, %k, dim = 0 : (tensor<1xui64>, tensor<1xui64>) -> tensor<2xui64>
        %5, %6 = stablehlo.rng_bit_generator %4, algorithm = DEFAULT : (tensor<2xui64>) -> (tensor<2xui64>, tensor<7xui32>)
        return %6 : tensor<7xui32>
    }";
    assert!(!legalized(text).contains(&"rng_bit_generator"));
}
