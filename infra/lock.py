"""Pin what pyproject.toml allows: `requirements-dev.txt` for the virtual environment, `requirements.txt` for every function.

pip resolves, this writes: names and versions only, no address of any index. One resolution serves all, so no two files
can disagree.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEV = ROOT / "requirements-dev.txt"
BUILD_REQUIREMENTS = ("editables", "hatchling", "pip")
HEADER = "# Written by `make lock`; edit pyproject.toml instead.\n"


def resolve(*requirements: str, constraints: Path | None = None) -> dict[str, str]:
    """The versions that pip would install for `requirements`, by normalized name."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    command += ["--disable-pip-version-check", "--no-build-isolation", *requirements]
    command += ["--constraint", str(constraints)] if constraints else []
    report = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)
    found = {normalized(item["metadata"]["name"]): item["metadata"]["version"] for item in report["install"]}
    found.pop("sojourn", None)
    return found


def normalized(name: str) -> str:
    """The name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def write(path: Path, pins: dict[str, str]) -> None:
    """Write a requirements file."""
    path.write_text(HEADER + "".join(f"{name}=={version}\n" for name, version in sorted(pins.items())))


def main() -> None:
    """Resolve everything once, then the functions' part within it."""
    write(DEV, resolve(".[local,dev]", *BUILD_REQUIREMENTS))
    runtime = resolve(".", constraints=DEV)
    for main_py in sorted((ROOT / "functions").glob("*/main.py")):
        write(main_py.with_name("requirements.txt"), runtime)


if __name__ == "__main__":
    main()
