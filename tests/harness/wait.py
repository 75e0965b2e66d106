"""Waiting for what will be, within a bound."""

import time

PAUSE = 0.02


def wait_until(probe, what, timeout=10):
    """Gives the first truthy answer of `probe`; fails, saying `what` did not come to pass, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(PAUSE)
