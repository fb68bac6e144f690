"""The ways out of the house that the settings describe, and what suppliers lack."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from api.settings import Settings
from db.models.catalog import Supplier
from tools.clock import Clock

if TYPE_CHECKING:
    from tools.documents.core.order import Buyer
    from tools.outbox.gateway import Channel

_SETTINGS = {
    "email": "QM_SMTP_HOST and QM_SMTP_FROM are not set",
    "webhook": "there is no secret for it in QM_WEBHOOK_SECRETS",
}


def build_channels(settings: Settings, clock: Clock) -> Mapping[str, "Channel"]:
    """Build the channels that are set up: files always, the others when they are configured."""
    from tools.documents.core.order import Buyer
    from tools.outbox.gateway import DropFolder

    buyer = Buyer(settings.company_name, settings.edi_id)
    channels: list[Channel] = [DropFolder(settings.outgoing_dir, buyer=buyer)]
    if settings.smtp_host:
        channels.append(_mail(settings, clock, buyer))
    if secrets := settings.supplier_secrets():
        from tools.webhooks.gateway import WebhookChannel

        channels.append(
            WebhookChannel(
                secrets, clock=clock, open_to=settings.webhook_allowed_hosts,
                timeout_s=settings.delivery_timeout_s, buyer=buyer,
            )
        )  # fmt: skip
    return {channel.name: channel for channel in channels}


def unreachable(session: Session, settings: Settings) -> dict[str, str]:
    """Return the active suppliers to whom no order can be sent as set up, and what is missing."""
    rows = session.exec(
        select(Supplier.code, Supplier.delivery_channel)
        .where(col(Supplier.is_active).is_(True), Supplier.delivery_channel != "file")
        .order_by(col(Supplier.code))
    ).all()
    signed = {code.casefold() for code in settings.supplier_secrets()}
    return {
        code: _SETTINGS.get(channel, f"no channel {channel!r} exists")
        for code, channel in rows
        if not (channel == "email" and settings.smtp_host)
        and not (channel == "webhook" and code.casefold() in signed)
    }


def _mail(settings: Settings, clock: Clock, buyer: "Buyer") -> "Channel":
    from tools.mail.gateway import MailChannel, MailServer

    server = MailServer(
        host=settings.smtp_host, sender=settings.smtp_from, port=settings.smtp_port,
        user=settings.smtp_user, password=settings.smtp_password.get_secret_value(),
        tls=settings.smtp_tls,
    )  # fmt: skip
    return MailChannel(server, clock=clock, buyer=buyer, timeout_s=settings.delivery_timeout_s)
