"""The package without any framework: `python -m unittest discover compiler/python/tests` with FERRITE_NEURONX_CC set."""

import importlib
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import neuronxcc
from neuronxcc._executable import NotFound, find
from neuronxcc.driver import CommandDriver

MODEL = """func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = stablehlo.add %x, %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}
"""


def program(folder, name, content):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(content)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


class Find(unittest.TestCase):
    def test_the_variable_wins_and_is_checked(self):
        with tempfile.TemporaryDirectory() as folder:
            path = program(folder, "neuronx-cc", "\x7fELF")
            ferrite = program(folder, "ferrite", "\x7fELF")
            with mock.patch.dict(os.environ, {"FERRITE_NEURONX_CC": path}):
                self.assertEqual((find(), find("ferrite")), (path, ferrite))
            with mock.patch.dict(os.environ, {"FERRITE_NEURONX_CC": os.path.join(folder, "none")}):
                self.assertRaises(NotFound, find)

    def test_scripts_on_the_path_are_passed_over(self):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            program(first, "neuronx-cc", "#!/usr/bin/python3\n")
            path = program(second, "neuronx-cc", "\x7fELF")
            with mock.patch.dict(os.environ, {"PATH": os.pathsep.join([first, second])}):
                os.environ.pop("FERRITE_NEURONX_CC", None)
                self.assertEqual(find(), path)


class Compile(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.model = program(self.folder.name, "hlo_module.pb", MODEL)
        self.neff = os.path.join(self.folder.name, "m.neff")
        self.log = os.path.join(self.folder.name, "log.txt")

    def argv(self, *more):
        files = [self.model, "--output", self.neff, "--logfile", self.log]
        return ["neuronx-cc", "compile", "--framework", "XLA", *files, "--target", "trn1", *more]

    def test_version_is_that_of_the_executable(self):
        self.assertRegex(neuronxcc.__version__, r"^\d+\.\d+\.\d+\.\d+\+[0-9a-f]{8}$")

    def test_main_returns_on_success(self):
        module = importlib.import_module("neuronxcc.driver.CommandDriver")
        with mock.patch.object(sys, "argv", self.argv()):
            self.assertIsNone(module.main())
        self.assertTrue(os.path.getsize(self.neff) > 1024)

    def test_main_raises_on_failure(self):
        with mock.patch.object(sys, "argv", self.argv("--no-such-option")):
            with self.assertRaises(SystemExit) as raised:
                CommandDriver.main()
        self.assertEqual(raised.exception.code, 2)

    def test_the_command_becomes_the_executable(self):
        code = "from neuronxcc.driver.CommandDriver import console; console()"
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
        env = {**os.environ, "PYTHONPATH": path}
        ran = subprocess.run([sys.executable, "-c", code, "--version"], env=env, capture_output=True, text=True)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertTrue(re.match(r"NeuronX Compiler version \d", ran.stdout))


if __name__ == "__main__":
    unittest.main()
