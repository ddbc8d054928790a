"""Studies: quality against compute, for any texts, ways to search, budgets and seeds, under judges.

from llasa_search.study import Arm, Study, read_cases
from llasa_search.study import curves, outcomes

study = Study("work", judges={"words": "pocketsphinx_wer"})
pool = Arm("best of n", "best_of_n:n=16", verifiers="wer", pool=True)
rows = study.rows(read_cases("standard"), [pool])
outcomes.rate(curves.best_of(rows, "words", n=4))
"""

from llasa_search.study.cases import Case, read_cases
from llasa_search.study.checks import usable_cases
from llasa_search.study.plan import Arm, Row
from llasa_search.study.runs import Study

__all__ = ["Arm", "Case", "Row", "Study", "read_cases", "usable_cases"]
