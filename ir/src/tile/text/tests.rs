use std::sync::Arc;

use super::*;
use crate::dtype::DType;
use crate::loc::{LocId, Location, Source};
use crate::tile::*;

const ALL: PrintOptions = PrintOptions {
    locations: true,
    constants: true,
};

fn view(tile: TileId, dtype: DType, count: u32) -> View {
    View {
        tile,
        partition: 0,
        partitions: 32,
        offset: 0,
        dtype,
        dims: [ApDim { step: 1, count }].into_iter().collect(),
    }
}

fn rows(buffer: BufferId, dtype: DType, row_step: i64, count: u64) -> Mem {
    let size = dtype.bytes() as i64;
    let dims = [
        MemDim {
            step: row_step,
            count: 32,
        },
        MemDim { step: size, count },
    ];
    Mem::Hbm(HbmAccess {
        buffer,
        offset: 0,
        dtype,
        dims: dims.into_iter().collect(),
    })
}

/// Every kind of operation and of buffer.
/// Loads the test register of every engine with a number.
fn test_registers(p: &mut Program, name: &'static str) {
    let tile = p.add_tile(Space::Sbuf, 1, 4, name);
    let src = View {
        partitions: 1,
        dims: Default::default(),
        ..view(tile, DType::I32, 1)
    };
    let dst = src.clone();
    p.push(OpKind::Compute(Inst::Memset { dst, bits: 1 }), LocId::UNKNOWN);
    for engine in Engine::ALL {
        p.ops.push(Op {
            kind: OpKind::LoadTest { src: src.clone() },
            engine: Some(engine),
            loc: LocId::UNKNOWN,
        });
    }
}

fn program() -> Program {
    let mut p = Program {
        model_flops: 1234,
        ..Program::default()
    };
    let source = Source::File {
        file: "model.py".to_string(),
        line: 88,
        column: 3,
    };
    let loc = p.locs.add(Location {
        line: 1,
        column: 1,
        source: Some(source),
    });
    let input = p.add_buffer("x", BufferKind::Input(0), 1024);
    let constant = p.add_buffer("x", BufferKind::Const(Arc::from(&[0u8, 1, 254, 255][..])), 4);
    let scratch = p.add_buffer("s", BufferKind::Scratch, 4096);
    let output = p.add_buffer("y", BufferKind::Output(0), 1024);
    let x = p.add_tile(Space::Sbuf, 32, 64, "x");
    let y = p.add_tile(Space::Sbuf, 32, 64, "a \"name\"".to_string());
    let sum = p.add_tile(Space::Psum, 32, 128, "");
    let load = |tile| DmaPiece {
        op: DmaOp::Cast,
        src: rows(input, DType::F32, 32, 8),
        dst: Mem::Tile(view(tile, DType::BF16, 8)),
    };
    p.push(OpKind::Dma(vec![load(x), load(y)]), loc);
    let byte = Mem::Hbm(HbmAccess {
        buffer: constant,
        offset: 3,
        dtype: DType::U8,
        dims: Default::default(),
    });
    let one = View {
        partitions: 1,
        partition: 31,
        offset: 63,
        dims: Default::default(),
        ..view(y, DType::U8, 1)
    };
    let piece = DmaPiece {
        op: DmaOp::Copy,
        src: byte,
        dst: Mem::Tile(one),
    };
    p.push(OpKind::Dma(vec![piece]), LocId::UNKNOWN);
    p.push(
        OpKind::Matmul {
            dst: view(sum, DType::F32, 8),
            stationary: view(x, DType::BF16, 32),
            moving: view(y, DType::BF16, 8),
            accumulate: false,
            transpose: true,
        },
        loc,
    );
    let scale = Inst::Activation {
        dst: view(y, DType::F32, 8),
        src: view(sum, DType::F32, 8),
        func: ActFunc::Exp,
        scale: Scalar::f32(0.1),
        bias: Scalar::PerPartition(view(x, DType::F32, 1)),
        accumulate: Some(view(x, DType::F32, 1)),
    };
    p.push(OpKind::Compute(scale), loc);
    let add = Inst::TensorScalar {
        dst: view(y, DType::F32, 8),
        src: view(y, DType::F32, 8),
        first: ScalarStep::imm(AluOp::Multiply, -0.0).reversed(),
        second: Some(ScalarStep::per_partition(AluOp::Add, view(x, DType::F32, 1))),
    };
    p.push(OpKind::Compute(add), LocId::UNKNOWN);
    for (kind, out_of_bounds) in [
        (IndirectKind::Gather, OutOfBounds::Skip),
        (IndirectKind::ScatterAdd, OutOfBounds::Error),
    ] {
        let indirect = Indirect {
            kind,
            tile: view(y, DType::F32, 8),
            index: view(x, DType::I32, 1),
            buffer: scratch,
            offset: 32,
            row_step: 64,
            row_bytes: 32,
            rows: 60,
            out_of_bounds,
        };
        p.push(OpKind::Indirect(Box::new(indirect)), loc);
    }
    let store = DmaPiece {
        op: DmaOp::Copy,
        src: Mem::Tile(view(y, DType::F32, 8)),
        dst: rows(output, DType::F32, 32, 8),
    };
    p.push(OpKind::Dma(vec![store]), loc);
    p.ops[3].engine = Some(Engine::Scalar);
    let control = |p: &mut Program, control| p.push(OpKind::Control(control), loc);
    control(&mut p, Control::Loop);
    test_registers(&mut p, "again");
    control(&mut p, Control::RepeatWhile);
    test_registers(&mut p, "which");
    control(&mut p, Control::Switch(2));
    control(&mut p, Control::NextBranch);
    control(&mut p, Control::Loop);
    let members = vec![scratch; 12];
    let each = p.add_buffer("each", BufferKind::PerTrip(members), 4096);
    let hand_on = DmaPiece {
        op: DmaOp::Copy,
        src: rows(input, DType::F32, 32, 8),
        dst: rows(each, DType::F32, 32, 8),
    };
    p.push(OpKind::Dma(vec![hand_on]), loc);
    control(&mut p, Control::Repeat(12));
    control(&mut p, Control::EndSwitch);
    let tensor = |name: &str, alias| IoTensor {
        name: name.to_string(),
        dtype: DType::F32,
        shape: vec![32, 8],
        alias,
        must_alias: false,
    };
    p.inputs.push(tensor("x", None));
    p.outputs.push(tensor("y", Some(0)));
    p
}

