"""Makes the samples of this folder: what torch-mlir prints for small models, and what numpy says they compute.

    python -m venv env && env/bin/pip install --no-deps torch-mlir numpy && env/bin/python generate.py

The models are torch's operations as its exporter writes them, so that torch itself is not needed. Weights are inputs.
"""

import math
import pathlib

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import torch as torch_dialect
from torch_mlir.passmanager import PassManager

HERE = pathlib.Path(__file__).parent
PIPELINES = {
    "linalg": "torch-backend-to-linalg-on-tensors-backend-pipeline",
    "tosa": "torch-backend-to-tosa-backend-pipeline",
}
rng = np.random.default_rng(8)


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def erf(x):
    return np.vectorize(math.erf)(x)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def conv(x, w, stride, pad, groups=1):
    """NCHW, OIHW."""
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    n, c, h, width = x.shape
    o, i, kh, kw = w.shape
    out = np.zeros((n, o, (h - kh) // stride + 1, (width - kw) // stride + 1))
    for f in range(o):
        first = f // (o // groups) * i
        for y in range(out.shape[2]):
            for z in range(out.shape[3]):
                patch = x[:, first : first + i, y * stride : y * stride + kh, z * stride : z * stride + kw]
                out[:, f, y, z] = (patch * w[f]).sum((1, 2, 3))
    return out


def max_pool(x, k, stride, pad):
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], constant_values=-np.inf)
    h, w = (x.shape[2] - k) // stride + 1, (x.shape[3] - k) // stride + 1
    windows = [[x[:, :, y * stride : y * stride + k, z * stride : z * stride + k].max((2, 3)) for z in range(w)] for y in range(h)]
    return np.moveaxis(np.array(windows), (0, 1), (2, 3))


def layer_norm(x, g, b):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * g + b


MODELS = {}


def model(kinds):
    def add(f):
        MODELS[f.__name__] = (f, kinds)
        return f

    return add


def vt(array):
    kind = {"float32": "f32", "int64": "si64", "bool": "i1"}[array.dtype.name]
    return "!torch.vtensor<[%s],%s>" % (",".join(map(str, array.shape)), kind)


@model(["linalg", "tosa"])
def mlp():
    x, w, b = f32(4, 16), f32(32, 16, scale=0.3), f32(32)
    h = x.astype(np.float64) @ w.T + b
    y = softmax(h * 0.5 * (1 + erf(h / math.sqrt(2))))
    body = """
    %int-1 = torch.constant.int -1
    %none = torch.constant.none
    %str = torch.constant.str "none"
    %0 = torch.aten.linear %a0, %a1, %a2 : {0}, {1}, {2} -> !torch.vtensor<[4,32],f32>
    %1 = torch.aten.gelu %0, %str : !torch.vtensor<[4,32],f32>, !torch.str -> !torch.vtensor<[4,32],f32>
    %2 = torch.aten.softmax.int %1, %int-1, %none : !torch.vtensor<[4,32],f32>, !torch.int, !torch.none -> !torch.vtensor<[4,32],f32>
    return %2 : !torch.vtensor<[4,32],f32>"""
    return [x, w, b], [y], body


