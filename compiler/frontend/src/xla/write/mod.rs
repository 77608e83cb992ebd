//! Programs as `HloModuleProto`.
//!
//! Functions and regions become computations. What a region of `while`, `if` or `case` uses from around it becomes part of
//! the loop's tuple or of the branch's operand, because computations see nothing but their parameters; a branch or loop
//! that carries one value carries it bare, otherwise a tuple. Operations without an instruction of the same meaning become
//! several: an expanding broadcast is a reshape and a broadcast, an `all_to_all` along two dimensions an `all-to-all` with
//! a transposition, legacy operations their modern form. Those of CHLO without an opcode become custom calls with their
//! name as target (our own convention), which the reader knows.
//!
//! Function attributes, result attributes and discardable attributes other than shardings and frontend attributes have no
//! place in HLO and are left out.

mod devices;
mod kinds;
mod literal;

use std::collections::HashMap;

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{
    Attr, Attrs, BinaryOp, Func, FuncId, Module, Op, OpId, OpKind, RegionId, TensorType, Type, ValueId,
};
use ferrite_ir::literal::Literal;
use ferrite_ir::loc::{LocId, Source};
use prost::Message;

use super::manual;
use super::message::*;
use super::shape::{shape_of, tuple_of};

/// Elements of a splat constant that is written out; a larger one is a broadcast.
const WRITTEN_OUT: usize = 256;

type Written<T> = Result<T, Diagnostic>;

/// The bytes of a module as serialized `HloModuleProto`.
///
/// # Errors
/// An operation or type without a form in HLO: quantized types, operations whose shapes are data.
pub(crate) fn write(module: &Module) -> Result<Vec<u8>, Vec<Diagnostic>> {
    message(module)
        .map(|proto| proto.encode_to_vec())
        .map_err(|error| vec![error])
}

/// A module as HLO text.
///
/// # Errors
/// As [`write`].
pub(crate) fn write_text(module: &Module) -> Result<String, Vec<Diagnostic>> {
    let proto = message(module).map_err(|error| vec![error])?;
    super::print::text(&proto).map_err(|message| vec![Diagnostic::error(Code::Unsupported, message)])
}

/// The message of a module.
pub(super) fn message(module: &Module) -> Written<HloModuleProto> {
    let Some(entry) = module.entry() else {
        return Err(Diagnostic::error(Code::Verify, "the module has no entry function"));
    };
    let mut writer = Writer {
        module,
        computations: Vec::new(),
        functions: HashMap::new(),
        open: Vec::new(),
        next: 1,
    };
    let entry_id = writer.function(entry)?;
    let computation = writer.computations.iter().find(|c| c.id == entry_id);
    let mut proto = HloModuleProto {
        name: if module.name.is_empty() {
            "module".to_string()
        } else {
            module.name.clone()
        },
        entry_computation_name: computation.map(|c| c.name.clone()).unwrap_or_default(),
        host_program_shape: computation.and_then(|c| c.program_shape.clone()),
        entry_computation_id: entry_id,
        ..HloModuleProto::default()
    };
    let func = module.func(entry);
    let outputs = func.region(func.body()).results.len();
    for (n, param) in func.params.iter().enumerate() {
        if let Some(alias) = param.alias {
            let index = if outputs == 1 {
                Vec::new()
            } else {
                vec![alias.output as i64]
            };
            let kind = match alias.kind {
                ferrite_ir::hlo::AliasKind::May => 1,
                ferrite_ir::hlo::AliasKind::Must => 2,
            };
            proto
                .input_output_alias
                .get_or_insert_default()
                .entries
                .push(AliasEntry {
                    output_shape_index: index,
                    parameter_number: n as i64,
                    parameter_shape_index: Vec::new(),
                    kind,
                });
        }
        if param.donated {
            proto.buffer_donor.get_or_insert_default().entries.push(DonorEntry {
                parameter_number: n as i64,
                parameter_shape_index: Vec::new(),
            });
        }
    }
    proto.frontend_attributes = frontend_attributes(&module.attrs);
    if let Some(meshes) = manual::meshes_of(&module.symbols) {
        let attributes = proto.frontend_attributes.get_or_insert_default();
        attributes.map.insert(manual::MESHES.to_string(), meshes);
    }
    let count = |name: &str| module.attrs.get(name).and_then(Attr::as_int);
    if let (Some(partitions), replicas) = (count("mhlo.num_partitions"), count("mhlo.num_replicas").unwrap_or(1)) {
        let small = |value: i64| value.clamp(1, 1 << 16);
        let (partitions, replicas) = (small(partitions), small(replicas));
        proto.device_assignment = Some(DeviceAssignment {
            replica_count: replicas as i32,
            computation_count: partitions as i32,
            computation_devices: (0..partitions)
                .map(|p| ComputationDevice {
                    replica_device_ids: (0..replicas).map(|r| r * partitions + p).collect(),
                })
                .collect(),
        });
    }
    proto.computations = writer.computations;
    Ok(proto)
}

