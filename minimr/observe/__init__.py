"""The event log of a run, and what can be seen in it.

Every run writes one log of JSON lines (`log`). Whatever shows a run, live or afterwards, is a fold
over that log: `view` folds it into what a run looks like at one moment, `sentences` says each event
in plain words.
"""
