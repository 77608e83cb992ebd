//! The sections of a target file as types. Meanings and units here; values and sources in `ir/targets/*.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Clock frequencies, MHz.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// TensorE.
    pub tensor_mhz: u64,
    /// VectorE.
    pub vector_mhz: u64,
    /// ScalarE.
    pub scalar_mhz: u64,
    /// GpSimdE.
    pub gpsimd_mhz: u64,
    /// SyncE.
    pub sync_mhz: u64,
    /// The base clock in which the vendor's profiler counts.
    pub profiler_mhz: u64,
}

/// The state buffer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sbuf {
    /// Partitions.
    pub partitions: u64,
    /// Bytes of one partition.
    pub bytes_per_partition: u64,
    /// Bytes of one partition a program may use.
    pub usable_bytes_per_partition: u64,
    /// Alignment of an operand's start, bytes.
    pub address_alignment_bytes: u64,
}

/// The accumulator memory of TensorE.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Psum {
    /// Partitions.
    pub partitions: u64,
    /// Bytes of one partition.
    pub bytes_per_partition: u64,
    /// Banks of one partition.
    pub banks: u64,
    /// Bytes of one bank of one partition.
    pub bytes_per_bank: u64,
    /// Alignment of an operand's start, bytes.
    pub address_alignment_bytes: u64,
}

/// Device memory. 1 GB/s is 1 byte/ns.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hbm {
    /// Capacity of the chip, bytes.
    pub bytes_per_chip: u64,
    /// Share of one core, bytes.
    pub bytes_per_core: u64,
    /// Stacks on the chip.
    pub stacks: u64,
    /// Bandwidth of the chip, GB/s.
    pub gb_per_s_per_chip: f64,
    /// Share of one core, GB/s.
    pub gb_per_s_per_core: f64,
    /// Bandwidth of one stack, GB/s.
    pub gb_per_s_per_stack: f64,
    /// Cores that share a stack.
    pub cores_per_stack: u64,
    /// What the DMA engines of one core can draw at most, GB/s, reads and writes together.
    pub cap_gb_per_s: f64,
    /// Parts of the chip's memory, each with an equal part of its bandwidth, that consecutive addresses go round; 1 where no access pattern is slower than another.
    pub interleave_ways: u64,
    /// Consecutive bytes in one of them.
    pub interleave_bytes: u64,
    /// Alignment our planner gives to HBM buffers, bytes.
    pub address_alignment_bytes: u64,
}

