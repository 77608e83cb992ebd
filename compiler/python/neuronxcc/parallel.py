"""The command `neuron_parallel_compile`: `ferrite parallel-compile`."""

import sys

from ._executable import become


def console():
    become("ferrite", ["parallel-compile", *sys.argv[1:]])
