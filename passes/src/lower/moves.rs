//! Operations that only move data: copies, padding, concatenation, row gathers and scatters, windows.

use std::collections::BTreeSet;

use ferrite_ir::diag::{Code, Diagnostic, Result};
use ferrite_ir::dtype::DType;
use ferrite_ir::hlo::{BinaryOp, OpId, OpKind, ValueId};
use ferrite_ir::tile::{
    Buffer, BufferKind, DmaOp, DmaPiece, HbmAccess, Indirect, IndirectKind, Inst, Mem, MemDim, OpKind as TileKind,
    OutOfBounds, Space,
};
use smallvec::SmallVec;

use super::block::{Blocks, part};
use super::cumulative::cumulative;
use super::elementwise::Extent;
use super::fuse::{Graph, reducer};
use super::view::{StridedView, ViewDim, merged};
use super::{Lower, device_dtype};
use crate::hlo::legalize::window::is_image_window;

/// Scatters on the way from an input to the output that shares its buffer, without anything else in between.
pub(super) fn in_place_updates(graph: &Graph<'_>) -> BTreeSet<OpId> {
    let func = graph.func;
    let mut found = BTreeSet::new();
    for (param, &arg) in func.params.iter().zip(func.args()) {
        let Some(alias) = param.alias else { continue };
        let Some(&output) = func.region(func.body()).results.get(alias.output) else {
            continue;
        };
        let mut chain = Vec::new();
        let mut at = graph.trace(output).0;
        while let Some(op) = func
            .def(at)
            .filter(|&op| matches!(func.op(op).kind, OpKind::Scatter(_)))
        {
            chain.push(op);
            at = graph.trace(func.op(op).operands[0]).0;
        }
        if at == arg {
            found.extend(chain);
        }
    }
    found
}

