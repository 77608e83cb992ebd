#!/bin/sh
# How long a start takes, and a compilation that is in the cache: a table for benches/results/startup.md.
# Usage: benches/startup.sh [folder of the executables]   (needs hyperfine, a package of Debian's, and python3)
set -eu
cd "$(dirname "$0")/.."
bin=$(cd "${1:-target/release}" && pwd)
model=$PWD/tests/corpus/models/vit_tiny_forward/model.stablehlo.mlir
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
compile="$bin/neuronx-cc compile $model --framework=XLA --target=trn1 --verbose=35 --output=$tmp/m.neff --logfile=$tmp/l"
load=$(cut -d' ' -f1 /proc/loadavg)
measure() { hyperfine -N -w 3 "$@" >/dev/null 2>&1; }
measure -r 100 --export-json "$tmp/0.json" -n '`true` (what starting a process takes)' true \
  -n '`neuronx-cc --version`' "$bin/neuronx-cc --version" -n '`ferrite --version`' "$bin/ferrite --version"
FERRITE_COMPILE_CACHE=$tmp/cache measure -r 50 --export-json "$tmp/1.json" -n '`neuronx-cc compile` of vit_tiny, in the cache' "$compile"
measure -r 20 --export-json "$tmp/2.json" -n 'the same, compiled' "$compile"
"$bin/neuronx-cc" --version 2>/dev/null | head -1 | tr -d '\n'
echo ", $(basename "$bin") build, $(uname -m), $(nproc) processors, load $load before"
python3 - "$tmp" <<'PYTHON'
import json, sys

print("\n| command | median ms | min | processor time |\n| --- | ---: | ---: | ---: |")
for n in range(3):
    with open(f"{sys.argv[1]}/{n}.json") as file:
        for row in json.load(file)["results"]:
            ms = [1e3 * row[key] for key in ("median", "min")]
            print(f"| {row['command']} | {ms[0]:.1f} | {ms[1]:.1f} | {1e3 * (row['user'] + row['system']):.1f} |")
PYTHON
