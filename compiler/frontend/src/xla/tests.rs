use std::path::{Path, PathBuf};

use ferrite_ir::hlo::{Func, Module, OpKind};

use crate::Frontend;

/// Files of the corpus with this name, if there is a corpus on this machine.
fn corpus(name: &str) -> Vec<PathBuf> {
    let root = match std::env::var_os("FERRITE_CORPUS") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/corpus"),
    };
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .file_name()
                .is_some_and(|file| file.to_string_lossy().ends_with(name))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn all_are_read(name: &str) -> Vec<(PathBuf, Module)> {
    let mut failed = Vec::new();
    let mut read = Vec::new();
    for path in corpus(name) {
        let bytes = std::fs::read(&path).unwrap();
        match Frontend::read(&bytes, name) {
            Ok(module) => read.push((path, module)),
            Err(errors) => failed.push(format!("{}: {}", path.display(), errors[0])),
        }
    }
    println!("{} files `{name}` are read", read.len());
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        failed.len() + read.len(),
        failed.join("\n")
    );
    read
}

fn signature(func: &Func) -> (Vec<String>, Vec<String>) {
    let inputs = func.args().iter().map(|&v| func.ty(v).to_string()).collect();
    (inputs, func.result_types().iter().map(ToString::to_string).collect())
}

#[test]
fn hlo_text_of_the_corpus_is_read_and_has_the_signature_of_the_stablehlo() {
    for (path, module) in all_are_read(".hlo.txt") {
        let twin = path.with_file_name("model.stablehlo.mlir");
        if !path.ends_with("model.hlo.txt") {
            continue;
        }
        let Ok(bytes) = std::fs::read(twin) else { continue };
        let twin = Frontend::read(&bytes, "").unwrap();
        let (a, b) = (module.func(module.entry().unwrap()), twin.func(twin.entry().unwrap()));
        assert_eq!(signature(a), signature(b), "{}", path.display());
        for (n, (x, y)) in a.params.iter().zip(&b.params).enumerate() {
            assert_eq!(x.alias, y.alias, "parameter {n} of {}", path.display());
        }
    }
}

#[test]
fn hlo_protos_of_the_corpus_equal_their_text() {
    for (path, module) in all_are_read(".hlo.pb") {
        let twin = path.with_extension("txt");
        let Ok(bytes) = std::fs::read(twin) else { continue };
        let twin = Frontend::read(&bytes, "").unwrap();
        let (a, b) = (module.func(module.entry().unwrap()), twin.func(twin.entry().unwrap()));
        assert_eq!(signature(a), signature(b), "{}", path.display());
        // The order of instructions may differ, what they are may not.
        assert_eq!(contents(a), contents(b), "{}", path.display());
    }
}

/// Mnemonics of all operations, and the values of constants, sorted.
fn contents(func: &Func) -> Vec<String> {
    let mut all = Vec::new();
    func.walk(func.body(), &mut |func, op| {
        all.push(match &func.op(op).kind {
            OpKind::Constant(literal) => {
                let values: Vec<f64> = (0..literal.ty().element_count().min(256))
                    .map(|n| literal.get_f64(n))
                    .collect();
                format!("{} {values:?}", literal.ty())
            }
            kind => kind.mnemonic().to_string(),
        });
    });
    all.sort();
    all
}

const TEXT: &str = r#"HloModule jit_f, input_output_alias={ {0}: (0, {}, may-alias) }, buffer_donor={ (1, {}) }, entry_computation_layout={(f32[4]{0}, s32[])->(f32[4]{0}, s32[])}, num_partitions=2

%add.1 (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %add = f32[] add(f32[] %a, f32[] %b)
}

body.2 {
  state = (f32[4]{0}, s32[]) parameter(0)
  x = f32[4]{0} get-tuple-element(state), index=0
  n = s32[] get-tuple-element((f32[4], s32[]) %state), index=1
  one = s32[] constant(1)
  next = s32[] add(n, one)
  ROOT pair = (f32[4]{0}, s32[]) tuple(x, next)
}

