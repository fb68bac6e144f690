"""A small grammar: phrases of the trade that leave no doubt about what is wanted.

Each rule is a pattern over the de-lexicalised text. What no rule knows goes to the scorer, which
generalises better; rules are for words that mean one thing to every planner.
"""

import re

_RULES: tuple[tuple[str, str], ...] = (
    ("request_approval", r"\b(?:ask|request|submit|send|get|put|forward|route|escalate|resend|re-?request|"
     r"resubmit|start|have|pass)\b.*\b(?:approv\w*|sign(?:ed)?[ -]?off|signature|signed)\b"
     r"|^(?:please )?ask (?:him |her |them |the manager )?again\b"),
    ("impact", r"\bwhat (?:does|will|would) (?:it|that|this|the (?:delay|slip)) (?:break|affect|hit)"
     r"|\bimpact of (?:the |xorder)"),
    ("audit", r"\baudit\b|\bwho (?:changed|edited|approved|signed|cancelled)\b"),
    ("accuracy", r"\b(?:forecast|fcst) (?:accuracy|error|bias|quality)\b|\bw?mape\b|\baccurate\b"),
    ("promotion", r"^(?:please )?(?:record|log|register|enter|schedule|snooze|exclude|override)\b"),
    ("simulate", r"\bwhat[ -]?if\b|\bsimulat\w+|\bwhat happens (?:to|if|when)\b|\bscenario\b"
     r"|\bsuppose\b|\bassum(?:e|ing)\b|\bslips?\b|\bplay through\b"),
    ("explain", r"^(?:and |but |ok |so )?why\b(?! not\?)|\bexplain\b|\brationale\b"
     r"|\b(?:talk|walk) me through\b|\bcome from\b|^break (?:it )?down\b|\bnot xqty\?*$"),
    ("revise", r"^(?:ok |no |please |then |yes )*(?:make|change|set|bump|reduce|increase|raise|lower|"
     r"cut|update|amend|revise|adjust) (?:it|that|this|xorder)\b.*\bxqty"
     r"|^(?:no |rather |better |only |make )*xqty (?:instead|rather|would be better|is better)$"),
    ("cancel", r"^(?:please |can you |could you |now |no |then )*(?:cancel|scrap|void|discard|withdraw|abort|"
     r"delete|bin|kill|drop|undo)\b(?!.* line\b).*\b(?:it|that|this|xorder|draft|order|po|one)\b"),
    ("shipment", r"^(?:where(?:'s| is)|track|eta|status of|any (?:news|sign) (?:on|of)) (?:is |of |for |on )?"
     r"(?:xorder|xqty)\b|\beta\b.*\bxorder|\bxorder\b.*\b(?:eta|arriv\w+|shipp\w+|landed|delivered|late)"
     r"|\b(?:arriv\w+|land|track|customs|shipment)\b.*\bxorder|^xorder ?\?*$|\bxtracking\b"
     r"|\bxqty (?:clear|cleared|stuck)"),
    ("unconfirmed", r"\bunconfirmed\b|\b(?:not|n't)\b.*\b(?:confirm\w*|acknowledged)\b"),
    ("late", r"\b(?:overdue|past due|late|delayed|behind)\b.*\b(?:orders?|pos?|deliver\w+|shipments?)\b"
     r"|\b(?:orders?|pos?|deliver\w+|shipments?|suppliers?|is)\b.*\b(?:overdue|late|delayed|behind)\b"),
    ("excess", r"\b(?:excess|overstock\w*|surplus|dead stock|obsolete|slow.?mov\w+|too much stock)\b"),
    ("reorder_point", r"\b(?:rop|re-?order (?:point|level)|safety stock|order.up.to|buffer(?: stock)?)\b"),
    ("simulate", r"\b(?:if|with)\b.*\bxpct\b.*\b(?:demand|sales|lead time)"),
    ("compare", r"\bcompare\b|\b(?:cheap\w*|landed cost|price breaks?|quotes?|switch)\b"
     r"|\b(?:best|which) (?:supplier|vendor)\b|\bwho (?:sells|supplies)\b"),
    ("forecast", r"\b(?:forecast|fcst|f'cast|forcast|predict\w*|outlook|projected demand)\b"),
    ("exceptions", r"\bexceptions?\b|\balerts?\b|\bneeds? (?:my )?attention\b|\bworklist\b"),
    ("recommend", r"\bwhat (?:needs|has to be|should (?:i|we)|do (?:i|we) (?:need|have) to|must(?: i| we)?|to)\b.*"
     r"\b(?:order\w*|buy\w*|bought|purchas\w+|re-?order\w*)\b|\bre-?order (?:list|candidates)\b"
     r"|\bhow much xitem should\b|^(?:should|do|must) (?:i|we)\b.*\b(?:order|buy|reorder)\b.*xitem"
     r"|\b(?:buy|shopping|order) list\b|\bbelow (?:the )?(?:rop|reorder)"),
    ("orders", r"^(?:please |can you )?(?:list|show|which)?\b.*\b(?:open|pending|sent|cancelled|draft|waiting) "
     r"(?:purchase )?(?:orders|pos)\b|\bwaiting for (?:an? )?(?:approval|signature|sign.?off)"
     r"|^(?:did|have|has) (?:you|we|i|anyone|someone) (?:already )?order"),
    ("draft", r"^(?:please |ok |then |now |can you |could you |would you |pls |let's |we need to )*"
     r"(?:order|buy|draft|purchase|raise|reorder|restock|replenish)\b.*(?:xitem|xrecommendation|\bone\b|\bit\b|"
     r"\bthat\b|\bthem\b|xqty)"),
    ("kpis", r"\bkpis?\b|\bvs\.? targets?\b|\bagainst targets?\b|\bstock.?out rate\b|\bfill rate\b"
     r"|\bcarrying cost\b|\bcycle time\b"),
    ("stock", r"^(?:stock|soh|oh|on hand|inventory|cover|available)\b.*\bxitem"
     r"|\b(?:days of )?cover\b.*\bxitem|\bhow many xitem\b(?!.*\b(?:sell|order|buy|need)\b)|\bhow long will xitem\b"
     r"|\b(?:run|runs|running) (?:out|dry)\b.*\bxitem|\bxitem\b.*\b(?:run|runs|running) (?:out|dry)\b"
     r"|^xitem(?: stock)? ?\??$"),
    ("find", r"^(?:please )?(?:find|search|look up|look for)\b|\bwhat(?:'s| is) the (?:sku|code)\b"),
)  # fmt: skip
_COMPILED = tuple((intent, re.compile(pattern)) for intent, pattern in _RULES)


def intent_of(text: str) -> str | None:
    """The intent of the first rule that fits, or None.

    Args:
        text: De-lexicalised text in lower case.

    Example:
        >>> intent_of("what needs ordering today?"), intent_of("blorp")
        ('recommend', None)
    """
    return next((intent for intent, pattern in _COMPILED if pattern.search(text)), None)
