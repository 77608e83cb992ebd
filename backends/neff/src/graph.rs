//! One program as the files of its `sgNN` folder, and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ferrite_ir::diag::Diagnostic;
use ferrite_ir::isa::{self, ActFunc, Op, Program, Queue, Transfer, Var, VarId, VarKind};
use ferrite_ir::loc::{LocId, LocTable};
use ferrite_ir::machine::Engine;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::archive::Files;
use crate::dma::{self, Numbers, STATE_BUFFER};
use crate::encoding::{self, Code};
use crate::error::malformed;
use crate::schema::{Definition, DmaElement, EngineFile, OneOrMany, QueueSet, Variable, engine_file_name, engine_key};
use crate::transfers::each_transfer;

/// Rings of a queue set: one on each DMA engine, so that a transfer adds as many to its semaphore
/// ([`Transfer::semaphore`]).
const RINGS: u32 = 16;

/// Engines' files of more bytes than this together are read side by side.
const PARALLEL: usize = 1 << 20;

/// Adds the files of `program` to `files`, under `folder`. Inputs and outputs are not here but in `neff.json`.
pub(crate) fn write(program: &Program, folder: &str, files: &mut Files) -> Result<(), Diagnostic> {
    let names: Vec<&str> = program.vars.iter().map(|v| v.name.as_str()).collect();
    let mut definition = Definition {
        name: "definition".to_string(),
        dma_queue: queues(program)?,
        var: variables(program, folder, files)?,
        ferrite_target: program.target.clone(),
        ferrite_model_flops: program.model_flops,
        ..Definition::default()
    };
    let mut engines: [EngineFile; 5] = Default::default();
    for (id, transfer) in program.transfers.iter().enumerate() {
        let Some(queue) = program.queues.get(usize::from(transfer.queue)) else {
            return Err(Diagnostic::bug(format!(
                "transfer {id} names queue {}, which does not exist",
                transfer.queue
            )));
        };
        let desc = transfer.elements.iter().map(|element| dma::to_desc(element, &names));
        engines[queue.owner.index()].dma.push(DmaElement {
            id: id as u32,
            queue: Cow::Borrowed(&queue.name),
            semaphore: Some(transfer.semaphore.into()),
            ferrite_loc: transfer.loc.0,
            desc: OneOrMany::Many(desc.collect::<Result<_, _>>()?),
            ..DmaElement::default()
        });
    }
    engines[Engine::Scalar.index()].activation_function_sets = table_sets(program);
    for engine in Engine::ALL {
        let name = engine_file_name(engine);
        let (json, bin) = (format!("{name}0.json"), format!("{name}0.bin"));
        put_json(files, &format!("{folder}/{json}"), &engines[engine.index()])?;
        let path = format!("{folder}/{bin}");
        let code = encoding::encode(&path, program.stream(engine))?;
        files.insert(path, code.into());
        definition.set_engine_files(engine, json, bin);
    }
    put_json(files, &format!("{folder}/def.json"), &definition)?;
    put_json(files, &locations_path(folder), &program.locs)
}

