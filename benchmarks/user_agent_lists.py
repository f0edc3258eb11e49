"""How well the user-agent rules tell machines, people and in-app browsers apart, on lists that other projects keep.

    python -m benchmarks.user_agent_lists FOLDER

FOLDER holds clones of omrilotan/isbot, JayBizzle/Crawler-Detect, matomo-org/device-detector, monperrus/crawler-user-agents,
faisalman/ua-parser-js and ua-parser/uap-core under those names (isbot, Crawler-Detect, …). ua-parser-js was not looked at while
the rules were written; errors on the others were. Nothing of them ships with the platform, neither patterns nor
agents. Prints recall on the lists of machines, false positives on the lists of people, each with Wilson's 95 % interval, and the
in-app browsers; `--show` lists every error. About half a minute.

The lists contradict each other: isbot keeps Amazon's fetcher and GTmetrix among browsers, device-detector and crawler-user-agents
among bots. An agent that a curated bot list and a people's list both hold word for word is disputed; the last column leaves those
out of the rate on either side.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from attribution_platform.identity.quality import wilson
from attribution_platform.user_agents import parse_user_agents

Lists = dict[str, list[str]]

# How device-detector files what it knows of people's devices.
DEVICES = {
    "desktops": ("desktop",),
    "phones": ("smartphone", "phablet", "feature_phone"),
    "tablets": ("tablet",),
    "televisions and consoles": ("tv", "console"),
    "watches, cars, speakers, other": (
        "wearable", "car_browser", "camera", "peripheral", "portable_media_player", "smart_display", "smart_speaker",
    ),
}  # fmt: skip


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = value.values()
    if isinstance(value, str):
        yield value
    elif value is not None and not isinstance(value, (int, float)):
        for part in value:
            yield from _texts(part)


def _yaml(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _fixtures(folder: Path, *names: str) -> list[dict[str, Any]]:
    paths = sorted(
        {
            path
            for name in names
            for path in folder.glob(f"{name}*.yml")
            if path.stem.rstrip("0123456789").rstrip("-") == name
        }
    )
    return [entry for path in paths for entry in _yaml(path) or [] if entry.get("user_agent")]


def _parser_js(folder: Path, *patterns: str) -> list[str]:
    paths = sorted(path for pattern in patterns for path in (folder / "ua-parser-js/test/data/ua").glob(pattern))
    entries = [entry for path in paths for entry in json.loads(path.read_text(encoding="utf-8"))]
    return _distinct(str(entry.get("ua") or "") for entry in entries)


def machines(folder: Path) -> Lists:
    """Agents that each project calls a bot."""
    crawler_detect = folder / "Crawler-Detect/tests/data/user_agent/crawlers.txt"
    known = json.loads((folder / "crawler-user-agents/crawler-user-agents.json").read_text(encoding="utf-8"))
    bots = _yaml(folder / "device-detector/Tests/fixtures/bots.yml")
    return {
        "isbot, crawlers": _distinct(_texts(_yaml(folder / "isbot/fixtures/crawlers.yml"))),
        "CrawlerDetect": _distinct(crawler_detect.read_text(encoding="utf-8").splitlines()),
        "device-detector, bots": _distinct(entry["user_agent"] for entry in bots),
        "crawler-user-agents": _distinct(agent for entry in known for agent in entry.get("instances", [])),
        "ua-parser-js, crawlers and fetchers": _parser_js(folder, "extension/crawler.json", "extension/fetcher.json"),
    }


def people(folder: Path) -> Lists:
    """Agents that each project calls a browser or a person's device."""
    fixtures = folder / "device-detector/Tests/fixtures"
    resources = folder / "uap-core/test_resources"
    firefox = (resources / "firefox_user_agent_strings.txt").read_text(encoding="utf-8").splitlines()
    opera = _yaml(resources / "opera_mini_user_agent_strings.yaml")["test_cases"]
    lists = {"isbot, browsers": _distinct(_texts(_yaml(folder / "isbot/fixtures/browsers.yml")))}
    for device, names in DEVICES.items():
        lists[f"device-detector, {device}"] = _distinct(
            entry["user_agent"] for entry in _fixtures(fixtures, *names) if "bot" not in entry
        )
    lists["ua-parser-js, devices"] = _parser_js(folder, "device/*.json")
    lists["uap-core, Firefox"] = _distinct(line for line in firefox if line.strip().startswith("Mozilla/"))
    lists["uap-core, Opera Mini"] = _distinct(case["user_agent_string"] for case in opera)
    return lists


def views(folder: Path) -> Lists:
    """device-detector's web views inside phone apps, and its whole browsers."""
    tests = folder / "device-detector/Tests"
    inside, whole = [], []
    for path in [
        *sorted((tests / "fixtures").glob("*.yml")),
        *sorted((tests / "Parser/Client/fixtures").glob("*.yml")),
    ]:
        for entry in _yaml(path) or []:
            client = entry.get("client")
            if not isinstance(client, dict) or "headers" in entry or "bot" in entry:
                continue
            agent = str(entry["user_agent"])
            on_phone = any(word in agent for word in ("Android", "iPhone", "iPad"))
            if (
                client.get("type") == "mobile app"
                and agent.startswith("Mozilla/")
                and "AppleWebKit" in agent
                and on_phone
            ):
                inside.append(agent)
            elif client.get("type") == "browser" and "webview" not in str(client.get("name")).lower():
                whole.append(agent)
    return {"apps' web views": _distinct(inside), "whole browsers": _distinct(whole)}


def _rate(hits: int, count: int) -> str:
    low, high = wilson(hits, count)
    return f"{hits:>6,} of {count:>6,}  {hits / count:.4f} ({low:.4f} to {high:.4f})"


def _report(lists: Lists, hit: Callable[[str], bool], disputed: set[str], shown: bool | None) -> None:
    total = [0, 0]
    for name, agents in lists.items():
        hits = [agent for agent in agents if hit(agent)]
        clear = [agent for agent in agents if agent not in disputed]
        clear_hits = [agent for agent in hits if agent not in disputed]
        print(f"{name:<48}{_rate(len(hits), len(agents))}   undisputed {_rate(len(clear_hits), len(clear))}")
        total[0] += len(hits)
        total[1] += len(agents)
        if shown is not None:
            for agent in agents:
                if hit(agent) == shown:
                    print(f"    {agent[:200]}")
    if len(lists) > 1:
        print(f"{'pooled':<48}{_rate(*total)}")


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--show", action="store_true", help="list every error")
    given = arguments.parse_args()
    bots, persons, apps = machines(given.folder), people(given.folder), views(given.folder)
    everything = pd.Series([agent for lists in (bots, persons, apps) for agents in lists.values() for agent in agents])
    parsed = parse_user_agents(everything).assign(user_agent=lambda frame: frame["user_agent"].str.strip())
    is_bot = dict(zip(parsed["user_agent"], parsed["is_bot"], strict=True))
    is_inside = dict(zip(parsed["user_agent"], parsed["is_in_app_browser"], strict=True))
    on_bot_lists = {agent for agents in bots.values() for agent in agents}
    disputed = on_bot_lists & {agent for agents in persons.values() for agent in agents}
    print("Machines recognised")
    _report(bots, is_bot.__getitem__, disputed, False if given.show else None)
    print("People taken for machines")
    _report(persons, is_bot.__getitem__, disputed, True if given.show else None)
    print("Web views recognised, whole browsers taken for one")
    for name, agents in apps.items():
        _report({name: agents}, is_inside.__getitem__, set(), (name == "whole browsers") if given.show else None)


if __name__ == "__main__":
    main()
