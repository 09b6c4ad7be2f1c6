"""Caption with Ray Data: python examples/annotate_ray.py photos captions.

The annotator is made once in each of one to eight processes of the cluster, and keeps its bundle
open.
"""

import sys

from picaption.device.annotate import Annotator

if len(sys.argv) != 3:
    sys.exit("usage: annotate_ray.py FOLDER OUTPUT")
import ray

files = ray.data.read_binary_files(sys.argv[1], include_paths=True)
workers = ray.data.ActorPoolStrategy(min_size=1, max_size=8)
rows = files.map_batches(Annotator, batch_size=64, batch_format="pandas", compute=workers)
rows.write_parquet(sys.argv[2])
count = ray.data.read_parquet(sys.argv[2]).count()
print(f"{sys.argv[2]}: {count} rows")
