"""Processes that wait for others: they can be ended."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

pytest.importorskip("torch")

# As in the command line, both signals are handled in Python, which a wait in C++ never reaches.
LONELY = """
import signal

def tidy_up(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, tidy_up)
signal.signal(signal.SIGINT, tidy_up)
from avalign.train.recognizer.distributed import processes

with processes("cpu"):
    print("joined")
"""


def is_open(port):
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def lonely():
    """Return the environment of a process that waits for another, and the port it opens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": "0",
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    return {**os.environ, **alone}, port


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wait_for_a_process_that_never_comes_can_be_ended(number):
    environment, port = lonely()
    process = subprocess.Popen(
        [sys.executable, "-c", LONELY],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not is_open(port) and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(number)
        told, words = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == -number, words
    assert told == ""


STARTER = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {LONELY!r}])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_a_process_ends_when_the_torchrun_that_started_it_is_killed():
    environment, port = lonely()
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], env={**environment, "TORCHELASTIC_RUN_ID": "1"}
    )
    while not is_open(port) and starter.poll() is None:
        time.sleep(0.1)
    starter.kill()
    starter.wait()
    deadline = time.monotonic() + 10
    while is_open(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_open(port)
