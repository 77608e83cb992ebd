//! Tile programs compiled and run in the simulator: numbers, order, spills, resets.

use std::sync::Arc;

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::ApDim;
use ferrite_ir::loc::LocId;
use ferrite_ir::machine::{MachineModel, Space};
use ferrite_ir::tile::{
    AluOp, BufferId, BufferKind, DmaOp, DmaPiece, HbmAccess, Inst, IoTensor, Mem, MemDim, OpKind, Program, TileId, View,
};
use ferrite_passes::tile::{SyncOptions, TileOptions, compile, compile_with_report};
use ferrite_sim::{Options, Simulator};
use proptest::prelude::*;

const ROWS: u64 = 128;
const COLUMNS: u64 = 128;
const BLOCK: u64 = ROWS * COLUMNS * 4;

fn view(tile: TileId) -> View {
    View {
        tile,
        partition: 0,
        partitions: ROWS as u16,
        offset: 0,
        dtype: DType::F32,
        dims: [ApDim {
            step: 1,
            count: COLUMNS as u32,
        }]
        .into_iter()
        .collect(),
    }
}

fn block(buffer: BufferId, index: u64) -> Mem {
    let dim = |step, count| MemDim { step, count };
    Mem::Hbm(HbmAccess {
        buffer,
        offset: index * BLOCK,
        dtype: DType::F32,
        dims: [dim(COLUMNS as i64 * 4, ROWS), dim(4, COLUMNS)].into_iter().collect(),
    })
}

fn copy(src: Mem, dst: Mem) -> OpKind {
    OpKind::Dma(vec![DmaPiece {
        op: DmaOp::Copy,
        src,
        dst,
    }])
}

/// Blocks of 128 x 128 f32: `inputs` to read, `outputs` to write.
struct Blocks {
    program: Program,
    input: BufferId,
    output: BufferId,
}

impl Blocks {
    fn new(inputs: u64, outputs: u64) -> Blocks {
        let mut program = Program::default();
        let tensor = |name: &str, blocks: u64| IoTensor {
            name: name.into(),
            dtype: DType::F32,
            shape: vec![(blocks * ROWS) as i64, COLUMNS as i64],
            alias: None,
            must_alias: false,
        };
        program.inputs.push(tensor("input0", inputs));
        program.outputs.push(tensor("output0", outputs));
        let input = program.add_buffer("input0", BufferKind::Input(0), inputs * BLOCK);
        let output = program.add_buffer("output0", BufferKind::Output(0), outputs * BLOCK);
        Blocks { program, input, output }
    }

    fn push(&mut self, kind: OpKind) {
        self.program.push(kind, LocId::UNKNOWN);
    }

    fn tile(&mut self) -> TileId {
        self.program
            .add_tile(Space::Sbuf, ROWS as usize, COLUMNS as usize * 4, "t")
    }

    fn load(&mut self, tile: TileId, index: u64) {
        self.push(copy(block(self.input, index), Mem::Tile(view(tile))));
    }

    fn store(&mut self, tile: TileId, index: u64) {
        self.push(copy(Mem::Tile(view(tile)), block(self.output, index)));
    }

    fn add(&mut self, dst: TileId, a: TileId, b: TileId) {
        let (dst, a, b) = (view(dst), view(a), view(b));
        self.push(OpKind::Compute(Inst::TensorTensor {
            dst,
            a,
            b,
            op: AluOp::Add,
        }));
    }

