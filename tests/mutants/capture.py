"""Bugs of the card form: a second card, another site, a script that nobody looked at."""

from tests.mutants.mutant import Mutant

SESSIONS, STATEMENTS = "src/scrooge/vault/form/sessions.py", "src/scrooge/vault/form/sessions.sql"
PAGE = "src/scrooge/vault/form/page.py"
WIRE = "tests/checkout/test_sessions.py"

CAPTURE = (
    Mutant(
        "session-answers-twice",
        "who sends the same card to a used session gets its instrument, without knowing the page's name for it",
        SESSIONS,
        'if session["used"] and not hmac.compare_digest(session["attempt"], attempt):',
        "if False:",
        (f"{WIRE}::test_a_session_takes_one_card_for_its_customer",),
    ),
    Mutant(
        "card-from-another-origin",
        "a page of another origin of the same site may send a card",
        SESSIONS,
        'call.headers.get("sec-fetch-site", "same-origin") != "same-origin"',
        "False",
        (f"{WIRE}::test_a_card_comes_from_the_vaults_own_page_only",),
    ),
    Mutant(
        "cards-tried-without-end",
        "a session is a place to try cards",
        STATEMENTS,
        "SET tries = tries + 1, attempt = $2 WHERE digest = $1 AND tries < 10",
        "SET attempt = $2 WHERE digest = $1",
        (f"{WIRE}::test_ten_cards_may_be_tried",),
    ),
    Mutant(
        "session-never-over",
        "neither time nor a revoked key ends a session",
        STATEMENTS,
        "s.expires_at <= now() OR v.revoked_at IS NOT NULL AS over",
        "false AS over",
        (f"{WIRE}::test_a_session_runs_out",),
    ),
    Mutant(
        "revoked-key-still-takes-cards",
        "a session outlives the key it was made with",
        STATEMENTS,
        "s.expires_at <= now() OR v.revoked_at IS NOT NULL AS over",
        "s.expires_at <= now() AS over",
        (f"{WIRE}::test_a_session_ends_with_the_key_it_was_made_with",),
    ),
    Mutant(
        "form-in-any-page",
        "any site may show the form in its own page",
        PAGE,
        '"frame-ancestors": origin or "\'none\'"',
        '"frame-ancestors": "*"',
        ("tests/vault/test_form.py",),
    ),
    Mutant(
        "script-that-nobody-looked-at",
        "a script is served although it is not the one of the inventory",
        PAGE,
        "if digest != piece.sha384:",
        "if False:",
        ("tests/vault/test_form.py",),
    ),
)
