"""``python -m fastpool``: the command line of `fastpool.cli`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
