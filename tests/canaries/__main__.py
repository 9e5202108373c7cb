"""The whole campaign: `make canaries`. Exit 3 when a canary card is found where none may be; names pick some flows."""

import asyncio
import sys
import time

from tests.canaries.flows import CAMPAIGN
from tests.canaries.scan import LEFT, TOLD, blind, control_everywhere, left_behind, told, told_to_anybody
from tests.canaries.stage import stage

FOUND = 3


async def campaign(names: list[str]) -> list[str]:
    """What was found, in sentences."""
    async with stage() as s:
        for name in names or list(CAMPAIGN):
            started = time.monotonic()
            await CAMPAIGN[name](s)
            print(f"{time.monotonic() - started:7.1f} s  {name}", flush=True)
        await control_everywhere(s)
        started = time.monotonic()
        hits = [*await told_to_anybody(s), *await left_behind(s)]
        print(f"{time.monotonic() - started:7.1f} s  searched for {len(s.used)} cards", flush=True)
    return [f"the search is blind in {place}" for place in blind(hits, (*TOLD, *LEFT))] + told(hits)


def main() -> int:
    found = asyncio.run(campaign(sys.argv[1:]))
    print("\n".join(found) or "no card is anywhere but in the vault; every control was found")
    return FOUND if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
