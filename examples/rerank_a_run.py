"""Saves all candidates of a search and ranks them again later: `python examples/rerank_a_run.py`.

The same works on the command line: `llasa-search say TEXT --save-run run`, then `llasa-search trace run`.
"""

from pathlib import Path
from tempfile import mkdtemp

from llasa_search import Budget, SearchResult, search

folder = Path(mkdtemp()) / "run"
search.generate("Four birds sat on the fence.", "slt", budget=Budget(candidates=4), seed=0).save_run(folder)

result = SearchResult.load_run(folder)  # needs no model
print("by word error rate:")
print(result.table())

again = result.rerank("ctc")  # scores the stored speech with another verifier
print("by the likelihood of the text under a CTC model:")
print(again.table())
