"""What turns tokens into vectors: the part that a network and a frozen encoder alone share."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from lightxml.network.batches import TokenBatch
from lightxml.network.encoders import TextEncoder

_HALF_MAX = torch.finfo(torch.float16).max


class TextReader(nn.Module):
    """An encoder, if there is one, and how it is fed.

    Parameters
    ----------
    encoder : TextEncoder or None
        Its `model` becomes a submodule.
    n_feature_layers : int
        The last hidden layers whose summary vectors are read; all, if the encoder has fewer.
    frozen : bool
        Whether nothing trains it.

    Attributes
    ----------
    autocast_dtype : torch.dtype or None
        The precision of the encoder; None is float32.
    """

    encoder: Any
    summary: Literal["first", "last"]
    pooling: Literal["mean", "cls"]

    def __init__(self, encoder: TextEncoder | None, n_feature_layers: int, *, frozen: bool) -> None:
        super().__init__()
        self.autocast_dtype: torch.dtype | None = None
        self.encoder = None
        self.n_feature_layers, self.pad_id = 0, 0
        self.is_frozen = frozen and encoder is not None
        if encoder is not None:
            self.encoder = encoder.model.requires_grad_(not frozen)
            layers = encoder.model.config.num_hidden_layers
            self.n_feature_layers = min(n_feature_layers, layers)
            self.summary, self.pooling = encoder.summary, encoder.pooling
            self.pad_id = encoder.pad_id

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def summarise(self, batch: TokenBatch, *, pooled: bool = False) -> torch.Tensor:
        """Return the summary vectors of the last hidden layers, last layer first.

        Parameters
        ----------
        batch : TokenBatch
        pooled : bool
            Whether there is to be one vector more, which documents are compared by: the last
            layer, pooled as the encoder's own files say. Of a frozen encoder there always is.

        Returns
        -------
        Tensor, shape (batch, n_layers, width), or (batch, n_layers + 1, width)
            float32; of a frozen encoder float16.
        """
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        last = (batch.lengths - 1)[:, None]
        if self.summary == "last":
            # XLNet, the encoder with its summary token at the end, was trained with that token
            # in segment 2 and the text in segment 0.
            position = torch.arange(batch.input_ids.shape[1], device=last.device)
            inputs["token_type_ids"] = 2 * (position == last).long()
        dtype = self.autocast_dtype
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            output = self.encoder(**inputs, output_hidden_states=True)

        def summary_of(layer: torch.Tensor) -> torch.Tensor:
            if self.summary == "first":
                return layer[:, 0].float()
            return layer.gather(1, last[:, :, None].expand(-1, 1, layer.shape[2]))[:, 0].float()

        vectors = [summary_of(output.hidden_states[-1 - i]) for i in range(self.n_feature_layers)]
        if (pooled or self.is_frozen) and self.pooling == "mean":
            vectors.append(mean_of_tokens(output.last_hidden_state, batch.attention_mask))
        elif pooled or self.is_frozen:
            vectors.append(summary_of(output.last_hidden_state))
        stacked = torch.stack(vectors, dim=1)
        return halved(stacked) if self.is_frozen else stacked


def halved(vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors as float16, and the largest number for what is larger."""
    return vectors.clamp(-_HALF_MAX, _HALF_MAX).half()


def frozen_encoder(encoder: TextEncoder) -> TextReader:
    """Return an encoder that no network reads: it gives pooled vectors alone."""
    return TextReader(encoder, 0, frozen=True).eval()


def pooled_reader(reader: TextReader) -> TextReader:
    """Return a reader of the same encoder as it is now: it gives pooled vectors alone."""
    alone = TextReader(None, 0, frozen=True)
    alone.encoder, alone.autocast_dtype = reader.encoder, reader.autocast_dtype
    alone.summary, alone.pooling, alone.pad_id = reader.summary, reader.pooling, reader.pad_id
    alone.is_frozen = True
    return alone.eval()


def mean_of_tokens(hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Return the mean of each document's tokens, without padding: float32 of (batch, width).

    Parameters
    ----------
    hidden : Tensor, shape (batch, length, width)
    mask : Tensor of int64, shape (batch, length), or None
        1 where there is a token; None: everywhere.
    """
    if mask is None:
        return hidden.float().mean(dim=1)
    present = mask.unsqueeze(2).float()
    return (hidden.float() * present).sum(dim=1) / present.sum(dim=1)
