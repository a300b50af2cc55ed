"""A small table as literal text, for evidence."""

from collections.abc import Sequence

from pgvigil.model.evidence import Block, BlockKind
from pgvigil.text import one_line

_WIDEST_CELL = 60


def table_block(title: str, header: Sequence[str], rows: Sequence[Sequence[object]], limit: int) -> Block:
    """Aligned columns, numbers to the right, at most `limit` rows; what was left out is counted."""
    cells = [[one_line(str(cell), _WIDEST_CELL) for cell in row] for row in (header, *rows[:limit])]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [bool(rows) and isinstance(cell, int | float) for cell in (rows[0] if rows else header)]
    lines = [_line(line, widths, right) for line in cells]
    if len(rows) > limit:
        lines.append(f"... {len(rows) - limit:,} more")
    return Block(BlockKind.TABLE, title, "\n".join(lines))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()
