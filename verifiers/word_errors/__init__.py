"""Word errors: normalisation of text and transcript, their alignment, and errors of unfinished speech.

Code that transcribes speech belongs in `verifiers.backends`.
"""

from llasa_search.verifiers.word_errors.alignment import Errors, compared_words, errors

__all__ = ["Errors", "compared_words", "errors"]
