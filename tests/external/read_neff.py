"""An independent reader of NEFFs, after the published description of the container alone.

    read_neff.py FILE..

Knows nothing of Ferrite's sources: header, archive, `kelf-0.json`, `def.json` and engine files are read as AWS documents
them, and every rule of the documents is checked: required fields and their types, value lists, limits, references between
files, and that no transfer leaves its variables. Prints a line a file; exit code 1 if a rule is broken.
"""

import hashlib
import io
import json
import math
import struct
import sys
import tarfile

HEADER = struct.Struct("<QQQQQ128sI32s16s256sI64sQI468s")
FIELDS = (
    "pkg_version header_size data_size neff_version_major neff_version_minor neff_build_version num_tpb hash uuid name "
    "requested_tpb_count tpb_per_node feature_bits lnc_size pad"
).split()
ENGINES = ("pe", "act", "pool", "dve", "sp")
QUEUE_TYPES = {"in", "out", "data", "embedding_update", "dynamic"}
VARIABLE_TYPES = {"state-buffer", "input", "output", "file", "tmp-buf", "virtual", "pointer", "dge-table"}
OPERATIONS = {"copy", "cast", "add", "min", "max", "fma", "transpose"}
DTYPES = {
    "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "uint64": 8, "int64": 8,
    "float8e3": 1, "float8e4": 1, "float8e5": 1, "float16": 2, "bfloat16": 2, "float32": 4, "float32r": 4,
}  # fmt: skip
# The readers of TensorFlow's plugin and of vLLM's take no more than this.
MOST_CORES = 64


class Broken(Exception):
    """A rule of the documents does not hold."""


def require(holds, text):
    if not holds:
        raise Broken(text)


def header(data):
    require(len(data) >= HEADER.size == 1024, "shorter than a header")
    h = dict(zip(FIELDS, HEADER.unpack_from(data)))
    require(h["pkg_version"] == 2, f"package version {h['pkg_version']}")
    require(24 <= h["header_size"] <= len(data), f"header size {h['header_size']}")
    payload = data[h["header_size"] :]
    require(h["data_size"] == len(payload), f"{len(payload)} bytes follow, the header says {h['data_size']}")
    require(h["neff_version_major"] in (1, 2), "NEFF version")
    require(not any(h["pad"]), "padding is not zero")
    for name in ("name", "neff_build_version"):
        text, _, rest = h[name].partition(b"\0")
        require(len(text) < len(h[name]) and not any(rest), f"{name} does not end with zeros")
        h[name] = text.decode()
    # With version 2 tools print 16 bytes.
    require(h["hash"][:16] == hashlib.md5(payload).digest() and not any(h["hash"][16:]), "hash is not that of the payload")
    require(h["uuid"][6] >> 4 in range(1, 9) and h["uuid"][8] >> 6 == 2, "uuid has no version or variant")
    require(1 <= h["num_tpb"] <= MOST_CORES and h["requested_tpb_count"] >= 1, "number of cores")
    require(1 <= max(h["tpb_per_node"]) <= MOST_CORES, "cores of a node")
    require(h["lnc_size"] in (1, 2), f"logical core of {h['lnc_size']}")
    # A real runtime knows bits 0 to 7 and 63: it must refuse instructions that are not its own.
    require(h["feature_bits"] & ~0x80000000000000FF, "no feature bit keeps a device from running it")
    return h, payload


def archive(payload):
    packed = payload[:2] == b"\x1f\x8b"
    files = {}
    with tarfile.open(fileobj=io.BytesIO(payload), mode="r:gz" if packed else "r:") as tar:
        for member in tar:
            require(member.isfile() and not member.name.startswith("/") and ".." not in member.name, f"member {member.name}")
            require((member.mtime, member.uid, member.gid) == (0, 0, 0), f"{member.name} says when and by whom")
            files[member.name] = tar.extractfile(member).read()
    require("kelf-0.json" in files, "no kelf-0.json")
    order = list(files)
    first = min((order.index(n) for n in order if n.endswith("/def.json")), default=len(order))
    require(order.index("kelf-0.json") < first, "kelf-0.json comes after a definition")
    return packed, files


def typed(thing, key, kind, where, required=True):
    value = thing.get(key)
    require(value is not None or not required, f"{where}: no `{key}`")
    # bool is an int to Python.
    right = value is None or isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    require(right, f"{where}: `{key}` is {value!r}")
    return value


def queues(definition, where):
    for name, queue in typed(definition, "dma_queue", dict, where).items():
        place = f"{where}: queue {name}"
        require(typed(queue, "type", str, place) in QUEUE_TYPES, f"{place}: type")
        require(1 <= queue.get("num_queues", 1) <= 16, f"{place}: number of queues")
        require(queue.get("owner", "pe") in ENGINES, f"{place}: owner")
        require(queue.get("fabric_path", "main") in ("main", "alt"), f"{place}: fabric path")
    return definition["dma_queue"]


def variables(definition, folder, files):
    where = f"{folder}/def.json"
    numbers = set()
    for name, var in typed(definition, "var", dict, where).items():
        place = f"{where}: variable {name}"
        kind = typed(var, "type", str, place)
        require(kind in VARIABLE_TYPES, f"{place}: type {kind}")
        number = typed(var, "var_id", int, place)
        require(number not in numbers and len(name.encode()) <= 255, f"{place}: number or name")
        numbers.add(number)
        typed(var, "size", int, place, kind != "state-buffer")
        alignment = var.get("alignment", 0)
        require(alignment & (alignment - 1) == 0, f"{place}: alignment")
        if kind == "file":
            file = f"{folder}/{typed(var, 'file_name', str, place)}"
            require(file in files, f"{place}: {file} is not in the archive")
            require(file.endswith(".npy") or len(files[file]) == var["size"], f"{place}: {file} has another size")
        if kind == "virtual":
            typed(var, "backing_variable_off", int, place)
        if kind == "pointer":
            typed(var, "referenced_var_id", int, place)
    return definition["var"]


