"""The network: encoder -> joined text representation -> SE block -> dropout -> head."""

from __future__ import annotations

import torch
from torch import nn

from lightxml.batches import Batch
from lightxml.encoders import TextEncoder
from lightxml.heads import OneVsAllHead


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


class LightXMLNetwork(nn.Module):
    """LightXML for label sets that one linear layer can hold.

    Parameters
    ----------
    encoder : TextEncoder
        Its `model` becomes a submodule; the rest of it says how to feed that.
    n_labels : int
    n_feature_layers : int
        The last hidden layers whose summary vectors are joined; all, if there are fewer.
    dropout : float
    se_block : bool

    Attributes
    ----------
    autocast_dtype : torch.dtype or None
        The precision the encoder runs in; None is float32. Everything from the text
        representation on is float32.

    References
    ----------
    Jiang et al., "LightXML: Transformer with Dynamic Negative Sampling for High-Performance
    Extreme Multi-label Text Classification", AAAI 2021.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        n_labels: int,
        *,
        n_feature_layers: int = 5,
        dropout: float = 0.5,
        se_block: bool = False,
    ) -> None:
        super().__init__()
        config = encoder.model.config
        self.n_feature_layers = min(n_feature_layers, config.num_hidden_layers)
        self.summary = encoder.summary
        self.pad_id = encoder.pad_id
        self.autocast_dtype: torch.dtype | None = None
        self.encoder = encoder.model
        self.dropout = nn.Dropout(dropout)
        self.head = OneVsAllHead(self.n_feature_layers * config.hidden_size, n_labels)
        # Drawn last, so that a seed gives the other parts the same weights with it and without.
        self.se_block = SqueezeExcitation(self.n_feature_layers) if se_block else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def represent(self, batch: Batch) -> torch.Tensor:
        """Return the text representation, float32 of shape (batch, n_layers * width).

        The summary vectors of the last hidden layers side by side, last layer first, before
        dropout.
        """
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if self.summary == "last":
            last = (batch.lengths - 1)[:, None]
            # XLNet, the encoder with its summary token at the end, was trained with that token
            # in segment 2 and the text in segment 0.
            position = torch.arange(batch.input_ids.shape[1], device=last.device)
            inputs["token_type_ids"] = 2 * (position == last).long()
        dtype = self.autocast_dtype
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            hidden = self.encoder(**inputs, output_hidden_states=True).hidden_states
        layers = [hidden[-1 - i] for i in range(self.n_feature_layers)]
        if self.summary == "first":
            summaries = [layer[:, 0] for layer in layers]
        else:
            index = last[:, :, None].expand(-1, 1, layers[0].shape[2])
            summaries = [layer.gather(1, index)[:, 0] for layer in layers]
        joined = torch.stack([s.float() for s in summaries], dim=1)  # (batch, n_layers, width)
        if self.se_block is not None:
            joined = self.se_block(joined)
        return joined.flatten(1)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the logits, float32 of shape (batch, n_labels)."""
        return self.head(self.dropout(self.represent(batch)))
