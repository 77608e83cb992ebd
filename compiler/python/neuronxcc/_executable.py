"""Where the executables are."""

import os
import shutil
import subprocess

VARIABLE = "FERRITE_NEURONX_CC"
_HERE = os.path.dirname(os.path.abspath(__file__))


class NotFound(FileNotFoundError):
    """There is no executable `neuronx-cc`."""


def find(name="neuronx-cc"):
    """The path of `neuronx-cc`, or of `ferrite`, which lies beside it.

    In order: the file that FERRITE_NEURONX_CC names, `bin/` in this package, PATH (scripts left out: one of them starts
    this package), `target/` of the repository that this package lies in or was installed from.
    """
    given = os.environ.get(VARIABLE)
    if given:
        path = given if name == "neuronx-cc" else os.path.join(os.path.dirname(given), name)
        if _is_program(path):
            return os.path.abspath(path)
        raise NotFound(f"{VARIABLE} is {given!r}: {path!r} is no executable program")
    for path in _candidates(name):
        if _is_program(path):
            return os.path.abspath(path)
    raise NotFound(f"no executable {name!r}: build it (cargo build --release -p ferrite-cli), and put it on PATH or name it in {VARIABLE}")


def become(name, arguments):
    """Becomes the executable, so that processes, signals and exit codes are its own."""
    try:
        path = find(name)
    except NotFound as error:
        raise SystemExit(str(error)) from None
    os.execv(path, [name, *arguments])


def version():
    """What `neuronx-cc --version` says, e.g. `0.1.0.0+8f31c0aa`."""
    ran = subprocess.run([find(), "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    return ran.stdout.splitlines()[0].rsplit("version ", 1)[1].strip()


def _candidates(name):
    yield os.path.join(_HERE, "bin", name)
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = shutil.which(name, path=folder) if folder else None
        if path:
            yield path
    try:
        from ._repository import REPOSITORY as repository  # written when the package was installed
    except ImportError:
        repository = os.path.join(_HERE, "..", "..", "..")
    for profile in ("release", "debug"):
        yield os.path.join(repository, "target", profile, name)


def _is_program(path):
    if not (os.path.isfile(path) and os.access(path, os.X_OK)):
        return False
    with open(path, "rb") as file:
        return file.read(2) != b"#!"
