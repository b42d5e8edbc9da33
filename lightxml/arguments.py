"""The arguments of `LightXMLClassifier`, each declared once, in the order of its signature.

An argument that is added stands here and where it is used, besides the signature and the
docstring that scikit-learn asks for; a test holds these three together. Made from this table are
the checks and the warnings of `lightxml.fitting.decisions`, a fit's fingerprint, what a save
leaves out, the groups of ``lightxml info`` and the documentation's page of arguments. It imports
none of torch, scikit-learn and numpy, so that a saved model can be described at once.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

EXPECTED_CLUSTERS = (
    "True, a clusterer (an instance), or an array with a cluster number for each label"
)

_TOLD_BY_REPR = (str, bool, type, type(None))  # whose type shows without its name


@dataclass(frozen=True)
class Kind:
    """What values an argument takes.

    Attributes
    ----------
    text : str
        As messages and the documentation say it.
    is_type, in_range : callable
        Whether a value is of the right type; whether a value of that type is in range.
    """

    text: str
    is_type: Callable[[Any], bool]
    in_range: Callable[[Any], bool] = lambda _: True

    def check(self, name: str, value: Any) -> None:
        """Raise a TypeError or a ValueError that names the argument, unless the value will do."""
        if not self.is_type(value):
            told = "" if isinstance(value, _TOLD_BY_REPR) else f" ({type(value).__name__})"
            raise TypeError(f"{name} is {repr(value)[:200]}{told}; expected {self.text}.")
        if _is_int(value) and not fits_int64(value):  # neither torch nor a saved model takes it
            raise ValueError(
                f"{name} is an int of {int(value).bit_length()} bits, more than int64 can hold; "
                f"expected {self.text}."
            )
        if not self.in_range(value):
            raise ValueError(f"{name} is {repr(value)[:200]}; expected {self.text}.")

    def __or__(self, other: Kind) -> Kind:
        def in_range(value: Any) -> bool:
            return any(k.is_type(value) and k.in_range(value) for k in (self, other))

        return Kind(
            f"{self.text.replace(' or ', ', ')} or {other.text}",
            lambda value: self.is_type(value) or other.is_type(value),
            in_range,
        )


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def fits_int64(value: Any) -> bool:
    """Tell whether an int is one of int64."""
    return -(2**63) <= int(value) < 2**63


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def whole(least: int) -> Kind:
    """Return the kind of whole numbers from `least` on; True and False are none."""
    return Kind(f"an int of at least {least}", _is_int, lambda value: value >= least)


def number(text: str, in_range: Callable[[Any], bool]) -> Kind:
    """Return the kind of finite numbers in a range; True and False are none."""
    return Kind(text, _is_number, lambda value: math.isfinite(value) and in_range(value))


def choice(*words: str) -> Kind:
    """Return the kind of some words."""
    text = f"one of {', '.join(map(repr, words))}"
    return Kind(text, lambda value: isinstance(value, str), lambda value: value in words)


def is_auto(value: Any) -> bool:
    """Tell the string ``"auto"`` from a number, an array and other words."""
    return isinstance(value, str) and value == "auto"


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool) or _is_of_numpy(value, "bool", "bool_")


def _is_of_numpy(value: Any, *names: str) -> bool:
    # Told by its name: `lightxml --help` imports this table, and does without numpy.
    return any(
        kind.__module__.partition(".")[0] == "numpy" and kind.__name__ in names
        for kind in type(value).__mro__
    )


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


def _is_encoder(value: Any) -> bool:
    # A configuration of transformers is told by what it says of itself: importing it takes seconds.
    is_config = hasattr(value, "model_type") and hasattr(value, "to_dict")
    return value is None or _is_path(value) or (is_config and not isinstance(value, type))


# What only some fits meet is imported there.
def _is_memory(value: Any) -> bool:
    from joblib import Memory

    return isinstance(value, Memory)


def _is_device(value: Any) -> bool:
    # Told by its name: importing torch takes seconds.
    kind = type(value)
    return isinstance(value, str) or (kind.__module__, kind.__name__) == ("torch", "device")


def _names_device(value: Any) -> bool:  # whether this machine has it, a network asks
    return re.fullmatch(r"auto|(cpu|cuda|mps)(:\d+)?", str(value)) is not None


def _is_vectorizer(value: Any) -> bool:
    methods = hasattr(value, "fit_transform") and hasattr(value, "transform")
    return methods and not isinstance(value, type)


def _are_rankers(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(name, str) for name in value)


def _is_classifier(value: Any) -> bool:
    methods = hasattr(value, "fit") and hasattr(value, "predict_proba")
    return methods and not isinstance(value, type)


def _may_be_clusters(value: Any) -> bool:  # what else is wrong shows when the labels are known
    return is_auto(value) or not isinstance(value, (str, type))


NONE = Kind("None", lambda value: value is None)
AUTO = Kind("'auto'", is_auto)
FLAG = Kind("True or False", lambda value: _is_flag(value))
FOLDER = Kind("a folder", _is_path)
TEXT = Kind("a text", lambda value: isinstance(value, str))
POOLINGS = ("cls", "mean", "last")
FRACTION = number("a number in [0, 1)", lambda value: 0 <= value < 1)
FRACTION_OF_DOCUMENTS = number("a fraction in (0, 1)", lambda value: 0 < value < 1)
POSITIVE = number("a number above 0", lambda value: value > 0)
NOT_NEGATIVE = number("a number of at least 0", lambda value: value >= 0)
ENCODER = Kind("'auto', 'tiny', a hub name, a local folder, a transformers config or None",
               _is_encoder)  # fmt: skip
VECTORIZER = Kind("a vectorizer such as TfidfVectorizer()", _is_vectorizer)
RANKER_NAMES = ("linear", "neighbors", "label_texts", "network")
RANKERS = Kind(
    f"a tuple of {', '.join(map(repr, RANKER_NAMES))}", _are_rankers,
    lambda value: 0 < len(value) == len(set(value)) and set(value) <= set(RANKER_NAMES),
)  # fmt: skip
CRITERIA = ("micro_f1", "macro_f1", "samples_f1")
PROBABILITY = number("a number above 0 and at most 1", lambda value: 0 < value <= 1)
CLASSIFIER = Kind("a classifier with predict_proba", _is_classifier)
CLUSTERS = Kind(f"'auto', False, {EXPECTED_CLUSTERS}", _may_be_clusters)
MEMORY = FOLDER | Kind("a joblib.Memory", _is_memory) | NONE
DEVICE = Kind("'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'", _is_device, _names_device)
SEED = (
    Kind("an int from 0 to 2**32 - 1", _is_int, lambda value: 0 <= value < 2**32)
    | Kind("a RandomState", lambda value: _is_of_numpy(value, "RandomState"))
    | Kind("a Generator", lambda value: _is_of_numpy(value, "Generator"))
    | NONE
)
JOBS = Kind("an int other than 0", _is_int, lambda value: value != 0) | NONE
VERBOSE = FLAG | whole(0)


@dataclass(frozen=True)
class Setting:
    """What an argument's effect can depend on, known once the data is."""

    has_encoder: bool
    trains_encoder: bool
    compares_vectors: bool
    has_features: bool
    has_network: bool
    has_clusters: bool
    makes_clusters: bool
    fits_linear: bool
    averages: bool
    stops_early: bool
    holds_out: bool
    has_final_ranker: bool
    learns_final_ranker: bool
    keeps_checkpoints: bool


