use std::path::{Path, PathBuf};

use super::*;

fn reparsed<'a>(text: &'a str, printed: &mut String, options: PrintOptions) -> (Document<'a>, String) {
    let document = parse(text).unwrap_or_else(|errors| panic!("{errors:?} in\n{text}"));
    *printed = print(&document, options);
    let again = parse(printed).unwrap_or_else(|errors| panic!("{errors:?} in\n{printed}"));
    (document, print(&again, options))
}

/// Prints `text` in both forms, and checks that each form reads back as itself.
fn round_trip(text: &str) {
    for generic in [false, true] {
        for locations in [false, true] {
            let mut printed = String::new();
            let options = PrintOptions { generic, locations };
            let (_, again) = reparsed(text, &mut printed, options);
            if locations {
                // Numbers of locations may change: only the form without them is compared.
                continue;
            }
            assert_eq!(printed, again);
        }
    }
}

/// The model files of the corpus, if there is one on this machine.
pub(crate) fn corpus() -> Vec<PathBuf> {
    let root = match std::env::var_os("FERRITE_CORPUS") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
    };
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "mlir") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn the_corpus_survives_a_round_trip() {
    let files = corpus();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        if let Err(errors) = parse(&text) {
            let at = errors[0].span.start as usize;
            let line = text[..at].matches('\n').count() + 1;
            panic!("{}:{line}: {}", path.display(), errors[0].message);
        }
        round_trip(&text);
    }
    println!("{} corpus files survive a round trip", files.len());
}

fn first_error(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(errors) => errors[0].message.clone(),
    }
}

/// Wraps operations in a function.
fn function(body: &str) -> String {
    format!("func.func @f(%x: tensor<2x3xf32>, %i: tensor<i32>) {{\n{body}\n  return\n}}\n")
}

#[test]
fn generic_and_custom_forms_give_one_tree() {
    let pairs = [
        (
            "%0 = stablehlo.add %x, %x : tensor<2x3xf32>",
            r#"%0 = "stablehlo.add"(%x, %x) : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>"#,
        ),
        (
            "%0 = stablehlo.transpose %x, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>",
            r#"%0 = "stablehlo.transpose"(%x) <{permutation = array<i64: 1, 0>}> : (tensor<2x3xf32>) -> tensor<3x2xf32>"#,
        ),
        (
            "%0 = stablehlo.compare LT, %x, %x, FLOAT : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1>",
            r#"%0 = "stablehlo.compare"(%x, %x) <{comparison_direction = #stablehlo<comparison_direction LT>, compare_type = #stablehlo<comparison_type FLOAT>}> : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xi1>"#,
        ),
        (
            "%0 = stablehlo.slice %x [0:1, 0:3:2] : (tensor<2x3xf32>) -> tensor<1x2xf32>",
            r#"%0 = "stablehlo.slice"(%x) <{limit_indices = array<i64: 1, 3>, start_indices = array<i64: 0, 0>, strides = array<i64: 1, 2>}> : (tensor<2x3xf32>) -> tensor<1x2xf32>"#,
        ),
        (
            "%0 = stablehlo.dot_general %x, %x, contracting_dims = [1] x [1], precision = [HIGH, DEFAULT] : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x2xf32>",
            r#"%0 = "stablehlo.dot_general"(%x, %x) <{dot_dimension_numbers = #stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [1]>, precision_config = [#stablehlo<precision HIGH>, #stablehlo<precision DEFAULT>]}> : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x2xf32>"#,
        ),
        (
            "%0 = stablehlo.reduce_precision %x, format = e5m10 : tensor<2x3xf32>",
            r#"%0 = "stablehlo.reduce_precision"(%x) <{exponent_bits = 5 : i32, mantissa_bits = 10 : i32}> : (tensor<2x3xf32>) -> tensor<2x3xf32>"#,
        ),
        (
            "%0:2 = stablehlo.optimization_barrier %x, %i : tensor<2x3xf32>, tensor<i32>",
            r#"%0:2 = "stablehlo.optimization_barrier"(%x, %i) : (tensor<2x3xf32>, tensor<i32>) -> (tensor<2x3xf32>, tensor<i32>)"#,
        ),
    ];
    for (custom, generic) in pairs {
        let (custom, generic) = (function(custom), function(generic));
        let (a, b) = (parse(&custom).unwrap(), parse(&generic).unwrap());
        assert_eq!(a.operations, b.operations, "{custom}");
        round_trip(&custom);
    }
}

