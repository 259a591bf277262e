"""``python -m meshd.cli.share contrib/share``: write all man pages and completion scripts."""

import argparse
import sys
from pathlib import Path

from meshd.cli.share.tree import make_tree


def main(argv: list[str] | None = None) -> int:
    """Write the files below the folder that is given."""
    parser = argparse.ArgumentParser(prog="python -m meshd.cli.share", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(argv).folder
    for name, text in make_tree().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
