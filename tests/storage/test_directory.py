"""Every process knows every connector account as soon as something names it."""

from contextlib import AsyncExitStack

from cryptography.fernet import Fernet

from scrooge.connectors.registry import connectors
from scrooge.ids import new_id
from scrooge.postgres.database import connect
from scrooge.storage.access import create_merchant
from scrooge.storage.directory import Directory
from scrooge.storage.sealing import Sealer

STRIPE = {"api_key": "sk_test_1", "webhook_secret": "whsec_1"}


async def test_an_account_that_another_process_just_made_is_known_to_whoever_reads_of_it(database_url: str):
    sealer = Sealer([Fernet.generate_key().decode()], None)
    async with AsyncExitStack() as stack:
        dbs = [await connect(database_url, size=2) for _ in range(2)]
        for db in dbs:
            stack.push_async_callback(db.close)
        ours, theirs = (Directory(db, connectors(), sealer, live_allowed=False) for db in dbs)
        await ours.refresh(now=True)
        merchant = await create_merchant(dbs[1], "example")
        made = await theirs.add_account(merchant, "one", "stripe", "acct_1", False, STRIPE, None, "test")
        assert await ours.named(made.id) is None, "what anybody may send makes us read nothing"
        assert await ours.account_by_id(made.id) == made
        assert await ours.account_by_id(new_id("con", 0)) is None
