"""`warm_start=True`: a fit goes on from the network of the last one."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import FeatureUnion

import lightxml.fitting.network as fitting
import lightxml.training.loop as loop
from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.fitting.joined_clusters import join_nearest
from lightxml.fitting.warm import is_same
from lightxml.training.checkpoints import Checkpoints
from tests.network.test_encoders import save_pretrained

N_LABELS = 8
HEADS: dict[str, dict[str, Any]] = {
    "one_vs_all": {},
    "chunked": {"label_dim": 8},
    "clustered": {
        "label_dim": 8,
        "label_clusters": True,
        "max_cluster_size": 3,
        "n_candidate_clusters": 2,
    },
}
Make = Callable[..., LightXMLClassifier]
EACH_HEAD = pytest.mark.parametrize("head", HEADS)


def draw(n: int, seed: int, begin: int = 0, end: int = N_LABELS) -> tuple[list[str], list[Any]]:
    """Documents of one label each, whose word is "word" and its number, among words of noise."""
    rng = np.random.default_rng(seed)
    numbers = begin + np.arange(n) % (end - begin)
    texts = [f"word{j} noise{rng.integers(9)} noise{rng.integers(9)}" for j in numbers]
    return texts, [(f"label {j:02}",) for j in numbers]


X, Y = draw(48, 0)
ALL = draw(72, 1, end=N_LABELS + 4)  # four labels are new


def features(**params: Any) -> LightXMLClassifier:
    """A network that reads words."""
    defaults: dict[str, Any] = {
        "features": TfidfVectorizer(),
        "feature_dim": 16,
        "rankers": ("network",),
        "max_epochs": 1,
        "batch_size": 8,
        "random_state": 0,
        "device": "cpu",
        "warm_start": True,
    }
    return LightXMLClassifier(None, **{**defaults, **params})


def weights_of(model: LightXMLClassifier) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.network_.state_dict().items()}


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """The weights that each training begins with, one after the other."""
    found: list[dict[str, torch.Tensor]] = []
    train = fitting.train_network

    def spy(network: Any, *args: Any) -> Any:
        found.append({name: value.clone() for name, value in network.state_dict().items()})
        return train(network, *args)

    monkeypatch.setattr(fitting, "train_network", spy)
    return found


def labels_arrays(model: LightXMLClassifier) -> list[str]:
    return [f"head.{name}" for name in model.network_.head.by_label]


# The weights ------------------------------------------------------------------------------------


@EACH_HEAD
def test_a_fit_begins_where_the_last_one_ended(head: str, begun: list[Any]) -> None:
    model = features(**HEADS[head]).fit(X, Y)
    ended, first = weights_of(model), model.network_
    model.fit(X, Y)
    assert_equal(begun[1], ended)
    assert_equal(dict(first.state_dict()), ended)  # it is left as it was
    assert model.network_ is not first
    assert model.n_iter_ == 1
    assert not torch.equal(model.network_.features.weight, first.features.weight)


def test_an_encoder_goes_on_with_its_tokenizer_and_any_max_length(begun: list[Any]) -> None:
    model = features(features=None, feature_dim="auto", max_length=16, learning_rate=1e-3)
    model.set_params(encoder="tiny", batch_size=16).fit(X[:16], Y[:16])
    ended, vocabulary = weights_of(model), model.tokenizer_.get_vocab()
    model.set_params(max_length=8).fit(["another word0"] * 16, Y[:16])
    assert_equal(begun[1], ended)
    assert model.tokenizer_.get_vocab() == vocabulary
    assert model.tokenizer_.truncation["max_length"] == 8


def test_beside_a_frozen_encoder_the_head_goes_on(tmp_path: Path, begun: list[Any]) -> None:
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    model = features(freeze_encoder=True, max_length=16, se_block=True, n_feature_layers=1)
    model.set_params(encoder=encoder).fit(X, Y)
    ended = weights_of(model)
    model.fit(*ALL)
    arrays = labels_arrays(model)
    found = {k: v[:N_LABELS] if k in arrays else v for k, v in begun[1].items()}
    for name in [name for name in found if not name.startswith("features.")]:
        assert torch.equal(found[name], ended[name]), name


def test_the_first_fit_is_as_ever() -> None:
    assert_equal(weights_of(features().fit(X, Y)), weights_of(features(warm_start=False).fit(X, Y)))


@EACH_HEAD
def test_a_model_that_was_loaded_or_unpickled_goes_on_to_the_same_weights(
    head: str, tmp_path: Path
) -> None:
    model = features(**HEADS[head]).fit(X, Y)
    model.save(tmp_path / "model")
    again = [load(tmp_path / "model", device="cpu"), pickle.loads(pickle.dumps(model))]
    expected = weights_of(model.fit(*ALL))
    for other in again:
        assert_equal(weights_of(other.fit(*ALL)), expected)


def test_new_words_have_columns_behind_the_others(begun: list[Any]) -> None:
    model = features(features=TfidfVectorizer(min_df=2)).fit(X, Y)
    before, ended = model.vectorizer_, weights_of(model)["features.weight"]
    texts = [*ALL[0], "a word that comes once"]
    model.fit(texts, [*ALL[1], ("label 00",)])
    added = [f"word{j}" for j in (10, 11, 8, 9)]
    names = before.get_feature_names_out().tolist()
    assert model.vectorizer_.get_feature_names_out().tolist() == names + added
    np.testing.assert_array_equal(model.vectorizer_.idf_[: len(names)], before.idf_)
    fresh = TfidfVectorizer(min_df=2).fit(texts)
    expected = [fresh.idf_[fresh.vocabulary_[word]] for word in added]
    np.testing.assert_array_equal(model.vectorizer_.idf_[len(names) :], expected)
    assert torch.equal(begun[1]["features.weight"][: len(names)], ended)
    assert len(before.get_feature_names_out()) == len(names)


def test_columns_of_numbers_that_were_empty_are_learned(begun: list[Any]) -> None:
    rows = TfidfVectorizer().fit(ALL[0]).transform(ALL[0])
    for matrix in (rows, rows.toarray()):
        model = features(features=None, max_epochs=8).fit(matrix[:2], ALL[1][:2])
        n_columns = model.network_.features.describe().get("n_columns")
        assert n_columns is None or n_columns < matrix.shape[1]
        model.fit(matrix, ALL[1])
        assert model.score(matrix, ALL[1]) > 0.8
        model.set_params(max_epochs=1).fit(matrix[:2], ALL[1][:2])  # what it has learned stays
        assert model.network_.features.describe().get("n_columns") in (None, matrix.shape[1])


# Labels that come and go ------------------------------------------------------------------------


@EACH_HEAD
def test_known_labels_keep_their_outputs_and_new_ones_are_ranked(
    head: str, begun: list[Any]
) -> None:
    model = features(**HEADS[head], max_epochs=8).fit(X, Y)
    ended, clusters = weights_of(model), model.label_clusters_
    model.fit(*ALL)
    assert model.classes_.tolist() == [f"label {j:02}" for j in range(N_LABELS + 4)]
    for name in labels_arrays(model):
        assert torch.equal(begun[1][name][:N_LABELS], ended[name])
    lengths = begun[1][labels_arrays(model)[0]][N_LABELS:].norm(dim=1)
    assert (lengths > 0.9).all()  # new ones begin at their documents, as unit vectors
    if clusters is not None:
        np.testing.assert_array_equal(model.label_clusters_[:N_LABELS], clusters)
        assert np.bincount(model.label_clusters_).max() <= 3
        assert len(np.bincount(model.label_clusters_)) == 4
    assert model.score(*draw(24, 2, begin=N_LABELS, end=N_LABELS + 4)) > 0.8
    assert model.score(X, Y) > 0.8


@EACH_HEAD
def test_labels_that_are_gone_are_forgotten(head: str, begun: list[Any]) -> None:
    model = features(**HEADS[head]).fit(X, Y)
    ended, clusters = weights_of(model), model.label_clusters_
    model.fit([X[i] for i in (1, 2, 6)], [Y[i] for i in (1, 2, 6)])
    assert model.classes_.tolist() == ["label 01", "label 02", "label 06"]
    for name in labels_arrays(model):
        assert torch.equal(begun[1][name], ended[name][[1, 2, 6]])
    if clusters is not None:  # a cluster without labels is gone too
        stay, numbers = np.unique(clusters[[1, 2, 6]], return_inverse=True)
        np.testing.assert_array_equal(model.label_clusters_, numbers)
        assert torch.equal(
            begun[1]["head.generator.weight"], ended["head.generator.weight"][torch.tensor(stay)]
        )


def test_columns_are_labels_by_their_numbers_and_a_frames_by_their_names(begun: list[Any]) -> None:
    y = np.tile(np.eye(6, dtype=int), (8, 1))
    model = features().fit(X, y[:, :4])
    ended = weights_of(model)["head.bias"]
    model.fit(X, y)
    assert torch.equal(begun[1]["head.bias"][:4], ended)
    frame = pd.DataFrame(y[:, :4], columns=["a", "b", "c", "d"])
    model = features().fit(X, frame)
    ended = weights_of(model)["head.bias"]
    model.fit(X, frame[["c", "a"]].assign(z=1))
    assert model.classes_.tolist() == ["c", "a", "z"]
    assert torch.equal(begun[3]["head.bias"][:2], ended[[2, 0]])


def test_that_all_labels_are_new_is_said(begun: list[Any]) -> None:
    for head in HEADS:
        model = features(**HEADS[head]).fit(X, Y)
        with pytest.warns(UserWarning, match="learned none of the labels of y: it knows labels"):
            model.fit(X, [[j] for j in range(48)])
        assert len(model.classes_) == 48


def test_a_new_label_joins_the_nearest_cluster_with_room() -> None:
    directions = np.eye(4)
    known = directions[[0, 0, 1, 1]]
    clusters = np.array([0, 0, 1, 1, -1, -1, -1, -1, -1])
    new = np.stack([directions[0], directions[0], directions[1], directions[3], directions[3]])
    rows = np.concatenate([known, new])
    for matrix in (rows, sp.csr_array(rows)):
        # There is room for three, and the second of them finds its cluster full.
        assert join_nearest(clusters[:6], matrix[:6], 3)[4:].tolist() == [0, 1]
        # Nine labels do not fit into two clusters of three. Of the last two nothing is known: they
        # go where there are fewest.
        assert join_nearest(clusters, matrix, 3)[4:].tolist() == [0, 0, 1, 1, 0]


# Several rankers --------------------------------------------------------------------------------


def test_outputs_are_those_of_the_labels_after_they_have_come_and_gone(begun: list[Any]) -> None:
    names = {f"label {j:02}": f"word{j}" for j in range(N_LABELS)}
    model = features(rankers=("neighbors", "label_texts", "network"), final_ranker=None)
    model.fit(X, Y, label_texts={**names, "text alone": "noise3"})
    ended = weights_of(model)["head.bias"]
    model.partial_fit(*draw(12, 3, end=N_LABELS + 4)).remove_labels(["label 00"])
    model.fit(*ALL, label_texts=names)
    found = begun[1]["head.bias"]
    assert torch.equal(found[1:N_LABELS], ended[1:N_LABELS])
    assert (found[[0, *range(N_LABELS, N_LABELS + 4)]] == -6).all()  # as new labels begin
    assert model.rankers_[-1].n_documents == len(ALL[0])
    assert model.score(*ALL) > 0.9


def test_partial_fit_says_how_the_network_goes_on() -> None:
    model = features(rankers=("neighbors", "network"), final_ranker=None).fit(X, Y)
    with pytest.warns(UserWarning, match="with warm_start=True it goes on from the network's"):
        model.partial_fit(*ALL)


def test_without_a_network_it_has_no_effect() -> None:
    words = LightXMLClassifier(None, features=TfidfVectorizer(), warm_start=True)
    words.set_params(rankers=("neighbors",), final_ranker=None)
    for documents in ((X, Y), ALL):
        with pytest.warns(
            UserWarning,
            match="warm_start=True has no effect without a network. Call partial_fit to add",
        ):
            words.fit(*documents)
    expected = clone(words).set_params(warm_start=False).fit(*ALL)
    np.testing.assert_array_equal(words.predict_proba(X), expected.predict_proba(X))
    with pytest.raises(ValueError, match=r"rankers=\('network',\) trains a network, but .* none"):
        words.set_params(rankers=("network",)).fit(*ALL)


# What is refused or fails leaves the model as it was --------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"encoder": "tiny"}, "encoder='tiny', but warm_start=True .* which has encoder=None"),
        ({"features": CountVectorizer()}, r"features=CountVectorizer\(\), but .*=TfidfVectorizer"),
        ({"features": TfidfVectorizer(min_df=2)}, r"features=TfidfVectorizer\(min_df=2\), but"),
        ({"feature_dim": 8}, "feature_dim=8, but .* which has feature_dim=16. Put it back, or"),
        ({"label_dim": 8}, "label_dim=8, but .* which has no label_dim"),
        ({"label_clusters": True}, "label_clusters=True, but .* which has no label clusters"),
        ({"label_clusters": KMeans(2)}, r"label_clusters=KMeans\(.*\), but .* no label clusters"),
    ],
)
def test_what_asks_for_another_network_is_refused_before_anything_is_trained(
    params: dict[str, Any], message: str, begun: list[Any]
) -> None:
    model = features().fit(X, Y)
    before = model._model
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(X, Y)
    assert model._model is before
    assert len(begun) == 1


def test_another_encoder_its_layers_and_clusters_are_refused(
    make_classifier: Make, tmp_path: Path
) -> None:
    given = np.arange(N_LABELS) % 3
    clustered = {"label_clusters": given, "n_candidate_clusters": 2, "label_dim": 8}
    model = make_classifier(warm_start=True, max_epochs=1, **clustered).fit(X[:8], Y[:8])
    asked = model.get_params()
    config = type(asked["encoder"]).from_dict(asked["encoder"].to_dict() | {"hidden_size": 16})
    for params, message in (
        ({"encoder": config}, "encoder=BertConfig"),
        ({"se_block": True}, "se_block=True, but .* which has se_block=False"),
        ({"n_feature_layers": 1}, "n_feature_layers=1, but .* which has n_feature_layers=2"),
        ({"label_clusters": False}, "label_clusters=False, but .* which has label clusters"),
        ({"label_clusters": given[::-1].copy()}, "label_clusters=array.*which has others"),
    ):
        with pytest.raises(ValueError, match=message):
            model.set_params(**params).fit(X[:8], Y[:8])
        model.set_params(**asked)
    model.set_params(n_feature_layers=2, label_clusters="auto").fit(X[:8], Y[:8])  # as it is


def test_another_x_is_refused() -> None:
    numbers = np.random.default_rng(0).random((48, 5)).astype(np.float32)
    model = features(features=None).fit(pd.DataFrame(numbers, columns=list("abcde")), Y)
    for other, message in (
        (numbers[:, :3], "X has 3 features, but .* which has 5"),
        (pd.DataFrame(numbers, columns=list("abcdf")), "X has the column 'f' in place 4"),
        (sp.csr_array(numbers), "X is a sparse matrix, but .* learned from a dense one"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(other, Y)
    with pytest.raises(ValueError, match=r"X holds documents, but .* learned from numbers"):
        model.set_params(features=TfidfVectorizer()).fit(X, Y)


def test_biases_with_a_preference_for_rare_labels_are_no_start() -> None:
    model = features(propensity_weight=1.0).fit(X, Y)
    with pytest.raises(ValueError, match=r"propensity_weight=1.0 of the last fit was added"):
        model.set_params(propensity_weight=0).fit(X, Y)
    model = features(propensity_weight=1.0, rankers=("neighbors", "network"), final_ranker=None)
    model.fit(X, Y).fit(X, Y)  # it is kept apart there


def test_copies_of_arguments_ask_for_the_same() -> None:
    union = FeatureUnion([("a", TfidfVectorizer(stop_words=["a"])), ("b", CountVectorizer())])
    values = [union, np.arange(3), {"a": [1]}, np.random.RandomState(0), Path("a"), None, 1]
    copies = pickle.loads(pickle.dumps(values))
    assert all(map(is_same, values, copies))
    others = [clone(union).set_params(a__min_df=2), np.arange(4), {"a": [2]},
              np.random.RandomState(1), Path("b"), 0, 1.0]  # fmt: skip
    assert not any(map(is_same, values, others))
    assert not is_same(lambda: 0, lambda: 0)


class Stopped(Exception):
    """In place of a power cut."""


def test_a_fit_that_fails_half_way_leaves_the_model_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = features().fit(X, Y)
    before, weights, scores = model._model, weights_of(model), model.decision_function(X)

    def fail(*args: Any) -> None:
        raise Stopped

    monkeypatch.setattr(loop, "end_epoch", fail)
    with pytest.raises(Stopped):
        model.fit(*ALL)
    assert model._model is before
    assert_equal(weights_of(model), weights)
    np.testing.assert_array_equal(model.decision_function(X), scores)
    assert len(model.classes_) == N_LABELS


# On resume, in clones and ensembles -------------------------------------------------------------


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Any]:
    """Return a context in which a fit is stopped after so many checkpoints, one each step."""
    write, left = Checkpoints.write, [0]

    def counted(self: Checkpoints, state: Any) -> None:
        write(self, state)
        left[0] -= 1
        if left[0] == 0:
            raise Stopped

    @contextmanager
    def stop(n: int) -> Iterator[None]:
        left[0] = n
        with pytest.raises(Stopped):
            yield

    monkeypatch.setattr(Checkpoints, "write", counted)
    monkeypatch.setattr(Checkpoints, "is_due", lambda self, *, at_epoch_end: True)
    return stop


@EACH_HEAD
def test_a_killed_fit_goes_on_to_the_same_weights(
    head: str, stop_after: Callable[[int], Any], tmp_path: Path
) -> None:
    params = {**HEADS[head], "max_epochs": 2}
    model = features(**params).fit(X, Y)
    model.save(tmp_path / "model")
    unbroken = model.fit(*ALL)
    folder = tmp_path / "checkpoints"
    with stop_after(3):  # a fit from the beginning, which is another
        features(**params, checkpoint_dir=folder).fit(*ALL)
    for n in (4, 9):
        killed = load(tmp_path / "model", device="cpu").set_params(checkpoint_dir=folder)
        with stop_after(n):
            killed.fit(*ALL)
        assert len(list(folder.iterdir())) == 2
    killed = load(tmp_path / "model", device="cpu").set_params(checkpoint_dir=folder).fit(*ALL)
    assert_equal(weights_of(killed), weights_of(unbroken))
    assert killed.history_ == unbroken.history_
    assert len(list(folder.iterdir())) == 1


def test_a_clone_begins_anew() -> None:
    model = features().fit(X, Y).fit(X, Y)
    assert_equal(weights_of(clone(model).fit(X, Y)), weights_of(features().fit(X, Y)))


def test_in_an_ensemble_it_has_no_effect_and_that_is_said() -> None:
    ensemble = LightXMLEnsemble(features(), n_estimators=2, random_state=0)
    found = []
    for _ in range(2):
        with pytest.warns(UserWarning, match="estimator: warm_start=True has no effect in an ens"):
            ensemble.fit(X, Y)
        found.append(ensemble.predict_proba(X))
    np.testing.assert_array_equal(*found)
