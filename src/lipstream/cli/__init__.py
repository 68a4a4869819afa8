"""The command line: `lipstream render`, `prepare`, `doctor`."""

from lipstream.cli.main import main as main
