from .clip import Disturbance as Disturbance
from .corpus import CorpusPlan as CorpusPlan
from .corpus import write_corpus as write_corpus
from .speech import Voice as Voice
from .speech import run_espeak as run_espeak
