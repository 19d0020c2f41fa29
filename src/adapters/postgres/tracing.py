"""Traces of statements."""


def trace_statements() -> None:
    """From now on, each statement of this process is a span: its text, never the values of its parameters."""
    # Imported only where traces are asked for: it costs a start time and memory.
    from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor  # noqa: PLC0415

    AsyncPGInstrumentor(capture_parameters=False).instrument()  # type: ignore[no-untyped-call]
