//! Fault injection: compiled models with one mistake each. The simulator takes the NEFF alone, so what it finds it finds without the compiler.

use std::ops::Range;
use std::path::Path;

use ferrite_driver::compile;
use ferrite_driver::model;
use ferrite_driver::options::CompileOptions;
use ferrite_ir::dtype::DType;
use ferrite_ir::isa::{
    Ap, ApDim, DmaAccess, DmaSpace, Engine, Inst, Instr, Op, Program, Role, Space, Transfer, Update, UpdateAt,
    UpdateKind, Wait,
};
use ferrite_ir::machine::MachineModel;
use ferrite_neff::{Compression, Container, Neff, ReadOptions, WriteOptions};
use ferrite_sim::{Options, Simulator};
use proptest::prelude::*;

use crate::order::Judge;

const MODELS: [&str; 2] = ["vit_tiny_forward", "mlp_train_adam"];
const TARGETS: [&str; 2] = ["inf2", "trn2"];

fn neff(model: &str, target: &str) -> Neff {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/models/{model}/model.stablehlo.mlir"));
    let module = model::read(&path).unwrap_or_else(|e| panic!("{}", e[0]));
    let options = CompileOptions {
        target: target.into(),
        ..CompileOptions::default()
    };
    let compiled = compile::compile(module, &options).unwrap_or_else(|e| panic!("{}", e[0]));
    let bytes = compiled.neff.write(&WriteOptions::default()).expect("writes");
    Neff::read(&bytes).expect("reads what it wrote")
}

/// Every model on every target, as the programs of their NEFFs.
fn programs() -> Vec<(String, Program)> {
    let all = MODELS.iter().flat_map(|m| TARGETS.iter().map(move |t| (m, t)));
    all.map(|(model, target)| (format!("{model} on {target}"), neff(model, target).programs.remove(0)))
        .collect()
}

/// The first finding of a run for its time, checks on; empty if there is none.
fn finding(program: &Program) -> String {
    let options = Options {
        max_instructions: 2_000_000,
        ..Options::default()
    };
    let found = match Simulator::for_program(program) {
        Ok(simulator) => simulator.profile(&options).err(),
        Err(mut all) => Some(all.remove(0)),
    };
    found.map(|d| d.to_string()).unwrap_or_default()
}

/// Instructions that a message names.
fn named(message: &str) -> usize {
    message.matches(" instruction ").count()
}

fn places(program: &Program, wanted: impl Fn(&Instr) -> bool) -> Vec<(usize, usize)> {
    let streams = program.streams.iter().enumerate();
    streams
        .flat_map(|(e, stream)| {
            let hits = stream.iter().enumerate().filter(|(_, instr)| wanted(instr));
            hits.map(move |(i, _)| (e, i)).collect::<Vec<_>>()
        })
        .collect()
}

/// About `most` of them, spread over all.
fn spread<T: Clone>(all: &[T], most: usize) -> Vec<T> {
    let step = all.len().div_ceil(most).max(1);
    all.iter().step_by(step).cloned().collect()
}

#[test]
fn compiled_models_have_no_findings() {
    for (name, program) in programs() {
        assert_eq!(finding(&program), "", "{name}");
    }
}

