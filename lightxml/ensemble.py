"""Several estimators whose scores are averaged, behind the face of one."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from lightxml.arguments import ARGUMENTS, whole
from lightxml.base import TopKEstimator
from lightxml.classifier import LightXMLClassifier
from lightxml.data.random import RandomState, draw_seed
from lightxml.exceptions import BundleError, CheckpointError, warn
from lightxml.files.bundle import RECORD, Bundle, join, split
from lightxml.files.hub import folder_of
from lightxml.files.load import load_bundle
from lightxml.files.strict_json import parse_json
from lightxml.fitting.decisions import check_params
from lightxml.predicting import averaging
from lightxml.predicting.averaging import Members
from lightxml.predicting.fitted import FittedModel
from lightxml.runtime.ranks import is_first_process
from lightxml.storage import estimator as storage

if TYPE_CHECKING:
    import torch


class LightXMLEnsemble(TopKEstimator):
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
    random_state : int, RandomState, Generator or None, default=None
        Decides the members' seeds, where it is for the ensemble to choose them. A
        ``RandomState`` or ``Generator`` is copied, never changed.

    Attributes
    ----------
    estimators_ : list of LightXMLClassifier
        The fitted members, each with its own ``history_``.
    classes_ : ndarray of shape (n_labels,)
        The labels; ``arange(n_labels)`` if `y` was an indicator matrix, and the names of the
        columns if it was a data frame.
    threshold_ : float, or ndarray of float32, shape (n_labels,)
        From which probability on `predict` gives a label: the mean of the members' own.
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
    >>> one = LightXMLClassifier(None, features=TfidfVectorizer(), final_ranker=None)
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
        random_state: RandomState = None,
    ) -> None:
        self.estimator = estimator
        self.estimators = estimators
        self.n_estimators = n_estimators
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        label_texts: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Fit the members, one after the other.

        All their arguments are checked before the first is fitted. An exception leaves a previous
        fit as it was. With `checkpoint_dir`, a fit that was killed goes on with the member that it
        was at; seeds that the ensemble has drawn, and the members that are done, are kept there
        until all are.

        Parameters
        ----------
        X, y, sample_weight, label_texts, X_val, y_val
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

        Warns
        -----
        UserWarning
            If a member has ``warm_start=True``, and as `LightXMLClassifier.fit`.
        """
        members = self._make_members()
        seed_file = self._seed_file()
        if seed_file is not None:
            members = self._make_members(kept_seed(seed_file))
        self._warn_of_warm_start(members)
        folders: list[Path] = []
        for member in members:
            member._fit(X, y, label_texts, X_val, y_val, folders, sample_weight)
        self._keep(members)
        if is_first_process():
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
            if seed_file is not None:
                seed_file.unlink(missing_ok=True)
        return self

    def _warn_of_warm_start(self, members: list[LightXMLClassifier]) -> None:
        for i, member in enumerate(members):
            if member.warm_start:
                name = "estimator" if self.estimators is None else f"estimators[{i}]"
                warn(
                    f"{name}: warm_start=True has no effect in an ensemble, whose members are "
                    "clones and fitted anew. Leave warm_start out; a LightXMLClassifier by itself "
                    "goes on."
                )
                return

    def _seed_file(self) -> Path | None:
        """Return where this ensemble's seed is kept until it is done.

        None where its members' seeds are given, or have no folder for checkpoints.
        """
        if self.random_state is not None:
            return None
        one = LightXMLClassifier() if self.estimator is None else self.estimator
        given = [one] if self.estimators is None else self.estimators
        drawn = [each for each in given if self.estimators is None or each.random_state is None]
        folders = [each.checkpoint_dir for each in drawn if each.checkpoint_dir is not None]
        return Path(folders[0]) / "ensemble.json" if folders else None

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimators_")

    @property
    def _models(self) -> list[FittedModel]:
        return [estimator._model for estimator in self.estimators_]

    def _members(self, X: Any) -> Members:
        check_is_fitted(self)
        return [member for estimator in self.estimators_ for member in estimator._members(X)]

    def _topk(self, members: Members, k: int) -> tuple[np.ndarray, np.ndarray]:
        return averaging.mean_topk(members, k)

    def _positive(self, members: Members, threshold: float | np.ndarray) -> sp.csr_array:
        return averaging.mean_positive(members, threshold)

    def _logits(self, members: Members) -> np.ndarray:
        return averaging.of_all_labels(members, averaging.logit_of_mean)

    def _probabilities(self, members: Members) -> np.ndarray:
        return averaging.of_all_labels(members, averaging.mean_score)

    def _pack(self) -> Bundle:
        given = "estimator" if self.estimator is not None else None
        values = {"n_estimators": self.n_estimators, "random_state": self.random_state}
        manifest = {
            "estimator": type(self).__name__,
            "params": storage.params_to_json(values),
            "given": given if self.estimators is None else "estimators",
        }
        return join([member._pack() for member in self.estimators_], manifest)

    @classmethod
    def _unpack(cls, bundle: Bundle, device: str | torch.device) -> Self:
        storage.check_class(bundle, cls.__name__)
        members: list[LightXMLClassifier] = []
        for i, part in enumerate(split(bundle)):
            try:
                members.append(LightXMLClassifier._unpack(part, device))
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

    def _make_members(self, seed: int | None = None) -> list[LightXMLClassifier]:
        """Return the members as they will be fitted, their arguments checked.

        Their seeds are drawn from `seed`, where it is given.
        """
        _check_own_params(self.n_estimators, self.random_state)
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
        seed = draw_seed(self.random_state) if seed is None else seed
        members = []
        for i, (name, one) in enumerate(given):
            # Not even a subclass: what it overrides of prediction would go unheard here.
            if type(one) is not LightXMLClassifier:
                raise TypeError(f"{name} is {one!r}; expected a LightXMLClassifier.")
            member = clone(one)
            if self.estimators is None or member.random_state is None:
                member.random_state = seed + i
            try:
                check_params(member.get_params(deep=False))
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from error
            members.append(member)
        return members

    def _keep(self, members: list[LightXMLClassifier]) -> None:
        classes = members[0].classes_
        for member in members:  # equal; held once
            member._model = replace(member._model, classes=classes)
        self.estimators_ = members


