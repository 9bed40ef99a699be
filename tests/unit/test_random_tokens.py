"""Tokens tell own writes from others': two processes never have the same, though one is forked from the other."""

import subprocess
import sys

from sojourn.adapters.system import RandomTokens

FORKS = """
import os
from sojourn.adapters.system import RandomTokens

tokens = RandomTokens()
tokens.token()
child = os.fork()
if child:
    os.waitpid(child, 0)
print(tokens.token())
"""


def test_a_forked_process_has_tokens_of_its_own() -> None:
    """In an interpreter of its own: to fork one in which gRPC or the test runner has threads may never come back."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60, check=True)
    child, parent = done.stdout.split()
    assert len(child) == len(parent) == 16
    assert child != parent


def test_tokens_do_not_repeat_whoever_makes_them() -> None:
    one, other = RandomTokens(), RandomTokens()
    assert len({made.token() for made in (one, other) for _ in range(1_000)}) == 2_000
