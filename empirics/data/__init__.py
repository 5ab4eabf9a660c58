"""The data sets, one file a plug-in: every file is checked against its published checksum."""

from empirics.data.source import DATASETS, Dataset, dataset, load, locate

__all__ = ["DATASETS", "Dataset", "dataset", "load", "locate"]
