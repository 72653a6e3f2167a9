"""A contract for import-linter, which finds it here in the folder that it is started from."""

from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class FacesContract(Contract):
    """Modules of a room are imported by that room alone; others go through its face.

    A room is a package with a face: an ``__init__.pyi``, which lists what it exports. A room
    may lie in another one. Packages without a face belong to the room around them.
    """

    type_name = "faces"

    root_package = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the imports that pass by a face."""
        root = self.root_package
        rooms = {
            ".".join((root, *stub.parent.relative_to(root).parts))
            for stub in Path(root).rglob("__init__.pyi")
        }
        past_faces = [
            (detail["importer"], detail["imported"], detail["line_number"])
            for module in sorted(graph.find_descendants(root) - rooms)
            if (room := _room_of(module, rooms)) != root
            for importer in sorted(graph.find_modules_that_directly_import(module))
            if not f"{importer}.".startswith(f"{room}.")
            for detail in graph.get_import_details(importer=importer, imported=module)
        ]
        return ContractCheck(kept=not past_faces, metadata={"past_faces": past_faces})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print them, and what to do."""
        for importer, imported, line in check.metadata["past_faces"]:
            output.print_error(f"{importer} -> {imported} (l.{line})", bold=False)
        output.print_error("Import the name from the room, and list it in its __init__.pyi.")


def _room_of(module: str, rooms: set[str]) -> str:
    """Return the innermost room around a module."""
    while module not in rooms:
        module = module.rpartition(".")[0]
    return module
