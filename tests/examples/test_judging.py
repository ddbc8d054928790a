"""The benchmarks that use judges: language models, choices, limits, stored rows, and the pages they write."""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.benchmarks import injected_errors, material, quality, sections, summary
from examples.train_tiny import arpa, judges, texts
from llasa_search import Sampling
from llasa_search.storage.files import write_wav
from llasa_search.study import Study, read_cases
from llasa_search.study.cases import SETS, TEXTS
from llasa_search.study.embedded_judges import FOLDER, pocketsphinx_judges
from llasa_search.verifiers import WER
from llasa_search.voice import Voice

pytest.importorskip("pocketsphinx")

WORDS = ["red", "coin", "lake", "found"]
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5), min_size=1, max_size=6)


def _read_arpa(path: Path) -> tuple[dict[str, float], dict[str, float], dict[tuple[str, str], float]]:
    """Returns unigrams, their back-off weights, and bigrams, as probabilities."""
    ones: dict[str, float] = {}
    passed: dict[str, float] = {}
    twos: dict[tuple[str, str], float] = {}
    order = 0
    for line in path.read_text().splitlines():
        parts = line.split()
        if line.startswith("\\"):
            order = int(line[1]) if line[1].isdigit() else 0
        elif order == 1 and parts:
            ones[parts[1]] = 10 ** float(parts[0])
            passed[parts[1]] = 10 ** float(parts[2]) if parts[2:] else 0.0
        elif order == 2 and parts:
            twos[parts[1], parts[2]] = 10 ** float(parts[0])
    return ones, passed, twos


@given(sentences=SENTENCES)
def test_a_language_model_sums_to_1_in_every_context(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[str]]
) -> None:
    """Back-off weights share out the whole probability, once."""
    path = tmp_path_factory.mktemp("arpa") / "2.arpa"
    arpa.write(path, sentences, [*WORDS, "held"], order=2)
    ones, passed, twos = _read_arpa(path)
    del ones["<s>"]
    assert sum(ones.values()) == pytest.approx(1, abs=1e-3)
    for first in passed:
        if first == "</s>":
            continue
        after = [twos.get((first, word), passed[first] * one) for word, one in ones.items()]
        assert sum(after) == pytest.approx(1, abs=1e-3)


def test_a_word_without_a_sentence_has_a_probability(tmp_path: Path) -> None:
    """Held-out words can be recognised; otherwise each would count as an error."""
    for order in (1, 2):
        arpa.write(tmp_path / "lm.arpa", [["red", "coin"]], ["held"], order)
        assert 0 < _read_arpa(tmp_path / "lm.arpa")[0]["held"] < 0.3
    with pytest.raises(ValueError, match="order 3"):
        arpa.write(tmp_path / "lm.arpa", [["red"]], [], 3)


def test_language_models_hold_no_evaluation_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bigram model of the evaluation texts themselves would hide errors."""
    before = judges.training_sentences(50)
    held = texts.Text("", " ".join(before[7]), "sentence")
    monkeypatch.setattr(texts, "evaluation_sets", lambda: {"dev": [held]})
    assert before[7] not in judges.training_sentences(50)
    assert len(judges.training_sentences(50)) >= 48


def test_the_packaged_evaluation_texts_are_those_that_the_script_writes(tmp_path: Path) -> None:
    """The evaluation sets can be made again, byte for byte."""
    texts.write_sets(tmp_path)
    for name in SETS:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (TEXTS / f"{name}.jsonl").read_bytes()


@pytest.mark.slow
def test_the_packaged_language_models_are_those_that_the_script_writes(tmp_path: Path) -> None:
    """The judges' n-gram models can be made again, byte for byte."""
    judges.write(tmp_path)
    for name in judges.ORDERS:
        again, packaged = (
            gzip.decompress((at / f"{name}.arpa.gz").read_bytes()) for at in (tmp_path, FOLDER)
        )
        assert again == packaged


def test_voices_and_styles_are_mixed_within_every_kind_of_text() -> None:
    """No kind of text always has the same voice, so errors can be attributed to the text."""
    for name in ("standard", "hard"):
        group = material.items(name)
        assert [item.id for item in material.items(name, 7)] == [item.id for item in group[:7]]
        assert 0.1 <= np.mean([not item.prompted for item in group]) <= 0.3
        assert {item.voice for item in group} == set(Voice.builtins())
        for kind in {item.kind for item in group}:
            mine = [item for item in group if item.kind == kind]
            assert max(Counter(item.voice for item in mine).values()) < len(mine) / 2
            assert len({item.style for item in mine}) == 4