@dataclass(frozen=True)
class Need:
    """What an argument has no effect without.

    Attributes
    ----------
    text : str
        As it stands after "without".
    is_met : callable
        Given the setting.
    advice : str
        What to do to have it.
    """

    text: str
    is_met: Callable[[Setting], bool]
    advice: str


AN_ENCODER = Need("an encoder", lambda s: s.has_encoder, "Pass documents and an encoder")
VECTORS_TO_COMPARE = Need(
    "an encoder whose vectors rankers compare",
    lambda s: s.compares_vectors,
    "Pass an encoder, and features, label_texts or freeze_encoder=True, so that not the network "
    "alone ranks",
)
A_FROZEN_ENCODER = Need("a frozen encoder", lambda s: s.has_encoder and not s.trains_encoder,
                        "Pass a pretrained encoder and freeze_encoder=True")  # fmt: skip
A_TRAINED_ENCODER = Need("a trained encoder", lambda s: s.trains_encoder,
                         "Pass head_learning_rate, which is for all else")  # fmt: skip
A_NETWORK = Need("a network", lambda s: s.has_network, "Pass an encoder, or rankers=('network',)")
A_NETWORK_TO_GO_ON = Need("a network", lambda s: s.has_network,
                          "Call partial_fit to add documents to other rankers")  # fmt: skip
