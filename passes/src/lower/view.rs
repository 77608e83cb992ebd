//! Strided views: how reshapes, transposes, slices and broadcasts cost nothing.
//!
//! Every value that lies in memory is a view of a row-major *storage*. An operation that only renames indices gives
//! another view of the same storage; what cannot be expressed that way is a copy, made by whoever asked.

use smallvec::SmallVec;

/// A memory area that holds one value, row-major unless its writer chose another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StorageId(pub u32);

/// One dimension of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewDim {
    /// Number of indices.
    pub extent: i64,
    /// Distance of neighbours in elements of the storage; 0 repeats, negative runs backwards.
    pub stride: i64,
}

/// Dimensions of a view, outermost first.
pub type ViewDims = SmallVec<[ViewDim; 6]>;

/// Elements `offset + sum(index * stride)` of a storage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StridedView {
    /// The storage.
    pub storage: StorageId,
    /// Element of the all-zero index.
    pub offset: i64,
    /// Dimensions.
    pub dims: ViewDims,
}

impl StridedView {
    /// The whole of a storage, row-major.
    pub fn contiguous(storage: StorageId, shape: &[i64]) -> StridedView {
        let mut stride = 1;
        let mut dims: ViewDims = shape.iter().map(|&extent| ViewDim { extent, stride: 0 }).collect();
        for d in dims.iter_mut().rev() {
            d.stride = stride;
            stride *= d.extent.max(1);
        }
        StridedView {
            storage,
            offset: 0,
            dims,
        }
    }

    /// Sizes of the dimensions.
    pub fn shape(&self) -> SmallVec<[i64; 6]> {
        self.dims.iter().map(|d| d.extent).collect()
    }

    /// Number of indices.
    pub fn elements(&self) -> i64 {
        self.dims.iter().map(|d| d.extent).product()
    }

    /// Result dimension `d` is dimension `permutation[d]`.
    pub fn transpose(&self, permutation: &[i64]) -> StridedView {
        StridedView {
            dims: permutation.iter().map(|&d| self.dims[d as usize]).collect(),
            ..self.clone()
        }
    }

    /// Every `strides[d]`-th index from `start[d]` on, up to `limit[d]`.
    pub fn slice(&self, start: &[i64], limit: &[i64], strides: &[i64]) -> StridedView {
        let mut view = self.clone();
        for (d, dim) in view.dims.iter_mut().enumerate() {
            view.offset += start[d] * dim.stride;
            dim.extent = (limit[d] - start[d] + strides[d] - 1) / strides[d];
            dim.stride *= strides[d];
        }
        view
    }

    /// Runs the dimensions backwards.
    pub fn reverse(&self, dimensions: &[i64]) -> StridedView {
        let mut view = self.clone();
        for &d in dimensions {
            let dim = &mut view.dims[d as usize];
            view.offset += (dim.extent - 1).max(0) * dim.stride;
            dim.stride = -dim.stride;
        }
        view
    }

    /// Dimension `d` becomes dimension `mapping[d]` of `shape`; the others repeat.
    pub fn broadcast(&self, shape: &[i64], mapping: &[i64]) -> StridedView {
        let mut dims: ViewDims = shape.iter().map(|&extent| ViewDim { extent, stride: 0 }).collect();
        for (d, &to) in mapping.iter().enumerate() {
            if self.dims[d].extent != 1 {
                dims[to as usize].stride = self.dims[d].stride;
            }
        }
        StridedView {
            storage: self.storage,
            offset: self.offset,
            dims,
        }
    }

    /// The same elements in the same row-major order under another shape, if strides can say it.
    pub fn reshape(&self, shape: &[i64]) -> Option<StridedView> {
        if self.elements() == 0 {
            return Some(StridedView {
                dims: Self::contiguous(self.storage, shape).dims,
                ..self.clone()
            });
        }
        let old = merged(&self.dims);
        let mut dims: ViewDims = SmallVec::new();
        let mut old_at = old.len();
        // Innermost first: new dimensions are cut out of the old ones.
        let (mut left, mut stride) = (1i64, 0i64);
        for &extent in shape.iter().rev() {
            if extent == 1 {
                dims.push(ViewDim { extent: 1, stride: 0 });
                continue;
            }
            if left == 1 {
                if old_at == 0 {
                    return None;
                }
                old_at -= 1;
                left = old[old_at].extent;
                stride = old[old_at].stride;
            }
            if left % extent != 0 {
                return None;
            }
            dims.push(ViewDim { extent, stride });
            left /= extent;
            stride *= extent;
        }
        if left != 1 || old_at != 0 {
            return None;
        }
        dims.reverse();
        Some(StridedView {
            storage: self.storage,
            offset: self.offset,
            dims,
        })
    }

