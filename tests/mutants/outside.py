"""Bugs at the doors: what callers may ask, what PSPs may tell, and webhooks on their way out."""

from tests.mutants.mutant import Mutant

DOOR, AUTH, PARSING = "src/scrooge/api/door.py", "src/scrooge/api/auth.py", "src/scrooge/api/parsing.py"
READING = "src/scrooge/reading.py"
AUTHORIZE, DIRECTORY = "src/scrooge/flows/authorize.py", "src/scrooge/storage/directory.sql"
STRIPE, ADYEN = "src/scrooge/connectors/stripe_notifications.py", "src/scrooge/connectors/adyen_notifications.py"
SENDER, ADDRESSES = "src/scrooge/webhooks/sender.py", "src/scrooge/webhooks/addresses.py"
DELIVER, MANAGE, SQL = (
    "src/scrooge/flows/deliver.py",
    "src/scrooge/flows/webhooks.py",
    "src/scrooge/storage/webhooks.sql",
)
BAD, PARSED, SIGNED = (
    "tests/api/test_bad_requests.py",
    "tests/api/test_parsing.py",
    "tests/connectors/test_signatures.py",
)
WEBHOOKS, GUARD, FEED = "tests/flows/test_webhooks.py", "tests/webhooks/test_addresses.py", "tests/storage/test_feed.py"
SENT, SCHEDULE = "tests/storage/test_deliveries.py", "tests/webhooks/test_schedule.py"

