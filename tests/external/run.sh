#!/bin/sh
# Checks against programs from outside: `tests/external/run.sh [SECTION..]`, all sections if none is named.
#
# Python packages go to virtual environments in target/external, which a second run finds again. What cannot be installed is
# said and skipped; what fails is counted. BIN: folder of the executables (default target/release). PROGRAMS: how many of
# JAX's own programs (default 600). TORCH=0: without PyTorch, which takes some gigabytes. WRITE=1: record what is measured in benches/results.
set -u
cd "$(dirname "$0")/../.."
BIN=$(cd "${BIN:-target/release}" && pwd) || exit 1
here=tests/external
venvs=target/external
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
passed=0 failed=0 skipped=0

# venv NAME PACKAGES..: a virtual environment with these packages; its interpreter in $python.
venv() {
  name=$1; shift
  python=$PWD/$venvs/$name/bin/python
  if [ ! -e "$venvs/$name/complete" ]; then
    rm -rf "${venvs:?}/$name"
    mkdir -p "$venvs"
    { python3 -m venv "$venvs/$name" && "$python" -m pip install -q "$@" && touch "$venvs/$name/complete"; } >"$tmp/pip.log" 2>&1
  fi
  [ -e "$venvs/$name/complete" ]
}

no_packages() {
  echo "skipped: $(grep -v '^$' "$tmp/pip.log" 2>/dev/null | tail -1)"
  return 77
}

