"""Births and deaths of processes, as the harness sees them."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import Any


class Life:
    """One process: `ended` has its exit code (-9: SIGKILL) once it is dead."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def signal(self, number: int) -> None:
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def kill(self) -> int:
        self.signal(signal.SIGKILL)
        return await asyncio.shield(self.ended)

    async def died(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.ended), seconds)
        return self.ended.done()


class Nursery:
    """Where processes come from; closing it ends them all."""

    def __init__(self) -> None:
        self.lives: dict[int, Life] = {}
        self.births: asyncio.Queue[Any] = asyncio.Queue()
        self.turn = asyncio.Lock()

    async def open(self) -> None:
        self.nurse = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.nursery",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.listening = asyncio.create_task(self.listen())
        await self.births.get()

    async def listen(self) -> None:
        assert self.nurse.stdout is not None
        async for line in self.nurse.stdout:
            fact = json.loads(line)
            if "ended" in fact:
                self.lives.pop(fact["pid"]).ended.set_result(fact["ended"])
            elif "born" in fact:
                self.lives[fact["born"]] = Life(fact["born"])
                self.births.put_nowait(self.lives[fact["born"]])
            else:
                self.births.put_nowait(None)

    async def birth(self, kind: str, log: str, env: dict[str, str], **more: Any) -> Life:
        assert self.nurse.stdin is not None
        async with self.turn:
            order = {"kind": kind, "env": env, "log": log, **more}
            self.nurse.stdin.write(json.dumps(order).encode() + b"\n")
            await self.nurse.stdin.drain()
            return await asyncio.wait_for(self.births.get(), 30)

    async def close(self) -> None:
        assert self.nurse.stdin is not None
        self.nurse.stdin.close()
        await self.nurse.wait()
        self.listening.cancel()
