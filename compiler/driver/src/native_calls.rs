//! Documented rules of the custom calls that carry a configuration: `QuantizeMX`, block-scaled dots, native kernels.
//!
//! Configuration keys are those that clients write; where a key may have another spelling both are read. Ferrite lowers
//! none of these calls: one that keeps the rules is refused afterwards, as a call that is not known.

use std::path::{Path, PathBuf};

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Attr, CustomCall, Func, Op, OpKind, TensorType, Type};
use serde_json::Value;

/// Checks one operation.
pub fn check(func: &Func, op: &Op) -> Option<Diagnostic> {
    let OpKind::CustomCall(call) = &op.kind else {
        return None;
    };
    let operands: Vec<&TensorType> = op.operands.iter().filter_map(|&v| func.ty(v).tensor()).collect();
    let results: Vec<&TensorType> = op.results.iter().flat_map(|&v| leaves(func.ty(v))).collect();
    let found = match call.target.as_str() {
        "QuantizeMX" => quantize(call, &operands, &results),
        "__op$block_scaled_dot" => scaled_dot(call, &operands, &results),
        "AwsNeuronCustomNativeKernel" => kernel(call),
        _ => Ok(()),
    };
    found.err()
}

type Checked = Result<(), Diagnostic>;

fn leaves(ty: &Type) -> Vec<&TensorType> {
    match ty {
        Type::Tuple(all) => all.iter().flat_map(leaves).collect(),
        other => other.tensor().into_iter().collect(),
    }
}

fn wrong(code: &'static str, call: &CustomCall, text: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(Code::Ncc(code), format!("custom call `{}`: {text}", call.target))
        .help("give the call the operands, results and configuration that are documented for it")
}

fn require(holds: bool, code: &'static str, call: &CustomCall, text: impl std::fmt::Display) -> Checked {
    if holds { Ok(()) } else { Err(wrong(code, call, text)) }
}

