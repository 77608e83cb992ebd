//! The steps together: every program goes through all checkers.

use ferrite_ir::isa;
use ferrite_ir::machine::{Engine, MachineModel};
use ferrite_ir::tile::{AluOp, BufferKind, Op, OpKind, Program, TileId};
use proptest::prelude::*;

use super::testing::{Builder, f32_view};
use super::*;

fn machine() -> MachineModel {
    (*MachineModel::target("inf2").unwrap()).clone()
}

/// `out = sum over k of a[k]^T b[k]`, `groups` times, with fresh tiles everywhere.
fn matmul_chain(groups: u64, depth: u64) -> Program {
    let mut b = Builder::default();
    let weights = b.buffer(BufferKind::Input(0), groups * depth * (64 << 10) * 2);
    let out = b.buffer(BufferKind::Output(0), groups * (256 << 10));
    for g in 0..groups {
        let p = b.psum(128, 2048);
        for k in 0..depth {
            let w = b.sbuf(128, 512);
            let x = b.sbuf(128, 512);
            b.load(f32_view(w, 128, 128), weights, (g * depth + k) * (64 << 10));
            b.load(f32_view(x, 128, 128), weights, (g * depth + k) * (64 << 10));
            b.matmul(
                f32_view(p, 128, 128),
                f32_view(w, 128, 128),
                f32_view(x, 128, 128),
                k > 0,
            );
        }
        let s = b.sbuf(128, 512);
        b.copy(f32_view(s, 128, 128), f32_view(p, 128, 128));
        b.store(out, g * (64 << 10), f32_view(s, 128, 128));
    }
    b.program
}

fn count(program: &isa::Program, matching: impl Fn(&isa::Op) -> bool) -> usize {
    program.streams.iter().flatten().filter(|i| matching(&i.op)).count()
}

#[test]
fn a_matmul_chain_compiles_and_prefetches() {
    let machine = machine();
    let program = matmul_chain(12, 4);
    let compiled = compile(program, &machine, &TileOptions::default()).unwrap();
    check_sync(&compiled, &machine).unwrap();
    assert_eq!(count(&compiled, |op| matches!(op, isa::Op::MultiplyMoving { .. })), 48);
    assert_eq!(compiled.transfers.len(), 96 + 12);
    // Loads depend on nothing: the first ones are started without a wait, the others as the DMA engines keep up.
    let sync = compiled.stream(Engine::Sync);
    let first_wait = sync.iter().position(|i| i.wait.is_some()).unwrap_or(sync.len());
    assert!(first_wait >= 16, "{first_wait}");
}

#[test]
fn a_repeated_stationary_operand_is_loaded_once() {
    let machine = machine();
    let mut b = Builder::default();
    let (w, x) = (b.sbuf(128, 512), b.sbuf(128, 2048));
    b.memset(&w, 4);
    b.memset(&x, 4);
    for _ in 0..4 {
        let p = b.psum(128, 2048);
        b.matmul(
            f32_view(p, 128, 512),
            f32_view(w, 128, 128),
            f32_view(x, 128, 512),
            false,
        );
    }
    b.memset(&w, 4);
    let p = b.psum(128, 2048);
    b.matmul(
        f32_view(p, 128, 512),
        f32_view(w, 128, 128),
        f32_view(x, 128, 512),
        false,
    );
    let compiled = compile(b.program, &machine, &TileOptions::default()).unwrap();
    assert_eq!(count(&compiled, |op| matches!(op, isa::Op::LoadStationary { .. })), 2);
}

#[test]
fn what_does_not_fit_is_spilled() {
    let mut machine = machine();
    machine.sbuf.usable_bytes_per_partition = 8 * 512;
    let mut b = Builder::default();
    let input = b.buffer(BufferKind::Input(0), 64 << 10);
    let out = b.buffer(BufferKind::Output(0), 64 << 10);
    let loaded = b.sbuf(128, 512);
    b.load(f32_view(loaded, 128, 128), input, 0);
    let tiles: Vec<TileId> = (0..12).map(|_| b.sbuf(128, 512)).collect();
    for &t in &tiles {
        b.memset(&t, 4);
    }
    let sum = b.sbuf(128, 512);
    b.copy(f32_view(sum, 128, 128), f32_view(tiles[0], 128, 128));
    for &t in tiles.iter().chain([&loaded]) {
        b.tensor_tensor(
            f32_view(sum, 128, 128),
            f32_view(sum, 128, 128),
            f32_view(t, 128, 128),
            AluOp::Add,
        );
    }
    b.store(out, 0, f32_view(sum, 128, 128));
    let (compiled, report) = compile_with_report(b.program, &machine, &TileOptions::default()).unwrap();
    check_sync(&compiled, &machine).unwrap();
    // The loaded tile comes from the input again.
    assert!(report.spilled.stores >= 4, "{report:?}");
    assert!(report.spilled.reloads > report.spilled.stores, "{report:?}");
    assert!(report.scratch_bytes >= 4 << 16);
}