A_NETWORK_OF_TEXT = Need("a network that reads an encoder",
                         lambda s: s.has_encoder and s.has_network,
                         "Pass an encoder, and rankers='auto' or with 'network'")  # fmt: skip
A_NETWORK_OF_FEATURES = Need("a network that reads features",
                             lambda s: s.has_features and s.has_network,
                             "Pass features and an encoder, or rankers=('network',)")  # fmt: skip
SEVERAL_RANKERS = Need("other rankers than the network", lambda s: s.has_final_ranker,
                       "Pass features=TfidfVectorizer(), or label_texts to fit")  # fmt: skip
A_LEARNED_FINAL_RANKER = Need(
    "a final ranker that is learned",
    lambda s: s.learns_final_ranker,
    "Pass a number, or final_ranker='auto' and not the network alone",
)
LABEL_CLUSTERS = Need("label clusters", lambda s: s.has_clusters, "Pass label_clusters=True")
CLUSTERS_OF_THE_FIT = Need("label clusters made by fit", lambda s: s.makes_clusters,
                           "Pass label_clusters=True")  # fmt: skip
SEVERAL_JOBS = Need("label clusters made by fit, or the ranker 'linear'",
                    lambda s: s.makes_clusters or s.fits_linear,
                    "Pass label_clusters=True, or features=TfidfVectorizer()")  # fmt: skip
WHAT_TAKES_LONG = Need("a network, or the ranker 'linear'",
                       lambda s: s.has_network or s.fits_linear,
                       "Pass an encoder, or features=TfidfVectorizer()")  # fmt: skip
AN_AVERAGE = Need("averaged weights", lambda s: s.averages, "Pass swa_start=0.5")
EARLY_STOPPING = Need("early stopping", lambda s: s.stops_early, "Pass early_stopping=True")
HELD_OUT_DOCUMENTS = Need("documents held out of X", lambda s: s.holds_out,
                          "Pass early_stopping=True and no X_val")  # fmt: skip
CHECKPOINTS = Need("checkpoints", lambda s: s.keeps_checkpoints, "Pass checkpoint_dir=FOLDER")


@dataclass(frozen=True)
class Argument:
    """One argument of `LightXMLClassifier`.

    Attributes
    ----------
    name : str
    default : any
    kind : Kind
    needs : Need or None
        None: it has an effect in every fit.
    asks : callable
        Whether a value, given without what the argument needs, asks for something all the same.
    is_refused : bool
        Whether the argument without what it needs is an error; else it is a warning.
    changes_result : bool
        Whether two fits that differ in it may learn something else.
    saved : {"yes", "as fitted", "no"}
        Whether `save` keeps it: as given; in the form of what was fitted of it; or not, because
        it says something about this machine only.
    """

    name: str
    default: Any
    kind: Kind
    needs: Need | None = None
    asks: Callable[[Any], bool] = bool
    is_refused: bool = False
    changes_result: bool = True
    saved: Literal["yes", "as fitted", "no"] = "yes"

    def is_idle(self, value: Any, setting: Setting) -> bool:
        """Tell whether a value asks for something that this setting has no use for.

        A default asks for nothing, and neither does what switches something off.
        """
        if self.needs is None or self.needs.is_met(setting):
            return False
        if hasattr(value, "__array__"):
            return True
        return self.asks(value) and value != self.default

    def idle_message(self, value: Any) -> str:
        """Say why a value is of no use, and what to do."""
        assert self.needs is not None
        told = f"{self.name}={' '.join(repr(value).split())[:200]}"  # on one line, as of a Series
        if self.is_refused:
            problem = f"{told} is about {self.needs.text}, which this fit is without"
        else:
            problem = f"{told} has no effect without {self.needs.text}"
        return f"{problem}. {self.needs.advice}, or leave {self.name} out."


