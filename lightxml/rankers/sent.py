"""Arrays that many calls share, sent to the workers of a joblib backend once."""

from __future__ import annotations

import sys
from typing import Any

from joblib.parallel import get_active_backend


def sent_once(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what stands for arrays among the arguments of calls that prefer threads.

    Themselves: threads share them, and joblib's processes and dask send an array once that is the
    same in each call. Ray means to do so too, but does not notice joblib's calls (Ray 2.60, joblib
    1.6); so there the arrays are put into Ray's store, and references stand for them.
    """
    backend, _ = get_active_backend(prefer="threads")
    if type(backend).__module__.partition(".")[0] != "ray":
        return arrays
    import ray

    return tuple(ray.put(array) for array in arrays)


def received(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments with the arrays that references stand for."""
    ray: Any = sys.modules.get("ray")
    if ray is None:
        return arguments
    return tuple(ray.get(a) if isinstance(a, ray.ObjectRef) else a for a in arguments)
