"""Ctrl-C waits for what is done under a go-ahead; without one nothing begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from gnnpack.experiments import go_ahead as module
from gnnpack.experiments.go_ahead import go_ahead, go_ahead_file, under

HOLDS = """
import sys, time
from gnnpack.experiments.go_ahead import under
with under(sys.argv[1]):
    print(flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture(autouse=True)
def _interruptions_of_this_test():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def holder():
    """A process that does something under a file for so many seconds."""
    started = []

    def holder(file, seconds: float) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLDS, str(file), str(seconds)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        started[-1].stdout.readline()
        return started[-1]

    yield holder
    for process in started:
        process.kill()
        process.communicate()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


def interrupted_while(file, begin) -> subprocess.Popen:
    begun = []

    def interruption() -> None:
        with go_ahead(file):
            begun.append(begin())
            # In a terminal it is interrupted too, and does not mind.
            begun[0].send_signal(signal.SIGINT)
            interrupt()

    with pytest.raises(KeyboardInterrupt):
        interruption()
    return begun[0]


def test_ctrl_c_waits_for_what_is_done_under_it(tmp_path, holder):
    file = go_ahead_file(tmp_path)
    process = interrupted_while(file, lambda: holder(file, 0.5))
    assert process.wait(1) == 0
    assert not file.exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_does_not_wait_for_ever(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(module, "MORE_SECONDS", 0.1)
    file = go_ahead_file(tmp_path)
    assert interrupted_while(file, lambda: holder(file, 60)).poll() is None


def test_a_second_ctrl_c_is_one_at_once(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(module, "is_alone", lambda _: interrupt())
    file = go_ahead_file(tmp_path)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), go_ahead(file):
        interrupt()
    assert time.monotonic() - began < 30


def test_without_a_go_ahead_nothing_begins(tmp_path):
    file = go_ahead_file(tmp_path)
    with under(None), go_ahead(file), under(str(file)):
        assert file.exists()
    with pytest.raises(KeyboardInterrupt), under(str(file)):
        raise AssertionError("it began")


def test_who_is_not_to_be_interrupted_stays_so(tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with go_ahead(go_ahead_file(tmp_path)):
        os.kill(os.getpid(), signal.SIGINT)
        assert go_ahead_file(tmp_path).exists()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
