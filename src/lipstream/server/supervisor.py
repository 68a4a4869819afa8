"""Watches the runtime: a fault is logged at once, and ends the sessions when it lasts."""

from __future__ import annotations

import logging

from lipstream.server.sessions.manager import SessionManager

CHECK_MS = 250
GRACE_MS = 5_000  # in which a runtime may heal itself; sessions repeat their picture meanwhile

log = logging.getLogger("lipstream.server")


class Supervisor:
    """Ends all sessions once the runtime has had a fault for `GRACE_MS`. From its first moment new
    sessions are refused and /readyz answers 503, without this: both read `MediaRuntime.fault`."""

    def __init__(self, manager: SessionManager) -> None:
        self._runtime, self._manager, self._clock = manager.runtime, manager, manager.clock
        self._fault: str | None = None
        self._since_ms = 0

    async def watch(self) -> None:
        """Check until cancelled."""
        while True:
            self.check()
            await self._clock.sleep_until(self._clock.now_ms() + CHECK_MS)

    def check(self) -> None:
        """Compare the runtime with the last check."""
        before, self._fault = self._fault, self._runtime.fault
        if self._fault is None:
            if before is not None:
                log.info("fault is over", extra={"fault": before})
        elif before is None:
            self._since_ms = self._clock.now_ms()
            log.error("fault", extra={"fault": self._fault})
        elif self._clock.now_ms() - self._since_ms >= GRACE_MS and len(self._manager):
            self._manager.fail_all()
