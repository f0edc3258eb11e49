"""The whole matrix of vendors and faults against the sandbox, as the table of docs/sources.md.

    python -m benchmarks.fault_matrix [--vendors x_ads,hubspot] [--results matrix.json] [--write]

Every cell reads a vendor that was read before while one fault is on, and compares every table row for row with what it was.
Results gather in a file, so that vendors may be run one after the other; `--write` puts the table into the page. About a
second a cell; 21 faults a vendor.
"""

import argparse
import json
import re
import tempfile
import time
from pathlib import Path

from benchmarks.page import PAGE, replace_section
from dlt_pipelines.sandbox.server import MOUNTED
from tests.extraction.fault_matrix import FAULTS, Bench, running_sandbox

SIGNS = {"recovered": "✓", "settled": "↻", "failed": "✗", "no such thing": "–"}
ADDRESS = re.compile(r"https?://127\.0\.0\.1:\d+")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2} UTC")
Results = dict[str, dict[str, dict[str, object]]]


def run(vendors: list[str], results: Results) -> None:
    """Fill the rows of these vendors."""
    pauses: list[float] = []
    with running_sandbox(pauses) as server, tempfile.TemporaryDirectory() as folder:
        for vendor in vendors:
            begun = time.perf_counter()
            bench = Bench(vendor, server, Path(folder) / vendor, pauses)
            results[vendor] = {}
            for fault in FAULTS:
                cell = bench.run(fault)
                if not bench.right(fault, cell):
                    raise SystemExit(f"{vendor} under {fault!r}: {cell.outcome} is not right. {cell.message}")
                message = MOMENT.sub("<time>", ADDRESS.sub("", cell.message))
                results[vendor][fault] = {"outcome": cell.outcome, "message": message, "requests": cell.requests}
            print(f"{vendor:<16} {len(FAULTS)} cells in {time.perf_counter() - begun:6.1f} s", flush=True)


def table(results: Results) -> str:
    """The matrix, and under it each failure's message and each gap's reason."""
    vendors = [vendor for vendor in MOUNTED if vendor in results]
    lines = ["| fault | " + " | ".join(vendors) + " |", "|---|" + ":-:|" * len(vendors)]
    counts = dict.fromkeys(SIGNS, 0)
    for fault in FAULTS:
        outcomes = [str(results[vendor][fault]["outcome"]) for vendor in vendors]
        for outcome in outcomes:
            counts[outcome] += 1
        lines.append(f"| {fault} | " + " | ".join(SIGNS[outcome] for outcome in outcomes) + " |")
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in SIGNS)
    parts = [f"{len(vendors)} vendors × {len(FAULTS)} faults: {said}.", "", *lines, ""]
    parts += ["| vendor | fault | what it says, or why there is nothing to test |", "|---|---|---|"]
    for vendor in vendors:
        together: dict[tuple[str, str], list[str]] = {}
        for fault, cell in results[vendor].items():
            if cell["message"]:
                key = (SIGNS[str(cell["outcome"])], str(cell["message"]).removeprefix(f"{vendor}: "))
                together.setdefault(key, []).append(fault)
        for (sign, message), faults in together.items():
            text = " ".join(message.replace("|", "\\|").split())
            parts.append(f"| {vendor} | {', '.join(faults)} {sign} | {text[:300]} |")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vendors", default=",".join(MOUNTED))
    parser.add_argument("--results", type=Path, default=Path("data/fault_matrix.json"))
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    chosen = parser.parse_args()
    results: Results = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}
    for vendor in filter(None, chosen.vendors.split(",")):
        run([vendor], results)
        chosen.results.parent.mkdir(parents=True, exist_ok=True)
        chosen.results.write_text(json.dumps(results, indent=1, ensure_ascii=False))
    if chosen.write:
        replace_section("fault matrix", table(results))


if __name__ == "__main__":
    main()
