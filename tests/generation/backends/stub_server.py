"""A small OpenAI-compatible server that answers, or fails in the way a test asks for."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Action = Callable[["Handler", Body], None]


def said(text: str = "Paris", **more: Any) -> Body:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    choice |= {"finish_reason": "stop"} | more
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


def scored(*tokens: tuple[str, float], ids: bool = False) -> Body:
    """Log-probabilities in the form of chats; the alternative of each token is `x`."""
    content = [
        {
            "token": token,
            "bytes": list(token.encode()),
            "logprob": score,
            "top_logprobs": [
                {"token": "x", "bytes": [120], "logprob": -9.0},
                {"token": token, "bytes": list(token.encode()), "logprob": score},
            ],
        }
        | ({"id": 40 + number} if ids else {})
        for number, (token, score) in enumerate(tokens)
    ]
    return {"content": content}


def reply(body: Any, status: int = 200, **headers: str) -> Action:
    """Answers with a body: bytes as they are, anything else as JSON."""

    def act(handler: Handler, _: Body) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.answer(content, status, headers)

    return act


def fail(status: int, message: str = "no", **headers: str) -> Action:
    return reply({"error": {"message": message}}, status, **headers)


def hang(handler: Handler, _: Body) -> None:
    """Says nothing until the test is over."""
    handler.stub.over.wait(60)
    handler.close_connection = True


def reset(handler: Handler, _: Body) -> None:
    """Ends the connection as a crashed server does."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True


def truncated(handler: Handler, _: Body) -> None:
    """Promises more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def huge(handler: Handler, _: Body) -> None:
    """Sends 64 MiB, as long as anybody takes it."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(64 * 2**20))
    handler.end_headers()
    handler.close_connection = True
    try:
        for _number in range(64):
            handler.wfile.write(b" " * 2**20)
            handler.stub.sent_mib += 1
    except OSError:
        pass


def slow(seconds: float, text: str) -> Action:
    def act(handler: Handler, body: Body) -> None:
        time.sleep(seconds)
        reply(said(text))(handler, body)

    return act


class StubServer(ThreadingHTTPServer):
    """Serves one model on a port of its own.

    Attributes:
        script: What to do with the next requests for a completion; then `otherwise` is done.
        models: The answer to `GET /models`.
        routes: Answers of further routes.
        seen: Path, headers and body of every POST.
        most: The most completions that were under way at a time.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: deque[Action] = deque()
        self.otherwise: Action = reply(said())
        self.models: Action = reply({"data": [{"id": "tiny", "owned_by": "stub"}]})
        self.routes: dict[str, Action] = {}
        self.seen: list[tuple[str, dict[str, str], Body]] = []
        self.over = threading.Event()
        self.sent_mib = self.most = self.under_way = 0
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def bodies(self) -> list[Body]:
        """Of the requests for completions."""
        return [body for path, _, body in self.seen if path.endswith("completions")]

    def serves(self, owner: str, **facts: Any) -> None:
        """Calls itself another program."""
        self.models = reply({"data": [{"id": "tiny", "owned_by": owner} | facts]})

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of many tests."""

    def end(self) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 2**16  # head and body in one packet: else each reply waits 40 ms for an ACK
    server: StubServer

    @property
    def stub(self) -> StubServer:
        return self.server

    def do_GET(self) -> None:
        self.stub.routes.get(self.path, self.stub.models)(self, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stub = self.stub
        with stub.lock:
            stub.seen.append((self.path, dict(self.headers), body))
            stub.under_way += 1
            stub.most = max(stub.most, stub.under_way)
            if self.path.endswith("completions"):
                action = stub.script.popleft() if stub.script else stub.otherwise
            else:
                action = stub.routes.get(self.path, fail(404))
        try:
            action(self, body)
        finally:
            with stub.lock:
                stub.under_way -= 1

    def answer(self, content: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        given = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        for name, value in {**given, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""