/// Deletes every wait of a program, one after the other. What the simulator does not find has to be proved harmless by [`Judge`], which shares nothing
/// with it: the waits that are left still order every two accesses to a byte.
fn delete_every_wait(name: &str, program: &Program) {
    let machine = MachineModel::target(&program.target).expect("known target");
    let judge = Judge::new(program, &machine);
    assert_eq!(judge.unordered_without(None), None, "{name}, nothing deleted");
    let (mut races, mut silent) = (0, 0);
    let waits = places(program, |i| i.wait.is_some());
    for (n, &(e, i)) in waits.iter().enumerate() {
        let mut broken = program.clone();
        broken.streams[e][i].wait = None;
        let message = finding(&broken);
        let place = format!("{name}, stream {e}, instruction {i}");
        let (race, unwritten) = (message.contains("data race"), message.contains("wrote"));
        // The judge is slow: of what is found it confirms a part.
        if message.is_empty() || n % 8 == 0 {
            match judge.unordered_without(Some((e, i))) {
                Some(pair) => assert!(!message.is_empty(), "{place}: not found, but nothing orders {pair}"),
                // In order all the same; a semaphore may still be used in a way that depends on time.
                None => assert!(!race && !unwritten, "{place} is proved harmless: {message}"),
            }
        }
        if message.is_empty() {
            silent += 1;
            continue;
        }
        races += usize::from(race);
        assert!(race || unwritten || message.contains("semaphore"), "{place}: {message}");
        // The other side of a reset is a queue or an engine.
        let sides = named(&message) + usize::from(message.contains("resets semaphore"));
        assert!(sides >= 2, "{place} names one side: {message}");
    }
    eprintln!(
        "{name}: of {} deleted waits {} are found ({races} as races), {silent} proved redundant",
        waits.len(),
        waits.len() - silent
    );
    assert!(races > 0, "{name}: no race among the findings");
}