    /// Splits the dimensions so that the outer ones have `rows` indices together, if an even cut exists.
    pub fn split(&self, rows: i64) -> Option<(ViewDims, ViewDims)> {
        let mut outer: ViewDims = SmallVec::new();
        let mut inner: ViewDims = SmallVec::new();
        let mut left = rows;
        for &d in &self.dims {
            if left == 1 || !inner.is_empty() {
                inner.push(d);
            } else if left % d.extent == 0 {
                outer.push(d);
                left /= d.extent;
            } else if d.extent % left == 0 {
                let cut = d.extent / left;
                outer.push(ViewDim {
                    extent: left,
                    stride: d.stride * cut,
                });
                inner.push(ViewDim {
                    extent: cut,
                    stride: d.stride,
                });
                left = 1;
            } else {
                return None;
            }
        }
        (left == 1).then_some((outer, inner))
    }
}

/// The dimensions without those of extent 1, neighbours joined where one steps over the whole of the other.
pub fn merged(dims: &[ViewDim]) -> ViewDims {
    let mut out: ViewDims = SmallVec::new();
    for &d in dims {
        if d.extent == 1 {
            continue;
        }
        match out.last_mut() {
            Some(last) if last.stride == d.stride * d.extent => {
                last.extent *= d.extent;
                last.stride = d.stride;
            }
            _ => out.push(d),
        }
    }
    out
}

/// A rectangular part of a range of row-major indices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowBox {
    /// First index of the box, counted from the start of the range.
    pub at: i64,
    /// Offset in elements of the box's first index.
    pub offset: i64,
    /// Dimensions of the box.
    pub dims: ViewDims,
}

/// Cuts indices `start..start + count` of the row-major index space of `dims` into boxes, in order.
pub fn row_boxes(dims: &[ViewDim], start: i64, count: i64) -> Vec<RowBox> {
    let dims = merged(dims);
    let mut boxes = Vec::new();
    cut(&dims, start, count, 0, 0, &mut boxes);
    boxes
}

fn cut(dims: &[ViewDim], start: i64, count: i64, at: i64, offset: i64, boxes: &mut Vec<RowBox>) {
    if count == 0 {
        return;
    }
    let Some((first, rest)) = dims.split_first() else {
        boxes.push(RowBox {
            at,
            offset,
            dims: SmallVec::new(),
        });
        return;
    };
    let inner: i64 = rest.iter().map(|d| d.extent).product();
    let (mut position, end) = (start, start + count);
    while position < end {
        let (index, within) = (position / inner, position % inner);
        let base = offset + index * first.stride;
        let done = position - start;
        if within == 0 && end - position >= inner {
            let whole = (end - position) / inner;
            let mut box_dims: ViewDims = SmallVec::new();
            if whole > 1 {
                box_dims.push(ViewDim {
                    extent: whole,
                    stride: first.stride,
                });
            }
            box_dims.extend(rest.iter().copied());
            boxes.push(RowBox {
                at: at + done,
                offset: base,
                dims: box_dims,
            });
            position += whole * inner;
        } else {
            let part = (inner - within).min(end - position);
            cut(rest, within, part, at + done, base, boxes);
            position += part;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(view: &StridedView) -> Vec<i64> {
        let mut out = vec![view.offset];
        for d in &view.dims {
            out = out
                .iter()
                .flat_map(|&base| (0..d.extent).map(move |i| base + i * d.stride))
                .collect();
        }
        out
    }

    #[test]
    fn reshape_of_a_transpose_is_a_view_only_where_dimensions_stay_whole() {
        let x = StridedView::contiguous(StorageId(0), &[2, 3, 4]);
        let t = x.transpose(&[1, 0, 2]);
        assert!(t.reshape(&[6, 4]).is_none());
        let split = t.reshape(&[3, 2, 2, 2]);
        assert_eq!(split.map(|v| indices(&v)), Some(indices(&t)));
    }

    #[test]
    fn slices_and_reversals_name_the_right_elements() {
        let x = StridedView::contiguous(StorageId(0), &[3, 4]);
        assert_eq!(indices(&x.slice(&[1, 1], &[3, 4], &[1, 2])), [5, 7, 9, 11]);
        assert_eq!(indices(&x.slice(&[0, 0], &[1, 4], &[1, 1]).reverse(&[1])), [3, 2, 1, 0]);
    }

    #[test]
    fn row_boxes_cover_the_range_in_order() {
        let x = StridedView::contiguous(StorageId(0), &[5, 3, 4]).transpose(&[2, 0, 1]);
        let all = indices(&StridedView {
            dims: x.dims.clone(),
            ..x.clone()
        });
        for start in 0..60 {
            for count in 1..=(60 - start) {
                let mut seen = Vec::new();
                for b in row_boxes(&x.dims, start, count) {
                    assert_eq!(b.at as usize, seen.len());
                    seen.extend(indices(&StridedView {
                        storage: StorageId(0),
                        offset: b.offset,
                        dims: b.dims,
                    }));
                }
                assert_eq!(seen, all[start as usize..(start + count) as usize]);
            }
        }
    }

    #[test]
    fn split_cuts_one_dimension_evenly() {
        let x = StridedView::contiguous(StorageId(0), &[6, 4]);
        let (rows, cols) = x.split(3).unwrap_or_default();
        assert_eq!((rows[0].extent, rows[0].stride), (3, 8));
        assert_eq!((cols[0].extent, cols[0].stride, cols[1].extent), (2, 4, 4));
        assert!(x.split(5).is_none());
    }
}
