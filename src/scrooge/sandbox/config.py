"""What a sandbox is started with."""

from pathlib import Path

import msgspec


class SandboxConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one sandbox process; every duration is in milliseconds."""

    host: str = "127.0.0.1"
    port: int = 8090
    state_path: Path | None = None  # journal file; None keeps everything in memory only
    seed: int = 1
    latency_ms: float = 20.0  # median of a lognormal; 0 answers at once
    notify_delay_ms: float = 100.0  # from an effect to the first delivery of its notification
    later_ms: float = 1000.0  # until pending news concludes, a refund fails, a capture is taken back
    search_lag_ms: float = 500.0  # Stripe's search is eventually consistent
    public_url: str | None = None  # where browsers reach us; None takes the request's Host header
