"""Tokens tell own writes from others': two processes never have the same, though one is forked from the other."""

import os

from sojourn.adapters.system import RandomTokens


def test_a_forked_process_has_tokens_of_its_own() -> None:
    tokens = RandomTokens()
    tokens.token()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, tokens.token().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    assert len(theirs) == 16
    assert theirs != tokens.token()


def test_tokens_do_not_repeat_whoever_makes_them() -> None:
    one, other = RandomTokens(), RandomTokens()
    assert len({made.token() for made in (one, other) for _ in range(1_000)}) == 2_000
