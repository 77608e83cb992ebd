//! A NEFF as programs and what is known about them.

use std::path::Path;

use bytes::Bytes;
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{IoTensor, Program, VarKind};

use crate::archive::{Compression, Files, ReadOptions};
use crate::container::Container;
use crate::encoding::{self, Code};
use crate::error::{io as io_error, malformed};
use crate::graph::{self, get_json, put_json};
use crate::header::Header;
use crate::schema::{
    GraphAlias, GraphFile, GraphNode, GraphTensor, HloStatsFile, InfoFile, Kelf, KelfGraph, MetricsFile,
};

/// A compiled model.
#[derive(Clone, Debug, PartialEq)]
pub struct Neff {
    /// Network name: the output path without its extension ([`Neff::network_name`]).
    pub name: String,
    /// Physical cores per logical core.
    pub lnc_size: u32,
    /// Operations of the module that was compiled.
    pub hlo_op_count: u64,
    /// One program per physical core, at least one.
    pub programs: Vec<Program>,
}

/// A NEFF whose instructions are not decoded yet: they can come one by one, and need not be there together.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// All else. The programs' streams are empty.
    pub neff: Neff,
    /// By program, the instructions of the engines in the order of [`ferrite_ir::isa::Engine::ALL`].
    pub code: Vec<[Code; 5]>,
}

/// How to write a NEFF.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// Form of the archive.
    pub compression: Compression,
}

const KELF: &str = "kelf-0.json";
const OLD_KELF: &str = "kelf-a.json";
const GRAPH: &str = "neff.json";
const INFO: &str = "info.json";
const HLO_STATS: &str = "hlo_stats.json";
const METRICS: &str = "metrics.json";

impl Neff {
    /// A NEFF of one program for one core.
    pub fn new(name: impl Into<String>, program: Program) -> Neff {
        Neff {
            name: name.into(),
            lnc_size: 1,
            hlo_op_count: 0,
            programs: vec![program],
        }
    }

    /// The network name that belongs to an output path.
    pub fn network_name(output: &str) -> &str {
        output.strip_suffix(".neff").unwrap_or(output)
    }

    /// Floating-point operations of the model on all cores.
    pub fn model_flops(&self) -> u64 {
        self.programs.iter().fold(0, |sum, p| sum.saturating_add(p.model_flops))
    }

    /// Header and files. The same NEFF always gives the same bytes.
    ///
    /// # Errors
    /// [`ferrite_ir::diag::Code::Bug`] if a program contradicts itself (two variables of one name, a constant without
    /// data, more than 255 cores).
    pub fn to_container(&self) -> Result<Container, Diagnostic> {
        let cores = u8::try_from(self.programs.len()).ok().filter(|&n| n > 0);
        let cores = cores.ok_or_else(|| Diagnostic::bug(format!("a NEFF of {} programs", self.programs.len())))?;
        let mut files = Files::new();
        let mut kelf = Kelf {
            version: "0.5".to_string(),
            graphs: Vec::new(),
        };
        let mut graph = GraphFile::default();
        let mut metrics = MetricsFile::default();
        for (index, program) in self.programs.iter().enumerate() {
            let folder = format!("sg{index:02}");
            graph::write(program, &folder, &mut files)?;
            count(program, &mut metrics);
            graph.nodes.push(GraphNode {
                name: folder.clone(),
                executor: "neuron_core".to_string(),
                inputs: program.inputs.iter().map(to_tensor).collect::<Result<_, _>>()?,
                outputs: program.outputs.iter().map(to_tensor).collect::<Result<_, _>>()?,
            });
            kelf.graphs.push(KelfGraph {
                definition: format!("{folder}/def.json"),
                name: folder,
            });
        }
        let info = InfoFile {
            compiler: "ferrite".to_string(),
            compiler_version: env!("CARGO_PKG_VERSION").to_string(),
            target: self.programs[0].target.clone(),
            ferrite_encoding_version: encoding::VERSION,
        };
        let model_flops = self.model_flops();
        let stats = HloStatsFile {
            hlo_mac_count: model_flops / 2,
            model_flops,
            hlo_op_count: self.hlo_op_count,
        };
        put_json(&mut files, KELF, &kelf)?;
        put_json(&mut files, GRAPH, &graph)?;
        put_json(&mut files, INFO, &info)?;
        put_json(&mut files, HLO_STATS, &stats)?;
        put_json(&mut files, METRICS, &metrics)?;
        Ok(Container {
            header: Header::new(&self.name, cores, self.lnc_size),
            files,
        })
    }

