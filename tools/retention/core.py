"""How long what people say and programs remember is kept. Orders and the trail are for ever."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Retention:
    """Ages after which rows are deleted.

    Attributes:
        chat: Messages, turns and their tool results.
        memory: What the model remembers of a conversation in which nobody wrote since.
        requests: Remembered answers of repeated requests.
        sessions: Sign-ins of browsers, after their end.
    """

    chat: timedelta = timedelta(days=90)
    memory: timedelta = timedelta(days=30)
    requests: timedelta = timedelta(days=7)
    sessions: timedelta = timedelta(days=7)
