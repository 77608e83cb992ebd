//! The JSON files of a NEFF, as Rust types.
//!
//! `kelf-0.json`, `def.json` and the engine files follow the published description field by field (names, defaults,
//! units); defaults are left out when writing. `neff.json`, `info.json`, `hlo_stats.json` and `metrics.json` have no
//! published schema: theirs is our assumption. Keys that start with `ferrite_` are ours everywhere. Unknown keys are
//! skipped when reading, so that files of other writers can be looked at.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ferrite_ir::machine::Engine;
use ferrite_ir::machine::cost::DgeMode;
use serde::{Deserialize, Serialize};

/// `kelf-0.json`: the graphs of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kelf {
    /// Version of this description.
    pub version: String,
    /// One graph per physical core.
    pub graphs: Vec<KelfGraph>,
}

/// One entry of [`Kelf`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KelfGraph {
    /// Folder name: `sg00`.
    pub name: String,
    /// Path of the definition: `sg00/def.json`.
    pub definition: String,
}

/// `def.json`: engine files, queues and variables of one core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// `definition`.
    pub name: String,
    /// Engine description of TensorE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pe: String,
    /// Engine description of ScalarE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub act: String,
    /// Engine description of GpSimdE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pool: String,
    /// Engine description of VectorE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dve: String,
    /// Engine description of SyncE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sp: String,
    /// Instructions of TensorE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pe_instr: String,
    /// Instructions of ScalarE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub act_instr: String,
    /// Instructions of GpSimdE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pool_instr: String,
    /// Instructions of VectorE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dve_instr: String,
    /// Instructions of SyncE.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sp_instr: String,
    /// Queue sets by name.
    #[serde(default)]
    pub dma_queue: BTreeMap<String, QueueSet>,
    /// Variables by name.
    #[serde(default)]
    pub var: BTreeMap<String, Variable>,
    /// Target that the instructions are for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ferrite_target: String,
    /// Floating-point operations of the model's contractions on this core.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ferrite_model_flops: u64,
}

impl Definition {
    /// Names of an engine's description and instruction files.
    pub fn engine_files(&self, engine: Engine) -> (&str, &str) {
        match engine {
            Engine::Tensor => (&self.pe, &self.pe_instr),
            Engine::Vector => (&self.dve, &self.dve_instr),
            Engine::Scalar => (&self.act, &self.act_instr),
            Engine::GpSimd => (&self.pool, &self.pool_instr),
            Engine::Sync => (&self.sp, &self.sp_instr),
        }
    }

    /// Sets what [`Definition::engine_files`] gives.
    pub fn set_engine_files(&mut self, engine: Engine, description: String, instructions: String) {
        let (json, bin) = match engine {
            Engine::Tensor => (&mut self.pe, &mut self.pe_instr),
            Engine::Vector => (&mut self.dve, &mut self.dve_instr),
            Engine::Scalar => (&mut self.act, &mut self.act_instr),
            Engine::GpSimd => (&mut self.pool, &mut self.pool_instr),
            Engine::Sync => (&mut self.sp, &mut self.sp_instr),
        };
        (*json, *bin) = (description, instructions);
    }
}

/// Name of an engine in file names: `PE`, `DVE`, `Activation`, `Pool`, `SP`.
pub const fn engine_file_name(engine: Engine) -> &'static str {
    match engine {
        Engine::Tensor => "PE",
        Engine::Vector => "DVE",
        Engine::Scalar => "Activation",
        Engine::GpSimd => "Pool",
        Engine::Sync => "SP",
    }
}

/// Key of an engine in `def.json`: `pe`, `dve`, `act`, `pool`, `sp`.
pub const fn engine_key(engine: Engine) -> &'static str {
    match engine {
        Engine::Tensor => "pe",
        Engine::Vector => "dve",
        Engine::Scalar => "act",
        Engine::GpSimd => "pool",
        Engine::Sync => "sp",
    }
}

