"""Saving and loading: the same model comes back, and the folder says no more than it must."""

from __future__ import annotations

import getpass
import os
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from transformers import AlbertConfig

from lightxml import LightXMLClassifier, load
from lightxml.exceptions import EncoderUnavailableError
from lightxml.network.encoders import build_encoder
from lightxml.network.text_reader import frozen_encoder
from lightxml.storage.network import pack_encoder, unpack_encoder
from tests.network.test_encoders import save_pretrained

Documents = tuple[list[str], sp.csr_array]
Make = Callable[..., LightXMLClassifier]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("loader", [load, LightXMLClassifier.load], ids=["load", "classmethod"])
def test_a_loaded_model_predicts_the_same(
    fitted: LightXMLClassifier, documents: Documents, tmp_path: Path, loader: Callable
) -> None:
    fitted.save(tmp_path / "model")
    loaded = loader(tmp_path / "model", device="cpu")
    X, y = documents
    assert np.array_equal(loaded.decision_function(X), fitted.decision_function(X))
    assert np.array_equal(loaded.predict_topk(X, k=3), fitted.predict_topk(X, k=3))
    assert (loaded.predict(X) != fitted.predict(X)).nnz == 0
    assert loaded.history_ == fitted.history_
    assert loaded.n_iter_ == 3
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    for name, value in fitted.get_params().items():
        if name != "encoder":
            assert loaded.get_params()[name] == value, name
    # Its config came along, so that it can be fitted anew.
    again = loaded.fit(X, y)
    np.testing.assert_array_equal(again.decision_function(X), fitted.decision_function(X))


@pytest.mark.parametrize(
    "rename", [str, lambda j: 7 * j - 3, lambda j: f"Größe, № {j} ☃"], ids=["str", "int", "unicode"]
)
def test_labels_come_back_in_their_own_type(
    make_classifier: Make, documents: Documents, tmp_path: Path, rename: Callable
) -> None:
    X, y = documents
    labels = [{rename(j) for j in y[[i]].indices.tolist()} for i in range(60)]
    model = make_classifier(max_epochs=1).fit(X, labels)
    model.save(tmp_path / "model")
    loaded = load(tmp_path / "model", "cpu")
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.classes_.tolist() == model.classes_.tolist()
    assert loaded.predict(X) == model.predict(X)


def test_the_same_model_gives_the_same_bytes(fitted: LightXMLClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "first")
    fitted.save(tmp_path / "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    load(tmp_path / "first", "cpu").set_params(device="cpu").save(tmp_path / "third")
    assert contents(tmp_path / "first") == contents(tmp_path / "third")


def test_a_saved_model_names_no_path_no_user_and_no_training_text(
    make_classifier: Make, documents: Documents, tmp_path: Path
) -> None:
    X, y = list(documents[0]), documents[1]
    X[0] = "confidential memorandum Xanthippe Quellenstein " + X[0]
    encoder = save_pretrained(tmp_path / "my-encoder", "bert")
    make_classifier(encoder=encoder, max_epochs=1).fit(X, y).save(tmp_path / "model")
    everything = b"".join(contents(tmp_path / "model").values()).lower()
    for secret in (str(tmp_path), str(Path.home()), "xanthippe", "quellenstein", X[1]):
        assert secret.lower().encode() not in everything
    user = getpass.getuser()
    assert f'"{user}"'.encode() not in everything
    assert load(tmp_path / "model", "cpu").encoder == "./my-encoder"


@pytest.mark.parametrize("given", ["bert-base-uncased", "models/bert", Path("bert-base-uncased")])
def test_a_folder_is_never_taken_for_a_name_on_the_hub(
    make_classifier: Make,
    documents: Documents,
    given: str | Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(given).parent.mkdir(exist_ok=True)
    save_pretrained(Path(given), "bert")
    make_classifier(encoder=given, max_epochs=1).fit(*documents).save("model")
    monkeypatch.chdir("/")
    again = load(tmp_path / "model", "cpu")
    assert again.encoder == f"./{given}"
    with pytest.raises(EncoderUnavailableError):
        again.fit(*documents)


def test_a_random_state_object_is_kept_as_none_and_said_so(
    make_classifier: Make, documents: Documents, tmp_path: Path
) -> None:
    model = make_classifier(max_epochs=1, random_state=np.random.RandomState(0)).fit(*documents)
    with pytest.warns(UserWarning, match="random_state=RandomState.* is kept as None"):
        model.save(tmp_path / "model")
    assert load(tmp_path / "model", "cpu").random_state is None


def test_an_encoder_of_more_layers_than_weights_comes_back(documents: Documents) -> None:
    config = AlbertConfig(  # whose layers share the weights of one
        hidden_size=16, embedding_size=8, num_hidden_layers=30, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip
    encoder = build_encoder(config, documents[0], 32)
    bundle = pack_encoder(frozen_encoder(encoder), encoder.tokenizer)
    reader, _ = unpack_encoder(bundle)
    assert reader.encoder is not None
    assert reader.encoder.config.num_hidden_layers == 30


@pytest.mark.slow
def test_a_new_process_needs_neither_the_encoders_folder_nor_a_hub(
    make_classifier: Make, documents: Documents, tmp_path: Path
) -> None:
    X, y = documents
    folder = tmp_path / "encoder"
    model = make_classifier(encoder=save_pretrained(folder, "roberta"), max_epochs=1).fit(X, y)
    model.save(tmp_path / "model")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(make_pipeline("passthrough", model)))
    np.save(tmp_path / "expected.npy", model.decision_function(X[:5]))
    for path in folder.iterdir():
        path.unlink()
    code = (
        "import pickle, socket, numpy as np\n"
        "def refuse(*args): raise AssertionError('a connection was tried')\n"
        "socket.socket.connect = refuse\n"
        "unpickled = pickle.load(open('model.pkl', 'rb'))\n"
        "from lightxml import load\n"
        "for model in (load('model', 'cpu'), unpickled):\n"
        f"    found = model.decision_function({X[:5]!r})\n"
        "    np.testing.assert_allclose(found, np.load('expected.npy'), atol=1e-6)\n"
        "print('equal')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "equal", done.stderr


def test_loading_draws_nothing_from_the_callers_generators(
    fitted: LightXMLClassifier, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "model")
    before = torch.get_rng_state()
    load(tmp_path / "model", "cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_load_holds_the_weights_once(documents: Documents, tmp_path: Path) -> None:
    model = LightXMLClassifier(
        None,
        features=TfidfVectorizer(),
        rankers=("network",),
        feature_dim=16_384,
        max_epochs=1,
        device="cpu",
    )
    model.fit(*documents).save(tmp_path / "model")
    size = sum(file.stat().st_size for file in (tmp_path / "model").iterdir())
    assert size > 2**23
    load(tmp_path / "model", "cpu")
    tracemalloc.start()
    try:
        loaded = load(tmp_path / "model", "cpu")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * size
    assert np.array_equal(
        loaded.decision_function(documents[0]), model.decision_function(documents[0])
    )


def test_a_system_that_opens_no_folders_can_save(
    fitted: LightXMLClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows is, which has no locks of the kind either."""
    monkeypatch.delattr(os, "O_DIRECTORY")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    really_open = os.open

    def only_files(path: Any, *args: Any, **options: Any) -> int:
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))
        return really_open(path, *args, **options)

    monkeypatch.setattr(os, "open", only_files)
    fitted.save(tmp_path / "model")
    fitted.save(tmp_path / "model")
    load(tmp_path / "model", "cpu")
