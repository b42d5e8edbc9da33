"""A vocabulary of word pieces, learnt from the texts."""

from __future__ import annotations

import re
from collections import Counter

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

_MOST_CHARACTERS = 1_000  # of the vocabulary; rarer ones are unknown, as in BERT's own
_LONG_WORD = re.compile(r"\w{101,}")
_SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def learn_vocabulary(texts: list[str], vocabulary_size: int) -> Tokenizer:
    """Learn a lower-cased WordPiece vocabulary (Wu et al., 2016) of at most this size.

    The same texts give the same vocabulary. The trainer alone does not see to that: it numbers
    the pieces ``##x`` in the order of a hash map, and breaks ties by those numbers. So they are
    numbered for it, which it allows for special tokens only, and a tokenizer in which they are
    ordinary is made of what it learnt.
    """
    # BERT's own way strips accents: in Japanese, Thai or Hindi they make another word.
    normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.BertNormalizer(lowercase=True, strip_accents=False)]
    )
    pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # A word of over 100 characters is [UNK] in any case, and learning from it takes a time that
    # grows faster than its length.
    normal = [_LONG_WORD.sub(" ", normalizer.normalize_str(text)) for text in texts]
    characters: Counter[str] = Counter()
    for text in normal:
        characters.update(text)
    room = min(_MOST_CHARACTERS, (vocabulary_size - len(_SPECIAL_TOKENS)) // 3)
    ranked = sorted((c for c in characters if not c.isspace()), key=lambda c: (-characters[c], c))
    alphabet = sorted(ranked[: max(1, room)])
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.pre_tokenizer = pre_tokenizer
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size,
        special_tokens=_SPECIAL_TOKENS + [f"##{c}" for c in alphabet],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    learner.train_from_iterator(normal, trainer)
    tokenizer = Tokenizer(
        models.WordPiece(learner.get_vocab(), unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    tokenizer.add_special_tokens(_SPECIAL_TOKENS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer
