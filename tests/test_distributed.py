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
from avalign.train.distributed import processes

with processes("cpu"):
    print("joined")
"""


def is_open(port):
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wait_for_a_process_that_never_comes_can_be_ended(number):
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
    process = subprocess.Popen(
        [sys.executable, "-c", LONELY],
        env={**os.environ, **alone},
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
