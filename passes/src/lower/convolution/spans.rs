//! The spans and chunks in which the pixels of images go by.

use ferrite_ir::diag::Result;
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::Dims;

use super::Convolved;
use super::geometry::balanced;
use crate::lower::Lower;
use crate::lower::block::{Blocks, Fetched, sub_columns};
use crate::lower::view::StorageId;

/// How the pixels of an image of this size go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Unit {
    /// So many images at a time.
    Images(i64),
    /// So many rows of one image at a time.
    Rows(i64),
}

impl Lower<'_> {
    /// How images of this size go by, at most `cap` of them together: about as many pixels at a time as one transfer brings in
    /// well.
    fn unit(&self, cap: i64, batch: i64, sizes: &[i64]) -> Unit {
        let most = self.wide_columns(DType::F32);
        let pixels: i64 = sizes.iter().product();
        if pixels <= most {
            let fits = |&g: &i64| batch % g == 0 && cap % g == 0 && g * pixels <= most;
            return Unit::Images((1..=batch).rev().find(fits).unwrap_or(1));
        }
        let (rows, inner) = (sizes[0], pixels / sizes[0].max(1));
        let bands = (pixels + most - 1) / most;
        let band = ((rows + bands - 1) / bands).min((most / inner).max(1)).max(1);
        Unit::Rows(band)
    }

    /// How the images in a storage go by: as they were computed.
    pub(in crate::lower) fn unit_of(&self, storage: StorageId, batch: i64, sizes: &[i64]) -> Unit {
        let cap = self.units.get(&storage).copied().or(self.group).unwrap_or(batch);
        self.unit(cap, batch, sizes)
    }

    /// The spans in which some images (the first one and their number) of a convolution's result are computed.
    pub(in crate::lower) fn spans(&self, x: &Convolved, images: (i64, i64)) -> Vec<(i64, i64)> {
        let sizes: Dims = x.axes.iter().map(|a| a.out).collect();
        self.spans_of(x.image.dims[1].extent, &sizes, images)
    }

    /// The spans of some images of this size that are computed now.
    pub(in crate::lower) fn spans_of(&self, batch: i64, sizes: &[i64], images: (i64, i64)) -> Vec<(i64, i64)> {
        let pixels: i64 = sizes.iter().product();
        let end = images.0 + images.1;
        match self.unit(self.group.unwrap_or(batch), batch, sizes) {
            Unit::Images(g) => (images.0 / g..end / g).map(|i| (i * g * pixels, g * pixels)).collect(),
            Unit::Rows(rows) => {
                let inner = pixels / sizes[0];
                let bands = (0..sizes[0]).step_by(rows as usize);
                let bands: Vec<(i64, i64)> = bands.map(|y| (y * inner, rows.min(sizes[0] - y) * inner)).collect();
                (images.0..end)
                    .flat_map(|n| bands.iter().map(move |&(at, count)| (n * pixels + at, count)))
                    .collect()
            }
        }
    }

    /// [`Lower::fetch`] for columns of a span: all of it, as it was computed, and nothing beyond, which may not be there yet.
    pub(in crate::lower) fn fetch_in_span(
        &mut self,
        blocks: &Blocks,
        r: (i64, i64),
        span: (i64, i64),
        c: (i64, i64),
        dtype: DType,
    ) -> Result<Fetched> {
        if span.1 <= self.wide_columns(DType::F32) {
            let all = self.fetch_exact(blocks, r, span, dtype)?;
            if all.row && span.1 > 1 {
                return Ok(all);
            }
            if let Some(view) = sub_columns(&all.view, c.0 - span.0, c.1) {
                return Ok(Fetched { view, row: c.1 == 1 });
            }
        }
        self.fetch_exact(blocks, r, c, dtype)
    }

    /// Images of a convolution.
    pub(in crate::lower) fn batch_of(x: &Convolved) -> i64 {
        x.image.dims[1].extent
    }

    /// The pieces of a span that fit a PSUM bank: whole images or whole rows where possible.
    pub(in crate::lower) fn chunks_of_span(&self, x: &Convolved, span: (i64, i64)) -> Vec<(i64, i64)> {
        let bank = self.bank_columns();
        let pixels: i64 = x.axes.iter().map(|a| a.out).product();
        let inner = pixels / x.axes[0].out.max(1);
        let mut chunks = Vec::new();
        if pixels <= bank {
            balanced(span.0, span.1, pixels, bank, &mut chunks);
            return chunks;
        }
        let unit = if inner <= bank { inner } else { 1 };
        for at in (0..span.1).step_by(pixels as usize) {
            balanced(span.0 + at, pixels.min(span.1 - at), unit, bank, &mut chunks);
        }
        chunks
    }

    /// Columns of the pieces in which a convolution's row goes by that is needed as a whole.
    pub(in crate::lower) fn even_chunk(&self, x: &Convolved) -> i64 {
        let bank = self.bank_columns();
        let pixels: i64 = x.axes.iter().map(|a| a.out).product();
        let rows = x.axes[0].out.max(1);
        let inner = pixels / rows;
        let even = (1..=rows).rev().find(|&y| rows % y == 0 && y * inner <= bank);
        match even {
            Some(y) if y * inner * 2 > bank || y == rows => y * inner,
            _ => bank.min(pixels * x.image.dims[1].extent),
        }
    }
}