def _candidate(
    index: int, reward: float, logprob: float, frames: int, unigram: int, bigram: int, wer: float | None = 0.5
) -> dict[str, Any]:
    row: dict[str, Any] = {"index": index, "reward": reward, "mean_logprob": logprob, "tokens": frames}
    row["scores"] = {"WER()": {"value": wer}, "TranscriptLikelihood()": {"value": -unigram}}
    for judge, errors in (("unigram", unigram), ("bigram", bigram)):
        row[judge] = {"substitutions": errors, "deletions": 0, "insertions": 0, "words": 10}
    return row


CANDIDATES = [
    _candidate(0, 0.4, -2.0, 90, 4, 6),
    _candidate(1, float("nan"), -3.0, 70, 9, 9),
    _candidate(2, 0.8, -1.0, 80, 3, 1, wer=None),
    _candidate(3, 0.8, -4.0, 85, 2, 4),
]


def test_each_choice_is_what_its_name_says() -> None:
    """NaN never wins, and ties go to the first candidate."""
    weights = summary.chosen([CANDIDATES])
    assert np.allclose(weights.pop(summary.MEAN), 0.25)
    assert {name: int(weight[0].argmax()) for name, weight in weights.items()} == {
        summary.SAMPLE: 0,
        summary.BY_WER: 0,
        summary.BEST: 2,
        "best by likelihood": 3,
        "highest log-probability": 2,
        "shortest": 1,
        "oracle: unigram": 3,
        "oracle: bigram": 2,
    }


def _rows(sample: int, best: int, codec: int, original: int, texts: int = 40) -> list[dict[str, Any]]:
    """Returns rows of a set whose texts all have these errors in 10 words, under both judges."""
    rows = []
    for i in range(texts):
        about = {"id": f"standard-{i}", "set": "standard", "kind": "sentence"}
        for role, errors in (("original", original), ("codec", codec)):
            rows.append({**_candidate(0, 0.0, 0.0, 0, errors, errors), **about, "role": role})
        for index, errors in enumerate((sample, best)):
            made = _candidate(index, float(index), 0.0, 0, errors, errors, wer=1.0 - index)
            rows.append({**made, **about, "role": "candidate"})
    return rows


def test_values_of_a_set_are_those_of_its_rows() -> None:
    """Each recording's errors are counted under its own name."""
    judged = summary.Judged.of(_rows(sample=5, best=2, codec=1, original=1), "standard", "bigram")
    assert judged.rate("original").value == pytest.approx(0.1)
    assert judged.rate(summary.SAMPLE).value == pytest.approx(0.5)
    assert judged.rate(summary.MEAN).value == pytest.approx(0.35)
    assert judged.excess == pytest.approx(0.4)
    assert judged.removed(summary.BEST).value == pytest.approx(0.75)
    assert judged.bad == {"original": 0, "codec": 0, **dict.fromkeys([*summary.CHOOSERS, summary.MEAN], 0)}


@pytest.mark.parametrize(
    ("errors", "passed"),
    [
        ({"sample": 3, "best": 1, "codec": 1, "original": 1}, [True] * 6),
        ({"sample": 3, "best": 1, "codec": 2, "original": 1}, [False, *[True] * 5]),
        ({"sample": 5, "best": 1, "codec": 1, "original": 1}, [True, False, *[True] * 4]),
        ({"sample": 3, "best": 3, "codec": 1, "original": 1}, [True, True, *[False] * 4]),
        ({"sample": 1, "best": 0, "codec": 1, "original": 1}, [True, True, None, None, True, True]),
    ],
)
def test_each_requirement_fails_when_it_is_missed(errors: dict[str, int], passed: list[bool | None]) -> None:
    """A requirement is met or missed depending on the values."""
    judged = summary.Judged.of(_rows(**errors), "standard", "unigram")
    assert [met for _, met in summary.requirements(judged, 2)] == passed
    assert ("**fail**" in summary.markdown(judged, 2)) == (False in passed)


def test_the_table_in_brief_holds_the_same_rates() -> None:
    """The short table has the values of the long one."""
    judged = summary.Judged.of(_rows(sample=5, best=2, codec=1, original=1), "standard", "bigram")
    line = summary.brief([judged], 2).splitlines()[-1]
    cells = [str(judged.rate(speech)) for speech in ("original", "codec", summary.SAMPLE, summary.BEST)]
    assert line == f"| standard set, bigram judge | {' | '.join(cells)} |"


@given(words=st.lists(st.sampled_from(WORDS), min_size=2, max_size=8).filter(lambda w: len(set(w)) > 1),
       seed=st.integers(0, 99))  # fmt: skip
