"""Hydra takes sweepers from packages of this namespace alone; the search is gnnpack's."""

from __future__ import annotations

from gnnpack.commands.search_sweeper import SearchOfProcesses


class StudySweeper(SearchOfProcesses):
    """`hydra/sweeper=gnnpack_search`."""
