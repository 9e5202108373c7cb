"""What every refusal is: a problem document of RFC 9457. An exception that is not one is a bug, or a setting."""

import re
from typing import Any, ClassVar


class Problem(Exception):
    """An expected refusal. `param` names the offending field; `members` are shown beside it.

    The title is the first sentence of the class's docstring.
    """

    status: ClassVar[int] = 422
    title: ClassVar[str] = ""
    code: ClassVar[str] = "problem"

    def __init__(self, detail: str, *, param: str | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail, self.param, self.members = detail, param, members

    def __init_subclass__(cls) -> None:
        cls.title = re.split(r"[.;:]", (cls.__doc__ or "").strip())[0]
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    def document(self, instance: str, request_id: str) -> dict[str, Any]:
        """The application/problem+json body."""
        return {
            "type": f"https://scrooge.dev/problems/{self.code.replace('_', '-')}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **({"param": self.param} if self.param else {}),
            "instance": instance,
            "request_id": request_id,
            **self.members,
        }


class SettingsError(Exception):
    """A setting is missing or unusable; the message names it. The CLI exits with 2."""
