"""From the estimator's arguments and the caller's data to a fitted model."""
