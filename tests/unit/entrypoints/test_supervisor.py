"""The supervisor of workers: what dies or hangs is replaced. Real processes, with a target that does as a file tells."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from entrypoints import supervisor
from entrypoints.share import Share, Told
from entrypoints.supervisor import Supervisor
from tests.e2e.client import until

SECONDS = 20.0
SOON = 4.0  # more than a process takes to start on a busy machine


def work(listener: socket.socket, share: Share) -> None:
    """The first hangs without a word, or dies; the next one lives until it is told to end."""
    told = Path(os.environ["TOLD"])
    before = told.read_text()
    told.write_text(before + "worker\n")
    if not before:
        if os.environ["FIRST"] == "dies":
            os._exit(1)
        Event().wait()
    ended = Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    while not ended.wait(0.05):
        share.tell(0)
    told.write_text(told.read_text() + "ended\n")


def supervise() -> None:
    supervisor.HUNG_SECONDS = SOON
    with socket.socket() as listener:
        Supervisor(work, listener, workers=1, grace=5.0).run()


@pytest.mark.parametrize("first", ["dies", "hangs"])
def test_a_worker_that_dies_or_hangs_is_replaced_and_ends_with_all(tmp_path: Path, first: str) -> None:
    told = tmp_path / "told"
    told.write_text("")
    program = [sys.executable, "-c", f"from {__name__} import supervise; supervise()"]
    process = subprocess.Popen(program, env=os.environ | {"TOLD": str(told), "FIRST": first}, stdin=subprocess.DEVNULL)
    try:
        until(lambda: told.read_text() == "worker\nworker\n", "there is another")
        assert process.poll() is None
        process.terminate()
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert told.read_text() == "worker\nworker\nended\n"


def test_a_watched_worker_is_known_to_all() -> None:
    told = (Told * 2)()
    one, other = Share(told, 0), Share(told, 1)
    assert not one.is_watched
    other.tell_watched()
    assert one.is_watched
    told[1].watched_at -= 16
    assert not one.is_watched
