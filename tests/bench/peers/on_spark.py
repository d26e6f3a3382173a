"""PySpark in local mode on two cores. python on_spark.py CASE OUT INPUT..."""

import json
import re
import sys
from operator import add
from pathlib import Path
from statistics import median
from time import perf_counter

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

WORD = re.compile("[A-Za-z]+")
ROUNDS, WARM_UP = 20, 5


def wordcount_rdd(out, inputs):
    lines = session().sparkContext.textFile(",".join(inputs))
    counts = lines.flatMap(WORD.findall).map(lambda word: (word, 1)).reduceByKey(add)
    counts.map(lambda pair: f"{pair[0]}\t{pair[1]}").saveAsTextFile(str(out / "result"))


def wordcount_dataframe(out, inputs):
    lines = session().read.text(inputs)
    words = lines.select(
        f.explode(f.regexp_extract_all("value", f.lit("([A-Za-z]+)"))).alias("word")
    )
    words.groupBy("word").count().write.csv(str(out / "result"), sep="\t")


def index(out, inputs):
    files = session().sparkContext.parallelize(inputs, 16)
    pairs = files.flatMap(words_in).groupByKey()
    shown = pairs.map(lambda pair: f"{pair[0]}\t{json.dumps(sorted(pair[1]))}")
    shown.saveAsTextFile(str(out / "result"))


def words_in(path):
    text = Path(path).read_text(errors="surrogateescape")
    return [(word, path) for word in set(WORD.findall(text))]


def sort(out, inputs):
    session().read.text(inputs).orderBy("value").write.text(str(out / "result"))


def rounds(out, _):
    context = session().sparkContext
    data = context.parallelize(range(8), 8)
    times = []
    for _ in range(WARM_UP + ROUNDS):
        started = perf_counter()
        answer = data.map(lambda _: 1).reduce(add)
        times.append((perf_counter() - started) * 1e3)
    (out / "figure.json").write_text(json.dumps(median(times[WARM_UP:])))
    (out / "answer").write_text(json.dumps(answer))


def session():
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.memory": "4g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "4",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
    session().stop()
