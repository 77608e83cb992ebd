//! The pass `egraph`: every rule against the reference interpreter, and whole models.

use std::collections::BTreeMap;

use ferrite_interp::Tensor;
use ferrite_ir::hlo::Module;
use ferrite_ir::hlo::parse::parse;
use ferrite_ir::hlo::print::print;
use ferrite_ir::hlo::verify::verify;
use ferrite_ir::machine::MachineModel;
use ferrite_passes::hlo::egraph::{Egraph, Exactness, Prices, Report};
use ferrite_tests::numbers::{Tolerance, difference, evaluate, random_inputs};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What a generator draws from: sizes, an element type and a choice.
#[derive(Clone, Copy, Debug)]
struct Draw {
    a: i64,
    b: i64,
    c: i64,
    float: &'static str,
    int: &'static str,
    pick: usize,
}

impl Draw {
    /// One of these.
    fn one<'t>(&self, of: &[&'t str]) -> &'t str {
        of[self.pick % of.len()]
    }

    /// A float or an integer type.
    fn number(&self) -> &'static str {
        if self.pick.is_multiple_of(2) {
            self.float
        } else {
            self.int
        }
    }
}

/// A function of `x` and `y` (types as given) with this body and result type.
fn program(x: &str, y: &str, body: &str, result: &str) -> String {
    format!(
        "func.func @main(%x: tensor<{x}>, %y: tensor<{y}>) -> tensor<{result}> {{\n{body}\n  return %r : tensor<{result}>\n}}"
    )
}

