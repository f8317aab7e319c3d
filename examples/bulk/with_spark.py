"""Embeds a column of parquet files with Spark: spark-submit examples/bulk/with_spark.py INPUT OUTPUT [MODEL]"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession
from pyspark.sql.types import ArrayType, FloatType, StructField, StructType

from mtlkit.bulk import Embed


def embed_files(session: SparkSession, source: str, target: str, model: str = "mini") -> None:
    """Each Python worker loads the model once. Spark runs the partitions of a worker that dies on another."""
    rows = session.read.parquet(source)
    schema = StructType([*rows.schema.fields, StructField("vector", ArrayType(FloatType()))])
    embed = Embed(model)
    rows.mapInArrow(lambda batches: map(embed, batches), schema).write.mode("overwrite").parquet(target)


if __name__ == "__main__":
    embed_files(SparkSession.builder.getOrCreate(), *sys.argv[1:])
