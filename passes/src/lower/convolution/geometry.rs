//! What a convolution's pixels and kernel positions mean, without a program: clipping, boxes, pieces, access patterns.

use ferrite_ir::hlo::Dims;
use ferrite_ir::tile::{ApDim, ApDims, View};

use crate::lower::view::{StorageId, StridedView, ViewDim, merged};

/// One spatial dimension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) size: i64,
    pub(super) out: i64,
    pub(super) taps: i64,
    pub(super) stride: i64,
    pub(super) dilation: i64,
    pub(super) low: i64,
}

impl Axis {
    /// The result positions of `first..first + count` that meet an element of the image at kernel position `tap`: first and
    /// number.
    pub(super) fn clip(&self, tap: i64, first: i64, count: i64) -> (i64, i64) {
        let shift = tap * self.dilation - self.low;
        // 0 <= o stride + shift < size
        let low = (-shift).max(0).div_euclid(self.stride) + i64::from((-shift).max(0) % self.stride != 0);
        let high = (self.size - 1 - shift).div_euclid(self.stride);
        let (from, to) = (first.max(low), (first + count - 1).min(high));
        (from, (to - from + 1).max(0))
    }
}

/// A contiguous range of pixels as a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PixelBox {
    /// Pixels of the range before it.
    pub(super) at: i64,
    /// First index per dimension.
    pub(super) first: Dims,
    /// Indices per dimension.
    pub(super) count: Dims,
}

/// Cuts pixels `start..start + count` of images into boxes, in order.
pub(super) fn boxes(extents: &[i64], start: i64, count: i64) -> Vec<PixelBox> {
    fn cut(extents: &[i64], start: i64, count: i64, at: i64, prefix: &mut Dims, out: &mut Vec<PixelBox>) {
        let Some((_, rest)) = extents.split_first() else {
            out.push(PixelBox {
                at,
                first: prefix.clone(),
                count: prefix.iter().map(|_| 1).collect(),
            });
            return;
        };
        let inner: i64 = rest.iter().product();
        let (mut position, end) = (start, start + count);
        while position < end {
            let (index, within) = (position / inner, position % inner);
            if within == 0 && end - position >= inner {
                let whole = (end - position) / inner;
                let ones = prefix.iter().map(|_| 1);
                out.push(PixelBox {
                    at: at + position - start,
                    first: prefix
                        .iter()
                        .copied()
                        .chain([index])
                        .chain(rest.iter().map(|_| 0))
                        .collect(),
                    count: ones.chain([whole]).chain(rest.iter().copied()).collect(),
                });
                position += whole * inner;
            } else {
                let part = (inner - within).min(end - position);
                prefix.push(index);
                cut(rest, within, part, at + position - start, prefix, out);
                prefix.pop();
                position += part;
            }
        }
    }
    let mut out = Vec::new();
    cut(extents, start, count, 0, &mut Dims::new(), &mut out);
    out
}

/// `start..start + count` in as few pieces of at most `most` as possible, all multiples of `unit` and as equal as that allows.
pub(super) fn balanced(start: i64, count: i64, unit: i64, most: i64, out: &mut Vec<(i64, i64)>) {
    let units = (count + unit - 1) / unit;
    let fit = (most / unit).max(1);
    let pieces = (units + fit - 1) / fit;
    let step = (units + pieces - 1) / pieces.max(1) * unit;
    let mut at = 0;
    while at < count {
        out.push((start + at, step.min(count - at)));
        at += step;
    }
}

/// Access pattern of dimensions; `None` if there are more than `most`.
pub(in crate::lower) fn pattern(dims: &[ViewDim], most: u64) -> Option<ApDims> {
    let dims = merged(dims);
    (dims.len() as u64 <= most).then(|| {
        dims.iter()
            .map(|d| ApDim {
                step: d.stride as i32,
                count: d.extent as u32,
            })
            .collect()
    })
}

/// Distances of neighbours along each dimension of `shape` in a view whose elements are in the order of `shape`.
pub(in crate::lower) fn strides(view: &View, shape: &[i64]) -> Option<Dims> {
    let dims = view
        .dims
        .iter()
        .map(|d| ViewDim {
            extent: i64::from(d.count),
            stride: i64::from(d.step),
        })
        .collect();
    let whole = StridedView {
        storage: StorageId(0),
        offset: 0,
        dims,
    };
    Some(whole.reshape(shape)?.dims.iter().map(|d| d.stride).collect())
}

/// A view from some elements on, with other dimensions.
pub(in crate::lower) fn shifted(view: &View, elements: i64, dims: ApDims) -> View {
    View {
        offset: (i64::from(view.offset) + elements * view.dtype.bytes() as i64) as u32,
        dims,
        ..view.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_cover_a_range_in_order() {
        let extents = [2, 3, 4];
        for start in 0..24 {
            for count in 1..=24 - start {
                let mut at = 0;
                for b in boxes(&extents, start, count) {
                    assert_eq!(b.at, at);
                    let first = b.first.iter().zip(&extents).fold(0, |i, (x, e)| i * e + x);
                    assert_eq!(first, start + at);
                    at += b.count.iter().product::<i64>();
                }
                assert_eq!(at, count);
            }
        }
    }

    #[test]
    fn clipping_leaves_what_meets_the_image() {
        for (size, stride, dilation, low, taps) in [(5, 1, 1, 1, 3), (7, 2, 1, 3, 7), (6, 3, 2, 2, 3), (4, 1, 1, 0, 2)]
        {
            let out = 9;
            let axis = Axis {
                size,
                out,
                taps,
                stride,
                dilation,
                low,
            };
            for tap in 0..taps {
                for first in 0..out {
                    for count in 1..=out - first {
                        let meets = |o: &i64| (0..size).contains(&(o * stride + tap * dilation - low));
                        let want: Vec<i64> = (first..first + count).filter(meets).collect();
                        let (at, n) = axis.clip(tap, first, count);
                        assert_eq!(want, (at..at + n).collect::<Vec<i64>>());
                    }
                }
            }
        }
    }

    #[test]
    fn balanced_pieces_are_multiples_of_their_unit() {
        let mut pieces = Vec::new();
        balanced(100, 3136, 56, 512, &mut pieces);
        assert_eq!(pieces.len(), 7);
        assert!(pieces.iter().all(|p| p.1 == 448));
        pieces.clear();
        balanced(0, 784, 49, 512, &mut pieces);
        assert_eq!(pieces, [(0, 392), (392, 392)]);
    }
}