#[test]
fn an_operation_larger_than_sbuf_is_refused() {
    let machine = machine();
    let mut b = Builder::default();
    let t = b.sbuf(128, 200_000);
    b.memset(&t, 4);
    let error = compile(b.program, &machine, &TileOptions::default()).unwrap_err();
    assert!(error.to_string().contains("NCC_EOOM002"), "{error}");
}

#[test]
fn too_much_scratch_is_refused() {
    let mut machine = machine();
    machine.hbm.bytes_per_core = 1 << 16;
    let mut b = Builder::default();
    let scratch = b.buffer(BufferKind::Scratch, 1 << 17);
    let t = b.sbuf(128, 512);
    b.memset(&t, 4);
    b.store(scratch, 0, f32_view(t, 128, 128));
    let error = compile(b.program, &machine, &TileOptions::default()).unwrap_err();
    assert!(error.to_string().contains("NCC_EOOM001"), "{error}");
}

#[test]
fn counters_are_reset_before_they_overflow() {
    let mut machine = machine();
    machine.sync.semaphore_bits = 6;
    let compiled = compile(matmul_chain(40, 3), &machine, &TileOptions::default()).unwrap();
    check_sync(&compiled, &machine).unwrap();
    assert!(count(&compiled, |op| matches!(op, isa::Op::RangeClear { .. })) > 3);
}

#[test]
fn the_checker_finds_a_missing_wait() {
    let machine = machine();
    let compiled = compile(matmul_chain(3, 2), &machine, &TileOptions::default()).unwrap();
    let mut found = 0;
    let mut waits = 0;
    for e in Engine::ALL {
        for i in 0..compiled.stream(e).len() {
            // What SyncE waits for at the end protects nothing but the next run.
            let last = compiled.stream(e).len() - 1;
            if compiled.stream(e)[i].wait.is_none() || (e == Engine::Sync && i + 12 > last) {
                continue;
            }
            let mut broken = compiled.clone();
            broken.streams[e.index()][i].wait = None;
            waits += 1;
            found += usize::from(check_sync(&broken, &machine).is_err());
        }
    }
    assert!(waits > 5);
    assert_eq!(found, waits, "every wait is needed");
}

#[test]
fn the_checker_finds_a_deadlock() {
    let machine = machine();
    let mut compiled = compile(matmul_chain(2, 2), &machine, &TileOptions::default()).unwrap();
    for instr in &mut compiled.streams[Engine::Tensor.index()] {
        instr.update = None;
    }
    let error = check_sync(&compiled, &machine).unwrap_err();
    assert!(error.message.contains("deadlock"), "{error}");
}

#[test]
fn compiling_twice_gives_the_same_program() {
    let machine = machine();
    let compile = || compile(matmul_chain(9, 3), &machine, &TileOptions::default()).unwrap();
    assert_eq!(compile(), compile());
}

/// One random operation over a pool of tiles: kind, operands, part.
type Choice = (u8, usize, usize, usize, u16);

