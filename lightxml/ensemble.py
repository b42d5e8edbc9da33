"""Several estimators whose scores are averaged, behind the face of one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin, clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_scalar

from lightxml.base import DocumentedEstimator
from lightxml.classifier import LightXMLClassifier, check_dense
from lightxml.data.labels import decode, encode_known
from lightxml.data.random import draw_seed
from lightxml.exceptions import BundleError
from lightxml.files.bundle import RECORD, Bundle, join, load_bundle, save_bundle, split
from lightxml.fitting import arguments as parameters
from lightxml.metrics import measures as metrics
from lightxml.predicting import averaging
from lightxml.storage import estimator as persistence


class LightXMLEnsemble(ClassifierMixin, DocumentedEstimator):
    """Several `LightXMLClassifier` whose scores are averaged.

    The members differ in seed, encoder, features or any other argument. A label's score is the
    mean of the probabilities that they give it, as in LightXML's published ensembles [1]_ (three
    encoders, or three clusterings of the labels).

    Parameters
    ----------
    estimator : LightXMLClassifier or None, default=None
        Cloned `n_estimators` times, each clone with a `random_state` of its own in place of the
        one given. None: ``LightXMLClassifier()``.
    estimators : list of LightXMLClassifier or None, default=None
        The members, instead of `estimator`; each is cloned. A `random_state` given there is kept.
    n_estimators : int, default=3
        Clones of `estimator`.
    random_state : int, RandomState or None, default=None
        Decides the members' seeds, where it is for the ensemble to choose them. A
        ``RandomState`` is copied, never changed.

    Attributes
    ----------
    estimators_ : list of LightXMLClassifier
        The fitted members, each with its own ``history_``.
    classes_ : ndarray of shape (n_labels,)
        The labels; ``arange(n_labels)`` if `y` was an indicator matrix.
    n_features_in_ : int
        Columns of a numeric `X`; not there if `X` was documents.
    feature_names_in_ : ndarray of str
        Their names, if `X` was a data frame.

    References
    ----------
    .. [1] Jiang, Wang, Sun, Yang, Zhao, Zhuang, "LightXML: Transformer with Dynamic Negative
       Sampling for High-Performance Extreme Multi-label Text Classification", AAAI 2021.

    Examples
    --------
    >>> from lightxml import LightXMLClassifier, LightXMLEnsemble
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> texts = ["cats purr and sleep", "dogs bark and run", "cats and dogs are pets"] * 8
    >>> labels = [["cat"], ["dog"], ["cat", "dog"]] * 8
    >>> one = LightXMLClassifier(None, features=TfidfVectorizer(), max_epochs=8)
    >>> model = LightXMLEnsemble(one, n_estimators=2, random_state=0)
    >>> model.fit(texts, labels).predict_topk(["dogs bark"], k=1)
    array([['dog']], dtype=object)
    """

    def __init__(
        self,
        estimator: LightXMLClassifier | None = None,
        *,
        estimators: Sequence[LightXMLClassifier] | None = None,
        n_estimators: int = 3,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.estimators = estimators
        self.n_estimators = n_estimators
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Fit the members, one after the other.

        All their arguments are checked before the first is fitted. An exception leaves a previous
        fit as it was.

        Parameters
        ----------
        X, y, X_val, y_val
            As `LightXMLClassifier.fit` takes them; every member gets the same.

        Returns
        -------
        self : LightXMLEnsemble

        Raises
        ------
        TypeError, ValueError
            If an argument, a document or a label is not what is expected; the message names it.
        EncoderUnavailableError, NonFiniteLossError
            As `LightXMLClassifier.fit`.
        """
        members = self._make_members()
        for member in members:
            member.fit(X, y, X_val=X_val, y_val=y_val)
        self._keep(members)
        return self

    def predict_topk(self, X: Any, k: int = 5, *, return_scores: bool = False) -> Any:
        """Rank the labels of each document by their mean score.

        The ranking is that of the mean over all labels: a label outside every member's best is
        missed only if a rounding hides it. No array of all documents x labels is made; see
        ``lightxml.predicting.averaging``.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`
        k : int, default=5
            Labels a document, from 1 to the number of labels.
        return_scores : bool, default=False

        Returns
        -------
        labels : ndarray of shape (n_documents, k), of `classes_`'s dtype
            Best first; equal scores in the order of `classes_`.
        scores : ndarray of float32, shape (n_documents, k)
            Only with `return_scores`: each label's mean probability.

        Raises
        ------
        TypeError, ValueError
            If a document is no str, or `k` is not in range.
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self, "estimators_")
        parameters.check_k(k, len(self.classes_))
        columns, scores = averaging.mean_topk(self._read(X), len(self.classes_), k)
        labels = self.classes_[columns]
        return (labels, scores) if return_scores else labels

    def predict(self, X: Any) -> Any:
        """Return the labels with a mean score of at least 0.5.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`

        Returns
        -------
        y : ndarray, csr_matrix or csr_array of shape (n_documents, n_labels), or list of tuples
            In the form that `y` had at `fit`.
        """
        check_is_fitted(self, "estimators_")
        matrix = averaging.mean_positive(self._read(X), len(self.classes_))
        return decode(matrix, self.classes_, self.estimators_[0]._label_form)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the mean of the members' probabilities, for every label and document.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`

        Returns
        -------
        ndarray of float32, shape (n_documents, n_labels)

        Raises
        ------
        ValueError
            If that array would pass 2**28 entries (1 GiB); `predict_topk` has no such limit.
        """
        return averaging.of_all_labels(*self._read_dense(X), averaging.mean_score)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logit of the mean probability; as `predict_proba` otherwise."""
        return averaging.of_all_labels(*self._read_dense(X), averaging.logit_of_mean)

    def score(self, X: Any, y: Any) -> float:
        """Return the mean precision at 1: how often the first label is a true one.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`
        y : the true labels, in the form that `y` had at `fit`

        Returns
        -------
        float in [0, 1]
        """
        check_is_fitted(self, "estimators_")
        members, n_labels = self._read(X), len(self.classes_)
        form, n_documents = self.estimators_[0]._label_form, len(members[0][1])
        truth = encode_known(y, self.classes_, form, n_documents)
        columns, _ = averaging.mean_topk(members, n_labels, 1)
        return metrics.precision_at_k(truth, columns, 1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted ensemble to one folder; as `LightXMLClassifier.save`.

        `load` makes `estimator` or `estimators` anew from the members, with the seeds that they
        were fitted with. Up to 50 members can be saved.
        """
        check_is_fitted(self, "estimators_")
        given = "estimator" if self.estimator is not None else None
        values = {"n_estimators": self.n_estimators, "random_state": self.random_state}
        manifest = {
            "estimator": type(self).__name__,
            "params": persistence.params_to_json(values),
            "given": given if self.estimators is None else "estimators",
        }
        save_bundle(join([member._to_bundle() for member in self.estimators_], manifest), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str | torch.device = "auto") -> Self:
        """Load what `save` wrote; as `LightXMLClassifier.load`.

        Returns
        -------
        LightXMLEnsemble

        Raises
        ------
        BundleError
            If the folder is no whole, unchanged model of a known format.
        """
        return cls._from_bundle(load_bundle(path), device)

    @classmethod
    def _from_bundle(cls, bundle: Bundle, device: str | torch.device) -> Self:
        persistence.check_class(bundle, cls.__name__)
        members: list[LightXMLClassifier] = []
        for i, part in enumerate(split(bundle)):
            try:
                members.append(LightXMLClassifier._from_bundle(part, device))
            except BundleError as error:
                raise BundleError(f"{i}/{error}") from error
            if not _is_alike(members[0], members[i]):
                raise BundleError(f"{RECORD}: member {i} has other labels or input than the first.")
        given = bundle.manifest.get("given")
        if given not in (None, "estimator", "estimators"):
            raise BundleError(f"{RECORD}: its arguments are wrong (given={given!r:.100}).")
        model = cls(**_check_saved_params(bundle.manifest.get("params")))
        if given == "estimators":
            model.estimators = [clone(member) for member in members]
        elif given == "estimator":
            model.estimator = clone(members[0])
        model._keep(members)
        return model

    def __sklearn_tags__(self) -> Tags:
        return LightXMLClassifier().__sklearn_tags__()

    def _make_members(self) -> list[LightXMLClassifier]:
        """Return the members as they will be fitted, their arguments checked."""
        if isinstance(self.n_estimators, bool):
            raise TypeError("n_estimators is a bool; expected an int.")
        check_scalar(self.n_estimators, "n_estimators", Integral, min_val=1)
        if self.estimators is None:
            one = LightXMLClassifier() if self.estimator is None else self.estimator
            given = [("estimator", one)] * self.n_estimators
        elif self.estimator is not None:
            raise ValueError("estimator and estimators are both given; pass one of them.")
        elif not isinstance(self.estimators, (list, tuple)):
            raise TypeError(
                f"estimators is a {type(self.estimators).__name__}; expected a list of "
                "LightXMLClassifier."
            )
        elif not self.estimators:
            raise ValueError("estimators is empty; expected at least one LightXMLClassifier.")
        else:
            given = [(f"estimators[{i}]", one) for i, one in enumerate(self.estimators)]
        seed = draw_seed(self.random_state)
        members = []
        for i, (name, one) in enumerate(given):
            # Not even a subclass: what it overrides of prediction would go unheard here.
            if type(one) is not LightXMLClassifier:
                raise TypeError(f"{name} is {one!r}; expected a LightXMLClassifier.")
            member = clone(one)
            if self.estimators is None or member.random_state is None:
                member.random_state = seed + i
            try:
                parameters.check_params(member.get_params(deep=False))
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from error
            members.append(member)
        return members

    def _keep(self, members: list[LightXMLClassifier]) -> None:
        first = members[0]
        for member in members:
            member.classes_ = first.classes_  # equal; held once
        self.estimators_ = members
        self.classes_ = first.classes_
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)  # of an earlier fit
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))

    def _read(self, X: Any) -> averaging.Members:
        return [(member.network_, member._read(X)) for member in self.estimators_]

    def _read_dense(self, X: Any) -> tuple[averaging.Members, int]:
        check_is_fitted(self, "estimators_")
        members = self._read(X)
        check_dense(len(members[0][1]), len(self.classes_))
        return members, len(self.classes_)


def load(
    path: str | os.PathLike[str], device: str | torch.device = "auto"
) -> LightXMLClassifier | LightXMLEnsemble:
    """Load a saved classifier or ensemble; as `LightXMLClassifier.load`."""
    bundle = load_bundle(path)
    if bundle.manifest.get("estimator") == LightXMLEnsemble.__name__:
        return LightXMLEnsemble._from_bundle(bundle, device)
    return LightXMLClassifier._from_bundle(bundle, device)


def _is_alike(first: LightXMLClassifier, other: LightXMLClassifier) -> bool:
    """Tell whether two members were fitted on the same kind of `X` and `y`."""
    return (
        first._label_form == other._label_form
        and first.classes_.dtype == other.classes_.dtype
        and np.array_equal(first.classes_, other.classes_)
        and getattr(first, "n_features_in_", None) == getattr(other, "n_features_in_", None)
    )


def _check_saved_params(params: Any) -> dict[str, Any]:
    if (
        isinstance(params, dict)
        and params.keys() == {"n_estimators", "random_state"}
        and type(params["n_estimators"]) is int
        and params["n_estimators"] >= 1
        and type(params["random_state"]) in (int, type(None))
    ):
        return params
    raise BundleError(f"{RECORD}: its arguments are wrong ({params!r:.100}).")
