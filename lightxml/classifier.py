"""The estimator: scikit-learn's face over the rankers, the network among them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from joblib import Memory
from scipy.special import expit
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from lightxml.arguments import ARGUMENTS
from lightxml.base import TopKEstimator
from lightxml.data.random import RandomState
from lightxml.exceptions import BundleError
from lightxml.files.bundle import RECORD, Bundle
from lightxml.fitting.decisions import check_params
from lightxml.predicting.averaging import Members
from lightxml.predicting.fitted import FittedModel, place
from lightxml.rankers.base import Documents, Ranker
from lightxml.rankers.final import FinalRanker
from lightxml.storage import estimator as storage
from lightxml.storage.model import for_pickle, from_pickle, own_classifier

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

    from lightxml.network.encoders import EncoderConfig
    from lightxml.network.network import LightXMLNetwork


class LightXMLClassifier(TopKEstimator):
    """Extreme multi-label text classification with several rankers, a transformer among them.

    Documents are ranked against thousands to millions of labels. Each ranker proposes some
    labels of a document; each scores what any of them proposed; a final ranker, which has learnt
    from documents held out how far to trust each, says a probability. The rankers are linear
    classifiers, neighbors, the texts of the labels, and LightXML's network [1]_: the summary
    vectors of an encoder's last layers, joined, feed one logistic output for each label, or for
    each label of the best label clusters, and encoder and outputs are trained together.

    Three settings to begin with; all other arguments can wait:

    - ``LightXMLClassifier(None, features=TfidfVectorizer(sublinear_tf=True, min_df=2))`` reads
      words alone, and trains no network: seconds to minutes on any machine. A sparse `X` does
      without `features`.
    - ``LightXMLClassifier(FOLDER, freeze_encoder=True, features=...)`` reads each document once
      with a pretrained encoder too: some minutes more.
    - ``LightXMLClassifier(features=...)`` trains the encoder: on a GPU.

    Where labels have names, give them to each: ``fit(X, y, label_texts=...)``.

    ``lightxml.presets`` has more. The arguments stand in seven groups: what is read,
    representation, labels, ranking, training, when it ends, running. One that is set where it has
    no effect gives a warning.

    Parameters
    ----------
    encoder : str, path, transformers config or None, default="auto"
        A hub name, a local folder saved with ``save_pretrained``, by model2vec too, a transformers
        config (trained from scratch), or ``"tiny"``: a BERT of 4 layers, width 256 and 4 heads
        with a vocabulary of up to 8,000 word pieces, both learnt from the training documents
        alone; it needs no download, and is for trials and tests: words alone rank better. None:
        no encoder, features alone. ``"auto"`` is ``"Alibaba-NLP/gte-modernbert-base"`` for
        documents, and None for a numeric `X`.
    features : scikit-learn vectorizer or None, default=None
        Such as ``TfidfVectorizer(sublinear_tf=True, min_df=2)``, or a ``FeatureUnion`` of
        several: cloned and fitted on the training documents. It reads whole documents, however
        long, and its output is embedded and joined to the encoder's representation.
    freeze_encoder : bool, default=False
        Leave a pretrained encoder as it is: each document goes through it once, its summary
        vectors are kept in half precision, standardised over the training documents, and the
        rest is trained on them.
    max_length : int, default=512
        Tokens a document, special ones and those of `prompt` included; what is longer is cut.
    pooling : {"auto", "cls", "mean", "last"}, default="auto"
        The vector by which neighbors and label texts compare what the encoder has read: of its
        last layer the summary token ([CLS]), the mean of all tokens, or the last token. ``"auto"``:
        as the model's own files say (``modules.json``, ``1_Pooling/config.json``); if they say
        nothing, the mean, and the last token of a decoder. The network reads the summary vectors
        of `n_feature_layers` in any case.
    prompt : str or None, default=None
        Put before each document and each label text, for encoders that were trained with one, such
        as ``"passage: "``. None: the default prompt of the model's own files
        (``config_sentence_transformers.json``), if they name one; ``""``: none.
    n_feature_layers : int, default=5
        The last hidden layers whose summary ([CLS]) vectors make the text representation; all
        layers, if the encoder has fewer. A decoder's are those of the last token, and T5's the
        means of all tokens.
    feature_dim : int or "auto", default="auto"
        Width of the features' embedding; ``"auto"``: 512, and 1024 for more than 10,000 labels.
    se_block : bool, default=False
        Weigh the joined layers against each other with a squeeze-and-excitation block [2]_.
    dropout : float in [0, 1), default=0.5
        On the text representation, in training.
    label_clusters : "auto", bool, clusterer or array of int, default="auto"
        Whether a document is ranked against the labels of its best clusters only, as in the
        paper, and how labels are clustered: True takes `lightxml.clustering.BalancedKMeans`, a
        scikit-learn clusterer is cloned and fitted on the label features (the normalised sum of
        the TF-IDF rows, or of the features, of a label's documents), an array has a cluster
        number for each label of `classes_`. False ranks all labels. ``"auto"``: True for more
        than 100,000 labels.
    max_cluster_size : int, default=100
        Labels of a cluster with ``label_clusters=True``.
    n_candidate_clusters : int, default=32
        Clusters whose labels a document is ranked against; in training with its own labels' ones.
    label_dim : int or "auto", default="auto"
        Width of the label embeddings. Without clusters, an int puts a layer of this width before
        the labels, which are then worked through in chunks, and have neither gradients nor
        moments kept. ``"auto"`` is 400 with clusters; without them there is no such layer until
        the output layer would pass 2**27 weights, and then it is 400 too.
    n_random_negatives : int, default=0
        With label clusters: labels drawn anew at each step from outside a document's candidates,
        which join them as negatives.
    loss_correction : bool, default=False
        With label clusters: give the gradient that the clusters' loss sends to the text
        representation the length of the one that the labels' loss sends, batch by batch.
    rankers : "auto" or tuple of str, default="auto"
        Who proposes and scores labels, of ``"linear"``, ``"neighbors"``, ``"label_texts"`` and
        ``"network"``. ``"auto"``: linear classifiers [5]_ and neighbors where there are sparse
        features; neighbors by an encoder's vectors too, and by these alone where it is frozen;
        the labels' texts where `fit` is given any, by an encoder's vectors too; the network where
        an encoder is trained, and where there are no sparse features.
        Above 200,000 training documents, what a label's documents have in common takes the place
        of the neighbors. ``("network",)``: LightXML alone, without a final ranker.
    final_ranker : "auto", None or classifier, default="auto"
        What decides, given all that the rankers say of a label. ``"auto"``: gradient-boosted
        trees [6]_ on documents held out, calibrated on them. Below 2,500 documents, and without a
        network, each of five folds is held out in turn. There, and where fewer than 500 documents
        are held out, a logistic regression on one ranker's scores takes the place of the trees if
        it ranks better. None: the plain mean of the rankers' probabilities, and nothing is held
        out. A scikit-learn classifier with ``predict_proba`` is cloned and fitted on the rankers'
        scores; it is not calibrated.
    threshold : float in (0, 1], "micro_f1", "macro_f1" or "samples_f1", default="micro_f1"
        What `predict` gives: labels with at least this probability; or the threshold with the best
        F1 on the documents that the final ranker learned from: of all pairs of document and label
        together [7]_, as the mean over labels (then each label has its own [8]_), or as the mean
        over documents. Where nothing is held out, as with ``final_ranker=None`` and the network
        alone, it is 0.5.
    propensity_weight : float, default=0
        How much rare labels are preferred: when the training is done, each label's logit is
        raised by this times ``-ln p`` of its propensity p [4]_, as `lightxml.metrics.propensities`
        has it. It trades P@k for PSP@k: on EURLEX57K, 1 cost next to nothing, and 2 a third of a
        point of P@1 for four of PSP@1 (docs/features.md). Scores, `predict` and `predict_proba`
        are raised with it.
    max_epochs : int or "auto", default="auto"
        ``"auto"`` is 20 for a trained encoder. Without one, as many as make 1,000 steps, but at
        least 8 and at most 20.
    batch_size : int or "auto", default="auto"
        Documents a batch. ``"auto"`` is 16 for a trained encoder; without one 128, and 256 for
        more than 10,000 labels.
    accumulate : int, default=1
        Batches whose gradients make one optimizer step, as if they were one large batch.
    learning_rate : float, default=1e-4
        Of the encoder, with AdamW.
    head_learning_rate : float or "auto", default="auto"
        Of everything else, with AdamW, but for tables, whose row-wise Adagrad has 40 times this
        rate for sparse features and 10 times for label embeddings. ``"auto"`` is 2e-3 beside a
        trained encoder, and 5e-3 without one.
    weight_decay : float, default=0.01
        Of all weights but biases, layer norms and tables.
    schedule : {"linear", "constant"}, default="linear"
        ``"linear"``: rates rise over the first 5 % of the steps and then fall to zero;
        ``"constant"`` as in the paper.
    swa_start : float in [0, 1) or None, default=0.5
        The fraction of the training after which the mean of the weights is kept (stochastic
        weight averaging [3]_); it is what predicts. None: off.
    swa_every : int or "auto", default="auto"
        Steps between two additions to that mean; ``"auto"``: ten an epoch, and one without a
        trained encoder.
    warm_start : bool, default=False
        The next `fit` goes on from the network of the last one, of `load` and of a pickle too, as
        in scikit-learn: vectorizer, tokenizer, encoder, embeddings, label clusters and the weights
        of labels that are still there are its start, and new words and labels join them.
        `max_epochs` come on top, with a new schedule; all other rankers, the final one and the
        threshold are fitted anew (docs/updating.md). Both networks are in memory meanwhile.
        ``"auto"`` is then what the network has; what asks for another form of it is an error. The
        first fit is as ever.
    early_stopping : bool, default=False
        End the training when it no longer helps, and keep the weights of the best epoch: by P@5
        of validation documents, scored with the averaged weights (P@3 with 4 or 5 labels, P@1
        with fewer).
    validation_fraction : float in (0, 1), int or "auto", default="auto"
        The fraction, or number, of the training documents that are held out where there is no
        `X_val`. The final ranker learns from them, and early stopping goes by them. Then they join
        linear classifiers and neighbors; the network has not learnt from them. ``"auto"``: a
        tenth, at least 500 and at most 5,000, but with a network never more than a fifth; where
        the network alone ranks, a tenth, and only for early stopping.
    n_iter_no_change : int, default=3
        Epochs without a better one after which early stopping ends the training.
    device : str or torch.device, default="auto"
        Where the network computes, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; ``"auto"``
        takes a GPU where there is one. All other rankers are on the CPU.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        Of the encoder; ``"auto"`` is bf16 where the hardware computes in it. Scores are always
        computed in float32 from the text representation on.
    random_state : int, RandomState, Generator or None, default=None
        Decides initial weights, the order of documents, dropout, and which documents are held
        out. A ``RandomState`` or ``Generator`` is copied, never changed.
    n_jobs : int or None, default=None
        Threads that make label clusters, with ``label_clusters=True``, and that fit linear
        classifiers; the result does not depend on it. In a `joblib.parallel_config` context that
        names a backend, such as ``"loky"``, ``"ray"`` or ``"dask"``, they are its processes.
    memory : str, path, joblib.Memory or None, default=None
        A folder that keeps a frozen encoder's vectors across fits, document by document. They
        are read again where encoder, number of layers, precision and tokens are the same.
    checkpoint_dir : str, path or None, default=None
        A folder for checkpoints of the network, and for linear classifiers that took long. `fit`
        with the same arguments and data then goes on where it was killed or interrupted, to the
        same weights (docs/checkpoints.md). They are deleted when the fit is done.
    checkpoint_minutes : float, default=10
        From one checkpoint to the next within an epoch; there is one at each epoch's end as well.
        Where writing takes long there are fewer: it costs at most 2 % of the time.
    verbose : int, default=0
        1 shows a progress bar with documents a second, time left, loss and validation P@1, and
        says which ranker is being fitted.

    Attributes
    ----------
    classes_ : ndarray of shape (n_labels,)
        The labels, those that only have a text among them. If `y` was an indicator matrix,
        ``arange(n_labels)``; if it was a data frame, the names of its columns.
    rankers_ : tuple of rankers
        Who proposes and scores labels, each with its ``name``; empty where the network alone
        ranks.
    final_ranker_ : final ranker or None
        What decides; None where the network alone ranks.
    threshold_ : float, or ndarray of float32, shape (n_labels,)
        From which probability on `predict` gives a label; with ``"macro_f1"`` each label's.
    label_texts_ : tuple of tuples of str, length n_labels, or None
        The texts of each label of `classes_`; None if none were given, or if they were a matrix.
    label_clusters_ : ndarray of int64, shape (n_labels,), or None
        The cluster of each label; None without clusters.
    network_ : torch.nn.Module or None
        The trained network, in evaluation mode; None where none was trained.
    tokenizer_ : tokenizers.Tokenizer or None
        Turns documents into token numbers, if there is an encoder.
    vectorizer_ : fitted vectorizer or None
        The clone of `features` that turns documents into features.
    n_features_in_ : int
        Columns of a numeric `X`; not there if `X` was documents.
    feature_names_in_ : ndarray of str
        Their names, if `X` was a data frame.
    history_ : list of dict, one an epoch
        ``"epoch"`` (from 1), ``"loss"`` (sum over labels, mean over documents), and with
        documents held out ``"precision_at_1"``, ``"precision_at_3"`` and ``"precision_at_5"``, as
        far as there are that many labels: of the network alone. Empty without a network.
    n_iter_ : int
        Epochs trained: with early stopping, those after the best one included.
    reading_ : dict
        How the table was read that the command line trained on: ``load_table(file,
        **model.reading_)`` reads another like it. In Python it is there where it was set, to the
        ``reading`` of `lightxml.datasets.load_table`; `save` keeps it, the next `fit` drops it.

    References
    ----------
    .. [1] Jiang, Wang, Sun, Yang, Zhao, Zhuang, "LightXML: Transformer with Dynamic Negative
       Sampling for High-Performance Extreme Multi-label Text Classification", AAAI 2021.
    .. [2] Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018.
    .. [3] Izmailov et al., "Averaging Weights Leads to Wider Optima and Better
       Generalization", UAI 2018.
    .. [4] Jain, Prabhu, Varma, "Extreme Multi-label Loss Functions for Recommendation, Tagging,
       Ranking & Other Missing Label Applications", KDD 2016.
    .. [5] Zhang, Chang, Yu, Dhillon, "Fast Multi-Resolution Transformer Fine-tuning for Extreme
       Multi-label Text Classification", NeurIPS 2021.
    .. [6] Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", Annals of
       Statistics, 2001.
    .. [7] Lewis, "Evaluating and Optimizing Autonomous Text Classification Systems", SIGIR 1995.
    .. [8] Yang, "A Study of Thresholding Strategies for Text Categorization", SIGIR 2001.

    Examples
    --------
    >>> from lightxml import LightXMLClassifier
    >>> texts = ["cats purr and sleep", "dogs bark and run", "cats and dogs are pets"] * 8
    >>> labels = [["cat"], ["dog"], ["cat", "dog"]] * 8
    >>> model = LightXMLClassifier("tiny", max_epochs=8, learning_rate=1e-3, random_state=0)
    >>> model.fit(texts, labels).predict_topk(["dogs bark"], k=1)
    array([['dog']], dtype=object)
    """

    _model: FittedModel
    reading_: dict[str, Any]

    def __init__(
        self,
        encoder: str | os.PathLike[str] | EncoderConfig | None = "auto",
        *,
        features: Any = None,
        freeze_encoder: bool = False,
        max_length: int = 512,
        pooling: Literal["auto", "cls", "mean", "last"] = "auto",
        prompt: str | None = None,
        n_feature_layers: int = 5,
        feature_dim: int | Literal["auto"] = "auto",
        se_block: bool = False,
        dropout: float = 0.5,
        label_clusters: Any = "auto",
        max_cluster_size: int = 100,
        n_candidate_clusters: int = 32,
        label_dim: int | Literal["auto"] = "auto",
        n_random_negatives: int = 0,
        loss_correction: bool = False,
        rankers: Sequence[str] | Literal["auto"] = "auto",
        final_ranker: Any = "auto",
        threshold: float | Literal["micro_f1", "macro_f1", "samples_f1"] = "micro_f1",
        propensity_weight: float = 0,
        max_epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        accumulate: int = 1,
        learning_rate: float = 1e-4,
        head_learning_rate: float | Literal["auto"] = "auto",
        weight_decay: float = 0.01,
        schedule: Literal["linear", "constant"] = "linear",
        swa_start: float | None = 0.5,
        swa_every: int | Literal["auto"] = "auto",
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float | Literal["auto"] = "auto",
        n_iter_no_change: int = 3,
        device: str | torch.device = "auto",
        precision: Literal["auto", "bf16", "fp32"] = "auto",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        memory: str | os.PathLike[str] | Memory | None = None,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        checkpoint_minutes: float = 10,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.features = features
        self.freeze_encoder = freeze_encoder
        self.max_length = max_length
        self.pooling = pooling
        self.prompt = prompt
        self.n_feature_layers = n_feature_layers
        self.feature_dim = feature_dim
        self.se_block = se_block
        self.dropout = dropout
        self.label_clusters = label_clusters
        self.max_cluster_size = max_cluster_size
        self.n_candidate_clusters = n_candidate_clusters
        self.label_dim = label_dim
        self.n_random_negatives = n_random_negatives
        self.loss_correction = loss_correction
        self.rankers = rankers
        self.final_ranker = final_ranker
        self.threshold = threshold
        self.propensity_weight = propensity_weight
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.swa_start = swa_start
        self.swa_every = swa_every
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.memory = memory
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_minutes = checkpoint_minutes
        self.verbose = verbose

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
        """Learn to rank labels for documents.

        An exception leaves a previous fit as it was. With ``warm_start=True`` the network goes on
        from a previous fit. `classes_` are those of this `y` and these `label_texts`: labels that
        are new begin as in any fit, and labels that are gone are forgotten. Documents held out of
        `X` may then be some that the network has learned from, and what it says of them is believed
        too much: pass `X_val`.

        Parameters
        ----------
        X : list, tuple, 1-D array, Series or arrow array of str, length n_documents; or numbers
            The documents, or with ``encoder=None`` and ``"auto"`` a sparse or dense matrix, or a
            data frame of any library, of shape (n_documents, n_features).
        y : indicator matrix of shape (n_documents, n_labels), or list of collections of labels
            The matrix may be dense, a data frame or in any scipy sparse format, with entries 0
            and 1. The names of a frame's columns are the labels.
        sample_weight : array-like of shape (n_documents,), default=None
            How much each document counts, 0 or above: in the linear classifiers (as a factor of
            C), in the votes of the neighbors, in the network's loss (the weighted mean over its
            documents: of a common factor it sees nothing), and in what the final ranker learns. A
            document of weight 0 is left out, and a label that only such documents have is none of
            `classes_`. Label clusters, the vectorizer, the threshold and counts of labels take all
            others as equal. A `final_ranker` of your own must take `sample_weight` in its `fit`.
            The documents of `X_val` count 1 each.
        label_texts : mapping of label to text, or sequence of texts, default=None
            What the labels mean: a text, or a list of texts (name, synonyms, description). Labels
            that only have a text become classes too, and can be predicted. With an indicator
            matrix, a text (or None) for each column. Where `X` is a numeric matrix, a matrix of
            shape (n_labels, n_features) instead.
        X_val, y_val : optional
            Validation documents and their labels, in the same forms. The final ranker learns from
            them, in place of documents held out of `X`; early stopping goes by them; what the
            network ranks of them is measured after each epoch into `history_`. Nothing else
            learns from them.

        Returns
        -------
        self : LightXMLClassifier

        Raises
        ------
        TypeError, ValueError
            If an argument, a document or a label is not what is expected; the message names it.
        EncoderUnavailableError
            If the encoder cannot be loaded.
        NonFiniteLossError
            If the training diverges; with the step and its documents.
        DeviceMemoryError
            If a GPU's memory is not enough.
        CheckpointError
            If there are checkpoints of this fit, but none that can be used.
        OSError
            If `checkpoint_dir` cannot be written at the start.
        KeyboardInterrupt, SystemExit
            With `checkpoint_dir`, after Ctrl-C or SIGTERM and one more checkpoint.

        Warns
        -----
        LongFitWarning
            If the first steps show that the fit takes over an hour on a CPU.
        UserWarning
            If the training may take more memory than is free, if label clusters are far out of
            balance or fewer than `n_candidate_clusters`, if an argument has no effect, or if none
            of the labels of `y_val` is one of `y` (then `X_val` is left out), if few documents
            have a feature in common, or if `save` will refuse the model.
        CheckpointWarning
            If a checkpoint is damaged, could not be written, or the disk has no room for two.
        """
        return self._fit(X, y, label_texts, X_val, y_val, sample_weight=sample_weight)

    def _fit(
        self,
        X: Any,
        y: Any,
        label_texts: Any,
        X_val: Any,
        y_val: Any,
        kept: list[Path] | None = None,
        sample_weight: Any = None,
    ) -> Self:
        """Fit; where `kept` is a list, checkpoints stay, and their folder is added to it."""
        from lightxml.fitting.fit import fit_model  # a model that is loaded does without

        params = self.get_params(deep=False)
        storage.warn_if_unsavable(params)
        earlier = self._model if self.warm_start and self.__sklearn_is_fitted__() else None
        model = fit_model(params, X, y, X_val, y_val, label_texts, kept, sample_weight, earlier)
        self._model = replace(model, given=_not_seen(params))
        self.__dict__.pop("reading_", None)  # of other data
        if (own := own_classifier(self._model)) is not None:  # of trees, only the fitted ones tell
            storage.warn_if_unsavable({**params, "features": None, "final_ranker": own})
        return self

    def partial_fit(
        self, X: Any, y: Any, *, sample_weight: Any = None, label_texts: Any = None
    ) -> Self:
        """Learn from more documents, and more labels, without a new fit.

        The documents join the neighbors; the linear classifiers of their labels, and of labels
        that take a new document for theirs, are fitted anew on all documents. A `TfidfVectorizer`
        or `CountVectorizer` whose features no network reads learns the new words too, behind the
        known ones. From 250 documents on, a final ranker is fitted on what the rankers say of them
        before they join; with its threshold it takes the place of the present one if it ranks them
        better. The idf of known words and a network stay as they are. An estimator that is not
        fitted is fitted.

        Parameters
        ----------
        X : documents or numeric matrix, as at `fit`
        y : the labels of the documents, in the form that `y` had at `fit`
            New labels come behind the others in `classes_`, sorted among themselves. Of an
            indicator matrix they are further columns; of a data frame, columns of other names.
        sample_weight : array-like of shape (n_documents,), default=None
            As at `fit`.
        label_texts : mapping, sequence or matrix, default=None
            As at `fit`, of labels whose texts are new; labels that only have a text become
            classes too. Where X is numeric, a row for each label.

        Returns
        -------
        The estimator itself. If there is an error, it is as it was.

        Raises
        ------
        TypeError, ValueError
            If `X`, `y`, `sample_weight` or `label_texts` is not what `fit` takes, does not go
            with what was learned, or the model has not kept its training documents: it does so
            with the ranker "neighbors" and up to 200,000 documents.

        Warns
        -----
        UserWarning
            If the network has learned from less than half of the documents.
        """
        if not self.__sklearn_is_fitted__():
            return self._fit(X, y, label_texts, None, None, sample_weight=sample_weight)
        from lightxml.fitting.update import with_more

        self._check_names(X)
        params = self.get_params(deep=False)
        self._model = with_more(params, self._model, X, y, sample_weight, label_texts)
        return self

    def add_labels(self, label_texts: Any) -> Self:
        """Add labels that have a text and no document.

        Parameters
        ----------
        label_texts : mapping of label to text, or sequence of texts
            As at `fit`. New labels come behind the others in `classes_`, sorted among themselves;
            the texts of a known label take the place of its earlier ones. A sequence, or numbers
            behind those of the columns, where `y` was an indicator matrix: its next columns.

        Returns
        -------
        The estimator itself. If there is an error, it is as it was.

        Raises
        ------
        TypeError, ValueError
            If `label_texts` is not what `fit` takes, a new label has no text, or the model was
            fitted without label texts.
        NotFittedError
            Before `fit`.
        """
        from lightxml.fitting.update import with_labels

        self._model = with_labels(self.get_params(deep=False), self._first_model, label_texts)
        return self

    def remove_labels(self, labels: Any) -> Self:
        """Forget labels.

        Parameters
        ----------
        labels : list of labels
            Where `y` was an indicator matrix, they stay in `classes_` and are never predicted.

        Returns
        -------
        The estimator itself. If there is an error, it is as it was.

        Raises
        ------
        TypeError, ValueError
            If one of them is no label of the model, or none is left.
        NotFittedError
            Before `fit`.
        """
        from lightxml.fitting.update import without_labels

        self._model = without_labels(self.get_params(deep=False), self._first_model, labels)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    @property
    def _models(self) -> list[FittedModel]:
        return [self._model]

    @property
    def rankers_(self) -> tuple[Ranker, ...]:
        """Who proposes and scores labels; empty where the network alone ranks."""
        panel = self._first_model.panel
        return () if panel is None else panel.rankers

    @property
    def final_ranker_(self) -> FinalRanker | None:
        """What decides, given the opinions of all rankers; None where the network alone ranks."""
        panel = self._first_model.panel
        return None if panel is None else panel.final

    @property
    def label_texts_(self) -> tuple[tuple[str, ...], ...] | None:
        """The texts of each label, where any were given."""
        return self._first_model.label_texts

    @property
    def network_(self) -> LightXMLNetwork | None:
        """The trained network, in evaluation mode; None where none was trained."""
        return self._first_model.network

    @property
    def tokenizer_(self) -> Tokenizer | None:
        """Turns documents into token numbers, if there is an encoder."""
        return self._first_model.tokenizer

    @property
    def vectorizer_(self) -> Any:
        """The clone of `features` that turns documents into features, or None."""
        return self._first_model.vectorizer

    @property
    def label_clusters_(self) -> np.ndarray | None:
        """The cluster of each label, int64 of shape (n_labels,); None without clusters."""
        return self._first_model.label_clusters

    @property
    def history_(self) -> list[dict[str, float]]:
        """What was measured, a dict an epoch."""
        return self._first_model.history

    @property
    def n_iter_(self) -> int:
        """Epochs trained."""
        return len(self._first_model.history)

    def _read(self, X: Any) -> Documents:
        model = self._first_model
        documents = model.read(X)
        self._check_names(X)
        if model.text_reader is None or self.memory is None:
            return documents
        from lightxml.predicting import frozen

        encoded = frozen.with_kept_summaries(model.text_reader, documents.encoded, self.memory)
        return replace(documents, encoded=encoded)

    def _check_names(self, X: Any) -> None:
        """Refuse a data frame whose columns have other names than those of the fit."""
        if not self._first_model.reads_texts:
            validate_data(self, X, skip_check_array=True, reset=False)

    def _members(self, X: Any) -> Members:
        return [(self._first_model, self._read(X))]

    def _topk(self, members: Members, k: int) -> tuple[np.ndarray, np.ndarray]:
        model, documents = members[0]
        columns, logits = model.topk(documents, k)
        return columns, expit(logits)

    def _positive(self, members: Members, threshold: float | np.ndarray) -> sp.csr_array:
        model, documents = members[0]
        return model.positive(documents, threshold)

    def _logits(self, members: Members) -> np.ndarray:
        model, documents = members[0]
        return model.all_logits(documents)

    def _probabilities(self, members: Members) -> np.ndarray:
        return np.asarray(expit(self._logits(members)))

    def _pack(self) -> Bundle:
        reading = getattr(self, "reading_", None)
        return storage.pack(type(self).__name__, self.get_params(deep=False), self._model, reading)

    @classmethod
    def _unpack(cls, bundle: Bundle, device: str | torch.device) -> Self:
        storage.check_class(bundle, cls.__name__)
        ARGUMENTS["device"].kind.check("device", device)
        params, fitted = storage.unpack(bundle)
        try:
            estimator = cls(**{**params, "device": device})
            check_params(estimator.get_params(deep=False))
        except (TypeError, ValueError) as error:
            raise BundleError(f"{RECORD}: its arguments are wrong ({error}).") from error
        place(fitted, estimator.precision, device)
        estimator._model = replace(fitted, given=_not_seen(estimator.get_params(deep=False)))
        if (reading := storage.unpack_reading(bundle)) is not None:
            estimator.reading_ = reading
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        """Return arguments as they are, and the fitted model in the form that `save` writes."""
        state = dict(super().__getstate__())
        model = state.pop("_model", None)
        if model is not None:
            state["_packed"] = for_pickle(model)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        packed = state.pop("_packed", None)
        super().__setstate__(state)
        if packed is None:
            return
        fitted = from_pickle(packed)
        try:
            place(fitted, self.precision, self.device)
        except ValueError:  # trained on a device that this machine lacks
            place(fitted, self.precision, "auto")
        self._model = fitted


def _not_seen(params: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the arguments that do not show in a fitted model, for a fit that goes on."""
    names = ("encoder", "label_clusters", "propensity_weight")
    return {name: clone(params[name], safe=False) for name in names}