@model(["linalg", "tosa"])
def cnn():
    x, w, depth, head = f32(2, 3, 12, 12), f32(8, 3, 3, 3, scale=0.3), f32(8, 1, 3, 3, scale=0.3), f32(5, 8)
    b = f32(8)
    h = np.maximum(conv(x, w, 2, 1) + b[:, None, None], 0)
    pooled = max_pool(h, 3, 1, 1)
    d = conv(pooled, depth, 1, 1, groups=8)
    y = d.mean((2, 3)) @ head.T
    body = """
    %int0 = torch.constant.int 0
    %int1 = torch.constant.int 1
    %int2 = torch.constant.int 2
    %int3 = torch.constant.int 3
    %int8 = torch.constant.int 8
    %int-1 = torch.constant.int -1
    %int-2 = torch.constant.int -2
    %false = torch.constant.bool false
    %none = torch.constant.none
    %one = torch.prim.ListConstruct %int1, %int1 : (!torch.int, !torch.int) -> !torch.list<int>
    %two = torch.prim.ListConstruct %int2, %int2 : (!torch.int, !torch.int) -> !torch.list<int>
    %three = torch.prim.ListConstruct %int3, %int3 : (!torch.int, !torch.int) -> !torch.list<int>
    %empty = torch.prim.ListConstruct : () -> !torch.list<int>
    %space = torch.prim.ListConstruct %int-1, %int-2 : (!torch.int, !torch.int) -> !torch.list<int>
    %0 = torch.aten.convolution %a0, %a1, %a2, %two, %one, %one, %false, %empty, %int1 : {0}, {1}, {2}, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.list<int>, !torch.int -> !torch.vtensor<[2,8,6,6],f32>
    %1 = torch.aten.relu %0 : !torch.vtensor<[2,8,6,6],f32> -> !torch.vtensor<[2,8,6,6],f32>
    %2 = torch.aten.max_pool2d %1, %three, %one, %one, %one, %false : !torch.vtensor<[2,8,6,6],f32>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool -> !torch.vtensor<[2,8,6,6],f32>
    %3 = torch.aten.convolution %2, %a3, %none, %one, %one, %one, %false, %empty, %int8 : !torch.vtensor<[2,8,6,6],f32>, {3}, !torch.none, !torch.list<int>, !torch.list<int>, !torch.list<int>, !torch.bool, !torch.list<int>, !torch.int -> !torch.vtensor<[2,8,6,6],f32>
    %4 = torch.aten.mean.dim %3, %space, %false, %none : !torch.vtensor<[2,8,6,6],f32>, !torch.list<int>, !torch.bool, !torch.none -> !torch.vtensor<[2,8],f32>
    %5 = torch.aten.linear %4, %a4, %none : !torch.vtensor<[2,8],f32>, {4}, !torch.none -> !torch.vtensor<[2,5],f32>
    return %5 : !torch.vtensor<[2,5],f32>"""
    return [x, w, b, depth, head], [y], body


