"""Verifiers, which score speech. A verifier loads its model when it first scores."""

from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.ctc import CTCAlignment
from llasa_search.verifiers.emotion import EmotionProbability, EmotionSimilarity
from llasa_search.verifiers.likelihood import LanguageModelLikelihood, TranscriptLikelihood
from llasa_search.verifiers.naturalness import Naturalness
from llasa_search.verifiers.pace import Pace
from llasa_search.verifiers.pocketsphinx_wer import PocketsphinxWER
from llasa_search.verifiers.resemblyzer_similarity import ResemblyzerSimilarity
from llasa_search.verifiers.signal import Signal
from llasa_search.verifiers.speaker import SpeakerSimilarity
from llasa_search.verifiers.wer import WER

__all__ = [
    "WER",
    "CTCAlignment",
    "EmotionProbability",
    "EmotionSimilarity",
    "LanguageModelLikelihood",
    "Naturalness",
    "Pace",
    "PocketsphinxWER",
    "ResemblyzerSimilarity",
    "Signal",
    "SpeakerSimilarity",
    "TranscriptLikelihood",
    "Verifier",
]
