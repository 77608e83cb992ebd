"""Lowers a JAX or PyTorch model, binds its weights, compiles it, and compares the result with the framework on the CPU.

A script says what to export, in two names:

    model            a function or a jax.jit of one; or (function, weights), called as function(weights, *inputs), which is
                     what `(module.apply, variables)` of Flax is; or a torch.nn.Module
    example_inputs   a tuple of arrays or tensors, or a function without arguments that returns one

Run by `ferrite export SCRIPT`, or as `python -m neuronxcc.export SCRIPT`.
"""

import argparse
import json
import os
import runpy
import subprocess
import sys
import tempfile

from ._executable import find

# By the type that the compiler is asked to compute in; what optimum-neuron uses for the same cases.
ATOL = {"none": 1e-3, "matmult": 3e-2, "all": 5e-2}


class Lowered:
    """A model as StableHLO, with its arrays.

    text: the module. inputs: arrays of the parameters that stay inputs, by parameter number. weights: arrays of those that
    become constants, by parameter number. names, outputs: names and values of the results as the framework computed them.
    """

    def __init__(self, text, inputs, weights, names, outputs):
        self.text, self.inputs, self.weights, self.names, self.outputs = text, inputs, weights, names, outputs


def lower(model, inputs):
    """Lowers what a script calls `model` for `inputs`."""
    if type(model).__module__.split(".")[0] == "torch" or any(
        base.__module__.startswith("torch.nn") for base in type(model).__mro__
    ):
        return _lower_torch(model, inputs)
    return _lower_jax(model, inputs)


def _lower_jax(model, inputs):
    import jax

    function, weights = model if isinstance(model, tuple) else (model, None)
    args = tuple(inputs) if weights is None else (weights, *inputs)
    # keep_unused: the numbers of the parameters are those of the arguments.
    jitted = jax.jit(function, keep_unused=True)
    text = jitted.lower(*args).as_text()
    results = jitted(*args)
    flat = [_array(leaf) for leaf in jax.tree_util.tree_leaves(args)]
    bound = 0 if weights is None else len(jax.tree_util.tree_leaves(weights))
    paths = jax.tree_util.tree_flatten_with_path(results)[0]
    names = [_name(jax.tree_util.keystr(path), index) for index, (path, _) in enumerate(paths)]
    return Lowered(
        text,
        {number: array for number, array in enumerate(flat) if number >= bound},
        {number: array for number, array in enumerate(flat) if number < bound},
        names,
        [_array(leaf) for _, leaf in paths],
    )


def _lower_torch(model, inputs):
    import torch
    from torchax.export import exported_program_to_stablehlo

    model = model.eval()
    with torch.no_grad():
        results = model(*inputs)
        exported = torch.export.export(model, tuple(inputs))
        weights, stablehlo = exported_program_to_stablehlo(exported)
    import jax

    # Weights come first, then what the user gives.
    flat = [_array(leaf) for leaf in jax.tree_util.tree_leaves(weights)]
    bound = len(flat)
    flat += [_array(leaf) for leaf in torch.utils._pytree.tree_leaves(tuple(inputs))]
    kept = getattr(stablehlo, "module_kept_var_idx", range(len(flat)))
    arrays = [(flat[number], number < bound) for number in kept]
    paths = torch.utils._pytree.tree_flatten_with_path(results)[0]
    names = [_name(torch.utils._pytree.keystr(path), index) for index, (path, _) in enumerate(paths)]
    return Lowered(
        stablehlo.mlir_module(),
        {n: array for n, (array, is_weight) in enumerate(arrays) if not is_weight},
        {n: array for n, (array, is_weight) in enumerate(arrays) if is_weight},
        names,
        [_array(leaf) for _, leaf in paths],
    )


def _name(path, index):
    return path.strip(".[]'\"").replace("']['", ".") or f"output{index}"


def _array(value):
    import numpy

    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            import ml_dtypes
            import torch

            return value.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
        return value.numpy()
    return numpy.asarray(value)


def _stored(array):
    """As .npz files hold it: types that NumPy lacks as raw bits."""
    import numpy

    if array.dtype.kind == "V" or array.dtype.name in ("bfloat16",) or array.dtype.name.startswith("float8"):
        return array.view({1: numpy.uint8, 2: numpy.uint16}[array.dtype.itemsize])
    return array


