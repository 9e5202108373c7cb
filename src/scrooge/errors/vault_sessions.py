"""Refusals of capture sessions: a browser's one chance to send a card."""

from scrooge.errors.problem import Problem


class SessionUsed(Problem):
    """The capture session has taken its card; a new one takes another."""

    status = 410


class SessionExpired(Problem):
    """The capture session has run out, or there never was one with this token."""

    status = 410


class SessionExhausted(Problem):
    """Too many cards were tried in the capture session, and none was good."""

    status = 410


class OriginRefused(Problem):
    """The request comes from another origin than the capture session's, or than the vault's own page."""

    status = 403