    fn matmul(&mut self, dst: TileId, stationary: TileId, moving: TileId) {
        let p = self.program.add_tile(Space::Psum, ROWS as usize, 2048, "p");
        self.push(OpKind::Matmul {
            dst: view(p),
            stationary: view(stationary),
            moving: view(moving),
            accumulate: false,
            transpose: false,
        });
        self.push(OpKind::Compute(Inst::TensorCopy {
            dst: view(dst),
            src: view(p),
        }));
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
        .collect()
}

fn run(program: Program, machine: &MachineModel, options: &TileOptions, input: &[f32]) -> Vec<f32> {
    let compiled = compile(program, machine, options).expect("compiles");
    let simulator = Simulator::new(&compiled, Arc::new(machine.clone())).expect("legal");
    let result = simulator
        .run(&[bytes(input)], &Options::default())
        .unwrap_or_else(|e| panic!("{e}"));
    floats(&result.outputs[0])
}

fn machine() -> MachineModel {
    (*MachineModel::target("inf2").expect("known target")).clone()
}

fn numbers(blocks: u64) -> Vec<f32> {
    (0..blocks * ROWS * COLUMNS)
        .map(|i| ((i * 7919) % 64) as f32 - 32.0)
        .collect()
}

#[test]
fn a_product_of_blocks() {
    let mut b = Blocks::new(2, 1);
    let (w, x, y) = (b.tile(), b.tile(), b.tile());
    b.load(w, 0);
    b.load(x, 1);
    b.matmul(y, w, x);
    b.store(y, 0);
    let input = numbers(2);
    let got = run(b.program, &machine(), &TileOptions::default(), &input);
    let (w, x) = input.split_at((ROWS * COLUMNS) as usize);
    for (m, n) in [(0, 0), (5, 17), (127, 126)] {
        let want: f32 = (0..128).map(|k| w[k * 128 + m] * x[k * 128 + n]).sum();
        assert_eq!(got[m * 128 + n], want);
    }
}

#[test]
fn sums_survive_spilling() {
    let mut machine = machine();
    machine.sbuf.usable_bytes_per_partition = 6 * 512;
    let n = 16;
    let mut b = Blocks::new(n, 1);
    let tiles: Vec<TileId> = (0..n).map(|_| b.tile()).collect();
    for (i, &t) in tiles.iter().enumerate() {
        b.load(t, i as u64);
        b.add(t, t, t);
    }
    let sum = b.tile();
    b.add(sum, tiles[0], tiles[1]);
    for &t in &tiles[2..] {
        b.add(sum, sum, t);
    }
    b.store(sum, 0);
    let (_, report) = compile_with_report(b.program.clone(), &machine, &TileOptions::default()).expect("compiles");
    assert!(report.spilled.stores > 0);
    let input = numbers(n);
    let got = run(b.program, &machine, &TileOptions::default(), &input);
    let size = (ROWS * COLUMNS) as usize;
    for at in [0, 1000, size - 1] {
        let want: f32 = (0..n as usize).map(|i| 2.0 * input[i * size + at]).sum();
        assert_eq!(got[at], want);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The scheduled program, short of memory and of semaphores, computes what the program in its own order does.
    #[test]
    fn order_and_memory_change_no_result(
        choices in prop::collection::vec((0u8..5, 0usize..5, 0usize..5, 0usize..5, 0u64..4), 1..40),
        bits in prop::sample::select(vec![7u64, 8, 16]),
        transfers in 1usize..5,
    ) {
        let mut b = Blocks::new(4, 8);
        let tiles: Vec<TileId> = (0..5).map(|_| b.tile()).collect();
        for (i, &t) in tiles.iter().enumerate() {
            b.load(t, i as u64 % 4);
        }
        for i in 0..8 {
            b.store(tiles[i as usize % 5], i);
        }
        for (kind, x, y, z, index) in choices {
            let (x, y, z) = (tiles[x], tiles[y], tiles[z]);
            match kind {
                0 => b.load(x, index),
                1 | 2 => b.store(x, index + u64::from(kind)),
                3 => b.add(x, y, z),
                _ => b.matmul(x, y, z),
            }
        }
        let input = numbers(4);
        let plain = TileOptions { schedule: false, ..TileOptions::default() };
        let want = run(b.program.clone(), &machine(), &plain, &input);
        let mut small = machine();
        small.sbuf.usable_bytes_per_partition = 4 * 512;
        small.sync.semaphore_bits = bits;
        let options = TileOptions { sync: SyncOptions { transfers, ..SyncOptions::default() }, ..TileOptions::default() };
        let got = run(b.program, &small, &options, &input);
        // Bits, so that NaN equals itself.
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&want), bits(&got));
    }
}
