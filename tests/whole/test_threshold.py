"""What `predict` gives: the threshold that is learned, given, saved, averaged."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.arguments import CRITERIA
from lightxml.fitting.rankers import threshold_of
from lightxml.storage.description import describe
from tests.whole.test_rankers import MATRIX, N_LABELS, X_NEW, Y_NEW, X, words

TRUTH = np.array([[f"label {j:02}" in own for j in range(N_LABELS)] for own in Y_NEW], dtype=int)
EACH = np.linspace(0.05, 1, N_LABELS)


def fitted(threshold: Any, **params: Any) -> LightXMLClassifier:
    return words(threshold=threshold, **params).fit(X, MATRIX)


@pytest.fixture(scope="module")
def models() -> dict[str, LightXMLClassifier]:
    """One of each criterion. Tests only read them."""
    return {criterion: fitted(criterion) for criterion in CRITERIA}


@pytest.fixture(scope="module")
def of_a_number() -> LightXMLClassifier:
    """One whose threshold is given. Tests only read it."""
    return fitted(0.3)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_predict_gives_what_reaches_the_learned_threshold(
    models: dict[str, LightXMLClassifier], criterion: str
) -> None:
    model = models[criterion]
    least, p = model.threshold_, model.predict_proba(X_NEW)
    assert np.shape(least) == ((N_LABELS,) if criterion == "macro_f1" else ())
    found = model.predict(X_NEW)
    assert np.array_equal(found, p >= least)
    # What is best on documents held out is no worse than a half on new ones: 0.05 is for chance.
    average = criterion.removesuffix("_f1")
    at_half = f1_score(TRUTH, p >= 0.5, average=average, zero_division=0)
    assert f1_score(TRUTH, found, average=average, zero_division=0) > at_half - 0.05


def test_it_changes_nothing_but_what_predict_gives(
    models: dict[str, LightXMLClassifier], of_a_number: LightXMLClassifier
) -> None:
    for other in (*models.values(), of_a_number):
        expected = models["micro_f1"].decision_function(X_NEW)
        assert np.array_equal(other.decision_function(X_NEW), expected)


@pytest.mark.parametrize("least", [0.3, np.float32(0.9), 1, EACH, EACH.astype(np.float32)])
def test_another_threshold_for_a_single_call(
    models: dict[str, LightXMLClassifier], least: Any
) -> None:
    model = models["micro_f1"]
    expected = model.predict_proba(X_NEW) >= np.asarray(least, np.float32)
    assert np.array_equal(model.predict(X_NEW, threshold=least), expected)


def test_a_number_is_taken_as_it_is(of_a_number: LightXMLClassifier) -> None:
    model = of_a_number
    assert model.threshold_ == 0.3
    assert np.array_equal(model.predict(X_NEW), model.predict_proba(X_NEW) >= np.float32(0.3))


@pytest.mark.parametrize(
    ("least", "error", "message"),
    [
        (0, ValueError, "threshold is 0; expected a number above 0 and at most 1"),
        (1.5, ValueError, "threshold is 1.5; expected a number above 0 and at most 1"),
        (np.nan, ValueError, "threshold is nan; expected a number"),
        (True, TypeError, "threshold is True; expected a number"),
        ("macro_f1", TypeError, "threshold is 'macro_f1'; expected a number"),
        (["a"] * N_LABELS, TypeError, "threshold holds <U1; expected numbers"),
        ([0.5] * 3, ValueError, rf"threshold has shape \(3,\); .* or \({N_LABELS},\), one for"),
        (np.full((2, N_LABELS), 0.5), ValueError, "threshold has shape"),
        ([0.5] * (N_LABELS - 1) + [0], ValueError, r"threshold\[23\] is 0.0; expected a number"),
        ([np.nan] + [0.5] * (N_LABELS - 1), ValueError, r"threshold\[0\] is nan; expected"),
    ],
)
def test_what_is_no_threshold_is_refused(
    models: dict[str, LightXMLClassifier], least: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        models["micro_f1"].predict(X_NEW, threshold=least)


@pytest.mark.parametrize("least", [0, 1.01, "f1", None])
def test_what_is_no_argument_is_refused(least: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^threshold is .* 'samples_f1'"):
        fitted(least)


@pytest.mark.parametrize("params", [{"final_ranker": None}, {"rankers": ("network",)}])
def test_where_nothing_is_held_out_it_is_a_half_and_a_wish_has_no_effect(
    params: dict[str, Any],
) -> None:
    assert fitted("micro_f1", **params).threshold_ == 0.5
    with pytest.warns(UserWarning, match="threshold='macro_f1' has no effect without a final"):
        assert fitted("macro_f1", **params).threshold_ == 0.5
    model = fitted(0.2, **params)
    p = model.predict_proba(X_NEW)
    for least in (model.threshold_, 1e-6, 1, EACH):
        found = model.predict(X_NEW, threshold=least)
        assert np.array_equal(found, p >= np.asarray(least, np.float32))
    assert np.array_equal(model.predict(X_NEW), p >= np.float32(0.2))


def test_a_classifier_of_ones_own_has_a_learned_threshold_too() -> None:
    assert fitted("micro_f1", final_ranker=LogisticRegression()).threshold_ != 0.5


@pytest.mark.parametrize("criterion", CRITERIA)
def test_it_is_one_of_the_probabilities_that_are_predicted(criterion: str) -> None:
    """As raised for rare labels: one number for all logits moves the threshold with them."""
    rng = np.random.default_rng(0)
    y = sp.csr_array(rng.random((200, 5)) < 0.3)
    logits = sp.csr_array((rng.normal(size=y.shape) + 2 * y.toarray()).astype(np.float32))
    held_out: Any = SimpleNamespace(scored=logits, y=y, panel=SimpleNamespace(final=None))
    plain = threshold_of(criterion, held_out, None)
    raised = threshold_of(criterion, held_out, np.full(5, 1.5, np.float32))
    given = [expit(logits.toarray() + more) >= least for more, least in ((0, plain), (1.5, raised))]
    if criterion == "macro_f1":
        assert (np.asarray(logit(raised)) > np.asarray(logit(plain)) + 0.5).all()
    else:
        assert np.array_equal(*given)


@pytest.mark.parametrize("criterion", ["micro_f1", "macro_f1"])
def test_saved_copied_and_told(
    models: dict[str, LightXMLClassifier], tmp_path: Path, criterion: str
) -> None:
    model = models[criterion]
    model.save(tmp_path)
    for twin in (load(tmp_path), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(twin.threshold_, model.threshold_)
        assert type(twin.threshold_) is type(model.threshold_)
        assert np.array_equal(twin.predict(X_NEW), model.predict(X_NEW))
    shown = "one for each label" if criterion == "macro_f1" else f"{model.threshold_:.4g}"
    assert f"threshold   {shown}\n" in describe(tmp_path)


def test_an_ensembles_is_the_mean_of_its_members_label_by_label() -> None:
    members = [words(threshold=0.25), words(threshold="macro_f1")]
    model = LightXMLEnsemble(estimators=members).fit(X, MATRIX)
    each = [member.threshold_ for member in model.estimators_]
    np.testing.assert_allclose(model.threshold_, (each[0] + each[1]) / 2, rtol=1e-6)
    p = model.predict_proba(X_NEW)
    assert np.array_equal(model.predict(X_NEW), p >= model.threshold_)
    assert np.array_equal(model.predict(X_NEW, threshold=0.1), p >= np.float32(0.1))


@pytest.mark.parametrize("criterion", ["micro_f1", "macro_f1"])
def test_labels_that_come_have_the_median_and_others_keep_theirs(criterion: str) -> None:
    names = [[f"label {j:02}" for j in np.flatnonzero(row)] for row in MATRIX]
    model = words(threshold=criterion).fit(X, names)
    before, n_before = model.threshold_, len(model.classes_)
    model.partial_fit(["word97 name97", "word97 word98"], [["new"], ["new", "newer"]])
    assert len(model.classes_) == n_before + 2
    if criterion == "micro_f1":
        assert model.threshold_ == before
    else:
        assert np.array_equal(model.threshold_[:n_before], before)
        assert (model.threshold_[n_before:] == np.median(before)).all()
    model.remove_labels(["label 03"])
    if criterion == "macro_f1":
        assert np.array_equal(model.threshold_[: n_before - 1], np.delete(before, 3))
    p = model.predict_proba(X_NEW) >= model.threshold_
    assert model.predict(X_NEW) == [tuple(model.classes_[row]) for row in p]
