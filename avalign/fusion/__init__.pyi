from avalign.fusion.interface import Fusion as Fusion
from avalign.fusion.interface import FusionInput as FusionInput
from avalign.fusion.interface import FusionOutput as FusionOutput
from avalign.fusion.registry import FAMILIES as FAMILIES
from avalign.fusion.registry import Family as Family
from avalign.fusion.registry import build_fusion as build_fusion
from avalign.fusion.registry import family as family
from avalign.fusion.registry import list_fusions as list_fusions
