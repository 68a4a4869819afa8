"""`python -m lipstream` is the command `lipstream`."""

from __future__ import annotations

import sys

from lipstream.cli import main

if __name__ == "__main__":
    sys.exit(main())