# The corpus's small models as a folder of NEFFs, of each kind of container.
containers() {
  for case in models/vit_tiny_forward models/mlp_train_adam ops/fft ops/sort_multi ops/zero_sized; do
    model=tests/corpus/$case/model.stablehlo.mlir
    name=$(basename $case)
    "$BIN/ferrite" compile "$model" --target inf2 -o "$tmp/$name.neff" >/dev/null &&
      "$BIN/ferrite" compile "$model" --target trn2 --lnc 2 -o "$tmp/$name.two.neff" >/dev/null &&
      "$BIN/neuronx-cc" compile "$model" --framework XLA --target trn1 --enable-fast-loading-neuron-binaries \
        --output "$tmp/$name.plain.neff" --logfile "$tmp/log" >/dev/null || return 1
  done
  # By tar alone, then by a reader after the public description of the container.
  tail -c +1025 "$tmp/fft.neff" | tar tz >/dev/null && tail -c +1025 "$tmp/fft.plain.neff" | tar t >/dev/null || return 1
  command -v python3 >/dev/null || return 77
  python3 $here/read_neff.py "$tmp"/*.neff
}

jax_functions() {
  venv jax "jax[cpu]" numpy absl-py flax || no_packages || return
  "$python" $here/jax_check.py "$BIN/ferrite"
}

# What `ferrite convert` writes as HLO, read and run by XLA.
xla_hlo() {
  venv jax "jax[cpu]" numpy absl-py flax || no_packages || return
  "$python" $here/hlo_check.py "$BIN/ferrite" tests/corpus
}

jax_primitives() {
  venv jax "jax[cpu]" numpy absl-py flax || no_packages || return
  mkdir "$tmp/printed"
  "$python" $here/jax_programs.py write "$tmp/programs" "${PROGRAMS:-600}" 2>"$tmp/jax.log" || { tail -3 "$tmp/jax.log"; return 1; }
  ${CONFORMANCE:-cargo run --quiet --release --locked -p ferrite-tests --example conformance --} \
    --print "$tmp/printed" "$tmp/programs" \
    tests/conformance/forms.mlir tests/conformance/interpreter.mlir tests/conformance/values.mlir || return 1
  "$python" $here/jax_programs.py parse "$tmp/printed"
}

# Installed from the repository, imported as clients do.
package() {
  venv package ./compiler/python || no_packages || return
  "$python" -m pip install -q --force-reinstall --no-deps ./compiler/python || return 1
  FERRITE_NEURONX_CC="$BIN/neuronx-cc" "$python" -m unittest discover -s compiler/python/tests -q || return 1
  PATH="$BIN:$PATH" "$venvs/package/bin/neuronx-cc" --version 2>/dev/null | head -1
}

# export NAME SCRIPT: with this package of the repository in the environment.
export_with() {
  "$python" -m pip install -q --force-reinstall --no-deps ./compiler/python || return 1
  FERRITE_PYTHON=$python "$BIN/ferrite" export "$1" -o "$tmp/exported"
}

flax() {
  venv jax "jax[cpu]" numpy absl-py flax || no_packages || return
  export_with $here/export_flax.py
}

torch() {
  [ "${TORCH:-1}" = 1 ] || { echo "skipped: TORCH=$TORCH"; return 77; }
  venv torch "./compiler/python[torch]" || no_packages || return
  export_with $here/export_torch.py
}

# Compilers that share a cache, half of them killed; ROUNDS of them (default 10).
stress() {
  command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; return 77; }
  python3 $here/cache_stress.py "$BIN" tests/corpus/models/vit_tiny_forward/model.stablehlo.mlir "${ROUNDS:-10}"
}

s3() {
  venv stores "moto[s3,server]" huggingface_hub || no_packages || return
  "$python" $here/stores.py s3 "$BIN"
}

hub() {
  venv stores "moto[s3,server]" huggingface_hub || no_packages || return
  "$python" $here/stores.py hub "$BIN"
}

# Many graphs on several workers, twice; the second time from the cache.
ray() {
  venv ray ray || no_packages || return
  mkdir "$tmp/models"
  for case in dot_plain ew_binary_int fft mv_pad sort_multi reduce_window; do
    cp "tests/corpus/ops/$case/model.stablehlo.mlir" "$tmp/models/$case.mlir"
  done
  for time in first second; do
    NEURON_COMPILE_CACHE_URL="$tmp/cache" RAY_WORKERS=4 "$python" examples/ray_compile.py "$BIN/ferrite" "$tmp/models" --target trn1 \
      >"$tmp/$time" 2>"$tmp/ray.log" || { cat "$tmp/$time"; tail -3 "$tmp/ray.log"; return 1; }
  done
  cat "$tmp/first"
  [ "$(grep -c 'from the cache' "$tmp/second")" = 6 ] && ! grep -q 'from the cache' "$tmp/first"
}

# A profile's page in headless Chromium, offline: renders, zooms, searches.
page() {
  chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
  { [ -n "$chromium" ] && command -v npm >/dev/null; } || { echo "skipped: chromium or npm is not installed (Debian: chromium, npm)"; return 77; }
  npm install --silent --no-audit --no-fund --prefix "$venvs/browser" playwright-core >"$tmp/npm.log" 2>&1 ||
    { echo "skipped: $(tail -1 "$tmp/npm.log")"; return 77; }
  "$BIN/ferrite" compile tests/corpus/models/vit_tiny_forward/model.stablehlo.mlir -o "$tmp/m.neff" >/dev/null &&
    "$BIN/ferrite" profile "$tmp/m.neff" --out "$tmp/profile" >/dev/null &&
    NODE_PATH="$PWD/$venvs/browser/node_modules" node $here/report.mjs "$tmp/profile/report.html" "$chromium" "$tmp/report.png"
}

# Whole models of the corpus, which is not in the repository.
full() {
  corpus=${FERRITE_CORPUS:-../shared/corpus}
  [ -d "$corpus/full" ] || { echo "skipped: no folder full in FERRITE_CORPUS"; return 77; }
  venv numbers numpy || no_packages || return
  "$python" $here/full_models.py "$BIN/ferrite" "$corpus"
}

# The same products in SCALE-Sim; WRITE=1 records the result in benches/results. Its reports convert arrays in a way that newer releases of NumPy refuse.
scale() {
  [ -x "${SPEED:-$BIN/speed}" ] || { echo "skipped: cargo build --release -p ferrite-benches --bin speed"; return 77; }
  venv scale scalesim "numpy<2.4" || no_packages || return
  "$python" $here/scalesim_compare.py "${SPEED:-$BIN/speed}" ${WRITE:+benches/results}
}

mlir() {
  opt=$(command -v mlir-opt || command -v mlir-opt-22) || { echo "skipped: mlir-opt is not installed (Debian: mlir-22-tools)"; return 77; }
  "$BIN/ferrite" compile tests/corpus/models/vit_tiny_forward/model.stablehlo.mlir -o "$tmp/m.neff" >/dev/null &&
    "$BIN/ferrite" inspect "$tmp/m.neff" --disassemble | "$opt" --allow-unregistered-dialect >/dev/null
}

section() {
  echo "== $1: $2"
  start=$(date +%s)
  "$1"
  case $? in
  0) passed=$((passed + 1)); result=ok ;;
  77) skipped=$((skipped + 1)); result=skipped ;;
  *) failed=$((failed + 1)); result=FAILED ;;
  esac
  echo "-- $1: $result, $(($(date +%s) - start)) s"
}

all="containers stress package jax_functions xla_hlo flax torch s3 hub ray jax_primitives full page scale mlir"
for name in ${*:-$all}; do
  case $name in
  containers) section containers "NEFFs read by tar, and by a reader after the public description" ;;
  stress) section stress "32 processes on one compile cache, half of them killed at random moments" ;;
  package) section package "the Python package, installed from the repository" ;;
  jax_functions) section jax_functions "functions traced by JAX, simulated, compared with XLA:CPU" ;;
  xla_hlo) section xla_hlo "the HLO that ferrite convert writes, read and run by XLA" ;;
  flax) section flax "ferrite export of a Flax model" ;;
  torch) section torch "ferrite export of a PyTorch model" ;;
  s3) section s3 "the compile cache behind an S3 server" ;;
  hub) section hub "the compile cache behind the layout and API of the Hugging Face Hub" ;;
  ray) section ray "many graphs as tasks of Ray" ;;
  jax_primitives) section jax_primitives "programs of JAX's primitive tests: interpreted, printed, read by jaxlib" ;;
  full) section full "whole models of the corpus against the interpreter" ;;
  page) section page "a profile's page in headless Chromium" ;;
  scale) section scale "products beside SCALE-Sim: cycles of the array and time" ;;
  mlir) section mlir "our dumps, read by mlir-opt" ;;
  *) echo "no section $name: $all"; exit 2 ;;
  esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