impl Lower<'_> {
    pub(super) fn move_op(&mut self, op: OpId) -> Result<()> {
        self.loc = self.op_loc(op);
        let node = self.func.op(op).clone();
        match &node.kind {
            OpKind::Complex if self.func.tensor(self.func.result(op)).dtype == DType::C64 => {
                // Pairs in memory: each part fills every other word.
                let result = self.func.result(op);
                let ty = self.func.tensor(result).clone();
                let storage = self.scratch("pairs", DType::C64, ty.element_count() as i64);
                let target = StridedView::contiguous(storage, &ty.shape);
                for (part, &operand) in (0i64..).zip(&node.operands) {
                    let source = self.view_of(operand)?;
                    let words = self.words(&target, DType::F32, part);
                    self.copy(&source, &words)?;
                }
                self.views[result.index()] = Some(target);
                Ok(())
            }
            OpKind::While => self.while_loop(op),
            OpKind::If | OpKind::Case => self.switch(op),
            OpKind::Convert => self.change_width(op),
            OpKind::BitcastConvert => self.bitcast(op),
            OpKind::OptimizationBarrier => {
                // Order is program order here: every value passes through.
                for (&operand, &result) in node.operands.iter().zip(&node.results) {
                    let view = self.view_of(operand)?;
                    self.views[result.index()] = Some(view);
                }
                Ok(())
            }
            OpKind::Concatenate(c) => {
                // In the order in which it is read, where that is one order: pieces are copied anyway.
                let value = self.func.result(op);
                let dtype = self.supported(self.func.tensor(value).dtype, self.op_loc(op))?;
                let result = self.result_storage(value, dtype);
                self.views[value.index()] = Some(result.clone());
                let mut start = 0;
                let mut pieces = Vec::new();
                for &v in &node.operands {
                    let source = self.view_of(v)?;
                    let shape = self.func.tensor(v).shape.clone();
                    let d = c.dimension as usize;
                    let mut target = result.clone();
                    target.offset += start * target.dims[d].stride;
                    target.dims[d].extent = shape[d];
                    pieces.push((source, target));
                    start += shape[d];
                }
                if !self.assemble(&result, &pieces)? {
                    for (source, target) in &pieces {
                        self.copy(source, target)?;
                    }
                }
                Ok(())
            }
            OpKind::Pad(pad) => {
                if pad.low.iter().chain(&pad.high).any(|&p| p < 0) {
                    return Err(
                        Diagnostic::bug("a negative padding reached the lowering").at(self.program.locs.get(node.loc))
                    );
                }
                let result = self.new_result(op, 0)?;
                self.fill(&result, node.operands[1])?;
                let source = self.view_of(node.operands[0])?;
                let mut target = result;
                for (d, dim) in target.dims.iter_mut().enumerate() {
                    target.offset += pad.low[d] * dim.stride;
                    dim.extent = source.dims[d].extent;
                    dim.stride *= pad.interior[d] + 1;
                }
                self.copy(&source, &target)
            }
            OpKind::Gather(g) => {
                let canonical = g.offset_dims[..] == [1]
                    && g.collapsed_slice_dims.is_empty()
                    && g.operand_batching_dims.is_empty()
                    && g.start_index_map[..] == [0]
                    && g.index_vector_dim == 1
                    && g.slice_sizes.len() == 1
                    && self.func.tensor(node.operands[0]).rank() == 1;
                if !canonical {
                    return Err(Diagnostic::bug("a gather reached the lowering before it was legalized")
                        .at(self.program.locs.get(node.loc)));
                }
                self.gather_rows(op, node.operands[0], node.operands[1], g.slice_sizes[0])
            }
            OpKind::Scatter(s) => {
                let canonical = s.update_window_dims[..] == [1]
                    && s.inserted_window_dims.is_empty()
                    && s.input_batching_dims.is_empty()
                    && s.scatter_dims_to_operand_dims[..] == [0]
                    && s.index_vector_dim == 1
                    && node.operands.len() == 3
                    && self.func.tensor(node.operands[0]).rank() == 1;
                if !canonical {
                    return Err(
                        Diagnostic::bug("a scatter reached the lowering before it was legalized")
                            .at(self.program.locs.get(node.loc)),
                    );
                }
                self.scatter_rows(op, s.unique_indices)
            }
            OpKind::ReduceWindow(window) => {
                let plain = window.padding.iter().all(|&p| p == (0, 0))
                    && window.base_dilations.iter().all(|&d| d == 1)
                    && node.results.len() == 1;
                match reducer(self.func, op) {
                    Some(binary) if cumulative(window, &self.func.tensor(node.operands[0]).shape).is_some() => {
                        self.cumulate(op, binary)
                    }
                    Some(_) if is_image_window(self.func, op) => self.pool(op),
                    Some(binary) if plain => {
                        let strides = (window.window_strides.clone(), window.window_dilations.clone());
                        self.reduce_window(op, binary, &window.window_dimensions, &strides.0, &strides.1)
                    }
                    _ => self.refuse(op),
                }
            }
            _ => self.refuse(op),
        }
    }

    pub(super) fn refuse(&self, op: OpId) -> Result<()> {
        let node = self.func.op(op);
        Err(self
            .error_at(node.loc, Code::Unsupported, format!("`{}` has no device lowering yet", node.kind.mnemonic()))
            .help("rewrite the model without it, or compute this part on the host; `neuronx-cc list-operators` names what is supported"))
    }

    /// A storage for result number `index`, row-major.
    pub(super) fn new_result(&mut self, op: OpId, index: usize) -> Result<StridedView> {
        let result = self.func.op(op).results[index];
        let ty = self.func.tensor(result).clone();
        let dtype = self.supported(ty.dtype, self.op_loc(op))?;
        let storage = self.scratch("value", dtype, ty.element_count() as i64);
        let view = StridedView::contiguous(storage, &ty.shape);
        self.views[result.index()] = Some(view.clone());
        Ok(view)
    }

    /// Copies one view to another of the same shape, memory to memory.
    pub(super) fn copy(&mut self, source: &StridedView, target: &StridedView) -> Result<()> {
        if source.elements() == 0 {
            return Ok(());
        }
        let (from, to) = (self.storage(source.storage).dtype, self.storage(target.storage).dtype);
        let op = if from == to { DmaOp::Copy } else { DmaOp::Cast };
        let src = self.hbm_access(source.storage, source.offset, &source.dims);
        let dst = self.hbm_access(target.storage, target.offset, &target.dims);
        self.emit(TileKind::Dma(vec![DmaPiece {
            op,
            src: Mem::Hbm(src),
            dst: Mem::Hbm(dst),
        }]));
        Ok(())
    }

    /// Fills a whole row-major result with a scalar.
    pub(super) fn fill(&mut self, result: &StridedView, value: ValueId) -> Result<()> {
        let total = result.elements();
        if total == 0 {
            return Ok(());
        }
        let dtype = self.storage(result.storage).dtype;
        let partitions = self.machine.limits.partitions as i64;
        // Enough for every piece: 2 KiB per partition are a good descriptor.
        let width = (total + partitions - 1) / partitions;
        let width = width.min(self.machine.psum.bytes_per_bank as i64 / dtype.bytes() as i64);
        let tile = self.new_tile(Space::Sbuf, partitions, width, dtype, "fill");
        // No engine sets elements of 64 bits: those come from the constant.
        let known = match self.splat_int_of(value) {
            _ if dtype.bytes() > 4 => None,
            Some(x) => Some(super::elementwise::Arg::Integer(x)),
            None => self.splat_of(value).map(super::elementwise::Arg::Number),
        };
        match known {
            Some(arg) => {
                let bits = Self::bits_of(&arg, dtype);
                self.inst(Inst::Memset {
                    dst: tile.clone(),
                    bits,
                });
            }
            None => {
                let scalar = self.view_of(value)?;
                let all = [ViewDim {
                    extent: partitions * width,
                    stride: 0,
                }];
                let src = self.hbm_access(scalar.storage, scalar.offset, &all);
                self.emit(TileKind::Dma(vec![DmaPiece {
                    op: DmaOp::Copy,
                    src: Mem::Hbm(src),
                    dst: Mem::Tile(tile.clone()),
                }]));
            }
        }
        let size = dtype.bytes() as i64;
        let buffer = self.storage(result.storage).buffer;
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < total {
            let rest = total - at;
            let (p, n) = if rest >= width {
                ((rest / width).min(partitions), width)
            } else {
                (1, rest)
            };
            pieces.push(DmaPiece {
                op: DmaOp::Copy,
                src: Mem::Tile(part(&tile, 0, p, 0, n)),
                dst: Mem::Hbm(HbmAccess {
                    buffer,
                    offset: (at * size) as u64,
                    dtype,
                    dims: SmallVec::from_slice(&[MemDim {
                        step: size,
                        count: (p * n) as u64,
                    }]),
                }),
            });
            at += p * n;
        }
        self.emit(TileKind::Dma(pieces));
        Ok(())
    }

    /// The value as a contiguous range of its storage.
    fn flat(&mut self, value: ValueId) -> Result<StridedView> {
        let view = self.view_of(value)?;
        match &merged(&view.dims)[..] {
            [] => Ok(view),
            [only] if only.stride == 1 => Ok(view),
            _ => self.contiguous_copy(&view),
        }
    }

    /// `result[r, :] = operand[index[r] .. index[r] + length]`.
    fn gather_rows(&mut self, op: OpId, operand: ValueId, indices: ValueId, length: i64) -> Result<()> {
        let result = self.new_result(op, 0)?;
        let rows = result.dims[0].extent;
        if rows == 0 || length == 0 {
            return Ok(());
        }
        let source = self.flat(operand)?;
        let elements = self.func.tensor(operand).element_count() as i64;
        let index = self.index_blocks(indices, rows)?;
        let storage = self.storage(source.storage).clone();
        let size = storage.dtype.bytes() as i64;
        let out = self
            .blocks(&result, rows)
            .ok_or_else(|| Diagnostic::bug("a row-major result splits at its rows"))?;
        let chunk = self.chunk_of(length, storage.dtype);
        for (r0, p) in self.tiles(rows) {
            let index = self.fetch(&index, (r0, p), (0, 1), DType::I32)?.view;
            for c0 in (0..length).step_by(chunk as usize) {
                let n = chunk.min(length - c0);
                let tile = self.sbuf(Extent { p, n }, storage.dtype, "gather");
                self.emit(TileKind::Indirect(Box::new(Indirect {
                    kind: IndirectKind::Gather,
                    tile: tile.clone(),
                    index: index.clone(),
                    buffer: storage.buffer,
                    offset: ((source.offset + c0) * size) as u64,
                    row_step: size as u64,
                    row_bytes: (n * size) as u64,
                    rows: (elements - length + 1).max(0) as u32,
                    out_of_bounds: OutOfBounds::Error,
                })));
                self.store(&out, (r0, p), (c0, n), &tile);
            }
        }
        Ok(())
    }

    fn index_blocks(&mut self, indices: ValueId, rows: i64) -> Result<Blocks> {
        let dtype = device_dtype(self.func.tensor(indices).dtype);
        if dtype != DType::I32 {
            let loc = self.loc;
            return Err(self.error_at(
                loc,
                Code::Unsupported,
                format!("row numbers of dtype `{dtype}` reached the lowering"),
            ));
        }
        let view = self.view_of(indices)?;
        self.blocks(&view, rows)
            .ok_or_else(|| Diagnostic::bug("row numbers have one dimension of rows"))
    }

    pub(super) fn tiles(&self, rows: i64) -> Vec<(i64, i64)> {
        let most = self.machine.limits.partitions as i64;
        (0..rows)
            .step_by(most as usize)
            .map(|r| (r, most.min(rows - r)))
            .collect()
    }

    /// Elements per partition that a tile of a row chunk may have.
    fn chunk_of(&self, length: i64, dtype: DType) -> i64 {
        (self.machine.sbuf.usable_bytes_per_partition as i64 / 8 / dtype.bytes() as i64).min(length)
    }

    /// Whether a scatter may write into the memory of its input: nothing reads the old contents later, and the memory is
    /// the program's own or shared with the output that the scatter leads to.
    fn updates_in_place(&self, op: OpId, input: ValueId, base: &StridedView) -> bool {
        let (root, _) = self.graph.trace(input);
        let buffer = self.program.buffer(self.storage(base.storage).buffer);
        let whole = self.is_whole(base);
        let owned = |buffer: &Buffer| match buffer.kind {
            BufferKind::Scratch => true,
            BufferKind::Input(_) => self.in_place.contains(&op),
            BufferKind::Output(_) | BufferKind::Const(_) | BufferKind::PerTrip(_) => false,
        };
        let owned = match &buffer.kind {
            BufferKind::PerTrip(members) => members.iter().all(|m| owned(self.program.buffer(*m))),
            _ => owned(buffer),
        };
        whole && owned && self.is_last_read(root, base)
    }

    /// Whether nothing reads the contents of a storage, of which `view` is all and `root` the value, after this step.
    pub(super) fn is_last_read(&self, root: ValueId, view: &StridedView) -> bool {
        let local = self.local.as_ref().is_none_or(|local| local.contains(&root));
        local && !self.shared.contains(&view.storage) && self.last_read[root.index()] <= self.step
    }

    /// A copy of the input whose rows at the given places are replaced or added to.
    fn scatter_rows(&mut self, op: OpId, unique: bool) -> Result<()> {
        let node = self.func.op(op).clone();
        let (input, indices, updates) = (node.operands[0], node.operands[1], node.operands[2]);
        let adds = match (reducer(self.func, op), self.func.region(node.regions[0])) {
            (Some(BinaryOp::Add), _) => true,
            (_, body) if body.ops.is_empty() && body.results[..] == body.args[1..2] => false,
            _ => return self.refuse(op),
        };
        let base = self.view_of(input)?;
        // What is scattered may come from the input itself: then its old contents are still needed.
        let reads_old = [indices, updates].into_iter().map(|v| self.view_of(v));
        let reads_old = reads_old.collect::<Result<Vec<_>>>()?;
        let apart = reads_old.iter().all(|v| v.storage != base.storage);
        let result = if apart && self.updates_in_place(op, input, &base) {
            self.cache.forget(base.storage);
            self.views[self.func.result(op).index()] = Some(base.clone());
            base
        } else {
            let result = self.new_result(op, 0)?;
            self.copy(&base, &result)?;
            result
        };
        let update = self.func.tensor(updates).shape.clone();
        let (rows, length) = (update[0], update[1]);
        if rows == 0 || length == 0 || result.elements() == 0 {
            return Ok(());
        }
        let index = self.index_blocks(indices, rows)?;
        let update = self.view_of(updates)?;
        let update = match self.blocks(&update, rows) {
            Some(blocks) => blocks,
            None => return Err(Diagnostic::bug("updates have one dimension of rows")),
        };
        let storage = self.storage(result.storage).clone();
        if adds && !storage.dtype.is_float() {
            return self.refuse(op);
        }
        let size = storage.dtype.bytes() as i64;
        let elements = result.elements();
        // Rows that may meet in one place go one after the other.
        let tiles = if unique {
            self.tiles(rows)
        } else {
            (0..rows).map(|r| (r, 1)).collect()
        };
        let chunk = self.chunk_of(length, storage.dtype);
        for (r0, p) in tiles {
            let index = self.fetch(&index, (r0, p), (0, 1), DType::I32)?.view;
            for c0 in (0..length).step_by(chunk as usize) {
                let n = chunk.min(length - c0);
                let fetched = self.fetch(&update, (r0, p), (c0, n), storage.dtype)?;
                let tile = if fetched.view.dims == super::block::line(n) {
                    fetched.view
                } else {
                    let plain = self.sbuf(Extent { p, n }, storage.dtype, "update");
                    let src = if fetched.row {
                        super::block::repeat(&fetched.view, n)
                    } else {
                        fetched.view
                    };
                    self.inst(Inst::TensorCopy {
                        dst: plain.clone(),
                        src,
                    });
                    plain
                };
                self.emit(TileKind::Indirect(Box::new(Indirect {
                    kind: if adds {
                        IndirectKind::ScatterAdd
                    } else {
                        IndirectKind::Scatter
                    },
                    tile,
                    index: index.clone(),
                    buffer: storage.buffer,
                    offset: ((result.offset + c0) * size) as u64,
                    row_step: size as u64,
                    row_bytes: (n * size) as u64,
                    rows: (elements - length + 1).max(0) as u32,
                    out_of_bounds: OutOfBounds::Skip,
                })));
            }
        }
        Ok(())
    }
}