/// All but where operations are from.
fn parts(p: Program) -> impl PartialEq + std::fmt::Debug {
    let ops: Vec<_> = p.ops.into_iter().map(|op| (op.kind, op.engine)).collect();
    (p.tiles, p.buffers, ops, p.inputs, p.outputs, p.model_flops)
}

#[test]
fn a_program_survives() {
    let text = print(&program(), ALL);
    let read = parse(&text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    assert_eq!(print(&read, ALL), text);
    for (a, b) in read.ops.iter().zip(&program().ops) {
        assert_eq!(read.locs.get(a.loc).source, program().locs.get(b.loc).source);
    }
    assert!(parts(read) == parts(program()), "{text}");
}

#[test]
fn text_is_readable() {
    let text = print(&program(), PrintOptions::default());
    for part in [
        "%t2 = \"tile.tile\"()",
        "\"tile.nc_matmul\"(%t2, %t0, %t1)",
        r##"#tile.view<0, 0, 32, 0, f32, [1], [8]>"##,
        r##"#tile.reversed_step<"multiply", -0.0"##,
        r##"#tile.access<0, 0, f32, [32, 4], [32, 8]>"##,
        "engine = \"scalar\"",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn mistakes_are_reported_where_they_stand() {
    let text = print(&program(), ALL);
    for (old, new, message) in [
        ("\"tile.nc_matmul\"", "\"tile.matmul\"", "`tile.matmul` is no operation"),
        ("(%t2, %t0, %t1)", "(%t2, %t0, %t7)", "`%t7` is not defined before"),
        (
            "(%t2, %t0, %t1)",
            "(%t2, %b0, %t1)",
            "`%b0` is a buffer, expected a tile",
        ),
        ("#tile.view<2,", "#tile.view<9,", "an attribute names operand 9 of"),
        ("func = \"exp\"", "func = \"exp\", spare", "has no attribute `spare`"),
        ("space = \"psum\"", "space = \"hbm\"", "a tile is in SBUF or PSUM"),
        ("bytes = 4,", "bytes = 5,", "4 bytes of data for a buffer of 5"),
        ("[32, 8]>", "[32, 0]>", "a count is 0"),
    ] {
        assert!(text.contains(old), "{old} in\n{text}");
        let errors = parse(&text.replacen(old, new, 1)).unwrap_err();
        assert!(errors[0].message.contains(message), "{errors:?}");
        let line = text.lines().position(|line| line.contains(old)).unwrap() as u32 + 1;
        assert_eq!(errors[0].location.line, line, "{errors:?}");
    }
}

#[test]
fn a_text_without_constants_says_so() {
    let errors = parse(&print(&program(), PrintOptions::default())).unwrap_err();
    assert!(errors[0].message.contains("without constants"), "{errors:?}");
}

#[test]
fn what_does_not_fit_its_tile_is_refused() {
    let text = print(&program(), ALL);
    let errors = parse(&text.replacen("[1], [8]>", "[1], [4000000000]>", 1)).unwrap_err();
    assert_eq!(errors[0].code, crate::diag::Code::Verify);
}

proptest::proptest! {
    #[test]
    fn changed_text_does_not_panic(
        at in proptest::prelude::any::<proptest::sample::Index>(),
        with in "[ -~]{0,6}|[0-9]{1,20}|[\\[\\]<>,#\"@%]{1,4}",
        cut in 0..6usize,
    ) {
        let text = print(&program(), PrintOptions { locations: false, constants: true });
        let start = at.index(text.len());
        let end = (start + cut).min(text.len());
        let _ = parse(&format!("{}{with}{}", &text[..start], &text[end..]));
    }
}

#[test]
fn what_is_per_trip_has_a_buffer_for_each_repetition() {
    let wrong = |times: u32, members: Vec<u32>, inside: bool| {
        let mut p = Program::default();
        let x = p.add_buffer("x", BufferKind::Scratch, 1024);
        p.add_buffer("small", BufferKind::Scratch, 512);
        let members = members.into_iter().map(BufferId).collect();
        let each = p.add_buffer("each", BufferKind::PerTrip(members), 1024);
        let copy = DmaPiece {
            op: DmaOp::Copy,
            src: rows(x, DType::F32, 32, 8),
            dst: rows(each, DType::F32, 32, 8),
        };
        p.push(OpKind::Control(Control::Loop), LocId::UNKNOWN);
        if inside {
            p.push(OpKind::Dma(vec![copy.clone()]), LocId::UNKNOWN);
        }
        p.push(OpKind::Control(Control::Repeat(times)), LocId::UNKNOWN);
        if !inside {
            p.push(OpKind::Dma(vec![copy]), LocId::UNKNOWN);
        }
        verify(&p).err().map(|e| e.message)
    };
    assert_eq!(wrong(2, vec![0, 0], true), None);
    let text = |wrong: Option<String>| wrong.unwrap_or_default();
    assert!(text(wrong(2, vec![0, 0], false)).contains("in no loop that counts"));
    assert!(text(wrong(3, vec![0, 0], true)).contains("2 buffers for 3 repetitions"));
    for members in [vec![0, 1], vec![0, 2], vec![0, 9]] {
        assert!(text(wrong(2, members, true)).contains("missing, per trip or of another size"));
    }
}

#[test]
fn control_flow_nests_and_keeps_no_tile() {
    let build = |edit: &dyn Fn(&mut Program)| {
        let mut p = Program::default();
        let tile = p.add_tile(Space::Sbuf, 1, 4, "x");
        let dst = View {
            partitions: 1,
            dims: Default::default(),
            ..view(tile, DType::F32, 1)
        };
        p.push(OpKind::Control(Control::Loop), LocId::UNKNOWN);
        p.push(OpKind::Compute(Inst::Memset { dst, bits: 0 }), LocId::UNKNOWN);
        p.push(OpKind::Control(Control::Repeat(2)), LocId::UNKNOWN);
        edit(&mut p);
        verify(&p).err().map(|d| d.to_string()).unwrap_or_default()
    };
    assert_eq!(build(&|_| {}), "");
    let message = build(&|p| {
        let again = p.ops[1].clone();
        p.ops.push(again);
    });
    assert!(message.contains("across control flow"), "{message}");
    for (edit, text) in [
        (Control::Repeat(2), "no place here"),
        (Control::EndSwitch, "no place here"),
        (Control::NextBranch, "no place here"),
        (Control::Loop, "has no end"),
        (Control::Switch(1), "not loaded"),
        (Control::RepeatWhile, "not loaded"),
    ] {
        let message = build(&|p| p.push(OpKind::Control(edit), LocId::UNKNOWN));
        assert!(message.contains(text), "{edit:?}: {message}");
    }
}
