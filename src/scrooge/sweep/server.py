"""What a PostgreSQL server writes into its log, and whom it lets in: what PCI DSS asks of one that is near cards."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from scrooge.postgres.database import load, run

Q = load(Path(__file__).with_suffix(".sql"))


class Server(Struct, frozen=True):
    """`logs_slow`: some statements by their duration. Lengths of parameters in its log: 0 none, -1 whole."""

    log_statement: str
    logs_slow: bool
    parameter_bytes: int
    parameter_bytes_on_error: int
    explained_parameter_bytes: int
    superuser: bool
    encrypted: bool
    on_a_socket: bool
    identifier: str
    login: str
    database: str
    at: float

    @property
    def logs_parameters(self) -> bool:
        logs = self.log_statement in ("all", "mod") or self.logs_slow
        return (
            (logs and self.parameter_bytes != 0)
            or self.parameter_bytes_on_error != 0
            or self.explained_parameter_bytes != 0
        )


async def server(connection: Any) -> Server:
    return Server(*await run(connection, Q["server"]))


async def may_enter(connection: Any, login: str) -> bool:
    """Whether this login may connect to the connection's database; one that the server does not know may not."""
    row = await run(connection, Q["may_enter"], login)
    return row is not None and row["may"]


async def vault_rows(connection: Any, role: str, month: str) -> Any:
    """What the vault's tables say: see `vault` in the SQL. Cards that expired before `month` are to be shredded."""
    return await run(connection, Q["vault"], role, month)
