"""Rankers: each proposes labels for a document, and scores any pair of document and label."""
