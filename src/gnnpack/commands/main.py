"""`gnnpack COMMAND key=value ...`."""

from __future__ import annotations

import importlib
import importlib.util
import sys

COMMANDS = {
    "train": "train a model; the same as python train.py",
    "evaluate": "errors of a checkpoint: gnnpack evaluate checkpoint=PATH split=test",
    "predict": "predict molecules: gnnpack predict checkpoint=PATH input=FILE output=FILE.csv",
    "data": "get and look at data: gnnpack data fetch hydronet",
    "plan": "advise a pack size: packs, fill, proven bound; gnnpack plan dataset=qm9",
    "runs": "list runs and sweeps, what came of them, what failed: gnnpack runs --watch",
    "wandb": "upload the W&B runs that wait on this disk: gnnpack wandb sync",
    "report": "one page about runs or sweeps: gnnpack report outputs/sweeps/NAME",
    "bench": "time store, plans, batches and training steps beside PyG's; bench packers",
}


def main() -> None:
    """Run the command the first argument names; without one, list them."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("--help", "-h", "help"):
        print(_usage())
        return
    if name == "--version":
        import gnnpack

        print(gnnpack.__version__)
        return
    if name not in COMMANDS:
        print(f"gnnpack: no command {name!r}.\n\n{_usage()}", file=sys.stderr)
        raise SystemExit(2)
    # The command sees its own arguments as if it were the program.
    sys.argv = [f"gnnpack {name}", *sys.argv[2:]]
    module = f"gnnpack.commands.{name}"
    # Ranks that Lightning starts run the program again, by this name: the first word of the
    # command line is gone and `gnnpack train` is no file.
    sys.modules["__main__"].__spec__ = importlib.util.find_spec(module)
    # Imported here: `gnnpack --help` need not wait for torch.
    importlib.import_module(module).main()


def _usage() -> str:
    lines = [f"  gnnpack {name:<9} {what}" for name, what in COMMANDS.items()]
    return "\n".join(["Train molecular graph neural networks on packs.", "", *lines])
