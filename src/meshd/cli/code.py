"""Exit codes of both command lines (sysexits(3) where it has a word for it); documented in docs/operations.md."""

OK = 0
FAILED = 1
USAGE = 64
DATA = 65
CONFIG = 78
FINDINGS = 79
