//! Small tile programs for tests.

use ferrite_ir::dtype::DType;
use ferrite_ir::isa::ApDim;
use ferrite_ir::loc::LocId;
use ferrite_ir::machine::Space;
use ferrite_ir::tile::{
    AluOp, BufferId, BufferKind, DmaOp, DmaPiece, HbmAccess, Inst, Mem, MemDim, OpKind, Program, TileId, View,
};

/// Appends operations to a program.
#[derive(Default)]
pub struct Builder {
    pub program: Program,
}

/// A contiguous view of `count` elements from the start of the first `partitions` partitions.
pub fn view(tile: TileId, partitions: u16, dtype: DType, offset: u32, count: u32) -> View {
    View {
        tile,
        partition: 0,
        partitions,
        offset,
        dtype,
        dims: [ApDim { step: 1, count }].into_iter().collect(),
    }
}

pub fn f32_view(tile: TileId, partitions: u16, count: u32) -> View {
    view(tile, partitions, DType::F32, 0, count)
}

pub fn i32_view(tile: TileId, partitions: u16, count: u32) -> View {
    view(tile, partitions, DType::I32, 0, count)
}

impl Builder {
    pub fn sbuf(&mut self, partitions: usize, bytes: usize) -> TileId {
        self.program.add_tile(Space::Sbuf, partitions, bytes, "s")
    }

    pub fn psum(&mut self, partitions: usize, bytes: usize) -> TileId {
        self.program.add_tile(Space::Psum, partitions, bytes, "p")
    }

    pub fn buffer(&mut self, kind: BufferKind, bytes: u64) -> BufferId {
        self.program.add_buffer("b", kind, bytes)
    }

    pub fn push(&mut self, kind: OpKind) {
        self.program.push(kind, LocId::UNKNOWN);
    }

    /// Fills the whole tile.
    pub fn memset(&mut self, tile: &TileId, size: u32) {
        let (partitions, bytes) = (self.program.tile(*tile).partitions, self.program.tile(*tile).bytes);
        let dst = f32_view(*tile, partitions, bytes / size);
        self.push(OpKind::Compute(Inst::Memset { dst, bits: 0 }));
    }

    pub fn copy(&mut self, dst: View, src: View) {
        self.push(OpKind::Compute(Inst::TensorCopy { dst, src }));
    }

    pub fn tensor_tensor(&mut self, dst: View, a: View, b: View, op: AluOp) {
        self.push(OpKind::Compute(Inst::TensorTensor { dst, a, b, op }));
    }

    pub fn matmul(&mut self, dst: View, stationary: View, moving: View, accumulate: bool) {
        self.push(OpKind::Matmul {
            dst,
            stationary,
            moving,
            accumulate,
            transpose: false,
        });
    }

    fn rows(buffer: BufferId, offset: u64, view: &View) -> Mem {
        let size = view.dtype.bytes() as i64;
        let count = view.elements() as u64;
        let dims = [
            MemDim {
                step: size * count as i64,
                count: u64::from(view.partitions),
            },
            MemDim { step: size, count },
        ];
        Mem::Hbm(HbmAccess {
            buffer,
            offset,
            dtype: view.dtype,
            dims: dims.into_iter().collect(),
        })
    }

    /// HBM to SBUF, rows one after the other.
    pub fn load(&mut self, dst: View, buffer: BufferId, offset: u64) {
        let src = Self::rows(buffer, offset, &dst);
        self.push(OpKind::Dma(vec![DmaPiece {
            op: DmaOp::Copy,
            src,
            dst: Mem::Tile(dst),
        }]));
    }

    /// SBUF to HBM, rows one after the other.
    pub fn store(&mut self, buffer: BufferId, offset: u64, src: View) {
        let dst = Self::rows(buffer, offset, &src);
        self.push(OpKind::Dma(vec![DmaPiece {
            op: DmaOp::Copy,
            src: Mem::Tile(src),
            dst,
        }]));
    }
}
