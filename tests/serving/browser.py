"""A real browser without a window, driven by Chromium's DevTools protocol over two pipes.

The protocol: https://chromedevtools.github.io/devtools-protocol/. Messages are JSON; a zero byte
ends each. The browser reads from its file descriptor 3 and writes to 4.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATH = next(filter(None, map(shutil.which, NAMES)), None)
SECONDS = 30  # that anything may take


class Browser:
    """One tab of a browser.

    Attributes
    ----------
    events : list of dict
        What the browser told without being asked: console messages, errors of scripts, requests.
    """

    def __init__(self, read_from: int, write_to: int) -> None:
        self.read_from, self.write_to = read_from, write_to
        self.events: list[dict[str, Any]] = []
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self.write_to, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def open(self, url: str) -> None:
        """Go to a page and return when it is loaded."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, script: str) -> Any:
        """Return what an expression of JavaScript gives in the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, script: str) -> None:
        """Return once an expression is true, or an element that is there."""
        end = time.monotonic() + SECONDS
        while not self.value(f"Boolean({script})"):
            there = self.value("document.body?.innerText")
            assert time.monotonic() < end, f"never true: {script}. The page:\n{there}"
            time.sleep(0.02)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, *, ctrl: bool = False) -> None:
        """Press and release a key, such as Enter or Tab."""
        code = {"Enter": 13, "Tab": 9}[key]
        given: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        if key == "Enter" and not ctrl:
            given["text"] = "\r"
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, modifiers=2 if ctrl else 0, **given)

    def click(self, selector: str) -> None:
        """Press the mouse's button in the middle of an element."""
        place = self.value(
            f"(() => {{const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1],
                      button="left", clickCount=1)  # fmt: skip

    def look(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        """Give the page a size in CSS pixels, and a color scheme."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2, mobile=phone)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """Write what is seen, or the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        file.write_bytes(base64.b64decode(data))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self.read_from], [], [], SECONDS)[0], "the browser is silent"
            chunk = os.read(self.read_from, 1 << 16)
            assert chunk, "the browser has ended"
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start the browser with a new profile in a folder; end it afterwards."""
    assert PATH is not None
    command = [PATH, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    # The page is ours: a container that allows no sandbox may show it.
    command += ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += ["--no-proxy-server", "--hide-scrollbars", "--lang=en"]
    pipes = [*os.pipe(), *os.pipe()]
    theirs_in, to_browser, from_browser, theirs_out = (
        fcntl.fcntl(pipe, fcntl.F_DUPFD_CLOEXEC, 10) for pipe in pipes  # away from 3 and 4
    )  # fmt: skip
    with open(profile.with_suffix(".log"), "wb") as log:
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs_in, 3),
            (os.POSIX_SPAWN_DUP2, theirs_out, 4),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
        ]
        pid = os.posix_spawn(PATH, command, os.environ, file_actions=actions, setsid=True)
    for pipe in (*pipes, theirs_in, theirs_out):
        os.close(pipe)
    try:
        yield Browser(from_browser, to_browser)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(to_browser)
        os.close(from_browser)
