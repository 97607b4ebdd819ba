"""Python code in a process of its own: what may end a process must not end pytest's."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import fastpool

# Where the code finds the fastpool that is tested, the helpers beside this file, and what pytest
# itself was told to find.
HERE = Path(__file__).parent
_INHERITED = filter(None, [os.environ.get("PYTHONPATH")])
PATH = os.pathsep.join(map(str, (Path(fastpool.__file__).parents[1], HERE, *_INHERITED)))


def run(code, *, timeout=300, **environment):
    """Run code; what it prints. An environment variable that is None is not set."""
    variables = {**os.environ, "PYTHONPATH": PATH, **environment}
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(code)],
        capture_output=True, text=True, check=False, timeout=timeout, cwd=HERE,
        env={name: value for name, value in variables.items() if value is not None},
    )  # fmt: skip
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()
