//! The catalogue of documented errors: for each code that Ferrite gives, a model that gets it.
//!
//! `docs/src/errors.md` has a row for every documented code; the last test compares it with the cases here.

use crate::*;

/// A model that is refused.
struct Case {
    code: &'static str,
    target: &'static str,
    flags: &'static [&'static str],
    /// Parameters and results of `main`, and its body, a line each; `%r` is what is returned.
    signature: &'static str,
    body: &'static str,
    /// Line that the message points at; 0 for errors of the program as a whole.
    line: usize,
    /// A word that the message must have.
    says: &'static str,
}

const fn case(
    code: &'static str,
    signature: &'static str,
    body: &'static str,
    line: usize,
    says: &'static str,
) -> Case {
    Case {
        code,
        target: "trn1",
        flags: &[],
        signature,
        body,
        line,
        says,
    }
}

impl Case {
    const fn on(self, target: &'static str) -> Case {
        Case { target, ..self }
    }

    const fn with(self, flags: &'static [&'static str]) -> Case {
        Case { flags, ..self }
    }
}

const NO_DOWNCAST: &[&str] = &["--implicit-integer-downcast", "none"];
const F32: &str = "(%x: tensor<4xf32>) -> tensor<4xf32>";
const I64: &str = "(%x: tensor<4xi64>) -> tensor<4xi64>";
const GROUPS: &str = "replica_groups = dense<[[0]]> : tensor<1x1xi64>";

