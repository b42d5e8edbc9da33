"""Static embeddings: a vector for each token, whatever stands beside it, and their mean of a text.

Read from a folder as model2vec writes it: ``model.safetensors`` with ``embeddings``, and with
``weights`` and ``mapping`` where its vocabulary is quantized; ``tokenizer.json``; ``config.json``.
Of sentence-transformers' StaticEmbedding there is ``embedding.weight`` instead.

References
----------
Tulkens and van Dongen, "Model2Vec: Fast State-of-the-Art Static Embeddings", 2024.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import safetensors.torch
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from tokenizers import Tokenizer, processors
from torch import nn

from lightxml.network.described import check_counts


@dataclass(frozen=True)
class StaticConfig:
    """What makes another such encoder, for its weights.

    Attributes
    ----------
    vocab_size : int
        Tokens, and one more for padding, the last.
    hidden_size : int
        Numbers of a vector.
    unknown : int
        The token that is left out of the mean; -1: none.
    """

    vocab_size: int
    hidden_size: int
    unknown: int

    model_type: ClassVar[str] = "static"
    # As others name it: what a network reads is one layer.
    num_hidden_layers: ClassVar[int] = 1
    num_attention_heads: ClassVar[int] = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can say it, for `from_dict`."""
        return {"model_type": self.model_type, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> StaticConfig:
        """Return what `to_dict` gave.

        Raises
        ------
        ValueError, KeyError
        """
        check_counts(values, vocab_size=1, hidden_size=1, unknown=-1)
        return cls(values["vocab_size"], values["hidden_size"], values["unknown"])


class Layers(NamedTuple):
    """What transformers' encoders return, as far as it is read."""

    last_hidden_state: torch.Tensor
    hidden_states: tuple[torch.Tensor, ...]


class StaticEncoder(nn.Module):
    """The mean of the tokens' vectors, in the place of a layer with one token.

    Parameters
    ----------
    config : StaticConfig
        The vectors are zeros until weights are loaded.
    """

    def __init__(self, config: StaticConfig) -> None:
        super().__init__()
        self.config = config
        zeros = torch.zeros(config.vocab_size, config.hidden_size)
        self.embeddings = nn.Embedding.from_pretrained(zeros, freeze=False)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the table of vectors."""
        return self.embeddings

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool = True,
    ) -> Layers:
        """Return the means, float32 of shape (batch, 1, width); 0 of a text without known tokens.

        Padding is a token of its own, so that the mask says nothing more.
        """
        known = (input_ids != self.config.vocab_size - 1) & (input_ids != self.config.unknown)
        shares = known.float() / known.sum(dim=1, keepdim=True).clamp(min=1)
        means = F.embedding_bag(
            input_ids, self.embeddings.weight, mode="sum", per_sample_weights=shares
        )
        layer = means.unsqueeze(1)
        return Layers(layer, (layer,))


def read_static(find: Callable[[str], str | None], folder: str) -> tuple[StaticEncoder, Tokenizer]:
    """Read an encoder and its tokenizer.

    Parameters
    ----------
    find : callable
        Gives the place of a file of the model; None where the model has no such file.
    folder : str
        Where in the model they lie.

    Raises
    ------
    OSError, ValueError
        If a file is missing, or not such as model2vec writes it.
    """

    def place(name: str) -> Path:
        if (file := find(f"{folder}/{name}" if folder else name)) is None:
            raise ValueError(f"it has no {name}")
        return Path(file)

    try:
        arrays = safetensors.torch.load_file(place("model.safetensors"))
    except SafetensorError as error:
        raise ValueError(f"its model.safetensors is damaged ({error})") from error
    text = place("tokenizer.json").read_text(encoding="utf-8")
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(f"its tokenizer.json is damaged ({error})") from error
    model = json.loads(text)["model"]
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    if "embedding.weight" in arrays:  # sentence-transformers' own, which knows all tokens
        vectors, unknown = arrays["embedding.weight"].float(), None
    else:
        vectors, unknown = _vectors_of(arrays), model.get("unk_id")
        if model.get("unk_token") is not None:
            unknown = tokenizer.token_to_id(model["unk_token"])
    n_tokens, width = vectors.shape
    config = StaticConfig(n_tokens + 1, width, -1 if unknown is None else int(unknown))
    encoder = StaticEncoder(config)
    with torch.no_grad():
        encoder.embeddings.weight[:-1] = vectors
    return encoder, tokenizer


def _vectors_of(arrays: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return each token's vector, float32 of shape (n_tokens, width).

    With a quantized vocabulary several tokens share one, and have weights of their own.

    Raises
    ------
    ValueError
        If the arrays do not go together.
    """
    vectors, mapping, weights = (arrays.get(n) for n in ("embeddings", "mapping", "weights"))
    if vectors is None or vectors.ndim != 2:
        raise ValueError("its model.safetensors has no table of embeddings")
    vectors = vectors.float()
    if mapping is not None:
        if mapping.ndim != 1 or not 0 <= int(mapping.min()) <= int(mapping.max()) < len(vectors):
            raise ValueError(f"its mapping is not of tokens to the {len(vectors)} embeddings")
        vectors = vectors[mapping.long()]
    if weights is not None:
        if weights.shape != (len(vectors),):
            raise ValueError(f"it has {len(weights)} weights of {len(vectors)} tokens")
        vectors = vectors * weights.float()[:, None]
    return vectors
