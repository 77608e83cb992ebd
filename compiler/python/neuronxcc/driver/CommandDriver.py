"""The compiler's command line, from Python."""

import subprocess
import sys

from .._executable import become, find


def main():
    """Runs the compiler on `sys.argv`. Returns on success; raises SystemExit with the compiler's exit code otherwise."""
    sys.stdout.flush()
    sys.stderr.flush()
    code = subprocess.run([find(), *sys.argv[1:]]).returncode
    if code:
        raise SystemExit(code)


def console():
    """The command `neuronx-cc`."""
    become("neuronx-cc", sys.argv[1:])


if __name__ == "__main__":
    main()
