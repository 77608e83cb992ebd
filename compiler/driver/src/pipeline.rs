//! Order: which passes run at each level of `-O`. Passes know nothing of each other; the reasons for their order stand
//! here. Any other order is a text ([`resolve`]).

mod text;

use ferrite_ir::diag::Result;
use ferrite_passes::pass::AnyPass;

use crate::extensions::Extensions;
use crate::options::{CompileOptions, OptLevel};

/// What follows the hlo level at every level of `-O`.
pub const CODE: &str = "lower,generate-code";

/// The steps of `generate-code`, once, by name.
pub const CODE_STEPS: &str = "lower,spill,assign-engines,schedule,place,synchronise,encode";

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
    "inline",             // first: the others look into one function
    "legalize-quantized", // before anything is folded: types say what storage values mean
    "canonicalize",
    "auto-cast", // before anything is expanded: the documents name operations of the user's program
    "legalize-control-flow", // its branches then take part in all that follows
    "legalize-random", // 64-bit states are taken apart, not narrowed
    "legalize-linear-algebra", // real or complex alike, as long as both are one type
    "legalize-complex", // after auto-cast, whose types its products must not take; its functions are expanded
    "legalize-64bit", // before folding, so that nothing is folded in a type that the device does not have
    "legalize-int64", // what stays 64 bits wide, as words; again behind what it does not look into
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
    "legalize-int64",
    "legalize-reduce",
    "sum-by-matmul",
    "legalize-data",
    "legalize-int64",
    "remove-barriers", // nothing is reordered across them any more
    "canonicalize",    // identities that legalization left
    "remove-dead-ops",
];

const BALANCED: &[&str] = &[
    "inline",
    "legalize-quantized",
    "canonicalize",
    "auto-cast",
    "legalize-control-flow",
    "legalize-random",
    "legalize-linear-algebra",
    "legalize-complex",
    "legalize-64bit",
    "legalize-int64",
    "fold-constants",
    "merge-equal-ops", // early: what is expanded once need not be twice
    "recognize-activations",
    "expand-ops",
    "legalize-small-types",
    "legalize-integer-contraction",
    "legalize-sort",
    "legalize-select-and-scatter",
    "simplify-gathers",    // enlarged images stay in their order
    "combine-affine",      // norms and activations are formulas now
    "orient-convolutions", // padding is still theirs
    "split-reductions",    // images are as they will be
    "legalize-convolution",
    "legalize-window",
    "legalize-gather",
    "legalize-scatter",
    "legalize-int64",
    "legalize-reduce",
    "sum-by-matmul",
    "legalize-data",
    "legalize-int64",
    "remove-barriers",
    "fold-constants", // index arithmetic of gathers and scatters
    "canonicalize",
    "egraph",             // forms are the last ones; layouts are still open
    "split-contractions", // before what is done for the readers of each part
    "scale-contractions",
    "remove-dead-ops", // what it replaced reads the same values
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
}

/// The passes of a text such as `hlo(-O1,merge-equal-ops),lower,tile(schedule{lookahead=64})`, in which names of
/// pipelines stand for their passes.
///
/// # Errors
/// Names and options that are not known, passes under a level that is not theirs, text of another form.
pub fn resolve(text: &str, extensions: &Extensions) -> Result<Vec<AnyPass>> {
    text::resolve(text, extensions)
}

/// The text of all that a compilation runs: what the options say, else their level of `-O` and what follows it.
pub fn whole_text(options: &CompileOptions) -> String {
    let own = || format!("hlo({}),{CODE}", Pipeline::of(options.opt_level).name);
    options.passes.clone().unwrap_or_else(own)
}

/// The passes of [`whole_text`].
///
/// # Errors
/// As [`resolve`].
pub fn whole(options: &CompileOptions) -> Result<Vec<AnyPass>> {
    resolve(&whole_text(options), &options.extensions)
}

#[cfg(test)]
mod tests {
    use ferrite_passes::pass::Level;

    use super::*;

    #[test]
    fn every_pipeline_names_passes_of_the_hlo_level() {
        for pipeline in PIPELINES {
            for pass in resolve(pipeline.name, &Extensions::default()).unwrap() {
                assert_eq!(pass.about.result, Level::Hlo, "{}", pass.name());
            }
        }
    }

    #[test]
    fn a_compilation_ends_with_instructions() {
        for steps in [CODE, CODE_STEPS] {
            let passes = resolve(steps, &Extensions::default()).unwrap();
            assert_eq!(passes.last().unwrap().about.result, Level::Isa);
        }
        let options = CompileOptions {
            passes: Some("inline".to_string()),
            ..CompileOptions::default()
        };
        assert_eq!(whole(&options).unwrap().len(), 1);
        assert_eq!(whole_text(&CompileOptions::default()), "hlo(-O2),lower,generate-code");
    }
}
