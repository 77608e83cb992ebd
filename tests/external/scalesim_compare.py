"""The same products in Ferrite's simulator and in SCALE-Sim (PyPI: scalesim), in one run: cycles of a 128 x 128 weight-stationary array, and time.

    python scalesim_compare.py SPEED_EXECUTABLE [FOLDER]

With FOLDER, the result is written there as scalesim.md and scalesim.json.

SPEED_EXECUTABLE is `speed` of ferrite-benches, built with optimisation. SCALE-Sim models the array and its SRAMs with a fixed bandwidth and no
instructions, so its cycles are compared with the time in which TensorE is occupied, not with the whole program's. Its stationary operand is [K, N] and
ours is [K, M], so M and N change places; it fills and drains the array for every stationary tile, where TensorE loads the next one behind a running product.
"""

import csv
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

GEMMS = [(128, 512, 512), (256, 512, 512), (128, 1024, 768), (512, 512, 512)]

CONFIG = """[general]
run_name = ferrite
[architecture_presets]
ArrayHeight:    128
ArrayWidth:     128
IfmapSramSzkB:    8192
FilterSramSzkB:   8192
OfmapSramSzkB:    2048
IfmapOffset:    0
FilterOffset:   10000000
OfmapOffset:    20000000
Bandwidth : 256
Dataflow : ws
MemoryBanks:   1
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport : false
SparseRep : ellpack_block
OptimizedMapping : false
BlockSize : 8
RandomNumberGeneratorSeed : 40
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def scalesim(folder, m, n, k):
    """Cycles by SCALE-Sim, and its seconds."""
    config, topology, layout = (os.path.join(folder, f) for f in ("scale.cfg", "gemm.csv", "layout.csv"))
    with open(config, "w") as f:
        f.write(CONFIG)
    with open(topology, "w") as f:
        f.write(f"Layer,M,N,K,\ngemm,{n},{m},{k},\n")
    with open(layout, "w") as f:
        f.write("Layer,\n")
    code = (
        "import sys\n"
        "from scalesim.scale_sim import scalesim\n"
        "s = scalesim(save_disk_space=True, verbose=False, config=sys.argv[1], topology=sys.argv[2], layout=sys.argv[3], input_type_gemm=True)\n"
        "s.run_scale(top_path=sys.argv[4])\n"
    )
    start = time.time()
    done = subprocess.run([sys.executable, "-c", code, config, topology, layout, folder], capture_output=True, text=True)
    seconds = time.time() - start
    for root, _, files in os.walk(folder):
        if "COMPUTE_REPORT.csv" in files:
            with open(os.path.join(root, "COMPUTE_REPORT.csv")) as f:
                header, row = list(csv.reader(f))[:2]
            names = [h.strip() for h in header]
            values = dict(zip(names, (v.strip() for v in row)))
            column = next(c for c in ("Total Cycles", "Total Cycles (incl. prefetch)") if c in values)
            return float(values[column]), seconds
    sys.exit(f"SCALE-Sim gave no report for {m} x {n} x {k}:\n{done.stdout[-500:]}\n{done.stderr[-1500:]}")


def versions():
    """What was compared, and where."""
    from importlib.metadata import version

    here = os.path.dirname(os.path.abspath(__file__))
    git = subprocess.run(["git", "-C", here, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True)
    return {"commit": git.stdout.strip() or "unknown", "scalesim": version("scalesim"), "machine": f"{os.cpu_count()} x {platform.machine()}"}


def main():
    speed = sys.argv[1]
    shapes = [",".join(map(str, g)) for g in GEMMS]
    out = subprocess.run([speed, "--gemms", *shapes], capture_output=True, text=True, check=True).stdout
    ours = list(csv.DictReader(io.StringIO(out)))
    rows = []
    for (m, n, k), row in zip(GEMMS, ours):
        with tempfile.TemporaryDirectory() as folder:
            cycles, seconds = scalesim(folder, m, n, k)
        tensor = float(row["tensor_cycles"])
        rows.append(
            {
                "m": m,
                "n": n,
                "k": k,
                "ideal_cycles": m * n * k / (128 * 128),
                "tensor_cycles": tensor,
                "scalesim_cycles": cycles,
                "ratio": round(tensor / cycles, 3),
                "seconds": float(row["seconds"]),
                "scalesim_seconds": round(seconds, 3),
            }
        )
    about = versions()
    lines = [
        "# Products beside SCALE-Sim",
        "",
        f"Written by `tests/external/scalesim_compare.py`. Commit `{about['commit']}`, SCALE-Sim {about['scalesim']}, {about['machine']}; both in the same run.",
        "Cycles in which TensorE is occupied (trn2, bf16) and those of a 128 x 128 weight-stationary array; seconds by the clock, SCALE-Sim's with its start.",
        "",
        "| M x N x K | ideal | Ferrite | SCALE-Sim | ratio | Ferrite s | SCALE-Sim s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in rows:
        lines.append(
            f"| {r['m']} x {r['n']} x {r['k']} | {r['ideal_cycles']:.0f} | {r['tensor_cycles']:.0f} | {r['scalesim_cycles']:.0f} | {r['ratio']:.2f} | "
            f"{r['seconds']:.6f} | {r['scalesim_seconds']:.3f} |"
        )
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if len(sys.argv) > 2:
        with open(os.path.join(sys.argv[2], "scalesim.md"), "w") as f:
            f.write(text)
        with open(os.path.join(sys.argv[2], "scalesim.json"), "w") as f:
            json.dump({**about, "rows": rows}, f, indent=2)
            f.write("\n")
    # Both have the array's rate; they differ in how much of filling and draining is hidden.
    worst = max(max(r["ratio"], 1 / r["ratio"]) for r in rows)
    if worst > 2.0:
        sys.exit(f"cycles differ by a factor of {worst:.2f}")


if __name__ == "__main__":
    main()
