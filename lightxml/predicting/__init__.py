"""The fitted model and what it is asked: rankings, scores, averages of several."""