condition.3 {
  state = (f32[4]{0}, s32[]) parameter(0)
  n = s32[] get-tuple-element(state), index=1
  limit = s32[] constant(5)
  ROOT less = pred[] compare(n, limit), direction=LT, metadata={op_name="jit(f)/lt" source_file="f.py" source_line=7}
}

ENTRY %main.4 (p: f32[4], q: s32[]) -> (f32[4], s32[]) {
  %p = f32[4]{0} parameter(0), sharding={devices=[2]<=[2]}
  %q = s32[] parameter(1)
  %c = f32[2,2]{0,1} constant({ { 1, -inf }, /*i0=1*/ { nan, 2.5e-3 } })
  %zero = f32[] constant(0)
  %sum = f32[] reduce(f32[2,2]{0,1} %c, f32[] %zero), dimensions={0,1}, to_apply=%add.1
  %wide = f32[4]{0} broadcast(f32[] %sum), dimensions={}
  %y = f32[4]{0} multiply(f32[4]{0} %p, f32[4]{0} %wide), frontend_attributes={a="x,}",b={c = 1}}
  %init = (f32[4]{0}, s32[]) tuple(%y, %q)
  ROOT %loop = (f32[4]{0}, s32[]) while((f32[4]{0}, s32[]) %init), condition=%condition.3, body=%body.2
}
"#;

#[test]
fn tuples_become_values() {
    let module = super::read_text(TEXT).unwrap();
    let text = ferrite_ir::hlo::print::print(&module);
    assert!(
        text.contains("stablehlo.while(%iterArg = %2, %iterArg_1 = %arg1) : tensor<4xf32>, tensor<i32>"),
        "{text}"
    );
    assert!(
        text.contains("dense<[[1.000000e+00, 0xFF800000], [0x7FC00000, 2.500000e-03]]>"),
        "{text}"
    );
    assert!(
        text.contains("mhlo.frontend_attributes = {a = \"x,}\", b = \"{c = 1}\"}"),
        "{text}"
    );
    let main = &module.funcs[0];
    assert_eq!(main.params[0].alias.map(|alias| alias.output), Some(0));
    assert!(main.params[1].donated);
    assert_eq!(
        main.params[0].attrs["mhlo.sharding"].as_str(),
        Some("{devices=[2]<=[2]}")
    );
}

#[test]
fn errors_in_text_name_the_place() {
    let cases = [
        (
            "multiply(f32[4]{0} %p, f32[4]{0} %wide)",
            "multiply(%p, %none)",
            "operand `none` is used before it is defined",
        ),
        (
            "to_apply=%add.1",
            "to_apply=%gone",
            "computation `gone` is not defined before",
        ),
        ("f32[] constant(0)", "f99[] constant(0)", "unknown element type `f99`"),
        ("dimensions={0,1}", "dimensions={0,x}", "`x` is no integer"),
        (
            "constant(5)",
            "constant(five)",
            "instruction `limit` (`constant`): `five` is no element of type `i32`",
        ),
        (
            "index=0",
            "index=7",
            "instruction `x` (`get-tuple-element`): its index is not in the tuple",
        ),
        (
            "broadcast(",
            "frobnicate(",
            "HLO instruction `frobnicate` is not supported",
        ),
        (
            "{ { 1, -inf }",
            "{...",
            "instruction `c` (`constant`): the value of this constant was left out (`{...}`)",
        ),
    ];
    for (from, to, message) in cases {
        let errors = super::read_text(&TEXT.replacen(from, to, 1)).unwrap_err();
        assert_eq!(errors[0].message, message);
        assert!(errors[0].location.line > 1, "{}", errors[0]);
    }
}

mod random {
    use proptest::prelude::*;

