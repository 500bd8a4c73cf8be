"""The W&B client and its server: whether they are there, and what the server has of a run."""

from __future__ import annotations

import base64
import inspect
import json
import netrc
import os
import socket
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SERVER = "https://api.wandb.ai"
ANSWER_SECONDS = 10.0
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
# What W&B's client asks itself before it appends to a run.
ROWS = """query RunResumeStatus($project: String, $entity: String, $name: String!) {
  model(name: $project, entityName: $entity) {
    bucket(name: $name, missingOk: true) { historyLineCount } } }"""


def import_wandb() -> Any:
    """The package; ValueError with the cure where it is missing."""
    try:
        import wandb
    except ImportError as error:
        raise ValueError(
            "logger=wandb needs the package wandb, which is not installed. "
            "Run `pip install wandb`, or choose logger=csv."
        ) from error
    return wandb


def logged_in(wandb: Any) -> bool:
    """Whether there is a key, as the client sees it; nobody is asked for one."""
    if "prompt" not in inspect.signature(wandb.login).parameters:
        return wandb.api.api_key is not None
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except wandb.errors.Error:
        return False


def check_online() -> None:
    """Refuse to upload without a key or a server that answers; wandb itself would try for hours.

    Raises:
        ValueError: saying which of them is missing, and that nothing is lost.
    """
    import_wandb()
    url = server_url()
    if find_key(url) is None:
        raise ValueError(
            "Uploading needs a W&B key and none was found. Run `wandb login` once (or set "
            "WANDB_API_KEY); the runs stay where they are until then."
        )
    if any(os.environ.get(name) for name in PROXIES):
        return
    parts = urlsplit(url)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    try:
        socket.create_connection((parts.hostname or url, port), ANSWER_SECONDS).close()
    except OSError as error:
        raise ValueError(
            f"The W&B server {url} does not answer ({error}). Try again with a network; the runs "
            "stay where they are until then."
        ) from error


def rows_on_server(project: str, entity: str, run_id: str) -> int:
    """Rows of history that the server has of a run; 0 of one it does not know.

    Raises:
        ValueError: it does not say.
    """
    url = server_url()
    words = {"project": project, "entity": entity or None, "name": run_id}
    request = urllib.request.Request(
        f"{url.rstrip('/')}/graphql",
        data=json.dumps({"query": ROWS, "variables": words}).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": "Basic "
            + base64.b64encode(f"api:{find_key(url) or ''}".encode()).decode(),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
            answer = json.loads(response.read())
        model = answer["data"]["model"]
        bucket = None if model is None else model["bucket"]
        return 0 if bucket is None else int(bucket["historyLineCount"] or 0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{url} does not say what it has of the run {run_id}: {error}") from error


def find_key(url: str) -> str | None:
    """The key for a server, from where W&B's client looks first: the environment, then netrc."""
    if os.environ.get("WANDB_API_KEY"):
        return os.environ["WANDB_API_KEY"]
    host = urlsplit(url).hostname or url
    places = [os.environ.get("NETRC"), "~/.netrc", "~/_netrc"]
    for place in [Path(one).expanduser() for one in places if one]:
        try:
            found = netrc.netrc(str(place)).authenticators(host)
        except (OSError, netrc.NetrcParseError):
            continue
        if found is not None and found[2]:
            return found[2]
    return None


def server_url() -> str:
    """Where runs go: WANDB_BASE_URL, W&B's settings files, else W&B itself."""
    if os.environ.get("WANDB_BASE_URL"):
        return os.environ["WANDB_BASE_URL"]
    try:
        from wandb.sdk import wandb_setup

        return str(wandb_setup.singleton().settings.base_url)
    except (ImportError, AttributeError):
        return SERVER