def export(model, inputs, output, target="inf2", auto_cast="none", auto_cast_type="bf16", optlevel=2, atol=None, out=sys.stdout):
    """Writes `output`/model.neff (with model.mlir and weights.npz) and prints the report. Returns whether it validates."""
    import numpy

    atol = ATOL[auto_cast] if atol is None else atol
    os.makedirs(output, exist_ok=True)
    lowered = lower(model, inputs)
    path = lambda name: os.path.join(output, name)
    with open(path("model.mlir"), "w") as file:
        file.write(lowered.text)
    command = [find("ferrite"), "compile", path("model.mlir"), "-o", path("model.neff"), "--target", target, "--json"]
    command += ["-O", str(optlevel), "--auto-cast", auto_cast, "--auto-cast-type", auto_cast_type]
    if lowered.weights:
        numpy.savez(path("weights.npz"), **{f"arg{n}": _stored(a) for n, a in lowered.weights.items()})
        command += ["--weights", path("weights.npz")]
    _run(command)
    with tempfile.TemporaryDirectory() as folder:
        given, made = os.path.join(folder, "in.npz"), os.path.join(folder, "out.npz")
        # What stays an input closes up.
        numpy.savez(given, **{f"arg{n}": _stored(a) for n, a in enumerate(lowered.inputs.values())})
        ran = _run([find("ferrite"), "run", path("model.neff"), "--inputs", given, "--outputs", made, "--json"])
        with numpy.load(made) as arrays:
            results = [arrays[f"out{n}"] for n in range(len(lowered.outputs))]
    ok = report(lowered, results, atol, out)
    print(f"Latency on a simulated {target} core: {ran['latency_us']:.1f} us", file=out)
    if ok:
        print(f"The Neuron export succeeded and the exported model was saved at: {output}", file=out)
    else:
        print(f"The Neuron export finished, but the values differ; the model was saved at: {output}", file=out)
    return ok


def report(lowered, results, atol, out):
    """Prints what was compared, in the form that optimum-neuron prints. Returns whether all is close."""
    import numpy

    mark = lambda good: "\u2713" if good else "x"
    print("Validating Neuron model...", file=out)
    names = ", ".join(lowered.names)
    print(f"\t-[{mark(True)}] Neuron model output names match reference model ({names})", file=out)
    all_good = True
    for name, expected, got in zip(lowered.names, lowered.outputs, results):
        print(f'\t- Validating Neuron Model output "{name}":', file=out)
        same = expected.shape == got.shape
        print(f"\t\t-[{mark(same)}] {got.shape} {'matches' if same else 'does not match'} {expected.shape}", file=out)
        all_good &= same
        if not same:
            continue
        if got.dtype != expected.dtype:
            got = got.view(expected.dtype) if got.dtype.itemsize == expected.dtype.itemsize else got
        left, right = expected.astype(numpy.float64), got.astype(numpy.float64)
        error = numpy.abs(left - right)
        # NaN matches NaN, an infinity itself.
        error = numpy.where((left == right) | (numpy.isnan(left) & numpy.isnan(right)), 0.0, error)
        worst = float(error.max(initial=0.0)) if not numpy.isnan(error).any() else float("nan")
        close = worst <= atol
        what = f"all values close (atol: {atol})" if close else f"values not close enough, max diff: {worst} (atol: {atol})"
        print(f"\t\t-[{mark(close)}] {what}", file=out)
        all_good &= close
    return bool(all_good)


class Failed(RuntimeError):
    """The compiler or the simulator refused."""


def _run(command):
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if ran.returncode:
        raise Failed(ran.stderr.strip() or f"{command[1]} ended with {ran.returncode}")
    return json.loads(ran.stdout)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="ferrite export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", help="Python file with `model` and `example_inputs`")
    parser.add_argument("-o", "--output", default="exported", help="folder of the result (default: exported)")
    parser.add_argument("--target", default="inf2")
    parser.add_argument("-O", "--optlevel", default="2", choices=["1", "2", "3"])
    parser.add_argument("--auto-cast", "--auto_cast", default="none", choices=["none", "matmult", "matmul", "all"])
    parser.add_argument("--auto-cast-type", "--auto_cast_type", default="bf16", choices=["bf16", "fp16", "tf32", "fp8_e4m3"])
    parser.add_argument("--atol", type=float, help="largest difference that passes (default: by --auto-cast)")
    args = parser.parse_args(argv)
    # The framework computes the reference on the CPU.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.path.insert(0, os.path.dirname(os.path.abspath(args.script)))
    script = runpy.run_path(args.script)
    missing = [name for name in ("model", "example_inputs") if name not in script]
    if missing:
        parser.error(f"{args.script} does not define {' and '.join(missing)}")
    inputs = script["example_inputs"]
    inputs = inputs() if callable(inputs) else inputs
    try:
        cast = "matmult" if args.auto_cast == "matmul" else args.auto_cast
        ok = export(script["model"], inputs, args.output, args.target, cast, args.auto_cast_type, args.optlevel, args.atol)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
