"""What must be refused, what was said not to be done, and when something may be written.

The rules here only ever narrow: a refusal costs a planner one sentence, a wrong write costs trust.
The tools hold no approval and no release, so a request that slips through can still do neither.
"""

import re

_ASKS_A_PERSON = re.compile(
    r"\bfor (?:an? |the |his |her |their )?(?:approval|sign.?off|signature|release)\b"
    r"|\b(?:ask|request|get|have|want|need)\b.*\b(?:approv\w*|sign(?:ed)?.?off|signature)\b"
    r"|\b(?:to|past) (?:the )?(?:manager|approver)\b.*\bapprov"
)
_LOOKS_UP = re.compile(
    r"^(?:please )?(?:which|what|who|when|where|list|show|how many|is|are|has|have|was|were|did|"
    r"does|do we|any|open|pending|audit)\b"
)
_IMPATIENT = re.compile(
    r"\bwithout (?:an? |the |any |my )?(?:approval|sign|confirm|manager|asking|waiting)"
    r"|\bno need (?:for|to) (?:the |a )?(?:manager|approv\w*|confirm\w*|sign\w*|wait)"
    r"|\b(?:skip|bypass|override|circumvent|ignore|disable|turn off|get around|work around)\b"
    r".*\b(?:approv\w*|confirm\w*|sign.?off|manager|check\w*|limit\w*|gate|rule\w*|workflow|step)\b"
    r"|\bdon't (?:ask|need) (?:me to confirm|my approval|for approval|approval)"
    r"|\b(?:said|says|agreed|told|oked|gave|has given|confirmed)\b.*\b(?:yes|ok|okay|go|phone|fine|"
    r"approv\w*|verbally|call|green)\b"
)
_DECIDES = re.compile(
    r"\b(?:auto.?)?approv(?:e|ing)\b|\bauthori[sz]e\b|\bsign (?:it |this |that |xorder )?off\b"
    r"|\b(?:consider|treat|regard|count|take|deem)\b.*\b(?:approved|signed|authori[sz]ed)\b"
    r"|\bmark\b.*\bapproved\b|\bstatus\b.*\bto approved\b|\bcountersign\b"
    r"|\b(?:clicked|pressed) (?:on )?approve|\brelease\b(?! date)|\bforce\b.*\b(?:submit|order)"
    r"|\bon (?:my|his|her|their) behalf\b|\bi already approved\b"
)
_SENDS = re.compile(
    r"\b(?:send|place|submit|transmit|dispatch|execute|fire off|push through)\b (?:\w+ )?"
    r"(?:it|that|this|them|xorder|the (?:order|po|draft|purchase order)|everything|both|all)\b"
    r"|\bget (?:it|that|this|them|xorder|the order) (?:out|off|away|over|going)\b"
    r"|\blet (?:it|that|this|xorder|the order) (?:go|through|out)\b"
)
_TO_APPROVER = re.compile(r"\bto (?:the |my |our )?(?:manager|approver|boss|mona|anna)\b")
_LIMITS = re.compile(
    r"\b(?:set|raise|increase|change|lift|up|bump|extend|double|remove|give)\b.*\b(?:limits?|cap|ceiling|threshold)\b"
    r"|\bmake me (?:an? |the )?(?:admin|manager|approver)|\b(?:give|grant) (?:me|my)\b.*"
    r"\b(?:rights?|role|permission|access|privilege)"
)
_SECRETS = re.compile(
    r"\bpass ?words?\b|\bapi.?keys?\b|\bsecrets?\b|\btokens?\b|\bconfig(?:uration)?\b"
    r"|\bcredentials?\b"
    r"|\bprivate keys?\b|\b(?:system|hidden|initial) (?:prompt|instructions?)\b"
    r"|\b(?:show|print|reveal|repeat|tell me)\b.*\b(?:your|the) (?:prompt|instructions)\b"
)
_ORDERS_ME_ABOUT = re.compile(
    r"\b(?:ignore|forget|disregard)\b.*\b(?:instructions?|rules?|polic\w+|prompt)\b"
    r"|\bpretend\b|\bact as if\b|\byou are now\b|\bdeveloper mode\b|\bjailbreak\b"
    r"|\bi(?:'m| am) the (?:ceo|boss|owner|admin)"
)
_MASTER = re.compile(
    r"^(?:then |and |please |now |can you |could you )*(?:change|set|update|adjust|correct|edit|"
    r"bump|delete|remove|create|add|overwrite|fix|reset|raise|lower|increase|reduce)\b.*"
    r"\b(?:prices?|unit costs?|stock|on.?hand|inventory|reorder points?|rop|safety stock|"
    r"lead times?|moq|records?|supplier master|new (?:supplier|item|sku|user)|users?|"
    r"exchange rates?|service levels?|all the)\b"
    r"|^(?:please )?delete xitem$|\bsql\b|\bdelete from\b|\bdrop (?:the )?(?:\w+ )?table\b"
)
_BULK = re.compile(
    r"^(?:then |and |please |now |can you |could you |just )*(?:delete|remove|wipe|clear|purge|"
    r"erase|cancel|drop|scrap|void|withdraw) (?:all|every|everything)\b(?: of)?"
    r"(?: the| my| our| these| those| open| pending)*(?: (?:purchase )?(?:orders?|pos?|drafts?|"
    r"data|items?|records?|approvals?|requests?))?[ .!]*$"
)
_WONDERS = re.compile(r"\bwhat (?:would|will|does|happens|if)\b|\bwhat[ -]?if\b|\?$")
_PAYS = re.compile(
    r"^(?:please )?(?:pay|wire)\b|\b(?:pay|wire|transfer)\b.*\b(?:money|invoice|funds|deposit)\b"
    r"|^(?:please )?e?-?mail\b"
)
_WRITES = (
    r"(?:order|buy|purchase|draft|raise|create|place|send|request|cancel|submit|reorder|restock|"
    r"replenish|change|touch|do|make|write|revise|release|approve|commit|bother)"
)
_NEGATED = re.compile(
    rf"\b(?:(?:please )?(?:don't|do not|dont|never)(?: you)? (?:\w+ )?{_WRITES}\w*|"
    rf"no need to {_WRITES}|(?:better|rather) not {_WRITES}|"
    r"hold off|hold it|wait with|not yet|not now)\b[^,;.!?]*?"
    r"(?=[,;.!?]|\bbut\b|\bjust\b|\bonly\b|$)"
)
_WH = re.compile(
    r"^(?:and |but |so |ok |then )*(?:what|why|how|who|whom|whose|which|when|where|should|shall|"
    r"would|will|is|are|was|were|do (?!the |it\b|that\b|number)|does|did|has|have|had|am|"
    r"might|may|if|suppose|assume|"
    r"what's|whats|isn't|can we|can i|could we|could i)\b"
)
_POLITE = re.compile(
    r"^(?:and |ok |so |please )*(?:can|could|would|will) you\b|^(?:i'd like|let's)"
)
_TELLS = re.compile(
    r"^(?:but |no |and )*(?:i|we|you|he|she|they|nobody|no one|who) (?:\w+ )?"
    r"(?:never|didn't|did not|haven't|have not|hadn't|already|ordered|asked|"
    r"told|said|thought|wonder\w*|only asked)\b"
)
_NO_OBJECTION = re.compile(r"\bdon't forget\b")


