//! Names of a program's inputs and outputs in the NEFF.
//!
//! `input<n>` and `output<n>` unless the model says otherwise: clients write `neff_input_names` or `neff_input_name` on
//! a parameter, and `neff_output_names` on the root (each output has its own once it is read).

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::hlo::{Attr, Attrs, Module};

/// Names of a program's tensors, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of the inputs.
    pub inputs: Vec<String>,
    /// Of the outputs.
    pub outputs: Vec<String>,
}

/// The names that a module asks for.
///
/// # Errors
/// A name that is given twice: callers bind tensors by name.
pub fn of(module: &Module) -> Result<Names> {
    let Some(entry) = module.entry() else {
        return Ok(Names::default());
    };
    let func = module.func(entry);
    let input = |(number, attrs): (usize, &Attrs)| {
        let given = frontend(attrs, "neff_input_names").or_else(|| frontend(attrs, "neff_input_name"));
        given.unwrap_or_else(|| format!("input{number}"))
    };
    let output = |(number, attrs): (usize, &Attrs)| {
        frontend(attrs, "neff_output_names").unwrap_or_else(|| format!("output{number}"))
    };
    let names = Names {
        inputs: func.params.iter().map(|p| &p.attrs).enumerate().map(input).collect(),
        outputs: func.results.iter().map(|r| &r.attrs).enumerate().map(output).collect(),
    };
    let mut all: Vec<&String> = names.inputs.iter().chain(&names.outputs).collect();
    all.sort();
    match all.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(names),
        Some(pair) => Err(Diagnostic::error(
            Code::Verify,
            format!("two tensors of the program are named `{}`", pair[0]),
        )
        .help("give each input and output a name of its own in `neff_input_names` and `neff_output_names`")),
    }
}

fn frontend(attrs: &Attrs, key: &str) -> Option<String> {
    match attrs.get("mhlo.frontend_attributes") {
        Some(Attr::Dict(all)) => match all.get(key) {
            Some(Attr::String(name)) if !name.is_empty() => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ferrite_frontend::Frontend;

    use super::*;

    fn module(second: &str) -> Module {
        let text = format!(
            "func.func public @main(%x: tensor<2xf32> {{mhlo.frontend_attributes = {{neff_input_names = \"q\"}}}},
               %y: tensor<2xf32> {{mhlo.frontend_attributes = {{neff_input_name = \"{second}\"}}}},
               %z: tensor<2xf32>) -> (tensor<2xf32>
               {{mhlo.frontend_attributes = {{neff_output_names = \"out\"}}}}, tensor<2xf32>) {{
               %0 = stablehlo.add %x, %y : tensor<2xf32>
               return %0, %z : tensor<2xf32>, tensor<2xf32>
             }}"
        );
        Frontend::read(text.as_bytes(), "m").unwrap()
    }

    #[test]
    fn the_model_names_its_tensors() {
        let names = of(&module("k")).unwrap();
        assert_eq!(names.inputs, ["q", "k", "input2"]);
        assert_eq!(names.outputs, ["out", "output1"]);
    }

    #[test]
    fn one_name_for_two_tensors_is_refused() {
        assert!(of(&module("out")).unwrap_err().message.contains("`out`"));
    }
}
