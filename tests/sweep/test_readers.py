"""The scanner reads: files, PostgreSQL's heap and write-ahead log, its rows, and a process's memory."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest

from scrooge.postgres import embedded
from scrooge.sweep.files import WINDOW, in_file, in_folder, in_memory, records
from scrooge.sweep.finder import AnyCard, Planted
from scrooge.sweep.rows import in_database
from tests.sweep.encodings import ENCODINGS

NUMBERS = {
    "row": "4000009912345678",
    "long": "4000009923456787",
    "deleted": "4000009934567895",
    "other": "4000009945678905",
}
FINDER = Planted(NUMBERS)
HOLDS = """
import sys, time
said = sys.stdin.readline().strip()
kept = {said: said.encode("utf-16-le")}
print("here", flush=True)
time.sleep(60)
"""


def test_a_number_is_found_in_a_file_across_windows_and_in_a_large_compressed_one(tmp_path):
    written, path = ENCODINGS["base64 of gzip"](NUMBERS["row"]), tmp_path / "file"
    path.write_bytes(b"\0" * (WINDOW - len(written) // 2) + written + b"\0" * 100)
    assert {(h.what, h.where) for h in in_file(FINDER, path)} == {("row", str(path))}
    path.write_bytes(gzip.compress(os.urandom(WINDOW + 5) + NUMBERS["row"].encode(), 1))
    assert f"{path}, unpacked" in {h.where for h in in_file(FINDER, path)}
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "empty").touch()
    assert in_folder(FINDER, tmp_path / "folder") == []


def test_a_number_is_found_in_the_memory_of_another_process():
    process = subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(NUMBERS["row"].encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        hits = in_memory(FINDER, process.pid)
        assert {h.what for h in hits} == {"row"}
        assert all(h.where.startswith(f"memory of {process.pid}") for h in hits)
    finally:
        process.kill()
        process.wait()


def test_the_memory_of_a_process_that_never_saw_one_is_clean():
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert in_memory(FINDER, process.pid) == []
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def planted():
    """A server of its own with a row, a long compressed one, one moved out of line, and one deleted."""
    with tempfile.TemporaryDirectory(prefix="scrooge-sweep-") as folder:
        server = embedded.start(Path(folder))

        async def plant() -> None:
            connection = await asyncpg.connect(server.url)
            await connection.execute("CREATE TABLE notes (id int, seen numeric, body jsonb, raw bytea)")
            insert = "INSERT INTO notes VALUES ($1, $2, $3, $4)"
            await connection.execute(insert, 1, 0, json.dumps({"card": f"x{NUMBERS['row']}"}), b"\x01")
            long = {
                "events": [{"at": n, "kind": "a notification of some kind"} for n in range(70)],
                "number": NUMBERS["long"],
            }
            await connection.execute(insert, 2, 0, json.dumps(long), b"\x02")
            await connection.execute(insert, 3, 0, "{}", gzip.compress(NUMBERS["deleted"].encode()))
            await connection.execute("DELETE FROM notes WHERE id = 3")
            await connection.execute("CHECKPOINT")
            await connection.execute(insert, 4, int(NUMBERS["other"]), "{}", b"\x04")
            await connection.close()

        asyncio.run(plant())
        yield server
        server.stop()


def test_numbers_are_found_in_rows_by_table_and_column(planted):
    async def found(finder):
        connection = await asyncpg.connect(planted.url)
        try:
            return await in_database(connection, finder)
        finally:
            await connection.close()

    hits, read = asyncio.run(found(FINDER))
    assert {(h.what, h.where) for h in hits} == {("row", "notes.body"), ("long", "notes.body"), ("other", "notes.seen")}
    assert read > 3000
    hits, _ = asyncio.run(found(AnyCard()))
    assert {h.what for h in hits} == {"400000...5678", "400000...6787"}


def test_numbers_are_found_in_the_heap_and_the_log_deleted_ones_too(planted):
    ours = max(planted.folder.glob("base/*"), key=lambda folder: int(folder.name))  # the newest database
    heap = {h.what for h in in_folder(FINDER, ours, postgres=True)}
    assert {"row", "long", "deleted"} <= heap
    wal = {h.what for h in in_folder(FINDER, planted.folder / "pg_wal", postgres=True)}
    assert wal == set(NUMBERS)


def test_a_record_that_goes_on_behind_a_page_of_the_log_is_read_as_one():
    page = b"\0" * 8180 + NUMBERS["row"][:12].encode()
    segment = page + b"header" * 4 + NUMBERS["row"][12:].encode() + b"\0" * 100
    assert NUMBERS["row"].encode() in records(segment)