fn config(call: &CustomCall) -> Option<Value> {
    match &call.backend_config {
        Attr::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

fn quantize(call: &CustomCall, operands: &[&TensorType], results: &[&TensorType]) -> Checked {
    let config = config(call).filter(Value::is_object);
    let config = config.ok_or_else(|| wrong("EVRF036", call, "its configuration is no JSON object"))?;
    let [x] = operands else {
        return Err(wrong(
            "EVRF037",
            call,
            format!("it has {} operands and takes 1", operands.len()),
        ));
    };
    let rank = x.rank() as i64;
    let dim = config["dim"].as_i64().unwrap_or(-1);
    let dim = if dim < 0 { dim + rank } else { dim };
    let last_two = (rank - 2).max(0)..rank;
    require(
        last_two.contains(&dim),
        "EVRF038",
        call,
        "it quantizes along the last dimension or the one before",
    )?;
    let block = config["block_size"].as_i64().unwrap_or(32);
    require(
        block == 32,
        "EVRF039",
        call,
        format!("its block size is {block} and must be 32"),
    )?;
    let method = config["scale_method"].as_str().unwrap_or("EMAX");
    require(
        method == "EMAX",
        "EVRF040",
        call,
        format!("its scale method is `{method}` and must be EMAX"),
    )?;
    let input = matches!(x.dtype, DType::BF16 | DType::F16);
    require(
        input,
        "EVRF041",
        call,
        format!("its operand is {} and must be bf16 or f16", x.dtype),
    )?;
    let [packed, _scales] = results else {
        return Err(wrong(
            "EVRF057",
            call,
            format!("it has {} results and gives 2", results.len()),
        ));
    };
    let size = x.shape[dim as usize];
    require(
        size % 4 == 0,
        "EVRF058",
        call,
        format!("dimension {dim} has {size} elements, no multiple of 4"),
    )?;
    let mut shape = x.shape.to_vec();
    shape[dim as usize] /= 4;
    let dtype = config["dtype"].as_str().unwrap_or("float8_e4m3fn");
    let right = packed.dtype == DType::U32
        && packed.shape.as_slice() == shape.as_slice()
        && ["float8_e5m2", "float8_e4m3fn"].contains(&dtype);
    let text = format!("its result {packed} does not hold `{dtype}` of {x}, four to a 32-bit word");
    require(right, "EVRF042", call, text)
}

fn scaled_dot(call: &CustomCall, operands: &[&TensorType], results: &[&TensorType]) -> Checked {
    let [lhs, rhs, ..] = operands else {
        return Err(wrong(
            "EVRF043",
            call,
            format!("it has {} operands and takes 4", operands.len()),
        ));
    };
    require(
        operands.len() == 4,
        "EVRF043",
        call,
        format!("it has {} operands and takes 4", operands.len()),
    )?;
    let packed = lhs.dtype == DType::U32 && rhs.dtype == DType::U32;
    require(
        packed,
        "EVRF044",
        call,
        format!("its operands are {} and {} and must be ui32", lhs.dtype, rhs.dtype),
    )?;
    let output = results
        .first()
        .is_some_and(|r| matches!(r.dtype, DType::F32 | DType::BF16));
    require(output, "EVRF045", call, "its result must be f32 or bf16")?;
    require(
        lhs.rank() >= 2,
        "EVRF046",
        call,
        "its left operand has fewer than 2 dimensions",
    )?;
    require(
        rhs.rank() >= 2,
        "EVRF047",
        call,
        "its right operand has fewer than 2 dimensions",
    )?;
    let empty = matches!(&call.backend_config, Attr::String(text) if text.trim().is_empty())
        || call.backend_config == Attr::Unit;
    if empty {
        return Ok(());
    }
    let config = config(call).filter(Value::is_object);
    let config = config.ok_or_else(|| wrong("EVRF049", call, "its configuration is no JSON object"))?;
    let config = config.get("scaled_dot_backend_config").unwrap_or(&config);
    let list = |key: &str| -> Vec<i64> {
        let all = config.get(key).and_then(Value::as_array);
        all.into_iter()
            .flatten()
            .filter_map(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()))
            .collect()
    };
    let kinds = [("batch", "EVRF054", "EVRF048"), ("contracting", "EVRF055", "EVRF050")];
    let mut used: [Vec<i64>; 2] = Default::default();
    for (kind, outside, differs) in kinds {
        let dims = ["lhs", "rhs"].map(|side| list(&format!("{side}_{kind}_dimensions")));
        for (side, ty) in [lhs, rhs].into_iter().enumerate() {
            for &d in &dims[side] {
                let inside = (0..ty.rank() as i64).contains(&d);
                require(
                    inside,
                    outside,
                    call,
                    format!("{kind} dimension {d} of {} dimensions", ty.rank()),
                )?;
                let text = format!("dimension {d} is both batching and contracting");
                require(!used[side].contains(&d), "EVRF053", call, text)?;
                used[side].push(d);
            }
        }
        let sizes =
            |side: usize, ty: &TensorType| -> Vec<i64> { dims[side].iter().map(|&d| ty.shape[d as usize]).collect() };
        let (left, right) = (sizes(0, lhs), sizes(1, rhs));
        require(
            left == right,
            differs,
            call,
            format!("its {kind} sizes differ: {left:?} and {right:?}"),
        )?;
    }
    Ok(())
}

/// Version of the form of native kernels that clients write.
const KERNEL_VERSION: i64 = 1;

/// The file that a native kernel names is looked for as it is given, then below the current folder.
fn kernel(call: &CustomCall) -> Checked {
    let decoded = match &call.backend_config {
        Attr::String(text) => base64(text).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()),
        _ => None,
    };
    let Some(config) = decoded else { return Ok(()) };
    let name = config["func_name"].as_str().unwrap_or("?");
    if let Some(version) = config["kernel_version"].as_i64().filter(|&v| v != KERNEL_VERSION) {
        let text = format!("the kernel `{name}` has version {version}; version {KERNEL_VERSION} is known");
        return Err(wrong("EVRF065", call, text).help("trace the kernel with another release of NKI"));
    }
    let Some(binary) = config["klir_binary"]["binary"].as_str() else {
        return Ok(());
    };
    let path = Path::new(binary);
    let last_two: PathBuf = [path.parent().and_then(Path::file_name), path.file_name()]
        .into_iter()
        .flatten()
        .collect();
    if path.exists() || last_two.exists() {
        return Ok(());
    }
    Err(wrong(
        "EVRF059",
        call,
        format!("the file `{binary}` of the kernel `{name}` is missing"),
    )
    .help("compile where the kernel was traced, or bring its file along"))
}

