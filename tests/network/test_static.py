"""Static embeddings in model2vec's form: read, compared, trained, saved, refused."""

from __future__ import annotations

import copy
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from lightxml import LightXMLClassifier, load
from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.exceptions import BundleError, EncoderUnavailableError
from lightxml.files.bundle import Bundle
from lightxml.network.batches import collate
from lightxml.network.encoders import build_encoder
from lightxml.network.text_reader import TextReader
from lightxml.storage.description import describe
from lightxml.storage.model import pack_model
from lightxml.storage.network import unpack_network
from tests.network.test_encoders import CPU

Make = Callable[..., LightXMLClassifier]
WORDS = ["[PAD]", "[UNK]", *(f"word{i}" for i in range(60)), "dog"]
X = [f"word{i % 12} word{12 + i % 7} word{i % 12}" for i in range(60)]
Y = np.eye(12, dtype=int)[np.arange(60) % 12]
UNKNOWN = 1
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32)


def words_tokenizer() -> Tokenizer:
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_padding(length=40)  # as some of them have it; the vectors are without
    return tokenizer


def save_static(folder: Path, arrays: dict[str, np.ndarray], *, normalize: bool = False) -> str:
    """Write a folder as model2vec does."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(arrays, folder / "model.safetensors")
    words_tokenizer().save(str(folder / "tokenizer.json"))
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "normalize": normalize}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def vectors(folder: str, texts: list[str], **params: Any) -> np.ndarray:
    encoder = build_encoder(folder, [], 32, **params)
    reader = TextReader(encoder, 5, frozen=True).eval()
    tokens = tokenize(texts, encoder.tokenizer, encoder.reading.prompt)
    batch = collate(EncodedDocuments(tokens), np.arange(len(texts)), encoder.pad_id, CPU)
    assert batch.tokens is not None
    with torch.no_grad():
        made = reader.summarise(batch.tokens)
    assert made.shape == (len(texts), 2, 8), "one layer, and what is compared"
    return made[:, -1].float().numpy()


TEXTS = ["dog word3 dog", "word1", "", "zebra", "zebra dog", " ".join(["word2"] * 100)]


def means(table: np.ndarray) -> np.ndarray:
    found = []
    for text in TEXTS:
        known = [WORDS.index(word) for word in text.split()[:32] if word in WORDS]
        found.append(table[known].mean(axis=0) if known else np.zeros(8))
    return np.array(found)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("normalize", [False, True])
def test_a_text_is_the_mean_of_its_known_tokens(
    dtype: type, normalize: bool, tmp_path: Path
) -> None:
    table = VECTORS.astype(dtype)
    folder = save_static(tmp_path, {"embeddings": table}, normalize=normalize)
    expected = means(table.astype(np.float32))
    if normalize:
        expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(vectors(folder, TEXTS), expected, atol=2e-3)


def test_exactly_so_before_it_is_halved(tmp_path: Path) -> None:
    encoder = build_encoder(save_static(tmp_path, {"embeddings": VECTORS}), [], 32)
    tokens = EncodedDocuments(tokenize(TEXTS, encoder.tokenizer))
    batch = collate(tokens, np.arange(len(TEXTS)), encoder.pad_id, CPU).tokens
    assert batch is not None
    with torch.no_grad():
        found = encoder.model(batch.input_ids).last_hidden_state[:, 0]
    np.testing.assert_allclose(found, means(VECTORS), atol=1e-6)


def test_a_quantized_vocabulary_shares_vectors_with_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    mapping = rng.integers(0, 5, len(WORDS))
    weights = rng.random(len(WORDS))
    arrays = {"embeddings": VECTORS[:5].copy(), "mapping": mapping, "weights": weights}
    expected = means(VECTORS[mapping] * weights[:, None])
    np.testing.assert_allclose(vectors(save_static(tmp_path, arrays), TEXTS), expected, atol=2e-3)


def test_those_of_sentence_transformers_count_unknown_tokens(tmp_path: Path) -> None:
    save_static(tmp_path / "0_StaticEmbedding", {"embedding.weight": VECTORS})
    (tmp_path / "0_StaticEmbedding" / "config.json").unlink()
    module = {"type": "sentence_transformers.models.StaticEmbedding", "path": "0_StaticEmbedding"}
    (tmp_path / "modules.json").write_text(json.dumps([module]))
    found = vectors(str(tmp_path), ["zebra dog"], prompt="word1 ")
    expected = VECTORS[[WORDS.index("word1"), UNKNOWN, WORDS.index("dog")]].mean(axis=0)
    np.testing.assert_allclose(found[0], expected, atol=2e-3)


def test_its_vectors_are_compared_kept_saved_and_loaded_without_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_static(tmp_path / "static", {"embeddings": VECTORS})
    for name in ("socket", "create_connection"):
        monkeypatch.delattr(socket, name)
    labels = [[f"label {i % 12}"] for i in range(60)]
    names = {f"label {j}": f"word{j}" for j in range(12)}
    model = LightXMLClassifier(
        folder, freeze_encoder=True, rankers=("neighbors", "label_texts"), final_ranker=None,
        memory=tmp_path / "memory", device="cpu",
    ).fit(X, labels, label_texts=names)  # fmt: skip
    assert [ranker.name for ranker in model.rankers_] == ["vectors", "label_texts", "label_vectors"]
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model", "cpu")
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))
    assert loaded.add_labels({"a dog": "dog"}).predict_topk(["dog"], 1) == [["a dog"]]
    assert "static, 0 layers, 512 weights; frozen" in describe(tmp_path / "model", width=500)


def test_a_network_reads_it_frozen_or_trains_it(make_classifier: Make, tmp_path: Path) -> None:
    folder = save_static(tmp_path, {"embeddings": VECTORS})
    given = {"encoder": folder, "max_epochs": 3}
    frozen = make_classifier(freeze_encoder=True, **given).fit(X, Y)
    trained = make_classifier(learning_rate=1e-2, weight_decay=0, **given).fit(X, Y)
    table = frozen.network_.encoder.embeddings.weight.numpy()
    assert np.array_equal(table, np.concatenate([VECTORS, np.zeros((1, 8), np.float32)]))
    learned = trained.network_.encoder.embeddings.weight.detach().numpy()
    moved = np.abs(learned - table).max(axis=1)
    seen = [i for i, word in enumerate(WORDS) if any(word in text.split() for text in X)]
    assert moved[seen].min() > 0
    assert not moved[[UNKNOWN, WORDS.index("dog"), -1]].any(), "no document has them"
    assert np.isfinite(trained.predict_proba(["", "zebra"])).all()


def test_a_warm_start_goes_on_with_it(make_classifier: Make, tmp_path: Path) -> None:
    folder = save_static(tmp_path, {"embeddings": VECTORS})
    model = make_classifier(
        encoder=folder, pooling="mean", rankers=("label_texts", "network"), warm_start=True,
        final_ranker=None, max_epochs=1,
    )  # fmt: skip
    names = [f"word{j}" for j in range(12)]
    first = model.fit(X, Y, label_texts=names).decision_function(X)
    assert not np.array_equal(model.fit(X, Y, label_texts=names).decision_function(X), first)


def test_a_pooling_that_it_has_not_is_refused(tmp_path: Path) -> None:
    folder = save_static(tmp_path, {"embeddings": VECTORS})
    assert vectors(folder, ["dog"], pooling="mean").shape == (1, 8)
    with pytest.raises(ValueError, match=r"pooling='last', but encoder=.* has static embeddings"):
        build_encoder(folder, [], 32, pooling="last")


DAMAGED: dict[str, tuple[dict[str, np.ndarray], str]] = {
    "no embeddings": ({"vectors": VECTORS}, "no table of embeddings"),
    "a list of embeddings": ({"embeddings": VECTORS[0]}, "no table of embeddings"),
    "a mapping beyond them": (
        {"embeddings": VECTORS, "mapping": np.full(len(WORDS), 99)}, "its mapping is not"),
    "weights of others": (
        {"embeddings": VECTORS, "weights": np.ones(3)}, "it has 3 weights of 63 tokens"),
}  # fmt: skip


@pytest.mark.parametrize(("arrays", "message"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_folder_is_named(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    folder = save_static(tmp_path, arrays)
    with pytest.raises(EncoderUnavailableError, match=f"could not be loaded.*{message}"):
        build_encoder(folder, [], 32)


def test_missing_files_and_embeddings_of_fewer_tokens_are_named(tmp_path: Path) -> None:
    folder = save_static(tmp_path, {"embeddings": VECTORS[:5]})
    with pytest.raises(ValueError, match="they do not belong together"):
        build_encoder(folder, [], 32)
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("{")
        with pytest.raises(EncoderUnavailableError, match=f"its {name}.* is damaged"):
            build_encoder(folder, [], 32)
        (tmp_path / name).unlink()
        with pytest.raises(EncoderUnavailableError, match=f"it has no {name}"):
            build_encoder(folder, [], 32)
        save_static(tmp_path, {"embeddings": VECTORS})


@pytest.mark.parametrize(
    "change",
    [{"vocab_size": 10**12}, {"hidden_size": 10**9}, {"hidden_size": 0}, {"unknown": "dog"},
     {"vocab_size": 63}, {"model_type": "model2vec"}],
    ids=str,
)  # fmt: skip
def test_a_hostile_config_of_it_is_refused(
    change: dict[str, Any], make_classifier: Make, tmp_path: Path
) -> None:
    folder = save_static(tmp_path, {"embeddings": VECTORS})
    model = make_classifier(encoder=folder, freeze_encoder=True, max_epochs=1).fit(X, Y)
    packed = pack_model(model._model)
    manifest = copy.deepcopy(packed.manifest["network"])
    manifest["encoder"].update(change)
    with pytest.raises((ValueError, BundleError)):
        unpack_network(Bundle(manifest, packed.blobs), 12)
