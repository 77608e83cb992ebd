"""Validates whole models of the corpus against the reference interpreter, with weights as large as trained ones.

Usage: full_models.py FERRITE CORPUS [CASE..]. Random weights of one size for all would make deep models overflow or choose at
random (any error then looks like any other): kernels are scaled by their number of inputs, as initializers do.
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np

CASES = ["bert_base_b1_s128", "gpt2_small_decode", "resnet50_b1", "vit_b16_forward_b8"]
INTEGERS = {"i8": np.int8, "i32": np.int32, "i64": np.int64, "ui8": np.uint8, "ui32": np.uint32, "i1": np.bool_}


def array(random, spec):
    shape, name, dtype = spec["shape"], (spec.get("name") or "").lower(), spec["dtype"]
    if dtype in INTEGERS:
        return np.zeros(shape, INTEGERS[dtype])
    if dtype != "f32":
        raise SystemExit(f"inputs of {dtype} are not made here")
    if "var" in name:
        values = 1 + 0.1 * random.random(shape)
    elif "scale" in name:
        values = 1 + 0.1 * random.standard_normal(shape)
    elif len(shape) <= 1 or "bias" in name or "mean" in name:
        values = 0.02 * random.standard_normal(shape)
    elif len(shape) == 4 and shape[-1] == 3:  # an image
        values = random.standard_normal(shape)
    else:
        values = random.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))
    return values.astype(np.float32)


def main():
    ferrite, corpus, *cases = sys.argv[1:]
    failed = 0
    for case in cases or CASES:
        folder = os.path.join(corpus, "full", case)
        with open(os.path.join(folder, "case.json")) as file:
            inputs = json.load(file)["inputs"]
        random = np.random.default_rng(0)
        with tempfile.TemporaryDirectory() as made:
            path = os.path.join(made, "inputs.npz")
            np.savez(path, **{f"arg{i['index']}": array(random, i) for i in inputs})
            for cast in ("none", "matmult"):
                command = [ferrite, "validate", os.path.join(folder, "model.stablehlo.mlir"), "--inputs", path]
                done = subprocess.run([*command, "--auto-cast", cast], capture_output=True, text=True)
                lines = done.stdout.splitlines()
                first = next((line for line in lines if line.startswith("out0")), "").split()[2:4]
                print(f"{case} {cast}: {lines[-1] if lines else done.stderr.strip()}; out0 max abs, rel err {first}")
                failed += done.returncode != 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