    use super::super::message::HloModuleProto;
    use super::*;
    use prost::Message;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn mutated_text_never_panics(edits in prop::collection::vec((0..TEXT.len(), any::<u8>(), 0..3u8), 1..10)) {
            let bytes = mutated(TEXT.as_bytes(), &edits);
            let _ = super::super::read_text(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn mutated_messages_never_panic(edits in prop::collection::vec((0..2000usize, any::<u8>(), 0..3u8), 1..10)) {
            let proto: HloModuleProto = super::super::text::parse(TEXT).unwrap().module;
            let bytes = mutated(&proto.encode_to_vec(), &edits);
            let _ = Frontend::read(&bytes, "mutated");
            let _ = super::super::read_proto(&bytes, false);
            let _ = super::super::read_proto(&bytes, true);
        }
    }

    fn mutated(seed: &[u8], edits: &[(usize, u8, u8)]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for &(at, byte, how) in edits {
            let at = at % bytes.len().max(1);
            match how {
                _ if bytes.is_empty() => bytes.push(byte),
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte % 128),
                _ => drop(bytes.drain(at..(at + usize::from(byte % 8)).min(bytes.len()))),
            }
        }
        bytes
    }
}

/// Programs of the repository's corpus.
fn programs() -> Vec<(String, ferrite_ir::hlo::Module)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let folders = |path: &std::path::Path| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut all: Vec<_> = entries.map(|entry| entry.path()).filter(|p| p.is_dir()).collect();
        all.sort();
        all
    };
    let mut all = Vec::new();
    for case in folders(&root).iter().flat_map(|set| folders(set)) {
        if let Ok(text) = std::fs::read_to_string(case.join("model.stablehlo.mlir")) {
            let name = case.file_name().unwrap_or_default().to_string_lossy().to_string();
            let module = ferrite_ir::hlo::parse::parse(&text).unwrap_or_else(|e| panic!("{name}: {}", e[0]));
            all.push((name, module));
        }
    }
    all
}

