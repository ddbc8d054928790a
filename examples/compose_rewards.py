"""Ranks the same candidates by several rewards: `python examples/compose_rewards.py`.

Each score is computed once: `rerank` uses the scores that the candidates already have.
"""

from llasa_search import Budget, search
from llasa_search.verifiers import WER, Pace, SpeakerSimilarity

REWARDS = {
    "WER": WER(),
    "a weighted sum": 0.6 * WER() + 0.4 * SpeakerSimilarity(),
    "speaker similarity with a limit on WER": SpeakerSimilarity().given(WER() <= 0.2),
    "speaker similarity alone": SpeakerSimilarity() + 0 * WER() + 0 * Pace(),
}

result = search.generate(
    "A small dog ran over the old bridge.",
    prompt="rms",
    verifiers=REWARDS["a weighted sum"],
    budget=Budget(candidates=6),
    seed=0,
)
for name, reward in REWARDS.items():
    best = result.rerank(reward).best
    values = ", ".join(f"{verifier} {score.value:.2f}" for verifier, score in best.scores.items())
    print(f"{name}: candidate {best.index} ({values})")
