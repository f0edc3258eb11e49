"""How a message looks at each receiver. Segments are page paths and campaign names that strangers can write, so every text is
escaped for where it goes: nobody pages a whole channel through a utm tag."""

import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attribution_platform.alerting.message import Item, Message, look_of
from attribution_platform.monitoring.alerts import Kind

# Slack takes 50 blocks and Teams 28 kB; more than ten alerts at once nobody reads.
SHOWN_ITEMS = 10
TEXT_LIMIT = 2900
REPEATED = "This may be a repeat: an earlier attempt to send it was interrupted. Its reference is the same."


def footer(message: Message, key: str, may_repeat: bool) -> str:
    """When it was decided and by which reference a repeat is known."""
    at = datetime.fromisoformat(message.at)
    line = f"Attribution Platform · {at:%Y-%m-%d %H:%M} UTC · reference {key[:12]}"
    return f"{line} · {REPEATED}" if may_repeat else line


def hidden(message: Message) -> str:
    """What is said of the alerts that did not fit."""
    left = len(message.items) - SHOWN_ITEMS
    return "" if left <= 0 else f"and {left} more: `attribution alerts list` shows all"


def subject(message: Message) -> str:
    """One line for a mail's subject or a page: gravity first."""
    look = look_of(message.kind, message.severity)
    title = re.sub(r"\s+", " ", message.title)
    return title if title.startswith("Resolved") else f"[{look.label}] {title}"


def as_text(message: Message, key: str, may_repeat: bool = False) -> str:
    """Plain text, for the log and for readers without HTML."""
    lines = [subject(message), ""]
    for item in message.items[:SHOWN_ITEMS]:
        lines += [f"{look_of(item.kind, item.severity).label}: {item.title}"] if len(message.items) > 1 else []
        lines += [f"  {name}: {value}" for name, value in item.facts]
        if item.advice:
            lines.append(f"  What to do: {item.advice}")
        lines += [f"  {name}: {address}" for name, address in item.links]
        lines.append("")
    lines += [hidden(message)] if hidden(message) else []
    lines += [f"{name}: {address}" for name, address in message.links]
    return "\n".join([*lines, footer(message, key, may_repeat)])


# ---- e-mail ----------------------------------------------------------------------------------------------------------


def as_html(message: Message, key: str, may_repeat: bool = False) -> str:
    """A mail. Tables and inline styles only: mail programs drop style sheets; nothing is fetched from anywhere."""
    cards = "".join(_html_item(item) for item in message.items[:SHOWN_ITEMS])
    more = f'<p style="margin:0 0 16px;color:#475467">{html.escape(hidden(message))}</p>' if hidden(message) else ""
    links = " &nbsp;·&nbsp; ".join(_html_link(name, address) for name, address in message.links)
    heading = (
        f'<h1 style="font-size:18px;line-height:1.35;margin:0 0 16px;color:#101828">{html.escape(message.title)}</h1>'
        if len(message.items) > 1
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(subject(message))}</title></head>"
        '<body style="margin:0;background:#f2f4f7">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f2f4f7"><tr><td align="center" '
        'style="padding:24px 12px">'
        '<table role="presentation" width="600" cellpadding="0" cellspacing="0" style="max-width:600px;width:100%;text-align:left;'
        'font-family:-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif;font-size:14px;line-height:1.5;color:#344054">'
        "<tr><td>"
        f"{heading}{cards}{more}"
        f'<p style="margin:0 0 8px">{links}</p>'
        f'<p style="margin:0;color:#667085;font-size:12px">{html.escape(footer(message, key, may_repeat))}</p>'
        "</td></tr></table></td></tr></table></body></html>"
    )


def _html_text(text: str) -> str:
    # A number keeps its sign on its line.
    return html.escape(text).replace(" %", "&nbsp;%")


def _html_link(name: str, address: str) -> str:
    return f'<a href="{html.escape(address)}" style="color:#175cd3;text-decoration:none">{html.escape(name)}</a>'


def _html_item(item: Item) -> str:
    look = look_of(item.kind, item.severity)
    rows = "".join(
        f'<tr><td style="padding:3px 16px 3px 0;color:#667085;white-space:nowrap;vertical-align:top">{html.escape(name)}</td>'
        f'<td style="padding:3px 0;color:#101828;overflow-wrap:anywhere">{_html_text(value)}</td></tr>'
        for name, value in item.facts
    )
    advice = (
        f'<p style="margin:12px 0 0"><strong style="color:#101828">What to do.</strong> {html.escape(item.advice)}</p>'
        if item.advice
        else ""
    )
    links = " &nbsp;·&nbsp; ".join(_html_link(name, address) for name, address in item.links)
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#ffffff;'
        f'border:1px solid #e4e7ec;border-left:4px solid {look.colour};border-radius:6px;margin:0 0 16px">'
        '<tr><td style="padding:16px 20px">'
        f'<div style="font-size:12px;font-weight:600;color:{look.colour}">{look.label}</div>'
        '<div style="font-size:16px;font-weight:600;line-height:1.4;color:#101828;margin:2px 0 10px;overflow-wrap:anywhere">'
        f"{_html_text(item.title)}</div>"
        f'<table role="presentation" cellpadding="0" cellspacing="0" style="font-size:14px">{rows}</table>'
        f'{advice}<p style="margin:12px 0 0">{links}</p></td></tr></table>'
    )


