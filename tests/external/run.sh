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
    python3 -m venv "$tmp/venv" && "$tmp/venv/bin/pip" install -q "jax[cpu]" numpy 2>"$tmp/pip.log" && PATH="$tmp/venv/bin:$PATH"
  fi
  if python3 -c 'import jax' 2>/dev/null; then
    python3 tests/external/jax_check.py target/release/ferrite || failed=1
  else
    echo "skipped: JAX cannot be installed from PyPI ($(tail -1 "$tmp/pip.log" 2>/dev/null))"
  fi
fi

echo "== mlir-opt: reads our dumps"
if command -v mlir-opt >/dev/null; then
  target/release/ferrite inspect "$tmp/m.neff" --disassemble | mlir-opt --allow-unregistered-dialect >/dev/null && echo "ok" || failed=1
else
  echo "skipped: mlir-opt is not installed (Debian: mlir-tools)"
fi
exit $failed
