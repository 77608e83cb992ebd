//! Data movement: every operation here is a strided copy out of, or into, a row-major buffer.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{Pad, TensorType};

use crate::invalid;
use crate::tensor::{Tensor, map_width, row_major, usizes, zip_width};

/// Where a strided access starts and how far it steps, in elements.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub offset: isize,
    pub shape: Vec<usize>,
    pub strides: Vec<isize>,
}

impl Access {
    /// Drops dimensions of size one and merges neighbours that one stride covers.
    fn merged(&self) -> Access {
        let mut shape: Vec<usize> = Vec::new();
        let mut strides: Vec<isize> = Vec::new();
        for (&size, &stride) in self.shape.iter().zip(&self.strides) {
            if size == 1 {
                continue;
            }
            match (shape.last_mut(), strides.last_mut()) {
                (Some(n), Some(s)) if *s == stride * size as isize => {
                    *n *= size;
                    *s = stride;
                }
                _ => {
                    shape.push(size);
                    strides.push(stride);
                }
            }
        }
        Access {
            offset: self.offset,
            shape,
            strides,
        }
    }

    /// Calls `f` with the start of every innermost run; gives the length and stride of a run.
    fn for_each_run(&self, mut f: impl FnMut(isize, usize, isize)) {
        let access = self.merged();
        if self.shape.contains(&0) {
            return;
        }
        let Some((&length, outer)) = access.shape.split_last() else {
            return f(access.offset, 1, 1);
        };
        let stride = access.strides[outer.len()];
        let mut index = vec![0usize; outer.len()];
        let mut start = access.offset;
        loop {
            f(start, length, stride);
            let mut d = outer.len();
            loop {
                if d == 0 {
                    return;
                }
                d -= 1;
                index[d] += 1;
                start += access.strides[d];
                if index[d] < outer[d] {
                    break;
                }
                start -= access.strides[d] * outer[d] as isize;
                index[d] = 0;
            }
        }
    }
}

/// Copies the elements an access names, in its row-major order.
pub(crate) fn read<T: Copy>(src: &[T], access: &Access) -> Vec<T> {
    let mut out = Vec::with_capacity(access.shape.iter().product());
    access.for_each_run(|start, length, stride| {
        let start = start as usize;
        match stride {
            1 => out.extend_from_slice(&src[start..start + length]),
            0 => out.resize(out.len() + length, src[start]),
            _ => out.extend((0..length as isize).map(|i| src[(start as isize + i * stride) as usize])),
        }
    });
    out
}

/// Writes elements, in row-major order of the access, to the places it names.
pub(crate) fn write<T: Copy>(dst: &mut [T], access: &Access, src: &[T]) {
    let mut next = 0;
    access.for_each_run(|start, length, stride| {
        let run = &src[next..next + length];
        next += length;
        if stride == 1 {
            dst[start as usize..start as usize + length].copy_from_slice(run);
        } else {
            for (i, &v) in run.iter().enumerate() {
                dst[(start + i as isize * stride) as usize] = v;
            }
        }
    });
}

/// A tensor of the elements an access names.
pub(crate) fn view(x: &Tensor, access: &Access) -> Tensor {
    let ty = x.ty().with_shape(access.shape.iter().map(|&n| n as i64));
    Tensor::from_buf(ty, map_width!(&*x.buf, v => read(v, access)))
}

fn check(ok: bool, name: &str, x: &Tensor) -> Result<()> {
    if ok {
        Ok(())
    } else {
        Err(invalid(format!(
            "`stablehlo.{name}` does not fit its operand {}",
            x.ty()
        )))
    }
}

/// `broadcast_in_dim` to a known shape.
pub(crate) fn broadcast_in_dim(x: &Tensor, dims: &[i64], shape: &[i64]) -> Result<Tensor> {
    let sizes = usizes(x.shape());
    let out = usizes(shape);
    let strides = row_major(&sizes);
    let mut access = Access {
        offset: 0,
        strides: vec![0; out.len()],
        shape: out,
    };
    check(dims.len() == sizes.len(), "broadcast_in_dim", x)?;
    for (d, &target) in dims.iter().enumerate() {
        let fits = access
            .shape
            .get(target as usize)
            .is_some_and(|&n| sizes[d] == n || sizes[d] == 1);
        check(target >= 0 && fits, "broadcast_in_dim", x)?;
        if sizes[d] != 1 {
            access.strides[target as usize] = strides[d];
        }
    }
    if x.count() == access.shape.iter().product::<usize>() && dims.is_sorted() {
        return Ok(x.retyped(x.ty().with_shape(shape.iter().copied())));
    }
    Ok(view(x, &access))
}

