"""The page's own files: few and small, read once, and kept by browsers until their content changes."""

import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


class Static:
    """`version` is made of the content of all files, and is part of their addresses."""

    def __init__(self, folder: Path = Path(__file__).parent / "static") -> None:
        files = sorted(path for path in folder.iterdir() if path.suffix in _TYPES)
        self._files = {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in files}
        everything = b"\0".join(content for content, _ in self._files.values())
        self.version = hashlib.sha256(everything).hexdigest()[:12]

    def file(self, request: Request) -> Response:
        """A page that was loaded before an upgrade may still ask with the version of then."""
        content, media_type = self._files.get(request.path_params["name"], (None, ""))
        if content is None:
            raise HTTPException(404, "there is no such file")
        current = request.path_params["version"] == self.version
        headers = {"Cache-Control": _FOR_EVER if current else "no-cache"}
        return Response(content, media_type=media_type, headers=headers)
