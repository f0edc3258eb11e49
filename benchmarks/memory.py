"""Peak memory of this process alone."""

from pathlib import Path


def peak_mb() -> float:
    """Most megabytes this process ever held. Linux only.

    Not `ru_maxrss`: a process inherits that from the one that started it, which made a labelling of 1.8 GB look like the 2.5 GB
    that its parent had needed to draw the graph.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024
