//! The stationary operands of a convolution: its weights by kernel position.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::Dims;
use ferrite_ir::tile::{Inst, Space, View};

use super::Convolved;
use super::geometry::{shifted, strides};
use crate::lower::Lower;
use crate::lower::block::{BlockKey, Blocks, Form, part};
use crate::lower::view::{RowBox, ViewDim, ViewDims, merged, row_boxes};

impl Lower<'_> {
    /// Whether the kernel's output features lie across rows of memory whose elements are the features and positions that are
    /// summed: such rows are loaded as they are and transposed on the PE array.
    pub(super) fn kernel_rows(x: &Convolved) -> Option<ViewDims> {
        if x.kernel.dims[1].stride == 1 || x.kernel.dims[1].extent == 1 {
            return None;
        }
        let mut summed: Vec<ViewDim> = x.kernel.dims[2..].to_vec();
        summed.push(x.kernel.dims[0]);
        summed.retain(|d| d.extent != 1);
        summed.sort_by_key(|d| std::cmp::Reverse(d.stride));
        let run = merged(&summed);
        (run.len() == 1 && run[0].stride == 1).then_some(run)
    }

    /// Input features `k` by output features `m`, input features on partitions, for each kernel position in the order of
    /// [`Convolved::taps`].
    pub(super) fn kernel_parts(&mut self, x: &Convolved, k: (i64, i64), m: (i64, i64)) -> Result<Vec<View>> {
        let position: Vec<ViewDim> = x.kernel.dims[2..].to_vec();
        let distance = |tap: &Dims| -> i64 { tap.iter().zip(&position).map(|(t, d)| t * d.stride).sum() };
        let features = x.kernel.dims[1];
        if let Some(run) = Self::kernel_rows(x) {
            let input = x.kernel.dims[0];
            let block = ViewDims::from_slice(&[ViewDim { extent: k.1, ..input }]);
            let groups: Vec<(i64, ViewDims)> = x
                .taps
                .iter()
                .map(|tap| (k.0 * input.stride + distance(tap), block.clone()))
                .collect();
            let tile = self.transposed_kernel(x, &run, m, &groups)?;
            let places = 0..x.taps.len() as i64;
            return Ok(places.map(|i| part(&tile, 0, k.1, i * m.1, m.1)).collect());
        }
        let count = x.taps.len() as i64 * features.extent;
        let rows = ViewDims::from_slice(&x.kernel.dims[..1]);
        if count <= self.wide_columns(x.dtype) {
            // All positions come at once.
            let shape: Dims = position.iter().map(|d| d.extent).chain([features.extent]).collect();
            let blocks = Blocks {
                storage: x.kernel.storage,
                offset: x.kernel.offset,
                rows: rows.clone(),
                cols: position.iter().copied().chain([features]).collect(),
            };
            let view = self.fetch_tile(&blocks, k, (0, count), x.dtype)?;
            if let Some(strides) = strides(&view, &shape)
                && view.partition == 0
            {
                let stride = strides[position.len()];
                let dims = self.pattern(&[ViewDim { extent: m.1, stride }])?;
                let at = |tap: &Dims| tap.iter().zip(&strides).map(|(t, s)| t * s).sum::<i64>() + m.0 * stride;
                return Ok(x.taps.iter().map(|tap| shifted(&view, at(tap), dims.clone())).collect());
            }
        }
        let mut parts = Vec::with_capacity(x.taps.len());
        for tap in &x.taps {
            let blocks = Blocks {
                storage: x.kernel.storage,
                offset: x.kernel.offset + distance(tap),
                rows: rows.clone(),
                cols: ViewDims::from_slice(&[features]),
            };
            let view = self.fetch_tile(&blocks, k, m, x.dtype)?;
            parts.push(if view.partition == 0 { view } else { self.in_order(view) });
        }
        Ok(parts)
    }

    /// Rows of the kernel, one for each output feature of `m`, transposed: for each group of elements (first one and dimensions,
    /// all of one size) a block of as many partitions, the blocks beside each other.
    pub(super) fn transposed_kernel(
        &mut self,
        x: &Convolved,
        run: &[ViewDim],
        m: (i64, i64),
        groups: &[(i64, ViewDims)],
    ) -> Result<View> {
        let storage = x.kernel.storage;
        let rows = ViewDims::from_slice(&x.kernel.dims[1..2]);
        let place = |r: RowBox, by: i64| RowBox {
            offset: r.offset + by,
            ..r
        };
        let key = BlockKey {
            form: Form::Transposed,
            storage,
            rows: row_boxes(&rows, m.0, m.1)
                .into_iter()
                .map(|r| place(r, x.kernel.offset))
                .collect(),
            cols: (0..)
                .zip(groups)
                .map(|(at, (offset, dims))| RowBox {
                    at,
                    offset: *offset,
                    dims: dims.clone(),
                })
                .collect(),
            dtype: x.dtype,
        };
        if let Some(view) = self.cache.get(&key) {
            return Ok(view);
        }
        let reach = |dims: &ViewDims| dims.iter().map(|d| (d.extent - 1) * d.stride).sum::<i64>() + 1;
        let p = groups
            .first()
            .map_or(1, |(_, dims)| dims.iter().map(|d| d.extent).product::<i64>());
        // All of the rows if that is not too much, else what the groups need of them.
        let total = run[0].extent;
        let (low, high) = (
            groups.iter().map(|g| g.0).min().unwrap_or(0),
            groups.iter().map(|g| g.0 + reach(&g.1)).max().unwrap_or(total),
        );
        let columns = if total <= self.wide_columns(x.dtype) {
            (0, total)
        } else {
            (low, high - low)
        };
        let blocks = Blocks {
            storage,
            offset: x.kernel.offset,
            rows,
            cols: ViewDims::from_slice(run),
        };
        let mut data = self.fetch_tile(&blocks, m, columns, x.dtype)?;
        if data.partition != 0 {
            data = self.in_order(data);
        }
        let identity = self.identity(x.dtype)?;
        let count = groups.len() as i64;
        let tile = self.new_tile(Space::Sbuf, p, count * m.1, x.dtype, "kernel");
        // Several transposes share a PSUM bank and one copy out of it.
        let in_bank = (self.bank_columns() / m.1).max(1);
        for g0 in (0..count).step_by(in_bank as usize) {
            let here = in_bank.min(count - g0);
            let psum = self.new_tile(Space::Psum, p, here * m.1, DType::F32, "kernel");
            for g in 0..here {
                let (offset, dims) = &groups[(g0 + g) as usize];
                let stationary = shifted(&data, offset - columns.0, self.pattern(dims)?);
                let dst = part(&psum, 0, p, g * m.1, m.1);
                self.multiply(dst, stationary, part(&identity, 0, m.1, 0, m.1), false);
            }
            self.inst(Inst::TensorCopy {
                dst: part(&tile, 0, p, g0 * m.1, here * m.1),
                src: psum,
            });
        }
        let bytes = self.program.tile(tile.tile).bytes as usize;
        self.cache.insert(key, tile.clone(), bytes);
        Ok(tile)
    }
}
