"""From the wait graph to one tree per root blocker."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from collectors.lock_waits import Prepared, WaitGraph, WaitSession
from pgvigil.sql.identifiers import quote_text

Node = int | str  # a session by its pid, a prepared transaction by its gid


@dataclass(frozen=True)
class Chain:
    """All sessions that wait because of `root`, each below the one that it waits for.

    `children` lists for each node those who wait for it: the longest queue first, then the longest wait.
    """

    graph: WaitGraph
    root: Node
    children: Mapping[Node, tuple[int, ...]]

    @cached_property
    def waiters(self) -> tuple[int, ...]:
        return tuple(pid for group in self.children.values() for pid in group)

    @cached_property
    def longest_wait_s(self) -> float:
        return max(wait_s(self.graph, pid) for pid in self.waiters)

    @property
    def root_session(self) -> WaitSession | None:
        return self.graph.sessions.get(self.root) if isinstance(self.root, int) else None

    @property
    def root_prepared(self) -> Prepared | None:
        return self.graph.prepared.get(self.root) if isinstance(self.root, str) else None

    @property
    def subject(self) -> str:
        """The root's identity: a pid with its backend_start, or a gid."""
        session = self.root_session
        return session.key if session is not None else f"prepared {quote_text(str(self.root))}"

    def behind(self, node: Node) -> int:
        """How many sessions wait for `node`, directly or not."""
        return sum(1 + self.behind(child) for child in self.children.get(node, ()))


def wait_s(graph: WaitGraph, pid: int) -> float:
    lock = graph.waits.get(pid)
    return 0.0 if lock is None or lock.wait_age_s is None else lock.wait_age_s


def chains(graph: WaitGraph) -> tuple[Chain, ...]:
    """One chain per root blocker; each waiter is in one chain.

    A waiter with several roots belongs to the one with the oldest transaction. Sessions that wait in a circle
    have no root: the one with the oldest transaction stands for it, until the server breaks the deadlock.
    """
    waiting_for = _waiting_for(graph)
    placed: set[int] = set()
    grown = (_grow(graph, root, waiting_for, placed) for root in _roots(graph, waiting_for, placed))
    return tuple(chain for chain in grown if chain.children)


def _waiting_for(graph: WaitGraph) -> Mapping[Node, list[int]]:
    """For each known blocker, who waits for it, the longest wait first."""
    found: defaultdict[Node, list[int]] = defaultdict(list)
    for pid in sorted(graph.blockers, key=lambda pid: (-wait_s(graph, pid), pid)):
        for blocker in graph.blockers[pid]:
            if blocker in graph.sessions or blocker in graph.prepared:
                found[blocker].append(pid)
    return found


def _roots(graph: WaitGraph, waiting_for: Mapping[Node, list[int]], placed: set[int]) -> Iterator[Node]:
    """Those who block and do not wait, oldest transaction first; then one of each circle that is left.

    Lazy on purpose: what is left is known only when the trees of the roots before have been grown.
    """
    yield from sorted((node for node in waiting_for if node not in graph.blockers), key=_oldest(graph))
    left = {pid for pid in graph.blockers if pid not in placed}
    while left:
        circle = _circle(graph, min(left), left)
        if circle:
            yield min(circle, key=_oldest(graph))
        left -= placed | set(circle)


def _circle(graph: WaitGraph, start: int, left: set[int]) -> list[int]:
    """The circle that `start` waits for. Where the way ends at somebody who is gone, its steps leave `left`."""
    way: list[int] = []
    pid: int | None = start
    while pid is not None and pid not in way:
        way.append(pid)
        pid = next((each for each in graph.blockers[pid] if isinstance(each, int) and each in left), None)
    if pid is None:
        left.difference_update(way)
        return []
    return way[way.index(pid) :]


def _oldest(graph: WaitGraph) -> Callable[[Node], tuple[float, str]]:
    """Sorts by the age of the transaction, oldest first, then by name: the same answer every time."""

    def key(node: Node) -> tuple[float, str]:
        if isinstance(node, str):
            return (-graph.prepared[node].age_s, node)
        return (-(graph.sessions[node].xact_age_s or 0.0), f"{node:010}")

    return key


def _grow(graph: WaitGraph, root: Node, waiting_for: Mapping[Node, list[int]], placed: set[int]) -> Chain:
    """Breadth first, so that each waiter stands as near to the root as it can."""
    children: dict[Node, tuple[int, ...]] = {}
    queue: deque[Node] = deque([root])
    if isinstance(root, int):
        placed.add(root)
    while queue:
        node = queue.popleft()
        found = tuple(pid for pid in waiting_for.get(node, ()) if pid not in placed)
        if found:
            children[node] = found
            placed.update(found)
            queue.extend(found)
    return _ordered(Chain(graph, root, children))


def _ordered(chain: Chain) -> Chain:
    def size_then_wait(pid: int) -> tuple[int, float, int]:
        return (-chain.behind(pid), -wait_s(chain.graph, pid), pid)

    children = {node: tuple(sorted(found, key=size_then_wait)) for node, found in chain.children.items()}
    return Chain(chain.graph, chain.root, children)