@model(["linalg"])
def transformer():
    ids = rng.integers(0, 11, (2, 6))
    table, g, b = f32(11, 16), f32(16), f32(16)
    q, k, v = (f32(16, 16, scale=0.3) for _ in range(3))
    x = layer_norm(table[ids].astype(np.float64), g, b)
    heads = lambda w: (x @ w.T).reshape(2, 6, 4, 4).transpose(0, 2, 1, 3)
    scores = heads(q) @ heads(k).transpose(0, 1, 3, 2) / 2
    scores = np.where(np.tril(np.ones((6, 6), bool)), scores, -np.inf)
    y = (softmax(scores) @ heads(v)).transpose(0, 2, 1, 3).reshape(2, 6, 16) + x
    t = "!torch.vtensor<[%s],f32>"
    body = """
    %int-1 = torch.constant.int -1
    %int0 = torch.constant.int 0
    %int1 = torch.constant.int 1
    %int2 = torch.constant.int 2
    %int3 = torch.constant.int 3
    %int4 = torch.constant.int 4
    %int6 = torch.constant.int 6
    %int16 = torch.constant.int 16
    %false = torch.constant.bool false
    %none = torch.constant.none
    %half = torch.constant.float 5.000000e-01
    %minus = torch.constant.float 0xFFF0000000000000
    %eps = torch.constant.float 1.000000e-05
    %shape = torch.prim.ListConstruct %int16 : (!torch.int) -> !torch.list<int>
    %split = torch.prim.ListConstruct %int2, %int6, %int4, %int4 : (!torch.int, !torch.int, !torch.int, !torch.int) -> !torch.list<int>
    %merged = torch.prim.ListConstruct %int2, %int6, %int16 : (!torch.int, !torch.int, !torch.int) -> !torch.list<int>
    %order = torch.prim.ListConstruct %int0, %int2, %int1, %int3 : (!torch.int, !torch.int, !torch.int, !torch.int) -> !torch.list<int>
    %e = torch.aten.embedding %a1, %a0, %int-1, %false, %false : {1}, {0}, !torch.int, !torch.bool, !torch.bool -> T[2,6,16]
    %x = torch.aten.layer_norm %e, %shape, %a2, %a3, %eps, %false : T[2,6,16], !torch.list<int>, {2}, {3}, !torch.float, !torch.bool -> T[2,6,16]
    HEADS
    %kt = torch.aten.transpose.int %k3, %int-1, %int2 : T[2,4,6,4], !torch.int, !torch.int -> T[2,4,4,6]
    %s = torch.aten.matmul %q3, %kt : T[2,4,6,4], T[2,4,4,6] -> T[2,4,6,6]
    %scaled = torch.aten.mul.Scalar %s, %half : T[2,4,6,6], !torch.float -> T[2,4,6,6]
    %rows = torch.aten.arange %int6, %none, %none, %none, %none : !torch.int, !torch.none, !torch.none, !torch.none, !torch.none -> !torch.vtensor<[6],si64>
    %column = torch.aten.unsqueeze %rows, %int1 : !torch.vtensor<[6],si64>, !torch.int -> !torch.vtensor<[6,1],si64>
    %later = torch.aten.gt.Tensor %rows, %column : !torch.vtensor<[6],si64>, !torch.vtensor<[6,1],si64> -> !torch.vtensor<[6,6],i1>
    %masked = torch.aten.masked_fill.Scalar %scaled, %later, %minus : T[2,4,6,6], !torch.vtensor<[6,6],i1>, !torch.float -> T[2,4,6,6]
    %p = torch.aten.softmax.int %masked, %int-1, %none : T[2,4,6,6], !torch.int, !torch.none -> T[2,4,6,6]
    %o = torch.aten.matmul %p, %v3 : T[2,4,6,6], T[2,4,6,4] -> T[2,4,6,4]
    %o2 = torch.aten.permute %o, %order : T[2,4,6,4], !torch.list<int> -> T[2,6,4,4]
    %o3 = torch.aten.view %o2, %merged : T[2,6,4,4], !torch.list<int> -> T[2,6,16]
    %y = torch.aten.add.Tensor %o3, %x, %int1 : T[2,6,16], T[2,6,16], !torch.int -> T[2,6,16]
    return %y : T[2,6,16]"""
    head = """
    %N1 = torch.aten.linear %x, %aI, %none : T[2,6,16], {I}, !torch.none -> T[2,6,16]
    %N2 = torch.aten.view %N1, %split : T[2,6,16], !torch.list<int> -> T[2,6,4,4]
    %N3 = torch.aten.permute %N2, %order : T[2,6,4,4], !torch.list<int> -> T[2,4,6,4]"""
    parts = "".join(head.replace("%N", "%" + n).replace("aI", f"a{i}").replace("{I}", "{%d}" % i) for n, i in [("q", 4), ("k", 5), ("v", 6)])
    body = body.replace("HEADS", parts)
    while "T[" in body:
        start = body.index("T[")
        end = body.index("]", start)
        body = body[:start] + t % body[start + 2 : end] + body[end + 1 :]
    return [ids, table, g, b, q, k, v], [y], body