/// DMA engines, queues and descriptors.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dma {
    /// Engines of one core.
    pub engines: u64,
    /// Rings of one engine.
    pub queues_per_engine: u64,
    /// SBUF partitions one engine serves in a transfer over all partitions.
    pub partitions_per_engine: u64,
    /// Theoretical rate of one engine, bytes/ns.
    pub burst_bytes_per_ns_per_engine: f64,
    /// Sustained rate of one engine when it reads HBM, bytes/ns.
    pub bytes_per_ns_per_engine: f64,
    /// Sustained rate of one engine when it reads SBUF, bytes/ns.
    pub store_bytes_per_ns_per_engine: f64,
    /// Size of a descriptor, bytes.
    pub descriptor_bytes: u64,
    /// Most bytes one descriptor may move.
    pub bytes_per_descriptor_max: u64,
    /// Most descriptors of a packet.
    pub descriptors_per_packet_max: u64,
    /// Descriptors an engine fetches ahead.
    pub descriptor_prefetch: u64,
    /// Packet of a compute transfer, bytes.
    pub packet_bytes_compute: u64,
    /// Packet of a collective transfer, bytes.
    pub packet_bytes_collective: u64,
    /// Fixed time of a descriptor, ns.
    pub descriptor_overhead_ns: f64,
    /// Least time of a descriptor, ns.
    pub descriptor_min_ns: f64,
    /// Time between two transfers of one ring on an engine, ns: the next one's descriptors are fetched.
    pub ring_switch_ns: f64,
    /// Least time between two transfers of a queue whose descriptors a hardware generator writes, ns.
    pub dge_queue_interval_ns: f64,
    /// Trigger to first data, ns.
    pub start_ns: f64,
    /// Last data to visible semaphore, ns.
    pub done_ns: f64,
    /// What a finished transfer adds to its semaphore: one per engine.
    pub semaphore_increment: u64,
    /// Time of the packet that writes a semaphore, ns.
    pub semaphore_packet_ns: f64,
    /// Hardware descriptor generators.
    pub hardware_dge_blocks: u64,
    /// Time a hardware generator needs per transfer, ns.
    pub hwdge_issue_ns: f64,
    /// Time the triggering engine spends on a software-generated transfer, ns.
    pub swdge_trigger_ns: f64,
    /// Software trigger to DMA start, ns.
    pub swdge_start_ns: f64,
    /// GpSimdE time per software-generated transfer, ns.
    pub swdge_sustained_ns: f64,
    /// Time the triggering engine spends on a transfer with descriptors made ahead, ns.
    pub static_trigger_ns: f64,
    /// Rate of a transposing transfer from HBM over a copy's.
    pub transpose_efficiency_hbm_to_sbuf: f64,
    /// Rate of a transposing transfer inside SBUF over a copy's.
    pub transpose_efficiency_sbuf_to_sbuf: f64,
    /// Alignment a transposing transfer wants in SBUF, bytes.
    pub transpose_sbuf_alignment_bytes: u64,
    /// Rate of an adding transfer over a copy's.
    pub compute_efficiency: f64,
    /// Most sources of an adding transfer.
    pub compute_sources_max: u64,
    /// Rate of an accumulating transfer into SBUF over a copy's.
    pub accumulate_efficiency: f64,
    /// Below this a transfer is bound by its fixed costs, bytes.
    pub recommended_bytes_per_partition: u64,
    /// At this a transfer runs at full rate, bytes.
    pub saturating_bytes_per_partition: u64,
    /// Priorities of queues.
    pub service_classes: u64,
}

/// TensorE.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pe {
    /// Rows of the array: contraction.
    pub rows: u64,
    /// Columns of the array: stationary free size.
    pub columns: u64,
    /// Most columns of a stationary operand.
    pub stationary_free_max: u64,
    /// Most columns of a moving operand, fp32 results.
    pub moving_free_max: u64,
    /// Most columns of a moving operand, bf16 results.
    pub moving_free_max_bf16_result: u64,
    /// Tile sizes the array can be split into, in rows and in columns.
    pub row_tiles: Vec<u64>,
    /// Accumulation groups open at once.
    pub accumulation_groups_max: u64,
    /// Cycles per moving column of one pass: bf16, fp16, tf32, fp8.
    pub cycles_per_column: f64,
    /// MultiplyMoving passes an fp32 product takes.
    pub fp32_passes: u64,
    /// Cycles per moving column of one fp32 pass.
    pub fp32_cycles_per_column_and_pass: f64,
    /// What an operand known to hold only zeros and ones leaves of an fp32 product's time.
    pub fp32_onezero_factor: f64,
    /// A pass takes at least min(this, stationary columns) columns of time.
    pub stationary_floor_cycles: u64,
    /// Cycles between back-to-back passes.
    pub gap_cycles: u64,
    /// Least cycles between the starts of two passes, also of different tiles of the array.
    pub issue_interval_cycles: u64,
    /// Pipeline: last column in to result visible.
    pub latency_cycles: u64,
    /// Stationary columns loaded per cycle.
    pub load_columns_per_cycle: u64,
    /// Least cycles of a stationary load.
    pub load_min_cycles: u64,
    /// Load done to its semaphore visible.
    pub load_latency_cycles: u64,
    /// Load done to the first pass that uses it, when nothing hides it.
    pub load_to_multiply_cycles: u64,
    /// Stationary operands that can be loaded ahead.
    pub shadow_weight_sets: u64,
    /// PSUM banks one result may cover.
    pub result_banks_max: u64,
    /// Whether PSUM may receive bf16.
    pub bf16_result: bool,
    /// Whether fp8 operands may contract 256 rows in a pass.
    pub double_row: bool,
    /// Whether MX-packed operands exist.
    pub mx: bool,
    /// Whether transposes pass bits through exactly.
    pub transpose_mode: bool,
    /// Whether a transpose runs beside another product.
    pub background_transpose: bool,
    /// fp32 transposes over fp32 products, in transpose mode.
    pub transpose_fp32_speedup: u64,
    /// Transposes in a chain, with background transposes.
    pub background_transpose_speedup: u64,
    /// Contraction of a double-row pass.
    pub contraction_double_row: u64,
    /// Contraction of an MX pass.
    pub contraction_mx: u64,
    /// Whether fp8 e3m4 is an operand type.
    pub fp8_e3m4: bool,
    /// Whether fp8 e4m3fn is an operand type.
    pub fp8_e4m3fn: bool,
    /// Rate after idling over full rate (power ramp).
    pub ramp_initial: f64,
    /// Busy time until full rate, microseconds.
    pub ramp_us: f64,
}