/// `reshape` to a known shape.
pub(crate) fn reshape(x: &Tensor, shape: &[i64]) -> Result<Tensor> {
    let ty = x.ty().with_shape(shape.iter().copied());
    check(ty.is_static() && ty.element_count() == x.count(), "reshape", x)?;
    Ok(x.retyped(ty))
}

/// `transpose`.
pub(crate) fn transpose(x: &Tensor, permutation: &[i64]) -> Result<Tensor> {
    let sizes = usizes(x.shape());
    let strides = row_major(&sizes);
    let mut seen = vec![false; sizes.len()];
    check(permutation.len() == sizes.len(), "transpose", x)?;
    for &p in permutation {
        check(seen.get(p as usize) == Some(&false), "transpose", x)?;
        seen[p as usize] = true;
    }
    if permutation.is_sorted() {
        return Ok(x.clone());
    }
    let access = Access {
        offset: 0,
        shape: permutation.iter().map(|&p| sizes[p as usize]).collect(),
        strides: permutation.iter().map(|&p| strides[p as usize]).collect(),
    };
    Ok(view(x, &access))
}

/// `slice` with known bounds.
pub(crate) fn slice(x: &Tensor, start: &[i64], limit: &[i64], step: &[i64]) -> Result<Tensor> {
    let sizes = usizes(x.shape());
    let strides = row_major(&sizes);
    let mut access = Access {
        offset: 0,
        shape: Vec::new(),
        strides: Vec::new(),
    };
    let rank = sizes.len();
    check(
        start.len() == rank && limit.len() == rank && step.len() == rank,
        "slice",
        x,
    )?;
    for d in 0..rank {
        let (first, end, step) = (start[d], limit[d], step[d]);
        check(
            0 <= first && first <= end && end <= sizes[d] as i64 && step > 0,
            "slice",
            x,
        )?;
        access.offset += first as isize * strides[d];
        access.shape.push(((end - first) as usize).div_ceil(step as usize));
        access.strides.push(strides[d] * step as isize);
    }
    Ok(view(x, &access))
}

/// Clamps start indices so that a window of `sizes` lies inside `shape`.
fn clamped(starts: &[i64], shape: &[i64], sizes: &[i64]) -> Vec<i64> {
    starts
        .iter()
        .zip(shape.iter().zip(sizes))
        .map(|(&s, (&n, &size))| s.clamp(0, (n - size).max(0)))
        .collect()
}

/// `dynamic_slice`: starts are clamped.
pub(crate) fn dynamic_slice(x: &Tensor, starts: &[i64], sizes: &[i64]) -> Result<Tensor> {
    let rank = x.shape().len();
    check(starts.len() == rank && sizes.len() == rank, "dynamic_slice", x)?;
    let start = clamped(starts, x.shape(), sizes);
    let limit: Vec<i64> = start.iter().zip(sizes).map(|(s, n)| s.saturating_add(*n)).collect();
    slice(x, &start, &limit, &vec![1; rank])
}

/// `dynamic_update_slice`: starts are clamped; in place if nobody else holds the operand.
pub(crate) fn dynamic_update_slice(mut x: Tensor, update: &Tensor, starts: &[i64]) -> Result<Tensor> {
    let fits = x.shape().len() == update.shape().len()
        && starts.len() == x.shape().len()
        && x.shape().iter().zip(update.shape()).all(|(n, u)| u <= n)
        && x.dtype() == update.dtype();
    check(fits, "dynamic_update_slice", &x)?;
    let starts = clamped(starts, x.shape(), update.shape());
    let strides = row_major(&usizes(x.shape()));
    let access = Access {
        offset: starts.iter().zip(&strides).map(|(&s, &n)| s as isize * n).sum(),
        shape: usizes(update.shape()),
        strides,
    };
    write_into(&mut x, &access, update);
    Ok(x)
}