def refusal(text: str) -> str | None:
    """What kind of forbidden thing is demanded, or None.

    Args:
        text: De-lexicalised text in lower case.

    Returns:
        "instructions", "secrets", "limits", "money", "bulk", "master", "decision" or None.

    Example:
        >>> refusal("approve xorder"), refusal("ask the manager to approve xorder")
        ('decision', None)
    """
    for kind, pattern in (
        ("secrets", _SECRETS), ("instructions", _ORDERS_ME_ABOUT), ("limits", _LIMITS),
        ("money", _PAYS), ("bulk", _BULK), ("master", _MASTER),
    ):  # fmt: skip
        is_other = kind == "master" and ("xorder" in text or _WONDERS.search(text))
        if pattern.search(text) and not is_other:
            return kind
    return "decision" if _demands_a_decision(text) else None


def _demands_a_decision(text: str) -> bool:
    if _NEGATED.search(text) and not _IMPATIENT.search(text):
        return False
    if _LOOKS_UP.search(text) and not _IMPATIENT.search(text):
        return False
    if _IMPATIENT.search(text) and (_SENDS.search(text) or _DECIDES.search(text)):
        return True
    if _ASKS_A_PERSON.search(text) or _TO_APPROVER.search(text):
        return False
    if _IMPATIENT.search(text):
        return True
    return bool(_DECIDES.search(text)) or (bool(_SENDS.search(text)) and "xitem" not in text)


def without_negation(text: str) -> tuple[str, bool]:
    """The text without what it says not to do, and whether something was taken out.

    Example:
        >>> without_negation("don't order yet, just show me the stock")
        ('show me the stock', True)
    """
    lowered = text.lower()
    match = None if _NO_OBJECTION.search(lowered) else _NEGATED.search(lowered)
    if match is None:
        return text, False
    rest = (text[: match.start()] + " " + text[match.end() :]).strip(" ,;.!?")
    return re.sub(r"^(?:but |just |only |and )+", "", rest), True


def is_question(text: str) -> bool:
    """The text asks or tells rather than orders; a polite imperative does neither.

    Example:
        >>> is_question("should I order 500?"), is_question("could you order 500?")
        (True, False)
    """
    if _POLITE.search(text):
        return False
    return bool(_WH.search(text) or _TELLS.search(text)) or text.rstrip().endswith("?")
