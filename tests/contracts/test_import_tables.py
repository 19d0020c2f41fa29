"""Files of resources: the sentences of `ImportTables`."""

import io
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.tabular import read_csv, read_ndjson, read_parquet
from adapters.tabular.import_tables import TabularImportTables
from application.ports import ImportTables
from domain.resource_import import ABSENT, InvalidRows, Piece, RowFault, TableKind, Unreadable
from tests.fakes.resource_import import FakeImportTables

AT_MOST = 10_000_000
HEADER = b"name,description\n"

Rows = dict[int, dict[str, Any]]


def read(tables: ImportTables, kind: TableKind, data: bytes) -> tuple[Rows, list[RowFault]]:
    """All rows by their number, without what they say nothing about, and all faults."""
    rows: Rows = {}
    faults: list[RowFault] = []
    with TemporaryFile() as file:
        file.write(data)
        for piece in tables.pieces(kind, file):
            faults += piece.faults
            for place, number in enumerate(piece.numbers):
                assert number not in rows
                rows[number] = {name: values[place] for name, values in piece.columns.items() if values[place] is not ABSENT}
    return rows, faults


def parquet(table: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def row(name: str | None, description: str | None) -> dict[str, str | None]:
    return {"name": name, "description": description}


class ImportTablesContract:
    @pytest.mark.parametrize(
        ("data", "rows"),
        [
            (b"", {}),
            (b'a,\nb,""', {1: row("a", None), 2: row("b", "")}),
            (b'"a",",\r\n""\xc3\xa4"\r\n"",x\r\n', {1: row("a", ',\r\n"ä'), 2: row("", "x")}),
            (b"a,b\rc,d\r", {1: row("a", "b"), 2: row("c", "d")}),
            (b"\n\na,b\r\n\r\nc,d\n\n", {1: row("a", "b"), 2: row("c", "d")}),
            (b"a\x00,b\n , \t\n", {1: row("a\x00", "b"), 2: row(" ", " \t")}),
            (b",\n", {1: row(None, None)}),
            (b'"a\rb","c\nd"', {1: row("a\rb", "c\nd")}),
        ],
    )
    def test_csv_tells_null_from_the_empty_text(self, tables: ImportTables, data: bytes, rows: Rows) -> None:
        assert read(tables, TableKind.CSV, HEADER + data) == (rows, [])
        assert read(tables, TableKind.CSV, b"\xef\xbb\xbf" + HEADER + data) == (rows, [])

    def test_csv_of_a_single_column(self, tables: ImportTables) -> None:
        assert read(tables, TableKind.CSV, b'\nname\na\n\n""\nb') == ({1: {"name": "a"}, 2: {"name": ""}, 3: {"name": "b"}}, [])

    def test_rows_of_another_length_are_faults(self, tables: ImportTables) -> None:
        rows, faults = read(tables, TableKind.CSV, HEADER + b"a,b\nc\n\nd,e,f\ng,h\n")
        assert rows == {1: row("a", "b"), 4: row("g", "h")}
        assert [(fault.row, fault.field, fault.code) for fault in faults] == [(2, "", "bad-row"), (3, "", "bad-row")]

    @pytest.mark.parametrize(
        "data",
        [
            b'name\n"a',
            b'name\n"a"b\n',
            b'name\na"b\n',
            b"name\n\xff\n",
            b"\xff\xfe\n",
            b'name\n"a\n"b"\n',
            b'name\n"a""\nb\n',
            b"name\n\xc3",
        ],
    )
    def test_what_is_no_csv_in_utf8_cannot_be_read(self, tables: ImportTables, data: bytes) -> None:
        with pytest.raises(Unreadable):
            read(tables, TableKind.CSV, data)

    @pytest.mark.parametrize(
        ("header", "faults"),
        [
            ("", {("name", "missing-column")}),
            ("\n\n", {("name", "missing-column")}),
            ("status\n", {("name", "missing-column")}),
            ("name,name\n", {("name", "repeated-column")}),
            ("name,colour\na,b", {("", "unknown-column")}),
            ("Name\n", {("name", "missing-column"), ("", "unknown-column")}),
            ("name,\n", {("", "unknown-column")}),
        ],
    )
    def test_a_bad_header_is_a_fault_of_the_table(self, tables: ImportTables, header: str, faults: set[tuple[str, str]]) -> None:
        with pytest.raises(InvalidRows) as caught:
            read(tables, TableKind.CSV, header.encode())
        assert {(fault.field, fault.code) for fault in caught.value.row_faults} == faults
        assert {fault.row for fault in caught.value.row_faults} == {0}
        assert caught.value.rows_failed == 0

    def test_labels_are_csv_with_columns_of_their_own(self, tables: ImportTables) -> None:
        header = b"annotator,note,value,label_set,resource_name\n"
        (piece,) = [each for each in tables.labels(io.BytesIO(header + b'emmy,,"",topic,One\n')) if each.numbers]
        assert {name: cells[0] for name, cells in piece.columns.items()} == {
            "annotator": "emmy", "note": None, "value": "", "label_set": "topic", "resource_name": "One"
        }  # fmt: skip
        for bad, fields in (
            (b"name\n", {"", "label_set", "annotator", "value", "resource_id"}),
            (b"resource_id,resource_name,label_set,annotator,value\n", {"resource_id"}),
            (b"resource_id,label_set,annotator,value,value\n", {"value"}),
            (b"", {"label_set", "annotator", "value", "resource_id"}),
        ):
            with pytest.raises(InvalidRows) as refused:
                list(tables.labels(io.BytesIO(bad)))
            assert {(fault.row, fault.field) for fault in refused.value.row_faults} == {(0, name) for name in fields}

    def test_ndjson_keeps_values_as_they_are(self, tables: ImportTables) -> None:
        data = b'\xef\xbb\xbf{"name": "a", "attributes": {"n": 1.0, "m": 12345678901234567890}}\r\n\n{"name": null, "status": 1}\n{}'
        rows, faults = read(tables, TableKind.NDJSON, data)
        attributes = {"n": 1.0, "m": 12345678901234567890}
        assert (rows, faults) == ({1: {"name": "a", "attributes": attributes}, 2: {"name": None, "status": 1}, 3: {}}, [])

    def test_a_line_that_is_no_row_is_a_fault(self, tables: ImportTables) -> None:
        rows, faults = read(tables, TableKind.NDJSON, b'[]\n{"name": "a"}\n{"name": "b", "colour": 1}\n"x"')
        assert rows == {2: {"name": "a"}}
        assert [(fault.row, fault.code) for fault in faults] == [(1, "bad-row"), (3, "unknown-column"), (4, "bad-row")]

    @pytest.mark.parametrize("line", [b"{", b'{"name": "a", "name": "b"}', b'{"name": NaN}', b'{"name": "\xff"}', b"{}{}", b"[" * 5000])
    def test_a_line_that_is_not_strict_json_cannot_be_read(self, tables: ImportTables, line: bytes) -> None:
        with pytest.raises(Unreadable):
            read(tables, TableKind.NDJSON, b'{"name": "a"}\n' + line)

    def test_an_empty_body_is_no_ndjson(self, tables: ImportTables) -> None:
        with pytest.raises(InvalidRows):
            read(tables, TableKind.NDJSON, b"")
        assert read(tables, TableKind.NDJSON, b"\n") == ({}, [])

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
    def test_parquet_of_texts_in_whatever_form(self, tables: ImportTables, kind: Any) -> None:
        table = pa.table({"name": pa.array(["a", "ä", None], kind), "description": pa.array(["", None, "x"], kind)})
        rows = {1: row("a", ""), 2: row("ä", None), 3: row(None, "x")}
        assert read(tables, TableKind.PARQUET, parquet(table, row_group_size=2)) == (rows, [])

    def test_a_column_of_nothing_but_nulls_is_one_of_texts(self, tables: ImportTables) -> None:
        table = pa.table({"name": ["a"], "description": pa.nulls(1)})
        assert read(tables, TableKind.PARQUET, parquet(table)) == ({1: row("a", None)}, [])

    @pytest.mark.parametrize(
        ("columns", "fault"),
        [
            ({"name": [1, 2]}, ("name", "bad-type")),
            ({"name": ["a"], "attributes": [{"b": 1}]}, ("attributes", "bad-type")),
            ({"name": ["a"], "status": [["b"]]}, ("status", "bad-type")),
            ({"name": [b"a"]}, ("name", "bad-type")),
            ({"name": ["a"], "colour": ["b"]}, ("", "unknown-column")),
            ({"status": ["b"]}, ("name", "missing-column")),
        ],
    )
    def test_parquet_of_other_columns_is_at_fault(self, tables: ImportTables, columns: dict[str, Any], fault: tuple[str, str]) -> None:
        with pytest.raises(InvalidRows) as caught:
            read(tables, TableKind.PARQUET, parquet(pa.table(columns)))
        assert [(each.field, each.code) for each in caught.value.row_faults] == [fault]

    @pytest.mark.parametrize("cut", [slice(0, 0), slice(0, 20), slice(0, -9), slice(9, None)])
    def test_what_is_not_whole_parquet_cannot_be_read(self, tables: ImportTables, cut: slice) -> None:
        with pytest.raises(Unreadable):
            read(tables, TableKind.PARQUET, parquet(pa.table({"name": ["a", "b"]}))[cut])


class TestFakeImportTables(ImportTablesContract):
    @pytest.fixture
    def tables(self) -> ImportTables:
        return FakeImportTables()


class TestTabularImportTables(ImportTablesContract):
    @pytest.fixture
    def tables(self) -> ImportTables:
        return TabularImportTables(at_most=AT_MOST)

    def test_a_small_file_that_unfolds_to_much_is_at_fault(self) -> None:
        bomb = parquet(pa.table({"name": pa.array(["x" * 1000]).take(pa.array([0] * 100_000))}), compression="zstd")
        assert len(bomb) < 100_000
        with pytest.raises(InvalidRows) as caught:
            read(TabularImportTables(at_most=AT_MOST), TableKind.PARQUET, bomb)
        assert caught.value.row_faults[0].code == "too-large"

    @pytest.mark.parametrize(
        "how",
        [
            {"store_schema": False, "dictionary_pagesize_limit": 2**30},
            {"use_dictionary": False, "column_encoding": {"name": "DELTA_BYTE_ARRAY"}},
        ],
        ids=["dictionary", "beginnings"],
    )
    def test_long_values_that_many_rows_share_are_never_unfolded_together(self, how: dict[str, Any]) -> None:
        long = "x" * 2_000_000
        shared = pa.table(
            {"name": pa.array(["short", *[long if "dictionary_pagesize_limit" in how else f"{long}{n}" for n in range(400)]])}
        )
        bomb = parquet(shared, compression="zstd", **how)
        del shared
        assert len(bomb) < 100_000
        pieces = read_parquet.parquet_pieces(io.BytesIO(bomb), at_most=2**31)
        unfolded = [sum(map(len, piece.columns["name"])) for piece in pieces]
        assert sum(unfolded) >= 400 * len(long)
        assert max(unfolded) <= read_parquet.UNFOLDED_MAX_BYTES
        with pytest.raises(InvalidRows) as caught:
            read(TabularImportTables(at_most=AT_MOST), TableKind.PARQUET, bomb)
        assert caught.value.row_faults[0].code == "too-large"

    def test_a_kept_dictionary_counts_for_what_its_rows_unfold_to(self) -> None:
        folded = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * 1000])
        with pytest.raises(InvalidRows) as caught:
            read(TabularImportTables(at_most=AT_MOST), TableKind.PARQUET, parquet(pa.table({"name": folded})))
        assert caught.value.row_faults[0].code == "too-large"

    @pytest.mark.parametrize("kind", [TableKind.CSV, TableKind.NDJSON])
    def test_a_row_without_end_is_not_taken_into_memory(self, kind: TableKind) -> None:
        start = b'name\n"' if kind is TableKind.CSV else b'{"name": "'
        with pytest.raises(Unreadable):
            read(TabularImportTables(at_most=AT_MOST), kind, start + b"x\\n" * 1_000_000)


