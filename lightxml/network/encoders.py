"""Text encoders and their tokenizers: from a name, a folder, a config, or learnt from the texts.

The only module that imports transformers. A tokenizer is kept as the ``tokenizers.Tokenizer``
beneath it: it is all that turning text into token numbers wants, and one JSON text saves it.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig, PretrainedConfig
from transformers.utils import cached_file
from transformers.utils.hub import extract_commit_hash

from lightxml.exceptions import EncoderUnavailableError
from lightxml.network.own_files import (
    NOTHING,
    OwnFiles,
    pooling_of,
    prompt_of,
    read_own_files,
)
from lightxml.network.reading import Place, Reading
from lightxml.network.static import StaticConfig, StaticEncoder, read_static
from lightxml.network.vocabulary import learn_vocabulary

EncoderConfig = PretrainedConfig  # the name that the rest of the package knows it by

TINY_VOCABULARY = 8_000


@dataclass(frozen=True)
class TextEncoder:
    """A transformer and what is needed to feed it.

    Attributes
    ----------
    model : torch.nn.Module
        A transformers model without a pooling layer, or static embeddings; weights in float32.
    tokenizer : tokenizers.Tokenizer
        Cuts documents at `max_length` tokens, keeping the special ones; does not pad.
    max_length : int
        Tokens a document; at most the encoder's number of positions.
    reading : Reading
        How it is fed, and what stands for a text.
    """

    model: Any
    tokenizer: Tokenizer
    max_length: int
    reading: Reading

    @property
    def pad_id(self) -> int:
        """The token number for padding."""
        return self.reading.pad_id


# The architectures that are taken, by what stands for a whole document. A saved model that names
# anything else is refused. Written down by hand, each tested: of transformers' own list of text
# encoders, some (MRA, YOSO) fetch code from the hub as they are built, and run it.
# A summary token ([CLS]), which reads in both directions.
_SUMMARY_TOKEN = frozenset(
    {"albert", "bert", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2",
     "distilbert", "electra", "ernie", "eurobert", "flaubert", "gte", "jina_embeddings_v3",
     "longformer", "megatron-bert", "mobilebert", "modernbert", "mpnet", "nomic_bert",
     "nystromformer", "rembert", "roberta", "roberta-prelayernorm", "roformer", "xlm",
     "xlm-roberta", "xlm-roberta-xl", "xlnet"}
)  # fmt: skip
# The last token, which alone has read all others.
_DECODERS = frozenset({"gemma3_text", "llama", "mistral", "qwen2", "qwen3"})
# The mean of all tokens: no token is made for the whole. Of these models the encoder half is taken.
_HALVES = {"mt5": "MT5EncoderModel", "t5": "T5EncoderModel", "umt5": "UMT5EncoderModel"}
TEXT_ENCODERS = _SUMMARY_TOKEN | _DECODERS | _HALVES.keys()

# Fields that name code, kernels or weights to fetch rather than an architecture.
_UNSAFE_FIELDS = ("auto_map", "attn_implementation", "experts_implementation", "backbone",
                  "quantization_config", "torch_dtype", "dtype")  # fmt: skip

# The most that the config of a saved model may say of what transformers makes one by one, or a
# table of, before the weights can show that it is not so. No encoder comes near.
_MOST = {
    "num_labels": 100_000,
    "num_hidden_layers": 1_000,
    "max_position_embeddings": 2**20,
    "attention_window": 4_096,  # to which the shortest text is padded
}


def build_encoder(
    encoder: str | os.PathLike[str] | PretrainedConfig,
    texts: list[str],
    max_length: int,
    *,
    pooling: str = "auto",
    prompt: str | None = None,
) -> TextEncoder:
    """Make the encoder that the argument of the same name asks for.

    Random weights are drawn from torch's current generator.

    Parameters
    ----------
    encoder : str, path or transformers config
        ``"tiny"``, a hub name, a local folder, or a config to train from scratch.
    texts : list of str
        The training documents; ``"tiny"`` and a config learn their vocabulary from them.
    max_length : int
    pooling : {"auto", "cls", "mean", "last"}
        ``"auto"``: as a pretrained encoder's own files say; else the mean.
    prompt : str or None
        None: the default prompt of a pretrained encoder's own files, if they have one.

    Returns
    -------
    TextEncoder

    Raises
    ------
    EncoderUnavailableError
        If the name or folder cannot be loaded.
    ValueError
        If the encoder has no summary token, its tokenizer cannot be used, or its files do not
        pool the prompt.

    Warns
    -----
    UserWarning
        If its own files pool in a way, or have a step behind it, that is not built here.
    """
    if isinstance(encoder, PretrainedConfig):
        config = copy.deepcopy(encoder)
    elif encoder == "tiny":
        config = BertConfig(
            vocab_size=TINY_VOCABULARY,
            hidden_size=256,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=1024,
        )
    else:
        return _load_pretrained(os.fspath(encoder), max_length, pooling, prompt)
    tokenizer = learn_vocabulary(texts, config.vocab_size)
    config.vocab_size = tokenizer.get_vocab_size()
    # Not all of these are fields of every architecture; the learnt vocabulary decides them all.
    config.pad_token_id, config.cls_token_id, config.sep_token_id = 0, 2, 3
    config.bos_token_id, config.eos_token_id = 2, 3
    model = model_from_config(config)
    summary = _summary_of(config, "first")
    way = pooling_of(config.model_type, NOTHING, pooling, **_of_architecture(config))
    reading = Reading(0, summary, way, prompt=prompt or "")
    return assemble(model, tokenizer, reading, max_length)


def check_encoder(encoder: str | os.PathLike[str] | PretrainedConfig | None) -> None:
    """Find a pretrained encoder and its architecture, before anything expensive is done.

    Raises
    ------
    EncoderUnavailableError, ValueError
        As `build_encoder`.
    """
    if encoder is not None and not isinstance(encoder, PretrainedConfig) and encoder != "tiny":
        name = os.fspath(encoder)
        if _own_files_of(name).static is None:
            _find_config(name)


def assemble(model: Any, tokenizer: Tokenizer, reading: Reading, max_length: int) -> TextEncoder:
    """Join a model and its tokenizer, with documents cut to what both can take."""
    rows = model.get_input_embeddings().num_embeddings
    last = max(*tokenizer.get_vocab(with_added_tokens=True).values(), reading.pad_id)
    if last >= rows:
        raise ValueError(
            f"encoder: its tokenizer has a token number {last} but its model only {rows} "
            "embeddings; they do not belong together."
        )
    tokenizer.no_padding()
    max_length = min(max_length, _positions(model.config))
    n_special = tokenizer.num_special_tokens_to_add(is_pair=False)
    if max_length <= n_special:
        raise ValueError(
            f"max_length={max_length} leaves no room for text beside the encoder's {n_special} "
            f"special tokens; pass at least {n_special + 1}."
        )
    tokenizer.enable_truncation(max_length)
    return TextEncoder(model, tokenizer, max_length, reading)


def config_to_dict(config: PretrainedConfig | StaticConfig) -> dict[str, Any]:
    """Return the architecture as plain JSON values, without paths, names or code references."""
    if isinstance(config, StaticConfig):
        return config.to_dict()
    values = json.loads(config.to_json_string(use_diff=True))
    # The labels are those that the encoder was trained for elsewhere: no part of it here.
    dropped = (*_UNSAFE_FIELDS, "transformers_version", "architectures", "id2label", "label2id")
    return {k: v for k, v in values.items() if k not in dropped and not k.startswith("_")}


def config_from_dict(values: dict[str, Any]) -> PretrainedConfig | StaticConfig:
    """Return the config that `config_to_dict` wrote.

    Raises
    ------
    ValueError
        If it asks for an unknown architecture, for anything but an architecture, or for one that
        no machine could build.
    """
    model_type = values.get("model_type")
    if model_type == StaticConfig.model_type:
        return StaticConfig.from_dict(values)
    if model_type not in TEXT_ENCODERS:
        raise ValueError(f"model_type is {model_type!r}; expected a text encoder's")
    for key in values:
        if key in _UNSAFE_FIELDS or key.startswith("_"):
            raise ValueError(f"the config asks for {key!r}, which a saved model never does")
    for key, most in _MOST.items():
        given = values.get(key)
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, (int, float)) and value > most:
                raise ValueError(f"the config has {key}={value}; expected at most {most}")
    try:
        return AutoConfig.for_model(**values)
    except Exception as error:  # the library raises nothing narrower for a wrong field
        raise ValueError(f"the config is refused ({' '.join(str(error).split())})") from error


def choose_attention(model: Any, max_length: int, device: torch.device, bf16: bool) -> None:
    """Take the faster attention for short documents in bf16 on a CPU; else transformers' own.

    Measured on CPUs with AVX-512 BF16: ``eager`` beats ``sdpa`` at 64 to 128 tokens and loses
    at 512; in float32 the two are within 10 % of each other.
    """
    attends = not isinstance(model, StaticEncoder)
    if attends and device.type == "cpu" and bf16 and max_length <= 128:
        model.set_attn_implementation("eager")


def n_layers_built(config: PretrainedConfig | StaticConfig) -> int:
    """Return the least number of layers with weights of their own that are built of a config."""
    if isinstance(config, StaticConfig):
        return config.num_hidden_layers
    if config.model_type == "albert":  # all its layers share those of a few groups
        return config.num_hidden_groups * config.inner_group_num
    return config.num_hidden_layers * getattr(config, "num_feedforward_networks", 1)


def model_from_config(config: PretrainedConfig | StaticConfig) -> Any:
    """Build the architecture with random weights, static embeddings with zeros, in float32.

    Raises
    ------
    ValueError
        If it is no text encoder.
    """
    if isinstance(config, StaticConfig):
        return StaticEncoder(config)
    _check_architecture(config)
    if config.model_type in _HALVES:
        return _prepared(_half_of(config)(config).float())
    return _prepared(AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False))


def _check_architecture(config: PretrainedConfig) -> None:
    is_whole = getattr(config, "is_encoder_decoder", False) and config.model_type not in _HALVES
    if config.model_type not in TEXT_ENCODERS or is_whole:
        raise ValueError(
            f"encoder: {config.model_type!r} is not one of the architectures that are read here; "
            "choose one such as BERT, RoBERTa, XLNet, DistilBERT, ModernBERT, T5 or Qwen3."
        )


def _prepared(model: Any) -> Any:
    """Return what of a model is read: an unused weight costs memory and DDP care.

    Without the pooling layer; of T5 the stack of layers, which holds the embeddings once; of a
    decoder no keys and values are kept for more tokens.
    """
    if model.config.model_type in _HALVES:
        return model.encoder
    if model.config.model_type in _DECODERS:
        model.config.use_cache = False
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def _of_architecture(config: PretrainedConfig) -> dict[str, Any]:
    """Return what `pooling_of` asks of an architecture."""
    return {
        "else_by": "last" if config.model_type in _DECODERS else "mean",
        "has_summary_token": config.model_type in _SUMMARY_TOKEN,
    }


def _half_of(config: PretrainedConfig) -> Any:
    """Return the class of the encoder half, imported where it is wanted."""
    return getattr(transformers, _HALVES[config.model_type])


def _summary_of(config: PretrainedConfig, place_of_token: Place) -> Place:
    """Return what stands for a document; the summary token, where there is one, is in its place."""
    if config.model_type in _DECODERS:
        return "last"
    return "mean" if config.model_type in _HALVES else place_of_token


def _find_config(name: str) -> PretrainedConfig:
    # transformers raises ValueError for a folder without a model that it knows, OSError for the
    # rest.
    with _unavailable(name):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    _check_architecture(config)
    return config


def _load_pretrained(name: str, max_length: int, pooling: str, prompt: str | None) -> TextEncoder:
    own = _own_files_of(name)
    if own.static is not None:
        return _load_static(name, own, max_length, pooling, prompt)
    config = _find_config(name)
    with _unavailable(name), _no_loading_bar():
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        if config.model_type in _HALVES:
            model = _half_of(config).from_pretrained(name, dtype=torch.float32)
        else:
            model = AutoModel.from_pretrained(name, dtype=torch.float32, trust_remote_code=False)
    if not tokenizer.is_fast:
        raise ValueError(
            f"encoder={name!r} has a tokenizer written in Python only; expected one backed by "
            "the tokenizers library (a tokenizer.json in its folder)."
        )
    sample, pad_id = tokenizer("text")["input_ids"], tokenizer.pad_token_id
    if config.model_type in _DECODERS and pad_id is None:
        pad_id = tokenizer.eos_token_id or 0  # any will do: it is masked, and later than all text
    has_token = tokenizer.cls_token_id in (sample[0], sample[-1])
    if pad_id is None or (config.model_type in _SUMMARY_TOKEN and not has_token):
        raise ValueError(
            f"encoder={name!r} has no padding token, or puts no summary token ([CLS]) at either "
            "end of a document; choose one such as BERT, RoBERTa, XLNet, DistilBERT or ModernBERT."
        )
    summary = _summary_of(config, "first" if sample[0] == tokenizer.cls_token_id else "last")
    reading = Reading(
        pad_id=pad_id,
        summary=summary,
        pooling=pooling_of(name, own, pooling, **_of_architecture(config)),
        normalize=own.normalize,
        prompt=prompt_of(name, own, pooling, prompt),
    )
    return assemble(
        _prepared(model), copy.deepcopy(tokenizer.backend_tokenizer), reading, max_length
    )


def _load_static(
    name: str, own: OwnFiles, max_length: int, pooling: str, prompt: str | None
) -> TextEncoder:
    if pooling not in ("auto", "mean"):
        raise ValueError(
            f"pooling={pooling!r}, but encoder={name!r} has static embeddings, of which there is "
            "only the mean. Leave pooling out."
        )
    assert own.static is not None
    with _unavailable(name), _damaged("model.safetensors or tokenizer.json"):
        model, tokenizer = read_static(partial(_find, name, None), own.static)
    reading = Reading(
        pad_id=model.config.vocab_size - 1,
        summary="mean",
        pooling="mean",
        normalize=own.normalize,
        prompt=own.prompt if prompt is None else prompt,
    )
    return assemble(model, tokenizer, reading, max_length)


def _own_files_of(name: str) -> OwnFiles:
    """Return what the model's own files say of its vectors."""
    with _unavailable(name), _damaged("modules.json or config_sentence_transformers.json"):
        commit = None
        if not os.path.isdir(name):
            # A hub that cannot be reached is an error here, and not tried for each file. One of
            # the two every model has.
            first = _find(name, None, "config.json") or cached_file(name, "modules.json")
            commit = extract_commit_hash(first, None)
        return read_own_files(partial(_find, name, commit))


