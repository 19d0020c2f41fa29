"""Tables as files: the sentences of `Tables` and `TableWriter`, read back by parsers of other hands than those that wrote."""

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.tabular.csv import CsvWriter
from adapters.tabular.parquet import READ_BYTES, ROW_GROUP, ROW_GROUP_BYTES
from adapters.tabular.tables import TabularTables
from application.ports import Tables
from domain.export import Column, ColumnType, Format
from tests.examples import NOW
from tests.fakes.tabular import FakeTables
from tests.tabular import READERS, Row, csv_records, read_csv, read_ndjson, read_parquet, typed

COLUMNS = [Column(name=kind.name.lower(), type=kind) for kind in ColumnType]
TEXTUAL = [ColumnType.TEXT, ColumnType.CATEGORY, ColumnType.TEXTS]
FORMULAS = ["=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "＝1", "＋1", "－1", "＠x"]
HARMLESS = ["", "1+1", " =1", "'=1", "a=b", "\n=1", "−1", "\u200b=1", '"=1"', ",=1"]
CODEBOOK: dict[str, Any] = {"title": 'Ü "quoted" \U0001f600', "fields": [{"name": "age"}]}

# --- writing -----------------------------------------------------------------------------------------------------------------


def write(
    tables: Tables, kind: Format, columns: Sequence[Column], *batches: Iterable[Row], guarded: bool = False, codebook: Any = None
) -> bytes:
    writer = tables.writer(kind, columns, guarded=guarded, codebook=codebook or {})
    return b"".join([writer.begin(), *(writer.rows(batch) for batch in batches), writer.end()])


# --- rows ----------------------------------------------------------------------------------------------------------------------

CLEAN = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
ODD = [*FORMULAS, *HARMLESS, '"', '""', "'", ",", ";", "\n", "\r", "\r\n", "a\r\nb", "|", "\\", "\u2028", "\ufeff", "\U0001f600", "NULL"]
TEXTS = st.sampled_from(ODD) | st.text(CLEAN, max_size=8)
CHOICES = (st.sampled_from(ODD) | st.text(CLEAN, min_size=1, max_size=8)).map(lambda text: text.replace("|", "")).filter(bool)
CELLS: dict[ColumnType, st.SearchStrategy[Any]] = {
    ColumnType.TEXT: TEXTS,
    ColumnType.CATEGORY: TEXTS,
    ColumnType.INTEGER: st.sampled_from([0, -1, 2**63 - 1, -(2**63), 2**53 + 1]) | st.integers(-(2**63), 2**63 - 1),
    ColumnType.NUMBER: st.sampled_from([0.1, 1e16, 1e23, 5e-324, 1.7976931348623157e308, -2.5])
    | st.floats(allow_nan=False, allow_infinity=False),
    ColumnType.BOOLEAN: st.booleans(),
    ColumnType.DATE: st.dates().map(date.isoformat),
    ColumnType.TIME: st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)),
    ColumnType.TEXTS: st.lists(CHOICES, max_size=3),
}
ROWS = st.lists(st.tuples(*(st.none() | CELLS[column.type] for column in COLUMNS)), max_size=5)
A_ROW = ("text", "category", 1, 0.5, True, "2026-11-24", NOW, ["a", "b"])
NOTHING = (None,) * len(COLUMNS)
QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.differing_executors, HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Cut:
    """Where a run of rows is cut into batches."""

    places: tuple[int, ...]

    def batches(self, rows: Sequence[Row]) -> list[Sequence[Row]]:
        ends = sorted({min(place, len(rows)) for place in self.places} | {0, len(rows)})
        return [[], *(rows[start:end] for start, end in pairwise(ends))]


PLAIN = [column for column in COLUMNS if column.type not in (ColumnType.TEXTS, ColumnType.CATEGORY)]
PLAIN_ROWS = st.lists(st.tuples(*(st.none() | CELLS[column.type] for column in PLAIN)), max_size=5)
CUTS = st.lists(st.integers(0, 5), max_size=4).map(lambda places: Cut(tuple(places)))