/// Reads the program whose definition is `definition_path`, and its code; `inputs` and `outputs` stay empty, and the streams too unless
/// the code is to be decoded.
pub(crate) fn read(
    folder: &str,
    definition_path: &str,
    files: &Files,
    decode: bool,
) -> Result<(Program, [Code; 5]), Diagnostic> {
    let definition: Definition = get_json(files, definition_path)?;
    // File names in a definition are relative to its folder.
    let base = definition_path.rsplit_once('/').map_or("", |(base, _)| base);
    let in_folder = |name: &str| {
        if base.is_empty() {
            name.to_string()
        } else {
            format!("{base}/{name}")
        }
    };

    let mut program = Program::new(definition.ferrite_target.clone());
    program.model_flops = definition.ferrite_model_flops;
    program.vars = read_variables(&definition, definition_path, files, &in_folder)?;
    program.queues = read_queues(&definition, definition_path)?;
    let numbers: Numbers = program
        .vars
        .iter()
        .enumerate()
        .map(|(index, v)| (v.name.as_str(), VarId(index as u32)))
        .collect();
    let queue_numbers: BTreeMap<&str, u16> = program
        .queues
        .iter()
        .enumerate()
        .map(|(index, q)| (q.name.as_str(), index as u16))
        .collect();

    let read_engine = |engine: Engine| {
        let (json, bin) = definition.engine_files(engine);
        let mut transfers = Vec::new();
        let path = in_folder(json);
        if !json.is_empty() {
            let read = |element: DmaElement<'_>| {
                let id = element.id;
                transfers.push((id, read_transfer(element, &queue_numbers, &numbers, &path)?));
                Ok(())
            };
            each_transfer(&path, get(files, &path)?, read)?;
        }
        let (mut stream, mut code) = (Vec::new(), Code::default());
        if !bin.is_empty() {
            let path = in_folder(bin);
            let bytes = get(files, &path)?;
            if decode {
                stream = encoding::decode(&path, bytes)?;
            } else {
                code = Code::new(path, Some(bytes.clone()));
            }
        }
        Ok((path, transfers, stream, code))
    };
    let size = |name: &str| files.get(&in_folder(name)).map_or(0, Bytes::len);
    let all: usize = Engine::ALL
        .iter()
        .map(|&e| definition.engine_files(e))
        .map(|(a, b)| size(a) + size(b))
        .sum();
    let engines: Vec<Result<_, Diagnostic>> = if all < PARALLEL {
        Engine::ALL.into_iter().map(read_engine).collect()
    } else {
        std::thread::scope(|scope| {
            let read_engine = &read_engine;
            let threads = Engine::ALL.map(|engine| scope.spawn(move || read_engine(engine)));
            let done = threads.into_iter().map(|t| t.join());
            done.map(|d| d.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    };
    let mut transfers: Vec<(u32, Transfer)> = Vec::new();
    let mut all_code: [Code; 5] = Default::default();
    for ((slot, code_slot), engine) in program.streams.iter_mut().zip(&mut all_code).zip(engines) {
        let (_, list, stream, code) = engine?;
        (*slot, *code_slot) = (stream, code);
        transfers.extend(list);
    }
    transfers.sort_by_key(|t| t.0);
    if let Some([(id, _), _]) = transfers.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(malformed(
            definition_path,
            format!("transfer {id} stands twice in the graph"),
        ));
    }
    let count = transfers.len();
    if let Some((_, (id, _))) = (0..).zip(&transfers).find(|(index, t)| *index != t.0) {
        return Err(malformed(
            definition_path,
            format!("{count} transfers, but number {id} among them"),
        ));
    }
    program.transfers = transfers.into_iter().map(|t| t.1).collect();
    program.locs = read_locations(folder, files)?;
    Ok((program, all_code))
}

fn variables(program: &Program, folder: &str, files: &mut Files) -> Result<BTreeMap<String, Variable>, Diagnostic> {
    let state_buffer = Variable {
        kind: "state-buffer".to_string(),
        ..Variable::default()
    };
    let mut all = BTreeMap::from([(STATE_BUFFER.to_string(), state_buffer)]);
    for (index, var) in program.vars.iter().enumerate() {
        let var_id = index as u32 + 1;
        let mut variable = Variable {
            var_id,
            size: Some(var.bytes),
            ..Variable::default()
        };
        match (&var.kind, &var.data) {
            (VarKind::Const, Some(data)) if data.len() as u64 == var.bytes => {
                let file_name = format!("const_{var_id}.raw");
                files.insert(format!("{folder}/{file_name}"), Bytes::from_owner(data.clone()));
                variable.kind = "file".to_string();
                variable.file_name = Some(file_name);
            }
            (VarKind::Const, _) | (_, Some(_)) => {
                return Err(Diagnostic::bug(format!(
                    "variable `{}`: size, kind and data do not agree",
                    var.name
                )));
            }
            (VarKind::Input { index }, None) => {
                variable.kind = "input".to_string();
                variable.ferrite_index = Some(*index);
            }
            (VarKind::Output { index }, None) => {
                variable.kind = "output".to_string();
                variable.ferrite_index = Some(*index);
            }
            (VarKind::Scratch { offset }, None) => {
                variable.kind = "virtual".to_string();
                variable.backing_variable_off = Some(*offset);
            }
        }
        if all.insert(var.name.clone(), variable).is_some() {
            return Err(Diagnostic::bug(format!("two variables have the name `{}`", var.name)));
        }
    }
    Ok(all)
}

fn read_variables(
    definition: &Definition,
    place: &str,
    files: &Files,
    in_folder: &dyn Fn(&str) -> String,
) -> Result<Vec<Var>, Diagnostic> {
    let mut by_id: BTreeMap<u32, Var> = BTreeMap::new();
    for (name, variable) in &definition.var {
        let wrong = |what: &str| malformed(place, format!("variable `{name}`: {what}"));
        let index = || {
            variable
                .ferrite_index
                .ok_or_else(|| wrong("no position among the caller's tensors"))
        };
        let mut data = None;
        let kind = match variable.kind.as_str() {
            "state-buffer" => continue,
            "input" => VarKind::Input { index: index()? },
            "output" => VarKind::Output { index: index()? },
            "virtual" => {
                let offset = variable
                    .backing_variable_off
                    .ok_or_else(|| wrong("no offset in the scratch space"))?;
                VarKind::Scratch { offset }
            }
            "file" => {
                let file = variable.file_name.as_deref().ok_or_else(|| wrong("no file name"))?;
                let path = in_folder(file);
                data = Some(constant(&path, get(files, &path)?)?.into());
                VarKind::Const
            }
            other => return Err(wrong(&format!("type `{other}` is not one that Ferrite reads"))),
        };
        let bytes = variable.size.ok_or_else(|| wrong("no size"))?;
        let var = Var {
            name: name.clone(),
            kind,
            bytes,
            data,
        };
        if let Some(have) = var.data.as_ref().map(|d| d.len() as u64)
            && have != bytes
        {
            return Err(wrong(&format!("size {bytes}, but its file has {have} bytes")));
        }
        if by_id.insert(variable.var_id, var).is_some() {
            return Err(wrong(&format!("number {} is another one's", variable.var_id)));
        }
    }
    if let Some((_, id)) = (1..).zip(by_id.keys()).find(|(index, id)| index != *id) {
        return Err(malformed(
            place,
            format!("{} variables, but number {id} among them", by_id.len()),
        ));
    }
    Ok(by_id.into_values().collect())
}

/// Contents of a `file` variable: a `.npy` file without its header, or all bytes.
fn constant<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a [u8], Diagnostic> {
    if !path.ends_with(".npy") {
        return Ok(bytes);
    }
    let mut rest = bytes;
    let header = npyz::NpyHeader::from_reader(&mut rest).map_err(|e| malformed(path, e))?;
    match header.order() {
        npyz::Order::Fortran if header.shape().len() > 1 => Err(malformed(path, "in Fortran order")),
        _ => Ok(rest),
    }
}

fn queues(program: &Program) -> Result<BTreeMap<String, QueueSet>, Diagnostic> {
    // Queues whose descriptors GpSimd makes while the program runs.
    let dynamic: BTreeSet<u16> = program
        .stream(Engine::GpSimd)
        .iter()
        .filter_map(|instr| match &instr.op {
            Op::DmaIndirect(indirect) => Some(indirect.queue),
            _ => None,
        })
        .collect();
    let mut all: BTreeMap<String, QueueSet> = BTreeMap::new();
    if program.queues.len() > usize::from(u16::MAX) {
        return Err(Diagnostic::bug(format!("{} queues", program.queues.len())));
    }
    for (index, queue) in (0u16..).zip(&program.queues) {
        let set = QueueSet {
            kind: if dynamic.contains(&index) { "dynamic" } else { "data" }.to_string(),
            num_queues: RINGS,
            owner: engine_key(queue.owner).to_string(),
            ferrite_index: Some(index.into()),
            ferrite_dge: queue.dge,
            ..QueueSet::default()
        };
        if all.insert(queue.name.clone(), set).is_some() {
            return Err(Diagnostic::bug(format!("two queues have the name `{}`", queue.name)));
        }
    }
    Ok(all)
}

fn read_queues(definition: &Definition, place: &str) -> Result<Vec<Queue>, Diagnostic> {
    let mut by_index: BTreeMap<u16, Queue> = BTreeMap::new();
    for (name, set) in &definition.dma_queue {
        let wrong = |what: &str| malformed(place, format!("queue `{name}`: {what}"));
        let owner = Engine::ALL.into_iter().find(|&e| engine_key(e) == set.owner);
        let owner = owner.ok_or_else(|| wrong(&format!("`{}` is no engine", set.owner)))?;
        let index = set.ferrite_index.and_then(|i| u16::try_from(i).ok());
        let index = index.ok_or_else(|| wrong("no position among the queues"))?;
        if by_index
            .insert(
                index,
                Queue {
                    name: name.clone(),
                    owner,
                    dge: set.ferrite_dge,
                },
            )
            .is_some()
        {
            return Err(wrong(&format!("position {index} is another one's")));
        }
    }
    if let Some((_, index)) = (0..).zip(by_index.keys()).find(|(expected, index)| expected != *index) {
        return Err(malformed(
            place,
            format!("{} queues, but number {index} among them", by_index.len()),
        ));
    }
    Ok(by_index.into_values().collect())
}

fn read_transfer(
    element: DmaElement,
    queues: &BTreeMap<&str, u16>,
    numbers: &Numbers,
    path: &str,
) -> Result<Transfer, Diagnostic> {
    let place = format!("{path}, transfer {}", element.id);
    let name = element.instance_name.as_ref().unwrap_or(&element.queue);
    let queue = queues
        .get(&**name)
        .ok_or_else(|| malformed(&place, format!("queue `{name}` does not exist")))?;
    let semaphore = element.semaphore.and_then(|s| u16::try_from(s).ok());
    let list = match element.desc {
        OneOrMany::One(desc) => vec![desc],
        OneOrMany::Many(all) => all,
    };
    // Exactly as many as there are: most transfers have one, and a list that grows begins with room for four.
    let mut elements = Vec::with_capacity(list.len());
    for desc in list {
        elements.push(dma::from_desc(desc, numbers, &place)?);
    }
    Ok(Transfer {
        queue: *queue,
        semaphore: semaphore.ok_or_else(|| malformed(&place, "no completion semaphore"))?,
        elements,
        loc: LocId(element.ferrite_loc),
    })
}

/// Names of the table sets that a program loads, in the published pattern (`exp_and_others`).
fn table_sets(program: &Program) -> Vec<String> {
    let loads = program
        .stream(Engine::Scalar)
        .iter()
        .filter_map(|instr| match instr.op {
            Op::ActTableLoad { set } => Some(set),
            _ => None,
        });
    let sets: BTreeSet<u8> = loads.collect();
    sets.into_iter()
        .map(|set| match ActFunc::ALL.into_iter().find(|f| f.table_set() == set) {
            Some(first) => format!("{}_and_others", first.name()),
            None => format!("set_{set}"),
        })
        .collect()
}

fn locations_path(folder: &str) -> String {
    format!("debug_info/{folder}_locations.json")
}

/// Debug information may have been stripped: then all locations read as unknown.
fn read_locations(folder: &str, files: &Files) -> Result<LocTable, Diagnostic> {
    let path = locations_path(folder);
    let Some(bytes) = files.get(&path) else {
        return Ok(LocTable::default());
    };
    let table: LocTable = parse_json(&path, bytes)?;
    if table.is_empty() {
        Err(malformed(&path, "no entry for the unknown location"))
    } else {
        Ok(table)
    }
}

/// A file that must be there.
pub(crate) fn get<'a>(files: &'a Files, path: &str) -> Result<&'a Bytes, Diagnostic> {
    files.get(path).ok_or_else(|| malformed(path, "is missing"))
}

/// Parses a JSON file that must be there.
pub(crate) fn get_json<T: DeserializeOwned>(files: &Files, path: &str) -> Result<T, Diagnostic> {
    parse_json(path, get(files, path)?)
}

fn parse_json<'a, T: serde::Deserialize<'a>>(path: &str, bytes: &'a [u8]) -> Result<T, Diagnostic> {
    serde_json::from_slice(bytes).map_err(|e| malformed(path, e))
}

/// Adds a JSON file.
pub(crate) fn put_json(files: &mut Files, path: &str, value: &impl Serialize) -> Result<(), Diagnostic> {
    let bytes = serde_json::to_vec(value).map_err(|e| Diagnostic::bug(format!("`{path}` cannot be written: {e}")))?;
    files.insert(path.to_string(), bytes.into());
    Ok(())
}

/// Structural rules of a program that was read.
pub(crate) fn check(program: &Program) -> Result<(), Diagnostic> {
    isa::verify(program)
}