def _find(name: str, commit: str | None, file: str) -> str | None:
    """Return the place of a file of a folder, or of a model of the hub; None if it has none.

    Of a known commit the hub is asked only once.
    """
    found: str | None = cached_file(
        name,
        file,
        revision=commit,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return found


@contextmanager
def _damaged(files: str) -> Iterator[None]:
    """Say that a file is damaged, where what is in it was taken for something else."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"its {files} is damaged ({error!r})") from error


@contextmanager
def _unavailable(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EncoderUnavailableError(
            f"encoder={name!r} could not be loaded: it is no local folder with a model, and the "
            "hub did not give it (no connection, or no such name). Begin with words alone, which "
            "need no download: encoder=None, features=TfidfVectorizer(); or pass the path of a "
            f"folder saved with save_pretrained. Cause: {cause}"
        ) from error


@contextmanager
def _no_loading_bar() -> Iterator[None]:
    """Hide transformers' own bar; `verbose` decides what a fit shows."""
    shown = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers.utils.logging.enable_progress_bar()


def _positions(config: PretrainedConfig) -> int:
    """Return how many positions the encoder has; relative positions have no end."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or config.model_type == "xlnet":
        return 10**9
    # The RoBERTa family numbers positions from pad_token_id + 1.
    padded = config.model_type in _NUMBERED_AFTER_PADDING
    return int(positions) - (config.pad_token_id + 1 if padded else 0)


_NUMBERED_AFTER_PADDING = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "longformer",
     "mpnet", "data2vec-text"}
)  # fmt: skip
