use super::cost::{Alu, Cycles, DgeMode, Multiply, Stream, TransferKind, Work};
use super::*;
use crate::dtype::DType;

fn model(name: &str) -> Arc<MachineModel> {
    MachineModel::target(name).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn sbuf(dtype: DType) -> Stream {
    Stream::contiguous(Space::Sbuf, dtype)
}

fn psum(dtype: DType) -> Stream {
    Stream::contiguous(Space::Psum, dtype)
}

fn vector(m: &MachineModel, work: Work, n: u64, inputs: &[Stream], output: Stream) -> Cycles {
    m.cost(Engine::Vector, &work, n, inputs, output)
        .expect("VectorE runs it")
}

/// Asserts that `ps` is within `tolerance` (a fraction) of `ns`.
fn close(ps: u64, ns: f64, tolerance: f64) {
    let got = ps as f64 / 1000.0;
    assert!((got / ns - 1.0).abs() <= tolerance, "{got} ns, measured {ns} ns");
}

#[test]
fn every_target_loads_and_says_where_its_numbers_come_from() {
    for name in MachineModel::targets() {
        let m = model(name);
        assert_eq!(m.name, name);
        assert!(m.provenance.len() > 150, "{name}: {} numbers", m.provenance.len());
        let computed = 2.0 * (m.pe.rows * m.pe.columns * m.clocks.tensor_mhz) as f64 * 1e6;
        assert!((m.peak_flops(DType::BF16) / computed - 1.0).abs() < 1e-3);
    }
}

#[test]
fn inf1_and_unknown_targets_are_refused() {
    let message = |name| {
        MachineModel::target(name)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    };
    assert!(message("inf1").contains("NeuronCore-v1 is not supported"));
    assert!(message("tpu").contains("inf2, trn1, trn1n, trn2, trn3"));
}

#[test]
fn a_number_without_source_is_refused() {
    let text = MachineModel::target_text("trn1").expect("embedded");
    let refused = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        MachineModel::from_toml(&text.replace(from, to))
            .err()
            .map(|e| e.message)
            .unwrap_or_default()
    };
    assert!(refused("[sbuf]\nsource = \"A2\"", "[sbuf]").contains("neither `source` nor `assumed`"));
    assert!(refused("[sbuf]\nsource = \"A2\"", "[sbuf]\nsource = \"Z9\"").contains("`Z9`"));
    assert!(refused("tensor_mhz = 2800", "tensor_mhz = 0").contains("clocks.tensor_mhz"));
    assert!(refused("tensor_mhz = 2800", "tensor_hz = 2800").contains("tensor_hz"));
    assert!(refused("schema_version = 1", "schema_version = 2").contains("schema_version"));
}

#[test]
fn c1_tensor_tensor_fp32() {
    let m = model("trn1");
    let f = sbuf(DType::F32);
    let t = vector(&m, Work::TensorTensor(Alu::Add), 8192, &[f, f], f).to_ps(&m, Engine::Vector);
    close(t.latency, 14_987.0, 0.005);
}

#[test]
fn c2_c3_activation_on_trn1() {
    let m = model("trn1");
    let f = sbuf(DType::F32);
    let cost = |n| {
        m.cost(Engine::Scalar, &Work::Activation { reduce: false }, n, &[f], f)
            .expect("ScalarE runs it")
    };
    close(cost(8192).to_ps(&m, Engine::Scalar).latency, 6_000.0, 0.01);
    close(cost(1).to_ps(&m, Engine::Scalar).latency, 159.0, 0.01);
    close(
        m.ps(Engine::Scalar, cost(1).latency + m.sync.restart_cycles),
        189.0,
        0.01,
    );
}

#[test]
fn c4_c5_matmul_on_trn1() {
    let m = model("trn1");
    let load = m.load_stationary_cost(1, DType::BF16);
    close(m.ps(Engine::Tensor, load.latency), 67.0, 0.02);
    close(
        m.ps(Engine::Tensor, load.occupancy + m.pe.load_to_multiply_cycles),
        26.0,
        0.02,
    );
    let multiply = Multiply {
        stationary_columns: 128,
        moving_columns: 128,
        stationary: DType::BF16,
        moving: DType::BF16,
        transpose: false,
        onezero: false,
    };
    close(m.ps(Engine::Tensor, m.multiply_cost(&multiply).latency), 188.0, 0.01);
}

