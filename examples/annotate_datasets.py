"""Caption with datasets.map: python examples/annotate_datasets.py photos captions.parquet.

photos is a folder; any data set with a column of images will do: load_dataset("user/name").
"""

import sys

from picaption.device.annotate import Annotator

if len(sys.argv) != 3:
    sys.exit("usage: annotate_datasets.py FOLDER PARQUET")
from datasets import Image, load_dataset

files = {"train": f"{sys.argv[1]}/**"}
images = load_dataset("imagefolder", data_files=files, split="train", drop_labels=True)
# As bytes: the annotator decodes large JPEGs at a fraction of their size.
images = images.cast_column("image", Image(decode=False))
rows = images.map(
    Annotator(), batched=True, batch_size=64, num_proc=2, remove_columns=images.column_names
)
rows.to_parquet(sys.argv[2])
print(f"{sys.argv[2]}: {len(rows)} rows")
