//! Computations and instructions to functions, regions and operations.

use std::collections::HashMap;

use ferrite_ir::diag::{Code, Diagnostic};
use ferrite_ir::hlo::{
    Alias, AliasKind, Attr, Attrs, Func, Module, OpKind, RegionId, ResultInfo, TensorType, Type, ValueId,
};
use ferrite_ir::literal::Literal;
use ferrite_ir::loc::{LocId, Location, Source};
use smallvec::SmallVec;

use super::Program;
use super::kinds::{self, Regions};
use super::message::*;
use super::shape::{leaf_count, leaf_position, leaf_type, leaves};

/// Computations nest at most this deep as regions.
const MAX_DEPTH: usize = 64;

/// At most so many operations per instruction of the file come from inlining computations into regions.
const MAX_GROWTH: usize = 256;

type Lowered<T> = Result<T, Diagnostic>;

/// The values an instruction stands for: one per array, in order.
pub(super) type Leaves = SmallVec<[ValueId; 1]>;

/// The entry computation: by id, else by name.
fn entry_computation(proto: &HloModuleProto) -> Option<usize> {
    let find = |wanted: &dyn Fn(&HloComputationProto) -> bool| proto.computations.iter().position(wanted);
    find(&|c| c.id == proto.entry_computation_id).or_else(|| find(&|c| c.name == proto.entry_computation_name))
}

/// Names of the entry computation's parameters by number.
pub(super) fn parameter_names(proto: &HloModuleProto) -> Vec<String> {
    let entry = entry_computation(proto).map(|index| parameters(&proto.computations[index]));
    entry.into_iter().flatten().map(|p| p.name.clone()).collect()
}

/// At most this many errors are reported.
const MAX_ERRORS: usize = 20;

/// Lowers a program, without verifying the result.
///
/// # Errors
/// What is wrong with its instructions.
pub(super) fn lower(program: &Program) -> Result<Module, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let module = lower_all(program, &mut errors);
    match module {
        Ok(module) if errors.is_empty() => return Ok(module),
        Ok(_) => {}
        Err(error) => errors.push(error),
    }
    // A computation that is used in several places says what is wrong with it in each.
    let mut said = std::collections::HashSet::new();
    errors.retain(|error: &Diagnostic| said.insert(error.to_string()));
    Err(errors)
}

fn lower_all(program: &Program, errors: &mut Vec<Diagnostic>) -> Lowered<Module> {
    let proto = &program.module;
    let mut computations = HashMap::new();
    for (n, computation) in proto.computations.iter().enumerate() {
        computations.insert(computation.id, n);
    }
    let entry = entry_computation(proto);
    let Some(entry) = entry else {
        return Err(Diagnostic::error(Code::Parse, "the module has no entry computation"));
    };
    let size: usize = proto.computations.iter().map(|c| c.instructions.len()).sum();
    let mut lowering = Lowering {
        program,
        computations,
        module: Module {
            name: proto.name.clone(),
            ..Module::default()
        },
        functions: HashMap::new(),
        queue: Vec::new(),
        budget: size.saturating_mul(MAX_GROWTH).saturating_add(1 << 16),
        depth: 0,
        random: super::expanded::FIRST_STATE,
        errors,
    };
    lowering.module_attributes();
    lowering.functions.insert(entry, "main".to_string());
    let main = lowering.function(entry, "main")?;
    lowering.module.funcs.push(main);
    lowering.donations(entry)?;
    lowering.output_names(entry);
    let mut next = 0;
    while let Some(&(computation, ref name)) = lowering.queue.get(next) {
        let name = name.clone();
        next += 1;
        let mut func = lowering.function(computation, &name)?;
        func.public = false;
        lowering.module.funcs.push(func);
    }
    Ok(lowering.module)
}

pub(super) struct Lowering<'p, 'e> {
    program: &'p Program,
    /// Computations by id.
    computations: HashMap<i64, usize>,
    module: Module,
    /// Functions made of computations, and those still to be made.
    functions: HashMap<usize, String>,
    queue: Vec<(usize, String)>,
    budget: usize,
    depth: usize,
    /// The state of the random generator that instructions share.
    pub(super) random: u128,
    /// What is wrong with instructions whose places others took.
    errors: &'e mut Vec<Diagnostic>,
}

