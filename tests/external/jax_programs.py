"""Programs of JAX's own primitive tests, and JAX's own MLIR parser.

`jax_programs.py write FOLDER COUNT` traces an even sample of COUNT programs from the harnesses that JAX tests its
primitives with, runs them on XLA:CPU, and writes `NAME.mlir`, `NAME.inputs.npz` and `NAME.expected.npz`.
`jax_programs.py parse FOLDER` reads every `*.mlir` of a folder with the parser and verifier of jaxlib.
"""

import os
import re
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_allow_excess_precision=false --xla_cpu_enable_fast_math=false"
import jax
import numpy as np

# What XLA:CPU leaves to LAPACK is a custom call with no meaning outside of it.
FOREIGN = "lapack_"


def stored(array):
    """Types that numpy lacks are stored as raw bits, integers below a byte one to a byte."""
    array = np.asarray(array)
    if array.dtype.name in ("int2", "int4"):
        return array.astype(np.int8)
    if array.dtype.name in ("uint2", "uint4"):
        return array.astype(np.uint8)
    if array.dtype.name == "bfloat16":
        return array.view(np.uint16)
    if array.dtype.name.startswith("float8"):
        return array.view(np.uint8)
    return array


def write(folder, count):
    from jax._src.internal_test_util import test_harnesses

    jax.config.update("jax_enable_x64", True)
    os.makedirs(folder, exist_ok=True)
    harnesses = test_harnesses.all_harnesses
    step = max(1, len(harnesses) // count)
    written = 0
    for number in range(0, len(harnesses), step):
        harness = harnesses[number]
        try:
            args = harness.dyn_args_maker(np.random.RandomState(42))
            lowered = jax.jit(harness.dyn_fun, keep_unused=True).lower(*args)
            text = lowered.as_text()
            if FOREIGN in text:
                continue
            results = jax.tree.leaves(lowered.compile()(*args))
            args = jax.tree.leaves(args)
            name = os.path.join(folder, re.sub(r"\W+", "_", harness.fullname)[:100] + f"_{number}")
            np.savez(name + ".inputs.npz", **{f"arg{i}": stored(a) for i, a in enumerate(args)})
            np.savez(name + ".expected.npz", **{f"out{i}": stored(r) for i, r in enumerate(results)})
        except Exception:  # not defined on this platform or for this type: JAX skips these too
            continue
        with open(name + ".mlir", "w") as file:
            file.write(text)
        written += 1
    print(f"{written} programs of {len(harnesses)} harnesses")


def parse(folder):
    from jax._src.interpreters import mlir
    from jaxlib.mlir import ir

    context = mlir.make_ir_context()
    # Quantized types belong to a dialect that jaxlib does not have.
    context.allow_unregistered_dialects = True
    names = sorted(n for n in os.listdir(folder) if n.endswith(".mlir"))
    failed = 0
    for name in names:
        with open(os.path.join(folder, name)) as file, context:
            try:
                ir.Module.parse(file.read())
            except ir.MLIRError as error:
                failed += 1
                print(f"{name}: {str(error)[:300]}")
    print(f"jaxlib reads {len(names) - failed} of {len(names)} printed programs")
    return 1 if failed or not names else 0


if sys.argv[1] == "write":
    write(sys.argv[2], int(sys.argv[3]))
else:
    sys.exit(parse(sys.argv[2]))
