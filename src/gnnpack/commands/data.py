"""`gnnpack data WORD ...`: get and look at data, see `WORDS`."""

from __future__ import annotations

import importlib
import sys

# First words: the module whose main() they run, and what they do.
WORDS = {
    "fetch": ("gnnpack.commands.data_fetch", "download raw files: gnnpack data fetch hydronet"),
    "import": ("gnnpack.commands.data_import", "read your own molecules: path=FILE name=NAME"),
    "describe": ("gnnpack.commands.data_describe", "what a data set holds: dataset=qm9"),
}


def main() -> None:
    """Run what the first word names; without one, list them."""
    word = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if word in ("--help", "-h", "help"):
        print(usage())
        return
    if word not in WORDS:
        raise SystemExit(f"gnnpack data: no {word!r}.\n\n{usage()}")
    sys.argv = [f"{sys.argv[0]} {word}", *sys.argv[2:]]
    importlib.import_module(WORDS[word][0]).main()


def usage() -> str:
    """One line a word."""
    lines = [f"  gnnpack data {word:<9} {what}" for word, (_, what) in WORDS.items()]
    return "\n".join(["Get and look at data.", "", *lines])