#[test]
fn a_deleted_wait_is_found_or_proved_redundant() {
    std::thread::scope(|scope| {
        let all = programs().into_iter();
        let threads: Vec<_> = all
            .map(|(name, p)| scope.spawn(move || delete_every_wait(&name, &p)))
            .collect();
        for thread in threads {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

#[test]
fn a_wait_that_nothing_satisfies_is_a_deadlock() {
    for (name, program) in programs() {
        for (e, i) in spread(&places(&program, |i| i.wait.is_some()), 8) {
            let mut broken = program.clone();
            let wait = broken.streams[e][i].wait.as_mut().expect("chosen for its wait");
            wait.value += 10_000;
            let message = finding(&broken);
            assert!(message.contains("deadlock"), "{name}: {message}");
            assert!(message.contains(&format!("instruction {i} ")), "{name}: {message}");
        }
        // Who waits and who would have to raise the semaphore.
        let (e, i) = places(&program, |i| i.update.is_some())[0];
        let mut broken = program.clone();
        let update = broken.streams[e][i].update.expect("chosen for its update");
        let semaphore = update.semaphore;
        broken.streams[e].insert(i, Instr::new(Op::Semaphore, broken.streams[e][i].loc));
        broken.streams[e][i].wait = Some(Wait {
            semaphore,
            value: 60_000,
        });
        let message = finding(&broken);
        assert!(
            message.contains("deadlock") && named(&message) >= 2,
            "{name}: {message}"
        );
    }
}

#[test]
fn a_counter_that_overflows() {
    for (name, program) in programs() {
        let (e, i) = places(&program, |i| i.update.is_some())[0];
        let mut broken = program.clone();
        broken.streams[e][i].update = broken.streams[e][i].update.map(|u| Update {
            kind: UpdateKind::Add(65_536),
            ..u
        });
        let message = finding(&broken);
        assert!(message.contains("its counter ends at 65535"), "{name}: {message}");
        assert!(message.contains(&format!("instruction {i} ")), "{name}: {message}");
    }
}

/// Calls `f` with every access pattern of an instruction of an engine that computes.
fn patterns(op: &mut Op, mut f: impl FnMut(bool, &mut Ap)) {
    match op {
        Op::Compute(inst) => {
            let changed = inst.try_map(&mut |role, ap| {
                let mut ap = ap.clone();
                f(matches!(role, Role::Write | Role::WriteScalar), &mut ap);
                Ok::<Ap, std::convert::Infallible>(ap)
            });
            let Ok(changed) = changed;
            *inst = changed;
        }
        Op::LoadStationary { src } => f(false, src),
        Op::MultiplyMoving { dst, moving, .. } => {
            f(true, dst);
            f(false, moving);
        }
        _ => {}
    }
}

#[test]
fn an_address_behind_the_end_is_refused() {
    for (name, program) in programs() {
        for (e, i) in spread(&places(&program, |i| matches!(i.op, Op::Compute(_))), 12) {
            let mut broken = program.clone();
            patterns(&mut broken.streams[e][i].op, |_, ap| ap.offset += 1 << 20);
            let message = finding(&broken);
            let engine = Engine::ALL[e];
            assert!(
                message.contains(&format!("{engine} instruction {i} ")),
                "{name}: {message}"
            );
            assert!(
                message.contains("touches bytes") || message.contains("have"),
                "{name}: {message}"
            );
        }
    }
}

/// Bytes of a partition that one side of a transfer may touch: its hull inside the partitions.
fn columns(access: &DmaAccess, pitch: i64) -> Range<i64> {
    let start = access.offset as i64 % pitch;
    let inner = access.dims.iter().filter(|d| d.step.abs() < pitch);
    let reach: i64 = inner.map(|d| d.step.abs() * (d.count as i64 - 1)).sum();
    start..start + reach + access.dtype.bytes() as i64
}

/// Whether nothing in the program but transfer `number` writes any of these bytes of any partition of SBUF.
fn is_fresh(program: &Program, number: usize, bytes: &Range<i64>, pitch: i64) -> bool {
    let apart = |other: Range<i64>| other.end <= bytes.start || bytes.end <= other.start;
    let others = program.transfers.iter().enumerate().filter(|&(n, _)| n != number);
    let mut written = others
        .flat_map(|(_, t)| &t.elements)
        .filter(|e| e.dst.space == DmaSpace::Sbuf);
    let mut fresh = written.all(|e| apart(columns(&e.dst, pitch)));
    for instr in program.streams.iter().flatten() {
        let mut written = |ap: &Ap| {
            let (low, high) = ap.byte_range();
            fresh &= ap.space != Space::Sbuf || apart(low..high);
        };
        match &instr.op {
            Op::Compute(inst) => inst.for_each(|role, ap: &Ap| {
                if role.writes() {
                    written(ap);
                }
            }),
            Op::DmaIndirect(indirect) => written(&indirect.tile),
            _ => {}
        }
    }
    fresh
}

/// Of a load that goes half an element too far, the first two bytes of its place are never written: found, whatever else
/// happens, unless something else in the program writes there and leaves old data.
#[test]
fn a_shifted_load_leaves_its_reader_without_data() {
    let mut certain = 0;
    for (name, program) in programs() {
        let machine = MachineModel::target(&program.target).expect("known target");
        let pitch = machine.sbuf.bytes_per_partition as i64;
        for number in spread(&(0..program.transfers.len()).collect::<Vec<_>>(), 48) {
            let elements = &program.transfers[number].elements;
            if !elements.iter().all(|e| e.dst.space == DmaSpace::Sbuf) {
                continue;
            }
            let first = columns(&elements[0].dst, pitch);
            let fresh = elements.len() == 1 && is_fresh(&program, number, &(first.start..first.start + 2), pitch);
            let mut broken = program.clone();
            for element in &mut broken.transfers[number].elements {
                element.dst.offset += 2; // half an element too far
            }
            let message = finding(&broken);
            certain += usize::from(fresh);
            assert!(
                !fresh || !message.is_empty(),
                "{name}: shifted transfer {number} is not found"
            );
            if message.contains("nothing wrote") {
                assert!(named(&message) >= 1, "{name}: {message}");
            }
        }
    }
    assert!(certain >= 8, "{certain} loads into memory that nothing else writes");
}

#[test]
fn transfers_that_write_a_byte_twice() {
    for (name, program) in programs() {
        let alike = |t: &Transfer| matches!(t.elements.as_slice(), [a, b, ..] if a.dst.dims == b.dst.dims);
        let several = program.transfers.iter().position(alike);
        let mut broken = program.clone();
        match several {
            Some(number) => {
                let first = broken.transfers[number].elements[0].dst.clone();
                broken.transfers[number].elements[1].dst = first;
            }
            None => {
                let again = broken.transfers[0].elements[0].clone();
                broken.transfers[0].elements.push(again);
            }
        }
        let message = finding(&broken);
        assert!(
            message.contains("twice") || message.contains("overlap"),
            "{name}: {message}"
        );
        // Two transfers on two queues into the same bytes, which nothing orders.
        let mut broken = program.clone();
        let load = |op: &Op| match op {
            Op::DmaTrigger { transfer, .. } => {
                let elements = &program.transfers[*transfer as usize].elements;
                elements
                    .iter()
                    .all(|x| x.dst.space == DmaSpace::Sbuf && x.src.space != DmaSpace::Sbuf)
            }
            _ => false,
        };
        let (e, i) = places(&program, |i| load(&i.op) && i.wait.is_none())[0];
        let mut again = broken.streams[e][i].clone();
        again.wait = None;
        again.update = None;
        let Op::DmaTrigger { transfer, .. } = &mut again.op else {
            continue;
        };
        let mut copy = broken.transfers[*transfer as usize].clone();
        let mut queue = broken.queues[copy.queue as usize].clone();
        queue.name.push_str("Again");
        copy.queue = broken.queues.len() as u16;
        copy.semaphore = 255;
        broken.queues.push(queue);
        *transfer = broken.transfers.len() as u32;
        broken.transfers.push(copy);
        broken.streams[e].insert(i, again);
        let message = finding(&broken);
        assert!(message.contains("data race: writes"), "{name}: {message}");
        assert!(named(&message) >= 2, "{name}: {message}");
    }
}

#[test]
fn illegal_operands_are_refused() {
    type Change = fn(&mut Ap);
    let change: [(&str, Change); 4] = [
        ("do not compute with", |ap| ap.dtype = DType::I64),
        ("partitions from", |ap| (ap.partition, ap.partitions) = (16, 33)),
        ("negative step", |ap| {
            if let Some(d) = ap.dims.last_mut() {
                d.step = -1;
            }
        }),
        ("free dimensions", |ap| {
            let dim = ApDim { step: 1, count: 2 };
            (0..6).for_each(|_| ap.dims.push(dim));
        }),
    ];
    for (name, program) in programs() {
        let wide = |ap: &Ap| ap.dims.last().is_some_and(|d| d.count > 1);
        let (e, i) = places(
            &program,
            |i| matches!(&i.op, Op::Compute(Inst::TensorTensor { dst, .. }) if wide(dst)),
        )[0];
        for (what, change) in change {
            let mut broken = program.clone();
            patterns(&mut broken.streams[e][i].op, |_, ap| change(ap));
            let message = finding(&broken);
            assert!(message.contains(what), "{name}: expected `{what}` in: {message}");
        }
    }
}

/// Outputs of a run with inputs of zeros and ones.
fn outputs(program: &Program) -> Result<Vec<Vec<u8>>, String> {
    let inputs: Vec<Vec<u8>> = program
        .inputs
        .iter()
        .map(|t| {
            let count = t.shape.iter().product::<i64>() as usize;
            let mut bytes = vec![0; count * t.dtype.bytes()];
            for (i, element) in bytes.chunks_exact_mut(t.dtype.bytes()).enumerate() {
                if t.dtype.is_float() {
                    ferrite_ir::literal::write_f64(t.dtype, (i % 7) as f64 / 8.0 - 0.25, element);
                }
            }
            bytes
        })
        .collect();
    let simulator = Simulator::for_program(program).map_err(|e| e[0].to_string())?;
    let run = simulator.run(&inputs, &Options::default());
    run.map(|r| r.outputs).map_err(|e| e.to_string())
}

#[test]
fn swapped_instructions_are_found_or_seen_in_the_results() {
    let program = neff("vit_tiny_forward", "inf2").programs.remove(0);
    let want = outputs(&program).expect("a correct program");
    // Neighbours of a stream of which the second reads what the first writes.
    let written = |op: &mut Op| {
        let mut out = Vec::new();
        patterns(op, |writes, ap| out.extend(writes.then(|| ap.clone())));
        out
    };
    let mut pairs = Vec::new();
    for (e, stream) in program.streams.iter().enumerate() {
        for (i, two) in stream.windows(2).enumerate() {
            let (mut first, mut second) = (two[0].op.clone(), two[1].op.clone());
            let results = written(&mut first);
            let mut reads = false;
            patterns(&mut second, |writes, ap| reads |= !writes && results.contains(ap));
            if reads {
                pairs.push((e, i));
            }
        }
    }
    assert!(!pairs.is_empty());
    let (mut found, pairs) = (0, spread(&pairs, 16));
    for &(e, i) in &pairs {
        let mut broken = program.clone();
        broken.streams[e].swap(i, i + 1);
        match outputs(&broken) {
            Err(message) => {
                found += 1;
                assert!(named(&message) >= 1, "{message}");
            }
            Ok(got) => assert_ne!(
                got, want,
                "stream {e}, instructions {i} and the next are swapped unseen"
            ),
        }
    }
    eprintln!("{found} of {} swaps found, the others seen in the results", pairs.len());
    assert!(found > 0, "none of {} swaps found", pairs.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A flipped bit in any file of the container, its digest made right again: an error, a finding, or a run.
    #[test]
    fn a_flipped_bit_never_panics(at in any::<prop::sample::Index>(), file in any::<prop::sample::Index>(), bit in 0u8..8) {
        thread_local! {
            static WHOLE: Container = neff("mlp_train_adam", "inf2").to_container().expect("writes");
        }
        let mut container = WHOLE.with(Clone::clone);
        let path = container.files.keys().nth(file.index(container.files.len())).expect("within").clone();
        let mut bytes = container.files[&path].to_vec();
        if !bytes.is_empty() {
            let place = at.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        container.files.insert(path, bytes.into());
        let mut out = std::io::Cursor::new(Vec::new());
        container.write(Compression::None, &mut out).expect("in memory");
        if let Ok(neff) = Neff::read_with(out.into_inner().into(), &ReadOptions::default()) {
            neff.programs.iter().for_each(|p| { finding(p); });
        }
    }

    /// A flipped bit in an operand: refused with the instruction's name, found at run time, or harmless.
    #[test]
    fn a_flipped_bit_of_an_operand_never_panics(at in any::<prop::sample::Index>(), field in 0u8..5, bit in 0u32..32) {
        thread_local! {
            static WHOLE: Program = neff("mlp_train_adam", "inf2").programs.remove(0);
        }
        let mut program = WHOLE.with(Clone::clone);
        let computes = places(&program, |i| matches!(i.op, Op::Compute(_) | Op::MultiplyMoving { .. }));
        let (e, i) = computes[at.index(computes.len())];
        patterns(&mut program.streams[e][i].op, |_, ap| match field {
            0 => ap.offset ^= 1 << bit,
            1 => ap.partition ^= 1 << (bit % 16),
            2 => ap.partitions ^= 1 << (bit % 16),
            3 => if let Some(d) = ap.dims.last_mut() { d.count ^= 1 << bit },
            _ => if let Some(d) = ap.dims.last_mut() { d.step ^= 1 << bit },
        });
        finding(&program);
    }
}

/// What a semaphore update on read does not prove.
#[test]
fn an_update_before_the_result_is_there_is_a_race() {
    for (name, program) in programs() {
        let mut races = 0;
        let updates = spread(
            &places(&program, |i| i.update.is_some() && matches!(i.op, Op::Compute(_))),
            12,
        );
        for &(e, i) in &updates {
            let mut broken = program.clone();
            broken.streams[e][i].update = broken.streams[e][i].update.map(|u| Update {
                at: UpdateAt::Read,
                ..u
            });
            let message = finding(&broken);
            if message.contains("data race") {
                races += 1;
                assert!(named(&message) >= 2, "{name}: {message}");
            }
        }
        assert!(races > 0, "{name}: none of {} early updates found", updates.len());
    }
}
