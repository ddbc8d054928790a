"""Chooses the best of several recordings of a text, from any TTS system: `python examples/choose_recordings.py`.

The embedded model makes the recordings of this example; pass the paths of your own recordings to `search.select`.
"""

from llasa_search import Budget, Voice, search
from llasa_search.verifiers import WER, SpeakerSimilarity

TEXT = "The captain found a silver coin near the lake."
voice = Voice.builtin("slt")

result = search.generate(TEXT, voice, budget=Budget(candidates=3), seed=1)
recordings = [(each.audio, result.sample_rate) for each in result.candidates if each.audio is not None]

chosen = search.select(recordings, TEXT, voice, verifiers=0.7 * WER() + 0.3 * SpeakerSimilarity())
print(chosen.table())
print(f"recording {chosen.best.index} is the best: {chosen.save('chosen.wav')}")
