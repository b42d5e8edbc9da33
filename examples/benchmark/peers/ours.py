"""lightxml, in all its settings."""

from __future__ import annotations

from typing import Any

from data import K, Part, size_in_bytes
from settings import LEARNERS, LEFT_OUT, MEMBERS, VARIANTS, rankers_of

from lightxml import LightXMLClassifier, LightXMLEnsemble
from peers.outcome import Options, Outcome, Seconds, timed


def estimator(options: Options) -> Any:
    """Return the estimator of a setting, not fitted."""
    name, *variants = options.setting.split("+")
    arguments: dict[str, Any] = {"encoder": None}
    if name != "features":
        arguments = {"encoder": options.encoder, "max_length": options.max_length}
        arguments["memory"] = options.memory
    arguments |= LEARNERS[name]
    if name == "trained":
        arguments["checkpoint_dir"] = options.checkpoints
        if options.max_epochs is not None:
            arguments["max_epochs"] = options.max_epochs
    if "text" not in variants:
        arguments["features"] = options.tfidf()
    if {*LEFT_OUT, "with_network"} & set(variants):
        left_out = [LEFT_OUT.get(variant) for variant in variants]
        more = ("network",) if "with_network" in variants else ()
        kept = (*rankers_of(name, has_names=bool(options.names)), *more)
        arguments["rankers"] = tuple(ranker for ranker in kept if ranker not in left_out)
    for variant in variants:
        arguments |= VARIANTS.get(variant, {})
    arguments |= {"random_state": options.seed, "n_jobs": options.threads, **options.arguments}
    model = LightXMLClassifier(**arguments)
    for variant in variants:
        if variant in MEMBERS:
            return LightXMLEnsemble(model, n_estimators=MEMBERS[variant], random_state=options.seed)
    return model


def run(train: Part, texts: list[str], options: Options) -> Outcome:
    """Fit, rank and decide.

    ``vectorize`` is one more `fit_transform` of the vectorizer; as much is taken off ``train``.
    """
    model = estimator(options)
    vectorize = Seconds()
    if "text" not in options.variants:
        _, vectorize = timed(lambda: options.tfidf().fit_transform(train.texts))
    _, fit = timed(
        lambda: model.fit(train.texts, train.labels, label_texts=dict(options.names) or None)
    )
    (ranked, said), predict = timed(lambda: model.predict_topk(texts, K, return_scores=True))
    model.save(options.scratch / "model")
    return Outcome(
        ranked.tolist(), vectorize, fit - vectorize, predict,
        size_in_bytes(options.scratch / "model"),
        said.tolist(), [list(row) for row in model.predict(texts)],
    )  # fmt: skip
