"""Decoders, read by their last token, and the encoder half of T5, read by the mean of tokens."""

from __future__ import annotations

import copy
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tokenizers import processors
from transformers import (
    AutoConfig,
    AutoModel,
    MT5EncoderModel,
    PreTrainedTokenizerFast,
    T5EncoderModel,
    UMT5EncoderModel,
)

from lightxml import LightXMLClassifier, load
from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.exceptions import BundleError
from lightxml.files.bundle import Bundle
from lightxml.network.batches import collate
from lightxml.network.encoders import build_encoder
from lightxml.network.text_reader import TextReader
from lightxml.network.vocabulary import learn_vocabulary
from lightxml.storage.description import describe
from lightxml.storage.model import pack_model
from lightxml.storage.network import unpack_network
from tests.network.test_encoders import CPU, TEXTS

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]
LLAMA = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 8, "intermediate_size": 32,
}  # fmt: skip
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
HALVES = {"t5": T5EncoderModel, "mt5": MT5EncoderModel, "umt5": UMT5EncoderModel}
DECODERS = ("gemma3_text", "llama", "mistral", "qwen2", "qwen3")
SHAPES = dict.fromkeys(DECODERS, LLAMA) | dict.fromkeys(HALVES, T5)
FAMILIES = sorted(SHAPES)


