"""Words, label texts and a final ranker on a data set, and peers that are given the same.

    python rankers.py FOLDER [--learner ours|bonsai|omikuji|names]
        [--texts none|trained|closed|open] [--others FOLDER ...] [--without RANKER ...]
        [--final-ranker auto|mean|logistic]
        [--encoder FOLDER [--freeze] [--max-length N] [--memory FOLDER]] [--set NAME=VALUE ...]
        [--most N] [--pairs] [--title-ends PATTERN] [--punctuation] [--seed N] [--validation]
        [--results FILE]
    python rankers.py --table FILE

`--texts`: of no label; of labels with a training document; `labels.txt` whole (a closed list);
and with up to 100,000 names of other sets, `labels.txt` of `--others` (an open list). `--most`: an
open list of so many, with all names of `--others`, and pairs of its names where they are too few.
Learners: ``ours``; ``omikuji``, its default, and ``bonsai``, as its README calls Bonsai-like, where
each text is one more training document; ``names``, the labels whose text stands in the document,
longest first. One process, one row of results: peak memory is that of one learner. `--encoder`: a
transformer for ``ours``, trained unless there is `--freeze`; what its pass takes is not in the time
where `--memory` has its vectors. `--set`: other arguments of ``ours``, their values as JSON.
`--title-ends`: what stands before the first match of this regular expression is a field of its own.
`--validation` measures on a tenth of the training part. P@k are over all true labels, those without
a training document too. `--table` prints the rows of a file of results in Markdown.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from data import K, machine, peak_gib, size_in_bytes, vectorizer
from peers.trees import as_pairs, write_features
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lightxml import LightXMLClassifier
from lightxml.fields import FieldsVectorizer, join_fields

BINS, MOST_NAMES = 15, 100_000
Scores = tuple[list[list[str]], np.ndarray | None]


def lines(path: Path) -> list[str]:
    """Return a file's lines; only a newline ends one."""
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def part(folder: Path, name: str) -> tuple[list[str], list[list[str]]]:
    """Return texts and labels."""
    labels = [line.split() for line in lines(folder / f"{name}_labels.txt")]
    return lines(folder / f"{name}_texts.txt"), labels


def parts(folder: Path, *, validation: bool) -> tuple[Any, Any]:
    """Return texts and labels to learn from, and those to measure on."""
    X, y = part(folder, "train")
    if not validation:
        return (X, y), part(folder, "test")
    order = np.random.RandomState(0).permutation(len(X))
    edge = len(X) // 10
    held, rest = (np.sort(numbers) for numbers in (order[:edge], order[edge:]))
    return tuple(([X[i] for i in of], [y[i] for i in of]) for of in (rest, held))


def with_title(texts: list[str], pattern: str) -> list[str]:
    """Return documents of two fields: what is before the first match of a pattern, and the rest."""
    cut = [re.split(f"(?={pattern})", text, maxsplit=1) for text in texts]
    titles = [each[0] if len(each) > 1 else "" for each in cut]
    return join_fields(titles, [each[-1] for each in cut])


def texts_of(options: Any, trained: set[str]) -> dict[str, str]:
    """Return the label texts of ``--texts none|trained|closed``, the closed list for others."""
    if options.texts == "none":
        return {}
    names = names_of(options.folder, punctuation=options.punctuation)
    if options.texts == "trained":
        return {label: text for label, text in names.items() if label in trained}
    return names


def names_of(folder: Path, *, punctuation: bool) -> dict[str, str]:
    """Return each label's text, split at punctuation on request."""
    pairs = (line.split("\t", 1) for line in lines(folder / "labels.txt"))
    return {label: re.sub(r"[\W_]+", " ", text) if punctuation else text for label, text in pairs}


def with_others(names: dict[str, str], folders: list[Path], most: int | None) -> dict[str, str]:
    """Add names of other sets, none that is there already: all, and pairs, for `most` in the end.

    Without `most` at most 100,000, drawn with seed 1.
    """
    known = {text.casefold() for text in names.values()}
    more: dict[str, str] = {}
    for folder in folders:
        for label, text in names_of(folder, punctuation=False).items():
            if text.casefold() not in known:
                known.add(text.casefold())
                more[f"{folder.name}:{label.replace(' ', '_')}"] = text
    if most is not None:
        return with_pairs(names | more, most)
    labels = sorted(more)
    drawn = np.random.RandomState(1).permutation(len(labels))[:MOST_NAMES]
    return names | {labels[i]: more[labels[i]] for i in drawn}


def with_pairs(names: dict[str, str], most: int) -> dict[str, str]:
    """Add labels named by two names of the list, drawn with seed 1, until there are `most`."""
    texts, rng = list(names.values()), np.random.RandomState(1)
    known, names = set(texts), dict(names)
    while len(names) < most:
        first, second = rng.randint(len(texts), size=2)
        text = f"{texts[first]} {texts[second]}"
        if text not in known:
            known.add(text)
            names[f"pair:{len(names)}"] = text
    return names


