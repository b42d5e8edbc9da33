"""``lightxml reproduce``: the published settings, on small folders in every layout."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from typer.testing import CliRunner, Result

from lightxml import LightXMLClassifier, LightXMLEnsemble, load
from lightxml.cli import app as cli
from lightxml.cli import reproduction
from lightxml.cli.recipes import IMPROVEMENTS, RECIPES, Smoke, arguments
from lightxml.datasets import load_xmc, make_xmc
from lightxml.fitting import decisions as parameters
from lightxml.metrics import propensities
from lightxml.metrics.tables import rank_metrics
from lightxml.network.tables import RowAdagrad
from tests.cli.conftest import save_encoder
from tests.datasets import test_layouts as layouts

Make = Callable[..., LightXMLClassifier]

SMALL, LARGE = ["eurlex4k", "wiki31k", "amazoncat13k"], ["amazon670k", "wiki500k"]
N_TRAIN, N_TEST, N_LABELS = 60, 20, 40

# --- what was published, typed anew ------------------------------------------------------------

BERT, ROBERTA, XLNET = "bert-base-uncased", "roberta-base", "xlnet-base-cased"
# encoder, epochs, batch, accumulate, length, epoch and steps of SWA
EPOCHS_AND_BATCHES = {
    "eurlex4k": [
        (BERT, 20, 16, 1, 512, 10, 200),
        (ROBERTA, 20, 16, 1, 512, 10, 200),
        (XLNET, 20, 8, 2, 512, 10, 400),
    ],
    "wiki31k": [
        (BERT, 30, 16, 1, 512, 10, 300),
        (ROBERTA, 30, 8, 2, 512, 10, 400),
        (XLNET, 30, 8, 2, 512, 10, 400),
    ],
    "amazoncat13k": [
        (BERT, 5, 16, 1, 512, 2, 10_000),
        (ROBERTA, 5, 16, 1, 512, 2, 10_000),
        (XLNET, 5, 32, 1, 128, 2, 10_000),
    ],
    "amazon670k": [(BERT, 15, 16, 1, 128, 4, 3_000)] * 3,
    "wiki500k": [(BERT, 10, 32, 1, 128, 4, 3_000)] * 3,
}
CLUSTERS = {"amazon670k": (400, 75, 100), "wiki500k": (500, 32, 100)}
FIGURES = {
    "eurlex4k": ("86.1/74.0/61.9 (m)", "87.63/75.89/63.36 (m)"),
    "wiki31k": ("87.8/77.3/68.1 (m)", "89.45/78.96/69.85"),
    "amazoncat13k": ("96.6/83.7/68.5 (m)", "96.77/84.02/68.7"),
    "amazon670k": ("47.3/42.2/38.5", "49.1/43.83/39.85"),
    "wiki500k": ("76.19/57.22/44.12", "77.78/58.85/45.57"),
}
PROPENSITIES = {"amazon670k": (0.6, 2.6), "wiki500k": (0.5, 0.4)}


def test_there_are_five_data_sets():
    assert list(RECIPES) == SMALL + LARGE == list(EPOCHS_AND_BATCHES)


@pytest.mark.parametrize("name", RECIPES)
def test_settings_are_the_published_ones(name: str):
    recipe = RECIPES[name]
    members = [arguments(recipe, member) for member in recipe.members]
    assert [
        (m["encoder"], m["max_epochs"], m["batch_size"], m["accumulate"], m["max_length"],
         m["swa_start"] * m["max_epochs"], m["swa_every"])
        for m in members
    ] == EPOCHS_AND_BATCHES[name]  # fmt: skip
    for m in members:
        assert m["label_clusters"] is (name in CLUSTERS)
        found = (m.get("label_dim"), m.get("n_candidate_clusters"), m.get("max_cluster_size"))
        assert found == CLUSTERS.get(name, (None, None, None))
        assert m["learning_rate"] == m["head_learning_rate"] == 1e-4
        assert (m["schedule"], m["weight_decay"]) == ("constant", 0.01)
        assert (m["dropout"], m["n_feature_layers"], m["rankers"]) == (0.5, 5, ("network",))
    assert recipe.propensity == PROPENSITIES.get(name, (0.55, 1.5))


@pytest.mark.parametrize("name", RECIPES)
def test_figures_are_the_published_ones_with_a_mark_on_those_from_memory(name: str):
    for published, typed in zip(
        (RECIPES[name].one_model, RECIPES[name].three_models), FIGURES[name], strict=True
    ):
        figures = "/".join(str(value) for value in published.precision)
        assert figures + " (m)" * published.from_memory == typed


@pytest.mark.parametrize("smoke", [None, Smoke()])
@pytest.mark.parametrize("name", RECIPES)
def test_settings_are_arguments_that_the_estimator_takes(name: str, smoke: Smoke | None):
    for member in RECIPES[name].members:
        params = arguments(RECIPES[name], member, smoke=smoke)
        parameters.check_params(LightXMLClassifier(**params).get_params(deep=False))


# --- small folders in every layout -------------------------------------------------------------


def make_texts() -> tuple[list[str], sp.csr_array]:
    return make_xmc(
        N_TRAIN + N_TEST, N_LABELS, n_labels_per_document=3, n_words_per_document=12, random_state=0
    )


def write_texts(folder: Path, part: str, texts: list[str], y: sp.csr_array, raw: str = "") -> None:
    rows = [" ".join(f"L{j}" for j in y[[i]].indices) for i in range(y.shape[0])]
    (folder / f"{part}_{raw}texts.txt").write_text("".join(f"{text}\n" for text in texts))
    (folder / f"{part}_labels.txt").write_text("".join(f"{row}\n" for row in rows))


def write_raw_texts(folder: Path, part: str, texts: list[str], y: sp.csr_array) -> None:
    write_texts(folder, part, texts, y, raw="raw_")
    (folder / f"{part}.txt").write_text("1 1 1\n0 0:1\n")  # features for clustering, not read


def write_pecos(folder: Path, part: str, texts: list[str], y: sp.csr_array) -> None:
    layouts.write_pecos(folder, {"train": "trn", "test": "tst"}[part], texts, y)


def write_json(folder: Path, part: str, texts: list[str], y: sp.csr_array) -> None:
    layouts.write_json(folder, {"train": "trn", "test": "tst"}[part], texts, y.toarray())


def write_rows(folder: Path, part: str, texts: list[str], y: sp.csr_array) -> None:
    rows = [f"{','.join(map(str, y[[i]].indices))} 0:1\n" for i in range(y.shape[0])]
    (folder / f"{part}.txt").write_text(f"{y.shape[0]} 2 {N_LABELS}\n" + "".join(rows))


OF_TEXTS = [write_texts, write_raw_texts, write_pecos, write_json]


def write_set(folder: Path, write: Callable[..., None], parts: tuple[str, ...] = ()) -> Path:
    texts, y = make_texts()
    folder.mkdir(exist_ok=True)
    slices = {"train": slice(0, N_TRAIN), "test": slice(N_TRAIN, None)}
    for part in parts or slices:
        write(folder, part, texts[slices[part]], y[slices[part]])
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data"), write_texts)


def run(*options: Any) -> Result:
    return CliRunner().invoke(cli.app, ["reproduce", *map(str, options)])


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoders") / "bert", make_texts()[0])


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch, bert: Path) -> Smoke:
    """Make ``--smoke`` smaller still, so that it takes a second."""
    cuts = Smoke(n_documents=40, encoder=str(bert), max_length=16, max_epochs=2, swa_every=2)
    monkeypatch.setattr("lightxml.cli.reproduce.Smoke", lambda: cuts)
    return cuts


# Each recipe once, each layout of texts once.
@pytest.mark.parametrize(
    ("name", "write"),
    [*((name, write_texts) for name in RECIPES), *(("eurlex4k", w) for w in OF_TEXTS[1:])],
)
def test_a_recipe_runs_on_a_folder_of_texts(
    tmp_path: Path, smaller: Smoke, name: str, write: Callable[..., None]
):
    folder = write_set(tmp_path / "data", write)
    file = tmp_path / "new" / "figures.json"
    result = run(name, "--data", folder, "--smoke", "--json", file)
    assert result.exit_code == 0, result.output
    before, table = result.stdout.split("\n%")
    assert "A SMOKE TEST on up to 40 documents" in before
    assert "not comparable with the published" in " ".join(before.split())
    record = json.loads(file.read_text())
    assert record["smoke_test"] is True
    assert record["data_set"] == RECIPES[name].name
    assert list(record["figures"]) == ["1 bert", "2 bert", "3 bert", "mean of the 3"]
    for row, figures in record["figures"].items():
        assert f"{100 * figures['P@1']:9.2f}{100 * figures['P@3']:9.2f}" in table, row
        assert {f"{metric}@{k}" for metric in ("P", "nDCG", "PSP") for k in (1, 3, 5)} <= set(
            figures
        )


def test_a_folder_of_features_is_refused_as_encoders_read_texts(tmp_path: Path):
    result = run("eurlex4k", "--data", write_set(tmp_path, write_rows), "--smoke")
    assert result.exit_code == 1
    assert "holds features, but an encoder reads texts" in result.stderr
    assert f"Expected the texts of {RECIPES['eurlex4k'].name}" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_smoke_test_as_it_is(data: Path, tmp_path: Path, name: str):
    result = run(name, "--data", data, "--smoke", "--output", tmp_path / "model")
    assert result.exit_code == 0, result.output
    assert list(json.loads((tmp_path / "model" / "figures.json").read_text())["figures"]) == [
        "1 tiny", "2 tiny", "3 tiny", "mean of the 3",
    ]  # fmt: skip


# --- data that is missing ----------------------------------------------------------------------

FOLDERS = {
    "eurlex4k": ("EURLex-4K", "EUR-Lex", "eurlex-4k"),
    "wiki31k": ("Wiki10-31K", "wiki10-31k"),
    "amazoncat13k": ("AmazonCat-13K", "amazoncat-13k"),
    "amazon670k": ("Amazon-670K", "amazon-670k"),
    "wiki500k": ("Wiki-500K", "Wikipedia-500K", "wiki-500k"),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("given", ["nothing", "no folder", "an empty folder"])
def test_missing_data_is_told_by_the_names_of_the_sets_and_files(
    tmp_path: Path, name: str, given: str
):
    (tmp_path / "empty").mkdir()
    folder = tmp_path / {"no folder": "none"}.get(given, "empty")
    result = run(name, *([] if given == "nothing" else ["--data", folder]))
    assert result.exit_code == 1
    assert result.stderr.startswith("lightxml: error: ")
    for part in (
        *FOLDERS[name], "Extreme Classification Repository", "AttentionXML", "LightXML", "PECOS",
        "train_texts.txt", "train_raw_texts.txt", "train_labels.txt", "X.trn.txt", "Y.trn.npz",
        "trn.json.gz", "trn.raw.json.gz",
    ):  # fmt: skip
        assert part in result.stderr
    assert ("--data" if given == "nothing" else str(folder)) in result.stderr


def test_a_folder_without_a_test_part_is_refused(tmp_path: Path):
    result = run("eurlex4k", "--data", write_set(tmp_path, write_texts, ("train",)), "--smoke")
    assert result.exit_code == 1
    assert "holds no test part to measure on" in result.stderr


def test_a_smoke_test_keeps_the_first_documents_and_their_labels(data: Path):
    whole = load_xmc(data)
    cut = reproduction.read_data(RECIPES["eurlex4k"], data, Smoke(n_documents=5))
    assert (cut.X_train, cut.X_test) == (whole.X_train[:5], whole.X_test[:5])
    used = np.flatnonzero(whole.y_train[:5].sum(axis=0))
    assert cut.labels.tolist() == whole.labels[used].tolist()
    np.testing.assert_array_equal(cut.y_train.toarray(), whole.y_train.toarray()[:5, used])
    np.testing.assert_array_equal(cut.y_test.toarray(), whole.y_test.toarray()[:5, used])
    assert reproduction.read_data(RECIPES["eurlex4k"], data).X_train == whole.X_train


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LARGE)
def test_members_of_a_large_set_have_other_clusters_and_improvements(
    tmp_path: Path, data: Path, smaller: Smoke, name: str
):
    result = run(
        name, "--data", data, "--smoke", "--output", tmp_path / "model",
        "--improvements", "se_block,loss_correction,random_negatives",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Left out" not in result.stdout
    text = " ".join(result.stdout.split())
    assert "Ours have se_block, loss_correction, random_negatives, which" in text
    first, second, _ = load(tmp_path / "model").estimators_
    assert len(np.unique(first.label_clusters_)) > smaller.n_candidate_clusters
    assert (first.label_clusters_ != second.label_clusters_).any()
    assert first.network_.head.project.out_features == RECIPES[name].label_dim
    assert (first.se_block, first.loss_correction, first.n_random_negatives) == (True, True, 5)


def test_improvements_of_clusters_are_left_out_on_small_sets_with_a_word(
    data: Path, smaller: Smoke
):
    result = run(
        SMALL[0], "--data", data, "--smoke", "--members", 1,
        "--improvements", "loss_correction, se_block,random_negatives",
    )  # fmt: skip
    assert result.exit_code == 0, result.output  # and no warning of the estimator, or it were not
    assert (
        "Left out, having no effect without label clusters: loss_correction, random_negatives.\n"
        in result.stdout
    )
    assert "Ours have se_block, which" in result.stdout


def test_200_random_negatives_are_drawn_in_earnest():
    recipe = RECIPES["amazon670k"]
    model = reproduction.make_ensemble(recipe, improvements=list(IMPROVEMENTS))
    for member in model.estimators:
        assert (member.se_block, member.loss_correction) == (True, True)
        assert member.n_random_negatives == 200


def test_an_unknown_improvement_is_refused(data: Path):
    result = run("eurlex4k", "--data", data, "--improvements", "se_block,dropout")
    assert result.exit_code == 1
    assert "'dropout' is none; expected some of se_block,loss_correction,random" in result.stderr


def test_an_unknown_data_set_is_refused():
    result = run("eurlex")
    assert result.exit_code == 2
    assert "eurlex: expected one of eurlex4k, wiki31k" in result.stderr


def test_only_the_first_members_are_trained(data: Path, smaller: Smoke, tmp_path: Path):
    file = tmp_path / "figures.json"
    result = run("wiki31k", "--data", data, "--smoke", "--members", 1, "--json", file)
    assert result.exit_code == 0, result.output
    record = json.loads(file.read_text())
    assert list(record["figures"]) == ["1 bert"]
    assert "mean of" not in result.stdout
    for n in (0, 4):
        result = run("wiki31k", "--data", data, "--members", n)
        assert result.exit_code == 1
        assert f"--members {n}: expected 1 to 3" in result.stderr


def test_encoders_take_the_place_of_the_published_ones():
    recipe = RECIPES["eurlex4k"]
    for given in (["a"], ["a", "b", "c"]):
        for smoke in (None, Smoke()):
            model = reproduction.make_ensemble(recipe, encoders=given, smoke=smoke)
            found = [member.encoder for member in model.estimators]
            assert found == (given * 3 if len(given) == 1 else given)
    assert [m.batch_size for m in reproduction.make_ensemble(recipe).estimators] == [16, 16, 8]
    with pytest.raises(ValueError, match=r"given 2 times for 3 members; give it once, or once"):
        reproduction.make_ensemble(recipe, encoders=["a", "b"])


def test_an_encoder_that_is_not_there_is_told_before_any_training(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fit(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(LightXMLEnsemble, "fit", fit)
    options = [part for name in ("tiny", "tiny", tmp_path / "none") for part in ("--encoder", name)]
    result = run("eurlex4k", "--data", data, *options)
    assert result.exit_code == 1
    assert "could not be loaded" in result.stderr
    assert str(tmp_path / "none") in result.stderr


def test_a_killed_member_goes_on_from_its_checkpoint(
    data: Path, smaller: Smoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    options = ("amazon670k", "--data", data, "--smoke", "--members", 1)
    given = (*options, "--checkpoint-dir", tmp_path / "checkpoints", "--json", tmp_path / "figures")
    n_steps, ends_at, step = 0, 0, RowAdagrad.step

    def counted(self: RowAdagrad, closure: None = None) -> None:
        nonlocal n_steps
        n_steps += 1
        if n_steps == ends_at:
            signal.raise_signal(signal.SIGINT)
        step(self, closure)

    monkeypatch.setattr(RowAdagrad, "step", counted)
    unbroken = run(*options)
    assert unbroken.exit_code == 0, unbroken.output
    in_all, n_steps, ends_at = n_steps, 0, 3
    assert run(*given).exit_code == 130
    assert n_steps == 3
    resumed = run(*given)
    assert resumed.exit_code == 0, resumed.output
    assert n_steps == in_all
    assert resumed.stdout.split("%")[1] == unbroken.stdout.split("%")[1]
    assert str(tmp_path / "checkpoints") not in (tmp_path / "figures").read_text()


@pytest.mark.parametrize("option", ["--output", "--json"])
def test_a_place_that_cannot_be_written_is_told_before_the_data_is_read(
    tmp_path: Path, option: str
):
    (tmp_path / "file").write_text("")
    result = run("eurlex4k", "--data", tmp_path / "none", option, tmp_path / "file" / "new")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"lightxml: error: {option} ")
    result = run("eurlex4k", "--data", tmp_path / "none", "--json", tmp_path)
    assert "is a folder; expected a file" in result.stderr


# --- what comes out ----------------------------------------------------------------------------


def test_the_saved_model_has_the_figures_that_are_shown(data: Path, smaller: Smoke, tmp_path: Path):
    options = ("wiki500k", "--data", data, "--smoke", "--seed", 3, "--device", "cpu")
    result = run(*options, "--output", tmp_path / "model")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "model" / "figures.json").read_text())
    assert (record["seed"], record["folder"]) == (3, str(data))
    assert record["members"][0]["max_length"] == 16
    bunch = reproduction.read_data(RECIPES["wiki500k"], data, smaller)
    weights = propensities(bunch.y_train, a=0.5, b=0.4)
    model = load(tmp_path / "model")
    for row, one in zip(record["figures"].values(), [*model.estimators_, model], strict=True):
        topk = one.predict_topk(bunch.X_test)
        assert row == rank_metrics(bunch.y_test, topk, weights, classes=bunch.labels)
    again = run(*options, "--json", tmp_path / "again.json")
    assert again.exit_code == 0, again.output
    assert json.loads((tmp_path / "again.json").read_text())["figures"] == record["figures"]


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("smoke", [None, Smoke()])
def test_the_table_fits_a_terminal(name: str, smoke: Smoke | None):
    model = LightXMLEnsemble(estimators=[LightXMLClassifier("/there/" + "long-name" * 9)])
    model.estimators_ = [LightXMLClassifier("/there/" + "long-name" * 9), LightXMLClassifier(BERT)]
    rows = reproduction.row_names(model)
    columns = [f"{metric}@{k}" for metric in ("P", "nDCG", "R", "PSP", "PSnDCG") for k in (1, 3, 5)]
    figures = dict.fromkeys(rows, dict.fromkeys(columns, 1.0))
    text = reproduction.comparison(
        RECIPES[name], figures, improvements=list(IMPROVEMENTS), smoke=smoke
    )
    assert max(map(len, text.splitlines())) <= 80
    assert "\n1 long-namelong-namelon... " in text
    assert f"\n2 {BERT} " in text
    for given, typed in zip(("one model", "three"), FIGURES[name], strict=True):
        (line,) = [line for line in text.splitlines() if line.startswith(f"published, {given}")]
        assert ("(m)" in line) == ("(m)" in typed)
        numbers = [f"{float(value):.2f}" for value in typed.removesuffix(" (m)").split("/")]
        assert line.split()[-6:] == [*numbers, "-", "-", "-"]
    flat = " ".join(text.split())
    assert ("(m): from memory" in flat) == ("(m)" in "".join(FIGURES[name]))
    if smoke is None:
        assert f"The published figures are of {RECIPES[name].name}" in flat
        selected = "the test set" if name in SMALL else "4,000 held-out training documents"
        assert f"best P@5 on {selected}; ours" in flat
        assert "nothing was selected on the test part" in flat
