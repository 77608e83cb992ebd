"""Many compilers on one compile cache, half of them killed at random moments.

    python3 cache_stress.py BIN MODEL [rounds] [seed]

A round starts 32 processes of `neuronx-cc compile` over a handful of keys and kills every second one after a random part of
the time that a compilation takes. Whatever a process left must be the whole right result or nothing; no key may be stored
twice in a round; at the end every entry must fit its digest, and no lock and no temporary file may be left. Every round but
the last begins with the cache that the kills of the one before left, of which it removes some results.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

PROCESSES = 32
KEYS = [["--target", target, *level] for target in ("trn1", "trn2") for level in (["-O1"], ["-O2"], ["--auto-cast=all"], ["--auto-cast=matmult"])]


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def start(compiler, model, folder, key, cache):
    os.makedirs(folder, exist_ok=True)
    command = [compiler, "compile", model, "--framework=XLA", *key, "--lnc=1", "-o", "m.neff", "--logfile", "log"]
    environment = {**os.environ, **({"FERRITE_COMPILE_CACHE": cache} if cache else {})}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(process, count):
    count["killed"] += 1
    count["killed late"] += process.poll() is not None
    process.kill()


def main():
    binaries, model = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    rounds, seed = (int(given) if given else default for given, default in zip(sys.argv[3:5] + ["", ""], (10, 1)))
    compiler, ferrite = os.path.join(binaries, "neuronx-cc"), os.path.join(binaries, "ferrite")
    draw = random.Random(seed)
    count = dict.fromkeys(("killed", "killed late", "wrong", "torn", "failed", "stored", "hits", "stored twice", "removed"), 0)
    with tempfile.TemporaryDirectory() as root:
        cache = os.path.join(root, "cache")
        expected, began = [], time.monotonic()
        for n, key in enumerate(KEYS):
            folder = os.path.join(root, f"reference-{n}")
            assert start(compiler, model, folder, key, None).wait() == 0
            expected.append(digest(os.path.join(folder, "m.neff")))
        alone = (time.monotonic() - began) / len(KEYS)
        for turn in range(rounds):
            running = []
            for n in range(PROCESSES):
                key = draw.randrange(len(KEYS))
                folder = os.path.join(root, f"{turn}-{n}")
                process = start(compiler, model, folder, KEYS[key], cache)
                victim = None
                if n % 2 == 0:
                    victim = threading.Timer(draw.uniform(0, 2 * alone), kill, (process, count))
                    victim.start()
                running.append((process, folder, key, victim))
            for *_, victim in running:
                if victim:
                    victim.join()
            stored = dict.fromkeys(range(len(KEYS)), 0)
            for process, folder, key, victim in running:
                status = process.wait()
                count["failed"] += victim is None and status != 0
                log, made = os.path.join(folder, "log"), os.path.join(folder, "m.neff")
                said = open(log).read() if os.path.exists(log) else ""
                stored[key] += "cache: stored" in said
                count["hits"] += "cache: hit" in said
                if os.path.exists(made):
                    count["wrong"] += digest(made) != expected[key]
                else:
                    count["torn"] += status == 0
            count["stored"] += sum(stored.values())
            count["stored twice"] += sum(n > 1 for n in stored.values())
            if turn + 1 < rounds:
                for folder, _, names in os.walk(cache):
                    if "model.done" in names and draw.random() < 0.5:
                        os.remove(os.path.join(folder, draw.choice(["model.done", "model.neff"])))
                        count["removed"] += 1
        # What is left is completed, and then whole.
        for key, want in zip(KEYS, expected):
            folder = os.path.join(root, "last")
            assert start(compiler, model, folder, key, cache).wait() == 0
            count["wrong"] += digest(os.path.join(folder, "m.neff")) != want
        told = subprocess.run([ferrite, "cache", "verify", "--cache-dir", cache, "--json"], capture_output=True, text=True)
        verified = json.loads(told.stdout)
        subprocess.run([ferrite, "cache", "clear-locks", "--cache-dir", cache], check=True, stdout=subprocess.DEVNULL)
        names = [name for _, _, names in os.walk(cache) for name in names]
        odd = [name for name in names if name.startswith(".") or name.endswith("lock")]
    print(f"{rounds} rounds of {PROCESSES} processes over {len(KEYS)} keys, seed {seed}, a compilation takes {1e3 * alone:.0f} ms alone")
    print(", ".join(f"{name}: {n}" for name, n in count.items()))
    print(f"entries that fit their digests: {verified['checked'] - len(verified['damaged'])} of {verified['checked']}; left over: {odd}")
    bad = sum(count[name] for name in ("wrong", "torn", "failed", "stored twice"))
    return 1 if bad or verified["damaged"] or verified["checked"] != len(KEYS) or odd else 0


if __name__ == "__main__":
    sys.exit(main())
