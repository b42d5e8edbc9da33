"""The network: encoder -> SE block, features -> embedding; both joined -> dropout -> head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from lightxml.network.batches import Batch, Targets
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import TextEncoder
from lightxml.network.features import FeatureEmbedding, Standardise, make_embedding
from lightxml.network.heads.kinds import make_head
from lightxml.network.text_reader import TextReader

# Of a representation without a trained encoder, chosen on validation documents. Both parts have
# an equal share in it, and so learn equally fast; no document speaks louder than others.
LENGTH = 8.0
# One product with all labels is so many times as fast, a label, as products with some of them.
_FASTER_ALL = 16


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


class LightXMLNetwork(TextReader):
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
        super().__init__(encoder, config.n_feature_layers, frozen=config.frozen)
        self.standardise = self.se_block = None
        self.widths: list[int] = []
        if encoder is not None:
            hidden_size = encoder.model.config.hidden_size
            if config.frozen:
                self.standardise = Standardise(self.n_feature_layers, hidden_size)
            self.widths.append(self.n_feature_layers * hidden_size)
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
    def width(self) -> int:
        """Entries of a document's representation."""
        return sum(self.widths)

    @property
    def trains_encoder(self) -> bool:
        """Whether there is an encoder that training changes."""
        return self.encoder is not None and not self.is_frozen

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
        represented = self.represent(batch)
        if columns.shape[1] * _FASTER_ALL > self.head.n_labels:
            return self.head.logits(represented).gather(1, columns)
        return self.head.logits_of(represented, columns)
