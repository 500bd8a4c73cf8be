"""Which GPUs a process may use, and which of them are the same one under another name."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Sequence

# For tests: so many GPUs are taken to be there.
FAKE_GPUS = "GNNPACK_FAKE_GPUS"
NVIDIA_SMI_SECONDS = 30.0


def gpu_numbers() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them; [] without one."""
    fake = os.environ.get(FAKE_GPUS, "")
    if fake:
        return [str(number) for number in range(int(fake))]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return list(listed_gpus())


def listed_gpus() -> dict[str, str]:
    """Number -> UUID ("" if it has none) of this machine's GPUs, as nvidia-smi lists them.

    Raises:
        ValueError: nvidia-smi does not answer.
    """
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=NVIDIA_SMI_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"`nvidia-smi -L` has not answered in {NVIDIA_SMI_SECONDS:.0f} s, so which GPUs are "
            "there is not known. Try it by hand; where it hangs, the driver must be started anew. "
            "CUDA_VISIBLE_DEVICES= (empty) goes on without a GPU."
        ) from None
    except (OSError, subprocess.SubprocessError):
        return {}
    text = listed.stdout.decode("utf-8", "replace")
    found = re.findall(r"^GPU (\d+):(?:.*\(UUID: ([^)\s]+)\))?", text, re.MULTILINE)
    return dict(found)


def own_names(names: Sequence[str]) -> dict[str, str]:
    """Name of each GPU -> its UUID, where nvidia-smi tells it: ``0`` may be ``GPU-8f2a...``.

    Raises:
        ValueError: nvidia-smi does not answer.
    """
    uuids = {} if os.environ.get(FAKE_GPUS) else listed_gpus()

    def own_name(name: str) -> str:
        # CUDA takes the beginning of a UUID for the whole.
        whole = [uuid for uuid in uuids.values() if uuid.startswith(name)]
        return uuids.get(name) or (whole[0] if len(whole) == 1 else name)

    return {name: own_name(name) for name in names}
