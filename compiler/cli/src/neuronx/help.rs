//! Texts of `--help`, made from the table of options.

use super::argv::Arity;
use super::options::TABLE;

/// `neuronx-cc --help`.
pub fn general() -> String {
    "usage: neuronx-cc COMMAND [OPTIONS]\n\n\
     commands:\n\
     \x20 compile MODEL..  compiles a model to a NEFF, or several to a folder\n\
     \x20 list-operators   lists the supported operators\n\n\
     options:\n\
     \x20 --help, -h       this text; `neuronx-cc compile --help` lists the options of a command\n\
     \x20 --version        version of the compiler\n\n\
     This is Ferrite, an open compiler with the command line of neuronx-cc. Its NEFFs run in Ferrite's simulator\n\
     (`ferrite run`), not on an AWS device: the encoding of device instructions is not public.\n"
        .to_string()
}

/// `neuronx-cc list-operators --help`.
pub fn list_operators() -> String {
    "usage: neuronx-cc list-operators --framework XLA\n\nPrints the supported operators, one a line.\n".to_string()
}

/// `neuronx-cc compile --help`.
pub fn compile() -> String {
    let mut text = "usage: neuronx-cc compile MODEL.. --framework XLA --target TARGET [OPTIONS]\n\n\
                    MODEL is a file of a kind that its content tells (HloModuleProto, HLO text, StableHLO), a folder with\n\
                    `graph.hlo`, `metadata.json` and weights, or `-` for standard input. Several models go to the folder\n\
                    that `--output` names.\n\n\
                    options, before or after the model; the right-most wins:\n"
        .to_string();
    let shown = TABLE.iter().filter(|e| !e.help.is_empty());
    let head = |names: &[&str], arity| {
        let value = match arity {
            Arity::Flag => "",
            Arity::Value => " VALUE",
            Arity::Words => " WORD..",
        };
        format!("  {}{value}", names.join(", "))
    };
    for entry in shown {
        let head = head(entry.names, entry.arity);
        if head.len() < 38 {
            text.push_str(&format!("{head:<38} {}\n", entry.help));
        } else {
            text.push_str(&format!("{head}\n{:<38} {}\n", "", entry.help));
        }
    }
    text.push_str(
        "\nFurther options of Neuron clients are accepted and named in the log; unknown `--internal-*` ones too.\n\
         environment: FERRITE_COMPILE_CACHE=1, or a folder or URL, switches a compile cache on\n\
         exit codes: 0 success, 2 a wrong command line, 70 the compilation failed\n",
    );
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_described_option_is_in_the_help() {
        let text = super::compile();
        for entry in super::TABLE.iter().filter(|e| !e.help.is_empty()) {
            assert!(entry.names.iter().all(|name| text.contains(name)), "{:?}", entry.names);
        }
    }
}
