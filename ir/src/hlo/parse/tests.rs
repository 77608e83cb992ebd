use super::*;
use crate::text::tests::corpus;

#[test]
fn the_corpus_is_read() {
    let mut failed = Vec::new();
    let files = corpus();
    for path in &files {
        let text = std::fs::read_to_string(path).unwrap();
        if let Err(errors) = parse(&text) {
            failed.push(format!("{}: {}", path.display(), errors[0]));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        files.len(),
        failed.join("\n")
    );
    println!("{} corpus files are read", files.len());
}

/// Wraps operations in a function that returns nothing.
fn function(body: &str) -> String {
    format!("func.func @main(%x: tensor<2x3xf32>, %i: tensor<i32>) {{\n{body}\n  return\n}}\n")
}

fn constant(text: &str) -> Result<crate::literal::Literal, String> {
    let module =
        parse(&function(&format!("  %c = stablehlo.constant {text}"))).map_err(|errors| errors[0].message.clone())?;
    let func = &module.funcs[0];
    match &func.op(func.region(func.body()).ops[0]).kind {
        crate::hlo::OpKind::Constant(literal) => Ok(literal.clone()),
        other => Err(format!("{other:?}")),
    }
}

#[test]
fn constants_are_decoded() {
    let bytes = |text: &str| constant(text).unwrap().to_bytes().to_vec();
    assert_eq!(bytes("dense<[1, -2]> : tensor<2xi8>"), [1, 0xFE]);
    assert_eq!(bytes("dense<7> : tensor<3xi4>"), [7, 7, 7]);
    assert_eq!(bytes("dense<[-8, 7]> : tensor<2xi4>"), [0xF8, 7]);
    assert_eq!(bytes("dense<[true, false, true]> : tensor<3xi1>"), [1, 0, 1]);
    assert_eq!(bytes("dense<\"0x05\"> : tensor<3xi1>"), [1, 0, 1]);
    assert_eq!(bytes("dense<\"0x0001\"> : tensor<2xi8>"), [0, 1]);
    assert_eq!(
        bytes("dense<\"0x0123456789abCDefFEdc\"> : tensor<10xui8>"),
        [0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0xFE, 0xDC]
    );
    assert_eq!(
        bytes("dense<\"0x0000803F\"> : tensor<2xf32>"),
        [0, 0, 0x80, 0x3F, 0, 0, 0x80, 0x3F]
    );
    assert_eq!(bytes("dense<0x7FC00001> : tensor<f32>"), [1, 0, 0xC0, 0x7F]);
    assert_eq!(bytes("dense<-0.0> : tensor<bf16>"), [0, 0x80]);
    assert_eq!(
        bytes("dense<(1.0, -2.0)> : tensor<complex<f32>>"),
        [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]
    );
    assert_eq!(bytes("dense<18446744073709551615> : tensor<ui64>"), [0xFF; 8]);
    assert_eq!(bytes("dense<> : tensor<0x3xf32>"), [0u8; 0]);
}

#[test]
fn constants_that_do_not_fit_are_refused() {
    let refused = |text: &str, message: &str| assert_eq!(constant(text).unwrap_err(), message, "{text}");
    refused("dense<300> : tensor<i8>", "300 does not fit `i8`");
    refused("dense<1> : tensor<f32>", "`1` is no element of type `f32`");
    refused("dense<1.5> : tensor<i32>", "`1.5` is no element of type `i32`");
    refused(
        "dense<[1, 2]> : tensor<3xi32>",
        "elements are written with shape [2], but the type is `tensor<3xi32>`",
    );
    refused(
        "dense<\"0x00\"> : tensor<3xi32>",
        "1 bytes of elements do not fill `tensor<3xi32>`",
    );
    refused(
        "dense_resource<w> : tensor<2xf32>",
        "resource `w` is not in the file: print it with its resources",
    );
    refused(
        "dense<1> : tensor<9223372036854775807x9223372036854775807xi8>",
        "`tensor<9223372036854775807x9223372036854775807xi8>` has more elements than memory can hold",
    );
}

#[test]
fn errors_name_the_place() {
    let cases = [
        (
            "  %0 = stablehlo.abs %y : tensor<2x3xf32>",
            "value `%y` is used before it is defined",
            (2, 22),
        ),
        (
            "  %0 = stablehlo.abs %x : tensor<2x2xf32>",
            "`%x` is used as `tensor<2x2xf32>`, but it is `tensor<2x3xf32>`",
            (2, 22),
        ),
        (
            "  %x = stablehlo.abs %x : tensor<2x3xf32>",
            "`%x` is defined twice",
            (2, 3),
        ),
        (
            "  %0 = stablehlo.abs %x#1 : tensor<2x3xf32>",
            "`%x` is one value, it has no number 1",
            (2, 22),
        ),
        (
            "  %0 = \"stablehlo.transpose\"(%x) : (tensor<2x3xf32>) -> tensor<3x2xf32>",
            "`stablehlo.transpose` needs the attribute `permutation`",
            (2, 3),
        ),
        (
            "  %0 = \"foo.bar\"(%x) : (tensor<2x3xf32>) -> tensor<3x2xf32>",
            "operation `foo.bar` is not supported",
            (2, 3),
        ),
        ("  %0 = \"stablehlo.if\"(%i) : (tensor<i32>) -> tensor<i32>", "", (2, 3)),
    ];
    for (body, message, place) in cases {
        let errors = parse(&function(body)).unwrap_err();
        assert_eq!(
            (errors[0].location.line, errors[0].location.column),
            place,
            "{}",
            errors[0]
        );
        if !message.is_empty() {
            assert_eq!(errors[0].message, message);
        }
    }
}

#[test]
fn uses_of_a_refused_operation_are_not_reported_again() {
    let body = "  %0 = \"foo.a\"(%x) : (tensor<2x3xf32>) -> tensor<2x3xf32>\n  %1 = stablehlo.abs %0 : tensor<2x3xf32>\n  %2 = \"foo.b\"(%1) : (tensor<2x3xf32>) -> tensor<2x3xf32>";
    let errors = parse(&function(body)).unwrap_err();
    let messages: Vec<_> = errors.iter().map(|e| &*e.message).collect();
    assert_eq!(
        messages,
        [
            "operation `foo.a` is not supported",
            "operation `foo.b` is not supported"
        ]
    );
}

#[test]
fn donations_and_locations_are_kept() {
    let text = r#"
#loc1 = loc("model.py":7:3)
module @m {
  func.func public @main(%arg0: tensor<2xf32> {tf.aliasing_output = 0 : i32}, %arg1: tensor<2xf32> {jax.buffer_donor = true}) -> tensor<2xf32> {
    %0 = stablehlo.add %arg0, %arg1 : tensor<2xf32> loc("mlp/add"(#loc1))
    return %0 : tensor<2xf32>
  }
}
"#;
    let module = parse(text).unwrap();
    let func = &module.funcs[0];
    let alias = crate::hlo::Alias {
        output: 0,
        kind: crate::hlo::AliasKind::May,
    };
    assert_eq!((func.params[0].alias, func.params[0].donated), (Some(alias), false));
    assert_eq!((func.params[1].alias, func.params[1].donated), (None, true));
    let op = func.op(func.region(func.body()).ops[0]);
    assert_eq!(module.locs.describe(op.loc), "mlp/add (model.py:7), line 5");
}

#[test]
fn locations_that_share_parts_do_not_explode() {
    let mut text = "#l0 = loc(\"f\":1:1)\n".to_string();
    for n in 1..200 {
        text += &format!("#l{n} = loc(callsite(#l{m} at #l{m}))\n", m = n - 1);
    }
    text += "func.func @main(%x: tensor<f32>) -> tensor<f32> {\n  %0 = stablehlo.abs %x : tensor<f32> loc(#l199)\n  return %0 : tensor<f32>\n}\n";
    assert!(parse(&text).is_ok());
}

#[test]
fn dialects_defined_at_run_time_have_strings_and_dictionaries() {
    let written = |direction: &str, numbers: &str, end: &str| {
        let text = format!(
            r#"func.func @main(%x: tensor<2x3xf32>, %y: tensor<3x2xf32>) -> tensor<f32> {{
  %0 = "stablehlo.dot_general"(%x, %y) {{dot_dimension_numbers = {numbers}}} : (tensor<2x3xf32>, tensor<3x2xf32>) -> tensor<2x2xf32>
  %1 = "stablehlo.constant"() {{value = dense<0.0> : tensor<f32>}} : () -> tensor<f32>
  %2 = "stablehlo.reduce"(%0, %1) ({{
  ^bb0(%a: tensor<f32>, %b: tensor<f32>):
    %3 = "stablehlo.compare"(%a, %b) {{comparison_direction = {direction}}} : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %4 = "stablehlo.select"(%3, %a, %b) : (tensor<i1>, tensor<f32>, tensor<f32>) -> tensor<f32>
    "{end}"(%4) : (tensor<f32>) -> ()
  }}) {{dimensions = array<i64: 0, 1>}} : (tensor<2x2xf32>, tensor<f32>) -> tensor<f32>
  func.return %2 : tensor<f32>
}}"#
        );
        super::super::print::print(&parse(&text).unwrap())
    };
    let own = written(
        "#stablehlo<comparison_direction GT>",
        "#stablehlo.dot<lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]>",
        "stablehlo.return",
    );
    let builtin = written(
        "\"GT\"",
        "{lhs_contracting_dimensions = [1], rhs_contracting_dimensions = [0]}",
        "vector.yield",
    );
    assert_eq!(own, builtin);
}

#[test]
fn bounds_may_be_a_list() {
    let written = |bounds: &str| {
        let text = format!("func.func @main(%x: tensor<?x4x?xf32, {bounds}>) {{\n  return\n}}");
        super::super::print::print(&parse(&text).unwrap())
    };
    let own = written("#stablehlo.bounds<3, ?, ?>");
    assert!(own.contains("#stablehlo.bounds<3, ?, ?>"), "{own}");
    for other in [
        "#stablehlo.type_extensions<bounds = [3, ?, ?]>",
        "#stablehlo.bounds<[3, -1, -1]>",
    ] {
        assert_eq!(own, written(other));
    }
    let text = "func.func @main(%x: tensor<?xf32, #stablehlo.bounds<[3, -1]>>) {\n  return\n}";
    assert!(parse(text).unwrap_err()[0].message.contains("encoding"));
}

#[test]
fn types_of_a_future_may_be_a_list() {
    let written = |types: &str| {
        let text = format!("func.func @main(%x: !stablehlo.future<{types}>) {{\n  return\n}}");
        super::super::print::print(&parse(&text).unwrap())
    };
    let own = written("tensor<2xf32>, tensor<i32>");
    assert!(own.contains("!stablehlo.future<tensor<2xf32>, tensor<i32>>"), "{own}");
    assert_eq!(own, written("[tensor<2xf32>, tensor<i32>]"));
}

#[test]
fn names_that_are_numbers_are_found_in_any_order() {
    // Some far ahead of the rest, which come up to them later; one with a zero before it is another name.
    let mut body = String::from("  %900 = stablehlo.constant dense<1.0> : tensor<f32>\n");
    body += "  %007 = stablehlo.constant dense<2.0> : tensor<f32>\n";
    for n in 0..900 {
        let operand = if n == 0 { 900 } else { n - 1 };
        body += &format!("  %{n} = stablehlo.negate %{operand} : tensor<f32>\n");
    }
    body += "  %901 = stablehlo.add %900, %007 : tensor<f32>\n";
    let module = parse(&function(&body)).unwrap();
    let func = &module.funcs[0];
    let ops = &func.region(func.body()).ops;
    let last = func.op(ops[ops.len() - 1]);
    assert_eq!(last.operands[..], [func.result(ops[0]), func.result(ops[1])]);

    let again = body + "  %900 = stablehlo.negate %899 : tensor<f32>\n";
    let errors = parse(&function(&again)).unwrap_err();
    assert_eq!(errors[0].message, "`%900` is defined twice");
}

#[test]
fn a_name_of_an_inner_region_ends_with_it() {
    let text = |last: &str| {
        function(&format!(
            "  %p = stablehlo.constant dense<true> : tensor<i1>
  %0 = stablehlo.constant dense<1.0> : tensor<f32>
  %1 = \"stablehlo.if\"(%p) ({{
    %2 = stablehlo.negate %0 : tensor<f32>
    stablehlo.return %2 : tensor<f32>
  }}, {{
    %2 = stablehlo.abs %0 : tensor<f32>
    stablehlo.return %2 : tensor<f32>
  }}) : (tensor<i1>) -> tensor<f32>
  %3 = stablehlo.negate {last} : tensor<f32>"
        ))
    };
    assert!(parse(&text("%1")).is_ok());
    let errors = parse(&text("%2")).unwrap_err();
    assert_eq!(errors[0].message, "value `%2` is used before it is defined");
}
