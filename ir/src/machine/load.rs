//! Reads target files: takes the provenance off every number, then fills the typed sections.
//!
//! A number is `{ value = 8, source = "A2" }`, `{ value = 8, assumed = "why" }`, or bare inside a section that has `source` or
//! `assumed` itself. Source tags must stand in the file's `[sources]` table.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::params::{
    Chip, Clocks, Collectives, Concurrency, Dma, GpSimd, Hbm, Instance, Limits, Pe, Peak, Psum, Sbuf, Scalar, Sync,
    Vector,
};
use super::{CostModel, Generation, MachineModel};
use crate::diag::{Code, Diagnostic};

/// The version of the file layout this reader knows.
const SCHEMA_VERSION: i64 = 1;

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// A tag of [`MachineModel::sources`].
    Source(String),
    /// Not public; the reason for our choice.
    Assumed(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    generation: Generation,
    core: String,
    clocks: Clocks,
    sbuf: Sbuf,
    psum: Psum,
    hbm: Hbm,
    dma: Dma,
    pe: Pe,
    vector: Vector,
    scalar: Scalar,
    gpsimd: GpSimd,
    sync: Sync,
    limits: Limits,
    concurrency: Concurrency,
    collectives: Collectives,
    chip: Chip,
    peak: Peak,
    #[serde(default)]
    instances: Vec<Instance>,
}

struct Reader {
    sources: BTreeMap<String, String>,
    provenance: BTreeMap<String, Provenance>,
}

pub(super) fn from_toml(text: &str) -> Result<MachineModel, Diagnostic> {
    let mut table: Table = toml::from_str(text).map_err(|e| error(format!("target file: {e}")))?;
    match table.remove("schema_version") {
        Some(Value::Integer(SCHEMA_VERSION)) => {}
        Some(other) => {
            return Err(error(format!(
                "target file: `schema_version` is {other}; this build reads {SCHEMA_VERSION}"
            )));
        }
        None => return Err(error("target file: `schema_version` is missing")),
    }
    let sources = match table.remove("sources") {
        Some(value) => value
            .try_into()
            .map_err(|e| error(format!("target file: `sources`: {e}")))?,
        None => BTreeMap::new(),
    };
    let mut reader = Reader {
        sources,
        provenance: BTreeMap::new(),
    };
    let value = reader.strip(Value::Table(table), "", None)?;
    let file: File = value.try_into().map_err(|e| error(format!("target file: {e}")))?;
    let model = MachineModel {
        name: file.name,
        generation: file.generation,
        core: file.core,
        cost_model: CostModel::Calibrated,
        clocks: file.clocks,
        sbuf: file.sbuf,
        psum: file.psum,
        hbm: file.hbm,
        dma: file.dma,
        pe: file.pe,
        vector: file.vector,
        scalar: file.scalar,
        gpsimd: file.gpsimd,
        sync: file.sync,
        limits: file.limits,
        concurrency: file.concurrency,
        collectives: file.collectives,
        chip: file.chip,
        peak: file.peak,
        instances: file.instances,
        provenance: reader.provenance,
        sources: reader.sources,
    };
    check(&model)?;
    Ok(model)
}

impl Reader {
    /// Removes `value`/`source`/`assumed` wrappers below `path`; `inherited` is what the enclosing section says.
    fn strip(&mut self, value: Value, path: &str, inherited: Option<&Provenance>) -> Result<Value, Diagnostic> {
        match value {
            Value::Table(mut table) => {
                let own = self.take_provenance(&mut table, path)?;
                let provenance = own.as_ref().or(inherited);
                if let Some(inner) = table.remove("value") {
                    if let Some(extra) = table.keys().next() {
                        return Err(error(format!("target file: `{path}` has a stray key `{extra}`")));
                    }
                    if own.is_none() {
                        return Err(error(format!(
                            "target file: `{path}` has a value but neither `source` nor `assumed`"
                        )));
                    }
                    return self.strip(inner, path, provenance);
                }
                let mut out = Table::new();
                for (key, inner) in table {
                    let inner_path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    out.insert(key, self.strip(inner, &inner_path, provenance)?);
                }
                Ok(Value::Table(out))
            }
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (i, item) in items.into_iter().enumerate() {
                    let item_path = if item.is_table() {
                        format!("{path}.{i}")
                    } else {
                        path.to_owned()
                    };
                    out.push(self.strip(item, &item_path, inherited)?);
                }
                Ok(Value::Array(out))
            }
            Value::Integer(_) | Value::Float(_) => match inherited {
                Some(provenance) => {
                    self.provenance.insert(path.to_owned(), provenance.clone());
                    Ok(value)
                }
                None => Err(error(format!(
                    "target file: `{path}` has neither `source` nor `assumed`"
                ))),
            },
            other => Ok(other),
        }
    }

    fn take_provenance(&self, table: &mut Table, path: &str) -> Result<Option<Provenance>, Diagnostic> {
        match (table.remove("source"), table.remove("assumed")) {
            (None, None) => Ok(None),
            (Some(Value::String(tag)), None) => {
                if !self.sources.contains_key(&tag) {
                    return Err(error(format!(
                        "target file: `{path}` cites `{tag}`, which is not in `[sources]`"
                    )));
                }
                Ok(Some(Provenance::Source(tag)))
            }
            (None, Some(Value::String(reason))) if !reason.is_empty() => Ok(Some(Provenance::Assumed(reason))),
            (Some(_), Some(_)) => Err(error(format!("target file: `{path}` has both `source` and `assumed`"))),
            _ => Err(error(format!(
                "target file: `source` and `assumed` of `{path}` are non-empty strings"
            ))),
        }
    }
}