def kept_seed(file: Path) -> int:
    """Return the seed that is kept in a file; a new one is put there, whole or not at all.

    Raises
    ------
    CheckpointError
        If the file holds anything else.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    side = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    side.write_text(json.dumps({"seed": draw_seed(None)}), "utf-8")
    try:
        with contextlib.suppress(FileExistsError):  # an earlier start, or another process
            os.link(side, file)
    finally:
        side.unlink()
    try:
        found = parse_json(file.read_bytes(), name=str(file))
    except BundleError as error:
        raise CheckpointError(f"{error} Delete it to begin anew.") from error
    if not isinstance(found, dict) or type(found.get("seed")) is not int:
        raise CheckpointError(f"{file}: holds no seed. Delete it to begin anew.")
    seed: int = found["seed"]
    return seed


def load(
    path: str | os.PathLike[str],
    device: str | torch.device = "auto",
    *,
    revision: str | None = None,
) -> LightXMLClassifier | LightXMLEnsemble:
    """Load a saved classifier or ensemble; as `LightXMLClassifier.load`."""
    bundle = load_bundle(folder_of(path, revision))
    if bundle.manifest.get("estimator") == LightXMLEnsemble.__name__:
        return LightXMLEnsemble._unpack(bundle, device)
    return LightXMLClassifier._unpack(bundle, device)


def _is_alike(first: LightXMLClassifier, other: LightXMLClassifier) -> bool:
    """Tell whether two members were fitted on the same kind of `X` and `y`."""
    one, two = first._model, other._model
    return (
        one.label_form == two.label_form
        and one.classes.dtype == two.classes.dtype
        and np.array_equal(one.classes, two.classes)
        and getattr(first, "n_features_in_", None) == getattr(other, "n_features_in_", None)
    )


def _check_saved_params(params: Any) -> dict[str, Any]:
    if not isinstance(params, dict) or params.keys() != {"n_estimators", "random_state"}:
        raise BundleError(f"{RECORD}: its arguments are wrong ({params!r:.100}).")
    try:
        _check_own_params(**params)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{RECORD}: its arguments are wrong ({error}).") from error
    return params


def _check_own_params(n_estimators: Any, random_state: Any) -> None:
    whole(1).check("n_estimators", n_estimators)
    ARGUMENTS["random_state"].kind.check("random_state", random_state)
