"""Ctrl-C and SIGTERM, held back until what is under way is done."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_HELD = (signal.SIGINT, signal.SIGTERM)


class HeldSignals:
    """Hold SIGINT and SIGTERM back, as a context manager, until `deliver`.

    Only in the main thread, where Python allows it, and only what the process does not ignore.
    A second signal does not wait. Who handled them before does so again afterwards.

    Parameters
    ----------
    active : bool
        Whether to do anything at all.

    Attributes
    ----------
    caught : int or None
        The signal that waits.
    """

    def __init__(self, active: bool) -> None:
        self._active = active and threading.current_thread() is threading.main_thread()
        self._before: dict[int, Any] = {}
        self.caught: int | None = None

    def __enter__(self) -> HeldSignals:
        for number in _HELD if self._active else ():
            before = signal.getsignal(number)
            if before not in (None, signal.SIG_IGN):  # None: not Python's to put back
                self._before[number] = before
                signal.signal(number, self._hold)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._put_back()
        if error is None:
            self.deliver()

    def deliver(self) -> None:
        """Do now what the signal that waits asks for, if there is one.

        A handler of the caller's is called. If it returns, and where there is none, the end is
        Python's own: KeyboardInterrupt, or SystemExit with a shell's code for the signal.

        Raises
        ------
        KeyboardInterrupt, SystemExit
        """
        if self.caught is None:
            return
        number, self.caught = self.caught, None
        before = self._before.get(number)
        self._put_back()
        if callable(before):
            before(number, None)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        waits = self.caught is not None
        self.caught = number
        if waits:
            self.deliver()

    def _put_back(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
