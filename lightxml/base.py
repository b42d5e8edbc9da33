"""What both estimators do alike: rank, predict, score, save, load, and how they are shown."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from lightxml.data.labels import decode, encode_known, has_known
from lightxml.files.bundle import Bundle
from lightxml.files.hub import CARD, check_repo, folder_of, push_folder
from lightxml.files.load import load_bundle
from lightxml.files.save import save_bundle
from lightxml.metrics.measures import precision_at_k
from lightxml.predicting.allowed import NONE, allowed_labels, topk_allowed
from lightxml.predicting.averaging import Members, mean_threshold
from lightxml.predicting.checks import check_dense, check_k, check_threshold
from lightxml.predicting.fitted import FittedModel
from lightxml.storage.card import card_of, check_license

if TYPE_CHECKING:
    import torch

DEFAULT_K = 5


class TopKEstimator(ClassifierMixin, BaseEstimator, ABC):
    """A scikit-learn classifier that ranks labels, of one fitted model or several.

    Fitted attributes are properties that read the fitted model. They are not there before
    `fit`, nor are those that this model has no use for: `hasattr` and `dir` say so.
    """

    @abstractmethod
    def __sklearn_is_fitted__(self) -> bool:
        """Tell whether `fit` was called."""

    @property
    @abstractmethod
    def _models(self) -> list[FittedModel]:
        """The fitted models: one, or an ensemble's."""

    @property
    def _first_model(self) -> FittedModel:
        check_is_fitted(self)
        return self._models[0]

    @abstractmethod
    def _members(self, X: Any) -> Members:
        """Return each fitted model with the documents as it reads them."""

    @abstractmethod
    def _topk(self, members: Members, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return columns and probabilities of the k best labels, (n_documents, k), best first."""

    @abstractmethod
    def _positive(self, members: Members, threshold: float | np.ndarray) -> sp.csr_array:
        """Return the labels that reach the threshold, csr_array of (n_documents, n_labels)."""

    @abstractmethod
    def _logits(self, members: Members) -> np.ndarray:
        """Return all labels' logits, ndarray of float32, (n_documents, n_labels)."""

    @abstractmethod
    def _probabilities(self, members: Members) -> np.ndarray:
        """Return all labels' probabilities, ndarray of float32, (n_documents, n_labels)."""

    @abstractmethod
    def _pack(self) -> Bundle:
        """Return what `save` writes."""

    @classmethod
    @abstractmethod
    def _unpack(cls, bundle: Bundle, device: str | torch.device) -> Self:
        """Return the estimator that `_pack` packed."""

    def predict_topk(
        self,
        X: Any,
        k: int | None = None,
        *,
        return_scores: bool = False,
        labels: Any = None,
        exclude: Any = None,
    ) -> Any:
        """Rank the labels of each document.

        The scores of an ensemble are the means of its members' probabilities. Each member names
        its `k` best labels, and 100 at least; all members score what any of them names.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`
        k : int or None, default=None
            Labels a document, from 1 to the number of labels. None: five, or all where there are
            fewer. Where `labels` and `exclude` leave no document so many, it is lowered to the
            most that they leave one.
        return_scores : bool, default=False
        labels : sequence of labels, matrix of shape (n_documents, n_labels), or None, default=None
            Rank these only; a sparse or dense matrix of 0 and 1 (or a frame) has another list for
            each document. All of them are scored, whether a ranker proposes them or not. For `k`
            up to 100, those that are ranked without `labels` too have the same scores, but for
            rounding.
        exclude : sequence of labels, matrix of shape (n_documents, n_labels), or None, default=None
            Never rank these. Where too few of the labels that are proposed are left, more are
            proposed.

        Returns
        -------
        labels : ndarray of shape (n_documents, k), of `classes_`'s dtype
            Best first; equal scores in the order of `classes_`. Of a network alone with label
            clusters, those of the `n_candidate_clusters` best, or of as many more as it takes to
            have `k`; with `labels`, those of any. Where a document may have fewer than others,
            None stands behind its last label, and the dtype is object.
        scores : ndarray of float32, shape (n_documents, k)
            Only with `return_scores`: each label's probability, by itself; 0 where there is none.

        Raises
        ------
        TypeError, ValueError
            If a document is no str, `k` is not in range, a label of `labels` or `exclude` is not
            in `classes_`, or they leave a document none.
        NotFittedError
            Before `fit`.
        """
        if k is None:
            k = min(DEFAULT_K, len(self.classes_))
        check_k(k, len(self.classes_))
        allowed = allowed_labels(labels, exclude, self.classes_)
        members = self._members(X)
        if allowed is None:
            columns, scores = self._topk(members, k)
        else:
            counts = allowed.counts(len(members[0][1]))
            columns, scores = topk_allowed(members, min(k, int(counts.max())), allowed, counts)
        found = self.classes_[columns]
        if (missing := columns == NONE).any():
            found = found.astype(object)
            found[missing] = None
        return (found, scores) if return_scores else found

    def predict(self, X: Any, *, threshold: Any = None) -> Any:
        """Return the labels whose probability is at least the threshold.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`
        threshold : float or array of float, shape (n_labels,), default=None
            A number above 0 and at most 1, or one for each label of `classes_`. None:
            `threshold_`, as `fit` chose it.

        Returns
        -------
        y : ndarray, csr_matrix or csr_array of shape (n_documents, n_labels), or list of tuples
            In the form that `y` had at `fit`.

        Raises
        ------
        TypeError, ValueError
            If a threshold is no number or out of range, if there is not one for each label, or if
            `y` would be a dense array of more than 2**28 entries (2 GiB).
        """
        model = self._first_model
        least = self.threshold_
        if threshold is not None:
            least = check_threshold(threshold, len(model.classes))
        form = model.label_form
        members = self._members_for_all_labels(X) if form == "dense" else self._members(X)
        return decode(self._positive(members, least), self.classes_, form)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of every label for every document.

        A label that no ranker proposes has 0. Of a network alone with label clusters, that of the
        label times that of its cluster, of all clusters. Of an ensemble, the mean of its members'
        probabilities.

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
        return self._probabilities(self._members_for_all_labels(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the logit of every label's probability; as `predict_proba` otherwise."""
        return self._logits(self._members_for_all_labels(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean precision at 1: how often the first label is a true one.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`
        y : the true labels, in the form that `y` had at `fit`
        sample_weight : array-like of shape (n_documents,), default=None
            How much each document counts.

        Returns
        -------
        float in [0, 1]
        """
        form, members = self._first_model.label_form, self._members(X)
        truth = encode_known(y, self.classes_, form, len(members[0][1]))
        has_known(y, truth, self.classes_, name="y")
        columns, _ = self._topk(members, 1)
        if sample_weight is None:
            return precision_at_k(truth, columns, 1)
        weights = _check_sample_weight(sample_weight, columns)
        if (weights < 0).any() or not weights.any():
            raise ValueError("sample_weight has a weight below 0, or none above 0.")
        hits = np.asarray(truth[np.arange(len(columns)), columns[:, 0]]).ravel()
        return float(np.average(hits, weights=weights))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator to a folder of JSON and safetensors files.

        A save replaces an earlier one at the same path as one step: killed anywhere, the old
        model or the new one is there, whole. An absolute path given as `encoder` is reduced to
        its last part (as ``./name``, which is no name on the hub), and a generator given as
        `random_state` to None (with a warning). Of an
        ensemble, up to 50 members can be saved; `estimator` or `estimators` are then made anew
        from them, with the seeds that they were fitted with.

        Parameters
        ----------
        path : str or path
            A folder; made if missing.

        Raises
        ------
        TypeError
            If a label is neither an int nor a str; pickle keeps those.
        OSError
            If the folder cannot be written; an earlier model there is kept.
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        save_bundle(self._pack(), path)

    def push_to_hub(
        self,
        repo: str,
        *,
        revision: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        license: str | None = None,
        message: str = "Upload a model of lightxml",
    ) -> str:
        """Save the fitted estimator to a repository on the Hugging Face Hub, with a model card.

        It is one commit: killed anywhere, the repository has the earlier model or this one, whole.
        The card, `lightxml.storage.card.model_card`, takes the place of ``README.md``; files of an
        earlier model go, all others stay. What a model reveals is then seen by all who may see
        the repository (docs/saving.md).

        Parameters
        ----------
        repo : str
            ``"user/name"``; made if missing.
        revision : str or None, default=None
            The branch; made if missing. None: the main one.
        private : bool or None, default=None
            Whether only you, and whom you let, may see the repository. None: as it is, or as the
            hub makes new ones, which is public for most users.
        token : str or None, default=None
            None: that of ``hf auth login``, or of the environment variable ``HF_TOKEN``.
        license : str or None, default=None
            Of the model, such as ``"cc-by-4.0"``, for the card.
        message : str
            Of the commit.

        Returns
        -------
        str
            The commit, which `load` takes as its revision.

        Raises
        ------
        TypeError
            If `save` would refuse the model.
        ValueError
            If `repo` or `license` is malformed, or the repository is there, and not as private as
            `private` says.
        HubError
            If the hub cannot be reached or refuses.
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        check_repo(repo)
        check_license(license)
        bundle = self._pack()
        card = card_of(bundle, self._models, repo=repo, license=license)
        with tempfile.TemporaryDirectory(prefix="lightxml-") as name:
            folder = Path(name)
            save_bundle(bundle, folder)
            (folder / CARD).write_text(card, "utf-8")
            return push_folder(
                folder, repo, revision=revision, private=private, token=token, message=message
            )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        device: str | torch.device = "auto",
        *,
        revision: str | None = None,
    ) -> Self:
        """Load what `save` or `push_to_hub` wrote. Nothing of it is run.

        A pickle, in contrast, runs code when it is loaded: unpickle only what you wrote yourself.

        Parameters
        ----------
        path : str or path
            A folder, for which no network is used; or ``"hf://user/name"``, a repository on the
            Hugging Face Hub, of which the model's files are downloaded, once. Log in
            (``hf auth login``, or ``HF_TOKEN``) for a private one.
        device : str or torch.device, default="auto"
            Where the model is put; it becomes the `device` of the estimator, or its members.
        revision : str or None, default=None
            A branch, a tag or a commit of the repository; None: its main branch, as it is now. A
            commit is always the same model.

        Returns
        -------
        The estimator, of the class that `load` was called on.

        Raises
        ------
        BundleError
            If the folder, or the repository, is no whole, unchanged model of a known format.
        ValueError
            If the name is malformed, or a folder is given a revision.
        HubError
            If the hub cannot be reached, or does not give the repository.
        """
        return cls._unpack(load_bundle(folder_of(path, revision)), device)

    @property
    def classes_(self) -> np.ndarray:
        """The labels, ndarray of shape (n_labels,)."""
        return self._first_model.classes

    @property
    def threshold_(self) -> float | np.ndarray:
        """From which probability on `predict` gives a label: a number, or each label's."""
        check_is_fitted(self)
        return mean_threshold(self._models)

    @property
    def n_features_in_(self) -> int:
        """Columns of a numeric X."""
        n_features = self._first_model.reader.n_features
        if n_features is None:
            raise AttributeError("n_features_in_ is of a numeric X, and X was documents at fit.")
        return n_features

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The names of these columns, if X was a data frame."""
        names = self._first_model.feature_names
        if names is None:
            raise AttributeError("feature_names_in_ is of a data frame, and X was none at fit.")
        return names

    def _members_for_all_labels(self, X: Any) -> Members:
        members = self._members(X)
        check_dense(len(members[0][1]), len(self.classes_))
        return members

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = True
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.multi_class = False
        return tags

    def __dir__(self) -> list[str]:
        """Return the names of what is there; scikit-learn's display asks for them."""
        return [
            name
            for name in super().__dir__()
            if not name.endswith("_") or name.startswith("_") or hasattr(self, name)
        ]

    # What scikit-learn shows of an estimator in a notebook tells of arguments and attributes on
    # links to its page on the web, and only where it knows such a page. Without one, the links
    # lead to the page that they are on.
    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        return _linked(super()._get_params_html(*args, **kwargs))

    def _get_fitted_attr_html(self, *args: Any, **kwargs: Any) -> Any:
        return _linked(super()._get_fitted_attr_html(*args, **kwargs))


def _linked(table: Any) -> Any:
    table.doc_link = getattr(table, "doc_link", "") or "#"
    return table
