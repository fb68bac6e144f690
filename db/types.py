"""Vocabulary: enums and small value types, standard library only."""

from dataclasses import dataclass, field
from enum import StrEnum


class ItemStatus(StrEnum):
    """Life of an item."""

    NEW = "new"
    ACTIVE = "active"
    PHASE_OUT = "phase_out"
    DISCONTINUED = "discontinued"


class AliasKind(StrEnum):
    """Where another name of an item comes from."""

    NAME = "name"
    SUPPLIER_SKU = "supplier_sku"
    BARCODE = "barcode"


class MovementKind(StrEnum):
    """Why stock changed."""

    OPENING = "opening"
    RECEIPT = "receipt"
    ISSUE = "issue"
    RETURN = "return"
    ADJUSTMENT = "adjustment"
    TRANSFER = "transfer"


class OrderState(StrEnum):
    """Life of a purchase order (DESIGN §6)."""

    DRAFT = "draft"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    SENT = "sent"
    CONFIRMED = "confirmed"
    CHANGED = "changed"
    REJECTED = "rejected"
    PARTIALLY_RECEIVED = "partially_received"
    RECEIVED = "received"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    SHORT_CLOSED = "short_closed"


class ApprovalState(StrEnum):
    """Life of an approval request."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    VOID = "void"


class Decision(StrEnum):
    """What a person can say to a pending approval; the same four words on every door."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    RESPOND = "respond"


class OutboxState(StrEnum):
    """Life of a delivery."""

    PENDING = "pending"
    CLAIMED = "claimed"
    DELIVERED = "delivered"
    IN_DOUBT = "in_doubt"
    DEAD = "dead"
    CANCELLED = "cancelled"


class ShipmentStatus(StrEnum):
    """AfterShip's nine delivery states, and unknown."""

    PENDING = "pending"
    INFO_RECEIVED = "info_received"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    AVAILABLE_FOR_PICKUP = "available_for_pickup"
    ATTEMPT_FAIL = "attempt_fail"
    EXCEPTION = "exception"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class Role(StrEnum):
    """What a person may do; ``service`` is a machine and never approves."""

    VIEWER = "viewer"
    PLANNER = "planner"
    APPROVER = "approver"
    MANAGER = "manager"
    ADMIN = "admin"
    SERVICE = "service"


class Permission(StrEnum):
    """What an API key lets its person do; never more than the person's role allows."""

    READ = "read"
    DRAFT = "draft"
    DECIDE = "decide"
    RECEIVE = "receive"
    ADMIN = "admin"


class ScopeKind(StrEnum):
    """By what the work of people is divided."""

    LOCATION = "location"
    SUPPLIER = "supplier"
    CATEGORY = "category"


class AnswerState(StrEnum):
    """Life of a supplier's proposal to change an order."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    VOID = "void"


class InboundState(StrEnum):
    """Life of a message that came in: kept before it was answered, applied later."""

    RECEIVED = "received"
    APPLIED = "applied"
    REFUSED = "refused"  # it says something that cannot be; a person looks
    FAILED = "failed"  # we failed; tried again


class ReceiptKind(StrEnum):
    """What came, went back, or was booked in error."""

    RECEIPT = "receipt"
    RETURN = "return"
    WRONG_ITEM = "wrong_item"
    REVERSAL = "reversal"


class DocumentFormat(StrEnum):
    """How an order is written down for its supplier."""

    JSON = "json"
    CSV = "csv"
    PDF = "pdf"
    X12 = "x12"  # 850
    UBL = "ubl"  # 2.1 Order


class ActorKind(StrEnum):
    """Who stands behind an audit row."""

    HUMAN = "human"
    AGENT = "agent"
    SYSTEM = "system"


class LoadState(StrEnum):
    """Life of an import: rows become visible together, when it is published."""

    STAGING = "staging"
    PUBLISHED = "published"
    FAILED = "failed"


class RunState(StrEnum):
    """Life of a chat turn."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DemandClass(StrEnum):
    """Syntetos-Boylan class, or new for too little history."""

    SMOOTH = "smooth"
    ERRATIC = "erratic"
    INTERMITTENT = "intermittent"
    LUMPY = "lumpy"
    NEW = "new"
    NO_DEMAND = "no_demand"


class EventKind(StrEnum):
    """What a dated event is."""

    PROMOTION = "promotion"
    HOLIDAY = "holiday"
    CLOSURE = "closure"
    OTHER = "other"


class CorrectionKind(StrEnum):
    """Why a day of demand counts otherwise than it was sold."""

    OUTLIER = "outlier"
    ONE_OFF = "one_off"  # a tender, a project: it does not come again
    CANCELLATION = "cancellation"
    STOCKOUT = "stockout"  # more would have been sold
    MANUAL = "manual"


class ForecastBasis(StrEnum):
    """Whose history a forecast rests on."""

    OWN = "own"
    ANALOG = "analog"
    CATEGORY = "category"


class ModelState(StrEnum):
    """Life of a set of forecast models."""

    CHALLENGER = "challenger"
    CHAMPION = "champion"
    RETIRED = "retired"


class ReplenishmentRule(StrEnum):
    """When an order is placed, and how much it brings (Silver, Pyke & Thomas)."""

    MIN_MAX = "s_S"  # at or below s, up to S, at any review
    PERIODIC = "R_S"  # at every review, up to S
    PERIODIC_MIN_MAX = "R_s_S"  # at a review, at or below s, up to S
    LOTS = "s_nQ"  # at or below s, so many lots of Q that the position exceeds s


class SafetyStockMethod(StrEnum):
    """How the buffer is computed (DOMAIN §1.2)."""

    COMBINED = "combined"
    ADDITIVE = "additive"
    DEMAND_ONLY = "demand_only"
    EMPIRICAL = "empirical"


class ServiceMeasure(StrEnum):
    """Cycle service level (type 1) or fill rate (type 2): two different things."""

    CYCLE = "cycle"
    FILL_RATE = "fill_rate"


class Action(StrEnum):
    """What a recommendation asks the planner to do."""

    BUY = "buy"
    EXPEDITE = "expedite"
    TRANSFER = "transfer"
    NONE = "none"


@dataclass(frozen=True)
class Actor:
    """The authenticated person (or machine) on whose behalf something happens."""

    user_id: int
    login: str
    name: str
    role: Role
    kind: ActorKind = ActorKind.HUMAN
    permissions: frozenset[Permission] | None = None  # of the key; None: all that the role may
    key_id: str = field(default="", compare=False)  # of the key that they came with
    session_id: int = field(default=0, compare=False)  # of the browser's session
