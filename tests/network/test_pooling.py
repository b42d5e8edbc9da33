"""What of an encoder stands for a text: as its own files say, or as the arguments do."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from lightxml import LightXMLClassifier, load
from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.exceptions import EncoderUnavailableError
from lightxml.files.bundle import Bundle
from lightxml.files.save import save_bundle
from lightxml.network.batches import collate
from lightxml.network.encoders import TextEncoder, build_encoder
from lightxml.network.own_files import OwnFiles, read_own_files
from lightxml.network.text_reader import frozen_encoder
from lightxml.storage import estimator as storage
from tests.network.test_encoders import CPU, FAMILIES, TEXTS, save_pretrained

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]
KINDS = "sentence_transformers.models."


def write(folder: Path, name: str, values: Any) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(values))


def write_steps(folder: Path, *steps: tuple[str, str]) -> None:
    write(folder, "modules.json", [{"type": KINDS + kind, "path": path} for kind, path in steps])


def write_pooling(folder: Path, way: str) -> None:
    flags = {"cls": "cls_token", "mean": "mean_tokens", "last": "lasttoken", "max": "max_tokens"}
    values = {f"pooling_mode_{flag}": name == way for name, flag in flags.items()}
    write(folder, "1_Pooling/config.json", values)


def write_prompts(folder: Path, default: str | None, **prompts: str) -> None:
    values = {"prompts": prompts, "default_prompt_name": default}
    write(folder, "config_sentence_transformers.json", values)


def read(folder: Path) -> OwnFiles:
    return read_own_files(lambda name: str(folder / name) if (folder / name).exists() else None)


def vectors(encoder: TextEncoder, texts: list[str]) -> torch.Tensor:
    """Return the vectors that the texts are compared by, all of one batch, which is padded."""
    tokens = EncodedDocuments(tokenize(texts, encoder.tokenizer, encoder.reading.prompt))
    batch = collate(tokens, np.arange(len(texts)), encoder.pad_id, CPU).tokens
    assert batch is not None
    with torch.no_grad():
        return frozen_encoder(encoder).summarise(batch)[:, -1].float()


def last_layer(encoder: TextEncoder, text: str) -> torch.Tensor:
    """Return what the last layer makes of each token of a text alone."""
    ids = torch.tensor([encoder.tokenizer.encode(text).ids])
    inputs = {"input_ids": ids}
    if encoder.model.config.model_type == "xlnet":
        inputs["token_type_ids"] = torch.zeros_like(ids)
        inputs["token_type_ids"][0, -1] = 2
    with torch.no_grad():
        layer: torch.Tensor = encoder.model(**inputs).last_hidden_state[0]
    return layer


def pooled(layer: torch.Tensor, way: str, summary: int) -> torch.Tensor:
    return {"mean": layer.mean(dim=0), "cls": layer[summary], "last": layer[-1]}[way]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("given", ["auto", "cls"])
@pytest.mark.parametrize("own", [None, "mean", "cls", "last"])
def test_a_frozen_encoder_pools_as_its_own_files_say_unless_told(
    family: str, given: str, own: str | None, tmp_path: Path
) -> None:
    folder = save_pretrained(tmp_path, family)
    if own is not None:
        write_pooling(tmp_path, own)
    way = (own or "mean") if given == "auto" else given
    encoder = build_encoder(folder, TEXTS, 32, pooling=given)
    found = vectors(encoder, TEXTS[:4])
    for i in range(4):
        expected = pooled(last_layer(encoder, TEXTS[i]), way, -1 if family == "xlnet" else 0)
        torch.testing.assert_close(found[i], expected, atol=5e-3, rtol=1e-2)


def test_the_folder_of_the_pooling_and_a_last_step_to_length_1_are_found(tmp_path: Path) -> None:
    folder = save_pretrained(tmp_path, "bert")
    write_steps(tmp_path, ("Transformer", ""), ("Pooling", "2_Pooling"), ("Normalize", "3_N"))
    write(tmp_path, "2_Pooling/config.json", {"pooling_mode": "cls"})
    encoder = build_encoder(folder, TEXTS, 32)
    (found,) = vectors(encoder, TEXTS[:1])
    first = last_layer(encoder, TEXTS[0])[0]
    torch.testing.assert_close(found, first / first.norm(), atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize(
    ("values", "way"),
    [
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode": ["cls", "mean"]}, "cls+mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, "cls+max"),
        ({"pooling_mode_mean_tokens": True, "include_prompt": True}, "mean"),
        ({}, None),
    ],
)
def test_old_and_new_files_of_the_pooling_are_read(
    values: dict[str, Any], way: str | None, tmp_path: Path
) -> None:
    write(tmp_path, "1_Pooling/config.json", values)
    assert read(tmp_path).pooling == way


def test_the_prompt_is_the_one_given_else_the_files_default(tmp_path: Path) -> None:
    folder = save_pretrained(tmp_path, "bert")
    write_prompts(tmp_path, "document", query="the dog ", document="the house of ")
    for given, prompt in ((None, "the house of "), ("", ""), ("a cat ", "a cat ")):
        encoder = build_encoder(folder, TEXTS, 32, prompt=given)
        assert encoder.reading.prompt == prompt
        expected = last_layer(encoder, prompt + TEXTS[0]).mean(dim=0)
        torch.testing.assert_close(vectors(encoder, TEXTS[:1])[0], expected, atol=5e-3, rtol=1e-2)
    write_prompts(tmp_path, None, query="the dog ")
    assert build_encoder(folder, TEXTS, 32).reading.prompt == ""


def test_what_the_files_ask_for_and_is_not_built_is_said(tmp_path: Path) -> None:
    folder = save_pretrained(tmp_path, "bert")
    write_pooling(tmp_path, "max")
    with pytest.warns(UserWarning, match=r"pool by 'max', which is not built.*pooling='mean'"):
        assert build_encoder(folder, TEXTS, 32).reading.pooling == "mean"
    assert build_encoder(folder, TEXTS, 32, pooling="mean").reading.pooling == "mean"
    write_pooling(tmp_path, "cls")
    write_steps(tmp_path, ("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense"))
    with pytest.warns(UserWarning, match="put a dense layer behind the pooling"):
        assert build_encoder(folder, TEXTS, 32).reading.pooling == "cls"


def test_a_prompt_that_the_files_do_not_pool_is_refused(tmp_path: Path) -> None:
    folder = save_pretrained(tmp_path, "bert")
    write(tmp_path, "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    assert build_encoder(folder, TEXTS, 32).reading.prompt == ""
    with pytest.raises(ValueError, match=r"include_prompt is false.*Pass prompt=''"):
        build_encoder(folder, TEXTS, 32, prompt="the dog ")
    build_encoder(folder, TEXTS, 32, prompt="the dog ", pooling="mean")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1_Pooling/config.json", "{"),
        ("1_Pooling/config.json", "[]"),
        ("1_Pooling/config.json", '{"pooling_mode": 3}'),
        ("modules.json", '["Pooling"]'),
        ("modules.json", '[{"path": ""}]'),
        ("config_sentence_transformers.json", '{"prompts": ["a"], "default_prompt_name": "a"}'),
    ],
)
def test_a_damaged_file_is_named(name: str, content: str, tmp_path: Path) -> None:
    folder = save_pretrained(tmp_path, "bert")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    with pytest.raises(EncoderUnavailableError, match="could not be loaded"):
        build_encoder(folder, TEXTS, 32)


@pytest.fixture
def make(make_classifier: Make, tmp_path: Path) -> Make:
    """Make an estimator around a frozen encoder, whose vectors documents are compared by."""
    encoder = save_pretrained(tmp_path / "pretrained", "bert")
    return lambda **params: make_classifier(
        encoder=encoder, freeze_encoder=True, max_epochs=1, **{"rankers": "auto", **params}
    )


def test_a_prompt_stands_before_documents_and_label_texts(
    make: Make, documents: Documents, tmp_path: Path
) -> None:
    X, y = documents
    names = [f"word{j}" for j in range(y.shape[1])]
    with_prompt = make(prompt="the dog ").fit(X, y, label_texts=names)
    prefixed = make(prompt="").fit(
        [f"the dog {x}" for x in X], y, label_texts=[f"the dog {name}" for name in names]
    )
    without = make().fit(X, y, label_texts=names)
    for number in (0, 2):  # the neighbors and the texts, by their vectors
        keys = [model.rankers_[number].keys for model in (with_prompt, prefixed, without)]
        assert np.array_equal(keys[0], keys[1])
        assert not np.array_equal(keys[0], keys[2])
    with_prompt.save(tmp_path / "model")
    loaded = load(tmp_path / "model", "cpu")
    assert loaded.prompt == "the dog "
    assert np.array_equal(loaded.decision_function(X), with_prompt.decision_function(X))


def test_pooling_decides_what_is_compared_is_saved_and_kept_apart_in_memory(
    make: Make, documents: Documents, tmp_path: Path
) -> None:
    X, y = documents
    models = [make(pooling=way, memory=tmp_path / "memory").fit(X, y) for way in ("mean", "cls")]
    mean, cls = (model.rankers_[0].keys for model in models)
    assert not np.array_equal(mean, cls)
    assert np.array_equal(cls, make(pooling="cls").fit(X, y).rankers_[0].keys)
    models[1].save(tmp_path / "model")
    loaded = load(tmp_path / "model", "cpu")
    assert loaded.network_.reading.pooling == "cls"
    assert np.array_equal(loaded.decision_function(X), models[1].decision_function(X))


def test_models_from_before_prompts_and_lengths_of_1_load(
    make: Make, documents: Documents, tmp_path: Path
) -> None:
    model = make().fit(*documents)
    bundle = storage.pack("LightXMLClassifier", model.get_params(deep=False), model._model)
    manifest = copy.deepcopy(bundle.manifest)
    for values, names in ((manifest["network"], ("prompt", "normalize")),
                          (manifest["params"], ("prompt", "pooling"))):  # fmt: skip
        for name in names:
            del values[name]
    save_bundle(Bundle(manifest, bundle.blobs), tmp_path / "model")
    loaded, X = load(tmp_path / "model", "cpu"), documents[0]
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))


def test_what_nothing_reads_is_refused(make: Make, documents: Documents) -> None:
    X, y = documents
    words = LightXMLClassifier(None, features=TfidfVectorizer(), random_state=0)
    with pytest.raises(ValueError, match="prompt='a ' is about an encoder, which this fit"):
        words.set_params(prompt="a ").fit(X, y)
    with pytest.raises(ValueError, match="pooling='cls' is about an encoder whose vectors rankers"):
        words.set_params(prompt=None, pooling="cls").fit(X, y)
    with pytest.raises(ValueError, match="pooling='mean' is about an encoder whose vectors"):
        make(pooling="mean", rankers=("network",)).fit(X, y)
    with pytest.raises(ValueError, match="pooling is 'max'; expected one of 'auto', 'cls'"):
        make(pooling="max").fit(X, y)


def test_a_warm_start_goes_on_with_pooling_and_prompt(make: Make, documents: Documents) -> None:
    X, y = documents
    model = make(pooling="cls", prompt="the dog ", warm_start=True).fit(X, y)
    model.set_params(pooling="auto", prompt=None).fit(X, y)
    assert model.network_.reading.pooling == "cls"
    assert model.network_.reading.prompt == "the dog "
    for change in ({"pooling": "mean"}, {"prompt": ""}):
        (name,) = change
        with pytest.raises(ValueError, match=rf"{name}='.*warm_start=True goes on"):
            model.set_params(pooling="auto", prompt=None).set_params(**change).fit(X, y)
