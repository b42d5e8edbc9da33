"""A fitted model, apart from the estimator's arguments: the predict-time object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from lightxml.data.documents import EncodedDocuments, max_length_of, tokenize
from lightxml.data.inputs import Inputs, Reader
from lightxml.data.labels import LabelForm
from lightxml.data.matrices import FeatureMatrix
from lightxml.predicting.measured import Measured
from lightxml.rankers.base import Documents
from lightxml.rankers.final import LOWEST
from lightxml.rankers.label_vectors import LabelVectors
from lightxml.rankers.panel import Panel
from lightxml.rankers.sparse import blocks, narrow, normalized, stacked
from lightxml.rankers.vectors import Vectors
from lightxml.runtime.forks import use_one_thread_if_forked

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from lightxml.network.network import LightXMLNetwork
    from lightxml.network.text_reader import TextReader

_DOCUMENTS_AT_ONCE = 4_096  # whose representations are held; enough to sort them by length
N_CANDIDATES = 100  # of each document, where two models are asked about each other's


@dataclass(frozen=True)
class FittedModel:
    """What `fit` learns.

    Attributes
    ----------
    reader : Reader
        Of X, with the fitted vectorizer.
    classes : ndarray of shape (n_labels,)
    label_form : str
        The form that `y` had.
    network : LightXMLNetwork or None
        None where no network was trained.
    tokenizer : Tokenizer or None
        None without an encoder.
    history : list of dict, one an epoch
    panel : Panel or None
        The rankers and the final one. None where the network alone ranks.
    label_texts : tuple of tuples of str, length n_labels, or None
        The texts of each label, where any were given.
    encoder : TextReader or None
        A frozen one where no network is trained, for its vectors.
    threshold : float, or ndarray of float32, shape (n_labels,)
        From which probability on `predict` gives a label: one number, or each label's.
    measured : Measured or None
        What `fit` found on documents that it had not learned from. None where there were none, and
        once the model has gone on (`partial_fit`, `add_labels`, `remove_labels`).
    given : mapping of str
        The arguments that the fit had and that show in none of these: `encoder`, `label_clusters`
        and `propensity_weight`. Of a saved model, as they were saved.
    """

    reader: Reader
    classes: np.ndarray
    label_form: LabelForm
    network: LightXMLNetwork | None
    tokenizer: Tokenizer | None
    history: list[dict[str, float]]
    panel: Panel | None = None
    label_texts: tuple[tuple[str, ...], ...] | None = None
    encoder: TextReader | None = None
    threshold: float | np.ndarray = 0.5
    measured: Measured | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text_reader(self) -> TextReader | None:
        """What makes vectors of documents, or scores: the network, or the encoder alone."""
        return self.encoder if self.network is None else self.network

    @property
    def vector_reader(self) -> TextReader | None:
        """What makes the vectors that documents and label texts are compared by.

        A frozen encoder, or that of the network as it has been trained; None without an encoder.
        """
        reader = self.text_reader
        if reader is None or reader.encoder is None:
            return None
        if reader.is_frozen:
            return reader
        from lightxml.network.text_reader import pooled_reader

        return pooled_reader(reader)

    @property
    def compares_vectors(self) -> bool:
        """Whether one of the rankers reads an encoder's vectors."""
        rankers = () if self.panel is None else self.panel.rankers
        return any(ranker.name in (Vectors.name, LabelVectors.name) for ranker in rankers)

    @property
    def max_length(self) -> int:
        """Tokens a document; 0 without an encoder."""
        return 0 if self.tokenizer is None else max_length_of(self.tokenizer)

    @property
    def label_clusters(self) -> np.ndarray | None:
        """The cluster of each label, int64 of shape (n_labels,); None without clusters.

        -1 for a label that has come since the network was trained.
        """
        clusters = None if self.network is None else self.network.head.label_clusters
        if clusters is None or self.panel is None:
            return clusters
        ranker: Any = next(each for each in self.panel.rankers if each.name == "network")
        outputs = ranker.outputs
        return np.where(outputs < 0, -1, clusters[outputs])

    @property
    def vectorizer(self) -> Any:
        """The fitted transformer that turns documents into features; None without one."""
        return self.reader.vectorizer

    @property
    def feature_names(self) -> np.ndarray | None:
        """The columns of a numeric X, if it was a data frame."""
        return self.reader.feature_names

    @property
    def reads_texts(self) -> bool:
        """Whether X is documents, not a numeric matrix."""
        return self.reader.reads_texts

    def read(self, X: Any, *, name: str = "X") -> Documents:
        """Check what a caller passes as X, and give it as rankers and network read it.

        Raises
        ------
        TypeError, ValueError
            If it is not what the model was fitted on; the message names the argument.
        """
        return self.documents(self.reader.read(X, name=name))

    def documents(self, inputs: Inputs) -> Documents:
        """Give documents that the reader has read as rankers and network read them."""
        encoded = None
        if self.text_reader is not None:
            tokens = features = None
            if self.tokenizer is not None:
                assert inputs.texts is not None
                tokens = tokenize(inputs.texts, self.tokenizer, self.text_reader.reading.prompt)
            if self.network is not None and self.network.features is not None:
                assert inputs.matrix is not None
                features = self.network.features.prepare(inputs.matrix)
            encoded = EncodedDocuments(tokens, features)
        # Where the network alone ranks, no ranker reads rows.
        matrix = None if self.panel is None else inputs.matrix
        return Documents(rows_of(matrix, len(inputs)), inputs.texts, None, encoded)

    def topk(self, documents: Documents, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns of the k best labels of each document, best first, and their logits.

        Returns
        -------
        columns : ndarray of int64, shape (n_documents, k)
        logits : ndarray of float32, shape (n_documents, k)
        """
        if self.panel is None:
            from lightxml.network import prediction

            return prediction.predict_topk(self._trained, documents.encoded, k)
        columns = np.empty((len(documents), k), dtype=np.int64)
        logits = np.empty((len(documents), k), dtype=np.float32)
        for begin, some in self._represented(documents):
            end = begin + len(some)
            columns[begin:end], logits[begin:end] = self.panel.rank(some, k)
        return columns, logits

    def candidates(self, documents: Documents, k: int) -> sp.csr_array:
        """Return the logits of labels that may be the k best ones.

        Returns
        -------
        csr_array of float32, shape (n_documents, n_labels)
            Indices sorted; at least 100 of each document, where there are so many.
        """
        n_labels = len(self.classes)
        k = min(max(k, N_CANDIDATES), n_labels)
        if self.panel is not None:
            found = [
                self.panel.score(part, k)
                for _, some in self._represented(documents)
                for part in in_blocks(some)
            ]
            return stacked(found, n_labels)
        columns, logits = self.topk(documents, k)
        order = np.argsort(columns, axis=1)
        columns, logits = (np.take_along_axis(a, order, axis=1) for a in (columns, logits))
        pointers = np.arange(0, columns.size + 1, k)
        shape = (len(columns), n_labels)
        matrix: sp.csr_array = narrow(
            sp.csr_array((logits.ravel(), columns.ravel(), pointers), shape=shape)
        )
        return matrix

    def logits_of(self, documents: Documents, candidates: sp.csr_array) -> np.ndarray:
        """Return the logits of some labels of each document, proposed or not.

        Parameters
        ----------
        documents : Documents
        candidates : csr_array, shape (n_documents, n_labels)
            Its entries are the pairs; indices sorted.

        Returns
        -------
        ndarray of float32, shape (candidates.nnz,)
        """
        found = [np.empty(0, dtype=np.float32)]
        for begin, some in self._represented(documents):
            wanted = candidates[begin : begin + len(some)]
            if self.panel is not None:
                found.append(self.panel.logits_of(some, wanted))
            else:
                from lightxml.network.ranker import ranker_of

                ranker = ranker_of(self._trained, 0, np.ones(len(self.classes), dtype=bool))
                found.append(ranker.score(some, wanted)[:, 0])
        return np.concatenate(found)

    def positive(self, documents: Documents, threshold: float | np.ndarray) -> sp.csr_array:
        """Return the labels whose probability reaches the threshold.

        Parameters
        ----------
        documents : Documents
        threshold : float, or ndarray, shape (n_labels,)

        Returns
        -------
        csr_array of int8, shape (n_documents, n_labels)
        """
        if self.panel is None:
            from lightxml.network import prediction

            return prediction.predict_positive(self._trained, documents.encoded, threshold)
        found = self.candidates(documents, N_CANDIDATES)
        found.data = expit(found.data)
        return reaching(found, threshold)

    def all_logits(self, documents: Documents) -> np.ndarray:
        """Return every label's logit, float32 of shape (n_documents, n_labels).

        A label that no ranker proposes has -100: its probability is 0.
        """
        if self.panel is None:
            from lightxml.network import prediction

            return prediction.predict_logits(self._trained, documents.encoded)
        found = self.candidates(documents, N_CANDIDATES)
        logits = np.full(found.shape, LOWEST, dtype=np.float32)
        logits[np.repeat(np.arange(len(logits)), np.diff(found.indptr)), found.indices] = found.data
        return logits

    @property
    def _trained(self) -> LightXMLNetwork:
        assert self.network is not None  # as there is no panel
        return self.network

    def _represented(self, documents: Documents) -> Iterator[tuple[int, Documents]]:
        """Yield where some documents begin, and these, as the network represents them."""
        for begin, end in blocks(len(documents), _DOCUMENTS_AT_ONCE):
            yield begin, represented(self, documents.part(begin, end))


def represented(model: FittedModel, documents: Documents) -> Documents:
    """Return documents with what encoder and network make of them, so that they are asked once."""
    reader = model.text_reader
    if reader is None or documents.vectors is not None:
        return documents
    if documents.encoded.representations is not None:
        return documents
    from lightxml.network import prediction

    encoded, vectors = documents.encoded, None
    if reader.is_frozen:
        encoded = prediction.summarised(reader, encoded)
        assert encoded.summaries is not None
        vectors = encoded.summaries[:, -1]
    network = model.network
    if network is not None and network.trains_encoder and model.compares_vectors:
        encoded, vectors = prediction.represented_and_pooled(network, encoded)
    elif network is not None:
        encoded = prediction.represented(network, encoded)
    return replace(documents, vectors=vectors, encoded=encoded, memo={})


def reaching(probabilities: sp.csr_array, threshold: float | np.ndarray) -> sp.csr_array:
    """Return which entries reach a threshold, or their label's, a csr_array of int8.

    They are compared in float32, as `predict_proba` gives them.
    """
    least = np.asarray(threshold, dtype=np.float32)
    reached = probabilities.data.astype(np.float32) >= (
        least[probabilities.indices] if least.ndim else least
    )
    entries = (reached.astype(np.int8), probabilities.indices, probabilities.indptr)
    given = sp.csr_array(entries, shape=probabilities.shape)
    given.eliminate_zeros()
    return given


def in_blocks(documents: Documents) -> Iterator[Documents]:
    """Yield some documents at a time, as many as rankers are asked about at once."""
    from lightxml.rankers.opinions import DOCUMENTS_AT_ONCE

    for begin, end in blocks(len(documents), DOCUMENTS_AT_ONCE):
        yield documents.part(begin, end)


def rows_of(matrix: FeatureMatrix | None, n_documents: int) -> sp.csr_array:
    """Return the features of documents as rankers read them; without, rows of nothing."""
    if matrix is None:
        return sp.csr_array((n_documents, 0), dtype=np.float32)
    return normalized(sp.csr_array(matrix))


def place(model: FittedModel, precision: str, device: Any) -> None:
    """Put network or encoder, if there is one, on the device, ready to compute in this precision.

    Parameters
    ----------
    model : FittedModel
    precision, device
        The arguments of `LightXMLClassifier`.

    Raises
    ------
    ValueError
        If the network is to be on a device that this machine has not.
    """
    reader = model.text_reader
    if reader is None:
        return
    from lightxml.network.encoders import choose_attention
    from lightxml.runtime.devices import choose_autocast, choose_device

    use_one_thread_if_forked()
    chosen = choose_device(device)
    reader.autocast_dtype = choose_autocast(precision, chosen)
    if reader.encoder is not None:
        bf16 = reader.autocast_dtype is not None
        choose_attention(reader.encoder, model.max_length, chosen, bf16)
    reader.to(chosen)
