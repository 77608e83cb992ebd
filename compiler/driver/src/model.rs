//! Reading models: a file of any kind that the front end recognises, the folder that torch-neuronx writes, or `-` for
//! standard input.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use ferrite_frontend::Frontend;
use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::hlo::{Module, OpKind, Type};
use ferrite_ir::literal::Literal;
use ferrite_passes::program::Program;
use serde::Deserialize;

use crate::names::{self, Names};
use crate::{arrays, files, run};

/// Reads a model file; its kind is recognised from its content, never from its name. Of a folder, see [`open`].
///
/// # Errors
/// All errors of the file.
pub fn read(path: &Path) -> Result<Module, Vec<Diagnostic>> {
    open(path).map(|(module, _)| module)
}

/// Reads a model file, or a folder with `graph.hlo` and `metadata.json`, whose weights become constants. Besides the
/// module returns the NEFF names of its tensors: inputs that stay beside frozen ones keep their old numbers (our
/// assumption: the client's own description of the model was made before).
///
/// # Errors
/// All errors of the file; weights that are missing or do not fit.
pub fn open(path: &Path) -> Result<(Module, Names), Vec<Diagnostic>> {
    if path.is_dir() {
        return open_folder(path);
    }
    let bytes = bytes(path).map_err(|e| vec![e])?;
    let module = Frontend::read(&bytes, &shown(path))?;
    let names = names::of(&module).map_err(|e| vec![e])?;
    Ok((module, names))
}

/// Reads a program of any level: text of the tile or isa level, else a model as [`read`] takes it.
///
/// # Errors
/// All errors of the file.
pub fn program(path: &Path) -> Result<Program, Vec<Diagnostic>> {
    if !path.is_dir() {
        let bytes = bytes(path).map_err(|e| vec![e])?;
        if let Some(program) = std::str::from_utf8(&bytes).ok().and_then(Program::parse) {
            return program;
        }
    }
    read(path).map(Program::Hlo)
}

/// Whether a path means standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The bytes of a model file; of `-`, all of standard input, which is read once and kept.
pub fn bytes(path: &Path) -> Result<std::borrow::Cow<'static, [u8]>, Diagnostic> {
    static STDIN: OnceLock<Result<Vec<u8>, Diagnostic>> = OnceLock::new();
    if !is_stdin(path) {
        return files::read(path).map(Into::into);
    }
    let all = STDIN.get_or_init(|| {
        let mut all = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut all);
        read.map_err(|e| files::failure(Path::new("<stdin>"), &e))?;
        Ok(all)
    });
    all.as_deref().map(Into::into).map_err(Clone::clone)
}

fn shown(path: &Path) -> String {
    if is_stdin(path) {
        "<stdin>".to_string()
    } else {
        path.to_string_lossy().into_owned()
    }
}

/// Diagnostics as text for people, with the offending lines of the model where it is a text.
pub fn render(diagnostics: &[Diagnostic], model: Option<&Path>) -> String {
    let file = |path: &Path| String::from_utf8(bytes(path).ok()?.into_owned()).ok();
    let graph = model.map(|path| {
        if path.is_dir() {
            path.join("graph.hlo")
        } else {
            path.to_path_buf()
        }
    });
    let source = graph.as_deref().and_then(file);
    let name = graph.as_deref().map_or("the model".into(), shown);
    let located = |d: &&Diagnostic| d.location.line > 0;
    // A place in the model is a place in its file; without one the file's name would only distract.
    let all: Vec<String> = diagnostics
        .iter()
        .map(|d| {
            if located(&d) {
                ferrite_frontend::render(d, &name, source.as_deref())
            } else {
                format!("{d}\n")
            }
        })
        .collect();
    all.join("\n")
}

/// `metadata.json` of the folder form.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    weights: BTreeMap<String, String>,
}

