"""Bugs of the vault where a card goes into a payment: what is granted, where it goes, and what is said of it."""

from tests.mutants.mutant import Mutant

FILLS, EGRESS = "src/scrooge/vault/fills.py", "src/scrooge/vault/egress.py"
FILLING, BOOK, CARDS = (
    "src/scrooge/connectors/filling.py",
    "src/scrooge/vault/templates.py",
    "src/scrooge/vault/cards.sql",
)
ENDING, IN_DOUBT = "src/scrooge/vault/ending.py", "tests/vault/test_doubt.py"
AUDIT, SERVICE, CODES = "src/scrooge/vault/audit.py", "src/scrooge/service.py", "src/scrooge/vault/codes.py"
ON_THE_WIRE = "tests/vault/test_fills.py"
ON_RECORD = "tests/vault/test_audit.py"

FILLED = (
    Mutant(
        "security-code-not-consumed",
        "a security code goes with every payment by its card",
        CARDS,
        " AND coalesce(s.request, f.request) = f.request",
        "",
        (f"{ON_THE_WIRE}::test_a_security_code_goes_into_one_request_whatever_comes_of_it", IN_DOUBT),
    ),
    Mutant(
        "security-code-outlives-its-authorization",
        "the PSP has answered, and the security code is still there",
        CARDS,
        "SET sealed = '', answer = e.answer",
        "SET answer = e.answer",
        (IN_DOUBT,),
    ),
    Mutant(
        "doubt-prolongs-a-security-code",
        "each request that goes with it keeps a security code alive",
        CARDS,
        "       SET request = f.request\n",
        "       SET request = f.request, expires_at = now() + interval '15 minutes'\n",
        (IN_DOUBT,),
    ),
    Mutant(
        "security-code-past-its-minutes",
        "a security code goes although its minutes are over",
        CARDS,
        "       AND s.expires_at > now() AND coalesce(",
        "       AND coalesce(",
        (IN_DOUBT,),
    ),
    Mutant(
        "answer-not-kept",
        "the code goes with the answer, and a core that was cut off can neither ask again nor hear it",
        FILLS,
        "kept if told_again else None",
        "None",
        (IN_DOUBT,),
    ),
    Mutant(
        "refusal-told-again",
        "a refusal of one send is told to a replay, whatever a send before it did",
        FILLS,
        "told_again = whatever_came_before and",
        "told_again =",
        (IN_DOUBT,),
    ),
    Mutant(
        "replay-without-its-code",
        "what went with a security code goes again without it: another request under the same key",
        CARDS,
        "THEN 'security_code_gone'",
        "THEN 'done'",
        (IN_DOUBT,),
    ),
    Mutant(
        "garbage-ends-an-authorization",
        "an answer that nobody can read takes the security code away",
        ENDING,
        'return Unknown("it cannot be read")',
        "return None",
        (IN_DOUBT,),
    ),
    Mutant(
        "refused-replay-ends-an-authorization",
        "a refusal of the second send is kept and told as the answer to the first",
        ENDING,
        "proven = first or connector.replayed(sent.headers)",
        "proven = True",
        (IN_DOUBT,),
    ),
    Mutant(
        "security-code-survives-its-process",
        "the key that sealed a code can be had again after a restart",
        CODES,
        "self.keys = {self.period: secrets.token_bytes(32)}",
        "self.keys = {self.period: bytes(32)}",
        (f"{ON_THE_WIRE}::test_a_security_code_is_on_no_disk_readable_and_gone_after_a_crash",),
    ),
    Mutant(
        "token-replay-accepted",
        "a request that somebody repeats is filled and sent twice",
        CARDS,
        "CASE WHEN u.id IS NULL THEN",
        "CASE WHEN w.token IS NULL THEN",
        (f"{ON_THE_WIRE}::test_a_service_token_is_good_once",),
    ),
    Mutant(
        "granted-before-its-record",
        "a card leaves although its record was not written",
        CARDS,
        "l.code, l.answer FROM looked l, told t WHERE t.records > 0;",
        "l.code, l.answer FROM looked l;",
        (ON_RECORD, ON_THE_WIRE),
    ),
    Mutant(
        "refused-fill-is-granted",
        "a card of another merchant goes into a payment",
        CARDS,
        "c.id = w.card_id AND c.merchant_id = w.merchant_id",
        "c.id = w.card_id",
        (f"{ON_THE_WIRE}::test_another_merchants_card_is_not_there",),
    ),
    Mutant(
        "lost-told-as-not-sent",
        "sent and not answered: the vault says that nothing left",
        EGRESS,
        'return Sent("lost",',
        'return Sent("not_sent",',
        (f"{ON_THE_WIRE}::test_what_is_known_and_what_is_not_is_told_apart",),
    ),
    Mutant(
        "failure-after-the-send-says-not-sent",
        "the vault stumbles over a PSP's answer and says that nothing was sent",
        FILLS,
        """    call.members = {}
    reach("vault.send.written\"""",
        """    reach("vault.send.written\"""",
        (f"{ON_THE_WIRE}::test_a_failure_after_the_send_never_says_that_nothing_was_sent",),
    ),
    Mutant(
        "used-token-says-not-sent",
        "the second copy of a request says that nothing was sent, and the first one was",
        FILLS,
        "if not call.members and await first_use(call, claims):",
        "if not call.members:",
        (f"{ON_THE_WIRE}::test_a_service_token_is_good_once",),
    ),
    Mutant(
        "late-fill-is-sent",
        "what was long on its way is sent though the core no longer waits",
        FILLS,
        "claims.issued_at > ask.timeout + CLOCK_SKEW_SECONDS",
        "claims.issued_at > ask.timeout + 60 * CLOCK_SKEW_SECONDS",
        (f"{ON_THE_WIRE}::test_what_was_long_on_its_way_is_not_sent_and_nothing_is_concluded_from_it",),
    ),
    Mutant(
        "wrong-host-allowed",
        "a host that begins like an allowed one is sent cards",
        BOOK,
        'wanted.startswith(f"{base}/")',
        "wanted.startswith(base)",
        (f"{ON_THE_WIRE}::test_what_cannot_be_filled_is_refused_before_anything_leaves",),
    ),
    Mutant(
        "card-goes-anywhere",
        "a placeholder is filled where the template has no card",
        FILLING,
        """        elif value in STANDING:
""",
        """        elif value in STANDING and not given:
""",
        (f"{ON_THE_WIRE}::test_a_number_given_twice_is_refused",),
    ),
    Mutant(
        "reply-unredacted",
        "a PSP that repeats the card tells it to the core",
        FILLS,
        "clean(template, sent.body, card)",
        "sent.body",
        (f"{ON_THE_WIRE}::test_a_reply_that_repeats_the_card_comes_back_without_it",),
    ),
    Mutant(
        "audit-not-chained",
        "a record can be changed with its hash, and the rest does not say so",
        AUDIT,
        "hashlib.sha256(previous + record)",
        "hashlib.sha256(record)",
        (f"{ON_RECORD}::test_a_record_that_was_changed_with_its_own_hash_is_found_by_the_next",),
    ),
    Mutant(
        "token-for-any-body",
        "who has one token of the core has any card filled into anything",
        SERVICE,
        " and same(claims.dgs, digest(body))",
        "",
        ("tests/vault/test_service.py",),
    ),
    Mutant(
        "token-of-any-time",
        "a token that was found in a log is good for ever",
        SERVICE,
        "<= now < claims.exp + CLOCK_SKEW_SECONDS",
        "<= now",
        ("tests/vault/test_service.py",),
    ),
)