def test_each_injected_error_changes_the_words_as_named(words: list[str], seed: int) -> None:
    """A deletion removes one word, a repetition adds one, a swap and a substitution keep the number of words."""
    rng = random.Random(seed)
    deleted, repeated = injected_errors.delete(words, rng), injected_errors.repeat(words, rng)
    assert len(deleted) == len(words) - 1 and len(repeated) == len(words) + 1
    assert any(a == b for a, b in pairwise(repeated))
    swapped, substituted = injected_errors.swap(words, rng), injected_errors.substitute(words, rng)
    assert sorted(swapped) == sorted(words) and swapped != words
    assert (
        sum(a != b for a, b in zip(substituted, words, strict=True)) == 1 == 1 + len(substituted) - len(words)
    )


def test_detection_is_relative_to_the_recording_without_an_error() -> None:
    """Errors on the recording without an error do not count as detected."""
    row = {"recogniser": "bigram", "channel": "original"}
    rates_of = {"no error": [0.1, 0.0], "deleted word": [0.1, 0.2], "silence": [1.0, 1.0]}
    rows = [{**row, "error": kind, "wer": wer} for kind, rates in rates_of.items() for wer in rates]
    table = injected_errors._table(rows, ("deleted word", "silence"), above_clean=True)
    assert "| deleted word | 0.50 [" in table and "| silence | 1.00 [" in table
    assert "| no error | 0.50 [" in injected_errors._table(rows, ("no error",), above_clean=False)


def test_a_section_replaces_itself_and_nothing_else(tmp_path: Path) -> None:
    """A section is replaced in place, and the rest of the page stays."""
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nMine.\n\n<!-- a:begin -->\nold\n<!-- a:end -->\n\nTail.\n")
    sections.write(page, "a", "new \\1 \\g<0>")
    sections.write(page, "b", "second")
    sections.write(page, "b", "third")
    assert page.read_text() == (
        "# Page\n\nMine.\n\n<!-- a:begin -->\n\nnew \\1 \\g<0>\n\n<!-- a:end -->\n\nTail.\n\n"
        "<!-- b:begin -->\n\nthird\n\n<!-- b:end -->\n"
    )


def test_a_section_names_its_command_and_no_folder_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is repeatable, and names no folder of the machine that ran it."""
    script = str(sections.ROOT / "examples" / "benchmarks" / "quality.py")
    monkeypatch.setattr(sys, "argv", [script, "--folder", "/home/me/work", "-n", "8", "--page=/x.md"])
    assert sections.made_by().startswith("`python -m examples.benchmarks.quality -n 8` wrote this section (")


def test_candidates_are_judged_one_by_one(tmp_path: Path, pair_path: Path, asr_path: Path) -> None:
    """All candidates of a pool are judged, and a second run gives the same rows."""
    study = Study(tmp_path / "study", pocketsphinx_judges(tmp_path), model=str(pair_path))
    wanted = (study, "dev", 1, f"WER({str(asr_path)!r})", Sampling(temperature=0.8), 2)
    rows = quality.searched(*wanted)
    assert [row["index"] for row in rows] == [0, 1]
    assert all(row[judge]["words"] == len(row["spoken"].split()) for row in rows for judge in judges.ORDERS)
    assert quality.searched(*wanted) == json.loads(json.dumps(rows))


def test_injected_errors_are_judged_by_every_recogniser(tmp_path: Path, asr_path: Path) -> None:
    """Each recording keeps its text, channel and error, and silence has errors only."""
    (case,) = read_cases("dev", 1)
    wavs = {
        f"{case.id} original {kind}": tmp_path / f"{kind}.wav" for kind in ("no error, 3% slower", "silence")
    }
    write_wav(wavs[f"{case.id} original no error, 3% slower"], Voice.builtin("slt").audio, 16_000)
    write_wav(wavs[f"{case.id} original silence"], np.zeros(16_000, np.float32), 16_000)
    study = Study(tmp_path / "study", {**pocketsphinx_judges(tmp_path), "asr": WER(str(asr_path))})
    rows = study.recorded("injected", [replace(case, id=name) for name in wavs], wavs)
    found = [flat for row in rows for flat in injected_errors.flattened(row)]
    assert [(each["error"], each["recogniser"]) for each in found] == [
        (kind, recogniser)
        for kind in ("no error, 3% slower", "silence")
        for recogniser in (*judges.ORDERS, "asr")
    ]
    assert {each["id"] for each in found} == {case.id} and {each["channel"] for each in found} == {"original"}
    assert [each["wer"] for each in found[3:5]] == [1, 1]
