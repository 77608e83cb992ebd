//! From tensors to tiles: `hlo` to `tile`.
//!
//! In: one inlined function in the canonical device forms (see `hlo::legalize`). Out: a [`tile::Program`] in program
//! order. The parts, each a file:
//!
//! * [`view`]: reshapes, transposes, slices and broadcasts as strided views;
//! * [`fuse`]: clusters of operations that share their data on chip;
//! * `block`: tiles loaded from and stored to memory, and the cache of what is on chip already;
//! * `cluster`: the loop over row tiles and column chunks of a cluster;
//! * `elementwise`: operations on tiles as engine instructions;
//! * `interleave`: clusters that share batch indices, batch by batch;
//! * `contraction`: dots and convolutions on the PE array;
//! * `images`: runs of convolutions and pooling that take a few images at a time;
//! * `convolution`: convolutions with their features first, kernel position by kernel position;
//! * `moves`: everything that only moves data;
//! * `control`: loops and branches;
//! * `cumulative`: running reductions;
//! * `layers`: layers of a model, which repeat;
//! * `layer_loop`: equal layers as one loop;
//! * `known`: what is known about values without computing them;
//! * `wide`: conversions from and to 64 bits;
//! * `outputs`: which results may be computed in a buffer that input and output share;
//! * `windows`: reductions over windows;
//! * `pool`: reductions over windows of images with their features first;
//! * `cleanup`: removes stores that nothing reads;
//! * `fuse_instructions`: several steps in one instruction.
//!
//! Every value is written to HBM when it is computed *and* stays in the cache of tiles; a store whose buffer is never
//! loaded is removed at the end. So residency on chip is the normal case, and memory the fallback that always works.

mod array;
mod assemble;
mod block;
mod cleanup;
mod cluster;
mod contraction;
mod control;
mod convolution;
mod cumulative;
mod elementwise;
pub mod fuse;
mod fuse_instructions;
mod images;
mod interleave;
mod known;
mod layer_loop;
mod layers;
mod moves;
mod outputs;
mod pass;
mod pool;
pub mod view;
mod wide;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{AliasKind, Func, Module, OpId, OpKind, TensorType, ValueId};
use ferrite_ir::literal::Literal;
use ferrite_ir::loc::LocId;
use ferrite_ir::machine::MachineModel;
use ferrite_ir::tile::{self, BufferId, BufferKind, IoTensor, View};

use block::Cache;
use fuse::{FuseLimits, Graph, Node, Plan};
pub use pass::LowerToTiles;
use view::{StorageId, StridedView};

/// Share of SBUF that cached tiles may take (our choice: the rest is for what is being computed and loaded).
const CACHE_SHARE: f64 = 0.6;

/// Least time of a layer that may become a loop, microseconds, by its contractions and weights alone (our choice: engines
/// wait for one another, and for loads, for some ten where a loop turns back).
const LAYER_US: u64 = 300;

/// Choices of the lowering.
#[derive(Clone, Debug)]
pub struct LowerOptions {
    /// Names of inputs; `input<n>` where missing.
    pub input_names: Vec<String>,
    /// Names of outputs; `output<n>` where missing.
    pub output_names: Vec<String>,
    /// Operations in one cluster at most.
    pub cluster_ops: usize,
    /// Bytes per partition that cached tiles may take together.
    pub cache_bytes: usize,
    /// Least time of layers between which nothing stays on chip, so that they can become a loop, picoseconds.
    pub layer_ps: u64,
}

impl LowerOptions {
    /// Options that fit a machine.
    pub fn new(machine: &MachineModel) -> LowerOptions {
        LowerOptions {
            input_names: Vec::new(),
            output_names: Vec::new(),
            cluster_ops: 48,
            cache_bytes: (machine.sbuf.usable_bytes_per_partition as f64 * CACHE_SHARE) as usize,
            layer_ps: LAYER_US * 1_000_000,
        }
    }
}

/// A memory area.
#[derive(Clone, Debug)]
struct Storage {
    buffer: BufferId,
    /// Element type as stored.
    dtype: DType,
}