/// A queue set of `def.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueSet {
    /// `in`, `out`, `data`, `embedding_update` or `dynamic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// 1 to 16 queues.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub num_queues: u32,
    /// Engine that triggers it: `pe`, `act`, `pool`, `dve` or `sp`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Names of swappable rings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queue_instances: Vec<String>,
    /// Completion semaphores of the set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub semaphore_set: Vec<u32>,
    /// The one completion semaphore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semaphore: Option<u32>,
    /// Place among the queues of the core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ferrite_index: Option<u32>,
    /// Who writes the descriptors of its transfers.
    #[serde(default, skip_serializing_if = "is_static")]
    pub ferrite_dge: DgeMode,
}

fn is_static(dge: &DgeMode) -> bool {
    *dge == DgeMode::Static
}

/// A variable of `def.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// `state-buffer`, `input`, `output`, `file`, `tmp-buf`, `virtual`, `pointer` or `dge-table`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Unique number; the state buffer has 0.
    pub var_id: u32,
    /// Bytes; absent for the state buffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// A power of two, or 0 for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alignment: u64,
    /// Data of a `file` variable: a `.npy` file, or raw bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Byte offset of a `virtual` variable in the shared scratchpad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backing_variable_off: Option<u64>,
    /// Variable whose address a `pointer` holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referenced_var_id: Option<u32>,
    /// Variables that fill a `dge-table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<u32>,
    /// Position among the inputs or outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ferrite_index: Option<u32>,
}

/// An engine description: `PE0.json` and its kin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineFile<'a> {
    /// Empty: the instructions are in the binary.
    #[serde(default)]
    pub instr: Vec<serde_json::Value>,
    /// DMA transfers that this engine triggers.
    #[serde(borrow, default)]
    pub dma: Vec<DmaElement<'a>>,
    /// Table sets that ScalarE's functions need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub activation_function_sets: Vec<String>,
}

/// One DMA transfer of an engine file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DmaElement<'a> {
    /// Number that the trigger instruction names.
    pub id: u32,
    /// Queue set.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub queue: Cow<'a, str>,
    /// Ring instance; wins over `queue`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<Cow<'a, str>>,
    /// This and the following elements of the queue set belong to that function.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub function_start: Option<Cow<'a, str>>,
    /// Semaphore that counts completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semaphore: Option<u32>,
    /// Source location.
    #[serde(default, skip_serializing_if = "is_unknown")]
    pub ferrite_loc: u32,
    /// The transfer: a list, or in some files one object.
    #[serde(borrow, default)]
    pub desc: OneOrMany<Desc<'a>>,
}

/// A list that some writers shorten to its only element. Written as a list.
#[derive(Clone, Debug, PartialEq)]
pub enum OneOrMany<T> {
    /// A list.
    Many(Vec<T>),
    /// One element.
    One(T),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        OneOrMany::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    /// The elements.
    pub fn as_slice(&self) -> &[T] {
        match self {
            OneOrMany::Many(all) => all,
            OneOrMany::One(one) => std::slice::from_ref(one),
        }
    }
}

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};

        /// `#[serde(untagged)]` would build a tree of every element first.
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object or a list of objects")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany::Many)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

/// One movement of bytes: a source, or several, and a destination, each a pattern over a variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Desc<'a> {
    /// `copy` (default), `cast`, `add`, `min`, `max`, `fma` or `transpose`.
    #[serde(borrow, default = "copy", skip_serializing_if = "is_copy")]
    pub op: Cow<'a, str>,
    /// Name of the source variable; absent if `from_arr` is there.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub from: Cow<'a, str>,
    /// Byte offset in the source; absent if `from_arr` is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_off: Option<u64>,
    /// Strides in bytes, innermost first, at most 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_steps: Vec<i64>,
    /// Bytes of the innermost dimension, then counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_sizes: Vec<u64>,
    /// Element type, `uint8` if absent.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub from_dtype: Cow<'a, str>,
    /// Sources of a compute operation.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub from_arr: Vec<Source<'a>>,
    /// Name of the destination variable.
    #[serde(borrow)]
    pub to: Cow<'a, str>,
    /// Byte offset in the destination.
    pub to_off: u64,
    /// As `from_steps`.
    pub to_steps: Vec<i64>,
    /// As `from_sizes`.
    pub to_sizes: Vec<u64>,
    /// As `from_dtype`.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub to_dtype: Cow<'a, str>,
    /// Target shape of a transposition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transpose_shape: Option<[u64; 4]>,
    /// Bytes per element of a transposition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transpose_element_size: Option<u32>,
}

