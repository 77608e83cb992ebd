//! The list of passes. Order of execution is not here: it stands in the driver's pipelines.
//!
//! [`Registry::standard`] holds ours. A crate of somebody else adds its own with [`Registry::hlo`] and its like, and
//! gives the registry to the driver.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ferrite_ir::diag::{Code, Diagnostic, Result};

use crate::options::Settings;
use crate::pass::{About, AnyPass, HloPass, IsaPass, StepPass, TilePass};
use crate::{hlo, lower, tile};

type Make = Arc<dyn Fn(&Settings) -> Result<AnyPass> + Send + Sync>;

/// A pass that has a name.
#[derive(Clone)]
pub struct Entry {
    /// What is known of it.
    pub about: About,
    make: Make,
}

impl Entry {
    /// The pass with these options.
    ///
    /// # Errors
    /// An option that the pass does not have, or a value that is none of it.
    pub fn make(&self, settings: &Settings) -> Result<AnyPass> {
        let known = |name: &str| self.about.options.iter().any(|o| o.name == name);
        if let Some((name, _)) = settings.values.iter().find(|(name, _)| !known(name)) {
            let text = format!("`{}` has no option `{name}`", self.about.name);
            let names: Vec<&str> = self.about.options.iter().map(|o| o.name).collect();
            let help = match names.as_slice() {
                [] => "it has none".to_string(),
                names => format!("it has: {}", names.join(", ")),
            };
            return Err(Diagnostic::error(Code::Usage, text).help(help));
        }
        (self.make)(settings)
    }
}

/// Passes by name.
#[derive(Clone)]
pub struct Registry {
    entries: BTreeMap<&'static str, Entry>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.keys()).finish()
    }
}

/// Registries are equal if they list the same passes.
impl PartialEq for Registry {
    fn eq(&self, other: &Registry) -> bool {
        self.entries
            .values()
            .map(|e| e.about)
            .eq(other.entries.values().map(|e| e.about))
    }
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::standard()
    }
}