/// VectorE.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// Least cycles between two instructions.
    pub min_ii_cycles: u64,
    /// Cycles added to the interval of every instruction.
    pub issue_overhead_cycles: u64,
    /// Last element in to result visible.
    pub latency_cycles: u64,
    /// Whether the 4x mode exists.
    pub mode_4x: bool,
    /// Whether the 2x mode exists.
    pub mode_2x: bool,
    /// Whether fp8 qualifies for the 16-bit modes.
    pub fp8_counts_as_16bit: bool,
    /// Mode of `tensor_scalar` from 16 bits to fp8.
    pub fp8_output_mode: u64,
    /// Base cost.
    pub cycles_per_element: f64,
    /// Two operands through one SBUF port.
    pub tensor_tensor_cycles_per_element: f64,
    /// One of two operands in PSUM.
    pub tensor_tensor_psum_cycles_per_element: f64,
    /// All three operands 16-bit in SBUF.
    pub tensor_tensor_16bit_cycles_per_element: f64,
    /// `tensor_reduce` of bf16 with add or max.
    pub reduce_16bit_cycles_per_element: f64,
    /// `memset` of zero in bf16 or fp16.
    pub memset_zero_16bit_cycles_per_element: f64,
    /// `tensor_tensor_scan`.
    pub scan_cycles_per_element: f64,
    /// `bn_aggr`.
    pub bn_aggr_cycles_per_element: f64,
    /// Predicated copy, both operands in SBUF.
    pub predicated_cycles_per_element: f64,
    /// Predicated copy, exactly one operand in PSUM.
    pub predicated_psum_cycles_per_element: f64,
    /// `reciprocal`.
    pub reciprocal_cycles_per_element: f64,
    /// Read-out of the accumulators.
    pub reduce_tail_cycles: u64,
    /// `rand2`.
    pub rand2_values_per_cycle: u64,
    /// `quantize_mx`.
    pub quantize_mx_elements_per_cycle: u64,
    /// `exponential`.
    pub exponential_elements_per_cycle: u64,
    /// Whether `exponential` exists.
    pub exponential: bool,
    /// Whether `quantize_mx` exists.
    pub quantize_mx: bool,
    /// Whether `range_select` exists.
    pub range_select: bool,
    /// Whether the ALU has absolute max and min.
    pub abs_max_min: bool,
    /// Words of generator state per lane; 0 where it is not exposed.
    pub rng_state_words: u64,
}

/// ScalarE.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scalar {
    /// Least cycles between two instructions.
    pub min_ii_cycles: u64,
    /// Cycles added to the interval of every instruction.
    pub issue_overhead_cycles: u64,
    /// Last element in to result visible.
    pub latency_cycles: u64,
    /// Base cost.
    pub cycles_per_element: f64,
    /// Read-out of the accumulators.
    pub accumulator_read_cycles: u64,
    /// Accumulator registers.
    pub accumulators: u64,
    /// Loading a table set, ns.
    pub table_load_ns: f64,
    /// Whether a bias may be a constant.
    pub bias_immediate: bool,
    /// Whether ScalarE runs `tensor_scalar`.
    pub tensor_scalar: bool,
    /// Whether ScalarE runs `tensor_copy`.
    pub tensor_copy: bool,
    /// Whether 16-bit `tensor_scalar` and `tensor_copy` run twice as fast.
    pub tensor_scalar_2x_16bit: bool,
    /// Whether int32 copies keep all bits.
    pub exact_int32_copy: bool,
    /// Whether `activate2` exists.
    pub activate2: bool,
    /// Which functions share a table load.
    pub table_sets: TableSets,
    /// Least and largest magnitude that a function's table takes, as powers of two, by name; missing where all are taken.
    pub log2_ranges: BTreeMap<String, [i32; 2]>,
}

