"""The options of ``train`` that are arguments of the classifier, made from their table."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lightxml.arguments import FLAG, GROUPS, Argument
from lightxml.cli.wording import in_options

# Not options: --tfidf makes the vectorizer, --quiet is about the progress bar, and a training on
# the command line begins anew.
_OTHERWISE = ("features", "verbose", "warm_start")

HELP = {
    "encoder": "A local folder, a hub name, 'tiny', 'none', or 'auto' for BERT-base.",
    "freeze_encoder": "Encode each document once, and leave the encoder as it is.",
    "max_length": "Tokens a document.",
    "pooling": "An encoder's vector of a text: auto (as its own files say), cls, mean or last.",
    "prompt": "Put before each text, for encoders that were trained with one.",
    "n_feature_layers": "Last layers of the encoder that are read.",
    "feature_dim": "Width of the features' embedding.",
    "se_block": "Weigh the layers against each other.",
    "dropout": "On the representation, in training.",
    "label_clusters": "Rank the labels of a document's best clusters only: true or false.",
    "max_cluster_size": "Labels of a cluster.",
    "n_candidate_clusters": "Clusters that a document is ranked against.",
    "label_dim": "Width of the label embeddings.",
    "n_random_negatives": "Labels drawn at each step, with clusters.",
    "loss_correction": "Balance the gradients of clusters and labels.",
    "rankers": "Who ranks, between commas: linear, neighbors, label_texts, network.",
    "final_ranker": "'auto' learns whom to believe; 'none' takes the mean.",
    "threshold": "Of the labels that are given: a probability, micro_f1, macro_f1 or samples_f1.",
    "propensity_weight": "How much rare labels are preferred.",
    "max_epochs": "Of the network.",
    "batch_size": "Documents a batch.",
    "accumulate": "Batches a step.",
    "learning_rate": "Of the encoder.",
    "head_learning_rate": "Of all else in the network.",
    "weight_decay": "Of weights but biases, norms and tables.",
    "schedule": "linear or constant.",
    "swa_start": "The part of the training after which weights are averaged; 'none': never.",
    "swa_every": "Steps between two additions to the average.",
    "early_stopping": "End when it no longer helps.",
    "validation_fraction": "Held out of the documents: a fraction, or a number.",
    "n_iter_no_change": "Epochs without a better one, then it ends.",
    "device": "auto, cpu, cuda, cuda:1 or mps.",
    "precision": "auto, bf16 or fp32.",
    "random_state": "Makes the run repeatable.",
    "n_jobs": "Threads.",
    "memory": "A folder that keeps a frozen encoder's vectors.",
    "checkpoint_dir": "Go on where the same command was killed.",
    "checkpoint_minutes": "Between two checkpoints.",
}


def _options() -> dict[str, Any]:
    return {
        argument.name: _option(argument, group)
        for group, arguments in GROUPS.items()
        for argument in arguments
        if argument.name not in _OTHERWISE
    }


def _option(argument: Argument, group: str) -> Any:
    name = "--" + argument.name.replace("_", "-")
    default = argument.default
    told = HELP[argument.name]
    if argument.kind is FLAG:
        option = typer.Option(f"{name}/--no-{name[2:]}", help=told, rich_help_panel=_panel(group))
        return Annotated[bool | None, option]
    shown = "none" if default is None else f"{default}"
    option = typer.Option(
        name,
        help=f"{told} Default: {shown}.",
        metavar="VALUE",
        rich_help_panel=_panel(group),
        show_default=False,
    )
    return Annotated[str | None, option]


def _panel(group: str) -> str:
    return group.capitalize()


OPTIONS: Mapping[str, Any] = _options()
_TABLE = {a.name: a for group in GROUPS.values() for a in group}


def values_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that options say, each of a kind that its argument takes.

    Raises
    ------
    ValueError
        If one is not; it names the option.
    """
    return {name: _value(_TABLE[name], given[name]) for name in given}


def _value(argument: Argument, text: Any) -> Any:
    value = text
    if isinstance(text, str):
        value = _literal(argument, text)
    if argument.name == "rankers" and isinstance(value, str) and value != "auto":
        value = tuple(part.strip() for part in value.split(","))
    try:
        argument.kind.check(argument.name, value)
    except (TypeError, ValueError) as error:
        option = "--" + argument.name.replace("_", "-")
        message = in_options(str(error).removeprefix(argument.name), OPTIONS)
        raise ValueError(option + message) from error
    return value


def _literal(argument: Argument, text: str) -> Any:
    """Return the number, flag or None that a text stands for where one is expected, or itself."""
    if text.lower() == "none" and argument.kind.is_type(None):
        return None
    words = {"true": True, "false": False}
    if argument.name == "label_clusters" and text.lower() in words:
        return words[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number and argument.kind.is_type(value) else text