    /// The file's bytes. Errors as [`Neff::to_container`].
    pub fn write(&self, options: &WriteOptions) -> Result<Vec<u8>, Diagnostic> {
        let mut out = std::io::Cursor::new(Vec::new());
        let mut container = self.to_container()?;
        container
            .write(options.compression, &mut out)
            .map_err(|e| io_error(&self.name, &e))?;
        Ok(out.into_inner())
    }

    /// Writes the file whole or not at all. Constants are streamed, not copied.
    pub fn write_file(&self, options: &WriteOptions, path: &Path) -> Result<(), Diagnostic> {
        self.to_container()?.write_file(options.compression, path)
    }

    /// Reads a NEFF that Ferrite wrote, and checks its structure.
    pub fn read(file: &[u8]) -> Result<Neff, Diagnostic> {
        Neff::read_with(Bytes::copy_from_slice(file), &ReadOptions::default())
    }

    /// Reads a NEFF from a path.
    pub fn read_file(path: &Path) -> Result<Neff, Diagnostic> {
        let file = std::fs::read(path).map_err(|e| io_error(&path.display().to_string(), &e))?;
        Neff::read_with(file.into(), &ReadOptions::default())
    }

    /// As [`Neff::read`], with limits and checks of the caller's choice.
    pub fn read_with(file: Bytes, options: &ReadOptions) -> Result<Neff, Diagnostic> {
        Neff::from_container(&Container::read(file, options)?)
    }

    /// Reads a NEFF from a path, all but its instructions.
    ///
    /// # Errors
    /// As [`Neff::read_file`], without what is wrong with an instruction.
    pub fn stream_file(path: &Path) -> Result<Streamed, Diagnostic> {
        let file = std::fs::read(path).map_err(|e| io_error(&path.display().to_string(), &e))?;
        Neff::stream(file.into())
    }

    /// The same of a file in memory.
    ///
    /// # Errors
    /// As [`Neff::stream_file`].
    pub fn stream(file: Bytes) -> Result<Streamed, Diagnostic> {
        let container = Container::read(file, &ReadOptions::default())?;
        let (neff, code) = Neff::from_parts(&container, false)?;
        Ok(Streamed { neff, code })
    }

    /// Reads the programs of a container.
    pub fn from_container(container: &Container) -> Result<Neff, Diagnostic> {
        Neff::from_parts(container, true).map(|(neff, _)| neff)
    }

    /// Programs, with their instructions decoded or beside them.
    fn from_parts(container: &Container, decode: bool) -> Result<(Neff, Vec<[Code; 5]>), Diagnostic> {
        let Container { header, files } = container;
        if !header.is_ferrite() {
            return Err(
                malformed("header", "not written by Ferrite: the private feature bit is not set")
                    .help("instructions of other compilers cannot be read: their encoding is not public"),
            );
        }
        let kelf: Kelf = get_json(files, if files.contains_key(KELF) { KELF } else { OLD_KELF })?;
        let graph: GraphFile = get_json(files, GRAPH)?;
        if kelf.graphs.is_empty() || kelf.graphs.len() != graph.nodes.len() {
            let (graphs, nodes) = (kelf.graphs.len(), graph.nodes.len());
            return Err(malformed(KELF, format!("{graphs} graphs, `{GRAPH}` has {nodes} nodes")));
        }
        let (mut programs, mut all_code) = (Vec::new(), Vec::new());
        for (entry, node) in kelf.graphs.iter().zip(graph.nodes) {
            let (mut program, code) = graph::read(&entry.name, &entry.definition, files, decode)?;
            program.inputs = node.inputs.into_iter().map(from_tensor).collect::<Result<_, _>>()?;
            program.outputs = node.outputs.into_iter().map(from_tensor).collect::<Result<_, _>>()?;
            check_tensors(&program)?;
            graph::check(&program)?;
            programs.push(program);
            all_code.push(code);
        }
        let stats: HloStatsFile = get_json(files, HLO_STATS)?;
        let neff = Neff {
            name: header.name.clone(),
            lnc_size: header.lnc_size,
            hlo_op_count: stats.hlo_op_count,
            programs,
        };
        Ok((neff, all_code))
    }
}

