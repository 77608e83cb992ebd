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
