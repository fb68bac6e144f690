"""A small grammar: phrases of the trade that leave no doubt about what is wanted.

Each rule is a pattern over the de-lexicalised text. What no rule knows goes to the scorer, which
generalises better; rules are for words that mean one thing to every planner.
"""

import re

_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "request_approval",
        (
            r"^(?!.*\b(?:draft|order|buy)\b.*\b(?:xitem|xqty)\b.*\band\b).*"
            r"\b(?:ask|request|submit|send|get|put|forward|route|escalate|resend|re-?request|"
            r"resubmit|start|have|pass)\b.*\b(?:approv\w*|sign(?:ed)?[ -]?off|signature|"
            r"signed)\b",
            r"^(?:please )?ask (?:him |her |them |the manager )?again\b",
        ),
    ),
    (
        "impact",
        (
            r"\bwhat (?:does|will|would) (?:it|that|this|the (?:delay|slip)) (?:break|affect|"
            r"hit)",
            r"\bimpact of (?:the |xorder)",
        ),
    ),
    (
        "audit",
        (
            r"\baudit\b",
            r"\bwho (?:changed|edited|approved|signed|cancelled)\b",
        ),
    ),
    (
        "accuracy",
        (
            r"\b(?:forecast|fcst) (?:accuracy|error|bias|quality)\b",
            r"\bw?mape\b",
            r"\baccurate\b",
        ),
    ),
    (
        "promotion",
        (
            r"^(?:please )?(?:record|log|register|enter|schedule|snooze|exclude|override)\b",
        ),
    ),
    (
        "limit",
        (
            r"^(?:and |so |but )*(?:what|how|which|where|show|tell|do|am|is)\b.*"
            r"\b(?:my|our|the) (?:approval |spending |order |purchase |own )*limits?\b",
        ),
    ),
    (
        "sales",
        (
            r"\bdid\b.*\bsell\b|\b(?:did|have|has|had|was|were|been)\b.*\bsold\b",
            r"\bhow (?:much|many)\b.*\bsold\b|\bwe sold\b|\b(?:was|were)\b.*\bsales\b",
            r"\bsales\b.*\byesterday\b|\byesterday'?s? sales\b",
            r"\b(?:sales|demand) history\b|\b(?:past|previous|historic(?:al)?) (?:sales|demand)\b",
        ),
    ),
    (
        "suppliers",
        (
            r"^(?:please )?(?:list|show|which|what|who are|how many)\b(?: me)?(?: all)?(?: of)?"
            r"(?: the| our| my| your)? (?:suppliers|vendors)\b(?: do (?:we|you|i) (?:have|use|know)"
            r"| are there| have we| we have| exist)?[ ?.!]*$",
        ),
    ),
    (
        "excess",
        (
            r"\b(?:have|got|hold|own|carry|sit(?:ting)? on)\b(?!.*xqty).*\btoo (?:much|many)\b",
        ),
    ),
    (
        "stockouts",
        (
            r"^(?:what|which|who|anything|is anything|does anything|show|list)\b(?!.*xitem).*"
            r"\b(?:run|runs|running|go|goes|going) (?:out|dry|short)\b",
            r"^(?:what|which|anything|is anything|show|list)\b(?!.*xitem).*\bout of stock\b",
        ),
    ),
    (
        "draft",
        (
            r"^(?:urgent(?:ly)?[ !,:.-]*)?(?:please )?(?:we |i )?(?:urgently |really |also )?need "
            r"xqty xitem\b",
        ),
    ),
    (
        "simulate",
        (
            r"^(?:let's )?say xsupplier\b|\bthen what\b|\bwhat would that (?:save|do|mean)\b",
            r"\bwhat[ -]?if\b",
            r"\bsimulat\w+",
            r"\bwhat happens (?:to|if|when)\b",
            r"\bscenario\b",
            r"\bsuppose\b",
            r"\bassum(?:e|ing)\b",
            r"\bslips?\b",
            r"\bplay through\b",
        ),
    ),
    (
        "explain",
        (
            r"\b(?:a bit|too|rather|awfully) (?:much|many|high|low)\b.*|^(?:is|isn't) xqty\b",
            r"^justify\b",
            r"^(?:and |but |ok |so )?why\b(?! not\?)",
            r"\bexplain\b",
            r"\brationale\b",
            r"\b(?:talk|walk) me through\b",
            r"\b(?:does|did|do)\b.*\bcome from\b",
            r"^break (?:it )?down\b",
            r"\bnot xqty\?*$",
        ),
    ),
    (
        "revise",
        (
            r"^(?:ok |no |please |then |yes )*(?:make|change|set|bump|reduce|increase|raise|"
            r"lower|cut|update|amend|revise|adjust) (?:it|that|this|xorder)\b.*\bxqty",
            r"^(?:ok |no |please |then |yes |now )*(?:refresh|renew|revise|update) (?:the )?"
            r"(?:draft |order |po )?(?:xorder|it|that|draft|order|po)(?: please)?[ .!]*$",
            r"^(?:no |rather |better |only |make )*xqty (?:instead|rather|would be better|"
            r"is better)$",
        ),
    ),
    (
        "cancel",
        (
            r"^(?:please |can you |could you |now |no |then )*(?:cancel|scrap|void|discard|"
            r"withdraw|abort|delete|bin|kill|drop|undo)\b(?!.* line\b).*\b(?:it|that|this|"
            r"xorder|draft|order|po|one)\b",
        ),
    ),
    (
        "shipment",
        (
            r"^(?:where(?:'s| is)|track|eta|status of|any (?:news|sign) (?:on|of)) (?:is |of |"
            r"for |on )?(?:xorder|xqty)\b",
            r"\beta\b.*\bxorder",
            r"\bxorder\b.*\b(?:eta|arriv\w+|shipp\w+|landed|delivered|late)",
            r"\b(?:arriv\w+|land|track|customs|shipment)\b.*\bxorder",
            r"^xorder ?\?*$",
            r"\bxtracking\b",
            r"\bxqty (?:clear|cleared|stuck)",
        ),
    ),
    (
        "unconfirmed",
        (
            r"\bunconfirmed\b",
            r"\b(?:not|n't)\b.*\b(?:confirm\w*|acknowledged)\b",
        ),
    ),
    (
        "late",
        (
            r"\b(?:overdue|past due|late|delayed|behind)\b.*\b(?:orders?|pos?|deliver\w+|"
            r"shipments?)\b",
            r"\b(?:orders?|pos?|deliver\w+|shipments?|suppliers?|is)\b.*\b(?:overdue|late|"
            r"delayed|behind)\b",
        ),
    ),
    (
        "excess",
        (
            r"\b(?:excess|overstock\w*|surplus|dead stock|obsolete|slow.?mov\w+|"
            r"too much stock)\b",
        ),
    ),
    (
        "reorder_point",
        (
            r"\bcushion\b",
            r"\b(?:rop|re-?order (?:point|level)|safety stock|order.up.to|buffer(?: stock)?)\b",
        ),
    ),
    (
        "simulate",
        (
            r"\b(?:if|with)\b.*\bxpct\b.*\b(?:demand|sales|lead time)",
        ),
    ),
    (
        "compare",
        (
            r"\bxsupplier (?:vs\.?|versus|against) xsupplier\b",
            r"\bxsupplier or xsupplier\b|^should\b.*\bxsupplier\b",
            r"\bcompare\b",
            r"\b(?:cheap\w*|landed cost|price breaks?|quotes?|switch)\b",
            r"\b(?:best|which) (?:supplier|vendor)\b",
            r"\bwho (?:sells|supplies)\b",
        ),
    ),
    (
        "forecast",
        (
            r"\b(?:forecast|fcst|f'cast|forcast|predict\w*|outlook|projected demand)\b",
        ),
    ),
    (
        "exceptions",
        (
            r"\bexceptions?\b",
            r"\balerts?\b",
            r"\bneeds? (?:my )?attention\b",
            r"\bworklist\b",
        ),
    ),
    (
        "recommend",
        (
            r"\bwould you (?:order|buy|place|purchase)\b(?!.*xqty)",
            r"\bxitem needs? (?:a |an )?(?:new |another |fresh )?(?:order|po|reorder\w*)\b",
            r"\bwhat (?:needs|has to be|should (?:i|we)|do (?:i|we) (?:need|have) to|"
            r"must(?: i| we)?|to)\b.*\b(?:order\w*|buy\w*|bought|purchas\w+|re-?order\w*)\b",
            r"\bre-?order (?:list|candidates)\b",
            r"\bhow much xitem should\b",
            r"^(?:should|do|must) (?:i|we)\b.*\b(?:order|buy|reorder)\b.*xitem",
            r"\b(?:buy|shopping|order) list\b",
            r"\bbelow (?:the )?(?:rop|reorder)",
        ),
    ),
    (
        "orders",
        (
            r"^(?:did|has|is|was) (?:it|that|the (?:order|po|draft)) (?:go(?:ne)? out|sent|left|"
            r"approved|signed|confirmed|waiting)",
            r"^who (?:needs|has|must|can|should|will|is going) (?:to )?(?:approve|sign|decide)",
            r"^(?:show|see|display)(?: me)? (?:the|that|this|my|our) (?:order|po|draft)\b",
            r"^(?:what|which|anything|something)\b.*\b(?:unsigned|drafted)\b",
            r"^(?:list |show |see )?(?:me )?(?:all |the |my |our )*(?:drafts|orders|pos)$",
            r"^(?:please |can you )?(?:list|show|which)?\b.*\b(?:open|pending|sent|cancelled|"
            r"draft|waiting) (?:purchase )?(?:orders|pos)\b",
            r"\bwaiting for (?:an? )?(?:approval|signature|sign.?off)",
            r"^(?:did|have|has) (?:you|we|i|anyone|someone) (?:already )?order",
        ),
    ),
    (
        "draft",
        (
            r"^(?:please |ok |then |now |can you |could you |would you |pls |let's |"
            r"we need to )*(?:order|buy|draft|purchase|raise|reorder|restock|replenish)"
            r"\b.*(?:xitem|xrecommendation|\bone\b|\bit\b|\bthat\b|\bthem\b|xqty)",
        ),
    ),
    (
        "draft",
        (
            r"^(?:please )?(?:order|buy|purchase) (?!(?:list|book|history|status|cycle|suggest\w*|"
            r"recommend\w*|candidates|proposals?|advice|plan|orders?)\b)",
            r"^(?:please |ok |yes |then )*(?:do|take|go with|choose) (?:the )?"
            r"(?:first|second|third|fourth|fifth|top|number)\b",
        ),
    ),
    (
        "kpis",
        (
            r"\bkpis?\b",
            r"\bvs\.? targets?\b",
            r"\bagainst targets?\b",
            r"\bstock.?out rate\b",
            r"\bfill rate\b",
            r"\bcarrying cost\b",
            r"\bcycle time\b",
        ),
    ),
    (
        "stock",
        (
            r"\bgood (?:on|for) xitem\b|^how(?:'s|s| is| are) xitem\b|\bpromise\b.*\bxitem\b",
            r"^(?:stock|soh|oh|on hand|inventory|cover|available)\b.*\bxitem",
            r"\b(?:days of )?cover\b.*\bxitem",
            r"\bhow many xitem\b(?!.*\b(?:sell|order|buy|need)\b)",
            r"\bhow long will xitem\b",
            r"\b(?:run|runs|running) (?:out|dry)\b.*\bxitem",
            r"\bxitem\b.*\b(?:run|runs|running) (?:out|dry)\b",
            r"^xitem(?: stock)? ?\??$",
            r"^(?:the )?(?:current )?(?:stock|soh|on hand|inventory|cover)(?: level)? (?:of|for) ",
        ),
    ),
    (
        "find",
        (
            r"^(?:please )?(?:find|search|look up|look for)\b",
            r"\bwhat(?:'s| is) the (?:sku|code)\b",
        ),
    ),
)  # fmt: skip
_COMPILED = tuple((intent, re.compile("|".join(patterns))) for intent, patterns in _RULES)


def intent_of(text: str) -> str | None:
    """The intent of the first rule that fits, or None.

    Args:
        text: De-lexicalised text in lower case.

    Example:
        >>> intent_of("what needs ordering today?"), intent_of("blorp")
        ('recommend', None)
    """
    return next((intent for intent, pattern in _COMPILED if pattern.search(text)), None)
