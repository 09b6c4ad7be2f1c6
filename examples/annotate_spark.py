"""Caption with Spark's mapInPandas: python examples/annotate_spark.py photos captions."""

import os
import sys

from picaption.device.annotate import Annotator

if len(sys.argv) != 3:
    sys.exit("usage: annotate_spark.py FOLDER OUTPUT")
import pandas
from pyspark.sql import SparkSession

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
annotator = Annotator()


def annotate(frames):
    """Yield the rows of frames with the columns path and bytes."""
    for frame in frames:
        yield pandas.DataFrame(annotator(frame))[["path", "caption", "confidence", "tags", "error"]]


spark = SparkSession.builder.getOrCreate()
files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(sys.argv[1])
files = files.selectExpr("path", "content as bytes").repartition(2)
schema = "path string, caption string, confidence float, tags array<string>, error string"
files.mapInPandas(annotate, schema).write.parquet(sys.argv[2])
print(f"{sys.argv[2]}: {spark.read.parquet(sys.argv[2]).count()} rows")
