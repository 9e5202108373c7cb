"""What a payer's browser is given: exactly the scripts of the inventory, under a policy that lets nothing else run."""

import base64
import hashlib
import json
import re
from datetime import date

import pytest

from scrooge.cards import RANGES
from scrooge.errors import InvalidField
from scrooge.vault.form import page
from scrooge.vault.form.sessions import checked_origin

SHOP = "https://shop.example"
FORM = page.form(origin=SHOP, action="/v1/x", code=True, livemode=False, today=date(2026, 11, 21))
GONE = page.gone(code="session_used", title="This form was used already", text="Go back.", origin=SHOP)
SCRIPTS = re.compile(r"<script([^>]*)>(.*?)</script>", re.DOTALL)
STYLES = re.compile(r"<style([^>]*)>(.*?)</style>", re.DOTALL)


def digest(text: str, name: str = "sha384") -> str:
    return base64.b64encode(hashlib.new(name, text.encode()).digest()).decode()


@pytest.mark.parametrize("html", [FORM, GONE])
def test_a_page_runs_exactly_the_scripts_of_the_inventory_and_says_so_in_its_policy(html):
    listed = {p["file"]: p for p in json.loads((page.HERE / "inventory.json").read_text())}
    assert (
        set(listed)
        == {"form.js", "form.css", "scrooge.js"}
        == {p.name for p in page.HERE.glob("*.[jc]s*")} - {"inventory.json"}
    )
    assert all(p["why"] for p in listed.values())
    [(attributes, script)], [(styled, style)] = SCRIPTS.findall(html), STYLES.findall(html)
    assert (attributes, styled) == ("", "")
    assert digest(script) == listed["form.js"]["sha384"]
    assert digest(style) == listed["form.css"]["sha384"]
    assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", html.replace(script, ""))
    assert not re.search(r"(src|href)=", html.replace(script, "")), "nothing is loaded from anywhere"
    policy = page.headers(SHOP)["Content-Security-Policy"]
    assert f"script-src 'sha256-{digest(script, 'sha256')}';" in policy
    assert f"style-src 'sha256-{digest(style, 'sha256')}';" in policy


def test_a_script_that_is_not_the_one_of_the_inventory_stops_the_vault(tmp_path, monkeypatch):
    for file in page.HERE.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(page, "HERE", tmp_path)
    page.inventoried()
    (tmp_path / "form.js").write_text((tmp_path / "form.js").read_text() + "// one more line")
    with pytest.raises(page.Tampered, match=r"form\.js"):
        page.inventoried()


def test_the_policy_allows_one_script_one_style_the_vault_itself_and_the_sessions_origin_around_it():
    policy = dict(part.split(" ", 1) for part in page.headers(SHOP)["Content-Security-Policy"].split("; "))
    hashes = {"script-src": policy.pop("script-src"), "style-src": policy.pop("style-src")}
    assert all(re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", source) for source in hashes.values())
    assert policy == {
        "default-src": "'none'", "connect-src": "'self'", "form-action": "'none'", "base-uri": "'none'",
        "frame-ancestors": SHOP, "require-trusted-types-for": "'script'",
    }  # fmt: skip
    assert "frame-ancestors 'none'" in page.headers(None)["Content-Security-Policy"]
    assert page.headers(SHOP)["Cache-Control"] == "no-store"
    assert page.headers(SHOP)["Referrer-Policy"] == "no-referrer"


def test_what_a_shop_says_of_itself_stays_text_in_the_page():
    html = page.gone(code='"><script>', title="<b>", text="&", origin="https://a.example\"'><script>")
    assert len(SCRIPTS.findall(html)) == 1
    assert "<b>&lt;b&gt;</b>" in html


def test_the_shops_script_is_tiny_and_the_snippet_pins_it():
    script = (page.HERE / "scrooge.js").read_text()
    assert len(script.encode()) < 3000
    assert f'integrity="sha384-{digest(script)}" crossorigin="anonymous"' in page.snippet("https://vault.example")
    assert 'src="https://vault.example/scrooge.js"' in page.snippet("https://vault.example")


def test_scripts_are_written_for_browsers_of_2017():
    """There is no build step that would translate what is newer."""
    for name in ("form.js", "scrooge.js"):
        script = re.sub(r"//.*", "", (page.HERE / name).read_text())
        assert not re.search(r"\?\.|\?\?|\{\s*\.\.\.|catch\s*\{|\bBigInt\b|#[a-z]+\s*[=(]|\.at\(|\|\|=", script), name


def test_the_form_knows_the_same_brands_and_lengths_as_the_vault():
    found = re.search(r'data-ranges="([^"]*)"', FORM)
    assert found
    rows = json.loads(found[1].replace("&quot;", '"'))
    assert rows == [[low, high, list(lengths), brand] for low, high, lengths, brand in RANGES]


def test_a_session_that_asks_for_no_security_code_has_no_field_for_one():
    plain = page.form(origin=SHOP, action="/v1/x", code=False, livemode=True, today=date(2026, 11, 21))
    assert 'id="code"' in FORM
    assert 'id="code"' not in plain
    assert "Test mode" in FORM
    assert "Test mode" not in plain


@pytest.mark.parametrize(
    ("given", "live", "kept"),
    [
        ("https://shop.example", True, "https://shop.example"),
        ("https://Shop.Example:443", True, "https://shop.example"),
        ("https://shop.example:8443", False, "https://shop.example:8443"),
        ("http://localhost:8082", False, "http://localhost:8082"),
        ("http://127.0.0.1:80", False, "http://127.0.0.1"),
        ("http://[::1]:8082", False, "http://[::1]:8082"),
    ],
)
def test_an_origin_is_kept_as_browsers_write_it(given, live, kept):
    assert checked_origin(given, live) == kept


@pytest.mark.parametrize(
    ("given", "live"),
    [
        ("http://shop.example", False),
        ("http://localhost:8082", True),
        ("https://shop.example/", False),
        ("https://shop.example/pay", False),
        ("https://*.shop.example", False),
        ("https://shop.example https://evil.example", False),
        ("https://shop.example; script-src *", False),
        ("https://user@shop.example", False),
        ("https://shop.example\r\nX: y", False),
        ("https://bücher.example", False),
        ("javascript:alert(1)", False),
        ("null", False),
        ("https://shop.example:99999x", False),
    ],
)
def test_what_is_no_origin_or_came_over_no_tls_is_refused(given, live):
    with pytest.raises(InvalidField) as refused:
        checked_origin(given, live)
    assert refused.value.param == "origin"
