"""What the trail tells of keys, scopes, rates and suppliers' ways, held against what stands.

The rows are replayed: what was said last about a field counts. A field that no row speaks of, such
as in trails from before it was told, is not compared.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.audit.core.bookings import Told

Thing = tuple[str, str]
_KEY_FIELDS = ("login", "permissions", "expires_at", "seal")


@dataclass
class Grants:
    """Hears what was granted and set, then says what stands otherwise."""

    standing: Mapping[Thing, Mapping[str, Any]]
    _said: dict[Thing, dict[str, tuple[int, Any]]] = field(default_factory=dict)

    def about(self) -> dict[str, Callable[[Told], Iterator[str]]]:
        """Return who hears which action."""
        return {
            "api_key.created": self._key_made,
            "api_key.revoked": self._key_revoked,
            "user.password_set": self.access_ended,
            "user.unlinked": self.access_ended,
            "user.scope_changed": self._set("scope of"),
            "exchange_rate.set": self._set("exchange rate"),
            "supplier.delivery_set": self._set("supplier"),
        }

    def access_ended(self, told: Told) -> Iterator[str]:
        """A person's keys ended with their account, password or link."""
        if "keys_revoked" in told.after:
            for (kind, _), said in self._said.items():
                if kind == "key" and said.get("login", (0, ""))[1] == told.object_id:
                    said["is_revoked"] = (told.seq, True)
        yield from ()

    def untold(self) -> Iterator[str]:
        """Say what stands otherwise than it was told last."""
        for (kind, name), said in self._said.items():
            stands = self.standing.get((kind, name))
            if stands is None and kind != "scope of":
                yield f"{kind} {name} is not there, the trail tells of it"
                continue
            for what, (seq, says) in said.items():
                is_ = (stands or {}).get(what, [] if kind == "scope of" else None)
                if is_ != says:
                    yield f"{kind} {name}: {what} is {is_!r}, row {seq} of the trail says {says!r}"

    def _key_made(self, told: Told) -> Iterator[str]:
        said = {what: told.after[what] for what in _KEY_FIELDS if what in told.after}
        self._hear("key", told, {**said, "is_revoked": False})
        yield from ()

    def _key_revoked(self, told: Told) -> Iterator[str]:
        if ("key", told.object_id) in self._said:
            self._hear("key", told, {"is_revoked": True})
        yield from ()

    def _set(self, kind: str) -> Callable[[Told], Iterator[str]]:
        def hear(told: Told) -> Iterator[str]:
            self._hear(kind, told, told.after)
            yield from ()

        return hear

    def _hear(self, kind: str, told: Told, says: Mapping[str, Any]) -> None:
        said = self._said.setdefault((kind, told.object_id), {})
        said.update({what: (told.seq, value) for what, value in says.items()})
