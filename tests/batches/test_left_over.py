"""What workers do about batches that nobody looks after: an unended validation, lines of long ago."""

import asyncpg

from scrooge.domain.batch import Act
from scrooge.ids import hex_of
from scrooge.storage import batch_lines, batches
from scrooge.workers.intake import PATIENCE, end_validation, forget_batch_lines
from tests.batches.conftest import Desk, file_of


def nothing(item: object) -> None:
    raise AssertionError(item)


async def owner(url: str, sql: str, *args: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql, *args)
    finally:
        await connection.close()


async def test_a_validation_that_nobody_ended_is_ended_by_a_worker(desk: Desk, database_url: str):
    [mandate] = await desk.mandates()
    made = (await desk.batch())["id"]
    file = file_of([mandate], 3) + file_of([mandate], 2)
    await desk.put(made, file, place=f"?total={len(file) + 1}")  # not whole
    found = await batches.read(desk.api.s.db, made)
    assert found is not None
    await batches.move(desk.api.s.db, found, Act.CLOSE, "worker")
    await end_validation(desk.api.s, nothing)
    assert (await desk.read(made))["status"] == "validating", "whoever took it in has a moment"
    await owner(
        database_url, "UPDATE batches SET changed_at = changed_at - make_interval(secs => $2) WHERE id = $1",
        hex_of(made), PATIENCE / 1e6 + 1,
    )  # fmt: skip
    await end_validation(desk.api.s, nothing)
    assert (await desk.read(made))["status"] == "ready"
    assert await desk.wrong(made) == {4: "duplicate_reference", 5: "duplicate_reference"}


async def test_a_reference_is_refused_once_however_often_it_is_looked_for(desk: Desk):
    [mandate] = await desk.mandates()
    made = (await desk.batch())["id"]
    await desk.put(made, file_of([mandate], 700) * 3)
    found = await batches.read(desk.api.s.db, made)
    assert found is not None
    assert found.rejected == 1400
    await batch_lines.refuse_repeated(desk.api.s.db, found)
    assert (await desk.read(made))["counts"]["rejected"] == 1400


async def test_lines_go_three_months_after_their_batch_ended_and_not_before(desk: Desk, database_url: str):
    mandates = await desk.mandates(2)
    made = [(await desk.batch())["id"] for _ in range(2)]
    for one in made:
        await desk.put(one, file_of(mandates, 2345))
        await desk.ask("POST", f"/v1/batches/{one}/cancel")
    old, young = (hex_of(one) for one in made)
    sql = "UPDATE batches SET ended_at = now() - make_interval(days => $2) WHERE id = $1"
    await owner(database_url, sql, old, 91)
    await owner(database_url, sql, young, 89)
    assert await batch_lines.forget(desk.api.s.db, 2) == 2
    while await forget_batch_lines(desk.api.s, nothing):
        pass
    for table, kept in (("batch_lines", 2345), ("batch_pieces", 3)):
        count = f"SELECT count(*) AS n FROM {table} WHERE batch_id = $1"
        assert (await owner(database_url, count, old))[0]["n"] == 0
        assert (await owner(database_url, count, young))[0]["n"] == kept
    found = await desk.read(made[0])
    assert (found["status"], found["counts"]["total"]) == ("canceled", 2345), "the batch and its history stay"
