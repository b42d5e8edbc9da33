"""Encoders from a config, a folder or a name, for every family the design names."""

from __future__ import annotations

import inspect
import os
import re
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import processors
from transformers import (
    AutoConfig,
    AutoModel,
    BartConfig,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLNetConfig,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from lightxml.data.documents import EncodedDocuments, tokenize
from lightxml.exceptions import EncoderUnavailableError
from lightxml.network.batches import collate
from lightxml.network.config import NetworkConfig
from lightxml.network.encoders import (
    TEXT_ENCODERS,
    build_encoder,
    config_from_dict,
    config_to_dict,
    learn_vocabulary,
    model_from_config,
)
from lightxml.network.network import LightXMLNetwork

CPU = torch.device("cpu")
TEXTS = ["the cat sat on the mat", "a dog", "", "the house of the dog and the cat is red"] * 4
FAMILIES: dict[str, PretrainedConfig] = {
    "bert": BertConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    ),
    "roberta": RobertaConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40, pad_token_id=1,
    ),
    "distilbert": DistilBertConfig(
        dim=16, n_layers=3, n_heads=2, hidden_dim=32, max_position_embeddings=40
    ),
    "xlnet": XLNetConfig(d_model=16, n_layer=3, n_head=2, d_inner=32),
    "modernbert": ModernBertConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40, global_attn_every_n_layers=2, local_attention=8,
    ),
}  # fmt: skip


def save_pretrained(folder: Path, family: str) -> str:
    """Write a folder as a hub would give it, the summary token where the family has it."""
    tokenizer = learn_vocabulary(TEXTS, 100)
    if family == "xlnet":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A [SEP] [CLS]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    )
    wrapped.save_pretrained(folder)
    config = config_from_dict(config_to_dict(FAMILIES[family]))
    config.vocab_size, config.pad_token_id = len(wrapped), 0
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    return str(folder)


