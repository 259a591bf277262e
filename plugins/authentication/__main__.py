"""``python -m meshd_plugins.authentication``: reads a password and prints the hash that ``basic`` takes."""

import getpass
import sys

from meshd_plugins.authentication.password import make


def main() -> int:
    """Read one line from a terminal (not shown) or from standard input; print its hash."""
    text = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not text:
        print("password: expected at least one character", file=sys.stderr)
        return 65
    print(make(text.encode()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
