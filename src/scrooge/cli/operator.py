"""Who runs a command, as the audit has it and as two people are told apart by."""

import os
import pwd


def operator_name() -> str:
    """The account that the kernel knows us by; for root by sudo, the one that sudo was called from.

    Never what LOGNAME or USER say, which everybody may set. Root may be whom it likes: no command can change that.
    """
    uid = os.geteuid()
    called_from = os.environ.get("SUDO_UID", "")
    if uid == 0 and called_from.isascii() and called_from.isdigit():
        uid = int(called_from)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
