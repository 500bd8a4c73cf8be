"""Which job is which: a short name for everything of a config that its result depends on."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Mapping

LENGTH = 12

# Where things lie, who watches, how the job was started. What options choose stands in other keys.
LEFT_OUT = (
    "hydra",
    "launcher",
    "sweeps",
    "scale",
    "experiment",
    "resume",
    "logger",
    "data_dir",
    "dataset.raw_dir",
    "dataset.report_dir",
    "accelerator.executable_cache",
    "trainer.default_root_dir",
    "trainer.log_every_n_steps",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
)
# Callbacks that only look on.
WATCHERS = {
    "DeviceStatsMonitor",
    "LearningRateMonitor",
    "ModelSummary",
    "RichModelSummary",
    "RichProgressBar",
    "TQDMProgressBar",
}


def content_key(config: Mapping[str, Any]) -> str:
    """12 hexadecimal digits of the SHA-256 of a resolved config without `LEFT_OUT`.

    Paths below ``data_dir`` count from there, so data that are moved are the same data. An entry of
    ``callbacks`` that is null or only watches is left out. The order of keys does not matter.

    >>> content_key({"seed": 0, "logger": "csv"}) == content_key({"seed": 0})
    True
    """
    text = json.dumps(what_counts(config), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:LENGTH]


def what_counts(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that `content_key` is of."""
    data_dir = config.get("data_dir")
    kept = {str(key): _kept(value, str(key), data_dir) for key, value in config.items()}
    for path in LEFT_OUT:
        *parents, last = path.split(".")
        node: Any = kept
        for name in parents:
            node = node.get(name) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(last, None)
    callbacks = kept.get("callbacks")
    if isinstance(callbacks, dict):
        kept["callbacks"] = {k: v for k, v in callbacks.items() if not _only_watches(v)}
    return kept


def _kept(value: Any, path: str, data_dir: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _kept(v, f"{path}.{k}", data_dir) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_kept(one, path, data_dir) for one in value]
    if isinstance(value, str) and isinstance(data_dir, str) and data_dir:
        below = data_dir.rstrip("/") + "/"
        return "${data_dir}/" + value[len(below) :] if value.startswith(below) else value
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(
        f"{path} is a {type(value).__name__}; a job's config holds numbers, text, lists and "
        "mappings only."
    )


def _only_watches(callback: Any) -> bool:
    if callback is None:
        return True
    target = callback.get("_target_", "") if isinstance(callback, dict) else ""
    return str(target).rpartition(".")[2] in WATCHERS