/// State of one lowering.
struct Lower<'a> {
    graph: &'a Graph<'a>,
    func: &'a Func,
    machine: &'a MachineModel,
    options: &'a LowerOptions,
    /// Plan of the region that is being lowered.
    plan: Rc<Plan>,
    /// The operations that read each value, by [`ValueId::index`].
    users: Vec<Vec<OpId>>,
    /// Whether each value is a result of the function or of a region, by [`ValueId::index`].
    returned: Vec<bool>,
    program: tile::Program,
    storages: Vec<Storage>,
    /// Where the values that lie in memory are.
    views: Vec<Option<StridedView>>,
    cache: Cache,
    /// Row scatters that may update an input's buffer, because an output shares it.
    in_place: BTreeSet<OpId>,
    /// Last step of the plan that reads a value from memory, by [`ValueId::index`].
    last_read: Vec<usize>,
    /// The same without what is read as a result only.
    last_use: Vec<usize>,
    /// Step of the plan that is being lowered.
    step: usize,
    /// Step that nothing before it may run with.
    stop: usize,
    /// The values of the region that is being lowered, if it is not the function's body: others may be read after it.
    local: Option<BTreeSet<ValueId>>,
    /// Storages that several values share.
    shared: BTreeSet<StorageId>,
    /// Storages that the clusters at hand fill batch by batch: nothing of a later batch may be read from them.
    growing: BTreeSet<StorageId>,
    /// Images that go by together, where a batch is cut.
    group: Option<i64>,
    /// Images that went by together when the images in a storage were computed.
    units: BTreeMap<StorageId, i64>,
    /// Where the next operation of the program should write its result, if somebody collects it.
    wanted: Option<View>,
    /// Chunks of columns that a contraction may compute side by side, because they are asked for one after the other.
    abreast: usize,
    /// Those that nobody has asked for yet.
    ahead: Vec<(contraction::Product, View)>,
    /// Location given to emitted operations.
    loc: LocId,
}

/// Lowers the entry function of a module.
///
/// # Errors
/// An operation or dtype that has no lowering, with its location.
pub fn lower(module: &Module, machine: &MachineModel, options: &LowerOptions) -> Result<tile::Program> {
    let entry = module.entry().ok_or_else(|| {
        Diagnostic::error(Code::Verify, "the module has no entry function")
            .help("name one function `main` or make exactly one public")
    })?;
    let func = module.func(entry);
    let graph = Graph::new(func);
    let limits = fuse_limits(machine, options);
    let plan = Rc::new(fuse::plan(&graph, func.body(), limits));
    let mut lower = Lower {
        graph: &graph,
        func,
        machine,
        options,
        plan: plan.clone(),
        users: known::users(func),
        returned: known::returned(func),
        program: tile::Program {
            locs: module.locs.clone(),
            ..tile::Program::default()
        },
        storages: Vec::new(),
        views: vec![None; func.value_count()],
        cache: Cache::new(options.cache_bytes),
        in_place: moves::in_place_updates(&graph),
        last_read: fuse::last_reads(&graph, func.body(), &plan),
        last_use: fuse::last_uses(&graph, &plan),
        step: 0,
        stop: 0,
        local: None,
        shared: BTreeSet::new(),
        growing: BTreeSet::new(),
        group: None,
        units: BTreeMap::new(),
        wanted: None,
        abreast: 1,
        ahead: Vec::new(),
        loc: LocId::UNKNOWN,
    };
    lower.bind_inputs()?;
    lower.bind_outputs()?;
    lower.steps()?;
    lower.finish_outputs()?;
    let mut program = lower.program;
    cleanup::remove_dead_stores(&mut program);
    fuse_instructions::fuse_instructions(&mut program, machine);
    fuse_instructions::drop_empty(&mut program);
    tile::verify(&program)?;
    Ok(program)
}

fn fuse_limits(machine: &MachineModel, options: &LowerOptions) -> FuseLimits {
    FuseLimits {
        whole_row_columns: whole_row_columns(machine),
        ops: options.cluster_ops,
        staying_bytes: contraction::staying_bytes(machine) * machine.limits.partitions as usize,
        tile_rows: machine.limits.partitions as i64,
    }
}

/// Columns of fp32 that a cluster with whole rows may have: about eight such rows fit a partition.
fn whole_row_columns(machine: &MachineModel) -> i64 {
    let rows = 8;
    (machine.sbuf.usable_bytes_per_partition as i64) / (rows * DType::F32.bytes() as i64)
}

/// The dtype a value has on the device.
fn device_dtype(dtype: DType) -> DType {
    match dtype {
        // One byte an element in memory as well.
        DType::Bool | DType::U2 | DType::U4 => DType::U8,
        DType::I2 | DType::I4 => DType::I8,
        other => other,
    }
}

