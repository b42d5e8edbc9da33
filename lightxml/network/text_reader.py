"""What turns tokens into vectors: the part that a network and a frozen encoder alone share."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import TokenBatch
from lightxml.network.encoders import TextEncoder
from lightxml.network.reading import Place, Reading

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
    reading : Reading
        How the encoder is fed, and what stands for a text; there is none without an encoder.
    """

    encoder: Any
    reading: Reading

    def __init__(self, encoder: TextEncoder | None, n_feature_layers: int, *, frozen: bool) -> None:
        super().__init__()
        self.autocast_dtype: torch.dtype | None = None
        self.encoder = None
        self.n_feature_layers = 0
        self.is_frozen = frozen and encoder is not None
        if encoder is not None:
            self.encoder = encoder.model.requires_grad_(not frozen)
            layers = encoder.model.config.num_hidden_layers
            self.n_feature_layers = min(n_feature_layers, layers)
            self.reading = encoder.reading

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def pad_id(self) -> int:
        """The token number for padding."""
        return 0 if self.encoder is None else self.reading.pad_id

    def summarise(self, batch: TokenBatch, *, pooled: bool = False) -> torch.Tensor:
        """Return the summary vectors of the last hidden layers, last layer first.

        Parameters
        ----------
        batch : TokenBatch
        pooled : bool
            Whether there is to be one vector more, which documents are compared by: the last
            layer, pooled as `reading` says. Of a frozen encoder there always is.

        Returns
        -------
        Tensor, shape (batch, n_layers, width), or (batch, n_layers + 1, width)
            float32; of a frozen encoder float16.
        """
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if self.encoder.config.model_type == "xlnet" and self.reading.summary == "last":
            # It was trained with its summary token in segment 2 and the text in segment 0.
            position = torch.arange(batch.input_ids.shape[1], device=batch.lengths.device)
            inputs["token_type_ids"] = 2 * (position == batch.lengths[:, None] - 1).long()
        dtype = self.autocast_dtype
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            output = self.encoder(**inputs, output_hidden_states=True)
        layers = [output.hidden_states[-1 - i] for i in range(self.n_feature_layers)]
        vectors = [vector_in(layer, self.reading.summary, batch) for layer in layers]
        if pooled or self.is_frozen:
            pooling = self.reading.pooling
            place: Place = self.reading.summary if pooling == "cls" else pooling
            vector = vector_in(output.last_hidden_state, place, batch)
            vectors.append(F.normalize(vector) if self.reading.normalize else vector)
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
    alone.reading = reader.reading
    alone.is_frozen = True
    return alone.eval()


def vector_in(layer: torch.Tensor, place: Place, batch: TokenBatch) -> torch.Tensor:
    """Return what stands for each document in a layer, float32 of shape (batch, width).

    Parameters
    ----------
    layer : Tensor, shape (batch, length, width)
    place : {"first", "last", "mean"}
        The first token, the last one that is no padding, or the mean of all.
    batch : TokenBatch
    """
    if place == "first" or layer.shape[1] == 1:  # static embeddings give their mean alone
        return layer[:, 0].float()
    if place == "mean":
        return mean_of_tokens(layer, batch.attention_mask)
    last = (batch.lengths - 1)[:, None, None]
    return layer.gather(1, last.expand(-1, 1, layer.shape[2]))[:, 0].float()


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
