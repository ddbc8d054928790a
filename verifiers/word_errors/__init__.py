"""Word errors: normalisation of text and transcript, their alignment, and errors of unfinished speech.

Code that transcribes speech belongs in `verifiers.backends`.
"""

from llasa_search.verifiers.word_errors.alignment import Errors, errors

__all__ = ["Errors", "errors"]