class TablesContract:
    @pytest.mark.parametrize("kind", Format)
    @QUICK
    @given(rows=ROWS, cut=CUTS)
    def test_what_was_written_reads_back_the_same_whatever_the_batches(
        self, tables: Tables, kind: Format, rows: list[Row], cut: Cut
    ) -> None:
        content = write(tables, kind, COLUMNS, *cut.batches(rows))
        assert typed(READERS[kind](content, COLUMNS)) == typed(rows)

    @pytest.mark.parametrize("kind", [Format.CSV, Format.JSON, Format.NDJSON])
    @QUICK
    @given(rows=ROWS, cut=CUTS)
    def test_batches_leave_no_mark_in_a_text(self, tables: Tables, kind: Format, rows: list[Row], cut: Cut) -> None:
        assert write(tables, kind, COLUMNS, *cut.batches(rows)) == write(tables, kind, COLUMNS, rows)

    @pytest.mark.parametrize("kind", Format)
    def test_without_rows_a_table_is_whole_all_the_same(self, tables: Tables, kind: Format) -> None:
        for number in range(3):
            batches: list[list[Row]] = [[]] * number
            assert READERS[kind](write(tables, kind, COLUMNS, *batches), COLUMNS) == []

    def test_without_rows_each_format_is_what_it_should_be(self, tables: Tables) -> None:
        column = [Column(name="age", type=ColumnType.INTEGER)]
        assert read_csv(write(tables, Format.CSV, column), column) == []
        assert write(tables, Format.JSON, column) == b"[]"
        assert write(tables, Format.NDJSON, column) == b""
        assert pq.ParquetFile(io.BytesIO(write(tables, Format.PARQUET, column))).metadata.num_rows == 0

    @pytest.mark.parametrize("kind", Format)
    def test_null_and_empty_are_told_apart(self, tables: Tables, kind: Format) -> None:
        columns = [Column(name="a", type=ColumnType.TEXT), Column(name="b", type=ColumnType.TEXTS)]
        rows: list[Row] = [(None, None), ("", []), (None, []), ("", None)]
        assert READERS[kind](write(tables, kind, columns, rows), columns) == rows

    @pytest.mark.parametrize("kind", Format)
    def test_a_column_of_nulls_reads_back_as_nulls(self, tables: Tables, kind: Format) -> None:
        assert READERS[kind](write(tables, kind, COLUMNS, [NOTHING, NOTHING]), COLUMNS) == [NOTHING, NOTHING]

    @pytest.mark.parametrize("kind", Format)
    def test_a_table_of_one_column_keeps_its_nulls(self, tables: Tables, kind: Format) -> None:
        columns = [Column(name="a", type=ColumnType.TEXT)]
        rows: list[Row] = [("x",), ("",), ("y",)]
        assert READERS[kind](write(tables, kind, columns, rows), columns) == rows

    @pytest.mark.parametrize("kind", Format)
    def test_a_row_of_another_length_is_a_mistake(self, tables: Tables, kind: Format) -> None:
        for row in (A_ROW[:-1], (*A_ROW, 1)):
            with pytest.raises((ValueError, IndexError, TypeError)):
                write(tables, kind, COLUMNS, [row])

    # --- CSV -----------------------------------------------------------------------------------------------------------------

    def test_csv_is_utf8_without_a_mark_and_lines_end_with_cr_lf(self, tables: Tables) -> None:
        content = write(tables, Format.CSV, [Column(name="a", type=ColumnType.TEXT)], [("Ü\U0001f600\n",)])
        assert content.startswith((b"a\r\n", b'"a"\r\n'))
        assert content.endswith('"Ü\U0001f600\n"\r\n'.encode())

    def test_csv_spells_numbers_booleans_times_and_lists_as_the_contract_says(self, tables: Tables) -> None:
        header, cells = csv_records(write(tables, Format.CSV, COLUMNS, [A_ROW]).decode())
        named = dict(zip(header, cells, strict=True))
        assert (named["integer"], named["number"], named["boolean"]) == ("1", "0.5", "true")
        assert (named["time"], named["date"], named["texts"]) == ("2026-11-24T12:00:00.123456Z", "2026-11-24", "a|b")

    @pytest.mark.parametrize("kind", TEXTUAL)
    @pytest.mark.parametrize("text", FORMULAS)
    def test_guarded_a_text_that_a_spreadsheet_would_run_is_led_by_an_apostrophe(self, tables: Tables, kind: ColumnType, text: str) -> None:
        column = [Column(name="a", type=kind)]
        row = ([text, "b"],) if kind is ColumnType.TEXTS else (text,)
        ((guarded,),) = list(csv_records(write(tables, Format.CSV, column, [row], guarded=True).decode()))[1:]
        assert guarded == f"'{text}" + ("|b" if kind is ColumnType.TEXTS else "")
        assert READERS[Format.CSV](write(tables, Format.CSV, column, [row]), column) == [row]

    @pytest.mark.parametrize("text", HARMLESS)
    def test_guarded_any_other_text_stays_as_it_is(self, tables: Tables, text: str) -> None:
        column = [Column(name="a", type=ColumnType.TEXT)]
        assert read_csv(write(tables, Format.CSV, column, [(text,)], guarded=True), column) == [(text,)]

    def test_numbers_of_numeric_columns_are_never_guarded(self, tables: Tables) -> None:
        columns = [Column(name="a", type=ColumnType.INTEGER), Column(name="b", type=ColumnType.NUMBER)]
        rows: list[Row] = [(-1, -2.5), (-(2**63), -5e-324), (None, None)]
        assert read_csv(write(tables, Format.CSV, columns, rows, guarded=True), columns) == rows

    def test_null_is_never_guarded(self, tables: Tables) -> None:
        assert read_csv(write(tables, Format.CSV, COLUMNS, [NOTHING], guarded=True), COLUMNS) == [NOTHING]

    @pytest.mark.parametrize("name", FORMULAS)
    def test_a_header_is_guarded_like_any_text(self, tables: Tables, name: str) -> None:
        columns = [Column(name=name, type=ColumnType.INTEGER), Column(name='b,"', type=ColumnType.INTEGER)]
        for guarded, expected in ((True, f"'{name}"), (False, name)):
            header, cells = csv_records(write(tables, Format.CSV, columns, [(-1, 2)], guarded=guarded).decode())
            assert (header, cells) == ([expected, 'b,"'], ["-1", "2"])

    @pytest.mark.parametrize("kind", [Format.JSON, Format.NDJSON, Format.PARQUET])
    def test_only_csv_is_guarded(self, tables: Tables, kind: Format) -> None:
        column = [Column(name="=a", type=ColumnType.TEXT)]
        rows = [(text,) for text in FORMULAS]
        assert READERS[kind](write(tables, kind, column, rows, guarded=True), column) == rows

    # --- JSON ----------------------------------------------------------------------------------------------------------------

    def test_ndjson_keeps_every_row_on_its_own_line(self, tables: Tables) -> None:
        column = [Column(name="a", type=ColumnType.TEXT)]
        rows = [("one\ntwo",), ("\r\n",), ("\u2028\u0085",)]
        content = write(tables, Format.NDJSON, column, rows)
        assert content.count(b"\n") == 3
        assert read_ndjson(content, column) == rows

    def test_json_is_an_array_that_is_whole_only_when_ended(self, tables: Tables) -> None:
        writer = tables.writer(Format.JSON, COLUMNS, guarded=False, codebook={})
        cut_off = writer.begin() + writer.rows([A_ROW])
        with pytest.raises(ValueError, match="Expecting"):
            json.loads(cut_off)
        assert len(json.loads(cut_off + writer.end())) == 1

    def test_json_takes_no_number_that_is_none(self, tables: Tables) -> None:
        column = [Column(name="a", type=ColumnType.NUMBER)]
        for number in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match="JSON"):
                write(tables, Format.JSON, column, [(number,)])

    # --- Parquet -------------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("rows", [[], [NOTHING], [A_ROW]], ids=["no rows", "nulls", "a row"])
    def test_the_schema_comes_from_the_declaration(self, tables: Tables, rows: list[Row]) -> None:
        schema = pq.read_schema(io.BytesIO(write(tables, Format.PARQUET, COLUMNS, rows)))
        assert schema.field("category").type == pa.dictionary(pa.int32(), pa.string())
        types = {name: schema.field(name).type for name in schema.names if name != "category"}
        assert types == {
            "text": pa.string(),
            "integer": pa.int64(),
            "number": pa.float64(),
            "boolean": pa.bool_(),
            "date": pa.date32(),
            "time": pa.timestamp("us", tz="UTC"),
            "texts": types["texts"],
        }
        assert pa.types.is_list(types["texts"])
        assert types["texts"].value_type == pa.string()

    def test_the_codebook_is_in_the_metadata(self, tables: Tables) -> None:
        for rows in ([], [A_ROW]):
            file = pq.ParquetFile(io.BytesIO(write(tables, Format.PARQUET, COLUMNS, rows, codebook=CODEBOOK)))
            assert json.loads(file.metadata.metadata[b"codebook"]) == CODEBOOK

    def test_parquet_is_compressed_by_zstd(self, tables: Tables) -> None:
        metadata = pq.ParquetFile(io.BytesIO(write(tables, Format.PARQUET, COLUMNS, [A_ROW]))).metadata
        group = metadata.row_group(0)
        assert {group.column(place).compression for place in range(group.num_columns)} == {"ZSTD"}

    def test_a_file_without_its_end_is_no_parquet(self, tables: Tables) -> None:
        writer = tables.writer(Format.PARQUET, COLUMNS, guarded=False, codebook={})
        cut_off = writer.begin() + writer.rows([A_ROW])
        with pytest.raises(pa.ArrowInvalid):
            pq.ParquetFile(io.BytesIO(cut_off))

    @QUICK
    @given(rows=PLAIN_ROWS, cut=CUTS)
    def test_what_was_written_in_csv_reads_back_the_same_in_parquet(self, tables: Tables, rows: list[Row], cut: Cut) -> None:
        converter, parts = tables.converter(PLAIN, codebook={"fields": []}), []
        parts.append(converter.begin())
        parts += [converter.records(CsvWriter(PLAIN, guarded=False).rows(batch)) for batch in cut.batches(rows)]
        content = b"".join([*parts, converter.end()])
        assert typed(read_parquet(content, PLAIN)) == typed(rows)
        written = pq.ParquetFile(io.BytesIO(write(tables, Format.PARQUET, PLAIN)))
        converted = pq.ParquetFile(io.BytesIO(content))
        assert converted.schema_arrow.equals(written.schema_arrow)
        assert json.loads(converted.metadata.metadata[b"codebook"]) == {"fields": []}

    def test_a_converter_keeps_a_byte_order_mark_at_the_beginning_of_any_record(self, tables: Tables) -> None:
        columns = [Column(name="a", type=ColumnType.TEXT), Column(name="b", type=ColumnType.TEXT)]
        rows: list[Row] = [("\ufeff" + "x" * READ_BYTES, None), ("\ufeff\ufeff" + "y" * READ_BYTES, ""), ("\ufeff", "z")]
        converter, writer = tables.converter(columns, codebook={}), CsvWriter(columns, guarded=False)
        parts = [converter.begin(), *(converter.records(writer.rows([row])) for row in rows), converter.end()]
        assert read_parquet(b"".join(parts), columns) == rows


