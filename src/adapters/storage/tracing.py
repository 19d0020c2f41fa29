"""Traces of what the store of files does."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

from application.ports import FileStore, Incoming

_ANSWERED_AT_ONCE = ("size", "mark", "remove", "is_settled", "clear", "check")


def trace_store(store: FileStore) -> None:
    """From now on, each operation of this store is a span: its name, never that of a content.

    `store incoming` lasts as long as the content comes, with `store keep` in it, and `store read` as long as somebody reads.
    """
    from opentelemetry.trace import get_tracer  # noqa: PLC0415 - only where traces are asked for: it costs time

    tracer = get_tracer("complex_stories")

    def trace_each(of: object, *names: str) -> None:
        for name in names:
            setattr(of, name, tracer.start_as_current_span(f"store {name}", record_exception=False)(getattr(of, name)))

    def traced_incoming(incoming: Callable[[], AbstractAsyncContextManager[Incoming]]) -> Any:
        @asynccontextmanager
        async def traced() -> AsyncIterator[Incoming]:
            span = tracer.start_span("store incoming")  # not the current one: what its caller does meanwhile is not the store's doing
            try:
                async with incoming() as content:
                    trace_each(content, "keep")
                    yield content
            finally:
                span.end()

        return traced

    def traced_pieces(name: str, pieces_of: Callable[..., AsyncGenerator[Any, None]]) -> Any:
        async def traced(*given: Any, **named: Any) -> AsyncGenerator[Any, None]:
            span = tracer.start_span(name)
            try:
                async with aclosing(pieces_of(*given, **named)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                span.end()

        return traced

    trace_each(store, *_ANSWERED_AT_ONCE)
    of: Any = store
    of.incoming = traced_incoming(of.incoming)
    of.read = traced_pieces("store read", of.read)
    of.stored = traced_pieces("store stored", of.stored)