fn open_folder(folder: &Path) -> Result<(Module, Names), Vec<Diagnostic>> {
    let one = |e: Diagnostic| vec![e];
    let graph = folder.join("graph.hlo");
    let bytes = files::read(&graph).map_err(one)?;
    let mut module = Frontend::read(&bytes, &graph.to_string_lossy())?;
    let mut names = names::of(&module).map_err(one)?;
    let path = folder.join("metadata.json");
    if !path.exists() {
        return Ok((module, names));
    }
    let text = files::read(&path).map_err(one)?;
    let metadata: Metadata = serde_json::from_slice(&text)
        .map_err(|e| vec![Diagnostic::error(Code::Parse, format!("`{}`: {e}", path.display()))])?;
    if metadata.weights.is_empty() {
        return Ok((module, names));
    }
    let types = run::module_inputs(&module).map_err(one)?;
    let parameters = ferrite_frontend::parameter_names(&bytes);
    let mut values = Vec::new();
    let mut errors = Vec::new();
    for (key, file) in &metadata.weights {
        // A name first: one may look like a number.
        let by_name = parameters.iter().position(|name| name == key);
        let number = by_name.or_else(|| key.parse::<usize>().ok());
        let Some((number, ty)) = number.and_then(|n| types.get(n).map(|ty| (n, ty))) else {
            let text = format!("`{}`: weight `{key}` is no parameter of the model", path.display());
            errors.push(
                Diagnostic::error(Code::Unsupported, text)
                    .label(format!(
                        "the model has parameters 0 to {}",
                        types.len().saturating_sub(1)
                    ))
                    .help("write the parameter's number, or its name, as the key"),
            );
            continue;
        };
        let array = arrays::read_npy_file(&folder.join(file)).and_then(|a| a.into_tensor(key, ty.dtype));
        match array {
            Ok(array) => values.push((number, array.to_literal())),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    names.inputs = freeze(&mut module, values).map_err(one)?;
    Ok((module, names))
}

/// Turns parameters of the entry function into constants. `values` maps parameter numbers to contents; the remaining
/// parameters keep their order and close up. Returns the NEFF names of those: they keep their old numbers.
///
/// # Errors
/// A number that is no parameter, contents of another size than the parameter's type, a donated parameter.
pub fn freeze(module: &mut Module, values: Vec<(usize, Literal)>) -> Result<Vec<String>, Diagnostic> {
    let names = names::of(module)?.inputs;
    let entry = module
        .entry()
        .ok_or_else(|| Diagnostic::error(Code::Verify, "the module has no entry function"))?;
    let func = module.func_mut(entry);
    let body = func.body();
    let mut frozen = vec![false; func.params.len()];
    for (number, literal) in values {
        let Some(&arg) = func.args().get(number) else {
            let text = format!(
                "`arg{number}` is no parameter: `{}` has {}",
                func.name,
                func.params.len()
            );
            return Err(Diagnostic::error(Code::Usage, text));
        };
        if frozen[number] {
            let text = format!("`arg{number}` is given twice");
            return Err(Diagnostic::error(Code::Usage, text));
        }
        if func.params[number].alias.is_some() || func.params[number].donated {
            let text = format!("`arg{number}` is donated: its buffer is written and cannot be a constant");
            return Err(Diagnostic::error(Code::Usage, text));
        }
        if func.ty(arg) != &Type::Tensor(literal.ty().clone()) {
            let text = format!("`arg{number}` is {}, its weights are {}", func.ty(arg), literal.ty());
            return Err(Diagnostic::error(Code::Usage, text));
        }
        let (ty, loc) = (func.ty(arg).clone(), func.loc);
        let constant = func.create(OpKind::Constant(literal), &[], vec![ty], &[], loc);
        let result = func.result(constant);
        func.replace_uses(arg, result);
        func.region_mut(body).ops.insert(0, constant);
        frozen[number] = true;
    }
    let kept: Vec<usize> = (0..frozen.len()).filter(|&i| !frozen[i]).collect();
    let args = kept.iter().map(|&i| func.args()[i]).collect();
    func.params = kept.iter().map(|&i| func.params[i].clone()).collect();
    func.region_mut(body).args = args;
    func.compact(); // numbers the arguments anew
    Ok(kept.iter().map(|&i| names[i].clone()).collect())
}

#[cfg(test)]
mod tests {
    use ferrite_ir::dtype::DType;
    use ferrite_ir::hlo::{BinaryOp, Func, Param, TensorType, verify};
    use ferrite_ir::loc::LocId;

    use super::*;

    /// `main(x, w) = x + w`
    fn module() -> Module {
        let mut func = Func::new("main");
        let (body, ty) = (func.body(), Type::Tensor(TensorType::new(DType::F32, &[3])));
        let x = func.add_arg(body, ty.clone());
        let w = func.add_arg(body, ty.clone());
        let sum = func.append(
            body,
            OpKind::Binary(BinaryOp::Add),
            &[x, w],
            vec![ty],
            &[],
            LocId::UNKNOWN,
        );
        let result = func.result(sum);
        func.region_mut(body).results.push(result);
        func.params = vec![Param::default(); 2];
        func.results = vec![Default::default()];
        Module {
            funcs: vec![func],
            ..Module::default()
        }
    }

    #[test]
    fn a_frozen_parameter_is_a_constant_and_the_rest_keep_their_names() {
        let mut module = module();
        let literal = Literal::from_f32(&[3], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(freeze(&mut module, vec![(0, literal)]).unwrap(), ["input1"]);
        verify::verify(&module).unwrap();
        assert_eq!(module.funcs[0].args().len(), 1);
        assert_eq!(module.funcs[0].op_count(), 2);
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        let wrong = Literal::from_f32(&[4], &[0.0; 4]).unwrap();
        assert!(freeze(&mut module(), vec![(0, wrong.clone())]).is_err());
        assert!(freeze(&mut module(), vec![(2, wrong)]).is_err());
    }

    #[test]
    fn weights_of_a_folder_become_constants() {
        let folder = tempfile::tempdir().unwrap();
        let graph = "func.func public @main(%x: tensor<2xf32>, %w: tensor<2xf32>) -> tensor<2xf32> {
          %0 = stablehlo.add %x, %w : tensor<2xf32>
          return %0 : tensor<2xf32>
        }";
        std::fs::write(folder.path().join("graph.hlo"), graph).unwrap();
        let metadata = r#"{"model_files": "graph.hlo", "version": "1.0", "weights": {"0": "weights/x.npy"}}"#;
        std::fs::write(folder.path().join("metadata.json"), metadata).unwrap();
        assert!(open(folder.path()).unwrap_err()[0].message.contains("x.npy"));
        std::fs::create_dir(folder.path().join("weights")).unwrap();
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
        let mut npy = b"\x93NUMPY\x01\x00".to_vec();
        npy.extend((header.len() as u16 + 1).to_le_bytes());
        npy.extend(header.bytes());
        npy.push(b'\n');
        npy.extend([1.0f32, 2.0].iter().flat_map(|v| v.to_le_bytes()));
        std::fs::write(folder.path().join("weights/x.npy"), npy).unwrap();
        let (module, names) = open(folder.path()).unwrap();
        assert_eq!(names.inputs, ["input1"]);
        assert_eq!(module.funcs[0].args().len(), 1);
    }

    #[test]
    fn a_folder_without_a_graph_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err()[0].message.contains("graph.hlo"));
    }
}
