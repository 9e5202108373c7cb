"""The layout, enforced: who may import whom, what stays pure, how large things grow, which words are ours."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent / "src" / "scrooge"

# Each line may import only from the lines below it.
LAYERS = [
    {"__main__"},
    {"cli"},
    {"app"},
    {"listening"},
    {"api", "workers", "sandbox", "vault"},  # doors: they never import each other
    {"flows"},
    {"storage", "connectors", "webhooks"},
    {"ledger", "routing", "risk"},
    {"domain"},
    {"admission", "sweep"},
    {"postgres"},  # PostgreSQL itself, whoever's tables are in it
    {
        "money",
        "ids",
        "errors",
        "settings",
        "metrics",
        "logs",
        "crash",
        "urls",
        "gate",
        "unanswered",
        "cards",
        "service",
        "reading",
        "serving",
    },
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
PURE = {"ledger", "routing", "risk", "domain"}
IO = {"aiohttp", "asyncio", "asyncpg", "datetime", "os", "pathlib", "random", "socket", "subprocess", "time", "uuid",
      "starlette", "structlog", "uvicorn"}  # fmt: skip
# Days and hours in an issuer's zone cannot be had without datetime: one file may, and it never asks for the time.
CALENDAR = "routing/calendar.py"
# Third-party libraries that have one place: what it is, and where it may be imported.
PLACES = {
    "starlette": ("api/", "app.py", "sandbox/", "serving.py", "vault/"),
    "uvicorn": ("listening.py", "sandbox/"),
    "aiohttp": (
        "connectors/client.py",
        "connectors/send.py",
        "connectors/errand.py",
        "connectors/network_token.py",
        "connectors/vault_client.py",
        "unanswered.py",
        "flows/scrooge.py",
        "webhooks/addresses.py",
        "webhooks/sender.py",
        "webhooks/asking.py",
        "vault/egress.py",
        "vault/vault.py",
        "sandbox/",
        "cli/",
    ),
    "standardwebhooks": ("webhooks/signing.py",),
    "asyncpg": ("postgres/", "storage/", "vault/", "flows/perform.py", "api/problems.py"),
    "typer": ("cli/",),
    "rich": ("cli/",),
}
# What an import across layers may reach although the names differ: storage keeps a connector's types.
ALLOWED = {
    (
        "storage",
        "connectors.connector",
    ),  # Request, Notification, Wire: values that are kept, and where an account's requests go
}
SIDEWAYS = {
    "storage": {"ledger"},
    "connectors": set(),
    "webhooks": set(),
    "api": set(),
    "workers": set(),
    "sandbox": set(),
    "vault": set(),
}


@functools.cache
def modules() -> list[tuple[str, str, ast.Module]]:
    return list(parsed())


def parsed() -> Iterator[tuple[str, str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT)
        tree = ast.parse(path.read_text())
        package = ["scrooge", *relative.parts[:-1]]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                node.module = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
        yield str(relative), relative.parts[0].removesuffix(".py"), tree


def imports(tree: ast.Module) -> Iterator[str]:
    """Every import anywhere, function-level and TYPE_CHECKING ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def ours(tree: ast.Module) -> set[str]:
    return {name.removeprefix("scrooge.") for name in imports(tree) if name.startswith("scrooge.")}


def test_every_module_has_a_layer():
    assert {place for _, place, _ in modules()} - set(RANK) == {"__init__"}


def test_imports_point_down():
    for path, place, tree in modules():
        for target in ours(tree):
            there = target.split(".")[0]
            if place == "__init__" or there not in RANK or there == place:
                continue
            if RANK[place] == RANK[there]:
                allowed = RANK[place] == len(LAYERS) - 1 or any(place == a and target.startswith(b) for a, b in ALLOWED)
                assert allowed, f"{path} imports its neighbor {target}"
            else:
                assert RANK[place] < RANK[there], f"{path} imports {target}, which is above it"


def test_there_are_no_import_cycles():
    graph: dict[str, set[str]] = {}
    names = {path.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for path, _, _ in modules()}
    for path, _, tree in modules():
        me = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        graph[me] = {t for t in ours(tree) if t in names and t != me}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def test_the_pure_folders_neither_await_nor_touch_the_world():
    for path, place, tree in modules():
        if place in PURE:
            allowed = {"datetime"} if path == CALENDAR else set()
            assert not (IO - allowed) & {name.split(".")[0] for name in imports(tree)}, path
            assert not any(isinstance(n, ast.Await | ast.AsyncFunctionDef) for n in ast.walk(tree)), path


def test_the_calendar_does_not_ask_what_time_it_is():
    (tree,) = [tree for path, _, tree in modules() if path == CALENDAR]
    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not asked & {"now", "utcnow", "today"}


def test_each_library_has_its_place():
    for path, _, tree in modules():
        for name in imports(tree):
            places = PLACES.get(name.split(".")[0])
            assert places is None or path.startswith(places), f"{path} imports {name}"


def test_the_sandbox_shares_no_code_with_what_it_judges():
    for path, place, tree in modules():
        if place == "sandbox":
            assert all(t.startswith("sandbox") for t in ours(tree)), path


def test_only_the_flows_await_both_the_database_and_a_psp():
    for path, place, tree in modules():
        if place not in {"flows", "app"} and path != "cli/bench/vault/hop.py":  # It measures, and has no database.
            assert "connectors.send.send" not in ours(tree), path


def test_nothing_grows_past_a_page_or_two():
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{path}: {node.name}"
    for path in sorted(ROOT.rglob("*.sql")):
        assert len(path.read_text().splitlines()) <= 400, path


BANNED = re.compile(r"(?:^|_)(gateway|charge|cents|failover|util|utils|helper|helpers|manager)(?:_|$)", re.IGNORECASE)
PAN = re.compile(r"(?:^|_)pan(?:_|$)", re.IGNORECASE)


def identifiers(tree: ast.Module) -> Iterator[str]:
    """The names we give; not those that other people gave."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name)


def test_words_are_those_of_the_glossary():
    """PSP spellings stay inside connectors and the sandbox's dialects; `pan` means the refusal of one."""
    for path, place, tree in modules():
        if place in {"connectors", "sandbox"}:
            continue
        for name in identifiers(tree):
            assert not BANNED.search(name), f"{path}: {name}"
            assert not PAN.search(name) or "refuse" in name.lower() or path.startswith("api/"), f"{path}: {name}"
