//! Linear algebra, transforms and random numbers.

use super::super::types::Dims;

/// Attributes of `stablehlo.cholesky`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cholesky {
    /// Which triangle is read and written.
    pub lower: bool,
}

/// What is done to the matrix of a triangular solve first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TransposeA {
    NoTranspose,
    Transpose,
    Adjoint,
}

/// Attributes of `stablehlo.triangular_solve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TriangularSolve {
    /// `op(a) x = b` rather than `x op(a) = b`.
    pub left_side: bool,
    /// Which triangle of `a` is read.
    pub lower: bool,
    /// Diagonal taken as ones.
    pub unit_diagonal: bool,
    /// The `op` above.
    pub transpose_a: TransposeA,
}

/// Kind of a Fourier transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum FftType {
    Fft,
    Ifft,
    Rfft,
    Irfft,
}

/// Attributes of `stablehlo.fft`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fft {
    /// Kind.
    pub fft_type: FftType,
    /// Lengths of the innermost dimensions.
    pub fft_length: Dims,
}

/// Distribution of `stablehlo.rng`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum RngDistribution {
    Uniform,
    Normal,
}

/// Attributes of `stablehlo.rng`. Operands: a, b, shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rng {
    /// Distribution.
    pub distribution: RngDistribution,
}

/// Algorithm of `stablehlo.rng_bit_generator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum RngAlgorithm {
    Default,
    ThreeFry,
    Philox,
}

/// Attributes of `stablehlo.rng_bit_generator`: results are the new state and the bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RngBitGenerator {
    /// Algorithm.
    pub algorithm: RngAlgorithm,
}
