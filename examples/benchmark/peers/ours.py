"""lightxml, in all its settings."""

from __future__ import annotations

from typing import Any

import joblib
from data import K, Part, size_in_bytes, vectorizer
from settings import LEARNERS, LEFT_OUT, MEMBERS, RANKERS, VARIANTS
from sklearn.base import clone

from lightxml import LightXMLClassifier, LightXMLEnsemble
from peers.outcome import Options, Outcome, timed


def run(train: Part, texts: list[str], options: Options) -> Outcome:
    """Fit and predict.

    ``vectorize_s`` is one `fit_transform` of the vectorizer; where the estimator does it inside of
    `fit`, that much is taken off ``train_s``.
    """
    name, *variants = options.setting.split("+")
    arguments: dict[str, Any] = {"encoder": options.encoder, "max_length": options.max_length}
    arguments |= LEARNERS[name]
    if name == "trained":
        arguments["checkpoint_dir"] = options.checkpoints
        if options.max_epochs is not None:
            arguments["max_epochs"] = options.max_epochs
    for variant in variants:
        arguments |= VARIANTS.get(variant, {})
        if variant in LEFT_OUT:
            kept = arguments.get("rankers", RANKERS[name])
            arguments["rankers"] = tuple(r for r in kept if r != LEFT_OUT[variant])
    tfidf = vectorizer(pairs="pairs" in variants)
    model: Any = LightXMLClassifier(
        **arguments, memory=options.memory, random_state=options.seed, n_jobs=options.threads
    )
    n_members = next((MEMBERS[v] for v in variants if v in MEMBERS), None)

    def fitted(X: Any) -> tuple[Any, float]:
        whole = model
        if n_members is not None:
            whole = LightXMLEnsemble(model, n_estimators=n_members, random_state=options.seed)
        return timed(lambda: whole.fit(X, train.y))

    if name == "features":
        model.set_params(encoder="auto")  # a numeric X
        X, vectorize_s = timed(lambda: tfidf.fit_transform(train.texts))
        model, train_s = fitted(X)
        new = tfidf.transform(texts)
    else:
        vectorize_s = 0.0
        new = texts
        if "text" not in variants:
            _, vectorize_s = timed(lambda: clone(tfidf).fit_transform(train.texts))
            model.set_params(features=tfidf)
        model, train_s = fitted(train.texts)
        train_s -= vectorize_s
    topk, predict_s = timed(lambda: model.predict_topk(new, K))
    model.save(options.scratch / "model")
    if name == "features":
        joblib.dump(tfidf, options.scratch / "vectorizer.joblib")
    return Outcome(topk, vectorize_s, train_s, predict_s, size_in_bytes(options.scratch))