class TestFakeTables(TablesContract):
    @pytest.fixture
    def tables(self) -> Tables:
        return FakeTables()


class TestTabularTables(TablesContract):
    @pytest.fixture
    def tables(self) -> Tables:
        return TabularTables()

    @pytest.mark.parametrize("kind", Format)
    def test_a_table_of_more_than_a_row_group_is_whole(self, tables: Tables, kind: Format) -> None:
        columns = [Column(name="n", type=ColumnType.INTEGER), Column(name="c", type=ColumnType.CATEGORY)]
        rows: list[Row] = [(n, f"choice {n % 7}" if n % 5 else None) for n in range(2 * ROW_GROUP + 1)]
        batches = [rows[start : start + 999] for start in range(0, len(rows), 999)]
        assert READERS[kind](write(tables, kind, columns, *batches), columns) == rows

    @pytest.mark.parametrize("kind", [Format.CSV, Format.JSON, Format.NDJSON])
    def test_a_text_holds_nothing_back(self, tables: Tables, kind: Format) -> None:
        writer = tables.writer(kind, COLUMNS, guarded=False, codebook={})
        writer.begin()
        assert [len(writer.rows([A_ROW, A_ROW])) > 100 for _ in range(3)] == [True] * 3

    def test_parquet_holds_at_most_one_row_group_back(self, tables: Tables) -> None:
        column = [Column(name="t", type=ColumnType.TIME)]
        writer = tables.writer(Format.PARQUET, column, guarded=False, codebook={})
        writer.begin()
        rows = [(NOW + timedelta(seconds=n),) for n in range(ROW_GROUP)]
        assert writer.rows(rows[:-1]) == b""
        assert len(writer.rows(rows[-1:])) > 0

    def test_a_converter_holds_a_bounded_number_of_bytes_back(self, tables: Tables) -> None:
        column = [Column(name="t", type=ColumnType.TEXT)]
        converter, csv = tables.converter(column, codebook={}), CsvWriter(column, guarded=False)
        content, held, most, number = converter.begin(), 0, 0, 0
        while number < 3000:
            text = csv.rows([(f"{number} {'x' * 30_000}",)])
            held, number = held + len(text), number + 1
            written = converter.records(text)
            content += written
            most, held = max(most, held), 0 if written else held
        assert most <= ROW_GROUP_BYTES + 2 * READ_BYTES
        content += converter.end()
        assert [row[0].split()[0] for row in read_parquet(content, column)] == [str(each) for each in range(3000)]