#[test]
fn aliases_locations_and_resources_are_read() {
    let text = r#"
#loc1 = loc("model.py":3:4 to :9)
#map = [1, 2 : i8, unit, 0x7FC00000 : f32]
!t = tensor<2x?x*xf32, #stablehlo.bounds<?, 4>>
"#
    .replace("x*x", "x");
    let text = format!(
        "{text}{}",
        r#"
module @"a b" attributes {a.b = #map, "odd name" = dense_resource<blob> : tensor<2xf32>} {
  "test.op"() ({
  ^bb0(%a: !t loc(fused<"m">["x", #loc1]), %b: !test.type<"<>", (a) -> b>):
    "test.br"(%a)[^bb1] : (!t) -> () loc(callsite("f"(#loc2) at #loc1))
  ^bb1:
  }) {s = "q\22\0A\FF"} : () -> () loc(#loc2)
}
#loc2 = loc("late")
{-#
  dialect_resources: {
    builtin: {
      blob: "0x04000000000080BF0000803F"
    }
  }
#-}
"#
    );
    let document = parse(&text).unwrap();
    assert_eq!(document.resource("blob").map(|r| r.hex.len()), Some(24));
    let module = &document.operations[0];
    assert_eq!(module.attr("sym_name"), Some(&Attr::String("a b".into())));
    let inner = &module.regions[0].blocks[0].operations[0];
    assert_eq!(inner.attr("s"), Some(&Attr::Bytes(b"q\"\n\xFF".to_vec())));
    assert_eq!(
        document.locations[inner.location.0 as usize],
        Location::Name {
            name: "late".into(),
            child: None
        }
    );
    round_trip(&text);
}

#[test]
fn errors_say_what_was_expected_and_where() {
    let cases = [
        ("module {", "expected `}` after a region"),
        (
            "func.func @f(%x: tensor<2x3yf32>) { return }",
            "expected `x` after the size of a dimension",
        ),
        ("\"a.b\"() : () -> foo", "expected a type, found `foo`"),
        ("\"a.b\"(%x) : () -> ()", "`a.b` has 1 operand(s), but the type of 0"),
        ("%0:2 = \"a.b\"() : () -> i1", "`a.b` has 1 result(s), but 2 are named"),
        (
            "stablehlo.frobnicate %x : f32",
            "no custom form of `stablehlo.frobnicate` is known",
        ),
        (
            "\"a.b\"() {a = dense<[[1], [2, 3]]> : tensor<2x1xi32>} : () -> ()",
            "expected 1 elements in this list, as in the first one",
        ),
        (
            "\"a.b\"() {a = dense<[1, [2]]> : tensor<2xi32>} : () -> ()",
            "lists of elements differ in depth",
        ),
        ("\"a.b\"() {a = #x} : () -> ()", "attribute alias `#x` is not defined"),
        ("\"a.b\"() {a, a} : () -> ()", "attribute `a` is given twice"),
        ("\"a.b\"() : () -> () loc(#l)", "location alias `#l` is not defined"),
        (
            "\"a.b\"() {a = \"x\n\"} : () -> ()",
            "expected `\"` at the end of a string",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(first_error(text), message, "{text}");
    }
}

#[test]
fn several_errors_are_found_in_one_run() {
    let text = function(
        "  %0 = stablehlo.add %x %x : tensor<2x3xf32>\n  %1 = stablehlo.abs %x : tensor<2x3xf32>\n  %2 = stablehlo.oops %x : tensor<1xf32>",
    );
    let errors = parse(&text).unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(
        &text[errors[1].span.start as usize..errors[1].span.end as usize],
        "stablehlo.oops"
    );
}

#[test]
fn hostile_nesting_and_aliases_are_refused() {
    for (open, close) in [
        ("[", "]"),
        ("{a = ", "}"),
        ("(", ") -> ()"),
        ("tuple<", ">"),
        ("complex<", ">"),
    ] {
        let text = format!(
            "\"a.b\"() {{a = {}1{}}} : () -> ()",
            open.repeat(100_000),
            close.repeat(100_000)
        );
        assert!(parse(&text).is_err());
    }
    let regions = format!("{}{}", "\"a.b\"() ({".repeat(50_000), "}) : () -> ()".repeat(50_000));
    assert!(first_error(&regions).starts_with("regions, types and attributes nest deeper"));
    let mut doubling = "#a0 = [1, 2]\n".to_string();
    for n in 1..60 {
        doubling += &format!("#a{n} = [#a{m}, #a{m}]\n", m = n - 1);
    }
    assert_eq!(
        first_error(&doubling),
        "uses of aliases expand to more than the file could hold"
    );
    let circle = "#a = loc(\"x\"(#b))\n#b = loc(\"y\"(#a))\nmodule {}";
    assert_eq!(first_error(circle), "locations refer to one another in a circle");
}

#[test]
fn the_deepest_allowed_nesting_fits_a_small_stack() {
    let depth = (MAX_DEPTH - 2) as usize;
    let text = format!("{}{}", "\"a.b\"() ({".repeat(depth), "}) : () -> ()".repeat(depth));
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || round_trip(&text))
        .unwrap()
        .join()
        .unwrap();
}

mod random {
    use proptest::prelude::*;

    use super::super::*;

    const SEED: &str = r##"#loc1 = loc("f.py":1:2)
module @m attributes {a = 1 : i32, b = [true, "s", @f]} {
  func.func public @main(%arg0: tensor<2x?xf32> {tf.aliasing_output = 0 : i32} loc("x"), %arg1: tensor<i32>) -> (tensor<2x3xf32> {r = "q"}) {
    %c = stablehlo.constant dense<[[1, -2], [0x7F, 3]]> : tensor<2x2xi32>
    %cst = stablehlo.constant dense<"0x0000803F"> : tensor<f32>
    %z = stablehlo.constant dense<(1.0, -2.5e-3)> : tensor<4xcomplex<f32>>
    %0:2 = stablehlo.while(%i = %arg1, %a = %arg0) : tensor<i32>, tensor<2x?xf32>
    cond {
      stablehlo.return %p : tensor<i1>
    } do {
      stablehlo.return %i, %a : tensor<i32>, tensor<2x?xf32>
    }
    %1 = stablehlo.reduce(%0#1 init: %cst) applies stablehlo.add across dimensions = [0] : (tensor<2x?xf32>, tensor<f32>) -> tensor<?xf32>
    %2 = stablehlo.convolution(%x, %y) dim_numbers = [b, 0, f]x[0, i, o]->[b, 0, f], window = {stride = [1], pad = [[0, 1]], reverse = [false]} {batch_group_count = 1 : i64} : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32> loc(#loc1)
    %3 = "stablehlo.sort"(%1) <{dimension = 0 : i64}> ({
    ^bb0(%l: tensor<f32>, %r: tensor<f32>):
      "stablehlo.return"(%l) : (tensor<f32>) -> ()
    }) : (tensor<?xf32>) -> tensor<?xf32>
    %4 = stablehlo.slice %3 [0:1:2] {x = #stablehlo.gather<offset_dims = [1], index_vector_dim = 1>} : (tensor<?xf32>) -> tensor<1xf32>
    return %4 : tensor<1xf32>
  } loc(callsite("a" at fused[#loc1, "b"(#loc1)]))
}
"##;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whatever the bytes, parsing ends with a tree or errors; a tree prints and reads back.
        #[test]
        fn mutated_text_never_panics(edits in prop::collection::vec((0..SEED.len(), any::<u8>(), 0..3u8), 1..12)) {
            let mut bytes = SEED.as_bytes().to_vec();
            for (at, byte, how) in edits {
                let at = at.min(bytes.len() - 1);
                match how {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, b"<>(){}[]\"#%@!^:,-=x0"[usize::from(byte) % 20]),
                    _ => drop(bytes.drain(at..(at + usize::from(byte % 16)).min(bytes.len()))),
                }
                if bytes.is_empty() {
                    bytes.push(b' ');
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            if let Ok(document) = parse(&text) {
                for generic in [false, true] {
                    let printed = print(&document, PrintOptions { generic, locations: true });
                    prop_assert!(parse(&printed).is_ok(), "{printed}");
                }
            }
            let _ = crate::hlo::parse::parse(&text);
        }

        #[test]
        fn floats_read_back(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = format_float(f64::from(value), "f32");
            let back = match text.strip_prefix("0x") {
                Some(digits) => f32::from_bits(u32::from_str_radix(digits, 16).unwrap()),
                None => text.parse::<f64>().unwrap() as f32,
            };
            prop_assert_eq!(back.to_bits(), bits, "{}", text);
        }
    }
}

#[test]
fn a_type_is_read_alike_the_second_time() {
    let types = [
        "tensor<2x3xf32>",
        "tensor<?x3xf8E4M3FN>",
        "tensor<f32>",
        "tensor<2x3xcomplex<f32>>",
        "tensor<4xf32, #stablehlo.bounds<8>>",
        "tensor<*xf32>",
        "tensor< 2 x 3 x f32 >",
    ];
    let text = format!("({}, {}) -> ()", types.join(", "), types.join(" , "));
    let Type::Function { inputs, .. } = parse_type(&text).unwrap() else {
        panic!("a function type");
    };
    let (first, second) = inputs.split_at(types.len());
    assert_eq!(first, second);
    assert_eq!(first[0], first[6]);
    assert_eq!(print_type(&first[1]), types[1]);
}

#[test]
fn long_strings_end_where_they_end() {
    for length in [0, 1, 31, 47, 48, 49, 79, 80, 81, 200] {
        let plain = "x".repeat(length);
        for (written, meant) in [
            (plain.clone(), plain.clone()),
            (format!("{plain}\\\"y"), format!("{plain}\"y")),
            (format!("{plain}\\0A"), format!("{plain}\n")),
        ] {
            assert_eq!(
                parse_attribute(&format!("\"{written}\"")).unwrap(),
                Attr::String(meant.into())
            );
        }
        assert!(parse_attribute(&format!("\"{plain}\n\"")).is_err());
        assert!(parse_attribute(&format!("\"{plain}")).is_err());
    }
}

#[test]
fn hexadecimal_digits_are_checked_wherever_they_are() {
    for at in [0, 1, 63, 64, 127, 128, 130] {
        let mut digits = "aF".repeat(66);
        let good = format!("dense<\"0x{digits}\"> : tensor<66xi8>");
        assert!(parse_attribute(&good).is_ok());
        for wrong in ["g", "@", "`", ":", "/"] {
            digits.replace_range(at..=at, wrong);
            assert!(parse_attribute(&format!("dense<\"0x{digits}\"> : tensor<66xi8>")).is_err());
        }
    }
}
