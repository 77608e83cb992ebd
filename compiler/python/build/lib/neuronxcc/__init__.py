"""Ferrite behind the Python interface of neuronx-cc."""

from ._executable import NotFound, find

__all__ = ["NotFound", "__version__", "find"]


def __getattr__(name):
    # Asked for when wanted: importing the package starts no process.
    if name == "__version__":
        from ._executable import version

        globals()["__version__"] = value = version()
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