def fitted(
    X: list[str], y: list[list[str]], names: dict[str, str], options: Any
) -> LightXMLClassifier:
    """Return `LightXMLClassifier`, fitted on words, and an encoder where asked."""
    rankers: Any = "auto"
    if options.without:
        every = ("linear", "neighbors", *(("label_texts",) if names else ()))
        every = (*every, *(("network",) if options.encoder else ()))
        rankers = tuple(name for name in every if name not in options.without)
    texts = None if not names or "label_texts" in options.without else names
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    final = {"auto": "auto", "mean": None, "logistic": logistic}[options.final_ranker]
    features = tfidf_of(options)
    of_encoder: dict[str, Any] = {}
    if options.encoder:
        of_encoder = {"max_length": options.max_length, "memory": options.memory}
        of_encoder["freeze_encoder"] = options.freeze
    return LightXMLClassifier(
        options.encoder,
        features=features,
        rankers=rankers,
        final_ranker=final,
        random_state=options.seed,
        **of_encoder,
        **options.set,
    ).fit(X, y, label_texts=texts)


def tfidf_of(options: Any) -> Any:
    """Return the vectorizer of ``--pairs`` and ``--title-ends``, which peers read too."""
    of_texts = vectorizer(pairs=options.pairs)
    return FieldsVectorizer(of_texts) if options.title_ends else of_texts


def ours(X: list[str], y: list[list[str]], names: dict[str, str], options: Any) -> Any:
    """Return what ranks with our model, and what saves it."""
    model = fitted(X, y, names, options)

    def rank(new: list[str]) -> Scores:
        labels, scores = model.predict_topk(new, K, return_scores=True)
        return labels.tolist(), scores

    return rank, model.save


def omikuji_trees(X: list[str], y: list[list[str]], names: dict[str, str], options: Any) -> Any:
    """Fit Omikuji's trees, each label's text one more document."""
    import omikuji

    X, y = [*X, *names.values()], [*y, *([label] for label in names)]
    tfidf = tfidf_of(options)
    rows = sp.csr_array(tfidf.fit_transform(X))
    classes = sorted({label for of in y for label in of})
    place = {label: i for i, label in enumerate(classes)}
    columns = [place[label] for of in y for label in of]
    pointers = np.cumsum([0, *map(len, y)])
    shape = (len(y), len(classes))
    truth = sp.csr_array((np.ones(len(columns), np.int8), columns, pointers), shape=shape)
    with tempfile.TemporaryDirectory() as folder:
        write_features(Path(folder) / "train.txt", rows, truth)
        hyper = omikuji.Model.default_hyper_param()
        if options.learner == "bonsai":
            hyper.cluster_balanced, hyper.cluster_k, hyper.max_depth = False, 100, 3
        model = omikuji.Model.train_on_data(str(Path(folder) / "train.txt"), hyper, 1)

    def rank(new: list[str]) -> Scores:
        labels, scores = [], np.zeros((len(new), K))
        for i, row in enumerate(as_pairs(sp.csr_array(tfidf.transform(new)))):
            best = model.predict(row, top_k=K)
            labels.append([classes[j] for j, _ in best])
            scores[i, : len(best)] = [score for _, score in best]
        return labels, scores

    return rank, model.save


def named(X: list[str], y: list[list[str]], names: dict[str, str], options: Any) -> Any:
    """Return what ranks the labels whose words stand in the document, most words first."""
    words = re.compile(r"\w+")
    of_name: dict[tuple[str, ...], str] = {}
    for label, text in names.items():
        of_name.setdefault(tuple(words.findall(text.casefold())), label)
    longest = min(max(map(len, of_name)), 12)

    def rank(new: list[str]) -> Scores:
        found = []
        for text in new:
            said = words.findall(text.casefold())
            there: dict[str, int] = {}
            for n in range(longest, 0, -1):
                for i in range(len(said) - n + 1):
                    if (label := of_name.get(tuple(said[i : i + n]))) is not None:
                        there.setdefault(label, n)
            found.append(list(there)[:K])
        return found, None

    return rank, None


LEARNERS: dict[str, Callable[..., Any]] = {
    "ours": ours,
    "omikuji": omikuji_trees,
    "bonsai": omikuji_trees,
    "names": named,
}