def reach(steps, sizes):
    """Lowest and highest byte offset that is touched."""
    spans = [step * (count - 1) for step, count in zip(steps, sizes)]
    return sum(min(span, 0) for span in spans), sum(max(span, 0) for span in spans)


def side(desc, prefix, var, place):
    name = typed(desc, "to" if prefix == "to" else "from", str, place)
    require(name in var, f"{place}: variable {name} does not exist")
    offset = typed(desc, f"{prefix}_off", int, place)
    steps, sizes = typed(desc, f"{prefix}_steps", list, place), typed(desc, f"{prefix}_sizes", list, place)
    require(1 <= len(steps) <= 4 and len(steps) == len(sizes), f"{place}: steps {steps}, sizes {sizes}")
    require(all(type(n) is int for n in steps + sizes) and min(sizes) > 0, f"{place}: steps {steps}, sizes {sizes}")
    dtype = desc.get(f"{prefix}_dtype", "uint8")
    # Types that the documents do not list carry a prefix of whoever needs them.
    width = DTYPES.get(dtype)
    require(width or dtype.startswith("ferrite_"), f"{place}: element type {dtype}")
    require(not width or sizes[0] % width == 0, f"{place}: a run of {sizes[0]} bytes of {dtype}")
    low, high = reach(steps, sizes)
    size = var[name].get("size")
    require(offset + low >= 0 and (size is None or offset + high < size), f"{place}: leaves {name} of {size} bytes")
    return math.prod(sizes), dtype


def transfers(engine, var, queue_sets, where):
    descriptors = 0
    for dma in typed(engine, "dma", list, where):
        place = f"{where}: transfer {typed(dma, 'id', int, where)}"
        queue = dma.get("instance_name") or typed(dma, "queue", str, place)
        require(queue in queue_sets, f"{place}: queue {queue} does not exist")
        require("event" in dma or "semaphore" in dma, f"{place}: nobody hears of its end")
        desc = typed(dma, "desc", (list, dict), place)
        for piece in desc if isinstance(desc, list) else [desc]:
            operation = piece.get("op", "copy")
            require(operation in OPERATIONS, f"{place}: operation {operation}")
            written, to_dtype = side(piece, "to", var, place)
            sources = piece.get("from_arr") or [piece]
            require(len(sources) <= 16, f"{place}: {len(sources)} sources")
            for source in sources:
                read, dtype = side(source, "from", var, place)
                same = read == written
                cast = DTYPES.get(dtype) and DTYPES.get(to_dtype)
                same = same or cast and read // DTYPES[dtype] == written // DTYPES[to_dtype]
                require(same, f"{place}: reads {read} bytes of {dtype} and writes {written} of {to_dtype}")
                descriptors += math.prod(source["from_sizes"][1:])
            descriptors += math.prod(piece["to_sizes"][1:])
    return descriptors


def read(path):
    with open(path, "rb") as file:
        head, payload = header(file.read())
    packed, files = archive(payload)
    parsed = lambda name: json.loads(files[name])
    kelf = parsed("kelf-0.json")
    require(kelf["version"] == "0.5" and len(kelf["graphs"]) == head["num_tpb"], "kelf-0.json and the header differ")
    result = {"path": path, "header": head, "packed": packed, "cores": []}
    for number, graph in enumerate(kelf["graphs"]):
        folder = graph["name"]
        require(folder == f"sg{number:02}" and graph["definition"] == f"{folder}/def.json", f"graph {folder}")
        definition = parsed(graph["definition"])
        require(definition.get("name") == "definition", f"{folder}/def.json: name")
        queue_sets, var = queues(definition, f"{folder}/def.json"), variables(definition, folder, files)
        core = {"descriptors": 0, "code": 0, "inputs": {}, "outputs": {}}
        for engine in ENGINES:
            description = parsed(f"{folder}/{definition[engine]}")
            typed(description, "instr", list, f"{folder}/{definition[engine]}")
            core["descriptors"] += transfers(description, var, queue_sets, f"{folder}/{definition[engine]}")
            core["code"] += len(files[f"{folder}/{definition[engine + '_instr']}"])
        sets = parsed(f"{folder}/{definition['act']}").get("activation_function_sets", [])
        require(all(isinstance(name, str) for name in sets), "activation function sets")
        for name, v in var.items():
            if v["type"] in ("input", "output"):
                core[v["type"] + "s"][name] = v["size"]
        virtual = [v for v in var.values() if v["type"] == "virtual"]
        core["scratch"] = max((v["backing_variable_off"] + v["size"] for v in virtual), default=0)
        core["constants"] = sum(v["size"] for v in var.values() if v["type"] == "file")
        result["cores"].append(core)
    return result


def main(paths):
    failed = 0
    for path in paths:
        try:
            neff = read(path)
        except (Broken, KeyError, ValueError, tarfile.TarError, EOFError) as error:
            failed += 1
            print(f"{path}: {type(error).__name__}: {error}")
            continue
        first, head = neff["cores"][0], neff["header"]
        print(
            f"{head['name']}: {head['num_tpb']} core(s), {'gzip' if neff['packed'] else 'plain'}, "
            f"{len(first['inputs'])} in, {len(first['outputs'])} out, {sum(c['code'] for c in neff['cores'])} bytes of code, "
            f"{first['descriptors']} descriptors, {first['scratch']} bytes of scratch, {first['constants']} of constants"
        )
    print(f"{len(paths) - failed} of {len(paths)} read")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
