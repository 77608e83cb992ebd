//! Order: which passes run at each level of `-O`. Passes know nothing of each other; the reasons for their order stand
//! here.

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_passes::pass::AnyPass;
use ferrite_passes::registry;

use crate::options::OptLevel;

/// A named list of passes over the hlo level. Lowering and the tile level follow it, the same at every level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Name on the command line: `-O2`.
    pub name: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// Passes in order.
    pub passes: &'static [&'static str],
}

/// The pipelines.
pub const PIPELINES: [Pipeline; 3] = [
    Pipeline {
        name: "-O1",
        doc: "what lowering needs",
        passes: CORE,
    },
    Pipeline {
        name: "-O2",
        doc: "what lowering needs, and each value computed once",
        passes: BALANCED,
    },
    Pipeline {
        name: "-O3",
        doc: "as -O2: a search over tilings is not there yet",
        passes: BALANCED,
    },
];

const CORE: &[&str] = &[
    "inline", // first: the others look into one function
    "canonicalize",
    "auto-cast", // before anything is expanded: the documents name operations of the user's program
    "legalize-control-flow", // its branches then take part in all that follows
    "legalize-random", // 64-bit states are taken apart, not narrowed
    "legalize-linear-algebra", // real or complex alike, as long as both are one type
    "legalize-complex", // after auto-cast, whose types its products must not take; its functions are expanded
    "legalize-64bit", // before folding, so that nothing is folded in a type that the device does not have
    "fold-constants",
    "recognize-activations", // before their parts become formulas
    "expand-ops",            // formulas over what the device has; leaves top_k
    "legalize-small-types",  // after the formulas, which compute in them; conversions do the rest
    "legalize-integer-contraction",
    // What lowering accepts. Data movement last: the others leave pads and selects.
    "legalize-sort",
    "legalize-select-and-scatter",
    "legalize-convolution",
    "legalize-window",
    "legalize-gather",
    "legalize-scatter",
    "legalize-reduce",
    "sum-by-matmul",
    "legalize-data",
    "remove-barriers", // nothing is reordered across them any more
    "canonicalize",    // identities that legalization left
    "remove-dead-ops",
];

const BALANCED: &[&str] = &[
    "inline",
    "canonicalize",
    "auto-cast",
    "legalize-control-flow",
    "legalize-random",
    "legalize-linear-algebra",
    "legalize-complex",
    "legalize-64bit",
    "fold-constants",
    "merge-equal-ops", // early: what is expanded once need not be twice
    "recognize-activations",
    "expand-ops",
    "legalize-small-types",
    "legalize-integer-contraction",
    "legalize-sort",
    "legalize-select-and-scatter",
    "combine-affine",      // norms and activations are formulas now
    "orient-convolutions", // padding is still theirs
    "legalize-convolution",
    "legalize-window",
    "legalize-gather",
    "legalize-scatter",
    "legalize-reduce",
    "sum-by-matmul",
    "legalize-data",
    "remove-barriers",
    "fold-constants", // index arithmetic of gathers and scatters
    "canonicalize",
    "split-contractions", // before what is done for the readers of each part
    "hoist-scalars",
    "hoist-narrowing", // before orientation, which counts readers
    "merge-equal-ops",
    "orient-contractions", // all readers are known and simplified
    "canonicalize",
    "remove-dead-ops",
];

impl Pipeline {
    /// The pipeline of a level.
    pub fn of(level: OptLevel) -> &'static Pipeline {
        &PIPELINES[usize::from(level.number()) - 1]
    }

    /// The pipeline with this name.
    pub fn find(name: &str) -> Option<&'static Pipeline> {
        PIPELINES.iter().find(|p| p.name == name)
    }

    /// Its passes.
    pub fn resolve(&self) -> Result<Vec<AnyPass>> {
        self.passes.iter().map(|name| pass(name)).collect()
    }
}

/// The pass with this name; an unknown one is an error that names similar ones.
pub fn pass(name: &str) -> Result<AnyPass> {
    registry::find(name).ok_or_else(|| {
        let error = Diagnostic::error(Code::Usage, format!("no pass `{name}`"));
        let similar: Vec<&str> = registry::all()
            .iter()
            .map(|p| p.name)
            .filter(|known| known.split('-').any(|part| name.split('-').any(|p| p == part)))
            .collect();
        if similar.is_empty() {
            error.help("`ferrite passes` lists them")
        } else {
            error.help(format!(
                "similar names: {}; `ferrite passes` lists all",
                similar.join(", ")
            ))
        }
    })
}

/// The passes of a list in which `-O1`, `-O2` and `-O3` stand for their pipelines.
pub fn resolve(names: &[String]) -> Result<Vec<AnyPass>> {
    let mut passes = Vec::new();
    for name in names.iter().map(|n| n.trim()).filter(|n| !n.is_empty()) {
        match Pipeline::find(name) {
            Some(pipeline) => passes.extend(pipeline.resolve()?),
            None => passes.push(pass(name)?),
        }
    }
    Ok(passes)
}

#[cfg(test)]
mod tests {
    use ferrite_passes::pass::Level;

    use super::*;

    #[test]
    fn every_pipeline_names_passes_of_the_hlo_level() {
        for pipeline in PIPELINES {
            for pass in pipeline.resolve().unwrap() {
                assert_eq!(pass.level(), Level::Hlo, "{}", pass.name);
            }
        }
    }

    #[test]
    fn a_wrong_name_comes_with_similar_ones() {
        let error = pass("remove-ops").err().unwrap();
        assert_eq!(error.code, Code::Usage);
        assert!(error.help.unwrap().contains("remove-dead-ops"));
    }

    #[test]
    fn a_level_stands_for_its_list() {
        let names = ["-O1".to_string(), "merge-equal-ops".to_string()];
        assert_eq!(resolve(&names).unwrap().len(), CORE.len() + 1);
    }
}