/// Where operations go.
pub(super) struct Site<'f> {
    pub(super) func: &'f mut Func,
    pub(super) region: RegionId,
    pub(super) loc: LocId,
}

impl Site<'_> {
    /// Adds an operation without regions.
    pub(super) fn add(&mut self, kind: OpKind, operands: &[ValueId], types: Vec<Type>) -> Leaves {
        let op = self.func.append(self.region, kind, operands, types, &[], self.loc);
        self.func.op(op).results.iter().copied().collect()
    }
}

impl<'p> Lowering<'p, '_> {
    fn module_attributes(&mut self) {
        let proto = &self.program.module;
        let devices = proto.device_assignment.clone().unwrap_or_default();
        let count = |given: i32, named: i64| Attr::Int(i64::from(given).max(named).max(1), 32);
        let replicas = count(devices.replica_count, named_replicas(proto));
        let attrs = &mut self.module.attrs;
        attrs.insert("mhlo.num_partitions".to_string(), count(devices.computation_count, 1));
        attrs.insert("mhlo.num_replicas".to_string(), replicas);
        if let Some(attributes) = &proto.frontend_attributes {
            let mut attributes = attributes.clone();
            if let Some(meshes) = attributes.map.remove(super::manual::MESHES) {
                self.module.symbols = super::manual::symbols_of(&meshes);
            }
            if !attributes.map.is_empty() {
                attrs.insert("mhlo.frontend_attributes".to_string(), dictionary(&attributes));
            }
        }
    }

    /// The name of a computation.
    pub(super) fn computation_name(&self, computation: usize) -> &'p str {
        &self.program.module.computations[computation].name
    }

    fn function(&mut self, computation: usize, name: &str) -> Lowered<Func> {
        let proto = &self.program.module.computations[computation];
        let mut func = Func::new(name);
        let body = func.body();
        let results = self.region(&mut func, body, computation)?;
        // Parameters carry what was written on them.
        let mut position = 0;
        for parameter in parameters(proto) {
            let count = parameter.shape.as_ref().map_or(0, leaf_count);
            if let (Some(sharding), 1) = (sharding(parameter), count)
                && let Some(param) = func.params.get_mut(position)
            {
                param.attrs.insert("mhlo.sharding".to_string(), Attr::String(sharding));
            }
            if let (Some(attributes), Some(param)) = (&parameter.frontend_attributes, func.params.get_mut(position)) {
                param
                    .attrs
                    .insert("mhlo.frontend_attributes".to_string(), dictionary(attributes));
            }
            position += count;
        }
        func.results = vec![ResultInfo::default(); results];
        Ok(func)
    }

    /// Aliases and donated buffers of the entry function.
    fn donations(&mut self, entry: usize) -> Lowered<()> {
        let proto = &self.program.module;
        let computation = &proto.computations[entry];
        let root = computation
            .instructions
            .iter()
            .find(|i| i.id == computation.root_id)
            .and_then(|i| i.shape.as_ref());
        let parameters = parameters(computation);
        let bad = |what: &str| Diagnostic::error(Code::Verify, format!("{what} names no parameter or output"));
        let position = |number: i64, index: &[i64]| {
            let number = usize::try_from(number).ok()?;
            let before: usize = parameters
                .get(..number)?
                .iter()
                .filter_map(|p| p.shape.as_ref())
                .map(leaf_count)
                .sum();
            Some(before + leaf_position(parameters.get(number)?.shape.as_ref()?, index)?)
        };
        let Some(main) = self.module.funcs.first_mut() else {
            return Ok(());
        };
        for entry in proto.input_output_alias.iter().flat_map(|alias| &alias.entries) {
            let output = root.and_then(|root| leaf_position(root, &entry.output_shape_index));
            let input = position(entry.parameter_number, &entry.parameter_shape_index);
            let param = input.and_then(|input| main.params.get_mut(input));
            let (Some(param), Some(output)) = (param, output) else {
                return Err(bad("an input-output alias"));
            };
            let kind = if entry.kind == 2 {
                AliasKind::Must
            } else {
                AliasKind::May
            };
            param.alias = Some(Alias { output, kind });
        }
        for entry in proto.buffer_donor.iter().flat_map(|donor| &donor.entries) {
            let input = position(entry.parameter_number, &entry.parameter_shape_index);
            let param = input.and_then(|input| main.params.get_mut(input));
            param.ok_or_else(|| bad("a buffer donor"))?.donated = true;
        }
        Ok(())
    }

    /// `neff_output_names` on the root names the outputs in order; each result keeps its own.
    fn output_names(&mut self, entry: usize) {
        const KEY: &str = "neff_output_names";
        let computation = &self.program.module.computations[entry];
        let root = computation.instructions.iter().find(|i| i.id == computation.root_id);
        let attributes = root.and_then(|r| r.frontend_attributes.as_ref());
        let names = attributes.and_then(|a| a.map.get(KEY));
        let (Some(names), Some(main)) = (names, self.module.funcs.first_mut()) else {
            return;
        };
        for (result, name) in main.results.iter_mut().zip(names.split(',')) {
            let name = Attr::String(name.trim().to_string());
            let dictionary = Attr::Dict([(KEY.to_string(), name)].into());
            result.attrs.insert("mhlo.frontend_attributes".to_string(), dictionary);
        }
    }

    /// Fills a region with a computation: its parameters become the region's arguments. Returns the number of results.
    pub(super) fn region(&mut self, func: &mut Func, region: RegionId, computation: usize) -> Lowered<usize> {
        let proto = &self.program.module.computations[computation];
        let mut arguments = Vec::new();
        for parameter in parameters(proto) {
            let mut values = Leaves::new();
            for leaf in self.leaf_types(parameter)? {
                values.push(func.add_arg(region, leaf));
            }
            arguments.push(values);
        }
        let results = self.computation(func, region, computation, &arguments)?;
        let count = results.len();
        func.region_mut(region).results = results.to_vec();
        Ok(count)
    }

    fn leaf_types(&self, instruction: &HloInstructionProto) -> Lowered<Vec<Type>> {
        self.types_of(instruction, instruction.shape.as_ref())
    }

    /// Types of the arrays and tokens of a shape, which is the instruction's or a part of it.
    pub(super) fn types_of(&self, instruction: &HloInstructionProto, shape: Option<&ShapeProto>) -> Lowered<Vec<Type>> {
        let shape = shape.ok_or_else(|| self.error(instruction, "it lacks a part of its shape"))?;
        let mut all = Vec::new();
        leaves(shape, &mut all);
        all.into_iter()
            .map(leaf_type)
            .collect::<Result<_, _>>()
            .map_err(|message| self.error(instruction, message))
    }

    fn location(&self, instruction: &HloInstructionProto) -> Location {
        let (line, column) = self.program.places.0.get(&instruction.id).copied().unwrap_or((0, 0));
        Location {
            line,
            column,
            source: self.source(instruction),
        }
    }

    /// Where the model's author wrote an instruction.
    fn source(&self, instruction: &HloInstructionProto) -> Option<Source> {
        let metadata = instruction.metadata.as_ref()?;
        let file = |file: &str, line: i32, column: i32| Source::File {
            file: file.to_string(),
            line: u32::try_from(line).unwrap_or(0),
            column: u32::try_from(column).unwrap_or(0),
        };
        let place = if metadata.source_file.is_empty() {
            self.program.module.stack_frame_index.as_ref().and_then(|index| {
                // Ids count from 1.
                let at = |id: i32| usize::try_from(id).ok()?.checked_sub(1);
                let frame = index.stack_frames.get(at(metadata.stack_frame_id)?)?;
                let location = index.file_locations.get(at(frame.file_location_id)?)?;
                let name = index.file_names.get(at(location.file_name_id)?)?;
                Some(file(name, location.line, location.column))
            })
        } else {
            Some(file(
                &metadata.source_file,
                metadata.source_line,
                metadata.source_column,
            ))
        };
        if metadata.op_name.is_empty() {
            return place;
        }
        Some(Source::Name {
            name: metadata.op_name.clone(),
            child: place.map(Into::into),
        })
    }

    pub(super) fn error(&self, instruction: &HloInstructionProto, message: impl std::fmt::Display) -> Diagnostic {
        let text = format!(
            "instruction `{}` (`{}`): {message}",
            instruction.name, instruction.opcode
        );
        Diagnostic::error(Code::Verify, text).at(&self.location(instruction))
    }

    /// Adds the operations of a computation to a region; returns the values of its root.
    pub(super) fn computation(
        &mut self,
        func: &mut Func,
        region: RegionId,
        computation: usize,
        arguments: &[Leaves],
    ) -> Lowered<Leaves> {
        let proto = &self.program.module.computations[computation];
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("computation `{}` nests deeper than {MAX_DEPTH} levels", proto.name);
            return Err(Diagnostic::error(Code::Unsupported, message));
        }
        let mut env: HashMap<i64, (Leaves, &HloInstructionProto)> = HashMap::with_capacity(proto.instructions.len());
        for instruction in &proto.instructions {
            self.budget = self.budget.checked_sub(1).ok_or_else(|| {
                Diagnostic::error(
                    Code::Unsupported,
                    "the program grows beyond bounds when its computations are inlined",
                )
            })?;
            let mut operands = Vec::with_capacity(instruction.operand_ids.len());
            for id in &instruction.operand_ids {
                match env.get(id) {
                    Some((values, proto)) => operands.push((values.clone(), *proto)),
                    None => return Err(self.error(instruction, "an operand is not defined before")),
                }
            }
            let location = self.location(instruction);
            let loc = self.module.locs.add(location);
            let mut site = Site { func, region, loc };
            let expected = instruction.shape.as_ref().map_or(0, leaf_count);
            let depth = self.depth;
            let values = match self.instruction(&mut site, instruction, &operands, arguments) {
                Ok(values) if values.len() == expected => values,
                outcome => {
                    let error = match outcome {
                        Err(error) => error,
                        Ok(values) => {
                            let message = format!("it has {} values, but a shape of {expected}", values.len());
                            self.error(instruction, message)
                        }
                    };
                    if self.errors.len() + 1 >= MAX_ERRORS {
                        return Err(error);
                    }
                    self.errors.push(error);
                    self.depth = depth;
                    // Others may use it: the program is given up, but what is wrong with them is said too.
                    let types = self.leaf_types(instruction)?;
                    site.add(OpKind::OptimizationBarrier, &[], types)
                }
            };
            env.insert(instruction.id, (values, instruction));
        }
        self.depth -= 1;
        let root = env.get(&proto.root_id).map(|(values, _)| values.clone());
        root.ok_or_else(|| Diagnostic::error(Code::Parse, format!("computation `{}` has no root", proto.name)))
    }

    /// The computation that an instruction calls.
    pub(super) fn called(&self, instruction: &HloInstructionProto, n: usize) -> Lowered<usize> {
        let id = instruction.called_computation_ids.get(n);
        id.and_then(|id| self.computations.get(id).copied())
            .ok_or_else(|| self.error(instruction, "it calls a computation that is not there"))
    }

    fn instruction(
        &mut self,
        site: &mut Site,
        instruction: &'p HloInstructionProto,
        operands: &[(Leaves, &HloInstructionProto)],
        arguments: &[Leaves],
    ) -> Lowered<Leaves> {
        let bad = |this: &Self, message: &str| this.error(instruction, message);
        let all: Leaves = operands.iter().flat_map(|(values, _)| values.iter().copied()).collect();
        match &*instruction.opcode {
            "parameter" => {
                let number = usize::try_from(instruction.parameter_number).ok();
                let values = number.and_then(|n| arguments.get(n)).cloned();
                return values.ok_or_else(|| bad(self, "it is not among the parameters"));
            }
            // What a tuple holds, and what is the same value in another layout or sharding.
            "tuple" => return Ok(all),
            "copy" | "domain" | "add-dependency" => {
                return operands
                    .first()
                    .map(|(values, _)| values.clone())
                    .ok_or_else(|| bad(self, "it needs an operand"));
            }
            "get-tuple-element" => {
                let [(values, operand)] = operands else {
                    return Err(bad(self, "it needs one operand"));
                };
                let shape = operand
                    .shape
                    .as_ref()
                    .ok_or_else(|| bad(self, "its operand has no shape"))?;
                let part = usize::try_from(instruction.tuple_index)
                    .ok()
                    .and_then(|n| shape.tuple_shapes.get(n));
                let start = leaf_position(shape, &[instruction.tuple_index]);
                let range = part
                    .zip(start)
                    .and_then(|(part, start)| values.get(start..start + leaf_count(part)));
                return range
                    .map(Leaves::from_slice)
                    .ok_or_else(|| bad(self, "its index is not in the tuple"));
            }
            "constant" => {
                let shape = instruction.shape.as_ref().ok_or_else(|| bad(self, "it has no shape"))?;
                let proto = instruction
                    .literal
                    .as_ref()
                    .ok_or_else(|| bad(self, "it has no value"))?;
                let mut values = Leaves::new();
                constants(site, shape, proto, &mut values).map_err(|message| bad(self, &message))?;
                return Ok(values);
            }
            "fusion" => {
                let inner = self.called(instruction, 0)?;
                let arguments: Vec<Leaves> = operands.iter().map(|(values, _)| values.clone()).collect();
                return self.computation(site.func, site.region, inner, &arguments);
            }
            _ => {}
        }
        if let Some(values) = self.asynchronous(site, instruction, operands)? {
            return Ok(values);
        }
        if let Some(values) = self.manual(site, instruction, operands)? {
            return Ok(values);
        }
        let types = self.leaf_types(instruction)?;
        if instruction.opcode == "call" {
            let callee = self.called(instruction, 0)?;
            let name = self.function_name(callee);
            let values = site.add(OpKind::Call(ferrite_ir::hlo::Call { callee: name }), &all, types);
            self.discardable(site, &values, instruction);
            return Ok(values);
        }
        if instruction.opcode == "rng" {
            return self.rng(site, instruction, &all, types);
        }
        if let Some(values) = self.expanded(site, instruction, &all, &types)? {
            self.discardable(site, &values, instruction);
            return Ok(values);
        }
        let all = match &*instruction.opcode {
            "dynamic-slice" => scalar_indices(site, all, 1),
            "dynamic-update-slice" => scalar_indices(site, all, 2),
            // Of what is no token it takes that it is there.
            "after-all" => all.into_iter().filter(|&v| *site.func.ty(v) == Type::Token).collect(),
            _ => all,
        };
        let operand_types: Vec<Type> = all.iter().map(|&v| site.func.ty(v).clone()).collect();
        let mut called = Vec::new();
        if instruction.opcode == "custom-call" {
            for n in 0..instruction.called_computation_ids.len() {
                let callee = self.called(instruction, n)?;
                called.push(self.function_name(callee));
            }
        }
        let kind = kinds::kind(instruction, &operand_types, &types, called).map_err(|message| bad(self, &message))?;
        let Some((kind, which)) = kind else {
            let text = format!("HLO instruction `{}` is not supported", instruction.opcode);
            return Err(Diagnostic::error(Code::Unsupported, text).at(&self.location(instruction)));
        };
        let mut regions: SmallVec<[RegionId; 1]> = SmallVec::new();
        let mut inputs = all;
        match which {
            Regions::None => {}
            // XLA keeps a loop's body before its condition.
            Regions::Loop => {
                for n in [1, 0] {
                    let inner = self.called(instruction, n)?;
                    let region = site.func.add_region();
                    self.region(site.func, region, inner)?;
                    regions.push(region);
                }
            }
            Regions::Bodies(count) => {
                for n in 0..count {
                    let inner = self.called(instruction, n)?;
                    let region = site.func.add_region();
                    self.region(site.func, region, inner)?;
                    regions.push(region);
                }
            }
            // Branches take their operands from around.
            Regions::Branches => {
                for (n, (values, _)) in operands.iter().skip(1).enumerate() {
                    let inner = self.called(instruction, n)?;
                    let region = site.func.add_region();
                    let results = self.computation(site.func, region, inner, std::slice::from_ref(values))?;
                    site.func.region_mut(region).results = results.to_vec();
                    regions.push(region);
                }
                inputs.truncate(1);
            }
        }
        let op = site.func.append(site.region, kind, &inputs, types, &regions, site.loc);
        let values: Leaves = site.func.op(op).results.iter().copied().collect();
        self.discardable(site, &values, instruction);
        Ok(values)
    }

    /// `rng` takes its shape from its result; StableHLO's is an operand.
    fn rng(
        &mut self,
        site: &mut Site,
        instruction: &HloInstructionProto,
        operands: &[ValueId],
        types: Vec<Type>,
    ) -> Lowered<Leaves> {
        let [Type::Tensor(ty)] = &types[..] else {
            return Err(self.error(instruction, "it needs one result"));
        };
        let bytes: Vec<u8> = ty.shape.iter().flat_map(|size| size.to_le_bytes()).collect();
        let shape_type = TensorType::new(ferrite_ir::dtype::DType::I64, &[ty.rank() as i64]);
        let literal = Literal::new(shape_type.clone(), bytes)
            .ok_or_else(|| self.error(instruction, "its shape is no constant"))?;
        let shape = site.add(OpKind::Constant(literal), &[], vec![Type::Tensor(shape_type)]);
        let mut inputs: Leaves = operands.into();
        inputs.extend(shape);
        let distribution = match instruction.distribution {
            1 => ferrite_ir::hlo::RngDistribution::Uniform,
            2 => ferrite_ir::hlo::RngDistribution::Normal,
            _ => return Err(self.error(instruction, "it has no distribution")),
        };
        Ok(site.add(OpKind::Rng(ferrite_ir::hlo::Rng { distribution }), &inputs, types))
    }

    /// The function made of a computation.
    fn function_name(&mut self, computation: usize) -> String {
        if let Some(name) = self.functions.get(&computation) {
            return name.clone();
        }
        let base = self.program.module.computations[computation].name.clone();
        let mut name = base.clone();
        let mut n = 0;
        while self.functions.values().any(|taken| *taken == name) {
            name = format!("{base}_{n}");
            n += 1;
        }
        self.functions.insert(computation, name.clone());
        self.queue.push((computation, name.clone()));
        name
    }

    /// Shardings and frontend attributes stay with the operation.
    pub(super) fn discardable(&self, site: &mut Site, values: &[ValueId], instruction: &HloInstructionProto) {
        let mut attrs = Attrs::new();
        if let Some(sharding) = sharding(instruction) {
            attrs.insert("mhlo.sharding".to_string(), Attr::String(sharding));
        }
        if let Some(attributes) = &instruction.frontend_attributes {
            attrs.insert("mhlo.frontend_attributes".to_string(), dictionary(attributes));
        }
        if let (false, Some(op)) = (attrs.is_empty(), values.first().and_then(|&v| site.func.def(v))) {
            site.func.op_mut(op).attrs = Some(Box::new(attrs));
        }
    }
}

