"""Fakes: a chat model that follows a script, and tools that need no other area."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field, PrivateAttr
from sqlmodel import Session, select

from db.models.purchasing import PurchaseOrder
from db.types import OrderState
from tools.errors import Conflict, NotFound
from tools.wrapping import Result, ToolContext, idempotency_key, tool

Step = str | AIMessage | Exception | Callable[[list[BaseMessage]], "str | AIMessage"]
AS_OF = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


class ScriptedChatModel(BaseChatModel):
    """Says the next line of its script and remembers every prompt; repeats the last line."""

    script: list[Any] = Field(default_factory=list)
    _prompts: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _offered: list[list[str]] = PrivateAttr(default_factory=list)

    def __init__(self, *script: Step) -> None:
        super().__init__(script=list(script))

    @property
    def prompts(self) -> list[list[BaseMessage]]:
        """What it was asked."""
        return self._prompts

    @property
    def offered(self) -> list[list[str]]:
        """Names of the tools it was offered each time they were bound."""
        return self._offered

    def then(self, *steps: Step) -> None:
        """Add lines."""
        self.script.extend(steps)

    def bind_tools(self, tools: Sequence[Any], **_kwargs: Any) -> Runnable[Any, AIMessage]:
        self._offered.append([tool["function"]["name"] for tool in tools])
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_kwargs: Any,
    ) -> ChatResult:
        self._prompts.append(list(messages))
        step = self.script[min(len(self._prompts), len(self.script)) - 1]
        if isinstance(step, Exception):
            raise step
        said = step(messages) if callable(step) else step
        message = AIMessage(said) if isinstance(said, str) else said.model_copy(deep=True)
        message.id = None
        return ChatResult(generations=[ChatGeneration(message=message)])

    @property
    def _llm_type(self) -> str:
        return "scripted"


def calls(*named: tuple[str, dict[str, Any]], text: str = "") -> AIMessage:
    """A reply that calls tools."""
    return AIMessage(
        text,
        tool_calls=[
            ToolCall(name=name, args=args, id=f"call{index:05}")
            for index, (name, args) in enumerate(named)
        ],
    )


@tool(effect="read")
def get_stock_position(session: Session, context: ToolContext, *, sku: str) -> Result:
    """Tell how much of an item there is and how long it lasts.

    Args:
        sku: Item, e.g. "WIDGET-A".
    """
    if sku == "GHOST":
        raise NotFound(f"no item {sku!r}", next_step="Ask for the right name.")
    if sku == "BUG":
        raise ZeroDivisionError("postgresql://secret@db/quartermaster")
    data = {"sku": sku, "uom": "each", "on_hand": 620, "available": 540, "reorder_point": 1244}
    return Result(data | {"days_of_cover": 5.4, "fill_rate": 0.953}, as_of=AS_OF, refs=[sku])


@tool(effect="read", core=False)
def list_rows(
    session: Session,
    context: ToolContext,
    *,
    count: Annotated[int, Field(ge=0, le=100_000)],
    text: str = "",
) -> Result:
    """Give many rows, numbered from 1,000,000.

    Args:
        count: How many, e.g. 10.
        text: Words to put into each, e.g. "note".
    """
    rows = [{"row": 1_000_000 + index, "text": text} for index in range(count)]
    return Result({"rows": rows, "total": count})


@tool(effect="read", core=False)
def wait_a_moment(
    session: Session, context: ToolContext, *, ms: Annotated[int, Field(ge=0, le=2000)]
) -> Result:
    """Take some time.

    Args:
        ms: How long, e.g. 50.
    """
    time.sleep(ms / 1000)
    return Result({"waited_ms": ms})


@tool(effect="draft")
def draft_purchase_order(
    session: Session,
    context: ToolContext,
    *,
    sku: str,
    quantity: Annotated[int, Field(ge=1, le=1_000_000)],
) -> Result:
    """Draft an order; nothing is sent.

    Args:
        sku: Item, e.g. "WIDGET-A".
        quantity: How many, e.g. 1200.
    """
    key = idempotency_key(context, "draft_purchase_order", {"sku": sku, "quantity": quantity})
    before = session.exec(select(PurchaseOrder).where(PurchaseOrder.idempotency_key == key))
    order = before.first()
    if order is None:
        count = len(session.exec(select(PurchaseOrder)).all())
        order = PurchaseOrder(
            number=f"PO-{3001 + count}", supplier_id=1, location_id=1, currency="USD",
            total_minor=quantity * 780, fingerprint="0" * 64, thread_id=context.thread_id,
            requested_by_id=context.actor.user_id, idempotency_key=key,
            created_at=context.clock.now(),
        )  # fmt: skip
        session.add(order)
        session.flush()
    total = f"{order.total_minor / 100:.2f}"
    data = {"po_id": order.number, "revision": 1, "quantity": quantity, "unit_price": "7.80"}
    return Result(data | {"total": total, "currency": "USD", "digest": order.fingerprint})


@tool(effect="draft")
def request_approval(session: Session, context: ToolContext, *, po_id: str) -> Result:
    """Ask a person to decide about a draft.

    Args:
        po_id: Order, e.g. "PO-2001".
    """
    order = session.exec(select(PurchaseOrder).where(PurchaseOrder.number == po_id)).first()
    if order is None or order.state != OrderState.DRAFT:
        raise Conflict(f"{po_id!r} is not a draft")
    order.state = OrderState.PENDING_APPROVAL
    session.add(order)
    data = {"approval_id": "a-31", "po_id": po_id, "revision": 1, "status": "pending", "version": 1}
    data |= {"total": f"{order.total_minor / 100:.2f}", "currency": order.currency}
    return Result(data | {"approver_role": "manager", "expires_at": "2026-03-03T09:00:00+00:00"})


FAKE_TOOLS = (
    get_stock_position,
    list_rows,
    wait_a_moment,
    draft_purchase_order,
    request_approval,
)