@model(["linalg", "tosa"])
def assorted():
    x, z = f32(3, 8), f32(3, 8)
    cat = np.concatenate([x, z], 1)[:, 2:14:1]
    clipped = np.clip(cat, -0.5, 0.75)
    y = np.where(clipped > 0, np.tanh(clipped), clipped * clipped)
    body = """
    %int0 = torch.constant.int 0
    %int1 = torch.constant.int 1
    %int2 = torch.constant.int 2
    %int14 = torch.constant.int 14
    %false = torch.constant.bool false
    %low = torch.constant.float -5.000000e-01
    %high = torch.constant.float 7.500000e-01
    %both = torch.prim.ListConstruct %a0, %a1 : ({0}, {1}) -> !torch.list<vtensor<[3,8],f32>>
    %0 = torch.aten.cat %both, %int1 : !torch.list<vtensor<[3,8],f32>>, !torch.int -> !torch.vtensor<[3,16],f32>
    %1 = torch.aten.slice.Tensor %0, %int1, %int2, %int14, %int1 : !torch.vtensor<[3,16],f32>, !torch.int, !torch.int, !torch.int, !torch.int -> !torch.vtensor<[3,12],f32>
    %2 = torch.aten.clamp %1, %low, %high : !torch.vtensor<[3,12],f32>, !torch.float, !torch.float -> !torch.vtensor<[3,12],f32>
    %3 = torch.aten.gt.Scalar %2, %int0 : !torch.vtensor<[3,12],f32>, !torch.int -> !torch.vtensor<[3,12],i1>
    %4 = torch.aten.tanh %2 : !torch.vtensor<[3,12],f32> -> !torch.vtensor<[3,12],f32>
    %5 = torch.aten.mul.Tensor %2, %2 : !torch.vtensor<[3,12],f32>, !torch.vtensor<[3,12],f32> -> !torch.vtensor<[3,12],f32>
    %6 = torch.aten.where.self %3, %4, %5 : !torch.vtensor<[3,12],i1>, !torch.vtensor<[3,12],f32>, !torch.vtensor<[3,12],f32> -> !torch.vtensor<[3,12],f32>
    %7 = torch.aten.argmax %6, %int1, %false : !torch.vtensor<[3,12],f32>, !torch.int, !torch.bool -> !torch.vtensor<[3],si64>
    return %6, %7 : !torch.vtensor<[3,12],f32>, !torch.vtensor<[3],si64>"""
    return [x, z], [y, y.argmax(1)], body


def save(name, inputs, outputs):
    narrow = lambda a: a.astype(np.float32) if a.dtype.kind == "f" else a
    np.savez(HERE / f"{name}.inputs.npz", **{f"arg{i}": a for i, a in enumerate(inputs)})
    np.savez(HERE / f"{name}.expected.npz", **{f"out{i}": narrow(np.asarray(a)) for i, a in enumerate(outputs)})


def control():
    """What `control.upstream.mlir`, written by hand, computes."""
    n, x = np.int32(3), np.abs(f32(5))
    sums = np.cumsum(x, dtype=np.float32)
    z = sums[-1]
    while z > np.float32(0.01):
        z = np.float32(z * np.float32(0.5))
    save("control", [np.array(n), x], [np.where(sums > 0.5, np.sqrt(sums), sums), sums[-1], z])


def named():
    """What `named.upstream.mlir`, written by hand, computes."""
    x, k, dw, p = f32(1, 9, 9, 2), f32(3, 3, 2, 4), f32(3, 3, 4), f32(3, 5)
    m, v = (rng.integers(-128, 128, shape).astype(np.int8) for shape in [(6, 4), (4,)])
    nhwc = lambda a: a.transpose(0, 2, 3, 1)
    nchw = lambda a: a.transpose(0, 3, 1, 2)
    c = nhwc(conv(nchw(x), k.transpose(3, 2, 0, 1), 1, 0)) + 1
    d = nhwc(conv(nchw(c), dw.transpose(2, 0, 1)[:, None], 2, 0, groups=4))
    mv = m.astype(np.int32) @ v.astype(np.int32)
    padded = np.pad(p.T, [(0, 0), (1, 3)], constant_values=1)
    save("named", [x, k, dw, m, v, p], [c, d, mv, padded, -p[:, ::-1], np.maximum(p.max(1), 1)])


def main():
    control()
    named()
    for name, (build, kinds) in MODELS.items():
        inputs, outputs, body = build()
        types = [vt(array) for array in inputs]
        for number, ty in enumerate(types):
            body = body.replace("{%d}" % number, ty)
        arguments = ", ".join(f"%a{i}: {ty}" for i, ty in enumerate(types))
        returned = body[body.rindex(" : ") + 3 :].strip()
        source = f"module {{\n  func.func @main({arguments}) -> ({returned}) {{{body}\n  }}\n}}"
        for kind in kinds:
            with ir.Context() as context:
                torch_dialect.register_dialect(context)
                module = ir.Module.parse(source)
                passes = "torchdynamo-export-to-torch-backend-pipeline{extra-library=}," + PIPELINES[kind]
                PassManager.parse(f"builtin.module({passes})").run(module.operation)
                (HERE / f"{name}.{kind}.mlir").write_text(str(module))
        save(name, inputs, outputs)


main()