/// Indices in one array, an older form, become scalars.
fn scalar_indices(site: &mut Site, operands: Leaves, before: usize) -> Leaves {
    let Some(&[indices]) = operands.get(before..) else {
        return operands;
    };
    let ty = match site.func.ty(indices) {
        Type::Tensor(ty) if ty.rank() == 1 && ty.is_static() => ty.clone(),
        _ => return operands,
    };
    let mut out = Leaves::from_slice(&operands[..before]);
    for n in 0..ty.shape[0] {
        let part = OpKind::Slice(ferrite_ir::hlo::Slice {
            start: [n].into_iter().collect(),
            limit: [n + 1].into_iter().collect(),
            strides: [1].into_iter().collect(),
        });
        let part = site.add(part, &[indices], vec![Type::Tensor(ty.with_shape([1]))]);
        out.extend(site.add(OpKind::Reshape, &part, vec![Type::Tensor(ty.with_shape([]))]));
    }
    out
}

/// The constants of a literal, which may be a tuple.
fn constants(site: &mut Site, shape: &ShapeProto, proto: &LiteralProto, out: &mut Leaves) -> Result<(), String> {
    if shape.element_type != TUPLE {
        let literal = super::literal::literal(shape, proto)?;
        let ty = Type::Tensor(literal.ty().clone());
        out.extend(site.add(OpKind::Constant(literal), &[], vec![ty]));
        return Ok(());
    }
    if shape.tuple_shapes.len() != proto.tuple_literals.len() {
        let (wanted, found) = (shape.tuple_shapes.len(), proto.tuple_literals.len());
        return Err(format!("a tuple of {wanted} elements is given {found} values"));
    }
    for (shape, proto) in shape.tuple_shapes.iter().zip(&proto.tuple_literals) {
        constants(site, shape, proto, out)?;
    }
    Ok(())
}

