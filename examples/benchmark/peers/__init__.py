"""One module a learner, each with ``run(train, texts, options) -> Outcome``."""