# ---- Slack -----------------------------------------------------------------------------------------------------------


def _slack(text: str, limit: int = TEXT_LIMIT) -> str:
    # Three signs have entities, the others only look-alikes. Cut first, or an entity might be cut in two.
    plain = _cut(text, limit).translate(str.maketrans("*`~", "∗ʼ∼"))
    return html.escape(plain, quote=False)


def as_slack(message: Message, key: str, may_repeat: bool = False) -> dict[str, Any]:
    """One attachment of Block Kit blocks, coloured by gravity."""
    look = look_of(message.kind, message.severity)
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": _cut(f"{look.sign} {message.title}", 150), "emoji": True},
        }
    ]
    for number, item in enumerate(message.items[:SHOWN_ITEMS]):
        blocks += [{"type": "divider"}] if number else []
        blocks += _slack_item(item, alone=len(message.items) == 1)
    if hidden(message):
        blocks.append(_slack_section(_slack(hidden(message))))
    if message.links:
        links = "   ".join(_slack_link(name, address) for name, address in message.links)
        blocks.append({"type": "context", "elements": [_mrkdwn(links)]})
    blocks.append({"type": "context", "elements": [_mrkdwn(_slack(footer(message, key, may_repeat)))]})
    return {"color": look.colour, "fallback": _slack(subject(message), 300), "blocks": blocks}


def _slack_item(item: Item, alone: bool) -> list[dict[str, Any]]:
    look = look_of(item.kind, item.severity)
    blocks: list[dict[str, Any]] = []
    if not alone:
        blocks.append(_slack_section(f"{look.sign} *{_slack(item.title, 500)}*"))
    # A section holds ten fields.
    fields = [_mrkdwn(f"*{_slack(name)}*\n{_slack(value, 500)}") for name, value in item.facts[:10]]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    # One block for both: ten alerts must stay under Slack's fifty.
    below = [f"*What to do*\n{_slack(item.advice)}"] if item.advice else []
    below += ["   ".join(_slack_link(name, address) for name, address in item.links)] if item.links else []
    if below:
        blocks.append(_slack_section("\n".join(below)))
    return blocks


def _slack_section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    # Verbatim: an address inside a page path does not become a link.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _slack_link(name: str, address: str) -> str:
    return f"<{_slack(address).replace('|', '%7C')}|{_slack(name)}>"


# ---- Teams -----------------------------------------------------------------------------------------------------------


def _teams(text: str, limit: int = TEXT_LIMIT) -> str:
    # Cards read a little Markdown, and `<at>` calls people.
    return re.sub(r"([\\\[\]*`])", r"\\\1", _cut(text, limit)).replace("<", "‹").replace(">", "›")


def as_teams(message: Message, key: str, may_repeat: bool = False) -> dict[str, Any]:
    """An Adaptive Card in the envelope that a Teams workflow takes."""
    body: list[dict[str, Any]] = []
    if len(message.items) > 1:
        body.append(_teams_text(_teams(message.title), size="Large", weight="Bolder"))
    for item in message.items[:SHOWN_ITEMS]:
        body.append(_teams_item(item))
    if hidden(message):
        body.append(_teams_text(_teams(hidden(message))))
    body.append(_teams_text(_teams(footer(message, key, may_repeat)), size="Small", isSubtle=True))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": _cut(subject(message), 300),
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": name, "url": address} for name, address in message.links],
        "msteams": {"width": "full"},
    }
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [content]}


def _teams_text(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **style}


def _teams_item(item: Item) -> dict[str, Any]:
    look = look_of(item.kind, item.severity)
    style = "good" if item.kind == Kind.RESOLVED else "attention" if item.severity == "critical" else "warning"
    parts = [
        _teams_text(look.label, size="Small", weight="Bolder", color=style.capitalize(), spacing="None"),
        _teams_text(_teams(item.title, 500), size="Medium", weight="Bolder", spacing="None"),
    ]
    if item.facts:
        facts = [{"title": _teams(name), "value": _teams(value, 500)} for name, value in item.facts]
        parts.append({"type": "FactSet", "facts": facts})
    if item.advice:
        parts.append(_teams_text(f"**What to do.** {_teams(item.advice)}"))
    if item.links:
        actions = [{"type": "Action.OpenUrl", "title": name, "url": address} for name, address in item.links]
        parts.append({"type": "ActionSet", "actions": actions})
    return {"type": "Container", "style": style, "separator": True, "spacing": "Medium", "bleed": True, "items": parts}


# ---- PagerDuty and webhook -------------------------------------------------------------------------------------------


def as_page(message: Message, key: str, may_repeat: bool = False) -> tuple[str, dict[str, str]]:
    """PagerDuty's summary (1,024 signs) and details of a message with one alert."""
    item = message.items[0]
    details = dict(item.facts)
    if item.advice:
        details["What to do"] = item.advice
    details.update(dict([*item.links, *message.links]))
    return _cut(item.title, 1000), {**details, "Reference": footer(message, key, may_repeat)}


def as_webhook(message: Message, key: str, may_repeat: bool = False) -> Mapping[str, Any]:
    """Everything, for machines. `key` is equal when the same message comes twice."""
    return {"version": 1, "key": key, "may_repeat": may_repeat, **message.to_record()}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