struct Writer<'m> {
    module: &'m Module,
    /// Finished computations, called ones before their callers.
    computations: Vec<HloComputationProto>,
    /// Computations made of functions.
    functions: HashMap<FuncId, i64>,
    /// Functions that are being written.
    open: Vec<FuncId>,
    next: i64,
}

/// A computation that is being written.
#[derive(Default)]
struct Body {
    instructions: Vec<HloInstructionProto>,
    /// The instruction of each value.
    values: HashMap<ValueId, i64>,
    parameters: Vec<ShapeProto>,
    loc: LocId,
}

impl<'m> Writer<'m> {
    fn id(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    fn error(&self, loc: LocId, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(Code::Unsupported, message).at(self.module.locs.get(loc))
    }

    /// Adds an instruction.
    fn add(
        &mut self,
        body: &mut Body,
        opcode: &str,
        shape: ShapeProto,
        operands: &[i64],
        set: impl FnOnce(&mut HloInstructionProto),
    ) -> i64 {
        let id = self.id();
        let mut proto = HloInstructionProto {
            opcode: opcode.to_string(),
            shape: Some(shape),
            id,
            operand_ids: operands.to_vec(),
            metadata: self.metadata(body.loc),
            ..HloInstructionProto::default()
        };
        set(&mut proto);
        proto.name = format!("{}.{id}", proto.opcode);
        body.instructions.push(proto);
        id
    }

    fn metadata(&self, loc: LocId) -> Option<OpMetadata> {
        let source = self.module.locs.get(loc).source.as_ref()?;
        let mut metadata = OpMetadata::default();
        let mut rest = Some(source);
        while let Some(source) = rest {
            rest = match source {
                Source::Name { name, child } => {
                    if metadata.op_name.is_empty() {
                        metadata.op_name = name.clone();
                    }
                    child.as_deref()
                }
                Source::File { file, line, column } => {
                    metadata.source_file = file.clone();
                    metadata.source_line = i32::try_from(*line).unwrap_or(0);
                    metadata.source_column = i32::try_from(*column).unwrap_or(0);
                    None
                }
                Source::CallSite { callee, .. } => Some(callee),
                Source::Fused(all) => all.first(),
            };
        }
        Some(metadata)
    }

    fn shape(&self, loc: LocId, ty: &Type) -> Written<ShapeProto> {
        shape_of(ty).map_err(|message| self.error(loc, message))
    }

    /// The shape of several values: bare if there is one, otherwise a tuple.
    fn shape_of_all(&self, func: &Func, values: &[ValueId], loc: LocId) -> Written<ShapeProto> {
        let mut shapes = Vec::with_capacity(values.len());
        for &value in values {
            shapes.push(self.shape(loc, func.ty(value))?);
        }
        Ok(match shapes.len() {
            1 => shapes.remove(0),
            _ => tuple_of(shapes),
        })
    }

    /// The instruction of several values: that of the value if there is one, otherwise a tuple.
    fn bundle(&mut self, body: &mut Body, func: &Func, values: &[ValueId]) -> Written<i64> {
        let mut ids = Vec::with_capacity(values.len());
        for value in values {
            ids.push(self.value(body, *value)?);
        }
        if let [id] = ids[..] {
            return Ok(id);
        }
        let shape = self.shape_of_all(func, values, body.loc)?;
        Ok(self.add(body, "tuple", shape, &ids, |_| {}))
    }

    /// Takes a bundle apart into the instructions of values.
    fn unbundle(&mut self, body: &mut Body, func: &Func, bundle: i64, values: &[ValueId]) -> Written<()> {
        if let [value] = values {
            body.values.insert(*value, bundle);
            return Ok(());
        }
        for (n, &value) in values.iter().enumerate() {
            let shape = self.shape(body.loc, func.ty(value))?;
            let id = self.add(body, "get-tuple-element", shape, &[bundle], |p| {
                p.tuple_index = n as i64
            });
            body.values.insert(value, id);
        }
        Ok(())
    }

    fn value(&self, body: &Body, value: ValueId) -> Written<i64> {
        let id = body.values.get(&value).copied();
        id.ok_or_else(|| {
            self.error(
                body.loc,
                "a region uses a value from around it, which HLO has no form for",
            )
        })
    }

    fn parameter(&mut self, body: &mut Body, shape: ShapeProto) -> i64 {
        let number = body.parameters.len() as i64;
        body.parameters.push(shape.clone());
        self.add(body, "parameter", shape, &[], |p| p.parameter_number = number)
    }

    /// Ends a computation.
    fn finish(&mut self, name: String, body: Body, root: i64) -> i64 {
        let id = self.id();
        let result = body
            .instructions
            .iter()
            .find(|i| i.id == root)
            .and_then(|i| i.shape.clone());
        self.computations.push(HloComputationProto {
            name,
            program_shape: Some(ProgramShapeProto {
                parameter_names: (0..body.parameters.len()).map(|n| format!("p{n}")).collect(),
                parameters: body.parameters,
                result,
            }),
            instructions: body.instructions,
            id,
            root_id: root,
        });
        id
    }

    /// The computation of a function.
    fn function(&mut self, id: FuncId) -> Written<i64> {
        if let Some(&computation) = self.functions.get(&id) {
            return Ok(computation);
        }
        let func = self.module.func(id);
        if self.open.contains(&id) {
            return Err(self.error(func.loc, format!("function `{}` calls itself", func.name)));
        }
        self.open.push(id);
        let mut body = Body {
            loc: func.loc,
            ..Body::default()
        };
        for (n, &arg) in func.args().iter().enumerate() {
            let shape = self.shape(func.loc, func.ty(arg))?;
            let id = self.parameter(&mut body, shape);
            body.values.insert(arg, id);
            if let (Some(param), Some(proto)) = (func.params.get(n), body.instructions.last_mut()) {
                carry(proto, &param.attrs);
            }
        }
        let root = self.region_body(&mut body, func, func.body(), &[])?;
        self.open.pop();
        let computation = self.finish(func.name.clone(), body, root);
        self.functions.insert(id, computation);
        Ok(computation)
    }

    /// The operations of a region, and the instruction of its results with `more` values after them.
    fn region_body(&mut self, body: &mut Body, func: &'m Func, region: RegionId, more: &[ValueId]) -> Written<i64> {
        for &op in &func.region(region).ops {
            body.loc = func.op(op).loc;
            self.operation(body, func, op)?;
        }
        body.loc = func.region(region).loc;
        let mut results = func.region(region).results.clone();
        results.extend_from_slice(more);
        self.bundle(body, func, &results)
    }

    /// The computation of a region whose arguments are its parameters.
    fn closed(&mut self, func: &'m Func, region: RegionId, loc: LocId) -> Written<i64> {
        let mut body = Body { loc, ..Body::default() };
        for &arg in &func.region(region).args {
            let shape = self.shape(loc, func.ty(arg))?;
            let id = self.parameter(&mut body, shape);
            body.values.insert(arg, id);
        }
        // Constants from around it are constants inside as well; of other values HLO has no form.
        let mut captures = Vec::new();
        free_values(func, &[region], &mut captures);
        for value in captures {
            if let Some(OpKind::Constant(literal)) = func.def_kind(value) {
                let id = self.constant(&mut body, literal)?;
                body.values.insert(value, id);
            }
        }
        let root = self.region_body(&mut body, func, region, &[])?;
        let name = format!("region_{}", self.next);
        Ok(self.finish(name, body, root))
    }

    /// The computation of a region that takes its arguments and what it uses from around it as one parameter. `carried`
    /// values from around are returned with its results.
    fn bundled(
        &mut self,
        func: &'m Func,
        region: RegionId,
        captures: &[ValueId],
        carried: &[ValueId],
        loc: LocId,
    ) -> Written<i64> {
        let mut body = Body { loc, ..Body::default() };
        let mut inputs = func.region(region).args.clone();
        inputs.extend_from_slice(captures);
        let shape = self.shape_of_all(func, &inputs, loc)?;
        let parameter = self.parameter(&mut body, shape);
        self.unbundle(&mut body, func, parameter, &inputs)?;
        let root = self.region_body(&mut body, func, region, carried)?;
        let name = format!("region_{}", self.next);
        Ok(self.finish(name, body, root))
    }

    fn operation(&mut self, body: &mut Body, func: &'m Func, id: OpId) -> Written<()> {
        let op = func.op(id);
        let before = body.instructions.len();
        match &op.kind {
            OpKind::Constant(literal) => {
                let id = self.constant(body, literal)?;
                body.values.insert(op.results[0], id);
            }
            OpKind::While => self.while_loop(body, func, op)?,
            OpKind::If | OpKind::Case => self.branches(body, func, op)?,
            OpKind::Call(call) => self.call(body, func, op, &call.callee)?,
            OpKind::Composite(composite) => self.call(body, func, op, &composite.decomposition)?,
            OpKind::BroadcastInDim(kind) => {
                let id = self.broadcast(body, func, op, &kind.broadcast_dimensions)?;
                body.values.insert(op.results[0], id);
            }
            OpKind::Broadcast(kind) => {
                let new = kind.broadcast_sizes.len() as i64;
                let rank = func.tensor(op.operands[0]).rank() as i64;
                let dimensions: Vec<i64> = (new..new + rank).collect();
                let id = self.broadcast(body, func, op, &dimensions)?;
                body.values.insert(op.results[0], id);
            }
            OpKind::Select | OpKind::Clamp => {
                let wanted = func.tensor(op.results[0]).shape.clone();
                let mut operands = Vec::with_capacity(3);
                for &operand in &op.operands {
                    operands.push(self.spread(body, func, operand, &wanted)?);
                }
                self.plain(body, func, op, &operands, &[])?;
            }
            OpKind::Rng(_) => {
                // The shape is that of the result.
                let operands = self.operands(body, op)?;
                self.plain(body, func, op, &operands[..2.min(operands.len())], &[])?;
            }
            OpKind::OptimizationBarrier => {
                let bundle = self.bundle(body, func, &op.operands)?;
                let shape = self.shape_of_all(func, &op.results, body.loc)?;
                let barrier = self.add(body, "opt-barrier", shape, &[bundle], |_| {});
                self.unbundle(body, func, barrier, &op.results)?;
            }
            OpKind::Infeed(_) => self.infeed(body, func, op)?,
            OpKind::Outfeed(_) => {
                let (token, data) = op.operands.split_last().map_or((None, &[][..]), |(t, d)| (Some(*t), d));
                let data = self.bundle(body, func, data)?;
                let token = token.ok_or_else(|| self.error(op.loc, "`outfeed` needs a token"))?;
                let token = self.value(body, token)?;
                self.plain(body, func, op, &[data, token], &[])?;
            }
            OpKind::Send(kind) | OpKind::Recv(kind) => self.transfer(body, func, op, kind)?,
            OpKind::ManualComputation(kind) => self.manual(body, func, op, kind)?,
            OpKind::ShardingConstraint(kind) => {
                let operands = self.operands(body, op)?;
                let attributes = manual::attributes_of(kind);
                let ids = self.across(body, func, &operands, &op.results, manual::SHARDING, &attributes)?;
                body.values.extend(op.results.iter().copied().zip(ids));
            }
            OpKind::AsyncStart | OpKind::AsyncDone => self.asynchronous(body, func, op)?,
            OpKind::AllToAll(kind) if kind.split_dimension != kind.concat_dimension => {
                self.all_to_all(body, func, op)?;
            }
            OpKind::CrossReplicaSum(collective) => {
                let ty = func.tensor(op.operands[0]).with_shape([]);
                let sum = self.reducer(BinaryOp::Add, &ty, op.loc)?;
                let operands = self.operands(body, op)?;
                let shape = self.shape_of_all(func, &op.results, body.loc)?;
                let id = self.add(body, "all-reduce", shape, &operands, |p| {
                    kinds::collective(p, collective);
                    p.called_computation_ids = vec![sum];
                });
                self.unbundle(body, func, id, &op.results)?;
            }
            OpKind::CustomCall(call) => {
                let mut called = Vec::new();
                for name in &call.called_computations {
                    called.push(self.named(name, op.loc)?);
                }
                let operands = self.operands(body, op)?;
                self.plain(body, func, op, &operands, &called)?;
            }
            _ => {
                let mut called = Vec::new();
                for &region in &op.regions {
                    called.push(self.closed(func, region, op.loc)?);
                }
                let operands = self.operands(body, op)?;
                self.plain(body, func, op, &operands, &called)?;
            }
        }
        // What was written on an operation stays with the instruction that stands for it: not a part of its tuple.
        if let Some(attrs) = &op.attrs {
            let main = body.instructions[before..]
                .iter_mut()
                .rev()
                .find(|i| i.opcode != "get-tuple-element" || matches!(op.kind, OpKind::GetTupleElement(_)));
            if let Some(proto) = main {
                carry(proto, attrs);
            }
        }
        Ok(())
    }

    fn operands(&self, body: &Body, op: &Op) -> Written<Vec<i64>> {
        op.operands.iter().map(|&value| self.value(body, value)).collect()
    }

    /// An operation that is one instruction.
    fn plain(&mut self, body: &mut Body, func: &Func, op: &Op, operands: &[i64], called: &[i64]) -> Written<()> {
        let types: Vec<&Type> = op.operands.iter().map(|&value| func.ty(value)).collect();
        let mut fields = HloInstructionProto::default();
        let known = kinds::fill(&mut fields, &op.kind, &types);
        let known = known.map_err(|message| self.error(op.loc, format!("`{}`: {message}", op.kind.mnemonic())))?;
        if !known {
            let message = format!("`{}` has no form in HLO", op.kind.mnemonic());
            let help = "`ferrite opt` has passes that expand operations; shapes must be static or bounded";
            return Err(self.error(op.loc, message).help(help));
        }
        let shape = self.shape_of_all(func, &op.results, body.loc)?;
        let opcode = fields.opcode.clone();
        let id = self.add(body, &opcode, shape.clone(), operands, |p| {
            let (id, metadata) = (p.id, p.metadata.take());
            *p = fields;
            p.id = id;
            p.metadata = metadata;
            p.shape = Some(shape);
            p.operand_ids = operands.to_vec();
            p.called_computation_ids = called.to_vec();
        });
        self.unbundle(body, func, id, &op.results)
    }

    fn constant(&mut self, body: &mut Body, value: &Literal) -> Written<i64> {
        let ty = value.ty().clone();
        if value.is_splat() && ty.element_count() > WRITTEN_OUT {
            let scalar = TensorType::scalar(ty.dtype);
            let one = Literal::splat(scalar, value.raw()).unwrap_or_else(|| value.clone());
            let one = self.constant(body, &one)?;
            let shape = self.shape(body.loc, &Type::Tensor(ty))?;
            return Ok(self.add(body, "broadcast", shape, &[one], |_| {}));
        }
        let loc = body.loc;
        let proto = literal::literal(value).map_err(|message| self.error(loc, message))?;
        let shape = self.shape(loc, &Type::Tensor(ty))?;
        Ok(self.add(body, "constant", shape, &[], |p| p.literal = Some(Box::new(proto))))
    }

    /// A broadcast. HLO's does not expand dimensions of size 1: those are dropped before.
    fn broadcast(&mut self, body: &mut Body, func: &Func, op: &Op, dimensions: &[i64]) -> Written<i64> {
        let operand = op.operands[0];
        let from = func.tensor(operand);
        let to = func.tensor(op.results[0]);
        let mut id = self.value(body, operand)?;
        let keeps = |d: usize| {
            let target = usize::try_from(dimensions[d]).ok().and_then(|t| to.shape.get(t));
            target == Some(&from.shape[d])
        };
        let mut kept = dimensions.to_vec();
        if !(0..from.rank()).all(keeps) {
            let sizes = (0..from.rank()).filter(|&d| keeps(d)).map(|d| from.shape[d]);
            let shape = self.shape(body.loc, &Type::Tensor(from.with_shape(sizes)))?;
            id = self.add(body, "reshape", shape, &[id], |_| {});
            kept = (0..from.rank()).filter(|&d| keeps(d)).map(|d| dimensions[d]).collect();
        }
        let shape = self.shape(body.loc, func.ty(op.results[0]))?;
        Ok(self.add(body, "broadcast", shape, &[id], |p| p.dimensions = kept))
    }

    /// An operand in the shape of the result: HLO does not spread scalars by itself.
    fn spread(&mut self, body: &mut Body, func: &Func, operand: ValueId, wanted: &[i64]) -> Written<i64> {
        let id = self.value(body, operand)?;
        let ty = func.tensor(operand);
        if ty.rank() > 0 || wanted.is_empty() {
            return Ok(id);
        }
        let shape = self.shape(body.loc, &Type::Tensor(ty.with_shape(wanted.iter().copied())))?;
        Ok(self.add(body, "broadcast", shape, &[id], |_| {}))
    }

    /// The computation of a function by name.
    fn named(&mut self, name: &str, loc: LocId) -> Written<i64> {
        match self.module.find(name) {
            Some(id) => self.function(id),
            None => Err(self.error(loc, format!("there is no function `{name}`"))),
        }
    }

    fn call(&mut self, body: &mut Body, func: &Func, op: &Op, callee: &str) -> Written<()> {
        let computation = self.named(callee, op.loc)?;
        let operands = self.operands(body, op)?;
        let shape = self.shape_of_all(func, &op.results, body.loc)?;
        let id = self.add(body, "call", shape, &operands, |p| {
            p.called_computation_ids = vec![computation];
        });
        self.unbundle(body, func, id, &op.results)
    }

    fn while_loop(&mut self, body: &mut Body, func: &'m Func, op: &Op) -> Written<()> {
        let [condition, step] = op.regions[..] else {
            return Err(self.error(op.loc, "`while` needs two regions"));
        };
        let mut captures = Vec::new();
        free_values(func, &[condition, step], &mut captures);
        let condition = self.bundled(func, condition, &captures, &[], op.loc)?;
        let step = self.bundled(func, step, &captures, &captures, op.loc)?;
        body.loc = op.loc;
        let mut carried = op.operands.to_vec();
        carried.extend_from_slice(&captures);
        let init = self.bundle(body, func, &carried)?;
        let shape = self.shape_of_all(func, &carried, op.loc)?;
        let id = self.add(body, "while", shape, &[init], |p| {
            // XLA's order.
            p.called_computation_ids = vec![step, condition];
        });
        if carried.len() == 1 {
            return self.unbundle(body, func, id, &op.results);
        }
        for (n, &result) in op.results.iter().enumerate() {
            let shape = self.shape(op.loc, func.ty(result))?;
            let part = self.add(body, "get-tuple-element", shape, &[id], |p| p.tuple_index = n as i64);
            body.values.insert(result, part);
        }
        Ok(())
    }

    fn branches(&mut self, body: &mut Body, func: &'m Func, op: &Op) -> Written<()> {
        let mut operands = self.operands(body, op)?;
        let mut called = Vec::new();
        for &region in &op.regions {
            let mut captures = Vec::new();
            free_values(func, &[region], &mut captures);
            called.push(self.bundled(func, region, &captures, &[], op.loc)?);
            body.loc = op.loc;
            operands.push(self.bundle(body, func, &captures)?);
        }
        let shape = self.shape_of_all(func, &op.results, op.loc)?;
        let id = self.add(body, "conditional", shape, &operands, |p| {
            p.called_computation_ids = called
        });
        self.unbundle(body, func, id, &op.results)
    }

    /// The computation of a binary operation on scalars.
    fn reducer(&mut self, op: BinaryOp, ty: &TensorType, loc: LocId) -> Written<i64> {
        let mut body = Body { loc, ..Body::default() };
        let shape = self.shape(loc, &Type::Tensor(ty.clone()))?;
        let a = self.parameter(&mut body, shape.clone());
        let b = self.parameter(&mut body, shape.clone());
        let opcode = match (op, ty.dtype) {
            (BinaryOp::Add, DType::Bool) => "or",
            _ => "add",
        };
        let root = self.add(&mut body, opcode, shape, &[a, b], |_| {});
        let name = format!("sum_{}", self.next);
        Ok(self.finish(name, body, root))
    }
}

/// Values that regions use and do not define, in the order of their first use.
fn free_values(func: &Func, regions: &[RegionId], out: &mut Vec<ValueId>) {
    let mut inside = std::collections::HashSet::new();
    for &region in regions {
        func.walk_regions(region, &mut |func, id| {
            inside.extend(func.region(id).args.iter().copied())
        });
        func.walk(region, &mut |func, id| {
            inside.extend(func.op(id).results.iter().copied())
        });
    }
    let mut seen = std::collections::HashSet::new();
    let mut used = |value: ValueId| {
        if !inside.contains(&value) && seen.insert(value) {
            out.push(value);
        }
    };
    for &region in regions {
        func.walk(region, &mut |func, id| {
            func.op(id).operands.iter().for_each(|&value| used(value))
        });
        func.walk_regions(region, &mut |func, id| {
            func.region(id).results.iter().for_each(|&value| used(value));
        });
    }
}

/// The frontend attributes among attributes.
fn frontend_attributes(attrs: &Attrs) -> Option<FrontendAttributes> {
    let Some(Attr::Dict(items)) = attrs.get("mhlo.frontend_attributes") else {
        return None;
    };
    let map = items.iter().filter_map(|(key, value)| match value {
        Attr::String(text) => Some((key.clone(), text.clone())),
        _ => None,
    });
    Some(FrontendAttributes { map: map.collect() })
}

/// Writes shardings and frontend attributes on an instruction.
fn carry(proto: &mut HloInstructionProto, attrs: &Attrs) {
    if let Some(Attr::String(text)) = attrs.get("mhlo.sharding") {
        match literal::sharding(text) {
            Some(sharding) => proto.sharding = Some(Box::new(sharding)),
            None => proto.sharding_text = text.clone(),
        }
    }
    if let Some(attributes) = frontend_attributes(attrs) {
        proto
            .frontend_attributes
            .get_or_insert_default()
            .map
            .extend(attributes.map);
    }
}