impl<'a> Lower<'a> {
    /// Lowers the clusters and moves of the current plan.
    fn steps(&mut self) -> Result<()> {
        let plan = self.plan.clone();
        let least = self.options.layer_ps;
        let layers = layers::layers(self.graph, &plan, self.machine, &self.last_read, least);
        let stops: BTreeSet<usize> = layers.iter().flat_map(layers::Layers::boundaries).collect();
        let outer = self.stop;
        let mut step = 0;
        while step < plan.nodes.len() {
            if stops.contains(&step) {
                self.cache.clear();
            }
            if self.local.is_none()
                && let Some(&found) = layers.iter().find(|l| l.begin == step)
                && let Some(after) = self.layer_loop(&plan, found)?
            {
                step = after;
                continue;
            }
            self.stop = stops.range(step + 1..).next().copied().unwrap_or(plan.nodes.len());
            step += self.run(&plan, step)?;
        }
        self.stop = outer;
        Ok(())
    }

    /// Lowers the step of a plan, and those after it that run with it; how many they are.
    fn run(&mut self, plan: &Plan, step: usize) -> Result<usize> {
        if let Some(run) = self.image_run(plan, step) {
            self.lower_run(plan, &run)?;
            return Ok(run.end - step);
        }
        self.step = step;
        self.node(plan, step)
    }

    /// Lowers the step of a plan, and those that can run with it; how many they are.
    fn node(&mut self, plan: &Plan, step: usize) -> Result<usize> {
        match plan.nodes[step] {
            Node::Cluster(_) => self.batch_by_batch(plan, step),
            Node::Move(op) => self.move_op(op).map(|()| 1),
        }
    }

