"""How an estimator looks in a notebook."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator


class DocumentedEstimator(BaseEstimator):
    """A scikit-learn estimator whose HTML shows what each argument and attribute means.

    scikit-learn shows these descriptions on links to an estimator's page on the web, and only
    where it knows such a page. Without one, the links lead to the page that they are on.
    """

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        return _linked(super()._get_params_html(*args, **kwargs))

    def _get_fitted_attr_html(self, *args: Any, **kwargs: Any) -> Any:
        return _linked(super()._get_fitted_attr_html(*args, **kwargs))


def _linked(table: Any) -> Any:
    table.doc_link = getattr(table, "doc_link", "") or "#"
    return table
