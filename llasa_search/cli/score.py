"""What `llasa-search score` does: scores the recordings of a manifest, resumes, sums up.

The folder that it writes holds:

- `settings.json`: the manifest, the reward, model and protocol of each verifier, and versions;
- `scores.jsonl`: one record an utterance, in the order in which they were scored; see `evaluation`;
- `summary.json`, `summary.txt`: the figures over all; see `summary`.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llasa_search.errors import InputError
from llasa_search.evaluation.evaluate import Record, evaluate, fingerprint
from llasa_search.evaluation.manifest import Entry, read_manifest
from llasa_search.evaluation.summary import Summary, summarise, summary_table
from llasa_search.result import SearchError
from llasa_search.reward.base import Reward
from llasa_search.scoring.families import warn_out_of_domain
from llasa_search.scoring.loading import load_verifiers, refuse_codes, verifier_versions
from llasa_search.storage.files import check_new_folder, write_text
from llasa_search.verifiers.specification import parse_reward


def score(manifest: Path, wavs: Path | None, reward: Reward, out: Path) -> bool:
    """Scores a manifest into the folder `out`, and prints the summary. Ctrl-C leaves what has been scored.

    Where `out` holds records of the same settings, those whose files have not changed since are kept, and the
    others are scored again: what has failed, what was missing.

    Args:
        manifest: see `read_manifest`.
        wavs: see `read_manifest`.
        reward: chooses among the recordings of an utterance.
        out: a new folder, or that of an earlier run.

    Returns:
        Whether all is scored that can be; False after Ctrl-C.

    Raises:
        InputError: the manifest, the reward or the folder cannot be used; nothing has been written.
        ModelError: a verifier's checkpoint cannot be found or used; nothing has been written.
        SearchError: nothing at all could be scored.
    """
    entries = read_manifest(manifest, wavs)
    _check(reward, entries, manifest)
    settings = {"manifest": str(manifest.absolute()), "wavs": wavs and str(wavs.absolute())}
    settings |= _settings(reward)
    _check_out(out, settings)
    load_verifiers(reward.verifiers)
    warn_out_of_domain(reward.verifiers)
    out.mkdir(exist_ok=True)
    write_text(out / "settings.json", _json(settings))
    records, complete = _run(entries, reward, out / "scores.jsonl")
    summary = summarise(records, len(entries) - len(records), settings)
    table = summary_table(summary)
    write_text(out / "summary.json", _json(summary))
    write_text(out / "summary.txt", f"{table}\n")
    print(table)
    if complete and not summary["utterances"]["scored"]:
        raise SearchError(_nothing_scored(records, out))
    return complete


def with_protocol(reward: Reward, protocol: str) -> Reward:
    """The same reward with every word error rate under `protocol`.

    Raises:
        InputError: there is no such protocol, or nothing in the reward has one.
    """
    names = {type(verifier).__name__ for verifier in reward.verifiers if hasattr(verifier, "protocol")}
    if not names:
        raise InputError(f"--protocol {protocol}: nothing in {reward} compares text; add --verifier wer")
    tree = ast.parse(str(reward), mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            others = [keyword for keyword in node.keywords if keyword.arg != "protocol"]
            node.keywords = [*others, ast.keyword("protocol", ast.Constant(protocol))]
    return parse_reward(ast.unparse(tree))


def _check(reward: Reward, entries: Sequence[Entry], manifest: Path) -> None:
    refuse_codes(reward.verifiers)
    for verifier in reward.verifiers:
        if getattr(verifier, "wants_resynthesis", False):
            raise InputError(f"{verifier} compares with what a codec makes of the prompt; there is none here")
        if "voice" in verifier.needs and not any(entry.prompt for entry in entries):
            raise InputError(
                f"{verifier} compares with a reference voice, and no line of {manifest} names a prompt"
            )


def _settings(reward: Reward) -> dict[str, Any]:
    return {
        "reward": str(reward),
        "verifiers": {
            str(verifier): {
                name: str(getattr(verifier, name))
                for name in ("model", "protocol")
                if hasattr(verifier, name)
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
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read ({error}): give another folder") from error
    if earlier != settings:
        changed = [name for name in settings if earlier.get(name) != settings[name]]
        raise InputError(f"{out} holds scores made with other {' and '.join(changed)}: give another folder")


def _run(entries: Sequence[Entry], reward: Reward, path: Path) -> tuple[list[Record], bool]:
    """Records in the order of the manifest, as many as there are; and whether it came to the end."""
    from tqdm import tqdm

    records = {record["id"]: record for record in _kept(path, entries)}
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
            for record in evaluate(waiting, reward):
                lines.write(_line(record))
                lines.flush()
                records[record["id"]] = record
                bar.update()
        except KeyboardInterrupt:
            complete = False
    return [records[entry.id] for entry in entries if entry.id in records], complete


def _kept(path: Path, entries: Sequence[Entry]) -> Iterable[Record]:
    """Records of an earlier run that still hold."""
    if not path.is_file():
        return
    valid = {entry.id: fingerprint(entry) for entry in entries}
    for line in path.read_text("utf-8", errors="replace").split("\n"):
        try:
            record: Record = json.loads(line)
            statuses = [recording["status"] for recording in record["recordings"]]
            holds = valid.get(record["id"]) == record["fingerprint"] and "failed" not in statuses
        except (ValueError, LookupError, TypeError):  # cut off while it was written, or something else
            continue
        if holds:
            yield record


def _nothing_scored(records: Sequence[Record], out: Path) -> str:
    first = records[0]["recordings"][0]
    return (
        f"nothing could be scored; {first['wav']}: {first['error']} (all of it is in {out / 'scores.jsonl'})"
    )


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _json(content: Mapping[str, Any] | Summary) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
