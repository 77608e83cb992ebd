//! The lowering as a pass.

use ferrite_ir::diag::{Diagnostic, Result};

use super::{LowerOptions, lower};
use crate::options::{PassOption, Settings};
use crate::pass::{Changed, Level, PassContext, Property, StepPass};
use crate::program::Program;

/// See [`lower`].
#[derive(Default)]
pub struct LowerToTiles {
    cluster_ops: Option<usize>,
    cache_bytes: Option<usize>,
    layer_us: Option<usize>,
}

impl StepPass for LowerToTiles {
    const NAME: &'static str = "lower";
    const DOC: &'static str = "Goes from tensors to tiles: clusters of operations that share data on chip, their tiling, and the instructions that compute them.";
    const LEVEL: Level = Level::Hlo;
    const RESULT: Level = Level::Tile;
    const REQUIRES: &'static [Property] = &[Property::Inlined, Property::StaticShapes];
    const OPTIONS: &'static [PassOption] = &[
        PassOption {
            name: "cluster-ops",
            doc: "operations in one cluster at most",
            default: "48",
        },
        PassOption {
            name: "cache-bytes",
            doc: "bytes per partition that cached tiles may take together",
            default: "a share of the machine's SBUF",
        },
        PassOption {
            name: "layer-us",
            doc: "least time of layers between which nothing stays on chip, so that they can become a loop, microseconds",
            default: "300",
        },
    ];

    fn set(&mut self, options: &Settings) -> Result<()> {
        let number = |name: &str| -> Result<Option<usize>> {
            let mut value = 0;
            options.read(name, &mut value)?;
            Ok(options.get(name).map(|_| value))
        };
        self.cluster_ops = number("cluster-ops")?;
        self.cache_bytes = number("cache-bytes")?;
        self.layer_us = number("layer-us")?;
        Ok(())
    }

    fn run(&self, program: &mut Program, cx: &mut PassContext<'_>) -> Result<Changed> {
        let Program::Hlo(module) = program else {
            return Err(Diagnostic::bug("`lower` ran on another level than hlo"));
        };
        let defaults = LowerOptions::new(cx.machine);
        let options = LowerOptions {
            input_names: cx.options.input_names.clone(),
            output_names: cx.options.output_names.clone(),
            cluster_ops: self.cluster_ops.unwrap_or(defaults.cluster_ops),
            cache_bytes: self.cache_bytes.unwrap_or(defaults.cache_bytes),
            layer_ps: self
                .layer_us
                .map_or(defaults.layer_ps, |us| (us as u64).saturating_mul(1_000_000)),
        };
        *program = lower(module, cx.machine, &options)?.into();
        Ok(Changed::Yes)
    }
}
