"""Traces functions with JAX, validates them with ferrite against what XLA:CPU computes."""

import os
import subprocess
import sys
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
import jax
import jax.numpy as jnp
import numpy as np


def mlp(x, w1, b1, w2):
    return jax.nn.gelu(x @ w1 + b1) @ w2


def attention(q, k, v):
    weights = jax.nn.softmax(jnp.einsum("bhqd,bhkd->bhqk", q, k) / np.sqrt(q.shape[-1]))
    return jnp.einsum("bhqk,bhkd->bhqd", weights, v)


def layer_norm(x, scale, bias):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-6) * scale + bias


def convolution(x, w):
    dims = ("NHWC", "HWIO", "NHWC")
    return jax.nn.relu(jax.lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=dims))


def loss_gradient(x, w, y):
    def loss(w):
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(x @ w) * y, -1))

    return jax.value_and_grad(loss)(w)


CASES = {
    "mlp": (mlp, [(8, 48), (48, 96), (96,), (96, 10)]),
    "attention": (attention, [(2, 3, 17, 16)] * 3),
    "layer_norm": (layer_norm, [(5, 7, 33), (33,), (33,)]),
    "convolution": (convolution, [(2, 15, 15, 3), (3, 3, 3, 8)]),
    "loss_gradient": (loss_gradient, [(16, 20), (20, 10), (16, 10)]),
}


def main():
    ferrite = os.path.abspath(sys.argv[1])
    random = np.random.default_rng(0)
    failed = 0
    for name, (function, shapes) in CASES.items():
        args = [random.standard_normal(shape, dtype=np.float32) * 0.5 for shape in shapes]
        outputs = jax.tree.leaves(jax.jit(function)(*args))
        with tempfile.TemporaryDirectory() as folder:
            path = lambda file: os.path.join(folder, file)
            with open(path("m.mlir"), "w") as file:
                file.write(jax.jit(function).lower(*args).as_text())
            np.savez(path("in.npz"), **{f"arg{i}": a for i, a in enumerate(args)})
            np.savez(path("out.npz"), **{f"out{i}": np.asarray(o) for i, o in enumerate(outputs)})
            command = [ferrite, "validate", path("m.mlir"), "--inputs", path("in.npz"), "--expected", path("out.npz")]
            done = subprocess.run(command, capture_output=True, text=True)
        ok = done.returncode == 0
        failed += not ok
        print(f"{name}: {'ok' if ok else 'FAILED'}")
        if not ok:
            print(done.stdout, done.stderr)
    print(f"JAX {jax.__version__}: {len(CASES) - failed} of {len(CASES)} functions agree")
    return 1 if failed else 0


sys.exit(main())
