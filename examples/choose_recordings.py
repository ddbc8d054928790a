"""Chooses the best of several recordings of one text, from any synthesiser: `python examples/choose_recordings.py`.

The recordings here are made with the embedded model; give `search.select` the paths of your own.
"""

from llasa_search import Budget, Voice, search
from llasa_search.verifiers import WER, SpeakerSimilarity

TEXT = "The captain found a silver coin near the lake."
voice = Voice.builtin("slt")

made = search.generate(TEXT, voice, budget=Budget(candidates=3), seed=1)
recordings = [(each.audio, made.sample_rate) for each in made.candidates if each.audio is not None]

chosen = search.select(recordings, TEXT, voice, verifiers=0.7 * WER() + 0.3 * SpeakerSimilarity())
print(chosen.table())
print(f"recording {chosen.best.index} is the best: {chosen.save('chosen.wav')}")
