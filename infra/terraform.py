"""Check the Terraform code, and plan an environment, without Google Cloud.

With tfcheck (a schema-only stand-in for Google's providers, named by `TFCHECK` or found beside the project) everything runs
offline: format, init, validate, test and a plan of each environment. Without it plain terraform does all but the plan, which
would need credentials; the providers must be reachable then.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

INFRA = Path(__file__).resolve().parent
ENVIRONMENTS = {path.stem: path for path in sorted((INFRA / "environments").glob("*.tfvars"))}
BESIDE = INFRA.parent.parent / "shared" / "tools" / "tfcheck" / "tfcheck"
INSTALL = "install Terraform 1.9 or newer: https://developer.hashicorp.com/terraform/install"
TIMEOUT_SECONDS = 300

# What tfcheck calls in place of terraform: the same, and after a plan the plan as JSON.
_RECORDING = """\
#!{python}
import subprocess, sys
arguments = sys.argv[1:]
if arguments[0] != "plan":
    sys.exit(subprocess.run([{terraform!r}, *arguments]).returncode)
code = subprocess.run([{terraform!r}, *arguments, "-out=recorded"]).returncode
if code == 0:
    with open({target!r}, "wb") as target:
        code = subprocess.run([{terraform!r}, "show", "-json", "recorded"], stdout=target).returncode
sys.exit(code)
"""


class Missing(Exception):
    """A tool is not on this machine; the message says how to get it."""


def main() -> int:
    """Check everything; 1 where something is wrong. What cannot be checked on this machine is said, not hidden."""
    try:
        tests = [[_tfcheck(), "--fmt", str(INFRA)]]
        plans = [[_tfcheck(), "--no-test", "--plan", "--var-file", str(path), str(INFRA)] for path in ENVIRONMENTS.values()]
    except Missing as missing:
        sys.stdout.write(f"terraform: plans are not checked: {missing}\n")
        return _plain()
    return max(subprocess.run(command, timeout=TIMEOUT_SECONDS, check=False).returncode for command in (*tests, *plans))


def plan(environment: str) -> dict[str, Any]:
    """The plan of an environment as `terraform show -json` prints it, from nothing. Raises Missing."""
    with TemporaryDirectory(prefix="sojourn-plan-") as folder:
        recorder, target = Path(folder) / "terraform", Path(folder) / "plan.json"
        recorder.write_text(_RECORDING.format(python=sys.executable, terraform=_terraform(), target=str(target)))
        recorder.chmod(0o700)
        command = [
            _tfcheck(),
            "--plan",
            "--no-test",
            "--terraform",
            str(recorder),
            "--var-file",
            str(ENVIRONMENTS[environment]),
        ]
        done = subprocess.run([*command, str(INFRA)], timeout=TIMEOUT_SECONDS, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"no plan of {environment}:\n{done.stdout}{done.stderr}")
        planned: dict[str, Any] = json.loads(target.read_bytes())
        return planned


def _plain() -> int:
    try:
        terraform = _terraform()
    except Missing as missing:
        sys.stdout.write(f"terraform: nothing is checked: {missing}\n")
        return 0
    with TemporaryDirectory(prefix="sojourn-terraform-") as folder:
        environment = os.environ | {"TF_DATA_DIR": folder}
        for command in _plain_commands():
            done = subprocess.run(
                [terraform, f"-chdir={INFRA}", *command], env=environment, timeout=TIMEOUT_SECONDS, check=False
            )
            if done.returncode:
                return _explained(command)
    return 0


def _plain_commands() -> Iterator[list[str]]:
    yield ["fmt", "-check", "-recursive"]
    yield ["init", "-backend=false", "-input=false"]
    yield ["validate"]
    yield ["test"]


def _explained(command: list[str]) -> int:
    """Providers that cannot be fetched are the machine's fault, anything else is ours."""
    if command[0] != "init":
        return 1
    sys.stdout.write("terraform: only the format is checked: the providers cannot be fetched from here\n")
    return 0


def _tfcheck() -> str:
    found = os.environ.get("TFCHECK") or (str(BESIDE) if BESIDE.exists() else shutil.which("tfcheck"))
    if not found:
        raise Missing("there is no tfcheck; name it with TFCHECK")
    _terraform()
    return found


def _terraform() -> str:
    found = shutil.which("terraform")
    if not found:
        raise Missing(INSTALL)
    return found


if __name__ == "__main__":
    sys.exit(main())
