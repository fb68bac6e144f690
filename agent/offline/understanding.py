"""Understand one message: refuse, complete, follow up, or recognise what is wanted and plan it.

The order matters. Refusals come first, so that no later rule can turn a demand for approval into a
call. What answers a question of the assistant comes before what starts something new.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from agent.offline import grammar, guards, moves, replies, slots, writes
from agent.offline.continuing import go_on, leaves_out
from agent.offline.entities import Linker
from agent.offline.history import History, Json
from agent.offline.intents import Scorer
from agent.offline.reader import read
from agent.offline.situation import Decision, Situation, ask, say, use

LEAST_SCORE = 0.25  # below: not understood
CLEAR_SCORE = 0.40  # above: act; between: act only with a clear lead
CLEAR_LEAD = 0.06
_PLANS: dict[str, Callable[[Situation], Decision]] = {
    "stock": slots.stock,
    "forecast": slots.forecast,
    "reorder_point": slots.reorder_point,
    "recommend": slots.recommend,
    "exceptions": slots.exceptions,
    "late": lambda s: slots.exceptions(s, ["late_po"]),
    "unconfirmed": lambda s: slots.exceptions(s, ["unconfirmed_po"]),
    "excess": lambda s: slots.exceptions(s, ["excess"]),
    "stockouts": slots.stockouts,
    "limit": lambda s: say("answer", replies.limit_of(s.history)),
    "explain": slots.explain,
    "simulate": slots.simulate,
    "compare": slots.compare,
    "orders": slots.orders,
    "shipment": slots.shipment,
    "kpis": slots.kpis,
    "accuracy": slots.accuracy,
    "find": slots.find,
    **{intent: slots.absent(intent) for intent in replies.NOT_HERE},
    "greeting": lambda _s: say("chat", replies.GREETING),
    "help": lambda _s: say("chat", replies.HELP),
    "thanks": lambda _s: say("chat", replies.THANKS),
    "offtopic": lambda _s: say("offtopic", replies.OFF_TOPIC),
    "refuse": lambda s: say("refuse", replies.refuse("decision", s.history)),
}
_PARTS = re.compile(r"\s*(?:,|;| and | & | plus | then )\s*")
_TOGETHER = ("stock", "forecast", "reorder_point", "late", "exceptions", "kpis", "excess")
_NAMES = {
    "stock": re.compile(r"\b(?:stock|soh|on hand|inventory|cover)\b"),
    "forecast": re.compile(r"\b(?:forecast|fcst|demand)\b"),
    "reorder_point": re.compile(r"\b(?:rop|reorder point|safety stock|ss)\b"),
    "late": re.compile(r"\b(?:late|overdue)\b"),
    "exceptions": re.compile(r"\bexceptions?\b"),
    "kpis": re.compile(r"\bkpis?\b"),
    "excess": re.compile(r"\bexcess\b"),
}


@dataclass(frozen=True)
class Understanding:
    """Understands messages with the names of one catalogue and the tools that are bound."""

    linker: Linker
    scorer: Scorer
    tools: Mapping[str, Json]
    today: date | None

    def decide(self, history: History) -> Decision:
        """Decide what to do about the message that waits for an answer."""
        s = self._situation(history)
        kind = guards.refusal(s.text)
        if kind == "decision" and leaves_out(s):
            kind = None
        if kind is not None:
            return say("refuse", replies.refuse(kind, history))
        for move in (go_on, moves.reasoned, moves.answer_to_offer, moves.chosen):
            decision = move(s)
            if decision is not None and not self._waits_for_yes(s):
                return decision
        request = self._completed(s)
        if request is not None:
            return self._asked(self._situation(moves.retold(history, request)))
        return self._asked(s)

    def whole_request(self, history: History) -> str:
        """The message that is being answered, with the earlier request that it completes."""
        return self._completed(self._situation(history)) or history.current.said

    def _completed(self, s: Situation) -> str | None:
        request = moves.completed(s)
        return None if request is None or self._is_new(s) else request

    def _situation(self, history: History, *, may_write: bool = True) -> Situation:
        reading = read(history.current.said, self.linker, self.today, history.documents())
        return Situation(reading, history, self.linker, self.tools, self.today, may_write)

    def _waits_for_yes(self, s: Situation) -> bool:
        """A question about a half request: "yes" completes it, it is no answer to an offer."""
        is_yes = moves.YES.match(s.reading.text.lower()) is not None
        return is_yes and s.history.last.kind == "clarify" and not s.history.last.calls

    def _is_new(self, s: Situation) -> bool:
        """The message says by itself what it wants, without being an answer."""
        intent = grammar.intent_of(s.text)
        return intent is not None and not (s.history.last.kind == "clarify" and s.text[0] == "x")

    def _asked(self, s: Situation) -> Decision:
        rest, was_negated = guards.without_negation(s.reading.text)
        if was_negated:
            if len(rest.split()) < 2:
                return say("answer", replies.decline(s.history))
            shorter = self._situation(moves.retold(s.history, rest), may_write=False)
            return self._planned(shorter)
        said_no = moves.NO.match(s.reading.text.lower())
        if said_no and s.history.turns:
            rest = s.reading.text[said_no.end() :]
            s = self._situation(moves.retold(s.history, rest))
        return self._planned(s)

    def _planned(self, s: Situation) -> Decision:
        decision = moves.follow_up(s) or self._several(s)
        if decision is not None:
            return decision
        intent = grammar.intent_of(s.text)
        if intent is None:
            guess = self._guess(s)
            if isinstance(guess, Decision):
                return guess
            intent = guess
        return self._plan(intent, s)

    def _plan(self, intent: str, s: Situation) -> Decision:
        if intent in writes.WRITING:
            return writes.gated(intent, s)
        return _PLANS[intent](s)

    def _several(self, s: Situation) -> Decision | None:
        """One plan for each thing that is named: "stock and ROP for X"."""
        parts = [part for part in _PARTS.split(s.text) if part]
        wanted = [name for part in parts for name in _TOGETHER if _NAMES[name].search(part)]
        wanted = list(dict.fromkeys(wanted))
        if (
            len(wanted) < 2
            or len(parts) < 2
            or grammar.intent_of(s.text) in ("simulate", "explain")
        ):
            return None
        plans = [_PLANS[name](s) for name in wanted]
        calls = [made for plan in plans for made in plan.calls]
        return use(*calls) if all(plan.kind == "tools" for plan in plans) else plans[0]

    def _guess(self, s: Situation) -> str | Decision:
        ranked = self.scorer.rank(s.text)
        (first, best), (second, next_best) = ranked[0], ranked[1]
        nearest = [intent for intent, _ in ranked]
        if not self._has_known_word(s) or best < LEAST_SCORE:
            return say("unknown", replies.not_understood(nearest))
        if first == "refuse" and best < CLEAR_SCORE:
            return second
        is_close = best < CLEAR_SCORE and best - next_best < CLEAR_LEAD
        both = first in replies.ABILITIES and second in replies.ABILITIES
        if is_close and both:
            return ask(replies.two_readings(first, second), s.reading.text)
        return first

    def _has_known_word(self, s: Situation) -> bool:
        """Without a word of the trade the scorer would only see letters."""
        words = re.findall(r"[a-z']+", s.text)
        known = [word for word in words if word in self.scorer.known_words]
        return any(len(word) > 2 for word in known) or len(known) > len(words) / 2
