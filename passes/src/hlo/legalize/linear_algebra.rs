//! Matrix factorisation and triangular systems, a column or row at a time over the whole batch.
//!
//! Before                                              After
//!   cholesky %a                                         for each column: square root of the pivot, division, and the
//!                                                       outer product taken off the rest
//!   triangular_solve %a, %b                             for each row: division by the pivot, and its multiples taken
//!                                                       off the rows that are left
//!
//! Only the triangle that the operation names is read. The other triangle of a Cholesky factor is zero (the
//! specification leaves it open); where the matrix is not positive definite the factor is NaN.
//!
//! Complex matrices are factorised and solved the same way; where the operation says so, by their conjugates.
//!
//! Needs: verified static `hlo`. Leaves: verified `hlo` without `cholesky` and `triangular_solve`.

use ferrite_ir::hlo::{
    Builder, ComparisonDirection, Dims, OpId, OpKind, TensorType, TransposeA, TriangularSolve, UnaryOp, ValueId,
};

use super::rewrite::{Rewrite, Step, operands, refuse, result_type};

/// Largest matrix (our choice: each column is about ten operations).
const MAX_SIZE: i64 = 256;

/// The rule of `legalize-linear-algebra`.
pub(crate) fn rewrite(b: &mut Builder<'_>, op: OpId) -> Rewrite {
    let kind = b.func.op(op).kind.clone();
    if !matches!(kind, OpKind::Cholesky(_) | OpKind::TriangularSolve(_)) {
        return Ok(None);
    }
    let o = operands(b, op);
    let result = result_type(b, op);
    if result.element_count() == 0 {
        return Ok(Some(vec![b.constant_i(result, 0)]));
    }
    let a = b.tensor(o[0])?.clone();
    let n = a.shape[a.rank() - 1];
    if n > MAX_SIZE {
        return Err(refuse(
            format!(
                "`{}` of {a}; matrices of up to {MAX_SIZE} rows are done",
                kind.mnemonic()
            ),
            "solve in blocks",
        ));
    }
    let batch: i64 = a.shape[..a.rank() - 2].iter().product();
    let flat = b.reshape(o[0], &[batch, n, n])?;
    let value = match kind {
        OpKind::Cholesky(c) => {
            let lower = if c.lower { flat } else { adjoint(b, flat)? };
            let factor = cholesky(b, lower)?;
            if c.lower { factor } else { adjoint(b, factor)? }
        }
        OpKind::TriangularSolve(t) => {
            let (rows, columns) = (result.shape[result.rank() - 2], result.shape[result.rank() - 1]);
            let right = b.reshape(o[1], &[batch, rows, columns])?;
            solve(b, flat, right, t)?
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![b.reshape(value, &result.shape)?]))
}

fn flip(b: &mut Builder<'_>, x: ValueId) -> Step {
    Ok(b.transpose(x, &[0, 2, 1])?)
}

fn conjugate(b: &mut Builder<'_>, x: ValueId) -> Step {
    if !b.tensor(x)?.dtype.is_complex() {
        return Ok(x);
    }
    Ok(b.unary(UnaryOp::Conj, x)?)
}

fn adjoint(b: &mut Builder<'_>, x: ValueId) -> Step {
    let x = flip(b, x)?;
    conjugate(b, x)
}

/// A box of a `[batch, rows, columns]` tensor.
fn part(b: &mut Builder<'_>, x: ValueId, rows: (i64, i64), columns: (i64, i64)) -> Step {
    let shape = b.tensor(x)?.shape.clone();
    if rows == (0, shape[1]) && columns == (0, shape[2]) {
        return Ok(x);
    }
    Ok(b.slice(x, &[0, rows.0, columns.0], &[shape[0], rows.1, columns.1], &[1, 1, 1])?)
}

/// `x - column * row`, for a column `[batch, m, 1]` and a row `[batch, 1, n]`.
fn take_off(b: &mut Builder<'_>, x: ValueId, column: ValueId, row: ValueId) -> Step {
    let shape = b.tensor(x)?.shape.clone();
    let column = b.broadcast_in_dim(column, &shape, &[0, 1, 2])?;
    let row = b.broadcast_in_dim(row, &shape, &[0, 1, 2])?;
    let product = b.mul(column, row)?;
    Ok(b.sub(x, product)?)
}