/// How many replicas the instructions name: a program for several need not say how many there are.
fn named_replicas(module: &HloModuleProto) -> i64 {
    /// No program is for more.
    const MAX: i64 = 1 << 16;
    let across = module
        .computations
        .iter()
        .flat_map(|c| &c.instructions)
        .filter(|i| i.channel_id <= 0 && !i.use_global_device_ids);
    let named = across.flat_map(|i| {
        let listed = i.collective_device_list.iter().flat_map(|list| &list.replica_groups);
        let groups = i.replica_groups.iter().chain(listed);
        let pairs = i.source_target_pairs.iter().flat_map(|pair| [pair.source, pair.target]);
        groups.flat_map(|group| group.replica_ids.iter().copied()).chain(pairs)
    });
    named.max().map_or(1, |last| last.saturating_add(1)).min(MAX)
}

/// The parameters of a computation by number.
fn parameters(computation: &HloComputationProto) -> Vec<&HloInstructionProto> {
    let mut all: Vec<_> = computation
        .instructions
        .iter()
        .filter(|i| i.opcode == "parameter")
        .collect();
    all.sort_by_key(|parameter| parameter.parameter_number);
    all
}

fn dictionary(attributes: &FrontendAttributes) -> Attr {
    Attr::Dict(
        attributes
            .map
            .iter()
            .map(|(key, value)| (key.clone(), Attr::String(value.clone())))
            .collect(),
    )
}