OUTSIDE = (
    # --- callers ---
    Mutant(
        "unconfirmed-record-is-503", "F08: a record whose confirmation was lost is an error, and is charged later", DOOR,
        "if call.keyed is None or not problem.unconfirmed:",
        "if True:",
        ("tests/api/test_unconfirmed.py",),
    ),
    Mutant(
        "key-not-required", "what moves money may be asked without an Idempotency-Key", READING,
        "        if required:\n            raise IdempotencyKeyMissing(",
        "        if not headers:\n            raise IdempotencyKeyMissing(",
        (BAD,),
    ),
    Mutant(
        "fingerprint-forgets-the-path", "one key may be used for a capture and for a refund with the same body", PARSING,
        'b"\\0".join((method.encode(), path.encode(), canonical))',
        'b"\\0".join((method.encode(), canonical))',
        (PARSED,),
    ),
    Mutant(
        "amount-named-twice", "of a name given twice one is taken, and another reader may take the other", READING,
        "    json.loads(raw, object_pairs_hook=distinct)\n",
        "",
        (f"{PARSED}::test_a_name_given_twice_is_refused_at_any_depth",),
    ),
    Mutant(
        "card-number-let-in", "a card number in a body reaches the core", DOOR,
        "    refuse_in_body(raw)\n",
        "",
        (BAD,),
    ),
    Mutant(
        "scope-not-asked", "any API key may do anything", AUTH,
        "if not principal.allows(scope):",
        "if not scope:",
        (BAD,),
    ),
    Mutant(
        "revoked-key-works", "a revoked API key still opens", DIRECTORY,
        " WHERE k.digest = ANY ($1::bytea[]) AND k.revoked_at IS NULL;",
        " WHERE k.digest = ANY ($1::bytea[]);",
        ("tests/api/test_keys.py",),
    ),
    Mutant(
        "another-merchants-payment", "a payment can be read and refunded by whoever knows its id", AUTHORIZE,
        "if p is None or p.merchant != principal.merchant or p.livemode is not principal.livemode:",
        "if p is None or p.livemode is not principal.livemode:",
        (BAD,),
    ),
    Mutant(
        "instrument-of-another-customer", "one customer is charged with another's card", AUTHORIZE,
        "if customer is not None and customer != found.customer:",
        "if customer is not None and customer == found.merchant:",
        (BAD,),
    ),
    # --- PSPs ---
    Mutant(
        "old-signature-accepted", "a notification that was signed long ago is replayed", STRIPE,
        "if abs(now - int(at)) > TOLERANCE:",
        "if now < 0:",
        (SIGNED,),
    ),
    Mutant(
        "one-true-item-is-enough", "a forged item travels in a batch with an authentic one", ADYEN,
        "return bool(items) and all(authentic(item, bytes.fromhex(key)) for item in items)",
        "return any(authentic(item, bytes.fromhex(key)) for item in items)",
        (SIGNED,),
    ),
    # --- webhooks ---
    Mutant(
        "webhook-follows-redirects", "a receiver leads us anywhere it likes", SENDER,
        "allow_redirects=False,",
        "allow_redirects=True,",
        (f"{WEBHOOKS}::test_a_redirect_is_a_failure_and_is_not_followed",),
    ),
    Mutant(
        "webhook-to-a-private-name", "a name that leads into our network is called", ADDRESSES,
        "            if not may_call(address[0], loopback=self.loopback):",
        "            if not address[0]:",
        (GUARD,),
    ),
    Mutant(
        "webhook-to-a-private-address", "an address written as a number is not looked at again", ADDRESSES,
        "        if not may_call(str(address[0]), loopback=self.loopback):",
        "        if not address[0]:",
        (GUARD,),
    ),
    Mutant(
        "webhook-error-is-taken", "a 404 counts as delivered, and the event is lost", SENDER,
        "200 <= self.status < 300",
        "200 <= self.status < 500",
        (SCHEDULE,),
    ),
    Mutant(
        "webhook-new-id-each-time", "receivers cannot tell a repetition", DELIVER,
        "        headers_of(d.event, datetime.now(UTC), body, keys),",
        '        headers_of(f"{d.event}{d.tries}", datetime.now(UTC), body, keys),',
        (f"{WEBHOOKS}::test_what_was_not_taken_is_sent_again_under_the_same_id",),
    ),
    Mutant(
        "webhook-old-secret-for-ever", "a replaced secret goes on to sign", MANAGE,
        "overlapping = e.previous_until is not None and now() < e.previous_until",
        "overlapping = e.previous_until is not None",
        (f"{WEBHOOKS}::test_during_a_rotation_both_secrets_sign_and_afterwards_only_the_new_one",),
    ),
    Mutant(
        "another-merchants-endpoint", "endpoints of other merchants can be read and changed", MANAGE,
        "if found is None or found.merchant != who.merchant or found.livemode is not who.livemode:",
        "if found is None or found.livemode is not who.livemode:",
        (f"{WEBHOOKS}::test_another_merchants_endpoints_and_deliveries_do_not_exist",),
    ),
    Mutant(
        "spread-without-lock", "two workers spread the same page of the feed", SQL,
        "SELECT * FROM webhook_endpoints WHERE bucket = $1 AND id = $2 AND enabled FOR UPDATE SKIP LOCKED;",
        "SELECT * FROM webhook_endpoints WHERE bucket = $1 AND id = $2 AND enabled;",
        (f"{FEED}::test_readers_and_endpoints_miss_nothing_that_sixteen_writers_commit",),
    ),
    Mutant(
        "spread-keeps-its-place", "the cursor stays, and every event is delivered again and again", SQL,
        "UPDATE webhook_endpoints SET cursor_xid = $3::text::xid8, cursor_id = $4 WHERE bucket = $1 AND id = $2",
        "UPDATE webhook_endpoints SET cursor_xid = cursor_xid WHERE bucket = $1 AND id = $2 AND $3 > '' AND $4 > $2",
        (f"{FEED}::test_readers_and_endpoints_miss_nothing_that_sixteen_writers_commit",),
    ),
    Mutant(
        "delivery-claimed-twice", "a delivery that is on its way is claimed by the next who looks", SQL,
        "SET tries = d.tries + 1, tried_at = now(), due_at = now() + make_interval(secs => $4)",
        "SET tries = d.tries + 1, tried_at = now(), due_at = now() + make_interval(secs => 0 * $4)",
        (SENT,),
    ),
    Mutant(
        "late-failure-undoes-a-delivery", "a slow try that failed makes what was taken since undelivered", SQL,
        "AND d.id = r.id AND d.state <> 'delivered'\n"
        "   AND (r.state = 'delivered' OR (d.state = 'pending' AND d.tries = r.tries));",
        "AND d.id = r.id;",
        (SENT,),
    ),
)  # fmt: skip