/// Every variable of the caller and every alias names a tensor that is there.
fn check_tensors(program: &Program) -> Result<(), Diagnostic> {
    for var in &program.vars {
        let (index, all, what) = match var.kind {
            VarKind::Input { index } => (index, program.inputs.len(), "input"),
            VarKind::Output { index } => (index, program.outputs.len(), "output"),
            _ => continue,
        };
        if index as usize >= all {
            return Err(malformed(
                GRAPH,
                format!("variable `{}` is {what} {index} of {all}", var.name),
            ));
        }
    }
    let inputs = program.inputs.len();
    match program
        .outputs
        .iter()
        .find(|t| t.alias.is_some_and(|input| input as usize >= inputs))
    {
        Some(tensor) => Err(malformed(
            GRAPH,
            format!("`{}` shares its buffer with an input that is not there", tensor.name),
        )),
        None => Ok(()),
    }
}

fn count(program: &Program, metrics: &mut MetricsFile) {
    metrics.instructions += program.instruction_count() as u64;
    metrics.dma_transfers += program.transfers.len() as u64;
    metrics.scratch_bytes = metrics.scratch_bytes.saturating_add(program.scratch_bytes());
    for var in &program.vars {
        let total = match var.kind {
            VarKind::Input { .. } => &mut metrics.input_bytes,
            VarKind::Output { .. } => &mut metrics.output_bytes,
            VarKind::Const => &mut metrics.constant_bytes,
            VarKind::Scratch { .. } => continue,
        };
        *total = total.saturating_add(var.bytes);
    }
}

/// Element type as clients of the runtime know it: no booleans, no complex numbers, `int8` for 8-bit floats.
fn client_dtype(dtype: DType) -> &'static str {
    use DType::*;
    match dtype {
        Bool | U2 | U4 | U8 => "uint8",
        I2 | I4 | I8 => "int8",
        F4E2M1FN | F6E2M3FN | F6E3M2FN | F8E3M4 | F8E4M3 | F8E4M3FN | F8E4M3FNUZ | F8E4M3B11FNUZ | F8E5M2
        | F8E5M2FNUZ | F8E8M0FNU => "int8",
        I16 => "int16",
        U16 => "uint16",
        I32 => "int32",
        U32 => "uint32",
        I64 => "int64",
        U64 => "uint64",
        BF16 => "bfloat16",
        F16 => "float16",
        TF32 | F32 => "float32",
        // Not in the published list; the vendor's tools have no tensors of these.
        F64 => "float64",
        C64 => "complex64",
        C128 => "complex128",
    }
}

fn to_tensor(tensor: &IoTensor) -> Result<GraphTensor, Diagnostic> {
    let size = tensor.shape.iter().try_fold(tensor.dtype.bytes() as u64, |n, &d| {
        n.checked_mul(u64::try_from(d).ok()?)
    });
    let size = size.ok_or_else(|| Diagnostic::bug(format!("tensor `{}` has no size", tensor.name)))?;
    if tensor.must_alias && tensor.alias.is_none() {
        return Err(Diagnostic::bug(format!(
            "tensor `{}` must share a buffer, but with none",
            tensor.name
        )));
    }
    Ok(GraphTensor {
        name: tensor.name.clone(),
        size,
        shape: tensor.shape.clone(),
        dtype: client_dtype(tensor.dtype).to_string(),
        format: ["", "N", "NC"].get(tensor.shape.len()).unwrap_or(&"").to_string(),
        ferrite_dtype: tensor.dtype.to_string(),
        ferrite_alias: tensor.alias.map(|input| GraphAlias {
            input,
            must: tensor.must_alias,
        }),
    })
}

fn from_tensor(tensor: GraphTensor) -> Result<IoTensor, Diagnostic> {
    let dtype = DType::from_mlir(&tensor.ferrite_dtype);
    let dtype = dtype.ok_or_else(|| {
        malformed(
            GRAPH,
            format!("`{}`: `{}` is no element type", tensor.name, tensor.ferrite_dtype),
        )
    })?;
    let read = IoTensor {
        name: tensor.name,
        dtype,
        shape: tensor.shape,
        alias: tensor.ferrite_alias.map(|a| a.input),
        must_alias: tensor.ferrite_alias.is_some_and(|a| a.must),
    };
    match to_tensor(&read) {
        Ok(again) if again.size == tensor.size => Ok(read),
        _ => Err(malformed(
            GRAPH,
            format!("`{}`: {} bytes do not fit its shape", read.name, tensor.size),
        )),
    }
}