/// Writes a tensor into the places of another; both have one element width.
pub(crate) fn write_into(x: &mut Tensor, access: &Access, update: &Tensor) {
    use crate::tensor::Buf;
    let dst = std::sync::Arc::make_mut(&mut x.buf);
    match (dst, &*update.buf) {
        (Buf::B1(d), Buf::B1(s)) => write(d, access, s),
        (Buf::B2(d), Buf::B2(s)) => write(d, access, s),
        (Buf::B4(d), Buf::B4(s)) => write(d, access, s),
        (Buf::B8(d), Buf::B8(s)) => write(d, access, s),
        (Buf::B16(d), Buf::B16(s)) => write(d, access, s),
        _ => unreachable!("callers compare the dtypes first"),
    }
}

/// `pad`; negative edges remove elements.
pub(crate) fn pad(x: &Tensor, value: &Tensor, pad: &Pad) -> Result<Tensor> {
    let rank = x.shape().len();
    let same = pad.low.len() == rank && pad.high.len() == rank && pad.interior.len() == rank;
    check(same && value.count() == 1 && value.dtype() == x.dtype(), "pad", x)?;
    let sizes = usizes(x.shape());
    let source_strides = row_major(&sizes);
    let mut out_shape = Vec::new();
    let mut source = Access {
        offset: 0,
        shape: Vec::new(),
        strides: Vec::new(),
    };
    let mut positions = Vec::new();
    for d in 0..rank {
        let (low, high, step) = (pad.low[d], pad.high[d], pad.interior[d].saturating_add(1));
        check(step >= 1, "pad", x)?;
        let n = sizes[d] as i64;
        let spread = if n == 0 {
            0
        } else {
            (n - 1).saturating_mul(step).saturating_add(1)
        };
        let size = spread.saturating_add(low).saturating_add(high).max(0);
        // Elements k with 0 <= low + k * step < size.
        let ceil = |a: i64| a / step + i64::from(a % step != 0);
        let first = if low < 0 { ceil(low.saturating_neg()) } else { 0 };
        let past = if size > low { ceil(size.saturating_sub(low)) } else { 0 };
        let past = past.clamp(0, n);
        let count = (past - first).max(0);
        out_shape.push(size);
        if count > 0 {
            source.offset += first as isize * source_strides[d];
        }
        source.shape.push(count as usize);
        source.strides.push(source_strides[d]);
        positions.push((if count > 0 { low + first * step } else { 0 }, step));
    }
    let ty = x.ty().with_shape(out_shape.iter().copied());
    crate::check_size(&ty)?;
    let out_sizes = usizes(&out_shape);
    let out_strides = row_major(&out_sizes);
    let target = Access {
        offset: positions
            .iter()
            .zip(&out_strides)
            .map(|(&(p, _), &s)| p as isize * s)
            .sum(),
        strides: positions
            .iter()
            .zip(&out_strides)
            .map(|(&(_, step), &s)| step as isize * s)
            .collect(),
        shape: source.shape.clone(),
    };
    let count = ty.element_count();
    let buf = zip_width!(&*x.buf, &*value.buf, (v, p) => {
        let mut out = vec![p[0]; count];
        write(&mut out, &target, &read(v, &source));
        out
    });
    match buf {
        Some(buf) => Ok(Tensor::from_buf(ty, buf)),
        None => Err(invalid("`stablehlo.pad` with a padding value of another width")),
    }
}

/// `reverse`.
pub(crate) fn reverse(x: &Tensor, dimensions: &[i64]) -> Result<Tensor> {
    let shape = usizes(x.shape());
    if shape.contains(&0) {
        return Ok(x.clone());
    }
    let mut strides = row_major(&shape);
    let mut offset = 0;
    for &d in dimensions {
        check(d >= 0 && (d as usize) < shape.len(), "reverse", x)?;
        let d = d as usize;
        offset += (shape[d] as isize - 1) * strides[d];
        strides[d] = -strides[d];
    }
    Ok(view(x, &Access { offset, shape, strides }))
}

