"""A statement written in Core, as asyncpg runs it; and where statements run."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol

import asyncpg
from sqlalchemy import BindParameter, ClauseElement, Table, bindparam
from sqlalchemy.dialects.postgresql import asyncpg as asyncpg_dialect
from sqlalchemy.sql.visitors import iterate

_DIALECT = asyncpg_dialect.dialect()  # type: ignore[no-untyped-call]


class Statement:
    """A Core statement as the text and the order of parameters that asyncpg takes.

    Parameters are written as `bindparam(name)`; values that the statement was written with stay as they are. One that goes through
    whole tables is `patient`: within a transaction it may take a minute.
    """

    def __init__(self, statement: ClauseElement, *, patient: bool = False) -> None:
        self.changes = any(getattr(part, "is_dml", False) for part in iterate(statement))
        self.patient = patient
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        names: Sequence[str] = getattr(compiled, "positiontup", None) or ()
        binds = compiled.binds  # type: ignore[attr-defined]
        self._names = names
        self._pick: Any = itemgetter(*names) if len(names) > 1 else None
        self._written = {name: binds[name].value for name in names if not binds[name].required}

    def arguments(self, given: Mapping[str, Any]) -> Sequence[Any]:
        """The values in order. Raises `KeyError` for a parameter that was not given."""
        if self._written:
            given = {**given, **self._written}
        return self._pick(given) if self._pick else [given[name] for name in self._names]


def parameters(table: Table, names: Iterable[str] | None = None, *, but: Iterable[str] = ()) -> dict[str, BindParameter[Any]]:
    """A parameter for each column of a table, or for these, by its name and of its type: what `values` takes."""
    chosen = [column.name for column in table.c] if names is None else names
    return {name: bindparam(name, type_=table.c[name].type) for name in chosen if name not in but}


class Executor(Protocol):
    """Where statements run: each by itself, or all within one transaction.

    `due`: when the answer is, by the clock of the event loop, where that is sooner than usual.
    """

    async def rows(self, statement: Statement, due: float | None = None, /, **given: Any) -> list[asyncpg.Record]: ...

    async def row(self, statement: Statement, due: float | None = None, /, **given: Any) -> asyncpg.Record | None: ...

    async def one(self, statement: Statement, **given: Any) -> asyncpg.Record:
        """The row of a statement that always has one."""
        row = await self.row(statement, **given)
        if row is None:
            raise LookupError(statement.sql)
        return row