    fn error_at(&self, loc: LocId, code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, message).at(self.program.locs.get(loc))
    }

    /// A dtype that tiles can have, or the error that says why not.
    fn supported(&self, dtype: DType, loc: LocId) -> Result<DType> {
        let error = match dtype {
            DType::I64 | DType::U64 | DType::F64 => {
                format!("a value of dtype `{dtype}` is left after narrowing to 32 bits")
            }
            DType::C64 | DType::C128 => format!("a value of dtype `{dtype}` is left after splitting complex numbers"),
            _ => return Ok(device_dtype(dtype)),
        };
        Err(self
            .error_at(loc, Code::Unsupported, error)
            .help("this dtype has no lowering for this operation yet"))
    }

    fn add_storage(&mut self, name: impl Into<String>, kind: BufferKind, dtype: DType, elements: i64) -> StorageId {
        let bytes = elements.max(0) as u64 * dtype.bytes() as u64;
        let buffer = self.program.add_buffer(name, kind, bytes);
        self.storages.push(Storage { buffer, dtype });
        StorageId(self.storages.len() as u32 - 1)
    }

    fn scratch(&mut self, name: &str, dtype: DType, elements: i64) -> StorageId {
        let name = format!("{name}_{}", self.program.buffers.len());
        self.add_storage(name, BufferKind::Scratch, dtype, elements)
    }

    fn storage(&self, id: StorageId) -> &Storage {
        &self.storages[id.0 as usize]
    }

    fn bind_inputs(&mut self) -> Result<()> {
        for (index, &arg) in self.func.args().iter().enumerate() {
            let ty = self.func.tensor(arg).clone();
            let name = self
                .options
                .input_names
                .get(index)
                .cloned()
                .unwrap_or_else(|| format!("input{index}"));
            let storage = self.add_storage(
                name.clone(),
                BufferKind::Input(index as u32),
                device_dtype(ty.dtype),
                ty.element_count() as i64,
            );
            self.views[arg.index()] = Some(StridedView::contiguous(storage, &ty.shape));
            self.program.inputs.push(IoTensor {
                name,
                dtype: ty.dtype,
                shape: ty.shape.to_vec(),
                alias: None,
                must_alias: false,
            });
        }
        Ok(())
    }

    fn bind_outputs(&mut self) -> Result<()> {
        for (index, &value) in self.func.region(self.func.body()).results.iter().enumerate() {
            let ty = self.func.tensor(value).clone();
            let name = self
                .options
                .output_names
                .get(index)
                .cloned()
                .unwrap_or_else(|| format!("output{index}"));
            let aliased = (0u32..).zip(&self.func.params).find_map(|(input, p)| {
                p.alias
                    .filter(|a| a.output == index)
                    .map(|a| (input, a.kind == AliasKind::Must))
            });
            self.program.outputs.push(IoTensor {
                name,
                dtype: ty.dtype,
                shape: ty.shape.to_vec(),
                alias: aliased.map(|(input, _)| input),
                must_alias: aliased.is_some_and(|(_, must)| must),
            });
        }
        Ok(())
    }

    /// Copies every result into its output buffer, unless it was computed there. Outputs that share an input's buffer
    /// come last, and are computed in place only if nothing reads the input afterwards, so that the program is right
    /// whether or not the buffers are one.
    fn finish_outputs(&mut self) -> Result<()> {
        let results = self.func.region(self.func.body()).results.clone();
        let mut order: Vec<usize> = (0..results.len()).collect();
        order.sort_by_key(|&i| (self.program.outputs[i].alias.is_some(), i));
        // Inputs that a copy below reads, after everything else.
        let mut copied = BTreeSet::new();
        for (&value, output) in results.iter().zip(self.program.outputs.clone()) {
            let source = self.view_of(value)?;
            let own = self.storage(source.storage).buffer;
            if let BufferKind::Input(input) = self.program.buffer(own).kind
                && !(self.is_whole(&source) && output.alias == Some(input))
            {
                copied.insert(input);
            }
        }
        let uses = outputs::Uses::of(&self.program);
        for index in order {
            let value = results[index];
            let ty = self.func.tensor(value).clone();
            let name = self.program.outputs[index].name.clone();
            let bytes = ty.byte_size() as u64;
            let source = self.view_of(value)?;
            let whole = self.is_whole(&source);
            let own = self.storage(source.storage).buffer;
            let alias = self.program.outputs[index].alias;
            if whole && matches!(self.program.buffer(own).kind, BufferKind::Input(i) if Some(i) == alias) {
                // Updated in the buffer that input and output share.
                self.program.add_buffer(name, BufferKind::Output(index as u32), bytes);
                continue;
            }
            let scratch = matches!(self.program.buffer(own).kind, BufferKind::Scratch);
            let free = alias
                .is_none_or(|input| !copied.contains(&input) && uses.written_after_reads(&self.program, own, input));
            if whole && scratch && free && self.program.buffer(own).bytes == bytes {
                // The scratch buffer that holds the result becomes the output buffer.
                let buffer = &mut self.program.buffers[own.index()];
                buffer.kind = BufferKind::Output(index as u32);
                buffer.name = name;
                continue;
            }
            let output = self.program.add_buffer(name, BufferKind::Output(index as u32), bytes);
            let dtype = device_dtype(ty.dtype);
            self.storages.push(Storage { buffer: output, dtype });
            let target = StridedView::contiguous(StorageId(self.storages.len() as u32 - 1), &ty.shape);
            self.copy(&source, &target)?;
        }
        Ok(())
    }

    /// Where a value lies, copying it where a chain of views cannot be expressed by strides.
    fn view_of(&mut self, value: ValueId) -> Result<StridedView> {
        if let Some(view) = &self.views[value.index()] {
            return Ok(view.clone());
        }
        let Some(def) = self.func.def(value) else {
            return Err(Diagnostic::bug(format!("argument {} has no storage", value.0)));
        };
        let op = self.func.op(def);
        let ty = self.func.tensor(value).clone();
        let view = match &op.kind {
            OpKind::Constant(literal) => self.constant(literal),
            OpKind::Iota(iota) => self.iota(&ty, iota.iota_dimension as usize)?,
            OpKind::Convert if fuse::takes_low_words(self.func, def) => {
                let wide = self.view_of(op.operands[0])?;
                self.words(&wide, device_dtype(ty.dtype), 0)
            }
            OpKind::Unary(_) if self.graph.is_lazy(def) => {
                let pairs = self.view_of(op.operands[0])?;
                let part = fuse::takes_part(self.func, def).unwrap_or_default();
                self.words(&pairs, DType::F32, part)
            }
            OpKind::Convert if self.graph.is_lazy(def) => self.view_of(op.operands[0])?,
            OpKind::Reshape => {
                let source = self.view_of(op.operands[0])?;
                match source.reshape(&ty.shape) {
                    Some(view) => view,
                    None => self.contiguous_copy(&source)?.reshape(&ty.shape).ok_or_else(|| {
                        Diagnostic::bug("a contiguous value reshapes to any shape of as many elements")
                    })?,
                }
            }
            OpKind::Transpose(t) => self.view_of(op.operands[0])?.transpose(&t.permutation),
            OpKind::Slice(s) => self.view_of(op.operands[0])?.slice(&s.start, &s.limit, &s.strides),
            OpKind::Reverse(r) => self.view_of(op.operands[0])?.reverse(&r.dimensions),
            OpKind::BroadcastInDim(b) => self
                .view_of(op.operands[0])?
                .broadcast(&ty.shape, &b.broadcast_dimensions),
            other => {
                return Err(
                    Diagnostic::bug(format!("the result of `{}` was not stored", other.mnemonic()))
                        .at(self.program.locs.get(op.loc)),
                );
            }
        };
        self.views[value.index()] = Some(view.clone());
        Ok(view)
    }

    /// 32-bit word number `word` (0 is the low one) of every 64-bit element of a view.
    fn words(&mut self, view: &StridedView, dtype: DType, word: i64) -> StridedView {
        let buffer = self.storage(view.storage).buffer;
        let known = (0u32..)
            .zip(&self.storages)
            .find(|(_, s)| s.buffer == buffer && s.dtype == dtype)
            .map(|(i, _)| i);
        let storage = known.unwrap_or_else(|| {
            self.storages.push(Storage { buffer, dtype });
            self.storages.len() as u32 - 1
        });
        let mut narrow = StridedView {
            storage: StorageId(storage),
            offset: view.offset * 2 + word,
            dims: view.dims.clone(),
        };
        narrow.dims.iter_mut().for_each(|d| d.stride *= 2);
        narrow
    }

    /// Whether a view is all of its buffer, in order.
    fn is_whole(&self, view: &StridedView) -> bool {
        let storage = self.storage(view.storage);
        let elements = self.program.buffer(storage.buffer).bytes as i64 / storage.dtype.bytes() as i64;
        view.offset == 0 && view.elements() == elements && view::merged(&view.dims).iter().all(|d| d.stride == 1)
    }

    fn constant(&mut self, literal: &Literal) -> StridedView {
        let ty = literal.ty();
        let dtype = device_dtype(ty.dtype);
        // One element stands for all of a splat.
        let (data, shape): (Arc<[u8]>, &[i64]) = match literal.splat_element() {
            Some(element) if ty.element_count() > 0 => (element.into(), &[]),
            _ => (literal.to_bytes(), &ty.shape),
        };
        let elements = data.len() / dtype.bytes();
        let name = format!("const_{}", self.program.buffers.len());
        let storage = self.add_storage(name, BufferKind::Const(data), dtype, elements as i64);
        let view = StridedView::contiguous(storage, shape);
        if shape.len() == ty.rank() {
            view
        } else {
            view.broadcast(&ty.shape, &[])
        }
    }

    /// An iota is a view of the constant 0, 1, 2, ... along one dimension.
    fn iota(&mut self, ty: &TensorType, dimension: usize) -> Result<StridedView> {
        let extent = ty.shape[dimension];
        let one = TensorType::new(ty.dtype, &[extent]);
        let mut bytes = vec![0u8; one.byte_size()];
        for (i, element) in bytes.chunks_exact_mut(ty.dtype.bytes()).enumerate() {
            ferrite_ir::literal::write_i64(ty.dtype, i as i64, element);
        }
        let literal = Literal::new(one, bytes).ok_or_else(|| Diagnostic::bug("iota constant of the wrong size"))?;
        let line = self.constant(&literal);
        Ok(line.broadcast(&ty.shape, &[dimension as i64]))
    }

    /// If every element of the value is one known number, that number.
    fn splat_of(&self, value: ValueId) -> Option<f64> {
        let (base, chain) = self.graph.trace(value);
        if chain.iter().any(|&op| matches!(self.func.op(op).kind, OpKind::Convert)) {
            return None;
        }
        match self.func.def_kind(base)? {
            OpKind::Constant(literal) => literal.splat_value(),
            _ => None,
        }
    }

    /// The integer that every element of the value is, exactly.
    fn splat_int_of(&self, value: ValueId) -> Option<i64> {
        let (base, _) = self.graph.trace(value);
        match self.func.def_kind(base)? {
            OpKind::Constant(literal) if !literal.ty().dtype.is_float() => literal
                .splat_element()
                .map(|e| ferrite_ir::literal::read_i64(literal.ty().dtype, e)),
            _ => None,
        }
    }

    fn op_loc(&self, op: OpId) -> LocId {
        self.func.op(op).loc
    }
}
