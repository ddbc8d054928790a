"""Measures quality against compute for texts, strategies, budgets and seeds, with judges that no search uses.

A `Study` (`runs`) takes cases (`cases`) and arms (`plan`), and returns rows. Other modules compute from rows:
outcomes with intervals and tests (`outcomes`), best-of-N curves (`curves`), costs (`costs`), points (`points`),
tables and plots. `ablation` is the study behind `llasa-search study`. `llasa_search.evaluation` scores one list
of recordings.

from llasa_search.study import Arm, Study, read_cases
from llasa_search.study import curves, outcomes

study = Study("work", judges={"general": "pocketsphinx_wer"})
pool = Arm("best of n", "best_of_n:n=16", verifiers="wer", pool=True)
rows = study.rows(read_cases("standard"), [pool])
outcomes.rate(curves.best_of(rows, "general", n=4))
"""

from llasa_search.study.cases import Case, read_cases
from llasa_search.study.plan import Arm, Row, usable_cases
from llasa_search.study.runs import Study

__all__ = ["Arm", "Case", "Row", "Study", "read_cases", "usable_cases"]
