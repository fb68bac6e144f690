"""What the door needs to let people in: attempts are counted, tokens are read. Built once."""

import math
import time
from datetime import timedelta

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from api.settings import Settings
from tools.clock import Clock, SystemClock
from tools.errors import NotAuthenticated, TooManyRequests
from tools.signin.core import Issuer, Lifetimes
from tools.signin.gateway import Claims, KeySet, TokenReader


class Doorkeeper:
    """Counts attempts and reads tokens.

    Attempts are counted by login here and by address in the gate, whether the login exists or not.
    Tokens are judged by the machine's clock, as the provider's are: the demo's own time is no
    business of theirs.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.lifetimes = Lifetimes(
            idle=timedelta(minutes=settings.session_idle_minutes),
            absolute=timedelta(hours=settings.session_hours),
        )
        self.by_email = settings.oidc_link_verified_email
        self._attempts = MovingWindowRateLimiter(MemoryStorage())
        self._quota = RateLimitItemPerMinute(settings.login_attempts)
        self._reader = _reader(settings, clock or SystemClock())

    def count_attempt(self, login: str) -> None:
        """Count a password that somebody tries.

        Raises:
            TooManyRequests: Too many for this login in a minute.
        """
        if self._attempts.hit(self._quota, login):
            return
        reset_s = self._attempts.get_window_stats(self._quota, login).reset_time
        wait_s = max(1, math.ceil(reset_s - time.time()))
        raise TooManyRequests(
            "too many passwords were tried for this login",
            next_step=f"Wait {wait_s} seconds.",
            details={"limit": "login", "retry_after_s": wait_s},
        )

    def read_token(self, token: str) -> Claims:
        """Return what an identity provider's token says.

        Raises:
            NotAuthenticated: It is not valid here, or no provider is configured.
        """
        if self._reader is None:
            raise NotAuthenticated("this is not an API key of this system")
        return self._reader.read(token)


def _reader(settings: Settings, clock: Clock) -> TokenReader | None:
    if not settings.oidc_issuer:
        return None
    issuer = Issuer(
        settings.oidc_issuer, settings.oidc_audience, settings.oidc_algorithms
    )  # fmt: skip
    return TokenReader(issuer, KeySet(issuer, clock=clock, url=settings.oidc_jwks_url), clock=clock)
