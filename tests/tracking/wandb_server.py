"""As much of a W&B server as `wandb sync` needs, on this machine: it keeps the rows it is sent."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PROJECT = {"id": "p", "name": "p", "entity": {"id": "e", "name": "me"}}


class WandbServer:
    """Keeps, a run id each: history rows by their place, settings, group, tags and exit codes."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict]] = {}
        self.runs: dict[str, dict] = {}
        self.exit_codes: dict[str, list[int]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words: object) -> None:
                pass

            def do_GET(self) -> None:
                self.answer({})

            def do_PUT(self) -> None:
                self.content()
                self.answer({})

            def do_POST(self) -> None:
                sent = json.loads(self.content() or b"{}")
                if self.path.startswith("/graphql"):
                    self.answer({"data": outer.query(sent["query"], sent.get("variables") or {})})
                    return
                outer.stream(self.path.split("/")[4], sent)
                self.answer({})

            def content(self) -> bytes:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                zipped = self.headers.get("Content-Encoding") == "gzip"
                return gzip.decompress(raw) if zipped else raw

            def answer(self, content: dict) -> None:
                raw = json.dumps(content).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *words: object) -> None:
                # The client resets its connections when it is done.
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def query(self, text: str, words: dict) -> dict:
        if "upsertBucket" in text:
            kept = self.runs.setdefault(words["name"], {})
            kept.update({key: value for key, value in words.items() if value is not None})
            bucket = {"id": "s", "name": words["name"], "displayName": "", "description": ""}
            more = {"config": "{}", "sweepName": None, "project": PROJECT}
            count = len(self.rows.get(words["name"], []))
            return {
                "upsertBucket": {
                    "inserted": True,
                    "bucket": {**bucket, **more, "historyLineCount": count},
                }
            }
        if "RunResumeStatus" in text:
            return {"model": {**PROJECT, "bucket": self.status(words["name"])}}
        if "createRunFiles" in text:
            files = [
                {"name": name, "uploadUrl": f"{self.url}/up/{name}"} for name in words["files"]
            ]
            return {"createRunFiles": {"runID": "s", "uploadHeaders": [], "files": files}}
        if "viewer" in text.lower():
            teams = {"edges": []}
            return {
                "viewer": {
                    "id": "u",
                    "entity": "me",
                    "username": "me",
                    "flags": "{}",
                    "teams": teams,
                }
            }
        return {}

    def status(self, run_id: str) -> dict | None:
        """What a client that appends is told of a run."""
        if run_id not in self.runs:
            return None
        rows = self.rows.get(run_id, [])
        return {
            "id": "s",
            "name": run_id,
            "displayName": "",
            "summaryMetrics": "{}",
            "logLineCount": 0,
            "eventsLineCount": 0,
            "historyLineCount": len(rows),
            "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]),
            "eventsTail": "[]",
            "config": "{}",
            "tags": [],
            "wandbConfig": json.dumps({"t": 1}),
        }

    def stream(self, run_id: str, sent: dict) -> None:
        history = sent.get("files", {}).get("wandb-history.jsonl")
        if history is not None:
            rows = self.rows.setdefault(run_id, [])
            # As W&B does: what is sent stands at its place and ends the file.
            rows[history["offset"] :] = [json.loads(line) for line in history["content"]]
        if "exitcode" in sent:
            self.exit_codes.setdefault(run_id, []).append(sent["exitcode"])
