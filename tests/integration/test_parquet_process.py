"""Parquet that unfolds to much: what the process takes that reads it, what the one takes that asks, and that nothing is left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pyarrow as pa
import pytest

from adapters.tabular.parquet_process import MEMORY_BYTES, parquet_pieces_apart
from domain.resource_import import InvalidRows, Unreadable
from tests.bombs import MEBIBYTE, hidden_dictionary, one_large_page, page_that_declares, written

AT_MOST = 2**31
# Peaks of a process are of its whole life, so that each table is read by one that has done nothing else.
ASKED = """
import json, resource, sys
from adapters.tabular.import_tables import TabularImportTables
from domain.resource_import import InvalidRows, TableKind, Unreadable
peak = lambda whose: resource.getrusage(whose).ru_maxrss * 1024
before, told, rows = peak(resource.RUSAGE_SELF), "", 0
try:
    with open(sys.argv[1], "rb") as file:
        for piece in TabularImportTables(at_most=int(sys.argv[2])).pieces(TableKind.PARQUET, file):
            rows += len(piece.numbers)
except InvalidRows as error:
    told = error.row_faults[0].code
except Unreadable:
    told = "unreadable"
print(json.dumps({"told": told, "rows": rows, "rise": peak(resource.RUSAGE_SELF) - before, "reader": peak(resource.RUSAGE_CHILDREN)}))
"""


def asked(bomb: bytes, folder: Path) -> dict[str, Any]:
    """What reading it came to, how much the asking process grew, and the most that the reading one had, in bytes."""
    path = folder / "table.parquet"
    path.write_bytes(bomb)
    done = subprocess.run([sys.executable, "-c", ASKED, str(path), str(AT_MOST)], capture_output=True, text=True, timeout=120, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize(
    ("bomb", "told"),
    [
        (one_large_page(80), "page-too-large"),
        (page_that_declares(2**31 - 1), "page-too-large"),
        (page_that_declares(1), "unreadable"),
        (hidden_dictionary(4000), "too-large"),
    ],
    ids=["large page", "declares much", "declares little", "hidden dictionary"],
)
def test_a_small_table_that_unfolds_to_much_is_refused_in_little_memory(bomb: bytes, told: str, tmp_path: Path) -> None:
    assert len(bomb) < 32_768
    found = asked(bomb, tmp_path)
    assert found["told"] == told
    assert found["rise"] < 32 * MEBIBYTE
    assert found["reader"] < (MEMORY_BYTES if told == "too-large" else 128 * MEBIBYTE) + 128 * MEBIBYTE


def test_as_much_as_is_allowed_is_read_while_who_asks_holds_a_piece(tmp_path: Path) -> None:
    found = asked(one_large_page(60), tmp_path)
    assert (found["told"], found["rows"]) == ("", 60)
    assert found["rise"] < 64 * MEBIBYTE


def test_what_takes_more_memory_than_there_is_ends_the_reader_alone() -> None:
    with TemporaryFile() as file:
        file.write(one_large_page(60))
        with pytest.raises(InvalidRows) as caught:
            list(parquet_pieces_apart(file, at_most=AT_MOST, memory=40 * MEBIBYTE))
    assert [(fault.row, fault.code) for fault in caught.value.row_faults] == [(0, "too-large")]


def test_pages_that_together_declare_too_much_are_refused_before_one_is_unfolded() -> None:
    with TemporaryFile() as file:
        file.write(written(pa.table({"name": ["x" * MEBIBYTE] * 40}), use_dictionary=False, row_group_size=1))
        with pytest.raises(InvalidRows) as caught:
            list(parquet_pieces_apart(file, at_most=39 * MEBIBYTE, memory=40 * MEBIBYTE))
    assert caught.value.row_faults[0].code == "too-large"


@pytest.mark.parametrize("is_read", [False, True], ids=["left", "read"])
def test_no_process_is_left(*, is_read: bool) -> None:
    before = children()
    with TemporaryFile() as file:
        file.write(written(pa.table({"name": [str(number) for number in range(50_000)]})))
        pieces = parquet_pieces_apart(file, at_most=AT_MOST)
        first = next(pieces)
        assert list(first.numbers)[:1] == [1]
        assert len(children() - before) == 1
        if is_read:
            assert sum(len(piece.numbers) for piece in pieces) == 50_000 - len(first.numbers)
        else:
            pieces.close()  # type: ignore[attr-defined]
    assert children() == before


def test_a_reader_that_fails_by_our_own_fault_is_no_fault_of_the_table() -> None:
    with TemporaryFile() as file:
        file.write(b"PAR1")
        with pytest.raises(Unreadable):
            list(parquet_pieces_apart(file, at_most=AT_MOST))
        with pytest.raises(RuntimeError, match="ended with status"):
            list(parquet_pieces_apart(file, at_most="none"))  # type: ignore[arg-type]
