//! Several cores: data, time and mistakes of collectives.

use ferrite_ir::diag::Diagnostic;

use super::*;
use crate::{Options, profile_cores, run_cores};

/// `input -> collective -> output` over HBM, on SyncE.
fn collective(target: &str, kind: CollectiveKind, op: AluOp, elements: i64, groups: &[&[u32]]) -> Maker {
    let mut m = Maker::new(target);
    let x = m.input(F32, &[elements]);
    let c = Collective {
        kind,
        op,
        dtype: F32,
        channel: 1,
        queue: 0,
        semaphore: 3,
        src: x,
        src_offset: 0,
        dst: VarId(0),
        dst_offset: 0,
        bytes: elements as u64 * 4,
        groups: groups.iter().map(|g| g.to_vec()).collect(),
    };
    let out = m.output(F32, &[(c.result_bytes() / 4) as i64]);
    let c = Collective { dst: out, ..c };
    m.push(Engine::Sync, Op::Collective(Box::new(c)));
    wait(m.push(Engine::Sync, Op::Semaphore), 3, 16);
    m
}

fn run(m: &Maker, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, Diagnostic> {
    let simulator = m.simulator().map_err(|mut all| all.remove(0))?;
    let bytes: Vec<[Vec<u8>; 1]> = inputs.iter().map(|x| [bytes_f32(x)]).collect();
    let cores: Vec<_> = bytes.iter().map(|b| (&simulator, b.as_slice())).collect();
    let results = run_cores(&cores, &Options::default())?;
    Ok(results.iter().map(|r| to_f32(&r.outputs[0])).collect())
}

#[track_caller]
fn gives(kind: CollectiveKind, op: AluOp, groups: &[&[u32]], inputs: &[&[f32]], want: &[&[f32]]) {
    let m = collective("trn1", kind, op, inputs[0].len() as i64, groups);
    let inputs: Vec<Vec<f32>> = inputs.iter().map(|x| x.to_vec()).collect();
    assert_eq!(run(&m, &inputs).unwrap_or_else(|e| panic!("{e}")), want);
}

#[test]
fn collectives_move_and_reduce() {
    let (a, b): (&[f32], &[f32]) = (&[1.0, 2.0], &[30.0, 40.0]);
    let both: &[&[u32]] = &[&[0, 1]];
    gives(
        CollectiveKind::AllReduce,
        AluOp::Add,
        both,
        &[a, b],
        &[&[31.0, 42.0], &[31.0, 42.0]],
    );
    gives(CollectiveKind::AllReduce, AluOp::Min, both, &[a, b], &[a, a]);
    gives(
        CollectiveKind::AllGather,
        AluOp::Add,
        both,
        &[a, b],
        &[&[1.0, 2.0, 30.0, 40.0], &[1.0, 2.0, 30.0, 40.0]],
    );
    gives(
        CollectiveKind::ReduceScatter,
        AluOp::Add,
        both,
        &[a, b],
        &[&[31.0], &[42.0]],
    );
    gives(
        CollectiveKind::AllToAll,
        AluOp::Add,
        both,
        &[a, b],
        &[&[1.0, 30.0], &[2.0, 40.0]],
    );
    // The order of a group is its own, not that of the ranks.
    gives(
        CollectiveKind::ReduceScatter,
        AluOp::Add,
        &[&[1, 0]],
        &[a, b],
        &[&[42.0], &[31.0]],
    );
}

#[test]
fn a_permutation_leaves_zeros_where_nothing_arrives() {
    let shift: &[&[u32]] = &[&[0, 1], &[1, 2]];
    gives(
        CollectiveKind::Permute,
        AluOp::Add,
        shift,
        &[&[1.0], &[2.0], &[3.0]],
        &[&[0.0], &[1.0], &[2.0]],
    );
}

#[test]
fn groups_are_apart() {
    let groups: &[&[u32]] = &[&[0, 2], &[1, 3]];
    gives(
        CollectiveKind::AllReduce,
        AluOp::Add,
        groups,
        &[&[1.0], &[2.0], &[4.0], &[8.0]],
        &[&[5.0], &[10.0], &[5.0], &[10.0]],
    );
}

#[test]
fn everyone_waits_for_the_last() {
    let early = collective("trn1", CollectiveKind::AllReduce, AluOp::Add, 1024, &[&[0, 1]]);
    let mut late = collective("trn1", CollectiveKind::AllReduce, AluOp::Add, 1024, &[&[0, 1]]);
    // The second core works first.
    signal(
        late.compute(
            Engine::Vector,
            Inst::Memset {
                dst: sbuf(F32, 128, 0, &[40_000]),
                bits: 0,
            },
        ),
        7,
    );
    wait(&mut late.program.streams[Engine::Sync.index()][0], 7, 1);
    let (a, b) = (early.simulator().expect("legal"), late.simulator().expect("legal"));
    let results = profile_cores(&[&a, &b], &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(results[0].stats.latency_ps, results[1].stats.latency_ps);
    assert!(results[0].stats.latency_ps > 40_000_000_000 / 1120);
    assert_eq!((results[0].stats.collectives, results[0].stats.link_bytes), (1, 4096));
}

#[test]
fn a_core_that_does_not_come_is_a_deadlock() {
    let here = collective("trn1", CollectiveKind::AllReduce, AluOp::Add, 8, &[&[0, 1]]);
    let away = Maker::new("trn1");
    let (a, b) = (here.simulator().expect("legal"), away.simulator().expect("legal"));
    let error = profile_cores(&[&a, &b], &Options::default())
        .expect_err("waits for ever")
        .to_string();
    assert!(
        error.contains("channel 1 that core 0 triggered (sync instruction 0, from layer/op"),
        "{error}"
    );
    assert!(error.contains("waits for cores [1]"), "{error}");
}

#[test]
fn collectives_that_differ_are_named_on_both_sides() {
    let a = collective("trn1", CollectiveKind::AllReduce, AluOp::Add, 8, &[&[0, 1]]);
    let b = collective("trn1", CollectiveKind::AllReduce, AluOp::Add, 16, &[&[0, 1]]);
    let (sa, sb) = (a.simulator().expect("legal"), b.simulator().expect("legal"));
    let error = profile_cores(&[&sa, &sb], &Options::default())
        .expect_err("different sizes")
        .to_string();
    assert!(
        error.contains("core 1: sync instruction 0") && error.contains("64 bytes") && error.contains("on core 0"),
        "{error}"
    );
}

#[test]
fn a_collective_of_absent_cores_is_refused() {
    let m = collective("trn1", CollectiveKind::AllReduce, AluOp::Add, 8, &[&[0, 5]]);
    let error = m.profile().expect_err("one core").to_string();
    assert!(error.contains("core 5 takes part, but there are 1"), "{error}");
}

#[test]
fn reading_the_result_too_early_is_a_race() {
    let mut m = collective("trn1", CollectiveKind::AllReduce, AluOp::Add, 32, &[&[0, 1]]);
    let out = m.program.vars.len() as u32 - 1;
    m.program.streams[Engine::Sync.index()].truncate(1);
    let tile = sbuf(F32, 1, 0, &[32]);
    m.load(VarId(out), &tile, 4);
    let error = run(&m, &[vec![0.0; 32], vec![0.0; 32]])
        .expect_err("a race")
        .to_string();
    assert!(
        error.contains("data race") && error.contains("TRIGGER_COLLECTIVE"),
        "{error}"
    );
}

#[test]
fn cores_of_a_stack_share_its_bandwidth() {
    let time = |target: &str, cores: usize| {
        let mut m = Maker::new(target);
        let x = m.input(U8, &[128, 16384]);
        for i in 0..8 {
            m.load(x, &sbuf(U8, 128, 16384 * (i % 8), &[16384]), 0);
        }
        let simulator = m.simulator().expect("legal");
        let all = vec![&simulator; cores];
        let results = profile_cores(&all, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
        results.iter().map(|r| r.stats.latency_ps).max().unwrap_or(0)
    };
    // 368 GB/s each of 716 on trn2; a stack of its own on trn1.
    let (one, two) = (time("trn2", 1), time("trn2", 2));
    assert!((1.015..1.05).contains(&(two as f64 / one as f64)), "{one} {two}");
    assert_eq!(time("trn1", 1), time("trn1", 2));
}
