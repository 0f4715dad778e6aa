"""``python -m tests.services.stack.serve_app APP SOCKET LOOP`` serves an application on a socket that listens."""

from __future__ import annotations

import socket
import sys

import uvicorn


def main() -> None:
    app, file, loop = sys.argv[1:]
    with socket.socket(fileno=int(file)) as listener:
        config = uvicorn.Config(app, factory=True, loop=loop, access_log=False)  # type: ignore[arg-type]
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