def network_of(encoder: object, **params: object) -> LightXMLNetwork:
    return LightXMLNetwork(NetworkConfig(5, **params), encoder).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_its_layers_summary_vectors(family: str, tmp_path: Path) -> None:
    encoder = build_encoder(save_pretrained(tmp_path, family), TEXTS, 32)
    network = network_of(encoder, n_feature_layers=2)
    store = EncodedDocuments(tokenize(TEXTS[:4], encoder.tokenizer))

    for i in range(4):
        batch = collate(store, np.array([i]), encoder.pad_id, CPU)
        assert batch.tokens is not None
        ids, lengths = batch.tokens.input_ids, batch.tokens.lengths
        inputs = {"input_ids": ids}
        place = 0
        if family == "xlnet":
            place = int(lengths[0]) - 1
            inputs["token_type_ids"] = torch.zeros_like(ids)
            inputs["token_type_ids"][0, place] = 2
        assert ids[0, place] == 2, "the summary token is [CLS]"
        with torch.no_grad():
            hidden = encoder.model(**inputs, output_hidden_states=True).hidden_states
            found = network.represent(batch)[0]
        expected = torch.cat([hidden[-1][0, place], hidden[-2][0, place]])
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", sorted(TEXT_ENCODERS))
def test_every_architecture_that_is_taken_is_built_without_fetching_anything(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if family not in CONFIG_MAPPING_NAMES:
        pytest.skip("this transformers does not know it yet")
    for name in ("socket", "create_connection"):
        monkeypatch.delattr(socket, name)
    config = AutoConfig.for_model(family)
    with torch.device("meta"):
        model = model_from_config(config)
    source = Path(inspect.getfile(type(model))).read_text("utf-8")
    assert not re.search(r"get_kernel|load_cuda|hub_kernels|torch\.hub", source)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_neighbors_change_nothing(family: str, tmp_path: Path) -> None:
    encoder = build_encoder(save_pretrained(tmp_path, family), TEXTS, 32)
    network = network_of(encoder)
    store = EncodedDocuments(tokenize(TEXTS[:4], encoder.tokenizer))
    with torch.no_grad():
        together = network.represent(collate(store, np.arange(4), encoder.pad_id, CPU))
        alone = [
            network.represent(collate(store, np.array([i]), encoder.pad_id, CPU)) for i in range(4)
        ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_config_is_trained_from_scratch_with_a_learnt_vocabulary(family: str) -> None:
    config = FAMILIES[family]
    before = config.to_dict()
    encoder = build_encoder(config, TEXTS, 32)
    assert config.to_dict() == before, "the caller's config is not changed"
    assert encoder.model.config.vocab_size == encoder.tokenizer.get_vocab_size() < 100
    store = EncodedDocuments(tokenize(TEXTS, encoder.tokenizer))
    logits = network_of(encoder)(collate(store, np.arange(4), encoder.pad_id, CPU))
    assert torch.isfinite(logits).all()


def test_an_encoder_with_fewer_layers_gives_all_it_has() -> None:
    encoder = build_encoder(FAMILIES["bert"], TEXTS, 32)
    assert network_of(encoder, n_feature_layers=5).n_feature_layers == 3
    assert network_of(encoder, n_feature_layers=5).head.in_features == 3 * 16


@pytest.mark.parametrize(("family", "most"), [("bert", 40), ("roberta", 38), ("xlnet", 4_000)])
def test_documents_are_cut_at_the_encoders_own_positions(
    family: str, most: int, tmp_path: Path
) -> None:
    folder = save_pretrained(tmp_path, family)
    config = FAMILIES[family]
    if family == "roberta":  # its positions begin after pad_token_id, which the folder sets to 0
        most = 39
    encoder = build_encoder(folder, TEXTS, 4_000)
    assert encoder.max_length == most
    store = EncodedDocuments(tokenize(["cat " * 5_000], encoder.tokenizer))
    assert store.lengths.tolist() == [most]
    if most < 100:
        batch = collate(store, np.array([0]), encoder.pad_id, CPU)
        assert torch.isfinite(network_of(encoder).represent(batch)).all()
    assert config.model_type == family


def test_tiny_is_four_layers_of_width_256_and_repeats_itself() -> None:
    built = []
    for _ in range(2):
        torch.manual_seed(3)
        built.append(build_encoder("tiny", TEXTS, 512))
    config = built[0].model.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (4, 256, 4)
    assert built[0].max_length == 512
    assert built[0].tokenizer.to_str() == built[1].tokenizer.to_str()
    for a, b in zip(built[0].model.parameters(), built[1].model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_vocabulary_has_at_most_the_size_asked_for() -> None:
    words = [" ".join(f"{a}{b}{c}" for c in "bdfgkl") for a in "aeiou" for b in "mnprst"]
    assert learn_vocabulary(words, 60).get_vocab_size() == 60


@pytest.mark.parametrize(
    ("one", "other"),
    [("ハス", "バス"), ("ハス", "パス"), ("कल", "काल"), ("มา", "ม้า"), ("می", "مي"), ("шел", "шёл"),
     ("ma", "má"), ("schon", "schön"), ("ירד", "יָרַד"), ("한", "하"), ("ක", "කි"), ("η", "ή"),
     ("কল", "কাল"), ("ក", "កា"), ("ა", "ბ"), ("日", "目"), ("a", "ａ")],
)  # fmt: skip
def test_a_vocabulary_of_any_script_keeps_words_apart(one: str, other: str) -> None:
    """Marks make another word: voicing, vowel signs, tones, points, umlauts."""
    tokenizer = learn_vocabulary([one, other] * 20, 100)
    encoded = [tokenizer.encode(word).ids for word in (one, other)]
    assert encoded[0] != encoded[1]
    assert tokenizer.token_to_id("[UNK]") not in (*encoded[0], *encoded[1])
    apart = unicodedata.normalize("NFD", other)
    assert tokenizer.encode(apart).ids == encoded[1]  # as other systems write it


def test_a_word_of_a_million_letters_costs_the_vocabulary_nothing() -> None:
    letters = "".join(np.random.default_rng(0).choice(list("abcdefgh"), size=1_000_000))
    with_it, without = (learn_vocabulary([*TEXTS, *more], 100) for more in ([letters], []))
    assert with_it.get_vocab() == without.get_vocab()


def test_no_pooling_layer_is_kept() -> None:
    assert model_from_config(FAMILIES["bert"]).pooler is None


@pytest.mark.parametrize("config", [GPT2Config(), BartConfig()], ids=["gpt2", "bart"])
def test_architectures_that_are_not_on_the_list_are_refused(config: PretrainedConfig) -> None:
    with pytest.raises(ValueError, match="is not one of the architectures that are read here"):
        build_encoder(config, TEXTS, 32)


def test_a_tokenizer_without_summary_token_is_refused(tmp_path: Path) -> None:
    folder = save_pretrained(tmp_path, "bert")
    tokenizer = learn_vocabulary(TEXTS, 100)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="puts no summary token"):
        build_encoder(folder, TEXTS, 32)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = save_pretrained(tmp_path, "bert")
    words = " ".join(f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnpr")
    other = PreTrainedTokenizerFast(
        tokenizer_object=learn_vocabulary([words], 400), cls_token="[CLS]", pad_token="[PAD]"
    )
    other.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="they do not belong together"):
        build_encoder(folder, TEXTS, 32)


def test_a_maximum_length_without_room_for_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_length=2 leaves no room.*at least 3"):
        build_encoder(FAMILIES["bert"], TEXTS, 2)


def test_a_folder_without_a_model_names_the_ways_on(tmp_path: Path) -> None:
    with pytest.raises(
        EncoderUnavailableError, match=r"words alone.*encoder=None.*save_pretrained"
    ):
        build_encoder(str(tmp_path), TEXTS, 32)


@pytest.mark.slow  # the hub's client tries again for some time
def test_a_hub_that_cannot_be_reached_names_the_ways_on(tmp_path: Path) -> None:
    # A fresh process, since the hub's address is read at import; port 9 refuses connections.
    code = (
        "from lightxml.network.encoders import build_encoder\n"
        "from lightxml.exceptions import EncoderUnavailableError\n"
        "try: build_encoder('nobody/no-such-model', ['a'], 32)\n"
        "except EncoderUnavailableError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "encoder='nobody/no-such-model' could not be loaded" in done.stdout, done.stderr
    assert "encoder=None, features=TfidfVectorizer()" in done.stdout


def test_a_saved_config_says_nothing_but_the_architecture(tmp_path: Path) -> None:
    config = AutoModel.from_pretrained(save_pretrained(tmp_path, "bert")).config
    config.id2label, config.label2id = {0: "a label of others"}, {"a label of others": 0}
    values = config_to_dict(config)
    assert str(tmp_path) not in str(values)
    assert "a label of others" not in str(values)
    rebuilt = model_from_config(config_from_dict(values))
    assert [p.shape for p in rebuilt.parameters()] == [
        p.shape for p in model_from_config(config).parameters()
    ]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2'"),
        ({"model_type": None}, "model_type is None"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "asks for 'auto_map'"),
        ({"_attn_implementation": "hub/kernel"}, "asks for '_attn_implementation'"),
        ({"attn_implementation": "hub/kernel"}, "asks for 'attn_implementation'"),
        ({"quantization_config": {}}, "asks for 'quantization_config'"),
        ({"backbone": "hub/model"}, "asks for 'backbone'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_config_that_asks_for_more_than_an_architecture_is_refused(
    change: dict[str, object], found: str
) -> None:
    with pytest.raises(ValueError, match=found):
        config_from_dict({**config_to_dict(FAMILIES["bert"]), **change})
