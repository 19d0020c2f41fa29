"""Traces of statements."""


def trace_statements() -> None:
    """From now on, each statement of this process is a span: its text, never the values of its parameters."""
    from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor  # noqa: PLC0415 - only where traces are asked for: it costs time

    AsyncPGInstrumentor(capture_parameters=False).instrument()  # type: ignore[no-untyped-call]