def calibration_error(said: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error in 15 bins of equal width."""
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    gaps = np.bincount(place, said - right, minlength=BINS)
    return float(np.abs(gaps).sum() / max(len(said), 1))


def figures(
    found: list[list[str]], scores: np.ndarray | None, y: list[list[str]], trained: set[str]
) -> dict[str, Any]:
    """Return P@k and calibration, of all labels and of those without a training document."""
    true = [set(of) for of in y]
    right = np.zeros((len(y), K), dtype=bool)
    unseen = np.zeros((len(y), K), dtype=bool)
    for i, labels in enumerate(found):
        right[i, : len(labels)] = [label in true[i] for label in labels]
        unseen[i, : len(labels)] = [label not in trained for label in labels]
    ceiling = np.array([sum(label in trained for label in of) for of in true])
    given: dict[str, Any] = {
        "P": [round(100 * right[:, :k].mean(), 2) for k in (1, 3, 5)],
        "P of trained labels": [
            round(100 * (right & ~unseen)[:, :k].mean(), 2) for k in (1, 3, 5)
        ],
        "most possible with trained labels": [
            round(100 * float(np.minimum(ceiling, k).mean()) / k, 2) for k in (1, 3, 5)
        ],
        "recall at 5 of unseen labels": round(
            100 * float((right & unseen).sum())
            / max(sum(label not in trained for of in true for label in of), 1), 2
        ),
    }  # fmt: skip
    if scores is not None:
        said, rng = scores.astype(np.float64), np.random.default_rng(0)
        chance = [
            calibration_error(said.ravel(), rng.random(said.size) < said.ravel()) for _ in range(10)
        ]
        given["ECE"] = round(calibration_error(said.ravel(), right.ravel()), 4)
        given["ECE by chance"] = round(float(np.mean(chance)), 4)
        given["unseen pairs"] = int(unseen.sum())
        given["ECE of unseen"] = round(calibration_error(said[unseen], right[unseen]), 4)
    return given


def table(file: Path) -> str:
    """Return the rows of a file in Markdown, a table for each data set."""
    rows = [json.loads(line) for line in lines(file)]
    head = (
        "| learner | label texts | P@1 / 3 / 5 | R@5 of unseen labels | ECE (by chance) "
        "| fit, CPU s | documents a CPU s | peak GiB | model MB |"
    )
    parts = []
    for name in dict.fromkeys(row["folder"] for row in rows):
        parts.append(f"### `{name}`\n\n{head}\n|{'---|' * 9}")
        for row in rows:
            if row["folder"] != name:
                continue
            what = row["learner"] + "".join(f", without {each}" for each in row["without"])
            what += f", {row['final_ranker']}" if row["final_ranker"] != "auto" else ""
            what += ", pairs of words" if row["pairs"] else ""
            what += ", titles apart" if row.get("title_ends") else ""
            if row.get("encoder"):
                what += f", {'frozen' if row['freeze'] else 'trained'} encoder"
            what += "".join(f", {name}={value}" for name, value in row.get("set", {}).items())
            what += f", seed {row['seed']}" if row["seed"] else ""
            error = f"{row['ECE']:.3f} ({row['ECE by chance']:.3f})" if "ECE" in row else ""
            error = error if row["learner"] == "ours" else ""
            figures = " / ".join(f"{value:.2f}" for value in row["P"])
            texts = f"{row['texts']}, {row['names']:,}" if row["names"] else "none"
            unseen = row["recall at 5 of unseen labels"]
            parts.append(
                f"| {what} | {texts} | {figures} | {unseen:.1f} | {error} "
                f"| {row['fit, CPU s']:.0f} | {row['documents a CPU s']:,} "
                f"| {row['peak GiB']:.2f} | {row['model MB'] or ''} |"
            )
        parts.append("")
    return "\n".join(parts)


def main() -> None:
    """Measure one learner, and print and append its row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--learner", choices=sorted(LEARNERS), default="ours")
    parser.add_argument("--texts", choices=("none", "trained", "closed", "open"), default="closed")
    parser.add_argument("--others", type=Path, nargs="*", default=[])
    parser.add_argument("--most", type=int)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--final-ranker", choices=("auto", "mean", "logistic"), default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--encoder")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--title-ends", metavar="PATTERN")
    parser.add_argument("--memory")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    for flag in ("--validation", "--punctuation", "--pairs", "--freeze"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    if options.table is not None:
        print(table(options.table))
        return
    if options.folder is None:
        parser.error("FOLDER is missing")
    named = (each.split("=", 1) for each in options.set)
    options.set = {name: json.loads(value) for name, value in named}
    (X, y), (X_new, y_new) = parts(options.folder, validation=options.validation)
    if options.title_ends:
        X, X_new = (with_title(texts, options.title_ends) for texts in (X, X_new))
    trained = {label for of in y for label in of}
    names = texts_of(options, trained)
    if options.texts == "open":
        names = with_others(names, options.others, options.most)
    cpu, wall = time.process_time(), time.perf_counter()
    rank, save = LEARNERS[options.learner](X, y, names, options)
    fit = time.process_time() - cpu, time.perf_counter() - wall
    cpu = time.process_time()
    found, scores = rank(X_new)
    predict = time.process_time() - cpu
    size = None
    if save is not None:
        with tempfile.TemporaryDirectory() as folder:
            save(str(Path(folder) / "model"))
            size = round(size_in_bytes(Path(folder)) / 1e6, 1)
    told = {
        name: value
        for name, value in vars(options).items()
        if name not in ("results", "others", "memory")
    }
    if options.encoder:
        told["encoder"] = "/".join(Path(options.encoder).parts[-2:])
    row = {
        **told, "folder": options.folder.name, "names": len(names),
        **figures(found, scores, y_new, trained),
        "fit, CPU s": round(fit[0], 1), "fit, s": round(fit[1], 1),
        "documents a CPU s": round(len(X_new) / predict), "peak GiB": round(peak_gib(), 2),
        "model MB": size, "machine": machine(),
    }  # fmt: skip
    print(json.dumps({name: value for name, value in row.items() if name != "machine"}))
    if options.results is not None:
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
