"""`llasa-search score`: scores the recordings of a manifest, resumes an earlier run, writes a summary.

It writes a folder with:

- `settings.json`: the manifest, the reward, model and protocol of each verifier, and versions;
- `scores.jsonl`: one record per utterance, in the order in which they were scored; see `evaluation.evaluate`;
- `summary.json` and `summary.txt`: figures over all records; see `evaluation.summary`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from llasa_search.cli.options import AsJson, Device, DType, Language, Verifiers
from llasa_search.cli.terminal import write, write_error, write_json
from llasa_search.errors import InputError
from llasa_search.evaluation.evaluate import Record, Recording, evaluate, fingerprint
from llasa_search.evaluation.manifest import Entry, read_manifest
from llasa_search.evaluation.summary import Summary, summarise, summary_table
from llasa_search.result import SearchError
from llasa_search.reward.base import Condition, Gated, Reward, WeightedSum
from llasa_search.reward.compose import Combination
from llasa_search.scoring.families import warn_out_of_domain
from llasa_search.scoring.gate import gated
from llasa_search.scoring.loading import failing, load_verifiers, refuse_codes, verifier_versions
from llasa_search.storage.files import check_new_folder, check_writable, to_json, write_text
from llasa_search.verifiers.base import Verifier, arguments
from llasa_search.verifiers.specification import parse_options


def score(
    manifest: Annotated[
        Path,
        typer.Argument(help="JSON lines (also NeMo's), a meta.lst as in seed-tts-eval, or Kaldi's text."),
    ],
    wavs: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder with the recordings, as <id>.wav (.flac, .ogg, .mp3); by default, those of the manifest.",
        ),
    ] = None,
    language: Language = None,
    device: Device = "auto",
    dtype: DType = "auto",
    verifier: Verifiers = None,
    protocol: Annotated[
        str | None,
        typer.Option(help='How every WER normalises text: "whisper" or "seed-tts-eval".'),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write, or to resume.")
    ] = Path("scores"),
    as_json: AsJson = False,
) -> None:
    """Score the recordings of a MANIFEST, from any synthesiser."""
    reward = parse_options(verifier or ["wer"])
    if protocol is not None:
        reward = with_protocol(reward, protocol)
    complete = score_manifest(
        manifest, wavs, gated(reward), out, language=language, device=device, dtype=dtype, as_json=as_json
    )
    if not complete:
        write_error("interrupted: run the same command again to resume")
        raise typer.Exit(130)


def score_manifest(
    manifest: Path,
    wavs: Path | None,
    reward: Reward,
    out: Path,
    *,
    language: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    as_json: bool = False,
) -> bool:
    """Scores a manifest into the folder `out` and prints the summary. Ctrl-C keeps what has been scored.

    If `out` holds records with the same settings, those whose files have not changed are kept. The others are
    scored again, and so are recordings that failed or were missing.

    Args:
        manifest: see `read_manifest`.
        wavs: see `read_manifest`.
        reward: chooses among the recordings of an utterance.
        out: a new folder, or the folder of an earlier run.
        language: of lines without one; None detects it.
        device: of the verifiers, as in `search.select`.
        dtype: likewise.
        as_json: whether the summary is printed as JSON instead of a table.

    Returns:
        Whether everything has been scored; False after Ctrl-C.

    Raises:
        InputError: the manifest, the reward or the folder cannot be used; nothing has been written.
        ModelError: a verifier's checkpoint cannot be found or used; nothing has been written.
        SearchError: no recording could be scored.
    """
    entries = read_manifest(manifest, wavs, language=language)
    _check_verifiers(reward.required, entries, manifest)
    settings = {"manifest": str(manifest.absolute()), "wavs": wavs and str(wavs.absolute())}
    settings |= _settings(reward)
    _check_out(out, settings)
    load_verifiers(reward.required, device, dtype)

    def prepare(verifiers: Sequence[Verifier]) -> None:
        _check_verifiers(verifiers, entries, manifest)
        load_verifiers(verifiers, device, dtype)

    failures = failing(prepare, reward.reporting)
    warn_out_of_domain(reward.verifiers)
    out.mkdir(exist_ok=True)
    write_text(out / "settings.json", _json(settings))
    records, complete = _evaluate(entries, reward, failures, out / "scores.jsonl")
    summary = summarise(records, len(entries) - len(records), settings)
    table = summary_table(summary)
    write_text(out / "summary.json", _json(summary))
    write_text(out / "summary.txt", f"{table}\n")
    if as_json:
        write_json(summary)
    else:
        write(table)
    if complete and not summary["utterances"]["scored"]:
        first = records[0]["recordings"][0]
        where = f"(all errors are in {out / 'scores.jsonl'})"
        raise SearchError(f"no recording could be scored; {first['wav']}: {first['error']} {where}")
    return complete


def with_protocol(reward: Reward, protocol: str) -> Reward:
    """Returns the reward with every verifier that has a `protocol`, such as WER, set to this one.

    Raises:
        InputError: the protocol does not exist, or no verifier has one.
    """
    if not any("protocol" in arguments(verifier) for verifier in reward.verifiers):
        raise InputError(f"--protocol {protocol}: nothing in {reward} compares text; add --verifier wer")
    return _with_protocol(reward, protocol)


def _with_protocol(reward: Reward, protocol: str) -> Reward:
    match reward:
        case WeightedSum():
            return WeightedSum([(weight, _with_protocol(term, protocol)) for weight, term in reward.terms])
        case Combination():
            return type(reward)(*(_with_protocol(term, protocol) for term in reward.terms))
        case Gated(condition=Condition(verifier, comparison, bound)):
            changed = Condition(_verifier_with_protocol(verifier, protocol), comparison, bound)
            return Gated(_with_protocol(reward.reward, protocol), changed)
        case Verifier():
            return _verifier_with_protocol(reward, protocol)
    return reward


def _verifier_with_protocol(verifier: Verifier, protocol: str) -> Verifier:
    given = arguments(verifier)
    return type(verifier)(**{**given, "protocol": protocol}) if "protocol" in given else verifier


def _check_verifiers(verifiers: Sequence[Verifier], entries: Sequence[Entry], manifest: Path) -> None:
    refuse_codes(verifiers)
    for verifier in verifiers:
        if "resynthesis" in verifier.needs:
            raise InputError(
                f"{verifier} compares with the prompt as resynthesised by a codec, and there is no codec here"
            )
        if "voice" in verifier.needs and not any(entry.prompt for entry in entries):
            raise InputError(
                f"{verifier} compares with a reference voice, and no line of {manifest} names a prompt"
            )


def _settings(reward: Reward) -> dict[str, Any]:
    return {
        "reward": str(reward),
        "verifiers": {
            str(verifier): {
                name: str(value)
                for name, value in arguments(verifier).items()
                if name in ("model", "protocol")
            }
            for verifier in reward.verifiers
        },
        "versions": verifier_versions(reward.verifiers),
    }


def _check_out(out: Path, settings: Mapping[str, Any]) -> None:
    path = out / "settings.json"
    if not path.is_file():
        check_new_folder(out)
        return
    try:
        earlier = dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}): give another folder") from error
    check_writable(path)
    if earlier != settings:
        changed = [name for name in settings if earlier.get(name) != settings[name]]
        raise InputError(f"{out} holds scores made with other {' and '.join(changed)}: give another folder")


def _evaluate(
    entries: Sequence[Entry], reward: Reward, failures: Mapping[str, str], path: Path
) -> tuple[list[Record], bool]:
    """Returns the records in the order of the manifest, and whether all entries have one."""
    from tqdm import tqdm

    records = {record["id"]: record for record in _valid_records(path, entries)}
    write_text(path, "".join(map(_line, records.values())))
    waiting = [entry for entry in entries if entry.id not in records]
    bar = tqdm(
        total=len(entries),
        initial=len(records),
        unit="utterance",
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
        leave=False,
    )
    complete = True
    with bar, path.open("a", encoding="utf-8") as lines:
        try:
            for record in evaluate(waiting, reward, failures):
                lines.write(_line(record))
                lines.flush()
                records[record["id"]] = record
                bar.update()
        except KeyboardInterrupt:
            complete = False
    return [records[entry.id] for entry in entries if entry.id in records], complete


def _valid_records(path: Path, entries: Sequence[Entry]) -> Iterable[Record]:
    """Yields the records of an earlier run without failures, whose files have not changed."""
    if not path.is_file():
        return
    fingerprints = {entry.id: fingerprint(entry) for entry in entries}
    for line in path.read_text("utf-8", errors="replace").split("\n"):
        try:
            record: Record = json.loads(line)
            recordings = record["recordings"]
            statuses = [recording["status"] for recording in recordings]
            statuses += [score["status"] for each in recordings for score in each["scores"].values()]
            complete = all(Recording.__annotations__.keys() <= each.keys() for each in recordings)
            valid = fingerprints.get(record["id"]) == record["fingerprint"] and "failed" not in statuses
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # an incomplete line
            continue
        if valid and complete:
            yield record


def _line(record: Record) -> str:
    return f"{to_json(record)}\n"


def _json(content: Mapping[str, Any] | Summary) -> str:
    return f"{to_json(content, indent=1)}\n"
