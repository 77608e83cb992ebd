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