fn random_program(choices: &[Choice]) -> Program {
    let mut b = Builder::default();
    let input = b.buffer(BufferKind::Input(0), 1 << 20);
    let scratch = b.buffer(BufferKind::Scratch, 1 << 20);
    let out = b.buffer(BufferKind::Output(0), 1 << 20);
    let tiles: Vec<TileId> = (0..6).map(|_| b.sbuf(128, 1024)).collect();
    for &t in &tiles {
        b.memset(&t, 4);
    }
    for &(kind, x, y, z, part) in choices {
        let pick = |i: usize| tiles[i % tiles.len()];
        let half = |t: TileId, p: u16| {
            super::testing::view(t, 128, ferrite_ir::dtype::DType::F32, u32::from(p % 2) * 512, 128)
        };
        let (x, y, z) = (half(pick(x), part), half(pick(y), part >> 1), half(pick(z), part >> 2));
        let row = u64::from(part % 8) * (64 << 10);
        match kind % 8 {
            0 => b.load(x, input, row),
            1 => b.load(x, scratch, row),
            2 => b.store(scratch, row, x),
            3 => b.store(out, row, x),
            4 => b.tensor_tensor(x, y, z, AluOp::Add),
            5 | 6 => {
                let p = b.psum(128, 2048);
                let dst = f32_view(p, 128, 128);
                b.matmul(dst.clone(), x.clone(), y, false);
                b.matmul(dst.clone(), x, z.clone(), true);
                b.copy(z, dst);
            }
            _ => {
                let fresh = b.sbuf(128, 512 * (1 + usize::from(part % 3)));
                let count = 128 * (1 + u32::from(part % 3));
                b.load(f32_view(fresh, 128, count), input, 0);
                b.copy(x, f32_view(fresh, 128, 128));
                b.tensor_tensor(y, z, f32_view(fresh, 128, 128), AluOp::Multiply);
            }
        }
    }
    b.program
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_programs_keep_their_order(
        choices in prop::collection::vec((0u8..8, 0usize..6, 0usize..6, 0usize..6, 0u16..64), 1..60),
        small in any::<bool>(),
        bits in prop::sample::select(vec![7u64, 8, 16]),
        transfers in 1usize..6,
    ) {
        let mut machine = machine();
        machine.sync.semaphore_bits = bits;
        if small {
            machine.sbuf.usable_bytes_per_partition = 5 * 1024;
        }
        let program = random_program(&choices);
        let options = TileOptions { verify: true, sync: SyncOptions { transfers, ..SyncOptions::default() }, ..TileOptions::default() };
        let compiled = compile(program, &machine, &options);
        prop_assert!(compiled.is_ok(), "{}", compiled.unwrap_err());
    }

    #[test]
    fn a_schedule_is_a_permutation_that_keeps_dependences(
        choices in prop::collection::vec((0u8..8, 0usize..6, 0usize..6, 0usize..6, 0u16..64), 1..60),
    ) {
        let machine = machine();
        let mut program = random_program(&choices);
        assign_engines(&mut program, &machine, 16).unwrap();
        // Each operation is known by its location.
        for (i, op) in program.ops.iter_mut().enumerate() {
            op.loc = ferrite_ir::loc::LocId(i as u32);
        }
        let before: Vec<Op> = program.ops.clone();
        schedule(&mut program, &machine, &ScheduleOptions::default());
        let mut position = vec![usize::MAX; before.len()];
        for (i, op) in program.ops.iter().enumerate() {
            position[op.loc.0 as usize] = i;
        }
        prop_assert!(position.iter().all(|&p| p != usize::MAX));
        // Tiles written and then read by a later operation keep their order.
        for (j, later) in before.iter().enumerate() {
            for (i, earlier) in before[..j].iter().enumerate() {
                let conflict = conflicts(earlier, later);
                prop_assert!(!conflict || position[i] < position[j], "{i} {j}");
            }
        }
    }
}

/// Whether one of two operations writes a tile byte range or a buffer that the other touches, by hulls.
fn conflicts(a: &Op, b: &Op) -> bool {
    use ferrite_ir::tile::Touched;
    let list = |op: &Op| {
        let mut all = Vec::new();
        op.for_each(|role, touched| {
            let (object, range) = match touched {
                Touched::Tile(v) => (v.tile.0, v.byte_range()),
                Touched::Hbm(h) => (1 << 20 | h.buffer.0, h.byte_range()),
                Touched::Buffer(b) => (1 << 20 | b.0, (0, i64::MAX)),
            };
            all.push((role.writes(), object, range));
        });
        all
    };
    let (a, b) = (list(a), list(b));
    a.iter().any(|x| {
        b.iter()
            .any(|y| (x.0 || y.0) && x.1 == y.1 && x.2.0 < y.2.1 && y.2.0 < x.2.1)
    })
}

#[test]
fn stores_do_not_stand_before_loads_on_one_engine() {
    let mut program = matmul_chain(2, 1);
    assign_engines(&mut program, &machine(), 16).unwrap();
    for op in &program.ops {
        if let OpKind::Dma(_) = op.kind {
            let load = super::graph::is_load(&op.kind);
            assert_eq!(load, op.engine == Some(Engine::Sync));
        }
    }
}

/// A tile whose time comes when `used` has long been done with takes its place; where `used` is said to end late, it does
/// not.
#[test]
fn memory_rests_by_the_times_that_are_expected() {
    let machine = machine();
    let mut b = Builder::default();
    let (first, second) = (b.sbuf(128, 4096), b.sbuf(128, 4096));
    b.memset(&first, 4);
    b.memset(&second, 4);
    let rest = machine.dma_start_ps() + machine.dma_done_ps();
    let offsets = |gap: u64| {
        let spans = [
            Span { start: 0, end: 1 },
            Span {
                start: 1 + gap,
                end: 2 + gap,
            },
        ];
        let placed = place(&b.program, &machine, Some(&spans), false).expect("there is room");
        (placed.tiles[0], placed.tiles[1])
    };
    let (early, late) = (offsets(rest / 2), offsets(2 * rest));
    assert_ne!(early.0, early.1, "its last user may still be at it");
    assert_eq!(late.0, late.1, "it has rested");
}
