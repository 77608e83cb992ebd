"""Compiles a folder of models with Ray: a task a model, results shared through the compile cache.

    python examples/ray_compile.py FERRITE MODELS [options of neuronx-cc]

A task is `ferrite compile-many` of one model. It keeps no state but the cache, so Ray may start it anywhere and again.
NEURON_COMPILE_CACHE_URL says where the cache is: a folder all workers see, or s3://bucket/prefix. RAY_WORKERS starts Ray
with that many workers on this machine; without it Ray decides, or the cluster that it is connected to.
"""

import json
import os
import subprocess
import sys

import ray


@ray.remote(num_cpus=1, max_retries=3)
def compile_one(ferrite, model, flags, environment):
    command = [ferrite, "compile-many", model, "--jobs", "1", "--json", "--", *flags]
    ran = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if not ran.stdout:
        raise RuntimeError(ran.stderr)
    report = json.loads(ran.stdout)
    if "compilation_report" not in report:
        raise RuntimeError(ran.stderr)
    (item,) = report["compilation_report"].values()
    return model, item


def main():
    ferrite, folder, *flags = sys.argv[1:]
    ferrite, folder = os.path.abspath(ferrite), os.path.abspath(folder)
    models = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    environment = {k: v for k, v in os.environ.items() if k.startswith(("NEURON_", "FERRITE_", "AWS_"))}
    workers = os.environ.get("RAY_WORKERS")
    ray.init(log_to_driver=False, include_dashboard=False, **({"num_cpus": int(workers)} if workers else {}))
    waiting = [compile_one.remote(ferrite, model, flags, environment) for model in models]
    failed = 0
    while waiting:
        (done,), waiting = ray.wait(waiting, num_returns=1)
        model, item = ray.get(done)
        what = "from the cache" if item["cached"] else f"{item['compile_time']:.1f} s"
        failed += not item["status"]
        print(f"{os.path.basename(model)}: {what if item['status'] else item['error'].strip()}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
