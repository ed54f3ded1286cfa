"""What `make lib` does: clean the notebooks, format them, write `senticompare/` from them, format that too."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def main() -> int:
    """Run each step in turn; the first that fails ends it, with its exit status."""
    steps = (
        ("ruff", "format", "-q", "nbs"),
        ("nbdev-clean",),
        ("nbdev-export",),
        ("ruff", "format", "-q", "senticompare"),
    )
    for tool, *arguments in steps:
        if status := subprocess.run([str(BIN / tool), *arguments], cwd=ROOT, check=False).returncode:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