/// Activation functions by table set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSets {
    /// The set that never needs a load.
    pub resident: u64,
    /// Function names of each set.
    pub sets: Vec<Vec<String>>,
}

/// GpSimdE.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpSimd {
    /// Processors.
    pub processors: u64,
    /// Width of a processor's vector, bits.
    pub vector_bits: u64,
    /// SBUF partitions wired to one processor.
    pub partitions_per_processor: u64,
    /// Port width, bits.
    pub bits_per_partition_per_cycle: u64,
    /// Local memory of one processor, bytes.
    pub local_memory_bytes: u64,
    /// Start-up of every instruction.
    pub start_cycles: u64,
    /// Last element in to result visible.
    pub latency_cycles: u64,
    /// Bandwidth of its own DMA engines, GB/s; 0 without.
    pub integrated_dma_gb_per_s: f64,
    /// Base cost.
    pub cycles_per_element: f64,
    /// `power`.
    pub power_cycles_per_element: f64,
    /// `rsqrt`.
    pub rsqrt_cycles_per_element: f64,
    /// `tensor_partition_reduce`.
    pub partition_reduce_cycles_per_element: f64,
    /// Indices per group of `nc_n_gather`.
    pub gather_group_elements: u64,
    /// `nc_n_gather`.
    pub gather_cycles_per_element: f64,
    /// Most indices per processor of `local_gather`.
    pub local_gather_indices_max: u64,
    /// Allowed elements per index of `local_gather`.
    pub local_gather_elements_per_index: Vec<u64>,
    /// Constant of `local_gather`'s cost.
    pub local_gather_base_bytes: u64,
    /// Constant of `local_gather`'s cost.
    pub local_gather_word_bytes: u64,
    /// `sequence_bounds`.
    pub sequence_bounds_cycles_per_element: f64,
    /// `nonzero_with_count`.
    pub nonzero_cycles_per_element: f64,
    /// `topk`.
    pub topk_cycles_per_element: f64,
    /// Whether `rng` runs here.
    pub rng: bool,
    /// Whether `topk` exists.
    pub topk: bool,
    /// Loading the library at the first execution, ms; outside steady state.
    pub first_load_ms: f64,
}

/// Sequencers, semaphores and control instructions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// Semaphores of one core.
    pub semaphores: u64,
    /// Events of one core.
    pub events: u64,
    /// Scalar registers of one sequencer.
    pub registers_per_sequencer: u64,
    /// Bits of a scalar register.
    pub register_bits: u64,
    /// Sequencers of one core.
    pub sequencers: u64,
    /// Bits of a semaphore's counter.
    pub semaphore_bits: u64,
    /// Semaphore waits attached to one instruction.
    pub waits_per_instruction: u64,
    /// Semaphore updates attached to one instruction.
    pub updates_per_instruction: u64,
    /// Semaphore visible to waiting engine's start, ns.
    pub wait_to_start_ns: f64,
    /// Result visible to the next dependent instruction of the same engine.
    pub restart_cycles: u64,
    /// A stand-alone semaphore instruction, ns.
    pub event_semaphore_ns: f64,
    /// Compare and branch.
    pub branch_cycles: u64,
    /// A register instruction.
    pub register_op_cycles: u64,
    /// Loading a register from SBUF.
    pub register_load_sbuf_cycles: u64,
    /// One trip of a loop.
    pub loop_trip_cycles: u64,
    /// Least interval of an instruction with an address from a register.
    pub dynamic_address_cycles: u64,
    /// Bytes of an instruction in HBM.
    pub instruction_bytes: u64,
    /// Decoded instructions waiting for execution.
    pub execution_queue_depth: u64,
    /// Instructions of the buffer that a sequencer decodes from; a branch further than this waits for a fetch.
    pub prefetch_instructions: u64,
}

