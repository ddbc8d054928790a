"""Samples a sentence eight times and saves the best candidate: `python examples/quickstart.py`."""

from llasa_search import Budget, search

result = search.generate(
    "Nine boats left the harbour.",
    prompt="slt",  # a built-in voice; the path of a recording works too
    verifiers="wer",  # word error rate by a speech recogniser
    budget=Budget(candidates=8),
    seed=0,
)
print(result.table())
print("written to", result.save("quickstart.wav"))
