"""A network as arrays and a manifest, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from tokenizers import Tokenizer

from lightxml.data.documents import EncodedDocuments, max_length_of, tokenize
from lightxml.exceptions import BundleError
from lightxml.files.arrays import decode_arrays, encode_arrays
from lightxml.files.bundle import Bundle
from lightxml.files.strict_json import parse_json
from lightxml.network import encoders
from lightxml.network.batches import collate
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import EncoderConfig, TextEncoder
from lightxml.network.network import LightXMLNetwork
from lightxml.network.reading import Reading
from lightxml.network.static import StaticConfig
from lightxml.network.text_reader import TextReader, frozen_encoder
from lightxml.runtime.devices import seeded
from lightxml.runtime.forks import use_one_thread_if_forked
from lightxml.storage.reading import WEIGHTS, blob_of

_TOKENIZER = "tokenizer.json"
# All else that tokenizers may raise is its own, panics of Rust among it, which are no Exception.
_INTERRUPTS = (KeyboardInterrupt, SystemExit)
Made = TypeVar("Made", bound=TextReader)


def pack_network(network: LightXMLNetwork, tokenizer: Tokenizer | None) -> Bundle:
    """Return a network, and the tokenizer of its encoder, as a bundle."""
    packed = pack_encoder(network, tokenizer)
    return Bundle({**packed.manifest, **network.config.to_dict()}, packed.blobs)


def pack_encoder(network: TextReader, tokenizer: Tokenizer | None) -> Bundle:
    """Return an encoder and its tokenizer as a bundle; with a network, all its weights."""
    weights = {k: v.detach().cpu().numpy() for k, v in network.state_dict().items()}
    encoder = network.encoder
    manifest: dict[str, Any] = {
        "encoder": None if encoder is None else encoders.config_to_dict(encoder.config)
    }
    blobs = {WEIGHTS: encode_arrays(weights)}
    if tokenizer is not None:
        manifest |= network.reading.describe()
        blobs[_TOKENIZER] = tokenizer.to_str().encode()
    return Bundle(manifest, blobs)


def unpack_network(bundle: Bundle, n_labels: int) -> tuple[LightXMLNetwork, Tokenizer | None]:
    """Return the network of a bundle, on the CPU, and the tokenizer of its encoder.

    Parameters
    ----------
    bundle : Bundle
        Its manifest is the one of `pack_network`.
    n_labels : int

    Raises
    ------
    BundleError
        If a blob is missing, damaged, or does not fit the others.
    ValueError, LookupError, TypeError, RuntimeError
        If the manifest describes no network.
    """
    config = NetworkConfig.from_dict(bundle.manifest, n_labels)
    network, tokenizer = _unpack(bundle, lambda encoder: LightXMLNetwork(config, encoder))
    network.check()
    return network, tokenizer


def unpack_encoder(bundle: Bundle) -> tuple[TextReader, Tokenizer]:
    """Return the frozen encoder of a bundle of `pack_encoder`, on the CPU, and its tokenizer.

    Raises
    ------
    BundleError, ValueError, LookupError, TypeError, RuntimeError
        As `unpack_network`.
    """

    def make(encoder: TextEncoder | None) -> TextReader:
        if encoder is None:
            raise ValueError("it has a frozen encoder that is none")
        return frozen_encoder(encoder)

    reader, tokenizer = _unpack(bundle, make)
    assert tokenizer is not None
    return reader, tokenizer


def _unpack(
    bundle: Bundle, make: Callable[[TextEncoder | None], Made]
) -> tuple[Made, Tokenizer | None]:
    """Return what is made of an encoder, with the weights of the bundle, and the tokenizer."""
    use_one_thread_if_forked()
    values, blob = bundle.manifest, blob_of(bundle, WEIGHTS)
    n_tensors = _count_tensors(blob)
    of_encoder = tokenizer = None
    if values["encoder"] is not None:
        tokenizer = _unpack_tokenizer(blob_of(bundle, _TOKENIZER))
        of_encoder = encoders.config_from_dict(values["encoder"])
        if not 1 <= (n_layers := encoders.n_layers_built(of_encoder)) <= n_tensors:
            raise ValueError(f"{n_layers} layers cannot be made of {n_tensors} tensors")

    def encoder() -> TextEncoder | None:
        if of_encoder is None:
            return None
        assert tokenizer is not None
        return _build_encoder(values, of_encoder, tokenizer)

    # First without memory, so that what does not fit the weights costs none.
    with torch.device("meta"):
        expected = {
            name: (str(t.dtype).removeprefix("torch."), tuple(t.shape))
            for name, t in make(encoder()).state_dict().items()
        }
    weights = decode_arrays(blob, expected, name=WEIGHTS)
    # An encoder holds more than its weights, and those are replaced at once. Of the rest, which is
    # large where there are many labels, no memory is spent on random weights.
    with seeded(0, torch.device("cpu")):
        of_network = encoder()
    with torch.device("meta"):
        network = make(of_network)
    network.load_state_dict({n: torch.from_numpy(a) for n, a in weights.items()}, assign=True)
    network.eval()
    if tokenizer is not None:
        _try(network, tokenizer)
    return network, tokenizer


def _try(network: TextReader, tokenizer: Tokenizer) -> None:
    """Let the encoder read what it knows and what not: not all that is wrong shows in shapes.

    Raises
    ------
    ValueError
    """
    try:
        tokens = tokenize(["a \u2603"], tokenizer)  # a snowman, which few vocabularies have
        batch = collate(EncodedDocuments(tokens), np.arange(1), network.pad_id, torch.device("cpu"))
        assert batch.tokens is not None
        with torch.inference_mode():
            network.summarise(batch.tokens)
    except _INTERRUPTS:
        raise
    except BaseException as error:  # what comes of a config's numbers; and see `_INTERRUPTS`
        raise ValueError(f"its encoder cannot read ({error})") from error


def _build_encoder(
    values: dict[str, Any], config: EncoderConfig | StaticConfig, tokenizer: Tokenizer
) -> TextEncoder:
    reading = Reading.made_of(values)
    try:
        model = encoders.model_from_config(config)
    except Exception as error:  # asserts are among what a config's numbers lead to
        what = " ".join(str(error).split())
        raise ValueError(f"its encoder cannot be built ({what})") from error
    return encoders.assemble(model, tokenizer, reading, max_length_of(tokenizer))


def _unpack_tokenizer(blob: bytes) -> Tokenizer:
    parse_json(blob, name=_TOKENIZER)
    try:
        tokenizer = Tokenizer.from_str(blob.decode())
    except _INTERRUPTS:
        raise
    except BaseException as error:  # the library raises nothing narrower
        raise BundleError(f"{_TOKENIZER}: is no tokenizer ({error}).") from error
    if tokenizer.truncation is None:
        raise BundleError(f"{_TOKENIZER}: names no maximum length.")
    return tokenizer


def _count_tensors(weights: bytes) -> int:
    length = int.from_bytes(weights[:8], "little")
    header = parse_json(weights[8 : 8 + length], name=WEIGHTS)
    if not isinstance(header, dict) or length > len(weights) - 8:
        raise BundleError(f"{WEIGHTS}: its header is no table of arrays.")
    return len(header)
