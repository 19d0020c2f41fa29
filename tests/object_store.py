"""A real S3 server as a process, for the tests of what is kept in one."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from tests.e2e.client import free_port

PROGRAM = str(Path(sys.executable).with_name("moto_server"))
SECONDS = 60.0
VARIABLES = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_REGION": "us-east-1"}


@contextmanager
def object_store() -> Iterator[str]:
    """The address of a server that answers, while this lasts."""
    port = free_port()
    process = subprocess.Popen([PROGRAM, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)


def make_bucket(address: str) -> str:
    """The name of a new, empty bucket."""
    name = f"bucket-{uuid4().hex}"
    assert httpx.put(f"{address}/{name}", timeout=SECONDS).status_code == 200
    return name


def keys(address: str, bucket: str) -> list[str]:
    """The keys of all objects in a bucket."""
    listing = httpx.get(f"{address}/{bucket}", params={"list-type": "2"}, timeout=SECONDS).text
    return [part.partition("</Key>")[0] for part in listing.split("<Key>")[1:]]


def unfinished(address: str, bucket: str) -> int:
    """How many uploads in parts are neither complete nor called off."""
    return httpx.get(f"{address}/{bucket}", params={"uploads": ""}, timeout=SECONDS).text.count("<UploadId>")


def environment(address: str) -> dict[str, str]:
    """The store's usual variables for a server at this address."""
    return VARIABLES | {"AWS_ENDPOINT_URL": address}


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + SECONDS
    while True:
        assert process.poll() is None, "the server ended"
        try:
            httpx.get(address, timeout=5)
        except httpx.TransportError:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.05)
        else:
            return


os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")  # nothing here asks a cloud who it is