/// Limits of operands and access patterns.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Most partitions of an operand.
    pub partitions: u64,
    /// Partitions of a quadrant.
    pub quadrant_partitions: u64,
    /// Most free dimensions of an access pattern.
    pub free_dims_max: u64,
    /// Bits of a signed step, in elements.
    pub step_bits: u64,
    /// Bits of an unsigned count.
    pub size_bits: u64,
    /// Whether steps may be negative.
    pub negative_steps: bool,
    /// Most elements per partition of an SBUF operand.
    pub free_elements_sbuf_max: u64,
    /// Most elements per partition of a PSUM operand.
    pub free_elements_psum_max: u64,
    /// Widest innermost step at full rate, bytes.
    pub full_rate_step_bytes_max: u64,
    /// Cost factor of a wider step.
    pub slow_step_factor: u64,
    /// Most elements per partition of `bn_stats`.
    pub bn_stats_free_max: u64,
    /// Least elements per partition of the `max8` family.
    pub max8_free_min: u64,
    /// Most elements per partition of the `max8` family.
    pub max8_free_max: u64,
    /// Side of a VectorE transpose block.
    pub vector_transpose_block: u64,
    /// Side of a TensorE transpose block.
    pub pe_transpose_block: u64,
    /// Whether both inputs may be in PSUM.
    pub two_psum_inputs: bool,
}

/// Which engines may use which memory together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    /// VectorE and GpSimdE never use SBUF at the same time.
    pub vector_gpsimd_share_sbuf_exclusively: bool,
    /// VectorE and ScalarE never use PSUM at the same time.
    pub vector_scalar_share_psum_exclusively: bool,
    /// Engines collide in PSUM only on the same bank.
    pub psum_conflict_by_bank: bool,
}

/// Collective communication.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collectives {
    /// Fixed time of a collective, microseconds.
    pub alpha_us: f64,
    /// Time of a step inside an instance, microseconds.
    pub step_us: f64,
    /// Time of a step between instances, microseconds.
    pub inter_node_step_us: f64,
    /// Below this size the mesh algorithm is used.
    pub mesh_below_bytes: u64,
    /// Below this size recursive doubling and halving is used.
    pub recursive_below_bytes: u64,
    /// Fixed time of an exchange between two cores of a logical core, ns.
    pub sendrecv_ns: f64,
    /// A barrier between two cores of a logical core, ns.
    pub barrier_ns: f64,
    /// Network bandwidth of a rank, Gbit/s.
    pub efa_gbit_per_s_per_rank: f64,
}

/// The chip and what is common to its cores.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chip {
    /// Product name.
    pub name: String,
    /// NeuronCores.
    pub cores: u64,
    /// NeuronLink bandwidth, GB/s.
    pub neuronlink_gb_per_s: f64,
    /// Collective cores.
    pub cc_cores: u64,
    /// DMA bandwidth of the chip, GB/s.
    pub dma_gb_per_s: f64,
    /// Physical cores of a logical core by default.
    pub logical_core_default: u64,
    /// Allowed sizes of a logical core.
    pub logical_core_allowed: Vec<u64>,
    /// Start of an execution, microseconds; not device time.
    pub neff_launch_us: f64,
    /// Cost factor of native 64-bit integers.
    pub native_int64_slowdown: f64,
}

/// Peak of one core, TFLOP/s.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// bf16.
    pub bf16_tflops: f64,
    /// fp16.
    pub fp16_tflops: f64,
    /// tf32.
    pub tf32_tflops: f64,
    /// fp32.
    pub fp32_tflops: f64,
    /// fp8.
    pub fp8_tflops: f64,
    /// MX-packed operands, where they exist.
    pub mx_tflops: Option<f64>,
}

/// An instance type a target is sold in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Name.
    pub name: String,
    /// Chips.
    pub chips: u64,
    /// NeuronCores.
    pub cores: u64,
    /// Virtual processors of the host.
    pub vcpus: Option<u64>,
    /// Host memory, GiB.
    pub host_gib: u64,
    /// Device memory, GiB.
    pub device_gib: u64,
    /// How the chips are joined.
    pub topology: Option<String>,
}