#[test]
fn c12_activation_on_trn2() {
    let m = model("trn2");
    let f = sbuf(DType::F32);
    for (n, ns) in [(128, 400.0), (4096, 3700.0)] {
        let cost = m
            .cost(Engine::Scalar, &Work::Activation { reduce: false }, n, &[f], f)
            .expect("ScalarE runs it");
        close(cost.to_ps(&m, Engine::Scalar).latency, ns, 0.01);
    }
}

#[test]
fn c15_fp32_pass_on_trn2() {
    let m = model("trn2");
    let multiply = Multiply {
        stationary_columns: 128,
        moving_columns: 512,
        stationary: DType::F32,
        moving: DType::F32,
        transpose: false,
        onezero: false,
    };
    // Two passes make one fp32 product.
    close(
        m.ps(Engine::Tensor, m.multiply_cost(&multiply).occupancy),
        2.0 * 429.7,
        0.005,
    );
}

#[test]
fn c16_vector_and_scalar_on_trn2() {
    let m = model("trn2");
    let (b, f) = (sbuf(DType::BF16), sbuf(DType::F32));
    let reduce = m
        .cost(Engine::Scalar, &Work::Activation { reduce: true }, 16_384, &[b], f)
        .expect("ScalarE runs it");
    close(
        m.ps(Engine::Scalar, reduce.latency) + m.table_load_ps(1),
        15_300.0,
        0.05,
    );
    let absmax = vector(&m, Work::TensorReduce(Alu::Other), 16_384, &[b], f);
    close(m.ps(Engine::Vector, absmax.latency), 17_200.0, 0.05);
    let quantise = vector(
        &m,
        Work::TensorScalar(Alu::Multiply, None),
        16_384,
        &[b],
        sbuf(DType::F8E4M3),
    );
    close(m.ps(Engine::Vector, quantise.latency), 8_800.0, 0.05);
    let stt = vector(
        &m,
        Work::ScalarTensorTensor(Alu::Multiply, Alu::Multiply),
        512,
        &[psum(DType::F32), b],
        b,
    );
    close(m.ps(Engine::Vector, stt.occupancy), 650.0, 0.05);
}

#[test]
fn vector_modes_follow_generation_and_placement() {
    let (v2, v3) = (model("trn1"), model("trn2"));
    let b = sbuf(DType::BF16);
    let strided = Stream { step_bytes: 4, ..b };
    let copy = |m: &MachineModel, i, o| vector(m, Work::TensorCopy, 4096, &[i], o).data;
    assert_eq!(copy(&v2, b, b), 4096);
    assert_eq!(copy(&v3, b, b), 1024);
    assert_eq!(copy(&v3, strided, b), 2048);
    assert_eq!(copy(&v3, psum(DType::BF16), b), 2048);
    assert_eq!(copy(&v3, sbuf(DType::F32), b), 4096);
    let wide = Stream {
        step_bytes: 32,
        ..sbuf(DType::F32)
    };
    assert_eq!(copy(&v2, wide, b), 8192);
    let tt = |m: &MachineModel, op| vector(m, Work::TensorTensor(op), 512, &[b, b], b).data;
    assert_eq!(tt(&v2, Alu::Add), 512);
    assert_eq!(tt(&v2, Alu::Max), 1024);
    assert_eq!(tt(&v3, Alu::Max), 512);
}

#[test]
fn documented_cost_has_no_overhead_and_keeps_the_least_interval() {
    let m = MachineModel::clone(&model("trn1")).with_cost_model(CostModel::Documented);
    let f = sbuf(DType::F32);
    assert_eq!(vector(&m, Work::TensorCopy, 1000, &[f], f).occupancy, 1000);
    assert_eq!(vector(&m, Work::TensorCopy, 1, &[f], f).occupancy, 64);
}

