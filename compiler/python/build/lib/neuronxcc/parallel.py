"""The command `neuron_parallel_compile`: becomes `ferrite parallel-compile`."""

import os
import sys

from ._executable import find


def console():
    os.execv(find("ferrite"), ["ferrite", "parallel-compile", *sys.argv[1:]])
