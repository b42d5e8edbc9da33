"""Threads in a forked process."""

from __future__ import annotations

import os

_IMPORTED_IN = os.getpid()


def use_one_thread_if_forked() -> None:
    """Limit torch to one thread, if this process was forked after lightxml was imported.

    OpenMP's threads stay behind in the parent, and a child that gives them work waits for ever.
    Asked before every use, not once, since OpenMP keeps this setting for each thread apart.
    """
    if os.getpid() == _IMPORTED_IN:
        return
    import torch  # not before: a model of words does without

    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)
