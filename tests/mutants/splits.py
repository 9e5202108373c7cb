"""Bugs in payments that several instruments pay."""

from tests.mutants.mutant import Mutant

SPLIT, STEPS, SHARES = (f"src/scrooge/domain/{name}.py" for name in ("split", "split_steps", "split_shares"))
DOMAIN = ("tests/domain/test_split.py",)
FLOWS = "tests/flows/test_splits.py"

SPLITS = (
    Mutant(
        "tender-before-the-one-before",
        "the second tender is asked while nobody knows of the first",
        STEPS,
        """        if status in {"processing", "requires_action"}:
            return WAIT
""",
        """        if status in {"processing", "requires_action"}:
            continue
""",
        DOMAIN,
    ),
    Mutant(
        "tender-approved-for-less",
        "a tender that is approved for less than it is for counts as paid",
        STEPS,
        "if standing(part).authorized < tender.minor:",
        "if standing(part).authorized < 0:",
        DOMAIN,
    ),
    Mutant(
        "tender-declined-before-its-cascade",
        "a decline ends it while another account may still be asked",
        STEPS,
        "and not part.answered and now < part.deadline_at:",
        "and not part.answered and now < 0:",
        DOMAIN,
    ),
    Mutant(
        "tenders-captured-at-once",
        "the second tender is captured before it is known that the first was",
        STEPS,
        """            if order.operation is Operation.CAPTURE:
                return WAIT
""",
        "",
        DOMAIN,
    ),
    Mutant(
        "tender-captured-after-a-failure",
        "after a capture that failed the next tender is captured all the same",
        SPLIT,
        '        return "failed" if spared(split, order, place) else None\n',
        "        return None\n",
        DOMAIN,
    ),
    Mutant(
        "tenders-undone-although-captured",
        "what one tender paid is called taken back when the other fails",
        STEPS,
        "if any(standing(p).captured for p in split.there):\n                return WAIT",
        "if any(standing(p).captured < 0 for p in split.there):\n                return WAIT",
        DOMAIN,
    ),
    Mutant(
        "tender-left-held",
        "a tender whose void was refused once stays held for ever",
        STEPS,
        "if any(a.state in OPEN for a in part.attempts) or ROOM[Operation.VOID](part) == 0:",
        "if any(a.operation is Operation.VOID for a in part.attempts) or ROOM[Operation.VOID](part) == 0:",
        DOMAIN,
    ),
    Mutant(
        "share-promised-twice",
        "what one refund was promised and has not asked for yet is promised to another",
        SHARES,
        "left[share.tender] -= share.minor",
        "left[share.tender] -= 0",
        DOMAIN,
    ),
    Mutant(
        "share-beyond-what-is-left",
        "a refund to one tender takes the room of all",
        SHARES,
        "left = [room if place == tender else 0 for place, room in enumerate(left)]",
        "left = [sum(left) if place == tender else 0 for place, room in enumerate(left)]",
        DOMAIN,
    ),
    Mutant(
        "final-capture-keeps-the-rest",
        "after a final capture a tender that gave nothing stays held",
        SHARES,
        "if operation is Operation.CAPTURE and final:",
        "if operation is Operation.REFUND and final:",
        DOMAIN,
    ),
    Mutant(
        "part-moved-by-itself",
        "a caller captures or refunds a part, and its whole does not know of it",
        "src/scrooge/flows/modify.py",
        "if p.part_of is not None and not within:",
        "if p.part_of is None and not within and p.tenders:",
        (f"{FLOWS}::test_a_part_moves_with_its_whole_alone",),
    ),
    Mutant(
        "no-turn-after-news",
        "a part that changes makes it nobody's turn",
        "src/scrooge/storage/migrations/0033_splits.sql",
        "UPDATE splits SET news = news + 1, look_at = now(), looks = 0",
        "UPDATE splits SET news = news + 1, looks = 0",
        ("tests/storage/test_splits.py",),
    ),
    Mutant(
        "split-sent-as-sale",
        "a tender is captured before the other one is approved",
        "src/scrooge/flows/splits.py",
        'purpose=whole.purpose, capture="manual",',
        'purpose=whole.purpose, capture="automatic",',
        (f"{FLOWS}::test_a_declined_tender_gives_back_the_one_before_it",),
    ),
    Mutant(
        "half-captured-unseen",
        "one tender is captured, the other's capture is taken back, and nobody is told",
        SPLIT,
        "return bool(bad) and total(split).captured > 0",
        "return bool(bad) and total(split).captured < 0",
        (f"{FLOWS}::test_a_capture_that_is_taken_back_after_another_is_kept_and_shown",),
    ),
)
