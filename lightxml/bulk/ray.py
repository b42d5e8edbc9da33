"""Predictions for a dataset of Ray Data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lightxml.bulk.columns import ADDED, check_columns, predicted

if TYPE_CHECKING:
    import pyarrow as pa


class RayPredictor:
    """What Ray Data's `map_batches` takes: a worker loads the model once, and ranks labels.

    It adds the columns ``predicted``, lists of labels, and ``scores``, lists of float32; the
    others stay.

    Parameters
    ----------
    folder : str or path
        Of a saved model, where every worker can read it.
    text_column : str, default="text"
    k : int or None, default=None
        As `predict_topk` takes it.
    labels, exclude : sequence of labels, or None, default=None
        As `predict_topk` takes them.
    device : str, default="auto"
        As `load` takes it.

    Raises
    ------
    BundleError
        If the folder is no whole model.
    ValueError, TypeError
        In a batch: if the texts' column is not there, or one of the new ones is; if the batch is
        no arrow table; and what `predict_topk` raises.

    Examples
    --------
    On a cluster with the extra ``ray``, two workers of a core each::

        dataset.map_batches(
            RayPredictor, fn_constructor_args=("MODEL", "title"), batch_format="pyarrow",
            batch_size=1000, concurrency=2,
        )
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        text_column: str = "text",
        k: int | None = None,
        *,
        labels: Any = None,
        exclude: Any = None,
        device: str = "auto",
    ) -> None:
        from lightxml import load

        self.model = load(folder, device)
        self.text_column = text_column
        self.asked = {"k": k, "labels": labels, "exclude": exclude}

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return a batch with predictions."""
        import pyarrow as pa

        if not isinstance(batch, pa.Table):
            raise TypeError(
                f"The batch is a {type(batch).__name__}; expected an arrow table. Pass"
                ' batch_format="pyarrow" to map_batches.'
            )
        check_columns(batch.column_names, self.text_column)
        label = pa.int64() if self.model.classes_.dtype.kind == "i" else pa.string()
        found = predicted(self.model, batch[self.text_column], self.asked)
        for name, values, kind in zip(ADDED, found, (label, pa.float32()), strict=True):
            batch = batch.append_column(name, pa.array(values, pa.list_(kind)))
        return batch
