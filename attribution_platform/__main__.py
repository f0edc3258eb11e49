"""`python -m attribution_platform …` is `attribution …`."""

from attribution_platform.cli import main

main()