#[test]
fn what_is_written_is_read_back_and_stays_the_same() {
    use ferrite_ir::hlo::print::print;
    let all = programs();
    assert!(!all.is_empty());
    let mut wrong = Vec::new();
    for (name, module) in &all {
        let bytes = match super::write(module) {
            Ok(bytes) => bytes,
            Err(errors) => {
                wrong.push(format!("{name}: write: {}", errors[0].message));
                continue;
            }
        };
        let once = match super::read_proto(&bytes, false) {
            Ok(once) => once,
            Err(errors) => {
                wrong.push(format!("{name}: read: {}", errors[0].message));
                continue;
            }
        };
        assert_eq!(once.output_types(), module.output_types(), "{name}");
        // What the first trip changes (tuples of loops, expanded broadcasts) the second leaves alone.
        let again = super::write(&once).and_then(|bytes| super::read_proto(&bytes, false));
        match again {
            Ok(again) if print(&again) == print(&once) => {}
            Ok(_) => wrong.push(format!("{name}: changes on the second trip")),
            Err(errors) => wrong.push(format!("{name}: second trip: {}", errors[0].message)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn shardings_are_written_as_messages() {
    for text in [
        "{replicated}",
        "{maximal device=3}",
        "{devices=[2,1]0,1}",
        "{devices=[2,2]<=[4]}",
        "{devices=[2,2]<=[2,2]T(1,0) last_tile_dim_replicate}",
        "{devices=[2,1,2]<=[4] last_tile_dims={manual}}",
    ] {
        let source = format!(
            "func.func @main(%a: tensor<4x4xf32> {{mhlo.sharding = \"{text}\"}}) -> tensor<4x4xf32> {{ return %a : tensor<4x4xf32> }}"
        );
        let module = ferrite_ir::hlo::parse::parse(&source).unwrap_or_else(|e| panic!("{}", e[0]));
        let bytes = super::write(&module).unwrap_or_else(|e| panic!("{}", e[0]));
        let back = super::read_proto(&bytes, false).unwrap_or_else(|e| panic!("{}", e[0]));
        assert_eq!(
            back.funcs[0].params[0].attrs.get("mhlo.sharding"),
            Some(&ferrite_ir::hlo::Attr::String(text.into()))
        );
    }
}

#[test]
fn loops_and_branches_take_what_they_use_from_around_with_them() {
    let source = "func.func @main(%a: tensor<f32>, %n: tensor<i32>, %p: tensor<i1>) -> (tensor<f32>, tensor<f32>) {
  %zero = stablehlo.constant dense<0> : tensor<i32>
  %0:2 = stablehlo.while(%i = %zero, %x = %a) : tensor<i32>, tensor<f32>
  cond {
    %c = stablehlo.compare LT, %i, %n : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.return %c : tensor<i1>
  } do {
    %one = stablehlo.constant dense<1> : tensor<i32>
    %j = stablehlo.add %i, %one : tensor<i32>
    %y = stablehlo.add %x, %a : tensor<f32>
    stablehlo.return %j, %y : tensor<i32>, tensor<f32>
  }
  %1 = \"stablehlo.if\"(%p) ({
    stablehlo.return %a : tensor<f32>
  }, {
    %m = stablehlo.negate %0#1 : tensor<f32>
    stablehlo.return %m : tensor<f32>
  }) : (tensor<i1>) -> tensor<f32>
  return %0#1, %1 : tensor<f32>, tensor<f32>
}";
    let module = ferrite_ir::hlo::parse::parse(source).unwrap_or_else(|e| panic!("{}", e[0]));
    let bytes = super::write(&module).unwrap_or_else(|e| panic!("{}", e[0]));
    let back = super::read_proto(&bytes, false).unwrap_or_else(|e| panic!("{}", e[0]));
    let text = ferrite_ir::hlo::print::print(&back);
    // Two values of its own and two from around.
    assert!(
        text.contains("stablehlo.while(") && text.matches("iterArg").count() >= 4 || text.contains(" = %arg1"),
        "{text}"
    );
    assert_eq!(back.output_types(), module.output_types());
}

/// The module of a text, which must be right.
fn module_of(text: &str) -> ferrite_ir::hlo::Module {
    super::read_text(text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"))
}

#[test]
fn what_one_instruction_starts_another_ends() {
    let text = r#"HloModule m

add {
  a = f32[] parameter(0)
  b = f32[] parameter(1)
  ROOT s = f32[] add(a, b)
}

twice {
  p = f32[4] parameter(0)
  ROOT t = f32[4] add(p, p)
}

ENTRY main {
  x = f32[4] parameter(0)
  start = ((f32[4]), f32[4], u32[]) async-start(x), calls=twice
  on = ((f32[4]), f32[4], u32[]) async-update(start)
  doubled = f32[4] async-done(on)
  short = ((f32[4]), f32[4], s32[]) negate-start(doubled)
  negated = f32[4] negate-done(short)
  cs = (f32[4], f32[4], u32[]) copy-start(negated)
  copied = f32[4] copy-done(cs)
  rs = f32[4] all-reduce-start(copied), replica_groups={{0}}, to_apply=add
  reduced = f32[4] all-reduce-done(rs)
  gs = (f32[4], f32[4]) all-gather-start(reduced), dimensions={0}, replica_groups={{0}}
  gathered = f32[4] all-gather-done(gs)
  ps = (f32[4], f32[4], u32[], u32[]) collective-permute-start(gathered), source_target_pairs={{0,0}}
  ROOT moved = f32[4] collective-permute-done(ps)
}
"#;
    let printed = ferrite_ir::hlo::print::print(&module_of(text));
    let found: Vec<&str> = [
        "stablehlo.add",
        "negate",
        "all_reduce",
        "all_gather",
        "collective_permute",
    ]
    .into_iter()
    .filter(|name| !printed.contains(name))
    .collect();
    assert!(found.is_empty(), "{found:?} are missing in\n{printed}");
}

#[test]
fn transfers_keep_their_channel_and_partners() {
    let text = r#"HloModule m

ENTRY main {
  x = f32[2,2] parameter(0)
  token = token[] after-all()
  s = (f32[2,2], u32[], token[]) send(x, token), channel_id=3, frontend_attributes={_xla_send_recv_source_target_pairs="{{0,1},{1,0}}"}
  sent = token[] send-done(s), channel_id=3
  r = (f32[2,2], u32[], token[]) recv(sent), channel_id=3, frontend_attributes={_xla_send_recv_source_target_pairs="{{0,1},{1,0}}"}
  rd = (f32[2,2], token[]) recv-done(r), channel_id=3
  ROOT y = f32[2,2] get-tuple-element(rd), index=0
}
"#;
    let module = module_of(text);
    let printed = ferrite_ir::hlo::print::print(&module);
    assert!(
        printed.contains("stablehlo.send") && printed.contains("stablehlo.recv"),
        "{printed}"
    );
    assert!(printed.contains("[[0, 1], [1, 0]]"), "{printed}");
    let again = super::write_text(&module).unwrap();
    let again = ferrite_ir::hlo::print::print(&module_of(&again));
    assert_eq!(again.matches("[[0, 1], [1, 0]]").count(), 2, "{again}");
}

#[test]
fn constants_may_be_tuples_and_computations_may_stand_in_braces() {
    let text = r#"HloModule m

ENTRY main {
  c = (f32[2], (s32[], pred[])) constant(({1, -nan(0x200000)}, (7, true)))
  x = f32[2] get-tuple-element(c), index=0
  zero = f32[] constant(0)
  ROOT sum = f32[] reduce(x, zero), dimensions={0}, to_apply={
    a = f32[] parameter(0)
    b = f32[] parameter(1)
    ROOT s = f32[] add(a, b)
  }
}
"#;
    let printed = ferrite_ir::hlo::print::print(&module_of(text));
    assert!(printed.contains("stablehlo.reduce"), "{printed}");
    assert!(printed.contains("0xFFA00000"), "{printed}");
}

#[test]
fn every_wrong_line_is_reported() {
    let text = "HloModule m\n\nENTRY main {\n  a = f32[2] parameter(0)\n  b = f33[2] add(a, a)\n  c = f32[2] add(b, a)\n  d = f32[2] add(nothing, a)\n  e = f32[2] frobnicate(a)\n  f = f32[2] slice(a), slice={[0:x]}\n  ROOT g = f32[2] add(a, a)\n}\n";
    let lines = |errors: &[ferrite_ir::diag::Diagnostic]| errors.iter().map(|e| e.location.line).collect::<Vec<_>>();
    // `c` uses what was refused: that is no error of its own.
    assert_eq!(lines(&super::read_text(text).unwrap_err()), [5, 7, 9]);
    let text = "HloModule m\n\nENTRY main {\n  a = f32[2] parameter(0)\n  b = f32[2] frobnicate(a)\n  c = f32[2] transpose(b), dimensions={0}\n  d = f32[2] get-tuple-element(c), index=0\n  ROOT g = f32[2] add(a, d)\n}\n";
    assert_eq!(lines(&super::read_text(text).unwrap_err()), [5, 7]);
}

#[test]
fn text_says_what_the_message_says() {
    use ferrite_ir::hlo::print::print;
    let mut count = 0;
    for (name, module) in &programs() {
        let bytes = super::write(module).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        count += 1;
        let text = super::write_text(module).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let from_text = super::read_text(&text).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        let from_bytes = super::read_proto(&bytes, false).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
        assert_eq!(print(&from_text), print(&from_bytes), "{name}");
    }
    assert!(count > 10, "only {count} programs have a form in HLO");
}