def save_family(folder: Path, family: str, template: str = "$A [SEP]") -> str:
    """Write a folder as a hub would give it: of T5 both halves, of most decoders no padding."""
    tokenizer = learn_vocabulary([*TEXTS, *(f"word{i}" for i in range(40))], 200)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("[SEP]", 3)]
    )
    more = {} if family in ("llama", "mistral") else {"pad_token": "[PAD]"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="[SEP]", unk_token="[UNK]", **more
    ).save_pretrained(folder)
    config = AutoConfig.for_model(family, **SHAPES[family], vocab_size=tokenizer.get_vocab_size())
    config.pad_token_id = 0
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {family: save_family(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@pytest.fixture(scope="module")
def frozen(
    folders: dict[str, str], make_classifier: Make, documents: Documents
) -> dict[str, LightXMLClassifier]:
    """Return a network of each frozen one."""
    return {
        family: make_classifier(encoder=folder, freeze_encoder=True, max_epochs=1).fit(*documents)
        for family, folder in folders.items()
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_its_layers_give_the_last_token_or_the_mean(family: str, folders: dict[str, str]) -> None:
    folder = folders[family]
    encoder = build_encoder(folder, [], 32)
    reader = TextReader(encoder, 2, frozen=True).eval()
    texts = TEXTS[:4]
    store = EncodedDocuments(tokenize(texts, encoder.tokenizer))
    batch = collate(store, np.arange(4), encoder.pad_id, CPU).tokens
    assert batch is not None
    assert batch.attention_mask is not None, "some are padded"
    with torch.no_grad():
        found = reader.summarise(batch).float()
    model = HALVES.get(family, AutoModel).from_pretrained(folder).eval()
    for i, text in enumerate(texts):
        ids = torch.tensor([encoder.tokenizer.encode(text).ids])
        assert ids[0, -1] == 3, "the tokenizer ends each text with its own token"
        with torch.no_grad():
            layers = model(input_ids=ids, output_hidden_states=True).hidden_states
        for number, layer in enumerate((layers[-1], layers[-2], layers[-1])):
            expected = layer[0].mean(dim=0) if family in HALVES else layer[0, -1]
            torch.testing.assert_close(found[i, number], expected, atol=5e-3, rtol=1e-2)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("socket", "create_connection"):
        monkeypatch.delattr(socket, name)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_frozen_one_stays_is_saved_and_loaded_without_the_network(
    family: str,
    folders: dict[str, str],
    frozen: dict[str, LightXMLClassifier],
    documents: Documents,
    tmp_path: Path,
) -> None:
    model, (X, _) = frozen[family], documents
    before = build_encoder(folders[family], [], 32).model.state_dict()
    for name, weight in model.network_.encoder.state_dict().items():
        assert torch.equal(weight, before[name])
    model.save(tmp_path / "model")
    assert f"{family}, 2 layers" in describe(tmp_path / "model", width=500)
    loaded = load(tmp_path / "model", "cpu")
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_trained_one_learns_is_saved_and_loaded_without_the_network(
    family: str,
    folders: dict[str, str],
    make_classifier: Make,
    documents: Documents,
    tmp_path: Path,
) -> None:
    X, y = documents[0][:24], documents[1][:24]
    before = build_encoder(folders[family], [], 32).model.state_dict()
    model = make_classifier(encoder=folders[family], max_epochs=1).fit(X, y)
    for name, weight in model.network_.encoder.state_dict().items():
        assert not torch.equal(weight, before[name]), "every weight is used"
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model", "cpu")
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))


@pytest.mark.parametrize("family", ["gemma3_text", "umt5"])
def test_its_vectors_are_compared(
    family: str, folders: dict[str, str], documents: Documents, tmp_path: Path
) -> None:
    X, y = documents
    model = LightXMLClassifier(
        folders[family], freeze_encoder=True, rankers=("neighbors", "label_texts"),
        final_ranker=None, device="cpu",
    ).fit(X, y, label_texts=[f"word{j}" for j in range(y.shape[1])])  # fmt: skip
    assert model.predict_topk(X, 1).shape == (60, 1)
    model.save(tmp_path / "model")
    assert "weights; frozen, for its vectors" in describe(tmp_path / "model", width=500)
    assert [ranker.keys.shape[1] for ranker in model.rankers_ if hasattr(ranker, "keys")] == [
        16
    ] * 2


@pytest.mark.parametrize("family", ["qwen3", "t5"])
def test_a_config_of_it_is_trained_from_scratch(
    family: str, make_classifier: Make, documents: Documents
) -> None:
    config = AutoConfig.for_model(family, **SHAPES[family], vocab_size=200)
    model = make_classifier(encoder=config, max_epochs=1).fit(*documents)
    assert model.network_.reading.summary == ("mean" if family == "t5" else "last")
    assert np.isfinite(model.history_[0]["loss"])


def test_an_empty_text_without_special_tokens_is_read(documents: Documents, tmp_path: Path) -> None:
    X, y = documents
    folder = save_family(tmp_path, "qwen2", template="$A")
    model = LightXMLClassifier(
        folder, freeze_encoder=True, rankers=("neighbors",), final_ranker=None, device="cpu"
    ).fit(["", *X[1:]], y)
    assert np.isfinite(model.predict_proba(["", "word1"])).all()
    together, alone = model.predict_proba(["", X[1]]), model.predict_proba([X[1]])
    np.testing.assert_allclose(together[1], alone[0], atol=1e-4)


@pytest.mark.parametrize("family", ["qwen3", "t5"])
def test_a_summary_token_that_it_has_not_is_refused(family: str, folders: dict[str, str]) -> None:
    folder = folders[family]
    with pytest.raises(ValueError, match=r"pooling='cls' needs a summary token.*'mean' or 'last'"):
        build_encoder(folder, [], 32, pooling="cls")
    for pooling in ("mean", "last"):
        assert build_encoder(folder, [], 32, pooling=pooling).reading.pooling == pooling


HOSTILE: dict[str, dict[str, Any]] = {
    "code": {"auto_map": {"AutoModel": "modeling.Evil"}},
    "quantization": {"quantization_config": {"quant_method": "bitsandbytes"}},
    "a billion layers": {"num_hidden_layers": 10**9, "num_layers": 10**9},
    "10^9 wide": {"hidden_size": 10**9, "d_model": 10**9},
    "heads of 10^9": {"head_dim": 10**9, "d_kv": 10**9},
    "no heads": {"num_attention_heads": 0, "num_heads": 0},
    "another architecture": {"model_type": "bert"},
    "an architecture with experts": {"model_type": "qwen3_moe"},
}


@pytest.mark.parametrize(
    ("family", "change"),
    [(family, change) for family in FAMILIES for change in ("code", "a billion layers", "no heads")]
    + [(family, change) for family in ("qwen3", "t5") for change in HOSTILE],
)
def test_a_hostile_config_of_it_is_refused(
    family: str, change: str, frozen: dict[str, LightXMLClassifier], tmp_path: Path
) -> None:
    packed = pack_model(frozen[family]._model)
    manifest = copy.deepcopy(packed.manifest["network"])
    manifest["encoder"].update(HOSTILE[change])
    with pytest.raises((ValueError, BundleError)):
        unpack_network(Bundle(manifest, packed.blobs), 12)
