"""The demo shop's suppliers: invented names and terms, each with a real vendor's punctuality."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoSupplier:
    """An invented supplier.

    Attributes:
        code: Our short name.
        name: Invented; no such firm is meant.
        vendor: The SCMS vendor whose delivery records stand behind it.
        lead_time_days: Quoted, in working days (five a week).
        min_order_value_minor: Pence.
        words: An item whose name holds one of these words is bought here.
        category: What these items are called together.
    """

    code: str
    name: str
    vendor: str
    lead_time_days: int
    min_order_value_minor: int
    words: tuple[str, ...]
    category: str


_MERCK = "MERCK SHARP & DOHME IDEA GMBH (FORMALLY MERCK SHARP & DOHME B.V.)"
_MYLAN = "MYLAN LABORATORIES LTD (FORMERLY MATRIX LABORATORIES)"
_ABBVIE = "ABBVIE LOGISTICS (FORMERLY ABBOTT LOGISTICS BV)"

SUPPLIERS: tuple[DemoSupplier, ...] = (
    DemoSupplier(
        "BEACON", "Beacon Textiles", "HETERO LABS LIMITED", 10, 15_000,
        ("bag", "cushion", "apron", "towel", "cloth", "hottie", "doily"), "textiles",
    ),
    DemoSupplier(
        "ELMFIELD", "Elmfield Paper", "MICRO LABS LIMITED", 5, 10_000,
        ("paper", "card", "wrap", "napkin", "napkins", "tissue", "tissues", "bunting", "cases",
         "doilies", "notebook", "chain"), "paper",
    ),
    DemoSupplier(
        "DUNMORE", "Dunmore Lamps", "Aurobindo Pharma Limited", 12, 20_000,
        ("light", "lights", "t-light", "candle", "candles", "lantern", "lamp", "holder"),
        "lighting",
    ),
    DemoSupplier(
        "CALDER", "Calder Glass", "CIPLA LIMITED", 12, 25_000,
        ("glass", "bottle", "jar", "jars", "jam", "bottles"), "glass",
    ),
    DemoSupplier(
        "ASHDOWN", "Ashdown Ceramics", "Orgenics, Ltd", 8, 15_000,
        ("mug", "mugs", "ceramic", "teacup", "saucer", "plate", "bowl", "cup", "cakestand",
         "teapot", "ornament"), "ceramics",
    ),
    DemoSupplier(
        "FENWICK", "Fenwick Toys", _ABBVIE, 10, 15_000,
        ("toy", "game", "dolly", "children's", "childs", "spaceboy", "skittles", "puppet",
         "jigsaw", "playhouse", "ludo"), "toys",
    ),
    DemoSupplier(
        "GRANBY", "Granby Kitchenware", "ASPEN PHARMACARE", 7, 10_000,
        ("cake", "lunch", "tin", "tins", "baking", "pantry", "kitchen", "popcorn", "tray"),
        "kitchen",
    ),
    DemoSupplier(
        "HARTLEY", "Hartley Woodcraft", "STRIDES ARCOLAB LIMITED", 15, 30_000,
        ("wood", "wooden", "frame", "sign", "drawer", "cabinet", "clock", "doormat", "board"),
        "wood",
    ),
    DemoSupplier(
        "IVYBRIDGE", "Ivybridge Garden", _MYLAN, 12, 15_000,
        ("garden", "bird", "parasol", "flower", "plant", "gardener", "watering"), "garden",
    ),
    DemoSupplier(
        "JUNIPER", "Juniper Seasonal", _MERCK, 20, 20_000,
        ("christmas", "heart", "hearts", "star", "stars", "wreath", "decoration"), "seasonal",
    ),
)  # fmt: skip
