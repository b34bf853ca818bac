from __future__ import annotations

import hashlib
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.sources import read_source
from tests.runtime.stages.conftest import Bench


def values(bench: Bench, source: dict[str, Any]) -> list[Any]:
    return [dict(record.values) for record in read_source(source, bench.root)]


def test_jsonl_rows_come_in_order_from_all_files(bench: Bench) -> None:
    bench.write("a.jsonl", b'\xef\xbb\xbf{"x": 1}\n\n{"x": "\xc3\xa9"}')
    bench.write("b.jsonl", '{"x": [2]}\r\n')
    assert values(bench, bench.source("a.jsonl", "b.jsonl")) == [{"x": 1}, {"x": "\u00e9"}, {"x": [2]}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"x": 1', r"a.jsonl row 3 is not JSON: Expecting ',' delimiter at column 8"),
        (b"[1]", "a.jsonl row 3 is a list, not an object of columns"),
        (b"null", "a.jsonl row 3 is null, not an object of columns"),
        (b'{"x": "\xff"}', "a.jsonl row 3 cannot be read: 'utf-8' codec can't decode byte 0xff"),
        (b"[" * 100_000, "a.jsonl row 3 cannot be read"),
    ],
)
def test_a_bad_line_is_named(bench: Bench, line: bytes, message: str) -> None:
    bench.write("a.jsonl", b'{"x": 1}\n\n' + line + b"\n")
    with pytest.raises(JobFailed, match=message) as failure:
        values(bench, bench.source("a.jsonl"))
    assert failure.value.kind == "data"


def test_parquet_rows_stream(bench: Bench) -> None:
    table = pyarrow.table({"q": [f"q{i}" for i in range(3000)], "a": list(range(3000))})
    pyarrow.parquet.write_table(table, bench.root / "t.parquet", row_group_size=700)
    records = list(read_source(bench.source("t.parquet", kind="parquet"), bench.root))
    assert len(records) == 3000
    assert (records[2047].where, dict(records[2047].values)) == (
        "t.parquet row 2048",
        {"q": "q2047", "a": 2047},
    )


def test_a_broken_parquet_file_is_named(bench: Bench) -> None:
    bench.write("t.parquet", "not parquet at all, only text")
    with pytest.raises(JobFailed, match=r"t.parquet cannot be read as Parquet after row 0: "):
        values(bench, bench.source("t.parquet", kind="parquet"))


@pytest.mark.parametrize(
    ("split", "texts"),
    [
        ("file", ["one\ntwo\n\n\nthree\r\n"]),
        ("line", ["one", "two", "three"]),
        ("paragraph", ["one\ntwo", "three"]),
    ],
)
def test_text_is_split(bench: Bench, split: str, texts: list[str]) -> None:
    bench.write("t.txt", "one\ntwo\n\n\nthree\r\n")
    assert [v["text"] for v in values(bench, bench.source("t.txt", kind="text", split=split))] == texts


def test_text_must_be_utf8(bench: Bench) -> None:
    bench.write("t.txt", b"abc\xff")
    with pytest.raises(JobFailed, match=r"t\.txt is not UTF-8: .*position 3"):
        values(bench, bench.source("t.txt", kind="text", split="line"))


def test_a_generator_yields_rows(bench: Bench) -> None:
    bench.write(
        "gen_rows.py", "def count(n, seed=0):\n    for i in range(n):\n        yield {'i': i + seed}\n"
    )
    source = bench.source(kind="python", target="gen_rows:count", args={"n": 2, "seed": 5})
    assert values(bench, source) == [{"i": 5}, {"i": 6}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "    yield {'i': 1}\n    raise KeyError('boom')\n",
            "`bad_rows:f` failed after row 1: bad_rows.py:3: KeyError: 'boom'",
        ),
        ("    yield 3\n", "bad_rows:f row 1 is a number, not an object of columns"),
        (
            "    return None\n",
            r"`bad_rows:f` failed with args {}: TypeError: 'NoneType' object is not iterable",
        ),
        ("    return open('/nowhere/x')\n", "bad_rows.py:2: FileNotFoundError"),
        ("    yield {'i': 1}\n    raise SystemExit\n", "failed after row 1: bad_rows.py:3: SystemExit"),
    ],
)
def test_what_goes_wrong_in_a_generator_is_placed(bench: Bench, body: str, message: str) -> None:
    bench.write("bad_rows.py", "def f():\n" + body)
    with pytest.raises(JobFailed) as failure:
        values(bench, bench.source(kind="python", target="bad_rows:f"))
    assert message in str(failure.value)
    assert failure.value.kind == "data"


def test_a_file_that_changed_after_compiling_is_refused(bench: Bench) -> None:
    path = bench.write("a.jsonl", '{"x": 1}\n')
    entry = {"path": "a.jsonl", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    source = {**bench.source(), "files": [entry]}
    assert values(bench, source) == [{"x": 1}]
    path.write_text('{"x": 2}\n')
    with pytest.raises(JobFailed, match=r"data file a\.jsonl changed since the plan was compiled"):
        values(bench, source)


def test_a_file_that_is_gone_is_named(bench: Bench) -> None:
    with pytest.raises(JobFailed, match=r"data file nothing\.jsonl does not exist"):
        values(bench, bench.source("nothing.jsonl"))
