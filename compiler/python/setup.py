"""Notes which repository the package was installed from: its `target/` holds the executables."""

import os

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithRepository(build_py):
    def run(self):
        super().run()
        repository = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
        if os.path.isfile(os.path.join(repository, "Cargo.toml")):
            with open(os.path.join(self.build_lib, "neuronxcc", "_repository.py"), "w") as file:
                file.write(f'"""Where this package was installed from."""\n\nREPOSITORY = {repository!r}\n')


setup(cmdclass={"build_py": BuildWithRepository})
