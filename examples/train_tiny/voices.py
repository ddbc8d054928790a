"""Writes the built-in voices: the four base voices and two pseudo-speakers in four styles, with transcripts."""

from __future__ import annotations

import json
import random
from pathlib import Path

from examples.train_tiny import speech, texts


def write(folder: Path) -> None:
    """Writes `<voice>-<style>.flac` and `voices.json`; the texts are not in an evaluation set."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = {t.spoken for group in texts.evaluation_sets().values() for t in group}
    chosen = [s for s in speech.speakers() if s.name in speech.BUILT_IN]
    rng = random.Random(11)
    index: dict[str, dict[str, dict[str, str]]] = {}
    for speaker in chosen:
        index[speaker.name] = {}
        for style in speech.STYLES:
            text = texts.sentence(rng)
            while text.spoken in taken or not 7 <= len(text.text.split()) <= 9:
                text = texts.sentence(rng)
            file = f"{speaker.name}-{style}.flac"
            audio = speech.speak(text.text, speech.Delivery(speaker, style, strength=0.8))
            (folder / file).write_bytes(speech.to_flac(audio))
            index[speaker.name][style] = {"file": file, "text": text.text}
    (folder / "voices.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