/// `QuantizeMX` of 64 columns with this configuration.
const QUANTIZE: &str = "(%x: tensor<4x64xbf16>) -> tensor<4x16xui32>";
/// A block-scaled dot.
const SCALED: &str = "(%a: tensor<4x16xui32>, %b: tensor<8x16xui32>, %s: tensor<4x2xui8>) -> tensor<4x8xf32>";

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    vec![
        case("EMOD025", "(%x: tensor<?x2xf32>) -> tensor<?x2xf32>", "%r = stablehlo.add %x, %x : tensor<?x2xf32>", 1, "dynamic"),
        case("EBVF030", "(%x: tensor<64x64xf32>) -> tensor<64x64xf32>",
            "%r = stablehlo.dot %x, %x : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>", 0, "instructions")
            .with(&["--internal-max-instruction-limit=3"]),
        case("EVRF009", "(%x: tensor<100000x50000xf32>) -> tensor<100000x50000xf32>",
            "%r = stablehlo.negate %x : tensor<100000x50000xf32>", 0, "GiB"),
        case("ESFH002", I64, "%c = stablehlo.constant dense<5000000000> : tensor<4xi64>
            %r = stablehlo.add %x, %c : tensor<4xi64>", 2, "5000000000"),
        case("ESPP004", "(%x: tensor<4xf4E2M1FN>) -> tensor<4xf32>",
            "%r = stablehlo.convert %x : (tensor<4xf4E2M1FN>) -> tensor<4xf32>", 2, "f4E2M1FN"),
        case("ESPP047", "(%x: tensor<4xf8E8M0FNU>) -> tensor<4xf32>",
            "%r = stablehlo.convert %x : (tensor<4xf8E8M0FNU>) -> tensor<4xf32>", 2, "f8E8M0FNU"),
        case("EVRF001", "(%x: tensor<4xf32>, %t: !stablehlo.token) -> tensor<4xf32>",
            "%r = stablehlo.negate %x : tensor<4xf32>", 1, "token"),
        case("EVRF001", F32, "%t = stablehlo.create_token : !stablehlo.token
            %r, %u = \"stablehlo.infeed\"(%t) <{infeed_config = \"\"}> : (!stablehlo.token) -> (tensor<4xf32>, !stablehlo.token)",
            3, "infeed"),
        case("EVRF004", "(%x: tensor<4xcomplex<f64>>) -> tensor<4xcomplex<f64>>",
            "%r = stablehlo.add %x, %x : tensor<4xcomplex<f64>>", 1, "complex"),
        case("EVRF005", "(%x: tensor<4xf8E4M3B11FNUZ>) -> tensor<4xf32>",
            "%r = stablehlo.convert %x : (tensor<4xf8E4M3B11FNUZ>) -> tensor<4xf32>", 2, "f8E4M3B11FNUZ"),
        case("EVRF015", F32, "%r = stablehlo.custom_call @Nobody(%x) : (tensor<4xf32>) -> tensor<4xf32>", 2, "`Nobody`"),
        case("EVRF035", "(%x: tensor<4x4xi32>) -> tensor<4x4xi32>",
            "%r = stablehlo.dot %x, %x : (tensor<4x4xi32>, tensor<4x4xi32>) -> tensor<4x4xi32>", 2, "`dot`").on("trn2").with(NO_DOWNCAST),
        case("EVRF035", "(%x: tensor<4x4xi64>) -> tensor<4x4xi64>",
            "%r = stablehlo.dot %x, %x : (tensor<4x4xi64>, tensor<4x4xi64>) -> tensor<4x4xi64>", 2, "`dot`").with(NO_DOWNCAST),
        case("EVRF060", "(%x: tensor<4xi32>, %i: tensor<2x1xi32>, %u: tensor<2xi32>) -> tensor<4xi32>",
            "%r = \"stablehlo.scatter\"(%x, %i, %u) <{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}> ({
            ^bb0(%a: tensor<i32>, %b: tensor<i32>):
            %s = stablehlo.add %a, %b : tensor<i32>
            stablehlo.return %s : tensor<i32>
            }) : (tensor<4xi32>, tensor<2x1xi32>, tensor<2xi32>) -> tensor<4xi32>", 2, "`scatter`").with(NO_DOWNCAST),
        case("EVRF061", "(%x: tensor<4xi32>) -> tensor<4xi32>",
            "%r = \"stablehlo.all_reduce\"(%x) <{GROUPS}> ({
            ^bb0(%a: tensor<i32>, %b: tensor<i32>):
            %s = stablehlo.add %a, %b : tensor<i32>
            stablehlo.return %s : tensor<i32>
            }) : (tensor<4xi32>) -> tensor<4xi32>", 2, "`all_reduce`").with(NO_DOWNCAST),
        case("EVRF062", I64, "%r = stablehlo.power %x, %x : tensor<4xi64>", 2, "`pow`").with(NO_DOWNCAST),
        case("EVRF063", "(%x: tensor<4xi32>) -> tensor<4xi32>",
            "%r = \"stablehlo.reduce_scatter\"(%x) <{GROUPS, scatter_dimension = 0 : i64}> ({
            ^bb0(%a: tensor<i32>, %b: tensor<i32>):
            %s = stablehlo.add %a, %b : tensor<i32>
            stablehlo.return %s : tensor<i32>
            }) : (tensor<4xi32>) -> tensor<4xi32>", 2, "`reduce_scatter`").with(NO_DOWNCAST),
        case("EVRF051", "(%x: tensor<4xf8E4M3FN>) -> tensor<4xf32>",
            "%r = stablehlo.convert %x : (tensor<4xf8E4M3FN>) -> tensor<4xf32>", 2, "fp8e4m3fn-as-fp8e4m3").on("trn2"),
        case("EVRF064", F32, "%r = stablehlo.transpose %x, dims = [1] : (tensor<4xf32>) -> tensor<4xf32>", 2, "transpose"),
        quantize("EVRF036", "{", ""),
        case("EVRF037", "() -> tensor<4xui32>",
            "%r, %s = stablehlo.custom_call @QuantizeMX() {backend_config = \"{}\"} : () -> (tensor<4xui32>, tensor<1xui8>)", 2, "operands").on("trn3"),
        case("EVRF038", "(%x: tensor<2x4x64xbf16>) -> tensor<4x16xui32>",
            "%r, %s = stablehlo.custom_call @QuantizeMX(%x) {backend_config = \"{\\\"dim\\\": 0}\"} : (tensor<2x4x64xbf16>) -> (tensor<4x16xui32>, tensor<4x2xui8>)",
            2, "dimension").on("trn3"),
        quantize("EVRF039", "{\\\"block_size\\\": 16}", ""),
        quantize("EVRF040", "{\\\"scale_method\\\": \\\"MEAN\\\"}", ""),
        quantize("EVRF041", "{}", "f32"),
        case("EVRF042", "(%x: tensor<4x64xbf16>) -> tensor<4x64xui32>",
            "%r, %s = stablehlo.custom_call @QuantizeMX(%x) {backend_config = \"{}\"} : (tensor<4x64xbf16>) -> (tensor<4x64xui32>, tensor<4x2xui8>)", 2, "32-bit word").on("trn3"),
        case("EVRF057", QUANTIZE,
            "%r = stablehlo.custom_call @QuantizeMX(%x) {backend_config = \"{}\"} : (tensor<4x64xbf16>) -> tensor<4x16xui32>", 2, "results").on("trn3"),
        case("EVRF058", "(%x: tensor<4x62xbf16>) -> tensor<4x16xui32>",
            "%r, %s = stablehlo.custom_call @QuantizeMX(%x) {backend_config = \"{}\"} : (tensor<4x62xbf16>) -> (tensor<4x16xui32>, tensor<4x2xui8>)", 2, "multiple of 4").on("trn3"),
        case("EVRF043", SCALED, "%r = stablehlo.custom_call @\"__op$block_scaled_dot\"(%a, %b) {backend_config = \"\"} : \
            (tensor<4x16xui32>, tensor<8x16xui32>) -> tensor<4x8xf32>", 2, "operands").on("trn3"),
        dot("EVRF044", "(%a: tensor<4x16xi32>, %b: tensor<8x16xui32>, %s: tensor<4x2xui8>) -> tensor<4x8xf32>", "4x16xi32", "8x16xui32", "4x8xf32", ""),
        dot("EVRF045", "(%a: tensor<4x16xui32>, %b: tensor<8x16xui32>, %s: tensor<4x2xui8>) -> tensor<4x8xf16>", "4x16xui32", "8x16xui32", "4x8xf16", ""),
        dot("EVRF046", "(%a: tensor<16xui32>, %b: tensor<8x16xui32>, %s: tensor<4x2xui8>) -> tensor<8xf32>", "16xui32", "8x16xui32", "8xf32", ""),
        dot("EVRF047", "(%a: tensor<4x16xui32>, %b: tensor<16xui32>, %s: tensor<4x2xui8>) -> tensor<4xf32>", "4x16xui32", "16xui32", "4xf32", ""),
        dot("EVRF048", "(%a: tensor<2x4x16xui32>, %b: tensor<3x8x16xui32>, %s: tensor<4x2xui8>) -> tensor<2x4x8xf32>", "2x4x16xui32", "3x8x16xui32", "2x4x8xf32",
            "{\\\"lhs_batch_dimensions\\\": [0], \\\"rhs_batch_dimensions\\\": [0]}"),
        dot("EVRF049", SCALED, "4x16xui32", "8x16xui32", "4x8xf32", "{"),
        dot("EVRF050", "(%a: tensor<4x16xui32>, %b: tensor<8x17xui32>, %s: tensor<4x2xui8>) -> tensor<4x8xf32>", "4x16xui32", "8x17xui32", "4x8xf32",
            "{\\\"lhs_contracting_dimensions\\\": [1], \\\"rhs_contracting_dimensions\\\": [1]}"),
        dot("EVRF053", SCALED, "4x16xui32", "8x16xui32", "4x8xf32", "{\\\"lhs_batch_dimensions\\\": [1], \\\"rhs_batch_dimensions\\\": [1], \
            \\\"lhs_contracting_dimensions\\\": [1], \\\"rhs_contracting_dimensions\\\": [1]}"),
        dot("EVRF054", SCALED, "4x16xui32", "8x16xui32", "4x8xf32", "{\\\"lhs_batch_dimensions\\\": [2]}"),
        dot("EVRF055", SCALED, "4x16xui32", "8x16xui32", "4x8xf32", "{\\\"lhs_contracting_dimensions\\\": [5]}"),
        // {"func_name": "k", "klir_binary": {"binary": "/no/such/k.bir"}}
        case("EVRF059", F32, "%r = stablehlo.custom_call @AwsNeuronCustomNativeKernel(%x) {backend_config = \
            \"eyJmdW5jX25hbWUiOiAiayIsICJrbGlyX2JpbmFyeSI6IHsiYmluYXJ5IjogIi9uby9zdWNoL2suYmlyIn19\"} : (tensor<4xf32>) -> tensor<4xf32>", 2, "/no/such/k.bir"),
        // {"func_name": "k", "kernel_version": 7}
        case("EVRF065", F32, "%r = stablehlo.custom_call @AwsNeuronCustomNativeKernel(%x) {backend_config = \
            \"eyJmdW5jX25hbWUiOiAiayIsICJrZXJuZWxfdmVyc2lvbiI6IDd9\"} : (tensor<4xf32>) -> tensor<4xf32>", 2, "version 7"),
    ]
}

