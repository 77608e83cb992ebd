#!/bin/sh
# Checks against programs from outside. What is missing is said and skipped: nothing here is needed by `make test`.
set -u
cd "$(dirname "$0")/../.."
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

echo "== containers: read by tar, without us"
target/release/ferrite compile tests/corpus/models/vit_tiny_forward/model.stablehlo.mlir -o "$tmp/m.neff" >/dev/null || failed=1
if tail -c +1025 "$tmp/m.neff" | tar tz >/dev/null; then echo "ok"; else echo "FAILED"; failed=1; fi

echo "== JAX: random functions, traced, compiled, simulated, compared with XLA:CPU"
if ! command -v python3 >/dev/null; then
  echo "skipped: python3 is not installed"
else
  if ! python3 -c 'import jax' 2>/dev/null; then
    python3 -m venv "$tmp/venv" && "$tmp/venv/bin/pip" install -q "jax[cpu]" numpy absl-py 2>"$tmp/pip.log" && PATH="$tmp/venv/bin:$PATH"
  fi
  if python3 -c 'import jax' 2>/dev/null; then
    python3 tests/external/jax_check.py target/release/ferrite || failed=1
  else
    echo "skipped: JAX cannot be installed from PyPI ($(tail -1 "$tmp/pip.log" 2>/dev/null))"
  fi
fi

echo "== the Python package: installed from the repository, imported as clients do"
if ! command -v python3 >/dev/null; then
  echo "skipped: python3 is not installed"
elif python3 -m venv "$tmp/package" && "$tmp/package/bin/pip" install -q ./compiler/python 2>"$tmp/pip.log"; then
  FERRITE_NEURONX_CC="$PWD/target/release/neuronx-cc" "$tmp/package/bin/python" -m unittest discover -s compiler/python/tests -q &&
    "$tmp/package/bin/neuronx-cc" --version >/dev/null 2>&1 && echo "ok" || failed=1
else
  echo "skipped: the package cannot be installed ($(tail -1 "$tmp/pip.log" 2>/dev/null))"
fi

echo "== ferrite export: a Flax model, lowered, compiled, validated against XLA:CPU"
if [ -x "$tmp/package/bin/pip" ] && "$tmp/package/bin/pip" install -q "jax[cpu]" flax 2>"$tmp/pip.log"; then
  FERRITE_PYTHON="$tmp/package/bin/python" target/release/ferrite export tests/external/export_flax.py -o "$tmp/exported" || failed=1
else
  echo "skipped: Flax cannot be installed ($(tail -1 "$tmp/pip.log" 2>/dev/null))"
fi

echo "== ferrite export: a PyTorch model"
if [ -x "$tmp/package/bin/python" ] && "$tmp/package/bin/python" -c 'import torch, torchax' 2>/dev/null; then
  FERRITE_PYTHON="$tmp/package/bin/python" target/release/ferrite export tests/external/export_torch.py -o "$tmp/exported" || failed=1
elif python3 -c 'import torch, torchax, neuronxcc' 2>/dev/null; then
  target/release/ferrite export tests/external/export_torch.py -o "$tmp/exported" || failed=1
else
  echo "skipped: torch, torchax and neuronxcc are not installed (torch is several gigabytes: install it yourself)"
fi

echo "== Ray: many graphs on several workers, twice; the second time from the cache"
if [ -x "$tmp/package/bin/pip" ] && "$tmp/package/bin/pip" install -q ray 2>"$tmp/pip.log"; then
  mkdir "$tmp/models"
  for case in dot_plain ew_binary_int fft mv_pad sort_multi reduce_window; do
    cp "tests/corpus/ops/$case/model.stablehlo.mlir" "$tmp/models/$case.mlir"
  done
  ray() { NEURON_COMPILE_CACHE_URL="$tmp/cache" "$tmp/package/bin/python" examples/ray_compile.py target/release/ferrite "$tmp/models" --target trn1; }
  ray >"$tmp/first" 2>"$tmp/ray.log" && ray >"$tmp/second" 2>>"$tmp/ray.log" &&
    [ "$(grep -c 'from the cache' "$tmp/second")" = 6 ] && ! grep -q 'from the cache' "$tmp/first" &&
    echo "ok: $(wc -l <"$tmp/first") models" || { cat "$tmp/first" "$tmp/second"; tail -3 "$tmp/ray.log"; failed=1; }
else
  echo "skipped: Ray cannot be installed ($(tail -1 "$tmp/pip.log" 2>/dev/null))"
fi

echo "== JAX's primitive tests: interpreted, compared with XLA:CPU, printed for jaxlib's parser"
if command -v python3 >/dev/null && python3 -c 'import jax, absl' 2>/dev/null; then
  mkdir "$tmp/printed"
  python3 tests/external/jax_programs.py write "$tmp/programs" "${PROGRAMS:-600}" || failed=1
  cargo run --quiet --release --locked -p ferrite-tests --example conformance -- \
    --print "$tmp/printed" "$tmp/programs" \
    tests/conformance/forms.mlir tests/conformance/interpreter.mlir tests/conformance/values.mlir || failed=1
  python3 tests/external/jax_programs.py parse "$tmp/printed" || failed=1
else
  echo "skipped: JAX and absl-py are not installed"
fi

echo "== mlir-opt: reads our dumps"
if command -v mlir-opt >/dev/null; then
  target/release/ferrite inspect "$tmp/m.neff" --disassemble | mlir-opt --allow-unregistered-dialect >/dev/null && echo "ok" || failed=1
else
  echo "skipped: mlir-opt is not installed (Debian: mlir-tools)"
fi
exit $failed
