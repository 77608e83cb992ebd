//! What the user asked for, as far as passes must know it. The command line fills it.

use ferrite_ir::dtype::DType;

/// `--auto-cast`: which FP32 operations are computed in the cast type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoCast {
    /// None.
    #[default]
    None,
    /// Those that run on the matrix engine.
    Matmult,
    /// Every FP32 operation.
    All,
}

/// `--auto-cast-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CastType {
    /// 1-8-7.
    #[default]
    Bf16,
    /// 1-5-10; values beyond its range become infinite.
    Fp16,
    /// 1-8-10, stored as FP32.
    Tf32,
    /// 1-4-3 with infinities.
    Fp8E4m3,
}

impl CastType {
    /// The element type.
    pub const fn dtype(self) -> DType {
        match self {
            CastType::Bf16 => DType::BF16,
            CastType::Fp16 => DType::F16,
            CastType::Tf32 => DType::TF32,
            CastType::Fp8E4m3 => DType::F8E4M3,
        }
    }
}

/// Options of a compilation that passes read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    /// `--auto-cast`.
    pub auto_cast: AutoCast,
    /// `--auto-cast-type`.
    pub auto_cast_type: CastType,
    /// `--enable-mixed-precision-accumulation`: FP32 intermediates in operations that accumulate.
    pub mixed_precision_accumulation: bool,
    /// `--native-int64 enabled`: 64-bit integers stay.
    pub native_int64: bool,
    /// `--enable-saturate-infinity`: infinities become the largest finite value in transposes on the PE array.
    pub saturate_infinity: bool,
    /// `-O`: 1, 2 or 3.
    pub opt_level: u8,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions {
            auto_cast: AutoCast::None,
            auto_cast_type: CastType::Bf16,
            mixed_precision_accumulation: true,
            native_int64: false,
            saturate_infinity: false,
            opt_level: 2,
        }
    }
}
