"""``python -m flows``: the command line where the package is there and its script is not."""

from flows.cli import main

main()