#[test]
fn engines_are_those_of_the_generation() {
    let (v2, v3) = (model("inf2"), model("trn2"));
    assert!(!v2.engines(&Work::TensorCopy).contains(&Engine::Scalar));
    assert!(v3.engines(&Work::TensorCopy).contains(&Engine::Scalar));
    assert_eq!(v2.engines(&Work::TensorTensor(Alu::Power)), [Engine::GpSimd]);
    assert!(v2.engines(&Work::RangeSelect).is_empty());
    let f = sbuf(DType::F32);
    assert_eq!(v2.cost(Engine::Scalar, &Work::Reciprocal, 8, &[f], f), None);
}

#[test]
fn dma_descriptors_are_bracketed_by_the_measurements() {
    let m = model("trn2");
    let copy = |bytes| m.descriptor_ps(bytes, Space::Hbm, TransferKind::Copy);
    assert_eq!(copy(2), 7_000);
    close(copy(32 * 1024), 1_416.0, 0.02); // C-8
    close(
        model("trn1").descriptor_ps(32 * 1024, Space::Hbm, TransferKind::Copy),
        1_810.0,
        0.10,
    ); // C-6
    assert_eq!(m.dma_generate_ps(DgeMode::Static), 0);
    assert!(m.descriptor_ps(4096, Space::Sbuf, TransferKind::Transpose { from: Space::Sbuf }) > copy(4096));
}

#[test]
fn partition_ranges_start_at_quadrants() {
    let m = model("trn1");
    assert!(m.partition_range_ok(96, 32) && m.partition_range_ok(64, 64) && m.partition_range_ok(0, 128));
    assert!(!m.partition_range_ok(32, 64) && !m.partition_range_ok(16, 4) && !m.partition_range_ok(64, 65));
    assert!(!m.partition_range_ok(0, 0) && !m.partition_range_ok(0, 129));
    assert!(!m.partition_range_ok(u64::MAX, 2));
}

#[test]
fn matmul_dtype_pairs() {
    let (v2, v4) = (model("trn1"), model("trn3"));
    assert!(v2.matmul_pair_ok(DType::BF16, DType::F16) && v2.matmul_pair_ok(DType::F32, DType::TF32));
    assert!(!v2.matmul_pair_ok(DType::F32, DType::BF16) && !v2.matmul_pair_ok(DType::I8, DType::I8));
    assert!(!v4.matmul_pair_ok(DType::F8E4M3, DType::F8E4M3FN) && v4.matmul_pair_ok(DType::F8E4M3FN, DType::F8E5M2));
}

#[test]
fn instructions_cost_what_their_work_does() {
    use crate::inst::{ActFunc, AluOp, Inst, Scalar};
    use crate::isa::{Ap, ApDim};
    let m = model("trn1");
    let ap = |dtype, count, step| Ap {
        space: Space::Sbuf,
        partition: 0,
        partitions: 128,
        offset: 0,
        dtype,
        dims: smallvec::smallvec![ApDim { step, count }],
    };
    let inst = Inst::TensorTensor {
        dst: ap(DType::F32, 512, 1),
        a: ap(DType::F32, 512, 1),
        b: ap(DType::F32, 512, 0),
        op: AluOp::Add,
    };
    assert_eq!(
        m.inst_cost(Engine::Vector, &inst, |a| a.into()).map(|c| c.data),
        Some(1024)
    );
    assert_eq!(m.inst_cost(Engine::Scalar, &inst, |a| a.into()), None);
    let act = Inst::Activation {
        dst: ap(DType::BF16, 512, 1),
        src: ap(DType::F32, 512, 1),
        func: ActFunc::Exp,
        scale: Scalar::f32(1.0),
        bias: Scalar::f32(0.0),
        accumulate: None,
    };
    assert_eq!(
        m.inst_cost(Engine::Scalar, &act, |a| a.into()).map(|c| c.data),
        Some(512)
    );
    // The two tables of activation sets agree.
    for func in ActFunc::ALL {
        assert_eq!(
            m.table_set(func.name()),
            Some(u64::from(func.table_set())),
            "{}",
            func.name()
        );
    }
}
