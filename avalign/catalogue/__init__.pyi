from .entry import Method as Method
from .listing import find_method as find_method
from .listing import list_methods as list_methods
