"""The network: encoder -> SE block, features -> embedding; both joined -> dropout -> head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import Batch, Targets, TokenBatch
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import TextEncoder
from lightxml.network.features import FeatureEmbedding, Standardise, make_embedding
from lightxml.network.heads.kinds import make_head

# Of a representation without a trained encoder, chosen on validation documents. Both parts have
# an equal share in it, and so learn equally fast; no document speaks louder than others.
LENGTH = 8.0
_HALF_MAX = torch.finfo(torch.float16).max


class SqueezeExcitation(nn.Module):
    """Weigh the encoder's layers against each other, document by document.

    Squeeze: the mean over each layer's vector. Excite: two linear layers with a ReLU between,
    ending in a gate ``2 sigmoid(z)`` for each layer. The last linear layer begins at zero, so
    that every gate begins at 1 and a pretrained encoder is not disturbed at the first step.

    Parameters
    ----------
    n_layers : int
        The layers joined in the text representation; they are the channels.

    References
    ----------
    Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018, equations 2 to 4.
    """

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(n_layers, n_layers)
        self.expand = nn.Linear(n_layers, n_layers)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, layers: torch.Tensor) -> torch.Tensor:
        """Scale ``layers`` of shape (batch, n_layers, width) by their gates."""
        squeezed = layers.mean(dim=2)  # (batch, n_layers)
        gates = 2 * torch.sigmoid(self.expand(torch.relu(self.reduce(squeezed))))
        return layers * gates.unsqueeze(2)


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


class LightXMLNetwork(nn.Module):
    """A text representation, and a head that ranks labels by it.

    Its random weights come from torch's current generator. A fit gives it the clusters of labels
    and what the features' embedding takes from the training documents; a load gives it all arrays.

    Parameters
    ----------
    config : NetworkConfig
    encoder : TextEncoder or None
        Its `model` becomes a submodule; the rest of it says how to feed that. None: the features
        alone represent a document.

    Attributes
    ----------
    widths : list of int
        Of the parts of the representation: the encoder's, the features'.
    autocast_dtype : torch.dtype or None
        The precision of the encoder, and without a trained one of the output layer's products in
        training; None is float32. In prediction, everything from the representation on is float32.

    References
    ----------
    Jiang et al., "LightXML: Transformer with Dynamic Negative Sampling for High-Performance
    Extreme Multi-label Text Classification", AAAI 2021.
    """

    def __init__(self, config: NetworkConfig, encoder: TextEncoder | None = None) -> None:
        super().__init__()
        self.autocast_dtype: torch.dtype | None = None
        self.encoder = self.standardise = self.se_block = None
        self.n_feature_layers, self.pad_id = 0, 0
        self.widths: list[int] = []
        if encoder is not None:
            of_encoder = encoder.model.config
            self.encoder = encoder.model.requires_grad_(not config.frozen)
            self.n_feature_layers = min(config.n_feature_layers, of_encoder.num_hidden_layers)
            self.summary, self.pooling = encoder.summary, encoder.pooling
            self.pad_id = encoder.pad_id
            if config.frozen:
                self.standardise = Standardise(self.n_feature_layers, of_encoder.hidden_size)
            self.widths.append(self.n_feature_layers * of_encoder.hidden_size)
        self.features: FeatureEmbedding | None = None
        if config.features is not None:
            self.features = make_embedding(config.features)
            self.widths.append(self.features.width)
        self.dropout = nn.Dropout(config.dropout)
        self.head = make_head(config.head, self.width, config.n_labels)
        # Drawn last, so that a seed gives the other parts the same weights with it and without.
        if config.se_block:
            self.se_block = SqueezeExcitation(self.n_feature_layers)

    @property
    def config(self) -> NetworkConfig:
        """What makes another such network, for its weights."""
        return NetworkConfig(
            n_labels=self.head.n_labels,
            head=self.head.describe(),
            features=None if self.features is None else self.features.describe(),
            n_feature_layers=self.n_feature_layers,
            dropout=self.dropout.p,
            se_block=self.se_block is not None,
            frozen=self.is_frozen,
        )

    def check(self) -> None:
        """Refuse loaded arrays out of range, and arrange what is made of them.

        Raises
        ------
        ValueError
        """
        if self.features is not None:
            self.features.check()
        self.head.check()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.head.parameters()).device

    @property
    def width(self) -> int:
        """Entries of a document's representation."""
        return sum(self.widths)

    @property
    def is_frozen(self) -> bool:
        """Whether there is an encoder that training leaves as it is."""
        return self.standardise is not None

    @property
    def trains_encoder(self) -> bool:
        """Whether there is an encoder that training changes."""
        return self.encoder is not None and not self.is_frozen

    def summarise(self, batch: TokenBatch) -> torch.Tensor:
        """Return the summary vectors of the last hidden layers, last layer first.

        Returns
        -------
        Tensor, shape (batch, n_layers, width)
            float32. Of a frozen encoder float16, and with one vector more, which documents are
            compared by: the last layer, pooled as the encoder's own files say.
        """
        assert self.encoder is not None
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if self.summary == "last":
            last = (batch.lengths - 1)[:, None]
            # XLNet, the encoder with its summary token at the end, was trained with that token
            # in segment 2 and the text in segment 0.
            position = torch.arange(batch.input_ids.shape[1], device=last.device)
            inputs["token_type_ids"] = 2 * (position == last).long()
        dtype = self.autocast_dtype
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            output = self.encoder(**inputs, output_hidden_states=True)
        hidden = output.hidden_states
        layers = [hidden[-1 - i] for i in range(self.n_feature_layers)]
        if self.summary == "first":
            summaries = [layer[:, 0] for layer in layers]
        else:
            index = last[:, :, None].expand(-1, 1, layers[0].shape[2])
            summaries = [layer.gather(1, index)[:, 0] for layer in layers]
        if self.is_frozen:
            pooled = summaries[0]
            if self.pooling == "mean":
                pooled = mean_of_tokens(output.last_hidden_state, batch.attention_mask)
            summaries.append(pooled)
        joined = torch.stack([s.float() for s in summaries], dim=1)
        return joined.clamp(-_HALF_MAX, _HALF_MAX).half() if self.is_frozen else joined

    def represent(self, batch: Batch) -> torch.Tensor:
        """Return what the head reads, before dropout: float32 of shape (batch, width).

        The summary vectors side by side, last layer first, and then the features' vector; each
        of the two scaled to one length, but for what a trained encoder says.
        """
        if batch.representations is not None:
            return batch.representations
        parts = []
        if self.encoder is not None:
            layers = batch.summaries
            if layers is None:
                assert batch.tokens is not None
                layers = self.summarise(batch.tokens)
            if self.standardise is not None:
                layers = self.standardise(layers[:, : self.n_feature_layers])
            if self.se_block is not None:
                layers = self.se_block(layers)
            text = layers.flatten(1)
            parts.append(self._scaled(text) if self.is_frozen else text)
        if self.features is not None:
            parts.append(self._scaled(self.features(batch.features)))
        return torch.cat(parts, dim=1)

    def _scaled(self, part: torch.Tensor) -> torch.Tensor:
        return LENGTH / len(self.widths) ** 0.5 * F.normalize(part)

    def loss(self, batch: Batch, targets: Targets) -> torch.Tensor:
        """Return the training loss, summed over labels and documents: float32 of shape ()."""
        representation = self.dropout(self.represent(batch))
        # Beside a trained encoder the output layer is a small part of the work: no rounding there.
        reduced = None if self.trains_encoder else self.autocast_dtype
        return self.head.loss(representation, targets, reduced or torch.float32)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the logits of prediction, float32 of shape (batch, n_labels)."""
        return self.head.logits(self.represent(batch))

    def rank(self, batch: Batch, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits and the columns of each document's k best labels, best first."""
        return self.head.rank(self.represent(batch), k)

    def positive(
        self, batch: Batch, least: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows, columns and values of the logits above `least`."""
        return self.head.positive(self.represent(batch), least)

    def logits_of(self, batch: Batch, columns: torch.Tensor) -> torch.Tensor:
        """Return the logits of some labels, of each document its own.

        Parameters
        ----------
        batch : Batch
        columns : Tensor of int64, shape (batch, m)

        Returns
        -------
        Tensor of float32, shape (batch, m)
        """
        return self.head.logits_of(self.represent(batch), columns)
