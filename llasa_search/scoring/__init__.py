"""How a strategy obtains scores: scorer, cascade, gate, isolation of third-party code."""