GROUPS: Mapping[str, tuple[Argument, ...]] = {
    "what is read": (
        Argument("encoder", "auto", ENCODER),
        Argument("features", None, VECTORIZER | NONE, saved="as fitted"),
        Argument("freeze_encoder", False, FLAG, AN_ENCODER, is_refused=True),
        Argument("max_length", 512, whole(1), AN_ENCODER),
        Argument("pooling", "auto", choice("auto", *POOLINGS), VECTORS_TO_COMPARE, is_refused=True),
        Argument("prompt", None, TEXT | NONE, AN_ENCODER, is_refused=True),
    ),
    "representation": (
        Argument("n_feature_layers", 5, whole(1), A_NETWORK_OF_TEXT),
        Argument("feature_dim", "auto", whole(1) | AUTO, A_NETWORK_OF_FEATURES),
        Argument("se_block", False, FLAG, A_NETWORK_OF_TEXT, is_refused=True),
        Argument("dropout", 0.5, FRACTION, A_NETWORK),
    ),
    "labels": (
        Argument("label_clusters", "auto", CLUSTERS, A_NETWORK, saved="as fitted"),
        Argument("max_cluster_size", 100, whole(1), CLUSTERS_OF_THE_FIT),
        Argument("n_candidate_clusters", 32, whole(1), LABEL_CLUSTERS),
        Argument("label_dim", "auto", whole(1) | AUTO, A_NETWORK),
        Argument("n_random_negatives", 0, whole(0), LABEL_CLUSTERS),
        Argument("loss_correction", False, FLAG, LABEL_CLUSTERS),
    ),
    "ranking": (
        Argument("rankers", "auto", RANKERS | AUTO),
        Argument(
            "final_ranker", "auto", AUTO | NONE | CLASSIFIER, SEVERAL_RANKERS, saved="as fitted"
        ),
        Argument(
            "threshold",
            "micro_f1",
            PROBABILITY | choice(*CRITERIA),
            A_LEARNED_FINAL_RANKER,
            asks=lambda value: isinstance(value, str),
        ),
        Argument("propensity_weight", 0, NOT_NEGATIVE),
    ),
    "training": (
        Argument("max_epochs", "auto", whole(1) | AUTO, A_NETWORK),
        Argument("batch_size", "auto", whole(1) | AUTO, A_NETWORK),
        Argument("accumulate", 1, whole(1), A_NETWORK),
        Argument("learning_rate", 1e-4, POSITIVE, A_TRAINED_ENCODER),
        Argument("head_learning_rate", "auto", POSITIVE | AUTO, A_NETWORK),
        Argument("weight_decay", 0.01, NOT_NEGATIVE, A_NETWORK),
        Argument("schedule", "linear", choice("linear", "constant"), A_NETWORK),
        Argument("swa_start", 0.5, FRACTION | NONE, A_NETWORK),
        Argument("swa_every", "auto", whole(1) | AUTO, AN_AVERAGE),
        Argument("warm_start", False, FLAG, A_NETWORK_TO_GO_ON),
    ),
    "when it ends": (
        Argument("early_stopping", False, FLAG, A_NETWORK),
        Argument(
            "validation_fraction",
            "auto",
            FRACTION_OF_DOCUMENTS | whole(1) | AUTO,
            HELD_OUT_DOCUMENTS,
        ),
        Argument("n_iter_no_change", 3, whole(1), EARLY_STOPPING),
    ),
    "running": (
        Argument("device", "auto", DEVICE, changes_result=False),
        Argument("precision", "auto", choice("auto", "bf16", "fp32")),
        Argument("random_state", None, SEED),
        Argument("n_jobs", None, JOBS, SEVERAL_JOBS, changes_result=False),
        Argument("memory", None, MEMORY, A_FROZEN_ENCODER, changes_result=False, saved="no"),
        Argument(
            "checkpoint_dir", None, FOLDER | NONE, WHAT_TAKES_LONG, changes_result=False, saved="no"
        ),
        Argument("checkpoint_minutes", 10, POSITIVE, CHECKPOINTS, changes_result=False),
        Argument("verbose", 0, VERBOSE, changes_result=False),
    ),
}

ARGUMENTS: Mapping[str, Argument] = {a.name: a for group in GROUPS.values() for a in group}


def by_group(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return those values that are not the defaults, in the table's order, by their groups.

    Groups of which all is as by default are left out. What the table does not know, such as an
    argument of a later version, comes last, in the group "other".
    """
    changed = {
        name: {a.name: values[a.name] for a in group
               if a.name in values and values[a.name] != a.default}
        for name, group in GROUPS.items()
    }  # fmt: skip
    changed["other"] = {name: value for name, value in values.items() if name not in ARGUMENTS}
    return {name: group for name, group in changed.items() if group}
