from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from musicrnn.processes import child

ROOT = Path(__file__).parents[2]


def save_at_sigterm() -> None:
    """Say that it is ready; when it is asked to end, say so and end."""

    def save(*_: object) -> None:
        print("saved", flush=True)
        raise SystemExit(7)

    signal.signal(signal.SIGTERM, save)
    print("ready", *sys.argv[1:], os.environ.get("GREETING"), flush=True)
    time.sleep(60)


def ignore_sigterm() -> None:
    child.GRACE = 0.1
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    time.sleep(60)


def fail() -> None:
    raise SystemExit(3)


def be_interrupted() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
    variables = {"GREETING": "hello"}
    return child.start(f"{__name__}:{name}", arguments, variables, stdout=subprocess.PIPE)


def line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_a_child_gets_arguments_and_variables_and_ends_when_it_is_asked_to() -> None:
    with start("save_at_sigterm", "-o", "out") as process:
        assert line(process) == b"ready -o out hello\n"
        process.terminate()
        assert child.end(process) == 7 and line(process) == b"saved\n"


def test_a_child_that_does_not_end_is_killed() -> None:
    with start("ignore_sigterm") as process:
        assert line(process) == b"ready\n"
        process.terminate()
        assert child.end(process, 0.1) == -signal.SIGKILL


@pytest.mark.parametrize("name", ["save_at_sigterm", "ignore_sigterm"])
def test_a_child_does_not_outlive_a_killed_parent(name: str) -> None:
    script = f"""
import time
from musicrnn.processes import child
child.start("tests.processes.test_child:{name}", ["-o", "out"])
time.sleep(60)
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert line(parent).startswith(b"ready")
        parent.kill()
        said, _ = parent.communicate(timeout=30)  # which ends when the child has closed its stdout
    assert said == (b"saved\n" if name == "save_at_sigterm" else b"")


def test_when_one_of_several_fails_the_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "GRACE", 0.1)
    with start("ignore_sigterm") as first, start("fail") as second:
        assert child.wait_for_all([first, second]) == 1  # the first was killed
        assert second.returncode == 3


def test_an_interruption_is_forwarded() -> None:
    before = signal.getsignal(signal.SIGINT)
    with start("be_interrupted") as process:
        assert child.wait_for_all([process]) == 130
    assert signal.getsignal(signal.SIGINT) is before