PARTS = st.sampled_from(['"', '""', ",", "\n", "\r", "\r\n", "a", "ä", "\U0001f600", " ", '"a"', '"\n"', '"",'])


def outcome(pieces: Iterator[Piece]) -> Any:
    rows: Rows = {}
    faults: list[RowFault] = []
    try:
        for piece in pieces:
            faults += piece.faults
            rows |= {number: {name: values[place] for name, values in piece.columns.items()} for place, number in enumerate(piece.numbers)}
    except (Unreadable, InvalidRows) as error:
        return type(error)
    return rows, faults


@given(parts=st.lists(PARTS, max_size=30), header=st.sampled_from(["name\n", "name,status\r\n"]), step=st.integers(1, 12))
@example(parts=['"', "\r", "\n", '"'], header="name\n", step=7)
def test_csv_is_read_alike_wherever_it_is_cut(parts: list[str], header: str, step: int) -> None:
    data = (header + "".join(parts)).encode()
    kept, read_csv.READ_BYTES = read_csv.READ_BYTES, step
    try:
        found = outcome(read_csv.csv_pieces(io.BytesIO(data)))
    finally:
        read_csv.READ_BYTES = kept
    assert found == outcome(FakeImportTables().pieces(TableKind.CSV, io.BytesIO(data)))


def test_ndjson_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ndjson, "ROWS", 2)
    pieces = list(read_ndjson.ndjson_pieces(io.BytesIO(b'{"name": "a"}\n' * 5)))
    assert [list(piece.numbers) for piece in pieces] == [[1, 2], [3, 4], [5]]
