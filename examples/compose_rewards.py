"""Ranks the same candidates by several rewards: `python examples/compose_rewards.py`.

Scores are computed once: `rerank` uses those that the candidates already have.
"""

from llasa_search import Budget, search
from llasa_search.verifiers import WER, Pace, SpeakerSimilarity

REWARDS = {
    "fewest word errors": WER(),
    "a weighted sum": 0.6 * WER() + 0.4 * SpeakerSimilarity(),
    "the voice, among candidates with few errors": SpeakerSimilarity().given(WER() <= 0.2),
    "the voice, without a score for words": SpeakerSimilarity() + 0 * WER() + 0 * Pace(),
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
