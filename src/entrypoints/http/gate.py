"""Refusing before anything was spent on a request: at the end of its headers, with an answer that is made once a second.

Where five times as much is asked as can be answered, four in five are refused; what that costs is taken from the others. So neither a task
nor the application hears of these. All of them are counted and logged like any other; only a trace has none.
"""

from urllib.parse import unquote_to_bytes

from entrypoints.http.admission import Admission, Overloaded, is_exempt
from entrypoints.http.cross_origin import CrossOrigin, Headers
from entrypoints.http.edge import ALWAYS_ISOLATED, REQUEST_ID_FORM, new_request_id
from entrypoints.http.problems import render
from entrypoints.logs import AccessLog
from entrypoints.metrics import Metrics

_STATUS = 503
_ID = "REQUEST-ID"  # stands where the id goes


class Gate:
    """Says of a request whose headers came whether it is refused at once."""

    def __init__(
        self, admission: Admission, *, access_log: AccessLog, metrics: Metrics | None = None, cross_origin: CrossOrigin | None = None
    ) -> None:
        self.admission = admission
        self._access_log = access_log
        self._metrics = metrics
        self._cross_origin = cross_origin
        self._every: Headers = []
        self._made: dict[float, tuple[bytes, bytes]] = {}

    def refusal(self, method: str, url: bytes, headers: Headers, every: Headers, *, is_last: bool) -> bytes | None:
        """The whole refusal; None where the request goes on. `every` are the headers of the server itself."""
        retry_after = self.admission.full()
        if retry_after is None or method == "OPTIONS" or not url.startswith(b"/") or _may_pass(url):
            return None
        given = b""
        for name, value in headers:
            if name == b"x-request-id":
                given = value
        request_id = given if REQUEST_ID_FORM.fullmatch(given) else new_request_id().encode()
        head, body = self._answer(retry_after, every)
        body = body % request_id
        answer = head % (request_id, len(body), self._more(method, headers), b"connection: close\r\n" if is_last else b"")
        self._note(method, request_id.decode())
        return answer if method == "HEAD" else answer + body

    def _answer(self, retry_after: float, every: Headers) -> tuple[bytes, bytes]:
        """Headers and body of the refusal, with room for what differs."""
        if every is not self._every:  # the server replaces them once a second
            self._every, self._made = every, {}
        made = self._made.get(retry_after)
        if made is None:
            made = self._made[retry_after] = _made(retry_after, every)
        return made

    def _more(self, method: str, headers: Headers) -> bytes:
        if self._cross_origin is None:
            return b""
        more = self._cross_origin.headers({"method": method, "headers": headers})
        return b"".join([b"%b: %b\r\n" % header for header in more])

    def _note(self, method: str, request_id: str) -> None:
        if self._metrics is not None:
            self._metrics.in_flight += 1
            self._metrics.finish({}, method=method, status=_STATUS, seconds=0.0)
        self._access_log.write({}, method=method, status=_STATUS, request_id=request_id, seconds=0.0)


def _may_pass(url: bytes) -> bool:
    path = url.partition(b"?")[0]
    if b"%" in path:
        path = unquote_to_bytes(path)
    return is_exempt(path.decode("latin-1"))


def _made(retry_after: float, every: Headers) -> tuple[bytes, bytes]:
    problem = render(Overloaded(retry_after=retry_after), request_id=_ID)
    headers = [*every, *((name.encode(), value.encode()) for name, value in problem.headers.items())]
    headers += ALWAYS_ISOLATED
    head = b"".join([b"%b: %b\r\n" % header for header in headers]).replace(b"%", b"%%")
    body = problem.body.replace(b"%", b"%%").replace(_ID.encode(), b"%b")
    return b"HTTP/1.1 503 Service Unavailable\r\n" + head + b"x-request-id: %b\r\ncontent-length: %d\r\n%b%b\r\n", body