/// A program on which the rule finds something.
fn example(rule: &str, d: &Draw) -> Option<String> {
    let Draw {
        a, b, c, float, int, ..
    } = *d;
    let n = d.number();
    let (ty, int_ty, any) = (
        format!("{a}x{b}x{float}"),
        format!("{a}x{b}x{int}"),
        format!("{a}x{b}x{n}"),
    );
    let binary = |ty: &str, body: &str| Some(program(ty, ty, body, ty));
    match rule {
        "add-zero" => binary(
            &any,
            &format!(
                "  %c = stablehlo.constant dense<{}> : tensor<{any}>\n  %r = stablehlo.add {} : tensor<{any}>",
                if n == float { "0.0" } else { "0" },
                d.one(&["%x, %c", "%c, %x"])
            ),
        ),
        "identity-element" => binary(
            &any,
            &format!(
                "  %c = stablehlo.constant dense<{}> : tensor<{any}>\n  %r = stablehlo.{} : tensor<{any}>",
                if d.pick % 4 == 3 {
                    if n == float { "0.0" } else { "0" }
                } else if n == float {
                    "1.0"
                } else {
                    "1"
                },
                ["multiply %c, %x", "divide %x, %c", "multiply %x, %c", "subtract %x, %c"][d.pick % 4]
            ),
        ),
        "add-of-negation" => binary(
            &any,
            &format!(
                "  %n = stablehlo.negate %y : tensor<{any}>\n  %r = stablehlo.add {} : tensor<{any}>",
                d.one(&["%x, %n", "%n, %x"])
            ),
        ),
        "subtract-negation" => binary(
            &any,
            &format!("  %n = stablehlo.negate %y : tensor<{any}>\n  %r = stablehlo.subtract %x, %n : tensor<{any}>"),
        ),
        "negation-of-difference" => binary(
            &any,
            &format!("  %n = stablehlo.subtract %x, %y : tensor<{any}>\n  %r = stablehlo.negate %n : tensor<{any}>"),
        ),
        "negation-of-negation" => binary(
            &any,
            &format!("  %n = stablehlo.negate %x : tensor<{any}>\n  %r = stablehlo.negate %n : tensor<{any}>"),
        ),
        "negation-out-of-product" => {
            let (ty, op) = if d.pick.is_multiple_of(2) {
                (&ty, d.one(&["divide", "multiply"]))
            } else {
                (&int_ty, "multiply")
            };
            binary(
                ty,
                &format!(
                    "  %n = stablehlo.negate %x : tensor<{ty}>\n  %r = stablehlo.{op} {} : tensor<{ty}>",
                    ["%n, %y", "%y, %n"][d.pick / 2 % 2]
                ),
            )
        }
        "times-minus-one" => binary(
            &ty,
            &format!(
                "  %c = stablehlo.constant dense<-1.0> : tensor<{ty}>\n  %r = stablehlo.multiply {} : tensor<{ty}>",
                d.one(&["%x, %c", "%c, %x"])
            ),
        ),
        "division-by-power-of-two" => {
            let ty = format!("{a}x{b}x{}", d.one(&["f32", "bf16"]));
            binary(
                &ty,
                &format!(
                    "  %c = stablehlo.constant dense<{}> : tensor<{ty}>\n  %r = stablehlo.divide %x, %c : tensor<{ty}>",
                    ["8.0", "0.25", "1024.0"][d.pick % 3]
                ),
            )
        }
        "constants-together" => {
            let op = d.one(&["add", "multiply"]);
            binary(
                &int_ty,
                &format!(
                    "  %c = stablehlo.constant dense<101> : tensor<{int_ty}>\n  %d = stablehlo.constant dense<77> : tensor<{int_ty}>\n  \
                %0 = stablehlo.{op} %x, %c : tensor<{int_ty}>\n  %r = stablehlo.{op} %0, %d : tensor<{int_ty}>"
                ),
            )
        }
        "nested-extremes" => {
            let op = d.one(&["maximum", "minimum"]);
            let (low, high) = if n == float { ("-0.5", "0.25") } else { ("1", "3") };
            let (c, e) = if (d.pick / 2).is_multiple_of(2) {
                (low, high)
            } else {
                (high, low)
            };
            binary(
                &any,
                &format!(
                    "  %c = stablehlo.constant dense<{c}> : tensor<{any}>\n  %d = stablehlo.constant dense<{e}> : tensor<{any}>\n  \
                %0 = stablehlo.{op} %x, %c : tensor<{any}>\n  %r = stablehlo.{op} %0, %d : tensor<{any}>"
                ),
            )
        }
        "test-of-truth-value" => {
            let p = format!("{a}x{b}xi1");
            let (zero, how) = if n == float {
                ("0.0", "FLOAT")
            } else if int.starts_with('u') {
                ("0", "UNSIGNED")
            } else {
                ("0", "SIGNED")
            };
            let direction = ["NE", "GT", "EQ", "LE"][d.pick / 2 % 4];
            binary(
                &p,
                &format!(
                    "  %0 = stablehlo.convert %x : (tensor<{p}>) -> tensor<{any}>\n  %c = stablehlo.constant dense<{zero}> : tensor<{any}>\n  \
                %r = stablehlo.compare {direction}, %0, %c, {how} : (tensor<{any}>, tensor<{any}>) -> tensor<{p}>"
                ),
            )
        }
        "convert-of-convert" => {
            let (from, wide, to) = [
                ("bf16", "f32", "f16"),
                ("f16", "f32", "bf16"),
                ("i8", "i32", "f32"),
                ("i1", "i32", "bf16"),
            ][d.pick % 4];
            let (x, w, t) = (
                format!("{a}x{b}x{from}"),
                format!("{a}x{b}x{wide}"),
                format!("{a}x{b}x{to}"),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.convert %x : (tensor<{x}>) -> tensor<{w}>\n  %r = stablehlo.convert %0 : (tensor<{w}>) -> tensor<{t}>"
                ),
                &t,
            ))
        }
        "convert-behind-view" | "convert-before-view" => {
            let before = rule == "convert-before-view";
            let (op, shape) = view(d);
            let (x, w) = (format!("{a}x{b}x{c}xf32"), format!("{a}x{b}x{c}xbf16"));
            let (vx, vw) = (format!("{shape}xf32"), format!("{shape}xbf16"));
            let body = if before {
                format!(
                    "  %0 = stablehlo.{op} : (tensor<{x}>) -> tensor<{vx}>\n  %r = stablehlo.convert %0 : (tensor<{vx}>) -> tensor<{vw}>",
                    op = op.replace("%v", "%x")
                )
            } else {
                format!(
                    "  %0 = stablehlo.convert %x : (tensor<{x}>) -> tensor<{w}>\n  %r = stablehlo.{op} : (tensor<{w}>) -> tensor<{vw}>",
                    op = op.replace("%v", "%0")
                )
            };
            Some(program(&x, &x, &body, &vw))
        }
        "extreme-of-converted" => {
            let (op, init) = [("maximum", "0xFF800000"), ("minimum", "0x7F800000")][d.pick % 2];
            let (x, w) = (
                format!("{a}x{b}x{}", ["bf16", "f16"][d.pick / 2 % 2]),
                format!("{a}x{b}xf32"),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.convert %x : (tensor<{x}>) -> tensor<{w}>\n  %c = stablehlo.constant dense<{init}> : tensor<f32>\n  \
                %r = stablehlo.reduce(%0 init: %c) applies stablehlo.{op} across dimensions = [1] : (tensor<{w}>, tensor<f32>) -> tensor<{a}xf32>"
                ),
                &format!("{a}xf32"),
            ))
        }
        "transpose-of-transpose" => {
            let p = [[1, 2, 0], [2, 1, 0], [0, 2, 1]][d.pick % 3];
            let s = [a, b, c];
            let (x, m) = (
                format!("{a}x{b}x{c}x{n}"),
                format!("{}x{}x{}x{n}", s[p[0]], s[p[1]], s[p[2]]),
            );
            let r = format!("{}x{}x{}x{n}", s[p[1]], s[p[0]], s[p[2]]);
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.transpose %x, dims = {p:?} : (tensor<{x}>) -> tensor<{m}>\n  %r = stablehlo.transpose %0, dims = [1, 0, 2] : (tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "reshape-of-reshape" => {
            let (x, m, r) = (
                format!("{a}x{b}x{c}x{n}"),
                format!("{}x{n}", a * b * c),
                format!("{c}x{}x{n}", a * b),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.reshape %x : (tensor<{x}>) -> tensor<{m}>\n  %r = stablehlo.reshape %0 : (tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "broadcast-of-broadcast" => {
            let (x, m, r) = (format!("{a}x{n}"), format!("{b}x{a}x{n}"), format!("{b}x{c}x{a}x{n}"));
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.broadcast_in_dim %x, dims = [1] : (tensor<{x}>) -> tensor<{m}>\n  %r = stablehlo.broadcast_in_dim %0, dims = [0, 2] : (tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "transpose-of-broadcast" => {
            let (x, m, r) = (
                format!("{a}x{b}x{n}"),
                format!("{a}x{b}x{c}x{n}"),
                format!("{c}x{a}x{b}x{n}"),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.broadcast_in_dim %x, dims = [0, 1] : (tensor<{x}>) -> tensor<{m}>\n  %r = stablehlo.transpose %0, dims = [2, 0, 1] : (tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "slice-of-slice" => {
            let (x, m, r) = (
                format!("{}x{n}", 2 * a + 9),
                format!("{}x{n}", a + 4),
                format!("{}x{n}", (a + 4) / 2),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.slice %x [1:{}:2] : (tensor<{x}>) -> tensor<{m}>\n  %r = stablehlo.slice %0 [1:{}:2] : (tensor<{m}>) -> tensor<{r}>",
                    2 * a + 9,
                    1 + 2 * ((a + 4) / 2) - 1
                ),
                &r,
            ))
        }
        "slice-of-concatenation" => {
            let (x, y, m, r) = (
                format!("{a}x{b}x{n}"),
                format!("{a}x{}x{n}", c + 1),
                format!("{a}x{}x{n}", b + c + 1),
                format!("{a}x{c}x{n}"),
            );
            Some(program(
                &x,
                &y,
                &format!(
                    "  %0 = stablehlo.concatenate %x, %y, dim = 1 : (tensor<{x}>, tensor<{y}>) -> tensor<{m}>\n  %r = stablehlo.slice %0 [0:{a}, {}:{}] : (tensor<{m}>) -> tensor<{r}>",
                    b + 1,
                    b + 1 + c
                ),
                &r,
            ))
        }
        "concatenation-of-concatenation" => {
            let (x, y, m, r) = (
                format!("{a}x{b}x{n}"),
                format!("{a}x{c}x{n}"),
                format!("{a}x{}x{n}", b + c),
                format!("{a}x{}x{n}", 2 * b + c),
            );
            let (parts, types) = if (d.pick / 2).is_multiple_of(2) {
                ("%x, %0", format!("tensor<{x}>, tensor<{m}>"))
            } else {
                ("%0, %x", format!("tensor<{m}>, tensor<{x}>"))
            };
            Some(program(
                &x,
                &y,
                &format!(
                    "  %0 = stablehlo.concatenate %x, %y, dim = 1 : (tensor<{x}>, tensor<{y}>) -> tensor<{m}>\n  %r = stablehlo.concatenate {parts}, dim = 1 : ({types}) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "concatenation-of-neighbours" => {
            let (x, l, q, r) = (
                format!("{a}x{}x{n}", b + c + 1),
                format!("{a}x{b}x{n}"),
                format!("{a}x{c}x{n}"),
                format!("{a}x{}x{n}", b + c),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.slice %x [0:{a}, 1:{}] : (tensor<{x}>) -> tensor<{l}>\n  %1 = stablehlo.slice %x [0:{a}, {}:{}] : (tensor<{x}>) -> tensor<{q}>\n  \
                %r = stablehlo.concatenate %0, %1, dim = 1 : (tensor<{l}>, tensor<{q}>) -> tensor<{r}>",
                    b + 1,
                    b + 1,
                    b + c + 1
                ),
                &r,
            ))
        }
        "transpose-of-reshape" => {
            let (x, m, r) = (
                format!("{a}x{}x{n}", b * c),
                format!("{a}x{b}x{c}x{n}"),
                format!("{b}x{c}x{a}x{n}"),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.reshape %x : (tensor<{x}>) -> tensor<{m}>\n  %r = stablehlo.transpose %0, dims = [1, 2, 0] : (tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "reshape-of-transpose" => {
            let (x, m, r) = (
                format!("{a}x{}x{n}", b * c),
                format!("{}x{a}x{n}", b * c),
                format!("{b}x{c}x1x{a}x{n}"),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.transpose %x, dims = [1, 0] : (tensor<{x}>) -> tensor<{m}>\n  %r = stablehlo.reshape %0 : (tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "reshape-of-broadcast" => {
            let (x, m, r) = (format!("1x{n}"), format!("{a}x{b}x{n}"), format!("{}x{n}", a * b));
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.broadcast_in_dim %x, dims = [1] : (tensor<{x}>) -> tensor<{m}>\n  %r = stablehlo.reshape %0 : (tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "sum-of-neighbouring-pads" => {
            let zero = if n == float { "0.0" } else { "0" };
            let gap = (d.pick as i64 / 2) % 3;
            let (x, y, r) = (
                format!("{a}x{b}x{n}"),
                format!("{a}x{c}x{n}"),
                format!("{}x{}x{n}", a + 1, b + c + gap),
            );
            let sum = if (d.pick / 6).is_multiple_of(2) {
                "%0, %1"
            } else {
                "%1, %0"
            };
            Some(program(
                &x,
                &y,
                &format!(
                    "  %c = stablehlo.constant dense<{zero}> : tensor<{n}>\n  %0 = stablehlo.pad %x, %c, low = [1, 0], high = [0, {}], interior = [0, 0] : (tensor<{x}>, tensor<{n}>) -> tensor<{r}>\n  \
                %1 = stablehlo.pad %y, %c, low = [1, {}], high = [0, 0], interior = [0, 0] : (tensor<{y}>, tensor<{n}>) -> tensor<{r}>\n  %r = stablehlo.add {sum} : tensor<{r}>",
                    c + gap,
                    b + gap
                ),
                &r,
            ))
        }
        "pad-of-pad" => {
            let (x, m, r) = (
                format!("{a}x{b}x{n}"),
                format!("{}x{}x{n}", a + 1, b + 2),
                format!("{}x{}x{n}", a + 1, b + 5),
            );
            Some(program(
                &x,
                n,
                &format!(
                    "  %0 = stablehlo.pad %x, %y, low = [1, 0], high = [0, 2], interior = [0, 0] : (tensor<{x}>, tensor<{n}>) -> tensor<{m}>\n  \
                %r = stablehlo.pad %0, %y, low = [0, 1], high = [0, 2], interior = [0, 0] : (tensor<{m}>, tensor<{n}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "slice-of-pad" => {
            let (x, m, r) = (
                format!("{a}x{}x{n}", b + 1),
                format!("{}x{}x{n}", a + 1, b + 3),
                format!("{a}x{b}x{n}"),
            );
            Some(program(
                &x,
                n,
                &format!(
                    "  %0 = stablehlo.pad %x, %y, low = [1, 2], high = [0, 0], interior = [0, 0] : (tensor<{x}>, tensor<{n}>) -> tensor<{m}>\n  \
                %r = stablehlo.slice %0 [1:{}, 3:{}] : (tensor<{m}>) -> tensor<{r}>",
                    a + 1,
                    b + 3
                ),
                &r,
            ))
        }
        "map-of-broadcasts" | "map-of-transposes" | "map-of-reshapes" => {
            let (op, from, to) = match rule {
                "map-of-broadcasts" => (
                    "broadcast_in_dim %v, dims = [0, 2]",
                    format!("{a}x{c}"),
                    format!("{a}x{b}x{c}"),
                ),
                "map-of-transposes" => (
                    "transpose %v, dims = [2, 0, 1]",
                    format!("{a}x{b}x{c}"),
                    format!("{c}x{a}x{b}"),
                ),
                _ => ("reshape %v", format!("{a}x{b}x{c}"), format!("{}x{c}", a * b)),
            };
            let (x, r) = (format!("{from}x{n}"), format!("{to}x{n}"));
            let moved = |v: &str| format!("stablehlo.{} : (tensor<{x}>) -> tensor<{r}>", op.replace("%v", v));
            let two = if n == float { "2.0" } else { "2" };
            let map = ["multiply %0, %1", "maximum %0, %c", "subtract %c, %1", "negate %0"][d.pick / 2 % 4];
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = {}\n  %1 = {}\n  %c = stablehlo.constant dense<{two}> : tensor<{r}>\n  %r = stablehlo.{map} : tensor<{r}>",
                    moved("%x"),
                    moved("%y")
                ),
                &r,
            ))
        }
        "transpose-of-map" | "slice-of-map" | "reshape-of-map" => {
            let (op, to) = match rule {
                "transpose-of-map" => ("transpose %0, dims = [2, 0, 1]".to_string(), format!("{c}x{a}x{b}")),
                "slice-of-map" => (format!("slice %0 [0:{a}, 0:{b}, {}:{c}]", c - 1), format!("{a}x{b}x1")),
                _ => ("reshape %0".to_string(), format!("{a}x{}", b * c)),
            };
            let (x, r) = (format!("{a}x{b}x{c}x{n}"), format!("{to}x{n}"));
            let two = if n == float { "2.0" } else { "2" };
            let map = ["multiply %x, %y", "maximum %x, %c", "subtract %c, %y", "negate %x"][d.pick / 2 % 4];
            Some(program(
                &x,
                &x,
                &format!(
                    "  %c = stablehlo.constant dense<{two}> : tensor<{x}>\n  %0 = stablehlo.{map} : tensor<{x}>\n  %r = stablehlo.{op} : (tensor<{x}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "dot-of-transpose" => {
            // Batch a, free b and c, contracting 3, in an order that the pick decides.
            let p = [[3, 0, 2, 1], [1, 2, 3, 0], [2, 3, 1, 0]][d.pick % 3];
            let inner = [a, b, c, 3];
            let mut outer = [0; 4];
            for (at, &from) in p.iter().enumerate() {
                outer[at] = inner[from];
            }
            let place = |wanted: usize| p.iter().position(|&f| f == wanted).unwrap_or(0);
            let (free_1, free_2) = if place(1) < place(2) { (b, c) } else { (c, b) };
            let (x, t) = (shaped(&inner, float), shaped(&outer, float));
            let y = format!("{a}x3x2x{float}");
            let (r, operands, dims) = if (d.pick / 3).is_multiple_of(2) {
                (
                    format!("{a}x{free_1}x{free_2}x2x{float}"),
                    format!(
                        "%0, %y, batching_dims = [{}] x [0], contracting_dims = [{}] x [1]",
                        place(0),
                        place(3)
                    ),
                    format!("(tensor<{t}>, tensor<{y}>)"),
                )
            } else {
                (
                    format!("{a}x2x{free_1}x{free_2}x{float}"),
                    format!(
                        "%y, %0, batching_dims = [0] x [{}], contracting_dims = [1] x [{}]",
                        place(0),
                        place(3)
                    ),
                    format!("(tensor<{y}>, tensor<{t}>)"),
                )
            };
            Some(program(
                &x,
                &y,
                &format!(
                    "  %0 = stablehlo.transpose %x, dims = {p:?} : (tensor<{x}>) -> tensor<{t}>\n  %r = stablehlo.dot_general {operands} : {dims} -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "transpose-of-dot" => {
            let (x, y, m, r) = (
                format!("{a}x{b}x3x{float}"),
                format!("{a}x3x{c}x{float}"),
                format!("{a}x{b}x{c}x{float}"),
                format!("{a}x{c}x{b}x{float}"),
            );
            Some(program(
                &x,
                &y,
                &format!(
                    "  %0 = stablehlo.dot_general %x, %y, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<{x}>, tensor<{y}>) -> tensor<{m}>\n  \
                %r = stablehlo.transpose %0, dims = [0, 2, 1] : (tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "dot-of-negation" => {
            let (x, y, r) = (
                format!("{a}x3x{float}"),
                format!("3x{c}x{float}"),
                format!("{a}x{c}x{float}"),
            );
            let (of, ty, operands) = [("%x", &x, "%n, %y"), ("%y", &y, "%x, %n")][d.pick % 2];
            Some(program(
                &x,
                &y,
                &format!(
                    "  %n = stablehlo.negate {of} : tensor<{ty}>\n  %r = stablehlo.dot_general {operands}, contracting_dims = [1] x [0] : (tensor<{x}>, tensor<{y}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "dot-of-concatenation" => {
            let (x, y, j, r) = (
                format!("{a}x3x{float}"),
                format!("3x{c}x{float}"),
                format!("3x{}x{float}", 2 * c),
                format!("{a}x{}x{float}", 2 * c),
            );
            let q = format!("{}x{a}x{float}", 2 * c);
            let joined =
                format!("  %0 = stablehlo.concatenate %y, %y, dim = 1 : (tensor<{y}>, tensor<{y}>) -> tensor<{j}>\n");
            if d.pick.is_multiple_of(2) {
                Some(program(
                    &x,
                    &y,
                    &format!(
                        "{joined}  %r = stablehlo.dot_general %x, %0, contracting_dims = [1] x [0] : (tensor<{x}>, tensor<{j}>) -> tensor<{r}>"
                    ),
                    &r,
                ))
            } else {
                Some(program(
                    &x,
                    &y,
                    &format!(
                        "{joined}  %r = stablehlo.dot_general %0, %x, contracting_dims = [0] x [1] : (tensor<{j}>, tensor<{x}>) -> tensor<{q}>"
                    ),
                    &q,
                ))
            }
        }
        "concatenation-of-dots" => {
            let (x, y, m, r) = (
                format!("{a}x3x{float}"),
                format!("3x{c}x{float}"),
                format!("{a}x{c}x{float}"),
                format!("{a}x{}x{float}", 2 * c),
            );
            Some(program(
                &x,
                &y,
                &format!(
                    "  %n = stablehlo.abs %y : tensor<{y}>\n  %0 = stablehlo.dot_general %x, %y, contracting_dims = [1] x [0] : (tensor<{x}>, tensor<{y}>) -> tensor<{m}>\n  \
                %1 = stablehlo.dot_general %x, %n, contracting_dims = [1] x [0] : (tensor<{x}>, tensor<{y}>) -> tensor<{m}>\n  %r = stablehlo.concatenate %0, %1, dim = 1 : (tensor<{m}>, tensor<{m}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        "sum-of-negation" => {
            let zero = if n == float { "0.0" } else { "0" };
            Some(program(
                &any,
                &any,
                &format!(
                    "  %n = stablehlo.negate %x : tensor<{any}>\n  {}",
                    reduce("%n", &any, "add", zero, n, &format!("{a}x{n}"))
                ),
                &format!("{a}x{n}"),
            ))
        }
        "reduction-of-transpose" => {
            let zero = if n == float { "0.0" } else { "0" };
            let (x, t, r) = (
                format!("{a}x{b}x{c}x{n}"),
                format!("{c}x{a}x{b}x{n}"),
                format!("{c}x{b}x{n}"),
            );
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.transpose %x, dims = [2, 0, 1] : (tensor<{x}>) -> tensor<{t}>\n  {}",
                    reduce("%0", &t, d.one(&["add", "maximum"]), zero, n, &r)
                ),
                &r,
            ))
        }
        "extreme-of-broadcast" => {
            let (op, init) = [("maximum", "0xFF800000"), ("minimum", "0x7F800000")][d.pick % 2];
            let (x, w, r) = (format!("{a}xf32"), format!("{a}x{b}xf32"), format!("{a}xf32"));
            Some(program(
                &x,
                &x,
                &format!(
                    "  %0 = stablehlo.broadcast_in_dim %x, dims = [0] : (tensor<{x}>) -> tensor<{w}>\n  {}",
                    reduce("%0", &w, op, init, "f32", &r)
                ),
                &r,
            ))
        }
        "reduction-of-reduction" => {
            let (op, init, n) = [("maximum", "0xFF800000", "f32"), ("add", "0", int)][d.pick % 2];
            let (x, m, r) = (format!("{a}x{b}x{c}x{n}"), format!("{a}x{c}x{n}"), format!("{c}x{n}"));
            Some(program(
                &x,
                &x,
                &format!(
                    "  %c = stablehlo.constant dense<{init}> : tensor<{n}>\n  %0 = stablehlo.reduce(%x init: %c) applies stablehlo.{op} across dimensions = [1] : (tensor<{x}>, tensor<{n}>) -> tensor<{m}>\n  \
                %r = stablehlo.reduce(%0 init: %c) applies stablehlo.{op} across dimensions = [0] : (tensor<{m}>, tensor<{n}>) -> tensor<{r}>"
                ),
                &r,
            ))
        }
        _ => None,
    }
}

fn shaped(shape: &[i64], dtype: &str) -> String {
    shape.iter().map(|n| format!("{n}x")).collect::<String>() + dtype
}

/// A reduction of dimension 1.
fn reduce(x: &str, from: &str, op: &str, init: &str, dtype: &str, to: &str) -> String {
    format!(
        "%c = stablehlo.constant dense<{init}> : tensor<{dtype}>\n  %r = stablehlo.reduce({x} init: %c) applies stablehlo.{op} across dimensions = [1] : (tensor<{from}>, tensor<{dtype}>) -> tensor<{to}>"
    )
}

/// A view of a tensor of three dimensions, with its shape.
fn view(d: &Draw) -> (String, String) {
    let Draw { a, b, c, .. } = *d;
    match d.pick % 4 {
        0 => ("transpose %v, dims = [2, 0, 1]".to_string(), format!("{c}x{a}x{b}")),
        1 => ("reshape %v".to_string(), format!("{a}x{}", b * c)),
        2 => (
            "broadcast_in_dim %v, dims = [0, 2, 3]".to_string(),
            format!("{a}x2x{b}x{c}"),
        ),
        _ => (format!("slice %v [0:{a}, 0:{b}, {}:{c}]", c - 1), format!("{a}x{b}x1")),
    }
}

fn module(text: &str) -> Module {
    let module = parse(text).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    verify(&module).unwrap_or_else(|e| panic!("{}\n{text}", e[0]));
    module
}

fn optimize(pass: &Egraph, module: &mut Module) -> Report {
    let machine = MachineModel::target("inf2").expect("a built-in target");
    let report = pass.optimize(module, &machine).unwrap_or_else(|e| panic!("{e}"));
    verify(module).unwrap_or_else(|e| panic!("{}\n{}", e[0], print(module)));
    report
}

/// Whether two tensors have the same bits, but for those of NaNs.
fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    let nan = |t: &Tensor, i| t.dtype().is_float() && t.get_f64(i).is_nan();
    let same = |i| {
        (nan(a, i) && nan(b, i))
            || (a.get_f64(i) == b.get_f64(i) && a.get_f64(i).is_sign_negative() == b.get_f64(i).is_sign_negative())
    };
    a.ty() == b.ty() && (0..a.count()).all(same)
}

fn draws() -> impl Strategy<Value = (Draw, u64)> {
    let floats = prop::sample::select(vec!["f32", "bf16", "f16"]);
    let ints = prop::sample::select(vec!["i32", "ui32", "i8", "i64"]);
    let sizes = (2..5i64, 2..6i64, 2..5i64);
    (sizes, floats, ints, 0..24usize, any::<u64>()).prop_map(|((a, b, c), float, int, pick, seed)| {
        let draw = Draw {
            a,
            b,
            c,
            float,
            int,
            pick,
        };
        (draw, seed)
    })
}

#[test]
fn every_rule_holds_and_has_an_example() {
    let mut wrong: Vec<String> = Vec::new();
    for rule in ferrite_passes::hlo::egraph::rules::standard() {
        let own = Egraph::default().only(|r| r.name == rule.name).priced(Prices::New);
        let mut runner = TestRunner::new(Config {
            cases: 48,
            failure_persistence: None,
            ..Config::default()
        });
        let checked = runner.run(&draws(), |(draw, seed)| {
            let Some(text) = example(rule.name, &draw) else {
                return Err(TestCaseError::fail("it has no example"));
            };
            let before = module(&text);
            let mut after = before.clone();
            let report = optimize(&own, &mut after);
            prop_assert!(
                report.fired.iter().any(|&(_, n)| n > 0),
                "it does not fire on\n{}",
                text
            );
            prop_assert!(report.changed, "nothing changes in\n{}", text);
            let inputs = random_inputs(&before, seed).expect("static inputs");
            let want = evaluate(&before, &inputs).expect("the example runs");
            let got = evaluate(&after, &inputs).expect("what the rule makes runs");
            let failed = match rule.exactness {
                Exactness::Exact => {
                    (!want.iter().zip(&got).all(|(a, b)| same_bits(a, b))).then(|| "other bits".to_string())
                }
                Exactness::SignOfZero => difference(&got, &want, Tolerance::EXACT),
                Exactness::OrderOfSum => difference(&got, &want, Tolerance { atol: 1e-2, rtol: 1e-2 }),
            };
            prop_assert!(
                failed.is_none(),
                "{}\n{}\n{}",
                failed.unwrap_or_default(),
                text,
                print(&after)
            );
            Ok(())
        });
        if let Err(e) = checked {
            wrong.push(format!("{}: {e}", rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn names_of_rules_differ_and_are_documented() {
    let mut seen = BTreeMap::new();
    for rule in ferrite_passes::hlo::egraph::rules::standard() {
        let kebab = rule.name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(
            kebab && rule.identity.contains(" = ") && !rule.roots.is_empty(),
            "{}",
            rule.name
        );
        assert!(seen.insert(rule.name, ()).is_none(), "{} twice", rule.name);
    }
}

/// Small models: what each rule does together with all others.
#[test]
fn models_compute_the_same_by_any_of_the_equal_programs() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/models");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .expect("the corpus is there")
        .flatten()
        .map(|e| e.path())
        .collect();
    cases.sort();
    let mut changed = 0;
    for case in cases {
        let Ok(text) = std::fs::read_to_string(case.join("model.stablehlo.mlir")) else {
            continue;
        };
        let before = module(&text);
        let inputs = random_inputs(&before, 1).expect("static inputs");
        let want = evaluate(&before, &inputs).expect("the model runs");
        for prices in [Prices::Machine, Prices::New, Prices::Arbitrary(7)] {
            let mut after = before.clone();
            changed += usize::from(optimize(&Egraph::default().priced(prices), &mut after).changed);
            let got = evaluate(&after, &inputs).expect("the rewritten model runs");
            // Sums may have another order.
            let failed = difference(&got, &want, Tolerance { atol: 1e-4, rtol: 1e-3 });
            assert!(
                failed.is_none(),
                "{}, {prices:?}: {}",
                case.display(),
                failed.unwrap_or_default()
            );
            let mut again = before.clone();
            optimize(&Egraph::default().priced(prices), &mut again);
            assert_eq!(print(&after), print(&again), "{}: not reproducible", case.display());
        }
    }
    assert!(changed > 0);
}
