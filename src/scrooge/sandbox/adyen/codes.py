"""Security codes at Adyen: a test asks for a result by the code it sends.

https://docs.adyen.com/development-resources/testing/result-codes/cvc-cvv-cid-result-codes
"""

from ..cards import check_code, find_card

# A code of zeroes and one of these digits asks for that result; any other code matches.
_RESULTS = (
    "0 Unknown",
    "1 Matches",
    "2 Doesn't match",
    "3 Not checked",
    "4 No CVC/CVV provided, but was required",
    "5 Issuer not certified for CVC/CVV",
    "6 No CVC/CVV provided",
)
MATCHES = _RESULTS[1]


def is_code(code: str) -> bool:
    """Three digits, or four."""
    return code.isascii() and code.isdigit() and len(code) in (3, 4)


def result(number: str, code: str) -> str:
    """What the issuer says about a security code; nothing is a code too."""
    if not code:
        return _RESULTS[6]
    card = find_card(number)
    if card is not None and card.decline == "incorrect_cvc":
        return _RESULTS[2]
    if check_code(number, code) == "fail":
        return _RESULTS[0]
    asked = int(code[-1]) if not code[:-1].strip("0") else 1
    return _RESULTS[asked] if asked < len(_RESULTS) else MATCHES


def refused(result: str) -> bool:
    return result.startswith(("2", "4"))
