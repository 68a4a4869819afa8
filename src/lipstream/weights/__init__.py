"""Weights that users download: what there is, where it comes from, and proof that it is that."""

from lipstream.weights.catalogue import BUNDLES as BUNDLES
from lipstream.weights.catalogue import Bundle as Bundle
from lipstream.weights.catalogue import Source as Source
from lipstream.weights.catalogue import WeightFile as WeightFile
from lipstream.weights.catalogue import find_bundle as find_bundle
from lipstream.weights.folder import models_folder as models_folder
from lipstream.weights.inventory import State as State
from lipstream.weights.inventory import survey as survey
from lipstream.weights.inventory import verify as verify
from lipstream.weights.manifest import Manifest as Manifest
from lipstream.weights.manifest import Record as Record
from lipstream.weights.transfer import Pulled as Pulled
from lipstream.weights.transfer import pull as pull
