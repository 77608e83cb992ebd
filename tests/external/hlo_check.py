"""What `ferrite convert` writes as HLO, read and run by XLA itself.

`hlo_check.py FERRITE FOLDER...` converts the StableHLO text of every case below the folders to HloModuleProto and to HLO
text. XLA reads both; programs for one device are compiled by XLA:CPU from the message, run on the inputs of the case and
compared with what it expects. Programs with custom calls that XLA:CPU does not have are read only.
"""

import json
import os
import subprocess
import sys
import tempfile

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_allow_excess_precision=false"
import jax
import ml_dtypes
import numpy as np
from jaxlib import _hlo, _jax, xla_client

jax.config.update("jax_enable_x64", True)
RAW = {
    "bf16": ml_dtypes.bfloat16,
    "f8E4M3FN": ml_dtypes.float8_e4m3fn,
    "f8E5M2": ml_dtypes.float8_e5m2,
    "f8E4M3": ml_dtypes.float8_e4m3,
    "i4": ml_dtypes.int4,
    "ui4": ml_dtypes.uint4,
}


def typed(array, dtype):
    """Types that numpy lacks are stored as raw bits, integers below a byte one to a byte."""
    kind = RAW.get(dtype)
    if kind is None:
        return array
    return array.astype(kind) if dtype in ("i4", "ui4") else array.view(kind)


def compare(got, case, expected):
    for i, output in enumerate(case["outputs"]):
        want = typed(expected[f"out{i}"], output["dtype"])
        have = np.asarray(got[i])
        tolerance = (output.get("tolerance") or {}).get("none") or {}
        if have.dtype.kind in "biu" or have.dtype.name in ("int4", "uint4"):
            if not np.array_equal(have, want):
                return f"out{i} differs"
            continue
        kind = np.complex128 if have.dtype.kind == "c" else np.float64
        have, want = have.astype(kind), want.astype(kind)
        # XLA compiles this program in its own way: a little more than rounding is allowed for.
        atol = tolerance.get("atol", 0) + 1e-6 * np.nanmax(np.abs(want), initial=0, where=np.isfinite(want))
        if not np.allclose(have, want, tolerance.get("rtol", 0) + 1e-4, atol, equal_nan=True):
            return f"out{i} is off by {np.nanmax(np.abs(have - want))}"
    return None


def main():
    ferrite = os.path.abspath(sys.argv[1])
    client = jax.devices()[0].client
    devices = _jax.DeviceList(tuple(jax.devices()[:1]))
    read = ran = 0
    failed, only_read, refused = [], [], []
    cases = []
    for root in sys.argv[2:]:
        cases += [d for d, _, files in os.walk(root) if "case.json" in files and "model.stablehlo.mlir" in files]
    with tempfile.TemporaryDirectory() as folder:
        pb, txt = os.path.join(folder, "m.pb"), os.path.join(folder, "m.txt")
        for directory in sorted(cases):
            name = "/".join(directory.split("/")[-2:])
            model = os.path.join(directory, "model.stablehlo.mlir")
            outcomes = [
                subprocess.run([ferrite, "convert", model, "--to", form, "-o", path], capture_output=True, text=True)
                for form, path in (("hlo.pb", pb), ("hlo.txt", txt))
            ]
            if any(outcome.returncode for outcome in outcomes):
                refused.append(f"{name}: {outcomes[0].stderr.splitlines()[:1]}")
                continue
            try:
                with open(pb, "rb") as file:
                    module = _hlo.HloModule.from_serialized_hlo_module_proto(file.read())
                with open(txt) as file:
                    text = _hlo.hlo_module_from_text(file.read())
                if text.name != module.name:
                    raise ValueError("text and message have different names")
            except Exception as error:
                failed.append(f"{name}: not read: {str(error)[:300]}")
                continue
            read += 1
            with open(os.path.join(directory, "case.json")) as file:
                case = json.load(file)
            files = [os.path.join(directory, f) for f in ("inputs.npz", "expected.npz")]
            if case.get("num_devices", 1) > 1 or not all(map(os.path.exists, files)):
                only_read.append(name)
                continue
            inputs, expected = map(np.load, files)
            args = [typed(inputs[f"arg{i['index']}"], i["dtype"]) for i in case["inputs"]]
            try:
                computation = _hlo.XlaComputation(module.as_serialized_hlo_module_proto())
                program = _jax.mlir.xla_computation_to_mlir_module(computation)
                compiled = client.compile_and_load(program, devices, xla_client.CompileOptions())
                results = compiled.execute([jax.device_put(a) for a in args])
            except Exception as error:
                text = str(error)
                if "custom call" in text.lower() or "custom-call" in text.lower():
                    only_read.append(f"{name} (custom call)")
                else:
                    failed.append(f"{name}: not run: {text[:300]}")
                continue
            wrong = compare(results, case, expected)
            if wrong:
                failed.append(f"{name}: {wrong}")
            else:
                ran += 1
    print(f"XLA reads {read} of {len(cases)} programs as HloModuleProto and as text; {ran} run and agree")
    print(f"read only: {', '.join(only_read)}")
    for line in refused:
        print("no form in HLO:", line)
    for line in failed:
        print("FAILED:", line)
    return 1 if failed or not ran else 0


sys.exit(main())