/// Decodes base64 (RFC 4648, either alphabet); nothing if it is none.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut out) = (0u32, 0, Vec::new());
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use ferrite_frontend::Frontend;

    fn code(signature: &str, call: &str) -> Option<String> {
        let text = format!("func.func public @main({signature}) {{\n  {call}\n  return\n}}");
        let module = Frontend::read(text.as_bytes(), "m").unwrap_or_else(|e| panic!("{e:?}: {text}"));
        crate::catalogue::check(&module).first().map(|e| e.code.to_string())
    }

    fn quantize(x: &str, config: &str, results: &str) -> Option<String> {
        let config = config.replace('"', "\\\"");
        let count = results.matches("tensor").count();
        code(
            &format!("%x: tensor<{x}>"),
            &format!(
                "%0:{count} = stablehlo.custom_call @QuantizeMX(%x) {{backend_config = \"{config}\"}} : (tensor<{x}>) -> ({results})"
            ),
        )
    }

    #[test]
    fn each_rule_of_quantize_mx_has_its_code() {
        let good = "tensor<4x16xui32>, tensor<4x2xui8>";
        for (x, config, results, expected) in [
            ("4x64xbf16", r#"{"dim": 1, "block_size": 32}"#, good, None),
            ("4x64xbf16", "{", good, Some("NCC_EVRF036")),
            ("2x4x64xbf16", r#"{"dim": 0}"#, good, Some("NCC_EVRF038")),
            ("4x64xbf16", r#"{"block_size": 16}"#, good, Some("NCC_EVRF039")),
            ("4x64xbf16", r#"{"scale_method": "MEAN"}"#, good, Some("NCC_EVRF040")),
            ("4x64xf32", "{}", good, Some("NCC_EVRF041")),
            (
                "4x64xbf16",
                "{}",
                "tensor<4x64xui32>, tensor<4x2xui8>",
                Some("NCC_EVRF042"),
            ),
            ("4x64xbf16", "{}", "tensor<4x16xui32>", Some("NCC_EVRF057")),
            ("4x62xbf16", "{}", good, Some("NCC_EVRF058")),
        ] {
            assert_eq!(
                quantize(x, config, results).as_deref(),
                expected,
                "{x} {config} {results}"
            );
        }
        let none = "%0:2 = stablehlo.custom_call @QuantizeMX() {backend_config = \"{}\"} : () -> (tensor<4xui32>, tensor<1xui8>)";
        assert_eq!(code("", none).as_deref(), Some("NCC_EVRF037"));
    }

    fn dot(lhs: &str, rhs: &str, out: &str, config: &str) -> Option<String> {
        let config = config.replace('"', "\\\"");
        code(
            &format!("%a: tensor<{lhs}>, %b: tensor<{rhs}>, %s: tensor<4x2xui8>"),
            &format!(
                "%0 = stablehlo.custom_call @\"__op$block_scaled_dot\"(%a, %b, %s, %s) {{backend_config = \"{config}\"}} : \
                 (tensor<{lhs}>, tensor<{rhs}>, tensor<4x2xui8>, tensor<4x2xui8>) -> tensor<{out}>"
            ),
        )
    }

    #[test]
    fn each_rule_of_scaled_dots_has_its_code() {
        let plain = r#"{"lhs_contracting_dimensions": [1], "rhs_contracting_dimensions": [1]}"#;
        for (lhs, rhs, out, config, expected) in [
            ("4x16xui32", "8x16xui32", "4x8xf32", plain, None),
            ("4x16xui32", "8x16xui32", "4x8xf32", "", None),
            ("4x16xi32", "8x16xui32", "4x8xf32", plain, Some("NCC_EVRF044")),
            ("4x16xui32", "8x16xui32", "4x8xf16", plain, Some("NCC_EVRF045")),
            ("16xui32", "8x16xui32", "8xf32", plain, Some("NCC_EVRF046")),
            ("4x16xui32", "16xui32", "4xf32", plain, Some("NCC_EVRF047")),
            ("4x16xui32", "8x16xui32", "4x8xf32", "{", Some("NCC_EVRF049")),
            ("4x16xui32", "8x17xui32", "4x8xf32", plain, Some("NCC_EVRF050")),
            (
                "2x4x16xui32",
                "3x8x16xui32",
                "2x4x8xf32",
                r#"{"lhs_batch_dimensions": [0], "rhs_batch_dimensions": [0]}"#,
                Some("NCC_EVRF048"),
            ),
            (
                "4x16xui32",
                "4x16xui32",
                "4xf32",
                r#"{"lhs_batch_dimensions": [1], "rhs_batch_dimensions": [1], "lhs_contracting_dimensions": [1], "rhs_contracting_dimensions": [1]}"#,
                Some("NCC_EVRF053"),
            ),
            (
                "4x16xui32",
                "8x16xui32",
                "4x8xf32",
                r#"{"lhs_batch_dimensions": [2]}"#,
                Some("NCC_EVRF054"),
            ),
            (
                "4x16xui32",
                "8x16xui32",
                "4x8xf32",
                r#"{"lhs_contracting_dimensions": [5]}"#,
                Some("NCC_EVRF055"),
            ),
        ] {
            assert_eq!(dot(lhs, rhs, out, config).as_deref(), expected, "{lhs} {rhs} {config}");
        }
        let two = "%0 = stablehlo.custom_call @\"__op$block_scaled_dot\"(%a, %a) {backend_config = \"\"} : \
                   (tensor<4x16xui32>, tensor<4x16xui32>) -> tensor<4x4xf32>";
        assert_eq!(code("%a: tensor<4x16xui32>", two).as_deref(), Some("NCC_EVRF043"));
    }

    #[test]
    fn a_kernel_without_its_file_is_named() {
        // {"func_name": "k", "klir_binary": {"binary": "/no/such/k.bir"}}
        let config = "eyJmdW5jX25hbWUiOiAiayIsICJrbGlyX2JpbmFyeSI6IHsiYmluYXJ5IjogIi9uby9zdWNoL2suYmlyIn19";
        let call = format!(
            "%0 = stablehlo.custom_call @AwsNeuronCustomNativeKernel(%a) {{backend_config = \"{config}\"}} : (tensor<4xf32>) -> tensor<4xf32>"
        );
        assert_eq!(code("%a: tensor<4xf32>", &call).as_deref(), Some("NCC_EVRF059"));
    }
}
