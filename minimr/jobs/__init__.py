"""The jobs that come with minimr, each written as a user would write it."""

BUILT_IN = {
    "wordcount": "minimr.jobs.wordcount:WordCount",
    "grep": "minimr.jobs.grep:Grep",
    "index": "minimr.jobs.index:Index",
    "sort": "minimr.jobs.sort:Sort",
    "terasort": "minimr.jobs.terasort:TeraSort",
    "distinct": "minimr.jobs.distinct:Distinct",
    "join": "minimr.jobs.join:Join",
    "topk": "minimr.jobs.topk:TopLines",
    "histogram": "minimr.jobs.histogram:Histogram",
    "sessionize": "minimr.jobs.sessionize:Sessionize",
}
"""The name on the command line and the class, as "module:Class"."""