fn leak(text: String) -> &'static str {
    text.leak()
}

fn quantize(code: &'static str, config: &str, dtype: &str) -> Case {
    let dtype = if dtype.is_empty() { "bf16" } else { dtype };
    let signature = leak(QUANTIZE.replace("bf16", dtype));
    let body = format!(
        "%r, %s = stablehlo.custom_call @QuantizeMX(%x) {{backend_config = \"{config}\"}} : (tensor<4x64x{dtype}>) -> \
         (tensor<4x16xui32>, tensor<4x2xui8>)"
    );
    case(code, signature, leak(body), 2, "`QuantizeMX`").on("trn3")
}

fn dot(code: &'static str, signature: &'static str, a: &str, b: &str, out: &str, config: &str) -> Case {
    let body = format!(
        "%r = stablehlo.custom_call @\"__op$block_scaled_dot\"(%a, %b, %s, %s) {{backend_config = \"{config}\"}} : \
         (tensor<{a}>, tensor<{b}>, tensor<4x2xui8>, tensor<4x2xui8>) -> tensor<{out}>"
    );
    case(code, signature, leak(body), 2, "`__op$block_scaled_dot`").on("trn3")
}

fn text(case: &Case) -> String {
    let (_, result) = case.signature.rsplit_once("-> ").expect("a result");
    let body = case.body.replace("GROUPS", GROUPS);
    format!(
        "func.func public @main{} {{\n  {body}\n  return %r : {result}\n}}\n",
        case.signature
    )
}

