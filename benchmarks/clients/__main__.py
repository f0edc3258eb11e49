"""Official client libraries against the sandbox over loopback: what each read beside what the world holds.

    make clients                                        # builds the environments once, then runs every client
    python -m benchmarks.clients [--install] [--environments data/clients] [--write]

Several of these libraries contradict each other's requirements, so each has its own environment and is a process of its own;
one that is not installed is skipped and named. A client passes when its totals are the world's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.page import PAGE, replace_section
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.world import World, WorldConfig, build_world
from dlt_pipelines.sandbox.world_platforms import PLATFORMS

HERE = Path(__file__).parent
SECONDS = 180


@dataclass(frozen=True)
class Client:
    """One library: its requirement, its script here, and the vendor it reads."""

    requirement: str
    script: str
    vendor: str


CLIENTS = (
    Client("google-analytics-data==0.23.3", "ga4.py", "ga4"),
    Client("google-ads==34.0.0", "google_ads.py", "google_ads"),
    Client("facebook-business==26.0.3", "meta_ads.py", "meta_ads"),
    Client("msads==13.0.30.1", "microsoft_ads.py", "microsoft_ads"),
    Client("linkedin-api-client==0.3.0", "linkedin_ads.py", "linkedin_ads"),
    Client("twitter-ads==11.0.0", "x_ads.py", "x_ads"),
    Client("tiktok-business-api-sdk-official==1.1.3", "tiktok_ads.py", "tiktok_ads"),
    Client("mailchimp-marketing==3.0.80", "mailchimp.py", "mailchimp"),
    Client("klaviyo-api==24.0.0", "klaviyo.py", "klaviyo"),
    Client("hubspot-api-client==12.0.0", "hubspot.py", "hubspot"),
    Client("mixpanel-utils==2.2.7", "mixpanel.py", "mixpanel"),
    Client("simple-salesforce==1.12.10", "salesforce.py", "salesforce"),
)


def install(client: Client, folder: Path) -> None:
    """Build the environment of a client, unless it is there."""
    if not (folder / "bin" / "python").exists():
        uv = shutil.which("uv")
        if uv:
            subprocess.run([uv, "venv", "--quiet", str(folder)], check=True)
        else:
            venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    command = [uv, "pip", "install", "--quiet", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
    subprocess.run([*command, client.requirement], check=True)


def held(world: World, vendor: str) -> dict[str, Any]:
    """What the world holds of a vendor, by the names the scripts print."""
    if vendor == "ga4":
        events = world.events.drop_duplicates("event_id")
        return {"key_events": int(events["event_name"].isin(["sign_up", "generate_lead", "purchase"]).sum())}
    if vendor == "mailchimp":
        mine = world.email_campaigns[world.email_campaigns["vendor"] == "mailchimp"]
        return {"campaigns": len(mine), "emails_sent": int(mine["emails_sent"].sum())}
    if vendor == "klaviyo":
        mine = world.email_campaigns[world.email_campaigns["vendor"] == "mailchimp"]
        return {"campaigns": len(mine)}
    if vendor == "mixpanel":
        events = world.events[world.events["event_name"] != "session_start"]
        return {"events": len(events), "profiles": events["user_id"].nunique()}
    if vendor == "hubspot":
        contacts, deals = world.contacts, world.deals
        return {
            "contacts": int((~contacts["archived"].astype(bool)).sum()),
            "deals": int((~deals["archived"].astype(bool)).sum()),
        }
    if vendor == "salesforce":
        amount = world.deals["amount"].astype(float).sum()
        return {"contacts": len(world.contacts), "deals": len(world.deals), "amount": f"{amount:.2f}"}
    days = world.ad_days[world.ad_days["platform"] == vendor]
    return {
        "cost": str(Decimal(int(days["cost_micros"].sum())) / 1_000_000),
        "clicks": int(days["clicks"].sum()),
    }


def same(read: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(Decimal(str(read.get(name))) == Decimal(str(value)) for name, value in expected.items())


def run(client: Client, python: Path, server: SandboxServer, world: World) -> tuple[str, str]:
    """Outcome and what was read."""
    start = pd.Timestamp(world.config.start_on).date()
    told = {
        "base_url": server.base_urls[client.vendor],
        "token_url": server.token_urls.get(client.vendor, server.token_url),
        "first": str(start),
        "last": str(start + timedelta(days=world.config.days - 1)),
        "account": PLATFORMS[client.vendor].account_id if client.vendor in PLATFORMS else "",
        **server.credentials(),
    }
    environment = {"PATH": os.environ["PATH"], "SANDBOX": json.dumps(told), "NO_PROXY": "127.0.0.1"}
    before = len(server.requests)
    done = subprocess.run(
        [str(python), "-P", str(HERE / client.script)], env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        return "failed", (done.stderr.strip().splitlines() or ["(nothing said)"])[-1]
    read = json.loads(done.stdout.strip().splitlines()[-1])
    expected = held(world, client.vendor)
    text = ", ".join(f"{name} {value}" for name, value in read.items())
    text += f"; {len(server.requests) - before} requests"
    return ("equal" if same(read, expected) else f"differs from {expected}"), text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, default=Path("data/clients"))
    parser.add_argument("--install", action="store_true", help="build what is missing first")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    chosen = parser.parse_args()
    world = build_world(WorldConfig(people=300, days=30, platforms=tuple(PLATFORMS)))
    lines = ["| client library | reads | outcome | what it read |", "|---|---|---|---|"]
    bad = 0
    with SandboxServer(world) as server:
        for client in CLIENTS:
            folder = chosen.environments / client.requirement.partition("==")[0]
            if chosen.install:
                install(client, folder)
            python = folder / "bin" / "python"
            if python.exists():
                outcome, text = run(client, python, server, world)
            else:
                outcome, text = "skipped", f"not installed in {chosen.environments}; `make clients` builds it"
            bad += outcome not in ("equal", "skipped")
            print(f"{client.requirement:<44} {outcome:<10} {text}", flush=True)
            lines.append(f"| {client.requirement.replace('==', ' ')} | {client.vendor} | {outcome} | {text} |")
    if chosen.write:
        replace_section("clients", "\n".join(lines))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
