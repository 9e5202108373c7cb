"""Bugs in how the vault keeps its keys."""

from tests.mutants.mutant import Mutant

FOLDER = "src/scrooge/vault/keys"
KEYRING, ACTS, REGISTRY = f"{FOLDER}/keyring.py", f"{FOLDER}/acts.py", f"{FOLDER}/registry.py"
KEYS, KEK = ("tests/vault/test_keys.py",), ("tests/vault/test_kek.py",)
MOVED, SHARED = ("tests/vault/test_reencrypt.py",), ("tests/vault/test_custodians.py",)

KEPT = (
    Mutant(
        "card-bound-to-nothing", "a sealed card opens in the row of another card", "src/scrooge/vault/sealing.py",
        """return f"{card_id}|{merchant}|{'live' if livemode else 'test'}".encode()""",
        """return f"{merchant}|{'live' if livemode else 'test'}".encode()""",
        KEYS,
    ),
    Mutant(
        "key-of-test-opens-as-live", "a key's wrapping does not say for which mode it is", REGISTRY,
        "|{v.purpose}|{mode_of(v.livemode)}|{v.version}|{v.key_id}",
        "|{v.purpose}|{v.version}",
        KEYS,
    ),
    Mutant(
        "registry-believed", "the rows that tell of keys are used unchecked", KEYRING,
        "        registry.verify(kept, sorts[Purpose.REGISTRY])\n",
        "",
        KEYS,
    ),
    Mutant(
        "period-without-end", "a key encrypts after its cryptoperiod", KEYRING,
        "if self.now() >= version.not_after:",
        "if False:",
        KEYS,
    ),
    Mutant(
        "new-key-at-once", "a key seals before other processes know it", ACTS,
        "            if early:\n",
        "            if False:\n",
        KEYS,
    ),
    Mutant(
        "unknown-key-not-looked-for", "a process that slept through a rotation never looks again", KEYRING,
        "            await self.refresh()\n            return self.open(live, context, sealed)",
        "            raise",
        KEYS,
    ),
    Mutant(
        "deaf-process-seals-on", "a process that hears nothing of the keys goes on sealing", KEYRING,
        "if time.monotonic() - self.read_at > STALE_SECONDS:",
        "if False:",
        KEYS,
    ),
    Mutant(
        "retired-in-use", "a key goes out of use and is destroyed while a card sealed under it is on its way", ACTS,
        "if v.retired_at is None or at < v.retired_at + timedelta(seconds=SETTLED_SECONDS):",
        "if v.retired_at is None:",
        KEYS,
    ),
    Mutant(
        "retired-key-remembers", "a key by which repeated requests are known is destroyed", ACTS,
        'if (await run(connection, REMEMBERED["remembered"], key_id.to_bytes(4)))["needed"]:',
        "if False:",
        KEYS,
    ),
    Mutant(
        "old-kek-period-ignored", "a key-encryption key wraps after its cryptoperiod", ACTS,
        "if at >= row.not_after:",
        "if False:",
        KEYS,
    ),
    Mutant(
        "file-guards-live", "a key-encryption key in a file may be used for live mode", f"{FOLDER}/kek.py",
        'return Held(f"{FILE}{path}", False, handle.primitive(aead.Aead))',
        'return Held(f"{FILE}{path}", True, handle.primitive(aead.Aead))',
        (*KEK, *KEYS),
    ),
    Mutant(
        "kms-answer-unchecked", "what Google Cloud KMS answers is believed without its checksum", f"{FOLDER}/gcp.py",
        "if answer.plaintext_crc32c != google_crc32c.value(answer.plaintext):",
        "if False:",
        KEK,
    ),
    Mutant(
        "feed-misses-fingerprints", "the core is not told of a fingerprint under a new key", f"{FOLDER}/reencrypt.sql",
        "THEN c.changed_xid ELSE pg_current_xact_id() END",
        "THEN c.changed_xid ELSE c.changed_xid END",
        MOVED,
    ),
    Mutant(
        "locked-card-forgotten", "re-encryption ends while somebody holds a card of an old key",
        f"{FOLDER}/reencrypt.py",
        "if not (await self.left()).cards:",
        "if True:",
        MOVED,
    ),
    Mutant(
        "anybodys-share", "a custodian may enter a share that is not the own one", f"{FOLDER}/custodians.py",
        'if mine is None or not right or mine["number"] != number:',
        "if mine is None:",
        SHARED,
    ),
    Mutant(
        "share-counts-twice", "the same share may be entered again", f"{FOLDER}/custodians.py",
        "if number in entered:",
        "if False:",
        SHARED,
    ),
    Mutant(
        "combination-unproven", "the key that shares make is not proved before it is used", f"{FOLDER}/custodians.py",
        "if not await is_right(kek.of_secret(secret), row):",
        "if False:",
        SHARED,
    ),
)  # fmt: skip
