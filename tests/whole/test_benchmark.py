"""The benchmark's runner: every run in a process of its own, once; tables from its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightxml.datasets import label_sets, make_xmc
from tests.network.test_encoders import save_pretrained

pytestmark = pytest.mark.slow  # a process for each run

FOLDER = Path(__file__).parents[2] / "examples" / "benchmark"


def write(folder: Path, n_documents: int, n_labels: int, *, n_train: int) -> Path:
    """Make a data folder."""
    folder.mkdir()
    texts, y = make_xmc(n_documents, n_labels, n_words_per_document=12, random_state=0)
    labels = label_sets(y, np.array([f"l{j}" for j in range(n_labels)]))
    for name, part in {"train": slice(0, n_train), "test": slice(n_train, None)}.items():
        (folder / f"{name}_texts.txt").write_text("\n".join(texts[part]) + "\n")
        lines = (" ".join(row) for row in labels[part])
        (folder / f"{name}_labels.txt").write_text("\n".join(lines) + "\n")
    (folder / "labels.txt").write_text("".join(f"l{j}\tname {j}\n" for j in range(n_labels)))
    return folder


def write_named(folder: Path) -> Path:
    """Make a data folder whose documents begin with a title that says the label's name.

    Of 12 labels, 3 have no training document, but the words of their names are known.
    """
    folder.mkdir()
    rng = np.random.default_rng(0)
    pairs = [(i, j) for i in range(4) for j in range(3)]
    pairs.sort(key=lambda pair: pair[0] == pair[1])  # these three are the last
    first, last = ["amber", "basil", "cedar", "dune"], ["osso", "umbu", "etna"]
    names = [f"{first[i]}_{last[j]}" for i, j in pairs]
    for part, chosen in {"train": names[:9] * 12, "test": names * 3}.items():
        words = rng.choice(["alpha", "beta", "gamma", "delta"], (len(chosen), 5))
        texts = [
            f"about {name.replace('_', ' ')}. THE {' '.join(row)}"
            for name, row in zip(chosen, words, strict=True)
        ]
        (folder / f"{part}_texts.txt").write_text("\n".join(texts) + "\n")
        (folder / f"{part}_labels.txt").write_text("\n".join(chosen) + "\n")
    (folder / "labels.txt").write_text("".join(f"{name}\t{name}\n" for name in names))
    return folder


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which labels are found by their names."""
    return write_named(tmp_path_factory.mktemp("named") / "named")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of 120 documents and 12 labels."""
    return write(tmp_path_factory.mktemp("benchmark") / "tiny", 120, 12, n_train=90)


def call(script: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, FOLDER / script, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def results(data: Path) -> Path:
    """What `nearest` and `features+network+clusters` gave with two seeds."""
    path = data.parent / "results.jsonl"
    settings = ["--settings", "nearest", "features+network+clusters"]
    settings += ["--seeds", 0, 1, "--threads", 1]
    done = call("run.py", data, "--results", path, *settings)
    assert done.returncode == 0, done.stderr
    return path


def test_each_run_says_what_it_was_and_what_came_of_it(results: Path) -> None:
    found = rows(results)
    turns = [(row["job"]["setting"], row["job"]["seed"]) for row in found]
    assert turns == [
        ("nearest", 0),
        ("features+network+clusters", 0),
        ("nearest", 1),
        ("features+network+clusters", 1),
    ]
    for row in found:
        assert row["job"]["data"] == "tiny"
        assert row["job"]["part"] == "test"
        assert row["documents"] == [90, 30]
        assert {"P@1", "P@5", "nDCG@3", "R@5", "PSP@1", "PSnDCG@5"} <= row["figures"].keys()
        assert ("micro_f1" in row["figures"]) == row["job"]["setting"].startswith("features")
        assert ("ECE" in row["figures"]) == row["job"]["setting"].startswith("features")
        assert row["cpu_s"] > 0
        assert 0.3 < row["figures"]["P@1"] <= 1
        assert row["train_s"] > 0
        assert row["documents_a_second"] > 0
        assert row["model_bytes"] > 1000
        assert 0.05 < row["peak_gib"] < 4
        assert row["machine"]["cores"] >= 1
    nearest = [row["figures"] for row in found if row["job"]["setting"] == "nearest"]
    assert nearest[0] == nearest[1]  # nothing in it is drawn


def test_what_is_there_is_not_run_again(results: Path, data: Path) -> None:
    before = results.read_text()
    again = call(
        "run.py", data, "--results", results, "--settings", "nearest", "--seeds", 1, "--threads", 1
    )
    assert again.stdout == "nearest on tiny, seed 1: already there\n"
    assert results.read_text() == before


def test_the_test_part_is_not_read_for_validation(data: Path, tmp_path: Path) -> None:
    blind = tmp_path / "blind"
    blind.mkdir()
    for file in data.glob("train_*"):
        (blind / file.name).write_bytes(file.read_bytes())
    for name, content in {"texts": "never\n", "labels": "read\n"}.items():
        (blind / f"test_{name}.txt").write_text(content)
    path = tmp_path / "results.jsonl"
    done = call("run.py", blind, "--results", path, "--settings", "nearest", "--validation")
    assert done.returncode == 0, done.stderr
    (row,) = rows(path)
    assert (row["job"]["part"], row["documents"]) == ("validation", [81, 9])


def test_a_run_over_budget_is_ended_and_said_so(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    done = call("run.py", data, "--results", path, "--settings", "nearest", "--budget", 0.05)
    assert done.returncode == 0
    assert "over 0 s" in done.stdout
    (row,) = rows(path)
    assert row["over_budget_s"] == 0.05
    assert "Without a result: nearest: over 0 s." in call("tables.py", path).stdout


def test_a_larger_budget_is_another_try_and_the_same_is_not(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    for budget in (0.05, 0.05, 60, 0.05):
        call("run.py", data, "--results", path, "--settings", "nearest", "--budget", budget)
    assert ["figures" in row for row in rows(path)] == [False, True]
    table = call("tables.py", path).stdout
    assert "Without a result" not in table


def test_a_run_that_fails_does_not_end_the_benchmark_and_is_tried_again(
    data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"
    settings = ["--settings", "frozen", "nearest", "--encoder", tmp_path / "nowhere"]
    for _ in range(2):
        assert call("run.py", data, "--results", path, *settings).returncode == 0
    failed, good, again = rows(path)
    assert "nowhere" in failed["failed"]
    assert "figures" in good
    assert again["job"] == failed["job"]
    assert "failed" in again


def test_an_error_names_no_folder_of_the_program(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A package that breaks as it is imported, deep in the learner's own module.
    (tmp_path / "omikuji.py").write_text("raise RuntimeError('this one is broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    call("run.py", data, "--results", tmp_path / "r.jsonl", "--settings", "omikuji")
    (row,) = rows(tmp_path / "r.jsonl")
    assert row["failed"] == "RuntimeError: this one is broken"


def test_one_classifier_a_label_ranks_more_labels_than_a_byte_can_number(tmp_path: Path) -> None:
    folder = write(tmp_path / "many", 700, 200, n_train=600)
    path = tmp_path / "results.jsonl"
    call("run.py", folder, "--results", path, "--settings", "one_vs_rest", "nearest")
    svm, nearest = (row["figures"]["P@1"] for row in rows(path))
    assert svm > 0.8 * nearest > 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--settings", "magic"], "magic: expected a learner among features"),
        (["--settings", "nearest+se"], "nearest+se: se is not among names, open, pairs"),
        (["--settings", "features+length64"], "features+length64: length64 is not among"),
        (["--settings", "features+clusters"], "there is no network. Add +network"),
        (["--settings", "features+network+no_linear"], "so no ranker can be left out"),
        (["--settings", "features+network+names"], "so no ranker can be left out or added"),
        (["--settings", "fine_tuning+names"], "fine_tuning+names: names is not among"),
        (["--settings", "names+pairs"], "names+pairs: pairs is not among names, open"),
        (["--settings", "frozen+pairs+text"], "so none of theirs has an effect"),
        (["--settings", "frozen"], "frozen needs --encoder"),
        (["--settings", "omikuji+names+open"], "expected one of trained_names, names, open"),
        (["--settings", "features+open"], "features+open needs --others"),
        (["--settings", "pecos+titles"], "pecos+titles needs --title-ends"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_runs(
    data: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = call("run.py", data, "--results", tmp_path / "r.jsonl", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_tables_hold_the_mean_over_seeds_and_mark_the_best(results: Path, tmp_path: Path) -> None:
    done = call("tables.py", results, "--picture", tmp_path / "all.svg")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "### `tiny`, test part"
    of = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    found = [row for row in rows(results) if row["job"]["setting"] == "features+network+clusters"]
    values = [100 * row["figures"]["P@1"] for row in found]
    mean, spread = np.mean(values), np.std(values, ddof=1)
    cell = of["features+network+clusters, 2 seeds"].split("|")[2].split("/")[0].strip()
    assert cell.replace("**", "") == f"{mean:.2f} ±{spread:.2f}"
    assert "**" in done.stdout
    assert (
        "python examples/benchmark/run.py tiny --results FILE --settings nearest "
        "features+network+clusters --seeds 0 1 --threads 1" in lines
    )
    assert any(f"{found[0]['machine']['cores']} cores" in line and "torch 2" in line
               for line in lines)  # fmt: skip
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    for name in ("all.svg", "all_dark.svg"):
        assert (tmp_path / name).read_text().startswith("<?xml")


def test_the_command_below_a_table_makes_the_same_runs(results: Path, data: Path) -> None:
    (command,) = [line for line in call("tables.py", results).stdout.splitlines()
                  if line.startswith("python ")]  # fmt: skip
    before = results.read_text()
    arguments = command.split()[2:]
    arguments[:3] = [str(data), "--results", str(results)]
    again = call("run.py", *arguments)
    assert again.stdout.count("already there") == 4
    assert results.read_text() == before


def test_label_texts_find_labels_that_no_training_document_has(named: Path, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    learners = ["features", "napkinxc", "one_vs_rest", "nearest"]
    settings = [*learners, "features+trained_names", *(f"{n}+names" for n in learners), "names"]
    done = call("run.py", named, "--results", path, "--punctuation", "--settings", *settings)
    assert done.returncode == 0, done.stderr
    found = {row["job"]["setting"]: row for row in rows(path)}
    for setting in (*learners, "features+trained_names"):
        assert found[setting]["figures"]["P@1"] <= 0.75  # of 36 documents 9 have an unseen label
        assert found[setting]["figures"]["unseen_R@5"] == 0
    for setting in (*(f"{name}+names" for name in learners), "names"):
        assert found[setting]["names"] == 12
        assert found[setting]["job"]["punctuation"]
    for setting in ("features+names", "one_vs_rest+names", "names"):
        assert found[setting]["figures"]["unseen_R@5"] > 0.9
    assert found["features+trained_names"]["names"] == 9
    assert found["names"]["figures"]["micro_f1"] == 1
    assert found["one_vs_rest+names"]["figures"]["trained_P@1"] <= 0.75
    assert "micro_f1" not in found["nearest"]["figures"]
    assert "punctuation" not in found["nearest"]["job"]


def test_an_open_list_has_the_names_of_other_sets_and_titles_are_a_field(
    named: Path, data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"
    more = ["--others", data, "--punctuation", "--title-ends", r"THE\b", "--threads", 1]
    settings = ["features+open+titles", "nearest+open+titles", "nearest"]
    for _ in range(2):
        done = call("run.py", named, "--results", path, "--settings", *settings, *more)
        assert done.returncode == 0, done.stderr
    assert done.stdout.count("already there") == 3
    ours, other, plain = rows(path)
    assert ours["names"] == other["names"] == 24
    assert ours["job"]["others"] == ["tiny"]
    assert other["job"]["title_ends"] == r"THE\b"
    assert plain["job"].keys().isdisjoint({"others", "title_ends", "punctuation"})
    table = call("tables.py", path).stdout
    assert r"--others tiny --title-ends 'THE\b' --punctuation --threads 1" in table
    assert "| features+open+titles, 24 names, 1 seed |" in table


def test_the_recall_of_candidates_bounds_that_of_the_ranking(named: Path, tmp_path: Path) -> None:
    path = tmp_path / "candidates.jsonl"
    done = call("candidates.py", named, "--settings", "features+names", "--results", path,
                "--punctuation")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (row,) = rows(path)
    assert {"linear", "neighbors", "label_texts", "all"} <= row["rankers"].keys()
    assert row["rankers"]["all"]["of labels without a document"][0] == 100
    assert row["rankers"]["linear"]["of labels without a document"][0] == 0


def test_the_floor_is_the_time_of_the_products_of_the_same_shapes(
    data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "floor.jsonl"
    done = call("floor.py", data, "--rounds", 2, "--results", path)
    assert done.returncode == 0, done.stderr
    (found,) = rows(path)
    assert (found["documents"], found["labels"], found["table"][1]) == (90, 12, 512)
    assert found["steps"] == 20  # 20 epochs of one batch
    for fit, sparse, dense in zip(found["fit_s"], found["sparse_s"], found["dense_s"], strict=True):
        assert 0 < sparse + dense < fit
    assert "fit / floor" in done.stdout


def test_what_a_gpu_has_to_show_can_be_tried_on_a_cpu_and_goes_on_where_it_was(
    data: Path, tmp_path: Path
) -> None:
    encoder = save_pretrained(tmp_path / "encoder", "bert")
    options = [tmp_path / "out", "--dry", "--data", data, "--encoder", encoder]
    options += ["--title-ends", r"(?<=\w) "]  # the first word
    first = call("gpu.py", *options, "--part", "memory", "train", "--seconds", 400)
    assert first.returncode == 0, first.stderr
    found = rows(tmp_path / "out" / "gpu.jsonl")
    assert [r["head"] for r in found if "head" in r] == ["clustered", "dense", "one_vs_all"]
    (training,) = (r for r in found if "figures" in r)
    assert training["figures"]["P@1"] > 0.3
    assert training["job"]["title_ends"] == r"(?<=\w) "
    ends = [(r["part"], r["how"]) for r in found if "ended" in r]
    assert ends == [*[("memory", "well")] * 3, ("train", "well")]
    assert (tmp_path / "out" / "gpu.md").read_text() in first.stdout
    assert "| one_vs_all, batch 4 | 300 |" in first.stdout
    again = call("gpu.py", *options, "--part", "memory", "train")
    assert again.stdout.count("already there") == 4
    assert rows(tmp_path / "out" / "gpu.jsonl") == found


def test_with_too_little_time_left_nothing_is_begun(tmp_path: Path) -> None:
    done = call("gpu.py", tmp_path / "out", "--dry", "--part", "memory", "--seconds", 5)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no time left") == 3
    (machine,) = rows(tmp_path / "out" / "gpu.jsonl")
    assert machine["gpu"] in done.stdout


@pytest.mark.parametrize(
    ("seconds", "planned"), [(1_000, (512, 10)), (490, (512, 8)), (350, (256, 6)), (210, (128, 2))]
)
def test_a_training_has_the_most_tokens_with_which_six_epochs_fit(
    data: Path, seconds: float, planned: tuple[int, int]
) -> None:
    # Of 90 documents, an epoch is 35 s with 512 tokens, 11 s with 128.
    rates = {512: 3.6, 128: 11.5}
    measured = [
        {"part": "step", "shape": "minilm", "tokens": tokens, "ours": rate}
        for tokens, rate in rates.items()
    ]
    code = f"import gpu; print(gpu.plan({str(data)!r}, {measured}, {seconds}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=FOLDER, check=True
    )
    assert done.stdout == f"{planned}\n"
