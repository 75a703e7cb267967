"""Waiting for what must come true, never for time to pass."""
import time


def wait_until(condition, timeout=20.0, what="", step=0.02):
    """The first true value of condition(). Fails after `timeout` seconds, with what it was last."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what or 'the condition'} (last: {value!r})")
        time.sleep(step)


def stays(condition, seconds=0.5, step=0.02):
    """That something does NOT happen can only be watched for a while: condition() holds all along."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), "it did happen"
        time.sleep(step)
