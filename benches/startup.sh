#!/bin/sh
# How long a start takes, and a compilation that is in the cache: a table for benches/results/startup.md.
# Usage: benches/startup.sh [folder of the executables]   (needs python3; hyperfine is not needed)
set -eu
cd "$(dirname "$0")/.."
exec python3 - "${1:-target/release}" <<'PYTHON'
import os, platform, statistics, subprocess, sys, tempfile, time

folder = os.path.abspath(sys.argv[1])
model = os.path.abspath("tests/corpus/models/vit_tiny_forward/model.stablehlo.mlir")
runs = 50


def measure(command, environment={}):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1e3)
    return times


def row(name, times):
    print(f"| {name} | {statistics.median(times):.1f} | {statistics.stdev(times):.1f} | {min(times):.1f} | {max(times):.1f} |")


compiler = os.path.join(folder, "neuronx-cc")
version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
with tempfile.TemporaryDirectory() as scratch:
    compile = [compiler, "compile", model, "--framework=XLA", "--target=trn1", "--verbose=35", f"--output={scratch}/m.neff", f"--logfile={scratch}/l"]
    cache = {"FERRITE_COMPILE_CACHE": os.path.join(scratch, "cache")}
    load = os.getloadavg()[0]
    print(f"{version}, {os.path.basename(folder)} build, {platform.machine()}, {os.cpu_count()} processors, load {load:.1f} before; {runs} runs each\n")
    print("| command | median ms | sigma | min | max |")
    print("| --- | ---: | ---: | ---: | ---: |")
    row("`true` (what starting a process takes)", measure(["true"]))
    row("`neuronx-cc --version`", measure([compiler, "--version"]))
    row("`ferrite --version`", measure([os.path.join(folder, "ferrite"), "--version"]))
    row("`neuronx-cc compile` of vit_tiny, in the cache", measure(compile, cache))
    runs = 5
    row("the same, compiled", measure(compile))
PYTHON