#[test]
fn every_code_that_is_given_names_place_and_advice() {
    let folder = scratch();
    let path = folder.path();
    let mut wrong = Vec::new();
    for case in cases() {
        std::fs::write(path.join("m.mlir"), text(&case)).expect("writes");
        let mut args = vec![
            "compile",
            "m.mlir",
            "--framework=XLA",
            "--verbose=35",
            "--target",
            case.target,
        ];
        args.extend(case.flags);
        let output = neuronx_cc(path, &args);
        let message = stderr(&output);
        let place = format!("m.mlir:{}:", case.line);
        let right = code(&output) == 70
            && message.starts_with(&format!("[ERROR] [NCC_{}] ", case.code))
            && (case.line == 0 || message.contains(&place))
            && message.contains(" = help: ")
            && message.contains(case.says);
        if !right {
            wrong.push(format!(
                "{}: exit {}\n{message}\n{}",
                case.code,
                code(&output),
                text(&case)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn codes_of_the_command_line_name_the_option() {
    let folder = scratch();
    for (args, code_, says) in [
        (&["--target=trn1", "--lnc=2"][..], "EARG001", "logical core"),
        (&["--no-such-option"], "EARG002", "--no-such-option"),
        (&["--pipeline", "tensorize", "SaveTemps"], "EARG002", "tensorize"),
    ] {
        let mut all = vec!["compile", "m.mlir", "--framework=XLA"];
        all.extend(args);
        let output = neuronx_cc(folder.path(), &all);
        let message = stderr(&output);
        assert_eq!(code(&output), 2, "{message}");
        assert!(
            message.starts_with(&format!("[ERROR] [NCC_{code_}] "))
                && message.contains(says)
                && message.contains("help"),
            "{message}"
        );
    }
}

/// A chain of functions each of which calls the next twice.
#[test]
fn a_program_that_calls_make_too_large_is_refused() {
    let folder = scratch();
    let mut text = String::new();
    for n in 0..30 {
        let visibility = if n == 0 {
            "public @main".to_string()
        } else {
            format!("private @f{n}")
        };
        let line = |m: usize| match n {
            29 => format!("%{m} = stablehlo.negate %x : tensor<2xf32>"),
            _ => format!("%{m} = func.call @f{}(%x) : (tensor<2xf32>) -> tensor<2xf32>", n + 1),
        };
        text.push_str(&format!(
            "func.func {visibility}(%x: tensor<2xf32>) -> tensor<2xf32> {{\n  {}\n  {}\n  %2 = stablehlo.add %0, %1 : \
             tensor<2xf32>\n  return %2 : tensor<2xf32>\n}}\n",
            line(0),
            line(1)
        ));
    }
    std::fs::write(folder.path().join("m.mlir"), text).expect("writes");
    let output = neuronx_cc(
        folder.path(),
        &["compile", "m.mlir", "--framework=XLA", "--target=trn1", "--verbose=35"],
    );
    let message = stderr(&output);
    assert!(
        code(&output) == 70 && message.starts_with("[ERROR] [NCC_EVRF007] "),
        "{message}"
    );
}

/// What the compiler that this one stands in for refuses, and this one compiles.
const COMPILED: [(&str, &str, &str); 5] = [
    (
        "EVRF006",
        "(%x: tensor<2xui64>) -> tensor<4xui32>",
        "%s, %r = stablehlo.rng_bit_generator %x, algorithm = PHILOX : (tensor<2xui64>) -> (tensor<2xui64>, tensor<4xui32>)",
    ),
    (
        "EVRF013",
        "(%x: tensor<16xi32>) -> tensor<4xi32>",
        "%r, %i = chlo.top_k(%x, k = 4) : tensor<16xi32> -> (tensor<4xi32>, tensor<4xi32>)",
    ),
    (
        "EVRF022",
        "(%x: tensor<16xi8>) -> tensor<16xi8>",
        "%r = stablehlo.shift_right_arithmetic %x, %x : tensor<16xi8>",
    ),
    (
        "EVRF029",
        F32,
        "%r = \"stablehlo.sort\"(%x) <{dimension = 0 : i64}> ({
        ^bb0(%a: tensor<f32>, %b: tensor<f32>):
        %c = stablehlo.compare LT, %a, %b : (tensor<f32>, tensor<f32>) -> tensor<i1>
        stablehlo.return %c : tensor<i1>
        }) : (tensor<4xf32>) -> tensor<4xf32>",
    ),
    (
        "EVRF010",
        "(%x: tensor<1x8x8x2xf32>, %k: tensor<3x3x2x2xf32>) -> tensor<1x11x11x2xf32>",
        "%r = stablehlo.convolution(%x, %k) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {lhs_dilate = [2, 2], rhs_dilate = [2, 2]} \
        {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<1x8x8x2xf32>, tensor<3x3x2x2xf32>) -> tensor<1x11x11x2xf32>",
    ),
];

#[test]
fn what_only_the_documented_compiler_refuses_compiles() {
    let folder = scratch();
    for (name, signature, body) in COMPILED {
        let text = text(&case(name, signature, body, 0, ""));
        std::fs::write(folder.path().join("m.mlir"), text).expect("writes");
        let output = neuronx_cc(
            folder.path(),
            &["compile", "m.mlir", "--framework=XLA", "--target=trn2"],
        );
        assert_eq!(code(&output), 0, "{name}: {}", stderr(&output));
    }
}

#[test]
fn the_book_and_these_cases_agree() {
    let book = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/errors.md");
    let book = std::fs::read_to_string(book).expect("the page is there");
    let mut given: Vec<String> = Vec::new();
    let mut all = 0;
    for row in book.lines().filter(|l| l.starts_with("| `E")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, codes, _, here, ..] = cells[..] else {
            panic!("{row}")
        };
        for code in codes.split(", ").map(|c| c.trim_matches('`')) {
            all += 1;
            if here.starts_with("given") {
                given.push(code.to_string());
            }
        }
    }
    // As many as the documents have.
    assert!(all >= 60, "{all}");
    let mut tested: Vec<String> = cases().iter().map(|c| c.code.to_string()).collect();
    // Those of the command line and of calls above; out of memory in the driver's tests.
    tested.extend(["EARG001", "EARG002", "EVRF007", "EOOM001", "EOOM002"].map(String::from));
    tested.sort();
    tested.dedup();
    given.sort();
    assert_eq!(given, tested);
}
