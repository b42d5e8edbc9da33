"""Where to compute, and in what precision."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.torch_version import TorchVersion

from lightxml.arguments import ARGUMENTS

_MPS_SINCE = "2.10"  # before it, torch sums no embeddings (`embedding_bag`) on MPS


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device that the argument of the same name asks for.

    ``"auto"`` is CUDA where there is one, else Apple's MPS where torch can do on it all that is
    needed, else the CPU.

    Raises
    ------
    TypeError, ValueError
        If it is no device, or this machine, or this build of torch, has no such one.
    """
    ARGUMENTS["device"].kind.check("device", device)
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if _has_usable_mps() else "cpu")
    chosen = torch.device(device)
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": _has_usable_mps(),
    }
    if chosen.type == "mps" and torch.backends.mps.is_available() and not _has_usable_mps():
        raise ValueError(
            f"device={device!r} needs torch {_MPS_SINCE} or later, and this is "
            f"{torch.__version__}; pass 'auto' or 'cpu'."
        )
    if not available.get(chosen.type, False):
        raise ValueError(
            f"device={device!r} is not available here; pass 'auto' to take what there is."
        )
    if chosen.type == "cuda" and chosen.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return chosen


def _has_usable_mps() -> bool:
    if not torch.backends.mps.is_available():
        return False
    return TorchVersion(torch.__version__) >= _MPS_SINCE


def choose_autocast(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the dtype to autocast the encoder to, or None for plain float32.

    ``"auto"`` takes bf16 where the hardware computes in it; where it is emulated it is many
    times slower than float32.
    """
    if precision == "auto":
        precision = "bf16" if _has_bf16(device) else "fp32"
    return torch.bfloat16 if precision == "bf16" else None


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # torch has no public question for this before `get_capabilities`.
        if hasattr(torch.cpu, "get_capabilities"):
            found = torch.cpu.get_capabilities()
            return bool(found.get("avx512_bf16") or found.get("amx_bf16") or found.get("sve_bf16"))
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


@contextmanager
def kept_generators(device: torch.device) -> Iterator[None]:
    """Let torch draw on the CPU and `device` meanwhile; put the caller's generators back.

    They are the whole process's: of several threads, one after the other has them.
    """
    with _drawing, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # fork_rng knows CUDA's form of several devices only.
        state = torch.mps.get_rng_state() if device.type == "mps" else None
        try:
            yield
        finally:
            if state is not None:
                torch.mps.set_rng_state(state)


_drawing = threading.RLock()


def _draw_in_child() -> None:
    global _drawing
    _drawing = threading.RLock()  # a thread that stayed behind in the parent may hold the other


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_draw_in_child)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch draw from `seed` on the CPU and `device`, as `kept_generators` does."""
    with kept_generators(device):
        _seed(seed, device)
        yield


def seed_generators(*numbers: int, device: torch.device) -> None:
    """Seed torch's generators, on the CPU and `device`, from some numbers together."""
    _seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]), device)


def _seed(seed: int, device: torch.device) -> None:
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