/// `concatenate`.
pub(crate) fn concatenate(parts: &[&Tensor], dimension: i64) -> Result<Tensor> {
    let Some(first) = parts.first() else {
        return Err(invalid("`stablehlo.concatenate` without operands"));
    };
    let d = dimension as usize;
    check(dimension >= 0 && d < first.shape().len(), "concatenate", first)?;
    let mut shape = first.shape().clone();
    shape[d] = 0;
    for part in parts {
        let others = |t: &Tensor| {
            t.shape()
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != d)
                .map(|(_, n)| *n)
                .collect::<Vec<_>>()
        };
        let fits = part.dtype() == first.dtype() && part.shape().len() == shape.len() && others(part) == others(first);
        check(fits, "concatenate", part)?;
        shape[d] += part.shape()[d];
    }
    let ty = first.ty().with_shape(shape.iter().copied());
    let mut out = Tensor::zeros(ty);
    let strides = row_major(&usizes(&shape));
    let mut offset = 0;
    for part in parts {
        let access = Access {
            offset,
            shape: usizes(part.shape()),
            strides: strides.clone(),
        };
        write_into(&mut out, &access, part);
        offset += part.shape()[d] as isize * strides[d];
    }
    Ok(out)
}

/// `iota`.
pub(crate) fn iota(ty: &TensorType, dimension: i64) -> Result<Tensor> {
    let shape = usizes(&ty.shape);
    let d = dimension as usize;
    if dimension < 0 || d >= shape.len() {
        return Err(invalid(format!(
            "`stablehlo.iota` has no dimension {dimension} in {ty}"
        )));
    }
    let line = TensorType::new(ty.dtype, &[ty.shape[d]]);
    let line = match ty.dtype {
        DType::Bool => Tensor::from_i64s(line, (0..shape[d] as i64).map(|i| i & 1).collect()),
        _ => Tensor::from_i64s(line, (0..shape[d] as i64).collect()),
    };
    broadcast_in_dim(&line, &[dimension], &ty.shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(shape: &[i64], values: &[i32]) -> Tensor {
        match Tensor::from_i32(shape, values) {
            Some(t) => t,
            None => panic!("wrong number of values"),
        }
    }

    #[test]
    fn transposes_slices_and_reversals_pick_the_right_elements() {
        let x = t(&[2, 3], &[0, 1, 2, 3, 4, 5]);
        assert_eq!(transpose(&x, &[1, 0]), Ok(t(&[3, 2], &[0, 3, 1, 4, 2, 5])));
        assert_eq!(slice(&x, &[0, 0], &[2, 3], &[1, 2]), Ok(t(&[2, 2], &[0, 2, 3, 5])));
        assert_eq!(reverse(&x, &[0, 1]), Ok(t(&[2, 3], &[5, 4, 3, 2, 1, 0])));
        assert!(transpose(&x, &[0, 0]).is_err());
    }

    #[test]
    fn pads_may_be_negative_and_interior() {
        let x = t(&[3], &[1, 2, 3]);
        let zero = t(&[], &[0]);
        let p = |low: i64, high: i64, interior: i64| Pad {
            low: [low].as_slice().into(),
            high: [high].as_slice().into(),
            interior: [interior].as_slice().into(),
        };
        assert_eq!(pad(&x, &zero, &p(1, 1, 1)), Ok(t(&[7], &[0, 1, 0, 2, 0, 3, 0])));
        assert_eq!(pad(&x, &zero, &p(-1, 2, 0)), Ok(t(&[4], &[2, 3, 0, 0])));
        assert_eq!(pad(&x, &zero, &p(-1, -1, 1)), Ok(t(&[3], &[0, 2, 0])));
        assert_eq!(pad(&x, &zero, &p(-3, 0, 0)), Ok(t(&[0], &[])));
        assert_eq!(pad(&x, &zero, &p(-4, 3, 0)), Ok(t(&[2], &[0, 0])));
    }

    #[test]
    fn updates_are_clamped_into_the_operand() {
        let x = t(&[4], &[0, 0, 0, 0]);
        assert_eq!(
            dynamic_update_slice(x.clone(), &t(&[2], &[7, 8]), &[9]),
            Ok(t(&[4], &[0, 0, 7, 8]))
        );
        assert_eq!(dynamic_slice(&t(&[3], &[1, 2, 3]), &[-5], &[2]), Ok(t(&[2], &[1, 2])));
    }

    #[test]
    fn broadcasting_repeats_dimensions_of_size_one() {
        let x = t(&[2, 1], &[1, 2]);
        assert_eq!(broadcast_in_dim(&x, &[0, 1], &[2, 2]), Ok(t(&[2, 2], &[1, 1, 2, 2])));
        assert_eq!(concatenate(&[&x, &x], 1), Ok(t(&[2, 2], &[1, 1, 2, 2])));
    }
}
