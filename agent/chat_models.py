"""The chat model from settings: the offline one, or any server that speaks chat completions."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from langchain_core.language_models import BaseChatModel

if TYPE_CHECKING:
    from tools.catalog.core import CatalogueSnapshot


def build_chat_model(
    *,
    url: str = "",
    name: str = "",
    api_key: str = "",
    catalogue: "Callable[[], CatalogueSnapshot]",
    timeout_s: float = 60.0,
    max_tokens: int = 1_024,
    temperature: float = 0.0,
) -> BaseChatModel:
    """Return the offline model when ``url`` is empty, else a client of that server.

    The imports are inside because the client alone takes a second to load.

    Args:
        url: Base address of the server, e.g. "http://127.0.0.1:8080/v1".
        name: Model name as the server knows it.
        api_key: Its key; servers without one accept any text.
        catalogue: Gives the names the offline model recognises.
        timeout_s: How long the server may stay silent.
        max_tokens: Longest answer. Sent as ``max_tokens``, which every server knows.
        temperature: 0 for the same answer to the same question.
    """
    if not url:
        from agent.offline.model import OfflineChatModel

        offline: BaseChatModel = OfflineChatModel(catalogue=catalogue)
        return offline
    from pydantic import SecretStr

    from agent.served_model import ServedChatModel, bounded_client

    return ServedChatModel(
        model=name or "default",
        base_url=url,
        api_key=SecretStr(api_key or "none"),
        use_responses_api=False,  # else the client guesses from the model's name
        stream_usage=True,
        temperature=temperature,
        timeout=timeout_s,
        http_client=bounded_client(timeout_s),
        max_retries=1,
        extra_body={"max_tokens": max_tokens},
    )


def warm_up(model: BaseChatModel) -> None:
    """Let the offline model fit itself to its examples; a served model is not asked anything."""
    from agent.offline.model import OfflineChatModel

    if isinstance(model, OfflineChatModel):
        model.invoke("hello")