/// The sharding of an instruction as HLO text writes it.
fn sharding(instruction: &HloInstructionProto) -> Option<String> {
    if !instruction.sharding_text.is_empty() {
        return Some(instruction.sharding_text.clone());
    }
    instruction.sharding.as_deref().map(sharding_text)
}

pub(super) fn sharding_text(sharding: &OpSharding) -> String {
    let list = |items: &[i64]| items.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    match sharding.r#type {
        0 => "{replicated}".to_string(),
        1 => format!("{{maximal device={}}}", list(&sharding.tile_assignment_devices)),
        2 => {
            let parts: Vec<String> = sharding.tuple_shardings.iter().map(sharding_text).collect();
            format!("{{{}}}", parts.join(", "))
        }
        4 => "{manual}".to_string(),
        5 => "{unknown}".to_string(),
        6 => "{unreduced}".to_string(),
        _ => {
            let mut text = format!("{{devices=[{}]", list(&sharding.tile_assignment_dimensions));
            if sharding.iota_reshape_dims.is_empty() {
                text.push_str(&list(&sharding.tile_assignment_devices));
            } else {
                text.push_str(&format!("<=[{}]", list(&sharding.iota_reshape_dims)));
                if !sharding.iota_transpose_perm.is_sorted() {
                    let perm: Vec<i64> = sharding.iota_transpose_perm.iter().map(|&d| i64::from(d)).collect();
                    text.push_str(&format!("T({})", list(&perm)));
                }
            }
            if sharding.replicate_on_last_tile_dim {
                text.push_str(" last_tile_dim_replicate");
            }
            if !sharding.last_tile_dims.is_empty() {
                let word = |kind: &i32| match kind {
                    0 => "replicated",
                    4 => "manual",
                    6 => "unreduced",
                    _ => "unknown",
                };
                let words: Vec<&str> = sharding.last_tile_dims.iter().map(word).collect();
                text.push_str(&format!(" last_tile_dims={{{}}}", words.join(", ")));
            }
            text.push('}');
            text
        }
    }
}
