//! What a NEFF holds, in figures.

use std::collections::BTreeMap;
use std::path::Path;

use ferrite_ir::diag::Result;
use ferrite_ir::isa::{IoTensor, Program, VarKind};
use ferrite_ir::machine::Engine;
use ferrite_neff::Neff;
use ferrite_neff::{Container, ReadOptions};
use serde::Serialize;

use crate::files;

/// A NEFF, described. Field names are part of the command line's contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The header.
    pub header: HeaderInfo,
    /// Files of the archive with their sizes in bytes.
    pub files: BTreeMap<String, u64>,
    /// One description per core.
    pub programs: Vec<ProgramInfo>,
}

/// Fields of the header.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeaderInfo {
    /// Network name.
    pub name: String,
    /// Who wrote it.
    pub build_version: String,
    /// NEFF version.
    pub version: String,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// MD5 of the archive.
    pub hash: String,
    /// UUID.
    pub uuid: String,
    /// Feature bits, hexadecimal.
    pub feature_bits: String,
    /// Cores.
    pub cores: u32,
    /// Physical cores of a logical core.
    pub lnc_size: u32,
    /// Whether the instructions are in Ferrite's encoding.
    pub ferrite: bool,
}

/// The program of one core.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgramInfo {
    /// Target.
    pub target: String,
    /// Inputs in the order of the caller.
    pub inputs: Vec<TensorInfo>,
    /// Outputs in the order of the caller.
    pub outputs: Vec<TensorInfo>,
    /// Static instructions.
    pub instructions: usize,
    /// Static instructions per engine.
    pub instructions_per_engine: BTreeMap<&'static str, usize>,
    /// Static DMA transfers.
    pub dma_transfers: usize,
    /// Static DMA elements of all transfers.
    pub dma_elements: usize,
    /// DMA queues with their owners.
    pub queues: BTreeMap<String, &'static str>,
    /// HBM variables.
    pub variables: usize,
    /// Bytes of constants.
    pub constant_bytes: u64,
    /// Bytes of scratch space in HBM.
    pub scratch_bytes: u64,
    /// Floating-point operations of the model's contractions.
    pub model_flops: u64,
}

/// An input or output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorInfo {
    /// Name.
    pub name: String,
    /// StableHLO element type.
    pub dtype: String,
    /// Shape.
    pub shape: Vec<i64>,
    /// For an output: the input whose buffer it may or must share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<u32>,
}

/// Reads and describes a NEFF.
pub fn inspect(path: &Path) -> Result<(Neff, Inspection)> {
    let file = files::read(path)?;
    let file_bytes = file.len() as u64;
    let container = Container::read(file.into(), &ReadOptions::default())?;
    let neff = Neff::from_container(&container)?;
    let header = &container.header;
    let inspection = Inspection {
        header: HeaderInfo {
            name: header.name.clone(),
            build_version: header.build_version.clone(),
            version: format!("{}.{}", header.version.0, header.version.1),
            file_bytes,
            hash: header.hash_hex(),
            uuid: header.uuid_hex(),
            feature_bits: format!("{:#018x}", header.feature_bits),
            lnc_size: header.lnc_size,
            cores: header.num_tpb,
            ferrite: header.is_ferrite(),
        },
        files: container
            .files
            .iter()
            .map(|(name, data)| (name.clone(), data.len() as u64))
            .collect(),
        programs: neff.programs.iter().map(describe).collect(),
    };
    Ok((neff, inspection))
}

/// Describes a program.
pub fn describe(program: &Program) -> ProgramInfo {
    let constants = program.vars.iter().filter(|v| v.kind == VarKind::Const);
    ProgramInfo {
        target: program.target.clone(),
        inputs: program.inputs.iter().map(tensor).collect(),
        outputs: program.outputs.iter().map(tensor).collect(),
        instructions: program.instruction_count(),
        instructions_per_engine: Engine::ALL
            .iter()
            .map(|&e| (e.name(), program.stream(e).len()))
            .collect(),
        dma_transfers: program.transfers.len(),
        dma_elements: program.transfers.iter().map(|t| t.elements.len()).sum(),
        queues: program
            .queues
            .iter()
            .map(|q| (q.name.clone(), q.owner.name()))
            .collect(),
        variables: program.vars.len(),
        constant_bytes: constants.map(|v| v.bytes).sum(),
        scratch_bytes: program.scratch_bytes(),
        model_flops: program.model_flops,
    }
}

fn tensor(tensor: &IoTensor) -> TensorInfo {
    TensorInfo {
        name: tensor.name.clone(),
        dtype: tensor.dtype.to_string(),
        shape: tensor.shape.clone(),
        alias: tensor.alias,
    }
}
