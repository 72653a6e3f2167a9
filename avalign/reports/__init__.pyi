from .records import AlignReport as AlignReport
from .records import SyncReport as SyncReport
from .schema import best_guess as best_guess
from .schema import model_name as model_name
from .schema import to_json as to_json
from .schema import versions as versions