/// One source of a compute [`Desc`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Source<'a> {
    /// Name of the variable.
    #[serde(borrow)]
    pub from: Cow<'a, str>,
    /// Byte offset.
    pub from_off: u64,
    /// Strides in bytes, innermost first.
    pub from_steps: Vec<i64>,
    /// Bytes of the innermost dimension, then counts.
    pub from_sizes: Vec<u64>,
    /// Element type, `uint8` if absent.
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    pub from_dtype: Cow<'a, str>,
}

/// `neff.json`: what the graph takes and gives. Our assumption throughout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphFile {
    /// One node per graph.
    pub nodes: Vec<GraphNode>,
}

/// A node of [`GraphFile`], with what the packager's `info` prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphNode {
    /// Folder of the graph.
    pub name: String,
    /// `neuron_core`.
    pub executor: String,
    /// Inputs in the order of the entry function.
    pub inputs: Vec<GraphTensor>,
    /// Outputs in the order of the entry function.
    pub outputs: Vec<GraphTensor>,
}

/// A tensor of [`GraphNode`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GraphTensor {
    /// Name by which a caller binds it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Dimensions.
    pub shape: Vec<i64>,
    /// Element type as the runtime's clients know it (`float32`, `uint8` for booleans).
    pub dtype: String,
    /// Order of the dimensions: `N`, `NC`, or of any other rank empty.
    pub format: String,
    /// Exact element type, with the name it has in MLIR.
    pub ferrite_dtype: String,
    /// Donation of an output, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ferrite_alias: Option<GraphAlias>,
}

/// Which input's buffer an output takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphAlias {
    /// Index of the input.
    pub input: u32,
    /// Whether they must share it, or only may.
    pub must: bool,
}

/// `info.json`: who wrote the file, and for what. Our assumption throughout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InfoFile {
    /// `ferrite`.
    pub compiler: String,
    /// Version of the compiler.
    pub compiler_version: String,
    /// Target: `trn2`.
    pub target: String,
    /// Version of the instruction encoding in the binaries.
    pub ferrite_encoding_version: u32,
}

/// `hlo_stats.json`: arithmetic of the model. The file is known to give the multiply-accumulates; its keys are our
/// assumption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HloStatsFile {
    /// Multiply-accumulates of all contractions.
    pub hlo_mac_count: u64,
    /// Floating-point operations of the model: twice the above.
    pub model_flops: u64,
    /// Operations of the module.
    pub hlo_op_count: u64,
}

/// `metrics.json`: sizes of the compiled program. Our assumption throughout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsFile {
    /// Instructions of all engines.
    pub instructions: u64,
    /// DMA transfers described.
    pub dma_transfers: u64,
    /// Bytes of inputs.
    pub input_bytes: u64,
    /// Bytes of outputs.
    pub output_bytes: u64,
    /// Bytes of constants.
    pub constant_bytes: u64,
    /// Bytes of scratch in HBM.
    pub scratch_bytes: u64,
}

fn one() -> u32 {
    1
}

fn is_one(n: &u32) -> bool {
    *n == 1
}

fn is_unknown(n: &u32) -> bool {
    *n == 0
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn copy() -> Cow<'static, str> {
    Cow::Borrowed("copy")
}

fn is_copy(op: &str) -> bool {
    op == "copy"
}
