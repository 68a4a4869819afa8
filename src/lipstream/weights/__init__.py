"""Weights that users download: their catalogue, transfer, and proof of their content."""

from lipstream.weights.catalogue import BUNDLES as BUNDLES
from lipstream.weights.catalogue import Bundle as Bundle
from lipstream.weights.catalogue import BundlePart as BundlePart
from lipstream.weights.catalogue import Source as Source
from lipstream.weights.catalogue import find_bundle as find_bundle
from lipstream.weights.manifest import FileState as FileState
from lipstream.weights.manifest import Manifest as Manifest
from lipstream.weights.manifest import list_files as list_files
from lipstream.weights.manifest import models_folder as models_folder
from lipstream.weights.manifest import verify as verify
from lipstream.weights.transfer import PullResult as PullResult
from lipstream.weights.transfer import pull as pull
