"""The compile cache through real clients and servers of its stores, all on this machine.

    stores.py s3 FOLDER     S3: moto, a server that AWS's own clients are tested with
    stores.py hub FOLDER    the Hugging Face Hub: a server of its layout and API, read and filled by huggingface_hub

FOLDER has the executables. In each a model is compiled by way of the store in one folder and found in another.
"""

import base64
import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "../corpus/ops/dot_plain/model.stablehlo.mlir")
PROCESSES = 8


def run(command, environment, folder, expected=0):
    ran = subprocess.run(command, env={**os.environ, **environment}, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == expected, f"{command}: {ran.returncode}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


class Machine:
    """A cache folder of its own, as another machine has one."""

    def __init__(self, binaries, root, name, environment):
        self.folder = os.path.join(root, name)
        self.cache = os.path.join(self.folder, "cache")
        self.binaries, self.environment = binaries, environment
        os.makedirs(self.folder)

    def command(self, *more):
        return [os.path.join(self.binaries, "neuronx-cc"), "compile", MODEL, "--framework=XLA", "--target=trn1", "--verbose=35", *more]

    def compile(self, url, *more):
        """What the log says of the cache."""
        environment = {**self.environment, "FERRITE_COMPILE_CACHE": self.cache, "NEURON_COMPILE_CACHE_URL": url}
        run(self.command("--output=m.neff", *more), environment, self.folder)
        with open(os.path.join(self.folder, "log-neuron-cc.txt")) as log:
            self.log = log.read()
        return re.search(r"(cache: \w+ MODULE_\w+\+\w+|the compile cache was not used: .*)", self.log).group(0)

    def neff(self):
        with open(os.path.join(self.folder, "m.neff"), "rb") as file:
            return file.read()

    def ask(self, *command, expected=0):
        full = [os.path.join(self.binaries, "ferrite"), "cache", *command, "--cache-dir", self.cache, "--json"]
        return json.loads(run(full, self.environment, self.folder, expected))


def said(what, text):
    assert text.startswith(f"cache: {what} "), text
    return text.split()[2]


def s3(binaries, root):
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    # It has races of its own, which it answers with 500 and a trace: a reason to try again, as with S3 itself.
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL + 1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket="graphs")
    environment = {**keys, "AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": "true"}
    url = "s3://graphs/team/cache"
    machine = lambda name: Machine(binaries, root, name, environment)

    first, second = machine("first"), machine("second")
    key = said("stored", first.compile(url))
    assert said("hit", second.compile(url)) == key
    assert first.neff() == second.neff()
    names = {o["Key"].rsplit("/", 1)[1] for o in client.list_objects_v2(Bucket="graphs")["Contents"]}
    assert names == {"model.hlo_module.pb", "compile_flags.json", "model.neff", "model.neff.sha256", "model.done"}, names

    # Many processes, each with a folder of its own, and an entry that is still on its way: no `model.done`.
    version = first.ask("list")["entries"][0]["version"]
    at = lambda name: f"team/cache/neuronxcc-{version}/{key}/{name}"
    client.delete_object(Bucket="graphs", Key=at("model.done"))
    many = [machine(f"many{n}") for n in range(PROCESSES)]
    results = [None] * PROCESSES
    threads = [threading.Thread(target=lambda n=n: results.__setitem__(n, many[n].compile(url))) for n in range(PROCESSES)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert all(r and r.split()[1] in ("stored", "hit") for r in results), results
    assert all(m.neff() == first.neff() for m in many)

    # A result that changed in the store is compiled again, not taken.
    client.put_object(Bucket="graphs", Key=at("model.neff"), Body=b"something else")
    third = machine("third")
    said("stored", third.compile(url))
    assert third.neff() == first.neff()

    # Large results go in parts, and come back equal.
    large = machine("large")
    entry = os.path.join(large.cache, f"neuronxcc-{version}", "MODULE_0123456789abcdef0123+e30acd3a")
    os.makedirs(entry)
    content = os.urandom(40 << 20)
    files = {"model.neff": content, "model.neff.sha256": f"{hashlib.sha256(content).hexdigest()}  model.neff\n".encode()}
    for name, data in {**files, "model.hlo_module.pb": b"graph", "compile_flags.json": b"[]", "model.done": b""}.items():
        with open(os.path.join(entry, name), "wb") as file:
            file.write(data)
    assert len(large.ask("synchronize", url, "--push")["pushed"]) == 1
    fourth = machine("fourth")
    pulled = fourth.ask("synchronize", url, "--pull")["pulled"]
    assert any("0123456789abcdef0123" in p for p in pulled), pulled
    assert fourth.ask("verify")["damaged"] == []
    parts = client.head_object(Bucket="graphs", Key=at("model.neff").replace(key, os.path.basename(entry)))["ETag"]
    assert parts.strip('"').endswith("-3"), parts  # an upload of three parts

    # No bucket, no server: the model is compiled all the same.
    nobody = machine("nobody")
    assert nobody.compile("s3://nobody/x") and nobody.neff() == first.neff()
    assert "was not sent to the store" in nobody.log, nobody.log
    dead = Machine(binaries, root, "dead", {**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert dead.compile(url) and "nothing was fetched from the store" in dead.log, dead.log
    assert dead.neff() == first.neff()
    server.stop()
    print(f"ok: S3 (moto), {PROCESSES} processes at once, 40 MiB in parts")


class Hub(http.server.BaseHTTPRequestHandler):
    """Layout and API of the Hub, as far as huggingface_hub and a cache need them. Lists come in pages; results, as large
    files do, from another address; nothing without a token."""

    files = {}
    commits = 0
    cdn = ""
    protocol_version = "HTTP/1.1"
    REPOSITORY, TOKEN = "org/cache", "hf_token"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in [("Content-Length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        path, query = urllib.parse.unquote(url.path), urllib.parse.parse_qs(url.query)
        if path.startswith("/cdn/"):
            # Another host: the token is not for it.
            return self.answer(403 if "Authorization" in self.headers else 200, self.files[path[5:]])
        if self.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        match = re.fullmatch(f"/api/models/{self.REPOSITORY}/tree/[^/]+/?(.*)", path)
        if match:
            below = match[1].strip("/")
            found = sorted(f for f in self.files if not below or f.startswith(below + "/"))
            if not found:
                return self.answer(404, {"error": "Entry not found"})
            start = int(query.get("cursor", ["0"])[0])
            page = [
                {"type": "file", "path": f, "size": len(self.files[f]), "oid": hashlib.sha1(self.files[f]).hexdigest()}
                for f in found[start : start + 2]
            ]
            link = []
            if start + 2 < len(found):
                host = self.headers["Host"]
                link = [("Link", f'<http://{host}{url.path}?recursive=true&cursor={start + 2}>; rel="next"')]
            return self.answer(200, page, link)
        if path.startswith(f"/api/models/{self.REPOSITORY}"):
            siblings = [{"rfilename": f} for f in sorted(self.files)]
            return self.answer(200, {"id": self.REPOSITORY, "sha": f"{self.commits:040x}", "siblings": siblings})
        match = re.fullmatch(f"/{self.REPOSITORY}/resolve/[^/]+/(.+)", path)
        if match and match[1] in self.files:
            content = self.files[match[1]]
            headers = [("X-Repo-Commit", f"{self.commits:040x}"), ("ETag", f'"{hashlib.sha1(content).hexdigest()}"')]
            if match[1].endswith(".neff"):
                headers += [("X-Linked-Size", str(len(content))), ("X-Linked-ETag", headers[1][1])]
                return self.answer(302, b"", [*headers, ("Location", self.cdn + urllib.parse.quote(match[1]))])
            return self.answer(200, content, headers)
        self.answer(404, {"error": "Entry not found"}, [("X-Error-Code", "EntryNotFound")])

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            return self.answer(200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        if "/commit/" in self.path:
            for line in filter(None, body.split(b"\n")):
                item = json.loads(line)
                if item["key"] == "file":
                    self.files[item["value"]["path"]] = base64.b64decode(item["value"]["content"])
            Hub.commits += 1
            url = f"http://{self.headers['Host']}/{self.REPOSITORY}/commit/{self.commits:040x}"
            return self.answer(200, {"commitUrl": url, "commitOid": f"{self.commits:040x}", "hookOutput": ""})
        if self.path.startswith("/api/validate-yaml"):
            return self.answer(200, {"warnings": [], "errors": []})
        self.answer(404, {"error": self.path})


def hub(binaries, root):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    Hub.cdn = f"http://localhost:{server.server_port}/cdn/"
    os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    from huggingface_hub import HfApi, snapshot_download

    environment = {"HF_ENDPOINT": endpoint, "HF_TOKEN": Hub.TOKEN}
    url = f"hf://{Hub.REPOSITORY}"
    first = Machine(binaries, root, "first", environment)
    key = said("stored", first.compile(""))
    # The documented way to fill a repository: to a folder, and that with the Hub's own tool.
    shared = os.path.join(root, "shared")
    assert len(first.ask("synchronize", f"file://{shared}", "--push")["pushed"]) == 1
    HfApi(endpoint=endpoint, token=Hub.TOKEN).upload_folder(repo_id=Hub.REPOSITORY, folder_path=shared)
    assert len(Hub.files) == 5, sorted(Hub.files)
    # The server is like the Hub: its own client reads it.
    copy = snapshot_download(Hub.REPOSITORY, endpoint=endpoint, token=Hub.TOKEN, cache_dir=os.path.join(root, "hf"))
    assert sum(len(files) for _, _, files in os.walk(copy)) == 5

    second = Machine(binaries, root, "second", environment)
    assert said("hit", second.compile(url)) == key
    assert second.neff() == first.neff()
    third = Machine(binaries, root, "third", environment)
    assert len(third.ask("synchronize", url, "--pull")["pulled"]) == 1
    assert third.ask("verify")["damaged"] == []
    # It is only read: what it lacks is compiled and stays here.
    said("stored", third.compile(url, "-O1"))
    assert "WARNING" not in third.log, third.log
    # Without a token: compiled all the same.
    stranger = Machine(binaries, root, "stranger", {**environment, "HF_TOKEN": ""})
    assert stranger.compile(url) and stranger.neff() == first.neff()
    assert "nothing was fetched from the store" in stranger.log, stranger.log
    server.shutdown()
    print("ok: the Hub's layout and API, filled and read by huggingface_hub, in pages and through redirects")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        {"s3": s3, "hub": hub}[sys.argv[1]](os.path.abspath(sys.argv[2]), scratch)
