"""What machines ask all the time: answered from ready-made values, on threads that no page can keep busy."""

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from daemon.http.sources import Sources
from daemon.metrics.exposition import CONTENT_TYPE

MOST_SCRAPES = 16  # at once: more would wait for one thread, and take the connections that health checks need
_GZIP_LEVEL = 1  # the text shrinks some 15-fold already at the cheapest level


class Probes:
    """Metrics have a thread of their own; health is a few comparisons, made in the event loop."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._metrics_thread = ThreadPoolExecutor(1, thread_name_prefix="pgvigil-metrics")
        self._scrapes = 0

    async def metrics(self, request: Request) -> Response:
        if self._scrapes >= MOST_SCRAPES:
            raise HTTPException(503, "too many scrapes at once")
        self._scrapes += 1
        try:
            return await self._metrics(request)
        finally:
            self._scrapes -= 1

    async def _metrics(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        text = await loop.run_in_executor(self._metrics_thread, self._sources.exposition.text)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(text, media_type=CONTENT_TYPE)
        packed = await loop.run_in_executor(self._metrics_thread, lambda: gzip.compress(text, _GZIP_LEVEL))
        return Response(packed, media_type=CONTENT_TYPE, headers={"Content-Encoding": "gzip"})

    async def healthz(self, _request: Request) -> Response:
        return _status(self._sources.health.alive())

    async def readyz(self, _request: Request) -> Response:
        return _status(self._sources.health.ready())


def _status(faults: tuple[str, ...]) -> Response:
    return PlainTextResponse(
        "ok\n" if not faults else "".join(f"{f}\n" for f in faults), 503 if faults else 200
    )
