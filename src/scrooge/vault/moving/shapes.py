"""How PSPs write cards in the CSV files that they take and give: their columns for ours.

Adyen's columns are in its published example file:
https://docs.adyen.com/development-resources/migrating-payment-data/import-payment-details-for-recurring-payments
Stripe publishes `old_customer_id` (https://docs.stripe.com/get-started/data-migrations/map-payment-data); the others
are as a partner of Stripe's lists what it asks of other PSPs
(https://help.raisedonors.com/hc/en-us/articles/4408273165709), and each migration is agreed with Stripe before. Neither
page has a column for the schemes' transaction id.
"""

import csv
from collections.abc import Iterable, Iterator
from typing import TextIO

import msgspec
from msgspec import Struct

from scrooge.errors import MoveRefused
from scrooge.vault.moving.records import Record

OWN = "scrooge"  # lines of JSON, as they are inside our files


class Shape(Struct, frozen=True):
    """Columns by what they hold; `fixed` ones have the same value in every line."""

    id: str
    customer: str
    number: str
    month: str
    year: str
    holder: str
    fixed: dict[str, str] = {}
    account: str = ""  # where the PSP's own account is named in every line


SHAPES = {
    "stripe": Shape("old_card_id", "old_customer_id", "card_number", "card_exp_month", "card_exp_year", "name"),
    "adyen": Shape(
        "EchoData", "ShopperReference", "CardNumber", "ExpiryMonth", "ExpiryYear", "OwnerName",
        {"RecurringContract": "RECURRING"}, "MerchantAccount",
    ),
}  # fmt: skip


def lines_from(name: str, given: TextIO) -> Iterator[bytes]:
    """Our lines of what a PSP gave. A row that makes no sense becomes a line that is refused in its place.

    Raises MoveRefused for a file that lacks columns.
    """
    if name == OWN:
        yield from (line.strip().encode() for line in given if line.strip())
        return
    shape = SHAPES[name]
    rows = csv.DictReader(given, strict=True)
    missing = {shape.customer, shape.number, shape.month, shape.year} - set(rows.fieldnames or ())
    if missing:
        raise MoveRefused(f"the file lacks the columns {', '.join(sorted(missing))}")
    try:
        for place, row in enumerate(rows, 1):
            yield msgspec.json.encode(
                {
                    "id": (row.get(shape.id) or "").strip() or f"line-{place}",
                    "customer": (row[shape.customer] or "").strip(),
                    "number": (row[shape.number] or "").strip(),
                    "exp": expiry(row[shape.month] or "", row[shape.year] or ""),
                    "holder": (row.get(shape.holder) or "").strip(),
                }
            )
    except csv.Error:
        raise MoveRefused(f"line {rows.line_num} of the file is no CSV") from None


def expiry(month: str, year: str) -> str:
    """YYYY-MM; "" where it is none."""
    month, year = month.strip(), year.strip()
    if not (f"{month}{year}".isascii() and month.isdigit() and year.isdigit() and len(year) in (2, 4)):
        return ""
    return f"{year if len(year) == 4 else f'20{year}'}-{month.zfill(2)}"


def write(name: str, records: Iterable[Record], out: TextIO, account: str | None) -> int:
    """As the PSP takes them; how many. Raises MoveRefused."""
    if name == OWN:
        return sum(1 for r in records if out.write(f"{msgspec.json.encode(r).decode()}\n"))
    shape = SHAPES[name]
    fixed = dict(shape.fixed)
    if shape.account:
        if not account:
            raise MoveRefused(f"the file names your account at the PSP ({shape.account}) in every line: --account")
        fixed[shape.account] = account
    columns = (*fixed, shape.customer, shape.id, shape.holder, shape.month, shape.year, shape.number)
    rows = csv.DictWriter(out, columns, lineterminator="\r\n")  # RFC 4180
    rows.writeheader()
    count = 0
    for record in records:
        year, month = record.exp.split("-")
        rows.writerow(
            {
                **fixed, shape.customer: record.customer, shape.id: record.id, shape.holder: record.holder,
                shape.month: str(int(month)), shape.year: year, shape.number: record.number,
            }
        )  # fmt: skip
        count += 1
    out.flush()
    return count