/// Refuses values that the cost functions and the simulator cannot work with.
fn check(m: &MachineModel) -> Result<(), Diagnostic> {
    let positive: [(&str, f64); 34] = [
        ("clocks.tensor_mhz", m.clocks.tensor_mhz as f64),
        ("clocks.vector_mhz", m.clocks.vector_mhz as f64),
        ("clocks.scalar_mhz", m.clocks.scalar_mhz as f64),
        ("clocks.gpsimd_mhz", m.clocks.gpsimd_mhz as f64),
        ("clocks.sync_mhz", m.clocks.sync_mhz as f64),
        ("clocks.profiler_mhz", m.clocks.profiler_mhz as f64),
        ("sbuf.partitions", m.sbuf.partitions as f64),
        ("sbuf.address_alignment_bytes", m.sbuf.address_alignment_bytes as f64),
        ("psum.partitions", m.psum.partitions as f64),
        ("psum.banks", m.psum.banks as f64),
        ("psum.bytes_per_bank", m.psum.bytes_per_bank as f64),
        ("psum.address_alignment_bytes", m.psum.address_alignment_bytes as f64),
        ("hbm.address_alignment_bytes", m.hbm.address_alignment_bytes as f64),
        ("hbm.cap_gb_per_s", m.hbm.cap_gb_per_s),
        ("hbm.interleave_ways", m.hbm.interleave_ways as f64),
        ("hbm.interleave_bytes", m.hbm.interleave_bytes as f64),
        ("dma.engines", m.dma.engines as f64),
        ("dma.queues_per_engine", m.dma.queues_per_engine as f64),
        ("dma.partitions_per_engine", m.dma.partitions_per_engine as f64),
        ("dma.bytes_per_ns_per_engine", m.dma.bytes_per_ns_per_engine),
        ("dma.store_bytes_per_ns_per_engine", m.dma.store_bytes_per_ns_per_engine),
        ("dma.burst_bytes_per_ns_per_engine", m.dma.burst_bytes_per_ns_per_engine),
        ("dma.bytes_per_descriptor_max", m.dma.bytes_per_descriptor_max as f64),
        (
            "dma.transpose_efficiency_hbm_to_sbuf",
            m.dma.transpose_efficiency_hbm_to_sbuf,
        ),
        (
            "dma.transpose_efficiency_sbuf_to_sbuf",
            m.dma.transpose_efficiency_sbuf_to_sbuf,
        ),
        ("dma.compute_efficiency", m.dma.compute_efficiency),
        ("dma.accumulate_efficiency", m.dma.accumulate_efficiency),
        ("pe.load_columns_per_cycle", m.pe.load_columns_per_cycle as f64),
        ("pe.transpose_fp32_speedup", m.pe.transpose_fp32_speedup as f64),
        (
            "pe.background_transpose_speedup",
            m.pe.background_transpose_speedup as f64,
        ),
        ("pe.ramp_initial", m.pe.ramp_initial),
        ("limits.partitions", m.limits.partitions as f64),
        ("limits.quadrant_partitions", m.limits.quadrant_partitions as f64),
        ("gpsimd.gather_group_elements", m.gpsimd.gather_group_elements as f64),
    ];
    for (path, value) in positive {
        if !(value.is_finite() && value > 0.0) {
            return Err(error(format!(
                "target file: `{path}` is {value}; it has to be positive"
            )));
        }
    }
    if m.psum.banks * m.psum.bytes_per_bank != m.psum.bytes_per_partition {
        return Err(error(
            "target file: `psum.banks` x `psum.bytes_per_bank` is not `psum.bytes_per_partition`",
        ));
    }
    if m.sbuf.usable_bytes_per_partition > m.sbuf.bytes_per_partition {
        return Err(error(
            "target file: `sbuf.usable_bytes_per_partition` exceeds `sbuf.bytes_per_partition`",
        ));
    }
    if !(1..=62).contains(&m.sync.semaphore_bits) {
        return Err(error(format!(
            "target file: `sync.semaphore_bits` is {}; it has to be in 1..=62",
            m.sync.semaphore_bits
        )));
    }
    Ok(())
}

fn error(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::Parse, message)
}
