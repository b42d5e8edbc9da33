"""``python -m lightxml``: the command line."""

from lightxml.cli import main

main()
