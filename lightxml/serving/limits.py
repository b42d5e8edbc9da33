"""What a request may cost."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Limits:
    """What a request may ask for, and how much is taken on at once.

    Attributes
    ----------
    max_texts : int
        Documents of a request.
    max_characters : int
        Of a document.
    max_k : int
        Labels of a document.
    max_body_bytes : int
    max_body_seconds : float
        That a body may take to come.
    max_batch : int
        Documents predicted together.
    max_queue : int
        Documents that wait.
    max_wait_ms : float
        Milliseconds that a request waits for company.
    max_explained_characters : int
        Of a document whose label is explained: that costs up to 256 predictions.
    max_explanations : int
        That wait. One is made at a time.

    Raises
    ------
    ValueError
        If one is too small, or a request would not fit into a batch, or a batch into the queue.
    """

    max_texts: int = 64
    max_characters: int = 20_000
    max_k: int = 100
    max_body_bytes: int = 2**21
    max_body_seconds: float = 30.0
    max_batch: int = 64
    max_queue: int = 512
    max_wait_ms: float = 5.0
    max_explained_characters: int = 5_000
    max_explanations: int = 4

    def __post_init__(self) -> None:
        for field in fields(self):
            least = 0 if field.name in ("max_wait_ms", "max_explanations") else 1
            if not getattr(self, field.name) >= least:
                raise ValueError(
                    f"{field.name} is {getattr(self, field.name)}; expected at least {least}."
                )
        # A request is never divided: it must fit into a batch, and a batch into the queue.
        if not self.max_texts <= self.max_batch <= self.max_queue:
            raise ValueError(
                f"max_texts is {self.max_texts}, max_batch {self.max_batch} and max_queue"
                f" {self.max_queue}; expected max_texts <= max_batch <= max_queue."
            )