/// The lower factor of `[batch, n, n]`.
fn cholesky(b: &mut Builder<'_>, a: ValueId) -> Step {
    let ty = b.tensor(a)?.clone();
    let (batch, n) = (ty.shape[0], ty.shape[1]);
    let zero = b.constant_i(TensorType::scalar(ty.dtype), 0);
    let mut rest = a;
    let mut columns = Vec::with_capacity(n as usize);
    for j in 0..n {
        let size = n - j;
        let pivot = part(b, rest, (0, 1), (0, 1))?;
        // The diagonal of a matrix that is its own adjoint is real.
        let complex = ty.dtype.is_complex();
        let pivot = if complex { b.unary(UnaryOp::Real, pivot)? } else { pivot };
        let root = b.unary(UnaryOp::Sqrt, pivot)?;
        // Of a number that is not positive, NaN.
        let nothing = b.like_i(pivot, 0)?;
        let positive = b.compare(ComparisonDirection::Gt, pivot, nothing)?;
        let nan = b.like_f(pivot, f64::NAN)?;
        let root = b.select(positive, root, nan)?;
        let root = if complex {
            let zero = b.like_i(root, 0)?;
            b.op1(OpKind::Complex, &[root, zero])?
        } else {
            root
        };
        let column = part(b, rest, (0, size), (0, 1))?;
        let divisor = b.broadcast_in_dim(root, &[batch, size, 1], &[0, 1, 2])?;
        let scaled = b.div(column, divisor)?;
        // The pivot divided by its root is the root but for rounding.
        let scaled = if size > 1 {
            let below = part(b, scaled, (1, size), (0, 1))?;
            let whole = b.concatenate(&[root, below], 1)?;
            let row = adjoint(b, below)?;
            let left = part(b, rest, (1, size), (1, size))?;
            rest = take_off(b, left, below, row)?;
            whole
        } else {
            root
        };
        columns.push(if j == 0 {
            scaled
        } else {
            b.pad(scaled, zero, &[0, j, 0], &[0, 0, 0], &[0, 0, 0])?
        });
    }
    if columns.len() == 1 {
        return Ok(columns[0]);
    }
    Ok(b.concatenate(&columns, 2)?)
}

/// `op(a) x = b` or `x op(a) = b` over a batch.
fn solve(b: &mut Builder<'_>, a: ValueId, right: ValueId, t: TriangularSolve) -> Step {
    let transposed = t.transpose_a != TransposeA::NoTranspose;
    // x op(a) = b is op(a)^T x^T = b^T.
    let (right, flipped) = if t.left_side {
        (right, transposed)
    } else {
        (flip(b, right)?, !transposed)
    };
    let a = if t.transpose_a == TransposeA::Adjoint {
        conjugate(b, a)?
    } else {
        a
    };
    let a = if flipped { flip(b, a)? } else { a };
    let lower = t.lower != flipped;
    let shape: Dims = b.tensor(right)?.shape.clone();
    let (n, m) = (shape[1], shape[2]);
    let mut rest = right;
    let mut rows = Vec::with_capacity(n as usize);
    for step in 0..n {
        // Rows that are left: `i..n` from the top, or `0..=i` from the bottom.
        let size = n - step;
        let i = if lower { step } else { size - 1 };
        let here = if lower { 0 } else { size - 1 };
        let mut row = part(b, rest, (here, here + 1), (0, m))?;
        if !t.unit_diagonal {
            let pivot = part(b, a, (i, i + 1), (i, i + 1))?;
            let row_shape = b.tensor(row)?.shape.clone();
            let pivot = b.broadcast_in_dim(pivot, &row_shape, &[0, 1, 2])?;
            row = b.div(row, pivot)?;
        }
        rows.push(row);
        if size > 1 {
            let (from, to) = if lower { (1, size) } else { (0, size - 1) };
            let left = part(b, rest, (from, to), (0, m))?;
            let column = if lower {
                part(b, a, (i + 1, n), (i, i + 1))?
            } else {
                part(b, a, (0, i), (i, i + 1))?
            };
            rest = take_off(b, left, column, row)?;
        }
    }
    if !lower {
        rows.reverse();
    }
    let x = if rows.len() == 1 {
        rows[0]
    } else {
        b.concatenate(&rows, 1)?
    };
    if t.left_side { Ok(x) } else { flip(b, x) }
}
