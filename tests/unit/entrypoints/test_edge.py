"""What nobody foresaw: an empty face to the client, the whole of it in the log."""

import io
import json

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from entrypoints.http.admission import Admission
from entrypoints.http.edge import Edge
from entrypoints.http.network import Networks
from entrypoints.logs import AccessLog, configure


async def breaks(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("SELECT secret FROM vault")


async def test_an_unforeseen_error_tells_the_client_nothing_and_the_log_everything(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json")
    log = AccessLog("json", io.StringIO())
    edge = Edge(breaks, networks=Networks(), access_log=log, admission=Admission(), methods_of=lambda _: [])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(edge), base_url="http://x") as client:
        answer = await client.get("/vault", headers={"x-request-id": "asked"})
    log.close()
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == {"type", "title", "status", "detail", "code", "request_id"}
    assert (told["code"], told["request_id"]) == ("internal-error", "asked")
    assert not any(word in answer.text for word in ("SELECT", "vault", "RuntimeError", "Traceback", "edge"))
    logged = json.loads(capsys.readouterr().err.splitlines()[0])
    assert (logged["event"], logged["level"], logged["request_id"]) == ("unexpected error", "error", "asked")
    assert "SELECT secret FROM vault" in json.dumps(logged["exception"])