macro_rules! add {
    ($(#[$doc:meta])* $fn:ident, $trait:ident) => {
        $(#[$doc])*
        ///
        /// `new` makes it with its defaults. It replaces a pass of the same name.
        #[must_use]
        pub fn $fn<P: $trait>(mut self, new: impl Fn() -> P + Send + Sync + 'static) -> Registry {
            let make = move |settings: &Settings| AnyPass::$fn(new(), settings);
            let entry = Entry { about: About::$fn::<P>(), make: Arc::new(make) };
            self.entries.insert(P::NAME, entry);
            self
        }
    };
}

impl Registry {
    /// No passes.
    pub fn empty() -> Registry {
        Registry {
            entries: BTreeMap::new(),
        }
    }

    add!(
        /// Adds a pass over hlo.
        hlo, HloPass);
    add!(
        /// Adds a pass over tiles.
        tile, TilePass);
    add!(
        /// Adds a pass over instructions.
        isa, IsaPass);
    add!(
        /// Adds a pass from level to level.
        step, StepPass);

    /// Ours.
    pub fn standard() -> Registry {
        Registry::empty()
            .hlo(|| hlo::AutoCast)
            .hlo(|| hlo::Canonicalize)
            .hlo(|| hlo::CombineAffine)
            .hlo(hlo::Egraph::default)
            .hlo(|| hlo::ExpandOps)
            .hlo(|| hlo::FoldConstants)
            .hlo(|| hlo::HoistNarrowing)
            .hlo(|| hlo::HoistScalars)
            .hlo(|| hlo::Inline)
            .hlo(|| hlo::Legalize64bit)
            .hlo(|| hlo::legalize::LegalizeComplex)
            .hlo(|| hlo::legalize::LegalizeControlFlow)
            .hlo(|| hlo::legalize::LegalizeConvolution)
            .hlo(|| hlo::legalize::LegalizeData)
            .hlo(|| hlo::legalize::LegalizeGather)
            .hlo(|| hlo::legalize::int64::LegalizeInt64)
            .hlo(|| hlo::legalize::LegalizeIntegerContraction)
            .hlo(|| hlo::legalize::LegalizeLinearAlgebra)
            .hlo(|| hlo::LegalizeQuantized)
            .hlo(|| hlo::legalize::LegalizeRandom)
            .hlo(|| hlo::legalize::LegalizeReduce)
            .hlo(|| hlo::legalize::LegalizeScatter)
            .hlo(|| hlo::legalize::LegalizeSelectAndScatter)
            .hlo(|| hlo::legalize::LegalizeSmallTypes)
            .hlo(|| hlo::legalize::LegalizeSort)
            .hlo(|| hlo::legalize::LegalizeWindow)
            .hlo(|| hlo::legalize::SumByMatmul)
            .hlo(|| hlo::MergeEqualOps)
            .hlo(|| hlo::OrientContractions)
            .hlo(|| hlo::OrientConvolutions)
            .hlo(|| hlo::RecognizeActivations)
            .hlo(|| hlo::RemoveBarriers)
            .hlo(|| hlo::RemoveDeadOps)
            .hlo(|| hlo::ScaleContractions)
            .hlo(|| hlo::SimplifyGathers)
            .hlo(|| hlo::SplitContractions)
            .hlo(|| hlo::SplitReductions)
            .step(lower::LowerToTiles::default)
            .tile(tile::AssignEngines::default)
            .tile(tile::Spill::default)
            .step(tile::Schedule::default)
            .step(tile::Place::default)
            .step(|| tile::CheckPlacement)
            .step(tile::Synchronise::default)
            .step(|| tile::Encode)
            .step(|| tile::GenerateCode)
            .isa(|| tile::CheckSync)
    }

    /// The passes, by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The pass with this name.
    ///
    /// # Errors
    /// An unknown name; the error names similar ones.
    pub fn get(&self, name: &str) -> Result<&Entry> {
        self.entries.get(name).ok_or_else(|| {
            let error = Diagnostic::error(Code::Usage, format!("no pass `{name}`"));
            let shares_a_word = |known: &&str| known.split('-').any(|part| name.split('-').any(|p| p == part));
            let similar: Vec<&str> = self.entries.keys().copied().filter(shares_a_word).collect();
            if similar.is_empty() {
                error.help("`ferrite passes` lists them")
            } else {
                let names = similar.join(", ");
                error.help(format!("similar names: {names}; `ferrite passes` lists all"))
            }
        })
    }
}

/// One of our passes, with its defaults.
pub fn find(name: &str) -> Option<AnyPass> {
    let registry = Registry::standard();
    registry.get(name).and_then(|e| e.make(&Settings::default())).ok()
}

#[cfg(test)]
mod tests {
    use ferrite_ir::hlo::Module;

    use super::*;
    use crate::pass::{Changed, PassContext};

    #[test]
    fn names_are_kebab_case_and_everything_is_documented() {
        let kebab = |name: &str| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !name.is_empty() && name.chars().all(fits)
        };
        for entry in Registry::standard().entries() {
            let about = &entry.about;
            assert!(kebab(about.name) && about.doc.ends_with('.'), "{}", about.name);
            for option in about.options {
                let documented = !option.doc.is_empty() && !option.default.is_empty();
                assert!(kebab(option.name) && documented, "{} {}", about.name, option.name);
            }
        }
    }

    #[test]
    fn unknown_names_and_options_come_with_advice() {
        let registry = Registry::standard();
        let error = registry.get("remove-ops").err().unwrap();
        assert!(error.help.unwrap().contains("remove-dead-ops"));
        let settings = Settings {
            pass: "schedule".into(),
            values: vec![("ahead".into(), "1".into())],
        };
        let error = registry.get("schedule").unwrap().make(&settings).err().unwrap();
        assert!(error.help.unwrap().contains("lookahead"));
    }

    #[test]
    fn a_pass_from_elsewhere_is_found() {
        struct Mine;
        impl HloPass for Mine {
            const NAME: &'static str = "mine";
            const DOC: &'static str = "Nothing.";
            fn run(&self, _: &mut Module, _: &mut PassContext<'_>) -> Result<Changed> {
                Ok(Changed::No)
            }
        }
        let registry = Registry::standard().hlo(|| Mine);
        assert_eq!(registry.get("mine").unwrap().about.doc, "Nothing.");
        assert_ne!(registry, Registry::standard());
    }
}
